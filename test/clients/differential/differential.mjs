// The verifier against npm's jose and jsonwebtoken: they sign, we verify, over random claims and all algorithms; we sign
// HS*, they verify; and of tokens with broken claims or signatures we and jose must think the same.
//
//   node differential.mjs PATH_TO_token_tool ROUNDS [SEED]
//
// Ends with a line `N passed, N failed`.  Keys and claims are made anew each time; claims follow from the printed seed.
import { execFileSync } from 'node:child_process';
import { createHmac, createSecretKey, generateKeyPairSync, randomBytes, randomInt } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import * as jose from 'jose';
import jsonwebtoken from 'jsonwebtoken';

const [tool, roundsText, seedText] = process.argv.slice(2);
const rounds = Number(roundsText);
const seed = Number(seedText ?? randomInt(2 ** 31));
const now = 1700000000;
console.log(`seed ${seed}`);

// ---- random claims (mulberry32)
let state = seed;
function random() {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];
function text() {
  let s = '';
  for (let n = below(12); n > 0; n--) s += String.fromCodePoint(pick([below(95) + 32, below(31) + 1, 0xe9, 0x20ac, 0x1f600 + below(64), 34, 92, 0xffff, 0x10ffff]));
  return s;
}
function value(depth) {
  switch (below(depth > 5 ? 5 : 7)) {
    case 0: return null;
    case 1: return random() < 0.5;
    case 2: return pick([0, -1, 1.5, 1e21, 1e-7, below(1e9), -random()]);
    case 3: case 4: return text();
    case 5: return Array.from({ length: below(4) }, () => value(depth + 1));
    default: return Object.fromEntries(Array.from({ length: below(4) }, () => [text(), value(depth + 1)]));
  }
}
const maybe = (name, make) => (random() < 0.5 ? { [name]: make() } : {});
const claimsOf = () => ({
  ...Object.fromEntries(Array.from({ length: below(5) }, () => [`x${text()}`, value(0)])),
  sub: text() || 'u', aud: pick(['authenticated', ['authenticated'], ['a', 'authenticated', text()]]), exp: now + 1 + below(1e6),
  ...maybe('iss', text), ...maybe('email', text), ...maybe('role', () => 'authenticated'), ...maybe('iat', () => now - below(1000)),
  ...maybe('nbf', () => now - below(1000)), ...maybe('session_id', text),
});

// ---- keys
const curves = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' };
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
function keyOf(alg, curve) {
  const key = { alg, kid: `${alg}-${curve ?? ''}` };
  if (alg.startsWith('HS')) {
    key.secret = randomBytes(64);
    key.signer = key.verifier = createSecretKey(key.secret);
  } else {
    const pair = alg in curves ? generateKeyPairSync('ec', { namedCurve: curves[alg] }) : alg === 'EdDSA' ? generateKeyPairSync(curve) : rsa;
    key.signer = pair.privateKey;
    key.verifier = pair.publicKey;
  }
  key.jwk = JSON.stringify({ ...key.verifier.export({ format: 'jwk' }), alg, kid: key.kid });
  return key;
}
const keys = [...['HS', 'RS', 'PS', 'ES'].flatMap((family) => [256, 384, 512].map((size) => keyOf(`${family}${size}`))),
  keyOf('EdDSA', 'ed25519'), keyOf('EdDSA', 'ed448')];

// ---- the comparison
let passed = 0, failed = 0;
function check(condition, what) {
  if (condition) passed++;
  else { failed++; console.log(`not ok ${what}`); }
}
const requests = [], judges = [];
function ask(fields, judge) {
  requests.push(fields.join('\t'));
  judges.push(judge);
}
const b64 = (bytes) => Buffer.from(bytes).toString('base64url') || '-';
const payloadOf = (answer) => (answer.startsWith('ok ') ? JSON.parse(Buffer.from(answer.slice(3), 'base64url')) : undefined);
const askToken = (key, token, judge) => ask(['token', key.jwk, now, 'authenticated', token], judge);
const joseVerify = (key, token) => jose.jwtVerify(token, key.verifier, {
  algorithms: [key.alg], audience: 'authenticated', clockTolerance: 30, currentDate: new Date(now * 1000), requiredClaims: ['exp'],
}).then(() => 'ok', (error) => `error ${error.code} ${error.claim ?? ''} ${error.reason ?? ''}`);

for (let round = 0; round < rounds; round++) {
  for (const key of keys) {
    const claims = claimsOf();
    const who = `${key.kid} round ${round}`;
    const header = { alg: key.alg, kid: key.kid, ...(random() < 0.5 ? { typ: 'JWT' } : {}) };

    // They sign, we verify.
    const token = await new jose.SignJWT(claims).setProtectedHeader(header).sign(key.signer);
    askToken(key, token, (answer) => check(isDeepStrictEqual(payloadOf(answer), claims), `jose signs, ${who}: ${answer}`));
    if (key.alg !== 'EdDSA') {
      // It puts the time of today where there is no iat, and with noTimestamp takes out the one that there is.
      const { iat, ...others } = claims;
      const other = jsonwebtoken.sign(others, key.signer, { algorithm: key.alg, keyid: key.kid, noTimestamp: true });
      askToken(key, other, (answer) => check(isDeepStrictEqual(payloadOf(answer), others), `jsonwebtoken signs, ${who}: ${answer}`));
    }

    // We sign, they verify.
    if (key.secret) {
      ask(['sign', key.alg, b64(key.secret), b64(JSON.stringify(header)), b64(JSON.stringify(claims))], async (answer) => {
        const ours = answer.slice(3);
        check(await joseVerify(key, ours) === 'ok', `jose verifies ours, ${who}: ${answer}`);
        const verified = jsonwebtoken.verify(ours, key.verifier, { algorithms: [key.alg], clockTimestamp: now, clockTolerance: 30 });
        check(isDeepStrictEqual(verified, claims), `jsonwebtoken verifies ours, ${who}`);
      });
    }

    // Another key, another character somewhere: what jose refuses, we refuse.  (What it accepts, such as unused bits in the
    // last character of a segment, we may refuse.)
    const at = below(token.length);
    const character = pick([...'ABCxyz019-_.+/= ']);
    const broken = [token.slice(0, at) + character + token.slice(at + 1), token.slice(0, at), `${token}.`, token.slice(at),
      token.replace(/\.[^.]*$/, `.${randomBytes(64).toString('base64url')}`)];
    for (const variant of broken) {
      const theirs = await joseVerify(key, variant);
      ask(['token', key.jwk, now, 'authenticated', variant], (answer) =>
        check(answer.startsWith('error') || (theirs === 'ok' && variant === token), `a broken token, ${who}: they say ${theirs}, we: ${answer}: ${variant}`));
    }

    // Claims that must be refused, and that for the same reason; both sides of each limit.
    const wrong = pick([
      [{ exp: now - 30 }, 'expired'], [{ exp: now - 29 }, null], [{ exp: now - 1e9 }, 'expired'], [{ exp: undefined }, 'malformed'],
      [{ exp: `${now + 60}` }, 'malformed'], [{ exp: null }, 'malformed'], [{ exp: now + 0.5 }, null], [{ nbf: now + 31 }, 'not yet valid'],
      [{ nbf: now + 30 }, null], [{ nbf: '0' }, 'malformed'], [{ aud: 'other' }, 'wrong audience'], [{ aud: [] }, 'wrong audience'],
      [{ aud: ['other', 'Authenticated'] }, 'wrong audience'], [{ aud: undefined }, 'wrong audience'], [{ iat: 'now' }, 'malformed'],
    ]);
    const changed = { ...claims, nbf: undefined, ...wrong[0] };
    const refused = await new jose.CompactSign(Buffer.from(JSON.stringify(changed))).setProtectedHeader(header).sign(key.signer);
    const theirs = await joseVerify(key, refused);
    askToken(key, refused, (answer) => {
      const expected = wrong[1] === null ? answer.startsWith('ok ') : answer.startsWith(`error ${wrong[1]}:`);
      check(expected && (theirs === 'ok') === (wrong[1] === null), `${JSON.stringify(wrong)}, ${who}: they say ${theirs}, we: ${answer}`);
    });
  }
}

// A token of each algorithm with the key of each other.
for (const key of keys) {
  for (const other of keys) {
    if (key === other) continue;
    const token = await new jose.SignJWT({ sub: 'u', aud: 'authenticated', exp: now + 60 }).setProtectedHeader({ alg: key.alg }).sign(key.signer);
    askToken(other, token, (answer) => check(answer.startsWith('error'), `${key.kid} with the key of ${other.kid}: ${answer}`));
  }
  // The public key as the secret of an HMAC, in the forms in which one finds it.
  if (key.secret) continue;
  for (const secret of [key.jwk, key.verifier.export({ format: 'pem', type: 'spki' }), key.verifier.export({ format: 'der', type: 'spki' })]) {
    const text = `${b64('{"alg":"HS256"}')}.${b64(`{"sub":"u","aud":"authenticated","exp":${now + 60}}`)}`;
    const token = `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
    askToken(key, token, (answer) => check(answer.startsWith('error unknown key'), `public key as secret, ${key.kid}: ${answer}`));
  }
}

const answers = execFileSync(tool, { input: `${requests.join('\n')}\n`, maxBuffer: 1 << 28 }).toString().split('\n');
for (const [i, judge] of judges.entries()) await judge(answers[i]);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

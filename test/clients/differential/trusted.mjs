// The signatures that the trusted flavour verifies in SQL, against OpenSSL by way of Node.js.
//
//   node trusted.mjs PATH_TO_trusted_tool ROUNDS
//
// A key for each algorithm; ROUNDS messages are signed with each, and each signature is asked for as it is and with a bit
// changed, with the key as given and with the key as loaded.
import { execFileSync } from 'node:child_process';
import { constants, generateKeyPairSync, randomBytes, randomInt, sign } from 'node:crypto';

const [tool, rounds] = [process.argv[2], Number(process.argv[3])];
const p1363 = { dsaEncoding: 'ieee-p1363' };
const pss = (saltLength) => ({ padding: constants.RSA_PKCS1_PSS_PADDING, saltLength });
const rsa = (modulusLength, publicExponent = 65537) => ['rsa', { modulusLength, publicExponent }];
const algorithms = [
  ['ES256', 'sha256', p1363, 'ec', { namedCurve: 'P-256' }], ['ES384', 'sha384', p1363, 'ec', { namedCurve: 'P-384' }],
  ['EdDSA', null, {}, 'ed25519', {}],
  ['RS256', 'sha256', {}, ...rsa(2048)], ['RS384', 'sha384', {}, ...rsa(2056, 3)], ['RS512', 'sha512', {}, ...rsa(3072)],
  ['PS256', 'sha256', pss(32), ...rsa(2048)], ['PS384', 'sha384', pss(48), ...rsa(2049)], ['PS512', 'sha512', pss(64), ...rsa(2055)],
];
const requests = [];
const wanted = [];
for (const [alg, hash, options, type, parameters] of algorithms) {
  const { publicKey, privateKey } = generateKeyPairSync(type, parameters);
  const jwk = JSON.stringify({ ...publicKey.export({ format: 'jwk' }), alg });
  for (let round = 0; round < rounds; round++) {
    const message = randomBytes(randomInt(1, 200));
    const signature = sign(hash, message, { key: privateKey, ...options });
    const changed = Buffer.from(signature);
    changed[randomInt(changed.length)] ^= 1 << randomInt(8);
    for (const kind of ['raw', 'stored']) {
      for (const [bytes, valid] of [[signature, true], [changed, false]]) {
        requests.push([kind, jwk, message.toString('base64url'), bytes.toString('base64url')].join('\t'));
        wanted.push([`${alg} ${kind}`, valid]);
      }
    }
  }
}
const answers = execFileSync(tool, { input: `${requests.join('\n')}\n`, maxBuffer: 1 << 28 }).toString().split('\n');
const counts = new Map();
let failed = 0;
wanted.forEach(([name, valid], n) => {
  const right = answers[n] === (valid ? 'ok' : 'error: the signature does not fit');
  counts.set(name, (counts.get(name) ?? 0) + (right ? 1 : 0));
  if (!right) {
    failed++;
    console.log(`not ok ${name}: ${valid ? 'valid' : 'changed'}, answered: ${answers[n]}\n    ${requests[n]}`);
  }
});
for (const [name, right] of counts) console.log(`${name}: ${right} right`);
console.log(`${wanted.length - failed} passed, ${failed} failed`);

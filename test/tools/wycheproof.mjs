// Runs the Wycheproof vectors (github.com/C2SP/wycheproof, testvectors_v1) that concern us against the verifier.
//
//   node test/tools/wycheproof.mjs VECTOR_DIRECTORY PATH_TO_token_tool
//
// The vectors are not part of this repository.  For each file: how many vectors agree, how many are for a combination that
// no JWS algorithm has (another curve, hash, salt or truncated MAC: not applicable), and each one that does not agree.
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const [directory, tool] = process.argv.slice(2);
const wanted = /^(json_web_(signature|key|crypto)|ecdsa_.*_p1363|ed25519|ed448|rsa_signature_.*|rsa_pkcs1_.*_sig_gen|rsa_pss_.*|hmac_sha(256|384|512))_test\.json$/;
const bits = { 'SHA-256': '256', 'SHA-384': '384', 'SHA-512': '512' };
const curves = { secp256r1: ['P-256', 'SHA-256'], secp384r1: ['P-384', 'SHA-384'], secp521r1: ['P-521', 'SHA-512'] };
const fromHex = (hex) => Buffer.from(hex, 'hex').toString('base64url');
const bytes = (hex) => fromHex(hex) || '-';
const number = (hex) => fromHex(hex.replace(/^(00)+/, ''));

// The JWK of a group, or null where no JWS algorithm is like it.
function jwkOf(group) {
  const key = group.publicKey ?? group.privateKey;
  const rsa = (family) => bits[group.sha] && { kty: 'RSA', alg: family + bits[group.sha], n: number(key.modulus), e: number(key.publicExponent) };
  switch (group.type) {
    case 'EcdsaP1363Verify': {
      const [crv, sha] = curves[key.curve] ?? [];
      if (group.sha !== sha) return null;
      const point = key.uncompressed.slice(2);
      return { kty: 'EC', crv, x: fromHex(point.slice(0, point.length / 2)), y: fromHex(point.slice(point.length / 2)) };
    }
    case 'EddsaVerify': return { kty: 'OKP', crv: key.curve === 'edwards448' ? 'Ed448' : 'Ed25519', x: fromHex(key.pk) };
    case 'RsassaPkcs1Verify':
    case 'RsassaPkcs1Generate': return rsa('RS') || null;
    case 'RsassaPssVerify':
    case 'RsassaPssWithParametersVerify':
      return group.mgf === 'MGF1' && group.mgfSha === group.sha && group.sLen * 8 === Number(bits[group.sha]) ? rsa('PS') : null;
    default: throw new Error(`unknown type ${group.type}`);
  }
}

const requests = [];
const results = [];
for (const file of readdirSync(directory).filter((name) => wanted.test(name)).sort()) {
  const vectors = JSON.parse(readFileSync(join(directory, file), 'utf8'));
  const hash = /^hmac_sha(\d+)/.exec(file)?.[1];
  for (const group of vectors.testGroups) {
    for (const test of group.tests) {
      const entry = { file, test, group };
      results.push(entry);
      let request;
      if (file.startsWith('json_web')) {
        const jwk = group.public ?? group.private;
        if (typeof test.jws !== 'string') { entry.skip = 'JSON serialization'; continue; }
        if (/[\t\n]/.test(test.jws)) { entry.skip = 'not a line'; continue; }
        request = [jwk.keys ? 'set' : 'jws', JSON.stringify(jwk), test.jws];
      } else if (hash) {
        request = ['hmac', `HS${hash}`, bytes(test.key), bytes(test.msg)];
      } else {
        const jwk = jwkOf(group);
        if (!jwk) { entry.skip = 'no JWS algorithm'; continue; }
        request = ['raw', JSON.stringify(jwk), bytes(test.msg), bytes(test.sig)];
      }
      entry.request = requests.length;
      requests.push(request.join('\t'));
    }
  }
}

const answers = execFileSync(tool, { input: requests.join('\n') + '\n', maxBuffer: 1 << 28 }).toString().split('\n');
const files = new Map();
for (const { file, test, group, skip, request } of results) {
  const count = files.get(file) ?? { agree: 0, acceptable: 0, differ: [], skipped: 0 };
  files.set(file, count);
  if (skip) { count.skipped++; continue; }
  let answer = answers[request];
  if (file.startsWith('hmac')) {
    const tag = Buffer.from(answer.slice(3), 'base64url').toString('hex').slice(0, group.tagSize / 4);
    answer = tag === test.tag ? 'ok' : 'error: another MAC';
  }
  const valid = answer.startsWith('ok');
  if (test.result === 'acceptable') count.acceptable++;
  else if (valid === (test.result === 'valid')) count.agree++;
  else count.differ.push(`${test.tcId} ${test.comment}: ${test.result}, we say: ${answer}`);
}

let agree = 0, differ = 0, skipped = 0, acceptable = 0;
for (const [file, count] of files) {
  agree += count.agree; differ += count.differ.length; skipped += count.skipped; acceptable += count.acceptable;
  console.log(`${file}: ${count.agree} agree, ${count.differ.length} differ, ${count.acceptable} either way, ${count.skipped} not applicable`);
  for (const line of count.differ) console.log(`    ${line}`);
}
console.log(`${agree} agree, ${differ} differ, ${acceptable} either way, ${skipped} not applicable`);

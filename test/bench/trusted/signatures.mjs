// A key and a signature for each algorithm, as rows for COPY: alg, JWK, message, signature.
import { constants, generateKeyPairSync, sign } from 'node:crypto';

const rsa = ['rsa', { modulusLength: 2048 }];
for (const [alg, hash, options, type, parameters] of [
  ['ES256', 'sha256', { dsaEncoding: 'ieee-p1363' }, 'ec', { namedCurve: 'P-256' }],
  ['ES384', 'sha384', { dsaEncoding: 'ieee-p1363' }, 'ec', { namedCurve: 'P-384' }],
  ['EdDSA', null, {}, 'ed25519', {}], ['RS256', 'sha256', {}, ...rsa],
  ['PS256', 'sha256', { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }, ...rsa],
]) {
  const { publicKey, privateKey } = generateKeyPairSync(type, parameters);
  const message = Buffer.alloc(600, 'claims ');
  const signature = sign(hash, message, { key: privateKey, ...options });
  console.log([alg, JSON.stringify({ ...publicKey.export({ format: 'jwk' }), alg }), `\\\\x${message.toString('hex')}`, `\\\\x${signature.toString('hex')}`].join('\t'));
}

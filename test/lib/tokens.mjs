// Makes keys and tokens for the tests, with Node alone: one line for each algorithm, of three fields separated by tabs:
// algorithm, JWKS with the one public key (or the secret), token of user 1.  Keys live as long as this process.
//   node tokens.mjs ISSUER [SECONDS until the tokens expire]
import crypto from 'node:crypto';

const [issuer, seconds = '3600'] = process.argv.slice(2);
const b64 = (value) => Buffer.from(value).toString('base64url');
const now = Math.floor(Date.now() / 1000);
const claims = {
	iss: issuer, aud: 'authenticated', role: 'authenticated', sub: '00000000-0000-4000-8000-000000000001',
	email: 'user1@example.org', phone: '', aal: 'aal1', session_id: '10000000-0000-4000-8000-000000000001',
	app_metadata: { provider: 'email' }, user_metadata: { full_name: 'Person 1' }, is_anonymous: false,
	amr: [{ method: 'password', timestamp: now - 100 }], iat: now - 10, exp: now + Number(seconds),
};
const pss = (hash) => ({ padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: hash / 8 });
const ec = (curve) => crypto.generateKeyPairSync('ec', { namedCurve: curve });
const rsa = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
const pairs = {
	RS256: rsa, RS384: rsa, RS512: rsa, PS256: rsa, PS384: rsa, PS512: rsa,
	ES256: ec('P-256'), ES384: ec('P-384'), ES512: ec('P-521'),
	EdDSA: crypto.generateKeyPairSync('ed25519'), HS256: null, HS384: null, HS512: null,
};
for (const [alg, pair] of Object.entries(pairs)) {
	const bits = Number(alg.slice(2)), kid = crypto.randomUUID();
	const input = `${b64(JSON.stringify({ alg, kid, typ: 'JWT' }))}.${b64(JSON.stringify(claims))}`;
	let jwk, signature;
	if (pair === null) {
		const secret = crypto.randomBytes(64);
		jwk = { kty: 'oct', k: b64(secret) };
		signature = crypto.createHmac(`sha${bits}`, secret).update(input).digest();
	} else {
		jwk = pair.publicKey.export({ format: 'jwk' });
		const options = alg.startsWith('PS') ? pss(bits) : alg.startsWith('ES') ? { dsaEncoding: 'ieee-p1363' } : {};
		signature = crypto.sign(alg === 'EdDSA' ? null : `sha${bits}`, Buffer.from(input), { key: pair.privateKey, ...options });
	}
	console.log([alg, JSON.stringify({ keys: [{ ...jwk, alg, kid, use: 'sig' }] }), `${input}.${b64(signature)}`].join('\t'));
}

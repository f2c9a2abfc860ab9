// Runs one of the helpers of docs/connecting.md against a server: node run.mjs HELPER, with lines of
// `algorithm <tab> JWKS <tab> token` (test/lib/tokens.mjs) as standard input.  Prints a line for each result.
import { readFileSync } from 'node:fs';

const { withUser, end } = await import(process.argv[2]);
const tokens = Object.fromEntries(readFileSync(0, 'utf8').trim().split('\n').map((line) => {
	const [algorithm, , token] = line.split('\t');
	return [algorithm, token];
}));
const me = '00000000-0000-4000-8000-000000000001';
const rows = (result) => result.rows ?? [...result];
const query = async (client, text) => rows(await (client.query ? client.query(text) : client.unsafe(text)));
const report = (ok, what) => console.log(`${ok ? 'ok' : 'not ok'} ${what}`);
const code = async (promise) => promise.then(() => 'no error', (error) => `${error.code} ${error.message}`);

for (const algorithm of ['ES256', 'RS256', 'EdDSA', 'HS256'])
	report((await withUser(tokens[algorithm], (c) => query(c, 'SELECT auth.uid() AS uid, current_user AS who')))
		.every((row) => row.uid === me && row.who === 'authenticated'), `${algorithm}: logged in`);
report((await withUser(tokens.ES256, (c) => query(c, 'SELECT body FROM notes'))).map((row) => row.body).join() === 'mine',
	'policies show what is the user\'s');
await withUser(tokens.ES256, (c) => query(c, "INSERT INTO notes (body) VALUES ('new')"));
report((await withUser(tokens.ES256, (c) => query(c, 'SELECT count(*)::int AS n FROM notes')))[0].n === 2, 'what it wrote is committed');
report(await code(withUser(tokens.ES256, async (c) => {
	await query(c, 'DELETE FROM notes');
	throw Object.assign(new Error('changed my mind'), { code: 'mine' });
})) === 'mine changed my mind', 'an error of the function comes through');
report((await withUser(tokens.ES256, (c) => query(c, 'SELECT count(*)::int AS n FROM notes')))[0].n === 2, 'and its transaction was rolled back');
const forged = tokens.ES256.replace(/[^.]+$/, tokens.RS256.split('.')[2]);
report(/^28000 token refused: bad signature/.test(await code(withUser(forged, (c) => query(c, 'SELECT 1')))), 'a forged token');
report(/^28000 token refused: malformed/.test(await code(withUser('', (c) => query(c, 'SELECT 1')))), 'no token');
report(/^42501/.test(await code(withUser(tokens.ES256, (c) => query(c, 'RESET ROLE')))), 'RESET ROLE');
report(/^42501/.test(await code(withUser(tokens.ES256, (c) => query(c, 'COMMIT; BEGIN; SET ROLE postgres')))), 'COMMIT; BEGIN; SET ROLE');
const many = await Promise.all(Array.from({ length: 40 }, (_, i) => i % 4 === 3
	? code(withUser('x', (c) => query(c, 'SELECT 1'))).then((answer) => answer.startsWith('28000'))
	: withUser(tokens.RS256, async (c) => (await query(c, 'SELECT auth.uid() AS uid'))[0].uid === me)));
report(many.every(Boolean), '40 at once over a pool of 3');
await end();

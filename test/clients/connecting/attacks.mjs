// What one user's transaction leaves for the next user of the connection, by way of a helper of docs/connecting.md whose
// pool has one connection: node attacks.mjs HELPER, with the lines of run.mjs as standard input.  User 1 attacks, in the
// transaction and after a COMMIT of its own; after each attack user 2 must find everything as before the first.
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';

const { withUser, end } = await import(process.argv[2]);
const [, jwks, attacker] = readFileSync(0, 'utf8').trim().split('\n').map((line) => line.split('\t')).find(([name]) => name === 'HS256');
const [header, claims] = attacker.split('.');
const b64 = (value) => Buffer.from(value).toString('base64url');
const input = `${header}.${b64(JSON.stringify({ ...JSON.parse(Buffer.from(claims, 'base64url')), sub: '00000000-0000-4000-8000-000000000002' }))}`;
const victim = `${input}.${b64(createHmac('sha256', Buffer.from(JSON.parse(jwks).keys[0].k, 'base64url')).update(input).digest())}`;
const rows = (result) => result.rows ?? [...result];
const named = (client, text) => (client.query ? client.query({ name: 'the_driver_s', text }) : client.unsafe(text, [], { prepare: true }));
const query = async (client, text) => rows(await (client.query ? client.query(text) : client.unsafe(text)));
const report = (ok, what) => console.log(`${ok ? 'ok' : 'not ok'} ${what}`);
const code = async (promise) => promise.then(() => 'no error', (error) => error.code ?? error.message);

// What the next user can see of the session, and that the names in its statements mean what they meant.
const look = `SELECT auth.uid() AS uid, current_user AS who, (SELECT string_agg(body, ',' ORDER BY body) FROM notes) AS notes, pg_typeof('x'::label) AS label,
	(SELECT json_object_agg(name, setting ORDER BY name) FROM pg_settings WHERE source IN ('session', 'interactive') AND name <> 'role') AS settings,
	coalesce(current_setting('my.stolen', true), '') AS variable,
	(SELECT count(*)::int FROM pg_cursors WHERE is_holdable) AS cursors, (SELECT count(*)::int FROM pg_listening_channels()) AS channels,
	(SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory') AS locks,
	(SELECT count(*)::int FROM pg_class WHERE pg_is_other_temp_schema(relnamespace) OR relnamespace = pg_my_temp_schema()) AS temporary,
	(SELECT count(*)::int FROM pg_largeobject_metadata) AS objects,
	(SELECT count(*)::int FROM pg_db_role_setting) AS role_settings, (SELECT count(*)::int FROM pg_prepared_xacts) AS prepared`;
const state = async () => JSON.stringify([
	await withUser(victim, (c) => query(c, look)),
	rows(await withUser(victim, (c) => named(c, 'SELECT body FROM notes ORDER BY body'))),
	await code(withUser(victim, (c) => query(c, 'SELECT lastval()'))),
	await code(withUser(victim, (c) => query(c, 'EXECUTE evil'))),
]);

const attacks = [
	// The statement that carries the next token, replaced by one that keeps it.
	`DO $$ DECLARE s text; BEGIN CREATE TEMP TABLE stolen (token text); FOR s IN SELECT name FROM pg_prepared_statements LOOP
		EXECUTE format('DEALLOCATE %I', s); EXECUTE format('PREPARE %I (text) AS WITH s AS (INSERT INTO stolen VALUES ($1)) SELECT mentalspace.login($1)', s); END LOOP; END $$`,
	'DEALLOCATE ALL', 'DEALLOCATE the_driver_s', `PREPARE the_driver_s AS SELECT 'evil' AS body`, `PREPARE evil AS SELECT 1`,
	'CREATE TEMP VIEW notes AS SELECT \'evil\' AS body', 'CREATE TEMP TABLE notes AS SELECT \'evil\' AS body', 'CREATE TYPE pg_temp.label AS (a int)',
	'CREATE FUNCTION pg_temp.string_agg(text, text) RETURNS text LANGUAGE sql AS \'SELECT 1\'', 'SELECT \'evil\' AS body INTO TEMP notes',
	'SET search_path = pg_catalog', `SELECT set_config('search_path', 'auth', false)`, 'SET SESSION TimeZone = \'Asia/Tokyo\'', 'SET DateStyle = German',
	'SET row_security = off', 'SET standard_conforming_strings = off', 'SET client_encoding = LATIN1', `SET my.stolen = 'secret'`,
	'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', 'SET statement_timeout = 1', 'RESET ALL', 'DISCARD TEMP', 'SET application_name = \'evil\'',
	'DECLARE held CURSOR WITH HOLD FOR SELECT body FROM notes', 'LISTEN somebody', 'SELECT pg_advisory_lock(1)', `SELECT nextval('numbers')`,
	'SELECT lo_create(0)', `SELECT mentalspace.login('${attacker}', 'session')`, `PREPARE TRANSACTION 'evil'`,
	`ALTER ROLE CURRENT_USER SET search_path = 'auth'`, `ALTER ROLE edge PASSWORD 'evil'`, `ALTER ROLE authenticated SET search_path = 'auth'`,
];
await state();  // a key that verifies its first token in an hour is noted, under a lock
const before = await state();
const left = [];
for (const attack of attacks)
	for (const steps of [[attack], [`COMMIT; ${attack}`], [`COMMIT; BEGIN; ${attack}; COMMIT`], ['COMMIT', attack], ['ROLLBACK', `BEGIN; ${attack}`]]) {
		await withUser(attacker, async (c) => {
			for (const step of steps) await query(c, step);
		}).catch(() => undefined);
		const after = await state().catch((error) => error.message);
		if (after !== before) left.push(`${steps.join(' | ').slice(0, 100)}: ${after}`);
	}
report(/"uid":"[^"]*2"/.test(before) && before.includes('not mine'), 'the second user sees what is theirs');
report(left.length === 0, `${attacks.length} attacks, each in five forms, leave nothing`);
for (const line of left.slice(0, 5)) console.log(`# before: ${before}\n# ${line}`);
await end();

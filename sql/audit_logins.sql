-- Logins, logouts and refused tokens as events: they stay when the transaction is rolled back, and hold nothing of a token.
CREATE EXTENSION mentalspace;
\getenv abs_srcdir PG_ABS_SRCDIR
\set tools :abs_srcdir '/test/lib/audit_show.sql'
\i :tools
\set tokens :abs_srcdir '/test/lib/tokens.sql'
\i :tokens
\set SHOW_CONTEXT never
CREATE ROLE anon;
CREATE ROLE authenticated;
CREATE TABLE clients (id int PRIMARY KEY);
SELECT mentalspace.add_jwt_secret(maker.secret());
SELECT maker.token(1) AS one, maker.token(2) AS two, maker.token(3, '{"exp": 1000}') AS old, maker.token(4, '{"role": "nobody"}') AS nobody \gset

-- in a database where nothing is audited, nobody asks
SELECT mentalspace.login(:'one', 'session');
SELECT mentalspace.logout();
SELECT count(*) FROM mentalspace.audit_events;
SELECT mentalspace.audit_table('clients', 'id');
:skip

-- for a session
SELECT mentalspace.login(:'one', 'session');
SELECT mentalspace.logout();
SELECT mentalspace.login(:'one', 'session');
SELECT mentalspace.login(:'two', 'session');
DISCARD ALL;
SELECT mentalspace.logout();
DISCARD ALL;
SET search_path = public, auth;
:show
SELECT kind, user_id, roles, aal, session_id, identity_source FROM mentalspace.audit_events
 WHERE kind IN ('login', 'logout') ORDER BY occurred_at, event_id;

-- for a transaction, again and again, as a pool does it: one login for each token in this backend
BEGIN; SELECT mentalspace.login(:'one'); COMMIT;
BEGIN; SELECT mentalspace.login(:'one'); ROLLBACK;
BEGIN; SELECT mentalspace.login(:'two'); ROLLBACK;
BEGIN; SELECT mentalspace.login(:'two'); COMMIT;
:show
-- in another backend it is a login again
\c -
BEGIN; SELECT mentalspace.login(:'two'); ROLLBACK;
:show

-- verify_jwt() is no login, and does not take its place
SELECT mentalspace.verify_jwt(:'one') IS NOT NULL AS accepted;
BEGIN; SELECT mentalspace.login(:'one'); COMMIT;
:show

-- refused: the class, and nothing of the token
SELECT mentalspace.login(NULL);
SELECT mentalspace.login('x.y.z');
SELECT mentalspace.login(:'old', 'session');
SELECT mentalspace.login(:'nobody');
SELECT mentalspace.login(:'one' || 'A');
SELECT mentalspace.verify_jwt(:'old');
BEGIN; SELECT maker.try(format('SELECT mentalspace.login(%L)', :'old')); ROLLBACK;
SELECT mentalspace.revoke_user('00000000-0000-4000-8000-000000000001', 'x');
SELECT mentalspace.login(:'one');
-- no attempt to be anybody
SELECT mentalspace.jws_verify(:'old', '{"kty": "oct", "alg": "HS256", "k": "bm90IGEgc2VjcmV0IGF0IGFsbCBub3QgYSBzZWNyZXQ"}');
:show
SELECT count(*) FROM mentalspace.audit_events AS e, (VALUES (:'one'), (:'two'), (:'old'), (:'nobody')) AS t(token)
 WHERE strpos(e::text, split_part(token, '.', 2)) > 0 OR strpos(e::text, split_part(token, '.', 3)) > 0;

#include "core/sql_statement.h"

#include <gtest/gtest.h>

namespace mentalspace {
namespace {

TEST(SqlStatement, WhatCannotRunInATransaction)
{
	for (const char *sql : {"CREATE INDEX CONCURRENTLY i ON t (a)", "create unique index concurrently if not exists i on t (a)",
							"DROP INDEX CONCURRENTLY i", "-- c\nVACUUM t", "REINDEX TABLE CONCURRENTLY t", "CREATE DATABASE d",
							"ALTER SYSTEM SET a = 1", "ALTER TABLE p DETACH PARTITION q CONCURRENTLY", "CLUSTER"})
		EXPECT_EQ(ConductOf(sql), SqlConduct::kOutside) << sql;
	for (const char *sql : {"CREATE INDEX i ON t (a)", "CREATE TABLE concurrently (a int)", "REINDEX TABLE t", "CLUSTER t",
							"CREATE INDEX i ON t (\"concurrently\")", "ALTER TYPE e ADD VALUE 'x'", "SET LOCAL a = 1"})
		EXPECT_EQ(ConductOf(sql), SqlConduct::kOrdinary) << sql;
}

TEST(SqlStatement, TransactionsAndSettings)
{
	EXPECT_EQ(ConductOf("/* c */ BEGIN"), SqlConduct::kBegin);
	EXPECT_EQ(ConductOf("start transaction"), SqlConduct::kBegin);
	EXPECT_EQ(ConductOf("END"), SqlConduct::kCommit);
	EXPECT_EQ(ConductOf("COMMIT AND CHAIN"), SqlConduct::kCommit);
	EXPECT_EQ(ConductOf("rollback"), SqlConduct::kRollback);
	EXPECT_EQ(ConductOf("ROLLBACK TO SAVEPOINT s"), SqlConduct::kOrdinary);
	EXPECT_EQ(ConductOf("SET search_path = ''"), SqlConduct::kSession);
	EXPECT_EQ(ConductOf("SELECT pg_catalog.set_config('search_path', '', false)"), SqlConduct::kSession);
	EXPECT_EQ(ConductOf("COPY public.t (a) FROM stdin"), SqlConduct::kCopyIn);
	EXPECT_EQ(ConductOf("COPY t TO STDOUT"), SqlConduct::kOrdinary);
}

TEST(SqlStatement, IndexMadeConcurrently)
{
	auto index = ConcurrentIndexOf("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS \"My;Index\" ON ONLY app.T USING btree (a)");
	ASSERT_TRUE(index);
	EXPECT_TRUE(index->create);
	EXPECT_EQ(index->index, "My;Index");
	EXPECT_EQ(index->schema, "app");
	index = ConcurrentIndexOf("drop index concurrently if exists App.I");
	ASSERT_TRUE(index);
	EXPECT_FALSE(index->create);
	EXPECT_EQ(index->index, "i");
	EXPECT_EQ(index->schema, "app");
	EXPECT_EQ(ConcurrentIndexOf("create index concurrently on t (a)")->index, "");
	EXPECT_FALSE(ConcurrentIndexOf("create index i on t (a)"));
}

TEST(SqlStatement, NewerLines)
{
	EXPECT_EQ(NewerLineOf("SET transaction_timeout = 0", 150000)->replacement, "");
	EXPECT_FALSE(NewerLineOf("SET transaction_timeout = 0", 170000));
	EXPECT_FALSE(NewerLineOf("SET statement_timeout = 0", 150000));
	EXPECT_EQ(NewerLineOf("GRANT MAINTAIN ON TABLE t TO r", 150000)->replacement, "");
	EXPECT_EQ(NewerLineOf("GRANT SELECT,MAINTAIN,UPDATE ON TABLE t TO r", 150000)->replacement,
			  "GRANT SELECT,UPDATE ON TABLE t TO r");
	EXPECT_EQ(NewerLineOf("REVOKE SELECT, MAINTAIN ON t FROM r", 150000)->replacement, "REVOKE SELECT ON t FROM r");
	EXPECT_EQ(NewerLineOf("ALTER DEFAULT PRIVILEGES FOR ROLE a IN SCHEMA s GRANT INSERT,MAINTAIN ON TABLES TO r", 150000)->what,
			  "GRANT MAINTAIN");
	/* A role of that name. */
	EXPECT_FALSE(NewerLineOf("GRANT SELECT ON t TO maintain", 150000));
}

TEST(SqlStatement, ShortenedWithoutSecrets)
{
	EXPECT_EQ(Shorten("-- c\nSELECT  1,\n\t2", 80), "SELECT 1, 2");
	EXPECT_EQ(Shorten("ALTER ROLE r PASSWORD 'geheim' LOGIN", 80), "ALTER ROLE r PASSWORD '***' LOGIN");
	EXPECT_EQ(Shorten("SELECT vault.create_secret('geheim', 'n')", 80), "SELECT vault.create_secret('***', '***')");
	EXPECT_EQ(Shorten("SELECT \"\xc3\xa9\xc3\xa9\xc3\xa9\"", 11), "SELECT \"\xc3\xa9 ...");
	EXPECT_EQ(Shorten("INSERT INTO vault.secrets(secret) VALUES (E'geheim', $$geheim$$, U&'geheim', $x$geheim)", 99),
			  "INSERT INTO vault.secrets(secret) VALUES ('***', '***', '***', '***'");
	EXPECT_EQ(Shorten("CREATE SUBSCRIPTION s CONNECTION 'password=geheim' PUBLICATION p", 99),
			  "CREATE SUBSCRIPTION s CONNECTION '***' PUBLICATION p");
	EXPECT_EQ(Shorten("SET app.settings.jwt TO geheim", 99), "SET app.settings.jwt TO '***'");
	EXPECT_EQ(Shorten("ALTER DATABASE d SET app.jwt = geheim", 99), "ALTER DATABASE d SET app.jwt = '***'");
	EXPECT_EQ(Shorten("\\connect postgres://u:geheim@h/d", 99), "\\connect");
}

TEST(SqlStatement, MessagesWithoutSecrets)
{
	EXPECT_EQ(MaskedMessage("invalid input syntax for type integer: \"geheim\"", "SELECT 'geheim'::int", "22P02"),
			  "invalid input syntax for type integer: \"***\"");
	EXPECT_EQ(MaskedMessage("syntax error at or near \"'S3cret'\"", "ALTER ROLE r PASSWRD 'S3cret'", "42601"),
			  "syntax error at or near \"'***'\"");
	EXPECT_EQ(MaskedMessage("missing \"=\" after \"S3cret\" in connection info string", "CREATE SUBSCRIPTION s CONNECTION 'x S3cret'",
							"42601"), "missing \"=\" after \"***\" in connection info string");
	EXPECT_EQ(MaskedMessage("SQL statement \"SELECT f('S3cret')\"", "DO $$ BEGIN PERFORM f('S3cret'); END $$", "P0001"),
			  "SQL statement \"SELECT f('***')\"");
	EXPECT_EQ(MaskedMessage("Failing row contains (1, S3cr...).", "INSERT INTO t VALUES (1)", "23502"),
			  "Failing row contains (***).");
	EXPECT_EQ(MaskedMessage("Key (a)=(b) already exists.", "INSERT INTO t SELECT x", "23505"), "Key (a)=(***) already exists.");
	/* Names stay. */
	EXPECT_EQ(MaskedMessage("relation \"users\" does not exist", "SELECT 'users'::regclass", "42P01"),
			  "relation \"users\" does not exist");
}

TEST(SqlStatement, WhatBlocksMayMake)
{
	std::vector<LooseName> made = LooselyMade(
		"DO $$ BEGIN CREATE TYPE public.app_role AS ENUM ('a'); IF NOT EXISTS (SELECT 1) THEN EXECUTE 'CREATE TABLE IF NOT"
		" EXISTS x.y (a int)'; END IF; CREATE OR REPLACE FUNCTION F() RETURNS int AS 'select 1' LANGUAGE sql; END $$");
	ASSERT_EQ(made.size(), 3u);
	EXPECT_EQ(made[0].kind, "type");
	EXPECT_EQ(made[0].name, (std::vector<std::string>{"public", "app_role"}));
	EXPECT_EQ(made[1].kind, "relation");
	EXPECT_EQ(made[1].name, (std::vector<std::string>{"x", "y"}));
	EXPECT_EQ(made[2].kind, "function");
	EXPECT_EQ(made[2].name, (std::vector<std::string>{"f"}));
}

}  // namespace
}  // namespace mentalspace

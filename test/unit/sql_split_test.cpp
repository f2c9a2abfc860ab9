#include "core/sql_split.h"

#include <gtest/gtest.h>

namespace mentalspace {
namespace {

std::vector<std::string>
Texts(std::string_view sql)
{
	std::vector<std::string> texts;

	for (const SqlPiece &piece : SplitSql(sql))
		texts.push_back(piece.text);
	return texts;
}

using List = std::vector<std::string>;

TEST(SqlSplit, SemicolonsEndStatements)
{
	EXPECT_EQ(Texts(""), List());
	EXPECT_EQ(Texts(" ;; \n ; "), List());
	EXPECT_EQ(Texts("select 1"), List({"select 1"}));
	EXPECT_EQ(Texts("select 1; select 2;"), List({"select 1", "select 2"}));
	EXPECT_EQ(Texts("\xef\xbb\xbfselect 1;"), List({"select 1"}));
}

TEST(SqlSplit, ConstantsAndNamesKeepTheirSemicolons)
{
	EXPECT_EQ(Texts("select 'a;b', 'it''s;'; x"), List({"select 'a;b', 'it''s;'", "x"}));
	EXPECT_EQ(Texts("select \"a;\"\"b;\"; x"), List({"select \"a;\"\"b;\"", "x"}));
	EXPECT_EQ(Texts("select U&'\\0061;', U&\"d;\" ; x"), List({"select U&'\\0061;', U&\"d;\"", "x"}));
}

TEST(SqlSplit, BackslashesCountOnlyInEscapeConstants)
{
	EXPECT_EQ(Texts("select 'a\\'; x"), List({"select 'a\\'", "x"}));
	EXPECT_EQ(Texts("select E'a\\';'; x"), List({"select E'a\\';'", "x"}));
	EXPECT_EQ(Texts("select e'\\\\'; x"), List({"select e'\\\\'", "x"}));
	/* The E belongs to a longer name: no escape constant. */
	EXPECT_EQ(Texts("select type'a\\'; x"), List({"select type'a\\'", "x"}));
	/* A constant that goes on in the next line keeps the rules of its first part. */
	EXPECT_EQ(Texts("select E'a'\n -- c'\n '\\';'; x"), List({"select E'a'\n -- c'\n '\\';'", "x"}));
	EXPECT_EQ(Texts("select E'a' '\\'; x"), List({"select E'a' '\\'", "x"}));
}

TEST(SqlSplit, DollarQuotes)
{
	EXPECT_EQ(Texts("do $$ a; $x$ b; $$; x"), List({"do $$ a; $x$ b; $$", "x"}));
	EXPECT_EQ(Texts("do $x$ a; $$ ; $x $x$; x"), List({"do $x$ a; $$ ; $x $x$", "x"}));
	/* Not a quote: within a name, or a parameter. */
	EXPECT_EQ(Texts("select a$b$; select $1; x"), List({"select a$b$", "select $1", "x"}));
	EXPECT_EQ(Texts("do $\xc3\xa9$ ; $\xc3\xa9$; x"), List({"do $\xc3\xa9$ ; $\xc3\xa9$", "x"}));
}

TEST(SqlSplit, Comments)
{
	EXPECT_EQ(Texts("select 1 -- a; 'b\n; x"), List({"select 1 -- a; 'b", "x"}));
	EXPECT_EQ(Texts("/* a; /* b; */ ' ; */ select 1; x"), List({"/* a; /* b; */ ' ; */ select 1", "x"}));
	EXPECT_EQ(Texts("select 4 - -2 / 1; x"), List({"select 4 - -2 / 1", "x"}));

	std::vector<SqlPiece> pieces = SplitSql("select 1;\n-- the end;\n");
	ASSERT_EQ(pieces.size(), 2u);
	EXPECT_EQ(pieces[1].kind, SqlPieceKind::kCommentOnly);
	EXPECT_EQ(pieces[1].text, "-- the end;");
	/* At the very end of the file the Supabase CLI takes it for a statement's end. */
	EXPECT_EQ(Texts("select 1;\n-- the end;"), (List{"select 1", "-- the end"}));
}

TEST(SqlSplit, ParenthesesOfRules)
{
	EXPECT_EQ(Texts("create rule r as on insert to t do (select 1; select (2)); x"),
			  List({"create rule r as on insert to t do (select 1; select (2))", "x"}));
}

TEST(SqlSplit, BodiesWrittenBeginAtomic)
{
	EXPECT_EQ(Texts("create function f() returns int begin atomic select 1; select case when true then 2 end; end; x"),
			  List({"create function f() returns int begin atomic select 1; select case when true then 2 end; end", "x"}));
	EXPECT_EQ(Texts("CREATE OR REPLACE PROCEDURE p() BEGIN\n ATOMIC SELECT 1; END; x"),
			  List({"CREATE OR REPLACE PROCEDURE p() BEGIN\n ATOMIC SELECT 1; END", "x"}));
	/* A transaction is none. */
	EXPECT_EQ(Texts("begin; select 1; end; x"), List({"begin", "select 1", "end", "x"}));
	EXPECT_EQ(Texts("create table atomic (\"end\" int); begin; x"), List({"create table atomic (\"end\" int)", "begin", "x"}));
}

TEST(SqlSplit, LinesOfPsql)
{
	std::vector<SqlPiece> pieces = SplitSql("\\restrict a;b'c\n\nset x = 1;\n -- c\n\\unrestrict a\n");
	ASSERT_EQ(pieces.size(), 4u);
	EXPECT_EQ(pieces[0].kind, SqlPieceKind::kMetaCommand);
	EXPECT_EQ(pieces[0].text, "\\restrict a;b'c");
	EXPECT_EQ(pieces[1].text, "set x = 1");
	EXPECT_EQ(pieces[1].line, 3u);
	EXPECT_EQ(pieces[2].kind, SqlPieceKind::kCommentOnly);
	EXPECT_EQ(pieces[3].kind, SqlPieceKind::kMetaCommand);
	EXPECT_EQ(pieces[3].line, 5u);
	/* Not where a statement goes on. */
	EXPECT_EQ(Texts("select 1 \\gset\n; x"), List({"select 1 \\gset", "x"}));
}

TEST(SqlSplit, Lines)
{
	std::vector<SqlPiece> pieces = SplitSql("\n-- about\n/* a\n */ select\n1;\r\n  select 2;");
	ASSERT_EQ(pieces.size(), 2u);
	EXPECT_EQ(pieces[0].text_line, 2u);
	EXPECT_EQ(pieces[0].line, 4u);
	EXPECT_EQ(pieces[0].text.substr(pieces[0].start), "select\n1");
	EXPECT_EQ(pieces[1].line, 6u);
}

TEST(SqlSplit, WhatIsNotClosed)
{
	for (const char *sql : {"select 'a;", "select \"a;", "do $$ a; $", "select 1 /* a;", "select E'a\\",
							"create function f() begin atomic select 1; select 2;"}) {
		std::vector<SqlPiece> pieces = SplitSql(sql);
		ASSERT_EQ(pieces.size(), 1u) << sql;
		EXPECT_FALSE(pieces[0].closed) << sql;
	}
	EXPECT_TRUE(SplitSql("select 'a'")[0].closed);

	struct { const char *sql; unsigned line; const char *what; } cases[] = {
		{"select 1;\n/* a", 2, "/* comment"}, {"\nselect\n/* a /* b */", 3, "/* comment"}, {"select\n'a\n", 2, "quoted string"},
		{"select\n U&'a", 2, "quoted string"}, {"select\n\"a", 2, "quoted name"}, {"select\nU&\"a", 2, "quoted name"},
		{"do\n$x$ $$", 2, "dollar-quoted string"}, {"select\n(1, (2);\n x;", 2, "parenthesis"},
		{"create function f() returns int\nbegin\natomic select 1;", 2, "BEGIN ATOMIC body"},
	};
	for (const auto &c : cases) {
		const SqlPiece last = SplitSql(c.sql).back();
		EXPECT_FALSE(last.closed) << c.sql;
		EXPECT_EQ(last.open_line, c.line) << c.sql;
		EXPECT_STREQ(last.open, c.what) << c.sql;
	}
	/* A comment between the parts of a constant, in its own line. */
	EXPECT_EQ(Texts("select E'a' -- it's\n 'b\\''; x"), List({"select E'a' -- it's\n 'b\\''", "x"}));
}

}  // namespace
}  // namespace mentalspace

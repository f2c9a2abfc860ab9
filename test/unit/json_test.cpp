#include "core/json.h"
#include "pg/json_reader.h"

#include <gtest/gtest.h>

#include <string>

namespace mentalspace {
namespace {

using namespace std::string_literals;

constexpr JsonLimits kLimits = {1000, 4, 20};

Result<JsonDocument>
Parse(std::string_view text)
{
	return ParseJson(text, kLimits, ReadJson);
}

TEST(Json, ValuesInTheirOrder)
{
	Result<JsonDocument> parsed =
		Parse(R"( {"b": [1, -2.5e3, {"c": ""}], "a": "x", "t": true, "f": false, "n": null} )");
	ASSERT_TRUE(parsed.ok());
	JsonValue root = parsed.value().root();
	std::string keys;

	EXPECT_TRUE(root.IsObject());
	EXPECT_EQ(root.size(), 5u);
	for (JsonValue member : root)
		keys.append(member.key()).append(" ");
	EXPECT_EQ(keys, "b a t f n ");

	JsonValue list = *root.Find("b");
	EXPECT_TRUE(list.IsArray());
	EXPECT_EQ(list.size(), 3u);
	JsonValue::Iterator item = list.begin();
	EXPECT_EQ((*item).kind(), JsonKind::kNumber);
	EXPECT_EQ((*item).text(), "1");
	++item;
	EXPECT_EQ((*item).text(), "-2.5e3");
	++item;
	EXPECT_EQ((*item).Find("c")->text(), "");
	EXPECT_EQ(root.Find("a")->text(), "x");
	EXPECT_EQ(root.Find("t")->kind(), JsonKind::kTrue);
	EXPECT_EQ(root.Find("f")->kind(), JsonKind::kFalse);
	EXPECT_EQ(root.Find("n")->kind(), JsonKind::kNull);
	EXPECT_FALSE(root.Find("c"));
	EXPECT_FALSE(list.Find("c"));
}

TEST(Json, StaysValidWhenMoved)
{
	Result<JsonDocument> parsed = Parse(R"({"a":"x"})");
	ASSERT_TRUE(parsed.ok());
	JsonValue root = parsed.value().root();
	JsonDocument moved = std::move(parsed).value();

	EXPECT_EQ(root.Find("a")->text(), "x");
}

TEST(Json, RefusesWhatIsNotJson)
{
	for (const char *text : {"",
							 " ",
							 "{",
							 "}",
							 "[1,]",
							 "{\"a\":1,}",
							 "{a:1}",
							 "'a'",
							 "\"a",
							 "01",
							 "1.",
							 "+1",
							 "NaN",
							 "nul",
							 "1 2",
							 "{\"a\" 1}",
							 "[1]]",
							 "\"\\x\"",
							 "\"\\u12g4\"",
							 "\"\\u12\"",
							 "\"a\nb\"",
							 "\xef\xbb\xbf{}",
							 "/**/1",
							 "\"\\\xc3\xa9\""})
		EXPECT_EQ(Parse(text).status().error(), ErrorClass::kMalformed) << text;
}

TEST(Json, StrictUtf8)
{
	EXPECT_TRUE(Parse("\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf \xee\x80\x80\"").ok());
	for (const char *bytes : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xed\xa0\x80",
							  "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
							  "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\xc3(", "\xe2(\xac"})
		EXPECT_STREQ(Parse("\""s + bytes + "\"").status().detail(), "not valid UTF-8");
}

TEST(Json, NoNul)
{
	EXPECT_STREQ(Parse("\"a\0b\""s).status().detail(), "NUL in JSON");
	EXPECT_STREQ(Parse("{}\0"s).status().detail(), "NUL in JSON");
	EXPECT_STREQ(Parse(R"("a\u0000b")").status().detail(), "NUL in JSON");
	EXPECT_STREQ(Parse(R"({"a\u0000b": 1})").status().detail(), "NUL in JSON");
	EXPECT_STREQ(Parse("\"a\\\0b\""s).status().detail(), "NUL in JSON");
	/* An escaped backslash, not an escape of NUL. */
	EXPECT_EQ(Parse(R"("a\\u0000")").value().root().text(), R"(a\u0000)");
}

TEST(Json, EscapesBecomeUtf8)
{
	EXPECT_EQ(Parse(R"("\u0041\n\"\\\/\b\f\r\t\u00e9\u20AC\ud83d\ude00\uFFFF")").value().root().text(),
			  "A\n\"\\/\b\f\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbf");
	EXPECT_TRUE(Parse(R"({"\u00e9":1})").value().root().Find("\xc3\xa9"));
	EXPECT_EQ(Parse(R"("\u0022\u005c")").value().root().text(), "\"\\");
	EXPECT_EQ(Parse(R"("\u007f\u0080\u07ff\u0800")").value().root().text(), "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80");
}

TEST(Json, NoLoneSurrogates)
{
	for (const char *text : {R"("\ud800")", R"("\udc00")", R"("\ud800x")", R"("\ud800\n")", R"("\ud800\ud800")",
							 R"("\ude00\ud83d")", R"("\ud800\u0041")", R"({"\udfff":1})"})
		EXPECT_STREQ(Parse(text).status().detail(), "half of a surrogate pair in JSON") << text;
}

TEST(Json, DuplicateKeys)
{
	for (const char *text :
		 {R"({"a":1,"a":1})", R"({"a":1,"\u0061":2})", R"([{"b":{"a":1,"c":2,"a":3}}])", R"({"":1,"":2})"})
		EXPECT_STREQ(Parse(text).status().detail(), "a JSON object has a key twice") << text;
	EXPECT_TRUE(Parse(R"({"a":{"a":1},"A":{"a":2}})").ok());
	EXPECT_TRUE(Parse(R"([{"a":1},{"a":1}])").ok());
}

TEST(Json, Limits)
{
	EXPECT_TRUE(Parse("[[[[1]]]]").ok());
	EXPECT_STREQ(Parse("[[[[[1]]]]]").status().detail(), "JSON is nested too deeply");
	EXPECT_STREQ(Parse("{\"a\":[[[{}]]]}").status().detail(), "JSON is nested too deeply");
	EXPECT_TRUE(Parse("\"[[[[[[[[\"").ok());
	EXPECT_TRUE(Parse("\"\\\"[[[[[[[[\"").ok());

	std::string list = "[1";
	for (int i = 1; i < 19; i++)
		list += ",1";
	EXPECT_TRUE(Parse(list + "]").ok());
	EXPECT_STREQ(Parse(list + ",1]").status().detail(), "JSON holds too many values");
	EXPECT_TRUE(Parse(list + "            ]").ok());
	EXPECT_STREQ(Parse("[[[[],[]],[[],[]]],[[[],[]],[[],[]]],[[[],[]],[[],[]]]]").status().detail(),
				 "JSON holds too many values");

	EXPECT_TRUE(Parse("\"" + std::string(998, 'x') + "\"").ok());
	EXPECT_STREQ(Parse("\"" + std::string(999, 'x') + "\"").status().detail(), "JSON is too long");
}

/* A million brackets must not reach a parser that recurses. */
TEST(Json, DepthIsBoundedBeforeTheParser)
{
	EXPECT_EQ(ParseJson(std::string(1000000, '['), {2000000, 1000, 3000000}, ReadJson).status().error(),
			  ErrorClass::kMalformed);
}

TEST(Json, OutOfMemoryIsThrown)
{
	auto parser = [](std::string_view, JsonSink *) { return JsonOutcome::kOutOfMemory; };

	EXPECT_THROW((void) ParseJson("{}", kLimits, parser), std::bad_alloc);
}

/* A parser that reports nonsense gets no document, and writes nowhere it should not. */
TEST(Json, SinkBearsAnything)
{
	EXPECT_FALSE(ParseJson("1", kLimits, [](std::string_view, JsonSink *) { return JsonOutcome::kParsed; }).ok());
	EXPECT_FALSE(ParseJson("1", kLimits, [](std::string_view, JsonSink *sink) {
					 sink->End();
					 return JsonOutcome::kParsed;
				 }).ok());
	EXPECT_FALSE(ParseJson("[]", kLimits, [](std::string_view, JsonSink *sink) {
					 sink->Begin(JsonKind::kArray);
					 return JsonOutcome::kParsed;
				 }).ok());
	EXPECT_FALSE(ParseJson("1", kLimits, [](std::string_view, JsonSink *sink) {
					 for (int i = 0; i < 100; i++)
						 sink->Begin(JsonKind::kArray);
					 return JsonOutcome::kParsed;
				 }).ok());
	EXPECT_FALSE(ParseJson("1", kLimits, [](std::string_view, JsonSink *sink) {
					 sink->Scalar(JsonKind::kString, "longer than the text that was to be parsed");
					 return JsonOutcome::kParsed;
				 }).ok());
}

} // namespace
} // namespace mentalspace

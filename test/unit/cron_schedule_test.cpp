/* The parser of cron schedules and the question whether one is due.  sql/companion_cron_schedule.sql holds the table of
 * cases that both flavours share; here are the corners that need no server. */
#include "core/cron_schedule.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

using namespace mentalspace;

namespace {

int64_t
At(int year, unsigned month, unsigned day, int hour, int minute, int second = 0)
{
	using namespace std::chrono;
	const sys_days date{std::chrono::year{year} / month / day};
	return int64_t{date.time_since_epoch().count()} * 86400 + hour * 3600 + minute * 60 + second;
}

CronError
Parse(std::string_view text)
{
	CronSchedule schedule;
	return ParseCronSchedule(text, &schedule);
}

/* Whether the schedule has the minute that begins at `time`. */
bool
Matches(std::string_view text, int64_t time)
{
	CronSchedule schedule;
	EXPECT_EQ(ParseCronSchedule(text, &schedule), CronError::kNone) << text;
	return CronDue(schedule, time - 1, time);
}

TEST(CronSchedule, RefusesWhatItDoesNotUnderstand)
{
	EXPECT_EQ(Parse(""), CronError::kFieldCount);
	EXPECT_EQ(Parse("   "), CronError::kFieldCount);
	EXPECT_EQ(Parse("* * * *"), CronError::kFieldCount);
	EXPECT_EQ(Parse("* * * * * *"), CronError::kFieldCount);
	EXPECT_EQ(Parse("60 * * * *"), CronError::kMinute);
	EXPECT_EQ(Parse("-1 * * * *"), CronError::kMinute);
	EXPECT_EQ(Parse("1, * * * *"), CronError::kMinute);
	EXPECT_EQ(Parse(",1 * * * *"), CronError::kMinute);
	EXPECT_EQ(Parse("*/0 * * * *"), CronError::kMinute);
	EXPECT_EQ(Parse("*/ * * * *"), CronError::kMinute);
	EXPECT_EQ(Parse("5/15 * * * *"), CronError::kMinute);
	EXPECT_EQ(Parse("30-10 * * * *"), CronError::kMinute);
	EXPECT_EQ(Parse("1-2-3 * * * *"), CronError::kMinute);
	EXPECT_EQ(Parse("99999999999999999999 * * * *"), CronError::kMinute);
	EXPECT_EQ(Parse("$ * * * *"), CronError::kMinute);
	EXPECT_EQ(Parse("jan * * * *"), CronError::kMinute);
	EXPECT_EQ(Parse("0 24 * * *"), CronError::kHour);
	EXPECT_EQ(Parse("0 0 0 * *"), CronError::kDay);
	EXPECT_EQ(Parse("0 0 32 * *"), CronError::kDay);
	EXPECT_EQ(Parse("0 0 $/2 * *"), CronError::kDay);
	EXPECT_EQ(Parse("0 0 * 13 *"), CronError::kMonth);
	EXPECT_EQ(Parse("0 0 * january *"), CronError::kMonth);
	EXPECT_EQ(Parse("0 0 * * 8"), CronError::kWeekday);
	EXPECT_EQ(Parse("0 0 * * fri-mon"), CronError::kWeekday);
	EXPECT_EQ(Parse("0 0 * * fr"), CronError::kWeekday);
	EXPECT_EQ(Parse("0 seconds"), CronError::kInterval);
	EXPECT_EQ(Parse("60 seconds"), CronError::kInterval);
	EXPECT_EQ(Parse("-5 seconds"), CronError::kInterval);
	EXPECT_EQ(Parse("5.5 seconds"), CronError::kInterval);
	EXPECT_EQ(Parse("5 minutes"), CronError::kFieldCount);
	EXPECT_EQ(Parse("@reboot"), CronError::kKeyword);
	EXPECT_EQ(Parse("@daily 1"), CronError::kKeyword);
	EXPECT_EQ(Parse(std::string_view("* * * * *\0x", 11)), CronError::kWeekday);
}

TEST(CronSchedule, EveryErrorHasASentence)
{
	for (int i = 0; i <= static_cast<int>(CronError::kFieldCount); i++)
		EXPECT_NE(std::string(CronErrorText(static_cast<CronError>(i))), "");
}

TEST(CronSchedule, UnderstandsEveryForm)
{
	const int64_t monday = At(2026, 3, 2, 9, 30);
	EXPECT_TRUE(Matches("* * * * *", monday));
	EXPECT_TRUE(Matches(" 30\t9  2 3 1 ", monday));
	EXPECT_TRUE(Matches("*/15 * * * *", monday));
	EXPECT_FALSE(Matches("*/7 * * * *", monday));
	EXPECT_TRUE(Matches("10-50/20 9-17 * MAR Mon-Fri", monday));
	EXPECT_FALSE(Matches("30 9 * * tue-sat", monday));
	EXPECT_TRUE(Matches("0,30,45 8,9 * jan,mar mon,wed", monday));
	EXPECT_TRUE(Matches("30 9 1-31/1 * *", monday));
	EXPECT_FALSE(Matches("30 9 * feb *", monday));
	EXPECT_TRUE(Matches("@hourly", At(2026, 3, 2, 10, 0)));
	EXPECT_FALSE(Matches("@HOURLY", monday));
	EXPECT_TRUE(Matches("@weekly", At(2026, 3, 1, 0, 0)));
	EXPECT_TRUE(Matches("@monthly", At(2026, 3, 1, 0, 0)));
	EXPECT_TRUE(Matches("@annually", At(2026, 1, 1, 0, 0)));
	EXPECT_FALSE(Matches("@yearly", At(2026, 2, 1, 0, 0)));
	EXPECT_TRUE(Matches("@midnight", At(2026, 2, 1, 0, 0)));
}

TEST(CronSchedule, SundayIsZeroAndSeven)
{
	const int64_t sunday = At(2026, 3, 1, 0, 0);
	for (const char *text : {"0 0 * * 0", "0 0 * * 7", "0 0 * * sun", "0 0 * * 5-7"})
		EXPECT_TRUE(Matches(text, sunday)) << text;
	EXPECT_FALSE(Matches("0 0 * * 1-6", sunday));
}

TEST(CronSchedule, EitherKindOfDayIsEnoughWhereBothAreRestricted)
{
	const int64_t monday_2 = At(2026, 3, 2, 0, 0), thursday_5 = At(2026, 3, 5, 0, 0), friday_6 = At(2026, 3, 6, 0, 0);
	EXPECT_TRUE(Matches("0 0 5 * mon", monday_2));
	EXPECT_TRUE(Matches("0 0 5 * mon", thursday_5));
	EXPECT_FALSE(Matches("0 0 5 * mon", friday_6));
	EXPECT_TRUE(Matches("0 0 */2 * thu", thursday_5));
	EXPECT_FALSE(Matches("0 0 */2 * mon", monday_2));
}

TEST(CronSchedule, LastDayOfTheMonth)
{
	EXPECT_TRUE(Matches("0 12 $ * *", At(2026, 2, 28, 12, 0)));
	EXPECT_FALSE(Matches("0 12 $ * *", At(2024, 2, 28, 12, 0)));
	EXPECT_TRUE(Matches("0 12 $ * *", At(2024, 2, 29, 12, 0)));
	EXPECT_TRUE(Matches("0 12 1,$ * *", At(2026, 4, 30, 12, 0)));
	EXPECT_TRUE(Matches("0 12 1,$ * *", At(2026, 4, 1, 12, 0)));
	EXPECT_FALSE(Matches("0 12 $ * *", At(2026, 5, 30, 12, 0)));
}

TEST(CronSchedule, SpansAreOpenBelowAndClosedAbove)
{
	CronSchedule daily, twenty;
	ASSERT_EQ(ParseCronSchedule("0 3 * * *", &daily), CronError::kNone);
	ASSERT_EQ(ParseCronSchedule("20 seconds", &twenty), CronError::kNone);
	const int64_t three = At(2026, 3, 2, 3, 0);
	EXPECT_TRUE(CronDue(daily, three - 1, three));
	EXPECT_FALSE(CronDue(daily, three, three + 86399));
	EXPECT_TRUE(CronDue(daily, three, three + 86400));
	EXPECT_FALSE(CronDue(daily, three, three));
	EXPECT_FALSE(CronDue(daily, three + 10, three - 10));
	EXPECT_FALSE(CronDue(daily, three - 60, three - 1));
	EXPECT_TRUE(CronDue(twenty, three - 1, three));
	EXPECT_FALSE(CronDue(twenty, three, three + 19));
	EXPECT_TRUE(CronDue(twenty, three, three + 20));
	EXPECT_TRUE(CronDue(daily, At(1969, 12, 31, 2, 59), At(1969, 12, 31, 3, 0)));
	EXPECT_FALSE(CronDue(daily, At(1969, 12, 31, 3, 0), At(1970, 1, 1, 2, 59)));
}

/* The skipping of days and hours must not skip a minute: held against every minute of two years. */
TEST(CronSchedule, SkippingFindsWhatCountingFinds)
{
	for (const char *text : {"17 5 * * *", "0 0 29 2 *", "59 23 $ * *", "*/20 8-10 * 2-4 sat"}) {
		CronSchedule schedule;
		ASSERT_EQ(ParseCronSchedule(text, &schedule), CronError::kNone);
		int64_t last_hit = At(2023, 12, 31, 23, 59);
		for (int64_t minute = At(2024, 1, 1, 0, 0); minute < At(2025, 12, 31, 23, 59); minute += 60)
			if (CronDue(schedule, minute - 60, minute)) {
				EXPECT_FALSE(CronDue(schedule, last_hit, minute - 60)) << text;
				EXPECT_TRUE(CronDue(schedule, last_hit, minute)) << text;
				last_hit = minute;
			}
	}
}

/* 0 0 30 2 never comes: the answer is no, and soon. */
TEST(CronSchedule, AnImpossibleDateIsNeverDue)
{
	CronSchedule schedule;
	ASSERT_EQ(ParseCronSchedule("0 0 30 2 *", &schedule), CronError::kNone);
	EXPECT_FALSE(CronDue(schedule, At(2000, 1, 1, 0, 0), At(2100, 1, 1, 0, 0)));
}

}  // namespace

/* Cron schedules: "5 4 * * mon-fri", "@hourly", "30 seconds".
 *
 * The language is that of pg_cron, which is Vixie cron's: minute, hour, day of the month, month and day of the week,
 * each a list of `*`, numbers, names (jan, mon) and ranges, with steps after `*` and ranges; `$` is the last day of
 * the month; 7 is Sunday, as is 0.  Where both kinds of day are restricted, either is enough.  What Vixie cron would
 * silently read as something else (a range that goes backwards, a step after a single number) is refused.
 *
 * Times are seconds since 1970-01-01 00:00 of the local clock that the schedule is meant for; no time zone is known
 * here. */
#pragma once

#include <cstdint>
#include <string_view>

namespace mentalspace {

struct CronSchedule {
	uint64_t minutes;      /* bit n: at minute n of the hour */
	uint32_t hours;        /* bit n: in hour n of the day */
	uint32_t days;         /* bit n: on day n (1 to 31) of the month */
	uint16_t months;       /* bit n: in month n (1 to 12) */
	uint8_t weekdays;      /* bit n: on day n of the week, 0 is Sunday */
	bool last_day;         /* on the last day of the month too */
	bool any_day;          /* the day of the month begins with `*`: it does not widen the day of the week */
	bool any_weekday;      /* the same for the day of the week */
	int32_t interval;      /* "n seconds": every n seconds, 1 to 59, and all else is unused; 0 otherwise */
};

/* Why a schedule was not understood: the first field that is wrong. */
enum class CronError { kNone, kMinute, kHour, kDay, kMonth, kWeekday, kInterval, kKeyword, kFieldCount };

/* Parses `text` into *schedule, whose content is undefined after an error. */
[[nodiscard]] CronError ParseCronSchedule(std::string_view text, CronSchedule *schedule) noexcept;

/* A sentence about the error, for people: "The minute field is not valid." */
const char *CronErrorText(CronError error) noexcept;

/* Whether the schedule has a time later than `after` and not later than `until`.  False where until <= after.  Takes
 * time in proportion to the minutes in between. */
[[nodiscard]] bool CronDue(const CronSchedule &schedule, int64_t after, int64_t until) noexcept;

}  // namespace mentalspace

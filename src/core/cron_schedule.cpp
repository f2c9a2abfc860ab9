#include "core/cron_schedule.h"

#include <array>
#include <chrono>

namespace mentalspace {

namespace {

struct Field {
	CronError error;
	unsigned low, high;
	std::string_view names;    /* of three letters each, the first stands for `low`; empty: none */
	bool dollar;               /* `$` is allowed */
};

constexpr std::array<Field, 5> kFields = {{
	{CronError::kMinute, 0, 59, {}, false},
	{CronError::kHour, 0, 23, {}, false},
	{CronError::kDay, 1, 31, {}, true},
	{CronError::kMonth, 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec", false},
	{CronError::kWeekday, 0, 7, "sunmontuewedthufrisat", false},
}};

struct Keyword {
	std::string_view name, fields;
};

constexpr std::array<Keyword, 7> kKeywords = {{
	{"@yearly", "0 0 1 1 *"},
	{"@annually", "0 0 1 1 *"},
	{"@monthly", "0 0 1 * *"},
	{"@weekly", "0 0 * * 0"},
	{"@daily", "0 0 * * *"},
	{"@midnight", "0 0 * * *"},
	{"@hourly", "0 * * * *"},
}};

constexpr int kMaxDigits = 3;

constexpr bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool
EqualsIgnoringCase(std::string_view a, std::string_view lower)
{
	if (a.size() != lower.size())
		return false;
	for (size_t i = 0; i < a.size(); i++)
		if (Lower(a[i]) != lower[i])
			return false;
	return true;
}

/* Takes the next word, up to a blank, off the front of *rest; empty at the end. */
std::string_view
TakeWord(std::string_view *rest)
{
	size_t begin = 0;
	while (begin < rest->size() && IsBlank((*rest)[begin]))
		begin++;
	size_t end = begin;
	while (end < rest->size() && !IsBlank((*rest)[end]))
		end++;
	std::string_view word = rest->substr(begin, end - begin);
	rest->remove_prefix(end);
	return word;
}

/* Takes a number off the front of *text. */
bool
TakeNumber(std::string_view *text, unsigned *value)
{
	size_t digits = 0;
	*value = 0;
	while (digits < text->size() && IsDigit((*text)[digits])) {
		if (digits == kMaxDigits)
			return false;
		*value = *value * 10 + static_cast<unsigned>((*text)[digits] - '0');
		digits++;
	}
	text->remove_prefix(digits);
	return digits > 0;
}

/* Takes a number or a name off the front of *text; it is within the field's bounds. */
bool
TakeValue(const Field &field, std::string_view *text, unsigned *value)
{
	if (!text->empty() && IsDigit(text->front()))
		return TakeNumber(text, value) && *value >= field.low && *value <= field.high;
	if (text->size() < 3)
		return false;
	for (size_t i = 0; i + 3 <= field.names.size(); i += 3)
		if (EqualsIgnoringCase(text->substr(0, 3), field.names.substr(i, 3))) {
			*value = field.low + static_cast<unsigned>(i / 3);
			text->remove_prefix(3);
			return true;
		}
	return false;
}

/* One item of a list: `*`, n, n-m, each of `*` and n-m with a step.  Sets bits in *bits. */
bool
ParseItem(const Field &field, std::string_view item, uint64_t *bits)
{
	unsigned first = field.low, last = field.high, step = 1;
	bool range = true;

	if (item.starts_with('*')) {
		item.remove_prefix(1);
	} else {
		if (!TakeValue(field, &item, &first))
			return false;
		last = first;
		range = item.starts_with('-');
		if (range) {
			item.remove_prefix(1);
			if (!TakeValue(field, &item, &last) || last < first)
				return false;
		}
	}
	if (range && item.starts_with('/')) {
		item.remove_prefix(1);
		if (!TakeNumber(&item, &step) || step == 0)
			return false;
	}
	if (!item.empty())
		return false;
	for (unsigned value = first; value <= last; value += step)
		*bits |= uint64_t{1} << value;
	return true;
}

/* A field: items with commas between them. */
bool
ParseField(const Field &field, std::string_view text, uint64_t *bits, bool *last_day)
{
	*bits = 0;
	for (;;) {
		size_t comma = text.find(',');
		std::string_view item = text.substr(0, comma);
		if (field.dollar && item == "$")
			*last_day = true;
		else if (!ParseItem(field, item, bits))
			return false;
		if (comma == std::string_view::npos)
			return true;
		text.remove_prefix(comma + 1);
	}
}

/* True if the time's day is one of the schedule's. */
bool
DayMatches(const CronSchedule &schedule, std::chrono::sys_days day)
{
	using namespace std::chrono;
	const year_month_day date{day};
	const unsigned number = static_cast<unsigned>(date.day());

	if (!(schedule.months >> static_cast<unsigned>(date.month()) & 1))
		return false;
	const bool last = date.day() == (date.year() / date.month() / std::chrono::last).day();
	const bool of_month = (schedule.days >> number & 1) || (schedule.last_day && last);
	const bool of_week = schedule.weekdays >> weekday{day}.c_encoding() & 1;
	return schedule.any_day || schedule.any_weekday ? of_month && of_week : of_month || of_week;
}

/* Division that rounds towards minus infinity: times before 1970 are negative. */
constexpr int64_t
FloorDivide(int64_t a, int64_t b)
{
	return a / b - (a % b < 0 ? 1 : 0);
}

constexpr int64_t kMinute = 60, kHour = 3600, kDay = 86400;

}  // namespace

CronError
ParseCronSchedule(std::string_view text, CronSchedule *schedule) noexcept
{
	std::string_view rest = text;
	std::array<std::string_view, 6> words;
	size_t count = 0;

	*schedule = {};
	while (count < words.size()) {
		words[count] = TakeWord(&rest);
		if (words[count].empty())
			break;
		count++;
	}
	if (count == 2 && (EqualsIgnoringCase(words[1], "seconds") || EqualsIgnoringCase(words[1], "second"))) {
		unsigned interval;
		if (!TakeNumber(&words[0], &interval) || !words[0].empty() || interval < 1 || interval > 59)
			return CronError::kInterval;
		schedule->interval = static_cast<int32_t>(interval);
		return CronError::kNone;
	}
	if (count > 0 && words[0].starts_with('@')) {
		if (count == 1)
			for (const Keyword &keyword : kKeywords)
				if (EqualsIgnoringCase(words[0], keyword.name))
					return ParseCronSchedule(keyword.fields, schedule);
		return CronError::kKeyword;
	}
	if (count != kFields.size())
		return CronError::kFieldCount;

	std::array<uint64_t, kFields.size()> bits;
	for (size_t i = 0; i < kFields.size(); i++)
		if (!ParseField(kFields[i], words[i], &bits[i], &schedule->last_day))
			return kFields[i].error;
	schedule->minutes = bits[0];
	schedule->hours = static_cast<uint32_t>(bits[1]);
	schedule->days = static_cast<uint32_t>(bits[2]);
	schedule->months = static_cast<uint16_t>(bits[3]);
	schedule->weekdays = static_cast<uint8_t>((bits[4] | bits[4] >> 7) & 0x7f);
	schedule->any_day = words[2].starts_with('*');
	schedule->any_weekday = words[4].starts_with('*');
	return CronError::kNone;
}

const char *
CronErrorText(CronError error) noexcept
{
	switch (error) {
		case CronError::kNone: return "The schedule is valid.";
		case CronError::kMinute: return "The minute field is not valid.";
		case CronError::kHour: return "The hour field is not valid.";
		case CronError::kDay: return "The day-of-month field is not valid.";
		case CronError::kMonth: return "The month field is not valid.";
		case CronError::kWeekday: return "The day-of-week field is not valid.";
		case CronError::kInterval: return "The number of seconds must be between 1 and 59.";
		case CronError::kKeyword:
			return "The word is not one of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly.";
		case CronError::kFieldCount:
			return "A schedule has five fields: minute, hour, day of the month, month, day of the week.";
	}
	return "";
}

bool
CronDue(const CronSchedule &schedule, int64_t after, int64_t until) noexcept
{
	if (until <= after)
		return false;
	if (schedule.interval > 0)
		return FloorDivide(until, schedule.interval) > FloorDivide(after, schedule.interval);

	const int64_t last = FloorDivide(until, kMinute);
	for (int64_t minute = FloorDivide(after, kMinute) + 1; minute <= last;) {
		const int64_t second = minute * kMinute;
		const int64_t day = FloorDivide(second, kDay);
		if (!DayMatches(schedule, std::chrono::sys_days{std::chrono::days{day}})) {
			minute = (day + 1) * (kDay / kMinute);
			continue;
		}
		const int64_t hour = FloorDivide(second - day * kDay, kHour);
		if (!(schedule.hours >> hour & 1)) {
			minute = (day * kDay + (hour + 1) * kHour) / kMinute;
			continue;
		}
		if (schedule.minutes >> (minute - FloorDivide(second, kHour) * (kHour / kMinute)) & 1)
			return true;
		minute++;
	}
	return false;
}

}  // namespace mentalspace

/* SPDX-License-Identifier: MIT */
/*
 * strptime(3) and strftime(3) ask the locale, so the calendar is counted here: days since a 1st of
 * March, whose years end with the day that leap years have more.
 */

#include <weir/http_date.h>

#include <errno.h>
#include <string.h>

#define DAY_S	      86400
#define DAYS_TO_1970  719468 /* from the 1st of March of year 0 */
#define DAYS_IN_4C    146097 /* days of 400 years */
#define YEARS_CENTURY 100

static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
				    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
static const char *const weekdays[7] = { "Sunday",   "Monday", "Tuesday", "Wednesday",
					 "Thursday", "Friday", "Saturday" };

struct fields {
	unsigned year, month, day, hour, minute, second; /* month and day from 1 */
};

/* ---- the calendar ---- */

static int64_t days_of(unsigned year, unsigned month, unsigned day)
{
	int64_t y = (int64_t)year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * DAYS_IN_4C + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_1970;
}

static void days_split(int64_t days, struct fields *fields)
{
	int64_t since = days + DAYS_TO_1970;
	int64_t era = (since >= 0 ? since : since - (DAYS_IN_4C - 1)) / DAYS_IN_4C;
	int64_t of_era = since - era * DAYS_IN_4C;
	int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * years + years / 4 - years / 100);
	int64_t month = (5 * of_year + 2) / 153;

	fields->day = (unsigned)(of_year - (153 * month + 2) / 5 + 1);
	fields->month = (unsigned)(month < 10 ? month + 3 : month - 9);
	fields->year = (unsigned)(years + era * 400 + (fields->month <= 2));
}

static unsigned month_days(unsigned year, unsigned month)
{
	static const unsigned char days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

/* ---- reading ---- */

struct reader {
	const char *at;
	const char *end;
	int bad;
};

static void read_literal(struct reader *reader, const char *literal)
{
	size_t size = strlen(literal);

	if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, literal, size) != 0) {
		reader->bad = 1;
		return;
	}
	reader->at += size;
}

/* N digits; with SPACE the first may be a space. */
static unsigned read_number(struct reader *reader, int n, int space)
{
	unsigned value = 0;

	if (reader->end - reader->at < n) {
		reader->bad = 1;
		return 0;
	}
	for (int i = 0; i < n; i++) {
		char c = *reader->at++;

		if (c == ' ' && space && i == 0)
			c = '0';
		if (c < '0' || c > '9')
			reader->bad = 1;
		value = value * 10 + (unsigned)(c - '0');
	}
	return value;
}

static unsigned read_month(struct reader *reader)
{
	for (unsigned i = 0; i < 12; i++) {
		if (reader->end - reader->at >= 3 && memcmp(reader->at, months[i], 3) == 0) {
			reader->at += 3;
			return i + 1;
		}
	}
	reader->bad = 1;
	return 0;
}

static void read_time(struct reader *reader, struct fields *fields)
{
	fields->hour = read_number(reader, 2, 0);
	read_literal(reader, ":");
	fields->minute = read_number(reader, 2, 0);
	read_literal(reader, ":");
	fields->second = read_number(reader, 2, 0);
}

/* "06 Nov 1994 08:49:37 GMT", or with dashes and two digits of the year. */
static void read_date(struct reader *reader, struct fields *fields, int is_rfc850)
{
	const char *between = is_rfc850 ? "-" : " ";

	fields->day = read_number(reader, 2, 0);
	read_literal(reader, between);
	fields->month = read_month(reader);
	read_literal(reader, between);
	fields->year = read_number(reader, is_rfc850 ? 2 : 4, 0);
	read_literal(reader, " ");
	read_time(reader, fields);
	read_literal(reader, " GMT");
}

/* "Nov  6 08:49:37 1994" */
static void read_asctime(struct reader *reader, struct fields *fields)
{
	fields->month = read_month(reader);
	read_literal(reader, " ");
	fields->day = read_number(reader, 2, 1);
	read_literal(reader, " ");
	read_time(reader, fields);
	read_literal(reader, " ");
	fields->year = read_number(reader, 4, 0);
}

/* Skips the name of the day, short or long, which says nothing new. Its length, or 0. */
static size_t read_weekday(struct reader *reader)
{
	size_t left = (size_t)(reader->end - reader->at);

	for (size_t i = 0; i < 7; i++) {
		size_t size = strlen(weekdays[i]);

		if (left < 3 || memcmp(reader->at, weekdays[i], 3) != 0)
			continue;
		if (left < size || memcmp(reader->at, weekdays[i], size) != 0)
			size = 3;
		reader->at += size;
		return size;
	}
	reader->bad = 1;
	return 0;
}

/* The century in which it is at most 50 years from now. */
static unsigned year_complete(unsigned short_year, int64_t now)
{
	struct fields today;
	unsigned year;

	days_split(now / DAY_S, &today);
	year = today.year - today.year % YEARS_CENTURY + short_year;
	return year > today.year + 50 ? year - YEARS_CENTURY : year;
}

static int fields_are_valid(const struct fields *fields)
{
	return fields->year >= 1 && fields->month >= 1 && fields->month <= 12 && fields->day >= 1 &&
	       fields->day <= month_days(fields->year, fields->month) && fields->hour < 24 &&
	       fields->minute < 60 && fields->second <= 60; /* a leap second */
}

int weir_http_date_parse(struct weir_text text, int64_t now, int64_t *seconds)
{
	struct reader reader = { .at = text.data, .end = text.data + text.size };
	struct fields fields = { 0 };
	size_t name;

	if (text.size == 0)
		return -EINVAL;
	name = read_weekday(&reader);
	if (!reader.bad && reader.at < reader.end && *reader.at == ',') {
		read_literal(&reader, ", ");
		read_date(&reader, &fields, name > 3);
		if (name > 3)
			fields.year = year_complete(fields.year, now);
	} else {
		read_literal(&reader, " ");
		read_asctime(&reader, &fields);
	}
	if (reader.bad || reader.at != reader.end || !fields_are_valid(&fields))
		return -EINVAL;
	*seconds = days_of(fields.year, fields.month, fields.day) * DAY_S + fields.hour * 3600 +
		   fields.minute * 60 + fields.second;
	return 0;
}

/* ---- writing ---- */

static char *write_text(char *at, const char *text, size_t size)
{
	memcpy(at, text, size);
	return at + size;
}

/* Two digits and what follows them. */
static char *write_two(char *at, unsigned value, char after)
{
	at[0] = (char)('0' + value / 10 % 10);
	at[1] = (char)('0' + value % 10);
	at[2] = after;
	return at + 3;
}

char *weir_http_date_format(int64_t seconds, char *text)
{
	int64_t days = seconds >= 0 ? seconds / DAY_S : (seconds - (DAY_S - 1)) / DAY_S;
	unsigned of_day = (unsigned)(seconds - days * DAY_S);
	/* The 1st of January 1970 was a Thursday. */
	int64_t weekday = ((days + 4) % 7 + 7) % 7;
	struct fields fields;
	char *at;

	days_split(days, &fields);
	at = write_text(text, weekdays[weekday], 3);
	at = write_text(at, ", ", 2);
	at = write_two(at, fields.day, ' ');
	at = write_text(at, months[fields.month - 1], 3);
	*at++ = ' ';
	at = write_two(at, fields.year / 100, 0) - 1;
	at = write_two(at, fields.year, ' ');
	at = write_two(at, of_day / 3600, ':');
	at = write_two(at, of_day / 60 % 60, ':');
	at = write_two(at, of_day % 60, ' ');
	write_text(at, "GMT", sizeof("GMT"));
	return text;
}

/* SPDX-License-Identifier: MIT */

/*
 * One event becomes one line, whatever the strings in it hold: control bytes, line ends and
 * invisible direction marks are escaped and bytes that are not UTF-8 are replaced, so that nobody
 * who chooses a name, a path or a header can forge a line, a field, or what a terminal shows.
 *
 * A line is built in a bounded buffer. Something that does not fit is left out (a field) or cut (a
 * string) and nothing follows it; LINE_RESERVE bytes are kept back so that what was opened can
 * always be closed: a cut JSON line is still an object.
 */

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <weir/error.h>
#include <weir/log.h>

#define LINE_MAX_BYTES 8192
#define LINE_RESERVE   4 /* a quote, a brace, a line end and the terminator */

struct line {
	char *text;
	size_t used;
	size_t end; /* what ordinary bytes may fill */
	bool is_full;
};

static const char *const log_level_names[] = { "error", "warn", "info", "debug" };

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static weir_log_sink_fn *log_sink; /* one of the two at most; under log_lock */
static weir_log_event_fn *log_event_sink;
static void *log_ctx;
static _Atomic(bool) log_has_sink;
static _Atomic(enum weir_log_format) log_format;
static _Atomic(enum weir_log_level) log_level = WEIR_LOG_INFO;

/* All of it or nothing. */
static void line_put(struct line *line, const char *data, size_t size)
{
	if (line->is_full || size > line->end - line->used) {
		line->is_full = true;
		return;
	}
	memcpy(line->text + line->used, data, size);
	line->used += size;
}

static void line_puts(struct line *line, const char *text)
{
	line_put(line, text, strlen(text));
}

/* Uses the reserve. */
static void line_close(struct line *line, char c)
{
	line->text[line->used++] = c;
}

/* The code point at TEXT and its length; 0xfffd and 1 for a byte that is not UTF-8 (RFC 3629
 * section 4: no overlong forms, no surrogates, nothing above U+10FFFF). */
static size_t utf8_read(const char *text, uint32_t *point)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *bytes = (const unsigned char *)text;
	size_t size = bytes[0] < 0x80 ? 1 : bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
	uint32_t value = size == 1 ? bytes[0] : bytes[0] & (0xffu >> (size + 1));

	*point = 0xfffd;
	if (bytes[0] >= 0xf8 || (bytes[0] & 0xc0) == 0x80)
		return 1;
	for (size_t i = 1; i < size; i++) {
		if ((bytes[i] & 0xc0) != 0x80)
			return 1;
		value = value << 6 | (bytes[i] & 0x3f);
	}
	if (value < smallest[size] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
		return 1;
	*point = value;
	return size;
}

/* Characters that end a line or change how others are shown: C0 and C1 controls, line and
 * paragraph separators, direction marks, the byte order mark. */
static bool point_is_unsafe(uint32_t point)
{
	return point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0x061c ||
	       (point >= 0x200e && point <= 0x200f) || (point >= 0x2028 && point <= 0x202e) ||
	       (point >= 0x2066 && point <= 0x2069) || point == 0xfeff;
}

static void line_put_point(struct line *line, const char *text, size_t size, uint32_t point,
			   bool escape_quote)
{
	char escaped[8];

	switch (point) {
	case '\n':
		line_put(line, "\\n", 2);
		return;
	case '\r':
		line_put(line, "\\r", 2);
		return;
	case '\t':
		line_put(line, "\\t", 2);
		return;
	case '\\':
		line_put(line, "\\\\", 2);
		return;
	case '"':
		line_puts(line, escape_quote ? "\\\"" : "\"");
		return;
	case 0xfffd:
		line_put(line, "\xef\xbf\xbd", 3);
		return;
	default:
		break;
	}
	if (!point_is_unsafe(point)) {
		line_put(line, text, size);
		return;
	}
	snprintf(escaped, sizeof(escaped), "\\u%04x", (unsigned)point & 0xffff);
	line_put(line, escaped, 6);
}

/* The part of TEXT that fits, escaped. */
static void line_put_escaped(struct line *line, const char *text, bool escape_quote)
{
	while (*text && !line->is_full) {
		uint32_t point;
		size_t size = utf8_read(text, &point);

		line_put_point(line, text, size, point, escape_quote);
		text += size;
	}
}

static void line_put_quoted(struct line *line, const char *text)
{
	line_put(line, "\"", 1);
	if (line->is_full)
		return;
	line_put_escaped(line, text, true);
	line_close(line, '"');
	/* Full or not, the reserve is whole again for the next one to close. */
	if (line->end < line->used)
		line->is_full = true;
}

/* RFC 3339, UTC, milliseconds. Seconds are broken down once per thread and second. */
static void line_put_time(struct line *line)
{
	static _Thread_local time_t second = -1;
	static _Thread_local char text[24];
	struct timespec now;
	char ms[8];

	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec != second) {
		struct tm tm;

		gmtime_r(&now.tv_sec, &tm);
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
		second = now.tv_sec;
	}
	line_puts(line, text);
	snprintf(ms, sizeof(ms), ".%03uZ", (unsigned)(now.tv_nsec / 1000000) % 1000);
	line_puts(line, ms);
}

/* A number in JSON's grammar: a locale may write another decimal mark, and JSON has neither NaN
 * nor infinity. */
static void line_put_double(struct line *line, double value, bool is_json)
{
	char text[40];

	if (value - value != 0) {
		line_puts(line, is_json		 ? "null"
				: value != value ? "nan"
				: value > 0	 ? "inf"
						 : "-inf");
		return;
	}
	snprintf(text, sizeof(text), "%.15g", value);
	for (char *c = text; *c; c++) {
		if (!strchr("0123456789+-e", *c))
			*c = '.';
	}
	line_puts(line, text);
}

/* Whether a text value may stand without quotes: plain ASCII words, numbers, addresses, paths. */
static bool text_is_plain(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text <= ' ' || *text > '~' || strchr("\"=\\'`", *text))
			return false;
	}
	return true;
}

static void line_put_value(struct line *line, const struct weir_log_field *field, bool is_json)
{
	char number[24];

	switch (field->type) {
	case WEIR_LOG_TYPE_STRING:
		if (!is_json && text_is_plain(field->value.string))
			line_put_escaped(line, field->value.string, true);
		else
			line_put_quoted(line, field->value.string);
		return;
	case WEIR_LOG_TYPE_INT:
		snprintf(number, sizeof(number), "%" PRId64, field->value.i);
		break;
	case WEIR_LOG_TYPE_UINT:
		snprintf(number, sizeof(number), "%" PRIu64, field->value.u);
		break;
	case WEIR_LOG_TYPE_DOUBLE:
		line_put_double(line, field->value.d, is_json);
		return;
	case WEIR_LOG_TYPE_BOOL:
		line_puts(line, field->value.b ? "true" : "false");
		return;
	default:
		line_puts(line, is_json ? "null" : "?");
		return;
	}
	line_puts(line, number);
}

static bool field_is_absent(const struct weir_log_field *field)
{
	return field->type == WEIR_LOG_TYPE_STRING && !field->value.string;
}

/* A key is a word; anything else in it becomes '_', so that it cannot end itself. */
static void line_put_key(struct line *line, const char *key)
{
	for (; *key; key++) {
		bool is_word = (*key >= 'a' && *key <= 'z') || (*key >= 'A' && *key <= 'Z') ||
			       (*key >= '0' && *key <= '9') || strchr("_-.", *key);

		line_put(line, is_word ? key : "_", 1);
	}
}

/* `,"key":value` or ` key=value`; nothing of it when not even the key and a start fit. */
static void line_put_field(struct line *line, const struct weir_log_field *field, bool is_json)
{
	size_t before = line->used;
	size_t start;

	if (field_is_absent(field) || line->is_full)
		return;
	if (!is_json)
		line_puts(line, " ");
	else if (line->text[line->used - 1] != '{')
		line_puts(line, ",");
	if (is_json)
		line_puts(line, "\"");
	line_put_key(line, field->key);
	line_puts(line, is_json ? "\":" : "=");
	start = line->used;
	if (!line->is_full)
		line_put_value(line, field, is_json);
	if (line->is_full && line->used == start)
		line->used = before;
}

static void line_put_json(struct line *line, enum weir_log_level level, const char *object,
			  const char *message, const struct weir_log_field *fields, size_t n)
{
	const struct weir_log_field head[] = {
		WEIR_LOG_STR("level", weir_log_level_name(level)),
		WEIR_LOG_STR("object", object),
		WEIR_LOG_STR("message", message),
	};

	line_put(line, "{\"time\":\"", 9);
	line_put_time(line);
	line_put(line, "\"", 1);
	if (line->is_full) {
		line->used = 0;
		line_close(line, '{');
	}
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(head); i++)
		line_put_field(line, &head[i], true);
	for (size_t i = 0; i < n; i++)
		line_put_field(line, &fields[i], true);
	line_close(line, '}');
}

static void line_put_prefix(struct line *line, enum weir_log_level level)
{
	char name[16];

	line_put_time(line);
	snprintf(name, sizeof(name), " %-5s ", weir_log_level_name(level));
	line_puts(line, name);
}

static void line_put_text(struct line *line, const char *object, const char *message,
			  const struct weir_log_field *fields, size_t n)
{
	if (object) {
		line_put_escaped(line, object, false);
		line_puts(line, ": ");
	}
	line_put_escaped(line, message ? message : "", false);
	for (size_t i = 0; i < n; i++)
		line_put_field(line, &fields[i], false);
}

size_t weir_log_format_line(enum weir_log_format format, enum weir_log_level level,
			    const char *object, const char *message,
			    const struct weir_log_field *fields, size_t n, char *text, size_t size)
{
	struct line line = { .text = text };

	/* Too small for an empty object and its end: as much of a line end as there is room for. */
	if (size <= LINE_RESERVE) {
		if (size > 1)
			memcpy(text, "\n", 2);
		else if (size)
			*text = '\0';
		return size > 1;
	}
	line.end = size - LINE_RESERVE;
	if (format == WEIR_LOG_JSON) {
		line_put_json(&line, level, object, message, fields, n);
	} else {
		line_put_prefix(&line, level);
		line_put_text(&line, object, message, fields, n);
	}
	line_close(&line, '\n');
	text[line.used] = '\0';
	return line.used;
}

size_t weir_log_format_event(const struct weir_log_event *event, char *text, size_t size)
{
	struct line line = { .text = text };

	if (size <= LINE_RESERVE) {
		if (size)
			*text = '\0';
		return 0;
	}
	line.end = size - LINE_RESERVE;
	if (event->format == WEIR_LOG_JSON)
		line_put_json(&line, event->level, event->object, event->message, event->fields,
			      event->n_fields);
	else
		line_put_text(&line, event->object, event->message, event->fields, event->n_fields);
	text[line.used] = '\0';
	return line.used;
}

static void log_set(weir_log_sink_fn *sink, weir_log_event_fn *event_sink, void *ctx)
{
	pthread_mutex_lock(&log_lock);
	log_sink = sink;
	log_event_sink = event_sink;
	log_ctx = ctx;
	atomic_store_explicit(&log_has_sink, sink || event_sink, memory_order_relaxed);
	pthread_mutex_unlock(&log_lock);
}

void weir_log_set_sink(weir_log_sink_fn *sink, void *ctx)
{
	log_set(sink, NULL, ctx);
}

void weir_log_set_event_sink(weir_log_event_fn *sink, void *ctx)
{
	log_set(NULL, sink, ctx);
}

void weir_log_set_format(enum weir_log_format format)
{
	atomic_store_explicit(&log_format, format, memory_order_relaxed);
}

void weir_log_set_level(enum weir_log_level level)
{
	atomic_store_explicit(&log_level, level, memory_order_relaxed);
}

enum weir_log_level weir_log_level(void)
{
	return atomic_load_explicit(&log_level, memory_order_relaxed);
}

bool weir_log_enabled(enum weir_log_level level)
{
	return level <= weir_log_level() &&
	       atomic_load_explicit(&log_has_sink, memory_order_relaxed);
}

const char *weir_log_level_name(enum weir_log_level level)
{
	return (unsigned)level < WEIR_ARRAY_SIZE(log_level_names) ? log_level_names[level] : "?";
}

int weir_log_level_parse(const char *name, enum weir_log_level *level)
{
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(log_level_names); i++) {
		if (strcmp(name, log_level_names[i]) == 0) {
			*level = (enum weir_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void weir_log_write(enum weir_log_level level, const char *object, const char *message,
		    const struct weir_log_field *fields, size_t n)
{
	/* Not on the stack: a task's is small. Nothing parks between here and the sink. */
	static _Thread_local char line[LINE_MAX_BYTES];
	const struct weir_log_event event = {
		.format = atomic_load_explicit(&log_format, memory_order_relaxed),
		.level = level,
		.object = object,
		.message = message,
		.fields = fields,
		.n_fields = n,
	};
	size_t size;

	if (!weir_log_enabled(level))
		return;
	/* Formatted before the lock is taken: threads wait for the writing only. */
	size = weir_log_format_line(event.format, level, object, message, fields, n, line,
				    sizeof(line));
	pthread_mutex_lock(&log_lock);
	if (log_sink)
		log_sink(log_ctx, level, line, size);
	else if (log_event_sink)
		log_event_sink(log_ctx, &event);
	pthread_mutex_unlock(&log_lock);
}

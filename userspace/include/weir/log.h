/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LOG_H
#define WEIR_LOG_H

/*
 * Structured logs. One event is one line: time, level, the object that speaks ("listener db",
 * "conn 42"), a message, and typed fields. The text format ends with key=value pairs, the JSON
 * format has one object a line. Thread-safe. Until a sink is set nothing is written.
 *
 *	weir_log(WEIR_LOG_INFO, "listener db", "listening", WEIR_LOG_STR("address", text),
 *		 WEIR_LOG_UINT("backlog", 4096));
 *
 * Levels: error (somebody must act), warn (refused or degraded), info (start, reload, stop),
 * debug. Nothing logs per packet or per read.
 */

#include <stdbool.h>

#include <weir/base.h>

enum weir_log_level {
	WEIR_LOG_ERROR,
	WEIR_LOG_WARN,
	WEIR_LOG_INFO,
	WEIR_LOG_DEBUG,
};

enum weir_log_type {
	WEIR_LOG_TYPE_STRING,
	WEIR_LOG_TYPE_INT,
	WEIR_LOG_TYPE_UINT,
	WEIR_LOG_TYPE_DOUBLE,
	WEIR_LOG_TYPE_BOOL,
};

/* A field borrows its strings for the length of the call. A NULL string is left out. */
struct weir_log_field {
	const char *key;
	enum weir_log_type type;
	union {
		const char *string;
		int64_t i;
		uint64_t u;
		double d;
		bool b;
	} value;
};

#define WEIR_LOG_STR(k, v) \
	((struct weir_log_field){ .key = (k), .type = WEIR_LOG_TYPE_STRING, .value.string = (v) })
#define WEIR_LOG_INT(k, v) \
	((struct weir_log_field){ .key = (k), .type = WEIR_LOG_TYPE_INT, .value.i = (v) })
#define WEIR_LOG_UINT(k, v) \
	((struct weir_log_field){ .key = (k), .type = WEIR_LOG_TYPE_UINT, .value.u = (v) })
#define WEIR_LOG_DOUBLE(k, v) \
	((struct weir_log_field){ .key = (k), .type = WEIR_LOG_TYPE_DOUBLE, .value.d = (v) })
#define WEIR_LOG_BOOL(k, v) \
	((struct weir_log_field){ .key = (k), .type = WEIR_LOG_TYPE_BOOL, .value.b = (v) })
/* error=<text of the status> */
#define WEIR_LOG_STATUS(v) WEIR_LOG_STR("error", weir_strerror(v))

enum weir_log_format {
	WEIR_LOG_TEXT,
	WEIR_LOG_JSON,
};

/* Takes one finished line, '\n' included and not counted on to be terminated. Called by any
 * thread, one call at a time. */
typedef void weir_log_sink_fn(void *ctx, enum weir_log_level level, const char *line, size_t size);

/* One event before it is formatted, for sinks that keep fields apart. Borrowed for the call. */
struct weir_log_event {
	enum weir_log_format format; /* what weir_log_set_format() asks for */
	enum weir_log_level level;
	const char *object; /* may be NULL */
	const char *message;
	const struct weir_log_field *fields;
	size_t n_fields;
};

/* Takes one event. Called by any thread, one call at a time. Must not log. */
typedef void weir_log_event_fn(void *ctx, const struct weir_log_event *event);

/* Where lines go; NULL drops them. CTX is borrowed until the next call of either function: when
 * that returns, nobody uses it any more. weir/log_sink.h has sinks ready made. */
void weir_log_set_sink(weir_log_sink_fn *sink, void *ctx);
/* The same for events; there is one sink at a time, of lines or of events. */
void weir_log_set_event_sink(weir_log_event_fn *sink, void *ctx);
void weir_log_set_format(enum weir_log_format format);
void weir_log_set_level(enum weir_log_level level);
enum weir_log_level weir_log_level(void);

/* Whether a line of this level would be written. Cheap. */
bool weir_log_enabled(enum weir_log_level level);

/* "error", "warn", "info", "debug". */
const char *weir_log_level_name(enum weir_log_level level);
/* 0, or -EINVAL for another word. */
int weir_log_level_parse(const char *name, enum weir_log_level *level);

/* Formats one event without writing it: TEXT gets at most SIZE bytes, ends with '\n' (also
 * when cut) and is terminated. OBJECT may be NULL. Returns its length. For sinks and tests. */
size_t weir_log_format_line(enum weir_log_format format, enum weir_log_level level,
			    const char *object, const char *message,
			    const struct weir_log_field *fields, size_t n, char *text, size_t size);

/* Formats one event for a place that adds time and level itself: "object: message key=value" or
 * the JSON object; no line end, terminated, cut to SIZE. Returns its length. */
size_t weir_log_format_event(const struct weir_log_event *event, char *text, size_t size);

/* Writes an event; use the macro. */
void weir_log_write(enum weir_log_level level, const char *object, const char *message,
		    const struct weir_log_field *fields, size_t n);

/* Logs when the level is on. The fields are evaluated always. */
#define weir_log(level, object, message, ...)                                            \
	weir_log_write((level), (object), (message),                                     \
		       (const struct weir_log_field[]){ { 0 }, ##__VA_ARGS__ } + 1,      \
		       sizeof((const struct weir_log_field[]){ { 0 }, ##__VA_ARGS__ }) / \
				       sizeof(struct weir_log_field) -                   \
			       1)

#endif

/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LOG_SINK_H
#define WEIR_LOG_SINK_H

/*
 * Places that log lines go to: a descriptor, a file, syslog, journald. Open one, use it, and close
 * it after another one (or none) is used. All functions may be called by any thread.
 *
 *	status = weir_log_sink_open_file(&sink, "/var/log/weir.log");
 *	weir_log_sink_use(sink);
 *	...
 *	weir_log_sink_use(NULL);
 *	weir_log_sink_close(sink);
 *
 * A line that cannot be written at once to a full disk, a dead socket or a full non-blocking pipe
 * is dropped and counted: logging never fails and does not wait for syslog or journald.
 */

#include <weir/log.h>

struct weir_log_sink;

/* Lines to FD (standard error, say), which is borrowed. 0 or -ENOMEM. */
int weir_log_sink_open_descriptor(struct weir_log_sink **sink, int fd) WEIR_MUST_CHECK;

/* Lines to the end of the file at PATH, made with mode 0640 if it is not there. 0, -ENOMEM or
 * open(2)'s error. */
int weir_log_sink_open_file(struct weir_log_sink **sink, const char *path) WEIR_MUST_CHECK;

/* Datagrams in syslog's local form, facility "daemon", to the socket at PATH (NULL: /dev/log).
 * IDENTIFIER is the program's name. A syslog daemon that restarts is found again. 0, -ENOMEM,
 * -ENAMETOOLONG, or connect(2)'s error when nobody listens now. */
int weir_log_sink_open_syslog(struct weir_log_sink **sink, const char *path, const char *identifier)
	WEIR_MUST_CHECK;

/* The same for journald's native socket (NULL: /run/systemd/journal/socket). MESSAGE is the whole
 * line without time and level; each field is WEIR_<KEY> besides, the object WEIR_OBJECT. */
int weir_log_sink_open_journald(struct weir_log_sink **sink, const char *path,
				const char *identifier) WEIR_MUST_CHECK;

/* Opens the file at its path again, or connects again; for after a rotation. Fails and keeps the
 * old one with open(2)'s or connect(2)'s error. A descriptor: 0, nothing to do. */
int weir_log_sink_reopen(struct weir_log_sink *sink) WEIR_MUST_CHECK;

/* Makes SINK the place that all events go to; NULL: none. The sink that was used before is not
 * used any more when this returns. */
void weir_log_sink_use(struct weir_log_sink *sink);

/* How many events were dropped so far. */
uint64_t weir_log_sink_dropped(struct weir_log_sink *sink);

/* SINK must not be in use; NULL is nothing. */
void weir_log_sink_close(struct weir_log_sink *sink);

#endif

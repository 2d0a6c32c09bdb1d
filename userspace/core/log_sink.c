/* SPDX-License-Identifier: MIT */

/*
 * Two kinds of place: a stream of lines (a descriptor, a file) and a socket that takes one datagram
 * an event (syslog, journald). The log calls one at a time; the sink's own lock is for reopening,
 * which any thread may do while others log.
 *
 * The datagrams are written here and not by syslog(3) or sd_journal_sendv(3), because both of
 * those wait when the receiver is slow, and a worker that waits holds up its connections.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <weir/log_sink.h>

#define SINK_DATAGRAM_MAX 32768
#define SINK_TEXT_MAX	  8192
#define SYSLOG_DAEMON	  (3 << 3) /* RFC 5424 section 6.2.1 */

enum sink_kind { SINK_DESCRIPTOR, SINK_FILE, SINK_SYSLOG, SINK_JOURNALD };

struct weir_log_sink {
	enum sink_kind kind;
	pthread_mutex_t lock; /* of fd and dropped */
	int fd;		      /* owned but for SINK_DESCRIPTOR; -1: lost, connect again */
	uint64_t dropped;
	char *path; /* owned; NULL for SINK_DESCRIPTOR */
	char identifier[48];
	size_t used; /* of datagram */
	char datagram[SINK_DATAGRAM_MAX];
	char text[SINK_TEXT_MAX];
};

/* Severities of RFC 5424 section 6.2.1, which journald uses too. */
static unsigned sink_severity(enum weir_log_level level)
{
	static const unsigned char severities[] = { 3, 4, 6, 7 };

	return (unsigned)level < sizeof(severities) ? severities[level] : 6;
}

static int sink_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, status;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	status = -errno;
	close(fd);
	return status;
}

/* A new descriptor for what the sink writes to, or a negative status. */
static int sink_open_path(const struct weir_log_sink *sink)
{
	int fd;

	if (sink->kind != SINK_FILE)
		return sink_connect(sink->path);
	fd = open(sink->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
	return fd < 0 ? -errno : fd;
}

static struct weir_log_sink *sink_new(enum sink_kind kind, const char *path)
{
	struct weir_log_sink *sink = calloc(1, sizeof(*sink));

	if (!sink)
		return NULL;
	sink->kind = kind;
	sink->fd = -1;
	pthread_mutex_init(&sink->lock, NULL);
	if (path) {
		sink->path = strdup(path);
		if (!sink->path) {
			weir_log_sink_close(sink);
			return NULL;
		}
	}
	return sink;
}

int weir_log_sink_open_descriptor(struct weir_log_sink **sink, int fd)
{
	*sink = sink_new(SINK_DESCRIPTOR, NULL);
	if (!*sink)
		return -ENOMEM;
	(*sink)->fd = fd;
	return 0;
}

static int sink_open(struct weir_log_sink **sink, enum sink_kind kind, const char *path,
		     const char *identifier)
{
	int fd;

	*sink = sink_new(kind, path);
	if (!*sink)
		return -ENOMEM;
	snprintf((*sink)->identifier, sizeof((*sink)->identifier), "%s", identifier);
	fd = sink_open_path(*sink);
	if (fd < 0) {
		weir_log_sink_close(*sink);
		*sink = NULL;
		return fd;
	}
	(*sink)->fd = fd;
	return 0;
}

int weir_log_sink_open_file(struct weir_log_sink **sink, const char *path)
{
	return sink_open(sink, SINK_FILE, path, "");
}

int weir_log_sink_open_syslog(struct weir_log_sink **sink, const char *path, const char *identifier)
{
	return sink_open(sink, SINK_SYSLOG, path ? path : "/dev/log", identifier);
}

int weir_log_sink_open_journald(struct weir_log_sink **sink, const char *path,
				const char *identifier)
{
	return sink_open(sink, SINK_JOURNALD, path ? path : "/run/systemd/journal/socket",
			 identifier);
}

int weir_log_sink_reopen(struct weir_log_sink *sink)
{
	int fd, old;

	if (sink->kind == SINK_DESCRIPTOR)
		return 0;
	fd = sink_open_path(sink);
	if (fd < 0)
		return fd;
	pthread_mutex_lock(&sink->lock);
	old = sink->fd;
	sink->fd = fd;
	pthread_mutex_unlock(&sink->lock);
	if (old >= 0)
		close(old);
	return 0;
}

/* All of a line, or as much as goes; a full pipe or disk drops the rest. */
static int stream_write(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

static void stream_on_line(void *ctx, enum weir_log_level level, const char *line, size_t size)
{
	struct weir_log_sink *sink = ctx;

	(void)level;
	pthread_mutex_lock(&sink->lock);
	if (stream_write(sink->fd, line, size) < 0)
		sink->dropped++;
	pthread_mutex_unlock(&sink->lock);
}

static int datagram_send(struct weir_log_sink *sink)
{
	ssize_t n;

	if (sink->fd < 0)
		return -ENOTCONN;
	do {
		n = send(sink->fd, sink->datagram, sink->used, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* A receiver that was restarted has a new socket at the old path: connect once more. */
static void datagram_deliver(struct weir_log_sink *sink)
{
	int status = datagram_send(sink);

	if (status == -ECONNREFUSED || status == -ENOTCONN || status == -ECONNRESET) {
		int fd = sink_connect(sink->path);

		if (sink->fd >= 0)
			close(sink->fd);
		sink->fd = fd >= 0 ? fd : -1;
		status = datagram_send(sink);
	}
	if (status < 0)
		sink->dropped++;
}

/* Appends what fits whole. */
static void datagram_put(struct weir_log_sink *sink, const void *data, size_t size)
{
	if (size > sizeof(sink->datagram) - sink->used)
		return;
	memcpy(sink->datagram + sink->used, data, size);
	sink->used += size;
}

/* "<30>Nov 23 10:00:00 weir[42]: text": what daemons read on /dev/log (RFC 3164 section 4.1
 * without the host name). Names of months as in the C locale. */
static void syslog_on_event(void *ctx, const struct weir_log_event *event)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct weir_log_sink *sink = ctx;
	time_t now = time(NULL);
	char head[128];
	struct tm tm;

	localtime_r(&now, &tm);
	snprintf(head, sizeof(head), "<%u>%.3s %2d %02d:%02d:%02d %s[%ld]: ",
		 SYSLOG_DAEMON | sink_severity(event->level), months + 3 * tm.tm_mon, tm.tm_mday,
		 tm.tm_hour, tm.tm_min, tm.tm_sec, sink->identifier, (long)getpid());
	pthread_mutex_lock(&sink->lock);
	sink->used = 0;
	datagram_put(sink, head, strlen(head));
	datagram_put(sink, sink->text,
		     weir_log_format_event(event, sink->text, sizeof(sink->text)));
	datagram_deliver(sink);
	pthread_mutex_unlock(&sink->lock);
}

/* One field of journald's native protocol. The length form is used always: it takes any value. */
static void journal_put(struct weir_log_sink *sink, const char *name, const char *value,
			size_t size)
{
	unsigned char length[8];

	if (strlen(name) + size + sizeof(length) + 2 > sizeof(sink->datagram) - sink->used)
		return;
	for (size_t i = 0; i < sizeof(length); i++)
		length[i] = (unsigned char)((uint64_t)size >> (8 * i));
	datagram_put(sink, name, strlen(name));
	datagram_put(sink, "\n", 1);
	datagram_put(sink, length, sizeof(length));
	datagram_put(sink, value, size);
	datagram_put(sink, "\n", 1);
}

static void journal_put_field(struct weir_log_sink *sink, const struct weir_log_field *field)
{
	char name[64], number[40];
	const char *value = number;
	size_t i;

	/* Journal fields are upper case words of at most 64 bytes. */
	snprintf(name, sizeof(name), "WEIR_%s", field->key);
	for (i = 0; name[i]; i++) {
		if (name[i] >= 'a' && name[i] <= 'z')
			name[i] = (char)(name[i] - 'a' + 'A');
		else if (!((name[i] >= 'A' && name[i] <= 'Z') ||
			   (name[i] >= '0' && name[i] <= '9')))
			name[i] = '_';
	}
	switch (field->type) {
	case WEIR_LOG_TYPE_STRING:
		value = field->value.string;
		break;
	case WEIR_LOG_TYPE_INT:
		snprintf(number, sizeof(number), "%" PRId64, field->value.i);
		break;
	case WEIR_LOG_TYPE_UINT:
		snprintf(number, sizeof(number), "%" PRIu64, field->value.u);
		break;
	case WEIR_LOG_TYPE_DOUBLE:
		snprintf(number, sizeof(number), "%.15g", field->value.d);
		break;
	case WEIR_LOG_TYPE_BOOL:
		value = field->value.b ? "true" : "false";
		break;
	}
	if (value)
		journal_put(sink, name, value, strlen(value));
}

static void journal_on_event(void *ctx, const struct weir_log_event *event)
{
	struct weir_log_sink *sink = ctx;
	char priority = (char)('0' + sink_severity(event->level));
	size_t size;

	pthread_mutex_lock(&sink->lock);
	sink->used = 0;
	size = weir_log_format_event(event, sink->text, sizeof(sink->text));
	journal_put(sink, "MESSAGE", sink->text, size);
	journal_put(sink, "PRIORITY", &priority, 1);
	journal_put(sink, "SYSLOG_IDENTIFIER", sink->identifier, strlen(sink->identifier));
	if (event->object)
		journal_put(sink, "WEIR_OBJECT", event->object, strlen(event->object));
	for (size_t i = 0; i < event->n_fields; i++)
		journal_put_field(sink, &event->fields[i]);
	datagram_deliver(sink);
	pthread_mutex_unlock(&sink->lock);
}

void weir_log_sink_use(struct weir_log_sink *sink)
{
	if (!sink)
		weir_log_set_sink(NULL, NULL);
	else if (sink->kind == SINK_SYSLOG)
		weir_log_set_event_sink(syslog_on_event, sink);
	else if (sink->kind == SINK_JOURNALD)
		weir_log_set_event_sink(journal_on_event, sink);
	else
		weir_log_set_sink(stream_on_line, sink);
}

uint64_t weir_log_sink_dropped(struct weir_log_sink *sink)
{
	uint64_t dropped;

	pthread_mutex_lock(&sink->lock);
	dropped = sink->dropped;
	pthread_mutex_unlock(&sink->lock);
	return dropped;
}

void weir_log_sink_close(struct weir_log_sink *sink)
{
	if (!sink)
		return;
	if (sink->kind != SINK_DESCRIPTOR && sink->fd >= 0)
		close(sink->fd);
	pthread_mutex_destroy(&sink->lock);
	free(sink->path);
	free(sink);
}

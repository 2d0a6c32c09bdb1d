/* SPDX-License-Identifier: MIT */
/*
 * access_log: one line a connection, when it has ended. To the process log, or to a file of its
 * own, which all stacks of the process that name the same path share.
 *
 * The worker writes its line itself, with one write(2) that appends: lines of several workers do
 * not mix, nothing is lost in a buffer when the process dies, and no thread or lock stands
 * between. A disk that stalls therefore stalls the worker for as long as write(2) does (ordinarily
 * that is a copy into the page cache). A pipe or terminal is opened non-blocking: when it is full
 * the line is dropped. Dropped lines are counted, and said in the process log when it starts and
 * when it is over.
 *
 * Reopening replaces the file behind the descriptor (dup3), so writers need no lock for that
 * either.
 */

#include <weir/layer.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/list.h>

#define LINE_BYTES 4096

/* ---- files ---- */

struct file {
	struct weir_list link; /* in files */
	unsigned references;   /* under files_lock */
	int fd;		       /* the same number for life */
	atomic_ulong dropped;  /* lines in a row; 0: the last one was written */
	char path[];
};

static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;
static struct weir_list files = { &files, &files };

static int file_open(const char *path)
{
	int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

	return fd < 0 ? -errno : fd;
}

static struct file *file_find(const char *path)
{
	struct weir_list *link;

	for (link = files.next; link != &files; link = link->next) {
		struct file *file = weir_container_of(link, struct file, link);

		if (strcmp(file->path, path) == 0)
			return file;
	}
	return NULL;
}

static int file_new(const char *path, struct file **out)
{
	size_t size = strlen(path) + 1;
	struct file *file = calloc(1, sizeof(*file) + size);
	int fd;

	if (!file)
		return -ENOMEM;
	fd = file_open(path);
	if (fd < 0) {
		free(file);
		return fd;
	}
	memcpy(file->path, path, size);
	file->fd = fd;
	weir_list_add_tail(&files, &file->link);
	*out = file;
	return 0;
}

static int file_get(const char *path, struct file **out)
{
	int status = 0;

	pthread_mutex_lock(&files_lock);
	*out = file_find(path);
	if (!*out)
		status = file_new(path, out);
	if (*out)
		(*out)->references++;
	pthread_mutex_unlock(&files_lock);
	return status;
}

static void file_put(struct file *file)
{
	if (!file)
		return;
	pthread_mutex_lock(&files_lock);
	if (--file->references == 0) {
		weir_list_del(&file->link);
		close(file->fd);
		free(file);
	}
	pthread_mutex_unlock(&files_lock);
}

static void file_reopen(struct file *file)
{
	int fd = file_open(file->path);
	int status = fd < 0 ? fd : 0;

	if (!status && dup3(fd, file->fd, O_CLOEXEC) < 0)
		status = -errno;
	if (fd >= 0)
		close(fd);
	if (status)
		weir_log(WEIR_LOG_ERROR, "access log", "cannot reopen, the old file stays in use",
			 WEIR_LOG_STR("path", file->path), WEIR_LOG_STATUS(status));
}

void weir_access_log_reopen(void)
{
	struct weir_list *link;

	pthread_mutex_lock(&files_lock);
	for (link = files.next; link != &files; link = link->next)
		file_reopen(weir_container_of(link, struct file, link));
	pthread_mutex_unlock(&files_lock);
}

static void file_drop(struct file *file, int status)
{
	if (atomic_fetch_add_explicit(&file->dropped, 1, memory_order_relaxed) > 0)
		return;
	weir_log(WEIR_LOG_ERROR, "access log", "cannot write, lines are dropped",
		 WEIR_LOG_STR("path", file->path), WEIR_LOG_STATUS(status));
}

static void file_write(struct file *file, const char *line, size_t size)
{
	unsigned long dropped;
	ssize_t sent;

	do {
		sent = write(file->fd, line, size);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0 || (size_t)sent < size) {
		file_drop(file, sent < 0 ? -errno : -ENOSPC);
		return;
	}
	if (atomic_load_explicit(&file->dropped, memory_order_relaxed) == 0)
		return;
	dropped = atomic_exchange_explicit(&file->dropped, 0, memory_order_relaxed);
	if (dropped > 0)
		weir_log(WEIR_LOG_WARN, "access log", "writes again",
			 WEIR_LOG_STR("path", file->path), WEIR_LOG_UINT("dropped", dropped));
}

/* ---- the layer ---- */

struct access_log {
	struct weir_service svc;
	struct file *file; /* counted; NULL: the process log */
	enum weir_log_format format;
};

/* The text of an address, or NULL: the field is left out. */
static const char *address_text(const struct weir_address *address, char *text)
{
	return address->size > 0 ? weir_address_format(address, text) : NULL;
}

static const struct weir_address *conn_local(struct weir_conn *conn)
{
	return conn->local.size > 0 ? &conn->local : weir_stream_local(conn->stream);
}

/* Has a frame of its own, which is not there while the connection lives. */
static __attribute__((noinline)) void access_log_line(const struct access_log *log,
						      struct weir_conn *conn, int status)
{
	const struct weir_loop *loop = weir_loop_current();
	double ms = (double)(weir_loop_now(loop) - conn->started_ns) / 1e6;
	char client[WEIR_ADDRESS_TEXT], local[WEIR_ADDRESS_TEXT], endpoint[WEIR_ADDRESS_TEXT];
	bool connected = conn->result.connect_ns > 0;
	char object[32];
	/* A path means something only of what was connected. */
	const struct weir_log_field fields[] = {
		WEIR_LOG_UINT("id", conn->id),
		WEIR_LOG_STR("listener", conn->listener),
		WEIR_LOG_STR("client", address_text(&conn->peer, client)),
		WEIR_LOG_STR("local", address_text(conn_local(conn), local)),
		WEIR_LOG_STR("upstream", conn->result.upstream),
		WEIR_LOG_STR("endpoint", address_text(&conn->result.endpoint, endpoint)),
		WEIR_LOG_STR("path", connected ? weir_path_name(conn->result.path) : NULL),
		WEIR_LOG_STR("why", connected ? conn->result.why : NULL),
		WEIR_LOG_UINT("bytes_up", conn->result.bytes_up),
		WEIR_LOG_UINT("bytes_down", conn->result.bytes_down),
		WEIR_LOG_UINT("attempts", conn->result.attempts),
		WEIR_LOG_DOUBLE("connect_ms", (double)conn->result.connect_ns / 1e6),
		WEIR_LOG_DOUBLE("duration_ms", ms),
		WEIR_LOG_STR("end", weir_end_name(conn->result.end)),
		WEIR_LOG_STR("status", weir_error_name(status)),
	};
	char *line;
	size_t size;

	snprintf(object, sizeof(object), "conn %llu", (unsigned long long)conn->id);
	if (!log->file) {
		weir_log_write(WEIR_LOG_INFO, object, "ended", fields, WEIR_ARRAY_SIZE(fields));
		return;
	}
	line = weir_loop_scratch(weir_loop_current());
	size = weir_log_format_line(log->format, WEIR_LOG_INFO, object, "ended", fields,
				    WEIR_ARRAY_SIZE(fields), line, LINE_BYTES);
	file_write(log->file, line, size);
}

static int access_log_serve(struct weir_service *svc, struct weir_conn *conn)
{
	const struct access_log *log = weir_container_of(svc, struct access_log, svc);
	int status = weir_serve(svc->inner, conn);

	if (log->file || weir_log_enabled(WEIR_LOG_INFO))
		access_log_line(log, conn, status);
	return status;
}

static void access_log_free(struct weir_service *svc)
{
	struct access_log *log = weir_container_of(svc, struct access_log, svc);

	file_put(log->file);
	free(log);
}

static const struct weir_service_ops access_log_ops = {
	.name = "access_log",
	.needs = WEIR_NEEDS_NOTHING,
	.serve = access_log_serve,
	.free = access_log_free,
};

static int access_log_configure(struct access_log *log, const struct weir_access_log_conf *conf,
				struct weir_error *error)
{
	int status;

	log->format = conf->format;
	if (!conf->path)
		return 0;
	if (!*conf->path) {
		weir_error_remedy(error, "say a file, or leave the path out for the process log");
		return weir_error_set(error, WEIR_ECONFIG, "the access log's path is empty");
	}
	status = file_get(conf->path, &log->file);
	if (!status)
		return 0;
	weir_error_remedy(error, "the folder must exist and let this user write");
	return weir_error_set(error, status, "cannot open the access log %s: %s", conf->path,
			      weir_strerror(status));
}

struct weir_service *weir_access_log_layer(struct weir_service *inner,
					   const struct weir_access_log_conf *conf,
					   struct weir_error *error)
{
	struct access_log *log = NULL;

	if (!inner)
		goto err;
	log = calloc(1, sizeof(*log));
	if (!log) {
		weir_error_set(error, -ENOMEM, "out of memory");
		goto err;
	}
	log->svc = (struct weir_service){ .ops = &access_log_ops, .inner = inner };
	if (access_log_configure(log, conf, error))
		goto err;
	return &log->svc;
err:
	free(log);
	weir_service_free(inner);
	return NULL;
}

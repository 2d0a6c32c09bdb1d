/* SPDX-License-Identifier: MIT */
/*
 * The worker writes its lines itself, those of a round of its loop with one write(2) that appends:
 * lines of several workers do not mix, a process that dies loses those of one round at most, and
 * no thread or lock stands between. A disk that stalls therefore stalls the worker for as long as
 * write(2) does (ordinarily that is a copy into the page cache). A pipe or terminal is opened
 * non-blocking: when it is full the line is dropped. Dropped lines are counted, and said in the
 * process log when it starts and when it is over.
 *
 * Reopening replaces the file behind the descriptor (dup3), so writers need no lock for that
 * either.
 */

#include "layer/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/list.h>
#include <weir/log.h>

struct log_file {
	struct weir_list link;	/* in files */
	unsigned references;	/* under files_lock */
	int fd;			/* the same number for life */
	atomic_bool is_regular; /* else a pipe, a terminal or the like */
	atomic_ulong dropped;	/* lines in a row; 0: the last one was written */
	char path[];
};

static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;
static struct weir_list files = { &files, &files };

static int log_file_open(const char *path)
{
	int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);

	return fd < 0 ? -errno : fd;
}

static struct log_file *log_file_find(const char *path)
{
	struct weir_list *link;

	for (link = files.next; link != &files; link = link->next) {
		struct log_file *file = weir_container_of(link, struct log_file, link);

		if (strcmp(file->path, path) == 0)
			return file;
	}
	return NULL;
}

static void log_file_look(struct log_file *file, int fd)
{
	struct stat st;

	atomic_store_explicit(&file->is_regular, fstat(fd, &st) == 0 && S_ISREG(st.st_mode),
			      memory_order_relaxed);
}

static bool log_file_is_regular(struct log_file *file)
{
	return atomic_load_explicit(&file->is_regular, memory_order_relaxed);
}

static int log_file_new(const char *path, struct log_file **out)
{
	size_t size = strlen(path) + 1;
	struct log_file *file = calloc(1, sizeof(*file) + size);
	int fd;

	if (!file)
		return -ENOMEM;
	fd = log_file_open(path);
	if (fd < 0) {
		free(file);
		return fd;
	}
	memcpy(file->path, path, size);
	file->fd = fd;
	log_file_look(file, fd);
	weir_list_add_tail(&files, &file->link);
	*out = file;
	return 0;
}

static int log_file_get(const char *path, struct log_file **out)
{
	int status = 0;

	pthread_mutex_lock(&files_lock);
	*out = log_file_find(path);
	if (!*out)
		status = log_file_new(path, out);
	if (*out)
		(*out)->references++;
	pthread_mutex_unlock(&files_lock);
	return status;
}

void log_file_put(struct log_file *file)
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

static void log_file_reopen(struct log_file *file)
{
	int fd = log_file_open(file->path);
	int status = fd < 0 ? fd : 0;

	if (!status)
		log_file_look(file, fd);
	if (!status && dup3(fd, file->fd, O_CLOEXEC) < 0)
		status = -errno;
	if (fd >= 0)
		close(fd);
	if (status)
		weir_log(WEIR_LOG_ERROR, "access log", "cannot reopen, the old file stays in use",
			 WEIR_LOG_STR("path", file->path), WEIR_LOG_STATUS(status));
}

void log_file_reopen_all(void)
{
	struct weir_list *link;

	pthread_mutex_lock(&files_lock);
	for (link = files.next; link != &files; link = link->next)
		log_file_reopen(weir_container_of(link, struct log_file, link));
	pthread_mutex_unlock(&files_lock);
}

static void log_file_drop(struct log_file *file, size_t lines, int status)
{
	if (atomic_fetch_add_explicit(&file->dropped, lines, memory_order_relaxed) > 0)
		return;
	weir_log(WEIR_LOG_ERROR, "access log", "cannot write, lines are dropped",
		 WEIR_LOG_STR("path", file->path), WEIR_LOG_STATUS(status));
}

static size_t count_lines(const char *lines, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++)
		n += lines[i] == '\n';
	return n;
}

/* A regular file takes less than all only just before it takes nothing. */
void log_file_write(struct log_file *file, const char *lines, size_t size)
{
	unsigned long dropped;
	size_t done = 0;
	ssize_t sent;

	do {
		sent = write(file->fd, lines + done, size - done);
		done += sent > 0 ? (size_t)sent : 0;
	} while (done < size &&
		 ((sent < 0 && errno == EINTR) || (sent > 0 && log_file_is_regular(file))));
	if (done < size) {
		log_file_drop(file, count_lines(lines + done, size - done),
			      sent < 0 ? -errno : -ENOSPC);
		return;
	}
	if (atomic_load_explicit(&file->dropped, memory_order_relaxed) == 0)
		return;
	dropped = atomic_exchange_explicit(&file->dropped, 0, memory_order_relaxed);
	if (dropped > 0)
		weir_log(WEIR_LOG_WARN, "access log", "writes again",
			 WEIR_LOG_STR("path", file->path), WEIR_LOG_UINT("dropped", dropped));
}

int log_file_configure(const char *path, struct log_file **out, struct weir_error *error)
{
	int status;

	if (!path)
		return 0;
	if (!*path) {
		weir_error_remedy(error, "say a file, or leave the path out for the process log");
		return weir_error_set(error, WEIR_ECONFIG, "the access log's path is empty");
	}
	status = log_file_get(path, out);
	if (!status)
		return 0;
	weir_error_remedy(error, "the folder must exist and let this user write");
	return weir_error_set(error, status, "cannot open the access log %s: %s", path,
			      weir_strerror(status));
}

/* ------------------------------------------------------------------------------------------
 * Batches
 */

#define BATCH_BYTES 65536

static void batch_write(struct log_batch *batch)
{
	size_t size = weir_buffer_size(&batch->lines);

	if (size > 0)
		log_file_write(batch->file, weir_buffer_head(&batch->lines), size);
	weir_buffer_fini(&batch->lines);
}

static void batch_on_flush(struct weir_flush *flush)
{
	batch_write(weir_container_of(flush, struct log_batch, flush));
}

void log_batch_init(struct log_batch *batch)
{
	weir_flush_init(&batch->flush, batch_on_flush);
	batch->file = NULL;
	weir_buffer_init(&batch->lines);
}

void log_batch_add(struct log_batch *batch, const char *line, size_t size)
{
	if (weir_buffer_size(&batch->lines) + size > BATCH_BYTES)
		batch_write(batch);
	if (!log_file_is_regular(batch->file) || weir_buffer_append(&batch->lines, line, size)) {
		batch_write(batch);
		log_file_write(batch->file, line, size);
		return;
	}
	weir_flush_add(&batch->flush);
}

void log_batch_fini(struct log_batch *batch)
{
	weir_flush_del(&batch->flush);
	batch_write(batch);
}

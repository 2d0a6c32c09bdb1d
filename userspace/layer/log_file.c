/* SPDX-License-Identifier: MIT */
/*
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

#include "layer/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/list.h>
#include <weir/log.h>

struct log_file {
	struct weir_list link; /* in files */
	unsigned references;   /* under files_lock */
	int fd;		       /* the same number for life */
	atomic_ulong dropped;  /* lines in a row; 0: the last one was written */
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

static void log_file_drop(struct log_file *file, int status)
{
	if (atomic_fetch_add_explicit(&file->dropped, 1, memory_order_relaxed) > 0)
		return;
	weir_log(WEIR_LOG_ERROR, "access log", "cannot write, lines are dropped",
		 WEIR_LOG_STR("path", file->path), WEIR_LOG_STATUS(status));
}

void log_file_write(struct log_file *file, const char *line, size_t size)
{
	unsigned long dropped;
	ssize_t sent;

	do {
		sent = write(file->fd, line, size);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0 || (size_t)sent < size) {
		log_file_drop(file, sent < 0 ? -errno : -ENOSPC);
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

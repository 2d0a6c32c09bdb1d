/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_LOG_FILE_H
#define WEIR_LAYER_LOG_FILE_H

/* Files that access logs append to. All that name the same path share one. Any thread. */

#include <weir/buffer.h>
#include <weir/error.h>
#include <weir/loop.h>

struct log_file;

/* A reference to the file at PATH into *OUT; PATH NULL: none, which is the process log. 0, or what
 * ERROR says. */
int log_file_configure(const char *path, struct log_file **out, struct weir_error *error)
	WEIR_MUST_CHECK;
/* Accepts NULL. */
void log_file_put(struct log_file *file);
/* Whole lines, their ends included. Never fails: a line that cannot be written is counted. */
void log_file_write(struct log_file *file, const char *lines, size_t size);
void log_file_reopen_all(void);

/* The lines of one round of a worker, which go together at its end. Of pipes and terminals, where
 * only a short write goes as a whole, each line goes by itself. */
struct log_batch {
	struct weir_flush flush;
	struct log_file *file; /* borrowed; set before the first line */
	struct weir_buffer lines;
};

void log_batch_init(struct log_batch *batch);
/* In the loop's worker. One line, its end included. */
void log_batch_add(struct log_batch *batch, const char *line, size_t size);
/* Writes what is left. */
void log_batch_fini(struct log_batch *batch);

#endif

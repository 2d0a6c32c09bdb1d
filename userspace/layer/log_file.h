/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_LOG_FILE_H
#define WEIR_LAYER_LOG_FILE_H

/* Files that access logs append to. All that name the same path share one. Any thread. */

#include <weir/error.h>

struct log_file;

/* A reference to the file at PATH into *OUT; PATH NULL: none, which is the process log. 0, or what
 * ERROR says. */
int log_file_configure(const char *path, struct log_file **out, struct weir_error *error)
	WEIR_MUST_CHECK;
/* Accepts NULL. */
void log_file_put(struct log_file *file);
/* One line, its end included. Never fails: a line that cannot be written is counted. */
void log_file_write(struct log_file *file, const char *line, size_t size);
void log_file_reopen_all(void);

#endif

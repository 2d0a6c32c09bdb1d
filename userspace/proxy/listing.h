/* SPDX-License-Identifier: MIT */
#ifndef WEIR_PROXY_LISTING_H
#define WEIR_PROXY_LISTING_H

#include <weir/buffer.h>

/* Appends an HTML page of what is in the folder FD, which stays open, sorted by name, without
 * names that begin with a dot. TITLE is the folder's path. 0 or -errno. */
int listing_format(int fd, const char *title, struct weir_buffer *out) WEIR_MUST_CHECK;

#endif

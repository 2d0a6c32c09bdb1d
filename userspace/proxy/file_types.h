/* SPDX-License-Identifier: MIT */
#ifndef WEIR_PROXY_FILE_TYPES_H
#define WEIR_PROXY_FILE_TYPES_H

#include <weir/text.h>

/* The part of a path after the last dot of its last segment; no data when there is none. */
struct weir_text file_extension(const char *path);
/* The media type that is usual for files with EXTENSION, in any case; NULL: none is known. */
const char *file_type(struct weir_text extension);

#endif

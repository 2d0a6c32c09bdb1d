/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HASH_H
#define WEIR_HASH_H

#include <weir/base.h>

/* SipHash-2-4 of SIZE bytes: 64 bits that nobody who does not know KEY can make collide. The same
 * on every machine. */
uint64_t weir_hash(const void *data, size_t size, const uint64_t key[2]);

#endif

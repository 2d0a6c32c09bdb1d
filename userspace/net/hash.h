/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NET_HASH_H
#define WEIR_NET_HASH_H

#include <weir/base.h>

/* SipHash-2-4 of SIZE bytes under the key (SEED, 0): 64 bits that nobody who does not know SEED
 * can make collide. The same on every machine. */
uint64_t hash_bytes(const void *data, size_t size, uint64_t seed);

#endif

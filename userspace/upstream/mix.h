/* SPDX-License-Identifier: MIT */
#ifndef WEIR_UPSTREAM_MIX_H
#define WEIR_UPSTREAM_MIX_H

/*
 * Hashing and chance for balances: fast, seeded, the same on every machine. Not for secrets.
 */

#include <stdint.h>

/* A bijection that spreads every input bit over the output (the finalizer of SplitMix64). */
static inline uint64_t weir_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* FNV-1a, mixed. */
static inline uint64_t weir_mix_text(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
	return weir_mix(hash);
}

/* The next random number of the sequence that STATE is in; any first value will do. */
static inline uint64_t weir_mix_next(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15u;
	return weir_mix(*state);
}

/* Even over 0 ... N - 1; N is not 0. */
static inline uint64_t weir_mix_below(uint64_t *state, uint64_t n)
{
	return (uint64_t)(((unsigned __int128)weir_mix_next(state) * n) >> 64);
}

#endif

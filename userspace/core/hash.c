/* SPDX-License-Identifier: MIT */

/*
 * SipHash-2-4, after J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF", 2012.
 * What tables are keyed by comes from strangers (names of hosts, header fields), so it needs a keyed
 * hash.
 */

#include <weir/hash.h>

static uint64_t hash_rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static void hash_rounds(uint64_t v[4], unsigned rounds)
{
	while (rounds--) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = hash_rotate(v[1], 13) ^ v[0];
		v[3] = hash_rotate(v[3], 16) ^ v[2];
		v[0] = hash_rotate(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = hash_rotate(v[1], 17) ^ v[2];
		v[3] = hash_rotate(v[3], 21) ^ v[0];
		v[2] = hash_rotate(v[2], 32);
	}
}

static void hash_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	hash_rounds(v, 2);
	v[0] ^= word;
}

/* Up to 8 bytes as a little-endian number. */
static uint64_t hash_load(const unsigned char *data, size_t size)
{
	uint64_t word = 0;

	for (size_t i = 0; i < size; i++)
		word |= (uint64_t)data[i] << (8 * i);
	return word;
}

uint64_t weir_hash(const void *data, size_t size, const uint64_t key[2])
{
	const unsigned char *bytes = data;
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575,
		key[1] ^ 0x646f72616e646f6d,
		key[0] ^ 0x6c7967656e657261,
		key[1] ^ 0x7465646279746573,
	};
	size_t i;

	for (i = 0; i + 8 <= size; i += 8)
		hash_word(v, hash_load(bytes + i, 8));
	hash_word(v, hash_load(bytes + i, size - i) | (uint64_t)size << 56);
	v[2] ^= 0xff;
	hash_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

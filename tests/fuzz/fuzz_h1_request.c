/* SPDX-License-Identifier: MIT */
/*
 * What a client may send. Cuts between reads make no difference; what was accepted is, written
 * and read again, the same message with the same framing, and a simple reader finds one framing
 * in what is written (h1_rig.c). The last two bytes of the input choose cuts and limits.
 */

#include "tests/fuzz/h1_cuts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct h1_rig rig = { .is_response = false };

	if (size < 2 || size > 8192)
		return 0;
	size -= 2;
	if (data[size + 1] & 1)
		rig.limits = (struct weir_h1_limits){ 40, 80, 3, 20 };
	h1_cuts(rig, (const char *)data, size, data[size], data[size + 1] / 2);
	return 0;
}

/* SPDX-License-Identifier: MIT */
/*
 * What an origin may send, to requests of each kind that makes a difference. As
 * fuzz_h1_request.c.
 */

#include "tests/fuzz/h1_cuts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum weir_method methods[] = { WEIR_METHOD_GET, WEIR_METHOD_HEAD,
						    WEIR_METHOD_CONNECT, WEIR_METHOD_OTHER };
	struct h1_rig rig = { .is_response = true };

	if (size < 2 || size > 8192)
		return 0;
	size -= 2;
	rig.method = methods[data[size + 1] & 3];
	if (data[size + 1] & 4)
		rig.limits = (struct weir_h1_limits){ 40, 80, 3, 20 };
	h1_cuts(rig, (const char *)data, size, data[size], data[size + 1] / 8);
	return 0;
}

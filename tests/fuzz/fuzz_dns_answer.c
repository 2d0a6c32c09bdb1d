/* SPDX-License-Identifier: MIT */
/* Replies of name servers to SRV questions: strangers' bytes that are walked by hand for the TTL. */

#include <assert.h>
#include <string.h>

#include "net/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_answer answer;

	if (size > 65535)
		return 0;
	dns_answer_read_services(&answer, data, (int)size);
	assert((answer.status == 0) == (answer.n > 0));
	for (size_t i = 0; i < answer.n; i++) {
		assert(strlen(answer.records[i].host) <= WEIR_HOST_MAX);
		assert(answer.records[i].port > 0);
		assert(i == 0 || answer.records[i].priority >= answer.records[i - 1].priority);
	}
	assert(answer.ttl_s <= INT32_MAX);
	dns_answer_fini(&answer);
	return 0;
}

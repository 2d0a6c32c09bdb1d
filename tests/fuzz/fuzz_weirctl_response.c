/* SPDX-License-Identifier: MIT */
/*
 * Answers of whatever listens on the admin socket. The same bytes in one piece and one by one mean
 * the same, and nothing is read beyond the bounds.
 */

#include <assert.h>
#include <string.h>

#include "tools/weirctl/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int response_read(struct response *response, const char *data, size_t size, size_t piece)
{
	int status = 0;

	response_init(response);
	for (size_t used = 0; status == 0 && used < size; used += piece)
		status = response_feed(response, data + used, WEIR_MIN(piece, size - used));
	return status ? status : response_end(response);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct response whole, bytes;
	int status = response_read(&whole, (const char *)data, size, size ? size : 1);

	assert(response_read(&bytes, (const char *)data, size, 1) == status);
	if (status == 0) {
		size_t body = weir_buffer_size(&whole.body);

		assert(whole.status >= 200 && whole.status <= 599 && whole.status == bytes.status);
		assert(body <= size && body == weir_buffer_size(&bytes.body));
		assert(body == 0 || memcmp(weir_buffer_head(&whole.body),
					   weir_buffer_head(&bytes.body), body) == 0);
	}
	response_fini(&whole);
	response_fini(&bytes);
	return 0;
}

/* SPDX-License-Identifier: MIT */
#ifndef WEIRCTL_RESPONSE_H
#define WEIRCTL_RESPONSE_H

/*
 * One HTTP/1.1 response, read strictly and within bounds: bytes in, status and body out. No I/O.
 */

#include <stdbool.h>
#include <weir/base.h>
#include <weir/buffer.h>

#define RESPONSE_LINE_MAX   8192
#define RESPONSE_FIELDS_MAX 64
#define RESPONSE_BODY_MAX   ((size_t)64 << 20)

enum response_state {
	RESPONSE_STATUS_LINE,
	RESPONSE_FIELDS,
	RESPONSE_BODY,	    /* of known length */
	RESPONSE_BODY_REST, /* up to the end of the connection */
	RESPONSE_CHUNK_SIZE,
	RESPONSE_CHUNK_DATA,
	RESPONSE_CHUNK_END,
	RESPONSE_TRAILERS,
	RESPONSE_DONE,
};

struct response {
	enum response_state state;
	int status; /* 200 and so on, once known */
	struct weir_buffer body;
	struct weir_buffer input; /* private: not yet understood */
	uint64_t left;		  /* private: of the body or the chunk */
	unsigned fields;	  /* private */
	bool has_length;	  /* private */
	bool is_chunked;	  /* private */
};

void response_init(struct response *response);
void response_fini(struct response *response);

/* Takes the next bytes. 0 (state tells whether it is done), -EPROTO when this is no acceptable
 * response, -E2BIG beyond the bounds, -ENOMEM. */
int response_feed(struct response *response, const char *data, size_t size) WEIR_MUST_CHECK;

/* The connection ended. 0 when the response is whole, else -EPROTO. */
int response_end(struct response *response) WEIR_MUST_CHECK;

#endif

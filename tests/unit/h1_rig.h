/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_H1_RIG_H
#define TESTS_UNIT_H1_RIG_H

/*
 * Reads the bytes of a connection with the codec, as a connection would: input comes in pieces,
 * heads stay in place while they are incomplete and move between reads (each read sees memory of
 * its own, so that a pointer kept too long is found by AddressSanitizer). What was read becomes a
 * transcript, which is the same for the same meaning:
 *
 *	request POST origin - example.test /x ?q 1.1 keep-alive
 *	 Host: example.test
 *	framing chunked
 *	body hello
 *	trailer X-A: b
 *	end
 *	refused 400 more than one Host
 *
 * On the way each head is written again and read again: that must change nothing.
 */

#include <weir/buffer.h>
#include <weir/h1.h>

struct h1_rig {
	bool is_response;
	enum weir_method method; /* of the request to a response */
	struct weir_h1_limits limits;
	size_t first; /* bytes of the first read; 0: as all others */
	size_t step;  /* bytes of the others; 0: all that there are */
	bool one;     /* stop behind the first message */
};

/* Appends the transcript to OUT. */
void h1_rig_read(const struct h1_rig *rig, const char *data, size_t size, struct weir_buffer *out);

#endif

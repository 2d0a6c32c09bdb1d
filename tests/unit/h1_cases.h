/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_H1_CASES_H
#define TESTS_UNIT_H1_CASES_H

/* Inputs of the HTTP/1 parser, read in one piece, byte by byte, and cut at every place. */

#include "tests/unit/h1_rig.h"

/* The transcript of IN, after all cuts gave the same. Long inputs are cut at fewer places. */
struct weir_buffer h1_read_all_ways(const struct h1_rig *rig, struct weir_text in);

void h1_assert_transcript(const struct h1_rig *rig, const char *in, const char *expected);
/* What is refused ends with that status. */
void h1_assert_refused(const struct h1_rig *rig, struct weir_text in, unsigned status);

/* The beginnings of most of them. */
#define HOST "Host: example.test\r\n"
#define GET  "GET / HTTP/1.1\r\n"
#define POST "POST / HTTP/1.1\r\n" HOST
#define TE   POST "Transfer-Encoding: chunked\r\n\r\n"
#define OK_  "HTTP/1.1 200 OK\r\n"

#endif

/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FUZZ_H1_CUTS_H
#define TESTS_FUZZ_H1_CUTS_H

#include "tests/unit/h1_rig.h"

/* Reads DATA in one piece, byte by byte, cut in two at FIRST, and in reads of STEP bytes; the
 * transcripts must be equal. */
void h1_cuts(struct h1_rig rig, const char *data, size_t size, size_t first, size_t step);

#endif

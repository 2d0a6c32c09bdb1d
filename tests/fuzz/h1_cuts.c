/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "tests/fuzz/h1_cuts.h"

static void check_cut(struct h1_rig rig, const char *data, size_t size, struct weir_text whole)
{
	struct weir_buffer out = { 0 };
	struct weir_text text;

	h1_rig_read(&rig, data, size, &out);
	text = (struct weir_text){ weir_buffer_head(&out), weir_buffer_size(&out) };
	if (!weir_text_is_equal(whole, text)) {
		fprintf(stderr, "in one piece:\n%.*s\nin reads of %zu, then %zu:\n%.*s\n",
			WEIR_TEXT_ARGS(whole), rig.first, rig.step, WEIR_TEXT_ARGS(text));
		abort();
	}
	weir_buffer_fini(&out);
}

void h1_cuts(struct h1_rig rig, const char *data, size_t size, size_t first, size_t step)
{
	struct weir_buffer whole = { 0 };
	struct weir_text text;

	rig.first = rig.step = 0;
	h1_rig_read(&rig, data, size, &whole);
	text = (struct weir_text){ weir_buffer_head(&whole), weir_buffer_size(&whole) };
	rig.step = 1;
	check_cut(rig, data, size, text);
	rig.step = step + 1;
	check_cut(rig, data, size, text);
	rig.step = 0;
	rig.first = size ? first % size : 0;
	check_cut(rig, data, size, text);
	weir_buffer_fini(&whole);
}

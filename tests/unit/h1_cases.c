/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/h1_cases.h"

static void read_cut(struct h1_rig rig, struct weir_text in, size_t first, size_t step,
		     struct weir_buffer *out)
{
	rig.first = first;
	rig.step = step;
	h1_rig_read(&rig, in.data, in.size, out);
}

static void assert_same(struct weir_text in, struct weir_text whole, struct weir_buffer *cut,
			size_t place)
{
	struct weir_text text = { weir_buffer_head(cut), weir_buffer_size(cut) };

	if (!weir_text_is_equal(whole, text))
		fail_msg("cut at %zu:\n%.*s\nis not read as\n%.*s\nbut as\n%.*s", place,
			 WEIR_TEXT_ARGS(in), WEIR_TEXT_ARGS(whole), WEIR_TEXT_ARGS(text));
	weir_buffer_fini(cut);
}

struct weir_buffer h1_read_all_ways(const struct h1_rig *rig, struct weir_text in)
{
	struct weir_buffer whole = { 0 }, cut = { 0 };
	size_t stride = in.size / 1000 + 1;
	struct weir_text text;

	read_cut(*rig, in, 0, 0, &whole);
	text = (struct weir_text){ weir_buffer_head(&whole), weir_buffer_size(&whole) };
	read_cut(*rig, in, 0, in.size > 20000 ? 7 : 1, &cut);
	assert_same(in, text, &cut, 0);
	for (size_t place = 1; place < in.size; place += stride) {
		read_cut(*rig, in, place, 0, &cut);
		assert_same(in, text, &cut, place);
	}
	return whole;
}

void h1_assert_transcript(const struct h1_rig *rig, const char *in, const char *expected)
{
	struct weir_buffer out = h1_read_all_ways(rig, weir_text_of(in));

	assert_int_equal(weir_buffer_append(&out, "", 1), 0);
	if (strcmp(weir_buffer_head(&out), expected))
		fail_msg("%s\nis read as\n%s\nnot\n%s", in, weir_buffer_head(&out), expected);
	weir_buffer_fini(&out);
}

void h1_assert_refused(const struct h1_rig *rig, struct weir_text in, unsigned status)
{
	struct weir_buffer out = h1_read_all_ways(rig, in);
	char expected[32];
	const char *refused;

	snprintf(expected, sizeof(expected), "refused %u ", status);
	assert_int_equal(weir_buffer_append(&out, "", 1), 0);
	refused = strstr(weir_buffer_head(&out), expected);
	if (!refused)
		fail_msg("%.*s\nis not refused with %u but read as\n%s", WEIR_TEXT_ARGS(in), status,
			 weir_buffer_head(&out));
	weir_buffer_fini(&out);
}

/* SPDX-License-Identifier: MIT */
/*
 * What the verdict decides: one table of cases, run here by the C compiler's build of
 * bpf/decide.h and in the kernel by the BPF compiler's.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <weir/base.h>

#include "bpf/decide.h"
#include "decide.skel.h"
#include "hold.skel.h"

#define ROOM                                    \
	{                                       \
		.written = 0, .sndbuf = 1 << 20 \
	}

struct named_case {
	const char *name;
	struct weir_decide_case c; /* with the results that are right */
};

static const struct named_case cases[] = {
	/* cut */
	{ "the next bytes", { .next_seq = 100, .seq = 100, .len = 10, .peer = ROOM } },
	{ "an overlap", { .next_seq = 105, .seq = 100, .len = 10, .peer = ROOM, .cut_bytes = 5 } },
	{ "one new byte",
	  { .next_seq = 109, .seq = 100, .len = 10, .peer = ROOM, .cut_bytes = 9 } },
	{ "nothing new",
	  { .next_seq = 110, .seq = 100, .len = 10, .peer = ROOM, .cut = WEIR_CUT_STALE } },
	{ "long gone",
	  { .next_seq = 5000, .seq = 100, .len = 10, .peer = ROOM, .cut = WEIR_CUT_STALE } },
	{ "a gap", { .next_seq = 100, .seq = 101, .len = 10, .peer = ROOM, .cut = WEIR_CUT_GAP } },
	{ "over the top",
	  { .next_seq = 2, .seq = 0xfffffffe, .len = 10, .peer = ROOM, .cut_bytes = 4 } },
	{ "next bytes at the top", { .next_seq = 0, .seq = 0, .len = 1, .peer = ROOM } },
	{ "a gap over the top",
	  { .next_seq = 0xfffffff0, .seq = 3, .len = 4, .peer = ROOM, .cut = WEIR_CUT_GAP } },
	/* gate */
	{ "open",
	  { .len = 1, .want = WEIR_WANT_REDIRECT, .peer = ROOM, .gate = WEIR_GATE_OPEN, .tell = 1 } },
	{ "open after many steps",
	  { .len = 1,
	    .want = WEIR_WANT_REDIRECT,
	    .phase = 77 * WEIR_PHASE_STEP,
	    .in_hand = 1,
	    .peer = ROOM,
	    .gate = WEIR_GATE_OPEN } },
	{ "userspace wants it", { .len = 1, .peer = ROOM, .gate = WEIR_GATE_LEAVING } },
	{ "userspace has the flow",
	  { .len = 1,
	    .want = WEIR_WANT_REDIRECT,
	    .phase = WEIR_PHASE_PASS + 5 * WEIR_PHASE_STEP,
	    .in_hand = 1,
	    .peer = ROOM } },
	{ "userspace has the flow and may sleep",
	  { .len = 1,
	    .want = WEIR_WANT_REDIRECT,
	    .phase = WEIR_PHASE_PASS,
	    .peer = ROOM,
	    .tell = 1 } },
	{ "userspace is about to",
	  { .len = 1, .want = WEIR_WANT_LEAVE, .peer = ROOM, .gate = WEIR_GATE_LEAVING, .tell = 1 } },
	{ "userspace is about to and has begun",
	  { .len = 1,
	    .want = WEIR_WANT_LEAVE,
	    .phase = WEIR_PHASE_PASS,
	    .in_hand = 1,
	    .peer = ROOM } },
	{ "userspace has it for good",
	  { .len = 1, .want = WEIR_WANT_PASS, .phase = WEIR_PHASE_PASS, .peer = ROOM } },
	{ "an unknown wish is to pass",
	  { .len = 1, .want = 3, .peer = ROOM, .gate = WEIR_GATE_LEAVING, .tell = 1 } },
	/* bound */
	{ "just within the limit",
	  { .len = 100,
	    .sent = 900,
	    .limit = 1000,
	    .peer = { .written = 900, .sndbuf = 1 << 20 } } },
	{ "just over the limit",
	  { .len = 101,
	    .sent = 900,
	    .limit = 1000,
	    .peer = { .written = 900, .sndbuf = 1 << 20 },
	    .bound = WEIR_BOUND_INFLIGHT } },
	{ "acknowledged bytes are not in flight",
	  { .len = 1000,
	    .sent = 5000000900,
	    .limit = 1000,
	    .peer = { .acked = 5000000900, .written = 705033604, .sndbuf = 1 << 20 } } },
	/* tcpi_bytes_acked counts the SYN of an active opener */
	{ "one more acknowledged than sent",
	  { .len = 1000, .limit = 1000, .peer = { .acked = 1, .sndbuf = 1 << 20 } } },
	{ "three quarters of the send buffer are just enough",
	  { .len = 100,
	    .sent = 400,
	    .limit = 100000,
	    .peer = { .written = 300, .wmem_queued = 550, .sndbuf = 1000 },
	    .turn = WEIR_TURN_PUT_OFF } },
	{ "the backlog counts into the send buffer",
	  { .len = 100,
	    .sent = 401,
	    .limit = 100000,
	    .peer = { .written = 300, .wmem_queued = 550, .sndbuf = 1000 },
	    .bound = WEIR_BOUND_SNDBUF,
	    .turn = WEIR_TURN_PUT_OFF } },
	{ "all of the send buffer is just enough to put it off",
	  { .len = 100,
	    .sent = 400,
	    .limit = 100000,
	    .peer = { .written = 300, .wmem_queued = 800, .sndbuf = 1000 },
	    .bound = WEIR_BOUND_SNDBUF,
	    .turn = WEIR_TURN_PUT_OFF } },
	{ "and not more",
	  { .len = 100,
	    .sent = 401,
	    .limit = 100000,
	    .peer = { .written = 300, .wmem_queued = 800, .sndbuf = 1000 },
	    .bound = WEIR_BOUND_SNDBUF,
	    .turn = WEIR_TURN_FORCED } },
	{ "written bytes wrap",
	  { .len = 100,
	    .sent = 0x100000010,
	    .limit = 1 << 20,
	    .peer = { .acked = 0x100000000, .written = 0xfffffff0, .wmem_queued = 0, .sndbuf = 176 },
	    .turn = WEIR_TURN_PUT_OFF } },
	{ "written bytes wrap, one too many",
	  { .len = 101,
	    .sent = 0x100000010,
	    .limit = 1 << 20,
	    .peer = { .acked = 0x100000000, .written = 0xfffffff0, .wmem_queued = 0, .sndbuf = 176 },
	    .bound = WEIR_BOUND_SNDBUF,
	    .turn = WEIR_TURN_PUT_OFF } },
	/* put off */
	{ "pending for the destination",
	  { .len = 200,
	    .sent = 900,
	    .limit = 1000,
	    .peer = { .written = 899, .sndbuf = 1 << 20 },
	    .bound = WEIR_BOUND_INFLIGHT,
	    .turn = WEIR_TURN_PUT_OFF } },
	{ "pending for the source",
	  { .len = 200,
	    .sent = 900,
	    .limit = 1000,
	    .peer = { .written = 900, .sndbuf = 1 << 20 },
	    .behind = 1,
	    .bound = WEIR_BOUND_INFLIGHT,
	    .turn = WEIR_TURN_PUT_OFF } },
	{ "nothing pending",
	  { .len = 200,
	    .sent = 900,
	    .limit = 1000,
	    .peer = { .written = 900, .sndbuf = 1 << 20 },
	    .bound = WEIR_BOUND_INFLIGHT } },
	{ "more written than is known to be sent is nothing pending",
	  { .len = 200,
	    .sent = 900,
	    .limit = 1000,
	    .peer = { .written = 901, .sndbuf = 1 << 20 },
	    .bound = WEIR_BOUND_INFLIGHT } },
	{ "put off far over the limit",
	  { .len = 3101,
	    .sent = 900,
	    .limit = 1000,
	    .peer = { .written = 800, .sndbuf = 1 << 20 },
	    .bound = WEIR_BOUND_INFLIGHT,
	    .turn = WEIR_TURN_PUT_OFF } },
	{ "but not beyond the send buffer",
	  { .len = 200,
	    .sent = 900,
	    .limit = 1000,
	    .peer = { .written = 800, .sndbuf = 250 },
	    .bound = WEIR_BOUND_INFLIGHT,
	    .turn = WEIR_TURN_FORCED } },
};

/* Where a case says nothing about a part, that part's result does not matter. */
static int case_differs(const struct named_case *named, const struct weir_decide_case *got)
{
	const struct weir_decide_case *right = &named->c;
	int differs = 0;

	if (right->next_seq || right->seq)
		differs |= got->cut != right->cut || got->cut_bytes != right->cut_bytes;
	if (right->want || right->gate)
		differs |= got->gate != right->gate;
	if (right->want)
		differs |= got->tell != right->tell;
	if (right->limit)
		differs |= got->bound != right->bound || got->turn != right->turn;
	if (differs)
		print_error("%s: cut %u (%u bytes), gate %u, tell %u, bound %u, turn %u\n",
			    named->name, got->cut, got->cut_bytes, got->gate, got->tell, got->bound,
			    got->turn);
	return differs;
}

static void test_table_here(void **state)
{
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		struct weir_decide_case c = cases[i].c;

		weir_decide_run(&c);
		wrong += case_differs(&cases[i], &c);
	}
	assert_int_equal(wrong, 0);
}

static int run_in_kernel(int prog, struct weir_decide_case *c)
{
	/* The kernel copies what a syscall program changed back to ctx_in. */
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = c, .ctx_size_in = sizeof(*c));

	return bpf_prog_test_run_opts(prog, &opts);
}

static void test_table_in_the_kernel(void **state)
{
	struct decide_bpf *decide;
	int wrong = 0;

	(void)state;
	libbpf_set_print(NULL);
	decide = decide_bpf__open_and_load();
	if (!decide) {
		print_message("needs %s: the program does not load\n", geteuid() ? "root" : "bpf");
		skip();
	}
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		struct weir_decide_case c = cases[i].c;

		c.cut = c.cut_bytes = c.gate = c.tell = c.bound = c.turn = 99;
		assert_int_equal(run_in_kernel(bpf_program__fd(decide->progs.weir_decide), &c), 0);
		wrong += case_differs(&cases[i], &c);
	}
	decide_bpf__destroy(decide);
	assert_int_equal(wrong, 0);
}

/* ---- the hold filter: what it keeps away from a socket, run on segments ---- */

#define ETHER_BYTES  14u /* a test run takes a whole frame and pulls this */
#define SEGMENT_MOST 128u
#define FLAG_FIN     0x01
#define FLAG_RST     0x04
#define FLAG_ACK     0x10

struct held_case {
	const char *name;
	uint8_t words; /* of the TCP header */
	uint8_t flags;
	unsigned payload; /* bytes */
	unsigned cut;	  /* bytes that are missing at its end */
	bool passes;
};

static const struct held_case held_cases[] = {
	{ "an acknowledgement", 5, FLAG_ACK, 0, 0, true },
	{ "one with options", 15, FLAG_ACK, 0, 0, true },
	{ "a reset", 5, FLAG_RST, 0, 0, true },
	{ "a reset that acknowledges", 5, FLAG_RST | FLAG_ACK, 0, 0, true },
	{ "a byte", 5, FLAG_ACK, 1, 0, false },
	{ "a byte after options", 8, FLAG_ACK, 1, 0, false },
	{ "many bytes", 5, FLAG_ACK, 60, 0, false },
	{ "an end", 5, FLAG_ACK | FLAG_FIN, 0, 0, false },
	{ "an end with data", 5, FLAG_ACK | FLAG_FIN, 10, 0, false },
	{ "too short for a header", 5, FLAG_ACK, 0, 8, false },
};

static bool held_passes(int prog, const struct held_case *c)
{
	uint8_t frame[ETHER_BYTES + SEGMENT_MOST] = { 0 };
	uint8_t *tcp = frame + ETHER_BYTES;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame,
		    .data_size_in = ETHER_BYTES + c->words * 4u + c->payload - c->cut);

	tcp[12] = (uint8_t)(c->words << 4);
	tcp[13] = c->flags;
	assert_int_equal(bpf_prog_test_run_opts(prog, &opts), 0);
	return opts.retval != 0;
}

static void test_hold_in_the_kernel(void **state)
{
	struct hold_bpf *hold;
	int wrong = 0;

	(void)state;
	libbpf_set_print(NULL);
	hold = hold_bpf__open_and_load();
	if (!hold) {
		print_message("needs %s: the program does not load\n", geteuid() ? "root" : "bpf");
		skip();
	}
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(held_cases); i++) {
		const struct held_case *c = &held_cases[i];
		bool passes = held_passes(bpf_program__fd(hold->progs.weir_hold), c);

		if (passes != c->passes)
			print_error("%s: %s\n", c->name, passes ? "passes" : "is held");
		wrong += passes != c->passes;
	}
	hold_bpf__destroy(hold);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_here),
		cmocka_unit_test(test_table_in_the_kernel),
		cmocka_unit_test(test_hold_in_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * Every program loads, and costs the verifier little. How much it walks through depends on the
 * compiler: a loop whose states it can tell apart may cost a thousand instructions with one
 * version and more than the million that it takes with the next.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "decide.skel.h"
#include "hold.skel.h"
#include "verdict.skel.h"

#define WALKED_MAX 10000u

static void need_kernel(void)
{
	if (geteuid() || access("/sys/kernel/btf/vmlinux", R_OK)) {
		print_message("needs %s: to load programs\n", geteuid() ? "root" : "bpf");
		skip();
	}
}

/* OBJECT is NULL when it did not load. */
static void check_walked(struct bpf_object *object)
{
	struct bpf_program *program;

	assert_non_null(object);
	bpf_object__for_each_program(program, object) {
		struct bpf_prog_info info = { 0 };
		uint32_t size = sizeof(info);
		int fd = bpf_program__fd(program);

		assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &size), 0);
		if (info.verified_insns > WALKED_MAX)
			print_error("the verifier walks through %u instructions of %s\n",
				    info.verified_insns, bpf_program__name(program));
		assert_in_range(info.verified_insns, 1, WALKED_MAX);
	}
}

static void test_verdict_loads(void **state)
{
	struct verdict_bpf *verdict;

	(void)state;
	need_kernel();
	verdict = verdict_bpf__open_and_load();
	check_walked(verdict ? verdict->obj : NULL);
	verdict_bpf__destroy(verdict);
}

static void test_hold_loads(void **state)
{
	struct hold_bpf *hold;

	(void)state;
	need_kernel();
	hold = hold_bpf__open_and_load();
	check_walked(hold ? hold->obj : NULL);
	hold_bpf__destroy(hold);
}

static void test_decide_loads(void **state)
{
	struct decide_bpf *decide;

	(void)state;
	need_kernel();
	decide = decide_bpf__open_and_load();
	check_walked(decide ? decide->obj : NULL);
	decide_bpf__destroy(decide);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdict_loads),
		cmocka_unit_test(test_hold_loads),
		cmocka_unit_test(test_decide_loads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

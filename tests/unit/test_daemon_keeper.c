/* SPDX-License-Identifier: MIT */

/* The keeper's parts that need no process: messages with descriptors, and what is held. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/keeper/held.h"
#include "daemon/keeper/wire.h"

static int pair_open(void **state)
{
	int *pair = malloc(2 * sizeof(int));

	*state = pair;
	return pair == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int pair_close(void **state)
{
	int *pair = *state;

	close(pair[0]);
	close(pair[1]);
	free(pair);
	return 0;
}

static bool is_open(int fd)
{
	return write(fd, "", 0) == 0 || errno != EBADF;
}

/* As many as a message can have. */
static void test_entries_and_descriptors(void **state)
{
	int *pair = *state, fds[WIRE_ENTRIES * WIRE_FDS], pipes[2];
	struct wire_message message = { .kind = WIRE_HOLD, .count = WIRE_ENTRIES };
	unsigned n_fds;

	assert_int_equal(pipe(pipes), 0);
	for (unsigned i = 0; i < WIRE_ENTRIES; i++) {
		message.entries[i] =
			(struct wire_entry){ .key = i, .what = WIRE_FLOW, .tag = 2 * i };
		fds[2 * i] = pipes[0];
		fds[2 * i + 1] = pipes[1];
	}
	assert_int_equal(wire_send(pair[0], &message, fds, 2 * WIRE_ENTRIES), 0);
	memset(&message, 0, sizeof(message));
	assert_int_equal(wire_recv(pair[1], &message, fds, &n_fds), 0);
	assert_int_equal(message.kind, WIRE_HOLD);
	assert_int_equal(message.count, WIRE_ENTRIES);
	assert_int_equal(n_fds, 2 * WIRE_ENTRIES);
	assert_int_equal(message.entries[63].key, 63);
	assert_int_equal(message.entries[63].tag, 126);
	assert_int_equal(write(fds[127], "x", 1), 1);
	while (n_fds > 0)
		close(fds[--n_fds]);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_texts(void **state)
{
	int *pair = *state, fds[WIRE_ENTRIES * WIRE_FDS];
	char *longer = malloc(WIRE_TEXT + 100);
	struct wire_message message;
	unsigned n_fds;

	memset(longer, 'a', WIRE_TEXT + 99);
	longer[WIRE_TEXT + 99] = '\0';
	assert_int_equal(wire_send_text(pair[0], WIRE_FAILED, "why"), 0);
	assert_int_equal(wire_send_text(pair[0], WIRE_NOTIFY, longer), 0);
	assert_int_equal(wire_send_text(pair[0], WIRE_DIED, ""), 0);
	assert_int_equal(wire_recv(pair[1], &message, fds, &n_fds), 0);
	assert_string_equal(message.text, "why");
	assert_int_equal(wire_recv(pair[1], &message, fds, &n_fds), 0);
	assert_int_equal(strlen(message.text), WIRE_TEXT);
	assert_int_equal(wire_recv(pair[1], &message, fds, &n_fds), 0);
	assert_string_equal(message.text, "");
	free(longer);
}

static void test_ends(void **state)
{
	int *pair = *state, fds[WIRE_ENTRIES * WIRE_FDS];
	struct wire_message message;
	unsigned n_fds;

	assert_int_equal(wire_recv(pair[1], &message, fds, &n_fds), -EAGAIN);
	assert_int_equal(wire_send_plain(pair[0], WIRE_ALL, 7), 0);
	close(pair[0]);
	pair[0] = -1;
	assert_int_equal(wire_recv(pair[1], &message, fds, &n_fds), 0);
	assert_int_equal(message.count, 7);
	assert_int_equal(wire_recv(pair[1], &message, fds, &n_fds), -EPIPE);
	assert_int_equal(wire_send_plain(pair[1], WIRE_READY, 0), -EPIPE);
}

/* Nothing of a bad message is received, and its descriptors are closed. */
static void test_bad_messages(void **state)
{
	static const struct {
		const char *name;
		uint32_t kind, count;
		size_t size; /* on the wire */
		unsigned n_fds;
	} cases[] = {
		{ "nothing but a descriptor", WIRE_READY, 0, 0, 1 },
		{ "half a head", WIRE_READY, 0, 4, 0 },
		{ "too many entries", WIRE_DROP, WIRE_ENTRIES + 1, sizeof(struct wire_message), 0 },
		{ "fewer entries than said", WIRE_DROP, 2, 8 + 16, 0 },
		{ "more than said", WIRE_DROP, 1, 8 + 32, 0 },
		{ "a text that is too long", WIRE_FAILED, WIRE_TEXT + 1, 8 + WIRE_TEXT + 1, 0 },
		{ "a text that is cut", WIRE_FAILED, 10, 8 + 9, 0 },
		{ "no descriptor beside an entry", WIRE_HOLD, 1, 8 + 16, 0 },
		{ "too many of them", WIRE_HOLD, 1, 8 + 16, 2 },
		{ "some where none belongs", WIRE_DROP, 1, 8 + 16, 1 },
		{ "bytes after a plain word", WIRE_READY, 0, 8 + 1, 0 },
	};
	int *pair = *state, fds[WIRE_ENTRIES * WIRE_FDS];

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		struct wire_message message = { .kind = cases[i].kind, .count = cases[i].count };
		struct iovec iov = { &message, cases[i].size };
		union {
			struct cmsghdr align;
			char bytes[CMSG_SPACE(2 * sizeof(int))];
		} control = { .bytes = { 0 } };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		unsigned n_fds = 1;

		message.entries[0].what = WIRE_LISTENER;
		if (cases[i].kind == WIRE_FAILED)
			memset(message.text, 'a', sizeof(message.text));
		if (cases[i].n_fds > 0) {
			msg.msg_control = control.bytes;
			msg.msg_controllen = CMSG_SPACE(cases[i].n_fds * sizeof(int));
			control.align.cmsg_level = SOL_SOCKET;
			control.align.cmsg_type = SCM_RIGHTS;
			control.align.cmsg_len = CMSG_LEN(cases[i].n_fds * sizeof(int));
			memcpy(CMSG_DATA(&control.align), (int[]){ 0, 0 },
			       cases[i].n_fds * sizeof(int));
		}
		assert_true(sendmsg(pair[0], &msg, 0) >= 0);
		if (wire_recv(pair[1], &message, fds, &n_fds) != -EPROTO)
			fail_msg("%s: it was taken", cases[i].name);
		assert_int_equal(n_fds, 0);
	}
}

/* ---- what is held ------------------------------------------------------------------------- */

static struct held *hold(struct holding *holding, uint64_t key, uint32_t what, unsigned owner)
{
	const struct wire_entry entry = { .key = key, .what = what };
	int fds[WIRE_FDS] = { dup(0), what == WIRE_FLOW ? dup(0) : -1 };

	return holding_add(holding, &entry, fds, owner);
}

static size_t length(const struct weir_list *list)
{
	size_t n = 0;

	for (const struct weir_list *link = list->next; link != list; link = link->next)
		n++;
	return n;
}

static void test_holding(void **state)
{
	struct holding *holding = malloc(sizeof(*holding));
	const struct wire_entry flow = { .key = 5, .what = WIRE_FLOW };
	struct held *held;
	int fd;

	(void)state;
	holding_init(holding);
	assert_non_null(hold(holding, 5, WIRE_LISTENER, 1));
	assert_null(holding_find(holding, &flow));
	held = hold(holding, 5, WIRE_FLOW, 1);
	assert_ptr_equal(holding_find(holding, &flow), held);
	assert_int_equal(length(&holding->shared), 1);
	assert_int_equal(length(&holding->taken), 1);

	/* The same again replaces it. */
	fd = held->fds[1];
	held = hold(holding, 5, WIRE_FLOW, 2);
	assert_int_equal(length(&holding->taken), 1);
	assert_true(held->fds[0] == fd || held->fds[1] == fd || !is_open(fd));

	fd = held->fds[0];
	holding_del(held);
	assert_false(is_open(fd));
	assert_null(holding_find(holding, &flow));
	holding_fini(holding);
	assert_int_equal(length(&holding->shared), 0);
	free(holding);
}

/* A daemon that is started meanwhile is on its way through the list. */
static void test_replaced_in_its_place(void **state)
{
	struct holding *holding = malloc(sizeof(*holding));
	struct held *first, *second;
	int fd;

	(void)state;
	holding_init(holding);
	first = hold(holding, 5, WIRE_LISTENER, 0);
	second = hold(holding, 6, WIRE_LISTENER, 0);
	fd = first->fds[0];
	assert_ptr_equal(hold(holding, 5, WIRE_LISTENER, 2), first);
	assert_true(first->fds[0] != fd && !is_open(fd));
	assert_ptr_equal(holding->shared.next, &first->link);
	assert_ptr_equal(first->link.next, &second->link);
	holding_fini(holding);
	free(holding);
}

static void test_orphans(void **state)
{
	struct holding *holding = malloc(sizeof(*holding));

	(void)state;
	holding_init(holding);
	for (uint64_t key = 1; key <= 10; key++)
		assert_non_null(hold(holding, key, WIRE_FLOW, key % 2 ? 1 : 2));
	assert_non_null(hold(holding, 99, WIRE_MAP, 1));
	assert_int_equal(holding_orphan(holding, 1), 5);
	assert_int_equal(holding_orphan(holding, 1), 0);
	assert_int_equal(length(&holding->free), 5);
	assert_int_equal(length(&holding->taken), 5);
	assert_int_equal(length(&holding->shared), 1);
	holding_give(holding, weir_container_of(holding->free.next, struct held, link), 3);
	assert_int_equal(length(&holding->free), 4);
	holding_fini(holding);
	free(holding);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_entries_and_descriptors, pair_open,
						pair_close),
		cmocka_unit_test_setup_teardown(test_texts, pair_open, pair_close),
		cmocka_unit_test_setup_teardown(test_ends, pair_open, pair_close),
		cmocka_unit_test_setup_teardown(test_bad_messages, pair_open, pair_close),
		cmocka_unit_test(test_holding),
		cmocka_unit_test(test_replaced_in_its_place),
		cmocka_unit_test(test_orphans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
#include "tests/bpf/ledger.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "ledger.skel.h"

#define WAIT_STEPS 300 /* milliseconds: the kernel frees them after a grace period */

static struct ledger_bpf *ledger;

int ledger_open(void)
{
	struct ledger_bpf *made;

	if (ledger)
		return 0;
	libbpf_set_print(NULL);
	made = ledger_bpf__open_and_load();
	if (!made)
		return -errno;
	if (ledger_bpf__attach(made)) {
		ledger_bpf__destroy(made);
		return -ENOTSUP;
	}
	ledger = made;
	return 0;
}

void ledger_watch(int fd)
{
	uint64_t cookie, none = 0;
	socklen_t size = sizeof(cookie);

	if (!ledger || getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size))
		return;
	bpf_map_update_elem(bpf_map__fd(ledger->maps.ledger_ours), &cookie, &none, BPF_ANY);
}

unsigned long ledger_gone(void)
{
	return ledger ? __atomic_load_n(&ledger->bss->ledger_gone, __ATOMIC_ACQUIRE) : 0;
}

static void ledger_wait(void)
{
	const struct timespec step = { .tv_nsec = 1000000 };
	uint64_t cookie;

	for (int i = 0; i < WAIT_STEPS; i++) {
		if (bpf_map_get_next_key(bpf_map__fd(ledger->maps.ledger_ours), NULL, &cookie))
			return;
		nanosleep(&step, NULL);
	}
}

int ledger_uneven(void)
{
	static uint64_t told;
	uint64_t uneven;
	int more;

	if (!ledger)
		return 0;
	ledger_wait();
	uneven = __atomic_load_n(&ledger->bss->ledger_uneven, __ATOMIC_ACQUIRE);
	more = (int)(uneven - told);
	told = uneven;
	if (more)
		fprintf(stderr,
			"ledger: %d sockets with a rest; the last: forward %d, received %d, "
			"queued %d, being sent %d\n",
			more, ledger->bss->ledger_rest[0], ledger->bss->ledger_rest[1],
			ledger->bss->ledger_rest[2], ledger->bss->ledger_rest[3]);
	return more;
}

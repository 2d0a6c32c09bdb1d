/* SPDX-License-Identifier: MIT */
/*
 * Slots and event rings: shared by the workers of this process and by other processes that use
 * the same pinned maps (an old daemon that drains, a new one that starts). Whoever writes its
 * process id into a free one, atomically, has it.
 */

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "offload/kernel.h"

/* One that has ended and that nobody has waited for is gone as well. */
static bool process_is_gone(pid_t pid)
{
	struct pollfd ended = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	bool gone;

	if (ended.fd < 0)
		return errno == ESRCH;
	gone = poll(&ended, 1, 0) == 1;
	close(ended.fd);
	return gone;
}

static bool owner_is_gone(const struct weir_kernel *kernel, uint32_t owner)
{
	/* A container's daemon may have the same id after each start. */
	if (owner == kernel->pid)
		return true;
	return process_is_gone((pid_t)owner);
}

/* Another worker or process may be taking or giving back at this moment. */
static uint32_t owner_get(const uint32_t *owner)
{
	return __atomic_load_n(owner, __ATOMIC_RELAXED);
}

/* What was cleared before is seen by whoever takes it next. */
static void owner_clear(uint32_t *owner)
{
	__atomic_store_n(owner, 0, __ATOMIC_RELEASE);
}

static bool owner_swap(uint32_t *owner, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(owner, &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_RELAXED);
}

int slot_take(struct weir_kernel *kernel)
{
	if (atomic_load_explicit(&kernel->taken, memory_order_relaxed) >= kernel->n_slots)
		return -ENOSPC;
	for (uint32_t i = 0; i < kernel->n_slots; i++) {
		uint32_t at = atomic_fetch_add_explicit(&kernel->cursor, 1, memory_order_relaxed);
		struct weir_slot *slot = &kernel->slots[at % kernel->n_slots];

		if (owner_get(&slot->owner) || !owner_swap(&slot->owner, 0, kernel->pid))
			continue;
		atomic_fetch_add_explicit(&kernel->taken, 1, memory_order_relaxed);
		return (int)(at % kernel->n_slots);
	}
	return -ENOSPC;
}

void slot_adopt(struct weir_kernel *kernel, uint32_t index)
{
	__atomic_store_n(&kernel->slots[index].owner, kernel->pid, __ATOMIC_RELEASE);
	atomic_fetch_add_explicit(&kernel->taken, 1, memory_order_relaxed);
}

void slot_leave(struct weir_kernel *kernel)
{
	atomic_fetch_sub_explicit(&kernel->taken, 1, memory_order_relaxed);
}

static void slot_clear(struct weir_slot *slot)
{
	memset(slot, 0, offsetof(struct weir_slot, owner));
	slot->other = 0;
	slot->before = 0;
	slot->tx_before = 0;
	owner_clear(&slot->owner);
}

void slot_put(struct weir_kernel *kernel, uint32_t index)
{
	slot_clear(&kernel->slots[index]);
	atomic_fetch_sub_explicit(&kernel->taken, 1, memory_order_relaxed);
}

/* ------------------------------------------------------------------------------------------
 * What others have left
 */

/* A record is made before its socket is in the map and goes after it: while its process lives it
 * is that one's business. */
static bool record_is_owned(const struct weir_kernel *kernel, const struct weir_flow *flow)
{
	uint32_t owner = flow->slot < kernel->n_slots ? owner_get(&kernel->slots[flow->slot].owner)
						      : 0;

	return owner && !owner_is_gone(kernel, owner);
}

/* Removes records whose socket is no longer in the map; marks the slots of the rest in KEPT. */
static void records_sweep(struct weir_kernel *kernel, unsigned char *kept)
{
	uint64_t key = 0, next = 0, cookie;
	struct weir_flow flow;
	bool more = bpf_map_get_next_key(kernel->flows, NULL, &next) == 0;

	while (more) {
		key = next;
		/* The successor first: a deleted key has none. */
		more = bpf_map_get_next_key(kernel->flows, &key, &next) == 0;
		if (bpf_map_lookup_elem(kernel->flows, &key, &flow))
			continue;
		if (!record_is_owned(kernel, &flow) &&
		    bpf_map_lookup_elem(kernel->socks, &key, &cookie) && errno == ENOENT)
			bpf_map_delete_elem(kernel->flows, &key);
		else if (flow.slot < kernel->n_slots)
			kept[flow.slot] = 1;
	}
}

void slots_sweep(struct weir_kernel *kernel)
{
	unsigned char *kept = calloc(kernel->n_slots, 1);

	if (!kept)
		return; /* they are found at the next start */
	records_sweep(kernel, kept);
	for (uint32_t i = 0; i < kernel->n_slots; i++) {
		struct weir_slot *slot = &kernel->slots[i];

		uint32_t owner = owner_get(&slot->owner);

		if (owner && !kept[i] && owner_is_gone(kernel, owner))
			slot_clear(slot);
	}
	for (uint32_t i = 0; i < WEIR_RINGS; i++) {
		uint32_t owner = owner_get(&kernel->rings[i].owner);

		if (owner && owner_is_gone(kernel, owner))
			owner_clear(&kernel->rings[i].owner);
	}
	free(kept);
}

/* ------------------------------------------------------------------------------------------
 * Rings
 */

bool kernel_is_shared(const struct weir_kernel *kernel)
{
	for (uint32_t i = 0; kernel->rings && i < WEIR_RINGS; i++) {
		uint32_t owner = owner_get(&kernel->rings[i].owner);

		if (owner && !owner_is_gone(kernel, owner))
			return true;
	}
	/* Without having looked: not when they were there before. */
	return !kernel->rings && !kernel->fresh;
}

int ring_take(struct weir_kernel *kernel, int *fd)
{
	uint32_t index = 0;
	int status;

	while (index < WEIR_RINGS && !owner_swap(&kernel->rings[index].owner, 0, kernel->pid))
		index++;
	if (index == WEIR_RINGS)
		return -ENOSPC;
	kernel->rings[index].lost = 0;
	*fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "weir_ring", 0, 0, WEIR_RING_BYTES, NULL);
	if (*fd < 0) {
		status = -errno;
		goto err_create;
	}
	if (bpf_map_update_elem(kernel->events, &index, fd, BPF_ANY)) {
		status = -errno;
		goto err_update;
	}
	return (int)index;

err_update:
	close(*fd);
err_create:
	owner_clear(&kernel->rings[index].owner);
	return status;
}

void ring_put(struct weir_kernel *kernel, int index)
{
	uint32_t key = (uint32_t)index;

	bpf_map_delete_elem(kernel->events, &key);
	owner_clear(&kernel->rings[index].owner);
}

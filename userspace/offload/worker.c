/* SPDX-License-Identifier: MIT */
/*
 * A worker's share: the reader of its event ring, and what is retired.
 *
 * Records and slots of ended flows are given back a moment later. The verdict may be looking at
 * them on another CPU right now, and a record that is used again for another flow in this moment
 * would send bytes to a stranger.
 */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "offload/carry.h"

#define RETIRE_MS 250

struct retired {
	struct weir_list link;
	uint64_t due_ns;
	uint64_t cookie;
	uint32_t index;
};

/* ------------------------------------------------------------------------------------------
 * Events
 */

static int worker_on_event(void *ctx, void *data, size_t size)
{
	struct weir_offload_worker *worker = ctx;
	const struct weir_kernel_event *event = data;
	struct lane *lane;

	if (size < sizeof(*event) || event->slot >= worker->kernel->n_slots)
		return 0;
	lane = worker->kernel->lanes[event->slot];
	if (lane && lane->cookie == event->cookie)
		weir_task_wake(lane->carry->bridge->task);
	return 0;
}

/* Events were lost: look at every lane. */
static void worker_wake_all(struct weir_offload_worker *worker)
{
	for (struct weir_list *link = worker->carries.next; link != &worker->carries;
	     link = link->next) {
		struct carry *carry = weir_container_of(link, struct carry, link);

		weir_task_wake(carry->bridge->task);
	}
}

/* A full ring has events in it, so that its reader comes, and sees here what it missed. */
static void worker_on_ring(uv_poll_t *poll, int status, int events)
{
	struct weir_offload_worker *worker = poll->data;
	uint32_t lost;

	(void)status;
	(void)events;
	ring_buffer__consume(worker->ring_reader);
	lost = __atomic_load_n(&worker->kernel->rings[worker->ring].lost, __ATOMIC_ACQUIRE);
	if (lost == worker->ring_lost)
		return;
	worker->ring_lost = lost;
	carry_count(worker, events_lost);
	worker_wake_all(worker);
}

void worker_add(struct weir_offload_worker *worker, struct carry *carry)
{
	if (weir_list_is_empty(&worker->carries))
		uv_ref((uv_handle_t *)worker->ring_poll);
	weir_list_add_tail(&worker->carries, &carry->link);
}

void worker_del(struct weir_offload_worker *worker, struct carry *carry)
{
	weir_list_del(&carry->link);
	if (weir_list_is_empty(&worker->carries))
		uv_unref((uv_handle_t *)worker->ring_poll);
}

/* ------------------------------------------------------------------------------------------
 * Retirement
 */

static void retired_release(struct weir_offload_worker *worker, struct retired *retired)
{
	struct weir_flow flow;

	/* A flow that was handed over again in the meantime has a new record. */
	if (!bpf_map_lookup_elem(worker->kernel->flows, &retired->cookie, &flow) &&
	    flow.slot == retired->index)
		bpf_map_delete_elem(worker->kernel->flows, &retired->cookie);
	slot_put(worker->kernel, retired->index);
	weir_list_del(&retired->link);
	free(retired);
}

static void worker_release_due(struct weir_offload_worker *worker, uint64_t now)
{
	while (!weir_list_is_empty(&worker->retired)) {
		struct retired *retired =
			weir_container_of(worker->retired.next, struct retired, link);

		if (retired->due_ns > now)
			break;
		retired_release(worker, retired);
	}
}

static void worker_on_retire(uv_timer_t *timer)
{
	struct weir_offload_worker *worker = timer->data;

	worker_release_due(worker, weir_now());
	if (!weir_list_is_empty(&worker->retired))
		uv_timer_start(timer, worker_on_retire, RETIRE_MS, 0);
}

void worker_retire(struct weir_offload_worker *worker, uint32_t index, uint64_t cookie)
{
	struct retired *retired = malloc(sizeof(*retired));

	if (!retired)
		return; /* the slot stays taken until the next start sweeps it */
	*retired = (struct retired){
		.due_ns = weir_now() + RETIRE_MS * 1000000ull,
		.cookie = cookie,
		.index = index,
	};
	weir_list_add_tail(&worker->retired, &retired->link);
	if (!uv_is_active((uv_handle_t *)worker->retire_timer))
		uv_timer_start(worker->retire_timer, worker_on_retire, RETIRE_MS, 0);
}

/* ------------------------------------------------------------------------------------------
 * Life
 */

static void handle_on_close(uv_handle_t *handle)
{
	free(handle);
}

static int worker_open_ring(struct weir_offload_worker *worker)
{
	worker->ring = ring_take(worker->kernel, &worker->ring_fd);
	if (worker->ring < 0)
		return worker->ring;
	worker->ring_reader = ring_buffer__new(worker->ring_fd, worker_on_event, worker, NULL);
	if (worker->ring_reader)
		return 0;
	ring_put(worker->kernel, worker->ring);
	close(worker->ring_fd);
	return -ENOMEM;
}

static void worker_close_ring(struct weir_offload_worker *worker)
{
	ring_buffer__free(worker->ring_reader);
	ring_put(worker->kernel, worker->ring);
	close(worker->ring_fd);
}

static int worker_open_handles(struct weir_offload_worker *worker)
{
	uv_loop_t *uv = weir_loop_uv(worker->loop);

	worker->ring_poll = calloc(1, sizeof(*worker->ring_poll));
	worker->retire_timer = calloc(1, sizeof(*worker->retire_timer));
	if (!worker->ring_poll || !worker->retire_timer)
		goto err_memory;
	if (uv_poll_init(uv, worker->ring_poll, ring_buffer__epoll_fd(worker->ring_reader)))
		goto err_memory;
	uv_timer_init(uv, worker->retire_timer);
	worker->ring_poll->data = worker;
	worker->retire_timer->data = worker;
	uv_poll_start(worker->ring_poll, UV_READABLE, worker_on_ring);
	/* libuv adds a new descriptor to its epoll when it next runs, and runs while something is
	 * alive: so now, and then only while there are flows. */
	uv_run(uv, UV_RUN_NOWAIT);
	uv_unref((uv_handle_t *)worker->ring_poll);
	return 0;

err_memory:
	free(worker->ring_poll);
	free(worker->retire_timer);
	return -ENOMEM;
}

struct weir_offload *weir_offload_new(struct weir_kernel *kernel, struct weir_loop *loop)
{
	struct weir_offload_worker *worker;

	if (!kernel || !kernel->usable)
		return NULL;
	worker = calloc(1, sizeof(*worker));
	if (!worker)
		return NULL;
	worker->offload.ops = &carry_ops;
	worker->kernel = kernel;
	worker->loop = loop;
	weir_list_init(&worker->carries);
	weir_list_init(&worker->retired);
	if (worker_open_ring(worker))
		goto err_ring;
	if (worker_open_handles(worker))
		goto err_handles;
	return &worker->offload;

err_handles:
	worker_close_ring(worker);
err_ring:
	free(worker);
	return NULL;
}

void weir_offload_free(struct weir_offload *offload)
{
	struct weir_offload_worker *worker;

	if (!offload)
		return;
	worker = weir_container_of(offload, struct weir_offload_worker, offload);
	worker_release_due(worker, UINT64_MAX);
	uv_close((uv_handle_t *)worker->ring_poll, handle_on_close);
	uv_close((uv_handle_t *)worker->retire_timer, handle_on_close);
	worker_close_ring(worker);
	free(worker);
}

void weir_offload_set_keeper(struct weir_offload *offload, const struct weir_offload_keeper *keeper)
{
	weir_container_of(offload, struct weir_offload_worker, offload)->keeper = *keeper;
}

void weir_offload_release(struct weir_offload *offload)
{
	struct weir_offload_worker *worker =
		weir_container_of(offload, struct weir_offload_worker, offload);

	worker->releasing = true;
	worker_wake_all(worker);
}

void weir_offload_read_counts(const struct weir_offload *offload,
			      struct weir_offload_counts *counts)
{
	const struct weir_offload_worker *worker =
		weir_container_of(offload, struct weir_offload_worker, offload);
	uint64_t *out = (uint64_t *)counts;

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(worker->counts); i++)
		out[i] = atomic_load_explicit(&worker->counts[i], memory_order_relaxed);
}

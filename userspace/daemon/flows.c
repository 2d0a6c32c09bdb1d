/* SPDX-License-Identifier: MIT */
/*
 * Flows of all workers: each copies its own into a list, control joins the lists.
 */

#include "daemon/flows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/bridge.h>

struct flow_list {
	struct weir_flow_info *flows;
	size_t n;
	size_t capacity;
	unsigned worker;
	uint64_t now;
	bool failed;
};

static struct weir_flow_info *list_add(struct flow_list *list)
{
	size_t capacity = list->capacity != 0 ? 2 * list->capacity : 64;
	struct weir_flow_info *flows;

	if (list->n < list->capacity)
		return &list->flows[list->n++];
	flows = reallocarray(list->flows, capacity, sizeof(*flows));
	if (flows == NULL) {
		list->failed = true;
		return NULL;
	}
	list->flows = flows;
	list->capacity = capacity;
	return &list->flows[list->n++];
}

static uint64_t since_ms(uint64_t now, uint64_t then)
{
	return now > then ? (now - then) / 1000000 : 0;
}

static void add_flow(void *ctx, struct weir_bridge *bridge)
{
	struct flow_list *list = ctx;
	struct weir_flow_info *flow = list_add(list);

	if (flow == NULL)
		return;
	*flow = (struct weir_flow_info){
		.id = bridge->id,
		.path = bridge->path,
		.why = bridge->why,
		.bytes_up = bridge->way[WEIR_UP].bytes,
		.bytes_down = bridge->way[WEIR_DOWN].bytes,
		.age_ms = since_ms(list->now, bridge->started_ns),
		.idle_ms = since_ms(list->now, bridge->active_ns),
		.switches = bridge->switches,
		.spills = bridge->spills,
		.worker = list->worker,
	};
	snprintf(flow->listener, sizeof(flow->listener), "%s",
		 bridge->listener != NULL ? bridge->listener : "");
	snprintf(flow->upstream, sizeof(flow->upstream), "%s",
		 bridge->upstream != NULL ? bridge->upstream : "");
	weir_address_format(weir_stream_peer(bridge->stream[0]), flow->client);
	weir_address_format(weir_stream_peer(bridge->stream[1]), flow->endpoint);
}

static void worker_on_flows(struct worker *worker, void *slot)
{
	struct flow_list *list = slot;

	list->worker = worker->index;
	list->now = weir_now();
	weir_flow_each(worker->loop, add_flow, list);
}

static int by_id(const void *a, const void *b)
{
	const struct weir_flow_info *one = a, *other = b;

	return (one->id > other->id) - (one->id < other->id);
}

static int join(const struct flow_list *lists, unsigned n_lists, struct weir_flow_info **flows,
		size_t *n)
{
	size_t total = 0;
	unsigned i;

	for (i = 0; i < n_lists; i++) {
		if (lists[i].failed)
			return -ENOMEM;
		total += lists[i].n;
	}
	*flows = calloc(total + 1, sizeof(**flows));
	if (*flows == NULL)
		return -ENOMEM;
	*n = 0;
	for (i = 0; i < n_lists; i++) {
		if (lists[i].n > 0)
			memcpy(*flows + *n, lists[i].flows, lists[i].n * sizeof(**flows));
		*n += lists[i].n;
	}
	qsort(*flows, *n, sizeof(**flows), by_id);
	return 0;
}

int weir_daemon_flows(struct weir_daemon *daemon, struct weir_flow_info **flows, size_t *n)
{
	struct flow_list *lists = calloc(daemon->n_workers, sizeof(*lists));
	unsigned i;
	int status;

	if (lists == NULL)
		return -ENOMEM;
	status = daemon_call_workers(daemon, worker_on_flows, lists, sizeof(*lists));
	if (status == 0)
		status = join(lists, daemon->n_workers, flows, n);
	for (i = 0; i < daemon->n_workers; i++)
		free(lists[i].flows);
	free(lists);
	return status;
}

/* ---- orders ------------------------------------------------------------------------------- */

struct order {
	uint64_t id;
	bool close;
	enum weir_path path;
	int status; /* -ENOENT: not on this worker */
};

static void worker_on_order(struct worker *worker, void *slot)
{
	struct order *order = slot;
	struct weir_bridge *flow = weir_flow_find(worker->loop, order->id);

	if (flow == NULL) {
		order->status = -ENOENT;
	} else if (order->close) {
		weir_flow_end(flow, WEIR_END_ADMIN);
		order->status = 0;
	} else {
		order->status = weir_flow_set_path(flow, order->path);
	}
}

static int give(struct weir_daemon *daemon, const struct order *order)
{
	struct order *slots = calloc(daemon->n_workers, sizeof(*slots));
	int status = -ENOENT;
	unsigned i;

	if (slots == NULL)
		return -ENOMEM;
	for (i = 0; i < daemon->n_workers; i++)
		slots[i] = *order;
	if (daemon_call_workers(daemon, worker_on_order, slots, sizeof(*slots)) < 0)
		status = -ENOMEM;
	for (i = 0; i < daemon->n_workers && status == -ENOENT; i++)
		status = slots[i].status;
	free(slots);
	return status;
}

int flow_order_close(struct weir_daemon *daemon, uint64_t id)
{
	return give(daemon, &(struct order){ .id = id, .close = true });
}

int flow_order_path(struct weir_daemon *daemon, uint64_t id, enum weir_path path)
{
	return give(daemon, &(struct order){ .id = id, .path = path });
}

/* SPDX-License-Identifier: MIT */
/*
 * Flows: the bridges that run on a loop, for operators.
 */

#include "net/flow.h"

#include <errno.h>
#include <stdlib.h>

static void flow_list_free(void *value)
{
	free(value);
}

static const struct weir_loop_key flow_list_key = { "flows", flow_list_free };

static struct weir_list *flow_list_of(struct weir_loop *loop)
{
	struct weir_list *list = weir_loop_attached(loop, &flow_list_key);

	if (list)
		return list;
	list = malloc(sizeof(*list));
	if (!list)
		return NULL;
	weir_list_init(list);
	if (weir_loop_attach(loop, &flow_list_key, list)) {
		free(list);
		return NULL;
	}
	return list;
}

void flow_add(struct weir_loop *loop, struct weir_bridge *bridge)
{
	struct weir_list *list = flow_list_of(loop);

	if (list) /* without memory for the list the flow runs unseen */
		weir_list_add_tail(list, &bridge->flow_link);
}

static void flow_refresh(struct weir_bridge *flow)
{
	struct weir_offload *offload = flow->conf->offload;

	if (offload && flow->offload_data)
		offload->ops->refresh(offload, flow);
}

void weir_flow_each(struct weir_loop *loop, void (*fn)(void *ctx, struct weir_bridge *flow),
		    void *ctx)
{
	struct weir_list *list = flow_list_of(loop);

	if (!list)
		return;
	for (struct weir_list *link = list->next; link != list; link = link->next) {
		struct weir_bridge *flow = weir_container_of(link, struct weir_bridge, flow_link);

		flow_refresh(flow);
		fn(ctx, flow);
	}
}

struct search {
	uint64_t id;
	struct weir_bridge *found;
};

static void search_match(void *ctx, struct weir_bridge *flow)
{
	struct search *search = ctx;

	if (flow->id == search->id)
		search->found = flow;
}

struct weir_bridge *weir_flow_find(struct weir_loop *loop, uint64_t id)
{
	struct search search = { .id = id };

	weir_flow_each(loop, search_match, &search);
	return search.found;
}

int weir_flow_set_path(struct weir_bridge *flow, enum weir_path path)
{
	if (path < WEIR_PATH_COUNT && !(flow->allowed & WEIR_PATH_BIT(path)))
		return -EOPNOTSUPP;
	flow->asked_path = (int)path;
	weir_task_wake(flow->task);
	return 0;
}

void weir_flow_end(struct weir_bridge *flow, enum weir_end end)
{
	flow->asked_end = end;
	weir_task_wake(flow->task);
}

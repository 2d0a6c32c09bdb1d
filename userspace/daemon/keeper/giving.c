/* SPDX-License-Identifier: MIT */
/*
 * Who gets what. A message goes out as long as its daemon reads; what is left waits for the loop to
 * say that it reads again.
 */

#include "daemon/keeper/keeper_internal.h"
#include "daemon/keeper/manager.h"

/* ---- to daemons --------------------------------------------------------------------------- */

bool child_is_given(const struct child *child)
{
	return child->state != CHILD_NONE && (child->cursor != NULL || child->gives_flows);
}

struct batch {
	struct wire_message message;
	int fds[WIRE_ENTRIES * WIRE_FDS];
	unsigned n_fds;
};

static void batch_fill(struct batch *batch, struct weir_list *from, const struct weir_list *end)
{
	batch->message.kind = WIRE_HOLD;
	batch->message.count = 0;
	batch->n_fds = 0;
	for (; from != end && batch->message.count < WIRE_ENTRIES; from = from->next) {
		const struct held *held = weir_container_of(from, struct held, link);

		batch->message.entries[batch->message.count++] = held->entry;
		for (unsigned i = 0; i < wire_fds_of(held->entry.what); i++)
			batch->fds[batch->n_fds++] = held->fds[i];
	}
}

/* 0, or -EAGAIN to be tried again. A daemon that has died is noticed by other means. */
static int give_shared(struct keeper *keeper, struct child *child)
{
	struct weir_list *end = &keeper->holding.shared;
	struct batch batch;
	int status;

	if (child->cursor == end) {
		status = wire_send_plain(child->socket, WIRE_ALL, 0);
		if (status == 0)
			child->cursor = NULL;
		return status;
	}
	batch_fill(&batch, child->cursor, end);
	status = wire_send(child->socket, &batch.message, batch.fds, batch.n_fds);
	for (uint32_t i = 0; status == 0 && i < batch.message.count; i++)
		child->cursor = child->cursor->next;
	return status;
}

static int give_flows(struct keeper *keeper, struct child *child)
{
	struct weir_list *list = &keeper->holding.free;
	struct batch batch;
	int status;

	if (weir_list_is_empty(list)) {
		status = wire_send_plain(child->socket, WIRE_ALL,
					 (uint32_t)WEIR_MIN(keeper->lost, UINT32_MAX));
		if (status == 0) {
			child->gives_flows = false;
			keeper->lost = 0;
		}
		return status;
	}
	batch_fill(&batch, list->next, list);
	status = wire_send(child->socket, &batch.message, batch.fds, batch.n_fds);
	for (uint32_t i = 0; status == 0 && i < batch.message.count; i++)
		holding_give(&keeper->holding, weir_container_of(list->next, struct held, link),
			     child->number);
	return status;
}

void keeper_give(struct keeper *keeper, struct child *child)
{
	int status = 0;

	while (status == 0 && child_is_given(child))
		status = child->cursor != NULL ? give_shared(keeper, child)
					       : give_flows(keeper, child);
}

/* Whoever serves gets what is free. */
void keeper_give_free(struct keeper *keeper)
{
	struct child *child = keeper_child_in(keeper, CHILD_SERVING);

	if (child == NULL || (weir_list_is_empty(&keeper->holding.free) && keeper->lost == 0))
		return;
	child->gives_flows = true;
	keeper_give(keeper, child);
}

/* ---- from daemons ------------------------------------------------------------------------- */

void keeper_hold(struct keeper *keeper, struct child *child, const struct wire_message *message,
		 const int *fds)
{
	unsigned owner = child->number;
	struct held *held;

	for (uint32_t i = 0; i < message->count; i++) {
		held = holding_add(&keeper->holding, &message->entries[i], fds, owner);
		fds += wire_fds_of(message->entries[i].what);
		if (held == NULL)
			keeper_say("out of memory: something is not held");
		else if (held->entry.what != WIRE_FLOW)
			manager_store(held);
	}
}

static void drop(struct keeper *keeper, struct held *held)
{
	for (struct child *child = keeper->children; child < keeper->children + CHILDREN; child++) {
		if (child->state != CHILD_NONE && child->cursor == &held->link)
			child->cursor = held->link.next;
	}
	if (held->entry.what != WIRE_FLOW)
		manager_forget(held);
	holding_del(held);
}

void keeper_let_go(struct keeper *keeper, const struct wire_message *message)
{
	for (uint32_t i = 0; i < message->count; i++) {
		struct held *held = holding_find(&keeper->holding, &message->entries[i]);

		if (held == NULL)
			continue;
		if (message->kind == WIRE_DROP)
			drop(keeper, held);
		else if (held->entry.what == WIRE_FLOW)
			holding_give(&keeper->holding, held, 0);
	}
	keeper_give_free(keeper);
}

/* SPDX-License-Identifier: MIT */

#include "daemon/keeper/held.h"

#include <stdlib.h>
#include <unistd.h>

void holding_init(struct holding *holding)
{
	*holding = (struct holding){ 0 };
	for (size_t i = 0; i < HELD_BUCKETS; i++)
		weir_list_init(&holding->buckets[i]);
	weir_list_init(&holding->shared);
	weir_list_init(&holding->free);
	weir_list_init(&holding->taken);
}

static void list_close(struct weir_list *list)
{
	while (!weir_list_is_empty(list))
		holding_del(weir_container_of(list->next, struct held, link));
}

void holding_fini(struct holding *holding)
{
	list_close(&holding->shared);
	list_close(&holding->free);
	list_close(&holding->taken);
}

/* Keys are cookies and numbers that count up. */
static struct weir_list *bucket_of(struct holding *holding, const struct wire_entry *entry)
{
	return &holding->buckets[(entry->key + entry->what * 2047u) % HELD_BUCKETS];
}

struct held *holding_find(struct holding *holding, const struct wire_entry *entry)
{
	struct weir_list *bucket = bucket_of(holding, entry);
	struct weir_list *link;

	for (link = bucket->next; link != bucket; link = link->next) {
		struct held *held = weir_container_of(link, struct held, bucket);

		if (held->entry.key == entry->key && held->entry.what == entry->what)
			return held;
	}
	return NULL;
}

static struct weir_list *list_of(struct holding *holding, const struct held *held)
{
	if (held->entry.what != WIRE_FLOW)
		return &holding->shared;
	return held->owner != 0 ? &holding->taken : &holding->free;
}

static void held_close(const struct held *held)
{
	for (unsigned i = 0; i < wire_fds_of(held->entry.what); i++)
		close(held->fds[i]);
}

static void held_set(struct held *held, const struct wire_entry *entry, const int *fds)
{
	held->entry = *entry;
	for (unsigned i = 0; i < wire_fds_of(entry->what); i++)
		held->fds[i] = fds[i];
}

/* It stays where it is: somebody may be on the way through the list. */
static struct held *holding_replace(struct holding *holding, struct held *held,
				    const struct wire_entry *entry, const int *fds, unsigned owner)
{
	held_close(held);
	held_set(held, entry, fds);
	if (held->owner != owner)
		holding_give(holding, held, owner);
	return held;
}

struct held *holding_add(struct holding *holding, const struct wire_entry *entry, const int *fds,
			 unsigned owner)
{
	struct held *held = holding_find(holding, entry);

	if (held != NULL)
		return holding_replace(holding, held, entry, fds, owner);
	held = malloc(sizeof(*held));
	if (held == NULL) {
		for (unsigned i = 0; i < wire_fds_of(entry->what); i++)
			close(fds[i]);
		return NULL;
	}
	*held = (struct held){ .owner = owner };
	held_set(held, entry, fds);
	weir_list_add_tail(list_of(holding, held), &held->link);
	weir_list_add_tail(bucket_of(holding, entry), &held->bucket);
	return held;
}

void holding_del(struct held *held)
{
	held_close(held);
	weir_list_del(&held->link);
	weir_list_del(&held->bucket);
	free(held);
}

void holding_give(struct holding *holding, struct held *held, unsigned owner)
{
	held->owner = owner;
	if (held->entry.what != WIRE_FLOW)
		return; /* shared by all, in the order in which they came */
	weir_list_del(&held->link);
	weir_list_add_tail(list_of(holding, held), &held->link);
}

size_t holding_orphan(struct holding *holding, unsigned owner)
{
	struct weir_list *link, *next;
	size_t n = 0;

	for (link = holding->taken.next; link != &holding->taken; link = next) {
		struct held *held = weir_container_of(link, struct held, link);

		next = link->next;
		if (held->owner != owner)
			continue;
		holding_give(holding, held, 0);
		n++;
	}
	return n;
}

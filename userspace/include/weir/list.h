/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LIST_H
#define WEIR_LIST_H

/*
 * Intrusive doubly linked list: the link is a member of the object, weir_container_of() goes
 * back. A head is a link too. A link that is in no list points at itself, so that deleting
 * twice is harmless and weir_list_is_empty() tells of a link whether it is queued.
 */

#include <stdbool.h>

#include <weir/base.h>

struct weir_list {
	struct weir_list *next;
	struct weir_list *prev;
};

static inline void weir_list_init(struct weir_list *list)
{
	list->next = list;
	list->prev = list;
}

static inline bool weir_list_is_empty(const struct weir_list *list)
{
	return list->next == list;
}

/* Puts LINK before AT; with AT the head, that is at the end. */
static inline void weir_list_add_before(struct weir_list *at, struct weir_list *link)
{
	link->prev = at->prev;
	link->next = at;
	at->prev->next = link;
	at->prev = link;
}

static inline void weir_list_add_tail(struct weir_list *head, struct weir_list *link)
{
	weir_list_add_before(head, link);
}

static inline void weir_list_add_head(struct weir_list *head, struct weir_list *link)
{
	weir_list_add_before(head->next, link);
}

static inline void weir_list_del(struct weir_list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	weir_list_init(link);
}

/* The first link, taken out; NULL of an empty list. */
static inline struct weir_list *weir_list_pop(struct weir_list *head)
{
	struct weir_list *link = head->next;

	if (link == head)
		return NULL;
	weir_list_del(link);
	return link;
}

#endif

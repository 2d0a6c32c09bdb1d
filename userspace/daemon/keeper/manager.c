/* SPDX-License-Identifier: MIT */
/*
 * A name in the manager's store says everything but the descriptor: "weir.WHAT.KEY.TAG.INDEX",
 * numbers in hexadecimal. Without a manager nothing happens.
 */

#include "daemon/keeper/manager.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static void name_of(const struct held *held, unsigned index, char *name, size_t size)
{
	snprintf(name, size, "weir.%x.%" PRIx64 ".%x.%x", held->entry.what, held->entry.key,
		 held->entry.tag, index);
}

void manager_store(const struct held *held)
{
	char name[64], text[160];

	for (unsigned i = 0; i < wire_fds_of(held->entry.what); i++) {
		name_of(held, i, name, sizeof(name));
		snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
		sd_pid_notify_with_fds(0, 0, text, &held->fds[i], 1);
	}
}

void manager_forget(const struct held *held)
{
	char name[64], text[160];

	for (unsigned i = 0; i < wire_fds_of(held->entry.what); i++) {
		name_of(held, i, name, sizeof(name));
		snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
		sd_notify(0, text);
	}
}

static void store_list(const struct weir_list *list)
{
	for (const struct weir_list *link = list->next; link != list; link = link->next)
		manager_store(weir_container_of(link, struct held, link));
}

void manager_store_flows(const struct holding *holding)
{
	store_list(&holding->taken);
	store_list(&holding->free);
}

void manager_notify(const char *text)
{
	sd_notify(0, text);
}

/* ---- at start ----------------------------------------------------------------------------- */

struct passed {
	struct wire_entry entry;
	unsigned index;
	int fd;
};

static bool name_parse(const char *name, struct passed *passed)
{
	int end = 0;

	return sscanf(name, "weir.%" SCNx32 ".%" SCNx64 ".%" SCNx32 ".%x%n", &passed->entry.what,
		      &passed->entry.key, &passed->entry.tag, &passed->index, &end) == 4 &&
	       name[end] == '\0' && passed->entry.what >= WIRE_LISTENER &&
	       passed->entry.what <= WIRE_FLOW && passed->index < wire_fds_of(passed->entry.what);
}

/* A socket that the manager itself listens on. */
static void adopt_own(struct holding *holding, int fd)
{
	struct wire_entry entry = { .what = WIRE_LISTENER, .tag = WIRE_TAG_MANAGER };
	socklen_t size = sizeof(entry.key);

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &entry.key, &size) == 0)
		holding_add(holding, &entry, &fd, 0);
	else
		close(fd);
}

/* The descriptors of one flow come in any order, and not side by side. */
static void adopt_stored(struct holding *holding, struct passed *all, int n, int at)
{
	struct passed *first = &all[at];
	int fds[WIRE_FDS] = { first->fd };
	int other = at;

	if (first->fd < 0 || first->index != 0)
		return;
	if (wire_fds_of(first->entry.what) == 2) {
		for (other = 0; other < n; other++) {
			if (all[other].fd >= 0 && all[other].index == 1 &&
			    all[other].entry.key == first->entry.key)
				break;
		}
		if (other == n)
			return;
		fds[1] = all[other].fd;
	}
	holding_add(holding, &first->entry, fds, 0);
	first->fd = -1;
	all[other].fd = -1;
}

void manager_adopt(struct holding *holding)
{
	char **names = NULL;
	int i, n = sd_listen_fds_with_names(1, &names);
	struct passed *all = n > 0 ? calloc((size_t)n, sizeof(*all)) : NULL;

	for (i = 0; all != NULL && i < n; i++) {
		all[i].fd = SD_LISTEN_FDS_START + i;
		if (name_parse(names[i], &all[i]))
			continue;
		adopt_own(holding, all[i].fd);
		all[i].fd = -1;
	}
	for (i = 0; all != NULL && i < n; i++)
		adopt_stored(holding, all, n, i);
	for (i = 0; all != NULL && i < n; i++) {
		if (all[i].fd >= 0)
			close(all[i].fd); /* half of a flow */
	}
	for (i = 0; i < n; i++)
		free(names[i]);
	free(names);
	free(all);
}

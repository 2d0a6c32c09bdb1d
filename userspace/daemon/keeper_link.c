/* SPDX-License-Identifier: MIT */

#include "daemon/keeper_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/error.h>
#include <weir/log.h>

#define FIRST_MS  10000 /* for what is shared */
#define SAY_MS	  1000
#define PAGES_MAX 1024

bool keeper_link_is_set(void)
{
	return getenv(WIRE_VARIABLE) != NULL;
}

/* Without a keeper nobody else looks at them. */
static struct ledger_common own_common;
static struct ledger own_ledger;

static int map_ledgers(struct keeper_link *link, int fd, unsigned page)
{
	int protection = PROT_READ | PROT_WRITE;
	char *pages = mmap(NULL, (page + 1) * LEDGER_PAGE, protection, MAP_SHARED, fd, 0);

	if (pages == MAP_FAILED)
		return -errno;
	link->common = (struct ledger_common *)(void *)pages;
	link->ledger = (struct ledger *)(void *)(pages + (size_t)page * LEDGER_PAGE);
	link->mapped = (page + 1) * LEDGER_PAGE;
	return 0;
}

int keeper_link_open(struct keeper_link *link, struct weir_error *error)
{
	const char *text = getenv(WIRE_VARIABLE);
	int version, socket, ledgers, role, status;
	unsigned page;

	*link = (struct keeper_link){
		.socket = -1,
		.common = &own_common,
		.ledger = &own_ledger,
	};
	if (text == NULL)
		return 0;
	if (sscanf(text, "%d:%d:%d:%u:%d", &version, &socket, &ledgers, &page, &role) != 5 ||
	    version != WIRE_VERSION || page > PAGES_MAX) {
		weir_error_remedy(error, "restart Weir instead");
		return weir_error_set(error, -EPROTO, "the keeper is of another version");
	}
	unsetenv(WIRE_VARIABLE);
	fcntl(socket, F_SETFD, FD_CLOEXEC);
	link->socket = socket;
	link->role = (enum wire_role)role;
	status = map_ledgers(link, ledgers, page);
	close(ledgers);
	return status < 0 ? weir_error_set(error, status, "out of memory") : 0;
}

void keeper_link_close(struct keeper_link *link)
{
	if (link->socket >= 0)
		close(link->socket);
	if (link->mapped > 0)
		munmap(link->common, link->mapped);
	*link = (struct keeper_link){ .socket = -1 };
}

int keeper_link_shared(struct keeper_link *link,
		       void (*fn)(void *ctx, const struct wire_entry *entry, int fd), void *ctx)
{
	struct pollfd readable = { .fd = link->socket, .events = POLLIN };
	int fds[WIRE_ENTRIES * WIRE_FDS];
	struct wire_message message;
	unsigned n_fds;
	int status;

	if (link->socket < 0)
		return 0;
	for (;;) {
		status = wire_recv(link->socket, &message, fds, &n_fds);
		if (status == -EAGAIN && poll(&readable, 1, FIRST_MS) > 0)
			continue;
		if (status < 0)
			return status;
		if (message.kind == WIRE_ALL)
			return 0;
		if (message.kind == WIRE_DIED)
			snprintf(link->died, sizeof(link->died), "%s", message.text);
		for (unsigned i = 0; message.kind == WIRE_HOLD && i < message.count; i++)
			fn(ctx, &message.entries[i], fds[i]);
	}
}

/* ---- saying ------------------------------------------------------------------------------- */

static void say(struct keeper_link *link, const struct wire_message *message, const int *fds,
		unsigned n_fds)
{
	struct pollfd writable = { .fd = link->socket, .events = POLLOUT };
	int status;

	if (link->socket < 0)
		return;
	status = wire_send(link->socket, message, fds, n_fds);
	if (status == -EAGAIN && poll(&writable, 1, SAY_MS) > 0)
		status = wire_send(link->socket, message, fds, n_fds);
	if (status < 0 && status != -EPIPE)
		weir_log(WEIR_LOG_WARN, "keeper", "does not answer", WEIR_LOG_STATUS(status));
}

void keeper_link_say(struct keeper_link *link, enum wire_kind kind)
{
	const struct wire_message message = { .kind = kind };

	say(link, &message, NULL, 0);
}

void keeper_link_say_text(struct keeper_link *link, enum wire_kind kind, const char *text)
{
	struct wire_message message = { .kind = kind };

	message.count = (uint32_t)snprintf(message.text, sizeof(message.text), "%s", text);
	message.count = WEIR_MIN(message.count, (uint32_t)WIRE_TEXT);
	say(link, &message, NULL, 0);
}

static int listener_message(struct wire_message *message, enum wire_kind kind, int fd, uint32_t tag)
{
	struct wire_entry *entry = &message->entries[0];
	socklen_t size = sizeof(entry->key);

	message->kind = kind;
	message->count = 1;
	entry->what = WIRE_LISTENER;
	entry->tag = tag;
	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &entry->key, &size) < 0 ? -errno : 0;
}

void keeper_link_hold_listener(struct keeper_link *link, int fd, uint32_t tag)
{
	struct wire_message message;

	if (listener_message(&message, WIRE_HOLD, fd, tag) == 0)
		say(link, &message, &fd, 1);
}

void keeper_link_drop_listener(struct keeper_link *link, int fd)
{
	struct wire_message message;

	if (listener_message(&message, WIRE_DROP, fd, 0) == 0)
		say(link, &message, NULL, 0);
}

void keeper_link_drop(struct keeper_link *link, const struct wire_entry *entry)
{
	const struct wire_message message = {
		.kind = WIRE_DROP,
		.count = 1,
		.entries = { *entry },
	};

	say(link, &message, NULL, 0);
}

void keeper_link_hold_map(struct keeper_link *link, int fd, uint64_t key, uint32_t tag)
{
	const struct wire_message message = {
		.kind = WIRE_HOLD,
		.count = 1,
		.entries = { { .key = key, .what = WIRE_MAP, .tag = tag } },
	};

	say(link, &message, &fd, 1);
}

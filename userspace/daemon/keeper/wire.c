/* SPDX-License-Identifier: MIT */

#include "daemon/keeper/wire.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS_MAX	   (WIRE_ENTRIES * WIRE_FDS)
#define HEAD_BYTES offsetof(struct wire_message, entries)

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
};

static bool kind_has_entries(uint32_t kind)
{
	return kind == WIRE_HOLD || kind == WIRE_DROP || kind == WIRE_RELEASE;
}

static bool kind_has_text(uint32_t kind)
{
	return kind == WIRE_FAILED || kind == WIRE_NOTIFY || kind == WIRE_DIED;
}

static size_t message_size(const struct wire_message *message)
{
	if (kind_has_entries(message->kind))
		return HEAD_BYTES + message->count * sizeof(message->entries[0]);
	return HEAD_BYTES + (kind_has_text(message->kind) ? message->count : 0);
}

int wire_send(int socket, const struct wire_message *message, const int *fds, unsigned n_fds)
{
	struct iovec iov = { (void *)(uintptr_t)message, message_size(message) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union control control;
	ssize_t n;

	if (n_fds > 0) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), fds, n_fds * sizeof(int));
	}
	do {
		n = sendmsg(socket, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 0;
	return errno == ECONNRESET ? -EPIPE : -errno;
}

int wire_send_plain(int socket, enum wire_kind kind, uint32_t count)
{
	const struct wire_message message = { .kind = kind, .count = count };

	return wire_send(socket, &message, NULL, 0);
}

int wire_send_text(int socket, enum wire_kind kind, const char *text)
{
	struct wire_message message = { .kind = kind };

	message.count = (uint32_t)strnlen(text, WIRE_TEXT);
	memcpy(message.text, text, message.count);
	return wire_send(socket, &message, NULL, 0);
}

static void take_fds(struct msghdr *msg, int *fds, unsigned *n_fds)
{
	struct cmsghdr *head;
	size_t bytes;

	*n_fds = 0;
	for (head = CMSG_FIRSTHDR(msg); head != NULL; head = CMSG_NXTHDR(msg, head)) {
		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		bytes = head->cmsg_len - CMSG_LEN(0);
		memcpy(fds + *n_fds, CMSG_DATA(head), bytes);
		*n_fds += (unsigned)(bytes / sizeof(int));
	}
}

static void drop_fds(const int *fds, unsigned *n_fds)
{
	while (*n_fds > 0)
		close(fds[--*n_fds]);
}

/* Each entry with as many descriptors as its kind has, or with none at all. */
static bool fds_fit(const struct wire_message *message, unsigned n_fds)
{
	unsigned expected = 0;
	uint32_t i;

	if (message->kind != WIRE_HOLD)
		return n_fds == 0;
	for (i = 0; i < message->count; i++)
		expected += wire_fds_of(message->entries[i].what);
	return n_fds == expected;
}

static bool message_is_whole(const struct wire_message *message, size_t size)
{
	if (size < HEAD_BYTES)
		return false;
	if (kind_has_entries(message->kind) && message->count > WIRE_ENTRIES)
		return false;
	if (kind_has_text(message->kind) && message->count > WIRE_TEXT)
		return false;
	return size == message_size(message);
}

int wire_recv(int socket, struct wire_message *message, int *fds, unsigned *n_fds)
{
	struct iovec iov = { message, sizeof(*message) };
	union control control;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	int status = 0;
	ssize_t n;

	do {
		n = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	*n_fds = 0;
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	take_fds(&msg, fds, n_fds);
	if (n == 0 && *n_fds == 0)
		return -EPIPE;
	if (msg.msg_flags & MSG_CTRUNC)
		status = -EMFILE;
	else if (!message_is_whole(message, (size_t)n) || !fds_fit(message, *n_fds))
		status = -EPROTO;
	if (status < 0)
		drop_fds(fds, n_fds);
	else if (kind_has_text(message->kind))
		message->text[message->count] = '\0';
	return status;
}

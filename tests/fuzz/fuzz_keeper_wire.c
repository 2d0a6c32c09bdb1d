/* SPDX-License-Identifier: MIT */
/*
 * What a daemon of another build may say to the keeper: messages on a real socket, with as many
 * descriptors beside them as the input wants and as few free ones to receive them as it wants.
 *
 * An input is a row of messages: bytes of the message (two, little endian), descriptors beside it,
 * descriptors that are free here (255: any number), then the bytes.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/keeper/held.h"
#include "daemon/keeper/wire.h"

#define HEAD	4
#define FDS_MAX 250 /* SCM_MAX_FD is 253 */
#define NO_END	255

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct said {
	const uint8_t *bytes;
	size_t size;
	unsigned n_fds;
	unsigned room;
};

static struct holding holding;
static int pair[2];

/* The number that the next descriptor would get: all below are taken. */
static int next_fd(void)
{
	int fd = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);

	assert(fd >= 0);
	close(fd);
	return fd;
}

static void set_room(unsigned room)
{
	struct rlimit limit;

	assert(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = room == NO_END ? limit.rlim_max : (rlim_t)next_fd() + room;
	assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

static void send_said(const struct said *said)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control = { .bytes = { 0 } };
	struct iovec iov = { (void *)(uintptr_t)said->bytes, said->size };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[FDS_MAX];

	for (unsigned i = 0; i < said->n_fds; i++)
		fds[i] = pair[1];
	if (said->n_fds > 0) {
		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(said->n_fds * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(said->n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, said->n_fds * sizeof(int));
	}
	assert(sendmsg(pair[0], &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)said->size);
}

/* What the keeper does with entries. */
static void use_entries(const struct wire_message *message, const int *fds)
{
	for (uint32_t i = 0; i < message->count; i++) {
		const struct wire_entry *entry = &message->entries[i];
		struct held *held = holding_find(&holding, entry);

		if (message->kind == WIRE_HOLD) {
			assert(holding_add(&holding, entry, fds, 1 + entry->tag % 3));
			fds += wire_fds_of(entry->what);
		} else if (held && message->kind == WIRE_DROP) {
			holding_del(held);
		} else if (held && held->entry.what == WIRE_FLOW) {
			holding_give(&holding, held, 0);
		}
	}
}

/* A message that was taken says the same when it is said again. */
static void check_again(const struct wire_message *message, const int *fds, unsigned n_fds)
{
	int again_fds[WIRE_ENTRIES * WIRE_FDS];
	struct wire_message again;
	unsigned n;

	set_room(NO_END);
	assert(wire_send(pair[0], message, fds, n_fds) == 0);
	assert(wire_recv(pair[1], &again, again_fds, &n) == 0);
	assert(again.kind == message->kind && again.count == message->count && n == n_fds);
	while (n > 0)
		close(again_fds[--n]);
}

static void receive(const struct said *said)
{
	int fds[WIRE_ENTRIES * WIRE_FDS], before = next_fd(), status;
	struct wire_message message;
	unsigned n_fds;

	set_room(said->room);
	status = wire_recv(pair[1], &message, fds, &n_fds);
	assert(status == 0 || status == -EPROTO || status == -EMFILE || status == -EPIPE);
	assert(status != -EPIPE || said->size == 0);
	assert(n_fds == (status ? 0 : said->n_fds));
	if (status) {
		set_room(NO_END);
		assert(next_fd() == before);
		return;
	}
	check_again(&message, fds, n_fds);
	if (message.kind == WIRE_HOLD || message.kind == WIRE_DROP || message.kind == WIRE_RELEASE)
		use_entries(&message, fds);
	else if (message.kind == WIRE_FAILED || message.kind == WIRE_NOTIFY ||
		 message.kind == WIRE_DIED)
		assert(message.count <= WIRE_TEXT && message.text[message.count] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int before;

	if (pair[0] == 0)
		assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	set_room(NO_END);
	before = next_fd();
	holding_init(&holding);
	for (int i = 0; i < 16 && size >= HEAD; i++) {
		struct said said = {
			.size = data[0] | (size_t)data[1] << 8,
			.n_fds = WEIR_MIN(data[2], FDS_MAX),
			.room = data[3],
		};

		data += HEAD;
		size -= HEAD;
		said.size = WEIR_MIN(said.size, size);
		said.bytes = data;
		send_said(&said);
		receive(&said);
		data += said.size;
		size -= said.size;
	}
	holding_orphan(&holding, 1);
	holding_fini(&holding);
	assert(next_fd() == before);
	return 0;
}

/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_KEEPER_WIRE_H
#define WEIR_DAEMON_KEEPER_WIRE_H

/*
 * What the keeper and a daemon say to each other: messages over a SOCK_SEQPACKET pair, with
 * descriptors beside them (SCM_RIGHTS). A message carries entries or a text, never both.
 *
 * The two may come from different builds: the keeper stays when a daemon of a newer build takes
 * over. So this is the one interface here that must not change; whoever changes it raises
 * WIRE_VERSION, and such an upgrade is refused.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <weir/base.h>

#define WIRE_VERSION  1
/* "VERSION:SOCKET:LEDGER:PAGE:ROLE": two descriptors, the daemon's page of the second one
 * (daemon/keeper/ledger.h), and an enum wire_role. */
#define WIRE_VARIABLE "WEIR_KEEPER"

#define WIRE_ENTRIES 64 /* in one message */
#define WIRE_FDS     2	/* of one entry */
#define WIRE_TEXT    1000

/* Why a daemon was started. */
enum wire_role {
	WIRE_ROLE_FIRST,
	WIRE_ROLE_RESTART,   /* the one before has died */
	WIRE_ROLE_SUCCESSOR, /* the one before waits for this one to be ready */
};

enum wire_kind {
	/* Entries. To the keeper: hold these; from it: these are held, and yours to use. */
	WIRE_HOLD = 1,
	/* Entries without descriptors, to the keeper: close them. */
	WIRE_DROP,
	/* Entries without descriptors, to the keeper: another daemon may have them now. */
	WIRE_RELEASE,
	/* From the keeper: those were all for now. */
	WIRE_ALL,
	/* To the keeper: I serve. */
	WIRE_READY,
	/* To the keeper: I am about to end because I was told to; start nothing in my place. */
	WIRE_STOPPING,
	/* To the keeper: start a successor from the program on disk. */
	WIRE_UPGRADE,
	/* Text. From a successor to the keeper, and on to who asked: why it cannot serve. */
	WIRE_FAILED,
	/* From the keeper: your successor serves; release what you can, drain, and end. */
	WIRE_SUCCEEDED,
	/* Text. To the keeper: say this to the service manager (sd_notify(3)). */
	WIRE_NOTIFY,
	/* Text, from the keeper: what became of the daemon before you. */
	WIRE_DIED,
};

enum wire_what {
	WIRE_LISTENER = 1, /* a listening socket; for every daemon */
	WIRE_MAP,	   /* a map of the kernel's share; for every daemon */
	WIRE_FLOW,	   /* client and upstream; for one daemon at a time */
};

/* In the tag of a listener: the service manager opened it, its path is not ours to remove. */
#define WIRE_TAG_MANAGER 0x80000000u

struct wire_entry {
	uint64_t key;  /* SO_COOKIE of the first descriptor; of a map its number */
	uint32_t what; /* enum wire_what */
	uint32_t tag;  /* the daemon's own */
};

struct wire_message {
	uint32_t kind;	/* enum wire_kind */
	uint32_t count; /* of entries, or of bytes of text; of WIRE_ALL: connections that the
			 * daemon before took with it */
	union {
		struct wire_entry entries[WIRE_ENTRIES];
		char text[WIRE_TEXT + 1]; /* terminated by wire_recv(), not on the wire */
	};
};

/* How many descriptors stand beside an entry of this kind. */
static inline unsigned wire_fds_of(uint32_t what)
{
	return what == WIRE_FLOW ? 2 : 1;
}

/* Sends MESSAGE with N_FDS descriptors, which stay the caller's. Never blocks. 0, -EAGAIN when
 * the other side does not read, -EPIPE when it is gone, -errno. */
int wire_send(int socket, const struct wire_message *message, const int *fds, unsigned n_fds)
	WEIR_MUST_CHECK;
int wire_send_plain(int socket, enum wire_kind kind, uint32_t count) WEIR_MUST_CHECK;
int wire_send_text(int socket, enum wire_kind kind, const char *text) WEIR_MUST_CHECK;

/* Receives one message. FDS has room for WIRE_ENTRIES * WIRE_FDS; they are the caller's, *N_FDS
 * of them, close-on-exec. 0; -EAGAIN; -EPIPE at the end; -EPROTO for what is no message of ours
 * (then nothing was received); -EMFILE when descriptors were lost. */
int wire_recv(int socket, struct wire_message *message, int *fds, unsigned *n_fds) WEIR_MUST_CHECK;

#endif

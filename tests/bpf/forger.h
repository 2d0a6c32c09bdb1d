/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_FORGER_H
#define WEIR_TEST_FORGER_H

/*
 * Segments by hand: a raw socket that writes in the name of a kernel socket of ours, whose
 * sequence numbers are read in repair mode. IPv4. The kernel's own socket must not send
 * meanwhile.
 */

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct forger {
	int raw;
	struct sockaddr_in from, to;
	uint32_t seq, ack; /* of the next byte each way */
};

#define FORGER_MAX 12000u /* bytes of a segment */

/* In the name of FD, a connected TCP socket. 0 or -errno. */
int forger_open(struct forger *forger, int fd);
void forger_close(struct forger *forger);
/* Bytes FROM to FROM + SIZE (at most FORGER_MAX) of the stream SEED, as rig.h's payload; with FIN the
 * end follows them. 0 or -errno. */
int forger_send(struct forger *forger, uint64_t seed, uint32_t from, uint32_t size, bool fin);

#endif

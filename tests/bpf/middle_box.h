/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TEST_MIDDLE_BOX_H
#define WEIR_TEST_MIDDLE_BOX_H

/*
 * A network that loses segments, sends them twice and in another order: two network namespaces, and
 * between them a box that takes Ethernet frames from one veth and puts them into the other, in a
 * thread of its own. Offloads are off, so that what passes is what a wire would carry. Handshakes
 * and resets pass untouched.
 *
 *	outside (client, origin) <---- box ----> inside (the proxy)
 */

#include <stdbool.h>

struct middle_box_conf {
	unsigned lose;	  /* of a thousand segments */
	unsigned twice;	  /* of a thousand */
	unsigned disturb; /* of a thousand: some later ones overtake it */
};

struct middle_box_counts {
	unsigned long passed, lost, twice, disturbed;
};

/* Makes the network and starts the box; one at a time. 0 or -errno: this needs root, veth and
 * the ip program. */
int middle_box_start(const struct middle_box_conf *conf);
/* Changes what it does from now on. */
void middle_box_set(const struct middle_box_conf *conf);
void middle_box_stop(struct middle_box_counts *counts);

/* A connected pair through the box: FD[0] has connected, from the outside or from inside; FD[1]
 * has accepted on the other side. 0 or -errno. */
int middle_box_pair(bool from_outside, int fd[2]);

#endif

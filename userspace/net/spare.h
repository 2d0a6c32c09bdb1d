/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NET_SPARE_H
#define WEIR_NET_SPARE_H

/*
 * What is done when descriptors get scarce. A connection that is accepted with the last one can
 * only be reset: so a listener then puts one by for the upstream's socket before it accepts, and
 * whoever opens sockets takes turns, so that none can take what another one has just freed to use
 * it.
 *
 * They are scarce for the process from the first sign on to its end: a low limit, a high number,
 * EMFILE. Before that nothing here costs more than a look at a variable.
 */

#include <stdbool.h>

#include <weir/base.h>

/* Looks at the limit of this process. */
void spare_measure(void);
/* A descriptor has got the number FD, or it is a status. The kernel gives the lowest number that is
 * free, so all below it are in use. */
void spare_note(int fd);

/* Waits for its turn, where they are scarce: true, and then it is to be unlocked. */
bool spare_lock(void) WEIR_MUST_CHECK;
void spare_unlock(bool scarce);

/* A descriptor put by is kept as its number plus 1, so that zero means none. */

/* Puts one by, unless there is one. 0 or -errno (-EMFILE). Whoever gives it to use it holds the
 * lock, and so does whoever takes one. */
int spare_take(unsigned *spare) WEIR_MUST_CHECK;
/* Frees it; whether there was one. */
bool spare_give(unsigned *spare);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_KEEPER_LEDGER_H
#define WEIR_DAEMON_KEEPER_LEDGER_H

/*
 * Memory that the keeper shares with its daemons: page 0 is common to all, and each daemon has a
 * page of its own.
 *
 * In its own page a daemon says how many connections it has. When it dies, this is how many were
 * lost, but for those whose descriptors the keeper holds.
 */

#include <stdatomic.h>
#include <stdint.h>

#define LEDGER_PAGE    4096
#define LEDGER_WORKERS (LEDGER_PAGE / 64)

struct ledger_common {
	_Atomic uint64_t last_id; /* of a connection, so that none has the id of another one */
	char pad[LEDGER_PAGE - sizeof(uint64_t)];
};
_Static_assert(sizeof(struct ledger_common) == LEDGER_PAGE, "one page");

struct ledger {
	struct {
		_Atomic uint64_t active; /* worker I counts in cell I modulo LEDGER_WORKERS */
		uint64_t pad[7];
	} cell[LEDGER_WORKERS];
};
_Static_assert(sizeof(struct ledger) == LEDGER_PAGE, "one page");

static inline void ledger_add(struct ledger *ledger, unsigned worker, uint64_t n)
{
	atomic_fetch_add_explicit(&ledger->cell[worker % LEDGER_WORKERS].active, n,
				  memory_order_relaxed);
}

static inline uint64_t ledger_sum(const struct ledger *ledger)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < LEDGER_WORKERS; i++)
		sum += atomic_load_explicit(&ledger->cell[i].active, memory_order_relaxed);
	return sum;
}

#endif

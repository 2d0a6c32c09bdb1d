/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DAEMON_KEEPER_MANAGER_H
#define WEIR_DAEMON_KEEPER_MANAGER_H

/*
 * The service manager as a second store (sd_notify(3), FDSTORE=1), for when the keeper itself
 * ends: listeners are there as long as they are held; flows only when the keeper ends in spite of
 * them, because each costs the manager a walk through all.
 */

#include "daemon/keeper/held.h"

/* Takes in what the manager passes at start: what was stored, and sockets of its own. */
void manager_adopt(struct holding *holding);
void manager_store(const struct held *held);
void manager_forget(const struct held *held);
/* Stores all flows. */
void manager_store_flows(const struct holding *holding);
/* Hands on what a daemon says. */
void manager_notify(const char *text);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef WEIR_LAYER_BANDWIDTH_H
#define WEIR_LAYER_BANDWIDTH_H

/*
 * What the bandwidth layer publishes about a connection, and the two hooks of a bridge that keep
 * it.
 */

#include <weir/bridge.h>
#include <weir/extension.h>
#include <weir/token_bucket.h>

/* One direction's rate, the same for all connections of the layer. */
struct bandwidth_rate {
	struct weir_token_rate rate; /* bytes; per_second 0: unlimited */
	double quantum;		     /* bytes that are worth a read */
};

/* Of one connection. */
struct bandwidth {
	const struct bandwidth_rate *rates; /* [2], by enum weir_way; borrowed */
	struct weir_token_bucket bucket[2];
};

extern const struct weir_extension_key bandwidth_key;

void bandwidth_init(struct bandwidth *bandwidth, const struct bandwidth_rate rates[2],
		    uint64_t now);

/* Pure: see weir_bridge_conf.pace and .paced. */
uint64_t bandwidth_pace_at(struct bandwidth *bandwidth, enum weir_way way, size_t *budget,
			   uint64_t now);

/* The hooks; CTX is the struct bandwidth. */
uint64_t bandwidth_pace(void *ctx, enum weir_way way, size_t *budget);
void bandwidth_paced(void *ctx, enum weir_way way, size_t bytes);

void bandwidth_rate_init(struct bandwidth_rate *rate, uint64_t per_second, uint64_t burst);

#endif

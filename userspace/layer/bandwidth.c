/* SPDX-License-Identifier: MIT */
/*
 * bandwidth: so many bytes a second from a client, and to it. The layer publishes a token bucket
 * for each direction; the forward service has its bridge ask them before each read, whatever
 * path the bytes take in userspace. Nothing is buffered and nothing dropped: what is not read
 * fills the socket, and TCP slows the sender.
 *
 * Smooth: after the burst a direction reads whenever 10 ms' worth has come together, so the rate
 * holds over any tenth of a second, and a flow wakes its worker at most 100 times a second.
 *
 * The kernel's own path (sockmap) cannot be asked before a byte moves; a flow with a limit stays
 * off it, and says so ("the bandwidth is limited").
 */

#include "layer/bandwidth.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include <weir/layer.h>

#define BURST_MIN     16384
#define BURST_PARTS   10 /* of a second's worth */
#define QUANTUM_PARTS 100

struct bandwidth_layer {
	struct weir_service svc;
	struct bandwidth_rate rates[2];
};

const struct weir_extension_key bandwidth_key = { "bandwidth" };

/* ---- the limits, pure ---- */

void bandwidth_rate_init(struct bandwidth_rate *rate, uint64_t per_second, uint64_t burst)
{
	if (burst == 0)
		burst = WEIR_MAX(per_second / BURST_PARTS, (uint64_t)BURST_MIN);
	rate->rate.per_second = (double)per_second;
	rate->rate.burst = (double)burst;
	rate->quantum = fmin(ceil((double)per_second / QUANTUM_PARTS), (double)burst);
}

void bandwidth_init(struct bandwidth *bandwidth, const struct bandwidth_rate rates[2], uint64_t now)
{
	bandwidth->rates = rates;
	for (int way = 0; way < 2; way++)
		weir_token_bucket_init(&bandwidth->bucket[way], &rates[way].rate, now);
}

uint64_t bandwidth_pace_at(struct bandwidth *bandwidth, enum weir_way way, size_t *budget,
			   uint64_t now)
{
	const struct bandwidth_rate *rate = &bandwidth->rates[way];
	struct weir_token_bucket *bucket = &bandwidth->bucket[way];
	double tokens;

	if (rate->rate.per_second == 0)
		return 0;
	tokens = weir_token_bucket_fill(bucket, &rate->rate, now);
	if (tokens < rate->quantum) {
		uint64_t when = weir_token_bucket_when(bucket, &rate->rate, rate->quantum);

		/* Rounding may say "now" of what is not quite there. */
		return WEIR_MAX(when, now + 1);
	}
	if (tokens < (double)*budget)
		*budget = (size_t)tokens;
	return 0;
}

/* ---- hooks of the bridge ---- */

uint64_t bandwidth_pace(void *ctx, enum weir_way way, size_t *budget)
{
	return bandwidth_pace_at(ctx, way, budget, weir_loop_now(weir_loop_current()));
}

void bandwidth_paced(void *ctx, enum weir_way way, size_t bytes)
{
	struct bandwidth *bandwidth = ctx;

	if (bandwidth->rates[way].rate.per_second > 0)
		weir_token_bucket_charge(&bandwidth->bucket[way], (double)bytes);
}

/* ---- the layer ---- */

static int bandwidth_serve(struct weir_service *svc, struct weir_conn *conn)
{
	struct bandwidth_layer *layer = weir_container_of(svc, struct bandwidth_layer, svc);
	struct bandwidth *bandwidth = weir_arena_alloc(&conn->arena, sizeof(*bandwidth));
	int status;

	if (!bandwidth)
		return -ENOMEM;
	bandwidth_init(bandwidth, layer->rates, weir_loop_now(weir_loop_current()));
	status = weir_extension_add(&conn->extensions, &conn->arena, &bandwidth_key, bandwidth);
	return status ? status : weir_serve(svc->inner, conn);
}

static void bandwidth_free(struct weir_service *svc)
{
	free(weir_container_of(svc, struct bandwidth_layer, svc));
}

static const struct weir_service_ops bandwidth_ops = {
	.name = "bandwidth",
	.needs = WEIR_NEEDS_NOTHING,
	.serve = bandwidth_serve,
	.free = bandwidth_free,
};

static int bandwidth_check(const struct weir_bandwidth_conf *conf, struct weir_error *error)
{
	if (conf->upload || conf->download)
		return 0;
	weir_error_remedy(error, "say upload, download, or both, in bytes a second");
	return weir_error_set(error, WEIR_ECONFIG, "a bandwidth limit without a limit");
}

struct weir_service *weir_bandwidth_layer(struct weir_service *inner,
					  const struct weir_bandwidth_conf *conf,
					  struct weir_error *error)
{
	struct bandwidth_layer *layer;

	if (!inner || bandwidth_check(conf, error))
		goto err;
	layer = calloc(1, sizeof(*layer));
	if (!layer) {
		weir_error_set(error, -ENOMEM, "out of memory");
		goto err;
	}
	layer->svc = (struct weir_service){ .ops = &bandwidth_ops, .inner = inner };
	bandwidth_rate_init(&layer->rates[WEIR_UP], conf->upload, conf->burst);
	bandwidth_rate_init(&layer->rates[WEIR_DOWN], conf->download, conf->burst);
	return &layer->svc;
err:
	weir_service_free(inner);
	return NULL;
}

/* SPDX-License-Identifier: MIT */
#ifndef WEIR_PROXY_REVERSE_INTERNAL_H
#define WEIR_PROXY_REVERSE_INTERNAL_H

/*
 * What the files of the reverse proxy share: reverse.c (the service, and the way of a call through
 * its attempts), attempt.c (one of them), hedge.c (two at once), sticky.c, reverse_metrics.c.
 */

#include <weir/balancer.h>
#include <weir/metrics.h>
#include <weir/reverse.h>

#include "proxy/replay.h"

#define NS_PER_MS 1000000u

/* Cells of one worker, looked up when its first call comes by. */
struct reverse_metrics {
	struct weir_metrics *metrics; /* borrowed */
	const char *upstream;	      /* borrowed */
	bool known;
	unsigned worker;
	struct weir_gauge *active;
	struct weir_counter *requests[6]; /* by class of status; [0]: without a response */
	struct weir_histogram *latency;	  /* to the response's head */
	struct weir_histogram *duration;  /* to its end */
};

void reverse_metrics_prepare(struct reverse_metrics *metrics);
void reverse_metrics_count(struct reverse_metrics *metrics, unsigned status);
void reverse_metrics_count_refusal(struct reverse_metrics *metrics,
				   enum weir_breaker_verdict verdict);
/* REASON: "connect", "reset", "timeout", "502", "503", "504". */
void reverse_metrics_count_retry(struct reverse_metrics *metrics, const char *reason);
void reverse_metrics_count_hedge(struct reverse_metrics *metrics, bool won);
void reverse_metrics_count_broken_body(struct reverse_metrics *metrics);

struct attempt;

struct sticky {
	enum weir_sticky mode;
	char *cookie; /* owned */
	char *path;   /* owned */
	uint64_t max_age_s;
	bool secure;
};

int sticky_init(struct sticky *sticky, const struct weir_sticky_conf *conf,
		struct weir_error *error) WEIR_MUST_CHECK;
void sticky_fini(struct sticky *sticky);
/* The identity of the endpoint that the client wants; 0: no wish. */
uint64_t sticky_wish(const struct sticky *sticky, const struct weir_request *request);
/* Tells the client to come back to IDENTITY, unless that was its WISH. 0 or -ENOMEM. */
int sticky_tell(const struct sticky *sticky, struct weir_call *call, uint64_t wish,
		uint64_t identity) WEIR_MUST_CHECK;

struct reverse {
	struct weir_http_service svc;
	struct weir_upstream *upstream;	 /* counted */
	struct weir_balancer *balancer;	 /* owned */
	struct weir_http_client *client; /* owned */
	struct weir_breaker *breaker;	 /* counted */
	struct weir_retry_conf retry;	 /* defaults filled in */
	uint64_t hedge_ns;
	uint64_t total_ms;
	struct sticky sticky;
	enum weir_hash_by hash_by;
	char *hash_name; /* owned */
	struct reverse_metrics metrics;
	uint64_t random;
};

/* One call on its way. In its arena, until its end. */
struct passage {
	struct reverse *reverse;
	struct weir_call *call;
	struct weir_search search;
	struct weir_scope *outer; /* whose end is not the upstream's fault */
	struct replay *replay;	  /* the request's body; NULL: none, or not to be sent again */
	bool has_body;
	unsigned attempts;	 /* so far */
	struct attempt *attempt; /* that was answered; NULL */
	uint64_t started_ns;
};

/* One attempt of a passage. In the call's arena. */
struct attempt {
	struct passage *passage;
	struct weir_call *call; /* what is exchanged: the passage's, or a copy of it */
	struct weir_place place;
	bool entered; /* its extensions are the call's */
	bool placed;
	bool pending;
	bool connected;
	bool blameless; /* the end was the client's or this host's */
	int status;
	unsigned reason;	       /* one WEIR_RETRY_ to repeat it for, or 0 */
	struct weir_extensions parent; /* the call's set, of which this attempt's is a child */
};

/* Picks an endpoint and exchanges. When that fails, all is given back; else the place is held until
 * attempt_end(). Parks. 0 with the call's response, or attempt->status. */
int attempt_run(struct attempt *attempt) WEIR_MUST_CHECK;
/* The response is over. */
void attempt_end(struct attempt *attempt);
/* The response is not wanted: it, and all that the attempt published, goes. Parks shortly. */
void attempt_drop(struct attempt *attempt);
/* on_connected of the client. */
void attempt_on_connected(void *ctx, struct weir_call *call);

/* Whether two attempts may race for this call. */
bool hedge_suits(const struct passage *passage);
/* As attempt_run(), by one or two. The winner is *OUT, whose response is in the passage's call; when
 * none wins, the one that failed last. */
int hedge_run(struct passage *passage, struct attempt **out) WEIR_MUST_CHECK;

#endif

/* SPDX-License-Identifier: MIT */
#ifndef WEIR_HTTP_POOL_H
#define WEIR_HTTP_POOL_H

/*
 * The connections of a client, by target. One worker.
 *
 * A connection is lent to one call at a time. What comes back fit for use goes to who waits
 * longest, else it is kept; the one that was used last is lent first, so that a pool that is too
 * large shrinks. Nothing may come on an idle connection: one that becomes readable, or whose end is
 * seen, is not lent any more and closed within a second. Their edge-triggered watches stay armed,
 * so looking costs no system call.
 */

#include <weir/connector.h>
#include <weir/list.h>
#include <weir/loop.h>
#include <weir/metrics.h>

struct http_site;

struct http_pool_conf {
	struct weir_connector *connector; /* taken over in every case */
	uint32_t max_connections;	  /* to one target; 0: unlimited */
	uint32_t max_idle;		  /* kept for one target */
	uint64_t idle_ms;
	uint32_t max_requests; /* on one connection; 0: unlimited */
	uint32_t queue;	       /* calls that wait for one target */
	uint64_t queue_ms;
	struct weir_metrics *metrics; /* borrowed; may be NULL */
	const char *name;	      /* for metrics; copied; may be NULL */
};

struct http_pool;

struct http_pooled {
	struct weir_list link;	/* private: idle ones of its site */
	struct http_site *site; /* private */
	struct weir_stream *stream;
	uint64_t idle_since_ns; /* private */
	uint32_t requests;	/* it was lent so many times; 1: it is new */
	uint64_t connect_ns;	/* how long connecting took, of a new one; else 0 */
};

/* NULL when memory is out. */
struct http_pool *http_pool_new(const struct http_pool_conf *conf) WEIR_MUST_CHECK;
/* Closes what is idle. Nothing is lent and nobody waits. Accepts NULL. */
void http_pool_free(struct http_pool *pool);

/* Lends a connection to TO, an idle one unless FRESH; CONN as in weir_connect(). Parks. 0; what
 * connecting returned; WEIR_EQUEUE when too many wait or the wait was too long; -ECANCELED,
 * -ETIMEDOUT of the scope. */
int http_pool_get(struct http_pool *pool, struct weir_conn *conn, const struct weir_target *to,
		  bool fresh, struct http_pooled **out) WEIR_MUST_CHECK;
/* Whether another request may follow the present one on POOLED. */
bool http_pool_may_keep(const struct http_pooled *pooled);
/* Takes it back: kept when it is KEEP, which says that it is between two messages. */
void http_pool_put(struct http_pooled *pooled, bool keep);
/* Connections kept idle now, of all targets. For tests. */
size_t http_pool_idle(const struct http_pool *pool);
/* Targets that are known now. For tests. */
size_t http_pool_sites(const struct http_pool *pool);

#endif

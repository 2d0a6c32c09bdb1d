/* SPDX-License-Identifier: MIT */
/*
 * An endpoint is known by its configured name: the addresses of a DNS name come and go by
 * themselves, and that is no operator's decision. An upstream that is removed altogether takes
 * all its endpoints away.
 */

#include "daemon/established.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/bridge.h>
#include <weir/log.h>
#include <weir/upstream.h>

struct endpoint_name {
	char text[sizeof(((struct weir_endpoint_info *)0)->name)];
};

/* As the upstream calls it. */
static int endpoint_name(const struct weir_config_endpoint *conf, struct endpoint_name *name)
{
	struct weir_target target;

	if (weir_target_parse(&target, conf->address) < 0)
		return -EINVAL;
	weir_target_format(&target, name->text, sizeof(name->text));
	return 0;
}

static bool upstream_has(const struct weir_config_upstream *conf, const struct endpoint_name *name)
{
	struct endpoint_name other;
	uint32_t i;

	for (i = 0; conf != NULL && i < conf->endpoints_count; i++) {
		if (endpoint_name(&conf->endpoints[i], &other) == 0 &&
		    strcmp(other.text, name->text) == 0)
			return true;
	}
	return false;
}

static int add(struct established *gone, const char *upstream, const char *endpoint)
{
	struct established_endpoint *list =
		reallocarray(gone->list, gone->n + 1, sizeof(*gone->list));

	if (list == NULL)
		return -ENOMEM;
	gone->list = list;
	list[gone->n].upstream = strdup(upstream);
	list[gone->n].endpoint = strdup(endpoint);
	gone->n++;
	return list[gone->n - 1].upstream && list[gone->n - 1].endpoint ? 0 : -ENOMEM;
}

/* AFTER is what CONF has become; NULL: it is no longer there. */
static int note_upstream(struct established *gone, const struct weir_config_upstream *conf,
			 const struct weir_config_upstream *after)
{
	const struct weir_config_upstream *rule = after != NULL ? after : conf;
	struct endpoint_name name;
	int status = 0;
	uint32_t i;

	if (rule->established != WEIR_CONFIG_ESTABLISHED_CLOSE)
		return 0;
	for (i = 0; i < conf->endpoints_count && status == 0; i++) {
		if (endpoint_name(&conf->endpoints[i], &name) < 0 || upstream_has(after, &name))
			continue;
		status = add(gone, conf->name, name.text);
	}
	return status;
}

int established_note(struct established *gone, struct generation *old, const struct generation *new)
{
	const struct weir_config_upstream *conf;
	int status = 0;
	uint32_t i;
	size_t j;

	if (old == NULL)
		return 0;
	for (i = 0; i < old->config->upstreams_count && status == 0; i++) {
		conf = &old->config->upstreams[i];
		status = note_upstream(gone, conf, weir_config_upstream(new->config, conf->name));
	}
	for (j = 0; j < gone->n && status == 0; j++) {
		conf = weir_config_upstream(old->config, gone->list[j].upstream);
		(void)!weir_upstream_set_draining(old->upstreams[conf - old->config->upstreams],
						  gone->list[j].endpoint, true);
	}
	return status;
}

/* ---- on the workers ----------------------------------------------------------------------- */

struct ending {
	const struct established *gone;
	uint64_t ended;
};

static bool is_gone(const struct established *gone, const struct weir_bridge *flow)
{
	size_t i;

	if (flow->upstream == NULL || flow->endpoint == NULL)
		return false;
	for (i = 0; i < gone->n; i++) {
		if (strcmp(gone->list[i].endpoint, flow->endpoint) == 0 &&
		    strcmp(gone->list[i].upstream, flow->upstream) == 0)
			return true;
	}
	return false;
}

static void end_flow(void *ctx, struct weir_bridge *flow)
{
	struct ending *ending = ctx;

	if (!is_gone(ending->gone, flow))
		return;
	weir_flow_end(flow, WEIR_END_REMOVED);
	ending->ended++;
}

static void worker_on_end(struct worker *worker, void *slot)
{
	weir_flow_each(worker->loop, end_flow, slot);
}

void established_end(struct weir_daemon *daemon, const struct established *gone)
{
	struct ending *endings;
	uint64_t ended = 0;
	unsigned i;

	if (gone->n == 0)
		return;
	endings = calloc(daemon->n_workers, sizeof(*endings));
	for (i = 0; endings != NULL && i < daemon->n_workers; i++)
		endings[i].gone = gone;
	if (endings == NULL ||
	    daemon_call_workers(daemon, worker_on_end, endings, sizeof(*endings)) < 0)
		weir_log(WEIR_LOG_ERROR, "reload", "connections stay: out of memory");
	for (i = 0; endings != NULL && i < daemon->n_workers; i++)
		ended += endings[i].ended;
	weir_log(WEIR_LOG_INFO, "reload", "endpoints were taken away",
		 WEIR_LOG_UINT("endpoints", gone->n), WEIR_LOG_UINT("connections_ended", ended));
	free(endings);
}

void established_drained(struct weir_daemon *daemon, const struct weir_config_upstream *conf,
			 const char *endpoint)
{
	struct established gone = { 0 };

	if (conf->established != WEIR_CONFIG_ESTABLISHED_CLOSE)
		return;
	/* Copies: CONF may be gone before the workers have answered. */
	if (add(&gone, conf->name, endpoint) == 0)
		established_end(daemon, &gone);
	else
		weir_log(WEIR_LOG_ERROR, "drain", "connections stay: out of memory");
	established_fini(&gone);
}

void established_fini(struct established *gone)
{
	size_t i;

	for (i = 0; i < gone->n; i++) {
		free(gone->list[i].upstream);
		free(gone->list[i].endpoint);
	}
	free(gone->list);
	*gone = (struct established){ 0 };
}

/* SPDX-License-Identifier: MIT */

#include "daemon/admin_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/bridge.h>
#include <weir/offload.h>
#include <weir/upstream.h>

#include "daemon/generation.h"
#include "daemon/metrics.h"

#define INT(n) ((json_int_t)(n))

/* ---- status ------------------------------------------------------------------------------- */

/* What one worker adds. */
struct traffic {
	uint64_t accepted;
	uint64_t active;
	uint64_t bytes[2];
};

static void add_flow(void *ctx, struct weir_bridge *flow)
{
	struct traffic *traffic = ctx;

	traffic->bytes[WEIR_UP] += flow->way[WEIR_UP].bytes;
	traffic->bytes[WEIR_DOWN] += flow->way[WEIR_DOWN].bytes;
}

static void worker_on_traffic(struct worker *worker, void *slot)
{
	struct traffic *traffic = slot;

	traffic->accepted = worker->accepted;
	traffic->active = worker->active;
	traffic->bytes[WEIR_UP] = worker->bytes[WEIR_UP];
	traffic->bytes[WEIR_DOWN] = worker->bytes[WEIR_DOWN];
	weir_flow_each(worker->loop, add_flow, traffic);
}

static int sum_traffic(struct weir_daemon *daemon, struct traffic *sum)
{
	struct traffic *slots = calloc(daemon->n_workers, sizeof(*slots));
	unsigned i;
	int status = slots == NULL ? -1 : 0;

	*sum = (struct traffic){ 0 };
	if (status == 0)
		status = daemon_call_workers(daemon, worker_on_traffic, slots, sizeof(*slots));
	for (i = 0; i < daemon->n_workers && status == 0; i++) {
		sum->accepted += slots[i].accepted;
		sum->active += slots[i].active;
		sum->bytes[WEIR_UP] += slots[i].bytes[WEIR_UP];
		sum->bytes[WEIR_DOWN] += slots[i].bytes[WEIR_DOWN];
	}
	free(slots);
	return status;
}

static const char *state_name(enum daemon_state state)
{
	return state == DAEMON_DRAINING ? "draining" : "running";
}

json_t *report_status(struct weir_daemon *daemon)
{
	const char *path = daemon->conf->path != NULL ? daemon->conf->path : "embedded";
	uint64_t uptime_s = (weir_now() - daemon->started_ns) / 1000000000;
	const char *why = NULL;
	struct traffic sum;
	bool usable;

	if (sum_traffic(daemon, &sum) < 0)
		return NULL;
	usable = weir_kernel_is_usable(daemon->kernel, &why);
	return json_pack("{s:s, s:i, s:I, s:i, s:i, s:s, s:s, s:{s:I, s:I}, s:{s:I, s:I}, "
			 "s:{s:b, s:s}}",
			 "version", WEIR_VERSION, "pid", (int)getpid(), "uptime_s", INT(uptime_s),
			 "workers", (int)daemon->n_workers, "generation",
			 daemon->current != NULL ? (int)daemon->current->id : 0, "configuration",
			 path, "state", state_name(daemon->state), "connections", "active",
			 INT(sum.active), "accepted", INT(sum.accepted), "bytes", "up",
			 INT(sum.bytes[WEIR_UP]), "down", INT(sum.bytes[WEIR_DOWN]), "offload",
			 "available", usable, "why", why != NULL ? why : "");
}

/* ---- listeners ---------------------------------------------------------------------------- */

static json_t *listener_json(struct weir_daemon *daemon, const struct weir_config_listener *conf)
{
	bool http = conf->http.place.file != NULL;
	struct listener_totals totals;
	char to[32];

	snprintf(to, sizeof(to), "http: %u route%s", conf->http.routes_count,
		 conf->http.routes_count == 1 ? "" : "s");
	listener_metrics_sum(daemon->metrics, conf->name, &totals);
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:s}", "name", conf->name, "address",
			 conf->address, "active", INT(totals.active), "accepted",
			 INT(totals.accepted), "refused", INT(totals.refused), "accept_errors",
			 INT(totals.accept_errors), "protocol", http ? "http" : "tcp", "to",
			 http ? to : conf->tcp.to);
}

json_t *report_listeners(struct weir_daemon *daemon)
{
	json_t *list = json_array();
	uint32_t i;

	if (daemon->current != NULL)
		generation_count_errors(daemon->current);
	for (i = 0; daemon->current != NULL && i < daemon->current->config->listeners_count; i++)
		json_array_append_new(list, listener_json(daemon,
							  &daemon->current->config->listeners[i]));
	return list;
}

/* ---- upstreams ---------------------------------------------------------------------------- */

static const char *const balances[] = {
	[WEIR_BALANCE_ROUND_ROBIN] = "round_robin",
	[WEIR_BALANCE_RANDOM] = "random",
	[WEIR_BALANCE_LEAST_CONNECTIONS] = "least_connections",
	[WEIR_BALANCE_RING_HASH] = "ring_hash",
	[WEIR_BALANCE_MAGLEV] = "maglev",
	[WEIR_BALANCE_SOURCE_HASH] = "source_hash",
};

static void add_endpoint(void *ctx, const struct weir_endpoint_info *info)
{
	const char *error = info->last_status < 0 ? weir_strerror(info->last_status) : "";
	uint64_t now = weir_now();
	uint64_t since_ns = info->state_since_ns != 0 && info->state_since_ns < now
				    ? now - info->state_since_ns
				    : 0;
	char address[WEIR_ADDRESS_TEXT];

	weir_address_format(&info->address, address);
	json_array_append_new(
		ctx, json_pack("{s:s, s:s, s:s, s:i, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:I}",
			       "name", info->name, "address", address, "state",
			       weir_endpoint_state_name(info->state), "weight", (int)info->weight,
			       "backup", info->backup, "active", INT(info->active), "total",
			       INT(info->total), "failures", INT(info->failures), "ejections",
			       INT(info->ejections), "checks", INT(info->checks), "checks_failed",
			       INT(info->checks_failed), "last_error", error, "state_since_s",
			       INT(since_ns / 1000000000)));
}

json_t *report_upstreams(struct weir_daemon *daemon)
{
	json_t *list = json_array(), *endpoints;
	const struct weir_config_upstream *conf;
	uint32_t i;

	for (i = 0; daemon->current != NULL && i < daemon->current->config->upstreams_count; i++) {
		conf = &daemon->current->config->upstreams[i];
		endpoints = json_array();
		weir_upstream_each(daemon->current->upstreams[i], add_endpoint, endpoints);
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:o}", "name", conf->name, "balance",
						balances[conf->balance], "endpoints", endpoints));
	}
	return list;
}

/* ---- flows -------------------------------------------------------------------------------- */

static json_t *flow_json(const struct weir_flow_info *flow)
{
	return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:i, s:I, s:i}",
			 "id", INT(flow->id), "listener", flow->listener, "client", flow->client,
			 "upstream", flow->upstream, "endpoint", flow->endpoint, "path",
			 weir_path_name(flow->path), "why", flow->why != NULL ? flow->why : "",
			 "bytes_up", INT(flow->bytes_up), "bytes_down", INT(flow->bytes_down),
			 "age_ms", INT(flow->age_ms), "idle_ms", INT(flow->idle_ms), "switches",
			 (int)flow->switches, "spills", INT(flow->spills), "worker",
			 (int)flow->worker);
}

json_t *report_flows(struct weir_daemon *daemon, const char *listener)
{
	struct weir_flow_info *flows;
	json_t *list;
	size_t i, n;

	if (weir_daemon_flows(daemon, &flows, &n) < 0)
		return NULL;
	list = json_array();
	for (i = 0; i < n; i++) {
		if (listener == NULL || strcmp(flows[i].listener, listener) == 0)
			json_array_append_new(list, flow_json(&flows[i]));
	}
	free(flows);
	return list;
}

/* ---- tasks -------------------------------------------------------------------------------- */

struct task_list {
	json_t *list;
	unsigned worker;
	bool stacks;
};

static void add_task(void *ctx, const struct weir_task_info *info)
{
	const struct task_list *tasks = ctx;
	uint64_t now = weir_now();
	json_t *task;

	task = json_pack("{s:i, s:s, s:s, s:I, s:I}", "worker", (int)tasks->worker, "name",
			 info->name, "what", info->what, "since_ms",
			 INT((now - info->since_ns) / 1000000), "age_ms",
			 INT((now - info->started_ns) / 1000000));
	if (tasks->stacks)
		json_object_set_new(task, "stack_bytes", json_integer(INT(info->stack_used)));
	json_array_append_new(tasks->list, task);
}

static void worker_on_tasks(struct worker *worker, void *slot)
{
	struct task_list *tasks = slot;

	weir_task_each(worker->loop, tasks->stacks, add_task, tasks);
}

json_t *report_tasks(struct weir_daemon *daemon, bool stacks)
{
	struct task_list control = { json_array(), daemon->n_workers, stacks };
	struct task_list *slots = calloc(daemon->n_workers, sizeof(*slots));
	json_t *all = json_array();
	unsigned i;

	for (i = 0; slots != NULL && i < daemon->n_workers; i++)
		slots[i] = (struct task_list){ json_array(), i, stacks };
	if (slots == NULL ||
	    daemon_call_workers(daemon, worker_on_tasks, slots, sizeof(*slots)) < 0) {
		json_decref(all);
		all = NULL;
	}
	weir_task_each(daemon->loop, stacks, add_task, &control);
	for (i = 0; slots != NULL && i < daemon->n_workers; i++) {
		json_array_extend(all, slots[i].list);
		json_decref(slots[i].list);
	}
	json_array_extend(all, control.list);
	json_decref(control.list);
	free(slots);
	return all;
}

/* ---- kernel ------------------------------------------------------------------------------- */

static void add_counter(void *ctx, const char *name, uint64_t value)
{
	json_object_set_new(ctx, name, json_integer(INT(value)));
}

/* What workers counted, summed, beside what the programs counted. */
static void worker_on_counts(struct worker *worker, void *slot)
{
	struct weir_offload_counts *counts = slot;

	if (worker->offload != NULL)
		weir_offload_read_counts(worker->offload, counts);
}

static int add_worker_counts(struct weir_daemon *daemon, json_t *counters)
{
	static const struct {
		const char *name;
		size_t offset;
	} members[] = {
		{ "flows_handed_over", offsetof(struct weir_offload_counts, handed_over) },
		{ "flows_refused", offsetof(struct weir_offload_counts, refused) },
		{ "flows_refused_full", offsetof(struct weir_offload_counts, refused_full) },
		{ "flows_handed_back", offsetof(struct weir_offload_counts, handed_back) },
		{ "flows_ended", offsetof(struct weir_offload_counts, ended) },
		{ "flows_broken", offsetof(struct weir_offload_counts, broken) },
		{ "flows_spills", offsetof(struct weir_offload_counts, spills) },
		{ "flows_audit_failed", offsetof(struct weir_offload_counts, audit_failed) },
		{ "events_lost", offsetof(struct weir_offload_counts, events_lost) },
	};
	struct weir_offload_counts *slots = calloc(daemon->n_workers, sizeof(*slots));
	uint64_t sum;
	unsigned i;
	size_t j;
	int status = slots == NULL ? -1 : 0;

	if (status == 0)
		status = daemon_call_workers(daemon, worker_on_counts, slots, sizeof(*slots));
	for (j = 0; j < WEIR_ARRAY_SIZE(members) && status == 0; j++) {
		for (sum = 0, i = 0; i < daemon->n_workers; i++)
			sum += *(const uint64_t *)((const char *)&slots[i] + members[j].offset);
		json_object_set_new(counters, members[j].name, json_integer(INT(sum)));
	}
	free(slots);
	return status;
}

json_t *report_kernel(struct weir_daemon *daemon)
{
	const struct weir_probe_result *results;
	json_t *probes = json_array(), *counters = json_object();
	const char *why = NULL;
	bool usable = weir_kernel_is_usable(daemon->kernel, &why);
	size_t i, n;

	results = weir_kernel_results(daemon->kernel, &n);
	for (i = 0; i < n; i++)
		json_array_append_new(
			probes, json_pack("{s:s, s:s, s:s, s:s}", "name", results[i].name, "status",
					  weir_probe_status_name(results[i].status), "reason",
					  results[i].reason, "disables",
					  results[i].disables != NULL ? results[i].disables : ""));
	if (usable) {
		(void)!weir_kernel_each_stat(daemon->kernel, add_counter, counters);
		(void)!add_worker_counts(daemon, counters);
	}
	return json_pack("{s:b, s:s, s:s, s:o, s:o}", "available", usable, "why",
			 why != NULL ? why : "", "pin",
			 weir_kernel_pin(daemon->kernel) != NULL ? weir_kernel_pin(daemon->kernel)
								 : "",
			 "probes", probes, "counters", counters);
}

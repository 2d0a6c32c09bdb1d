/* SPDX-License-Identifier: MIT */

#include "daemon/adopt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir/conn.h>
#include <weir/listener.h>
#include <weir/log.h>
#include <weir/offload.h>

#include "daemon/generation.h"

static const struct weir_metric_family adopted_family = {
	.name = "weir_flows_adopted_total",
	.help = "Flows in the kernel that were taken over from another daemon process",
	.type = WEIR_METRIC_COUNTER,
};
static const struct weir_metric_family reset_family = {
	.name = "weir_flows_not_adopted_total",
	.help = "Flows in the kernel that another daemon process left, and that were reset",
	.type = WEIR_METRIC_COUNTER,
	.labels = { "cause" },
};
static const struct weir_metric_family lost_family = {
	.name = "weir_connections_lost_total",
	.help = "Connections in userspace that were reset because their daemon process died",
	.type = WEIR_METRIC_COUNTER,
};

struct adoption {
	struct weir_post post; /* there and back */
	struct weir_daemon *daemon;
	struct stack *stack;
	struct weir_resumed resumed;
	struct weir_kept_flow kept;
	uint64_t key;
	int status;
};

/* Why a flow was reset: for metrics, and for people. */
static const char *cause_of(int status)
{
	switch (status) {
	case -EPROTONOSUPPORT:
		return "other_abi";
	case -ENOENT:
		return "no_record";
	case -ENODEV:
		return "no_listener";
	case -EOPNOTSUPP:
		return "layers";
	case -EBADMSG:
		return "bytes_lost";
	default:
		return "error";
	}
}

static const char *cause_text(int status)
{
	switch (status) {
	case -EPROTONOSUPPORT:
		return "the kernel's maps are of another ABI";
	case -ENOENT:
		return "the kernel has no record of it";
	case -ENODEV:
		return "its listener is no longer configured";
	case -EOPNOTSUPP:
		return "a layer of its listener cannot go on with it";
	case -EBADMSG:
		return "bytes of it were in the hands of the daemon that died";
	default:
		return weir_strerror(status);
	}
}

static struct weir_counter *counter(struct weir_daemon *daemon,
				    const struct weir_metric_family *family, const char *label)
{
	const char *values[] = { label, NULL };

	return weir_metrics_counter(daemon->metrics, daemon->n_workers, family, values);
}

/* ---- what has become of them -------------------------------------------------------------- */

static void say_all(struct weir_daemon *daemon)
{
	struct adopting *adopting = &daemon->adopting;

	if (!adopting->all || adopting->pending > 0)
		return;
	if (adopting->adopted + adopting->reset + adopting->lost > 0)
		weir_log(adopting->reset + adopting->lost > 0 ? WEIR_LOG_WARN : WEIR_LOG_INFO,
			 "keeper", "flows are adopted", WEIR_LOG_UINT("adopted", adopting->adopted),
			 WEIR_LOG_UINT("reset", adopting->reset),
			 WEIR_LOG_UINT("lost_in_userspace", adopting->lost));
	*adopting = (struct adopting){ 0 };
}

static void count(struct weir_daemon *daemon, const char *object, int status)
{
	if (status == 0) {
		daemon->adopting.adopted++;
		weir_counter_add(counter(daemon, &adopted_family, NULL), 1);
		return;
	}
	daemon->adopting.reset++;
	weir_counter_add(counter(daemon, &reset_family, cause_of(status)), 1);
	weir_log(WEIR_LOG_WARN, object, "is reset: it cannot be adopted",
		 WEIR_LOG_STR("why", cause_text(status)));
}

static void drop(struct weir_daemon *daemon, uint64_t key)
{
	const struct wire_entry entry = { .key = key, .what = WIRE_FLOW };

	keeper_link_drop(&daemon->keeper, &entry);
}

/* On the control loop. */
static void on_answer(struct weir_post *post)
{
	struct adoption *adoption = weir_container_of(post, struct adoption, post);
	struct weir_daemon *daemon = adoption->daemon;
	char object[40];

	snprintf(object, sizeof(object), "conn %llu", (unsigned long long)adoption->kept.id);
	count(daemon, object, adoption->status);
	if (adoption->status < 0)
		drop(daemon, adoption->key);
	daemon->adopting.pending--;
	free(adoption);
	say_all(daemon);
}

/* On the worker's loop. */
static void answer(struct adoption *adoption, int status)
{
	adoption->status = status;
	adoption->post.fn = on_answer;
	weir_loop_post(adoption->daemon->loop, &adoption->post);
}

static void on_done(struct weir_resumed *resumed, int status)
{
	answer(weir_container_of(resumed, struct adoption, resumed), status);
}

/* ---- on the way --------------------------------------------------------------------------- */

static void reset(const int fds[2])
{
	const struct linger linger = { .l_onoff = 1, .l_linger = 0 };

	for (int i = 0; i < 2; i++) {
		setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		close(fds[i]);
	}
}

/* On the worker's loop. */
static void on_worker(struct weir_post *post)
{
	struct adoption *adoption = weir_container_of(post, struct adoption, post);
	int status = -ENODEV;

	if (adoption->stack->listener != NULL)
		status = weir_listener_resume(adoption->stack->listener, &adoption->resumed);
	else
		reset(adoption->resumed.fds);
	if (status < 0)
		answer(adoption, status);
}

static struct stack *find_stack(struct weir_daemon *daemon, const char *listener)
{
	const struct weir_config *config = daemon->current->config;
	struct stack_set *set = &daemon->current->sets[daemon->adopting.turn++ % daemon->n_workers];

	for (uint32_t i = 0; i < config->listeners_count; i++) {
		if (strcmp(config->listeners[i].name, listener) == 0)
			return &set->stacks[i];
	}
	return NULL;
}

static int prepare(struct adoption *adoption, const int fds[2])
{
	struct weir_daemon *daemon = adoption->daemon;
	const struct weir_kept_flow *kept = &adoption->kept;

	if (weir_kernel_find_flow(daemon->kernel, fds, &adoption->kept) < 0)
		return weir_kernel_other_abi(daemon->kernel) != 0 ? -EPROTONOSUPPORT : -ENOENT;
	adoption->stack = find_stack(daemon, kept->listener);
	if (adoption->stack == NULL)
		return -ENODEV;
	adoption->resumed = (struct weir_resumed){
		.fds = { fds[0], fds[1] },
		.id = kept->id,
		.peer = kept->client,
		.local = kept->local,
		.accepted_ns = kept->accepted_ns,
		.started_ns = kept->started_ns,
		.connect_ns = kept->connect_ns,
		.attempts = kept->attempts,
		.rule = kept->rule,
		.done = on_done,
	};
	return 0;
}

void adopt_flow(struct weir_daemon *daemon, uint64_t key, const int fds[2])
{
	struct adoption *adoption = calloc(1, sizeof(*adoption));
	int status = adoption == NULL ? -ENOMEM : 0;

	if (status == 0) {
		adoption->daemon = daemon;
		adoption->key = key;
		status = prepare(adoption, fds);
	}
	if (status < 0) {
		free(adoption);
		reset(fds);
		drop(daemon, key);
		count(daemon, "keeper", status);
		return;
	}
	daemon->adopting.pending++;
	adoption->post.fn = on_worker;
	weir_loop_post(adoption->stack->worker->loop, &adoption->post);
}

void adopt_all(struct weir_daemon *daemon, uint64_t lost)
{
	daemon->adopting.lost += lost;
	weir_counter_add(counter(daemon, &lost_family, NULL), lost);
	daemon->adopting.all = true;
	say_all(daemon);
}

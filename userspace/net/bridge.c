/* SPDX-License-Identifier: MIT */
/*
 * A bridge: two pumps in one task. It steps both until neither can go on, asks whether another
 * path suits the flow better, and parks until a stream is ready or a deadline passes.
 *
 *	step both pumps ----> both done ------------------------> closed
 *	   ^      |---------> one broke ------------------------> reset
 *	   |      v
 *	   |   choose path ---> the kernel carries the flow ----> done, or handed back
 *	   |      v
 *	   +--- park ---------> idle, lifetime, shutdown, admin
 */

#include <weir/bridge.h>

#include <errno.h>
#include <sys/socket.h>

#include <weir/conn.h>
#include <weir/error.h>
#include <weir/usdt.h>

#include "net/flow.h"
#include "net/pump.h"

#define NS_PER_MS      1000000ull
#define PENALTY_SHIFTS 6 /* doubles up to 64 times */

struct engine {
	struct weir_bridge *bridge;
	struct weir_loop *loop;
	struct pump pump[2];
};

const char *weir_end_name(enum weir_end end)
{
	static const char *const names[WEIR_END_COUNT] = {
		[WEIR_END_NONE] = "none",
		[WEIR_END_CLIENT] = "client_closed",
		[WEIR_END_UPSTREAM] = "upstream_closed",
		[WEIR_END_CLIENT_RESET] = "client_reset",
		[WEIR_END_UPSTREAM_RESET] = "upstream_reset",
		[WEIR_END_IDLE] = "idle",
		[WEIR_END_LIFETIME] = "lifetime",
		[WEIR_END_SHUTDOWN] = "shutdown",
		[WEIR_END_ADMIN] = "admin",
		[WEIR_END_REMOVED] = "endpoint_removed",
		[WEIR_END_ERROR] = "error",
		[WEIR_END_MOVED] = "moved",
	};

	return end < WEIR_END_COUNT ? names[end] : "unknown";
}

/* ------------------------------------------------------------------------------------------
 * Which paths this flow can use
 */

static void bridge_forbid(struct weir_bridge *bridge, enum weir_path path, const char *why)
{
	if (!(bridge->allowed & WEIR_PATH_BIT(path)))
		return;
	bridge->allowed &= ~WEIR_PATH_BIT(path);
	bridge->forbidden = why;
}

static void bridge_allow_paths(struct weir_bridge *bridge)
{
	const struct weir_bridge_conf *conf = bridge->conf;
	const char *why = NULL;

	bridge->allowed = conf->paths
				  ? conf->paths
				  : WEIR_PATH_BIT(WEIR_PATH_COPY) | WEIR_PATH_BIT(WEIR_PATH_SPLICE);
	if (conf->pace)
		bridge_forbid(bridge, WEIR_PATH_SOCKMAP, "the bandwidth is limited");
	if (!conf->offload)
		bridge_forbid(bridge, WEIR_PATH_SOCKMAP, "there is no kernel data plane");
	else if (bridge->allowed & WEIR_PATH_BIT(WEIR_PATH_SOCKMAP) &&
		 !conf->offload->ops->can(conf->offload, bridge, &why))
		bridge_forbid(bridge, WEIR_PATH_SOCKMAP, why);
	for (int i = 0; i < 2; i++) {
		if (weir_stream_raw_fd(bridge->stream[i], &why) < 0 ||
		    !weir_stream_watch(bridge->stream[i])) {
			bridge_forbid(bridge, WEIR_PATH_SOCKMAP, why);
			bridge_forbid(bridge, WEIR_PATH_SPLICE, why);
		}
	}
	if (conf->inspect) {
		bridge_forbid(bridge, WEIR_PATH_SOCKMAP, "a layer must see all bytes");
		bridge_forbid(bridge, WEIR_PATH_SPLICE, "a layer must see all bytes");
	}
	if (bridge->allowed == 0)
		bridge->allowed = WEIR_PATH_BIT(WEIR_PATH_COPY);
}

static void bridge_reset_sample(struct weir_bridge *bridge)
{
	struct weir_path_sample *sample = &bridge->sample;

	sample->turns = 0;
	for (int i = 0; i < 2; i++) {
		sample->full_reads[i] = 0;
		sample->small_reads[i] = 0;
	}
}

static void bridge_set_path(struct weir_bridge *bridge, enum weir_path path, const char *why)
{
	bridge->why = bridge->forbidden ? bridge->forbidden : why;
	if (path == bridge->path)
		return;
	weir_usdt_path_switch(bridge->id, bridge->path, path, bridge->why);
	bridge->path = path;
	bridge->switches++;
	bridge_reset_sample(bridge);
}

static enum weir_path bridge_decide(struct weir_bridge *bridge, uint64_t now, const char **why)
{
	struct weir_path_sample *sample = &bridge->sample;

	sample->now = bridge->path;
	sample->allowed = bridge->allowed;
	sample->age_ms = (now - bridge->started_ns) / NS_PER_MS;
	sample->penalty_ms = 0;
	if (bridge->penalty_until_ns > now)
		sample->penalty_ms = (bridge->penalty_until_ns - now) / NS_PER_MS + 1;
	return weir_path_decide(sample, &bridge->conf->thresholds, why);
}

/* ------------------------------------------------------------------------------------------
 * The kernel's turn
 */

/* A flow that was handed back because of what it does is not tried again at once. */
static void bridge_note_back(struct weir_bridge *bridge, uint64_t now)
{
	uint64_t penalty = bridge->conf->thresholds.penalty_ms * NS_PER_MS;

	if (now - bridge->carried_ns > penalty << PENALTY_SHIFTS)
		bridge->penalties = 0;
	bridge->penalty_until_ns = now + (penalty << bridge->penalties);
	if (bridge->penalties < PENALTY_SHIFTS)
		bridge->penalties++;
	/* What came back is bulk until it shows otherwise. */
	bridge->sample.full_reads[0] = bridge->conf->thresholds.bulk_reads;
}

void weir_bridge_is_resumed(struct weir_bridge *bridge, int status)
{
	struct weir_resumed *resumed = bridge->resumed;

	bridge->resumed = NULL;
	resumed->done(resumed, status);
}

/* The flow is with the kernel already. Whether it goes on here. */
static bool engine_resume(struct engine *engine)
{
	struct weir_bridge *bridge = engine->bridge;
	const char *why = NULL;
	int status;

	if (!bridge->conf->offload) {
		weir_bridge_is_resumed(bridge, -EOPNOTSUPP);
		bridge->end = WEIR_END_ERROR;
		bridge->status = -EOPNOTSUPP;
		return false;
	}
	/* The configuration may have changed meanwhile. */
	if (!(bridge->allowed & WEIR_PATH_BIT(WEIR_PATH_SOCKMAP)))
		bridge->asked_path = (int)weir_path_best(bridge->allowed);
	bridge->carried_ns = weir_loop_now(engine->loop);
	bridge->path = WEIR_PATH_SOCKMAP;
	bridge->why = NULL;
	status = bridge->conf->offload->ops->resume(bridge->conf->offload, bridge, &why);
	bridge->status = status < 0 ? status : 0;
	if (status != 0)
		return false;
	bridge_set_path(bridge, weir_path_best(bridge->allowed & ~WEIR_PATH_BIT(WEIR_PATH_SOCKMAP)),
			why);
	return true;
}

/* Whether the flow goes on here. */
static bool engine_carry(struct engine *engine)
{
	struct weir_bridge *bridge = engine->bridge;
	enum weir_path before = bridge->path;
	const char *why = NULL;
	int status;

	bridge->carried_ns = weir_loop_now(engine->loop);
	bridge_set_path(bridge, WEIR_PATH_SOCKMAP, NULL);
	bridge->why = NULL;
	status = bridge->conf->offload->ops->carry(bridge->conf->offload, bridge, &why);
	if (status < 0 && bridge->end == WEIR_END_NONE) {
		bridge_forbid(bridge, WEIR_PATH_SOCKMAP, why ? why : weir_strerror(status));
		weir_usdt_path_switch(bridge->id, bridge->path, before, bridge->forbidden);
		bridge->path = before;
		bridge->switches--;
		return true;
	}
	bridge->status = status < 0 ? status : 0;
	if (status != 0)
		return false;
	bridge_set_path(bridge, weir_path_best(bridge->allowed & ~WEIR_PATH_BIT(WEIR_PATH_SOCKMAP)),
			why);
	if (bridge->asked_path < 0)
		bridge_note_back(bridge, weir_loop_now(engine->loop));
	return true;
}

/* ------------------------------------------------------------------------------------------
 * Ends
 */

static void bridge_end(struct weir_bridge *bridge, enum weir_end end, int status)
{
	if (bridge->end != WEIR_END_NONE)
		return;
	bridge->end = end;
	bridge->status = status;
}

static bool status_is_reset(int status)
{
	return status == -ECONNRESET || status == -EPIPE || status == -ETIMEDOUT ||
	       status == -ECONNABORTED || status == -ENOTCONN || status == -EHOSTUNREACH ||
	       status == -ENETUNREACH || status == -ENETDOWN;
}

static void engine_break(struct engine *engine, const struct pump *pump)
{
	bool client = pump->broke_source == (pump->way == WEIR_UP);
	enum weir_end end = client ? WEIR_END_CLIENT_RESET : WEIR_END_UPSTREAM_RESET;

	bridge_end(engine->bridge, status_is_reset(pump->status) ? end : WEIR_END_ERROR,
		   pump->status);
}

/* A reset shows as an error even while nothing is read from that side. */
static void engine_check_errors(struct engine *engine)
{
	for (int i = 0; i < 2; i++) {
		struct weir_watch *watch = weir_stream_watch(engine->bridge->stream[i]);

		if (watch && watch->ready & WEIR_ERROR)
			bridge_end(engine->bridge,
				   i == 0 ? WEIR_END_CLIENT_RESET : WEIR_END_UPSTREAM_RESET,
				   -ECONNRESET);
	}
}

static void bridge_end_done(struct weir_bridge *bridge)
{
	if (bridge->way[WEIR_UP].done && bridge->way[WEIR_DOWN].done)
		bridge_end(bridge,
			   bridge->first_ended == WEIR_UP ? WEIR_END_CLIENT : WEIR_END_UPSTREAM, 0);
}

static uint64_t deadline_of(uint64_t since_ns, uint64_t ms)
{
	return ms ? since_ns + ms * NS_PER_MS : WEIR_NEVER;
}

/* Woken by a deadline: whose was it? */
static void engine_check_time(struct engine *engine)
{
	struct weir_bridge *bridge = engine->bridge;
	uint64_t now = weir_loop_now(engine->loop);

	if (now >= deadline_of(bridge->started_ns, bridge->conf->lifetime_ms) || weir_task_check())
		bridge_end(bridge, WEIR_END_LIFETIME, WEIR_ELIFETIME);
	else if (now >= deadline_of(bridge->active_ns, bridge->conf->idle_ms))
		bridge_end(bridge, WEIR_END_IDLE, WEIR_EIDLE);
}

/* ------------------------------------------------------------------------------------------
 * Steps
 */

static void engine_step(struct engine *engine)
{
	struct weir_bridge *bridge = engine->bridge;

	for (int i = 0; i < 2; i++) {
		if (pump_step(&engine->pump[i])) {
			engine_break(engine, &engine->pump[i]);
			return;
		}
	}
	bridge_end_done(bridge);
}

/* Whether another path was taken, so that the pumps should be asked again. */
static bool engine_choose(struct engine *engine)
{
	struct weir_bridge *bridge = engine->bridge;
	const char *why = bridge->why;
	enum weir_path path;

	if (bridge->pinned == WEIR_PATH_COUNT)
		path = bridge_decide(bridge, weir_loop_now(engine->loop), &why);
	else
		path = (enum weir_path)bridge->pinned;
	if (!(bridge->allowed & WEIR_PATH_BIT(path)))
		path = weir_path_best(bridge->allowed);
	if (path != WEIR_PATH_SOCKMAP) {
		bool other = path != bridge->path;

		bridge_set_path(bridge, path, why);
		return other;
	}
	if (!pump_is_empty(&engine->pump[0]) || !pump_is_empty(&engine->pump[1]) ||
	    engine->pump[0].state != PUMP_OPEN || engine->pump[1].state != PUMP_OPEN)
		return false;
	return engine_carry(engine);
}

/* Does what an operator asked for, before anything else is read on the old path. */
static void engine_obey(struct engine *engine)
{
	struct weir_bridge *bridge = engine->bridge;

	if (bridge->asked_end != WEIR_END_NONE)
		bridge_end(bridge, bridge->asked_end, WEIR_EADMIN);
	if (bridge->asked_path < 0)
		return;
	bridge->pinned = bridge->asked_path;
	bridge->asked_path = -1;
	bridge->why = "chosen by an operator";
	bridge->penalty_until_ns = 0;
	bridge_reset_sample(bridge);
	(void)engine_choose(engine);
}

static unsigned pump_source_events(const struct pump *pump)
{
	return pump->wait == PUMP_WAIT_SOURCE ? WEIR_READABLE : 0;
}

static unsigned pump_destination_events(const struct pump *pump)
{
	return pump->wait == PUMP_WAIT_DESTINATION ? WEIR_WRITABLE : 0;
}

static void engine_park(struct engine *engine)
{
	struct weir_bridge *bridge = engine->bridge;
	const struct weir_bridge_conf *conf = bridge->conf;
	uint64_t deadline = WEIR_MIN(deadline_of(bridge->active_ns, conf->idle_ms),
				     deadline_of(bridge->started_ns, conf->lifetime_ms));
	int status;

	for (int i = 0; i < 2; i++) {
		unsigned events = pump_source_events(&engine->pump[i]) |
				  pump_destination_events(&engine->pump[!i]);

		bridge->stream[i]->ops->subscribe(bridge->stream[i], events | WEIR_ERROR,
						  bridge->task);
		if (engine->pump[i].wait == PUMP_WAIT_TIME)
			deadline = WEIR_MIN(deadline, engine->pump[i].not_before);
	}
	status = weir_task_park("bridge", deadline);
	if (status == -ECANCELED)
		bridge_end(bridge, WEIR_END_SHUTDOWN, WEIR_ESHUTDOWN);
	else if (status == -ETIMEDOUT)
		engine_check_time(engine);
}

static bool engine_can_go_on(const struct engine *engine)
{
	return engine->pump[0].wait == PUMP_WAIT_NOTHING ||
	       engine->pump[1].wait == PUMP_WAIT_NOTHING;
}

static void engine_run(struct engine *engine)
{
	struct weir_bridge *bridge = engine->bridge;

	while (bridge->end == WEIR_END_NONE) {
		engine_obey(engine);
		if (bridge->end == WEIR_END_NONE)
			engine_step(engine);
		if (bridge->end != WEIR_END_NONE)
			break;
		if (engine_choose(engine))
			continue;
		engine_check_errors(engine);
		if (bridge->end != WEIR_END_NONE)
			break;
		if (!engine_can_go_on(engine))
			engine_park(engine);
		else if (weir_task_yield() == -ECANCELED)
			bridge_end(bridge, WEIR_END_SHUTDOWN, WEIR_ESHUTDOWN);
		else
			engine_check_time(engine);
	}
}

/* ------------------------------------------------------------------------------------------
 * From outside
 */

void weir_bridge_init(struct weir_bridge *bridge, const struct weir_bridge_conf *conf,
		      struct weir_stream *client, struct weir_stream *upstream)
{
	*bridge = (struct weir_bridge){
		.conf = conf,
		.stream = { client, upstream },
		.asked_path = -1,
		.pinned = WEIR_PATH_COUNT,
	};
	weir_list_init(&bridge->flow_link);
}

/* Urgent data is data: it stays in the stream, at its place (RFC 6093, section 5), as on all paths
 * or on none. The kernel would take the byte out of the stream, and splice(2) stops at it. */
static void bridge_keep_urgent(struct weir_bridge *bridge)
{
	int on = 1;

	for (int i = 0; i < 2; i++) {
		int fd = weir_stream_raw_fd(bridge->stream[i], NULL);

		if (fd >= 0)
			setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	}
}

/* Until its orderly end a closed socket means a reset: should the process die, no peer may take
 * what it has got so far for all. */
static void bridge_guard(struct weir_bridge *bridge, bool on)
{
	const struct linger linger = { .l_onoff = on, .l_linger = 0 };

	for (int i = 0; i < 2; i++) {
		int fd = weir_stream_raw_fd(bridge->stream[i], NULL);

		if (fd >= 0)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	}
}

/* Resets what the end leaves standing; an orderly end leaves nothing. */
static void bridge_finish(struct weir_bridge *bridge)
{
	if (bridge->end == WEIR_END_MOVED)
		return;
	if (bridge->end == WEIR_END_CLIENT || bridge->end == WEIR_END_UPSTREAM) {
		bridge_guard(bridge, false);
		return;
	}
	if (bridge->end != WEIR_END_CLIENT_RESET)
		weir_stream_abort(bridge->stream[0]);
	if (bridge->end != WEIR_END_UPSTREAM_RESET)
		weir_stream_abort(bridge->stream[1]);
}

int weir_bridge_run(struct weir_bridge *bridge)
{
	struct weir_task *task = weir_task_current();
	struct engine engine = { .bridge = bridge, .loop = weir_task_loop(task) };

	bridge->task = task;
	if (!bridge->resumed)
		bridge->started_ns = weir_loop_now(engine.loop);
	bridge->active_ns = bridge->started_ns;
	bridge_keep_urgent(bridge);
	bridge_guard(bridge, true);
	bridge_allow_paths(bridge);
	if (!bridge->conf->adaptive)
		bridge->pinned = (int)weir_path_best(bridge->allowed);
	for (int i = 0; i < 2; i++)
		pump_init(&engine.pump[i], bridge, (enum weir_way)i);
	flow_add(engine.loop, bridge);
	if (!bridge->resumed || engine_resume(&engine))
		engine_run(&engine);
	weir_list_del(&bridge->flow_link);
	for (int i = 0; i < 2; i++) {
		bridge->stream[i]->ops->subscribe(bridge->stream[i], 0, task);
		pump_fini(&engine.pump[i]);
	}
	bridge_finish(bridge);
	return bridge->status;
}

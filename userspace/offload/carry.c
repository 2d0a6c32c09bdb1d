/* SPDX-License-Identifier: MIT */
/*
 * The life of a flow in the kernel, in the bridge's own task: hand over, sleep, and when
 * something happens (an event of the verdict, the end of a stream, a reset, a timer, an
 * operator) bring both lanes forward as far as they go, and sleep again.
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <weir/error.h>

#include "offload/carry.h"
#include "offload/gauge.h"

#define NS_PER_MS    1000000ull
#define NAP_FIRST_US 40u
#define NAP_LAST_US  5000u

static struct weir_offload_worker *worker_of(struct weir_offload *offload)
{
	return weir_container_of(offload, struct weir_offload_worker, offload);
}

/* ------------------------------------------------------------------------------------------
 * States
 */

static bool lane_may(enum lane_state from, enum lane_state to)
{
	switch (to) {
	case LANE_SPILLED:
		return from == LANE_OPEN;
	case LANE_OPEN:
		return from == LANE_SPILLED;
	case LANE_LEAVING:
		return from == LANE_OPEN || from == LANE_SPILLED;
	case LANE_LEFT:
		return from == LANE_LEAVING;
	case LANE_ENDING:
		return from != LANE_ENDING && from != LANE_DONE;
	case LANE_DONE:
		return from == LANE_ENDING;
	}
	return false;
}

void lane_set_state(struct lane *lane, enum lane_state state)
{
	assert(lane_may(lane->state, state));
	lane->state = state;
	lane->need = LANE_NEEDS_NOTHING;
}

/* ------------------------------------------------------------------------------------------
 * Spills
 */

/* Whether the last SPILLS spills lie within the window. */
static bool carry_spills_much(const struct carry *carry, uint64_t now)
{
	const struct weir_path_thresholds *thresholds = &carry->bridge->conf->thresholds;
	unsigned spills = WEIR_MIN(thresholds->spills, CARRY_SPILLS);
	uint64_t first_ns;

	if (carry->spills < spills)
		return false;
	first_ns = carry->spill_ns[(carry->spills - spills) % CARRY_SPILLS];
	return now - first_ns <= thresholds->spill_ms * NS_PER_MS;
}

static bool carry_may_leave(const struct carry *carry)
{
	return carry->bridge->pinned == WEIR_PATH_COUNT && carry->worker->kernel->hold_prog >= 0;
}

static void lane_spill(struct lane *lane)
{
	struct carry *carry = lane->carry;
	uint64_t now = weir_loop_now(carry->worker->loop);

	lane_set_state(lane, LANE_SPILLED);
	lane->full_reads = 0;
	/* Or userspace has the other direction in hand, and both must go through it. */
	if (lane->slot->spills == lane->spills)
		return;
	carry->bridge->spills += lane->slot->spills - lane->spills;
	lane->spills = lane->slot->spills;
	carry_count(carry->worker, spills);
	carry->spill_ns[carry->spills++ % CARRY_SPILLS] = now;
	if (carry_may_leave(carry) && carry_spills_much(carry, now))
		carry_leave_for(carry, "the sender keeps outrunning the receiver");
}

/* A spill that does not end is bulk. */
static void lane_check_bulk(struct lane *lane)
{
	if (lane->full_reads >= lane->carry->bridge->conf->thresholds.bulk_reads &&
	    carry_may_leave(lane->carry))
		carry_leave_for(lane->carry, "the flow looks like bulk");
}

/* ------------------------------------------------------------------------------------------
 * Lanes
 */

static bool lane_source_hung_up(const struct lane *lane)
{
	return carry_watch(lane->carry, (int)lane->way)->ready & WEIR_HANGUP;
}

static void lane_begin_end(struct lane *lane)
{
	struct weir_bridge *bridge = lane->carry->bridge;

	if (lane_other(lane)->state != LANE_ENDING && lane_other(lane)->state != LANE_DONE) {
		bridge->first_ended = lane->way;
		__atomic_fetch_or(&lane->slot->marks, WEIR_MARK_FIRST, __ATOMIC_RELEASE);
	}
	lane_set_state(lane, LANE_ENDING);
}

static int lane_step_spilled(struct lane *lane, int *broken)
{
	int status;

	do {
		status = lane_pump(lane, broken);
	} while (!status && !lane_catch_up(lane));
	if (!status)
		lane_set_state(lane, LANE_OPEN);
	else
		lane_check_bulk(lane);
	return status;
}

/* Where sockets cannot leave the map, userspace goes on reading a mapped one. */
static int lane_step_leaving(struct lane *lane, int *broken)
{
	int status;

	if (carry_shut(lane->carry)) {
		lane->need = LANE_NEEDS_TIME;
		return -EAGAIN;
	}
	weir_watch_clear(carry_watch(lane->carry, (int)lane->way), WEIR_READABLE);
	status = lane_pump(lane, broken);
	if (status && status != -EAGAIN)
		return status;
	status = lane_leave(lane);
	if (!status)
		lane_set_state(lane, LANE_LEFT);
	if (status == -EOPNOTSUPP) {
		if (lane->need == LANE_NEEDS_NOTHING)
			lane->need = LANE_NEEDS_READABLE;
		return -EAGAIN;
	}
	if (status && status != -EAGAIN)
		*broken = status == -EBADMSG ? -1 : (int)lane->way;
	return status;
}

/* Userspace reads an ordinary socket until the other one is out of the map too. */
static int lane_step_left(struct lane *lane, int *broken)
{
	int status;

	weir_watch_clear(carry_watch(lane->carry, (int)lane->way), WEIR_READABLE);
	status = lane_pump(lane, broken);
	if (!status)
		lane->need = LANE_NEEDS_READABLE;
	return status ? status : -EAGAIN;
}

/* One step. 0: it went on, or has nothing to do; -EAGAIN: see need; -errno. */
static int lane_step(struct lane *lane, int *broken)
{
	int status;

	if (lane->state != LANE_ENDING && lane->state != LANE_DONE && lane_source_hung_up(lane))
		lane_begin_end(lane);
	if (lane->carry->leaving && (lane->state == LANE_OPEN || lane->state == LANE_SPILLED))
		lane_set_state(lane, LANE_LEAVING);
	if (lane->state == LANE_OPEN && lane_passed(lane) != lane->read)
		lane_spill(lane);
	switch (lane->state) {
	case LANE_OPEN:
		return 0;
	case LANE_SPILLED:
		return lane_step_spilled(lane, broken);
	case LANE_LEAVING:
		return lane_step_leaving(lane, broken);
	case LANE_LEFT:
		return lane_step_left(lane, broken);
	case LANE_ENDING:
		status = lane_end(lane, broken);
		if (!status)
			lane_set_state(lane, LANE_DONE);
		return status;
	case LANE_DONE:
		return 0;
	}
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * Counts
 */

static void lane_account(struct lane *lane)
{
	struct weir_bridge *bridge = lane->carry->bridge;
	struct weir_bridge_way *way = &bridge->way[lane->way];
	uint64_t pending = lane->chunk ? lane->chunk_size - lane->chunk_sent : 0;
	uint64_t copied = lane->read + lane->after - pending;
	uint64_t redirected = lane_redirected(lane);

	way->bytes_path[WEIR_PATH_COPY] = lane->base_copy + copied;
	way->bytes_path[WEIR_PATH_SOCKMAP] = lane->base_sockmap + redirected;
	way->bytes = lane->base_bytes + copied + redirected;
	bridge->stream[lane->way]->bytes_read = lane->base_read + copied + redirected;
	bridge->stream[!lane->way]->bytes_written = lane->base_written + copied + redirected;
}

void carry_account(struct carry *carry)
{
	struct weir_bridge *bridge = carry->bridge;

	for (int i = 0; i < 2; i++) {
		lane_account(&carry->lane[i]);
		bridge->active_ns = WEIR_MAX(bridge->active_ns, carry->lane[i].slot->seen_ns);
	}
	bridge->active_ns = WEIR_MAX(bridge->active_ns, carry->active_ns);
}

/* ------------------------------------------------------------------------------------------
 * Sleep
 */

static unsigned carry_events(struct carry *carry, int i)
{
	const struct lane *from = &carry->lane[i];
	const struct lane *to = &carry->lane[!i];
	unsigned events = WEIR_ERROR;

	if (from->state != LANE_ENDING && from->state != LANE_DONE)
		events |= WEIR_HANGUP;
	if (from->need == LANE_NEEDS_READABLE)
		events |= WEIR_READABLE;
	if (to->need == LANE_NEEDS_WRITABLE)
		events |= WEIR_WRITABLE;
	return events;
}

/* A redirected socket reports its end only, or every message would wake us. */
static int carry_arm(struct carry *carry, int i, unsigned events)
{
	bool data = events & (WEIR_READABLE | WEIR_WRITABLE);
	int status;

	if (data == carry->data_armed[i])
		return 0;
	status = weir_watch_set_data(carry_watch(carry, i), data);
	if (!status)
		carry->data_armed[i] = data;
	return status;
}

static uint64_t carry_deadline(const struct carry *carry)
{
	const struct weir_bridge_conf *conf = carry->bridge->conf;
	uint64_t deadline = WEIR_NEVER;

	if (conf->idle_ms)
		deadline = carry->bridge->active_ns + conf->idle_ms * NS_PER_MS;
	if (conf->lifetime_ms)
		deadline = WEIR_MIN(deadline,
				    carry->bridge->started_ns + conf->lifetime_ms * NS_PER_MS);
	return deadline;
}

static int carry_nap(struct carry *carry)
{
	unsigned us = NAP_FIRST_US << WEIR_MIN(carry->naps, 7u);

	carry->naps++;
	return weir_task_nap_us(WEIR_MIN(us, NAP_LAST_US));
}

static bool carry_needs(const struct carry *carry, enum lane_need need)
{
	return carry->lane[0].need == need || carry->lane[1].need == need;
}

/* Until something happens. 0, or what ended the wait. */
static int carry_sleep(struct carry *carry)
{
	struct weir_task *task = weir_task_current();
	int status = 0;

	if (carry_needs(carry, LANE_NEEDS_TURN))
		return weir_task_yield();

	for (int i = 0; i < 2 && !status; i++) {
		unsigned events = carry_events(carry, i);

		/* Armed anew, readiness is assumed, so that it is tried once before a sleep. */
		status = carry_arm(carry, i, events);
		weir_watch_subscribe(carry_watch(carry, i), events, task);
	}
	if (!status && carry_needs(carry, LANE_NEEDS_TIME)) {
		status = carry_nap(carry);
	} else if (!status) {
		carry->naps = 0;
		status = weir_task_park("kernel", carry_deadline(carry));
	}
	for (int i = 0; i < 2; i++)
		weir_watch_unsubscribe(carry_watch(carry, i), task);
	return status;
}

/* ------------------------------------------------------------------------------------------
 * Ends
 */

/* The bridge resets what is left standing. */
static int carry_end_with(struct carry *carry, enum weir_end end, int status)
{
	struct weir_bridge *bridge = carry->bridge;

	bridge->end = end;
	bridge->status = status;
	carry_count(carry->worker, broken);
	return status;
}

static int carry_broke(struct carry *carry, int broken, int status)
{
	static const enum weir_end ends[] = { WEIR_END_CLIENT_RESET, WEIR_END_UPSTREAM_RESET };

	return carry_end_with(carry, broken < 0 ? WEIR_END_ERROR : ends[broken], status);
}

/* What broke socket I, asked only when there is a sign of it: the question takes the error away. */
static int carry_error(struct carry *carry, int i)
{
	struct weir_watch *watch = carry_watch(carry, i);

	if (carry->lane[i].reset)
		return carry->lane[i].reset;
	if (!(watch->ready & (WEIR_ERROR | WEIR_HANGUP)))
		return 0;
	weir_watch_clear(watch, WEIR_ERROR);
	return gauge_error(carry->lane[i].from);
}

/* A reset, or what a worker of the kernel met when it wrote. 0, or -errno with *BROKEN set. */
static int carry_check_errors(struct carry *carry, int *broken)
{
	for (int i = 0; i < 2; i++) {
		int status = carry_error(carry, i);

		if (!status)
			continue;
		*broken = i;
		return status;
	}
	for (int i = 0; i < 2; i++) {
		if (!(carry->lane[i].slot->flags & WEIR_SLOT_LOST))
			continue;
		carry_count(carry->worker, audit_failed);
		return -EBADMSG;
	}
	return 0;
}

/* Timers and operators. 0, or the flow has ended here. */
static int carry_check_limits(struct carry *carry, int waited)
{
	const struct weir_bridge_conf *conf = carry->bridge->conf;
	struct weir_bridge *bridge = carry->bridge;
	uint64_t now = weir_now();

	carry_account(carry);
	if (waited == -ECANCELED)
		return carry_end_with(carry, WEIR_END_SHUTDOWN, WEIR_ESHUTDOWN);
	if (waited && waited != -ETIMEDOUT)
		return carry_end_with(carry, WEIR_END_ERROR, waited);
	if (bridge->asked_end != WEIR_END_NONE)
		return carry_end_with(carry, bridge->asked_end, WEIR_EADMIN);
	if (weir_task_check() == -ETIMEDOUT)
		return carry_end_with(carry, WEIR_END_LIFETIME, WEIR_ELIFETIME);
	if (conf->lifetime_ms && now >= bridge->started_ns + conf->lifetime_ms * NS_PER_MS)
		return carry_end_with(carry, WEIR_END_LIFETIME, WEIR_ELIFETIME);
	if (conf->idle_ms && now >= bridge->active_ns + conf->idle_ms * NS_PER_MS)
		return carry_end_with(carry, WEIR_END_IDLE, WEIR_EIDLE);
	if (carry->worker->releasing && carry_may_move(carry)) {
		carry_move(carry);
		bridge->end = WEIR_END_MOVED;
		return 1;
	}
	if (bridge->asked_path >= 0)
		carry_leave_for(carry, "an operator asked for another path");
	return 0;
}

static bool carry_is_done(const struct carry *carry)
{
	return carry->lane[0].state == LANE_DONE && carry->lane[1].state == LANE_DONE;
}

/* A flow with one direction ended stays here to its end. */
static bool carry_is_out(const struct carry *carry)
{
	for (int i = 0; i < 2; i++) {
		if (carry->lane[i].state != LANE_LEFT || carry->lane[i].chunk)
			return false;
	}
	return true;
}

/* Whoever carries on reads the sockets itself. */
static int carry_hand_back(struct carry *carry, const char **why)
{
	int status = 0;

	for (int i = 0; i < 2 && !status; i++)
		status = carry_arm(carry, i, WEIR_READABLE);
	if (status)
		return carry_end_with(carry, WEIR_END_ERROR, status);
	*why = carry->leaving;
	carry_count(carry->worker, handed_back);
	return 0;
}

static int carry_finish(struct carry *carry)
{
	struct weir_bridge *bridge = carry->bridge;

	bridge->end = bridge->first_ended == WEIR_UP ? WEIR_END_CLIENT : WEIR_END_UPSTREAM;
	bridge->status = 0;
	carry_count(carry->worker, ended);
	return 1;
}

static int carry_step_lanes(struct carry *carry, int *broken)
{
	int status = 0;

	for (int i = 0; i < 2 && !status; i++) {
		struct lane *lane = &carry->lane[i];
		enum lane_state before;

		/* An end may follow at once on what was carried last. */
		do {
			before = lane->state;
			lane->need = LANE_NEEDS_NOTHING;
			status = lane_step(lane, broken);
		} while (!status && lane->state != before);
		if (status == -EAGAIN)
			status = 0;
	}
	return status;
}

/* Brings both lanes forward. 0, or -errno with *BROKEN set. */
static int carry_step(struct carry *carry, int *broken)
{
	bool leaving = carry->leaving;
	int status = carry_check_errors(carry, broken);

	if (!status)
		status = carry_step_lanes(carry, broken);
	/* Decided on the way: from now on the verdict passes without a word, so a lane that was
	 * content to sleep must be taken along before the task sleeps. */
	if (!status && !leaving && carry->leaving)
		status = carry_step_lanes(carry, broken);
	return status;
}

static int carry_run(struct carry *carry, const char **why)
{
	int broken = -1;
	int status;

	for (;;) {
		status = carry_step(carry, &broken);
		if (status) {
			carry_account(carry);
			return carry_broke(carry, broken, status);
		}
		carry_account(carry);
		if (carry_is_done(carry))
			return carry_finish(carry);
		if (carry->leaving && carry_is_out(carry))
			return carry_hand_back(carry, why);
		status = carry_check_limits(carry, carry_sleep(carry));
		if (status)
			return status;
	}
}

/* ------------------------------------------------------------------------------------------
 * The bridge's side
 */

static void lane_init(struct carry *carry, enum weir_way way)
{
	struct weir_bridge *bridge = carry->bridge;
	struct lane *lane = &carry->lane[way];
	const struct weir_bridge_way *done = &bridge->way[way];

	*lane = (struct lane){
		.carry = carry,
		.way = way,
		.state = LANE_SPILLED,
		.from = weir_stream_raw_fd(bridge->stream[way], NULL),
		.to = weir_stream_raw_fd(bridge->stream[!way], NULL),
		.base_bytes = done->bytes,
		.base_copy = done->bytes_path[WEIR_PATH_COPY],
		.base_sockmap = done->bytes_path[WEIR_PATH_SOCKMAP],
		.base_read = bridge->stream[way]->bytes_read,
		.base_written = bridge->stream[!way]->bytes_written,
	};
}

static struct carry *carry_new(struct weir_offload_worker *worker, struct weir_bridge *bridge)
{
	struct carry *carry = calloc(1, sizeof(*carry));

	if (!carry)
		return NULL;
	carry->worker = worker;
	carry->bridge = bridge;
	carry->data_armed[0] = true;
	carry->data_armed[1] = true;
	lane_init(carry, WEIR_UP);
	lane_init(carry, WEIR_DOWN);
	worker_add(worker, carry);
	bridge->offload_data = carry;
	return carry;
}

static void carry_free(struct carry *carry)
{
	struct weir_bridge *bridge = carry->bridge;

	carry_retire(carry);
	carry_drop(carry);
	for (int i = 0; i < 2; i++)
		free(carry->lane[i].chunk);
	bridge->offload_data = NULL;
	worker_del(carry->worker, carry);
	free(carry);
}

static const char *refusal_name(int status)
{
	switch (status) {
	case -ENOSPC:
	case -E2BIG:
		return "the kernel's tables are full";
	case -EAGAIN:
		return "the flow did not stand still";
	case -EOPNOTSUPP:
		return "a side is half closed";
	case -EBUSY:
		return "a socket is in another map";
	case -EINVAL:
		return "a socket has TLS in the kernel";
	default:
		return "the kernel refused the sockets";
	}
}

static int carry_refuse(struct carry *carry, int status, const char **why)
{
	carry_count(carry->worker, refused);
	if (status == -ENOSPC || status == -E2BIG)
		carry_count(carry->worker, refused_full);
	*why = refusal_name(status);
	carry_free(carry);
	/* Its counts never stood still long enough to be taken: another time they may. */
	return status == -EAGAIN ? 0 : status;
}

static int offload_carry(struct weir_offload *offload, struct weir_bridge *bridge, const char **why)
{
	struct carry *carry = carry_new(worker_of(offload), bridge);
	int status;

	if (!carry)
		return -ENOMEM;
	bridge->task = weir_task_current();
	status = carry_hand_over(carry);
	if (status < 0)
		return carry_refuse(carry, status, why);
	carry_count(carry->worker, handed_over);
	if (status) {
		carry->lane[1].state = LANE_LEFT; /* it never was in */
		carry_leave_for(carry, "the kernel refused one of the sockets");
	}
	status = carry_run(carry, why);
	carry_free(carry);
	return status;
}

/* The same for a flow that is in the kernel already. */
static int offload_resume(struct weir_offload *offload, struct weir_bridge *bridge,
			  const char **why)
{
	struct carry *carry = carry_new(worker_of(offload), bridge);
	int status;

	if (!carry) {
		weir_bridge_is_resumed(bridge, -ENOMEM);
		bridge->end = WEIR_END_ERROR;
		return -ENOMEM;
	}
	bridge->task = weir_task_current();
	status = carry_adopt(carry);
	weir_bridge_is_resumed(bridge, status);
	if (status) {
		carry_count(carry->worker, adopt_failed);
		carry_end_with(carry, WEIR_END_ERROR, status);
	} else {
		carry_count(carry->worker, adopted);
		status = carry_run(carry, why);
	}
	carry_free(carry);
	return status;
}

static int socket_option(int fd, int option)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, option, &value, &size) ? -1 : value;
}

/* Whether the verdict can run on this stream's socket. */
static bool stream_can(const struct weir_kernel *kernel, struct weir_stream *stream,
		       const char **why)
{
	int fd = weir_stream_raw_fd(stream, why);

	if (fd < 0)
		return false;
	if (!weir_stream_watch(stream) || socket_option(fd, SO_PROTOCOL) != IPPROTO_TCP) {
		*why = "not TCP on both sides";
		return false;
	}
	if (kernel->no_ipv6 && socket_option(fd, SO_DOMAIN) == AF_INET6) {
		*why = "this kernel's sockmap fails with IPv6";
		return false;
	}
	return true;
}

static bool offload_can(struct weir_offload *offload, struct weir_bridge *bridge, const char **why)
{
	const struct weir_kernel *kernel = worker_of(offload)->kernel;
	const struct weir_bridge_conf *conf = bridge->conf;

	if (conf->inspect) {
		*why = "a layer must see all bytes";
		return false;
	}
	if (conf->pace || conf->paced) {
		*why = "a layer limits the rate";
		return false;
	}
	return stream_can(kernel, bridge->stream[0], why) &&
	       stream_can(kernel, bridge->stream[1], why);
}

static void offload_refresh(struct weir_offload *offload, struct weir_bridge *bridge)
{
	(void)offload;
	if (bridge->offload_data)
		carry_account(bridge->offload_data);
}

const struct weir_offload_ops carry_ops = {
	.refresh = offload_refresh,
	.can = offload_can,
	.carry = offload_carry,
	.resume = offload_resume,
};

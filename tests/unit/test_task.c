/* SPDX-License-Identifier: MIT */
/* Tasks, scopes, semaphores, events, and the loop that runs them. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/scope.h>
#include <weir/sync.h>
#include <weir/task.h>

#define MS 1000000ull

static struct weir_loop *loop;
static struct weir_scope root;

static int setup(void **state)
{
	struct weir_loop_conf conf = { 0 };

	(void)state;
	loop = weir_loop_new(&conf, NULL);
	weir_scope_init_root(&root, loop);
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	weir_scope_fini(&root);
	weir_loop_free(loop);
	return 0;
}

static void run(weir_task_fn *fn, void *arg)
{
	assert_int_equal(weir_scope_spawn(&root, "test", fn, arg, NULL), 0);
	assert_int_equal(weir_loop_run(loop), 0);
}

/* ---- order and values ---- */

struct trace {
	char text[64];
};

static void trace_add(struct trace *trace, char c)
{
	size_t n = strlen(trace->text);

	trace->text[n] = c;
	trace->text[n + 1] = '\0';
}

static int letter_b(void *arg)
{
	trace_add(arg, 'b');
	assert_int_equal(weir_task_yield(), 0);
	trace_add(arg, 'd');
	return -EPROTO;
}

static int order(void *arg)
{
	struct weir_scope scope;

	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "b", letter_b, arg, NULL), 0);
	trace_add(arg, 'a');
	assert_int_equal(weir_task_yield(), 0);
	trace_add(arg, 'c');
	assert_int_equal(weir_scope_join(&scope), -EPROTO);
	trace_add(arg, 'e');
	weir_scope_fini(&scope);
	return 0;
}

static void test_order(void **state)
{
	struct trace trace = { "" };

	(void)state;
	run(order, &trace);
	assert_string_equal(trace.text, "abcde");
}

/* ---- many tasks, deep stacks ---- */

static unsigned finished;

static int deep(unsigned depth)
{
	volatile char pad[256];

	memset((char *)pad, (int)depth, sizeof(pad));
	if (depth == 0)
		return weir_task_yield();
	return deep(depth - 1) + (pad[0] == (char)depth ? 0 : 1);
}

static int deep_task(void *arg)
{
	(void)arg;
	assert_int_equal(deep(60), 0);
	finished++;
	return 0;
}

static int many(void *arg)
{
	struct weir_scope scope;

	(void)arg;
	weir_scope_init(&scope, NULL);
	for (int i = 0; i < 3000; i++)
		assert_int_equal(weir_scope_spawn(&scope, "deep", deep_task, NULL, NULL), 0);
	assert_int_equal(weir_scope_join(&scope), 0);
	weir_scope_fini(&scope);
	return 0;
}

static void test_many(void **state)
{
	(void)state;
	finished = 0;
	run(many, NULL);
	assert_int_equal(finished, 3000);
}

/* ---- time ---- */

static int sleeper(void *arg)
{
	uint64_t before = weir_now();

	assert_int_equal(weir_task_sleep_ms(30), 0);
	*(uint64_t *)arg = weir_now() - before;
	return 0;
}

static void test_sleep(void **state)
{
	uint64_t took = 0;

	(void)state;
	run(sleeper, &took);
	assert_true(took >= 30 * MS);
}

static int napper(void *arg)
{
	uint64_t before = weir_now();

	assert_int_equal(weir_task_nap_us(200), 0);
	*(uint64_t *)arg = weir_now() - before;
	return 0;
}

static void test_nap(void **state)
{
	uint64_t took = 0;

	(void)state;
	run(napper, &took);
	assert_true(took >= 200000);
}

static int forever(void *arg)
{
	int status;

	do {
		status = weir_task_park("ever", WEIR_NEVER);
	} while (status == 0);
	*(int *)arg = status;
	/* From now on every park returns the same at once. */
	assert_int_equal(weir_task_sleep_ms(100000), status);
	assert_int_equal(weir_task_yield(), status);
	return status;
}

static int deadline(void *arg)
{
	struct weir_scope outer, inner;

	weir_scope_init(&outer, NULL);
	weir_scope_init(&inner, &outer);
	assert_int_equal(weir_scope_spawn(&inner, "ever", forever, arg, NULL), 0);
	assert_int_equal(weir_task_sleep_ms(5), 0);
	weir_scope_set_timeout_ms(&outer, 20);
	assert_int_equal(weir_scope_join(&inner), -ETIMEDOUT);
	weir_scope_fini(&inner);
	weir_scope_fini(&outer);
	return 0;
}

static void test_deadline_moves_while_parked(void **state)
{
	int status = 0;

	(void)state;
	run(deadline, &status);
	assert_int_equal(status, -ETIMEDOUT);
}

static int child_outlives_nothing(void *arg)
{
	struct weir_scope scope;

	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, 10);
	weir_scope_enter(&scope);
	(void)forever(arg);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	/* Outside of it time goes on. */
	assert_int_equal(weir_task_sleep_ms(5), 0);
	return 0;
}

static void test_enter(void **state)
{
	int status = 0;

	(void)state;
	run(child_outlives_nothing, &status);
	assert_int_equal(status, -ETIMEDOUT);
}

/* ---- cancelling ---- */

static int cancel(void *arg)
{
	struct weir_scope outer, inner;

	weir_scope_init(&outer, NULL);
	weir_scope_init(&inner, &outer);
	assert_int_equal(weir_scope_spawn(&inner, "ever", forever, arg, NULL), 0);
	assert_int_equal(weir_task_yield(), 0);
	weir_scope_cancel(&outer);
	weir_scope_cancel(&outer);
	assert_int_equal(weir_scope_spawn(&inner, "late", forever, arg, NULL), -ECANCELED);
	assert_int_equal(weir_scope_join(&inner), -ECANCELED);
	weir_scope_fini(&inner);
	weir_scope_fini(&outer);
	return 0;
}

static void test_cancel(void **state)
{
	int status = 0;

	(void)state;
	run(cancel, &status);
	assert_int_equal(status, -ECANCELED);
}

static int firm(void *arg)
{
	assert_int_equal(weir_task_park_firmly("firm", weir_now() + 20 * MS), -ETIMEDOUT);
	*(int *)arg = weir_task_check();
	return 0;
}

static int cancel_firm(void *arg)
{
	struct weir_scope scope;

	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_scope_spawn(&scope, "firm", firm, arg, NULL), 0);
	assert_int_equal(weir_task_yield(), 0);
	weir_scope_cancel(&scope);
	assert_int_equal(weir_scope_join(&scope), 0);
	weir_scope_fini(&scope);
	return 0;
}

static void test_firm_park_survives_cancel(void **state)
{
	int status = 0;

	(void)state;
	run(cancel_firm, &status);
	assert_int_equal(status, -ECANCELED);
}

/* ---- semaphores and events ---- */

static struct weir_semaphore semaphore;
static struct weir_event event;
static struct trace places;

static int contender(void *arg)
{
	uint64_t until = weir_now() + 1000 * MS;

	assert_int_equal(weir_semaphore_get(&semaphore, until), 0);
	trace_add(&places, *(const char *)arg);
	assert_int_equal(weir_task_yield(), 0);
	weir_semaphore_put(&semaphore);
	return 0;
}

static int contest(void *arg)
{
	static const char names[] = "xyz";
	struct weir_scope scope;

	(void)arg;
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_semaphore_get(&semaphore, WEIR_NEVER), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(weir_scope_spawn(&scope, "contender", contender,
						  (void *)(uintptr_t)&names[i], NULL),
				 0);
	assert_int_equal(weir_task_yield(), 0);
	assert_int_equal(semaphore.waiting, 3);
	assert_int_equal(weir_semaphore_get(&semaphore, WEIR_NEVER), WEIR_EQUEUE);
	weir_semaphore_put(&semaphore);
	assert_int_equal(weir_scope_join(&scope), 0);
	weir_scope_fini(&scope);
	assert_int_equal(semaphore.available, 1);
	assert_int_equal(weir_semaphore_get(&semaphore, WEIR_NEVER), 0);
	assert_int_equal(weir_semaphore_get(&semaphore, weir_now() + 5 * MS), -ETIMEDOUT);
	assert_int_equal(semaphore.waiting, 0);
	return 0;
}

static void test_semaphore(void **state)
{
	(void)state;
	places.text[0] = '\0';
	weir_semaphore_init(&semaphore, 1, 3);
	run(contest, NULL);
	assert_string_equal(places.text, "xyz");
}

static int wait_event(void *arg)
{
	(void)arg;
	assert_int_equal(weir_event_wait(&event, "event", WEIR_NEVER), 0);
	finished++;
	return 0;
}

static int events(void *arg)
{
	struct weir_scope scope;

	(void)arg;
	weir_scope_init(&scope, NULL);
	for (int i = 0; i < 5; i++)
		assert_int_equal(weir_scope_spawn(&scope, "waits", wait_event, NULL, NULL), 0);
	assert_int_equal(weir_task_sleep_ms(2), 0);
	assert_int_equal(finished, 0);
	weir_event_set(&event);
	assert_int_equal(weir_scope_join(&scope), 0);
	assert_int_equal(weir_event_wait(&event, "event", WEIR_NEVER), 0);
	weir_scope_fini(&scope);
	return 0;
}

static void test_event(void **state)
{
	(void)state;
	finished = 0;
	weir_event_init(&event);
	run(events, NULL);
	assert_int_equal(finished, 5);
}

/* ---- watches ---- */

static int pair[2];

static int watch_reader(void *arg)
{
	struct weir_watch watch;
	char c;

	(void)arg;
	assert_int_equal(weir_watch_add(&watch, pair[0]), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(weir_watch_wait(&watch, WEIR_READABLE), 0);
		assert_int_equal(read(pair[0], &c, 1), 1);
		assert_int_equal(c, 'a' + i);
		weir_watch_clear(&watch, WEIR_READABLE);
	}
	assert_int_equal(weir_watch_wait(&watch, WEIR_READABLE), 0);
	assert_true(watch.ready & WEIR_HANGUP);
	assert_int_equal(read(pair[0], &c, 1), 0);
	weir_watch_del(&watch);
	weir_watch_del(&watch);
	return 0;
}

static int watch_writer(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++) {
		char c = (char)('a' + i);

		assert_int_equal(weir_task_sleep_ms(3), 0);
		assert_int_equal(write(pair[1], &c, 1), 1);
	}
	assert_int_equal(weir_task_sleep_ms(3), 0);
	close(pair[1]);
	return 0;
}

static void test_watch(void **state)
{
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(weir_scope_spawn(&root, "reader", watch_reader, NULL, NULL), 0);
	run(watch_writer, NULL);
	close(pair[0]);
}

/* ---- other threads, libuv, operators ---- */

struct message {
	struct weir_post post;
	struct weir_task *task;
	bool arrived;
};

static void message_on_arrival(struct weir_post *post)
{
	struct message *message = weir_container_of(post, struct message, post);

	assert_null(weir_task_current());
	message->arrived = true;
	weir_task_wake(message->task);
}

static void *sender(void *arg)
{
	struct message *message = arg;

	usleep(10000);
	weir_loop_post(loop, &message->post);
	return NULL;
}

static int receiver(void *arg)
{
	struct message message = { .post.fn = message_on_arrival, .task = weir_task_current() };
	pthread_t thread;

	(void)arg;
	weir_list_init(&message.post.link);
	assert_int_equal(pthread_create(&thread, NULL, sender, &message), 0);
	while (!message.arrived)
		assert_int_equal(weir_task_park("message", WEIR_NEVER), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	return 0;
}

static void test_post(void **state)
{
	(void)state;
	run(receiver, NULL);
}

static void on_uv_close(uv_handle_t *handle)
{
	finished++;
	(void)handle;
}

static void on_uv_timer(uv_timer_t *timer)
{
	finished++;
	uv_close((uv_handle_t *)timer, on_uv_close);
}

/* Other people's handles keep the loop alive and work in it. */
static void test_uv(void **state)
{
	uv_timer_t timer;

	(void)state;
	finished = 0;
	uv_timer_init(weir_loop_uv(loop), &timer);
	uv_timer_start(&timer, on_uv_timer, 10, 0);
	assert_int_equal(weir_loop_run(loop), 0);
	assert_int_equal(finished, 2);
}

static void count_info(void *ctx, const struct weir_task_info *info)
{
	if (!strcmp(info->name, "asleep")) {
		assert_string_equal(info->what, "sleep");
		assert_true(info->stack_used > 0 && info->stack_used < (1u << 20));
		(*(unsigned *)ctx)++;
	}
}

static int asleep(void *arg)
{
	(void)arg;
	return weir_task_sleep_ms(20);
}

static int looker(void *arg)
{
	assert_int_equal(weir_task_sleep_ms(3), 0);
	weir_task_each(loop, true, count_info, arg);
	return 0;
}

static void test_each(void **state)
{
	unsigned count = 0;

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(weir_scope_spawn(&root, "asleep", asleep, NULL, NULL), 0);
	run(looker, &count);
	assert_int_equal(count, 4);
}

static int idler(void *arg)
{
	volatile char pad[8192];

	/* Touches pages that are given back while it sleeps, and needs them again. */
	memset((char *)pad, 1, sizeof(pad));
	(void)arg;
	assert_int_equal(weir_task_sleep_ms(2300), 0);
	for (size_t i = 0; i < sizeof(pad); i++)
		assert_int_equal(pad[i], 1);
	return deep(60);
}

struct chore {
	struct weir_upkeep upkeep;
	struct chore *other; /* is taken out by this one */
	unsigned times;
};

static void chore_do(struct weir_upkeep *upkeep, uint64_t now)
{
	struct chore *chore = weir_container_of(upkeep, struct chore, upkeep);

	assert_int_equal(now, weir_loop_now(loop));
	assert_null(weir_task_current());
	chore->times++;
	if (chore->other)
		weir_upkeep_del(&chore->other->upkeep);
}

static void test_trim_and_upkeep(void **state)
{
	static struct chore chores[3] = { { .other = &chores[1] } };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		weir_upkeep_init(&chores[i].upkeep, chore_do);
		weir_upkeep_add(&chores[i].upkeep, loop);
		weir_upkeep_add(&chores[i].upkeep, loop);
	}
	weir_upkeep_del(&chores[2].upkeep);
	weir_upkeep_del(&chores[2].upkeep);
	run(idler, NULL);
	/* And the first one has not kept the loop from ending; it is in until that is freed. */
	assert_in_range(chores[0].times, 1, 3);
	assert_int_equal(chores[1].times, 0);
	assert_int_equal(chores[2].times, 0);
}

struct sum {
	struct weir_flush flush;
	unsigned added;
	unsigned flushed;
	unsigned times;
};

static void sum_flush(struct weir_flush *flush)
{
	struct sum *sum = weir_container_of(flush, struct sum, flush);

	assert_null(weir_task_current());
	sum->flushed += sum->added;
	sum->added = 0;
	sum->times++;
}

static int adder(void *arg)
{
	struct sum *sum = arg;

	sum->added++;
	weir_flush_add(&sum->flush);
	assert_int_equal(sum->times, 0);
	assert_int_equal(weir_task_yield(), 0);
	assert_int_equal(sum->times, 1);
	return 0;
}

static int taker_out(void *arg)
{
	struct sum *sum = arg;

	weir_flush_del(&sum->flush);
	weir_flush_add(&sum->flush);
	weir_flush_del(&sum->flush);
	weir_flush_del(&sum->flush);
	return 0;
}

/* Once for all tasks of a round, at its end; not when it was taken out. */
static void test_flush(void **state)
{
	struct sum sum = { 0 }, out = { 0 };

	(void)state;
	weir_flush_init(&sum.flush, sum_flush);
	weir_flush_init(&out.flush, sum_flush);
	for (int i = 0; i < 5; i++)
		assert_int_equal(weir_scope_spawn(&root, "adder", adder, &sum, NULL), 0);
	run(taker_out, &out);
	assert_int_equal(sum.flushed, 5);
	assert_int_equal(sum.times, 1);
	assert_int_equal(out.times, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sleep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_deadline_moves_while_parked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_enter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_firm_park_survives_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_semaphore, setup, teardown),
		cmocka_unit_test_setup_teardown(test_event, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_post, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uv, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trim_and_upkeep, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flush, setup, teardown),
	};

	return cmocka_run_group_tests_name("task", tests, NULL, NULL);
}

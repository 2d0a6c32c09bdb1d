/* SPDX-License-Identifier: MIT */
/*
 * The loop: one epoll_wait an iteration, then what it reported, then all ready tasks, then
 * libuv when something of its own is due. libuv's loop is embedded by its backend descriptor
 * and timeout, as its documentation of uv_backend_fd() describes.
 *
 * Why data sockets are not uv_poll_t: each one costs five epoll_ctl and an ioctl in its life
 * and two more whenever the wanted events change; an edge-triggered entry costs one.
 */

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <weir/error.h>

#include "core/loop_internal.h"

#define LOOP_EVENTS	 256
#define LOOP_STACKS_KEPT 1024
#if defined(WEIR_ASAN) || defined(WEIR_TSAN)
#define LOOP_STACK_BYTES (512u << 10)
#else
#define LOOP_STACK_BYTES (64u << 10)
#endif

uint64_t weir_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

uint64_t weir_loop_now(const struct weir_loop *loop)
{
	return loop->now;
}

unsigned weir_loop_index(const struct weir_loop *loop)
{
	return loop->index;
}

uv_loop_t *weir_loop_uv(struct weir_loop *loop)
{
	return &loop->uv;
}

char *weir_loop_scratch(struct weir_loop *loop)
{
	return loop->scratch;
}

/* ------------------------------------------------------------------------------------------
 * Attachments
 */

void *weir_loop_attached(struct weir_loop *loop, const struct weir_loop_key *key)
{
	for (struct weir_list *link = loop->attachments.next; link != &loop->attachments;
	     link = link->next) {
		struct attachment *attachment = weir_container_of(link, struct attachment, link);

		if (attachment->key == key)
			return attachment->value;
	}
	return NULL;
}

int weir_loop_attach(struct weir_loop *loop, const struct weir_loop_key *key, void *value)
{
	struct attachment *attachment = malloc(sizeof(*attachment));

	if (!attachment)
		return -ENOMEM;
	assert(!weir_loop_attached(loop, key));
	attachment->key = key;
	attachment->value = value;
	weir_list_add_head(&loop->attachments, &attachment->link);
	return 0;
}

static void loop_free_attachments(struct weir_loop *loop)
{
	struct weir_list *link;

	while ((link = weir_list_pop(&loop->attachments))) {
		struct attachment *attachment = weir_container_of(link, struct attachment, link);

		attachment->key->free(attachment->value);
		free(attachment);
	}
}

/* ------------------------------------------------------------------------------------------
 * Upkeep
 */

void weir_upkeep_init(struct weir_upkeep *upkeep,
		      void (*fn)(struct weir_upkeep *upkeep, uint64_t now))
{
	weir_list_init(&upkeep->link);
	upkeep->fn = fn;
}

void weir_upkeep_add(struct weir_upkeep *upkeep, struct weir_loop *loop)
{
	if (weir_list_is_empty(&upkeep->link))
		weir_list_add_tail(&loop->upkeeps, &upkeep->link);
}

void weir_upkeep_del(struct weir_upkeep *upkeep)
{
	weir_list_del(&upkeep->link);
}

void weir_flush_init(struct weir_flush *flush, void (*fn)(struct weir_flush *flush))
{
	weir_list_init(&flush->link);
	flush->fn = fn;
}

void weir_flush_add(struct weir_flush *flush)
{
	if (weir_list_is_empty(&flush->link))
		weir_list_add_tail(&weir_loop_current()->flushes, &flush->link);
}

void weir_flush_del(struct weir_flush *flush)
{
	weir_list_del(&flush->link);
}

static void loop_flush(struct weir_loop *loop)
{
	struct weir_list *link;

	while ((link = weir_list_pop(&loop->flushes))) {
		struct weir_flush *flush = weir_container_of(link, struct weir_flush, link);

		flush->fn(flush);
	}
}

/* Each is taken out and put back, so that it does not matter which ones leave meanwhile. */
static void loop_keep_up(struct weir_loop *loop)
{
	struct weir_list batch;
	struct weir_list *link;

	weir_list_init(&batch);
	if (weir_list_is_empty(&loop->upkeeps))
		return;
	weir_list_add_before(loop->upkeeps.next, &batch);
	weir_list_del(&loop->upkeeps);
	while ((link = weir_list_pop(&batch))) {
		struct weir_upkeep *upkeep = weir_container_of(link, struct weir_upkeep, link);

		weir_list_add_tail(&loop->upkeeps, link);
		upkeep->fn(upkeep, loop->now);
	}
}

/* ------------------------------------------------------------------------------------------
 * Life
 */

static void loop_init_lists(struct weir_loop *loop)
{
	weir_list_init(&loop->ready);
	weir_list_init(&loop->parked);
	weir_list_init(&loop->idle);
	weir_list_init(&loop->naps);
	weir_list_init(&loop->tasks);
	weir_list_init(&loop->posts);
	weir_list_init(&loop->attachments);
	weir_list_init(&loop->upkeeps);
	weir_list_init(&loop->flushes);
}

/* The two descriptors that are no watches are told apart by their address. */
static int loop_add(struct weir_loop *loop, int fd, void *tag)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = tag };

	return epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int loop_open_descriptors(struct weir_loop *loop)
{
	int status;

	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll < 0)
		return -errno;
	loop->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->event < 0) {
		status = -errno;
		goto err_event;
	}
	status = loop_add(loop, uv_backend_fd(&loop->uv), &loop->uv);
	if (!status)
		status = loop_add(loop, loop->event, &loop->event);
	if (!status)
		return 0;
	close(loop->event);
err_event:
	close(loop->epoll);
	return status;
}

static int loop_open(struct weir_loop *loop)
{
	int status = uv_loop_init(&loop->uv);

	if (status)
		return status;
	loop->scratch = aligned_alloc(4096, WEIR_SCRATCH_BYTES);
	status = loop->scratch ? loop_open_descriptors(loop) : -ENOMEM;
	if (status) {
		free(loop->scratch);
		uv_loop_close(&loop->uv);
	}
	return status;
}

struct weir_loop *weir_loop_new(const struct weir_loop_conf *conf, struct weir_error *error)
{
	struct weir_loop *loop = calloc(1, sizeof(*loop));
	int status;

	if (!loop) {
		weir_error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	loop_init_lists(loop);
	loop->index = conf->index;
	status = loop_open(loop);
	if (status) {
		weir_error_set(error, status, "cannot make an event loop: %s",
			       weir_strerror(status));
		free(loop);
		return NULL;
	}
	pthread_mutex_init(&loop->post_lock, NULL);
	stack_pool_init(&loop->stacks, conf->stack_bytes ? conf->stack_bytes : LOOP_STACK_BYTES,
			conf->stacks_kept ? conf->stacks_kept : LOOP_STACKS_KEPT);
	loop->now = weir_now();
	loop->next_trim = loop->now + TASK_IDLE_NS;
	return loop;
}

void weir_loop_free(struct weir_loop *loop)
{
	if (!loop)
		return;
	assert(loop->live == 0);
	loop_free_attachments(loop);
	while (weir_list_pop(&loop->upkeeps))
		;
	/* Close callbacks of timers may be pending. */
	while (uv_loop_close(&loop->uv) == UV_EBUSY)
		uv_run(&loop->uv, UV_RUN_NOWAIT);
	close(loop->event);
	close(loop->epoll);
	stack_pool_fini(&loop->stacks);
	block_pool_fini(&loop->blocks);
	pthread_mutex_destroy(&loop->post_lock);
	free(loop->scratch);
	free(loop);
}

/* ------------------------------------------------------------------------------------------
 * Messages
 */

static void loop_ring(struct weir_loop *loop)
{
	uint64_t one = 1;
	ssize_t n;

	do {
		n = write(loop->event, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
	/* EAGAIN: the counter is full, so it is readable. */
}

void weir_loop_stop(struct weir_loop *loop)
{
	atomic_store(&loop->stopping, true);
	loop_ring(loop);
}

void weir_loop_post(struct weir_loop *loop, struct weir_post *post)
{
	bool first;

	pthread_mutex_lock(&loop->post_lock);
	first = weir_list_is_empty(&loop->posts);
	weir_list_add_tail(&loop->posts, &post->link);
	pthread_mutex_unlock(&loop->post_lock);
	if (first)
		loop_ring(loop);
}

static void loop_take_posts(struct weir_loop *loop)
{
	struct weir_list *link;
	uint64_t count;

	if (read(loop->event, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
		abort(); /* the descriptor is ours: somebody closed it */
	for (;;) {
		pthread_mutex_lock(&loop->post_lock);
		link = weir_list_pop(&loop->posts);
		pthread_mutex_unlock(&loop->post_lock);
		if (!link)
			return;
		struct weir_post *post = weir_container_of(link, struct weir_post, link);

		post->fn(post);
	}
}

/* ------------------------------------------------------------------------------------------
 * Iterations
 */

static bool loop_is_alive(struct weir_loop *loop)
{
	return loop->live > 0 || uv_loop_alive(&loop->uv);
}

/* When the loop must go on by itself, in ns from now; -1: when an event comes. */
static int64_t loop_timeout(struct weir_loop *loop)
{
	uint64_t until = WEIR_NEVER;
	uint64_t now = loop->now;
	int ms = -1;

	if (!weir_list_is_empty(&loop->ready))
		return 0;
	if (uv_loop_alive(&loop->uv)) {
		uv_update_time(&loop->uv);
		ms = uv_backend_timeout(&loop->uv);
	}
	if (ms >= 0)
		until = now + (uint64_t)ms * 1000000ull;
	if (!weir_list_is_empty(&loop->naps)) {
		struct nap *nap = weir_container_of(loop->naps.next, struct nap, link);

		until = WEIR_MIN(until, nap->deadline);
		now = weir_now(); /* tasks may have run longer than a nap since */
	}
	if (!weir_list_is_empty(&loop->parked) || !weir_list_is_empty(&loop->upkeeps) ||
	    loop->blocks.bytes > 0)
		until = WEIR_MIN(until, loop->next_trim);
	if (until == WEIR_NEVER)
		return -1;
	return until > now ? (int64_t)(until - now) : 0;
}

/* For valgrind and for sandboxes that know no epoll_pwait2 (Linux 5.11): naps last longer. */
static int loop_wait_ms(struct weir_loop *loop, struct epoll_event *events, int64_t ns)
{
	int64_t ms = ns < 0 ? -1 : WEIR_MIN((ns + 999999) / 1000000, (int64_t)INT_MAX);

	return epoll_wait(loop->epoll, events, LOOP_EVENTS, (int)ms);
}

static int loop_wait(struct weir_loop *loop, struct epoll_event *events)
{
	int64_t ns = loop_timeout(loop);
	struct timespec ts = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };
	int n = -1;

	if (!loop->only_ms)
		n = epoll_pwait2(loop->epoll, events, LOOP_EVENTS, ns < 0 ? NULL : &ts, NULL);
	if (n < 0 && !loop->only_ms && errno == ENOSYS)
		loop->only_ms = true;
	if (loop->only_ms)
		n = loop_wait_ms(loop, events, ns);
	if (n < 0 && errno == EINTR)
		return 0;
	return n < 0 ? -errno : n;
}

/* Returns whether libuv has something to do. */
static bool loop_dispatch(struct weir_loop *loop, const struct epoll_event *events, int n)
{
	bool uv = false;

	for (int i = 0; i < n; i++) {
		if (events[i].data.ptr == &loop->uv)
			uv = true;
		else if (events[i].data.ptr == &loop->event)
			loop_take_posts(loop);
		else
			watch_on_event(events[i].data.ptr, events[i].events);
	}
	return uv;
}

static void loop_wake_naps(struct weir_loop *loop)
{
	struct nap *nap;

	while (!weir_list_is_empty(&loop->naps)) {
		nap = weir_container_of(loop->naps.next, struct nap, link);
		if (nap->deadline > loop->now)
			break;
		weir_list_del(&nap->link);
		weir_task_wake(nap->task);
	}
}

/* Those that are ready now; those they make ready wait for the next iteration. */
static void loop_run_tasks(struct weir_loop *loop)
{
	struct weir_list batch;
	struct weir_list *link;

	weir_list_init(&batch);
	if (weir_list_is_empty(&loop->ready))
		return;
	weir_list_add_before(loop->ready.next, &batch);
	weir_list_del(&loop->ready);
	while ((link = weir_list_pop(&batch)))
		task_run(weir_container_of(link, struct weir_task, link));
}

static void loop_trim(struct weir_loop *loop)
{
	if (loop->now < loop->next_trim)
		return;
	task_trim_idle(loop);
	block_pool_trim(&loop->blocks);
	loop_keep_up(loop);
	loop->next_trim = loop->now + TASK_IDLE_NS;
}

static int loop_iterate(struct weir_loop *loop)
{
	struct epoll_event events[LOOP_EVENTS];
	int n = loop_wait(loop, events);
	bool uv;

	if (n < 0)
		return n;
	loop->now = weir_now();
	uv_update_time(&loop->uv);
	uv = loop_dispatch(loop, events, n);
	loop_wake_naps(loop);
	loop_run_tasks(loop);
	if (uv || (uv_loop_alive(&loop->uv) && uv_backend_timeout(&loop->uv) == 0))
		uv_run(&loop->uv, UV_RUN_NOWAIT);
	loop_flush(loop);
	loop_trim(loop);
	return 0;
}

int weir_loop_run(struct weir_loop *loop)
{
	int status = 0;

	assert(!weir_loop_current());
	loop_set_current(loop);
	context_init_thread(&loop->context);
	while (!status && !atomic_load(&loop->stopping) && loop_is_alive(loop))
		status = loop_iterate(loop);
	atomic_store(&loop->stopping, false);
	loop_set_current(NULL);
	return status;
}

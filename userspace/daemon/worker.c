/* SPDX-License-Identifier: MIT */
/*
 * Workers: a thread, a loop, and a task that keeps the loop alive until it is told to stop.
 */

#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include <weir/log.h>
#include <weir/offload.h>

#include "daemon/process.h"

unsigned workers_auto(void)
{
	cpu_set_t mask;

	if (sched_getaffinity(0, sizeof(mask), &mask) < 0)
		return 1;
	return (unsigned)WEIR_MAX(CPU_COUNT(&mask), 1);
}

/* The CPU for worker INDEX: the masks's CPUs in turn. */
static int worker_cpu(unsigned index)
{
	unsigned skip = index % workers_auto();
	cpu_set_t mask;
	int cpu;

	if (sched_getaffinity(0, sizeof(mask), &mask) < 0)
		return -1;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (CPU_ISSET(cpu, &mask) && skip-- == 0)
			return cpu;
	}
	return -1;
}

static void worker_bind(const struct worker *worker)
{
	cpu_set_t mask;
	int status;

	CPU_ZERO(&mask);
	CPU_SET(worker->cpu, &mask);
	status = pthread_setaffinity_np(pthread_self(), sizeof(mask), &mask);
	if (status != 0)
		weir_log(WEIR_LOG_WARN, "worker", "cannot be bound to its CPU",
			 WEIR_LOG_UINT("worker", worker->index), WEIR_LOG_INT("cpu", worker->cpu),
			 WEIR_LOG_STATUS(-status));
}

static void *worker_main(void *arg)
{
	struct worker *worker = arg;
	char name[16];
	int status;

	snprintf(name, sizeof(name), "weir-%u", worker->index % 100000);
	pthread_setname_np(pthread_self(), name);
	if (worker->cpu >= 0)
		worker_bind(worker);
	status = weir_loop_run(worker->loop);
	if (status < 0)
		weir_log(WEIR_LOG_ERROR, "worker", "its loop has failed",
			 WEIR_LOG_UINT("worker", worker->index), WEIR_LOG_STATUS(status));
	return NULL;
}

static int worker_keep(void *arg)
{
	struct worker *worker = arg;

	return weir_event_wait(&worker->stop, "work", WEIR_NEVER);
}

static int worker_start(struct worker *worker, struct weir_error *error)
{
	const struct weir_loop_conf conf = { .index = worker->index };
	int status;

	weir_list_init(&worker->stacks);
	weir_event_init(&worker->stop);
	worker->loop = weir_loop_new(&conf, error);
	if (worker->loop == NULL)
		return -ENOMEM;
	worker->offload = weir_offload_new(worker->daemon->kernel, worker->loop);
	status = hold_queue_open(&worker->holds, &worker->daemon->keeper, worker->loop,
				 worker->offload);
	if (status < 0)
		return weir_error_set(error, status, "out of memory");
	weir_scope_init_root(&worker->scope, worker->loop);
	status = weir_scope_spawn(&worker->scope, "worker", worker_keep, worker, NULL);
	if (status < 0)
		return weir_error_set(error, status, "cannot start a worker: %s",
				      weir_strerror(status));
	status = -pthread_create(&worker->thread, NULL, worker_main, worker);
	if (status < 0)
		return weir_error_set(error, status, "cannot start a thread: %s",
				      weir_strerror(status));
	worker->started = true;
	return 0;
}

int workers_start(struct weir_daemon *daemon, const struct weir_config *config,
		  struct weir_error *error)
{
	unsigned i;
	int status = 0;

	for (i = 0; i < daemon->n_workers && status == 0; i++) {
		daemon->workers[i].daemon = daemon;
		daemon->workers[i].index = i;
		daemon->workers[i].cpu = config->cpu_affinity ? worker_cpu(i) : -1;
		status = worker_start(&daemon->workers[i], error);
	}
	return status;
}

static void worker_on_stop(struct weir_post *post)
{
	weir_event_set(&weir_container_of(post, struct worker, stop_post)->stop);
}

void workers_stop(struct weir_daemon *daemon)
{
	struct worker *worker;

	for (worker = daemon->workers; worker < daemon->workers + daemon->n_workers; worker++) {
		/* A post that is under way must not be sent again. */
		if (!worker->started || worker->stopping)
			continue;
		worker->stopping = true;
		worker->stop_post.fn = worker_on_stop;
		weir_loop_post(worker->loop, &worker->stop_post);
	}
}

static void worker_on_release(struct worker *worker, void *slot)
{
	(void)slot;
	if (worker->offload != NULL)
		weir_offload_release(worker->offload);
}

void workers_release(struct weir_daemon *daemon)
{
	if (daemon_call_workers(daemon, worker_on_release, NULL, 0) < 0)
		weir_log(WEIR_LOG_ERROR, "upgrade", "flows stay until they end: out of memory");
}

/* A loop that never ran has a task that never ended: it is left to the end of the process. */
void workers_join(struct weir_daemon *daemon)
{
	struct worker *worker;

	for (worker = daemon->workers; worker < daemon->workers + daemon->n_workers; worker++) {
		if (!worker->started)
			continue;
		pthread_join(worker->thread, NULL);
		weir_scope_fini(&worker->scope);
		weir_offload_free(worker->offload);
		hold_queue_close(&worker->holds);
		weir_loop_free(worker->loop);
	}
}

/* SPDX-License-Identifier: MIT */

#include "daemon/hold_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <weir/error.h>
#include <weir/log.h>
#include <weir/loop.h>

#define BATCH_MS 20

struct hold_op {
	enum wire_kind kind;
	uint64_t key;
	int fds[WIRE_FDS]; /* of WIRE_HOLD; borrowed until it is sent or cancelled */
};

/* As many of the first ones as are of one kind and fit. */
static unsigned queue_batch(const struct hold_queue *queue, struct wire_message *message, int *fds)
{
	unsigned n_fds = 0;
	size_t i;

	message->kind = queue->ops[0].kind;
	for (i = 0; i < queue->n && i < WIRE_ENTRIES && queue->ops[i].kind == queue->ops[0].kind;
	     i++) {
		message->entries[i] =
			(struct wire_entry){ .key = queue->ops[i].key, .what = WIRE_FLOW };
		for (int j = 0; message->kind == WIRE_HOLD && j < WIRE_FDS; j++)
			fds[n_fds++] = queue->ops[i].fds[j];
	}
	message->count = (uint32_t)i;
	return n_fds;
}

static void queue_forget(struct hold_queue *queue, size_t n)
{
	queue->n -= n;
	memmove(queue->ops, queue->ops + n, queue->n * sizeof(queue->ops[0]));
}

/* What a keeper does not take is not held: said once. */
static void queue_give_up(struct hold_queue *queue, int status)
{
	if (!queue->failed && status != -EPIPE)
		weir_log(WEIR_LOG_ERROR, "keeper",
			 "does not take flows: they end with this process",
			 WEIR_LOG_STATUS(status));
	queue->failed = true;
}

static void queue_flush(struct hold_queue *queue)
{
	int fds[WIRE_ENTRIES * WIRE_FDS];
	struct wire_message message;
	unsigned n_fds;
	int status;

	while (queue->n > 0) {
		n_fds = queue_batch(queue, &message, fds);
		status = wire_send(queue->link->socket, &message, fds, n_fds);
		if (status == -EAGAIN)
			return;
		if (status < 0)
			queue_give_up(queue, status);
		queue_forget(queue, message.count);
	}
}

static void queue_on_timer(uv_timer_t *timer)
{
	struct hold_queue *queue = timer->data;

	queue_flush(queue);
	if (queue->n > 0)
		uv_timer_start(timer, queue_on_timer, BATCH_MS, 0);
}

static struct hold_op *queue_add(struct hold_queue *queue, enum wire_kind kind, uint64_t key)
{
	size_t capacity = queue->capacity != 0 ? 2 * queue->capacity : WIRE_ENTRIES;
	struct hold_op *ops;

	if (queue->n == queue->capacity) {
		ops = reallocarray(queue->ops, capacity, sizeof(*ops));
		if (ops == NULL)
			return NULL;
		queue->ops = ops;
		queue->capacity = capacity;
	}
	if (!uv_is_active((uv_handle_t *)queue->timer))
		uv_timer_start(queue->timer, queue_on_timer, BATCH_MS, 0);
	ops = &queue->ops[queue->n++];
	*ops = (struct hold_op){ .kind = kind, .key = key };
	return ops;
}

static void on_hold(void *ctx, uint64_t cookie, int client, int upstream)
{
	struct hold_queue *queue = ctx;
	struct hold_op *op = queue_add(queue, WIRE_HOLD, cookie);

	if (op == NULL)
		return; /* it ends with this process */
	op->fds[0] = client;
	op->fds[1] = upstream;
}

/* Whether the keeper has not been told of it yet, and will not. */
static bool queue_cancel(struct hold_queue *queue, uint64_t cookie)
{
	for (size_t i = queue->n; i-- > 0;) {
		if (queue->ops[i].kind != WIRE_HOLD || queue->ops[i].key != cookie)
			continue;
		queue->n--;
		memmove(&queue->ops[i], &queue->ops[i + 1], (queue->n - i) * sizeof(queue->ops[0]));
		return true;
	}
	return false;
}

static void on_drop(void *ctx, uint64_t cookie)
{
	struct hold_queue *queue = ctx;

	if (queue_cancel(queue, cookie))
		return;
	if (queue_add(queue, WIRE_DROP, cookie) == NULL)
		weir_log(WEIR_LOG_ERROR, "keeper", "a socket stays open: out of memory");
	queue_flush(queue);
}

static void on_release(void *ctx, uint64_t cookie)
{
	struct hold_queue *queue = ctx;

	if (queue_add(queue, WIRE_RELEASE, cookie) == NULL)
		weir_log(WEIR_LOG_ERROR, "keeper", "a flow stands still: out of memory");
	queue_flush(queue);
}

static const struct weir_offload_keeper_ops hold_ops = {
	.hold = on_hold,
	.drop = on_drop,
	.release = on_release,
};

int hold_queue_open(struct hold_queue *queue, struct keeper_link *link, struct weir_loop *loop,
		    struct weir_offload *offload)
{
	const struct weir_offload_keeper keeper = { .ops = &hold_ops, .ctx = queue };

	*queue = (struct hold_queue){ .link = link };
	if (!keeper_link_is_open(link) || offload == NULL)
		return 0;
	queue->timer = malloc(sizeof(*queue->timer));
	if (queue->timer == NULL)
		return -ENOMEM;
	uv_timer_init(weir_loop_uv(loop), queue->timer);
	queue->timer->data = queue;
	uv_unref((uv_handle_t *)queue->timer);
	weir_offload_set_keeper(offload, &keeper);
	return 0;
}

static void on_close(uv_handle_t *handle)
{
	free(handle);
}

void hold_queue_close(struct hold_queue *queue)
{
	if (queue->timer == NULL)
		return;
	queue_flush(queue);
	uv_close((uv_handle_t *)queue->timer, on_close);
	queue->timer = NULL;
	free(queue->ops);
	queue->ops = NULL;
	queue->n = 0;
}

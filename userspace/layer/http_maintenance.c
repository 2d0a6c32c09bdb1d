/* SPDX-License-Identifier: MIT */
/*
 * maintenance: a closed sign that is put up by a file or a flag, without a reload. The file is
 * looked for once a second and not for each call.
 */

#include <weir/http_layer.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/loop.h>

#include "layer/http_answer.h"

#define RETRY_AFTER_S 300
#define LOOK_NS	      1000000000ull
#define TYPE	      "text/html; charset=utf-8"

struct maintenance {
	struct weir_http_service svc;
	struct weir_arena arena;
	const char *file, *type, *page;
	const atomic_bool *flag;
	const char *const *except;
	size_t n_except;
	unsigned retry_after_s;
	struct weir_counter *refused;
	uint64_t look_ns; /* when to look for the file again */
	bool has_file;
};

static bool maintenance_is_on(struct maintenance *maintenance)
{
	uint64_t now = weir_loop_now(weir_loop_current());

	if (maintenance->flag && atomic_load_explicit(maintenance->flag, memory_order_relaxed))
		return true;
	if (maintenance->file && now >= maintenance->look_ns) {
		maintenance->has_file = access(maintenance->file, F_OK) == 0;
		maintenance->look_ns = now + LOOK_NS;
	}
	return maintenance->has_file;
}

static int maintenance_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct maintenance *maintenance = weir_container_of(svc, struct maintenance, svc);
	struct weir_text page = weir_text_of(maintenance->page);
	int status;

	if (!maintenance_is_on(maintenance) ||
	    http_path_is_under(&call->request, maintenance->except, maintenance->n_except))
		return weir_handle(svc->inner, call);
	http_count(maintenance->refused, 1);
	status = http_refuse_until(call, 503, "maintenance", maintenance->retry_after_s);
	if (status || !page.data)
		return status;
	return http_replace(call, weir_text_of(maintenance->type), page);
}

static void maintenance_free(struct weir_http_service *svc)
{
	struct maintenance *maintenance = weir_container_of(svc, struct maintenance, svc);

	weir_arena_fini(&maintenance->arena);
	free(maintenance);
}

static const struct weir_http_ops maintenance_ops = {
	.name = "maintenance",
	.handle = maintenance_handle,
	.free = maintenance_free,
};

static int maintenance_configure(struct maintenance *maintenance,
				 const struct weir_http_maintenance_conf *conf,
				 struct weir_error *error)
{
	struct weir_arena *arena = &maintenance->arena;

	weir_arena_init(arena, 0);
	if (!conf->file && !conf->flag)
		return http_layer_refuse(error, "name a file", "nothing could switch this on");
	maintenance->flag = conf->flag;
	maintenance->refused = conf->refused;
	maintenance->retry_after_s = conf->retry_after_s ? conf->retry_after_s : RETRY_AFTER_S;
	maintenance->file = http_string_copy(arena, conf->file, NULL);
	maintenance->page = http_string_copy(arena, conf->page, NULL);
	maintenance->type = http_string_copy(arena, conf->type, TYPE);
	maintenance->except = http_strings_copy(arena, conf->except, conf->n_except);
	maintenance->n_except = conf->n_except;
	if ((conf->file && !maintenance->file) || (conf->page && !maintenance->page) ||
	    !maintenance->type || !maintenance->except)
		return http_layer_memory(error);
	if (!weir_header_is_valid(WEIR_TEXT("Content-Type"), weir_text_of(maintenance->type)))
		return http_layer_refuse(error, "leave control characters out",
					 "the page's type is no value of a header field");
	return 0;
}

struct weir_http_service *weir_http_maintenance_layer(struct weir_http_service *inner,
						      const struct weir_http_maintenance_conf *conf,
						      struct weir_error *error)
{
	struct maintenance *maintenance =
		http_layer_new(sizeof(*maintenance), &maintenance_ops, inner, error);

	if (!maintenance)
		return NULL;
	return http_layer_done(&maintenance->svc, maintenance_configure(maintenance, conf, error));
}

/* SPDX-License-Identifier: MIT */
/*
 * error_pages: other bodies for errors. Ordinarily for refusals, which are those answers that Weir
 * made itself (call->result.why says so); an upstream's own pages are left alone unless all are to
 * be replaced. Other fields, such as Retry-After, stay.
 */

#include <weir/http_content.h>

#include <errno.h>
#include <stdlib.h>

#include <weir/loop.h>

#include "layer/http_answer.h"
#include "layer/http_template.h"

#define TYPE	 "text/html; charset=utf-8"
#define PAGE_MAX WEIR_SCRATCH_BYTES

struct page {
	unsigned status; /* 400 to 599, 4, 5 or 0 */
	struct weir_text type;
	struct http_template *content;
};

struct error_pages {
	struct weir_http_service svc;
	struct weir_arena arena;
	struct page *pages;
	size_t n;
	bool all;
};

/* The most exact page for STATUS; NULL when there is none. */
static const struct page *pages_find(const struct error_pages *layer, unsigned status)
{
	const unsigned wanted[] = { status, status / 100, 0 };

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(wanted); i++)
		for (size_t j = 0; j < layer->n; j++)
			if (layer->pages[j].status == wanted[i])
				return &layer->pages[j];
	return NULL;
}

static int page_show(const struct page *page, struct weir_call *call)
{
	char *scratch = weir_loop_scratch(weir_loop_current());
	struct weir_text content;

	content.size =
		http_template_write(page->content, call, NULL, HTTP_ESCAPE_HTML, scratch, PAGE_MAX);
	content.data = weir_arena_memdup(&call->arena, scratch, content.size);
	if (!content.data)
		return -ENOMEM;
	return http_replace(call, page->type, content);
}

static int error_pages_handle(struct weir_http_service *svc, struct weir_call *call)
{
	struct error_pages *layer = weir_container_of(svc, struct error_pages, svc);
	int status = http_answer(call, weir_handle(svc->inner, call));
	const struct page *page;

	if (status || call->response.status < 400 || (!layer->all && !call->result.why))
		return status;
	page = pages_find(layer, call->response.status);
	return page ? page_show(page, call) : 0;
}

static void error_pages_free(struct weir_http_service *svc)
{
	struct error_pages *layer = weir_container_of(svc, struct error_pages, svc);

	for (size_t i = 0; i < layer->n; i++)
		http_template_free(layer->pages[i].content);
	weir_arena_fini(&layer->arena);
	free(layer);
}

static const struct weir_http_ops error_pages_ops = {
	.name = "error_pages",
	.handle = error_pages_handle,
	.free = error_pages_free,
};

static int page_configure(struct error_pages *layer, const struct weir_http_error_page *conf,
			  struct weir_error *error)
{
	struct page *page = &layer->pages[layer->n];
	unsigned status = conf->status;

	if (status != 0 && status != 4 && status != 5 && (status < 400 || status > 599))
		return http_layer_refuse(error, "say 400 to 599, 4 or 5 for a class, or 0 for all",
					 "%u is no error to have a page for", status);
	if (!conf->content || weir_text_of(conf->content).size > PAGE_MAX / 2)
		return http_layer_refuse(error, "keep it under 32 KiB",
					 "the page for %u is missing or too long", status);
	if (!weir_header_is_valid(WEIR_TEXT("Content-Type"),
				  weir_text_of(conf->type ? conf->type : "")))
		return http_layer_refuse(error, "leave control characters out",
					 "the page's type is no value of a header field");
	page->status = status;
	page->type = weir_text_of(http_string_copy(&layer->arena, conf->type, TYPE));
	if (!page->type.data)
		return http_layer_memory(error);
	page->content = http_template_new(conf->content, "an error page", error);
	if (!page->content)
		return WEIR_ECONFIG;
	layer->n++;
	return 0;
}

static int error_pages_configure(struct error_pages *layer,
				 const struct weir_http_error_pages_conf *conf,
				 struct weir_error *error)
{
	int status = 0;

	weir_arena_init(&layer->arena, 0);
	layer->all = conf->all;
	layer->pages =
		weir_arena_zalloc(&layer->arena, (conf->n_pages + 1) * sizeof(*layer->pages));
	if (!layer->pages)
		return http_layer_memory(error);
	for (size_t i = 0; i < conf->n_pages && !status; i++)
		status = page_configure(layer, &conf->pages[i], error);
	return status;
}

struct weir_http_service *weir_http_error_pages_layer(struct weir_http_service *inner,
						      const struct weir_http_error_pages_conf *conf,
						      struct weir_error *error)
{
	struct error_pages *layer = http_layer_new(sizeof(*layer), &error_pages_ops, inner, error);

	if (!layer)
		return NULL;
	return http_layer_done(&layer->svc, error_pages_configure(layer, conf, error));
}

/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "http_deal.h"

static struct deal_rig *informed_rig;

static int on_inform(struct weir_call *call, unsigned status, const struct weir_headers *headers)
{
	(void)call;
	assert_non_null(headers);
	informed_rig->informed++;
	informed_rig->last_informed = status;
	return 0;
}

void deal_rig_init(struct deal_rig *rig, enum stage_kind kind)
{
	memset(rig, 0, sizeof(*rig));
	origin_init(&rig->origin, kind);
	informed_rig = rig;
}

void deal_rig_open(struct deal_rig *rig)
{
	rig->to = (struct weir_target){ .address = loopback_address(80), .port = 80 };
	rig->conf.connector = origin_connector(&rig->origin, 1);
	rig->client = weir_http_client_new(&rig->conf, NULL);
	assert_non_null(rig->client);
}

void deal_rig_close(struct deal_rig *rig)
{
	weir_http_client_free(rig->client);
	origin_fini(&rig->origin);
}

void deal_ask(const struct deal *deal, struct weir_call *call)
{
	struct weir_request *request = &call->request;
	const char *method = deal->method ? deal->method : "GET";

	request->method = weir_method_parse(weir_text_of(method));
	request->method_text = weir_text_of(method);
	request->scheme = WEIR_TEXT("http");
	request->authority = WEIR_TEXT("origin.example");
	request->path = WEIR_TEXT("/a");
	request->keep_alive = true;
	request->expects_continue = deal->expects;
	if (deal->expects)
		assert_int_equal(weir_headers_add_id(&request->headers, WEIR_HEADER_EXPECT,
						     WEIR_TEXT("100-continue")),
				 0);
	request->upgrade = weir_text_of(deal->upgrade);
	if (!deal->body)
		return;
	request->body = weir_text_body(&call->arena, weir_text_of(deal->body));
	assert_non_null(request->body);
	if (deal->chunked)
		request->body->size = WEIR_BODY_UNKNOWN;
}

void deal_read(struct deal *deal, struct weir_call *call)
{
	struct weir_buffer body = { 0 };

	deal->code = call->response.status;
	if (!call->response.body)
		return;
	deal->body_status = weir_body_read_all(call->response.body, &body, 1 << 20);
	snprintf(deal->text, sizeof(deal->text), "%.*s", (int)weir_buffer_size(&body),
		 body.data ? weir_buffer_head(&body) : "");
	weir_buffer_fini(&body);
}

void deal_run(struct deal_rig *rig, struct deal *deal)
{
	struct weir_call call;

	weir_call_init(&call, NULL);
	call.inform = on_inform;
	deal_ask(deal, &call);
	deal->status = weir_http_client_exchange(rig->client, &call, &rig->to);
	deal->attempts = call.result.attempts;
	deal->why = call.result.why;
	if (!deal->status)
		deal_read(deal, &call);
	deal->sent = weir_http_client_has_sent(&call);
	weir_call_fini(&call);
}

struct deal deal_get(struct deal_rig *rig)
{
	struct deal deal = { 0 };

	deal_run(rig, &deal);
	return deal;
}

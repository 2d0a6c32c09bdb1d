/* SPDX-License-Identifier: MIT */
/*
 * Writing responses: how they are framed, whether the connection lives on, what is said when there
 * is nothing good to say.
 */

#include <errno.h>
#include <time.h>

#include <weir/error.h>

#include "http/server.h"

static bool request_is_1_0(const struct server_call *c)
{
	return c->call.request.version == WEIR_HTTP_1_0;
}

/* The time is read from the vDSO; the text is made once a second. */
static struct weir_text server_date(struct server *server)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	if (now.tv_sec != server->date_s) {
		server->date_s = now.tv_sec;
		weir_http_date_format(now.tv_sec, server->date);
	}
	return (struct weir_text){ server->date, sizeof(server->date) - 1 };
}

/* ------------------------------------------------------------------------------------------
 * Framing
 */

static void plan_length(struct weir_h1_plan *plan, uint64_t length)
{
	plan->framing = length == WEIR_BODY_UNKNOWN ? WEIR_H1_NONE : WEIR_H1_LENGTH;
	plan->length = plan->framing == WEIR_H1_LENGTH ? length : 0;
}

/* RFC 9112 section 6.3. Returns the body that goes, which is none to HEAD. */
static struct weir_body *plan_body(struct weir_h1_plan *plan, const struct server_call *c)
{
	const struct weir_response *response = &c->call.response;
	struct weir_body *body = response->body;

	if (c->call.request.method == WEIR_METHOD_HEAD &&
	    !weir_status_is_bodiless(response->status)) {
		plan_length(plan, body ? body->size : response->announced);
		return NULL;
	}
	if (response->status == 304)
		plan_length(plan, response->announced);
	if (weir_status_is_bodiless(response->status) || server_is_tunnel(c))
		return NULL;
	if (!body || body->size != WEIR_BODY_UNKNOWN)
		plan_length(plan, body ? body->size : 0);
	else
		plan->framing = request_is_1_0(c) ? WEIR_H1_CLOSE : WEIR_H1_CHUNKED;
	return body;
}

/* Whether the next request can be found after what is left of this one. A client that waits for
 * 100 may send its body, or not, once it has the answer. */
static bool answer_can_skip_rest(const struct server_call *c)
{
	const struct h1_conn *h1 = &c->sc->h1;

	if (h1_conn_has_read_all(h1))
		return true;
	if (h1->read != H1_READ_BODY)
		return false;
	if (h1->pulled || c->continued || c->call.response.body == &h1->body)
		return true;
	return !c->call.request.expects_continue &&
	       (h1->left == WEIR_BODY_UNKNOWN || h1->left <= c->sc->server->conf.discard_bytes);
}

static bool answer_keeps_alive(const struct server_call *c, const struct weir_h1_plan *plan)
{
	const struct server *server = c->sc->server;

	return c->call.request.keep_alive && !c->must_close && !server->draining &&
	       c->sc->served < server->conf.max_requests && plan->framing != WEIR_H1_CLOSE &&
	       answer_can_skip_rest(c) &&
	       !weir_headers_has_item(&c->call.response.headers, WEIR_HEADER_CONNECTION,
				      WEIR_TEXT("close"));
}

static struct weir_body *plan_response(struct weir_h1_plan *plan, const struct server_call *c)
{
	struct server *server = c->sc->server;
	struct weir_body *body;

	*plan = (struct weir_h1_plan){
		.peer = c->call.request.version,
		.date = server_date(server),
		.server = weir_text_of(server->conf.server),
		.via = weir_text_of(server->conf.via),
	};
	body = plan_body(plan, c);
	plan->trailers = plan->framing == WEIR_H1_CHUNKED && c->call.request.accepts_trailers;
	plan->keep_alive = server_is_tunnel(c) || answer_keeps_alive(c, plan);
	if (c->call.response.status == 101)
		plan->upgrade = c->call.response.upgrade;
	return body;
}

/* ------------------------------------------------------------------------------------------
 * Writing
 */

/* What a tunnel's far side has sent already leaves with the head. */
static int answer_send_tunnel(struct server_call *c, struct weir_buffer *head)
{
	const struct weir_h1_plan plan = { .framing = WEIR_H1_CLOSE };
	struct weir_body *early = NULL;

	if (c->call.tunnel->early.size > 0) {
		early = weir_text_body(&c->call.arena, c->call.tunnel->early);
		if (!early)
			return -ENOMEM;
	}
	return h1_conn_send(&c->sc->h1, head, early, &plan);
}

/* 0; -errno. *UNSAID: nothing was written, because of the response itself. */
static int answer_send(struct server_call *c, struct weir_h1_plan *plan, bool *unsaid)
{
	struct weir_body *body = plan_response(plan, c);
	struct weir_buffer head = { 0 };
	int status = weir_h1_write_response(&head, &c->call.response, plan);

	c->state = SERVER_ANSWERING;
	*unsaid = status != 0;
	if (status)
		return status;
	if (server_is_tunnel(c))
		status = answer_send_tunnel(c, &head);
	else
		status = h1_conn_send(&c->sc->h1, &head, body, plan);
	*unsaid = c->sc->h1.broke_source && weir_buffer_size(&head) > 0;
	weir_buffer_fini(&head);
	c->call.result.response_bytes = c->sc->h1.body_sent;
	return status;
}

/* What the client may still be sending when the connection ends. */
static enum server_next answer_close(const struct server_call *c)
{
	const struct h1_conn *h1 = &c->sc->h1;

	if (c->call.request.keep_alive || !h1_conn_has_read_all(h1) || h1_conn_has_more(h1))
		return SERVER_LINGER;
	return SERVER_CLOSE;
}

static enum server_next answer_end(struct server_call *c, const struct weir_h1_plan *plan,
				   int status)
{
	if (status) {
		c->call.result.status = status;
		return SERVER_BREAK;
	}
	if (server_is_tunnel(c))
		return server_tunnel(c);
	return plan->keep_alive ? SERVER_KEEP : answer_close(c);
}

enum server_next server_refuse(struct server_call *c, unsigned status, const char *why)
{
	struct weir_h1_plan plan = { 0 };
	bool unsaid;
	int err;

	if (c->gone) {
		c->call.result.status = -ECONNRESET;
		return SERVER_BREAK;
	}
	err = weir_call_refuse(&c->call, status, why);
	if (!err)
		err = answer_send(c, &plan, &unsaid);
	return answer_end(c, &plan, err);
}

/* What a service may fill in and no client could read. */
static const char *answer_mistake(const struct server_call *c)
{
	const struct weir_call *call = &c->call;
	unsigned status = call->response.status;

	if (status < 100 || status > 999 || (status < 200 && status != 101))
		return "no_response";
	if (status == 101 && (request_is_1_0(c) || call->request.upgrade.size == 0))
		return "unasked_upgrade";
	if (server_is_tunnel(c) && !call->tunnel)
		return "no_tunnel";
	return NULL;
}

enum server_next server_answer(struct server_call *c)
{
	const char *mistake = answer_mistake(c);
	struct weir_h1_plan plan;
	bool unsaid;
	int status;

	if (mistake)
		return server_refuse(c, 502, mistake);
	status = answer_send(c, &plan, &unsaid);
	if (status && unsaid)
		return server_refuse(c, weir_http_status(status), weir_error_name(status));
	return answer_end(c, &plan, status);
}

/* ------------------------------------------------------------------------------------------
 * Interim responses
 */

static int inform_continue(struct server_call *c)
{
	if (c->continued)
		return 0;
	c->continued = true;
	return h1_conn_post(&c->sc->h1, WEIR_TEXT("HTTP/1.1 100 Continue\r\n\r\n"));
}

static int inform_write(struct server_call *c, unsigned status, const struct weir_headers *headers)
{
	const struct weir_h1_plan plan = { .framing = WEIR_H1_NONE, .keep_alive = true };
	struct weir_response interim;
	struct weir_buffer head = { 0 };
	int err;

	weir_response_init(&interim, &c->call.arena);
	interim.status = status;
	if (headers)
		interim.headers = *headers;
	err = weir_h1_write_response(&head, &interim, &plan);
	if (!err)
		err = h1_conn_post(&c->sc->h1, (struct weir_text){ weir_buffer_head(&head),
								   weir_buffer_size(&head) });
	weir_buffer_fini(&head);
	return err;
}

int server_inform(struct weir_call *call, unsigned status, const struct weir_headers *headers)
{
	struct server_call *c = server_call_of(call);

	if (c->state != SERVER_HANDLING || request_is_1_0(c) || status < 100 || status > 199 ||
	    status == 101)
		return 0;
	if (status == 100)
		return inform_continue(c);
	return inform_write(c, status, headers);
}

/* A failure shows when the body is read. */
void server_before_body(struct h1_conn *h1)
{
	struct server_call *c = h1->ctx;

	if (!h1->begun && c->call.request.expects_continue && !request_is_1_0(c))
		(void)!inform_continue(c);
}

/* SPDX-License-Identifier: MIT */
/*
 * Sending: one task, one client, a call for each request. Redirections are followed as RFC 9110
 * section 15.4 and the Fetch standard say: 303, and 301 and 302 after POST, by GET without the body;
 * what a request says to prove who sends it stays with the host that it was meant for.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/http_client.h>
#include <weir/http_server.h>
#include <weir/loop.h>

#include "tools/weir/send.h"
#include "tools/weir/send_place.h"
#include "tools/weir/send_way.h"

#define REDIRECTS_MAX 10

struct sender {
	const struct send_arguments *arguments;
	struct weir_error *error;
	struct weir_arena arena; /* of places */
	struct way way;
	struct place place;
	struct place first; /* whom credentials are for */
	const char *method; /* NULL: what the data says */
	bool has_data;
	int fd; /* of the output */
	int status;
};

/* ------------------------------------------------------------------------------------------
 * The request
 */

static bool is_credential(struct weir_text name)
{
	enum weir_header_id id = weir_header_id(name);

	return id == WEIR_HEADER_AUTHORIZATION || id == WEIR_HEADER_COOKIE ||
	       id == WEIR_HEADER_HOST;
}

static int request_add_own(const struct sender *sender, struct weir_headers *headers)
{
	int status = weir_headers_add_id(headers, WEIR_HEADER_HOST, sender->place.authority);

	if (!status)
		status = weir_headers_add_id(headers, WEIR_HEADER_USER_AGENT,
					     WEIR_TEXT("weir/" WEIR_VERSION));
	if (!status)
		status = weir_headers_add_id(headers, WEIR_HEADER_ACCEPT, WEIR_TEXT("*/*"));
	if (!status && sender->has_data)
		status = weir_headers_add_id(headers, WEIR_HEADER_CONTENT_TYPE,
					     WEIR_TEXT("application/x-www-form-urlencoded"));
	return status;
}

/* The user's fields take the place of ours, and stand beside each other. */
static int request_add_headers(const struct sender *sender, struct weir_headers *headers)
{
	const struct send_arguments *arguments = sender->arguments;
	bool is_first = place_is_same_origin(&sender->place, &sender->first);
	int status = request_add_own(sender, headers);

	for (size_t i = 0; i < arguments->n_headers; i++)
		if (is_first || !is_credential(arguments->headers[i].name))
			weir_headers_del(headers, arguments->headers[i].name);
	for (size_t i = 0; !status && i < arguments->n_headers; i++) {
		const struct send_header *header = &arguments->headers[i];

		if (header->value.size > 0 && (is_first || !is_credential(header->name)))
			status = weir_headers_add(headers, header->name, header->value);
	}
	return status;
}

static int request_fill(const struct sender *sender, struct weir_call *call)
{
	const struct weir_buffer *data = &sender->arguments->data;
	const char *method = sender->has_data ? "POST" : "GET";
	struct weir_request *request = &call->request;

	request->method_text = weir_text_of(sender->method ? sender->method : method);
	request->method = weir_method_parse(request->method_text);
	request->scheme = sender->place.scheme;
	request->authority = sender->place.authority;
	request->path = sender->place.path;
	request->query = sender->place.query;
	request->keep_alive = true;
	if (sender->has_data) {
		request->body =
			weir_text_body(&call->arena, (struct weir_text){ weir_buffer_head(data),
									 weir_buffer_size(data) });
		if (!request->body)
			return -ENOMEM;
	}
	if (request_add_headers(sender, &request->headers))
		return -ENOMEM;
	request->expects_continue = weir_headers_has_item(&request->headers, WEIR_HEADER_EXPECT,
							  WEIR_TEXT("100-continue"));
	return 0;
}

/* ------------------------------------------------------------------------------------------
 * What people see
 */

static void print_fields(FILE *to, const char *before, const struct weir_headers *headers)
{
	const struct weir_header *field = NULL;

	while ((field = weir_headers_next(headers, field)))
		fprintf(to, "%s%.*s: %.*s\r\n", before, WEIR_TEXT_ARGS(field->name),
			WEIR_TEXT_ARGS(field->value));
	fprintf(to, "%s\r\n", before);
}

static void print_request(const struct weir_request *request)
{
	fprintf(stderr, "> %.*s %.*s%s%.*s HTTP/1.1\r\n", WEIR_TEXT_ARGS(request->method_text),
		WEIR_TEXT_ARGS(request->path), request->query.data ? "?" : "",
		WEIR_TEXT_ARGS(request->query));
	print_fields(stderr, "> ", &request->headers);
}

static void print_head(FILE *to, const char *before, unsigned status, struct weir_text reason,
		       const struct weir_response *response, const struct weir_headers *headers)
{
	const char *version = response && response->version == WEIR_HTTP_1_0 ? "1.0" : "1.1";

	if (!reason.data)
		reason = weir_status_reason(status);
	fprintf(to, "%sHTTP/%s %u %.*s\r\n", before, version, status, WEIR_TEXT_ARGS(reason));
	print_fields(to, before, headers);
}

static int on_interim(struct weir_call *call, unsigned status, const struct weir_headers *headers)
{
	(void)call;
	print_head(stderr, "< ", status, weir_text_of(NULL), NULL, headers);
	return 0;
}

static void print_response(const struct sender *sender, const struct weir_call *call)
{
	const struct weir_response *response = &call->response;
	char text[WEIR_ADDRESS_TEXT];

	if (sender->arguments->verbose) {
		fprintf(stderr, "* answered by %s\n",
			weir_address_format(&call->result.endpoint, text));
		print_head(stderr, "< ", response->status, response->reason, response,
			   &response->headers);
	}
	if (sender->arguments->include) {
		print_head(stdout, "", response->status, response->reason, response,
			   &response->headers);
		fflush(stdout);
	}
}

/* ------------------------------------------------------------------------------------------
 * The response
 */

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			size -= (size_t)n;
		}
	}
	return 0;
}

static int response_write(struct sender *sender, struct weir_body *body)
{
	struct iovec piece;
	int status;

	while ((status = weir_body_next(body, &piece, true)) == 1) {
		status = write_all(sender->fd, piece.iov_base, piece.iov_len);
		if (status)
			return weir_error_set(sender->error, status, "cannot write: %s",
					      weir_strerror(status));
	}
	if (status < 0)
		weir_error_set(sender->error, status, "the response broke off: %s",
			       sender->way.why.status ? sender->way.why.message
						      : weir_strerror(status));
	return status;
}

static bool is_redirect(const struct weir_call *call)
{
	switch (call->response.status) {
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		return weir_headers_value(&call->response.headers, WEIR_HEADER_LOCATION).size > 0;
	default:
		return false;
	}
}

/* 1: ask again, there. */
static int response_follow(struct sender *sender, const struct weir_call *call)
{
	unsigned status = call->response.status;
	struct weir_text location =
		weir_headers_value(&call->response.headers, WEIR_HEADER_LOCATION);
	bool was_post = call->request.method == WEIR_METHOD_POST;
	const char *url = place_resolve(&sender->place, location, &sender->arena);

	if (!url)
		return weir_error_set(sender->error, -ENOMEM, "out of memory");
	if (place_parse(&sender->place, url, &sender->arena, sender->error))
		return sender->error->status;
	if ((status == 303 && call->request.method != WEIR_METHOD_HEAD) ||
	    (was_post && (status == 301 || status == 302))) {
		sender->method = NULL;
		sender->has_data = false;
	}
	return 1;
}

/* ------------------------------------------------------------------------------------------
 * The whole
 */

static int call_failed(const struct sender *sender, const struct weir_call *call, int status)
{
	const struct weir_target *proxy = sender->way.has_proxy ? &sender->way.proxy : NULL;
	char text[WEIR_HOST_MAX + 16];

	if (sender->way.why.status)
		return weir_error_set(sender->error, status, "%.*s: %s",
				      WEIR_TEXT_ARGS(sender->place.authority),
				      sender->way.why.message);
	if (call->result.why)
		return weir_error_set(sender->error, status, "%.*s: %s: %s",
				      WEIR_TEXT_ARGS(sender->place.authority),
				      weir_strerror(status), call->result.why);
	if (proxy)
		return weir_error_set(sender->error, status, "%.*s through %s: %s",
				      WEIR_TEXT_ARGS(sender->place.authority),
				      weir_target_format(proxy, text, sizeof(text)),
				      weir_strerror(status));
	return weir_error_set(sender->error, status, "%.*s: %s",
			      WEIR_TEXT_ARGS(sender->place.authority), weir_strerror(status));
}

/* 0, 1: ask again, negative. */
static int call_finish(struct sender *sender, struct weir_call *call, bool may_follow)
{
	print_response(sender, call);
	if (may_follow && is_redirect(call))
		return response_follow(sender, call);
	if (sender->arguments->follow && is_redirect(call))
		return weir_error_set(sender->error, -ELOOP, "more than %d redirections",
				      REDIRECTS_MAX);
	return call->response.body ? response_write(sender, call->response.body) : 0;
}

static int sender_ask(struct sender *sender, bool may_follow)
{
	struct weir_http_client *client;
	struct weir_target target;
	struct weir_call call;
	int status = way_choose(&sender->way, &sender->place, &client, &target);

	if (status)
		return status;
	weir_call_init(&call, NULL);
	if (sender->arguments->verbose)
		call.inform = on_interim;
	status = request_fill(sender, &call);
	if (!status && sender->arguments->verbose)
		print_request(&call.request);
	if (!status)
		status = weir_http_client_exchange(client, &call, &target);
	status = status ? call_failed(sender, &call, status)
			: call_finish(sender, &call, may_follow);
	weir_call_fini(&call);
	return status;
}

static int sender_open(struct sender *sender)
{
	const struct send_arguments *arguments = sender->arguments;
	int status = place_parse(&sender->place, arguments->url, &sender->arena, sender->error);

	sender->first = sender->place;
	if (status)
		return status;
	return way_open(&sender->way, arguments, &sender->arena, sender->error);
}

static int sender_main(void *arg)
{
	struct sender *sender = arg;
	int status = sender_open(sender);

	if (!status)
		status = 1;
	for (unsigned n = 0; status == 1; n++)
		status = sender_ask(sender, sender->arguments->follow && n < REDIRECTS_MAX);
	sender->status = status;
	way_close(&sender->way);
	return 0;
}

static int sender_run(struct sender *sender)
{
	struct weir_loop *loop = weir_loop_new(&(struct weir_loop_conf){ 0 }, sender->error);
	struct weir_scope root;
	int status;

	if (!loop)
		return sender->error->status;
	weir_scope_init_root(&root, loop);
	status = weir_scope_spawn(&root, "send", sender_main, sender, NULL);
	if (!status)
		status = weir_loop_run(loop);
	if (status)
		weir_error_set(sender->error, status, "cannot run: %s", weir_strerror(status));
	weir_scope_fini(&root);
	weir_loop_free(loop);
	return status ? status : sender->status;
}

int send_run(const struct send_arguments *arguments, struct weir_error *error)
{
	struct sender sender = {
		.arguments = arguments,
		.error = error,
		.method = arguments->method,
		.has_data = arguments->has_data,
		.fd = STDOUT_FILENO,
	};
	int status;

	if (arguments->output)
		sender.fd = open(arguments->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (sender.fd < 0)
		return weir_error_set(error, -errno, "%s: %s", arguments->output, strerror(errno));
	weir_arena_init(&sender.arena, 0);
	status = sender_run(&sender);
	weir_arena_fini(&sender.arena);
	if (arguments->output && close(sender.fd) && !status)
		status =
			weir_error_set(error, -errno, "%s: %s", arguments->output, strerror(errno));
	return status;
}

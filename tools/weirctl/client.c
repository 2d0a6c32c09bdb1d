/* SPDX-License-Identifier: MIT */

#include "tools/weirctl/client.h"

#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include <weir/error.h>
#include <weir/http_client.h>
#include <weir/loop.h>

/* A reload builds a whole generation and probes the kernel; nothing takes longer. */
#define CLIENT_TIMEOUT_MS 60000

struct question {
	struct weir_http_client *client;
	struct weir_target daemon;
	struct weir_text method;
	struct weir_text target;
	struct response *response;
	enum client_step *step;
};

static int question_fill(const struct question *question, struct weir_call *call)
{
	struct weir_request *request = &call->request;
	struct weir_text nothing = { "", 0 };

	request->method = weir_method_parse(question->method);
	request->method_text = question->method;
	request->authority = WEIR_TEXT("weir");
	request->keep_alive = false;
	if (request->method == WEIR_METHOD_POST) {
		request->body = weir_text_body(&call->arena, nothing);
		if (!request->body)
			return -ENOMEM;
	}
	return weir_request_set_target(request, question->target);
}

static int question_ask(const struct question *question, struct weir_call *call)
{
	struct response *response = question->response;
	int status = question_fill(question, call);

	if (!status)
		status = weir_http_client_exchange(question->client, call, &question->daemon);
	if (weir_http_client_has_sent(call))
		*question->step = CLIENT_READ;
	if (!status && call->response.body)
		status = weir_body_read_all(call->response.body, &response->body, CLIENT_BODY_MAX);
	if (!status)
		response->status = (int)call->response.status;
	return status;
}

static int question_main(void *arg)
{
	const struct question *question = arg;
	struct weir_scope scope;
	struct weir_call call;
	int status;

	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, CLIENT_TIMEOUT_MS);
	weir_scope_enter(&scope);
	weir_call_init(&call, NULL);
	status = question_ask(question, &call);
	weir_call_fini(&call);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	return status;
}

/* Runs it in LOOP, which is for nothing else. */
static int question_run(struct question *question, struct weir_loop *loop)
{
	const struct weir_tcp_connector_conf tcp = { .timeout_ms = CLIENT_TIMEOUT_MS };
	struct weir_http_client_conf conf = {
		.connector = weir_tcp_connector(&tcp, NULL),
		.first_byte_ms = CLIENT_TIMEOUT_MS,
		.body_idle_ms = CLIENT_TIMEOUT_MS,
	};
	struct weir_scope root;
	int status;

	question->client = weir_http_client_new(&conf, NULL);
	if (!question->client)
		return -ENOMEM;
	weir_scope_init_root(&root, loop);
	status = weir_scope_spawn(&root, "question", question_main, question, NULL);
	if (!status)
		status = weir_loop_run(loop);
	if (!status)
		status = root.first_error;
	weir_scope_fini(&root);
	weir_http_client_free(question->client);
	return status;
}

static int target_init(struct weir_target *target, const char *path)
{
	char text[sizeof(((struct sockaddr_un *)NULL)->sun_path) + sizeof("unix:")];

	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return -ENAMETOOLONG;
	strcpy(text, "unix:");
	strcat(text, path);
	return weir_target_parse(target, text);
}

int client_ask(const char *path, const char *method, const char *target, struct response *response,
	       enum client_step *step)
{
	struct question question = {
		.method = weir_text_of(method),
		.target = weir_text_of(target),
		.response = response,
		.step = step,
	};
	struct weir_loop *loop;
	int status;

	*response = (struct response){ 0 };
	*step = CLIENT_CONNECT;
	status = target_init(&question.daemon, path);
	if (status)
		return status;
	loop = weir_loop_new(&(struct weir_loop_conf){ 0 }, NULL);
	if (!loop)
		return -ENOMEM;
	status = question_run(&question, loop);
	weir_loop_free(loop);
	return status;
}

void response_fini(struct response *response)
{
	weir_buffer_fini(&response->body);
}

/* SPDX-License-Identifier: MIT */
/* Tunnels through an HTTP proxy: what it is asked, and what its answers mean. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/http_connect.h>
#include <weir/message.h>

#include "stage.h"

struct deal {
	const char *target;
	const char *authorization;
	const char *answer; /* of the proxy, sent in pieces of STEP bytes; it ends after them */
	size_t step;
	bool silent;	/* the proxy does not end */
	bool unlimited; /* it goes on with spaces */
	uint64_t timeout_ms;

	char asked[512];
	unsigned answered; /* status that on_answer() was told */
	int status;
	char rest[64]; /* what the target's stream begins with */
	struct weir_stream *proxy;
};

static int proxy_run(void *arg)
{
	struct deal *deal = arg;
	size_t size = strlen(deal->answer), got = 0;

	while (!strstr(deal->asked, "\r\n\r\n") && got < sizeof(deal->asked) - 1) {
		ssize_t n = weir_stream_read(deal->proxy, deal->asked + got,
					     sizeof(deal->asked) - 1 - got);

		if (n <= 0)
			return 0;
		got += (size_t)n;
	}
	for (size_t at = 0; at < size; at += deal->step) {
		if (weir_stream_write(deal->proxy, deal->answer + at,
				      WEIR_MIN(deal->step, size - at)))
			return 0;
		assert_int_equal(weir_task_yield(), 0);
	}
	while (deal->unlimited && weir_stream_write(deal->proxy, "X: y\r\n", 6) == 0)
		;
	return deal->silent ? 0 : weir_stream_shutdown(deal->proxy);
}

static void on_answer(void *ctx, const struct weir_target *to, const struct weir_response *response)
{
	struct deal *deal = ctx;
	char text[300];

	assert_string_equal(weir_target_format(to, text, sizeof(text)), deal->target);
	deal->answered = response->status;
}

/* To the proxy: the near end of a pair. */
struct to_proxy {
	struct weir_connector connector;
	struct deal *deal;
	struct weir_scope *scope;
};

static int to_proxy_connect(struct weir_connector *connector, struct weir_conn *conn,
			    const struct weir_target *to, struct weir_stream **out)
{
	struct to_proxy *inner = weir_container_of(connector, struct to_proxy, connector);
	struct weir_stream *ends[2];
	char text[64];

	(void)conn;
	assert_string_equal(weir_target_format(to, text, sizeof(text)), "proxy.example:3128");
	assert_int_equal(weir_memory_stream_pair(ends, 0), 0);
	*out = ends[0];
	inner->deal->proxy = ends[1];
	return weir_scope_spawn(inner->scope, "proxy", proxy_run, inner->deal, NULL);
}

static const struct weir_connector_ops to_proxy_ops = {
	.name = "to_proxy",
	.connect = to_proxy_connect,
};

static int deal_connect(struct deal *deal, struct weir_scope *scope, struct weir_stream **out)
{
	struct to_proxy inner = {
		.connector.ops = &to_proxy_ops,
		.deal = deal,
		.scope = scope,
	};
	struct weir_http_connect_conf conf = {
		.authorization = deal->authorization,
		.timeout_ms = deal->timeout_ms,
		.on_answer = on_answer,
		.ctx = deal,
	};
	struct weir_connector *connector;
	struct weir_target to;
	int status;

	assert_int_equal(weir_target_parse(&conf.proxy, "proxy.example:3128"), 0);
	assert_int_equal(weir_target_parse(&to, deal->target), 0);
	connector = weir_http_connect_connector(&inner.connector, &conf, NULL);
	assert_non_null(connector);
	status = weir_connect(connector, NULL, &to, out);
	connector->inner = NULL; /* it is on the stack */
	weir_connector_free(connector);
	return status;
}

static int deal_main(void *arg)
{
	struct deal *deal = arg;
	struct weir_stream *stream = NULL;
	struct weir_scope scope;

	weir_scope_init(&scope, NULL);
	deal->status = deal_connect(deal, &scope, &stream);
	if (!deal->status && !deal->silent)
		(void)!weir_stream_read(stream, deal->rest, sizeof(deal->rest) - 1);
	weir_stream_close(stream);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	weir_stream_close(deal->proxy);
	return 0;
}

static void deal_run(struct deal *deal)
{
	struct stage stage;

	if (!deal->target)
		deal->target = "origin.example:443";
	if (!deal->step)
		deal->step = 4096;
	stage_open(&stage);
	stage_run(&stage, deal_main, deal);
	stage_close(&stage);
}

static void test_question(void **state)
{
	struct deal deal = { .answer = "HTTP/1.1 200 OK\r\n\r\n" };

	(void)state;
	deal_run(&deal);
	assert_int_equal(deal.status, 0);
	assert_string_equal(deal.asked, "CONNECT origin.example:443 HTTP/1.1\r\n"
					"Host: origin.example:443\r\n\r\n");
	deal = (struct deal){ .answer = deal.answer,
			      .target = "[2001:db8::1]:8443",
			      .authorization = "Basic YTpi" };
	deal_run(&deal);
	assert_int_equal(deal.status, 0);
	assert_string_equal(deal.asked, "CONNECT [2001:db8::1]:8443 HTTP/1.1\r\n"
					"Host: [2001:db8::1]:8443\r\n"
					"Proxy-Authorization: Basic YTpi\r\n\r\n");
}

/* Whatever the pieces are, the target's first bytes stay in the stream. */
static void test_answers(void **state)
{
	static const struct {
		const char *answer;
		int status;
		unsigned said;
	} cases[] = {
		{ "HTTP/1.1 200 OK\r\n\r\nSSH-2.0", 0, 200 },
		{ "HTTP/1.0 200 Connection established\r\nVia: x\r\nContent-Length: 9\r\n\r\nSSH-2.0",
		  0, 200 },
		{ "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 Fine\r\n\r\nSSH-2.0", 0, 204 },
		{ "HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic\r\n\r\n", WEIR_EPROXY, 407 },
		{ "HTTP/1.1 502 No\r\nContent-Length: 2\r\n\r\nno", WEIR_EPROXY, 502 },
		{ "HTTP/1.1 302 There\r\nLocation: http://x/\r\n\r\n", WEIR_EPROXY, 302 },
		{ "HTTP/1.1 101 Other\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", WEIR_EPROTO,
		  0 },
		{ "SSH-2.0-OpenSSH\r\n\r\n", WEIR_EPROTO, 0 },
		{ "HTTP/1.1 200 OK\r\n", -ECONNRESET, 0 },
		{ "", -ECONNRESET, 0 },
	};
	static const size_t steps[] = { 1, 3, 4096 };

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++)
		for (size_t s = 0; s < WEIR_ARRAY_SIZE(steps); s++) {
			struct deal deal = { .answer = cases[i].answer, .step = steps[s] };

			deal_run(&deal);
			assert_int_equal(deal.status, cases[i].status);
			assert_int_equal(deal.answered, cases[i].said);
			if (deal.status == 0)
				assert_memory_equal(deal.rest, "SSH-2.0",
						    WEIR_MIN(steps[s], strlen(deal.rest)));
			if (deal.status == 0)
				assert_int_equal(deal.rest[0], 'S');
		}
}

static void test_refusals(void **state)
{
	struct deal silent = { .answer = "HTTP/1.1 2", .silent = true, .timeout_ms = 50 };
	struct deal endless = { .answer = "HTTP/1.1 200 OK\r\n", .unlimited = true };
	struct deal path = { .answer = "", .target = "unix:/run/x" };

	(void)state;
	deal_run(&silent);
	assert_int_equal(silent.status, -ETIMEDOUT);
	deal_run(&endless);
	assert_int_equal(endless.status, WEIR_EPROTO);
	deal_run(&path);
	assert_int_equal(path.status, -EINVAL);
	assert_string_equal(path.asked, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

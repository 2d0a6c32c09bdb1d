/* SPDX-License-Identifier: MIT */
/*
 * The configuration: what good ones become, and which sentence each mistake gets.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <string.h>

#include <weir/path.h>

#include "daemon/config.h"

static const char *const whole =
	"workers: 3\n"
	"log: { level: debug, format: json }\n"
	"shutdown: { deadline: 1.5s }\n"
	"offload: { paths: [sockmap, copy], inflight: 64KiB }\n"
	"listeners:\n"
	"  - name: db\n"
	"    address: \"127.0.0.1:15432\"\n"
	"    layers:\n"
	"      - limit: { connections: 7 }\n"
	"      - bandwidth: { upload: 1MiB }\n"
	"    tcp: { to: pg, idle_timeout: 1h }\n"
	"upstreams:\n"
	"  - name: pg\n"
	"    endpoints: [ \"127.0.0.1:5432\", { address: \"db:5432\", weight: 2, backup: yes } ]\n"
	"    balance: maglev\n"
	"    health: { tcp: {}, interval: 500ms, jitter: 5% }\n"
	"    connect: { nodelay: false, keepalive: 1m }\n";

static void test_values_arrive_in_their_units(void **state)
{
	struct weir_config_mistakes mistakes = { 0 };
	struct weir_config *config = weir_config_parse(whole, strlen(whole), "w", &mistakes);
	const struct weir_config_listener *listener;
	const struct weir_config_upstream *upstream;

	(void)state;
	assert_non_null(config);
	assert_int_equal(config->workers, 3);
	assert_int_equal(config->log.level, WEIR_LOG_DEBUG);
	assert_int_equal(config->log.format, WEIR_LOG_JSON);
	assert_int_equal(config->shutdown.deadline_ms, 1500);
	assert_int_equal(config->offload.paths,
			 WEIR_PATH_BIT(WEIR_PATH_SOCKMAP) | WEIR_PATH_BIT(WEIR_PATH_COPY));
	assert_int_equal(config->offload.inflight_bytes, 65536);
	assert_int_equal(config->listeners_count, 1);
	listener = &config->listeners[0];
	assert_string_equal(listener->name, "db");
	assert_int_equal(listener->place.line, 6);
	assert_int_equal(listener->layers_count, 2);
	assert_int_equal(listener->layers[0].type, WEIR_CONFIG_LIMIT);
	assert_int_equal(listener->layers[0].limit.connections, 7);
	assert_int_equal(listener->layers[1].type, WEIR_CONFIG_BANDWIDTH);
	assert_int_equal(listener->layers[1].bandwidth.upload, 1 << 20);
	assert_int_equal(listener->tcp.idle_ms, 3600000);
	upstream = weir_config_upstream(config, "pg");
	assert_non_null(upstream);
	assert_int_equal(upstream->endpoints_count, 2);
	assert_string_equal(upstream->endpoints[0].address, "127.0.0.1:5432");
	assert_int_equal(upstream->endpoints[1].weight, 2);
	assert_true(upstream->endpoints[1].backup);
	assert_int_equal(upstream->balance, WEIR_BALANCE_MAGLEV);
	assert_true(upstream->health.tcp);
	assert_int_equal(upstream->health.interval_ms, 500);
	assert_int_equal(upstream->health.jitter_percent, 5);
	assert_false(upstream->connect.nodelay);
	assert_int_equal(upstream->connect.keepalive_s, 60);
	weir_config_free(config);
}

static const char *const http =
	"listeners:\n"
	"  - name: web\n"
	"    address: \"80\"\n"
	"    http:\n"
	"      layers: [ { rate_limit: { rate: 5 } } ]\n"
	"      limits: { headers: 8KiB }\n"
	"      forwarded: { trusted_proxies: 10.0.0.0/8, mode: replace }\n"
	"      path: { forward: received }\n"
	"      routes:\n"
	"        - match:\n"
	"            host: a.example\n"
	"            path: [ /a, /b/* ]\n"
	"            header: [ X-A, { name: X-B, is: c } ]\n"
	"            any: [ { method: GET }, { query: q, not: { client: \"::1\" } } ]\n"
	"          layers: [ { retry: { statuses: 503 } } ]\n"
	"          rewrite: { prefix: /v2 }\n"
	"          mirror: other\n"
	"          retry: { attempts: 3, when: [connect, \"502\"] }\n"
	"          split: { parts: [ { to: up, weight: 9 }, { to: other, weight: 1 } ], by: client }\n"
	"        - redirect: \"https://h{uri}\"\n"
	"upstreams:\n"
	"  - { name: up, endpoints: [ \"1.2.3.4:80\" ], pool: { max_connections: 4 } }\n"
	"  - { name: other, endpoints: [ \"1.2.3.5:80\" ], sticky: {} }\n";

static void test_http_arrives(void **state)
{
	struct weir_config_mistakes mistakes = { 0 };
	struct weir_config *config = weir_config_parse(http, strlen(http), "h", &mistakes);
	const struct weir_config_route *route;
	const struct weir_config_http *conf;

	(void)state;
	if (!config)
		fail_msg("%u: %s", mistakes.list[0].line, mistakes.list[0].message);
	conf = &config->listeners[0].http;
	assert_null(config->listeners[0].tcp.place.file);
	assert_int_equal(conf->place.line, 5);
	assert_int_equal(conf->limits.head_bytes, 8192);
	assert_true(conf->path.as_received);
	assert_int_equal(conf->forwarded.trusted_count, 1);
	assert_int_equal(conf->forwarded.mode, WEIR_FORWARDED_REPLACE);
	assert_int_equal(conf->layers[0].type, WEIR_CONFIG_HTTP_RATE_LIMIT);
	assert_int_equal(conf->routes_count, 2);
	route = &conf->routes[0];
	assert_int_equal(route->place.line, 10);
	assert_string_equal(route->match.host[0], "a.example");
	assert_int_equal(route->match.path_count, 2);
	assert_string_equal(route->match.header[0].name, "X-A");
	assert_string_equal(route->match.header[1].is, "c");
	assert_string_equal(route->match.any[1].none[0].client[0], "::1");
	assert_int_equal(route->layers[0].retry.statuses_count, 1);
	assert_int_equal(route->layers[0].retry.statuses[0], 503);
	assert_string_equal(route->mirror.to, "other");
	assert_int_equal(route->retry.on, WEIR_RETRY_CONNECT | WEIR_RETRY_502);
	assert_int_equal(route->split.parts[1].weight, 1);
	assert_string_equal(conf->routes[1].redirect.to, "https://h{uri}");
	assert_null(conf->routes[1].match.place.file);
	assert_int_equal(config->upstreams[0].http.pool.max_connections, 4);
	assert_non_null(config->upstreams[1].http.sticky.place.file);
	weir_config_free(config);
}

/* What follows "routes: [ { ... } ]" of a listener; "up" is an upstream. */
static const struct {
	const char *http;
	const char *message;
} wrong_http[] = {
	{ "routes: [ { match: { path: /a } } ]",
	  "a route has none of to, split, respond, redirect, files" },
	{ "routes: [ { to: up, respond: 200 } ]", "a route has more than one of to, split" },
	{ "routes: [ { to: upp } ]", "there is no upstream \"upp\"" },
	{ "routes: [ { to: up }, { respond: 200 } ]", "this route takes every call" },
	{ "routes: [ { name: a, match: { path: / }, to: up }, { name: a, to: up } ]",
	  "two routes are called \"a\"" },
	{ "routes: [ { match: { path: a }, to: up } ]", "does not start with /" },
	{ "routes: [ { match: { any: [ { host: \"a:80\" } ] }, to: up } ]", "has a port" },
	{ "routes: [ { match: { client: 10.0.0.0/40 }, to: up } ]", "is no network" },
	{ "routes: [ { match: { header: { name: A, is: b, prefix: c } }, to: up } ]",
	  "both \"is\" and \"prefix\"" },
	{ "routes: [ { match: { any: [ { any: [] } ] }, to: up } ]", "unknown key \"any\"" },
	{ "routes: [ { rewrite: { prefix: v2 }, to: up } ]", "does not start with /" },
	{ "routes: [ { redirect: \"/{\" } ]", "encloses no name" },
	{ "routes: [ { redirect: { to: /, status: 304 } } ]", "is no redirect" },
	{ "routes: [ { respond: { status: 204, body: x } } ]", "have no body" },
	{ "routes: [ { respond: { headers: { name: Content-Length, value: 3 } } } ]",
	  "is Weir's to write" },
	{ "routes: [ { split: { parts: [ { to: up, weight: 0 } ] } } ]", "serves nobody" },
	{ "routes: [ { split: { by: cookie, parts: [ { to: up, weight: 1 } ] } } ]",
	  "no name to split by" },
	{ "routes: [ { split: { name: a, parts: [ { to: up, weight: 1 } ] } } ]",
	  "the split's \"name\" means nothing" },
	{ "routes: [ { split: { parts: [ { to: up, weight: 1 }, { to: no, weight: 1 } ] } } ]",
	  "there is no upstream \"no\"" },
	{ "routes: [ { mirror: no, to: up } ]", "there is no upstream \"no\"" },
	{ "routes: [ { retry: { when: [ never, connect ] }, to: up } ]",
	  "\"never\" stands beside" },
	{ "routes: [ { timeout: 5s, respond: 200 } ]", "\"timeout\" means nothing" },
	{ "routes: [ { files: { root: /, listings: true } } ]", "unknown key \"listings\"" },
	{ "layers: [ { headers: { request: { set: A } } } ], routes: [ { to: up } ]",
	  "a header change has no value" },
	{ "layers: [ { headers: { response: { set: A, add: B, value: c } } } ], routes: [ { to: up } ]",
	  "more than one verb" },
	{ "layers: [ { access_log: { format: template } } ], routes: [ { to: up } ]",
	  "the access log has no template" },
	{ "layers: [ { error_pages: { pages: [ { status: 404 } ] } } ], routes: [ { to: up } ]",
	  "both a content and a file, or neither" },
	{ "layers: [ { timeout: {} } ], routes: [ { to: up } ]", "" },
	{ "layers: [ { retry: { statuses: [ 700 ] } } ], routes: [ { to: up } ]", "too large" },
	{ "forwarded: { trusted_proxies: proxy.example }, routes: [ { to: up } ]",
	  "\"proxy.example\" is no network" },
	{ "forwarded: { via: \"a b\" }, routes: [ { to: up } ]", "is not a name" },
	{ "limits: { fields: 1000 }, routes: [ { to: up } ]", "too large" },
	{ "routes: []", "is an empty list" },
	{ "layers: []", "has no \"routes\"" },
};

static void test_mistakes_of_http_are_found(void **state)
{
	struct weir_config_mistakes mistakes;
	char text[1024];

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(wrong_http); i++) {
		memset(&mistakes, 0, sizeof(mistakes));
		snprintf(text, sizeof(text),
			 "upstreams: [ { name: up, endpoints: [ \"1.2.3.4:5\" ] } ]\n"
			 "listeners:\n- name: web\n  address: \"80\"\n  http: { %s }\n",
			 wrong_http[i].http);
		if (weir_config_parse(text, strlen(text), "f", &mistakes))
			fail_msg("%s: is right", wrong_http[i].http);
		if (!strstr(mistakes.list[0].message, wrong_http[i].message))
			fail_msg("%s: %s", wrong_http[i].http, mistakes.list[0].message);
		assert_int_equal(mistakes.list[0].line, 5);
		assert_true(mistakes.list[0].remedy[0]);
		weir_config_mistakes_fini(&mistakes);
	}
}

static void test_an_empty_text_has_the_defaults(void **state)
{
	struct weir_config_mistakes mistakes = { 0 };
	struct weir_config *config = weir_config_parse("", 0, "empty", &mistakes);

	(void)state;
	assert_non_null(config);
	assert_int_equal(config->log.level, WEIR_LOG_INFO);
	assert_int_equal(config->shutdown.deadline_ms, 30000);
	assert_int_equal(config->listeners_count, 0);
	weir_config_free(config);
}

/* One mistake each, with the sentence it gets. */
static const struct {
	const char *text;
	const char *sentence;
} wrong[] = {
	{ "workers: 0", "f:1: \"workers\" is 0, which is too small; write 1 or more" },
	{ "\nworkerz: 1", "f:2: unknown key \"workerz\" in the configuration; did you mean "
			  "\"workers\"?" },
	{ "workers: 1\nworkers: 2",
	  "f:2: \"workers\" is given twice, first in line 1; keep one of them" },
	{ "shutdown: { deadline: 5 }", "f:1: \"deadline\" is not a duration: \"5\"; write for "
				       "example 500ms, 15s, 5m or 1h" },
	{ "offload: { inflight: 64KB }", "f:1: \"inflight\" is not a size: \"64KB\"; write for "
					 "example 4096, 64KiB or 1MiB" },
	{ "log: { level: inf }", "f:1: \"level\" cannot be \"inf\"; did you mean \"info\"?" },
	{ "log: { to: file }", "f:1: the log goes to a file, but no file is said; add \"file\": "
			       "the path" },
	{ "log:", "f:1: \"log\" is empty, but should be a mapping; write {} for the defaults, or "
		  "remove the key" },
	{ "- a", "f:1: the configuration is a list, but should be a mapping; start with a key, for "
		 "example \"listeners:\"" },
	{ "include: [ x.yaml ]",
	  "f:1: nothing can be included here; write everything into one text" },
	{ "listeners:\n  - name: a\n    address: \"80\"\n    tcp:\n      to: b\n",
	  "f:5: there is no upstream \"b\"; add it under \"upstreams\"" },
	{ "upstreams: [ { name: a, endpoints: [ \"1.2.3.4:5\", \"1.2.3.4:5\" ] } ]",
	  "f:1: upstream \"a\" has the endpoint \"1.2.3.4:5\" twice; keep one of them, with a "
	  "weight" },
	{ "upstreams: [ { name: a, endpoints: [ 80 80 ] } ]",
	  "f:1: \"address\" is not an endpoint's address: \"80 80\"; write \"10.0.0.1:80\", "
	  "\"name.example:80\" or \"unix:/path\"" },
};

static void test_mistakes_say_where_what_and_how(void **state)
{
	struct weir_config_mistakes mistakes;
	char text[1024];
	size_t i;

	(void)state;
	for (i = 0; i < WEIR_ARRAY_SIZE(wrong); i++) {
		mistakes = (struct weir_config_mistakes){ 0 };
		assert_null(
			weir_config_parse(wrong[i].text, strlen(wrong[i].text), "f", &mistakes));
		assert_true(mistakes.n >= 1);
		/* An unknown key comes with nothing else; a missing file with one more. */
		assert_string_equal(weir_error_format(&mistakes.list[0], text, sizeof(text)),
				    wrong[i].sentence);
		weir_config_mistakes_fini(&mistakes);
	}
}

static void test_all_mistakes_are_found(void **state)
{
	static const char text[] = "workers: x\nlog: { level: y }\nshutdown: { deadline: z }\n"
				   "listeners: [ {} ]\n";
	struct weir_config_mistakes mistakes = { 0 };

	(void)state;
	assert_null(weir_config_parse(text, strlen(text), "f", &mistakes));
	/* The empty listener lacks its name, its address and its protocol. */
	assert_int_equal(mistakes.n, 6);
	weir_config_mistakes_fini(&mistakes);
}

/* Aliases may not make a small text a huge document. */
static void test_aliases_are_bounded(void **state)
{
	struct weir_config_mistakes mistakes = { 0 };
	char text[4096] = "upstreams:\n - &e { name: a, endpoints: &l [ \"1.2.3.4:5\"";
	size_t used = strlen(text);
	int i;

	(void)state;
	for (i = 0; i < 40; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, ", \"1.2.3.4:%d\"",
					 i + 6);
	used += (size_t)snprintf(text + used, sizeof(text) - used, " ] }\n");
	for (i = 0; i < 300; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, " - *e\n");
	assert_null(weir_config_parse(text, used, "f", &mistakes));
	assert_int_equal(mistakes.n, WEIR_CONFIG_MISTAKES_MAX);
	assert_true(mistakes.left_off > 0);
	weir_config_mistakes_fini(&mistakes);
}

static void test_every_example_is_right(void **state)
{
	struct weir_config_mistakes mistakes = { 0 };
	struct weir_config *config;
	glob_t found;
	size_t i;

	(void)state;
	assert_int_equal(glob("conf/*.yaml", 0, NULL, &found), 0);
	assert_true(found.gl_pathc >= 5);
	for (i = 0; i < found.gl_pathc; i++) {
		config = weir_config_load(found.gl_pathv[i], &mistakes);
		if (config == NULL)
			fail_msg("%s: %s", found.gl_pathv[i], mistakes.list[0].message);
		weir_config_free(config);
	}
	globfree(&found);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_arrive_in_their_units),
		cmocka_unit_test(test_http_arrives),
		cmocka_unit_test(test_mistakes_of_http_are_found),
		cmocka_unit_test(test_an_empty_text_has_the_defaults),
		cmocka_unit_test(test_mistakes_say_where_what_and_how),
		cmocka_unit_test(test_all_mistakes_are_found),
		cmocka_unit_test(test_aliases_are_bounded),
		cmocka_unit_test(test_every_example_is_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

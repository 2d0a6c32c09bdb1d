/* SPDX-License-Identifier: MIT */
/* The cache of responses: hits, validation, variants, one fetch for many, stale ones, forgetting,
 * bounds. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/http_cache.h>
#include <weir/http_layer.h>

#include "http_rig.h"
#include "layer/http_cache_store.h"

static struct rig_script script;
static struct rig_call call;
static struct weir_http_cache *cache;

static struct weir_http_service *layer(struct weir_http_cache_conf conf)
{
	struct weir_http_service *svc;

	conf.cache = cache;
	svc = weir_http_cache_layer(rig_script_init(&script), &conf, NULL);
	assert_non_null(svc);
	return svc;
}

static int setup(void **state)
{
	(void)state;
	cache = weir_http_cache_new(NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	weir_http_cache_put(cache);
	return 0;
}

static char text[8192], cache_status[256], age[32], etag[64];

/* Asks and keeps what the answer says. */
static unsigned ask(struct weir_http_service *svc, const char *line, const char *const *fields)
{
	unsigned status;

	rig_call_init(&call, line, fields, NULL);
	status = rig_call_handle(&call, svc);
	snprintf(text, sizeof(text), "%s", rig_call_text(&call));
	snprintf(cache_status, sizeof(cache_status), "%s", rig_call_field(&call, "cache-status"));
	snprintf(age, sizeof(age), "%s", rig_call_field(&call, "age"));
	snprintf(etag, sizeof(etag), "%s", rig_call_field(&call, "etag"));
	rig_call_fini(&call);
	return status;
}

#define FIELDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void origin(const char *const *fields, const char *const *pieces)
{
	script.fields = fields;
	script.pieces = pieces;
	script.status = 200;
	script.error = 0;
	script.served = 0;
}

static int hit_main(void *arg)
{
	struct weir_http_service *svc = layer((struct weir_http_cache_conf){ 0 });

	(void)arg;
	for (int unknown = 0; unknown < 2; unknown++) {
		weir_http_cache_purge(cache);
		origin(FIELDS("Cache-Control: max-age=60", "ETag: \"1\"", "X-A: b",
			      "Cache-Status: inner; hit"),
		       FIELDS("hello", " world"));
		script.unknown = unknown;
		assert_int_equal(ask(svc, "GET /a?b", NULL), 200);
		assert_string_equal(text, "hello world");
		assert_string_equal(cache_status,
				    "inner; hit|weir; fwd=uri-miss; fwd-status=200; stored");
		assert_string_equal(age, "");
		assert_int_equal(ask(svc, "GET http://RIG.example/a?b", NULL), 200);
		assert_int_equal(script.served, 1);
		assert_string_equal(text, "hello world");
		assert_string_equal(etag, "\"1\"");
		assert_string_equal(cache_status, "weir; hit; ttl=60");
		assert_string_equal(age, "0");
		/* A HEAD is answered of it, and conditions are. */
		assert_int_equal(ask(svc, "HEAD /a?b", NULL), 200);
		assert_int_equal(ask(svc, "GET /a?b", FIELDS("If-None-Match: W/\"1\"")), 304);
		assert_string_equal(text, "");
		assert_string_equal(etag, "\"1\"");
		assert_int_equal(ask(svc, "GET /a?b", FIELDS("If-None-Match: \"2\"")), 200);
		assert_int_equal(script.served, 1);
		/* Another URI is another thing. */
		assert_int_equal(ask(svc, "GET /a", NULL), 200);
		assert_int_equal(ask(svc, "GET /a?", NULL), 200);
		assert_int_equal(ask(svc, "GET /A?b", NULL), 200);
		assert_int_equal(ask(svc, "GET http://other.example/a?b", NULL), 200);
		assert_int_equal(ask(svc, "GET https://rig.example/a?b", NULL), 200);
		assert_int_equal(script.served, 6);
	}
	weir_http_service_free(svc);
	assert_int_equal(script.freed, 1);
	return 0;
}

static void answers_are_given_again(void **state)
{
	(void)state;
	rig_calls_run(hit_main, NULL);
}

static int not_stored_main(void *arg)
{
	struct weir_http_service *svc = layer((struct weir_http_cache_conf){ .obey_reload = true });
	struct weir_http_cache_usage usage;

	(void)arg;
	origin(FIELDS("Cache-Control: no-store"), FIELDS("x"));
	for (int i = 1; i < 4; i++) {
		ask(svc, "GET /", NULL);
		assert_int_equal(script.served, i);
	}
	assert_string_equal(cache_status, "weir; fwd=uri-miss; fwd-status=200");
	/* What only some may have, and what some do not want kept, hides nothing from others. */
	origin(FIELDS("Cache-Control: max-age=60"), FIELDS("x"));
	ask(svc, "GET /b", FIELDS("Authorization: me"));
	ask(svc, "GET /b", FIELDS("Cache-Control: no-store"));
	ask(svc, "GET /b", NULL);
	assert_int_equal(script.served, 3);
	ask(svc, "GET /b", FIELDS("Authorization: me"));
	assert_int_equal(script.served, 4);
	ask(svc, "GET /b", NULL);
	assert_int_equal(script.served, 4);
	/* Nor is what somebody got who had to say his name to a layer outside. */
	weir_http_cache_purge(cache);
	script.served = 0;
	for (int i = 0; i < 2; i++) {
		rig_call_init(&call, "GET /b", NULL, NULL);
		assert_int_equal(weir_extension_add(&call.call.extensions, &call.call.arena,
						    &weir_http_user_key, "me"),
				 0);
		rig_call_handle(&call, svc);
		rig_call_text(&call);
		rig_call_fini(&call);
	}
	assert_int_equal(script.served, 2);
	/* Half an answer is none. */
	weir_http_cache_purge(cache);
	rig_call_init(&call, "GET /c", NULL, NULL);
	rig_call_handle(&call, svc);
	rig_call_fini(&call);
	weir_http_cache_usage(cache, &usage);
	assert_int_equal(usage.entries, 0);
	/* Nor is one that only a reader's patience was missing of, its bytes are all there. */
	rig_call_init(&call, "GET /c", NULL, NULL);
	rig_call_handle(&call, svc);
	assert_int_equal(weir_body_next(call.call.response.body, &(struct iovec){ 0 }, true), 1);
	rig_call_fini(&call);
	script.served = 0;
	ask(svc, "GET /c", NULL);
	assert_int_equal(script.served, 0);
	assert_int_equal(ask(svc, "GET /none", FIELDS("Cache-Control: only-if-cached")), 504);
	assert_int_equal(ask(svc, "GET /c", FIELDS("Cache-Control: only-if-cached")), 200);
	assert_int_equal(script.served, 0);
	/* Parts pass by. */
	ask(svc, "GET /c", FIELDS("Range: bytes=0-0"));
	assert_int_equal(script.served, 1);
	assert_string_equal(cache_status, "weir; fwd=bypass; fwd-status=200");
	weir_http_service_free(svc);
	return 0;
}

static void some_answers_are_not_kept(void **state)
{
	(void)state;
	rig_calls_run(not_stored_main, NULL);
}

static int validate_main(void *arg)
{
	struct weir_http_service *svc = layer((struct weir_http_cache_conf){ 0 });

	(void)arg;
	origin(FIELDS("Cache-Control: no-cache", "ETag: \"1\"", "X-Old: 1", "Content-Type: a/b"),
	       FIELDS("first"));
	ask(svc, "GET /", NULL);
	/* The origin is asked our condition, not the client's. */
	script.status = 304;
	script.pieces = NULL;
	script.fields = FIELDS("ETag: \"1\"", "X-New: 2", "Cache-Control: max-age=60");
	assert_int_equal(ask(svc, "GET /", FIELDS("If-None-Match: \"0\"")), 200);
	assert_string_equal(text, "first");
	assert_string_equal(script.seen_fields, "If-None-Match: \"1\"\n");
	assert_string_equal(cache_status, "weir; fwd=stale; fwd-status=304; ttl=60; stored");
	/* Fresh from now on, with the new fields and those that nobody changed. */
	rig_call_init(&call, "GET /", NULL, NULL);
	assert_int_equal(rig_call_handle(&call, svc), 200);
	assert_string_equal(rig_call_field(&call, "x-new"), "2");
	assert_string_equal(rig_call_field(&call, "x-old"), "1");
	assert_string_equal(rig_call_field(&call, "content-type"), "a/b");
	assert_string_equal(rig_call_text(&call), "first");
	rig_call_fini(&call);
	assert_int_equal(script.served, 2);
	/* A new one takes its place. */
	weir_http_cache_purge(cache);
	origin(FIELDS("Cache-Control: no-cache", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"),
	       FIELDS("second"));
	ask(svc, "GET /", NULL);
	script.pieces = FIELDS("third");
	ask(svc, "GET /", NULL);
	assert_string_equal(text, "third");
	assert_string_equal(script.seen_fields,
			    "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\n");
	assert_string_equal(cache_status, "weir; fwd=stale; fwd-status=200; stored");
	/* And one that may not be kept takes it away. */
	script.fields = FIELDS("Cache-Control: no-store");
	ask(svc, "GET /", NULL);
	ask(svc, "GET /", NULL);
	assert_string_equal(script.seen_fields, "");
	weir_http_service_free(svc);
	return 0;
}

static void stale_answers_are_validated(void **state)
{
	(void)state;
	rig_calls_run(validate_main, NULL);
}

static void answer_by_language(struct rig_script *self, struct weir_call *one)
{
	const struct weir_header *field =
		weir_headers_find(&one->request.headers, WEIR_TEXT("Accept-Language"), NULL);
	static char piece[64];
	static const char *const pieces[] = { piece, NULL };

	snprintf(piece, sizeof(piece), "in %.*s",
		 WEIR_TEXT_ARGS(field ? field->value : WEIR_TEXT("none")));
	self->pieces = pieces;
	/* What layers inside make of the request does not choose the variant. */
	weir_headers_del(&one->request.headers, WEIR_TEXT("Accept-Language"));
}

static int vary_main(void *arg)
{
	struct weir_http_service *svc = layer((struct weir_http_cache_conf){ 0 });
	struct weir_http_cache_usage usage;

	(void)arg;
	origin(FIELDS("Cache-Control: max-age=60", "Vary: accept-language"), NULL);
	script.hook = answer_by_language;
	for (int i = 0; i < 2; i++) {
		ask(svc, "GET /", FIELDS("Accept-Language: de"));
		assert_string_equal(text, "in de");
		ask(svc, "GET /", FIELDS("Accept-Language: en", "X: y"));
		assert_string_equal(text, "in en");
		ask(svc, "GET /", NULL);
		assert_string_equal(text, "in none");
	}
	assert_int_equal(script.served, 3);
	/* Nobody fills memory with values of his own. */
	for (int i = 0; i < 200; i++) {
		char field[64];

		snprintf(field, sizeof(field), "Accept-Language: %d", i);
		ask(svc, "GET /", FIELDS(field));
	}
	weir_http_cache_usage(cache, &usage);
	assert_true(usage.entries <= 32);
	weir_http_service_free(svc);
	return 0;
}

static void variants_are_kept_apart(void **state)
{
	(void)state;
	rig_calls_run(vary_main, NULL);
}

static int forget_main(void *arg)
{
	struct weir_http_service *svc = layer((struct weir_http_cache_conf){ 0 });

	(void)arg;
	origin(FIELDS("Cache-Control: max-age=60", "Location: http://rig.example/made"),
	       FIELDS("x"));
	ask(svc, "GET /a", NULL);
	ask(svc, "GET /made", NULL);
	ask(svc, "OPTIONS /a", NULL);
	script.served = 0;
	ask(svc, "GET /a", NULL);
	assert_int_equal(script.served, 0);
	/* A failure changes nothing. */
	script.status = 500;
	ask(svc, "POST /a", NULL);
	script.status = 200;
	ask(svc, "GET /a", NULL);
	assert_int_equal(script.served, 1);
	ask(svc, "DELETE /a", NULL);
	ask(svc, "GET /a", NULL);
	ask(svc, "GET /made", NULL);
	assert_int_equal(script.served, 4);
	weir_http_service_free(svc);
	return 0;
}

static void changes_are_noticed(void **state)
{
	(void)state;
	rig_calls_run(forget_main, NULL);
}

static int stale_main(void *arg)
{
	struct weir_http_service *svc = layer((struct weir_http_cache_conf){ 0 });

	(void)arg;
	/* Stale from the start, and good for a minute all the same. */
	origin(FIELDS("Cache-Control: max-age=0, stale-while-revalidate=60", "ETag: \"1\""),
	       FIELDS("old"));
	ask(svc, "GET /", NULL);
	script.pieces = FIELDS("new");
	script.fields = FIELDS("Cache-Control: max-age=60", "ETag: \"2\"");
	ask(svc, "GET /", NULL);
	assert_string_equal(text, "old");
	assert_string_equal(cache_status, "weir; hit; ttl=0");
	/* Its task asks the origin. */
	for (int i = 0; i < 5 && script.served < 2; i++)
		assert_int_equal(weir_task_yield(), 0);
	assert_int_equal(script.served, 2);
	assert_string_equal(script.seen_fields, "If-None-Match: \"1\"\n");
	ask(svc, "GET /", NULL);
	assert_string_equal(text, "new");
	assert_string_equal(cache_status, "weir; hit; ttl=60");
	assert_int_equal(script.served, 2);
	/* The origin fails. */
	weir_http_cache_purge(cache);
	origin(FIELDS("Cache-Control: max-age=0, stale-if-error=60", "ETag: \"1\""), FIELDS("old"));
	ask(svc, "GET /", NULL);
	script.error = -ECONNREFUSED;
	assert_int_equal(ask(svc, "GET /", NULL), 200);
	assert_string_equal(text, "old");
	assert_string_equal(cache_status, "weir; fwd=stale; fwd-status=502; ttl=0");
	script.error = 0;
	script.status = 503;
	assert_int_equal(ask(svc, "GET /", NULL), 200);
	assert_string_equal(text, "old");
	script.status = 404;
	assert_int_equal(ask(svc, "GET /", NULL), 404);
	assert_int_equal(ask(svc, "GET /other", NULL), 404);
	script.error = -ECONNREFUSED;
	assert_int_equal(ask(svc, "GET /third", NULL), 502);
	weir_http_service_free(svc);
	return 0;
}

static void stale_answers_help(void **state)
{
	(void)state;
	rig_calls_run(stale_main, NULL);
}

/* ---- one fetch for many ---- */

#define ASKERS 8

struct asker {
	struct weir_http_service *svc;
	struct rig_call call;
	unsigned status;
	char text[16];
	bool collapsed;
};

static struct asker askers[ASKERS];
static struct weir_event gate;

static int asker_main(void *arg)
{
	struct asker *asker = arg;

	rig_call_init(&asker->call, "GET /many", NULL, NULL);
	asker->status = rig_call_handle(&asker->call, asker->svc);
	snprintf(asker->text, sizeof(asker->text), "%s", rig_call_text(&asker->call));
	asker->collapsed = strstr(rig_call_field(&asker->call, "cache-status"), "collapsed");
	rig_call_fini(&asker->call);
	return 0;
}

static void ask_together(struct weir_http_service *svc)
{
	struct weir_scope scope;

	weir_event_init(&gate);
	script.waits = &gate;
	weir_scope_init(&scope, NULL);
	for (int i = 0; i < ASKERS; i++) {
		askers[i] = (struct asker){ .svc = svc };
		assert_int_equal(weir_scope_spawn(&scope, "ask", asker_main, &askers[i], NULL), 0);
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(weir_task_yield(), 0);
	assert_int_equal(script.served, 1);
	weir_event_set(&gate);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	script.waits = NULL;
}

static int together_main(void *arg)
{
	struct weir_http_service *svc = layer((struct weir_http_cache_conf){ .lock_ms = 60000 });

	(void)arg;
	origin(FIELDS("Cache-Control: max-age=60"), FIELDS("shared"));
	ask_together(svc);
	assert_int_equal(script.served, 1);
	for (int i = 0; i < ASKERS; i++) {
		assert_int_equal(askers[i].status, 200);
		assert_string_equal(askers[i].text, "shared");
		assert_int_equal(askers[i].collapsed, i > 0);
	}
	/* What is not to be shared: they go on together, not one after the other. */
	weir_http_cache_purge(cache);
	origin(FIELDS("Cache-Control: private"), FIELDS("own"));
	ask_together(svc);
	assert_int_equal(script.served, ASKERS);
	/* Nor does one that fails hold them up. */
	weir_http_cache_purge(cache);
	origin(FIELDS("X: y"), NULL);
	script.error = -ECONNRESET;
	ask_together(svc);
	assert_int_equal(script.served, ASKERS);
	for (int i = 0; i < ASKERS; i++)
		assert_int_equal(askers[i].status, 502);
	weir_http_service_free(svc);
	return 0;
}

static void one_asks_for_many(void **state)
{
	(void)state;
	rig_calls_run(together_main, NULL);
}

static int patience_main(void *arg)
{
	struct weir_http_service *svc = layer((struct weir_http_cache_conf){ .lock_ms = 1 });
	struct weir_scope scope;

	(void)arg;
	origin(FIELDS("Cache-Control: max-age=60"), FIELDS("slow"));
	weir_event_init(&gate);
	script.waits = &gate;
	weir_scope_init(&scope, NULL);
	for (int i = 0; i < 2; i++) {
		askers[i] = (struct asker){ .svc = svc };
		assert_int_equal(weir_scope_spawn(&scope, "ask", asker_main, &askers[i], NULL), 0);
	}
	/* The second one loses patience, and asks itself. */
	while (script.served < 2)
		assert_int_equal(weir_task_sleep_ms(1), 0);
	weir_event_set(&gate);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	assert_string_equal(askers[1].text, "slow");
	weir_http_service_free(svc);
	return 0;
}

static void nobody_waits_for_ever(void **state)
{
	(void)state;
	rig_calls_run(patience_main, NULL);
}

/* ---- bounds ---- */

static int bounds_main(void *arg)
{
	struct weir_http_cache_store_conf conf = { .max_bytes = 100000, .max_object_bytes = 4000 };
	struct weir_http_cache *shared = weir_http_cache_get(cache);
	struct weir_http_cache_usage usage;
	struct weir_http_service *svc;
	char large[4002], line[32];

	(void)arg;
	weir_http_cache_put(cache);
	cache = weir_http_cache_new(&conf);
	svc = layer((struct weir_http_cache_conf){ 0 });
	memset(large, 'x', sizeof(large));
	large[4001] = '\0';
	for (int unknown = 0; unknown < 2; unknown++) {
		origin(FIELDS("Cache-Control: max-age=60"), FIELDS(large));
		script.unknown = unknown;
		assert_int_equal(ask(svc, "GET /large", NULL), 200);
		assert_int_equal(strlen(text), 4001);
		assert_int_equal(ask(svc, "GET /large", NULL), 200);
		assert_int_equal(script.served, 2);
		weir_http_cache_purge(cache);
	}
	large[4000] = '\0';
	origin(FIELDS("Cache-Control: max-age=60"), FIELDS(large));
	for (int i = 0; i < 100; i++) {
		snprintf(line, sizeof(line), "GET /%d", i);
		ask(svc, line, NULL);
		ask(svc, "GET /0", NULL);
	}
	/* The one in use stays, of the others the last ones. */
	assert_int_equal(script.served, 100);
	weir_http_cache_usage(cache, &usage);
	assert_true(usage.bytes <= 100000 && usage.entries >= 20);
	assert_int_equal(usage.evicted, 100 - usage.entries);
	ask(svc, "GET /99", NULL);
	assert_int_equal(script.served, 100);
	ask(svc, "GET /1", NULL);
	assert_int_equal(script.served, 101);
	weir_http_service_free(svc);
	weir_http_cache_put(cache);
	cache = shared;
	return 0;
}

static void memory_is_bounded(void **state)
{
	(void)state;
	rig_calls_run(bounds_main, NULL);
}

/* ---- workers ---- */

static int worker_main(void *arg)
{
	static const char *const fields[] = { "Cache-Control: max-age=60", NULL };
	static const char *const pieces[] = { "body", NULL };
	struct weir_http_cache_conf conf = { .cache = cache };
	struct rig_script *mine = malloc(sizeof(*mine));
	struct rig_call *one = malloc(sizeof(*one));
	struct weir_http_service *svc = weir_http_cache_layer(rig_script_init(mine), &conf, NULL);
	char line[32];

	mine->fields = fields;
	mine->pieces = pieces;
	for (int i = 0; i < 300; i++) {
		snprintf(line, sizeof(line), i % 7 == 0 ? "PUT /%d" : "GET /%d", i % 5);
		rig_call_init(one, line, NULL, NULL);
		assert_int_equal(rig_call_handle(one, svc), 200);
		assert_string_equal(rig_call_text(one), "body");
		if (i % 3 == 0)
			assert_int_equal(weir_task_yield(), 0);
		rig_call_fini(one);
	}
	*(unsigned *)arg = mine->served;
	weir_http_service_free(svc);
	free(one);
	free(mine);
	return 0;
}

static void *thread_main(void *arg)
{
	rig_calls_run(worker_main, arg);
	return NULL;
}

static void workers_share_it(void **state)
{
	pthread_t threads[2];
	unsigned served[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, thread_main, &served[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_true(served[0] + served[1] < 600);
}

static void mistakes_are_said(void **state)
{
	struct weir_error error = { 0 };

	(void)state;
	rig_script_init(&script);
	assert_null(weir_http_cache_layer(&script.svc,
					  &(struct weir_http_cache_conf){ .name = "a b" }, &error));
	assert_true(error.message[0] && error.remedy[0]);
	assert_int_equal(script.freed, 1);
	assert_null(weir_http_cache_layer(NULL, &(struct weir_http_cache_conf){ 0 }, &error));
	weir_http_cache_put(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(answers_are_given_again, setup, teardown),
		cmocka_unit_test_setup_teardown(some_answers_are_not_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(stale_answers_are_validated, setup, teardown),
		cmocka_unit_test_setup_teardown(variants_are_kept_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(changes_are_noticed, setup, teardown),
		cmocka_unit_test_setup_teardown(stale_answers_help, setup, teardown),
		cmocka_unit_test_setup_teardown(one_asks_for_many, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_waits_for_ever, setup, teardown),
		cmocka_unit_test_setup_teardown(memory_is_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(workers_share_it, setup, teardown),
		cmocka_unit_test(mistakes_are_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Splitting by weight: the shares, and that a user stays. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <weir/split.h>

#include "http_rig.h"

static struct rig_script scripts[3];

static struct weir_http_service *split_of(enum weir_split_key key, const char *name, unsigned a,
					  unsigned b, unsigned c)
{
	struct weir_split_part parts[] = {
		{ .service = rig_script_init(&scripts[0]), .weight = a },
		{ .service = rig_script_init(&scripts[1]), .weight = b },
		{ .service = rig_script_init(&scripts[2]), .weight = c },
	};
	struct weir_http_service *svc = weir_http_split(
		&(struct weir_split_conf){ .parts = parts, .n = 3, .key = key, .name = name },
		NULL);

	assert_non_null(svc);
	return svc;
}

static int shares_main(void *arg)
{
	struct weir_http_service *svc = split_of(WEIR_SPLIT_RANDOM, NULL, 90, 10, 0);

	(void)arg;
	for (int i = 0; i < 20000; i++)
		assert_int_equal(rig_ask(svc, "GET /", NULL), 200);
	/* Ten standard deviations around 2000: no test of luck. */
	assert_in_range(scripts[1].served, 1576, 2424);
	assert_int_equal(scripts[2].served, 0);
	assert_int_equal(scripts[0].served + scripts[1].served, 20000);
	weir_http_service_free(svc);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(scripts[i].freed, 1);
	return 0;
}

static void shares_follow_the_weights(void **state)
{
	(void)state;
	rig_calls_run(shares_main, NULL);
}

/* Which part a user with this FIELD meets. */
static int part_of(struct weir_http_service *svc, const char *field, const char *client)
{
	static struct rig_call call;
	const char *const fields[] = { field, NULL };
	unsigned before[3];

	for (size_t i = 0; i < 3; i++)
		before[i] = scripts[i].served;
	rig_call_init(&call, "GET /", field ? fields : NULL, client);
	assert_int_equal(rig_call_handle(&call, svc), 200);
	rig_call_fini(&call);
	for (int i = 0; i < 3; i++) {
		if (scripts[i].served != before[i])
			return i;
	}
	fail();
	return -1;
}

static int sticky_main(void *arg)
{
	static const struct {
		enum weir_split_key key;
		const char *name, *field; /* with the user's number */
		const char *client;
	} kinds[] = {
		{ WEIR_SPLIT_HEADER, "X-User", "x-user: %d", NULL },
		{ WEIR_SPLIT_COOKIE, "sid", "Cookie: a=b; sid=%d; c=d", NULL },
		{ WEIR_SPLIT_CLIENT, NULL, NULL, "10.0.%d.1:99" },
	};
	struct weir_http_service *svc;
	char field[64], client[64];

	(void)arg;
	for (size_t k = 0; k < WEIR_ARRAY_SIZE(kinds); k++) {
		int met[200], seen[3] = { 0 };

		for (int round = 0; round < 2; round++) {
			/* A new one: as after a restart, or on another worker. */
			svc = split_of(kinds[k].key, kinds[k].name, 50, 30, 20);
			for (int user = 0; user < 200; user++) {
				const char *own = NULL, *from = NULL;

				if (kinds[k].field) {
					snprintf(field, sizeof(field), kinds[k].field, user);
					own = field;
				}
				if (kinds[k].client) {
					snprintf(client, sizeof(client), kinds[k].client, user);
					from = client;
				}
				if (round == 0)
					seen[met[user] = part_of(svc, own, from)]++;
				else
					assert_int_equal(part_of(svc, own, from), met[user]);
			}
			weir_http_service_free(svc);
		}
		assert_true(seen[0] > 60 && seen[1] > 20 && seen[2] > 10);
	}
	return 0;
}

static void a_user_stays(void **state)
{
	(void)state;
	rig_calls_run(sticky_main, NULL);
}

static void wrong_splits_are_refused(void **state)
{
	struct weir_error error = { 0 };
	struct weir_split_part part = { .service = rig_script_init(&scripts[0]) };
	struct weir_split_conf conf = { .parts = &part, .n = 1 };

	(void)state;
	assert_null(weir_http_split(&conf, &error));
	assert_true(error.status == WEIR_ECONFIG && error.remedy[0]);
	assert_int_equal(scripts[0].freed, 1);
	part.service = rig_script_init(&scripts[0]);
	part.weight = 1;
	conf.key = WEIR_SPLIT_COOKIE;
	assert_null(weir_http_split(&conf, &error));
	part.service = NULL;
	assert_null(weir_http_split(&conf, &error));
}

static void cookies_are_found(void **state)
{
	struct weir_arena arena;
	struct weir_headers headers;

	(void)state;
	weir_arena_init(&arena, 0);
	weir_headers_init(&headers, &arena);
	assert_int_equal(weir_headers_add(&headers, WEIR_TEXT("Cookie"),
					  WEIR_TEXT("xsid=1; sid; sid=a=b;t=")),
			 0);
	assert_int_equal(weir_headers_add(&headers, WEIR_TEXT("Cookie"), WEIR_TEXT("u=2")), 0);
	assert_true(weir_text_is_equal(weir_cookie_value(&headers, WEIR_TEXT("sid")),
				       WEIR_TEXT("a=b")));
	assert_true(
		weir_text_is_equal(weir_cookie_value(&headers, WEIR_TEXT("u")), WEIR_TEXT("2")));
	assert_int_equal(weir_cookie_value(&headers, WEIR_TEXT("t")).size, 0);
	assert_null(weir_cookie_value(&headers, WEIR_TEXT("SID")).data);
	weir_arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_follow_the_weights),
		cmocka_unit_test(a_user_stays),
		cmocka_unit_test(wrong_splits_are_refused),
		cmocka_unit_test(cookies_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

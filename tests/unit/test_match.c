/* SPDX-License-Identifier: MIT */
/* Rules: patterns, conditions, first match, bad patterns, and that a large table is not slow. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <weir/match.h>

/* Host and path, both or one. */
struct pair {
	const char *host, *path;
};

struct rules {
	struct weir_match_conf parts[2048];
	struct weir_match_conf rules[1024];
	size_t n;
};

static void rules_add(struct rules *rules, const char *host, const char *path)
{
	struct weir_match_conf *parts = &rules->parts[2 * rules->n];
	struct weir_match_conf *rule = &rules->rules[rules->n++];

	*rule = (struct weir_match_conf){ .parts = parts };
	if (host)
		parts[rule->n_parts++] =
			(struct weir_match_conf){ .type = WEIR_MATCH_HOST, .value = host };
	if (path)
		parts[rule->n_parts++] =
			(struct weir_match_conf){ .type = WEIR_MATCH_PATH, .value = path };
}

static struct weir_match_table *table_of(const struct weir_match_conf *rules, size_t n)
{
	struct weir_match_table *table;
	struct weir_error error = { 0 };

	table = weir_match_table_new(rules, n, NULL, &error);
	if (!table)
		fail_msg("%s; %s", error.message, error.remedy);
	return table;
}

static int find(const struct weir_match_table *table, const char *host, const char *path,
		struct weir_match_params *params)
{
	struct weir_match_subject subject = { .host = weir_text_of(host),
					      .path = weir_text_of(path) };

	return weir_match_table_find(table, &subject, params);
}

static void patterns_hold_or_not(void **state)
{
	static const struct {
		struct pair rule, subject;
		bool holds;
	} cases[] = {
		{ { "example.com", NULL }, { "example.com", "/" }, true },
		{ { "example.com", NULL }, { "EXAMPLE.com", "/" }, true },
		{ { "Example.COM.", NULL }, { "example.com", "/" }, true },
		{ { "example.com", NULL }, { "example.com.", "/" }, true },
		{ { "example.com", NULL }, { "www.example.com", "/" }, false },
		{ { "example.com", NULL }, { "xexample.com", "/" }, false },
		{ { "example.com", NULL }, { "", "/" }, false },
		{ { "*.example.com", NULL }, { "www.example.com", "/" }, true },
		{ { "*.example.com", NULL }, { "a.b.example.com", "/" }, true },
		{ { "*.example.com", NULL }, { "example.com", "/" }, false },
		{ { "*.example.com", NULL }, { ".example.com", "/" }, false },
		{ { "*.example.com", NULL }, { "wwwexample.com", "/" }, false },
		{ { ".example.com", NULL }, { "example.com", "/" }, true },
		{ { ".example.com", NULL }, { "A.Example.com", "/" }, true },
		{ { ".example.com", NULL }, { "example.org", "/" }, false },
		{ { "*", NULL }, { "", "/" }, true },
		{ { "[::1]", NULL }, { "[::1]", "/" }, true },
		{ { "192.0.2.1", NULL }, { "192.0.2.1", "/" }, true },
		{ { NULL, "/" }, { "x", "/" }, true },
		{ { NULL, "/" }, { "x", "/a" }, false },
		{ { NULL, "/a" }, { "x", "/a" }, true },
		{ { NULL, "/a" }, { "x", "/a/" }, false },
		{ { NULL, "/a/" }, { "x", "/a/" }, true },
		{ { NULL, "/a/" }, { "x", "/a" }, false },
		{ { NULL, "/a" }, { "x", "/A" }, false },
		{ { NULL, "/a/*" }, { "x", "/a" }, true },
		{ { NULL, "/a/*" }, { "x", "/a/" }, true },
		{ { NULL, "/a/*" }, { "x", "/a/b/c" }, true },
		{ { NULL, "/a/*" }, { "x", "/ab" }, false },
		{ { NULL, "/*" }, { "x", "/" }, true },
		{ { NULL, "/*" }, { "x", "/a/b" }, true },
		{ { NULL, "/*" }, { "x", "*" }, false },
		{ { NULL, NULL }, { "x", "*" }, true },
		{ { NULL, "/users/{id}" }, { "x", "/users/7" }, true },
		{ { NULL, "/users/{id}" }, { "x", "/users/" }, false },
		{ { NULL, "/users/{id}" }, { "x", "/users/7/x" }, false },
		{ { NULL, "/users/{id}/files/{rest*}" }, { "x", "/users/7/files/a/b" }, true },
		{ { NULL, "/users/{id}/files/{rest*}" }, { "x", "/users/7/files" }, true },
		{ { NULL, "/users/{id}/files/{rest*}" }, { "x", "/users//files/a" }, false },
		{ { NULL, "/{a}/{b}" }, { "x", "/1/2" }, true },
		{ { NULL, "/caf\xc3\xa9" }, { "x", "/caf%C3%A9" }, true },
		{ { NULL, "/%61dmin" }, { "x", "/admin" }, true },
		{ { NULL, "/a/%2A" }, { "x", "/a/%2A" }, true },
	};
	struct weir_match_table *table;
	struct rules rules;

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		rules.n = 0;
		rules_add(&rules, cases[i].rule.host, cases[i].rule.path);
		table = table_of(rules.rules, 1);
		if ((find(table, cases[i].subject.host, cases[i].subject.path, NULL) == 0) !=
		    cases[i].holds)
			fail_msg("case %zu: %s%s should be %d", i, cases[i].subject.host,
				 cases[i].subject.path, cases[i].holds);
		weir_match_table_free(table);
	}
}

static void the_first_rule_that_holds_is_found(void **state)
{
	struct weir_match_table *table;
	struct rules rules = { .n = 0 };

	(void)state;
	rules_add(&rules, "a.example.com", "/x/*"); /* 0 */
	rules_add(&rules, "*.example.com", "/x/y"); /* 1 */
	rules_add(&rules, NULL, "/x/{p}");	    /* 2 */
	rules_add(&rules, "a.example.com", NULL);   /* 3 */
	rules_add(&rules, ".example.com", "/*");    /* 4 */
	rules_add(&rules, NULL, NULL);		    /* 5 */
	rules_add(&rules, NULL, "/never");	    /* 6 */
	table = table_of(rules.rules, rules.n);
	assert_int_equal(find(table, "a.example.com", "/x/y", NULL), 0);
	assert_int_equal(find(table, "b.example.com", "/x/y", NULL), 1);
	assert_int_equal(find(table, "b.example.com", "/x/z", NULL), 2);
	assert_int_equal(find(table, "other", "/x/z", NULL), 2);
	assert_int_equal(find(table, "a.example.com", "/z", NULL), 3);
	assert_int_equal(find(table, "b.example.com", "/z", NULL), 4);
	assert_int_equal(find(table, "example.com", "/z", NULL), 4);
	assert_int_equal(find(table, "other", "/never", NULL), 5);
	assert_int_equal(find(table, "", "*", NULL), 5);
	weir_match_table_free(table);
}

static void parameters_say_what_stood_there(void **state)
{
	struct weir_match_params params;
	struct weir_match_table *table;
	struct rules rules = { .n = 0 };

	(void)state;
	rules_add(&rules, NULL, "/users/{id}/files/{rest*}");
	rules_add(&rules, NULL, "/api/*");
	rules_add(&rules, "h", NULL);
	table = table_of(rules.rules, rules.n);
	assert_int_equal(find(table, "x", "/users/7/files/a/b%20c", &params), 0);
	assert_string_equal(params.pattern, "/users/{id}/files/{rest*}");
	assert_true(weir_text_is_equal(weir_match_param(&params, WEIR_TEXT("id")), WEIR_TEXT("7")));
	assert_true(weir_text_is_equal(weir_match_param(&params, WEIR_TEXT("rest")),
				       WEIR_TEXT("a/b%20c")));
	assert_true(weir_text_is_equal(params.rest, WEIR_TEXT("/a/b%20c")));
	assert_null(weir_match_param(&params, WEIR_TEXT("none")).data);
	assert_int_equal(find(table, "x", "/users/7/files", &params), 0);
	assert_int_equal(weir_match_param(&params, WEIR_TEXT("rest")).size, 0);
	assert_int_equal(find(table, "x", "/api", &params), 1);
	assert_int_equal(params.n, 0);
	assert_int_equal(params.rest.size, 0);
	assert_int_equal(find(table, "h", "/", &params), 2);
	assert_null(params.pattern);
	weir_match_table_free(table);
}

/* ---- other conditions --------------------------------------------------------------------- */

struct request {
	struct weir_arena arena;
	struct weir_headers headers;
	struct weir_address client;
	struct weir_match_subject subject;
};

static void request_init(struct request *request)
{
	weir_arena_init(&request->arena, 0);
	weir_headers_init(&request->headers, &request->arena);
	assert_int_equal(weir_address_parse(&request->client, "10.1.2.3:4000"), 0);
	assert_int_equal(weir_headers_add(&request->headers, WEIR_TEXT("Accept"),
					  WEIR_TEXT("text/html")),
			 0);
	assert_int_equal(
		weir_headers_add(&request->headers, WEIR_TEXT("X-Tier"), WEIR_TEXT("silver")), 0);
	assert_int_equal(
		weir_headers_add(&request->headers, WEIR_TEXT("x-tier"), WEIR_TEXT("gold")), 0);
	request->subject = (struct weir_match_subject){
		.host = WEIR_TEXT("example.com"),
		.path = WEIR_TEXT("/a"),
		.query = WEIR_TEXT("q=one+two&empty=&flag&enc%6Fded=%41%2B&q=three&bad=%4"),
		.method = WEIR_TEXT("POST"),
		.headers = &request->headers,
		.client = &request->client,
	};
}

static bool holds(const struct weir_match_conf *rule, const struct request *request)
{
	struct weir_match_table *table = table_of(rule, 1);
	int found = weir_match_table_find(table, &request->subject, NULL);

	weir_match_table_free(table);
	return found == 0;
}

static void single_conditions_hold_or_not(void **state)
{
	static const struct {
		struct weir_match_conf rule;
		bool holds;
	} cases[] = {
		{ { .type = WEIR_MATCH_METHOD, .value = "POST" }, true },
		{ { .type = WEIR_MATCH_METHOD, .value = "post" }, false },
		{ { .type = WEIR_MATCH_HEADER, .name = "accept", .value = "text/html" }, true },
		{ { .type = WEIR_MATCH_HEADER, .name = "accept", .value = "text/" }, false },
		{ { WEIR_MATCH_HEADER, WEIR_MATCH_PREFIX, "accept", "text/", NULL, 0 }, true },
		{ { WEIR_MATCH_HEADER, WEIR_MATCH_PRESENT, "ACCEPT", NULL, NULL, 0 }, true },
		{ { WEIR_MATCH_HEADER, WEIR_MATCH_PRESENT, "Cookie", NULL, NULL, 0 }, false },
		{ { .type = WEIR_MATCH_HEADER, .name = "x-tier", .value = "gold" }, true },
		{ { .type = WEIR_MATCH_HEADER, .name = "x-tier", .value = "silver" }, true },
		{ { .type = WEIR_MATCH_HEADER, .name = "x-tier", .value = "Gold" }, false },
		{ { .type = WEIR_MATCH_QUERY, .name = "q", .value = "one two" }, true },
		{ { .type = WEIR_MATCH_QUERY, .name = "q", .value = "three" }, true },
		{ { .type = WEIR_MATCH_QUERY, .name = "q", .value = "one" }, false },
		{ { WEIR_MATCH_QUERY, WEIR_MATCH_PREFIX, "q", "one", NULL, 0 }, true },
		{ { .type = WEIR_MATCH_QUERY, .name = "encoded", .value = "A+" }, true },
		{ { .type = WEIR_MATCH_QUERY, .name = "empty", .value = "" }, true },
		{ { WEIR_MATCH_QUERY, WEIR_MATCH_PRESENT, "flag", NULL, NULL, 0 }, true },
		{ { WEIR_MATCH_QUERY, WEIR_MATCH_PRESENT, "fla", NULL, NULL, 0 }, false },
		{ { .type = WEIR_MATCH_QUERY, .name = "bad", .value = "%4" }, true },
		{ { .type = WEIR_MATCH_CLIENT, .value = "10.0.0.0/8" }, true },
		{ { .type = WEIR_MATCH_CLIENT, .value = "192.0.2.0/24" }, false },
		{ { .type = WEIR_MATCH_ALL }, true },
		{ { .type = WEIR_MATCH_ANY }, false },
		{ { .type = WEIR_MATCH_NONE }, true },
	};
	struct request request;

	(void)state;
	request_init(&request);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		if (holds(&cases[i].rule, &request) != cases[i].holds)
			fail_msg("case %zu: %s should be %d", i, cases[i].rule.value,
				 cases[i].holds);
	}
	weir_arena_fini(&request.arena);
}

static void conditions_are_joined(void **state)
{
	const struct weir_match_conf post = { .type = WEIR_MATCH_METHOD, .value = "POST" };
	const struct weir_match_conf get = { .type = WEIR_MATCH_METHOD, .value = "GET" };
	const struct weir_match_conf host = { .type = WEIR_MATCH_HOST, .value = "*.com" };
	const struct weir_match_conf other = { .type = WEIR_MATCH_HOST, .value = "other.com" };
	const struct weir_match_conf hosts[] = { other, host };
	const struct weir_match_conf any = { .type = WEIR_MATCH_ANY, .parts = hosts, .n_parts = 2 };
	const struct weir_match_conf none_hosts = { .type = WEIR_MATCH_NONE,
						    .parts = hosts,
						    .n_parts = 2 };
	const struct weir_match_conf none_get = { .type = WEIR_MATCH_NONE,
						  .parts = &get,
						  .n_parts = 1 };
	const struct weir_match_conf good[] = { post, any, none_get };
	const struct weir_match_conf bad[] = { post, any, none_hosts };
	struct request request;

	(void)state;
	request_init(&request);
	assert_true(holds(&(struct weir_match_conf){ .parts = good, .n_parts = 3 }, &request));
	assert_false(holds(&(struct weir_match_conf){ .parts = bad, .n_parts = 3 }, &request));
	assert_true(holds(&any, &request));
	assert_false(holds(&none_hosts, &request));
	request.subject.host = (struct weir_text){ 0 };
	assert_false(holds(&any, &request));
	assert_true(holds(&none_hosts, &request));
	weir_arena_fini(&request.arena);
}

static void parameters_of_a_failed_branch_are_forgotten(void **state)
{
	const struct weir_match_conf get = { .type = WEIR_MATCH_METHOD, .value = "GET" };
	const struct weir_match_conf path = { .type = WEIR_MATCH_PATH, .value = "/{x}" };
	const struct weir_match_conf both[] = { path, get };
	const struct weir_match_conf branches[] = {
		{ .type = WEIR_MATCH_ALL, .parts = both, .n_parts = 2 },
		{ .type = WEIR_MATCH_METHOD, .value = "POST" },
	};
	const struct weir_match_conf rule = { .type = WEIR_MATCH_ANY,
					      .parts = branches,
					      .n_parts = 2 };
	struct weir_match_table *table = table_of(&rule, 1);
	struct weir_match_params params;
	struct request request;

	(void)state;
	request_init(&request);
	assert_int_equal(weir_match_table_find(table, &request.subject, &params), 0);
	assert_null(params.pattern);
	request.subject.method = WEIR_TEXT("GET");
	assert_int_equal(weir_match_table_find(table, &request.subject, &params), 0);
	assert_true(weir_text_is_equal(weir_match_param(&params, WEIR_TEXT("x")), WEIR_TEXT("a")));
	weir_match_table_free(table);
	weir_arena_fini(&request.arena);
}

/* ---- mistakes ----------------------------------------------------------------------------- */

static void wrong_patterns_are_named(void **state)
{
	static const struct weir_match_conf wrong[] = {
		{ .type = WEIR_MATCH_HOST, .value = "" },
		{ .type = WEIR_MATCH_HOST, .value = "example.com:80" },
		{ .type = WEIR_MATCH_HOST, .value = "a*.com" },
		{ .type = WEIR_MATCH_HOST, .value = "*.*.com" },
		{ .type = WEIR_MATCH_HOST, .value = "..com" },
		{ .type = WEIR_MATCH_HOST, .value = "*." },
		{ .type = WEIR_MATCH_HOST,
		  .value = "b\xc3\xbc"
			   "cher.de" },
		{ .type = WEIR_MATCH_HOST, .value = "a b" },
		{ .type = WEIR_MATCH_PATH, .value = "" },
		{ .type = WEIR_MATCH_PATH, .value = "a" },
		{ .type = WEIR_MATCH_PATH, .value = "/a*" },
		{ .type = WEIR_MATCH_PATH, .value = "/*/a" },
		{ .type = WEIR_MATCH_PATH, .value = "/{}" },
		{ .type = WEIR_MATCH_PATH, .value = "/{a b}" },
		{ .type = WEIR_MATCH_PATH, .value = "/{a}{b}" },
		{ .type = WEIR_MATCH_PATH, .value = "/x{a}" },
		{ .type = WEIR_MATCH_PATH, .value = "/{a*}/b" },
		{ .type = WEIR_MATCH_PATH, .value = "/{a}/{a}" },
		{ .type = WEIR_MATCH_PATH, .value = "/a?b" },
		{ .type = WEIR_MATCH_PATH, .value = "/%zz" },
		{ .type = WEIR_MATCH_PATH, .value = "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}" },
		{ .type = WEIR_MATCH_CLIENT, .value = "10.0.0.0/33" },
		{ .type = WEIR_MATCH_HEADER, .name = "a b", .value = "x" },
		{ .type = WEIR_MATCH_HEADER, .name = "", .value = "x" },
	};
	const struct weir_match_conf rules[2] = { { .type = WEIR_MATCH_ALL } };
	struct weir_match_conf pair[2];
	struct weir_error error;
	size_t at;

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(wrong); i++) {
		weir_error_init(&error);
		pair[0] = rules[0];
		pair[1] = wrong[i];
		if (weir_match_table_new(pair, 2, &at, &error))
			fail_msg("'%s' is right", wrong[i].value);
		assert_int_equal(at, 1);
		assert_int_equal(error.status, WEIR_ECONFIG);
		assert_true(error.message[0] && error.remedy[0]);
	}
}

static void nesting_has_an_end(void **state)
{
	struct weir_match_conf nest[32] = { 0 };
	struct weir_error error = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i + 1 < WEIR_ARRAY_SIZE(nest); i++) {
		nest[i].parts = &nest[i + 1];
		nest[i].n_parts = 1;
	}
	assert_null(weir_match_table_new(nest, 1, NULL, &error));
	assert_int_equal(error.status, WEIR_ECONFIG);
}

static void a_large_table_finds_each_rule(void **state)
{
	static struct rules rules;
	static char hosts[1000][32], paths[1000][32];
	struct weir_match_table *table;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(hosts[i], sizeof(hosts[i]), "%sh%d.example.com", i % 3 ? "" : "*.", i / 4);
		snprintf(paths[i], sizeof(paths[i]), "/api/v%d/%s", i % 4, i % 2 ? "{id}" : "*");
		rules_add(&rules, hosts[i], paths[i]);
	}
	table = table_of(rules.rules, rules.n);
	for (int i = 0; i < 1000; i++) {
		char host[40], path[40];

		snprintf(host, sizeof(host), "%sh%d.example.com", i % 3 ? "" : "x.", i / 4);
		snprintf(path, sizeof(path), "/api/v%d/7", i % 4);
		assert_int_equal(find(table, host, path, NULL), i);
	}
	assert_true(find(table, "h1.example.com", "/api", NULL) < 0);
	weir_match_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_hold_or_not),
		cmocka_unit_test(the_first_rule_that_holds_is_found),
		cmocka_unit_test(parameters_say_what_stood_there),
		cmocka_unit_test(single_conditions_hold_or_not),
		cmocka_unit_test(conditions_are_joined),
		cmocka_unit_test(parameters_of_a_failed_branch_are_forgotten),
		cmocka_unit_test(wrong_patterns_are_named),
		cmocka_unit_test(nesting_has_an_end),
		cmocka_unit_test(a_large_table_finds_each_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

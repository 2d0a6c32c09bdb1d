/* SPDX-License-Identifier: MIT */
/* The resolver against a name server that does what it is told. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/loop.h>
#include <weir/resolver.h>

#include "loopback.h"

static struct name_rule *rules;
static struct weir_resolver_conf conf;
static struct name_server *server;
static struct weir_resolver *resolver;

static int with_resolver(void *arg)
{
	weir_task_fn *fn = *(weir_task_fn **)arg;
	int status;

	resolver = weir_resolver_new(weir_loop_current(), &conf, NULL);
	assert_non_null(resolver);
	status = fn(NULL);
	weir_resolver_free(resolver);
	return status;
}

/* Runs FN in a task, with a resolver as CONF says whose name server answers by the rules. */
static void run(weir_task_fn *fn, struct name_rule *with)
{
	rules = with;
	server = name_server_start(with);
	conf.servers = name_server_text(server);
	if (!conf.timeout_ms)
		conf.timeout_ms = 300;
	if (!conf.attempts)
		conf.attempts = 1;
	loopback_run(with_resolver, &fn);
	name_server_stop(server);
	memset(&conf, 0, sizeof(conf));
}

static int resolve(const char *text, struct weir_resolved *resolved)
{
	struct weir_target target;

	assert_int_equal(weir_target_parse(&target, text), 0);
	return weir_resolve(resolver, &target, resolved);
}

/* The addresses that TEXT resolves to, with a space between them; or the error's name. */
static const char *addresses(const char *text)
{
	static char out[2048];
	char address[WEIR_ADDRESS_TEXT];
	struct weir_resolved resolved;
	int status = resolve(text, &resolved);
	char *end = out;

	if (status)
		return weir_error_name(status);
	*end = '\0';
	for (size_t i = 0; i < resolved.n; i++)
		end += sprintf(end, "%s%s", i ? " " : "",
			       weir_address_format(&resolved.targets[i].address, address));
	weir_resolved_fini(&resolved);
	return out;
}

static unsigned asked(size_t rule)
{
	return atomic_load(&rules[rule].asked);
}

static void pause_ms(uint64_t ms)
{
	assert_int_equal(weir_task_sleep_ms(ms), 0);
}

/* ------------------------------------------------------------------------------------------
 * What comes back
 */

static int numeric(void *arg)
{
	struct weir_resolved resolved;

	(void)arg;
	assert_string_equal(addresses("192.0.2.1:80"), "192.0.2.1:80");
	assert_string_equal(addresses("unix:/x"), "unix:/x");
	assert_int_equal(resolve("192.0.2.1:80", &resolved), 0);
	assert_int_equal(resolved.weights[0], 1);
	assert_int_equal(resolved.priorities[0], 0);
	weir_resolved_fini(&resolved);
	assert_int_equal(name_server_asked(server), 0);
	return 0;
}

static void test_numeric(void **state)
{
	struct name_rule none[] = { { 0 } };

	(void)state;
	run(numeric, none);
}

static int families(void *arg)
{
	struct weir_resolved resolved;

	(void)arg;
	assert_string_equal(addresses("both.test:80"),
			    "[::1]:80 127.0.0.1:80 [::2]:80 127.0.0.2:80 127.0.0.3:80");
	assert_string_equal(addresses("four.test:81"), "127.0.0.4:81");
	assert_string_equal(addresses("six.test:82"), "[::6]:82");
	assert_int_equal(resolve("Both.TEST.:83", &resolved), 0);
	assert_string_equal(resolved.targets[1].host, "Both.TEST");
	assert_int_equal(resolved.targets[1].port, 83);
	assert_int_equal(resolved.weights[4], 1);
	assert_in_range(resolved.ttl_s, 29, 30);
	weir_resolved_fini(&resolved);
	/* Letters differ only for people. */
	assert_int_equal(asked(0), 1);
	assert_int_equal(asked(1), 1);
	return 0;
}

static void test_families(void **state)
{
	struct name_rule table[] = {
		{ "both.test", NAME_A, .ttl = 30,
		  .values = { "127.0.0.1", "127.0.0.2", "127.0.0.3" } },
		{ "both.test", NAME_AAAA, .ttl = 60, .values = { "::1", "::2" } },
		{ "four.test", NAME_A, .ttl = 30, .values = { "127.0.0.4" } },
		{ "six.test", NAME_AAAA, .ttl = 30, .values = { "::6" } },
		{ 0 },
	};

	(void)state;
	run(families, table);
}

static int unrouted(void *arg)
{
	(void)arg;
	/* A link-local address without its link leads nowhere. */
	assert_string_equal(addresses("both.test:80"), "127.0.0.1:80 [fe80::1]:80");
	return 0;
}

static void test_unrouted_family_is_last(void **state)
{
	struct name_rule table[] = {
		{ "both.test", NAME_A, .ttl = 30, .values = { "127.0.0.1" } },
		{ "both.test", NAME_AAAA, .ttl = 30, .values = { "fe80::1" } },
		{ 0 },
	};

	(void)state;
	run(unrouted, table);
}

static int hosts_file(void *arg)
{
	(void)arg;
	assert_non_null(strstr(addresses("localhost:80"), "127.0.0.1:80"));
	assert_int_equal(name_server_asked(server), 0);
	return 0;
}

static void test_hosts_file(void **state)
{
	struct name_rule table[] = {
		{ "localhost", NAME_A, .values = { "192.0.2.1" } },
		{ 0 },
	};

	(void)state;
	run(hosts_file, table);
}

static int truncated(void *arg)
{
	(void)arg;
	assert_string_equal(addresses("large.test:80"), "127.0.0.1:80");
	assert_int_equal(asked(0), 2); /* UDP, then TCP */
	return 0;
}

static void test_truncated_answer_comes_by_tcp(void **state)
{
	struct name_rule table[] = {
		{ "large.test", NAME_A, .action = NAME_TRUNCATE, .ttl = 9,
		  .values = { "127.0.0.1" } },
		{ 0 },
	};

	(void)state;
	run(truncated, table);
}

static int services(void *arg)
{
	struct weir_resolved resolved;
	struct weir_target target;
	char text[300];

	(void)arg;
	assert_string_equal(addresses("srv:_db._tcp.test"),
			    "127.0.0.1:5001 [::1]:5002 127.0.0.2:5002 127.0.0.9:5003");
	assert_int_equal(resolve("srv:_db._tcp.test", &resolved), 0);
	assert_int_equal(resolved.priorities[0], 5);
	assert_int_equal(resolved.weights[0], 70);
	assert_int_equal(resolved.priorities[1], 10);
	assert_int_equal(resolved.weights[2], 20);
	assert_int_equal(resolved.priorities[3], 20);
	assert_int_equal(resolved.weights[3], 0);
	/* The shortest TTL of all that it took: that of "b.test". */
	assert_in_range(resolved.ttl_s, 6, 7);
	target = resolved.targets[1];
	target.address.size = 0;
	assert_string_equal(weir_target_format(&target, text, sizeof(text)), "b.test:5002");
	weir_resolved_fini(&resolved);

	assert_int_equal(asked(0), 1);
	assert_string_equal(addresses("srv:_none._tcp.test"), weir_error_name(WEIR_ERESOLVE));
	assert_string_equal(addresses("srv:_gone._tcp.test"), weir_error_name(WEIR_ERESOLVE));
	assert_string_equal(addresses("srv:_bad._tcp.test"), weir_error_name(WEIR_ETRYAGAIN));
	assert_string_equal(addresses("srv:_lost._tcp.test"), weir_error_name(WEIR_ERESOLVE));
	return 0;
}

static void test_services(void **state)
{
	struct name_rule table[] = {
		{ "_db._tcp.test", NAME_SRV, .ttl = 30,
		  .values = { "10 20 5002 b.test", "5 70 5001 a.test", "20 0 5003 c.test",
			      "30 0 5004 gone.test" } },
		{ "a.test", NAME_A, .ttl = 60, .values = { "127.0.0.1" } },
		{ "b.test", NAME_A, .ttl = 7, .values = { "127.0.0.2" } },
		{ "b.test", NAME_AAAA, .ttl = 60, .values = { "::1" } },
		{ "c.test", NAME_A, .ttl = 60, .values = { "127.0.0.9" } },
		{ "_none._tcp.test", NAME_SRV, .ttl = 30, .values = { "0 0 0 ." } },
		{ "_bad._tcp.test", NAME_SRV, .action = NAME_FAIL },
		{ "_lost._tcp.test", NAME_SRV, .ttl = 30, .values = { "0 0 80 gone.test" } },
		{ 0 },
	};

	(void)state;
	run(services, table);
}

/* ------------------------------------------------------------------------------------------
 * How long it is kept
 */

static int expiry(void *arg)
{
	struct weir_resolver_stats stats;

	(void)arg;
	assert_string_equal(addresses("a.test:80"), "127.0.0.1:80");
	assert_string_equal(addresses("a.test:80"), "127.0.0.1:80");
	assert_int_equal(asked(0), 1);
	weir_resolver_stats(resolver, &stats);
	assert_int_equal(stats.queries, 2); /* A and AAAA */
	assert_int_equal(stats.hits, 2);
	assert_int_equal(stats.failures, 1); /* there is no AAAA */
	assert_int_equal(stats.entries, 2);

	pause_ms(1100);
	assert_string_equal(addresses("a.test:80"), "127.0.0.1:80");
	assert_int_equal(asked(0), 2);
	weir_resolver_stats(resolver, &stats);
	assert_int_equal(stats.entries, 2);
	return 0;
}

static void test_expiry(void **state)
{
	struct name_rule table[] = {
		{ "a.test", NAME_A, .ttl = 1, .values = { "127.0.0.1" } },
		{ 0 },
	};

	(void)state;
	run(expiry, table);
}

static int clamped(void *arg)
{
	struct weir_resolved resolved;

	(void)arg;
	assert_int_equal(resolve("long.test:80", &resolved), 0);
	assert_in_range(resolved.ttl_s, 9, 10);
	weir_resolved_fini(&resolved);
	assert_int_equal(resolve("short.test:80", &resolved), 0);
	assert_in_range(resolved.ttl_s, 1, 2);
	weir_resolved_fini(&resolved);
	pause_ms(1200);
	assert_string_equal(addresses("short.test:80"), "127.0.0.2:80");
	assert_int_equal(asked(1), 1);
	return 0;
}

static void test_ttl_is_clamped(void **state)
{
	struct name_rule table[] = {
		{ "long.test", NAME_A, .ttl = 86400, .values = { "127.0.0.1" } },
		{ "short.test", NAME_A, .ttl = 0, .values = { "127.0.0.2" } },
		{ 0 },
	};

	(void)state;
	conf.max_ttl_s = 10;
	conf.min_ttl_s = 2;
	run(clamped, table);
}

static int negative(void *arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++) {
		assert_string_equal(addresses("gone.test:80"), weir_error_name(WEIR_ERESOLVE));
		assert_string_equal(addresses("empty.test:80"), weir_error_name(WEIR_ERESOLVE));
	}
	assert_int_equal(name_server_asked(server), 4);
	pause_ms(1100);
	assert_string_equal(addresses("gone.test:80"), weir_error_name(WEIR_ERESOLVE));
	assert_int_equal(name_server_asked(server), 6);
	return 0;
}

static void test_negative_answers_are_kept(void **state)
{
	struct name_rule table[] = {
		{ "empty.test", NAME_SRV, .ttl = 30 },
		{ 0 },
	};

	(void)state;
	conf.negative_ttl_s = 1;
	run(negative, table);
}

static int bounded(void *arg)
{
	struct weir_resolver_stats stats;
	char name[32];

	(void)arg;
	for (int i = 0; i < 20; i++) {
		sprintf(name, "n%d.test:80", i);
		assert_string_equal(addresses(name), weir_error_name(WEIR_ERESOLVE));
		/* Used again and again, so it is never the one that goes. */
		assert_string_equal(addresses("a.test:80"), "127.0.0.1:80");
		weir_resolver_stats(resolver, &stats);
		assert_in_range(stats.entries, 1, 6);
	}
	assert_int_equal(asked(0), 1);
	return 0;
}

static void test_cache_is_bounded(void **state)
{
	struct name_rule table[] = {
		{ "a.test", NAME_A, .ttl = 60, .values = { "127.0.0.1" } },
		{ 0 },
	};

	(void)state;
	conf.cache_entries = 6;
	run(bounded, table);
}

/* ------------------------------------------------------------------------------------------
 * Bad servers
 */

static int failing(void *arg)
{
	(void)arg;
	assert_string_equal(addresses("fail.test:80"), weir_error_name(WEIR_ETRYAGAIN));
	assert_string_equal(addresses("fail.test:80"), weir_error_name(WEIR_ETRYAGAIN));
	/* A server in trouble is not asked by every connection. */
	assert_int_equal(asked(0), 1);
	/* One family's failure does not hide the other's answer, nor looks like "no such name". */
	assert_string_equal(addresses("half.test:80"), "127.0.0.1:80");
	assert_string_equal(addresses("none.test:80"), weir_error_name(WEIR_ETRYAGAIN));
	return 0;
}

static void test_failing_server(void **state)
{
	struct name_rule table[] = {
		{ "fail.test", NAME_A, .action = NAME_FAIL },
		{ "fail.test", NAME_AAAA, .action = NAME_FAIL },
		{ "half.test", NAME_A, .ttl = 9, .values = { "127.0.0.1" } },
		{ "half.test", NAME_AAAA, .action = NAME_FAIL },
		{ "none.test", NAME_A, .action = NAME_FAIL },
		{ 0 },
	};

	(void)state;
	run(failing, table);
}

static int silent(void *arg)
{
	uint64_t start = loopback_ms();

	(void)arg;
	assert_string_equal(addresses("dead.test:80"), weir_error_name(WEIR_ETRYAGAIN));
	assert_in_range(loopback_ms() - start, 250, 3000);
	return 0;
}

static void test_silent_server(void **state)
{
	struct name_rule table[] = {
		{ "dead.test", NAME_A, .action = NAME_SILENT },
		{ "dead.test", NAME_AAAA, .action = NAME_SILENT },
		{ 0 },
	};

	(void)state;
	run(silent, table);
}

static int late(void *arg)
{
	uint64_t start = loopback_ms();
	struct weir_resolved resolved;

	(void)arg;
	assert_int_equal(resolve("late.test:80", &resolved), 0);
	assert_in_range(loopback_ms() - start, 45, 390);
	assert_int_equal(resolved.n, 1);
	assert_in_range(resolved.ttl_s, 1, 5);
	weir_resolved_fini(&resolved);
	/* Nobody waits twice for the same late answer. */
	start = loopback_ms();
	assert_string_equal(addresses("late.test:80"), "127.0.0.1:80");
	assert_in_range(loopback_ms() - start, 0, 40);
	pause_ms(600);
	assert_string_equal(addresses("late.test:80"), "[::1]:80 127.0.0.1:80");
	assert_int_equal(asked(1), 1);
	return 0;
}

static void test_late_family_is_not_waited_for(void **state)
{
	struct name_rule table[] = {
		{ "late.test", NAME_A, .ttl = 60, .values = { "127.0.0.1" } },
		{ "late.test", NAME_AAAA, .ttl = 60, .delay_ms = 400, .values = { "::1" } },
		{ 0 },
	};

	(void)state;
	conf.timeout_ms = 2000;
	run(late, table);
}

/* ------------------------------------------------------------------------------------------
 * Many at once, and those who leave
 */

static int resolve_shared(void *arg)
{
	unsigned *done = arg;

	assert_string_equal(addresses(*done % 2 ? "slow.test:80" : "SLOW.test:80"), "127.0.0.1:80");
	++*done;
	return 0;
}

static int shared(void *arg)
{
	struct weir_scope scope;
	unsigned done = 0;

	(void)arg;
	weir_scope_init(&scope, NULL);
	for (int i = 0; i < 50; i++)
		assert_int_equal(weir_scope_spawn(&scope, "r", resolve_shared, &done, NULL), 0);
	assert_int_equal(weir_scope_join(&scope), 0);
	weir_scope_fini(&scope);
	assert_int_equal(done, 50);
	assert_int_equal(name_server_asked(server), 2);
	return 0;
}

static void test_questions_are_shared(void **state)
{
	struct name_rule table[] = {
		{ "slow.test", NAME_A, .ttl = 60, .delay_ms = 100, .values = { "127.0.0.1" } },
		{ 0 },
	};

	(void)state;
	run(shared, table);
}

static int leaving(void *arg)
{
	struct weir_resolved resolved;
	struct weir_scope scope;
	uint64_t start = loopback_ms();

	(void)arg;
	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, 50);
	weir_scope_enter(&scope);
	assert_int_equal(resolve("dead.test:80", &resolved), -ETIMEDOUT);
	assert_int_equal(resolve("srv:_dead.test", &resolved), -ETIMEDOUT);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	assert_in_range(loopback_ms() - start, 45, 1000);
	/* The questions are still open when the resolver is freed. */
	return 0;
}

static void test_leaving(void **state)
{
	struct name_rule table[] = {
		{ "dead.test", NAME_A, .action = NAME_SILENT },
		{ "dead.test", NAME_AAAA, .action = NAME_SILENT },
		{ "_dead.test", NAME_SRV, .action = NAME_SILENT },
		{ 0 },
	};
	uint64_t start = loopback_ms();

	(void)state;
	conf.timeout_ms = 20000;
	run(leaving, table);
	assert_in_range(loopback_ms() - start, 0, 5000);
}

static int too_many(void *arg)
{
	struct weir_resolved resolved;
	struct weir_scope scope;

	(void)arg;
	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, 50);
	weir_scope_enter(&scope);
	assert_int_equal(resolve("dead.test:80", &resolved), -ETIMEDOUT);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	/* Both places are taken by open questions. */
	assert_string_equal(addresses("gone.test:80"), weir_error_name(WEIR_ETRYAGAIN));
	return 0;
}

static void test_open_questions_are_bounded(void **state)
{
	struct name_rule table[] = {
		{ "dead.test", NAME_A, .action = NAME_SILENT },
		{ "dead.test", NAME_AAAA, .action = NAME_SILENT },
		{ 0 },
	};

	(void)state;
	conf.cache_entries = 2;
	conf.timeout_ms = 20000;
	run(too_many, table);
}

/* A loop ends when its last task has, whatever questions are open. */
static int abandoned(void *arg)
{
	struct weir_scope scope;
	struct weir_resolved resolved;

	(void)arg;
	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, 20);
	weir_scope_enter(&scope);
	assert_int_equal(resolve("dead.test:80", &resolved), -ETIMEDOUT);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	return 0;
}

static void test_open_questions_hold_no_loop(void **state)
{
	struct name_rule table[] = {
		{ "dead.test", NAME_A, .action = NAME_SILENT },
		{ "dead.test", NAME_AAAA, .action = NAME_SILENT },
		{ 0 },
	};
	struct weir_loop_conf loop_conf = { 0 };
	struct weir_loop *loop = weir_loop_new(&loop_conf, NULL);
	struct weir_scope root;
	uint64_t start = loopback_ms();

	(void)state;
	server = name_server_start(table);
	conf = (struct weir_resolver_conf){ .servers = name_server_text(server),
					    .timeout_ms = 20000 };
	resolver = weir_resolver_new(loop, &conf, NULL);
	weir_scope_init_root(&root, loop);
	assert_int_equal(weir_scope_spawn(&root, "test", abandoned, NULL, NULL), 0);
	assert_int_equal(weir_loop_run(loop), 0);
	assert_in_range(loopback_ms() - start, 0, 5000);
	weir_scope_fini(&root);
	weir_resolver_free(resolver);
	weir_loop_free(loop);
	name_server_stop(server);
	memset(&conf, 0, sizeof(conf));
}

static void test_bad_configuration(void **state)
{
	struct weir_loop_conf loop_conf = { 0 };
	struct weir_loop *loop = weir_loop_new(&loop_conf, NULL);
	struct weir_error error = { 0 };

	(void)state;
	conf.servers = "not an address";
	assert_null(weir_resolver_new(loop, &conf, &error));
	assert_int_equal(error.status, -EINVAL);
	assert_non_null(strstr(error.message, "not an address"));
	assert_non_null(strstr(error.remedy, ":53"));
	weir_resolver_free(NULL);
	weir_loop_free(loop);
	memset(&conf, 0, sizeof(conf));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numeric),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_unrouted_family_is_last),
		cmocka_unit_test(test_hosts_file),
		cmocka_unit_test(test_truncated_answer_comes_by_tcp),
		cmocka_unit_test(test_services),
		cmocka_unit_test(test_expiry),
		cmocka_unit_test(test_ttl_is_clamped),
		cmocka_unit_test(test_negative_answers_are_kept),
		cmocka_unit_test(test_cache_is_bounded),
		cmocka_unit_test(test_failing_server),
		cmocka_unit_test(test_silent_server),
		cmocka_unit_test(test_late_family_is_not_waited_for),
		cmocka_unit_test(test_questions_are_shared),
		cmocka_unit_test(test_leaving),
		cmocka_unit_test(test_open_questions_are_bounded),
		cmocka_unit_test(test_open_questions_hold_no_loop),
		cmocka_unit_test(test_bad_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

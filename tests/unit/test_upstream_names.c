/* SPDX-License-Identifier: MIT */
/* Endpoints by name: a real resolver, and name servers that change their minds. */

#include "upstream_rig.h"

static size_t rig_count(struct rig *rig, uint16_t port, const char *host)
{
	struct wanted wanted = { .port = port, .host = host };

	weir_upstream_each(rig->upstream, wanted_on_info, &wanted);
	return wanted.n;
}

static int names_run(void *arg)
{
	struct name_rule before[] = {
		{ .name = "db.test", .type = NAME_A, .ttl = 1, .values = { "127.0.0.1" } },
		{ 0 },
	};
	struct name_rule after[] = {
		{ .name = "db.test",
		  .type = NAME_A,
		  .ttl = 1,
		  .values = { "127.0.0.1", "127.0.0.2" } },
		{ 0 },
	};
	struct name_server *first = name_server_start(before), *second = name_server_start(after);
	struct weir_resolver_conf conf = { .timeout_ms = 300 };
	struct weir_connector *tcp = tcp_new();
	struct weir_resolver *resolver;
	struct weir_stream *stream;
	uint16_t port = loopback_port();
	struct weir_scope scope;
	struct weir_conn conn;
	char servers[64], name[64];
	struct rig rig;

	(void)arg;
	snprintf(servers, sizeof(servers), "%s,%s", name_server_text(first),
		 name_server_text(second));
	conf.servers = servers;
	resolver = weir_resolver_new(weir_loop_current(), &conf, NULL);
	assert_non_null(resolver);
	rig_servers(&rig, 0);
	snprintf(name, sizeof(name), "db.test:%u", port);
	assert_int_equal(weir_target_parse(&rig.endpoints[0].target, name), 0);
	rig.conf.n_endpoints = 1;
	rig.n = 2;
	rig.fds[0] = server_open("127.0.0.1", port);
	rig.fds[1] = server_open("127.0.0.2", port);
	rig_upstream(&rig);
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_upstream_start(rig.upstream, &scope, tcp, resolver, NULL), 0);
	/* Before the first answer: the connection waits for it. */
	assert_int_equal(rig_connect(&rig, &conn, &stream), 0);
	assert_int_equal(rig_count(&rig, port, "127.0.0.1"), 1);
	assert_int_equal(rig_count(&rig, port, "127.0.0.2"), 0);
	/* Another server, another answer: one more address, and the old one keeps its count. */
	name_server_stop(first);
	for (unsigned k = 0; k < 1000 && !rig_count(&rig, port, "127.0.0.2"); k++)
		assert_int_equal(weir_task_sleep_ms(10), 0);
	assert_int_equal(rig_count(&rig, port, "127.0.0.2"), 1);
	rig.ports[0] = port;
	{
		struct wanted wanted = { .port = port, .host = "127.0.0.1" };

		weir_upstream_each(rig.upstream, wanted_on_info, &wanted);
		assert_int_equal(wanted.info.active, 1);
		assert_string_equal(wanted.info.name, name);
	}
	weir_stream_close(stream);
	/* Nobody answers: the addresses stay. */
	name_server_stop(second);
	assert_int_equal(weir_task_sleep_ms(2000), 0);
	assert_int_equal(rig_count(&rig, port, NULL), 2);
	assert_true(rig_visit(&rig) > 0);
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	weir_resolver_free(resolver);
	weir_connector_free(tcp);
	rig_fini(&rig);
	return 0;
}

static void names_are_asked_again(void **state)
{
	(void)state;
	loopback_run(names_run, NULL);
}

/* SRV: priorities are tiers; then the name ceases to exist, and its addresses after the hold. */
static int services_run(void *arg)
{
	uint16_t ports[2] = { loopback_port(), loopback_port() };
	char records[2][64];
	struct name_rule before[] = {
		{ .name = "_db._tcp.test",
		  .type = NAME_SRV,
		  .ttl = 1,
		  .values = { records[0], records[1] } },
		{ .name = "a.test", .type = NAME_A, .ttl = 1, .values = { "127.0.0.1" } },
		{ 0 },
	};
	struct name_rule after[] = { { 0 } };
	struct name_server *first, *second;
	struct weir_resolver_conf conf = { .timeout_ms = 300, .negative_ttl_s = 1 };
	struct weir_connector *tcp = tcp_new();
	struct weir_resolver *resolver;
	struct weir_scope scope;
	char servers[64];
	struct rig rig;

	(void)arg;
	for (size_t i = 0; i < 2; i++)
		snprintf(records[i], sizeof(records[i]), "%zu 5 %u a.test", 20 - 10 * i, ports[i]);
	first = name_server_start(before);
	second = name_server_start(after);
	snprintf(servers, sizeof(servers), "%s,%s", name_server_text(first),
		 name_server_text(second));
	conf.servers = servers;
	resolver = weir_resolver_new(weir_loop_current(), &conf, NULL);
	assert_non_null(resolver);
	rig_servers(&rig, 0);
	assert_int_equal(weir_target_parse(&rig.endpoints[0].target, "srv:_db._tcp.test"), 0);
	rig.conf.n_endpoints = 1;
	rig.conf.name_hold_ms = 100;
	rig.n = 2;
	for (size_t i = 0; i < 2; i++) {
		rig.ports[i] = ports[i];
		rig_open_server(&rig, i);
	}
	rig_upstream(&rig);
	weir_scope_init(&scope, NULL);
	assert_int_equal(weir_upstream_start(rig.upstream, &scope, tcp, resolver, NULL), 0);
	for (unsigned k = 0; k < 5; k++)
		assert_int_equal(rig_visit(&rig), ports[1]);
	assert_int_equal(rig_info(&rig, 0).weight, 5);
	rig_close_server(&rig, 1);
	assert_int_equal(rig_visit(&rig), ports[0]);
	name_server_stop(first);
	for (unsigned k = 0; k < 1500 && rig_count(&rig, ports[0], NULL); k++)
		assert_int_equal(weir_task_sleep_ms(10), 0);
	assert_int_equal(rig_count(&rig, ports[0], NULL), 0);
	assert_int_equal(rig_visit(&rig), WEIR_ERESOLVE);
	name_server_stop(second);
	weir_scope_cancel(&scope);
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	weir_resolver_free(resolver);
	weir_connector_free(tcp);
	rig_fini(&rig);
	return 0;
}

static void services_and_names_that_cease(void **state)
{
	(void)state;
	loopback_run(services_run, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_asked_again),
		cmocka_unit_test(services_and_names_that_cease),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* The access log: what a line says, in both formats, files and the process log, reopening. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include <weir/layer.h>

#include "stage.h"

static struct stage stage;
static struct gate gate;
static char folder[64], path[128], moved[128];

static int setup(void **state)
{
	(void)state;
	stage_open(&stage);
	gate_init(&gate);
	strcpy(folder, "/tmp/weir-access-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/access.log", folder);
	snprintf(moved, sizeof(moved), "%s/access.log.1", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	weir_log_set_sink(NULL, NULL);
	weir_log_set_format(WEIR_LOG_TEXT);
	weir_log_set_level(WEIR_LOG_INFO);
	stage_close(&stage);
	unlink(path);
	unlink(moved);
	return rmdir(folder);
}

/* The file's text; the caller frees it. */
static char *slurp(const char *name)
{
	FILE *file = fopen(name, "r");
	char *text = calloc(1, 65536);

	assert_non_null(file);
	assert_true(fread(text, 1, 65535, file) < 65535);
	fclose(file);
	return text;
}

static unsigned lines(const char *name)
{
	char *text = slurp(name);
	unsigned n = 0;

	for (const char *p = text; *p; p++)
		n += *p == '\n';
	free(text);
	return n;
}

/* What a forward service would leave behind. */
static int leave_serve(struct weir_service *svc, struct weir_conn *conn)
{
	(void)svc;
	conn->id = 42;
	conn->listener = "db";
	conn->result.upstream = "postgres";
	assert_int_equal(weir_address_parse(&conn->result.endpoint, "127.0.0.1:5432"), 0);
	conn->result.path = WEIR_PATH_SPLICE;
	conn->result.why = "a \"quoted\" why";
	conn->result.bytes_up = 1000;
	conn->result.bytes_down = 18446744073709551615u;
	conn->result.connect_ns = 1500000;
	conn->result.attempts = 2;
	conn->result.end = WEIR_END_UPSTREAM_RESET;
	conn->started_ns -= 250000000;
	return -ECONNRESET;
}

static void leave_free(struct weir_service *svc)
{
	(void)svc;
}

static const struct weir_service_ops leave_ops = {
	.name = "leave",
	.serve = leave_serve,
	.free = leave_free,
};
static struct weir_service leave = { .ops = &leave_ops };

static struct weir_service *layer(struct weir_service *inner, const char *name,
				  enum weir_log_format format)
{
	struct weir_access_log_conf conf = { .path = name, .format = format };
	struct weir_error error = { 0 };
	struct weir_service *svc = weir_access_log_layer(inner, &conf, &error);

	if (!svc)
		fail_msg("%s", error.message);
	return svc;
}

static int serve_one(void *arg)
{
	struct stage_conn c;

	stage_connect(&c, arg, STAGE_TCP, "[2001:db8::1]:4711");
	c.conn.id = 7;
	assert_int_equal(weir_address_parse(&c.conn.local, "192.0.2.1:80"), 0);
	(void)stage_finish(&c);
	return 0;
}

static void text_says_all(void **state)
{
	static const char *const parts[] = {
		" conn 42: ended id=42 listener=db client=[2001:db8::1]:4711 local=192.0.2.1:80",
		" upstream=postgres endpoint=127.0.0.1:5432 path=splice why=\"a \\\"quoted\\\" why\"",
		" bytes_up=1000 bytes_down=18446744073709551615 attempts=2 connect_ms=1.5",
		" duration_ms=2",
		" end=upstream_reset status=ECONNRESET\n",
	};
	struct weir_service *svc = layer(&leave, path, WEIR_LOG_TEXT);
	char *text;

	(void)state;
	stage_run(&stage, serve_one, svc);
	text = slurp(path);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(parts); i++)
		if (!strstr(text, parts[i]))
			fail_msg("no '%s' in: %s", parts[i], text);
	assert_int_equal(lines(path), 1);
	free(text);
	weir_service_free(svc);
}

static const char *member(const json_t *line, const char *key)
{
	return json_string_value(json_object_get(line, key));
}

static void json_says_all(void **state)
{
	struct weir_service *svc = layer(&leave, path, WEIR_LOG_JSON);
	json_t *line;
	char *text;

	(void)state;
	stage_run(&stage, serve_one, svc);
	text = slurp(path);
	line = json_loads(text, JSON_DECODE_INT_AS_REAL, NULL);
	assert_non_null(line);
	assert_string_equal(member(line, "object"), "conn 42");
	assert_true(json_number_value(json_object_get(line, "id")) == 42);
	assert_string_equal(member(line, "listener"), "db");
	assert_string_equal(member(line, "client"), "[2001:db8::1]:4711");
	assert_string_equal(member(line, "endpoint"), "127.0.0.1:5432");
	assert_string_equal(member(line, "path"), "splice");
	assert_string_equal(member(line, "why"), "a \"quoted\" why");
	assert_true(json_number_value(json_object_get(line, "bytes_up")) == 1000);
	assert_true(json_number_value(json_object_get(line, "connect_ms")) == 1.5);
	assert_true(json_number_value(json_object_get(line, "duration_ms")) >= 250);
	assert_string_equal(member(line, "end"), "upstream_reset");
	assert_string_equal(member(line, "status"), "ECONNRESET");
	json_decref(line);
	free(text);
	weir_service_free(svc);
}

static void refused_ones_have_no_path(void **state)
{
	struct weir_service *svc = layer(&gate.svc, path, WEIR_LOG_TEXT);
	char *text;

	(void)state;
	gate.status = WEIR_ELIMIT;
	weir_event_set(&gate.open);
	stage_run(&stage, serve_one, svc);
	text = slurp(path);
	assert_non_null(strstr(text, " status=connection_limit\n"));
	assert_null(strstr(text, "path="));
	assert_null(strstr(text, "upstream="));
	assert_null(strstr(text, "endpoint="));
	free(text);
	weir_service_free(svc);
	assert_int_equal(gate.freed, 1);
}

/* ---- the process log ---- */

static char said[8192];
static unsigned said_lines;

static void remember(void *ctx, enum weir_log_level level, const char *line, size_t size)
{
	(void)ctx, (void)level;
	said_lines++;
	if (strlen(said) + size < sizeof(said))
		strncat(said, line, size);
}

static void listen_to_log(void)
{
	said[0] = '\0';
	said_lines = 0;
	weir_log_set_sink(remember, NULL);
}

static void without_a_file_it_is_the_process_log(void **state)
{
	struct weir_service *svc = layer(&leave, NULL, WEIR_LOG_TEXT);

	(void)state;
	listen_to_log();
	stage_run(&stage, serve_one, svc);
	assert_int_equal(said_lines, 1);
	assert_non_null(strstr(said, "info  conn 42: ended id=42 listener=db"));
	weir_log_set_level(WEIR_LOG_WARN);
	stage_run(&stage, serve_one, svc);
	assert_int_equal(said_lines, 1);
	weir_service_free(svc);
}

/* ---- files ---- */

static void stacks_share_a_file_and_reopen_it(void **state)
{
	struct weir_service *a = layer(&leave, path, WEIR_LOG_TEXT);
	struct weir_service *b = layer(&leave, path, WEIR_LOG_TEXT);

	(void)state;
	stage_run(&stage, serve_one, a);
	stage_run(&stage, serve_one, b);
	assert_int_equal(lines(path), 2);
	/* As logrotate does it. */
	assert_int_equal(rename(path, moved), 0);
	stage_run(&stage, serve_one, a);
	assert_int_equal(lines(moved), 3);
	weir_access_log_reopen();
	stage_run(&stage, serve_one, a);
	stage_run(&stage, serve_one, b);
	assert_int_equal(lines(moved), 3);
	assert_int_equal(lines(path), 2);
	weir_service_free(a);
	stage_run(&stage, serve_one, b);
	assert_int_equal(lines(path), 3);
	weir_service_free(b);
	weir_access_log_reopen();
}

static void old_file_stays_when_reopening_fails(void **state)
{
	struct weir_service *svc = layer(&leave, path, WEIR_LOG_TEXT);

	(void)state;
	listen_to_log();
	assert_int_equal(rename(path, moved), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	weir_access_log_reopen();
	assert_int_equal(said_lines, 1);
	assert_non_null(strstr(said, "cannot reopen"));
	stage_run(&stage, serve_one, svc);
	assert_int_equal(lines(moved), 1);
	assert_int_equal(rmdir(path), 0);
	weir_service_free(svc);
}

/* A full pipe neither stops the worker nor goes unsaid. */
static void full_pipe_drops_lines(void **state)
{
	struct weir_service *svc;
	char data[4096];
	int reader;

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK);
	assert_true(reader >= 0);
	assert_true(fcntl(reader, F_SETPIPE_SZ, 4096) >= 0);
	svc = layer(&leave, path, WEIR_LOG_TEXT);
	listen_to_log();
	for (int i = 0; i < 40; i++)
		stage_run(&stage, serve_one, svc);
	assert_int_equal(said_lines, 1);
	assert_non_null(strstr(said, "cannot write, lines are dropped"));
	while (read(reader, data, sizeof(data)) > 0)
		;
	stage_run(&stage, serve_one, svc);
	assert_int_equal(said_lines, 2);
	assert_non_null(strstr(said, "writes again"));
	assert_non_null(strstr(said, "dropped="));
	close(reader);
	weir_service_free(svc);
}

static void mistakes_free_the_inner_one(void **state)
{
	static const char *const paths[] = { "", "/nonexistent/folder/access.log", "/" };
	struct weir_access_log_conf conf = { 0 };

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(paths); i++) {
		struct weir_error error = { 0 };

		conf.path = paths[i];
		assert_null(weir_access_log_layer(&gate.svc, &conf, &error));
		assert_true(error.status < 0);
		assert_true(error.message[0] && error.remedy[0]);
		assert_int_equal(gate.freed, (int)i + 1);
	}
	conf.path = path;
	assert_null(weir_access_log_layer(NULL, &conf, NULL));
	assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(text_says_all, setup, teardown),
		cmocka_unit_test_setup_teardown(json_says_all, setup, teardown),
		cmocka_unit_test_setup_teardown(refused_ones_have_no_path, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_file_it_is_the_process_log, setup,
						teardown),
		cmocka_unit_test_setup_teardown(stacks_share_a_file_and_reopen_it, setup, teardown),
		cmocka_unit_test_setup_teardown(old_file_stays_when_reopening_fails, setup,
						teardown),
		cmocka_unit_test_setup_teardown(full_pipe_drops_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(mistakes_free_the_inner_one, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

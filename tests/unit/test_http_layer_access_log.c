/* SPDX-License-Identifier: MIT */
/* Access log of calls: all three formats, forged lines, and templates in general. */

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

#include <weir/error.h>
#include <weir/http_layer.h>
#include <weir/layer.h>
#include <weir/log.h>
#include <weir/task.h>

#include "http_rig.h"

static struct rig_script script;
static struct rig_call call;
static char path[64];

static int setup(void **state)
{
	(void)state;
	strcpy(path, "/tmp/weir-http-log-XXXXXX");
	close(mkstemp(path));
	rig_script_init(&script);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	weir_log_set_sink(NULL, NULL);
	return unlink(path);
}

static struct weir_http_service *layer(enum weir_http_log_format format, const char *line)
{
	struct weir_http_access_log_conf conf = { .path = path, .format = format, .line = line };
	struct weir_error error = { 0 };
	struct weir_http_service *svc = weir_http_access_log_layer(&script.svc, &conf, &error);

	if (!svc)
		fail_msg("%s", error.message);
	return svc;
}

/* What the file says; the caller frees it. */
static char *slurp(void)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 65536);

	assert_true(fread(text, 1, 65535, file) < 65535);
	fclose(file);
	return text;
}

static void rewrite(struct rig_script *self, struct weir_call *one)
{
	(void)self;
	one->request.path = WEIR_TEXT("/rewritten");
	one->result.route = "shop";
	one->result.upstream = "backend";
	one->result.attempts = 2;
}

static const char *const ordinary[] = { "Referer: http://a/", "User-Agent: curl \"7\"", NULL };
static const char *const pieces[] = { "hello", NULL };

static void ask(struct weir_http_service *svc, const char *line, const char *const *fields)
{
	rig_call_init(&call, line, fields, NULL);
	rig_call_handle(&call, svc);
	rig_call_text(&call);
	rig_call_fini(&call);
}

static int combined_main(void *arg)
{
	struct weir_http_service *svc = layer(WEIR_HTTP_LOG_COMBINED, NULL);
	char *text, *rest;

	(void)arg;
	script.hook = rewrite;
	script.pieces = pieces;
	ask(svc, "GET /asked?a=1", ordinary);
	weir_http_service_free(svc);
	text = slurp();
	assert_ptr_equal(strstr(text, "192.0.2.1 - - ["), text);
	rest = strchr(text, ']');
	assert_ptr_equal(strstr(rest, "] \"GET /asked?a=1 HTTP/1.1\" 200 5 \"http://a/\" "
				      "\"curl \\\"7\\\"\" 0."),
			 rest);
	assert_string_equal(rest + strlen(rest) - 1, "\n");
	free(text);
	return 0;
}

static void the_combined_format(void **state)
{
	(void)state;
	rig_calls_run(combined_main, NULL);
}

static int forge_main(void *arg)
{
	static const char *const fields[] = {
		"User-Agent: x\"\n127.0.0.1 - admin [now] \"GET / HTTP/1.1\" 200 0\x7f\xff\\",
		"Referer: \r\n\x1b[2J", NULL
	};
	struct weir_http_service *svc = layer(WEIR_HTTP_LOG_COMBINED, NULL);
	char *text;

	(void)arg;
	ask(svc, "GET /", fields);
	weir_http_service_free(svc);
	text = slurp();
	/* One line, and nothing that a terminal would obey. */
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	for (const char *p = text; p[1]; p++)
		assert_true(*p >= ' ' && *p < 0x7f);
	assert_non_null(strstr(text, "\"x\\\"\\x0a127.0.0.1"));
	assert_non_null(strstr(text, "0\\x7f\\xff\\\\\""));
	free(text);
	return 0;
}

static void nobody_can_forge_a_line(void **state)
{
	(void)state;
	rig_calls_run(forge_main, NULL);
}

static int json_main(void *arg)
{
	struct weir_http_service *svc = layer(WEIR_HTTP_LOG_JSON, NULL);
	json_t *line;
	char *text;

	(void)arg;
	script.hook = rewrite;
	script.error = WEIR_ENOENDPOINT;
	ask(svc, "GET /asked?q=%5C", ordinary);
	weir_http_service_free(svc);
	text = slurp();
	line = json_loads(text, 0, NULL);
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "path")), "/asked");
	assert_string_equal(json_string_value(json_object_get(line, "why")), "no_endpoint");
	assert_string_equal(json_string_value(json_object_get(line, "user_agent")), "curl \"7\"");
	assert_string_equal(json_string_value(json_object_get(line, "route")), "shop");
	assert_int_equal(json_integer_value(json_object_get(line, "status")), 503);
	assert_int_equal(json_integer_value(json_object_get(line, "attempts")), 2);
	assert_null(json_object_get(line, "user"));
	json_decref(line);
	free(text);
	return 0;
}

static void the_json_format(void **state)
{
	(void)state;
	rig_calls_run(json_main, NULL);
}

#define MANY                                                                             \
	"{{{listener}}|{client}|{network}|{scheme}|{host}|{authority}|{method}|{path}|"  \
	"{query}|{target}|{protocol}|{status}|{reason}|{bytes}|{request_bytes}|{route}|" \
	"{upstream}|{endpoint}|{attempts}|{why}|{user}|{request_id}|{request.referer}|"  \
	"{response.X-A}|{response.none}"

static int template_main(void *arg)
{
	static const char *const fields[] = { "X-A: b", NULL };
	struct weir_http_service *svc = layer(WEIR_HTTP_LOG_TEMPLATE, MANY);
	char *text;

	(void)arg;
	script.hook = rewrite;
	script.fields = fields;
	script.status = 404;
	rig_call_init(&call, "POST http://Example.org:8080/a?b", ordinary, "[2001:db8:1:2:3::4]:1");
	rig_call_handle(&call, svc);
	rig_call_fini(&call);
	weir_http_service_free(svc);
	text = slurp();
	assert_string_equal(text, "{rig}|2001:db8:1:2:3::4|2001:db8:1:2::|http|Example.org|"
				  "Example.org:8080|POST|/a|b|/a?b|HTTP/1.1|404|Not Found|0|0|shop|"
				  "backend|-|2|-|-|-|http://a/|b|-\n");
	free(text);
	return 0;
}

static void all_fields_of_templates(void **state)
{
	(void)state;
	rig_calls_run(template_main, NULL);
}

static char sunk[4096];

static void sink(void *ctx, enum weir_log_level level, const char *line, size_t size)
{
	(void)ctx;
	(void)level;
	snprintf(sunk, sizeof(sunk), "%.*s", (int)size, line);
}

static int process_log_main(void *arg)
{
	struct weir_http_service *svc = weir_http_access_log_layer(
		&script.svc, &(struct weir_http_access_log_conf){ 0 }, NULL);

	(void)arg;
	weir_log_set_sink(sink, NULL);
	ask(svc, "GET /to-the-process-log", NULL);
	assert_non_null(strstr(sunk, "GET /to-the-process-log HTTP/1.1"));
	weir_http_service_free(svc);
	return 0;
}

static void without_a_file_it_is_the_process_log(void **state)
{
	(void)state;
	rig_calls_run(process_log_main, NULL);
}

static void mistakes_are_said(void **state)
{
	static const char *const bad[] = { "{",	      "{nothing}",  "a {client",     "{client }",
					   "{}",      "{request.}", "{request.a b}", "{reply.a}",
					   "{Client}" };
	struct weir_http_access_log_conf conf = { .path = path, .format = WEIR_HTTP_LOG_TEMPLATE };
	struct weir_error error = { 0 };

	(void)state;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++) {
		conf.line = bad[i];
		weir_error_init(&error);
		if (weir_http_access_log_layer(&script.svc, &conf, &error))
			fail_msg("'%s' is a template", bad[i]);
		assert_int_equal(error.status, WEIR_ECONFIG);
		assert_true(error.message[0] && error.remedy[0]);
		assert_int_equal(script.freed, i + 1);
	}
	conf.line = NULL;
	assert_null(weir_http_access_log_layer(&script.svc, &conf, &error));
	conf = (struct weir_http_access_log_conf){ .line = "x" };
	assert_null(weir_http_access_log_layer(&script.svc, &conf, &error));
	conf = (struct weir_http_access_log_conf){ .path = "/nonexistent/x" };
	assert_null(weir_http_access_log_layer(&script.svc, &conf, &error));
	assert_null(weir_http_access_log_layer(NULL, &conf, &error));
}

static size_t file_lines(void)
{
	FILE *file = fopen(path, "r");
	size_t n = 0;
	int c;

	while ((c = fgetc(file)) != EOF)
		n += c == '\n';
	fclose(file);
	return n;
}

/* More than a batch holds; in order, each once, and none before the round ends but whole batches. */
static int batch_main(void *arg)
{
	struct weir_http_service *svc = layer(WEIR_HTTP_LOG_TEMPLATE, "{target} {id}");
	char *text, line[64];
	const char *at;

	(void)arg;
	for (int i = 0; i < 3; i++) {
		snprintf(line, sizeof(line), "GET /n%d", i);
		ask(svc, line, NULL);
	}
	assert_int_equal(file_lines(), 0);
	assert_int_equal(weir_task_yield(), 0);
	assert_int_equal(file_lines(), 3);
	text = slurp();
	at = text;
	for (int i = 0; i < 3; i++) {
		snprintf(line, sizeof(line), "/n%d ", i);
		at = strstr(at, line);
		assert_non_null(at);
	}
	free(text);
	for (int i = 0; i < 1000; i++)
		ask(svc,
		    "GET /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		    NULL);
	assert_in_range(file_lines(), 4, 1002);
	weir_http_service_free(svc);
	assert_int_equal(file_lines(), 1003);
	return 0;
}

static void lines_of_a_round_go_together(void **state)
{
	(void)state;
	rig_calls_run(batch_main, NULL);
}

static int pipe_main(void *arg)
{
	struct weir_http_service *svc = layer(WEIR_HTTP_LOG_TEMPLATE, "{target}");
	int reader = open(path, O_RDONLY | O_NONBLOCK);
	char data[64];

	(void)arg;
	ask(svc, "GET /first", NULL);
	assert_int_equal(read(reader, data, sizeof(data)), 7);
	ask(svc, "GET /second", NULL);
	assert_int_equal(read(reader, data, sizeof(data)), 8);
	assert_memory_equal(data, "/second\n", 8);
	close(reader);
	weir_http_service_free(svc);
	return 0;
}

/* Long writes to a pipe mix with those of others, so there each line goes by itself. */
static void lines_go_singly_into_a_pipe(void **state)
{
	int reader;

	(void)state;
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	reader = open(path, O_RDONLY | O_NONBLOCK); /* so that it can be opened for writing */
	assert_true(reader >= 0);
	rig_calls_run(pipe_main, NULL);
	close(reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_combined_format, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_can_forge_a_line, setup, teardown),
		cmocka_unit_test_setup_teardown(the_json_format, setup, teardown),
		cmocka_unit_test_setup_teardown(all_fields_of_templates, setup, teardown),
		cmocka_unit_test_setup_teardown(without_a_file_it_is_the_process_log, setup,
						teardown),
		cmocka_unit_test_setup_teardown(lines_of_a_round_go_together, setup, teardown),
		cmocka_unit_test_setup_teardown(lines_go_singly_into_a_pipe, setup, teardown),
		cmocka_unit_test_setup_teardown(mistakes_are_said, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

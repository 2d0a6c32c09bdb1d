/* SPDX-License-Identifier: MIT */
/* Files: what is served and how, and that nothing outside of the folder is. */

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/http_date.h>
#include <weir/static_files.h>

#include "http_rig.h"
#include "proxy/conditions.h"
#include "proxy/file_types.h"

#define MODIFIED 1700000000 /* Tue, 14 Nov 2023 22:13:20 GMT */
#define DATE	 "Tue, 14 Nov 2023 22:13:20 GMT"

static char folder[PATH_MAX];
static struct rig_call call;
static struct weir_http_service *svc;

static void put(const char *name, const char *text)
{
	const struct timeval times[2] = { { .tv_sec = MODIFIED }, { .tv_sec = MODIFIED } };
	char path[2 * PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(utimes(path, times), 0);
}

static void make_link(const char *to, const char *name)
{
	char path[2 * PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(symlink(to, path), 0);
}

static void make_folder(const char *name)
{
	char path[2 * PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static int folder_make(void **state)
{
	char pipe[2 * PATH_MAX];

	(void)state;
	strcpy(folder, "/tmp/weir-files-XXXXXX");
	assert_non_null(mkdtemp(folder));
	put("secret", "outside");
	make_folder("root");
	strcat(folder, "/root");
	put("a.txt", "0123456789");
	put("empty.css", "");
	put(".hidden", "hidden");
	put("b c.html", "space");
	make_folder("sub");
	put("sub/index.html", "index");
	make_folder("bare");
	put("bare/<x>.js", "script");
	make_folder(".git");
	put(".git/config", "hidden");
	make_folder(".well-known");
	put(".well-known/token", "token");
	put("z.js", "plain plain plain");
	put("z.js.gz", "GZIP");
	put("z.js.br", "BR");
	make_link("a.txt", "inside");
	make_link("../secret", "outside");
	make_link("/etc/passwd", "absolute");
	make_link("..", "up");
	make_link("/proc/self/cwd", "magic");
	snprintf(pipe, sizeof(pipe), "%s/pipe", folder);
	assert_int_equal(mkfifo(pipe, 0644), 0);
	return 0;
}

static int folder_remove(void **state)
{
	char command[2 * PATH_MAX];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s/..", folder);
	strstr(command, "/root/..")[0] = '\0';
	return system(command);
}

static void serve(const struct weir_static_files_conf *like)
{
	struct weir_static_files_conf conf = *like;
	struct weir_error error = { 0 };

	conf.root = folder;
	svc = weir_http_static_files(&conf, &error);
	if (!svc)
		fail_msg("%s", error.message);
}

/* Asks for LINE and checks status and body. */
static void expect(const char *line, const char *field, unsigned status, const char *text)
{
	const char *const fields[] = { field, NULL };

	rig_call_init(&call, line, field ? fields : NULL, NULL);
	if (rig_call_handle(&call, svc) != status)
		fail_msg("%s, %s: %u, should be %u", line, field ? field : "-",
			 call.call.response.status, status);
	if (text && strcmp(rig_call_text(&call), text) != 0)
		fail_msg("%s, %s: '%s', should be '%s'", line, field ? field : "-",
			 rig_call_text(&call), text);
}

/* The same, when nothing else is asked of it. */
static void check(const char *line, const char *field, unsigned status, const char *text)
{
	expect(line, field, status, text);
	rig_call_fini(&call);
}

/* ---- what is served ----------------------------------------------------------------------- */

static int files_main(void *arg)
{
	(void)arg;
	serve(&(struct weir_static_files_conf){ .cache_control = "max-age=60" });
	expect("GET /a.txt", NULL, 200, "0123456789");
	assert_string_equal(rig_call_field(&call, "Content-Type"), "text/plain; charset=utf-8");
	assert_string_equal(rig_call_field(&call, "Last-Modified"), DATE);
	assert_string_equal(rig_call_field(&call, "Cache-Control"), "max-age=60");
	assert_string_equal(rig_call_field(&call, "Accept-Ranges"), "bytes");
	assert_int_equal(rig_call_field(&call, "ETag")[0], '"');
	rig_call_fini(&call);
	expect("HEAD /a.txt", NULL, 200, NULL);
	assert_int_equal(call.call.response.announced, 10);
	rig_call_fini(&call);
	check("GET /empty.css", NULL, 200, "");
	check("GET /b%20c.html", NULL, 200, "space");
	check("GET /%61.txt", NULL, 200, "0123456789");
	check("GET /inside", NULL, 200, "0123456789");
	check("GET /sub/", NULL, 200, "index");
	check("GET /sub/../a.txt", NULL, 200, "0123456789");
	check("GET /.well-known/token", NULL, 200, "token");
	expect("GET /sub?q=1", NULL, 301, NULL);
	assert_string_equal(rig_call_field(&call, "Location"), "./sub/?q=1");
	rig_call_fini(&call);
	expect("POST /a.txt", NULL, 405, NULL);
	assert_string_equal(rig_call_field(&call, "Allow"), "GET, HEAD");
	rig_call_fini(&call);
	weir_http_service_free(svc);
	return 0;
}

static void files_are_served(void **state)
{
	(void)state;
	rig_calls_run(files_main, NULL);
}

static int outside_main(void *arg)
{
	static const char *const none[] = {
		"GET /outside",
		"GET /absolute",
		"GET /up/secret",
		"GET /up/",
		"GET /magic",
		"GET /magic/",
		"GET /.hidden",
		"GET /.git/config",
		"GET /.git/",
		"GET /%2ehidden",
		"GET /sub/..%2f..%2fsecret",
		"GET /../secret",
		"GET /%2e%2e/secret",
		"GET /pipe",
		"GET /none",
		"GET /a.txt/",
		"GET /a.txt/x",
		"GET /bare/",
		"GET /a.txt%00.html",
		"GET /.well-known/../.hidden",
		"GET /.well-known/.x",
	};
	unsigned status;

	(void)arg;
	serve(&(struct weir_static_files_conf){ 0 });
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(none); i++) {
		status = rig_ask(svc, none[i], NULL);
		if (status != 404 && status != 400)
			fail_msg("%s: %u", none[i], status);
	}
	weir_http_service_free(svc);
	return 0;
}

static void nothing_else_is(void **state)
{
	(void)state;
	rig_calls_run(outside_main, NULL);
}

static int listing_main(void *arg)
{
	(void)arg;
	serve(&(struct weir_static_files_conf){ .listing = true });
	expect("GET /bare/", NULL, 200, NULL);
	assert_non_null(strstr(rig_call_text(&call), "\"./%3Cx%3E.js\">&#60;x&#62;.js<"));
	assert_string_equal(rig_call_field(&call, "Content-Type"), "text/html; charset=utf-8");
	rig_call_fini(&call);
	expect("GET /", NULL, 200, NULL);
	assert_null(strstr(rig_call_text(&call), "hidden"));
	assert_null(strstr(rig_call_text(&call), ".git"));
	assert_null(strstr(rig_call_text(&call), "pipe"));
	assert_non_null(strstr(rig_call_text(&call), "a.txt"));
	rig_call_fini(&call);
	check("GET /sub/", NULL, 200, "index");
	weir_http_service_free(svc);
	return 0;
}

static void folders_are_listed_when_that_is_on(void **state)
{
	(void)state;
	rig_calls_run(listing_main, NULL);
}

static int variants_main(void *arg)
{
	(void)arg;
	serve(&(struct weir_static_files_conf){ .precompressed = true });
	expect("GET /z.js", "Accept-Encoding: gzip, br", 200, "BR");
	assert_string_equal(rig_call_field(&call, "Content-Encoding"), "br");
	assert_string_equal(rig_call_field(&call, "Vary"), "Accept-Encoding");
	assert_string_equal(rig_call_field(&call, "Content-Type"),
			    "text/javascript; charset=utf-8");
	rig_call_fini(&call);
	check("GET /z.js", "Accept-Encoding: gzip, br;q=0.5", 200, "GZIP");
	check("GET /z.js", "Accept-Encoding: zstd", 200, "plain plain plain");
	check("GET /z.js", "Accept-Encoding: *", 200, "BR");
	check("GET /z.js", "Accept-Encoding: br;q=0, *;q=0.1", 200, "GZIP");
	expect("GET /z.js", NULL, 200, "plain plain plain");
	assert_string_equal(rig_call_field(&call, "Vary"), "Accept-Encoding");
	rig_call_fini(&call);
	weir_http_service_free(svc);
	return 0;
}

static void the_best_variant_is_sent(void **state)
{
	(void)state;
	rig_calls_run(variants_main, NULL);
}

static int types_main(void *arg)
{
	const struct weir_file_type type = { "TXT", "text/x-own" };

	(void)arg;
	serve(&(struct weir_static_files_conf){
		.types = &type, .n_types = 1, .default_type = "x/y" });
	expect("GET /a.txt", NULL, 200, NULL);
	assert_string_equal(rig_call_field(&call, "Content-Type"), "text/x-own");
	rig_call_fini(&call);
	expect("GET /.well-known/token", NULL, 200, NULL);
	assert_string_equal(rig_call_field(&call, "Content-Type"), "x/y");
	rig_call_fini(&call);
	weir_http_service_free(svc);
	return 0;
}

static void types_follow_the_extension(void **state)
{
	(void)state;
	rig_calls_run(types_main, NULL);
	assert_string_equal(file_type(WEIR_TEXT("HTML")), "text/html; charset=utf-8");
	assert_string_equal(file_type(WEIR_TEXT("aac")), "audio/aac");
	assert_string_equal(file_type(WEIR_TEXT("zst")), "application/zstd");
	assert_string_equal(file_type(WEIR_TEXT("avif")), "image/avif");
	assert_null(file_type(WEIR_TEXT("htmlx")));
	assert_null(file_type(WEIR_TEXT("")));
	assert_null(file_extension("a.b/c").data);
}

/* ---- conditions and ranges ---------------------------------------------------------------- */

static int conditions_main(void *arg)
{
	char match[128], etag[64];

	(void)arg;
	serve(&(struct weir_static_files_conf){ 0 });
	expect("GET /a.txt", NULL, 200, NULL);
	strcpy(etag, rig_call_field(&call, "ETag"));
	rig_call_fini(&call);
	snprintf(match, sizeof(match), "If-None-Match: \"x\", W/%s", etag);
	expect("GET /a.txt", match, 304, "");
	assert_string_equal(rig_call_field(&call, "ETag"), etag);
	assert_string_equal(rig_call_field(&call, "Content-Type"), "");
	rig_call_fini(&call);
	check("HEAD /a.txt", "If-None-Match: *", 304, NULL);
	check("GET /a.txt", "If-None-Match: \"x\"", 200, NULL);
	check("GET /a.txt", "If-Modified-Since: " DATE, 304, NULL);
	check("GET /a.txt", "If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT", 200, NULL);
	check("GET /a.txt", "If-Modified-Since: yesterday", 200, NULL);
	check("GET /a.txt", "If-Unmodified-Since: Tue, 14 Nov 2023 22:13:19 GMT", 412, NULL);
	check("GET /a.txt", "If-Unmodified-Since: " DATE, 200, NULL);
	check("GET /a.txt", "If-Match: \"x\"", 412, NULL);
	snprintf(match, sizeof(match), "If-Match: %s", etag);
	check("GET /a.txt", match, 200, NULL);
	snprintf(match, sizeof(match), "If-Match: W/%s", etag);
	check("GET /a.txt", match, 412, NULL);
	weir_http_service_free(svc);
	return 0;
}

static void conditions_hold_or_not(void **state)
{
	(void)state;
	rig_calls_run(conditions_main, NULL);
}

static int ranges_main(void *arg)
{
	static const struct {
		const char *range;
		unsigned status;
		const char *text, *content_range;
	} cases[] = {
		{ "Range: bytes=0-3", 206, "0123", "bytes 0-3/10" },
		{ "Range: bytes=7-", 206, "789", "bytes 7-9/10" },
		{ "Range: bytes=-2", 206, "89", "bytes 8-9/10" },
		{ "Range: bytes=-99", 206, "0123456789", "bytes 0-9/10" },
		{ "Range: bytes=9-99", 206, "9", "bytes 9-9/10" },
		{ "Range: BYTES=0-0", 206, "0", "bytes 0-0/10" },
		{ "Range: bytes=10-", 416, NULL, "bytes */10" },
		{ "Range: bytes=-0", 416, NULL, "bytes */10" },
		{ "Range: bytes=4-2", 200, "0123456789", "" },
		{ "Range: bytes=a-b", 200, "0123456789", "" },
		{ "Range: bytes=", 200, "0123456789", "" },
		{ "Range: bytes=-", 200, "0123456789", "" },
		{ "Range: lines=1-2", 200, "0123456789", "" },
		{ "Range: bytes=0-1,2-4", 206, "01234", "bytes 0-4/10" },
		{ "Range: bytes=2-4, 20-30", 206, "234", "bytes 2-4/10" },
		{ "Range: bytes=6-8,0-1,1-7", 206, "012345678", "bytes 0-8/10" },
		{ "Range: bytes=20-30,40-50", 416, NULL, "bytes */10" },
		{ "Range: bytes=0-1,x", 200, "0123456789", "" },
		{ "Range: bytes=0-1,,4-2", 200, "0123456789", "" },
		{ "Range: bytes=0-0,2-2,4-4,6-6,8-8,0-0,2-2,4-4,6-6,8-8,0-0,2-2,4-4,6-6,8-8,0-0,2-2",
		  200, "0123456789", "" },
		{ "Range: bytes=0-18446744073709551616", 200, "0123456789", "" },
	};

	(void)arg;
	serve(&(struct weir_static_files_conf){ 0 });
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		expect("GET /a.txt", cases[i].range, cases[i].status, cases[i].text);
		assert_string_equal(rig_call_field(&call, "Content-Range"), cases[i].content_range);
		rig_call_fini(&call);
	}
	check("GET /empty.css", "Range: bytes=0-", 416, NULL);
	check("HEAD /a.txt", "Range: bytes=0-3", 200, NULL);
	weir_http_service_free(svc);
	return 0;
}

/* The boundary of the response's type. */
static const char *boundary(void)
{
	static char text[64];

	assert_int_equal(sscanf(rig_call_field(&call, "Content-Type"),
				"multipart/byteranges; boundary=%63[0-9a-f]", text),
			 1);
	return text;
}

/* PARTS: "first-last" and text in turn, NULL at the end. */
static void expect_parts(const char *range, const char *const *parts)
{
	char expected[2048] = "", *to = expected;
	bool first = true;

	expect("GET /a.txt", range, 206, NULL);
	for (; *parts; parts += 2, first = false)
		to += sprintf(to,
			      "%s--%s\r\nContent-Type: text/plain; charset=utf-8\r\n"
			      "Content-Range: bytes %s/10\r\n\r\n%s",
			      first ? "" : "\r\n", boundary(), parts[0], parts[1]);
	sprintf(to, "\r\n--%s--\r\n", boundary());
	assert_int_equal(call.call.response.body->size, strlen(expected));
	assert_string_equal(rig_call_text(&call), expected);
	assert_string_equal(rig_call_field(&call, "Content-Range"), "");
	rig_call_fini(&call);
}

static int parts_main(void *arg)
{
	(void)arg;
	serve(&(struct weir_static_files_conf){ 0 });
	expect_parts("Range: bytes=0-1,3-4", (const char *[]){ "0-1", "01", "3-4", "34", NULL });
	expect_parts("Range: bytes=-2 , 0-0,30-",
		     (const char *[]){ "8-9", "89", "0-0", "0", NULL });
	expect_parts("Range: bytes=7-7,0-1,4-5,5-6",
		     (const char *[]){ "4-7", "4567", "0-1", "01", NULL });
	weir_http_service_free(svc);
	return 0;
}

static void several_ranges_are_parts(void **state)
{
	(void)state;
	rig_calls_run(parts_main, NULL);
}

static void ranges_are_cut(void **state)
{
	(void)state;
	rig_calls_run(ranges_main, NULL);
}

static int if_range_main(void *arg)
{
	static const struct {
		const char *value;
		unsigned status;
	} cases[] = {
		{ "If-Range: " DATE, 206 }, { "If-Range: Tue, 14 Nov 2023 22:13:21 GMT", 200 },
		{ "If-Range: \"x\"", 200 }, { "If-Range: W/\"x\"", 200 },
		{ "If-Range: yes", 200 },
	};

	(void)arg;
	serve(&(struct weir_static_files_conf){ 0 });
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(cases); i++) {
		const char *const fields[] = { "Range: bytes=0-1", cases[i].value, NULL };

		if (rig_ask(svc, "GET /a.txt", fields) != cases[i].status)
			fail_msg("%s", cases[i].value);
	}
	weir_http_service_free(svc);
	return 0;
}

static void a_changed_file_is_sent_whole(void **state)
{
	(void)state;
	rig_calls_run(if_range_main, NULL);
}

static int fresh_main(void *arg)
{
	char path[2 * PATH_MAX], etag[64], match[128];

	(void)arg;
	snprintf(path, sizeof(path), "%s/a.txt", folder);
	assert_int_equal(utimes(path, NULL), 0);
	serve(&(struct weir_static_files_conf){ 0 });
	expect("GET /a.txt", NULL, 200, NULL);
	strcpy(etag, rig_call_field(&call, "ETag"));
	rig_call_fini(&call);
	/* It may change again within the same instant: no strong tag, no parts by it. */
	assert_memory_equal(etag, "W/\"", 3);
	snprintf(match, sizeof(match), "If-Range: %s", etag);
	{
		const char *const fields[] = { "Range: bytes=0-1", match, NULL };

		assert_int_equal(rig_ask(svc, "GET /a.txt", fields), 200);
	}
	weir_http_service_free(svc);
	return 0;
}

static void a_fresh_file_has_a_weak_tag(void **state)
{
	(void)state;
	rig_calls_run(fresh_main, NULL);
}

static void a_folder_must_be_there(void **state)
{
	struct weir_error error = { 0 };

	(void)state;
	assert_null(weir_http_static_files(&(struct weir_static_files_conf){ .root = "/nowhere" },
					   &error));
	assert_true(error.message[0] && error.remedy[0]);
	assert_null(weir_http_static_files(
		&(struct weir_static_files_conf){ .root = folder, .cache_control = "a\nb" },
		&error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_served),
		cmocka_unit_test(nothing_else_is),
		cmocka_unit_test(folders_are_listed_when_that_is_on),
		cmocka_unit_test(the_best_variant_is_sent),
		cmocka_unit_test(types_follow_the_extension),
		cmocka_unit_test(conditions_hold_or_not),
		cmocka_unit_test(ranges_are_cut),
		cmocka_unit_test(several_ranges_are_parts),
		cmocka_unit_test(a_changed_file_is_sent_whole),
		cmocka_unit_test(a_fresh_file_has_a_weak_tag),
		cmocka_unit_test(a_folder_must_be_there),
	};

	return cmocka_run_group_tests(tests, folder_make, folder_remove);
}

/* SPDX-License-Identifier: MIT */
/* Who the client is, and what is told: what comes from strangers is not believed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/forwarded.h>

#include "http_rig.h"

static struct rig_script script;
static struct rig_call call;

/* All that the inner service may see. */
static char seen_client[WEIR_ADDRESS_TEXT], seen_scheme[16];

static void look(struct rig_script *own, struct weir_call *inner)
{
	(void)own;
	weir_address_format_host(weir_client_address(inner), seen_client);
	snprintf(seen_scheme, sizeof(seen_scheme), "%.*s",
		 WEIR_TEXT_ARGS(weir_client_scheme(inner)));
}

struct example {
	const char *what;
	enum weir_forwarded_headers headers;
	enum weir_forwarded_mode mode;
	const char *peer;
	const char *fields[4];
	const char *client;
	const char *scheme;
	const char *forwarded; /* the fields of the way, in the order X-F-F, -Proto, -Host,
				* Forwarded, Via; joined by "|" */
};

static const struct example examples[] = {
	{ "nothing came",
	  WEIR_FORWARDED_X,
	  WEIR_FORWARDED_APPEND,
	  "192.0.2.1",
	  { NULL },
	  "192.0.2.1",
	  "http",
	  "192.0.2.1|http|h:81||" },
	{ "a stranger's word",
	  WEIR_FORWARDED_BOTH,
	  WEIR_FORWARDED_APPEND,
	  "192.0.2.1",
	  { "X-Forwarded-For: 1.1.1.1", "Forwarded: for=1.1.1.1", "X-Forwarded-Proto: https" },
	  "192.0.2.1",
	  "http",
	  "192.0.2.1|http|h:81|for=192.0.2.1;host=\"h:81\";proto=http|" },
	{ "a proxy's word",
	  WEIR_FORWARDED_X,
	  WEIR_FORWARDED_APPEND,
	  "10.0.0.1",
	  { "X-Forwarded-For: 1.1.1.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: o" },
	  "1.1.1.1",
	  "https",
	  "1.1.1.1, 10.0.0.1|https|o||" },
	{ "what the client told the proxy",
	  WEIR_FORWARDED_X,
	  WEIR_FORWARDED_APPEND,
	  "10.0.0.1",
	  { "X-Forwarded-For: 9.9.9.9, 1.1.1.1, 10.0.0.2" },
	  "1.1.1.1",
	  "http",
	  "9.9.9.9, 1.1.1.1, 10.0.0.2, 10.0.0.1|http|h:81||" },
	{ "several lines",
	  WEIR_FORWARDED_X,
	  WEIR_FORWARDED_APPEND,
	  "10.0.0.1",
	  { "X-Forwarded-For: 9.9.9.9", "X-Forwarded-For: 2001:db8::7" },
	  "2001:db8::7",
	  "http",
	  "9.9.9.9, 2001:db8::7, 10.0.0.1|http|h:81||" },
	{ "proxies all the way",
	  WEIR_FORWARDED_X,
	  WEIR_FORWARDED_APPEND,
	  "10.0.0.1",
	  { "X-Forwarded-For: 10.0.0.3, 10.0.0.2" },
	  "10.0.0.3",
	  "http",
	  "10.0.0.3, 10.0.0.2, 10.0.0.1|http|h:81||" },
	{ "what is no address hides what is before it",
	  WEIR_FORWARDED_X,
	  WEIR_FORWARDED_APPEND,
	  "10.0.0.1",
	  { "X-Forwarded-For: 1.1.1.1, unknown, 10.0.0.2" },
	  "10.0.0.2",
	  "http",
	  "1.1.1.1, unknown, 10.0.0.2, 10.0.0.1|http|h:81||" },
	{ "a number is no address",
	  WEIR_FORWARDED_X,
	  WEIR_FORWARDED_APPEND,
	  "10.0.0.1",
	  { "X-Forwarded-For: 80" },
	  "10.0.0.1",
	  "http",
	  "80, 10.0.0.1|http|h:81||" },
	{ "replace",
	  WEIR_FORWARDED_BOTH,
	  WEIR_FORWARDED_REPLACE,
	  "10.0.0.1",
	  { "X-Forwarded-For: 9.9.9.9, 1.1.1.1:4000", "X-Forwarded-Proto: https" },
	  "1.1.1.1",
	  "https",
	  "1.1.1.1|https|h:81|for=1.1.1.1;host=\"h:81\";proto=https|" },
	{ "keep",
	  WEIR_FORWARDED_X,
	  WEIR_FORWARDED_KEEP,
	  "10.0.0.1",
	  { "X-Forwarded-For: 1.1.1.1" },
	  "1.1.1.1",
	  "http",
	  "1.1.1.1|http|h:81||" },
	{ "the standard form",
	  WEIR_FORWARDED_STANDARD,
	  WEIR_FORWARDED_APPEND,
	  "10.0.0.1",
	  { "Forwarded: for=9.9.9.9, For=\"[2001:db8::7]:80\";Proto=https;by=10.0.0.2",
	    "X-Forwarded-For: 7.7.7.7" },
	  "2001:db8::7",
	  "https",
	  "|||for=9.9.9.9, For=\"[2001:db8::7]:80\";Proto=https;by=10.0.0.2, "
	  "for=10.0.0.1;host=\"h:81\";proto=https|" },
	{ "none",
	  WEIR_FORWARDED_NONE,
	  WEIR_FORWARDED_APPEND,
	  "10.0.0.1",
	  { "Forwarded: for=9.9.9.9", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-Host: o" },
	  "1.1.1.1",
	  "http",
	  "||||" },
	{ "an IPv6 peer",
	  WEIR_FORWARDED_STANDARD,
	  WEIR_FORWARDED_APPEND,
	  "2001:db8::1",
	  { NULL },
	  "2001:db8::1",
	  "http",
	  "|||for=\"[2001:db8::1]\";host=\"h:81\";proto=http|" },
};

/* The value of NAME in what the inner service saw. */
static const char *seen(const char *name, char *text)
{
	char start[64];
	const char *at;

	snprintf(start, sizeof(start), "\n%s: ", name);
	at = strcasestr(script.seen_fields, start + 1);
	if (!at || (at != script.seen_fields && at[-1] != '\n'))
		return strcpy(text, "");
	at += strlen(start) - 1;
	return strncpy(text, at, strcspn(at, "\n") + 1), text[strcspn(at, "\n")] = '\0', text;
}

static void check(const struct example *example)
{
	static const char *const names[] = { "X-Forwarded-For", "X-Forwarded-Proto",
					     "X-Forwarded-Host", "Forwarded", "Via" };
	struct weir_network trusted;
	struct weir_http_service *svc;
	char peer[WEIR_ADDRESS_TEXT], value[256], all[1024] = "";

	assert_int_equal(weir_network_parse(&trusted, "10.0.0.0/8"), 0);
	rig_script_init(&script);
	script.hook = look;
	svc = weir_http_forwarded_layer(&script.svc,
					&(struct weir_forwarded_conf){ .trusted = &trusted,
								       .n_trusted = 1,
								       .headers = example->headers,
								       .mode = example->mode },
					NULL);
	snprintf(peer, sizeof(peer), strchr(example->peer, ':') ? "[%s]:1" : "%s:1", example->peer);
	rig_call_init(&call, "GET http://h:81/", example->fields, peer);
	assert_int_equal(rig_call_handle(&call, svc), 200);
	rig_call_fini(&call);
	weir_http_service_free(svc);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(names); i++) {
		strcat(all, i ? "|" : "");
		strcat(all, seen(names[i], value));
	}
	if (strcmp(all, example->forwarded) != 0)
		fail_msg("%s: %s, should be %s", example->what, all, example->forwarded);
	if (strcmp(seen_client, example->client) != 0 || strcmp(seen_scheme, example->scheme) != 0)
		fail_msg("%s: client %s by %s", example->what, seen_client, seen_scheme);
}

static int examples_main(void *arg)
{
	(void)arg;
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(examples); i++)
		check(&examples[i]);
	return 0;
}

static void the_way_is_read_and_told(void **state)
{
	(void)state;
	rig_calls_run(examples_main, NULL);
}

static int via_main(void *arg)
{
	static const char *const fields[] = { "Via: 1.0 a, 1.1 b", "Via: 1.1 c", NULL };
	struct weir_http_service *svc = weir_http_forwarded_layer(
		rig_script_init(&script), &(struct weir_forwarded_conf){ .via = "weir" }, NULL);
	char value[256];

	(void)arg;
	rig_call_init(&call, "GET http://h/", fields, NULL);
	assert_int_equal(rig_call_handle(&call, svc), 200);
	rig_call_fini(&call);
	assert_string_equal(seen("Via", value), "1.0 a, 1.1 b, 1.1 c, 1.1 weir");
	weir_http_service_free(svc);
	return 0;
}

static void via_names_all_proxies(void **state)
{
	struct weir_error error = { 0 };

	(void)state;
	rig_calls_run(via_main, NULL);
	assert_null(weir_http_forwarded_layer(
		rig_script_init(&script), &(struct weir_forwarded_conf){ .via = "a b" }, &error));
	assert_int_equal(script.freed, 1);
	assert_int_equal(error.status, WEIR_ECONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_way_is_read_and_told),
		cmocka_unit_test(via_names_all_proxies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: MIT */
/* Basic and bearer authentication, and the table of bad Authorization fields. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <weir/error.h>
#include <weir/http_layer.h>
#include <weir/http_security.h>

#include "http_rig.h"
#include "layer/http_credentials.h"

#define BCRYPT "$2b$04$T8GlSIKsffIDkZ62laSUFea4IaDPheRhvAz/5Sjv6PIAKvJMlGg.O" /* sesame */
#define SHA512                                                                           \
	"$6$rounds=1000$saltsaltsalt$zr/bVegul44pMm5fGs42nQIGyv6vBMh.X7Hx8LTtcV017bFHy." \
	"UxdoscSgVQyUBHY3uVIjrah6309FyG9gvTa1" /* opensesame */

#define SHA256 \
	"$5$rounds=1000$saltsaltsalt$f2wYLRFl6msv2noHHT1tANC7P7lcQrRkk5J7rIsxClA" /* sesame */

#define ALADDIN	 "Authorization: Basic YWxhZGRpbjpzZXNhbWU="	     /* aladdin:sesame */
#define MORGIANA "Authorization: Basic bW9yZ2lhbmE6b3BlbnNlc2FtZQ==" /* morgiana:opensesame */
#define NOBODY	 "Authorization: Basic bm9ib2R5OnNlc2FtZQ=="	     /* nobody:sesame */
#define WRONG	 "Authorization: Basic YWxhZGRpbjp3cm9uZw=="	     /* aladdin:wrong */

static struct rig_script script;
static struct rig_call call;
static struct weir_counter refused;

/* ---- what Authorization says ---- */

static void basic_credentials_are_read(void **state)
{
	static const struct {
		const char *value, *user, *password;
	} good[] = {
		{ "Basic YWxhZGRpbjpzZXNhbWU=", "aladdin", "sesame" },
		{ "bAsIc   YWxhZGRpbjpzZXNhbWU=", "aladdin", "sesame" },
		{ "Basic YWxhZGRpbjo=", "aladdin", "" },
		{ "Basic YWw6YTpi", "al", "a:b" },
	};
	static const char *const bad[] = {
		"",
		"Basic",
		"Basic ",
		"Basic  ",
		"Basic\tYWxhZGRpbjpzZXNhbWU=",
		"Basi YWxhZGRpbjpzZXNhbWU=",
		"Bearer YWxhZGRpbjpzZXNhbWU=",
		"Basic YWxhZGRpbjpzZXNhbWU",	   /* padding is missing */
		"Basic YWxhZGRpbjpzZXNhbWU==",	   /* too much of it */
		"Basic YWxhZGRpbjpzZXNhbWV=",	   /* bits left over */
		"Basic YWxhZGRpb=pzZXNhbWU=",	   /* inside */
		"Basic YWxhZGRpbjpzZXNhbWU= ",	   /* something after it */
		"Basic YWxhZGRpbjpzZXNhbWU=, x=y", /* */
		"Basic YWxhZGR-bjpzZXNhbWU=",	   /* the other alphabet */
		"Basic YWxhZGRpbg==",		   /* no colon */
		"Basic Ong=",			   /* no user */
		"Basic YQBiOmM=",		   /* a NUL */
		"Basic YTpiCg==",		   /* a line end */
		"Basic ====",
		"Basic =",
	};
	struct weir_arena arena;
	struct weir_text user, password;
	char large[2048];

	(void)state;
	weir_arena_init(&arena, 0);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(good); i++) {
		assert_int_equal(http_credentials_basic(weir_text_of(good[i].value), &arena, &user,
							&password),
				 0);
		assert_string_equal(user.data, good[i].user);
		assert_int_equal(user.size, strlen(good[i].user));
		assert_string_equal(password.data, good[i].password);
	}
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++)
		if (http_credentials_basic(weir_text_of(bad[i]), &arena, &user, &password) !=
		    -EINVAL)
			fail_msg("'%s' was read", bad[i]);
	snprintf(large, sizeof(large), "Basic %0*d", 2000, 0);
	assert_int_equal(http_credentials_basic(weir_text_of(large), &arena, &user, &password),
			 -EINVAL);
	weir_arena_fini(&arena);
}

static void bearer_tokens_are_read(void **state)
{
	static const char *const bad[] = { "",		 "Bearer",
					   "Bearer ",	 "Bearer a b",
					   "Bearer =",	 "Bearer a=b",
					   "Bearer a,b", "Bearer \"a\"",
					   "Basic abc",	 "Bearer \xc3\xa4" };
	struct weir_text token;

	(void)state;
	assert_int_equal(http_credentials_bearer(WEIR_TEXT("bearer  aZ0-._~+/=="), &token), 0);
	assert_true(weir_text_is_equal(token, WEIR_TEXT("aZ0-._~+/==")));
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++)
		if (http_credentials_bearer(weir_text_of(bad[i]), &token) != -EINVAL)
			fail_msg("'%s' was read", bad[i]);
}

/* ---- basic ---- */

static unsigned ask(struct weir_http_service *svc, const char *field, const char *second)
{
	const char *const fields[] = { field, second, NULL };
	unsigned status;

	rig_call_init(&call, "GET /", fields, NULL);
	status = rig_call_handle(&call, svc);
	if (status == 401) {
		assert_non_null(
			strstr(rig_call_field(&call, "www-authenticate"), "realm=\"here\""));
		assert_string_equal(call.call.result.why, "credentials");
	}
	rig_call_fini(&call);
	return status;
}

static void see_user(struct rig_script *self, struct weir_call *one)
{
	(void)self;
	assert_non_null(weir_extension_find(&one->extensions, &weir_http_user_key));
	snprintf(script.seen_body, sizeof(script.seen_body), "%s",
		 (const char *)weir_extension_find(&one->extensions, &weir_http_user_key));
}

static int basic_main(void *arg)
{
	const struct weir_http_password passwords[] = { { "morgiana", SHA512 },
							{ "aladdin", BCRYPT } };
	struct weir_http_basic_conf conf = {
		.realm = "here",
		.passwords = passwords,
		.n_passwords = 2,
		.refused = &refused,
	};
	struct weir_http_service *svc =
		weir_http_basic_layer(rig_script_init(&script), &conf, NULL);

	(void)arg;
	assert_non_null(svc);
	refused.value = 0;
	script.hook = see_user;
	assert_int_equal(ask(svc, NULL, NULL), 401);
	assert_int_equal(ask(svc, WRONG, NULL), 401);
	assert_int_equal(ask(svc, NOBODY, NULL), 401);
	assert_int_equal(ask(svc, "Authorization: Bearer x", NULL), 401);
	assert_int_equal(script.served, 0);
	assert_int_equal(refused.value, 4);
	assert_int_equal(ask(svc, ALADDIN, NULL), 200);
	assert_string_equal(script.seen_body, "aladdin");
	assert_non_null(strstr(script.seen_fields, "Authorization"));
	assert_int_equal(ask(svc, MORGIANA, NULL), 200);
	assert_string_equal(script.seen_body, "morgiana");
	/* From memory, and still the right one. */
	assert_int_equal(ask(svc, ALADDIN, NULL), 200);
	assert_int_equal(ask(svc, WRONG, NULL), 401);
	/* Who says two things says none. */
	assert_int_equal(ask(svc, ALADDIN, WRONG), 401);
	weir_http_service_free(svc);
	conf.hide = true;
	svc = weir_http_basic_layer(&script.svc, &conf, NULL);
	assert_int_equal(ask(svc, ALADDIN, NULL), 200);
	assert_string_equal(script.seen_fields, "");
	weir_http_service_free(svc);
	return 0;
}

static void passwords_are_checked(void **state)
{
	(void)state;
	rig_calls_run(basic_main, NULL);
}

struct asker {
	struct weir_http_service *svc;
	const char *field;
	unsigned status;
};

static int asker_main(void *arg)
{
	struct asker *asker = arg;
	const char *const fields[] = { asker->field, NULL };

	asker->status = rig_ask(asker->svc, "GET /", fields);
	return 0;
}

static int together_main(void *arg)
{
	const struct weir_http_password password = { "aladdin", BCRYPT };
	struct weir_http_basic_conf conf = { .passwords = &password,
					     .n_passwords = 1,
					     .max_checks = 1 };
	struct weir_http_service *svc =
		weir_http_basic_layer(rig_script_init(&script), &conf, NULL);
	struct asker askers[6];
	struct weir_scope scope;

	(void)arg;
	weir_scope_init(&scope, NULL);
	for (int i = 0; i < 6; i++) {
		askers[i] = (struct asker){ svc, i < 5 ? ALADDIN : WRONG, 0 };
		assert_int_equal(weir_scope_spawn(&scope, "ask", asker_main, &askers[i], NULL), 0);
	}
	weir_scope_join(&scope);
	weir_scope_fini(&scope);
	/* Five share one hash; the sixth is one too many. */
	for (int i = 0; i < 5; i++)
		assert_int_equal(askers[i].status, 200);
	assert_int_equal(askers[5].status, 503);
	weir_http_service_free(svc);
	return 0;
}

static void the_same_password_is_hashed_once(void **state)
{
	(void)state;
	rig_calls_run(together_main, NULL);
}

static void write_file(char *path, const char *text)
{
	FILE *file;
	int fd;

	strcpy(path, "/tmp/weir-auth-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	file = fdopen(fd, "w");
	fputs(text, file);
	fclose(file);
}

static int file_main(void *arg)
{
	struct weir_http_service *svc;
	char path[64];

	(void)arg;
	write_file(path, "# users\n\naladdin:" SHA256 "\r\nmorgiana:" SHA512);
	svc = weir_http_basic_layer(rig_script_init(&script),
				    &(struct weir_http_basic_conf){ .file = path }, NULL);
	unlink(path);
	assert_non_null(svc);
	assert_int_equal(ask(svc, ALADDIN, NULL), 200);
	assert_int_equal(ask(svc, MORGIANA, NULL), 200);
	weir_http_service_free(svc);
	return 0;
}

static void passwords_come_from_a_file(void **state)
{
	(void)state;
	rig_calls_run(file_main, NULL);
}

#define TWICE "aladdin:" BCRYPT "\naladdin:" BCRYPT "\n"

static void basic_mistakes_are_said(void **state)
{
	static const char *const files[] = {
		"",
		"# nobody\n",
		"aladdin\n",
		":$2b$04$T8GlSIKsffIDkZ62laSUFea4IaDPheRhvAz/5Sjv6PIAKvJMlGg.O\n",
		"aladdin:\n",
		"aladdin:sesame\n",
		"aladdin:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=\n",
		"aladdin:$apr1$6Pz2Mm5u$NKWGUVE2vDcsuG9oRPdoC/\n",
		"aladdin:$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/\n",
		"aladdin:abJnggxhB/yWI\n",
		TWICE,
	};
	struct weir_error error;
	char path[64];

	(void)state;
	rig_script_init(&script);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(files); i++) {
		weir_error_init(&error);
		write_file(path, files[i]);
		if (weir_http_basic_layer(&script.svc,
					  &(struct weir_http_basic_conf){ .file = path }, &error))
			fail_msg("a file with '%s' was taken", files[i]);
		unlink(path);
		assert_true(error.message[0] && error.remedy[0]);
		assert_int_equal(script.freed, i + 1);
	}
	assert_null(weir_http_basic_layer(
		&script.svc, &(struct weir_http_basic_conf){ .file = "/nonexistent" }, &error));
	assert_null(weir_http_basic_layer(
		&script.svc, &(struct weir_http_basic_conf){ .realm = "a\"b" }, &error));
	assert_null(weir_http_basic_layer(NULL, &(struct weir_http_basic_conf){ 0 }, &error));
}

/* ---- bearer ---- */

#define TOKEN "0123456789abcdef"

static int bearer_main(void *arg)
{
	const struct weir_http_token tokens[] = { { "ci", TOKEN }, { "cd", TOKEN TOKEN } };
	struct weir_http_bearer_conf conf = {
		.realm = "here", .tokens = tokens, .n_tokens = 2, .refused = &refused
	};
	struct weir_http_service *svc =
		weir_http_bearer_layer(rig_script_init(&script), &conf, NULL);

	(void)arg;
	refused.value = 0;
	script.hook = see_user;
	assert_int_equal(ask(svc, NULL, NULL), 401);
	assert_int_equal(ask(svc, "Authorization: Bearer 0123456789abcdeg", NULL), 401);
	assert_int_equal(ask(svc, "Authorization: Bearer 0123456789abcde", NULL), 401);
	assert_int_equal(ask(svc, ALADDIN, NULL), 401);
	assert_int_equal(refused.value, 4);
	assert_int_equal(script.served, 0);
	assert_int_equal(ask(svc, "Authorization: Bearer " TOKEN, NULL), 200);
	assert_string_equal(script.seen_body, "ci");
	assert_int_equal(ask(svc, "authorization: bearer " TOKEN TOKEN, NULL), 200);
	assert_string_equal(script.seen_body, "cd");
	weir_http_service_free(svc);
	assert_int_equal(script.freed, 1);
	return 0;
}

static void tokens_are_checked(void **state)
{
	(void)state;
	rig_calls_run(bearer_main, NULL);
}

static void bearer_mistakes_are_said(void **state)
{
	const struct weir_http_token bad[] = { { "ci", "tiny" },
					       { "ci", NULL },
					       { "ci", "0123456789 abcdef" },
					       { "ci", "0123456789abcdef\n" } };
	struct weir_error error;

	(void)state;
	rig_script_init(&script);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(bad); i++) {
		weir_error_init(&error);
		assert_null(weir_http_bearer_layer(
			&script.svc,
			&(struct weir_http_bearer_conf){ .tokens = &bad[i], .n_tokens = 1 },
			&error));
		assert_true(error.message[0] && error.remedy[0]);
		/* Secrets stay out of messages. */
		assert_null(bad[i].token ? strstr(error.message, bad[i].token) : NULL);
	}
	assert_null(
		weir_http_bearer_layer(&script.svc, &(struct weir_http_bearer_conf){ 0 }, &error));
	assert_int_equal(script.freed, WEIR_ARRAY_SIZE(bad) + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(basic_credentials_are_read),
		cmocka_unit_test(bearer_tokens_are_read),
		cmocka_unit_test(passwords_are_checked),
		cmocka_unit_test(the_same_password_is_hashed_once),
		cmocka_unit_test(passwords_come_from_a_file),
		cmocka_unit_test(basic_mistakes_are_said),
		cmocka_unit_test(tokens_are_checked),
		cmocka_unit_test(bearer_mistakes_are_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

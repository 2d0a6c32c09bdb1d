/* SPDX-License-Identifier: MIT */
/* Bodies that can be sent again. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "proxy/replay.h"

/* Gives the bytes of TEXT one by one; with WAIT false every other time there is none yet. */
struct drip {
	struct weir_body body;
	const char *text;
	size_t at;
	bool shy;
	int end; /* what comes after the last one */
	unsigned freed;
};

static int drip_next(struct weir_body *body, struct iovec *piece, bool wait)
{
	struct drip *drip = weir_container_of(body, struct drip, body);

	drip->shy = !drip->shy;
	if (!wait && drip->shy)
		return -EAGAIN;
	if (!drip->text[drip->at])
		return drip->end;
	*piece = (struct iovec){ (char *)(uintptr_t)&drip->text[drip->at++], 1 };
	body->ended = !drip->text[drip->at] && !drip->end;
	return 1;
}

static void drip_free(struct weir_body *body)
{
	weir_container_of(body, struct drip, body)->freed++;
}

static const struct weir_body_ops drip_ops = {
	.name = "drip",
	.next = drip_next,
	.free = drip_free,
};

struct fixture {
	struct weir_arena arena;
	struct drip drip;
	struct replay *replay;
	char got[100];
};

static void fixture_open(struct fixture *f, const char *text, size_t max)
{
	memset(f, 0, sizeof(*f));
	weir_arena_init(&f->arena, 0);
	f->drip.body.ops = &drip_ops;
	f->drip.body.size = WEIR_BODY_UNKNOWN;
	f->drip.text = text;
	f->replay = replay_new(&f->arena, &f->drip.body, max);
	assert_non_null(f->replay);
	assert_true(f->replay->body.size == WEIR_BODY_UNKNOWN);
}

static void fixture_close(struct fixture *f)
{
	weir_body_free(&f->replay->body);
	assert_int_equal(f->drip.freed, 1);
	weir_arena_fini(&f->arena);
}

/* Reads at most N pieces; returns the last status. */
static int take(struct fixture *f, unsigned n, bool wait)
{
	struct iovec piece;
	int status = 1;

	f->got[0] = '\0';
	while (n-- > 0) {
		status = weir_body_next(&f->replay->body, &piece, wait);
		if (status == -EAGAIN)
			continue;
		if (status != 1)
			break;
		strncat(f->got, piece.iov_base, piece.iov_len);
	}
	return status;
}

static void what_was_read_comes_again(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, "hello", 100);
	assert_int_equal(take(&f, 3, true), 1);
	assert_string_equal(f.got, "hel");
	assert_true(replay_rewind(f.replay));
	assert_int_equal(take(&f, 100, false), 0);
	assert_string_equal(f.got, "hello");
	assert_true(f.replay->body.ended);
	assert_int_equal(take(&f, 1, true), 0);
	assert_true(replay_rewind(f.replay));
	assert_int_equal(take(&f, 1, true), 1);
	assert_string_equal(f.got, "hello");
	assert_true(f.replay->body.ended);
	fixture_close(&f);
}

static void too_much_is_passed_on_once(void **state)
{
	struct weir_body_source source;
	struct fixture f;

	(void)state;
	fixture_open(&f, "hello", 3);
	assert_int_equal(take(&f, 3, true), 1);
	assert_int_equal(weir_body_source(&f.replay->body, &source), -EOPNOTSUPP);
	assert_true(replay_rewind(f.replay));
	assert_int_equal(take(&f, 100, true), 0);
	assert_string_equal(f.got, "hello");
	assert_false(replay_rewind(f.replay));
	fixture_close(&f);
}

static void one_that_is_let_go_still_gives_what_it_kept(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, "hello", 100);
	assert_int_equal(take(&f, 3, true), 1);
	assert_true(replay_rewind(f.replay));
	replay_let_go(f.replay);
	assert_false(replay_rewind(f.replay));
	assert_int_equal(take(&f, 100, true), 0);
	assert_string_equal(f.got, "hello");
	fixture_close(&f);
}

static void errors_are_passed_on(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, "he", 100);
	f.drip.end = -ECONNRESET;
	assert_int_equal(take(&f, 100, true), -ECONNRESET);
	assert_false(f.replay->body.ended);
	assert_int_equal(take(&f, 100, true), -ECONNRESET);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_read_comes_again),
		cmocka_unit_test(too_much_is_passed_on_once),
		cmocka_unit_test(one_that_is_let_go_still_gives_what_it_kept),
		cmocka_unit_test(errors_are_passed_on),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}

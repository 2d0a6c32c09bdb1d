/* SPDX-License-Identifier: MIT */

/*
 * The signals that matter are blocked but while we wait for them, so there are no handlers and no
 * moment at which one could hit a half-drawn picture.
 */

#include "tools/weirctl/screen.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static void screen_signals(sigset_t *set)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH };

	sigemptyset(set);
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(set, signals[i]);
}

static void screen_measure(struct screen *screen)
{
	struct winsize size;

	screen->rows = 24;
	screen->columns = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return;
	if (size.ws_row)
		screen->rows = size.ws_row;
	if (size.ws_col)
		screen->columns = size.ws_col;
}

/* The other screen of the terminal, without cursor. */
static void screen_take(struct screen *screen)
{
	screen_measure(screen);
	fputs("\033[?1049h\033[?25l", stdout);
	fflush(stdout);
}

static void screen_give_back(void)
{
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
}

void screen_start(struct screen *screen)
{
	sigset_t set;

	screen_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	screen->is_terminal = isatty(STDOUT_FILENO);
	if (screen->is_terminal)
		screen_take(screen);
}

void screen_stop(struct screen *screen)
{
	if (screen->is_terminal)
		screen_give_back();
}

void screen_begin(const struct screen *screen)
{
	if (screen->is_terminal)
		fputs("\033[H", stdout);
}

void screen_end(const struct screen *screen)
{
	if (screen->is_terminal)
		fputs("\033[J", stdout);
	fflush(stdout);
}

static void screen_suspend(struct screen *screen)
{
	if (screen->is_terminal)
		screen_give_back();
	raise(SIGSTOP);
	if (screen->is_terminal)
		screen_take(screen);
}

bool screen_wait(struct screen *screen, uint64_t ms)
{
	const struct timespec timeout = {
		.tv_sec = (time_t)(ms / 1000),
		.tv_nsec = (long)(ms % 1000) * 1000000,
	};
	sigset_t set;
	int got;

	screen_signals(&set);
	do {
		got = sigtimedwait(&set, NULL, &timeout);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return true;
	if (got == SIGWINCH && screen->is_terminal)
		screen_measure(screen);
	else if (got == SIGTSTP)
		screen_suspend(screen);
	else if (got != SIGWINCH)
		return false;
	return true;
}

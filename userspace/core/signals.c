/* SPDX-License-Identifier: MIT */

#include <weir/signals.h>

#include <errno.h>
#include <sys/signalfd.h>
#include <unistd.h>

static void signals_set(sigset_t *set, const int *numbers)
{
	sigemptyset(set);
	for (; *numbers != 0; numbers++)
		sigaddset(set, *numbers);
}

static bool signals_next(const struct weir_signals *signals, int *number)
{
	struct signalfd_siginfo info;

	if (read(signals->watch.fd, &info, sizeof(info)) != sizeof(info))
		return false;
	*number = (int)info.ssi_signo;
	return true;
}

static void signals_on_readable(struct weir_watch_hook *hook, unsigned ready)
{
	struct weir_signals *signals = weir_container_of(hook, struct weir_signals, hook);
	int number;

	(void)ready;
	weir_watch_clear(&signals->watch, WEIR_READABLE);
	while (signals_next(signals, &number))
		signals->fn(signals->ctx, number);
}

void weir_signals_block(const int *numbers)
{
	sigset_t set;

	signals_set(&set, numbers);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int weir_signals_open(struct weir_signals *signals, const int *numbers, weir_signals_fn *fn,
		      void *ctx)
{
	sigset_t set;
	int fd, status;

	*signals = (struct weir_signals){
		.hook = { .events = WEIR_READABLE, .fn = signals_on_readable },
		.fn = fn,
		.ctx = ctx,
	};
	signals_set(&set, numbers);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	status = weir_watch_add(&signals->watch, fd);
	if (status) {
		close(fd);
		return status;
	}
	pthread_sigmask(SIG_BLOCK, &set, &signals->before);
	weir_watch_set_hook(&signals->watch, &signals->hook);
	return 0;
}

void weir_signals_close(struct weir_signals *signals)
{
	int number;

	if (!signals->watch.loop)
		return;
	while (signals_next(signals, &number))
		;
	weir_watch_close(&signals->watch);
	pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}

/* SPDX-License-Identifier: MIT */
/*
 * One loop over signals and daemons. It never blocks on a daemon: what cannot be sent now is sent
 * when the daemon reads again.
 */

#include "daemon/keeper/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/keeper/keeper_internal.h"
#include "daemon/keeper/manager.h"

#define NS_PER_MS	 UINT64_C(1000000)
#define NEVER		 UINT64_MAX
#define GOOD_NS		 (UINT64_C(10000) * NS_PER_MS) /* of service, then it counts as well */
#define BACKOFF_FIRST_MS 100
#define SUCCESSOR_NS	 (UINT64_C(45000) * NS_PER_MS) /* weirctl waits for 60 s */

static const int passed_on[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR1 };

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 * NS_PER_MS + (uint64_t)now.tv_nsec;
}

void keeper_say(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	dprintf(STDERR_FILENO, "weir: keeper: %s\n", text);
}

struct child *keeper_child_in(struct keeper *keeper, enum child_state state)
{
	for (struct child *child = keeper->children; child < keeper->children + CHILDREN; child++) {
		if (child->state == state)
			return child;
	}
	return NULL;
}

static struct child *child_numbered(struct keeper *keeper, unsigned number)
{
	for (struct child *child = keeper->children; child < keeper->children + CHILDREN; child++) {
		if (child->state != CHILD_NONE && child->number == number)
			return child;
	}
	return NULL;
}

static void child_set_state(struct child *child, enum child_state state)
{
	child->state = state;
	child->since_ns = now_ns();
}

/* Words to a daemon that may have died meanwhile; the loop learns of that by itself. */
static void tell(struct child *child, enum wire_kind kind, const char *text)
{
	int status = text != NULL ? wire_send_text(child->socket, kind, text)
				  : wire_send_plain(child->socket, kind, 0);

	if (status < 0 && status != -EPIPE)
		keeper_say("cannot reach process %d: %s", (int)child->pid, strerror(-status));
}

/* ---- starting ----------------------------------------------------------------------------- */

static int start(struct keeper *keeper, enum wire_role role, unsigned asker)
{
	struct child *child = keeper_child_in(keeper, CHILD_NONE);
	int status;

	if (child == NULL)
		return -EUSERS;
	status = child_start(child, keeper->program, keeper->conf->argv, role, keeper->ledgers);
	if (status < 0)
		return status;
	child->number = ++keeper->last_number;
	child->since_ns = now_ns();
	child->asker = asker;
	child->cursor = keeper->holding.shared.next;
	if (keeper->died[0] != '\0')
		tell(child, WIRE_DIED, keeper->died);
	return 0;
}

/* 0 for the first one, then longer each time. */
static uint64_t backoff_ns(unsigned deaths, unsigned last_ms)
{
	uint64_t ms = BACKOFF_FIRST_MS;

	if (deaths <= 1)
		return 0;
	for (unsigned i = 2; i < deaths && ms < last_ms; i++)
		ms *= 2;
	return WEIR_MIN(ms, last_ms) * NS_PER_MS;
}

static void give_up(struct keeper *keeper)
{
	keeper_say("it has died %u times in a row; given up", keeper->deaths);
	keeper->restart_ns = NEVER;
	manager_store_flows(&keeper->holding);
}

static void plan_restart(struct keeper *keeper)
{
	unsigned limit = keeper->conf->restarts;
	uint64_t wait_ns;

	keeper->deaths++;
	if (limit > 0 && keeper->deaths > limit) {
		give_up(keeper);
		return;
	}
	wait_ns = backoff_ns(keeper->deaths, keeper->conf->backoff_ms);
	keeper->restart_ns = now_ns() + wait_ns;
	keeper_say("the daemon %s; another one starts in %llu ms", keeper->died,
		   (unsigned long long)(wait_ns / NS_PER_MS));
}

static void restart(struct keeper *keeper)
{
	int status;

	keeper->restart_ns = NEVER;
	status = start(keeper, WIRE_ROLE_RESTART, 0);
	if (status == 0)
		return;
	snprintf(keeper->died, sizeof(keeper->died), "could not be started: %s", strerror(-status));
	plan_restart(keeper);
}

/* ---- what daemons say --------------------------------------------------------------------- */

static void on_ready(struct keeper *keeper, struct child *child)
{
	struct child *before = keeper_child_in(keeper, CHILD_SERVING);

	if (before != NULL && before != child) {
		child_set_state(before, CHILD_DRAINING);
		tell(before, WIRE_SUCCEEDED, NULL);
	}
	child_set_state(child, CHILD_SERVING);
	child->asker = 0;
	keeper->died[0] = '\0';
	child->gives_flows = true;
	keeper_give(keeper, child);
}

static void on_upgrade(struct keeper *keeper, struct child *child)
{
	char text[128];
	int status;

	if (keeper->stopping || child->state != CHILD_SERVING) {
		tell(child, WIRE_FAILED, "it is stopping");
		return;
	}
	if (keeper_child_in(keeper, CHILD_STARTING) != NULL) {
		tell(child, WIRE_FAILED, "a successor is starting already");
		return;
	}
	status = start(keeper, WIRE_ROLE_SUCCESSOR, child->number);
	if (status == 0)
		return;
	snprintf(text, sizeof(text), "it cannot be started: %s",
		 status == -EUSERS ? "too many predecessors are draining" : strerror(-status));
	tell(child, WIRE_FAILED, text);
}

static void on_message(struct keeper *keeper, struct child *child,
		       const struct wire_message *message, const int *fds)
{
	switch (message->kind) {
	case WIRE_HOLD:
		keeper_hold(keeper, child, message, fds);
		break;
	case WIRE_DROP:
	case WIRE_RELEASE:
		keeper_let_go(keeper, message);
		break;
	case WIRE_READY:
		on_ready(keeper, child);
		break;
	case WIRE_STOPPING:
		keeper->stopping = true;
		break;
	case WIRE_UPGRADE:
		on_upgrade(keeper, child);
		break;
	case WIRE_FAILED:
		snprintf(child->failure, sizeof(child->failure), "%s", message->text);
		break;
	case WIRE_NOTIFY:
		manager_notify(message->text);
		break;
	default:
		break; /* for daemons only */
	}
}

/* All that it has said. */
static void child_read(struct keeper *keeper, struct child *child)
{
	int fds[WIRE_ENTRIES * WIRE_FDS];
	struct wire_message message;
	unsigned n_fds;
	int status;

	for (;;) {
		status = wire_recv(child->socket, &message, fds, &n_fds);
		if (status == 0)
			on_message(keeper, child, &message, fds);
		else if (status == -EMFILE)
			keeper_say("out of descriptors: something is not held");
		else if (status != -EPROTO)
			break;
	}
	/* The end itself is told by SIGCHLD. */
	child->is_silent = status == -EPIPE;
}

/* ---- ends --------------------------------------------------------------------------------- */

static int exit_status_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void describe(char *text, size_t size, int status)
{
	if (WIFEXITED(status))
		snprintf(text, size, "has ended with status %d", WEXITSTATUS(status));
	else
		snprintf(text, size, "was ended by signal %d", WTERMSIG(status));
}

static void successor_failed(struct keeper *keeper, struct child *child, int status)
{
	struct child *asker = child_numbered(keeper, child->asker);
	char text[WIRE_TEXT + 1];

	describe(text, sizeof(text), status);
	if (asker != NULL)
		tell(asker, WIRE_FAILED, child->failure[0] != '\0' ? child->failure : text);
}

/* What follows from the end of a daemon that was STATE. */
static void on_end(struct keeper *keeper, enum child_state state, enum wire_role role, int status,
		   bool was_good)
{
	bool other = keeper_child_in(keeper, CHILD_SERVING) != NULL ||
		     keeper_child_in(keeper, CHILD_STARTING) != NULL;

	if (state == CHILD_DRAINING || other)
		return;
	keeper->exit_status = exit_status_of(status);
	/* The signal that we passed on came before it could answer it in order. */
	if (keeper->stopping && state == CHILD_STARTING && WIFSIGNALED(status) &&
	    WTERMSIG(status) != SIGKILL)
		keeper->exit_status = 0;
	describe(keeper->died, sizeof(keeper->died), status);
	if (was_good)
		keeper->deaths = 0;
	/* What cannot start at all, or has ended in order, is not started again. */
	if (state == CHILD_STARTING && role == WIRE_ROLE_FIRST)
		keeper->stopping = true;
	if (state == CHILD_SERVING && keeper->exit_status == 0)
		keeper->stopping = true;
	if (!keeper->stopping)
		plan_restart(keeper);
}

static void child_ended(struct keeper *keeper, struct child *child, int status)
{
	bool was_good = child->state == CHILD_SERVING && now_ns() - child->since_ns >= GOOD_NS;
	enum child_state state;
	enum wire_role role = child->role;
	uint64_t active;
	size_t kept;

	child_read(keeper, child);
	state = child->state;
	active = ledger_sum(child->ledger);
	kept = holding_orphan(&keeper->holding, child->number);
	if (exit_status_of(status) != 0 && active > kept)
		keeper->lost += active - kept;
	if (state == CHILD_STARTING && role == WIRE_ROLE_SUCCESSOR)
		successor_failed(keeper, child, status);
	child_fini(child);
	on_end(keeper, state, role, status, was_good);
	keeper_give_free(keeper);
}

/* Also reaps what is not ours, as the first process of a container must. */
static void reap(struct keeper *keeper)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (struct child *child = keeper->children; child < keeper->children + CHILDREN;
		     child++) {
			if (child->state != CHILD_NONE && child->pid == pid)
				child_ended(keeper, child, status);
		}
	}
}

/* ---- signals ------------------------------------------------------------------------------ */

static void children_signal(struct keeper *keeper, int number, bool draining_too)
{
	for (struct child *child = keeper->children; child < keeper->children + CHILDREN; child++) {
		if (child->state == CHILD_NONE || (child->state == CHILD_DRAINING && !draining_too))
			continue;
		kill(child->pid, number);
	}
}

/* The watchdog of the service manager: the daemon hangs, and so we are to go. */
static void abort_all(struct keeper *keeper)
{
	manager_store_flows(&keeper->holding);
	children_signal(keeper, SIGKILL, true);
	keeper->stopping = true;
}

static void on_signal(struct keeper *keeper, int number)
{
	bool draining_too = number == SIGUSR1;

	switch (number) {
	case SIGCHLD:
		reap(keeper);
		return;
	case SIGABRT:
		abort_all(keeper);
		return;
	case SIGTERM:
	case SIGINT:
		/* Those that drain do what the first one asks for already. */
		draining_too = keeper->stopping;
		keeper->stopping = true;
		keeper->restart_ns = NEVER;
		break;
	default:
		break;
	}
	children_signal(keeper, number, draining_too);
}

static void signals_read(struct keeper *keeper)
{
	struct signalfd_siginfo info;

	while (read(keeper->signals, &info, sizeof(info)) == sizeof(info))
		on_signal(keeper, (int)info.ssi_signo);
}

static int signals_open(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGABRT);
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(passed_on); i++)
		sigaddset(&set, passed_on[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* ---- the loop ----------------------------------------------------------------------------- */

/* The next time that something is due. */
static uint64_t next_ns(struct keeper *keeper)
{
	const struct child *starting = keeper_child_in(keeper, CHILD_STARTING);
	uint64_t next = keeper->restart_ns;

	if (starting != NULL && starting->role == WIRE_ROLE_SUCCESSOR)
		next = WEIR_MIN(next, starting->since_ns + SUCCESSOR_NS);
	return next;
}

static int wait_ms(struct keeper *keeper)
{
	uint64_t now = now_ns(), next = next_ns(keeper);

	if (next == NEVER)
		return -1;
	return next <= now ? 0 : (int)((next - now) / NS_PER_MS) + 1;
}

static void check_time(struct keeper *keeper)
{
	struct child *starting = keeper_child_in(keeper, CHILD_STARTING);
	uint64_t now = now_ns();

	if (keeper->restart_ns <= now)
		restart(keeper);
	if (starting == NULL || starting->role != WIRE_ROLE_SUCCESSOR ||
	    starting->since_ns + SUCCESSOR_NS > now)
		return;
	snprintf(starting->failure, sizeof(starting->failure), "it was not ready in time");
	starting->since_ns = now;
	kill(starting->pid, SIGKILL);
}

static void turn(struct keeper *keeper)
{
	struct pollfd polls[CHILDREN + 1] = { { .fd = keeper->signals, .events = POLLIN } };
	struct child *child;
	int i;

	for (i = 0; i < CHILDREN; i++) {
		child = &keeper->children[i];
		polls[i + 1].fd = child->state == CHILD_NONE || child->is_silent ? -1
										 : child->socket;
		polls[i + 1].events = POLLIN | (child_is_given(child) ? POLLOUT : 0);
	}
	if (poll(polls, CHILDREN + 1, wait_ms(keeper)) < 0)
		return;
	for (i = 0; i < CHILDREN; i++) {
		child = &keeper->children[i];
		if (polls[i + 1].revents & (POLLIN | POLLHUP | POLLERR))
			child_read(keeper, child);
		if (polls[i + 1].revents & POLLOUT)
			keeper_give(keeper, child);
	}
	signals_read(keeper);
	check_time(keeper);
}

static bool is_over(struct keeper *keeper)
{
	for (int i = 0; i < CHILDREN; i++) {
		if (keeper->children[i].state != CHILD_NONE)
			return false;
	}
	return keeper->stopping || keeper->restart_ns == NEVER;
}

/* It holds as many descriptors as the daemon has flows, twice. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int ledgers_open(struct keeper *keeper)
{
	size_t bytes = (CHILDREN + 1) * LEDGER_PAGE;
	struct ledger *pages;

	keeper->ledgers = memfd_create("weir-ledger", MFD_CLOEXEC);
	if (keeper->ledgers < 0 || ftruncate(keeper->ledgers, (off_t)bytes) < 0)
		return -errno;
	pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, keeper->ledgers, 0);
	if (pages == MAP_FAILED)
		return -errno;
	for (unsigned i = 0; i < CHILDREN; i++) {
		keeper->children[i].page = i + 1;
		keeper->children[i].ledger = &pages[i + 1];
	}
	return 0;
}

static int keeper_init(struct keeper *keeper)
{
	int status;

	if (readlink("/proc/self/exe", keeper->program, sizeof(keeper->program) - 1) < 0)
		return -errno;
	keeper->restart_ns = NEVER;
	keeper->signals = signals_open();
	if (keeper->signals < 0)
		return -errno;
	prctl(PR_SET_NAME, "weir-keeper");
	/* Whoever reads standard error may go before us. */
	signal(SIGPIPE, SIG_IGN);
	raise_limit();
	holding_init(&keeper->holding);
	manager_adopt(&keeper->holding);
	status = ledgers_open(keeper);
	if (status < 0)
		return status;
	return start(keeper, WIRE_ROLE_FIRST, 0);
}

int weir_keeper_run(const struct weir_keeper_conf *conf)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	int status = keeper == NULL ? -ENOMEM : 0;

	if (status == 0) {
		keeper->conf = conf;
		status = keeper_init(keeper);
	}
	if (status < 0) {
		keeper_say("cannot start: %s", strerror(-status));
		free(keeper);
		return EXIT_FAILURE;
	}
	while (!is_over(keeper))
		turn(keeper);
	holding_fini(&keeper->holding);
	close(keeper->signals);
	status = keeper->exit_status;
	free(keeper);
	return status;
}

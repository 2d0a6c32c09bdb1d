/* SPDX-License-Identifier: MIT */

#include "daemon/keeper/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* The service manager asks by process id whether its variables are for this process. */
static void pass_variable(const char *name)
{
	char text[16];

	if (getenv(name) == NULL)
		return;
	snprintf(text, sizeof(text), "%d", (int)getpid());
	setenv(name, text, 1);
}

static int keep_open(int fd)
{
	return fcntl(fd, F_SETFD, 0);
}

/* In the new process. A process group of its own: what a terminal sends to the group reaches the
 * keeper, which passes it on once. */
static void child_exec(const struct child *child, int socket, int ledgers, const char *program,
		       char **argv, enum wire_role role, pid_t keeper)
{
	char text[64];
	sigset_t none;

	setpgid(0, 0);
	/* Without a keeper it is to drain, so that another one can start. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != keeper || keep_open(socket) < 0 || keep_open(ledgers) < 0)
		_exit(127);
	snprintf(text, sizeof(text), "%d:%d:%d:%u:%d", WIRE_VERSION, socket, ledgers, child->page,
		 (int)role);
	setenv(WIRE_VARIABLE, text, 1);
	unsetenv("LISTEN_FDS");
	pass_variable("WATCHDOG_PID");
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execv(program, argv);
	dprintf(STDERR_FILENO, "weir: keeper: cannot run %s: %s\n", program, strerror(errno));
	_exit(127);
}

int child_start(struct child *child, const char *program, char **argv, enum wire_role role,
		int ledgers)
{
	pid_t keeper = getpid();
	int pair[2], status;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	memset(child->ledger, 0, sizeof(*child->ledger));
	child->pid = fork();
	if (child->pid == 0)
		child_exec(child, pair[1], ledgers, program, argv, role, keeper);
	status = child->pid < 0 ? -errno : 0;
	close(pair[1]);
	if (status < 0) {
		close(pair[0]);
		return status;
	}
	child->state = CHILD_STARTING;
	child->role = role;
	child->socket = pair[0];
	child->gives_flows = false;
	child->is_silent = false;
	child->failure[0] = '\0';
	return 0;
}

void child_fini(struct child *child)
{
	close(child->socket);
	child->socket = -1;
	child->state = CHILD_NONE;
}

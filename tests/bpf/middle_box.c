/* SPDX-License-Identifier: MIT */

#include "tests/bpf/middle_box.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bpf/rig.h"

#define FRAME_MOST   2048u
#define IP_BYTES     20u
#define TCP_BYTES    20u
#define HELD_MOST    32u
#define HELD_FRAMES  4u /* that may overtake one */
#define HELD_MS	     3
#define OUTSIDE_ADDR "10.213.7.1"
#define INSIDE_ADDR  "10.213.7.2"

struct held {
	unsigned size;
	unsigned left; /* frames that still go first */
	unsigned char data[FRAME_MOST];
};

/* One way through. */
struct lane {
	int from, to;
	struct held *held;
	unsigned n_held;
	uint64_t random;
};

static struct {
	int outside_ns, inside_ns, home_ns;
	struct lane lanes[2];
	_Atomic unsigned lose, twice, disturb;
	_Atomic unsigned handshakes; /* under way: nothing is disturbed */
	struct middle_box_counts counts;
	pthread_t thread;
	_Atomic bool stopping;
	char name[2][IFNAMSIZ];
} box;

/* ---- the box ---- */

/* What is not TCP, and handshakes and resets, are left alone. */
static bool frame_is_fair_game(const unsigned char *data, unsigned size)
{
	const unsigned char *ip = data + ETH_HLEN; /* RFC 791, section 3.1 */
	unsigned tcp;

	if (size < ETH_HLEN + IP_BYTES || data[12] != 0x08 || data[13] != 0x00)
		return false;
	tcp = ETH_HLEN + (ip[0] & 0x0fu) * 4;
	if (ip[9] != IPPROTO_TCP || size < tcp + TCP_BYTES)
		return false;
	return (data[tcp + 13] & 0x06) == 0; /* SYN, RST */
}

static void lane_put(const struct lane *lane, const unsigned char *data, unsigned size)
{
	(void)!send(lane->to, data, size, MSG_DONTWAIT);
}

/* A frame has passed, or with ALL time has. */
static void lane_release(struct lane *lane, bool all)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < lane->n_held; i++) {
		struct held *held = &lane->held[i];

		if (!all && held->left > 1) {
			held->left--;
			lane->held[kept++] = *held;
			continue;
		}
		lane_put(lane, held->data, held->size);
	}
	lane->n_held = kept;
}

static bool lane_hold(struct lane *lane, const unsigned char *data, unsigned size)
{
	struct held *held;

	if (lane->n_held == HELD_MOST)
		return false;
	held = &lane->held[lane->n_held++];
	held->size = size;
	held->left = 1 + (unsigned)(rig_random(&lane->random) % HELD_FRAMES);
	memcpy(held->data, data, size);
	box.counts.disturbed++;
	return true;
}

static void lane_pass(struct lane *lane, const unsigned char *data, unsigned size)
{
	unsigned dice = (unsigned)(rig_random(&lane->random) % 1000);

	if (frame_is_fair_game(data, size) && !box.handshakes) {
		if (dice < box.lose) {
			box.counts.lost++;
			return;
		}
		dice -= box.lose;
		if (dice < box.disturb && lane_hold(lane, data, size))
			return;
		dice -= box.disturb;
		if (dice < box.twice) {
			lane_put(lane, data, size);
			box.counts.twice++;
		}
	}
	lane_put(lane, data, size);
	box.counts.passed++;
	lane_release(lane, false);
}

static void lane_run(struct lane *lane)
{
	unsigned char frame[FRAME_MOST];
	struct sockaddr_ll from;
	socklen_t size;
	ssize_t n;

	for (int i = 0; i < 64; i++) {
		size = sizeof(from);
		n = recvfrom(lane->from, frame, sizeof(frame), MSG_DONTWAIT | MSG_TRUNC,
			     (struct sockaddr *)&from, &size);
		if (n < 0)
			return;
		/* Our own come by again on their way out. */
		if (from.sll_pkttype != PACKET_OUTGOING && n <= (ssize_t)sizeof(frame))
			lane_pass(lane, frame, (unsigned)n);
	}
}

static void *box_main(void *arg)
{
	struct pollfd fds[2] = { { .fd = box.lanes[0].from, .events = POLLIN },
				 { .fd = box.lanes[1].from, .events = POLLIN } };

	(void)arg;
	while (!box.stopping) {
		bool quiet = poll(fds, 2, HELD_MS) == 0;

		for (int i = 0; i < 2; i++) {
			if (fds[i].revents)
				lane_run(&box.lanes[i]);
			if (quiet)
				lane_release(&box.lanes[i], true);
		}
	}
	return NULL;
}

/* ---- the network ---- */

static int ethtool_off(int fd, const char *name, uint32_t command)
{
	struct ethtool_value value = { .cmd = command };
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	request.ifr_data = (void *)&value;
	return ioctl(fd, SIOCETHTOOL, &request) ? -errno : 0;
}

/* Else frames of 64 KB without a checksum would come by. */
static int offloads_off(const char *name)
{
	static const uint32_t commands[] = { ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_STXCSUM };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int status = fd < 0 ? -errno : 0;

	for (size_t i = 0; i < WEIR_ARRAY_SIZE(commands) && !status; i++)
		status = ethtool_off(fd, name, commands[i]);
	if (fd >= 0)
		close(fd);
	return status;
}

static int here_ns(void)
{
	return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

/* A namespace with one end of a veth, whose other end is HELPER's. The descriptor, or -errno. */
static int side_make(const char *address, const char *name, const char *far_name, pid_t helper)
{
	char command[400];
	int status;

	if (unshare(CLONE_NEWNET))
		return -errno;
	snprintf(command, sizeof(command),
		 "ip link add %s type veth peer name %s netns %d && ip link set lo up && "
		 "ip link set %s up && ip address add %s/24 dev %s",
		 name, far_name, (int)helper, name, address, name);
	if (system(command) != 0)
		return -ENOTSUP;
	status = offloads_off(name);
	return status ? status : here_ns();
}

static int packet_socket(const char *name)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int size = 16 << 20;
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	char command[100];

	snprintf(command, sizeof(command), "ip link set %s up", name);
	if (fd < 0 || system(command) != 0)
		return -ENOTSUP;
	at.sll_ifindex = (int)if_nametoindex(name);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	return bind(fd, (struct sockaddr *)&at, sizeof(at)) ? -errno : fd;
}

/* The ends of both veths in the middle. */
static int lanes_open(void)
{
	int left = packet_socket("box0"), right = packet_socket("box1");

	if (left < 0 || right < 0)
		return -ENOTSUP;
	box.lanes[0] = (struct lane){ .from = left, .to = right, .random = 88172645463325252ull };
	box.lanes[1] = (struct lane){ .from = right, .to = left, .random = 362436069ull };
	for (int i = 0; i < 2; i++) {
		box.lanes[i].held = calloc(HELD_MOST, sizeof(struct held));
		if (!box.lanes[i].held)
			return -ENOMEM;
	}
	return 0;
}

/* Somebody must be in the middle while the veths are made; the helper only waits. */
static int network_make(void)
{
	int middle, status = 0;
	pid_t helper;

	if (unshare(CLONE_NEWNET))
		return -errno;
	middle = here_ns();
	helper = fork();
	if (helper == 0) {
		pause();
		_exit(0);
	}
	box.outside_ns = side_make(OUTSIDE_ADDR, "out0", "box0", helper);
	box.inside_ns = box.outside_ns < 0 ? -1 : side_make(INSIDE_ADDR, "in0", "box1", helper);
	if (setns(middle, CLONE_NEWNET))
		status = -errno;
	kill(helper, SIGKILL);
	waitpid(helper, NULL, 0);
	if (!status && (box.outside_ns < 0 || box.inside_ns < 0))
		status = -ENOTSUP;
	if (!status)
		status = lanes_open();
	close(middle);
	return status;
}

int middle_box_start(const struct middle_box_conf *conf)
{
	int status;

	memset(&box, 0, sizeof(box));
	box.home_ns = here_ns();
	if (box.home_ns < 0)
		return -errno;
	status = network_make();
	setns(box.home_ns, CLONE_NEWNET);
	if (status)
		return status;
	middle_box_set(conf);
	return -pthread_create(&box.thread, NULL, box_main, NULL);
}

void middle_box_set(const struct middle_box_conf *conf)
{
	box.lose = conf->lose;
	box.twice = conf->twice;
	box.disturb = conf->disturb;
}

void middle_box_stop(struct middle_box_counts *counts)
{
	box.stopping = true;
	pthread_join(box.thread, NULL);
	for (int i = 0; i < 2; i++) {
		close(box.lanes[i].from);
		free(box.lanes[i].held);
	}
	close(box.outside_ns);
	close(box.inside_ns);
	close(box.home_ns);
	*counts = box.counts;
}

/* ---- sockets ---- */

int middle_box_pair(bool from_outside, int fd[2])
{
	int here = from_outside ? box.outside_ns : box.inside_ns;
	int there = from_outside ? box.inside_ns : box.outside_ns;
	struct sockaddr_in to = { .sin_family = AF_INET };
	int listener, status = 0;

	inet_pton(AF_INET, from_outside ? INSIDE_ADDR : OUTSIDE_ADDR, &to.sin_addr);
	setns(there, CLONE_NEWNET);
	listener = rig_listen((struct sockaddr *)&to, sizeof(to));
	setns(here, CLONE_NEWNET);
	fd[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setns(box.home_ns, CLONE_NEWNET);
	if (listener < 0 || fd[0] < 0)
		return -ENOTSUP;
	/* A lost acknowledgement would hold the only thread up for a second. */
	box.handshakes++;
	status = rig_connect(listener, fd);
	box.handshakes--;
	close(listener);
	return status;
}

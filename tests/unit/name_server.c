/* SPDX-License-Identifier: MIT */
/*
 * The name server of loopback.h. It knows one question a message, which is all that c-ares asks.
 */

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "loopback.h"

#define DELAYED_MAX 16

struct delayed {
	uint64_t due_ms; /* 0: unused */
	struct weir_address to;
	size_t size;
	unsigned char reply[512];
};

struct name_server {
	struct name_rule *rules;
	pthread_t thread;
	int udp, tcp, stop[2];
	char text[32];
	atomic_uint asked;
	struct delayed delayed[DELAYED_MAX];
};

static size_t put16(unsigned char *p, unsigned value)
{
	p[0] = (unsigned char)(value >> 8);
	p[1] = (unsigned char)value;
	return 2;
}

/* "a.b" as labels. */
static size_t put_name(unsigned char *p, const char *name)
{
	unsigned char *start = p;

	while (*name && strcmp(name, ".") != 0) {
		size_t n = strcspn(name, ".");

		*p++ = (unsigned char)n;
		memcpy(p, name, n);
		p += n;
		name += n + (name[n] == '.');
	}
	*p++ = 0;
	return (size_t)(p - start);
}

static size_t put_value(unsigned char *p, enum name_type type, const char *value)
{
	unsigned priority, weight, port;
	char host[128];

	switch (type) {
	case NAME_A:
		return inet_pton(AF_INET, value, p) == 1 ? 4 : 0;
	case NAME_AAAA:
		return inet_pton(AF_INET6, value, p) == 1 ? 16 : 0;
	case NAME_CNAME:
		return put_name(p, value);
	case NAME_SRV:
		if (sscanf(value, "%u %u %u %127s", &priority, &weight, &port, host) != 4)
			return 0;
		put16(p, priority);
		put16(p + 2, weight);
		put16(p + 4, port);
		return 6 + put_name(p + 6, host);
	}
	return 0;
}

static size_t put_records(unsigned char *p, const struct name_rule *rule, unsigned *count)
{
	unsigned char *start = p;

	for (*count = 0; rule->values[*count]; ++*count) {
		size_t size = put_value(p + 12, rule->type, rule->values[*count]);

		p += put16(p, 0xc00c); /* the question's name */
		p += put16(p, rule->type);
		p += put16(p, 1);
		p += put16(p, rule->ttl >> 16);
		p += put16(p, rule->ttl & 0xffff);
		p += put16(p, (unsigned)size);
		p += size;
	}
	return (size_t)(p - start);
}

/* The name of the question, dotted; returns where its type is. */
static size_t question_read(const unsigned char *query, char *name)
{
	size_t at = 12, n = 0;

	while (query[at]) {
		for (unsigned i = 1; i <= query[at]; i++)
			name[n++] = (char)query[at + i];
		name[n++] = '.';
		at += query[at] + 1u;
	}
	name[n ? n - 1 : 0] = '\0';
	return at + 1;
}

static struct name_rule *rule_find(struct name_server *server, const char *name, unsigned type,
				   bool *exists)
{
	*exists = false;
	for (struct name_rule *rule = server->rules; rule->name; rule++) {
		if (strcasecmp(rule->name, name) != 0)
			continue;
		*exists = true;
		if (rule->type == type)
			return rule;
	}
	return NULL;
}

/* Writes the reply to QUERY; 0: none. */
static size_t server_answer(struct name_server *server, const unsigned char *query,
			    unsigned char *reply, bool is_tcp, unsigned *delay_ms)
{
	char name[256];
	size_t size = question_read(query, name) + 4;
	unsigned type = (unsigned)query[size - 4] << 8 | query[size - 3];
	unsigned count = 0;
	bool exists;
	struct name_rule *rule = rule_find(server, name, type, &exists);

	atomic_fetch_add(&server->asked, 1);
	memcpy(reply, query, size);
	put16(reply + 2, 0x8180 | (exists ? 0 : 3));
	memset(reply + 6, 0, 6);
	*delay_ms = 0;
	if (!rule)
		return size;
	atomic_fetch_add(&rule->asked, 1);
	*delay_ms = rule->delay_ms;
	switch (rule->action) {
	case NAME_SILENT:
		return 0;
	case NAME_FAIL:
		put16(reply + 2, 0x8182);
		return size;
	case NAME_NOT_FOUND:
		put16(reply + 2, 0x8183);
		return size;
	case NAME_TRUNCATE:
		if (!is_tcp) {
			put16(reply + 2, 0x8380);
			return size;
		}
		break;
	case NAME_ANSWER:
		break;
	}
	size += put_records(reply + size, rule, &count);
	put16(reply + 6, count);
	return size;
}

static void server_delay(struct name_server *server, const struct delayed *delayed)
{
	for (int i = 0; i < DELAYED_MAX; i++) {
		if (server->delayed[i].due_ms == 0) {
			server->delayed[i] = *delayed;
			return;
		}
	}
	abort();
}

static void server_on_udp(struct name_server *server)
{
	unsigned char query[512];
	struct delayed reply = { .to.size = sizeof(reply.to.un) };
	unsigned delay_ms;

	if (recvfrom(server->udp, query, sizeof(query), 0, &reply.to.sa, &reply.to.size) < 17)
		return;
	reply.size = server_answer(server, query, reply.reply, false, &delay_ms);
	reply.due_ms = loopback_ms() + delay_ms;
	if (!reply.size)
		return;
	if (delay_ms)
		server_delay(server, &reply);
	else
		sendto(server->udp, reply.reply, reply.size, 0, &reply.to.sa, reply.to.size);
}

/* One question a connection, which c-ares sends in one piece. */
static void server_on_tcp(struct name_server *server)
{
	unsigned char query[514], reply[514];
	unsigned delay_ms;
	size_t size;
	int fd = accept(server->tcp, NULL, NULL);

	if (fd < 0)
		return;
	if (recv(fd, query, sizeof(query), 0) > 19) {
		size = server_answer(server, query + 2, reply + 2, true, &delay_ms);
		put16(reply, (unsigned)size);
		if (send(fd, reply, size + 2, MSG_NOSIGNAL) < 0)
			abort();
	}
	close(fd);
}

/* Sends what is due; returns the time to the next in ms, -1: none. */
static int server_send_delayed(struct name_server *server)
{
	int wait_ms = -1;
	uint64_t now = loopback_ms();

	for (int i = 0; i < DELAYED_MAX; i++) {
		struct delayed *delayed = &server->delayed[i];

		if (delayed->due_ms == 0)
			continue;
		if (delayed->due_ms <= now) {
			sendto(server->udp, delayed->reply, delayed->size, 0, &delayed->to.sa,
			       delayed->to.size);
			delayed->due_ms = 0;
		} else if (wait_ms < 0 || delayed->due_ms - now < (uint64_t)wait_ms) {
			wait_ms = (int)(delayed->due_ms - now);
		}
	}
	return wait_ms;
}

static void *server_run(void *arg)
{
	struct name_server *server = arg;
	struct pollfd fds[] = {
		{ .fd = server->udp, .events = POLLIN },
		{ .fd = server->tcp, .events = POLLIN },
		{ .fd = server->stop[0], .events = POLLIN },
	};

	while (!fds[2].revents) {
		if (poll(fds, 3, server_send_delayed(server)) < 0 && errno != EINTR)
			abort();
		if (fds[0].revents)
			server_on_udp(server);
		if (fds[1].revents)
			server_on_tcp(server);
	}
	return NULL;
}

struct name_server *name_server_start(struct name_rule *rules)
{
	struct name_server *server = calloc(1, sizeof(*server));
	uint16_t port = loopback_port();
	struct weir_address address = loopback_address(port);
	int one = 1, failed = pipe(server->stop);

	server->rules = rules;
	server->udp = socket(AF_INET, SOCK_DGRAM, 0);
	server->tcp = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(server->tcp, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	failed |= bind(server->udp, &address.sa, address.size);
	failed |= bind(server->tcp, &address.sa, address.size) || listen(server->tcp, 16);
	assert(!failed);
	snprintf(server->text, sizeof(server->text), "127.0.0.1:%u", port);
	failed = pthread_create(&server->thread, NULL, server_run, server);
	assert(!failed);
	return server;
}

void name_server_stop(struct name_server *server)
{
	if (write(server->stop[1], "x", 1) != 1)
		abort();
	pthread_join(server->thread, NULL);
	close(server->udp);
	close(server->tcp);
	close(server->stop[0]);
	close(server->stop[1]);
	free(server);
}

const char *name_server_text(const struct name_server *server)
{
	return server->text;
}

unsigned name_server_asked(struct name_server *server)
{
	return atomic_load(&server->asked);
}

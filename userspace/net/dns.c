/* SPDX-License-Identifier: MIT */
/*
 * c-ares on libuv. One timer starts new questions (at once, but from the loop's stack) and tells
 * c-ares of the time; one poll handle follows each of its sockets.
 *
 * The hosts file has a channel of its own, which answers while it is asked: a name that stands
 * there with one family has no addresses of the other one, whatever a name server would say.
 */

#define CARES_NO_DEPRECATED /* c-ares 1.28 calls functions so that 1.18 has nothing else for */
#include <ares.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <uv.h>

#include <weir/loop.h>

#include "net/dns.h"

#define DNS_TIMEOUT_MS 2000
#define DNS_ATTEMPTS   2
#define DNS_CLASS_IN   1
#define DNS_TYPE_SRV   33
#define HOSTS_TTL_S    1 /* how soon an edit of the hosts file is seen */

struct dns {
	ares_channel servers;
	ares_channel hosts;
	uv_loop_t *uv;
	uv_timer_t timer;
	struct weir_list polls; /* struct dns_poll */
	struct weir_list queue; /* questions that were not asked yet */
	unsigned asked;		/* questions that c-ares has */
	unsigned holds;
};

struct dns_poll {
	struct weir_list link;
	struct dns *dns;
	uv_poll_t poll;
	int fd;
};

static void dns_arm(struct dns *dns);

/* ------------------------------------------------------------------------------------------
 * Sockets
 */

static void poll_on_close(uv_handle_t *handle)
{
	free(weir_container_of((uv_poll_t *)handle, struct dns_poll, poll));
}

static void poll_on_event(uv_poll_t *handle, int status, int events)
{
	struct dns_poll *poll = weir_container_of(handle, struct dns_poll, poll);
	struct dns *dns = poll->dns;
	bool failed = status < 0;

	/* On an error c-ares finds out itself what it is. POLL may be gone after this. */
	ares_process_fd(dns->servers, failed || events & UV_READABLE ? poll->fd : ARES_SOCKET_BAD,
			failed || events & UV_WRITABLE ? poll->fd : ARES_SOCKET_BAD);
	dns_arm(dns);
}

static void poll_close(struct dns_poll *poll)
{
	weir_list_del(&poll->link);
	uv_close((uv_handle_t *)&poll->poll, poll_on_close);
}

static struct dns_poll *poll_find(struct dns *dns, int fd)
{
	for (struct weir_list *link = dns->polls.next; link != &dns->polls; link = link->next) {
		struct dns_poll *poll = weir_container_of(link, struct dns_poll, link);

		if (poll->fd == fd)
			return poll;
	}
	return NULL;
}

static struct dns_poll *poll_open(struct dns *dns, int fd)
{
	struct dns_poll *poll = calloc(1, sizeof(*poll));

	if (!poll || uv_poll_init(dns->uv, &poll->poll, fd)) {
		free(poll);
		return NULL;
	}
	poll->dns = dns;
	poll->fd = fd;
	weir_list_add_tail(&dns->polls, &poll->link);
	if (dns->holds == 0)
		uv_unref((uv_handle_t *)&poll->poll);
	return poll;
}

static void dns_on_socket(void *data, ares_socket_t fd, int readable, int writable)
{
	struct dns *dns = data;
	struct dns_poll *poll = poll_find(dns, fd);
	int events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);

	if (!events && poll)
		poll_close(poll);
	if (events && !poll)
		poll = poll_open(dns, fd);
	/* Without memory for it the try runs into its timeout, and the next one may do better. */
	if (events && poll)
		uv_poll_start(&poll->poll, events, poll_on_event);
}

/* ------------------------------------------------------------------------------------------
 * Questions
 */

static int dns_status(int ares)
{
	switch (ares) {
	case ARES_SUCCESS:
		return 0;
	case ARES_ENOTFOUND:
	case ARES_ENODATA:
	case ARES_EBADNAME:
		return WEIR_ERESOLVE;
	case ARES_ENOMEM:
		return -ENOMEM;
	default:
		return WEIR_ETRYAGAIN;
	}
}

static int question_family(const struct dns_question *question)
{
	return question->type == DNS_A ? AF_INET : AF_INET6;
}

static void question_finish(struct dns_question *question, const struct dns_answer *answer)
{
	question->dns->asked--;
	question->done(question, answer);
}

static void question_on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *list)
{
	struct dns_question *question = arg;
	struct dns_answer answer = { .status = dns_status(status) };

	(void)timeouts;
	if (status == ARES_SUCCESS)
		dns_answer_read_addresses(&answer, list, question_family(question));
	if (list)
		ares_freeaddrinfo(list);
	question_finish(question, &answer);
}

static void question_on_services(void *arg, int status, int timeouts, unsigned char *reply,
				 int size)
{
	struct dns_question *question = arg;
	struct dns_answer answer = { .status = dns_status(status) };

	(void)timeouts;
	if (status == ARES_SUCCESS)
		dns_answer_read_services(&answer, reply, size);
	question_finish(question, &answer);
}

static void hosts_on_addresses(void *arg, int status, int timeouts, struct ares_addrinfo *list)
{
	struct ares_addrinfo **out = arg;

	(void)timeouts;
	if (status == ARES_SUCCESS)
		*out = list;
	else if (list)
		ares_freeaddrinfo(list);
}

/* Whether the name stands in the hosts file. */
static bool question_ask_hosts(struct dns_question *question)
{
	struct ares_addrinfo_hints hints = { .ai_flags = ARES_AI_NOSORT,
					     .ai_socktype = SOCK_STREAM };
	struct ares_addrinfo *list = NULL;
	struct dns_answer answer;

	ares_getaddrinfo(question->dns->hosts, question->name, NULL, &hints, hosts_on_addresses,
			 &list);
	if (!list)
		return false;
	dns_answer_read_addresses(&answer, list, question_family(question));
	answer.ttl_s = HOSTS_TTL_S;
	ares_freeaddrinfo(list);
	question_finish(question, &answer);
	return true;
}

static void question_ask(struct dns_question *question)
{
	struct dns *dns = question->dns;
	struct ares_addrinfo_hints hints = { .ai_flags = ARES_AI_NOSORT,
					     .ai_socktype = SOCK_STREAM };

	dns->asked++;
	if (question->type == DNS_SRV) {
		ares_query(dns->servers, question->name, DNS_CLASS_IN, DNS_TYPE_SRV,
			   question_on_services, question);
		return;
	}
	if (question_ask_hosts(question))
		return;
	hints.ai_family = question_family(question);
	ares_getaddrinfo(dns->servers, question->name, NULL, &hints, question_on_addresses,
			 question);
}

/* ------------------------------------------------------------------------------------------
 * Time
 */

static void dns_on_timer(uv_timer_t *timer)
{
	struct dns *dns = weir_container_of(timer, struct dns, timer);
	struct weir_list *link;

	while ((link = weir_list_pop(&dns->queue)))
		question_ask(weir_container_of(link, struct dns_question, link));
	ares_process_fd(dns->servers, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	dns_arm(dns);
}

/* For new questions at once, else for the next timeout of c-ares. */
static void dns_arm(struct dns *dns)
{
	struct timeval tv;
	uint64_t ms = 0;

	if (weir_list_is_empty(&dns->queue)) {
		if (dns->asked == 0 || !ares_timeout(dns->servers, NULL, &tv)) {
			uv_timer_stop(&dns->timer);
			return;
		}
		ms = (uint64_t)tv.tv_sec * 1000 + (uint64_t)tv.tv_usec / 1000 + 1;
	}
	uv_timer_start(&dns->timer, dns_on_timer, ms, 0);
}

void dns_ask(struct dns *dns, struct dns_question *question)
{
	question->dns = dns;
	weir_list_add_tail(&dns->queue, &question->link);
	dns_arm(dns);
}

static void dns_ref(struct dns *dns, void (*ref)(uv_handle_t *handle))
{
	ref((uv_handle_t *)&dns->timer);
	for (struct weir_list *link = dns->polls.next; link != &dns->polls; link = link->next)
		ref((uv_handle_t *)&weir_container_of(link, struct dns_poll, link)->poll);
}

void dns_hold(struct dns *dns)
{
	if (dns->holds++ == 0)
		dns_ref(dns, uv_ref);
}

void dns_release(struct dns *dns)
{
	if (--dns->holds == 0)
		dns_ref(dns, uv_unref);
}

/* ------------------------------------------------------------------------------------------
 * Life
 */

static int dns_open_servers(struct dns *dns, const struct weir_resolver_conf *conf)
{
	struct ares_options options = {
		.timeout = (int)(conf->timeout_ms ? conf->timeout_ms : DNS_TIMEOUT_MS),
		.tries = (int)(conf->attempts ? conf->attempts : DNS_ATTEMPTS),
		.sock_state_cb = dns_on_socket,
		.sock_state_cb_data = dns,
		.lookups = (char[]){ "b" },
	};
	int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS;
	int status;

#ifdef ARES_OPT_QUERY_CACHE
	mask |= ARES_OPT_QUERY_CACHE; /* of 0 seconds: the cache is ours */
#endif
	status = ares_init_options(&dns->servers, &options, mask);
	if (status == ARES_SUCCESS && conf->servers) {
		status = ares_set_servers_ports_csv(dns->servers, conf->servers);
		if (status != ARES_SUCCESS)
			ares_destroy(dns->servers);
	}
	return status;
}

static int dns_open_hosts(struct dns *dns)
{
	struct ares_options options = { .lookups = (char[]){ "f" } };

	return ares_init_options(&dns->hosts, &options, ARES_OPT_LOOKUPS);
}

struct dns *dns_new(struct weir_loop *loop, const struct weir_resolver_conf *conf,
		    struct weir_error *error)
{
	struct dns *dns = calloc(1, sizeof(*dns));
	int status = ARES_ENOMEM;

	if (!dns)
		goto err;
	weir_list_init(&dns->polls);
	weir_list_init(&dns->queue);
	dns->uv = weir_loop_uv(loop);
	status = dns_open_servers(dns, conf);
	if (status != ARES_SUCCESS)
		goto err;
	status = dns_open_hosts(dns);
	if (status != ARES_SUCCESS)
		goto err_hosts;
	uv_timer_init(dns->uv, &dns->timer);
	uv_unref((uv_handle_t *)&dns->timer);
	return dns;
err_hosts:
	ares_destroy(dns->servers);
err:
	weir_error_set(error, status == ARES_ENOMEM ? -ENOMEM : -EINVAL,
		       "cannot set up name resolution%s%s: %s", conf->servers ? " by " : "",
		       conf->servers ? conf->servers : "", ares_strerror(status));
	if (conf->servers)
		weir_error_remedy(error,
				  "name servers are written as \"192.0.2.1:53,[2001:db8::1]:53\"");
	free(dns);
	return NULL;
}

static void dns_on_close(uv_handle_t *handle)
{
	free(weir_container_of((uv_timer_t *)handle, struct dns, timer));
}

void dns_free(struct dns *dns)
{
	static const struct dns_answer none = { .status = WEIR_ETRYAGAIN };
	struct weir_list *link;

	if (!dns)
		return;
	while ((link = weir_list_pop(&dns->queue))) {
		struct dns_question *question = weir_container_of(link, struct dns_question, link);

		question->done(question, &none);
	}
	/* Calls back every question that it has, and closes its sockets. */
	ares_destroy(dns->servers);
	ares_destroy(dns->hosts);
	uv_close((uv_handle_t *)&dns->timer, dns_on_close);
}

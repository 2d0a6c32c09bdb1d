/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NET_DNS_H
#define WEIR_NET_DNS_H

/*
 * Questions to the hosts file and to name servers, by c-ares on a loop's libuv. No cache, no
 * tasks: a question is asked from the loop's own stack (c-ares wants more than a task should
 * touch), and its callback comes from there too.
 */

#include <weir/address.h>
#include <weir/error.h>
#include <weir/list.h>
#include <weir/resolver.h>

struct ares_addrinfo;
struct dns;

enum dns_type { DNS_A, DNS_AAAA, DNS_SRV };

struct dns_record {
	struct weir_address address; /* of A and AAAA, without port */
	char *host;		     /* of SRV; heap */
	uint16_t port;
	uint16_t priority;
	uint16_t weight;
};

struct dns_answer {
	int status; /* 0: there are records; WEIR_ERESOLVE, WEIR_ETRYAGAIN, -ENOMEM */
	unsigned ttl_s;
	size_t n;
	struct dns_record *records; /* heap */
};

void dns_answer_fini(struct dns_answer *answer);
/* The addresses of FAMILY. */
void dns_answer_read_addresses(struct dns_answer *answer, const struct ares_addrinfo *list,
			       int family);
/* The SRV records of a reply of SIZE bytes, by priority. */
void dns_answer_read_services(struct dns_answer *answer, const unsigned char *reply, int size);

/* Caller's memory until DONE is called, which takes over what ANSWER holds. */
struct dns_question {
	struct weir_list link; /* private */
	struct dns *dns;       /* private */
	enum dns_type type;
	const char *name;
	void (*done)(struct dns_question *question, const struct dns_answer *answer);
};

struct dns *dns_new(struct weir_loop *loop, const struct weir_resolver_conf *conf,
		    struct weir_error *error) WEIR_MUST_CHECK;
/* Open questions are answered with WEIR_ETRYAGAIN. */
void dns_free(struct dns *dns);
/* Asks soon; DONE is never called from here. */
void dns_ask(struct dns *dns, struct dns_question *question);
/* Between the two, somebody waits for answers: the loop goes on for them. */
void dns_hold(struct dns *dns);
void dns_release(struct dns *dns);

#endif

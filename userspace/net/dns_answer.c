/* SPDX-License-Identifier: MIT */
/*
 * What c-ares gives as records of our own.
 */

#define CARES_NO_DEPRECATED /* c-ares 1.28 calls functions so that 1.18 has nothing else for */
#include <ares.h>

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "net/dns.h"

#define ANSWER_RECORDS_MAX 64u
#define DNS_HEADER_BYTES   12
#define DNS_QUESTION_BYTES 4  /* after the name: type, class */
#define DNS_RECORD_BYTES   10 /* after the name: type, class, TTL, length (RFC 1035 4.1.3) */

void dns_answer_fini(struct dns_answer *answer)
{
	for (size_t i = 0; i < answer->n; i++)
		free(answer->records[i].host);
	free(answer->records);
	answer->records = NULL;
	answer->n = 0;
}

static void answer_settle(struct dns_answer *answer)
{
	if (answer->status)
		dns_answer_fini(answer);
	else if (answer->n == 0)
		answer->status = WEIR_ERESOLVE;
}

static int answer_reserve(struct dns_answer *answer, size_t n)
{
	if (n == 0)
		return 0;
	answer->records = calloc(n, sizeof(*answer->records));
	return answer->records ? 0 : -ENOMEM;
}

/* ------------------------------------------------------------------------------------------
 * Addresses
 */

void dns_answer_read_addresses(struct dns_answer *answer, const struct ares_addrinfo *list,
			       int family)
{
	const struct ares_addrinfo_node *node;
	unsigned n = 0;

	*answer = (struct dns_answer){ .ttl_s = UINT32_MAX };
	for (node = list->nodes; node; node = node->ai_next)
		n += node->ai_family == family;
	n = WEIR_MIN(n, ANSWER_RECORDS_MAX);
	answer->status = answer_reserve(answer, n);
	for (node = list->nodes; node && answer->n < n && !answer->status; node = node->ai_next) {
		if (node->ai_family != family)
			continue;
		weir_address_set(&answer->records[answer->n++].address, node->ai_addr,
				 node->ai_addrlen);
		answer->ttl_s = WEIR_MIN(answer->ttl_s, (unsigned)WEIR_MAX(node->ai_ttl, 0));
	}
	for (const struct ares_addrinfo_cname *cname = list->cnames; cname; cname = cname->next)
		answer->ttl_s = WEIR_MIN(answer->ttl_s, (unsigned)WEIR_MAX(cname->ttl, 0));
	answer_settle(answer);
}

/* ------------------------------------------------------------------------------------------
 * Services
 */

/* Behind the name at P, or NULL where the reply ends too early. */
static const unsigned char *name_skip(const unsigned char *p, const unsigned char *end)
{
	while (p && p < end) {
		if ((*p & 0xc0) == 0xc0)
			return end - p >= 2 ? p + 2 : NULL;
		if (*p == 0)
			return p + 1;
		p = *p < end - p ? p + 1 + *p : NULL;
	}
	return NULL;
}

static unsigned read16(const unsigned char *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* The smallest TTL of the answer section, which ares_parse_srv_reply() does not tell. */
static unsigned reply_ttl(const unsigned char *reply, size_t size)
{
	const unsigned char *p = reply + DNS_HEADER_BYTES, *end = reply + size;
	unsigned ttl = INT32_MAX; /* the largest there is (RFC 2181 section 8) */

	if (size < DNS_HEADER_BYTES)
		return 0;
	for (unsigned n = read16(reply + 4); n && p; n--) {
		p = name_skip(p, end);
		p = p && end - p >= DNS_QUESTION_BYTES ? p + DNS_QUESTION_BYTES : NULL;
	}
	for (unsigned n = read16(reply + 6); n && p; n--) {
		p = name_skip(p, end);
		if (!p || end - p < DNS_RECORD_BYTES)
			break;
		ttl = WEIR_MIN(ttl, read16(p + 4) << 16 | read16(p + 6));
		p = end - p - DNS_RECORD_BYTES >= (int)read16(p + 8)
			    ? p + DNS_RECORD_BYTES + read16(p + 8)
			    : NULL;
	}
	return ttl;
}

static int record_by_priority(const void *a, const void *b)
{
	const struct dns_record *x = a, *y = b;

	return (x->priority > y->priority) - (x->priority < y->priority);
}

/* "." as the target says that there is no such service (RFC 2782). */
static bool service_is_usable(const struct ares_srv_reply *srv)
{
	size_t size = srv->host ? strlen(srv->host) : 0;

	return size > 0 && size <= WEIR_HOST_MAX && strcmp(srv->host, ".") != 0 && srv->port > 0;
}

static int answer_add_services(struct dns_answer *answer, const struct ares_srv_reply *list)
{
	unsigned n = 0;
	int status;

	for (const struct ares_srv_reply *srv = list; srv; srv = srv->next)
		n += service_is_usable(srv);
	n = WEIR_MIN(n, ANSWER_RECORDS_MAX);
	status = answer_reserve(answer, n);
	for (const struct ares_srv_reply *srv = list; srv && answer->n < n && !status;
	     srv = srv->next) {
		struct dns_record *record = &answer->records[answer->n];

		if (!service_is_usable(srv))
			continue;
		record->host = strdup(srv->host);
		if (!record->host)
			return -ENOMEM;
		record->port = srv->port;
		record->priority = srv->priority;
		record->weight = srv->weight;
		answer->n++;
	}
	if (answer->n > 1)
		qsort(answer->records, answer->n, sizeof(*answer->records), record_by_priority);
	return status;
}

void dns_answer_read_services(struct dns_answer *answer, const unsigned char *reply, int size)
{
	struct ares_srv_reply *list = NULL;
	int status = ares_parse_srv_reply(reply, size, &list);

	*answer = (struct dns_answer){ 0 };
	if (status == ARES_ENODATA)
		answer->status = WEIR_ERESOLVE;
	else if (status != ARES_SUCCESS)
		answer->status = status == ARES_ENOMEM ? -ENOMEM : WEIR_ETRYAGAIN;
	else
		answer->status = answer_add_services(answer, list);
	answer->ttl_s = reply_ttl(reply, (size_t)size);
	if (list)
		ares_free_data(list);
	answer_settle(answer);
}

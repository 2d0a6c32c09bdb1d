/* SPDX-License-Identifier: MIT */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

/*
 * Errors are numbers inside and sentences at the edge.
 *
 * Functions return 0 or a negative number: -errno, or one of enum weir_errno below -10000.
 * While configuration is read or a stack of services is built, a struct weir_error takes a
 * sentence with its place and a remedy. A function reports an error or logs it, never both.
 */

#include <weir/base.h>

enum weir_errno {
	WEIR_ELIMIT = -10001,	    /* a configured limit is reached */
	WEIR_ERATE = -10002,	    /* a configured rate is exceeded */
	WEIR_ENOENDPOINT = -10003,  /* no endpoint of the upstream may be used */
	WEIR_ERESOLVE = -10004,	    /* the name does not exist or has no address */
	WEIR_ETRYAGAIN = -10005,    /* the name servers did not answer */
	WEIR_EPOLICY = -10006,	    /* refused by a policy */
	WEIR_ECONFIG = -10007,	    /* the configuration is wrong; struct weir_error says why */
	WEIR_EPROTO = -10008,	    /* the peer broke its protocol */
	WEIR_EQUEUE = -10009,	    /* a bounded queue is full, or the wait in it was too long */
	WEIR_ESHUTDOWN = -10010,    /* the process is stopping */
	WEIR_EIDLE = -10011,	    /* nothing moved for the idle timeout */
	WEIR_ELIFETIME = -10012,    /* the lifetime limit is reached */
	WEIR_EADMIN = -10013,	    /* ended by an operator */
	WEIR_ESTATUS = -10014,	    /* an HTTP health check got another status than expected */
	WEIR_ETLS = -10015,	    /* TLS: the two do not agree, or one of them broke it */
	WEIR_ECERTIFICATE = -10016, /* TLS: the peer does not prove to be whom it should be */
	WEIR_ETRUNCATED = -10017,   /* TLS: the bytes ended without close_notify */
	WEIR_EPROXY = -10018,	    /* a proxy on the way refuses to connect */
};

/* A short text for any status of this library, 0 included. Static memory; never NULL. */
const char *weir_strerror(int status);

/* A short name ("connection_limit", "ETIMEDOUT") for metrics and logs. Never NULL. */
const char *weir_error_name(int status);

/*
 * Where and what is wrong, for a person. Caller's memory; zero it first (or
 * weir_error_init()). Functions that take one accept NULL when nobody wants the sentence.
 */
struct weir_error {
	int status;	   /* 0 while nothing is set */
	unsigned line;	   /* 1-based; 0 when there is no file */
	char file[256];	   /* path as the user gave it; "" when there is none */
	char message[384]; /* what is wrong: no full stop, no file name */
	char remedy[256];  /* what would be right; may be "" */
};

void weir_error_init(struct weir_error *error);

/* Sets status and message; keeps file, line and remedy. Returns STATUS, so that a caller can
 * `return weir_error_set(...)`. ERROR may be NULL. */
int weir_error_set(struct weir_error *error, int status, const char *format, ...) WEIR_PRINTF(3, 4);

/* Says what would be right. ERROR may be NULL. */
void weir_error_remedy(struct weir_error *error, const char *format, ...) WEIR_PRINTF(2, 3);

/* Says where. ERROR may be NULL; FILE may be NULL for none. */
void weir_error_at(struct weir_error *error, const char *file, unsigned line);

/* Writes "file:line: message; remedy" (parts that exist), cut to SIZE, always terminated.
 * Returns TEXT. */
char *weir_error_format(const struct weir_error *error, char *text, size_t size);

#endif

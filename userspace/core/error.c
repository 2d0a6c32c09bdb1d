/* SPDX-License-Identifier: MIT */

/*
 * The texts come from two tables: this library's own below, the C library's for errno. Both are
 * static memory and independent of the locale, so that any thread may keep them and a log means
 * the same on every machine.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <weir/error.h>

struct error_text {
	int status;
	const char *name;
	const char *text;
};

static const struct error_text error_texts[] = {
	{ WEIR_ELIMIT, "connection_limit", "a configured limit is reached" },
	{ WEIR_ERATE, "rate_limit", "a configured rate is exceeded" },
	{ WEIR_ENOENDPOINT, "no_endpoint", "no endpoint of the upstream is usable" },
	{ WEIR_ERESOLVE, "no_such_name", "the name does not exist or has no address" },
	{ WEIR_ETRYAGAIN, "no_name_server", "the name servers did not answer" },
	{ WEIR_EPOLICY, "policy", "refused by a policy" },
	{ WEIR_ECONFIG, "configuration", "the configuration is wrong" },
	{ WEIR_EPROTO, "protocol", "the peer broke its protocol" },
	{ WEIR_EQUEUE, "queue", "the queue is full or the wait in it was too long" },
	{ WEIR_ESHUTDOWN, "shutdown", "the process is stopping" },
	{ WEIR_EIDLE, "idle_timeout", "nothing moved for the idle timeout" },
	{ WEIR_ELIFETIME, "lifetime", "the lifetime limit is reached" },
	{ WEIR_EADMIN, "admin", "ended by an operator" },
	{ WEIR_ESTATUS, "unexpected_status", "the health check got another status than expected" },
	{ WEIR_ETLS, "tls", "TLS failed" },
	{ WEIR_ECERTIFICATE, "certificate", "the peer's certificate will not do" },
	{ WEIR_ETRUNCATED, "truncated", "the peer's bytes ended without TLS's close_notify" },
	{ WEIR_EPROXY, "proxy", "the proxy on the way refuses to connect" },
	{ 0, "ok", "success" },
};

static const struct error_text *error_find(int status)
{
	for (size_t i = 0; i < WEIR_ARRAY_SIZE(error_texts); i++) {
		if (error_texts[i].status == status)
			return &error_texts[i];
	}
	return NULL;
}

/* Whether STATUS can be -errno at all; negating INT_MIN would overflow. */
static bool error_is_errno(int status)
{
	return status < 0 && status > -4096;
}

const char *weir_strerror(int status)
{
	const struct error_text *own = error_find(status);
	const char *text = NULL;

	if (own)
		return own->text;
	if (error_is_errno(status))
		text = strerrordesc_np(-status);
	return text ? text : "unknown error";
}

const char *weir_error_name(int status)
{
	const struct error_text *own = error_find(status);
	const char *name = NULL;

	if (own)
		return own->name;
	if (error_is_errno(status))
		name = strerrorname_np(-status);
	return name ? name : "unknown";
}

void weir_error_init(struct weir_error *error)
{
	if (error)
		memset(error, 0, sizeof(*error));
}

int weir_error_set(struct weir_error *error, int status, const char *format, ...)
{
	va_list args;

	if (!error)
		return status;
	error->status = status;
	va_start(args, format);
	vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);
	return status;
}

void weir_error_remedy(struct weir_error *error, const char *format, ...)
{
	va_list args;

	if (!error)
		return;
	va_start(args, format);
	vsnprintf(error->remedy, sizeof(error->remedy), format, args);
	va_end(args);
}

void weir_error_at(struct weir_error *error, const char *file, unsigned line)
{
	if (!error)
		return;
	snprintf(error->file, sizeof(error->file), "%s", file ? file : "");
	error->line = file ? line : 0;
}

char *weir_error_format(const struct weir_error *error, char *text, size_t size)
{
	const char *message = error->message[0] ? error->message : weir_strerror(error->status);
	const char *remedy_mark = error->remedy[0] ? "; " : "";

	if (!error->file[0])
		snprintf(text, size, "%s%s%s", message, remedy_mark, error->remedy);
	else if (!error->line)
		snprintf(text, size, "%s: %s%s%s", error->file, message, remedy_mark,
			 error->remedy);
	else
		snprintf(text, size, "%s:%u: %s%s%s", error->file, error->line, message,
			 remedy_mark, error->remedy);
	return text;
}

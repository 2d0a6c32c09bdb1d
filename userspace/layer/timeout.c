/* SPDX-License-Identifier: MIT */
/*
 * timeout: everything inside (connecting, and all the time that bytes cross) has one deadline. It
 * is a scope that the connection's task enters; whatever is parked inside returns -ETIMEDOUT and
 * cleans up. An idle timeout is the forward service's own.
 */

#include <weir/layer.h>

#include <errno.h>
#include <stdlib.h>

struct timeout {
	struct weir_service svc;
	uint64_t lifetime_ms;
};

static int timeout_serve(struct weir_service *svc, struct weir_conn *conn)
{
	struct timeout *timeout = weir_container_of(svc, struct timeout, svc);
	struct weir_scope scope;
	int status;

	weir_scope_init(&scope, NULL);
	if (conn->resumed)
		weir_scope_set_deadline(&scope, conn->started_ns + timeout->lifetime_ms * 1000000);
	else
		weir_scope_set_timeout_ms(&scope, timeout->lifetime_ms);
	weir_scope_enter(&scope);
	status = weir_serve(svc->inner, conn);
	weir_scope_leave(&scope);
	/* What was going on has many names for being interrupted; what was over in time is over. */
	if (status && weir_scope_check(&scope) == -ETIMEDOUT)
		status = -ETIMEDOUT;
	weir_scope_fini(&scope);
	return status;
}

static void timeout_free(struct weir_service *svc)
{
	free(weir_container_of(svc, struct timeout, svc));
}

static const struct weir_service_ops timeout_ops = {
	.name = "timeout",
	.needs = WEIR_NEEDS_NOTHING,
	.resumes = true,
	.serve = timeout_serve,
	.free = timeout_free,
};

static int timeout_check(const struct weir_timeout_conf *conf, struct weir_error *error)
{
	if (conf->lifetime_ms == 0) {
		weir_error_remedy(error, "allow at least 1 ms");
		return weir_error_set(error, WEIR_ECONFIG, "a lifetime of 0 ends at once");
	}
	if (conf->lifetime_ms > UINT64_MAX / 4000000) {
		weir_error_remedy(error, "leave the layer out for an unlimited lifetime");
		return weir_error_set(error, WEIR_ECONFIG, "a lifetime of centuries is no limit");
	}
	return 0;
}

struct weir_service *weir_timeout_layer(struct weir_service *inner,
					const struct weir_timeout_conf *conf,
					struct weir_error *error)
{
	struct timeout *timeout;

	if (!inner || timeout_check(conf, error))
		goto err;
	timeout = calloc(1, sizeof(*timeout));
	if (!timeout) {
		weir_error_set(error, -ENOMEM, "out of memory");
		goto err;
	}
	timeout->svc = (struct weir_service){ .ops = &timeout_ops, .inner = inner };
	timeout->lifetime_ms = conf->lifetime_ms;
	return &timeout->svc;
err:
	weir_service_free(inner);
	return NULL;
}

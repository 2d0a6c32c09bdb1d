/* SPDX-License-Identifier: MIT */
/*
 * The kernel data plane: opened once, before the workers, and asked for only when a listener may
 * use it.
 */

#include <errno.h>
#include <unistd.h>

#include <weir/log.h>
#include <weir/offload.h>

#include "daemon/generation.h"

static bool uses_path(const struct weir_config *config, enum weir_path path)
{
	const struct weir_config_listener *listener;
	uint32_t i;

	for (i = 0; i < config->listeners_count; i++) {
		listener = &config->listeners[i];
		if (stack_paths(config, listener->http.place.file != NULL
						? listener->http.tunnel.paths
						: listener->tcp.paths) &
		    WEIR_PATH_BIT(path))
			return true;
	}
	return false;
}

/* What was asked of the kernel and what it answered: one line each. */
static void kernel_say(const struct weir_kernel *kernel)
{
	size_t n;
	const struct weir_probe_result *results = weir_kernel_results(kernel, &n);

	for (size_t i = 0; i < n; i++) {
		const struct weir_probe_result *result = &results[i];

		weir_log(result->status == WEIR_PROBE_FAILED ? WEIR_LOG_WARN : WEIR_LOG_INFO,
			 "kernel", result->name,
			 WEIR_LOG_STR("result", weir_probe_status_name(result->status)),
			 WEIR_LOG_STR("reason", result->reason),
			 WEIR_LOG_STR("disables", result->disables));
	}
}

/* The keeper holds the maps that are used, and no others. A predecessor may use its own. */
static void share_maps(struct weir_daemon *daemon)
{
	const struct held_maps *held = &daemon->held_maps;
	uint32_t ids[WEIR_KERNEL_MAPS];
	int fds[WEIR_KERNEL_MAPS];
	size_t n = weir_kernel_maps(daemon->kernel, fds, ids);

	for (size_t i = 0; i < WEIR_KERNEL_MAPS; i++) {
		bool is_used = i < n && held->fds[i] >= 0 && held->keys[i] == ids[i];
		const struct wire_entry old = { .key = held->keys[i], .what = WIRE_MAP };

		if (i < n && !is_used)
			keeper_link_hold_map(&daemon->keeper, fds[i], ids[i], (uint32_t)i);
		if (held->fds[i] < 0)
			continue;
		if (!is_used && !keeper_link_is_successor(&daemon->keeper))
			keeper_link_drop(&daemon->keeper, &old);
		close(held->fds[i]);
	}
}

/* A successor that could not go on with the flows would only end them. */
static int check_abi(struct weir_daemon *daemon, struct weir_error *error)
{
	uint32_t other = weir_kernel_other_abi(daemon->kernel);

	if (other == 0)
		return 0;
	if (!keeper_link_is_successor(&daemon->keeper)) {
		weir_log(WEIR_LOG_WARN, "offload",
			 "flows of another ABI cannot be adopted and are reset",
			 WEIR_LOG_UINT("theirs", other));
		return 0;
	}
	weir_error_remedy(error, "restart Weir instead; its connections end then");
	return weir_error_set(error, -EPROTO,
			      "the flows in the kernel are of ABI %u, which this program does not "
			      "know",
			      other);
}

bool weir_daemon_has_kernel(const struct weir_daemon *daemon, const char **why, const char **pin)
{
	*pin = weir_kernel_pin(daemon->kernel);
	return weir_kernel_is_usable(daemon->kernel, why);
}

int kernel_open(struct weir_daemon *daemon, const struct weir_config *config,
		struct weir_error *error)
{
	const struct weir_kernel_conf conf = {
		.maps = daemon->held_maps.fds,
		.strict = keeper_link_is_successor(&daemon->keeper),
		.pin = config->offload.pin,
		.inflight_bytes = config->offload.inflight_bytes,
		.disabled = !uses_path(config, WEIR_PATH_SOCKMAP),
	};
	const char *why = NULL;

	daemon->kernel = weir_kernel_open(&conf, error);
	if (daemon->kernel == NULL)
		return weir_error_set(error, -ENOMEM, "out of memory");
	share_maps(daemon);
	if (check_abi(daemon, error) < 0)
		return error->status;
	if (!conf.disabled)
		kernel_say(daemon->kernel);
	if (weir_kernel_is_usable(daemon->kernel, &why))
		weir_log(WEIR_LOG_INFO, "offload", "the kernel can carry connections");
	else if (!conf.disabled)
		weir_log(WEIR_LOG_WARN, "offload", "the kernel cannot carry connections",
			 WEIR_LOG_STR("why", why));
	return 0;
}

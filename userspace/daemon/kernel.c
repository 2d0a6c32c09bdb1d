/* SPDX-License-Identifier: MIT */
/*
 * The kernel data plane: opened once, before the workers, and asked for only when a listener may
 * use it.
 */

#include <errno.h>

#include <weir/log.h>
#include <weir/offload.h>

#include "daemon/generation.h"

static bool uses_path(const struct weir_config *config, enum weir_path path)
{
	uint32_t i;

	for (i = 0; i < config->listeners_count; i++) {
		if (stack_paths(config, &config->listeners[i].tcp) & WEIR_PATH_BIT(path))
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

int kernel_open(struct weir_daemon *daemon, const struct weir_config *config,
		struct weir_error *error)
{
	const struct weir_kernel_conf conf = {
		.pin = config->offload.pin,
		.inflight_bytes = config->offload.inflight_bytes,
		.disabled = !uses_path(config, WEIR_PATH_SOCKMAP),
	};
	const char *why = NULL;

	daemon->kernel = weir_kernel_open(&conf, error);
	if (daemon->kernel == NULL)
		return weir_error_set(error, -ENOMEM, "out of memory");
	if (!conf.disabled)
		kernel_say(daemon->kernel);
	if (weir_kernel_is_usable(daemon->kernel, &why))
		weir_log(WEIR_LOG_INFO, "offload", "the kernel can carry connections");
	else if (!conf.disabled)
		weir_log(WEIR_LOG_WARN, "offload", "the kernel cannot carry connections",
			 WEIR_LOG_STR("why", why));
	return 0;
}

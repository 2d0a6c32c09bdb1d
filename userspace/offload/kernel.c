/* SPDX-License-Identifier: MIT */
/*
 * weir_kernel: opened once a process. Asks, loads, proves; what fails is a result, not an
 * error, because every flow has another path.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <weir/error.h>

#include "verdict.skel.h"
#include "offload/kernel.h"

const char *weir_probe_status_name(enum weir_probe_status status)
{
	static const char *const names[] = { "ok", "failed", "info" };

	return names[status];
}

void kernel_result(struct weir_kernel *kernel, const char *name, enum weir_probe_status status,
		   const char *disables, const char *format, ...)
{
	struct weir_probe_result *result = &kernel->results[kernel->n_results];
	va_list args;

	if (kernel->n_results == KERNEL_RESULTS)
		return;
	kernel->n_results++;
	result->name = name;
	result->status = status;
	result->disables = status == WEIR_PROBE_FAILED ? disables : NULL;
	va_start(args, format);
	vsnprintf(result->reason, sizeof(result->reason), format, args);
	va_end(args);
}

/* The first failure that disables the path is why it is not usable. */
static void kernel_explain(struct weir_kernel *kernel)
{
	for (size_t i = 0; i < kernel->n_results; i++) {
		const struct weir_probe_result *result = &kernel->results[i];

		if (!result->disables || strcmp(result->disables, "sockmap") != 0)
			continue;
		snprintf(kernel->why, sizeof(kernel->why), "%s: %.150s", result->name,
			 result->reason);
		return;
	}
}

static void kernel_start(struct weir_kernel *kernel, const struct weir_kernel_conf *conf)
{
	int status;

	if (conf->disabled) {
		kernel_result(kernel, "sockmap", WEIR_PROBE_FAILED, "sockmap",
			      "switched off by the configuration");
		return;
	}
	status = probe_machine(kernel);
	if (!status)
		status = kernel_load(kernel, conf);
	if (!status)
		status = selftest_run(kernel);
	versions_report(kernel);
	if (!status) {
		kernel->usable = true;
		return;
	}
	if (kernel->verdict && !kernel_is_shared(kernel))
		pin_remove(kernel);
	kernel_unload(kernel);
	kernel->pin[0] = '\0';
}

struct weir_kernel *weir_kernel_open(const struct weir_kernel_conf *conf, struct weir_error *error)
{
	struct weir_kernel *kernel = calloc(1, sizeof(*kernel));

	if (!kernel) {
		weir_error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	kernel_start(kernel, conf);
	if (!kernel->usable)
		kernel_explain(kernel);
	return kernel;
}

uint32_t weir_kernel_other_abi(const struct weir_kernel *kernel)
{
	return kernel->other_abi;
}

size_t weir_kernel_maps(const struct weir_kernel *kernel, int fds[WEIR_KERNEL_MAPS],
			uint32_t ids[WEIR_KERNEL_MAPS])
{
	size_t n = 0;

	for (size_t i = 0; kernel->usable && pin_names[i]; i++) {
		struct bpf_map_info info = { 0 };
		uint32_t size = sizeof(info);

		fds[n] = bpf_object__find_map_fd_by_name(kernel->verdict->obj, pin_names[i]);
		if (fds[n] < 0 || bpf_obj_get_info_by_fd(fds[n], &info, &size))
			return 0;
		ids[n++] = info.id;
	}
	return n;
}

void weir_kernel_close(struct weir_kernel *kernel, bool keep)
{
	if (!kernel)
		return;
	if (kernel->usable && !keep && !kernel_is_shared(kernel))
		pin_remove(kernel);
	kernel_unload(kernel);
	free(kernel);
}

bool weir_kernel_is_usable(const struct weir_kernel *kernel, const char **why)
{
	if (why)
		*why = kernel->usable ? NULL : kernel->why;
	return kernel->usable;
}

const char *weir_kernel_pin(const struct weir_kernel *kernel)
{
	return kernel->pin[0] ? kernel->pin : NULL;
}

const struct weir_probe_result *weir_kernel_results(const struct weir_kernel *kernel, size_t *n)
{
	*n = kernel->n_results;
	return kernel->results;
}

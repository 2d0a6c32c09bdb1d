/* SPDX-License-Identifier: MIT */
#ifndef WEIR_USDT_H
#define WEIR_USDT_H

/*
 * Static probes for bpftrace, perf and gdb (USDT): one no-op instruction each until somebody
 * looks, and nothing at all where <sys/sdt.h> was missing when this was compiled. Arguments are
 * evaluated always, so pass what is there anyway.
 *
 *	bpftrace -e 'usdt:/usr/bin/weir:weir:path_switch { printf("%d %s\n", arg0, str(arg3)); }'
 */

#include <weir/base.h>

#if defined(__has_include)
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#define WEIR_HAS_USDT 1
#endif
#endif

/* A connection was accepted: its id, its listener's name, and the client's struct sockaddr. */
static inline void weir_usdt_conn_begin(uint64_t id, const char *listener, const void *client)
{
#ifdef WEIR_HAS_USDT
	STAP_PROBE3(weir, conn_begin, id, listener, client);
#else
	(void)id, (void)listener, (void)client;
#endif
}

/* It has ended: what serving returned, and the bytes each way. */
static inline void weir_usdt_conn_end(uint64_t id, int status, uint64_t bytes_up,
				      uint64_t bytes_down)
{
#ifdef WEIR_HAS_USDT
	STAP_PROBE4(weir, conn_end, id, status, bytes_up, bytes_down);
#else
	(void)id, (void)status, (void)bytes_up, (void)bytes_down;
#endif
}

/* A flow goes on by another path (enum weir_path). WHY not by a better one: text, or 0. */
static inline void weir_usdt_path_switch(uint64_t id, int from, int to, const char *why)
{
#ifdef WEIR_HAS_USDT
	STAP_PROBE4(weir, path_switch, id, from, to, why);
#else
	(void)id, (void)from, (void)to, (void)why;
#endif
}

#endif

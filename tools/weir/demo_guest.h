/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DEMO_GUEST_H
#define WEIR_DEMO_GUEST_H

#include <stdint.h>

#include <weir/scope.h>

/* A guest of the demo's own: one connection through Weir to the echo service that talks for a
 * while, sends bulk, keeps quiet, and begins again, so that there is a flow that changes its
 * path. A task of SCOPE until that is cancelled. PORT of 127.0.0.1 is Weir's. */
void demo_guest_start(struct weir_scope *scope, uint16_t port);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NET_FLOW_H
#define WEIR_NET_FLOW_H

#include <weir/bridge.h>

/* Makes a running bridge visible as a flow of its loop, until its link is taken out. */
void flow_add(struct weir_loop *loop, struct weir_bridge *bridge);

#endif

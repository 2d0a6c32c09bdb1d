/* SPDX-License-Identifier: MIT */
#ifndef WEIR_NET_SOCKET_H
#define WEIR_NET_SOCKET_H

/* Back to the kernel's defaults, as far as weir_socket_apply() leaves them alone: for a TCP
 * socket that was in use before. Buffer sizes, mark and interface stay. */
void socket_reset(int fd);

#endif

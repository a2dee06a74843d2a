/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockets.h - TCP connections of this host, through sock_diag
 *
 * The kernel target tells neither through which portal a session came in nor can it end one
 * connection; the network stack can both.
 *
 * Depends on: base, san, libmnl.  Threads: no state.
 */
#pragma once

#include "san/san.h"

struct socket_connection {
	char local[SAN_PORTAL_TEXT], peer[SAN_PORTAL_TEXT]; /* "address:port", canonical */
	char peer_address[SAN_ADDRESS_TEXT];
	uint8_t family; /* AF_ */
	uint8_t id[48]; /* the kernel's name of it: struct inet_diag_sockid */
};
struct socket_list {
	struct socket_connection *v;
	size_t n;
};
void socket_list_done(struct socket_list *l);
#define auto_sockets CLEANUP(socket_list_done)

/* Every established connection to a local TCP port. */
int socket_list(uint16_t tcp_port, struct socket_list *ret, struct err *e) MUST_CHECK;
/* Ends it as if the network had; 0 also when it has ended by itself. */
int socket_kill(const struct socket_connection *c, struct err *e) MUST_CHECK;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network.h - the host's NICs and IP addresses, now and whenever they change
 *
 * Reads rtnetlink.  Every change is told as the complete new list, so nothing can be missed
 * or counted twice; several changes at once are told as one.
 *
 * Depends on: base, libmnl.  Threads: the watch has one of its own, which calls changed().
 */
#pragma once

#include "base/err.h"

struct network_nic {
	char name[16];
	uint8_t mac[6];
	bool up, running, loopback;
	uint64_t speed; /* bit/s; 0 = unknown */
	uint32_t mtu;
};

struct network_address {
	char text[64]; /* as inet_ntop(3) writes it; link-local with %nic */
	char nic[16];
	uint8_t family; /* 4 or 6 */
	uint8_t prefix_len;
	bool tentative, duplicate; /* IPv6 duplicate address detection: under way, failed */
};

struct network_list {
	struct network_nic *nics;
	size_t n_nics;
	struct network_address *addresses;
	size_t n_addresses;
};
void network_list_done(struct network_list *l);
bool network_list_same(const struct network_list *a, const struct network_list *b);

/* The list as it is now. */
int network_read(struct network_list *ret, struct err *e) MUST_CHECK;

struct network_watch;
/* Borrowed for the call. */
typedef void network_changed(void *ctx, const struct network_list *l);

/* Calls changed() once before it returns, on this thread, then on its own whenever the list
 * has become another. */
int network_watch_new(network_changed *changed, void *ctx, struct network_watch **ret,
		      struct err *e) MUST_CHECK;
void network_watch_free(struct network_watch *w); /* no call comes after it; NULL is fine */

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * facts.h - the kernel target's texts, read
 *
 * Pure functions: text in, facts out.  Initiators have a say in some of these texts (name,
 * alias), so nothing in them is believed to be well-formed.
 *
 * Depends on: base, san.  Threads: no state.
 */
#pragma once

#include "san/san.h"

/* core/HBA/NAA/info: false when it does not name a file and a size. */
struct facts_unit {
	char file[512];
	uint64_t size;
};
bool facts_unit(const char *text, struct facts_unit *ret) MUST_CHECK;
/* The same of a block device: file is its path, size is not told. */
bool facts_unit_on_device(const char *text, struct facts_unit *ret) MUST_CHECK;

/* acls/INITIATOR/info: false when there is no session. */
struct facts_connection {
	uint16_t cid;
	char peer[SAN_ADDRESS_TEXT]; /* canonical, without port; empty when it can't be read */
};
struct facts_session {
	char initiator[SAN_IQN_MAX + 1], alias[256];
	uint64_t number; /* the kernel's */
	char isid[13];   /* 12 upper-case hex digits */
	uint16_t tsih;
	bool discovery, logged_in;
	size_t n_connections;
	struct facts_connection connections[SAN_CONNECTIONS_MAX];
};
bool facts_session(const char *text, struct facts_session *ret) MUST_CHECK;

/* tpgt_N/dynamic_sessions: names, one after the other, told apart by NUL and newline.  at: 0 at
 * first; returns false at the end.  Names that are too long are left out. */
bool facts_next_name(const char *text, size_t n, size_t *at, char ret[static SAN_IQN_MAX + 1]);

/* The kernel's file of persistent reservations (pr/aptpl_SERIAL): one registration after the
 * other, each as it is given back to the kernel ("name=value" a line).  at: 0 at first; false at
 * the end, or when the rest is not whole. */
bool facts_next_registration(const char *text, size_t *at, char *ret, size_t size);
/* Whose registration with which port it is; false when it does not say. */
struct facts_registration {
	char initiator[SAN_IQN_MAX + 1], target[SAN_IQN_MAX + 1];
	uint16_t tpgt;
};
bool facts_registration(const char *one, struct facts_registration *ret) MUST_CHECK;

/* A counter ("17\n"); 0 when it isn't one. */
uint64_t facts_number(const char *text);

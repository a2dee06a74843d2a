/* SPDX-License-Identifier: Apache-2.0 */
/*
 * box.h - a host with two NICs behind a broker: what a test of the providers asks
 *
 *   eth0 192.0.2.1/24 2001:db8::1/64 fe80::1%eth0   eth1 198.51.100.7/24 (link down)
 *   each address with its portal at 3260; the first two listen
 *
 * Writes run at once, on the asking thread, without store or target.
 *
 * Threads: one owner.
 */
#pragma once

#include "../broker/ask.h"
#include "providers/providers.h"

#define VENDOR "root/cimv2/storage/iscsitarget"
#define UUID   "6f1c1a5e-0000-4000-8000-00000000c0de"

struct box {
	struct prov_module mod;
	const struct prov_module *mods[1];
	struct providers_server server;
	struct san_state *state;
	struct broker *broker;
	int64_t now_us;
	uint64_t random;
	enum prov_outcome outcome; /* of the next write; PROV_OK unless a test sets it */
	unsigned writes;           /* that changed something */
	bool counts;               /* the target tells its counts */
};

struct box *box_new(void);
void box_free(struct box *b);
DEFINE_AUTO(box, box_free)

/* Apply what happened: changes made by one of the san_..._seen functions. */
void box_apply(struct box *b, struct san_changes *ch);

/* Paths of objects by their short names; valid until the 8th call after. */
const char *box_node(const char *iqn);
const char *box_port(const char *name);
const char *box_portal(const char *text);
const char *box_ip(const char *address);
const char *box_service(const char *which); /* "iSCSI", "Storage", "Controller" */
const char *box_volume(const char *naa);

/* How many instances of a class. */
unsigned box_count(struct box *b, const char *ns, const char *cls);
/* "value" of a property of GetInstance(path); as ask_text prints it; "" and a failed check when
 * there is no such object.  Valid like the paths. */
const char *box_get(struct box *b, const char *path, const char *prop);
/* Names of what is associated, one a line; like the paths. */
const char *box_names(struct box *b, const char *path, const char *assoc, const char *result);

/* Call a method on a service with text parameters and references: name, value pairs, a name that
 * starts with '&' is a reference, '*' one more element of an array of references.  Its return
 * value, or 100000 + the CIM status. */
unsigned box_call(struct box *b, const char *path, const char *method, ...)
	__attribute__((sentinel));
/* What the last box_call put into an output parameter, as text; NULL: not there. */
const char *box_out(const char *param);
const char *box_why(void); /* its sentence */

/* A node with one port on both portals of eth0; the names are the usual ones. */
void box_furnish(struct box *b);
#define BOX_NODE "iqn.2026-11.example:box:alpha"

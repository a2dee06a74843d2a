/* SPDX-License-Identifier: Apache-2.0 */
/*
 * object.h - making the objects of san.h: for the rules, and for the store that reads them back
 *
 * An object is writable between its making and its first use by others.
 *
 * Depends on: san.h.  Threads: no state.
 */
#pragma once

#include "san/rules.h"

/* A zeroed object with one reference and empty texts. */
void *san_obj_new(enum san_kind kind, uint64_t id) MUST_CHECK;
/* A copy with its own reference, to be changed. */
void *san_obj_dup(const void *obj) MUST_CHECK;
struct san_session *san_session_new(uint64_t id, size_t n_connections) MUST_CHECK;
/* Put a text into an object's field; what was there goes. */
void san_str_set(struct san_str **field, const char *s);
void san_str_share(struct san_str **field, struct san_str *s);

struct san_port *san_port_new(uint64_t id, const struct san_node *node, uint16_t tpgt,
			      int64_t now_us) MUST_CHECK;
struct san_portal *san_portal_new(uint64_t id, const char *address, uint8_t family,
				  uint16_t tcp_port, uint64_t group, enum san_origin origin,
				  int64_t now_us) MUST_CHECK;
struct san_binding *san_binding_new(uint64_t id, const struct san_port *port,
				    const struct san_portal *portal) MUST_CHECK;
struct san_lun *san_lun_new(uint64_t id, const struct san_node *node, const struct san_unit *unit,
			    uint16_t lun) MUST_CHECK;
struct san_node *san_node_new(uint64_t id, const char *iqn, const char *alias,
			      int64_t now_us) MUST_CHECK;
struct san_group *san_group_new(uint64_t id, const char *name, bool is_default) MUST_CHECK;
/* device NULL: a primordial one; "" for files. */
struct san_pool *san_pool_new(uint64_t id, const char *name, enum san_pool_kind kind,
			      const char *device) MUST_CHECK;
struct san_unit *san_unit_new(uint64_t id, const struct san_pool *pool, const char *naa,
			      const char *name, uint64_t size, int64_t now_us) MUST_CHECK;

/* What every state begins with: the group "default" (1) and the two pools (2, 3). */
void san_first_objects(struct san_changes *ch);

/* NFC of UTF-8 text; the caller frees.  NULL when it isn't UTF-8. */
char *san_nfc(const char *s) MUST_CHECK;
/* Text folded to lower-case ASCII letters, digits, '-', '.', ':' for use in an IQN. */
void san_fold(const char *s, char *to, size_t size);

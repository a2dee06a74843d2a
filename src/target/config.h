/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - change the configuration, all or nothing (docs/control-protocol.md)
 *
 * A request is an array of struct change.  config_apply() carries them out in order; when
 * one fails, those before it are taken back and nobody has seen them.  config_replace()
 * turns a whole configuration into the smallest array of changes and applies that.
 *
 * Depends on: base.  Threads: the main thread only.
 */
#pragma once

#include "target/target.h"

enum change_op { CHANGE_ADD, CHANGE_SET, CHANGE_REMOVE };
enum change_kind { /* in the order in which a whole configuration is built */
		   KIND_UNIT,
		   KIND_NODE,
		   KIND_PORT,
		   KIND_PORTAL,
		   KIND_BINDING,
		   KIND_LUN,
		   KIND_SETTINGS,
};

/* Members that the kind does not have are zero.  Texts are borrowed until apply returns. */
struct change {
	enum change_op op;
	enum change_kind kind;
	bool unless_sessions, enabled;
	bool if_there; /* CHANGE_REMOVE of a unit or LUN: well, too, when there is none */
	bool has_enabled, has_alias, has_chap; /* for CHANGE_SET: what is given */
	const char *iqn, *alias, *address, *path, *unit_kind, *pr_path;
	uint32_t tpgt, port, lun, block_size, logout_time, idle_time;
	uint64_t naa, size;
	const char *chap_in[2],
		*chap_out[2]; /* name and secret, NULL: none; of settings: discovery */
	bool has_redirect, redirect_permanent; /* of a binding */
	const char *redirect_address;          /* NULL: none */
	uint32_t redirect_port;
};

enum config_error { /* the codes of docs/control-protocol.md */
		    CONFIG_BAD_PARAMS = -32602,
		    CONFIG_FAILED = -32000,
		    CONFIG_BUSY = -32001,
		    CONFIG_EXISTS = -32002,
		    CONFIG_NOT_FOUND = -32003,
		    CONFIG_CANNOT_LISTEN = -32004,
		    CONFIG_STORE = -32005,
};

struct config_options {
	uint64_t generation;
	bool must_listen;
	void (*portal_changed)(void *ctx, const struct portal *p); /* called after success */
	void *ctx;
};

/* Returns 0, or an enum config_error with e filled. */
int config_apply(struct target *t, const struct change *c, size_t n, const struct config_options *o,
		 struct err *e) MUST_CHECK;
/* Every change is CHANGE_ADD here.  A unit whose store can't be opened is left out, with its LUNs,
 * and told of as failing; the rest is served. */
int config_replace(struct target *t, const struct change *c, size_t n,
		   const struct config_options *o, struct err *e) MUST_CHECK;

/* Try again to listen where that failed; true while some portal still does not. */
bool config_retry_portals(struct target *t, void (*changed)(void *ctx, const struct portal *p),
			  void *ctx);

/* Tell every connection that is no longer served to log out, and close it in time. */
void config_sweep(struct target *t);

/* The process is about to end: no new connections. */
void config_stop_listening(struct target *t);

void config_done(struct target *t); /* free everything; no session is left */

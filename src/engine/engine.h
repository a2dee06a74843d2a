/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine.h - what every target engine promises to the control room
 *
 * An engine makes the outside world what the model says.  It knows no rules: a list
 * of changes that it is given has been found right.  It carries out a whole list or
 * nothing of it, tells what it measures, and never hangs: every call comes back
 * within its deadline.
 *
 * Engines: engine/user (the program smiscsi-target), engine/fake (in memory, fails on
 * request).  Each has its own function that makes a struct engine.
 *
 * Depends on: base, san.  Threads: apply and replace are called by one thread (the
 * writer) at a time; stats from any thread; notify is called by the engine on a thread
 * of its own or from within apply/replace, and must not call back into the engine.
 */
#pragma once

#include "san/rules.h"

struct engine;

enum engine_event_kind {
	ENGINE_UP,     /* (again) there, with nothing or with an old configuration: wants replace */
	ENGINE_DOWN,   /* not answering: why */
	ENGINE_PORTAL, /* address, tcp_port, listen, why */
	ENGINE_SESSION_UP,   /* session: new, or its connections changed */
	ENGINE_SESSION_DOWN, /* session.id */
	ENGINE_PORT,         /* iqn, tpgt, why: the port can't be served; empty: well again */
	ENGINE_UNIT,         /* naa, why: backing store failed; empty: well again */
	ENGINE_FOREIGN,      /* foreign: all that others have made in the target; new or changed */
	ENGINE_REST, /* why: something is there that should not be, and can't be taken away yet
		      * (it may be of an object that the model has no more); empty: it has gone */
};
/* Borrowed for the call only. */
struct engine_event {
	enum engine_event_kind kind;
	const char *address, *iqn, *naa, *why;
	uint16_t tcp_port, tpgt;
	enum san_listen listen;
	struct san_seen_session session;
	const struct san_seen_foreign *foreign;
	size_t n_foreign;
};
typedef void engine_notify(void *ctx, const struct engine_event *ev);

/* How a list of changes, or the whole configuration, was taken. */
enum engine_result {
	ENGINE_OK,
	ENGINE_REFUSED, /* the engine said no: err has its sentence; nothing happened */
	ENGINE_BUSY,    /* unless_sessions, and there is one; nothing happened */
	ENGINE_TIMEOUT, /* no answer by the deadline: unknown what happened; it will say
			 * ENGINE_UP and want a replace */
	ENGINE_ABSENT,  /* not running (yet): nothing happened; ENGINE_UP will follow */
};

struct engine_outcome {
	enum engine_result result;
	struct err err;
};

/* What the statistics classes show; arrays freed by engine_stats_done. */
struct engine_node_stats {
	char iqn[SAN_IQN_MAX + 1];
	uint64_t logins_ok, logins_other_fail, logins_redirected, authorize_fails,
		authenticate_fails, negotiate_fails, logouts_normal, logouts_other,
		session_failures;
	int64_t last_failure_us; /* 0 = never */
	char last_failure_kind[64], last_failure_initiator[SAN_IQN_MAX + 1],
		last_failure_address[SAN_PORTAL_TEXT];
};
struct engine_session_stats {
	uint64_t id, commands, read_bytes, write_bytes, digest_errors, timeouts;
};
struct engine_stats {
	struct engine_node_stats *nodes;
	size_t n_nodes;
	struct engine_session_stats *sessions;
	size_t n_sessions;
};
void engine_stats_done(struct engine_stats *st);

/* Below the state directory: the folder of unit files; a unit's file is its NAA name and this. */
#define ENGINE_UNIT_DIR    "units"
#define ENGINE_UNIT_SUFFIX ".img"
/* Beside it: persistent reservations, kept by the target. */
#define ENGINE_PR_SUFFIX ".pr"

/* Does a change concern an engine at all? */
bool engine_cares(const struct san_change *c);

struct engine_ops {
	const char *kind; /* "user", "fake" */
	bool at_once;     /* apply waits for nobody: no other process, no sessions that end */
	/* Begin: notify may be called from now on.  Returns at once (ENGINE_UP follows), or
	 * negative with e when it can never work (no such program). */
	int (*start)(struct engine *en, engine_notify *notify, void *ctx, struct err *e);
	/* n lists, each all or nothing, in order; fills out[0..n-1].  A later list is tried even
	 * when an earlier one was refused.  Only what san_change_is_durable() of units, nodes,
	 * ports, portals, bindings and logical units concerns an engine; the objects say all it
	 * needs.  gen: config_generation once all are in force. */
	void (*apply)(struct engine *en, const struct san_changes *const *lists, size_t n,
		      uint64_t gen, struct engine_outcome *out);
	/* Make the target what s says, with the least change, and report (notify) every portal
	 * and session. */
	void (*replace)(struct engine *en, const struct san_state *s, struct engine_outcome *out);
	/* Whatever has happened by now has been notified when this returns (or the deadline has
	 * passed).  Called by the writer.  NULL: notify is never late. */
	void (*refresh)(struct engine *en);
	int (*stats)(struct engine *en, struct engine_stats *ret, struct err *e);
	/* keep: let the target go on serving (restart of ours, upgrade) or end it. */
	void (*stop)(struct engine *en, bool keep);
	void (*free)(struct engine *en); /* after stop */
};

struct engine {
	const struct engine_ops *ops;
};

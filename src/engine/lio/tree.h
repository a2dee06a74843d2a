/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h - make the kernel's tree what the model says
 *
 * A piece of it is one scope: a unit, a target, a port of it, a portal.  tree_make makes some
 * scopes like the state: it compares, then takes away what should not be there, then adds what
 * is missing, so that undoing a change is making its scopes like the state before it.
 *
 *	core/fileio_3260/NAA                    unit (its file is units/NAA.img)
 *	core/iblock_3260/NAA                    unit on a block device
 *	iscsi/IQN/tpgt_N/{np/A:P,lun/lun_K}     node, port, binding, logical unit
 *	iscsi/IQN/tpgt_N/acls/INITIATOR/lun_K   so that the kernel tells about its sessions
 *	iscsi/TREE_HOLDER/tpgt_1/np/A:P         every portal that is switched on: it listens
 *	                                        also while no port is bound to it
 *
 * Depends on: base, san, engine, cfs, own.  Threads: one owner.
 */
#pragma once

#include "engine/lio/cfs.h"
#include "engine/lio/facts.h"
#include "engine/lio/own.h"
#include "san/san.h"

#define TREE_FILES  "core/fileio_3260"
#define TREE_BLOCKS "core/iblock_3260"
#define TREE_HOLDER "iqn.2026-11.local.smiscsi:portals" /* disabled: nobody ever sees it */

/* A portal has left a port that goes on: its sessions are to be drained. */
typedef void tree_left(void *ctx, const char *iqn, uint16_t tpgt, const char *portal);
/* Of a unit, of a port: why "" when it is well. */
typedef void tree_unit_fares(void *ctx, const char *naa, const char *why);
typedef void tree_port_fares(void *ctx, const char *iqn, uint16_t tpgt, const char *why);

/* After a reboot everything differs: so many differences are told one by one. */
enum { TREE_SAID = 20 };

struct tree {
	struct cfs cfs;
	char *units_dir;
	char *pr_dir; /* where the kernel keeps persistent reservations */
	struct own *own;
	int watch; /* inotify, or -1 */
	tree_left *left;
	tree_unit_fares *unit_fares;
	tree_port_fares *port_fares;
	void *ctx;
	/* While mending what another tool did (or what a crash left) every difference is logged. */
	bool mending;
	/* Whose persistent reservations have been given back: the kernel takes them up only when an ACL
	 * is made for the initiator. */
	struct facts_registration *awaited;
	size_t n_awaited;
	size_t mended;
	uint64_t said[TREE_SAID], said_before[TREE_SAID]; /* hashes of these lines */
	/* What should have gone and would not, the first of the last times with TREE_BEST. */
	struct err stays;
};

enum scope_kind { SCOPE_UNIT, SCOPE_TARGET, SCOPE_PORT, SCOPE_PORTAL };
struct scope {
	enum scope_kind kind;
	struct san_str *name; /* NAA, IQN, or "address:port"; counted */
	uint16_t tpgt;        /* SCOPE_PORT */
};
struct scopes {
	struct scope *v;
	size_t n, cap;
};
void scopes_done(struct scopes *v);
#define auto_scopes CLEANUP(scopes_done)
void scopes_add(struct scopes *v, enum scope_kind kind, const char *name, uint16_t tpgt);
/* What a list of changes touches; was is the state before it, now the one after. */
void scopes_of_changes(struct scopes *v, const struct san_changes *ch, const struct san_state *was,
		       const struct san_state *now);
/* Everything: in the state, and in the kernel if it is ours. */
int scopes_of_all(struct scopes *v, const struct tree *t, const struct san_state *s,
		  struct err *e) MUST_CHECK;

enum tree_care {
	TREE_STRICT,      /* stop at the first thing that fails */
	TREE_MUST_LISTEN, /* ... also when that is a portal which can't listen */
	TREE_BEST,        /* do what can be done; the first failure is in e */
};
int tree_make(struct tree *t, const struct san_state *s, const struct scopes *v,
	      enum tree_care care, struct err *e) MUST_CHECK;

/* From now on differences are logged, those of the last time not again when it is a second try. */
void tree_mend(struct tree *t, bool again);

/* Nobody new can log in to the node (until it is made again); who is logged in stays. */
int tree_fence(struct tree *t, const char *iqn, struct err *e) MUST_CHECK;

/* How a portal fares, with the reason when it does not listen. */
enum san_listen tree_listen(const struct tree *t, const struct san_portal *p, struct err *why);

/* An initiator's ACL with all logical units of the port, so that its session can be seen. */
int tree_acl(struct tree *t, const struct san_state *s, const struct san_port *p,
	     const char *initiator, struct err *e) MUST_CHECK;

/* Take everything of ours away. */
int tree_clear(struct tree *t, struct err *e) MUST_CHECK;

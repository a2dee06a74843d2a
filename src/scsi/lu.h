/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lu.h - what is behind the handles of scsi.h: units, targets, nexuses, unit attentions
 *
 * Locks, in the order they may be taken: scsi_lu.lock (reservations, mode parameters, who is
 * mapped where), scsi_target.lock (nexuses and LUN table).  A command that finds no
 * reservation, no unit attention and no exclusive range takes none of them: a unit
 * attention is a bit in an atomic word of the (nexus, LUN), a reservation verdict is cached
 * there together with the generation it was made from.
 *
 * Depends on: base.  Threads: as each member says.
 */
#pragma once

#include <pthread.h>

#include "scsi/range.h"
#include "scsi/scsi.h"
#include "scsi/sense.h"

/* Unit attentions in the order they are reported (SPC-4 5.14: resets before anything else). */
enum unit_attention {
	UA_RESET,
	UA_BUS_DEVICE_RESET,
	UA_RESERVATIONS_PREEMPTED,
	UA_RESERVATIONS_RELEASED,
	UA_REGISTRATIONS_PREEMPTED,
	UA_CAPACITY_CHANGED,
	UA_MODE_CHANGED,
	UA_COMMANDS_CLEARED,
	UA_LUNS_CHANGED,
	UA_N
};

/* What the reservations of a unit let one nexus do. */
enum {
	MAY_BASIC = 1 << 0, /* everything that only an SPC-2 reservation forbids */
	MAY_READ = 1 << 1,
	MAY_WRITE = 1 << 2,
	MAY_ALL = MAY_BASIC | MAY_READ | MAY_WRITE,
};

/*
 * A ROD token: "these blocks as they are now" (SBC-3).  A write to one of them revokes it, so
 * that nothing has to be copied when it is made.
 */
enum { ROD_TOKENS_MAX = 32, ROD_RANGES_MAX = 8 };
/* Kinds of point in time copies that may be asked for; ours, and two that leave it to us. */
enum { ROD_CHANGE_VULNERABLE = 0x00800001, ROD_DEFAULT = 0x00800000, ROD_ANY = 0x0080ffff };
struct rod_token {
	uint64_t id[2]; /* both 0: free */
	uint64_t expires_ns, timeout_ns;
	unsigned n_ranges;
	struct {
		uint64_t lba, blocks;
	} range[ROD_RANGES_MAX];
};

struct scsi_mapping { /* one place where a unit is mapped; guarded by scsi_lu.lock */
	struct scsi_mapping *next;
	struct scsi_target *target;
	unsigned lun;
};

enum { PR_REGISTRANTS_MAX = 512, PR_NAME_MAX = 263 };

struct pr_registrant {
	struct pr_registrant *next;
	uint64_t key;
	uint16_t rel_port;
	bool all_ports; /* ALL_TG_PT: every port of the target device */
	char *initiator_port, *target_port;
	/* while a change is made: whom this one is the copy of, and what that one will hear of it
	 */
	struct pr_registrant *twin;
	uint32_t tell; /* bits of enum unit_attention */
};

/* Persistent reservations and the older kind (SPC-4 5.13); guarded by scsi_lu.lock. */
struct pr_state {
	struct pr_registrant *registrants;
	unsigned n_registrants;
	uint32_t generation;          /* PRGENERATION */
	uint8_t type;                 /* 0: no reservation */
	struct pr_registrant *holder; /* of a type that has one; NULL for "all registrants" */
	bool aptpl;
	struct scsi_nexus *spc2_holder; /* RESERVE(6)/(10) */
};

struct mode_state { /* written under scsi_lu.lock, each read atomically */
	bool descriptor_sense, write_protect, write_cache;
};

enum sanitize_state { SANITIZE_IDLE, SANITIZE_RUNNING, SANITIZE_FAILED };

struct scsi_lu { /* aligned as its ranges are */
	/* Two additions per command: on a line of its own, away from what commands only read. */
	_Alignas(64) unsigned refs;
	_Alignas(64) struct blockdev *dev;
	pthread_mutex_t lock;
	uint64_t naa;
	char vendor[8], product[16], revision[4], serial[17];
	int (*pr_save)(void *ctx, const void *p, size_t len);
	void *pr_ctx;
	void (*released)(void *ctx);
	void *released_ctx;
	void (*health)(void *ctx, int error);
	void *health_ctx;
	int ill;                 /* atomic: what health was told last */
	enum blockdev_op ill_op; /* what failed; under lock, like the next */
	uint64_t ill_told_ns;
	struct scsi_mapping *mappings;
	struct pr_state pr;
	uint64_t pr_verdicts; /* atomic; moves on with every change that may alter a verdict */
	struct mode_state mode;
	uint8_t sanitize;           /* atomic enum sanitize_state */
	uint16_t sanitize_progress; /* atomic, in 65536ths */
	bool sanitize_may_exit;     /* written before sanitize says SANITIZE_FAILED */
	unsigned n_tokens;          /* atomic; while it is 0 writes need not look at token */
	struct rod_token token[ROD_TOKENS_MAX]; /* guarded by lock */
	struct ranges ranges;
};

struct scsi_target {
	unsigned refs;
	pthread_mutex_t lock;
	char *name;
	struct scsi_nexus *nexuses;
	struct scsi_lu *luns[SCSI_LUN_MAX + 1]; /* atomic; changed under lock */
};

struct scsi_itl {           /* one nexus, one LUN */
	uint32_t attention; /* atomic; bits of enum unit_attention */
	uint8_t verdict;    /* the three below: only the nexus' thread */
	uint64_t verdict_generation;
	const struct scsi_lu *verdict_lu;
};

/* What became of a copy, until somebody asks (SPC-4). */
struct copy_result {
	bool kept, failed, short_of_rod;
	uint8_t action; /* the service action of EXTENDED COPY that it answers */
	uint8_t lun;
	uint16_t segments;
	uint32_t list_id;
	uint64_t bytes;
	uint64_t token_id[2]; /* of what POPULATE TOKEN made */
};
enum { COPY_RESULTS = 8 };

struct scsi_nexus {
	struct scsi_nexus *next, **link; /* in target->nexuses, under its lock */
	struct scsi_target *target;
	char *initiator_port, *target_port;
	uint16_t rel_port;
	unsigned looking; /* atomic; odd while the nexus' thread looks a unit up */
	struct copy_result copy_result[COPY_RESULTS]; /* only the nexus' thread; newest first */
	const struct scsi_op *last_op;                /* the same: what the last command was */
	struct scsi_itl itl[SCSI_LUN_MAX + 1];
};

/* The LUN number a 64-bit LUN field means, or a negative errno when it can mean none of ours. */
int scsi_lun_decode(uint64_t lun);

/* A request of the unit's device has ended with result: tell whoever wants to know how it is.
 * Call it when that is an error, or when lu->ill is set. */
void scsi_lu_health(struct scsi_lu *lu, enum blockdev_op op, int result);

/* A counted reference to the mapped unit, or NULL. */
struct scsi_lu *scsi_nexus_lu(struct scsi_nexus *n, unsigned lun);

/* The unit whose NAA designator this is, as n's target maps it (counted), or NULL. */
struct scsi_lu *scsi_nexus_lu_by_naa(struct scsi_nexus *n, uint64_t naa, unsigned *ret_lun);

enum ua_audience { UA_EVERYONE, UA_OTHERS };
/* Under lu->lock: tell every nexus that sees the unit, without `from` when UA_OTHERS. */
void scsi_lu_attention(struct scsi_lu *lu, enum unit_attention ua, enum ua_audience who,
		       const struct scsi_nexus *from);
/* Under lu->lock: tell those nexuses that this registrant stands for. */
void scsi_lu_attention_registrant(struct scsi_lu *lu, enum unit_attention ua,
				  const struct pr_registrant *r, const struct scsi_nexus *except);
enum sense_code scsi_attention_code(enum unit_attention ua);

/* ---- reservations (reserve.c) ---- */
int pr_state_load(struct scsi_lu *lu, const void *p, size_t len, struct err *e) MUST_CHECK;
void pr_state_done(struct pr_state *pr);
/* What n may do now; takes lu->lock only when reservations changed since it asked last. */
uint8_t scsi_reservation_verdict(struct scsi_lu *lu, struct scsi_nexus *n, unsigned lun);
bool pr_registrant_matches(const struct pr_registrant *r, const struct scsi_nexus *n);
/* The nexus is gone, or the unit was reset: what RESERVE took is free again. */
void scsi_lu_nexus_lost(struct scsi_lu *lu, const struct scsi_nexus *n);
void scsi_lu_reset(struct scsi_lu *lu);

/* ---- tokens (token.c) ---- */
/* These bytes are about to change. */
void rod_revoke(struct scsi_lu *lu, uint64_t first, uint64_t end);
bool rod_valid(struct scsi_lu *lu, const uint64_t id[2]);

/* ---- mode parameters (mode.c) ---- */
void scsi_mode_reset(struct scsi_lu *lu);

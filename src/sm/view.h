/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h - the published snapshot: every provider's image and state, and the jobs
 *
 * Immutable and counted.  Making the next one costs a pointer per provider and per job.
 *
 * Depends on: base cim gen.  Threads: made by whoever holds the manager's lock; read by anyone
 * who holds a reference.
 */
#pragma once

#include "broker/provider.h"
#include "sm/image.h"
#include "sm/uri.h"

enum sm_job_state { /* CIM_ConcreteJob.JobState */
		    SM_JOB_NEW = 2,
		    SM_JOB_RUNNING = 4,
		    SM_JOB_COMPLETED = 7,
		    SM_JOB_TERMINATED = 8,
		    SM_JOB_EXCEPTION = 10,
};

/* So many jobs and no more are there at a time; those that have ended go long before. */
enum { SM_JOBS_OPEN_MAX = 2000 };

/* One discovery that a client started.  A change makes a new one. */
struct sm_job {
	_Atomic uint32_t refs;
	uint64_t num;
	char id[48]; /* "job:12" */
	char what[400], error[512];
	enum sm_job_state state;
	uint32_t level, type; /* discoveryLevel, partialDiscoveryType: what it reads */
	uint16_t percent, code;                                 /* code: CIM status, 0: none */
	int64_t submitted_us, started_us, changed_us, ended_us; /* 0: not yet */
	char provider[24];
};

struct sm_slot {
	const char *id, *uri; /* of the provider */
	struct sm_image *image;
	bool local, stale, busy, incomplete;
	uint32_t level;         /* of the image */
	int64_t seen_us;        /* when the image was read; 0: never */
	const char *status;     /* MSFT_SMDiscovery.Status, in words */
	const char *stale_text; /* StatusDescription of stale objects; NULL: not stale */
};

struct sm_view {
	_Atomic uint32_t refs;
	struct arena *a;
	struct sm_slot *slot; /* by id */
	uint32_t n_slots, n_jobs;
	struct sm_job **job; /* by number */
	uint64_t next_job;
	const char *host, *version;
	uint32_t providers_max;
	const struct sm_uri *local_uris; /* all mean the slot "local" */
	size_t n_local_uris;
};

struct sm_job *sm_job_ref(struct sm_job *j);
void sm_job_unref(struct sm_job *j);

struct sm_view *sm_view_new(uint32_t n_slots, uint32_t n_jobs) MUST_CHECK;
struct sm_view *sm_view_ref(struct sm_view *v);
void sm_view_unref(struct sm_view *v);
/* NULL: none. */
const struct sm_slot *sm_view_slot(const struct sm_view *v, const char *id, size_t n);
const struct sm_job *sm_view_job(const struct sm_view *v, const char *id, size_t n);

/* "2026-11-21T07:40:00Z" in the arena. */
const char *sm_time_text(struct arena *a, int64_t us);

/* ---- what a method asks for (prov_call.changes) ---- */

enum sm_ask { SM_ASK_NOTHING, SM_ASK_DISCOVER, SM_ASK_REMOVE };

struct sm_changes {
	enum sm_ask ask;
	char *uri; /* canonical */
	char *id;
	char *interop; /* NULL: find it */
	char *user, *password;
	uint32_t level, type; /* as in struct sm_job */
	uint64_t job; /* its number */
	char what[400];
};
struct sm_changes *sm_changes_new(void) MUST_CHECK;
/* Wipes the password. */
void sm_changes_free(struct sm_changes *c);

/* ---- the tables (classes.c, methods.c) ---- */

/* Fill in classes, associations and methods of m; returns what sm_tables_free takes. */
void *sm_tables_new(struct prov_module *m) MUST_CHECK;
void sm_tables_free(void *tables);

extern const struct prov_method sm_methods[];
extern const size_t sm_n_methods;

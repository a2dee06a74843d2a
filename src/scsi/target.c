/* SPDX-License-Identifier: Apache-2.0 */
/* Units, targets, nexuses: who sees what, and who is told when it changes. */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

#include "scsi/lu.h"

/* ---- units ---- */

static void wake_task(struct range *r)
{
	struct scsi_task *t = container_of(r, struct scsi_task, range_);

	t->lu_->dev->ops->post(t->lu_->dev, &t->rq_);
}

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

static void copy_padded(char *to, size_t n, const char *from)
{
	size_t len = strnlen(from, n);

	memset(to, ' ', n);
	memcpy(to, from, len);
}

static bool printable(const char *s, size_t max)
{
	size_t n = strnlen(s, max + 1);

	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x20 || s[i] > 0x7e)
			return false;
	return n <= max;
}

struct scsi_lu *scsi_lu_new(const struct scsi_lu_params *p, struct err *e)
{
	struct scsi_lu *lu;
	void *saved = NULL;
	size_t saved_len = 0;
	int r;

	if (p->naa >> 60 != 3) {
		(void)err_set(e, -EINVAL, "unit name %016" PRIx64 " is not of NAA type 3", p->naa);
		return NULL;
	}
	if (!printable(p->vendor, 8) || !printable(p->product, 16) || !printable(p->revision, 4)) {
		(void)err_set(
			e, -EINVAL,
			"vendor, product and revision are at most 8, 16 and 4 ASCII characters");
		return NULL;
	}
	/* Of its alignment, which malloc doesn't promise. */
	lu = aligned_alloc(_Alignof(struct scsi_lu), sizeof(*lu));
	if (!lu) {
		(void)err_set(e, -ENOMEM, "out of memory");
		return NULL;
	}
	memset(lu, 0, sizeof(*lu));
	lu->refs = 1;
	lu->dev = p->dev;
	lu->naa = p->naa;
	lu->pr_save = p->pr_save;
	lu->pr_ctx = p->pr_ctx;
	copy_padded(lu->vendor, 8, p->vendor);
	copy_padded(lu->product, 16, p->product);
	copy_padded(lu->revision, 4, p->revision);
	(void)snprintf(lu->serial, sizeof(lu->serial), "%016" PRIx64, p->naa);
	(void)pthread_mutex_init(&lu->lock, NULL);
	ranges_init(&lu->ranges, wake_task);
	scsi_mode_reset(lu);
	/* Verdicts are cached by (unit's address, generation): a later unit at the same address
	 * must not continue this one's numbers. */
	lu->pr_verdicts = monotonic_ns() << 8 | 1;
	if (p->pr_load) {
		r = p->pr_load(p->pr_ctx, &saved, &saved_len);
		if (r < 0)
			(void)err_set(e, r, "load reservations: %s", strerror(-r));
		else
			r = pr_state_load(lu, saved, saved_len, e);
		free(saved);
		if (r < 0) {
			scsi_lu_unref(lu);
			return NULL;
		}
	}
	/* From here on the owner is told; a failed scsi_lu_new tells nobody. */
	lu->released = p->released;
	lu->released_ctx = p->released_ctx;
	lu->health = p->health;
	lu->health_ctx = p->health_ctx;
	return lu;
}

void scsi_lu_health(struct scsi_lu *lu, enum blockdev_op op, int result)
{
	enum { TELL_EVERY_NS = 1000000000 };
	bool tell = false;

	if (!lu->health)
		return;
	(void)pthread_mutex_lock(&lu->lock);
	if (result < 0) {
		tell = lu->ill == 0;
		lu->ill_op = op;
	} else {
		/* A full file still reads: well is who can do again what failed. */
		tell = lu->ill != 0 && op == lu->ill_op &&
		       monotonic_ns() - lu->ill_told_ns > TELL_EVERY_NS;
	}
	if (tell) {
		lu->ill_told_ns = monotonic_ns();
		__atomic_store_n(&lu->ill, result, __ATOMIC_RELAXED);
		lu->health(lu->health_ctx, result);
	}
	(void)pthread_mutex_unlock(&lu->lock);
}

void scsi_lu_ref(struct scsi_lu *lu)
{
	(void)__atomic_add_fetch(&lu->refs, 1, __ATOMIC_RELAXED);
}

void scsi_lu_unref(struct scsi_lu *lu)
{
	void (*released)(void *ctx);
	void *ctx;

	if (!lu || __atomic_sub_fetch(&lu->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	released = lu->released;
	ctx = lu->released_ctx;
	pr_state_done(&lu->pr);
	ranges_done(&lu->ranges);
	(void)pthread_mutex_destroy(&lu->lock);
	free(lu);
	if (released)
		released(ctx);
}

void scsi_lu_resized(struct scsi_lu *lu)
{
	(void)pthread_mutex_lock(&lu->lock);
	scsi_lu_attention(lu, UA_CAPACITY_CHANGED, UA_EVERYONE, NULL);
	(void)pthread_mutex_unlock(&lu->lock);
}

/* ---- unit attentions ---- */

enum sense_code scsi_attention_code(enum unit_attention ua)
{
	static const uint16_t code[UA_N] = {
		[UA_RESET] = RESET_OCCURRED,
		[UA_BUS_DEVICE_RESET] = BUS_DEVICE_RESET_OCCURRED,
		[UA_RESERVATIONS_PREEMPTED] = RESERVATIONS_PREEMPTED,
		[UA_RESERVATIONS_RELEASED] = RESERVATIONS_RELEASED,
		[UA_REGISTRATIONS_PREEMPTED] = REGISTRATIONS_PREEMPTED,
		[UA_CAPACITY_CHANGED] = CAPACITY_DATA_CHANGED,
		[UA_MODE_CHANGED] = MODE_PARAMETERS_CHANGED,
		[UA_COMMANDS_CLEARED] = COMMANDS_CLEARED_BY_ANOTHER_INITIATOR,
		[UA_LUNS_CHANGED] = REPORTED_LUNS_DATA_CHANGED,
	};

	return (enum sense_code)code[ua];
}

static void raise_attention(struct scsi_nexus *n, unsigned lun, enum unit_attention ua)
{
	(void)__atomic_or_fetch(&n->itl[lun].attention, 1U << ua, __ATOMIC_ACQ_REL);
}

void scsi_lu_attention(struct scsi_lu *lu, enum unit_attention ua, enum ua_audience who,
		       const struct scsi_nexus *from)
{
	for (struct scsi_mapping *m = lu->mappings; m; m = m->next) {
		(void)pthread_mutex_lock(&m->target->lock);
		for (struct scsi_nexus *n = m->target->nexuses; n; n = n->next)
			if (who == UA_EVERYONE || n != from)
				raise_attention(n, m->lun, ua);
		(void)pthread_mutex_unlock(&m->target->lock);
	}
}

void scsi_lu_attention_registrant(struct scsi_lu *lu, enum unit_attention ua,
				  const struct pr_registrant *r, const struct scsi_nexus *except)
{
	for (struct scsi_mapping *m = lu->mappings; m; m = m->next) {
		(void)pthread_mutex_lock(&m->target->lock);
		for (struct scsi_nexus *n = m->target->nexuses; n; n = n->next)
			if (n != except && pr_registrant_matches(r, n))
				raise_attention(n, m->lun, ua);
		(void)pthread_mutex_unlock(&m->target->lock);
	}
}

/* ---- targets ---- */

struct scsi_target *scsi_target_new(const char *name)
{
	struct scsi_target *tg = xcalloc(1, sizeof(*tg));

	tg->refs = 1;
	tg->name = xstrdup(name);
	(void)pthread_mutex_init(&tg->lock, NULL);
	return tg;
}

static void target_unref(struct scsi_target *tg)
{
	if (__atomic_sub_fetch(&tg->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	(void)pthread_mutex_destroy(&tg->lock);
	free(tg->name);
	free(tg);
}

void scsi_target_unref(struct scsi_target *tg)
{
	if (!tg)
		return;
	for (unsigned lun = 0; lun <= SCSI_LUN_MAX; lun++)
		(void)scsi_target_unmap(tg, lun);
	target_unref(tg);
}

/* Under tg->lock. */
static void luns_changed(struct scsi_target *tg)
{
	for (struct scsi_nexus *n = tg->nexuses; n; n = n->next)
		for (unsigned lun = 0; lun <= SCSI_LUN_MAX; lun++)
			if (tg->luns[lun])
				raise_attention(n, lun, UA_LUNS_CHANGED);
}

int scsi_target_map(struct scsi_target *tg, unsigned lun, struct scsi_lu *lu)
{
	struct scsi_mapping *m;
	int r = 0;

	if (lun > SCSI_LUN_MAX)
		return -EINVAL;
	m = xcalloc(1, sizeof(*m));
	*m = (struct scsi_mapping){.target = tg, .lun = lun};
	(void)pthread_mutex_lock(&lu->lock);
	(void)pthread_mutex_lock(&tg->lock);
	if (tg->luns[lun]) {
		r = -EEXIST;
	} else {
		m->next = lu->mappings;
		lu->mappings = m;
		scsi_lu_ref(lu);
		/* What the number meant before concerns nobody any more. */
		for (struct scsi_nexus *n = tg->nexuses; n; n = n->next)
			__atomic_store_n(&n->itl[lun].attention, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&tg->luns[lun], lu, __ATOMIC_SEQ_CST);
		luns_changed(tg);
	}
	(void)pthread_mutex_unlock(&tg->lock);
	(void)pthread_mutex_unlock(&lu->lock);
	if (r < 0)
		free(m);
	return r;
}

/* Wait until no nexus is between reading the table and counting its reference: some
 * nanoseconds, unless that thread was preempted just there. */
static void wait_for_lookups(struct scsi_target *tg)
{
	for (struct scsi_nexus *n = tg->nexuses; n; n = n->next) {
		unsigned was = __atomic_load_n(&n->looking, __ATOMIC_SEQ_CST);

		while ((was & 1) && __atomic_load_n(&n->looking, __ATOMIC_SEQ_CST) == was)
			(void)sched_yield();
	}
}

int scsi_target_unmap(struct scsi_target *tg, unsigned lun)
{
	struct scsi_mapping **m, *gone = NULL;
	struct scsi_lu *lu = NULL;

	if (lun > SCSI_LUN_MAX)
		return -EINVAL;
	(void)pthread_mutex_lock(&tg->lock);
	lu = tg->luns[lun];
	if (lu)
		scsi_lu_ref(lu);
	(void)pthread_mutex_unlock(&tg->lock);
	if (!lu)
		return -ENOENT;
	(void)pthread_mutex_lock(&lu->lock);
	(void)pthread_mutex_lock(&tg->lock);
	for (m = &lu->mappings; *m; m = &(*m)->next) {
		if ((*m)->target != tg || (*m)->lun != lun)
			continue;
		gone = *m;
		*m = gone->next;
		__atomic_store_n(&tg->luns[lun], NULL, __ATOMIC_SEQ_CST);
		luns_changed(tg);
		wait_for_lookups(tg);
		break;
	}
	/* Nobody can reach the unit through this number now: RESERVE taken through it ends. */
	if (gone && lu->pr.spc2_holder && lu->pr.spc2_holder->target == tg) {
		lu->pr.spc2_holder = NULL;
		(void)__atomic_add_fetch(&lu->pr_verdicts, 1, __ATOMIC_RELEASE);
	}
	(void)pthread_mutex_unlock(&tg->lock);
	(void)pthread_mutex_unlock(&lu->lock);
	scsi_lu_unref(lu);
	if (!gone)
		return -ENOENT;
	free(gone);
	scsi_lu_unref(lu);
	return 0;
}

/* ---- nexuses ---- */

struct scsi_nexus *scsi_nexus_new(struct scsi_target *tg, const char *initiator_port,
				  const char *target_port, uint16_t rel_port)
{
	struct scsi_nexus *n = xcalloc(1, sizeof(*n));

	n->target = tg;
	(void)__atomic_add_fetch(&tg->refs, 1, __ATOMIC_RELAXED);
	n->initiator_port = xstrndup(initiator_port, PR_NAME_MAX);
	n->target_port = xstrndup(target_port, PR_NAME_MAX);
	n->rel_port = rel_port;
	(void)pthread_mutex_lock(&tg->lock);
	for (unsigned lun = 0; lun <= SCSI_LUN_MAX; lun++)
		n->itl[lun].attention = 1U << UA_RESET;
	n->next = tg->nexuses;
	n->link = &tg->nexuses;
	if (n->next)
		n->next->link = &n->next;
	tg->nexuses = n;
	(void)pthread_mutex_unlock(&tg->lock);
	return n;
}

void scsi_nexus_free(struct scsi_nexus *n)
{
	if (!n)
		return;
	for (unsigned lun = 0; lun <= SCSI_LUN_MAX; lun++) {
		struct scsi_lu *lu = scsi_nexus_lu(n, lun);

		if (!lu)
			continue;
		scsi_lu_nexus_lost(lu, n);
		scsi_lu_unref(lu);
	}
	(void)pthread_mutex_lock(&n->target->lock);
	*n->link = n->next;
	if (n->next)
		n->next->link = n->link;
	(void)pthread_mutex_unlock(&n->target->lock);
	target_unref(n->target);
	free(n->initiator_port);
	free(n->target_port);
	free(n);
}

int scsi_lun_decode(uint64_t lun)
{
	unsigned first = (unsigned)(lun >> 48);

	/* Single level, peripheral device addressing with bus 0, or flat space (SAM-5 4.7.7). */
	if (lun << 16 || (first >> 14) > 1)
		return -EINVAL;
	first &= 0x3fff;
	return first <= SCSI_LUN_MAX ? (int)first : -EINVAL;
}

struct scsi_lu *scsi_nexus_lu(struct scsi_nexus *n, unsigned lun)
{
	struct scsi_lu *lu;

	/* Announce, look, count: see wait_for_lookups().  The word is this nexus' own, so the
	 * two additions cost a cache hit each. */
	(void)__atomic_add_fetch(&n->looking, 1, __ATOMIC_SEQ_CST);
	lu = __atomic_load_n(&n->target->luns[lun], __ATOMIC_SEQ_CST);
	if (lu)
		scsi_lu_ref(lu);
	(void)__atomic_add_fetch(&n->looking, 1, __ATOMIC_RELEASE);
	return lu;
}

struct scsi_lu *scsi_nexus_lu_by_naa(struct scsi_nexus *n, uint64_t naa, unsigned *ret_lun)
{
	for (unsigned lun = 0; lun <= SCSI_LUN_MAX; lun++) {
		struct scsi_lu *lu = scsi_nexus_lu(n, lun);

		if (lu && lu->naa == naa) {
			*ret_lun = lun;
			return lu;
		}
		scsi_lu_unref(lu);
	}
	return NULL;
}

/* ---- task management ---- */

struct scsi_lu *scsi_nexus_unit(struct scsi_nexus *n, uint64_t lun)
{
	int number = scsi_lun_decode(lun);

	return number < 0 ? NULL : scsi_nexus_lu(n, (unsigned)number);
}

static int reset_one(struct scsi_lu *lu)
{
	if (!lu)
		return -ENOENT;
	scsi_lu_reset(lu);
	scsi_lu_unref(lu);
	return 0;
}

int scsi_tmf(struct scsi_nexus *n, enum scsi_tmf what, uint64_t lun)
{
	struct scsi_lu *lu;

	switch (what) {
	case SCSI_TMF_TARGET_RESET:
		for (unsigned i = 0; i <= SCSI_LUN_MAX; i++)
			(void)reset_one(scsi_nexus_lu(n, i));
		return 0;
	case SCSI_TMF_LU_RESET:
		return reset_one(scsi_nexus_unit(n, lun));
	case SCSI_TMF_CLEAR_TASK_SET:
		lu = scsi_nexus_unit(n, lun);
		if (!lu)
			return -ENOENT;
		(void)pthread_mutex_lock(&lu->lock);
		scsi_lu_attention(lu, UA_COMMANDS_CLEARED, UA_OTHERS, n);
		(void)pthread_mutex_unlock(&lu->lock);
		scsi_lu_unref(lu);
		return 0;
	}
	return -ENOENT;
}

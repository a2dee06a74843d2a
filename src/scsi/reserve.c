/* SPDX-License-Identifier: Apache-2.0 */
/* Reservations: RESERVE/RELEASE of SPC-2 5.5, and who may do what (SPC-4 5.13.1, table 66). */
#include "scsi/op.h"
#include "scsi/pr.h"

/* Under lu->lock: cached verdicts are void. */
void pr_changed(struct scsi_lu *lu)
{
	(void)__atomic_add_fetch(&lu->pr_verdicts, 1, __ATOMIC_RELEASE);
}

bool pr_registrant_matches(const struct pr_registrant *r, const struct scsi_nexus *n)
{
	if (!streq(r->initiator_port, n->initiator_port))
		return false;
	if (!r->all_ports)
		return streq(r->target_port, n->target_port);
	/* Every port of one target device: "<node name>,t,0x<tpgt>" up to the comma. */
	return strncmp(r->target_port, n->target_port, strcspn(n->target_port, ",") + 1) == 0;
}

struct pr_registrant *pr_find(const struct pr_state *pr, const struct scsi_nexus *n)
{
	for (struct pr_registrant *r = pr->registrants; r; r = r->next)
		if (pr_registrant_matches(r, n))
			return r;
	return NULL;
}

/* Under lu->lock. */
static uint8_t judge(const struct scsi_lu *lu, const struct scsi_nexus *n)
{
	const struct pr_state *pr = &lu->pr;
	const struct pr_registrant *me;

	if (pr->spc2_holder)
		return pr->spc2_holder == n ? MAY_ALL : 0;
	if (!pr->type)
		return MAY_ALL;
	me = pr_find(pr, n);
	if (me && (me == pr->holder || pr_type_for_registrants((enum pr_type)pr->type)))
		return MAY_ALL;
	return pr_type_write_exclusive((enum pr_type)pr->type) ? MAY_BASIC | MAY_READ : MAY_BASIC;
}

uint8_t scsi_reservation_verdict(struct scsi_lu *lu, struct scsi_nexus *n, unsigned lun)
{
	struct scsi_itl *itl = &n->itl[lun];
	uint64_t now = __atomic_load_n(&lu->pr_verdicts, __ATOMIC_ACQUIRE);

	if (LIKELY(itl->verdict_generation == now && itl->verdict_lu == lu))
		return itl->verdict;
	(void)pthread_mutex_lock(&lu->lock);
	itl->verdict = judge(lu, n);
	itl->verdict_generation = __atomic_load_n(&lu->pr_verdicts, __ATOMIC_RELAXED);
	itl->verdict_lu = lu;
	(void)pthread_mutex_unlock(&lu->lock);
	return itl->verdict;
}

/* ---- RESERVE, RELEASE ---- */

/* What both refuse: third-party and extent reservations were optional and are obsolete. */
static bool plain(struct scsi_task *t)
{
	if (!(t->cdb[1] & 0x1f))
		return true;
	(void)op_invalid_cdb(t, 1);
	return false;
}

/* Under lu->lock. */
static bool still_mapped(const struct scsi_lu *lu, const struct scsi_nexus *n)
{
	const struct scsi_mapping *m = lu->mappings;

	while (m && m->target != n->target)
		m = m->next;
	return m != NULL;
}

enum scsi_step op_reserve(struct scsi_task *t)
{
	struct scsi_lu *lu = t->lu_;
	bool conflict = false;

	if (!plain(t))
		return SCSI_DONE;
	(void)pthread_mutex_lock(&lu->lock);
	if (!still_mapped(lu, t->nexus)) {
		/* Unmapped since the command began: a holder that nobody would ever remove. */
		(void)pthread_mutex_unlock(&lu->lock);
		return op_fail(t, ILLEGAL_REQUEST, LOGICAL_UNIT_NOT_SUPPORTED);
	}
	if (lu->pr.registrants) {
		/* CRH: who is registered gets GOOD and nothing happens, others a conflict
		 * (SPC-4 5.13.3). */
		conflict = !pr_find(&lu->pr, t->nexus);
	} else if (lu->pr.spc2_holder && lu->pr.spc2_holder != t->nexus) {
		conflict = true;
	} else if (!lu->pr.spc2_holder) {
		lu->pr.spc2_holder = t->nexus;
		pr_changed(lu);
	}
	(void)pthread_mutex_unlock(&lu->lock);
	return conflict ? op_conflict(t) : op_good(t);
}

enum scsi_step op_release(struct scsi_task *t)
{
	struct scsi_lu *lu = t->lu_;
	bool conflict = false;

	if (!plain(t))
		return SCSI_DONE;
	(void)pthread_mutex_lock(&lu->lock);
	if (lu->pr.registrants) {
		conflict = !pr_find(&lu->pr, t->nexus);
	} else if (lu->pr.spc2_holder == t->nexus) {
		lu->pr.spc2_holder = NULL;
		pr_changed(lu);
	}
	(void)pthread_mutex_unlock(&lu->lock);
	/* Releasing what one doesn't hold is no error (SPC-2 7.16). */
	return conflict ? op_conflict(t) : op_good(t);
}

void scsi_lu_nexus_lost(struct scsi_lu *lu, const struct scsi_nexus *n)
{
	(void)pthread_mutex_lock(&lu->lock);
	if (lu->pr.spc2_holder == n) {
		lu->pr.spc2_holder = NULL;
		pr_changed(lu);
	}
	(void)pthread_mutex_unlock(&lu->lock);
}

void scsi_lu_reset(struct scsi_lu *lu)
{
	(void)pthread_mutex_lock(&lu->lock);
	if (lu->pr.spc2_holder) {
		lu->pr.spc2_holder = NULL;
		pr_changed(lu);
	}
	scsi_mode_reset(lu);
	scsi_lu_attention(lu, UA_BUS_DEVICE_RESET, UA_EVERYONE, NULL);
	(void)pthread_mutex_unlock(&lu->lock);
}

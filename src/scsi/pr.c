/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Persistent reservations: PERSISTENT RESERVE IN and OUT, and keeping them
 * (SPC-4 5.13, 6.15, 6.16).
 *
 * A change is made on a copy of the state; the copy is saved when it has to outlive a power
 * failure (APTPL), and only then becomes the state and others are told.  So a change that can't
 * be kept hasn't happened.
 */
#include "scsi/pr.h"

#include <errno.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/wire.h"
#include "scsi/op.h"

enum { PR_LIST_LEN = 24, PR_REPLY_MAX = 1 << 20, SCOPE_LU = 0 };
enum { REGISTER, RESERVE, RELEASE, CLEAR, PREEMPT, PREEMPT_ABORT, REGISTER_IGNORE, REGISTER_MOVE };

/* ---- the list of registrants ---- */

static void registrant_free(struct pr_registrant *r)
{
	free(r->initiator_port);
	free(r->target_port);
	free(r);
}

static void remove_registrant(struct pr_state *pr, struct pr_registrant *gone)
{
	struct pr_registrant **at = &pr->registrants;

	while (*at != gone)
		at = &(*at)->next;
	*at = gone->next;
	pr->n_registrants--;
	if (pr->holder == gone) {
		pr->holder = NULL;
		pr->type = PR_NONE;
	}
	registrant_free(gone);
	if (!pr->registrants)
		pr->type = PR_NONE; /* "all registrants" of nobody */
}

static struct pr_registrant *add_registrant(struct pr_state *pr, uint64_t key,
					    const char *initiator_port, const char *target_port,
					    uint16_t rel_port, bool all_ports)
{
	struct pr_registrant *r, **end = &pr->registrants;

	if (pr->n_registrants == PR_REGISTRANTS_MAX)
		return NULL;
	r = xcalloc(1, sizeof(*r));
	r->key = key;
	r->rel_port = rel_port;
	r->all_ports = all_ports;
	r->initiator_port = xstrndup(initiator_port, PR_NAME_MAX);
	r->target_port = xstrndup(target_port, PR_NAME_MAX);
	while (*end)
		end = &(*end)->next;
	*end = r;
	pr->n_registrants++;
	return r;
}

void pr_state_done(struct pr_state *pr)
{
	struct pr_registrant *r;

	while ((r = pr->registrants)) {
		pr->registrants = r->next;
		registrant_free(r);
	}
	*pr = (struct pr_state){0};
}

/* A copy whose registrants know whose copy they are. */
static struct pr_state state_copy(const struct pr_state *pr)
{
	struct pr_state c = *pr;

	c.registrants = c.holder = NULL;
	c.n_registrants = 0;
	for (struct pr_registrant *r = pr->registrants; r; r = r->next) {
		struct pr_registrant *n = add_registrant(&c, r->key, r->initiator_port,
							 r->target_port, r->rel_port, r->all_ports);

		n->twin = r;
		r->tell = 0;
		if (pr->holder == r)
			c.holder = n;
	}
	return c;
}

static bool is_holder(const struct pr_state *pr, const struct pr_registrant *r)
{
	return pr->type && (pr_type_all((enum pr_type)pr->type) || pr->holder == r);
}

static void tell(struct pr_registrant *r, enum unit_attention ua)
{
	if (r->twin)
		r->twin->tell |= 1U << ua;
}

static void tell_others(struct pr_state *pr, const struct pr_registrant *me, enum unit_attention ua)
{
	for (struct pr_registrant *r = pr->registrants; r; r = r->next)
		if (r != me)
			tell(r, ua);
}

/* ---- keeping: magic, type, holder's place, registrants, checksum over all before it ---- */

static const uint8_t magic[4] = {'S', 'P', 'R', '1'};
enum { NO_HOLDER = 0xffff };

static uint64_t checksum(const void *p, size_t n) /* FNV-1a: against torn files, not people */
{
	const uint8_t *at = p;
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < n; i++)
		h = (h ^ at[i]) * 0x100000001b3;
	return h;
}

static void add_be(struct buf *b, size_t n, uint64_t v)
{
	uint8_t p[8];

	be_put(p, n, v);
	(void)buf_add(b, p, n);
}

static void add_string(struct buf *b, const char *s)
{
	add_be(b, 2, strlen(s));
	(void)buf_adds(b, s);
}

static int state_save(struct scsi_lu *lu, const struct pr_state *pr)
{
	auto_buf struct buf b = buf_of(PR_REPLY_MAX);
	unsigned at = 0, holder = NO_HOLDER;

	if (!pr->aptpl) /* what was kept is void now */
		return lu->pr_save(lu->pr_ctx, "", 0);
	for (struct pr_registrant *r = pr->registrants; r; r = r->next, at++)
		if (r == pr->holder)
			holder = at;
	(void)buf_add(&b, magic, sizeof(magic));
	add_be(&b, 1, pr->type);
	add_be(&b, 2, holder);
	add_be(&b, 2, pr->n_registrants);
	for (struct pr_registrant *r = pr->registrants; r; r = r->next) {
		add_be(&b, 8, r->key);
		add_be(&b, 2, r->rel_port);
		add_be(&b, 1, r->all_ports);
		add_string(&b, r->initiator_port);
		add_string(&b, r->target_port);
	}
	add_be(&b, 8, checksum(b.p, b.len));
	return b.full ? -ENOSPC : lu->pr_save(lu->pr_ctx, b.p, b.len);
}

static const char *read_string(struct wire *w, char to[static PR_NAME_MAX + 1])
{
	size_t n = wire_u16(w);
	const uint8_t *p = wire_bytes(w, n);

	if (!p || n > PR_NAME_MAX || memchr(p, 0, n)) {
		w->bad = true;
		n = 0;
	} else {
		memcpy(to, p, n);
	}
	to[n] = '\0';
	return to;
}

int pr_state_load(struct scsi_lu *lu, const void *p, size_t len, struct err *e)
{
	struct pr_state pr = {.aptpl = true};
	struct wire w;
	const uint8_t *m;
	unsigned holder, n;

	if (len == 0)
		return 0;
	if (len < 8 || checksum(p, len - 8) != be64((const uint8_t *)p + len - 8))
		return err_set(e, -EBADMSG, "kept reservations are damaged (%zu bytes)", len);
	w = wire_of(p, len - 8);
	m = wire_bytes(&w, sizeof(magic));
	if (!m || memcmp(m, magic, sizeof(magic)) != 0)
		return err_set(e, -EPROTO, "kept reservations are not in a form known here");
	pr.type = wire_u8(&w);
	holder = wire_u16(&w);
	n = wire_u16(&w);
	for (unsigned i = 0; i < n && !w.bad; i++) {
		uint64_t high = wire_u32(&w), key = high << 32 | wire_u32(&w);
		uint16_t rel_port = wire_u16(&w);
		bool all_ports = wire_u8(&w) != 0;
		char initiator[PR_NAME_MAX + 1], target[PR_NAME_MAX + 1];
		struct pr_registrant *r;

		(void)read_string(&w, initiator);
		(void)read_string(&w, target);
		r = w.bad ? NULL : add_registrant(&pr, key, initiator, target, rel_port, all_ports);
		if (!r)
			w.bad = true;
		else if (i == holder)
			pr.holder = r;
	}
	/* A reservation has a known type, and a holder unless it is everybody's. */
	if (!wire_done(&w) || (pr.type && (!pr_type_valid(pr.type) || !pr.registrants)) ||
	    (pr.type && !pr_type_all((enum pr_type)pr.type)) != (pr.holder != NULL)) {
		pr_state_done(&pr);
		return err_set(e, -EPROTO, "kept reservations contradict themselves");
	}
	(void)pthread_mutex_lock(&lu->lock);
	lu->pr = pr;
	pr_changed(lu);
	(void)pthread_mutex_unlock(&lu->lock);
	return 0;
}

/* ---- TransportID of iSCSI (SPC-4) ---- */

enum { ID_LEN_MIN = 24, ID_NAME = 0x05, ID_NAME_AND_ISID = 0x45 };

static void add_transport_id(struct buf *b, const char *initiator_port)
{
	size_t n = strlen(initiator_port), len = (n + 1 + 3) & ~(size_t)3;

	if (len < ID_LEN_MIN - 4)
		len = ID_LEN_MIN - 4;
	add_be(b, 1, strstr(initiator_port, ",i,0x") ? ID_NAME_AND_ISID : ID_NAME);
	add_be(b, 1, 0);
	add_be(b, 2, len);
	(void)buf_adds(b, initiator_port);
	for (; n < len; n++)
		(void)buf_addc(b, '\0');
}

/*
 * Read one TransportID and find the initiator port it means: itself, or, when it names only the
 * node, the one through which that node is logged in to this target.  false: not valid.
 */
static bool read_transport_id(struct wire *w, struct scsi_target *tg,
			      char ret_port[static PR_NAME_MAX + 1])
{
	uint8_t format = wire_u8(w);
	size_t len, n;
	const char *p;
	bool found = false;

	(void)wire_u8(w);
	len = wire_u16(w);
	p = (const char *)wire_bytes(w, len);
	if (!p || len < ID_LEN_MIN - 4 || len % 4)
		return false;
	n = strnlen(p, len);
	if (n == len || n > PR_NAME_MAX)
		return false;
	memcpy(ret_port, p, n);
	ret_port[n] = '\0';
	if (format == ID_NAME_AND_ISID)
		return strstr(ret_port, ",i,0x") != NULL;
	if (format != ID_NAME)
		return false;
	(void)pthread_mutex_lock(&tg->lock);
	for (struct scsi_nexus *x = tg->nexuses; x && !found; x = x->next) {
		found = strncmp(x->initiator_port, ret_port, n) == 0 && x->initiator_port[n] == ',';
		if (found)
			(void)snprintf(ret_port, PR_NAME_MAX + 1, "%s", x->initiator_port);
	}
	(void)pthread_mutex_unlock(&tg->lock);
	return found;
}

/* ---- PERSISTENT RESERVE IN ---- */

static void read_full_status(const struct pr_state *pr, struct buf *b)
{
	for (struct pr_registrant *r = pr->registrants; r; r = r->next) {
		bool holder = is_holder(pr, r);
		auto_buf struct buf id = buf_of(1024);

		add_transport_id(&id, r->initiator_port);
		add_be(b, 8, r->key);
		add_be(b, 4, 0);
		add_be(b, 1, (r->all_ports ? 2U : 0U) | (holder ? 1U : 0U));
		add_be(b, 1, holder ? pr->type : 0U);
		add_be(b, 4, 0);
		add_be(b, 2, r->all_ports ? 0 : r->rel_port);
		add_be(b, 4, id.len);
		(void)buf_add(b, id.p, id.len);
	}
}

static enum scsi_step report_capabilities(struct scsi_task *t, bool aptpl)
{
	uint8_t p[8] = {0, 8};

	p[2] = (uint8_t)(0x1c | (t->lu_->pr_save ? 0x01 : 0)); /* CRH SIP_C ATP_C, PTPL_C */
	p[3] = (uint8_t)(0x80 | (aptpl ? 0x01 : 0));           /* TMV, PTPL_A */
	be_put16(p + 4, 0xea01);                               /* every type there is */
	return op_reply(t, p, sizeof(p));
}

enum scsi_step op_pr_in(struct scsi_task *t)
{
	struct scsi_lu *lu = t->lu_;
	const struct pr_state *pr = &lu->pr;
	auto_buf struct buf b = buf_of(PR_REPLY_MAX);
	unsigned what = t->cdb[1] & 0x1f;
	bool aptpl, spc2;

	(void)pthread_mutex_lock(&lu->lock);
	aptpl = pr->aptpl;
	spc2 = pr->spc2_holder != NULL;
	add_be(&b, 4, pr->generation);
	add_be(&b, 4, 0);
	if (what == 0) {
		for (struct pr_registrant *r = pr->registrants; r; r = r->next)
			add_be(&b, 8, r->key);
	} else if (what == 1 && pr->type) {
		add_be(&b, 8, pr->holder ? pr->holder->key : 0);
		add_be(&b, 5, 0);
		add_be(&b, 1, pr->type);
		add_be(&b, 2, 0);
	} else if (what == 3) {
		read_full_status(pr, &b);
	}
	(void)pthread_mutex_unlock(&lu->lock);
	if (spc2) /* two kinds of reservation don't mix (SPC-2 5.5.1) */
		return op_conflict(t);
	if (what == 2)
		return report_capabilities(t, aptpl);
	be_put32((uint8_t *)b.p + 4, (uint32_t)b.len - 8);
	return op_reply(t, b.p, b.len);
}

/* ---- PERSISTENT RESERVE OUT ---- */

/* One change in the making. */
struct change {
	struct scsi_task *t;
	struct pr_state next;     /* the copy it is made on */
	struct pr_registrant *me; /* in next; NULL: not registered */
	uint64_t key, action_key;
	uint8_t flags; /* byte 20 */
	unsigned action, scope, type;
	const uint8_t *list;
	size_t len;
};
enum { SPEC_I_PT = 0x08, ALL_TG_PT = 0x04, APTPL = 0x01 };

/* What becomes of a change; anything but KEEP has set the task's answer. */
enum outcome { KEEP, REFUSED };

static enum outcome conflict(struct change *c)
{
	(void)op_conflict(c->t);
	return REFUSED;
}

static enum outcome bad_parameter(struct change *c, unsigned byte)
{
	(void)op_invalid_parameter(c->t, byte);
	return REFUSED;
}

static enum outcome no_room(struct change *c)
{
	(void)op_fail(c->t, ILLEGAL_REQUEST, INSUFFICIENT_REGISTRATION_RESOURCES);
	return REFUSED;
}

static bool type_and_scope_valid(struct change *c)
{
	if (c->scope == SCOPE_LU && pr_type_valid(c->type))
		return true;
	(void)op_invalid_cdb(c->t, 2);
	return false;
}

/* The reservation ends; who is left of those it gave access hears of it (SPC-4 5.13.11.2.2). */
static void release(struct change *c)
{
	if (pr_type_for_registrants((enum pr_type)c->next.type))
		tell_others(&c->next, c->me, UA_RESERVATIONS_RELEASED);
	c->next.type = PR_NONE;
	c->next.holder = NULL;
}

static enum outcome unregister_me(struct change *c)
{
	bool last = c->next.n_registrants == 1;

	if (c->next.holder == c->me ||
	    (last && c->next.type && pr_type_all((enum pr_type)c->next.type)))
		release(c);
	remove_registrant(&c->next, c->me);
	c->me = NULL;
	return KEEP;
}

/* The TransportIDs behind the list: each is registered as we are, or nothing happens. */
static enum outcome register_named(struct change *c)
{
	struct scsi_nexus *n = c->t->nexus;
	struct wire w = wire_of(c->list + PR_LIST_LEN, c->len - PR_LIST_LEN);
	uint32_t len = wire_u32(&w);

	if (w.bad || len != wire_left(&w))
		return bad_parameter(c, PR_LIST_LEN);
	while (wire_left(&w) > 0) {
		char port[PR_NAME_MAX + 1];
		struct scsi_nexus who = {.initiator_port = port, .target_port = n->target_port};

		if (!read_transport_id(&w, n->target, port))
			return bad_parameter(c, PR_LIST_LEN + 4);
		if (pr_find(&c->next, &who)) /* already, or named twice */
			return bad_parameter(c, PR_LIST_LEN + 4);
		if (!add_registrant(&c->next, c->action_key, port, n->target_port, n->rel_port,
				    c->flags & ALL_TG_PT))
			return no_room(c);
	}
	return KEEP;
}

static enum outcome do_register(struct change *c)
{
	const struct scsi_nexus *n = c->t->nexus;

	if (c->action == REGISTER && c->key != (c->me ? c->me->key : 0))
		return conflict(c);
	if ((c->flags & SPEC_I_PT) && (c->me || c->action == REGISTER_IGNORE))
		return bad_parameter(c, 20);
	if (!c->me && c->action_key == 0)
		return KEEP;
	c->next.generation++;
	c->next.aptpl = c->flags & APTPL;
	if (c->action_key == 0)
		return unregister_me(c);
	if (c->me) {
		c->me->key = c->action_key;
		return KEEP;
	}
	c->me = add_registrant(&c->next, c->action_key, n->initiator_port, n->target_port,
			       n->rel_port, c->flags & ALL_TG_PT);
	if (!c->me)
		return no_room(c);
	return c->flags & SPEC_I_PT ? register_named(c) : KEEP;
}

static enum outcome do_reserve(struct change *c)
{
	if (!type_and_scope_valid(c))
		return REFUSED;
	if (c->next.type)
		return is_holder(&c->next, c->me) && c->next.type == c->type ? KEEP : conflict(c);
	c->next.type = (uint8_t)c->type;
	c->next.holder = pr_type_all((enum pr_type)c->type) ? NULL : c->me;
	return KEEP;
}

static enum outcome do_release(struct change *c)
{
	if (!c->next.type || !is_holder(&c->next, c->me))
		return KEEP; /* no error (SPC-4 5.13.11.2.3) */
	if (c->scope != SCOPE_LU || c->type != c->next.type) {
		(void)op_fail(c->t, ILLEGAL_REQUEST, INVALID_RELEASE);
		return REFUSED;
	}
	release(c);
	return KEEP;
}

static enum outcome do_clear(struct change *c)
{
	tell_others(&c->next, c->me, UA_RESERVATIONS_PREEMPTED);
	c->next.type = PR_NONE;
	c->next.holder = NULL;
	while (c->next.registrants)
		remove_registrant(&c->next, c->next.registrants);
	c->me = NULL;
	c->next.generation++;
	return KEEP;
}

/* Remove all others with this key (0: all others); false when there was none. */
static bool preempt_registrations(struct change *c, uint64_t key)
{
	struct pr_registrant *r, *next;
	bool any = key != 0 && c->me->key == key;

	for (r = c->next.registrants; r; r = next) {
		next = r->next;
		if (r == c->me || (key != 0 && r->key != key))
			continue;
		any = true;
		tell(r, UA_REGISTRATIONS_PREEMPTED);
		remove_registrant(&c->next, r);
	}
	return any;
}

static enum outcome do_preempt(struct change *c)
{
	const struct pr_state *pr = &c->next;
	bool all = pr->type && pr_type_all((enum pr_type)pr->type);
	uint8_t was = pr->type;
	bool takes = all ? c->action_key == 0
			 : pr->holder && pr->holder->key == c->action_key && pr->type;

	if (c->action_key == 0 && !all)
		return bad_parameter(c, 8);
	c->next.generation++;
	if (!takes) /* scope and type do not matter (SPC-4, removing registrations) */
		return preempt_registrations(c, c->action_key) ? KEEP : conflict(c);
	if (!type_and_scope_valid(c))
		return REFUSED;
	(void)preempt_registrations(c, c->action_key);
	if (was != c->type && pr_type_for_registrants((enum pr_type)was))
		tell_others(&c->next, c->me, UA_RESERVATIONS_RELEASED);
	c->next.type = (uint8_t)c->type;
	c->next.holder = pr_type_all((enum pr_type)c->type) ? NULL : c->me;
	return KEEP;
}

static enum outcome do_move(struct change *c)
{
	const struct scsi_nexus *n = c->t->nexus;
	uint16_t rel_port = be16(c->list + 18);
	uint32_t id_len = be32(c->list + 20);
	struct wire w = wire_of(c->list + PR_LIST_LEN, c->len - PR_LIST_LEN);
	char initiator[PR_NAME_MAX + 1], target[PR_NAME_MAX + 1];
	struct scsi_nexus who = {.initiator_port = initiator, .target_port = target};
	struct pr_registrant *to;

	if (!c->next.type || c->next.holder != c->me)
		return conflict(c);
	if (c->action_key == 0)
		return bad_parameter(c, 8);
	if (id_len != wire_left(&w) || !read_transport_id(&w, n->target, initiator) ||
	    wire_left(&w) > 0)
		return bad_parameter(c, 20);
	/* The port is one of ours: the same node, another portal group. */
	(void)snprintf(target, sizeof(target), "%.*s,t,0x%04x", (int)strcspn(n->target_port, ","),
		       n->target_port, rel_port);
	if (pr_registrant_matches(c->me, &who))
		return bad_parameter(c, 24);
	c->next.generation++;
	c->next.aptpl = c->list[17] & 0x01;
	to = pr_find(&c->next, &who);
	if (to)
		to->key = c->action_key;
	else
		to = add_registrant(&c->next, c->action_key, initiator, target, rel_port, false);
	if (!to)
		return no_room(c);
	c->next.holder = to;
	if (c->list[17] & 0x02) { /* UNREG */
		remove_registrant(&c->next, c->me);
		c->me = NULL;
	}
	return KEEP;
}

static enum outcome decide(struct change *c)
{
	if (c->action != REGISTER && c->action != REGISTER_IGNORE &&
	    (!c->me || c->me->key != c->key))
		return conflict(c);
	switch (c->action) {
	case REGISTER:
	case REGISTER_IGNORE:
		return do_register(c);
	case RESERVE:
		return do_reserve(c);
	case RELEASE:
		return do_release(c);
	case CLEAR:
		return do_clear(c);
	case REGISTER_MOVE:
		return do_move(c);
	default:
		return do_preempt(c);
	}
}

/* Under lu->lock: next becomes the state, and who is concerned hears of it. */
static void publish(struct scsi_lu *lu, struct change *c)
{
	struct pr_state old = lu->pr;

	lu->pr = c->next;
	c->next = (struct pr_state){0};
	pr_changed(lu);
	for (struct pr_registrant *r = old.registrants; r; r = r->next)
		for (unsigned ua = 0; ua < UA_N; ua++)
			if (r->tell & (1U << ua))
				scsi_lu_attention_registrant(lu, (enum unit_attention)ua, r,
							     c->t->nexus);
	for (struct pr_registrant *r = lu->pr.registrants; r; r = r->next)
		r->twin = NULL;
	pr_state_done(&old);
}

enum scsi_step op_pr_out(struct scsi_task *t)
{
	struct scsi_lu *lu = t->lu_;
	struct change c = {.t = t,
			   .action = t->cdb[1] & 0x1f,
			   .scope = t->cdb[2] >> 4,
			   .type = t->cdb[2] & 0xf};
	enum outcome o;

	c.list = op_list(t, &c.len);
	if (c.len < PR_LIST_LEN)
		return op_fail(t, ILLEGAL_REQUEST, PARAMETER_LIST_LENGTH_ERROR);
	c.key = be64(c.list);
	c.action_key = be64(c.list + 8);
	c.flags = c.list[20];
	if (c.action != REGISTER_MOVE && !(c.flags & SPEC_I_PT) && c.len != PR_LIST_LEN)
		return op_fail(t, ILLEGAL_REQUEST, PARAMETER_LIST_LENGTH_ERROR);
	if (c.action != REGISTER && c.action != REGISTER_IGNORE && c.action != REGISTER_MOVE &&
	    (c.flags & SPEC_I_PT))
		return op_invalid_parameter(t, 20);
	if (!lu->pr_save && (c.action == REGISTER_MOVE ? c.list[17] & 1 : c.flags & APTPL))
		return op_invalid_parameter(t, c.action == REGISTER_MOVE ? 17 : 20);

	(void)pthread_mutex_lock(&lu->lock);
	if (lu->pr.spc2_holder) {
		(void)pthread_mutex_unlock(&lu->lock);
		return op_conflict(t);
	}
	c.next = state_copy(&lu->pr);
	c.me = pr_find(&c.next, t->nexus);
	(void)op_good(t);
	o = decide(&c);
	if (o == KEEP && (lu->pr.aptpl || c.next.aptpl) && state_save(lu, &c.next) < 0) {
		(void)op_fail(t, HARDWARE_ERROR, INTERNAL_TARGET_FAILURE);
		o = REFUSED;
	}
	if (o == KEEP)
		publish(lu, &c);
	(void)pthread_mutex_unlock(&lu->lock);
	pr_state_done(&c.next);
	/* Who was preempted must not write any more once this is answered: wait for all that is
	 * under way, which is what holding the whole unit means. */
	if (o == KEEP && c.action == PREEMPT_ABORT)
		return op_lock(t, RANGE_EXCLUSIVE, 0, UINT64_MAX, op_good);
	return SCSI_DONE;
}

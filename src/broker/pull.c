/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/str.h"
#include "broker/internal.h"

static void pull_free(struct pull *p)
{
	list_done(&p->list);
	arena_free(p->arena);
	free(p);
}

/* Take a context out of the table; under the lock. */
static void unlink_pull(struct broker *b, struct pull *p)
{
	for (struct pull **at = &b->pulls; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			b->n_pulls--;
			return;
		}
	}
}

static bool same_user(const char *a, const char *b)
{
	return a && b ? streq(a, b) : a == b;
}

static uint64_t deadline(uint32_t timeout_s)
{
	return clock_mono_ns() + timeout_s * UINT64_C(1000000000);
}

/* ---- opening ---- */

static enum cim_status check_open(const struct broker_op *op, uint32_t *ret_timeout, struct err *e)
{
	const struct broker_limits *l = &op->b->c.limits;
	const struct cim_request *rq = op->rq;

	if (rq->continue_on_error == CIM_TRUE)
		return refuse(e, CIM_ERR_CONTINUATION_ON_ERROR_NOT_SUPPORTED,
			      "ContinueOnError is not supported");
	*ret_timeout = rq->has_timeout ? rq->timeout_s : l->pull_timeout_s;
	if (*ret_timeout == 0 || *ret_timeout > l->pull_timeout_max_s)
		return refuse(e, CIM_ERR_INVALID_OPERATION_TIMEOUT,
			      "OperationTimeout %u, allowed 1..%u", *ret_timeout,
			      l->pull_timeout_max_s);
	return CIM_OK;
}

/* An identifier that nobody can guess: it is all that a thief would need beside a login. */
static bool new_id(char id[static 33])
{
	static const char hex[] = "0123456789abcdef";
	uint8_t raw[16];

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		return false;
	for (size_t i = 0; i < sizeof(raw); i++) {
		id[2 * i] = hex[raw[i] >> 4];
		id[2 * i + 1] = hex[raw[i] & 15];
	}
	id[32] = '\0';
	return true;
}

static enum cim_status add_pull(struct broker_op *op, struct pull *p, struct err *e)
{
	struct broker *b = op->b;
	uint32_t mine = 0;
	bool room;

	(void)pthread_mutex_lock(&b->lock);
	for (const struct pull *q = b->pulls; q; q = q->next)
		mine += same_user(q->user, p->user);
	room = b->n_pulls < b->c.limits.contexts && mine < b->c.limits.contexts_per_user;
	if (room) {
		p->next = b->pulls;
		b->pulls = p;
		b->n_pulls++;
	}
	(void)pthread_mutex_unlock(&b->lock);
	if (!room)
		return refuse(e, CIM_ERR_SERVER_LIMITS_EXCEEDED,
			      "too many open enumerations: %u of this user, allowed %u; %u in all",
			      mine, b->c.limits.contexts_per_user, b->c.limits.contexts);
	return CIM_OK;
}

static enum pull_kind kind_of(enum cim_op op)
{
	switch ((int)op) {
	case CIM_OP_OPEN_ENUMERATE_INSTANCE_PATHS:
	case CIM_OP_OPEN_REFERENCE_INSTANCE_PATHS:
	case CIM_OP_OPEN_ASSOCIATOR_INSTANCE_PATHS:
	case CIM_OP_PULL_INSTANCE_PATHS:
		return PULL_PATHS;
	case CIM_OP_OPEN_QUERY_INSTANCES:
	case CIM_OP_PULL_INSTANCES:
		return PULL_QUERY;
	default:
		return PULL_OBJECTS;
	}
}

static void begin(struct broker_op *op, struct pull *p)
{
	static const enum broker_kind kinds[] = {
		[PULL_OBJECTS] = BROKER_OBJECTS,
		[PULL_PATHS] = BROKER_OBJECT_PATHS,
		[PULL_QUERY] = BROKER_INSTANCES,
	};
	uint32_t most = op->b->c.limits.pull_max_objects;

	p->left = op->rq->has_max_objects ? op->rq->max_objects : 0;
	p->left = p->left < most ? p->left : most;
	op->pull = p;
	op->ans.kind = kinds[p->kind];
	op->ans.pull = true;
	op->ans.context = p->id;
	op->ans.cls = p->cls;
}

static enum cim_status make_pull(struct broker_op *op, struct pull *p, uint32_t timeout,
				 struct err *e)
{
	enum cim_status s;

	p->kind = kind_of(op->rq->op);
	p->space = op->space;
	p->timeout_s = timeout;
	p->busy = true;
	if (op->who.user) {
		p->user = arena_strdup(p->arena, op->who.user);
		if (!p->user)
			return refuse(e, CIM_ERR_FAILED, "out of memory");
	}
	s = start_list(op, &p->list, p->arena, e);
	if (arena_full(p->arena))
		return refuse(e, CIM_ERR_SERVER_LIMITS_EXCEEDED,
			      "an open enumeration must not need more than %zu bytes for its "
			      "filter and property list",
			      op->b->c.limits.context_bytes);
	if (s != CIM_OK)
		return s;
	p->cls = op->ans.cls;
	if (!new_id(p->id))
		return refuse(e, CIM_ERR_FAILED, "no random numbers to be had");
	return add_pull(op, p, e);
}

enum cim_status op_open_enumeration(struct broker_op *op, struct err *e)
{
	uint32_t timeout = 0;
	enum cim_status s = check_open(op, &timeout, e);
	struct pull *p;

	if (s != CIM_OK)
		return s;
	p = xcalloc(1, sizeof(*p));
	p->arena = arena_new(op->b->c.limits.context_bytes);
	list_init(&p->list, op->b, p->arena);
	s = make_pull(op, p, timeout, e);
	if (s != CIM_OK) {
		pull_free(p);
		return s;
	}
	begin(op, p);
	if (op->rq->return_query_class)
		op->ans.rows = p->cls;
	return CIM_OK;
}

/* ---- going on ---- */

/* Find the asker's context; what belongs to others does not exist for it.  Under the lock. */
static struct pull *find_pull(const struct broker_op *op)
{
	struct pull *p = op->b->pulls;

	while (p && !streq(p->id, op->rq->context))
		p = p->next;
	if (!p || !same_user(p->user, op->who.user) || p->space != op->space)
		return NULL;
	return p->busy || clock_mono_ns() < p->ends_ns ? p : NULL;
}

static enum cim_status no_context(const struct broker_op *op, struct err *e)
{
	return refuse(e, CIM_ERR_INVALID_ENUMERATION_CONTEXT, "no open enumeration %s",
		      op->rq->context);
}

static enum cim_status need_context(const struct broker_op *op, struct err *e)
{
	if (!op->rq->context)
		return refuse(e, CIM_ERR_INVALID_PARAMETER,
			      "parameter EnumerationContext is missing");
	return CIM_OK;
}

enum cim_status op_pull(struct broker_op *op, struct err *e)
{
	enum cim_status s = need_context(op, e);
	struct pull *p;
	bool busy = false;

	if (s != CIM_OK)
		return s;
	if (!op->rq->has_max_objects)
		return refuse(e, CIM_ERR_INVALID_PARAMETER, "parameter MaxObjectCount is missing");
	(void)pthread_mutex_lock(&op->b->lock);
	p = find_pull(op);
	if (p && p->kind != kind_of(op->rq->op))
		p = NULL;
	if (p) {
		busy = p->busy;
		p->busy = true;
	}
	(void)pthread_mutex_unlock(&op->b->lock);
	if (!p)
		return no_context(op, e);
	if (busy)
		return refuse(e, CIM_ERR_FAILED, "another pull of enumeration %s is under way",
			      op->rq->context);
	begin(op, p);
	return CIM_OK;
}

bool pull_next(struct broker_op *op, struct broker_item *ret)
{
	struct pull *p = op->pull;

	if (p->left > 0 && list_next(&p->list, ret)) {
		p->left--;
		return true;
	}
	if (p->list.paused || (!list_more(&p->list) && p->list.paused))
		return false;
	if (p->list.failed) {
		op->ans.status = CIM_ERR_FAILED;
		(void)snprintf(op->ans.text, sizeof(op->ans.text),
			       "an object needs more memory than allowed");
	}
	op->ans.end_of_sequence = !list_more(&p->list);
	if (op->ans.end_of_sequence)
		op->ans.context = NULL;
	return false;
}

void pull_release(struct broker_op *op)
{
	struct pull *p = op->pull;
	bool over = !op->finished || op->ans.end_of_sequence;

	(void)pthread_mutex_lock(&op->b->lock);
	if (over)
		unlink_pull(op->b, p);
	p->busy = false;
	p->ends_ns = deadline(p->timeout_s);
	(void)pthread_mutex_unlock(&op->b->lock);
	if (over)
		pull_free(p);
	op->pull = NULL;
}

enum cim_status op_close_enumeration(struct broker_op *op, struct err *e)
{
	enum cim_status s = need_context(op, e);
	struct pull *p;
	bool busy = false;

	if (s != CIM_OK)
		return s;
	(void)pthread_mutex_lock(&op->b->lock);
	p = find_pull(op);
	if (p) {
		busy = p->busy;
		if (!busy)
			unlink_pull(op->b, p);
	}
	(void)pthread_mutex_unlock(&op->b->lock);
	if (!p)
		return no_context(op, e);
	if (busy)
		return refuse(e, CIM_ERR_PULL_CANNOT_BE_ABANDONED,
			      "a pull of enumeration %s is under way", op->rq->context);
	pull_free(p);
	op->ans.kind = BROKER_NOTHING;
	return CIM_OK;
}

/* How many objects are left, when that can be said without looking at each. */
static bool count_left(struct listing *l, uint64_t *ret)
{
	uint64_t n = 0;

	if (l->kind != LIST_CLASS || l->filter)
		return false;
	for (size_t i = 0; i < l->rows.n; i++) {
		const struct row *row = l->rows.v[i];
		struct prov_ctx c = reader_ctx(&l->rd, row);

		if (!row->pc || !row->pc->count)
			return false;
		n += row->pc->count(&c);
	}
	*ret = n > l->given ? n - l->given : 0;
	return true;
}

enum cim_status op_enumeration_count(struct broker_op *op, struct err *e)
{
	struct cim_value *v = arena_zalloc(op->a, sizeof(*v));
	enum cim_status s = need_context(op, e);
	struct pull *p;
	uint64_t n = 0;
	bool known;

	if (s != CIM_OK)
		return s;
	if (!v)
		return refuse(e, CIM_ERR_FAILED, "out of memory");
	(void)pthread_mutex_lock(&op->b->lock);
	p = find_pull(op);
	known = p && !p->busy && count_left(&p->list, &n);
	if (p && !p->busy)
		p->ends_ns = deadline(p->timeout_s);
	(void)pthread_mutex_unlock(&op->b->lock);
	if (!p)
		return no_context(op, e);
	*v = known ? cim_u64(n) : cim_null(CIM_UINT64);
	op->one.value = v;
	op->ans.kind = BROKER_VALUE;
	op->ans.single = true;
	return CIM_OK;
}

/* ---- letting go ---- */

/* Contexts past their time, or all of them. */
static void drop(struct broker *b, bool all)
{
	struct pull *gone = NULL, **at;
	uint64_t now = clock_mono_ns();

	(void)pthread_mutex_lock(&b->lock);
	for (at = &b->pulls; *at;) {
		struct pull *p = *at;

		if (!all && (p->busy || now < p->ends_ns)) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		b->n_pulls--;
		p->next = gone;
		gone = p;
	}
	(void)pthread_mutex_unlock(&b->lock);
	while (gone) {
		struct pull *next = gone->next;

		pull_free(gone);
		gone = next;
	}
}

void broker_tick(struct broker *b)
{
	drop(b, false);
}

void pull_drop_all(struct broker *b)
{
	drop(b, true);
}

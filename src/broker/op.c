/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/str.h"
#include "broker/internal.h"

/* ---- checks that many operations share ---- */

enum cim_status need_class(const struct broker_op *op, const char *name, enum cim_status unknown,
			   const struct cim_class **ret, struct err *e)
{
	const struct cim_class *c;

	if (!name || !name[0])
		return refuse(e, CIM_ERR_INVALID_PARAMETER, "the class name is missing");
	c = cim_ns_find(op->space->ns, name, strlen(name));
	if (!c)
		return refuse(e, unknown, "no class %s in namespace %s", name,
			      op->space->ns->name);
	*ret = c;
	return CIM_OK;
}

static enum cim_status filter_class(const struct broker_op *op, const char *what, const char *name,
				    const struct cim_class **ret, struct err *e)
{
	*ret = NULL;
	if (!name || !name[0])
		return CIM_OK;
	*ret = class_anywhere(op->b, op->space, name);
	if (!*ret)
		return refuse(e, CIM_ERR_INVALID_PARAMETER, "%s: no class %s", what, name);
	return CIM_OK;
}

static const char *or_null(const char *s)
{
	return s && s[0] ? s : NULL;
}

enum cim_status need_filter(const struct broker_op *op, struct list_filter *ret, struct err *e)
{
	const struct cim_request *rq = op->rq;
	enum cim_status s;

	ret->role = or_null(rq->role);
	ret->result_role = or_null(rq->result_role);
	s = filter_class(op, "AssocClass", rq->assoc_class, &ret->assoc_class, e);
	if (s != CIM_OK)
		return s;
	return filter_class(op, "ResultClass", rq->result_class, &ret->result_class, e);
}

/* ---- starting a listing ---- */

static enum cim_status copy_props(struct reader *r, const struct cim_request *rq, struct err *e)
{
	const char **to;

	if (!rq->has_props)
		return CIM_OK;
	to = arena_alloc(r->arena, (rq->n_props + 1U) * sizeof(*to));
	for (uint32_t i = 0; to && i < rq->n_props; i++)
		to[i] = arena_strdup(r->arena, rq->props[i]);
	if (!to || arena_full(r->arena))
		return refuse(e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	r->props = to;
	r->n_props = rq->n_props;
	r->has_props = true;
	return CIM_OK;
}

static enum cim_status parse_query(struct broker_op *op, struct arena *a, enum query_lang lang,
				   struct query **ret, struct err *e)
{
	size_t n = strlen(op->rq->query), most = op->b->c.limits.query_bytes;
	struct err why;

	if (n > most)
		return refuse(e, CIM_ERR_INVALID_QUERY, "a query of %zu bytes, allowed %zu", n,
			      most);
	switch (query_parse(a, lang, op->rq->query, n, &op->b->c.limits.query, ret, &why)) {
	case 0:
		return CIM_OK;
	case -ENOMEM: /* an Open says so in its own words */
		return refuse(e, CIM_ERR_FAILED, "%s", why.text);
	default:
		return refuse(e, CIM_ERR_INVALID_QUERY, "%s", why.text);
	}
}

/* FilterQuery and FilterQueryLanguage of the Opens. */
static enum cim_status start_filter(struct broker_op *op, struct listing *l, struct arena *a,
				    struct err *e)
{
	const struct cim_request *rq = op->rq;
	bool has_lang = or_null(rq->query_lang), has_query = or_null(rq->query);
	enum query_lang lang;
	struct query *q;
	enum cim_status s;

	if (!has_lang && !has_query)
		return CIM_OK;
	if (has_lang != has_query)
		return refuse(e, CIM_ERR_INVALID_PARAMETER,
			      "FilterQuery and FilterQueryLanguage go together");
	if (!query_lang_parse(rq->query_lang, &lang) || lang != QUERY_FQL)
		return refuse(e, CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED,
			      "FilterQueryLanguage %s, supported DMTF:FQL", rq->query_lang);
	s = parse_query(op, a, lang, &q, e);
	l->filter = s == CIM_OK ? q : NULL;
	return s;
}

static enum cim_status start_class(struct broker_op *op, struct listing *l, struct err *e)
{
	const struct cim_class *c;
	enum cim_status s = need_class(op, op->rq->class_name, CIM_ERR_INVALID_CLASS, &c, e);

	if (s != CIM_OK)
		return s;
	if (op->rq->deep == CIM_FALSE && !l->paths_only)
		l->rd.only = c;
	op->ans.cls = c;
	list_class(l, op->space, c);
	return CIM_OK;
}

/* A source that doesn't exist is an error and not an empty list: the client's picture is old. */
static enum cim_status start_walk(struct broker_op *op, struct listing *l, enum list_kind kind,
				  struct err *e)
{
	struct cim_path *p = op->rq->path;
	struct list_filter f;
	const struct row *row;
	struct prov_obj from;
	struct prov_link link;
	struct prov_ctx c;
	enum cim_status s;

	if (!p)
		return refuse(e, CIM_ERR_INVALID_PARAMETER, "the instance's path is missing");
	s = check_path(op->b, op->space, op->a, p, CIM_ERR_INVALID_PARAMETER, e);
	if (s == CIM_OK)
		s = need_filter(op, &f, e);
	if (s != CIM_OK)
		return s;
	op->ans.cls = p->cls;
	row = op->space->row[p->cls->id];
	if (!row)
		return not_found(op->a, p, e);
	c = reader_ctx(&l->rd, row);
	if (row->pa) { /* links have no links of their own */
		if (!link_find(op->b, &c, row, p, &link))
			return not_found(op->a, p, e);
		return CIM_OK;
	}
	if (!row_find(&c, row, p, &from))
		return not_found(op->a, p, e);
	if (!list_walk(l, kind, row, &from, &f))
		return refuse(e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	return CIM_OK;
}

/* Does the class or one below it have what the query names? */
static bool known_below(const struct space *sp, const struct cim_class *c, const char *prop)
{
	if (cim_prop_find(c, prop, strlen(prop)) >= 0)
		return true;
	for (size_t i = 0; i < c->n_subs; i++)
		if (cim_ns_has(sp->ns, c->subs[i]) && known_below(sp, c->subs[i], prop))
			return true;
	return false;
}

static enum cim_status start_query(struct broker_op *op, struct listing *l, struct arena *a,
				   struct err *e)
{
	const struct cim_class *c;
	enum query_lang lang;
	struct query *q;
	enum cim_status s;

	if (!or_null(op->rq->query_lang) || !or_null(op->rq->query))
		return refuse(e, CIM_ERR_INVALID_PARAMETER, "parameter %s is missing",
			      or_null(op->rq->query) ? "QueryLanguage" : "Query");
	if (!query_lang_parse(op->rq->query_lang, &lang) || lang == QUERY_FQL)
		return refuse(e, CIM_ERR_QUERY_LANGUAGE_NOT_SUPPORTED,
			      "query language %s, supported WQL and DMTF:CQL", op->rq->query_lang);
	s = parse_query(op, a, lang, &q, e);
	if (s == CIM_OK)
		s = need_class(op, q->from, CIM_ERR_INVALID_CLASS, &c, e);
	if (s != CIM_OK)
		return s;
	for (uint32_t i = 0; i < q->n_used; i++)
		if (!known_below(op->space, c, q->used[i]))
			return refuse(e, CIM_ERR_INVALID_QUERY, "class %s has no property %s",
				      c->name, q->used[i]);
	l->filter = q;
	if (!q->star) {
		l->rd.props = q->select;
		l->rd.n_props = q->n_select;
		l->rd.has_props = true;
	}
	op->ans.cls = c;
	list_class(l, op->space, c);
	return CIM_OK;
}

enum source { OF_CLASS, OF_QUERY, OF_REFERENCES, OF_ASSOCIATORS };
enum { PATHS = 1 };

static const struct {
	enum source from;
	int paths;
} listings[CIM_N_OPS] = {
	[CIM_OP_ENUMERATE_INSTANCES] = {OF_CLASS, 0},
	[CIM_OP_ENUMERATE_INSTANCE_NAMES] = {OF_CLASS, PATHS},
	[CIM_OP_OPEN_ENUMERATE_INSTANCES] = {OF_CLASS, 0},
	[CIM_OP_OPEN_ENUMERATE_INSTANCE_PATHS] = {OF_CLASS, PATHS},
	[CIM_OP_REFERENCES] = {OF_REFERENCES, 0},
	[CIM_OP_REFERENCE_NAMES] = {OF_REFERENCES, PATHS},
	[CIM_OP_OPEN_REFERENCE_INSTANCES] = {OF_REFERENCES, 0},
	[CIM_OP_OPEN_REFERENCE_INSTANCE_PATHS] = {OF_REFERENCES, PATHS},
	[CIM_OP_ASSOCIATORS] = {OF_ASSOCIATORS, 0},
	[CIM_OP_ASSOCIATOR_NAMES] = {OF_ASSOCIATORS, PATHS},
	[CIM_OP_OPEN_ASSOCIATOR_INSTANCES] = {OF_ASSOCIATORS, 0},
	[CIM_OP_OPEN_ASSOCIATOR_INSTANCE_PATHS] = {OF_ASSOCIATORS, PATHS},
	[CIM_OP_EXEC_QUERY] = {OF_QUERY, 0},
	[CIM_OP_OPEN_QUERY_INSTANCES] = {OF_QUERY, 0},
};

enum cim_status start_list(struct broker_op *op, struct listing *l, struct arena *a, struct err *e)
{
	enum source from = listings[op->rq->op].from;
	enum cim_status s;

	l->paths_only = listings[op->rq->op].paths == PATHS;
	if (from == OF_QUERY)
		return start_query(op, l, a, e);
	s = l->paths_only ? CIM_OK : copy_props(&l->rd, op->rq, e);
	if (s != CIM_OK)
		return s;
	if (from == OF_CLASS)
		s = start_class(op, l, e);
	else
		s = start_walk(op, l, from == OF_REFERENCES ? LIST_REFERENCES : LIST_ASSOCIATORS, e);
	/* Only the Opens have a filter query; the classic operations' requests leave it out. */
	return s == CIM_OK ? start_filter(op, l, a, e) : s;
}

static enum cim_status op_list(struct broker_op *op, struct err *e)
{
	static const enum broker_kind kinds[] = {
		[CIM_OP_ENUMERATE_INSTANCES] = BROKER_INSTANCES,
		[CIM_OP_ENUMERATE_INSTANCE_NAMES] = BROKER_PATHS,
		[CIM_OP_ASSOCIATORS] = BROKER_OBJECTS,
		[CIM_OP_ASSOCIATOR_NAMES] = BROKER_OBJECT_PATHS,
		[CIM_OP_REFERENCES] = BROKER_OBJECTS,
		[CIM_OP_REFERENCE_NAMES] = BROKER_OBJECT_PATHS,
		[CIM_OP_EXEC_QUERY] = BROKER_OBJECTS,
	};

	op->list = arena_alloc(op->a, sizeof(*op->list));
	if (!op->list)
		return refuse(e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	list_init(op->list, op->b, op->a);
	op->ans.kind = kinds[op->rq->op];
	return start_list(op, op->list, op->a, e);
}

static enum cim_status op_associations(struct broker_op *op, struct err *e)
{
	bool refs = op->rq->op == CIM_OP_REFERENCES || op->rq->op == CIM_OP_REFERENCE_NAMES;
	bool names = op->rq->op == CIM_OP_REFERENCE_NAMES ||
		     op->rq->op == CIM_OP_ASSOCIATOR_NAMES;
	const struct cim_class *c;
	struct list_filter f;
	enum cim_status s;

	if (op->rq->path && op->rq->path->n_keys > 0)
		return op_list(op, e);
	s = need_class(op, op->rq->class_name, CIM_ERR_INVALID_PARAMETER, &c, e);
	if (s == CIM_OK)
		s = need_filter(op, &f, e);
	if (s != CIM_OK)
		return s;
	op->ans.kind = names ? BROKER_OBJECT_PATHS : BROKER_OBJECTS;
	op->ans.cls = c;
	return refs ? op_class_references(op, c, &f, e) : op_class_associators(op, c, &f, e);
}

/* ---- one instance ---- */

static enum cim_status find_one(struct broker_op *op, struct made **ret, struct err *e)
{
	struct cim_path *p = op->rq->path;
	struct prov_link link = {0};
	struct prov_obj obj = {0};
	const struct row *row;
	struct prov_ctx c;
	enum cim_status s;
	bool found;

	if (!p)
		return refuse(e, CIM_ERR_INVALID_PARAMETER, "the instance's path is missing");
	s = check_path(op->b, op->space, op->a, p, CIM_ERR_INVALID_CLASS, e);
	if (s != CIM_OK)
		return s;
	row = op->space->row[p->cls->id];
	op->rd = arena_alloc(op->a, sizeof(*op->rd));
	if (!op->rd)
		return refuse(e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	reader_init(op->rd, op->b, op->a);
	if (row) {
		c = reader_ctx(op->rd, row);
		found = row->pa ? link_find(op->b, &c, row, p, &link)
				: row_find(&c, row, p, &obj);
	}
	if (!row || !found)
		return not_found(op->a, p, e);
	op->rd->props = op->rq->props;
	op->rd->n_props = op->rq->n_props;
	op->rd->has_props = op->rq->has_props && op->rq->op == CIM_OP_GET_INSTANCE;
	*ret = row->pa ? reader_link(op->rd, row, &link, true)
		       : reader_obj(op->rd, row, &obj, true);
	if (!*ret || arena_full(op->a))
		return refuse(e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	op->ans.cls = row->cls;
	op->ans.single = true;
	return CIM_OK;
}

static enum cim_status op_get_instance(struct broker_op *op, struct err *e)
{
	struct made *m;
	enum cim_status s = find_one(op, &m, e);

	if (s != CIM_OK)
		return s;
	op->one.inst = m->inst;
	op->one.path = &m->path;
	op->ans.kind = BROKER_INSTANCES;
	return CIM_OK;
}

static enum cim_status op_get_property(struct broker_op *op, struct err *e)
{
	const char *name = op->rq->name;
	struct made *m;
	enum cim_status s = find_one(op, &m, e);
	int idx;

	if (s != CIM_OK)
		return s;
	idx = name ? cim_prop_find(m->row->cls, name, strlen(name)) : -1;
	if (idx < 0)
		return refuse(e, CIM_ERR_NO_SUCH_PROPERTY, "class %s has no property %s",
			      m->row->cls->name, name ? name : "");
	op->one.value = &m->inst->v[idx];
	op->ans.kind = BROKER_VALUE;
	return CIM_OK;
}

static enum cim_status op_unsupported(struct broker_op *op, struct err *e)
{
	return refuse(e, CIM_ERR_NOT_SUPPORTED, "%s: the schema is fixed", cim_op_name(op->rq->op));
}

/* ---- from open to close ---- */

/* METHODS: reads or writes, the method's row says which. */
enum access { READS, WRITES, METHODS };

static const struct {
	enum cim_status (*start)(struct broker_op *op, struct err *e);
	enum access access;
} ops[CIM_N_OPS] = {
	[CIM_OP_GET_CLASS] = {op_get_class, READS},
	[CIM_OP_ENUMERATE_CLASSES] = {op_enumerate_classes, READS},
	[CIM_OP_ENUMERATE_CLASS_NAMES] = {op_enumerate_classes, READS},
	[CIM_OP_GET_INSTANCE] = {op_get_instance, READS},
	[CIM_OP_ENUMERATE_INSTANCES] = {op_list, READS},
	[CIM_OP_ENUMERATE_INSTANCE_NAMES] = {op_list, READS},
	[CIM_OP_CREATE_INSTANCE] = {op_create, WRITES},
	[CIM_OP_MODIFY_INSTANCE] = {op_modify, WRITES},
	[CIM_OP_DELETE_INSTANCE] = {op_delete, WRITES},
	[CIM_OP_ASSOCIATORS] = {op_associations, READS},
	[CIM_OP_ASSOCIATOR_NAMES] = {op_associations, READS},
	[CIM_OP_REFERENCES] = {op_associations, READS},
	[CIM_OP_REFERENCE_NAMES] = {op_associations, READS},
	[CIM_OP_EXEC_QUERY] = {op_list, READS},
	[CIM_OP_GET_PROPERTY] = {op_get_property, READS},
	[CIM_OP_SET_PROPERTY] = {op_set_property, WRITES},
	[CIM_OP_GET_QUALIFIER] = {op_get_qualifier, READS},
	[CIM_OP_ENUMERATE_QUALIFIERS] = {op_enumerate_qualifiers, READS},
	[CIM_OP_OPEN_ENUMERATE_INSTANCES] = {op_open_enumeration, READS},
	[CIM_OP_OPEN_ENUMERATE_INSTANCE_PATHS] = {op_open_enumeration, READS},
	[CIM_OP_OPEN_REFERENCE_INSTANCES] = {op_open_enumeration, READS},
	[CIM_OP_OPEN_REFERENCE_INSTANCE_PATHS] = {op_open_enumeration, READS},
	[CIM_OP_OPEN_ASSOCIATOR_INSTANCES] = {op_open_enumeration, READS},
	[CIM_OP_OPEN_ASSOCIATOR_INSTANCE_PATHS] = {op_open_enumeration, READS},
	[CIM_OP_OPEN_QUERY_INSTANCES] = {op_open_enumeration, READS},
	[CIM_OP_PULL_INSTANCES_WITH_PATH] = {op_pull, READS},
	[CIM_OP_PULL_INSTANCE_PATHS] = {op_pull, READS},
	[CIM_OP_PULL_INSTANCES] = {op_pull, READS},
	[CIM_OP_CLOSE_ENUMERATION] = {op_close_enumeration, READS},
	[CIM_OP_ENUMERATION_COUNT] = {op_enumeration_count, READS},
	[CIM_OP_CREATE_CLASS] = {op_unsupported, WRITES},
	[CIM_OP_MODIFY_CLASS] = {op_unsupported, WRITES},
	[CIM_OP_DELETE_CLASS] = {op_unsupported, WRITES},
	[CIM_OP_SET_QUALIFIER] = {op_unsupported, WRITES},
	[CIM_OP_DELETE_QUALIFIER] = {op_unsupported, WRITES},
	[CIM_OP_INVOKE_METHOD] = {op_method, METHODS},
};

static bool allowed(const struct prov_caller *who, enum access access)
{
	return access == WRITES	  ? who->may_write
	       : access == READS ? who->may_read
				 : who->may_read || who->may_write;
}

static const char *user_of(const struct broker_op *op)
{
	return op->who.user ? op->who.user : "who is not logged in";
}

enum cim_status need_write_access(const struct broker_op *op, struct err *e)
{
	if (allowed(&op->who, WRITES))
		return CIM_OK;
	return refuse(e, CIM_ERR_ACCESS_DENIED, "%s may not change anything", user_of(op));
}

enum cim_status need_method_access(const struct broker_op *op, const char *method, bool reads_only,
				   struct err *e)
{
	if (allowed(&op->who, WRITES) || (reads_only && allowed(&op->who, READS)))
		return CIM_OK;
	return refuse(e, CIM_ERR_ACCESS_DENIED, "%s may not call %s", user_of(op), method);
}

static enum cim_status start(struct broker_op *op, struct err *e)
{
	struct cim_request *rq = op->rq;
	enum access access = ops[rq->op].access;

	if (access == WRITES && need_write_access(op, e) != CIM_OK)
		return CIM_ERR_ACCESS_DENIED;
	if (!allowed(&op->who, access))
		return refuse(e, CIM_ERR_ACCESS_DENIED, "%s may not read", user_of(op));
	op->space = space_find(op->b, rq->ns);
	if (!op->space)
		return refuse(e, CIM_ERR_INVALID_NAMESPACE, "no namespace %s",
			      rq->ns ? rq->ns : "was named");
	return ops[rq->op].start(op, e);
}

static bool flag(uint8_t tristate, bool by_default)
{
	return tristate == CIM_UNSET ? by_default : tristate == CIM_TRUE;
}

struct broker_op *broker_open(struct broker *b, struct cim_request *rq, struct arena *a,
			      const struct prov_caller *who, void (*wake)(void *ctx), void *ctx)
{
	bool of_classes = rq->op == CIM_OP_GET_CLASS || rq->op == CIM_OP_ENUMERATE_CLASSES;
	struct broker_op *op = arena_zalloc(a, sizeof(*op));
	enum cim_status s;
	struct err e;

	if (!op)
		return NULL;
	op->b = b;
	op->rq = rq;
	op->a = a;
	op->who = *who;
	op->wake = wake;
	op->wake_ctx = ctx;
	atomic_init(&op->ready, true);
	/* The deprecated LocalOnly means something for classes only (DSP0200 §5.3.2.1 and later);
	 * so does IncludeQualifiers. */
	op->ans.local_only = of_classes && flag(rq->local_only, true);
	op->ans.include_quals = flag(rq->include_quals, of_classes);
	op->ans.include_origin = flag(rq->include_origin, false);
	e.text[0] = '\0';
	if (ops[rq->op].access != READS)
		op->object = audit_object(a, rq);
	else
		op->audited = true; /* nothing to say */
	s = start(op, &e);
	/* Whatever else seems wrong: what doesn't fit was cut off. */
	if (arena_full(a))
		s = refuse(&e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	if (!op->w && s != CIM_OK) { /* with a writer at work the answer is the writer's */
		op->ans.status = s;
		(void)snprintf(op->ans.text, sizeof(op->ans.text), "%s", e.text);
	}
	if (!op->audited)
		audit_request(op, s, s == CIM_OK ? "" : e.text);
	return op;
}

bool broker_ready(const struct broker_op *op)
{
	return atomic_load(&op->ready);
}

const struct broker_answer *broker_answer(const struct broker_op *op)
{
	return &op->ans;
}

static bool next_class(struct broker_op *op, struct broker_item *ret)
{
	if (op->at >= op->n_classes)
		return false;
	*ret = (struct broker_item){.cls = op->classes[op->at++]};
	return true;
}

static bool next_qualifier(struct broker_op *op, struct broker_item *ret)
{
	if (op->at >= op->b->schema->n_qualdecls)
		return false;
	*ret = (struct broker_item){.qual = &op->b->schema->qualdecls[op->at++]};
	return true;
}

static bool next_listed(struct broker_op *op, struct broker_item *ret)
{
	if (list_next(op->list, ret))
		return true;
	if (op->list->failed) {
		op->ans.status = CIM_ERR_FAILED;
		(void)snprintf(op->ans.text, sizeof(op->ans.text),
			       "an object needs more memory than allowed");
	}
	return false;
}

static bool next_item(struct broker_op *op, struct broker_item *ret)
{
	if (op->ans.single) {
		*ret = op->one;
		return op->at++ == 0;
	}
	if (op->pull)
		return pull_next(op, ret);
	if (op->list)
		return next_listed(op, ret);
	if (op->classes)
		return next_class(op, ret);
	return op->qualifiers && next_qualifier(op, ret);
}

static struct listing *listing_of(const struct broker_op *op)
{
	return op->pull ? &op->pull->list : op->list;
}

bool broker_next(struct broker_op *op, struct broker_item *ret)
{
	struct listing *l = listing_of(op);

	if (op->finished || op->ans.status != CIM_OK)
		return false;
	if (l)
		l->paused = false;
	if (next_item(op, ret))
		return true;
	op->finished = !l || !l->paused;
	return false;
}

enum broker_step broker_step(struct broker_op *op, struct broker_item *ret)
{
	struct listing *l = listing_of(op);
	bool got;

	if (l && l->filter) /* without one the first object will do */
		l->until_ns = clock_mono_ns() + op->b->c.limits.turn_ns;
	got = broker_next(op, ret);
	if (l)
		l->until_ns = 0;
	return got ? BROKER_ITEM : l && l->paused ? BROKER_WORKING : BROKER_END;
}

bool broker_wants(const struct broker_op *op, const struct cim_class *c, unsigned idx)
{
	const struct reader *r = op->pull ? &op->pull->list.rd : op->list ? &op->list->rd : op->rd;
	const struct cim_request *rq = op->rq;

	if (r) {
		if (!r->has_props && !r->only)
			return true;
		if (LIKELY(r->made && r->made->row->cls == c && r->made->bits))
			return r->made->bits[idx / 64] >> (idx % 64) & 1;
		return reader_wants(r, c, idx);
	}
	if (op->ans.local_only && c->props[idx]->declared != c)
		return false;
	for (uint32_t i = 0; rq->has_props && i < rq->n_props; i++)
		if (str_caseeq(rq->props[i], c->props[idx]->name))
			return true;
	return !rq->has_props;
}

void broker_close(struct broker_op *op)
{
	if (!op)
		return;
	if (op->w)
		write_close(op->w);
	if (op->pull)
		pull_release(op);
	if (op->list)
		list_done(op->list);
	if (op->rd)
		reader_done(op->rd);
	if (op->view_mod)
		op->view_mod->view_put(op->view_mod->user, op->view);
}

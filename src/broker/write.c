/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "broker/internal.h"

/* A body's call, and what prov_resolve needs to know beyond it. */
struct call {
	struct prov_call pub; /* first: prov_resolve gets back here */
	const struct broker *b;
	const struct space *space;
};

/* A change in the writer's hands.  It owns copies of all that the body needs, since the client
 * and its request may be gone before the writer gets to it. */
struct write {
	struct prov_write pub;
	const struct broker *b;
	struct arena *arena;
	struct input in;
	struct output out;
	enum { NOT_RUN, REFUSED, AGREED } body; /* what it said when it ran for good */
	pthread_mutex_t lock;
	bool done;
	struct broker_op *op; /* NULL once closed: nobody waits any more */
};

/* ---- references in parameters ---- */

static bool keys_in(const struct prov_obj *o, const struct prov_ctx *c, const struct cim_path *p)
{
	struct cim_value v[KEYS_MAX];

	o->pc->keys(c, o, v);
	for (size_t i = 0, k = 0; i < p->n_keys; i++) {
		while (k < o->pc->cls->n_keys &&
		       !str_caseeq(o->pc->cls->props[o->pc->cls->keys[k]]->name, p->keys[i].name))
			k++;
		if (k == o->pc->cls->n_keys || !cim_value_eq(&v[k], &p->keys[i].v))
			return false;
	}
	return true;
}

/* Objects of a row that an abbreviated path fits; stops at two. */
static unsigned count_fits(const struct prov_ctx *c, const struct row *row,
			   const struct cim_path *p, struct prov_obj *ret)
{
	struct prov_iter it = {0};
	struct prov_obj o = {0};
	unsigned n = 0;

	while (n < 2 && row->pc && row->pc->next && row->pc->next(c, &it, &o)) {
		o.pc = row->pc;
		if (keys_in(&o, c, p)) {
			*ret = o;
			n++;
		}
	}
	return n;
}

static unsigned count_in(const struct call *k, const struct space *sp, const struct cim_class *c,
			 const struct cim_path *p, struct prov_obj *ret)
{
	const struct rows *rows = &sp->below[c->id];
	unsigned n = 0;

	for (size_t i = 0; i < rows->n && n < 2; i++) {
		const struct row *r = rows->v[i];

		if (r->mod != k->pub.ctx.mod)
			continue; /* a handle of another module's view would be of no use */
		if (p->n_keys == r->cls->n_keys)
			n += row_find(&k->pub.ctx, r, p, ret);
		else
			n += count_fits(&k->pub.ctx, r, p, ret);
	}
	return n;
}

enum prov_ref prov_resolve(const struct prov_call *c, const struct cim_value *ref,
			   const struct cim_class *want, struct prov_obj *ret)
{
	const struct call *k = (const struct call *)(const void *)c;
	const struct cim_path *p;
	const struct space *sp;
	unsigned n = 0;

	if (cim_is_null(ref))
		return PROV_REF_NULL;
	if (ref->type != CIM_REF || ref->kind != CIM_V_SCALAR)
		return PROV_REF_WRONG_CLASS;
	p = ref->ref;
	/* A path may name a superclass of what is wanted: its keys say the rest. */
	if (p->cls && !cim_class_is_a(p->cls, want) && cim_class_is_a(want, p->cls))
		want = p->cls;
	else if (!p->cls || !cim_class_is_a(p->cls, want))
		return PROV_REF_WRONG_CLASS;
	else
		want = p->cls;
	if (p->ns) {
		sp = space_find(k->b, p->ns);
		n = sp ? count_in(k, sp, want, p, ret) : 0;
		return n == 1 ? PROV_REF_FOUND : PROV_REF_MISSING;
	}
	n = count_in(k, k->space, want, p, ret);
	for (size_t i = 0; n == 0 && i < k->b->c.n_namespaces; i++)
		if (&k->b->spaces[i] != k->space)
			n = count_in(k, &k->b->spaces[i], want, p, ret);
	return n == 1 ? PROV_REF_FOUND : PROV_REF_MISSING;
}

/* ---- running a body ---- */

/* What the class has before the change, with the client's values on top.  Says in given[] only
 * what would be different afterwards, so that a client may send back all that it read. */
static enum cim_status merge(struct call *k, const struct input *in, struct arena *a, struct err *e)
{
	const struct cim_class *c = in->cls;
	struct cim_instance *now = cim_instance_new(a, c);
	bool *given = arena_zalloc(a, c->n_props + 1U);
	struct cim_value keys[KEYS_MAX];

	if (!now || !given)
		return refuse(e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	in->row->pc->keys(&k->pub.ctx, &k->pub.target, keys);
	for (size_t i = 0; i < c->n_keys; i++)
		now->v[c->keys[i]] = keys[i];
	if (in->row->pc->fill)
		in->row->pc->fill(&k->pub.ctx, &k->pub.target, now);
	for (unsigned i = 0; i < c->n_props; i++) {
		const struct cim_prop *p = c->props[i];

		if (!in->given[i] || cim_value_eq(&in->inst->v[i], &now->v[i]))
			continue;
		if (p->flags & CIM_F_KEY)
			return refuse(e, CIM_ERR_INVALID_PARAMETER,
				      "property %s is a key and can't be changed", p->name);
		if (!(p->flags & CIM_F_WRITE)) {
			if (in->listed)
				return refuse(e, CIM_ERR_INVALID_PARAMETER,
					      "property %s is read-only", p->name);
			continue;
		}
		now->v[i] = in->inst->v[i];
		given[i] = true;
	}
	k->pub.inst = now;
	k->pub.given = given;
	return CIM_OK;
}

static bool any_given(const struct call *k, const struct input *in)
{
	for (unsigned i = 0; i < in->cls->n_props; i++)
		if (k->pub.given[i])
			return true;
	return false;
}

/* A path for the body to complete: class and namespace are in, keys are named. */
static bool blank_path(struct call *k, const struct input *in, struct arena *a)
{
	struct cim_path *p = arena_zalloc(a, sizeof(*p));

	if (!p)
		return false;
	p->keys = arena_zalloc(a, in->cls->n_keys * sizeof(*p->keys));
	if (!p->keys)
		return false;
	for (size_t i = 0; i < in->cls->n_keys; i++)
		p->keys[i].name = in->cls->props[in->cls->keys[i]]->name;
	p->ns = in->space->ns->name;
	p->cls = in->cls;
	p->class_name = in->cls->name;
	p->n_keys = in->cls->n_keys;
	k->pub.new_path = p;
	return true;
}

static enum cim_status run_method(struct call *k, const struct input *in, struct arena *a)
{
	struct cim_value *out = arena_zalloc(a, (in->method->n_params + 1U) * sizeof(*out));

	if (!out)
		return refuse(&k->pub.e, CIM_ERR_FAILED,
			      "the request needs more memory than allowed");
	for (size_t i = 0; i < in->method->n_params; i++)
		out[i].type = in->method->params[i].type;
	k->pub.out = out;
	k->pub.in = in->in;
	k->pub.method = in->method;
	return in->body->body(&k->pub);
}

static enum cim_status run_create(struct call *k, const struct input *in, struct arena *a)
{
	enum cim_status s;

	if (!blank_path(k, in, a))
		return refuse(&k->pub.e, CIM_ERR_FAILED,
			      "the request needs more memory than allowed");
	k->pub.inst = in->inst;
	k->pub.given = in->given;
	s = in->edit->create(&k->pub);
	if (s == CIM_OK && arena_full(a))
		return refuse(&k->pub.e, CIM_ERR_FAILED,
			      "the request needs more memory than allowed");
	return s;
}

static enum cim_status run_modify(struct call *k, const struct input *in, struct arena *a)
{
	enum cim_status s = merge(k, in, a, &k->pub.e);

	return s != CIM_OK || !any_given(k, in) ? s : in->edit->modify(&k->pub);
}

static enum cim_status run_here(struct call *k, const struct input *in, struct arena *a)
{
	struct prov_link link = {0};
	bool found = true;

	if (in->path && in->row->pa)
		found = link_find(k->b, &k->pub.ctx, in->row, in->path, &link);
	else if (in->path)
		found = row_find(&k->pub.ctx, in->row, in->path, &k->pub.target);
	if (!found)
		return not_found(a, in->path, &k->pub.e);
	if (in->op == CIM_OP_INVOKE_METHOD)
		return run_method(k, in, a);
	if (in->op == CIM_OP_CREATE_INSTANCE)
		return run_create(k, in, a);
	if (in->op == CIM_OP_DELETE_INSTANCE && in->edit && in->edit->remove)
		return in->edit->remove(&k->pub, in->row->pa ? &link : NULL);
	if (in->op == CIM_OP_MODIFY_INSTANCE && in->edit && in->edit->modify && in->row->pc)
		return run_modify(k, in, a);
	return refuse(&k->pub.e, CIM_ERR_NOT_SUPPORTED, "instances of %s can't be %s",
		      in->cls->name, in->op == CIM_OP_DELETE_INSTANCE ? "deleted" : "modified");
}

/* Run the body on a view.  What comes out may borrow from the view and the arena. */
static void run(const struct broker *b, const struct input *in, const void *view, void *changes,
		struct arena *a, struct output *ret)
{
	struct call k = {.b = b, .space = in->space};

	k.pub.ctx = (struct prov_ctx){in->mod, view, a, b->c.host};
	k.pub.changes = changes;
	k.pub.caller = &in->who;
	k.pub.target_class = in->cls;
	k.pub.busy_code = 4;
	memset(ret, 0, sizeof(*ret));
	ret->status = run_here(&k, in, a);
	ret->ret = k.pub.ret;
	ret->out = k.pub.out;
	ret->new_path = k.pub.new_path;
	ret->e = k.pub.e;
	ret->busy_code = k.pub.busy_code;
	ret->job_started = k.pub.job_started;
	ret->doubtful = k.pub.doubtful;
}

/* May these changes be made?  A body that refuses, and one that finds nothing to do, is answered
 * as it is. */
static bool wants_writing(const struct prov_module *m, const struct output *o, const void *changes)
{
	return o->status == CIM_OK && (o->ret == 0 || o->job_started) && changes &&
	       m->changes_any(changes);
}

/* ---- answers ---- */

static void answer(struct broker_op *op, const struct input *in, const struct output *o)
{
	struct broker_answer *a = &op->ans;

	a->status = o->status;
	(void)snprintf(a->text, sizeof(a->text), "%s", o->e.text);
	if (o->status != CIM_OK)
		return;
	a->cls = in->cls;
	a->kind = BROKER_NOTHING;
	if (in->op == CIM_OP_INVOKE_METHOD) {
		a->kind = BROKER_METHOD;
		a->method = in->method;
		a->ret = o->ret;
		a->out = o->out;
	} else if (in->op == CIM_OP_CREATE_INSTANCE) {
		a->kind = BROKER_PATHS;
		a->single = true;
		op->one.path = o->new_path;
	}
}

/* The same for what has not been to a writer. */
static void answer_here(struct broker_op *op, const struct input *in, const struct output *o)
{
	answer(op, in, o);
	if (!op->audited)
		audit_write(in, o);
	op->audited = true;
}

/* ---- the writer's side ---- */

static void write_free(struct write *w)
{
	arena_free(w->arena);
	(void)pthread_mutex_destroy(&w->lock);
	free(w);
}

/* What the body left may borrow from a view that is about to go. */
static bool keep_output(struct write *w)
{
	struct output *o = &w->out;

	if (o->out) {
		struct cim_value *kept;

		kept = arena_zalloc(w->arena, (w->in.method->n_params + 1U) * sizeof(*kept));
		for (size_t i = 0; kept && i < w->in.method->n_params; i++)
			if (!cim_value_dup(w->arena, &o->out[i], &kept[i]))
				return false;
		o->out = kept;
	}
	if (o->new_path)
		o->new_path = cim_path_dup(w->arena, o->new_path);
	return !arena_full(w->arena);
}

static bool run_for_good(struct prov_write *pw, const void *view, void *changes)
{
	struct write *w = container_of(pw, struct write, pub);

	run(w->b, &w->in, view, changes, w->arena, &w->out);
	if (!keep_output(w))
		w->out.status = refuse(&w->out.e, CIM_ERR_FAILED,
				       "the request needs more memory than allowed");
	w->body = wants_writing(w->in.mod, &w->out, changes) ? AGREED : REFUSED;
	return w->body == AGREED;
}

/* The body agreed, but the change could not be made durable or real. */
static void put_failure(struct write *w, enum prov_outcome o, const struct err *e)
{
	struct output *out = &w->out;

	if (e && e->code)
		out->e = *e;
	else
		(void)err_set(&out->e, -EIO, "the change could not be made");
	out->out = NULL;
	if (w->in.op != CIM_OP_INVOKE_METHOD)
		out->status = CIM_ERR_FAILED;
	else if (o == PROV_BUSY)
		out->ret = out->busy_code;
	else
		out->ret = o == PROV_TIMEOUT ? 3 : 4;
}

static void done(struct prov_write *pw, enum prov_outcome o, const struct err *e)
{
	struct write *w = container_of(pw, struct write, pub);
	struct broker_op *op;

	/* The body's answer counts only if what became of the change is what the body wanted:
	 * nobody is told of a success that wasn't. */
	if (w->body == NOT_RUN || o != (w->body == AGREED ? PROV_OK : PROV_REFUSED))
		put_failure(w, o, e);
	audit_write(&w->in, &w->out); /* whether or not somebody still waits for the answer */
	(void)pthread_mutex_lock(&w->lock);
	op = w->op;
	w->done = true;
	if (op) {
		answer(op, &w->in, &w->out);
		atomic_store(&op->ready, true);
		/* Under the lock: after broker_close() nobody is woken any more. */
		op->wake(op->wake_ctx);
	}
	(void)pthread_mutex_unlock(&w->lock);
	if (!op)
		write_free(w);
}

void write_close(struct write *w)
{
	bool is_done;

	(void)pthread_mutex_lock(&w->lock);
	is_done = w->done;
	w->op = NULL;
	(void)pthread_mutex_unlock(&w->lock);
	if (is_done)
		write_free(w);
}

/* ---- the asker's side ---- */

static bool copy_input(struct write *w, const struct input *in)
{
	struct arena *a = w->arena;

	w->in = *in;
	if (in->path)
		w->in.path = cim_path_dup(a, in->path);
	if (in->inst)
		w->in.inst = cim_instance_dup(a, in->inst);
	if (in->given) {
		w->in.given = arena_alloc(a, in->cls->n_props + 1U);
		if (w->in.given)
			memcpy(w->in.given, in->given, in->cls->n_props);
	}
	if (in->in) {
		w->in.in = arena_zalloc(a, (in->method->n_params + 1U) * sizeof(*in->in));
		for (size_t i = 0; w->in.in && i < in->method->n_params; i++)
			if (!cim_value_dup(a, &in->in[i], &w->in.in[i]))
				return false;
	}
	w->in.object = in->object ? arena_strdup(a, in->object) : NULL;
	w->in.who.user = in->who.user ? arena_strdup(a, in->who.user) : NULL;
	w->in.who.peer = in->who.peer ? arena_strdup(a, in->who.peer) : NULL;
	return !arena_full(a);
}

static enum cim_status submit(struct broker_op *op, const struct input *in, bool doubtful,
			      struct err *e)
{
	struct write *w;

	w = xcalloc(1, sizeof(*w));
	(void)pthread_mutex_init(&w->lock, NULL);
	w->arena = arena_new(op->b->c.limits.write_bytes);
	w->b = op->b;
	if (!copy_input(w, in)) {
		write_free(w);
		return refuse(e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	}
	w->pub.run = run_for_good;
	w->pub.done = done;
	w->pub.doubtful = doubtful;
	w->pub.here = in->who.alone;
	w->op = op;
	op->w = w;
	op->audited = true; /* by done() */
	atomic_store(&op->ready, false);
	in->mod->submit(in->mod->user, &w->pub);
	return CIM_OK;
}

enum cim_status write_start(struct broker_op *op, const struct input *in, struct err *e)
{
	const struct prov_module *m = in->mod;
	const void *view = m->view_get(m->user);
	void *changes = m->submit ? m->changes_new(m->user) : NULL;
	struct output o;
	bool writing;

	run(op->b, in, view, changes, op->a, &o);
	writing = wants_writing(m, &o, changes) || (o.doubtful && m->submit);
	if (changes)
		m->changes_free(m->user, changes);
	if (writing) {
		enum cim_status s = need_write_access(op, e);

		m->view_put(m->user, view);
		return s == CIM_OK ? submit(op, in, o.doubtful, e) : s;
	}
	op->view = view; /* the answer may borrow from it */
	op->view_mod = m;
	answer_here(op, in, &o);
	*e = o.e;
	return o.status;
}

/* ---- the operations ---- */

static struct input input_of(const struct broker_op *op, enum cim_op what,
			     const struct cim_class *c, const struct row *row)
{
	return (struct input){
		.op = what,
		.space = op->space,
		.row = row,
		.mod = row ? row->mod : NULL,
		.mod_idx = row ? row->mod_idx : 0,
		.cls = c,
		.who = op->who,
		.what = cim_op_name(op->rq->op),
		.object = op->object,
	};
}

static enum cim_status check_params(struct broker_op *op, struct input *in, struct err *e)
{
	const struct cim_method *m = in->method;
	const struct cim_request *rq = op->rq;
	bool *given = arena_zalloc(op->a, m->n_params + 1U);

	in->in = arena_zalloc(op->a, (m->n_params + 1U) * sizeof(*in->in));
	if (!in->in || !given)
		return refuse(e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	for (size_t i = 0; i < m->n_params; i++)
		in->in[i].type = m->params[i].type;
	for (uint32_t i = 0; i < rq->n_params; i++) {
		const struct cim_named *p = &rq->params[i];
		int idx = cim_param_find(m, p->name, strlen(p->name));
		enum cim_status s;
		struct decl d;

		if (idx < 0)
			return refuse(e, CIM_ERR_INVALID_PARAMETER, "method %s has no parameter %s",
				      m->name, p->name);
		if (given[idx])
			return refuse(e, CIM_ERR_INVALID_PARAMETER, "parameter %s is there twice",
				      p->name);
		if (!(m->params[idx].flags & CIM_F_IN))
			return refuse(e, CIM_ERR_INVALID_PARAMETER,
				      "parameter %s is an output parameter", p->name);
		given[idx] = true;
		d = decl_of_param(&m->params[idx]);
		s = check_value(op->b, op->a, &d, p, &in->in[idx], e);
		if (s != CIM_OK)
			return s;
	}
	return CIM_OK;
}

/* Without a body: 1, Not Supported, as the schema's methods define it. */
static enum cim_status no_body(struct broker_op *op, struct input *in, struct err *e)
{
	struct output o = {.ret = 1};

	if (in->row) {
		struct prov_ctx c;
		struct prov_obj obj;
		bool found;

		op->rd = arena_alloc(op->a, sizeof(*op->rd));
		if (!op->rd)
			return refuse(e, CIM_ERR_FAILED,
				      "the request needs more memory than allowed");
		reader_init(op->rd, op->b, op->a);
		c = reader_ctx(op->rd, in->row);
		found = row_find(&c, in->row, in->path, &obj);
		if (!found)
			return not_found(op->a, in->path, e);
	}
	if (in->method->type != CIM_UINT32)
		return refuse(e, CIM_ERR_METHOD_NOT_AVAILABLE, "method %s is not available",
			      in->method->name);
	(void)err_set(&o.e, -ENOSYS, "method %s is not supported here", in->method->name);
	answer_here(op, in, &o);
	return CIM_OK;
}

enum cim_status op_method(struct broker_op *op, struct err *e)
{
	struct cim_path *p = op->rq->path && op->rq->path->n_keys > 0 ? op->rq->path : NULL;
	const struct cim_class *c;
	struct input in;
	enum cim_status s;
	int idx;

	s = need_class(op, op->rq->class_name, CIM_ERR_INVALID_CLASS, &c, e);
	if (s != CIM_OK)
		return s;
	if (p) {
		s = check_path(op->b, op->space, op->a, p, CIM_ERR_INVALID_CLASS, e);
		if (s != CIM_OK)
			return s;
	}
	in = input_of(op, CIM_OP_INVOKE_METHOD, c, p ? op->space->row[c->id] : NULL);
	idx = cim_method_find(c, op->rq->method, strlen(op->rq->method));
	if (idx < 0)
		return refuse(e, CIM_ERR_METHOD_NOT_FOUND, "class %s has no method %s", c->name,
			      op->rq->method);
	in.method = c->methods[idx];
	in.path = p;
	for (unsigned i = 0; i < op->b->c.n_modules && !in.body; i++) {
		if (in.row && in.row->mod_idx != i)
			continue;
		in.body = body_of(op->b, i, c, idx);
		in.mod = op->b->c.modules[i];
		in.mod_idx = i;
	}
	op->audited = in.body && in.body->reads_only;
	s = need_method_access(op, in.method->name, op->audited, e);
	if (s != CIM_OK)
		return s;
	if (!p && !(in.method->flags & CIM_F_STATIC))
		return refuse(e, CIM_ERR_INVALID_PARAMETER,
			      "method %s must be called on an instance of %s", in.method->name,
			      c->name);
	s = check_params(op, &in, e);
	if (s != CIM_OK)
		return s;
	if (p && (!in.row || !in.row->pc))
		return not_found(op->a, p, e);
	return in.body ? write_start(op, &in, e) : no_body(op, &in, e);
}

/* The module that makes instances of a class which may have none yet. */
static const struct prov_edit *creator(const struct broker_op *op, const struct cim_class *c,
				       struct input *in)
{
	const struct row *row = op->space->row[c->id];

	for (unsigned i = 0; i < op->b->c.n_modules; i++) {
		const struct prov_edit *ed;

		if (row && row->mod_idx != i)
			continue;
		ed = edit_of(op->b->c.modules[i], c);
		if (ed && ed->create) {
			in->mod = op->b->c.modules[i];
			in->mod_idx = i;
			return ed;
		}
	}
	return NULL;
}

enum cim_status op_create(struct broker_op *op, struct err *e)
{
	const struct cim_raw_instance *raw = op->rq->instance;
	const struct cim_class *c;
	struct input in;
	enum cim_status s;

	if (!raw)
		return refuse(e, CIM_ERR_INVALID_PARAMETER, "parameter NewInstance is missing");
	s = need_class(op, raw->class_name, CIM_ERR_INVALID_CLASS, &c, e);
	if (s != CIM_OK)
		return s;
	in = input_of(op, CIM_OP_CREATE_INSTANCE, c, NULL);
	in.edit = creator(op, c, &in);
	if (!in.edit)
		return refuse(e, CIM_ERR_NOT_SUPPORTED, "instances of %s can't be created",
			      c->name);
	in.inst = cim_instance_new(op->a, c);
	in.given = arena_zalloc(op->a, c->n_props + 1U);
	if (!in.inst || !in.given)
		return refuse(e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	s = check_instance(op->b, op->a, c, raw, in.inst, in.given, e);
	return s == CIM_OK ? write_start(op, &in, e) : s;
}

/* Modify and delete: the class, the path, who serves it. */
static enum cim_status start_edit(struct broker_op *op, enum cim_op what,
				  const struct cim_path *path, struct input *ret, struct err *e)
{
	struct cim_path *p;
	enum cim_status s;

	if (!path)
		return refuse(e, CIM_ERR_INVALID_PARAMETER, "the instance's path is missing");
	p = cim_path_dup(op->a, path);
	if (!p)
		return refuse(e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	s = check_path(op->b, op->space, op->a, p, CIM_ERR_INVALID_CLASS, e);
	if (s != CIM_OK)
		return s;
	*ret = input_of(op, what, p->cls, op->space->row[p->cls->id]);
	ret->path = p;
	if (!ret->row)
		return not_found(op->a, p, e);
	ret->edit = edit_of(ret->mod, p->cls);
	return CIM_OK;
}

/* The PropertyList decides: what it names is changed (to the default where the instance doesn't
 * say), and nothing else; without one, all that the instance has. */
static enum cim_status apply_list(const struct broker_op *op, struct input *in, struct err *e)
{
	const struct cim_request *rq = op->rq;
	bool *listed;

	if (!rq->has_props)
		return CIM_OK;
	listed = arena_zalloc(op->a, in->cls->n_props + 1U);
	if (!listed)
		return refuse(e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	for (uint32_t i = 0; i < rq->n_props; i++) {
		int idx = cim_prop_find(in->cls, rq->props[i], strlen(rq->props[i]));

		if (idx < 0)
			return refuse(e, CIM_ERR_INVALID_PARAMETER,
				      "PropertyList: class %s has no property %s", in->cls->name,
				      rq->props[i]);
		if (!(in->cls->props[idx]->flags & CIM_F_KEY) || in->given[idx])
			listed[idx] = true;
	}
	in->given = listed;
	in->listed = true;
	return CIM_OK;
}

enum cim_status op_modify(struct broker_op *op, struct err *e)
{
	const struct cim_raw_instance *raw = op->rq->instance;
	struct input in;
	enum cim_status s;

	if (!raw)
		return refuse(e, CIM_ERR_INVALID_PARAMETER,
			      "parameter ModifiedInstance is missing");
	s = start_edit(op, CIM_OP_MODIFY_INSTANCE, raw->path, &in, e);
	if (s != CIM_OK)
		return s;
	if (!str_caseeq(raw->class_name, in.cls->name))
		return refuse(e, CIM_ERR_INVALID_PARAMETER,
			      "an instance of %s can't become one of %s", in.cls->name,
			      raw->class_name);
	in.inst = cim_instance_new(op->a, in.cls);
	in.given = arena_zalloc(op->a, in.cls->n_props + 1U);
	if (!in.inst || !in.given)
		return refuse(e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	s = check_instance(op->b, op->a, in.cls, raw, in.inst, in.given, e);
	if (s == CIM_OK)
		s = apply_list(op, &in, e);
	return s == CIM_OK ? write_start(op, &in, e) : s;
}

enum cim_status op_delete(struct broker_op *op, struct err *e)
{
	struct input in;
	enum cim_status s = start_edit(op, CIM_OP_DELETE_INSTANCE, op->rq->path, &in, e);

	return s == CIM_OK ? write_start(op, &in, e) : s;
}

enum cim_status op_set_property(struct broker_op *op, struct err *e)
{
	struct cim_named value = {.name = op->rq->name, .v = op->rq->new_value};
	struct input in;
	struct decl d;
	enum cim_status s;
	int idx;

	s = start_edit(op, CIM_OP_MODIFY_INSTANCE, op->rq->path, &in, e);
	if (s != CIM_OK)
		return s;
	idx = op->rq->name ? cim_prop_find(in.cls, op->rq->name, strlen(op->rq->name)) : -1;
	if (idx < 0)
		return refuse(e, CIM_ERR_NO_SUCH_PROPERTY, "class %s has no property %s",
			      in.cls->name, op->rq->name ? op->rq->name : "");
	in.inst = cim_instance_new(op->a, in.cls);
	in.given = arena_zalloc(op->a, in.cls->n_props + 1U);
	if (!in.inst || !in.given)
		return refuse(e, CIM_ERR_FAILED, "the request needs more memory than allowed");
	value.is_array = value.v.kind == CIM_V_ARRAY;
	d = decl_of_prop(in.cls->props[idx]);
	s = check_value(op->b, op->a, &d, &value, &in.inst->v[idx], e);
	if (s == CIM_ERR_INVALID_PARAMETER)
		return CIM_ERR_TYPE_MISMATCH;
	in.given[idx] = in.listed = true;
	return s == CIM_OK ? write_start(op, &in, e) : s;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/str.h"
#include "client/client.h"
#include "smiscsi/session.h"

enum { ARENA_MAX = 1 << 30 };

struct session {
	struct client *client;
	struct arena *arena;
};

int session_open(const struct session_config *c, struct session **ret, struct err *e)
{
	struct client_config cc = {
		.url = c->url,
		.user = c->user,
		.password = c->password ? c->password : "",
		.ca_file = c->cacert,
		.insecure = c->insecure,
		.timeout_ms = c->timeout_ms,
	};
	struct session *s = xcalloc(1, sizeof(*s));
	int r;

	if (!c->user)
		cc.password = NULL;
	r = client_new(&cc, &s->client, e);
	if (r < 0) {
		free(s);
		return r;
	}
	s->arena = arena_new(ARENA_MAX);
	*ret = s;
	return 0;
}

void session_close(struct session *s)
{
	if (!s)
		return;
	client_free(s->client);
	arena_free(s->arena);
	free(s);
}

struct arena *session_arena(struct session *s)
{
	return s->arena;
}

static int collect(struct session *s, struct cim_request *rq, struct session_list *ret,
		   struct err *e)
{
	struct client_list l = {0};
	int r = client_collect(s->client, rq, s->arena, &l, e);

	if (r < 0)
		return r;
	*ret = (struct session_list){.v = l.instances, .n = l.n_instances};
	return 0;
}

int session_list(struct session *s, const char *ns, const char *class_name,
		 struct session_list *ret, struct err *e)
{
	struct cim_request rq = {.op = CIM_OP_ENUMERATE_INSTANCES,
				 .ns = ns,
				 .class_name = class_name,
				 .deep = CIM_TRUE};

	return collect(s, &rq, ret, e);
}

int session_list_some(struct session *s, const char *ns, const char *class_name,
		      const char *const *props, struct session_list *ret, struct err *e)
{
	struct cim_request rq = {.op = CIM_OP_ENUMERATE_INSTANCES,
				 .ns = ns,
				 .class_name = class_name,
				 .deep = CIM_TRUE,
				 .props = props,
				 .has_props = true};

	while (props[rq.n_props])
		rq.n_props++;
	return collect(s, &rq, ret, e);
}

/* A number that came as text: the return value, whatever its declared width. */
static uint32_t as_code(const struct cim_value *v)
{
	uint64_t u = UINT32_MAX;

	if (v->kind != CIM_V_SCALAR)
		return UINT32_MAX;
	if (v->type == CIM_UNTYPED || v->type == CIM_STRING)
		return str_u64(v->s, v->n, UINT32_MAX, &u) ? (uint32_t)u : UINT32_MAX;
	return (uint32_t)v->u;
}

int session_invoke(struct session *s, const char *ns, const struct cim_path *object,
		   const char *method, const struct cim_named *params, size_t n_params,
		   struct session_answer *ret, struct err *e)
{
	struct cim_request rq = {.op = CIM_OP_INVOKE_METHOD,
				 .ns = ns,
				 .class_name = object->class_name,
				 .method = method,
				 .n_params = (uint32_t)n_params};
	struct client_list l = {0};
	struct cim_named *p = arena_alloc(s->arena, (n_params ? n_params : 1) * sizeof(*p));
	int r;

	rq.path = cim_path_dup(s->arena, object);
	if (!p || !rq.path)
		return err_set(e, -ENOMEM, "no memory for the request");
	if (n_params)
		memcpy(p, params, n_params * sizeof(*p));
	rq.params = p;
	r = client_collect(s->client, &rq, s->arena, &l, e);
	if (r < 0)
		return r;
	*ret = (struct session_answer){
		.code = as_code(&l.answer.rsp.value),
		.out = l.answer.rsp.params,
		.n_out = l.answer.rsp.n_params,
		.sentence = l.answer.sentence,
	};
	return 0;
}

/* CreateInstance and ModifyInstance say what they want with an instance. */
static struct cim_raw_instance *raw(struct session *s, const char *class_name,
				    const struct cim_named *props, size_t n)
{
	struct cim_raw_instance *i = arena_zalloc(s->arena, sizeof(*i));
	struct cim_named *p = arena_alloc(s->arena, (n ? n : 1) * sizeof(*p));

	if (!i || !p)
		return NULL;
	if (n)
		memcpy(p, props, n * sizeof(*p));
	i->class_name = class_name;
	i->props = p;
	i->n_props = (uint32_t)n;
	return i;
}

int session_create(struct session *s, const char *ns, const char *class_name,
		   const struct cim_named *props, size_t n_props, struct cim_path **ret,
		   struct err *e)
{
	struct cim_request rq = {.op = CIM_OP_CREATE_INSTANCE, .ns = ns, .class_name = class_name};
	struct client_list l = {0};
	int r;

	rq.instance = raw(s, class_name, props, n_props);
	if (!rq.instance)
		return err_set(e, -ENOMEM, "no memory for the request");
	r = client_collect(s->client, &rq, s->arena, &l, e);
	if (r < 0)
		return r;
	if (l.n_paths != 1)
		return err_set(e, -EPROTO, "the server made the %s but did not say its name", class_name);
	*ret = cim_path_dup(s->arena, l.paths[0]);
	return *ret ? 0 : err_set(e, -ENOMEM, "no memory for the answer");
}

int session_modify(struct session *s, const char *ns, const struct cim_path *object,
		   const struct cim_named *props, size_t n_props, struct err *e)
{
	struct cim_request rq = {
		.op = CIM_OP_MODIFY_INSTANCE, .ns = ns, .class_name = object->class_name};
	struct client_list l = {0};

	rq.instance = raw(s, object->class_name, props, n_props);
	rq.path = cim_path_dup(s->arena, object);
	if (!rq.instance || !rq.path)
		return err_set(e, -ENOMEM, "no memory for the request");
	rq.instance->path = rq.path;
	return client_collect(s->client, &rq, s->arena, &l, e);
}

int session_delete(struct session *s, const char *ns, const struct cim_path *object, struct err *e)
{
	struct cim_request rq = {
		.op = CIM_OP_DELETE_INSTANCE, .ns = ns, .class_name = object->class_name};
	struct client_list l = {0};

	rq.path = cim_path_dup(s->arena, object);
	if (!rq.path)
		return err_set(e, -ENOMEM, "no memory for the request");
	return client_collect(s->client, &rq, s->arena, &l, e);
}

/* ---- reading instances ---- */

const struct cim_value *prop(const struct cim_raw_instance *i, const char *name)
{
	for (uint32_t k = 0; k < i->n_props; k++)
		if (str_caseeq(i->props[k].name, name))
			return cim_is_null(&i->props[k].v) ? NULL : &i->props[k].v;
	return NULL;
}

const char *prop_text(const struct cim_raw_instance *i, const char *name)
{
	const struct cim_value *v = prop(i, name);

	/* what an answer carries is text, whatever its type */
	if (!v || v->kind != CIM_V_SCALAR || v->type == CIM_REF || v->type == CIM_OBJECT)
		return "";
	return v->s;
}

static uint64_t number(const struct cim_value *v)
{
	uint64_t u;

	if (v->kind != CIM_V_SCALAR || v->type == CIM_REF || v->type == CIM_OBJECT ||
	    !str_u64(v->s, v->n, UINT64_MAX, &u))
		return 0;
	return u;
}

uint64_t prop_number(const struct cim_raw_instance *i, const char *name)
{
	const struct cim_value *v = prop(i, name);

	return v ? number(v) : 0;
}

uint64_t prop_first(const struct cim_raw_instance *i, const char *name)
{
	const struct cim_value *v = prop(i, name);

	return v && v->kind == CIM_V_ARRAY && v->n > 0 ? number(&v->a[0]) : 0;
}

const char *path_key(const struct cim_path *p, const char *key)
{
	for (uint16_t k = 0; k < p->n_keys; k++)
		if (str_caseeq(p->keys[k].name, key) && p->keys[k].v.kind == CIM_V_SCALAR &&
		    p->keys[k].v.type != CIM_REF)
			return p->keys[k].v.s;
	return "";
}

const char *ref_key(const struct cim_raw_instance *i, const char *name, const char *key)
{
	const struct cim_value *v = prop(i, name);

	return v && v->kind == CIM_V_SCALAR && v->type == CIM_REF ? path_key(v->ref, key) : "";
}

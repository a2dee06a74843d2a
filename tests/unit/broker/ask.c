/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "ask.h"
#include "base/buf.h"
#include "test.h"

enum { NAMED_MAX = 16 };

struct ask_wait {
	pthread_mutex_t lock;
	pthread_cond_t woken;
	int n;
};

struct ask *ask_new(struct broker *b, enum cim_op op, const char *ns)
{
	struct ask *k = xcalloc(1, sizeof(*k));

	k->b = b;
	k->a = arena_new(4 << 20);
	k->rq.op = op;
	k->rq.ns = ns;
	k->who = (struct prov_caller){"alice", "127.0.0.1:1", true, true};
	k->wait = xcalloc(1, sizeof(*k->wait));
	(void)pthread_mutex_init(&k->wait->lock, NULL);
	(void)pthread_cond_init(&k->wait->woken, NULL);
	return k;
}

void ask_free(struct ask *k)
{
	if (!k)
		return;
	broker_close(k->op);
	arena_free(k->a);
	(void)pthread_cond_destroy(&k->wait->woken);
	(void)pthread_mutex_destroy(&k->wait->lock);
	free(k->wait);
	free(k);
}

static struct cim_path *path(struct ask *k, const char *text)
{
	struct cim_path *p = NULL;
	struct err e = {0};

	if (cim_path_parse(k->a, text, strlen(text), &p, &e) < 0)
		CHECK_STR(e.text, "");
	return p;
}

void ask_path(struct ask *k, const char *text)
{
	k->rq.path = path(k, text);
	k->rq.class_name = k->rq.path->class_name;
	if (k->rq.path->n_keys == 0)
		k->rq.path = NULL;
}

void ask_props(struct ask *k, const char *first, ...)
{
	const char **list = arena_alloc(k->a, NAMED_MAX * sizeof(*list));
	va_list ap;

	k->rq.props = list;
	k->rq.has_props = true;
	va_start(ap, first);
	for (const char *s = first; s && k->rq.n_props < NAMED_MAX; s = va_arg(ap, const char *))
		list[k->rq.n_props++] = s;
	va_end(ap);
}

struct cim_named *ask_named(struct ask *k, const char *name)
{
	struct cim_named **list = k->rq.instance ? &k->rq.instance->props : &k->rq.params;
	uint32_t *n = k->rq.instance ? &k->rq.instance->n_props : &k->rq.n_params;

	if (!*list)
		*list = arena_zalloc(k->a, NAMED_MAX * sizeof(**list));
	(*list)[*n].name = name;
	return &(*list)[(*n)++];
}

void ask_value(struct ask *k, const char *name, const char *value)
{
	struct cim_named *v = ask_named(k, name);

	v->v = cim_str(value);
	v->v.type = CIM_UNTYPED;
}

void ask_ref(struct ask *k, const char *name, const char *text)
{
	ask_named(k, name)->v = cim_ref(path(k, text));
}

static void wake(void *ctx)
{
	struct ask_wait *w = ctx;

	(void)pthread_mutex_lock(&w->lock);
	w->n++;
	(void)pthread_cond_signal(&w->woken);
	(void)pthread_mutex_unlock(&w->lock);
}

int ask_woken(struct ask *k)
{
	int n;

	(void)pthread_mutex_lock(&k->wait->lock);
	n = k->wait->n;
	(void)pthread_mutex_unlock(&k->wait->lock);
	return n;
}

void ask_open(struct ask *k)
{
	k->op = broker_open(k->b, &k->rq, k->a, &k->who, wake, k->wait);
	k->ans = broker_answer(k->op);
}

void ask_wait(struct ask *k)
{
	(void)pthread_mutex_lock(&k->wait->lock);
	while (!broker_ready(k->op))
		(void)pthread_cond_wait(&k->wait->woken, &k->wait->lock);
	(void)pthread_mutex_unlock(&k->wait->lock);
}

enum cim_status ask_go(struct ask *k)
{
	ask_open(k);
	ask_wait(k);
	return k->ans->status;
}

static void put_value(struct buf *b, const struct cim_value *v)
{
	char scratch[64];

	if (v->kind == CIM_V_ARRAY) {
		buf_addc(b, '{');
		for (uint32_t i = 0; i < v->n; i++) {
			if (i)
				buf_addc(b, ',');
			put_value(b, &v->a[i]);
		}
		buf_addc(b, '}');
	} else if (cim_is_null(v)) {
		buf_adds(b, "NULL");
	} else if (v->type == CIM_STRING || v->type == CIM_DATETIME) {
		buf_add(b, v->s, v->n);
	} else if (v->type == CIM_REF) {
		AUTO(arena) a = arena_new(1 << 16);

		buf_adds(b, cim_path_print(a, v->ref));
	} else {
		(void)snprintf(scratch, sizeof(scratch), "%" PRIu64, v->u);
		buf_adds(b, scratch);
	}
}

static void put_item(struct ask *k, struct buf *b, const struct broker_item *i)
{
	AUTO(arena) a = arena_new(1 << 16);

	if (i->cls)
		buf_adds(b, i->cls->name);
	if (i->qual)
		buf_adds(b, i->qual->name);
	if (i->value)
		put_value(b, i->value);
	if (i->path)
		buf_adds(b, cim_path_print(a, i->path));
	for (unsigned n = 0; i->inst && n < i->inst->cls->n_props; n++) {
		if (!broker_wants(k->op, i->inst->cls, n))
			continue;
		buf_addf(b, " %s=", i->inst->cls->props[n]->name);
		put_value(b, &i->inst->v[n]);
	}
	buf_addc(b, '\n');
}

const char *ask_text(struct ask *k)
{
	auto_buf struct buf b = buf_of(1 << 20);
	struct broker_item i;

	while (broker_next(k->op, &i))
		put_item(k, &b, &i);
	return arena_strdup(k->a, b.p ? b.p : "");
}

unsigned ask_count(struct ask *k)
{
	struct broker_item i;
	unsigned n = 0;

	while (broker_next(k->op, &i))
		n++;
	return n;
}

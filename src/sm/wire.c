/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.c - talking CIM-XML to a provider (talk.h) with the client of src/client
 *
 * Remote providers are asked with pull operations where they have them: then a slow one sends
 * its classes in pieces.  The own server streams, and needs none.
 */
#include <errno.h>

#include "base/clock.h"
#include "client/client.h"
#include "sm/talk.h"
#include "sm/turns.h"

enum { PULL_OBJECTS = 2000, PULL_TIMEOUT_S = 60, CONNECT_MS = 10000, RSP_BYTES_MAX = 1 << 20 };

enum pull { PULL_UNKNOWN, PULL_YES, PULL_NO };

struct wire {
	struct client *c;
	const struct talk_to *to;
	struct arena *a; /* of one call */
	enum pull pull;
};

/* An enumeration on its way from the client to the one who asked. */
struct sinking {
	talk_each *each;
	void *ctx;
	struct err *e;
	int r;
};

/* Around the decoding of each piece of an answer. */
static void around(void *ctx, bool begins)
{
	if (begins)
		turns_take(ctx);
	else
		turns_give(ctx);
}

static int wire_open(void *user, const struct talk_to *to, void **ret, struct err *e)
{
	(void)user;
	struct wire *w = xcalloc(1, sizeof(*w));
	struct client_config c = {
		.url = to->uri.text,
		.unix_path = to->socket,
		.user = to->user,
		.password = to->password,
		.ca_file = to->ca_file,
		.cert_file = to->cert_file,
		.key_file = to->key_file,
		.connect_ms = CONNECT_MS,
		.timeout_ms = to->op_timeout_s * 1000,
		.answer_bytes = to->answer_bytes,
		.abandon = to->abandon,
		.around = to->turns ? around : NULL,
		.around_ctx = to->turns,
	};
	int r = client_new(&c, &w->c, e);

	if (r < 0) {
		free(w);
		return r;
	}
	w->to = to;
	w->a = arena_new(RSP_BYTES_MAX);
	w->pull = to->socket ? PULL_NO : PULL_UNKNOWN;
	*ret = w;
	return 0;
}

static void wire_close(void *conn)
{
	struct wire *w = conn;

	client_free(w->c);
	arena_free(w->a);
	free(w);
}

static bool sink_instance(void *ctx, const struct cim_raw_instance *i)
{
	struct sinking *s = ctx;

	s->r = s->each(s->ctx, i->path, i, s->e);
	return s->r == 0;
}

/* 0, a CIM status, or -errno. */
static int call(struct wire *w, struct cim_request *rq, struct sinking *s,
		struct client_answer *ret, struct err *e)
{
	struct cimxml_sink sink = {.ctx = s, .instance = sink_instance};
	uint64_t now = clock_mono_ns();

	if (now >= w->to->deadline_ns)
		return err_set(e, -ETIMEDOUT, "reading the provider took too long");
	uint64_t left = (w->to->deadline_ns - now) / 1000000 + 1;

	if (left > w->to->op_timeout_s * 1000ULL)
		left = w->to->op_timeout_s * 1000ULL;
	client_set_timeout(w->c, (unsigned)left);
	int r = client_call(w->c, rq, w->a, &sink, ret, e);

	if (s->r)
		return s->r; /* the sink's own reason, e has it */
	if (r < 0)
		return r;
	if (ret->rsp.status != CIM_OK) {
		err_set(e, -EREMOTEIO, "%s: %s", cim_status_name(ret->rsp.status), ret->rsp.text);
		return (int)ret->rsp.status;
	}
	return 0;
}

static int plain(struct wire *w, struct cim_request *rq, struct sinking *s, struct err *e)
{
	struct client_answer ans;

	rq->op = CIM_OP_ENUMERATE_INSTANCES;
	rq->local_only = CIM_FALSE;
	rq->deep = CIM_TRUE;
	rq->include_quals = CIM_FALSE;
	rq->include_origin = CIM_FALSE;
	return call(w, rq, s, &ans, e);
}

static int pulled(struct wire *w, struct cim_request *rq, struct sinking *s, struct err *e)
{
	struct client_answer ans;

	rq->op = CIM_OP_OPEN_ENUMERATE_INSTANCES;
	rq->deep = CIM_TRUE;
	rq->has_timeout = rq->has_max_objects = true;
	rq->timeout_s = PULL_TIMEOUT_S;
	rq->max_objects = PULL_OBJECTS;
	int r = call(w, rq, s, &ans, e);

	/* one that ends early runs out at the provider by itself (PULL_TIMEOUT_S) */
	while (r == 0 && !ans.rsp.end_of_sequence) {
		/* the context lives in the arena that the next answer goes to */
		char *context = ans.rsp.context ? xstrdup(ans.rsp.context) : NULL;
		struct cim_request next = {.op = CIM_OP_PULL_INSTANCES_WITH_PATH,
					   .ns = rq->ns,
					   .context = context,
					   .has_max_objects = true,
					   .max_objects = PULL_OBJECTS};

		if (!context)
			return err_set(e, -EPROTO, "an unfinished enumeration without a context");
		uint64_t before = ans.rsp.objects;

		arena_reset(w->a);
		r = call(w, &next, s, &ans, e);
		free(context);
		if (r == 0 && !ans.rsp.end_of_sequence && !ans.rsp.objects && !before)
			return err_set(e, -EPROTO, "an enumeration that doesn't go on");
	}
	return r;
}

static int wire_enumerate(void *conn, const char *ns, const char *cls, const char *const *props,
			  size_t n_props, talk_each *each, void *ctx, struct err *e)
{
	struct wire *w = conn;
	struct sinking s = {.each = each, .ctx = ctx, .e = e};
	struct cim_request rq = {.ns = ns,
				 .class_name = cls,
				 .props = props,
				 .n_props = (uint32_t)n_props,
				 .has_props = true};
	int r;

	arena_reset(w->a);
	if (w->pull != PULL_NO) {
		struct cim_request open = rq;

		r = pulled(w, &open, &s, e);
		if (r == 0)
			w->pull = PULL_YES;
		if (w->pull == PULL_YES || s.r || r == CIM_ERR_INVALID_CLASS ||
		    r == CIM_ERR_INVALID_NAMESPACE || r == CIM_ERR_ACCESS_DENIED ||
		    (r < 0 && r != -EPROTO))
			return r;
		w->pull = PULL_NO; /* an older provider: ask as ever */
		arena_reset(w->a);
	}
	r = plain(w, &rq, &s, e);
	if (r == CIM_ERR_INVALID_PARAMETER || r == CIM_ERR_NO_SUCH_PROPERTY) {
		/* names in PropertyList that a class doesn't have are to be ignored (DSP0200
		 * 5.3.2.11); some refuse them */
		rq.has_props = false;
		rq.n_props = 0;
		arena_reset(w->a);
		r = plain(w, &rq, &s, e);
	}
	return r;
}

static const char *wire_peer(void *conn)
{
	const struct wire *w = conn;

	return client_peer(w->c);
}

const struct talk_ops talk_cimxml = {wire_open, wire_close, wire_enumerate, wire_peer};

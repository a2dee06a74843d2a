/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "cimxml/call.h"
#include "client/client.h"
#include "http/client.h"

enum { REQUEST_MAX = 8 * 1024 * 1024, SENTENCE_MAX = 4096, REFUSAL_MAX = 2048 };

struct client {
	struct http_client *http;
	struct buf body;
	unsigned timeout_ms;
	uint64_t answer_bytes, next_id;
	const atomic_bool *abandon;
	void (*around)(void *ctx, bool begins);
	void *around_ctx;
};

/* One call. */
struct call {
	struct client *c;
	struct arena *a;
	struct cimxml_reader *reader;
	unsigned status;
	const char *sentence, *cim_error, *detail;
	char refusal[REFUSAL_MAX]; /* the beginning of a body that is no answer */
	size_t n_refusal;
};

int client_new(const struct client_config *cfg, struct client **ret, struct err *e)
{
	struct client *c = xcalloc(1, sizeof(*c));
	const char *host = strstr(cfg->url, "://");
	bool bare = !host || !strchr(host + 3, '/');
	auto_free char *url = xasprintf("%s%s", cfg->url, bare ? "/cimom" : "");
	struct http_client_config h = {
		.url = url,
		.unix_path = cfg->unix_path,
		.user = cfg->user,
		.password = cfg->password,
		.ca_file = cfg->ca_file,
		.cert_file = cfg->cert_file,
		.key_file = cfg->key_file,
		.insecure = cfg->insecure,
		.connect_ms = cfg->connect_ms,
	};
	int r = http_client_new(&h, &c->http, e);

	if (r < 0) {
		free(c);
		return r;
	}
	c->body = buf_of(REQUEST_MAX);
	c->timeout_ms = cfg->timeout_ms;
	c->answer_bytes = cfg->answer_bytes;
	c->abandon = cfg->abandon;
	c->around = cfg->around;
	c->around_ctx = cfg->around_ctx;
	*ret = c;
	return 0;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	http_client_free(c->http);
	buf_done(&c->body);
	free(c);
}

const char *client_peer(const struct client *c)
{
	return http_client_peer(c->http);
}

void client_set_timeout(struct client *c, unsigned timeout_ms)
{
	c->timeout_ms = timeout_ms;
}

static int on_status(void *ctx, unsigned status, struct err *e)
{
	struct call *k = ctx;

	(void)e;
	k->status = status;
	return 0;
}

static int on_header(void *ctx, const char *name, const char *value, struct err *e)
{
	struct call *k = ctx;
	const char **at = str_caseeq(name, "WBEMMessage")     ? &k->sentence
			  : str_caseeq(name, "CIMError")      ? &k->cim_error
			  : str_caseeq(name, "PGErrorDetail") ? &k->detail
							      : NULL;

	(void)e;
	if (at && !*at && strlen(value) <= SENTENCE_MAX && str_utf8_xml(value, strlen(value)))
		*at = arena_strdup(k->a, value);
	return 0;
}

static int on_bytes(void *ctx, const char *p, size_t n, struct err *e)
{
	struct call *k = ctx;

	if (k->status == 200) {
		if (k->c->around)
			k->c->around(k->c->around_ctx, true);
		int r = cimxml_reader_feed(k->reader, p, n, e);

		if (k->c->around)
			k->c->around(k->c->around_ctx, false);
		return r;
	}
	if (n > sizeof(k->refusal) - 1 - k->n_refusal)
		n = sizeof(k->refusal) - 1 - k->n_refusal;
	memcpy(k->refusal + k->n_refusal, p, n);
	k->n_refusal += n;
	return 0;
}

static int refused(const struct call *k, struct err *e)
{
	const char *why = k->sentence ? k->sentence : k->detail ? k->detail : "";

	if (k->status == 401 || k->status == 403)
		return err_set(e, -EACCES,
			       "the server refuses these credentials (HTTP status %u)%s%s",
			       k->status, *why ? ": " : "", why);
	return err_set(e, -EPROTO, "the server answers with HTTP status %u%s%s%s%s", k->status,
		       k->cim_error ? ", " : "", k->cim_error ? k->cim_error : "", *why ? ": " : "",
		       why);
}

int client_call(struct client *c, struct cim_request *rq, struct arena *a,
		const struct cimxml_sink *sink, struct client_answer *ret, struct err *e)
{
	struct call k = {.c = c, .a = a};
	AUTO(cimxml_reader) reader = NULL;
	const char *method = cimxml_call_method(a, rq), *object = cimxml_call_object(a, rq);
	const char *headers[] = {
		"Content-Type: application/xml; charset=\"utf-8\"",
		"Accept: text/xml, application/xml",
		"CIMOperation: MethodCall",
		"CIMProtocolVersion: 1.0",
		method ? arena_printf(a, "CIMMethod: %s", method) : NULL,
		object ? arena_printf(a, "CIMObject: %s", object) : NULL,
		"Expect:", /* no round trip for 100 Continue */
		NULL,
	};
	struct http_call call = {
		.method = "POST",
		.headers = headers,
		.timeout_ms = c->timeout_ms,
		.answer_bytes = c->answer_bytes,
		.abandon = c->abandon,
		.ctx = &k,
		.status = on_status,
		.header = on_header,
		.bytes = on_bytes,
	};
	int r;

	rq->message_id = arena_printf(a, "%llu", (unsigned long long)++c->next_id);
	buf_clear(&c->body);
	if (!headers[4] || !headers[5] || !rq->message_id || !cimxml_call(&c->body, rq))
		return err_set(e, -E2BIG, "the request is too large");
	call.body = c->body.p;
	call.n = c->body.len;
	k.reader = reader = cimxml_reader_new(a, sink, rq->message_id);
	r = http_client_call(c->http, &call, e);
	if (r == 0 && k.status != 200)
		r = refused(&k, e);
	*ret = (struct client_answer){.http_status = k.status};
	if (r == 0)
		r = cimxml_reader_end(reader, &ret->rsp, e);
	ret->sentence = k.sentence ? k.sentence : "";
	return r;
}

/* ---- collecting ---- */

struct collector {
	struct arena *a;
	struct client_list *list;
	size_t cap_instances, cap_paths, cap_classes;
	bool full;
};

/* Room for one more pointer; the old array stays behind in the arena. */
static const void **more(struct collector *k, const void **v, size_t n, size_t *cap)
{
	const void **bigger;

	if (n < *cap)
		return v;
	*cap = *cap ? *cap * 2 : 16;
	bigger = arena_alloc(k->a, *cap * sizeof(*bigger));
	if (bigger && n)
		memcpy(bigger, v, n * sizeof(*v));
	k->full = !bigger;
	return bigger;
}

static bool take_instance(void *ctx, const struct cim_raw_instance *i)
{
	struct collector *k = ctx;
	struct client_list *l = k->list;
	const struct cim_raw_instance *copy = cim_raw_instance_dup(k->a, i);
	const void **v = more(k, (const void **)(void *)l->instances, l->n_instances,
			      &k->cap_instances);

	if (!copy || !v) {
		k->full = true;
		return false;
	}
	l->instances = (const struct cim_raw_instance **)(void *)v;
	l->instances[l->n_instances++] = copy;
	return true;
}

static bool take_path(void *ctx, const struct cim_path *p)
{
	struct collector *k = ctx;
	struct client_list *l = k->list;
	const struct cim_path *copy = cim_path_dup(k->a, p);
	const void **v = more(k, (const void **)(void *)l->paths, l->n_paths, &k->cap_paths);

	if (!copy || !v) {
		k->full = true;
		return false;
	}
	l->paths = (const struct cim_path **)(void *)v;
	l->paths[l->n_paths++] = copy;
	return true;
}

static bool take_class(void *ctx, const char *name)
{
	struct collector *k = ctx;
	struct client_list *l = k->list;
	const char *copy = arena_strdup(k->a, name);
	const void **v = more(k, (const void **)(void *)l->classes, l->n_classes, &k->cap_classes);

	if (!copy || !v) {
		k->full = true;
		return false;
	}
	l->classes = (const char **)(void *)v;
	l->classes[l->n_classes++] = copy;
	return true;
}

int client_collect(struct client *c, struct cim_request *rq, struct arena *a,
		   struct client_list *ret, struct err *e)
{
	struct collector k = {.a = a, .list = ret};
	struct cimxml_sink sink = {
		.ctx = &k, .instance = take_instance, .path = take_path, .class_name = take_class};
	int r;

	*ret = (struct client_list){0};
	r = client_call(c, rq, a, &sink, &ret->answer, e);
	if (r == -ECANCELED && k.full)
		return err_set(e, -E2BIG, "the answer needs more memory than is allowed");
	if (r < 0)
		return r;
	if (ret->answer.rsp.status != CIM_OK) {
		const char *name = cim_status_name(ret->answer.rsp.status);
		const char *text = ret->answer.rsp.text;

		/* many servers begin the description with the code's name, many don't */
		if (str_starts(text, name))
			return err_set(e, -EREMOTEIO, "%s", text);
		return err_set(e, -EREMOTEIO, "%s%s%s", name, *text ? ": " : "", text);
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/log.h"
#include "base/str.h"
#include "cimxml/encode.h"
#include "cimxml/headers.h"
#include "gen/schema.h"
#include "http/server.h"
#include "smiscsid/login.h"
#include "smiscsid/server.h"

enum {
	IN_ONE_GO = 64 * 1024, /* an answer up to that size is sent whole, with its length */
	ITEM_MAX = 64 << 20,   /* one element of an answer */
	KEEP_PARSERS = 64,
};

struct parser_box {
	struct cimxml_parser *parser;
	struct parser_box *next;
};

struct server {
	struct server_config c;
	struct http_server *http;
	struct logins *logins;
	atomic_flag checking; /* a password, on a thread that serves clients */
	struct cimxml_plans *plans;
	struct cimxml_bounds bounds;
	pthread_mutex_t lock; /* of the parsers */
	struct parser_box *parsers;
	unsigned n_parsers;
};

/* One CIM operation on its way; in the exchange's arena. */
struct call {
	struct server *server;
	struct http_exchange *x;
	struct cimxml_headers headers;
	struct cimxml_request rq;
	struct prov_caller who;
	struct login login;
	bool asked; /* login waits for its answer */
	struct broker_op *op;
	struct cimxml_answer form; /* what enc borrows */
	struct cimxml_encoder *enc;
	struct broker_item item; /* the element that did not fit into the last chunk */
	bool has_item, ended, broken;
	size_t at; /* how much of the overflow (http_out) has been sent */
};

/* ---- parsers: as many as there are requests being decoded at once ---- */

static struct parser_box *parser_get(struct server *s)
{
	struct parser_box *b;

	(void)pthread_mutex_lock(&s->lock);
	b = s->parsers;
	if (b) {
		s->parsers = b->next;
		s->n_parsers--;
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (!b) {
		b = xcalloc(1, sizeof(*b));
		b->parser = cimxml_parser_new(&s->bounds);
	}
	return b;
}

static void parser_put(struct server *s, struct parser_box *b)
{
	(void)pthread_mutex_lock(&s->lock);
	if (s->n_parsers < KEEP_PARSERS) {
		b->next = s->parsers;
		s->parsers = b;
		s->n_parsers++;
		b = NULL;
	}
	(void)pthread_mutex_unlock(&s->lock);
	if (b) {
		cimxml_parser_free(b->parser);
		free(b);
	}
}

/* ---- who is asking ---- */

enum access { ACCESS_DENIED, ACCESS_LATER, ACCESS_ASKED, ACCESS_GRANTED };

static void login_done(void *ctx)
{
	http_wake(ctx);
}

/* Zero means denied: who starts as nobody, and only what is granted is added. */
static enum access grant(struct prov_caller *who, const char *user, enum users_answer a,
			 enum users_role role)
{
	if (a == USERS_THROTTLED || a == USERS_UNAVAILABLE)
		return ACCESS_LATER;
	if (a != USERS_GRANTED)
		return ACCESS_DENIED;
	who->user = user;
	who->may_read = role >= USERS_READ;
	who->may_write = role >= USERS_ADMIN;
	return ACCESS_GRANTED;
}

/* Somebody who has to come again, by when he is known. */
struct passer_by {
	struct login login;
	char *user, *password, *peer;
};

static void passed_by(void *ctx)
{
	struct passer_by *p = ctx;

	explicit_bzero(p->password, strlen(p->password));
	free(p->user);
	free(p->password);
	free(p->peer);
	free(p);
}

static void ask_in_passing(struct server *s, const char *user, const char *password,
			   const char *peer)
{
	struct passer_by *p = xcalloc(1, sizeof(*p));

	p->user = xstrdup(user);
	p->password = xstrdup(password);
	p->peer = xstrdup(peer);
	p->login = (struct login){.user = p->user,
				  .password = p->password,
				  .peer = p->peer,
				  .done = passed_by,
				  .ctx = p};
	if (!logins_ask(s->logins, &p->login))
		passed_by(p);
}

/* login: to have it checked elsewhere if that takes long; NULL: here, but never PAM. */
static enum access ask_password(struct server *s, struct http_exchange *x, struct prov_caller *who,
				struct login *login)
{
	const char *user, *password, *peer = http_peer_address(x);
	enum users_role role = USERS_NOBODY;
	enum users_answer a;

	if (!http_basic(x, &user, &password))
		return ACCESS_DENIED;
	a = users_recall(s->c.users, user, password, peer, &role);
	if (a != USERS_UNKNOWN)
		return grant(who, user, a, role);
	if (login) {
		*login = (struct login){.user = user,
					.password = password,
					.peer = peer,
					.done = login_done,
					.ctx = x};
		return logins_ask(s->logins, login) ? ACCESS_ASKED : ACCESS_LATER;
	}
	if (users_is_elsewhere(s->c.users, user)) {
		ask_in_passing(s, user, password, peer);
		return ACCESS_LATER;
	}
	if (atomic_flag_test_and_set(&s->checking)) /* one thread may be kept busy so, not all */
		return ACCESS_LATER;
	a = users_check(s->c.users, user, password, peer, &role);
	atomic_flag_clear(&s->checking);
	return grant(who, user, a, role);
}

static enum access identify(struct server *s, struct http_exchange *x, struct prov_caller *who,
			    struct login *login)
{
	enum users_role role = USERS_NOBODY;
	enum users_answer a;
	const char *user;

	*who = (struct prov_caller){.peer = http_peer(x)};
	if (http_is_private(x) || (s->c.options->no_auth && http_peer_is_loopback(x))) {
		who->user = http_is_private(x) ? "(local)" : "(anyone)";
		who->may_read = who->may_write = true;
		return ACCESS_GRANTED;
	}
	if (!s->c.users)
		return ACCESS_DENIED;
	if (http_has_authorization(x)) /* then it decides, also when it is wrong */
		return ask_password(s, x, who, login);
	user = http_client_name(x);
	if (!user)
		return ACCESS_DENIED;
	a = users_known(s->c.users, user, http_peer_address(x), &role);
	return grant(who, user, a, role);
}

/* ---- answers ---- */

static void refuse(struct http_exchange *x, unsigned status, const struct http_field *f, size_t n)
{
	http_answer(x, status, f, n, "", 0);
}

static void refuse_with(struct http_exchange *x, const struct cimxml_refusal *r)
{
	struct http_field f[3];
	size_t n = 0;

	if (r->cim_error)
		f[n++] = (struct http_field){"CIMError", r->cim_error};
	if (r->allow)
		f[n++] = (struct http_field){"Allow", r->allow};
	if (r->why.text[0]) {
		char *t = arena_strdup(http_arena(x), r->why.text);

		for (char *p = t; p && *p; p++)
			if ((unsigned char)*p < 0x20 || *p == 0x7f)
				*p = ' ';
		if (t)
			f[n++] = (struct http_field){"WBEMMessage", t};
	}
	log_info(smiscsid, "request refused status=%u reason=%s %s peer=%s", r->status,
		 r->cim_error ? r->cim_error : "-", r->why.text, http_peer(x));
	refuse(x, r->status, f, n);
}

/* The answer's headers, the sentence of a refused method among them (SEMANTICS: CIM-XML has no
 * place for an error beside a return value). */
static size_t fields(struct call *c, const char *sentence, struct http_field ret[static 5])
{
	struct cimxml_header h[4];
	unsigned n = cimxml_answer_headers(&c->headers, http_arena(c->x), h);

	for (unsigned i = 0; i < n; i++)
		ret[i] = (struct http_field){h[i].name, h[i].value};
	if (sentence && *sentence) {
		char *t = arena_strdup(http_arena(c->x), sentence);

		for (char *p = t; p && *p; p++)
			if ((unsigned char)*p < 0x20 || *p == 0x7f)
				*p = ' ';
		if (t)
			ret[n++] = (struct http_field){"WBEMMessage", t};
	}
	return n;
}

static void answer_out(struct call *c, const char *sentence)
{
	struct http_field f[5];
	size_t n = fields(c, sentence, f);
	const struct buf *out = http_out(c->x);

	http_answer(c->x, 200, f, n, out->p ? out->p : "", out->len);
}

static void answer_error(struct call *c, enum cim_status status, const char *text)
{
	buf_clear(http_out(c->x));
	if (!cimxml_error_answer(http_out(c->x), c->rq.rq.message_id, c->rq.name, c->rq.extrinsic,
				 status, text))
		refuse(c->x, 500, NULL, 0);
	else
		answer_out(c, NULL);
}

static bool wants(const void *ctx, const struct cim_class *cls, unsigned idx)
{
	return broker_wants(ctx, cls, idx);
}

/* Append elements to out until it is as long as `enough` or the answer is complete.  false: the
 * next step did not fit (out has a maximum that is too small for it). */
static bool encode_more(struct call *c, struct buf *out, size_t enough)
{
	while (!c->ended && out->len < enough) {
		const struct broker_answer *a = broker_answer(c->op);

		if (!c->has_item) {
			enum broker_step s = broker_step(c->op, &c->item);

			/* It is others' turn: so much goes out, and more is asked for later.
			 * Between elements a blank says nothing. */
			if (s == BROKER_WORKING)
				return buf_addc(out, '\n');
			c->has_item = s == BROKER_ITEM;
		}
		if (c->has_item) {
			struct cimxml_item it = {.inst = c->item.inst,
						 .path = c->item.path,
						 .cls = c->item.cls,
						 .qual = c->item.qual,
						 .value = c->item.value};

			if (!cimxml_item(c->enc, out, &it))
				return false;
			c->has_item = false;
			continue;
		}
		if (a->status != CIM_OK) {
			c->broken = true; /* an error half way */
			return true;
		}
		if (!cimxml_end(c->enc, out, a->end_of_sequence, a->context))
			return false;
		c->ended = true;
	}
	return true;
}

/* http_stream's pull: straight into libmicrohttpd's buffer, and by way of http_out only where one
 * element is larger than that buffer. */
static ssize_t fill(void *ctx, char *at, size_t max)
{
	struct call *c = ctx;
	struct buf *over = http_out(c->x);
	struct buf b = {.p = at, .cap = max, .max = max - 1};

	if (c->broken)
		return -1;
	if (c->at == over->len) {
		bool fits;

		buf_clear(over);
		c->at = 0;
		if (c->ended)
			return 0;
		fits = encode_more(c, &b, max - 1);
		if (b.len > 0 || c->ended)
			return c->broken ? -1 : (ssize_t)b.len;
		if (fits || !encode_more(c, over, 1))
			return -1;
	}
	if (max > over->len - c->at)
		max = over->len - c->at;
	memcpy(at, over->p + c->at, max);
	c->at += max;
	return (ssize_t)max;
}

static void answer_list(struct call *c)
{
	const struct broker_answer *a = broker_answer(c->op);
	struct buf *out = http_out(c->x);
	struct http_field f[5];
	size_t n;

	c->form = (struct cimxml_answer){
		.rq = &c->rq.rq,
		.plans = c->server->plans,
		.host = c->server->c.host,
		.ns = c->rq.rq.ns,
		.wants = wants,
		.wants_ctx = c->op,
		.local_only = a->local_only,
		.include_quals = a->include_quals,
		.include_origin = a->include_origin,
		.rows = a->rows,
	};
	c->enc = cimxml_encoder_new(http_arena(c->x), &c->form);
	if (!c->enc || !cimxml_begin(c->enc, out) || !encode_more(c, out, IN_ONE_GO)) {
		answer_error(c, CIM_ERR_FAILED, "the answer has an element that is too large");
		return;
	}
	if (c->broken) { /* nothing has been sent yet, so it can be said properly */
		answer_error(c, a->status, a->text);
		return;
	}
	if (c->ended) {
		answer_out(c, NULL);
		return;
	}
	n = fields(c, NULL, f);
	http_stream(c->x, 200, f, n, fill, c);
}

static void respond(struct call *c)
{
	const struct broker_answer *a = broker_answer(c->op);

	if (a->status != CIM_OK) {
		answer_error(c, a->status, a->text);
	} else if (a->kind == BROKER_METHOD) {
		c->form = (struct cimxml_answer){.rq = &c->rq.rq,
						 .plans = c->server->plans,
						 .host = c->server->c.host,
						 .ns = c->rq.rq.ns};
		c->enc = cimxml_encoder_new(http_arena(c->x), &c->form);
		if (!c->enc ||
		    !cimxml_method_answer(c->enc, http_out(c->x), a->method, a->ret, a->out))
			answer_error(c, CIM_ERR_FAILED, "the answer is too large");
		else
			answer_out(c, a->ret ? a->text : NULL);
	} else {
		answer_list(c);
	}
}

/* ---- requests ---- */

static void add_header(void *ctx, const char *name, const char *value)
{
	cimxml_headers_add(ctx, name, value);
}

static void over(void *ctx)
{
	struct call *c = ctx;

	if (c->op)
		broker_close(c->op);
}

static void wake(void *ctx)
{
	http_wake(ctx);
}

/* Is it somebody who may ask at all?  If not, he is told so. */
static bool admit(struct http_exchange *x, enum access access)
{
	static const struct http_field ask = {"WWW-Authenticate", "Basic realm=\"smiscsi\""};
	static const struct http_field later = {"Retry-After", "30"};

	if (access == ACCESS_DENIED)
		refuse(x, 401, &ask, 1);
	else if (access == ACCESS_LATER)
		refuse(x, 503, &later, 1);
	return access == ACCESS_GRANTED;
}

/* Before a long body is read. */
static void check(void *ctx, struct http_exchange *x)
{
	struct prov_caller who;

	(void)admit(x, identify(ctx, x, &who, NULL));
}

/* Decode and start; answers at once what cannot be started. */
static void run(struct server *s, struct call *c)
{
	struct http_exchange *x = c->x;
	struct cimxml_refusal no = {0};
	struct parser_box *pb;
	enum cimxml_outcome o;
	const char *body;
	size_t n;

	if (http_body_too_large(x)) {
		refuse(x, 413, NULL, 0);
		return;
	}
	body = http_body(x, &n);
	pb = parser_get(s);
	o = cimxml_decode_request(pb->parser, body, n, http_arena(x), &c->rq, &no);
	parser_put(s, pb);
	if (o == CIMXML_REFUSED || !cimxml_headers_match(&c->headers, &c->rq, http_arena(x), &no)) {
		refuse_with(x, &no);
		return;
	}
	if (o == CIMXML_FAILED) {
		answer_error(c, c->rq.status, c->rq.text);
		return;
	}
	c->who.alone = http_is_alone(x);
	c->op = broker_open(s->c.broker, &c->rq.rq, http_arena(x), &c->who, wake, x);
	if (!c->op)
		answer_error(c, CIM_ERR_FAILED, "the request needs more memory than one may have");
	else if (broker_ready(c->op))
		respond(c);
}

static void begin(struct server *s, struct http_exchange *x, struct call *c)
{
	struct cimxml_refusal no = {0};
	enum access access;

	switch (cimxml_headers_check(&c->headers, &no)) {
	case CIMXML_WAY_REFUSED:
		refuse_with(x, &no);
		return;
	case CIMXML_WAY_OPTIONS:
		http_answer(x, 200, (const struct http_field *)(const void *)cimxml_options_headers,
			    ARRAY_SIZE(cimxml_options_headers), "", 0);
		return;
	case CIMXML_WAY_CALL:
		break;
	}
	/* set before: the answer may be there before logins_ask returns */
	c->asked = true;
	access = identify(s, x, &c->who, &c->login);
	if (access == ACCESS_ASKED)
		return;
	c->asked = false;
	if (admit(x, access))
		run(s, c);
}

static void handle(void *ctx, struct http_exchange *x)
{
	struct server *s = ctx;
	struct call *c = http_context(x);

	if (c && c->asked) { /* woken: the password has been checked */
		c->asked = false;
		if (admit(x, grant(&c->who, c->login.user, c->login.answer, c->login.role)))
			run(s, c);
		return;
	}
	if (c) { /* woken: the writer is done with it */
		respond(c);
		return;
	}
	c = arena_zalloc(http_arena(x), sizeof(*c));
	if (!c) {
		refuse(x, 500, NULL, 0);
		return;
	}
	c->server = s;
	c->x = x;
	c->headers.method = http_method(x);
	c->headers.version = http_version(x);
	http_each_header(x, add_header, &c->headers);
	http_set_context(x, c, over);
	begin(s, x, c);
}

int server_new(const struct server_config *cfg, struct server **ret, struct err *e)
{
	const struct options *o = cfg->options;
	size_t n = 0, all = o->http.n + o->https.n + 1;
	struct http_listen *l = xcalloc(all, sizeof(*l));
	struct server *s = xcalloc(1, sizeof(*s));
	struct http_server_config c = {
		.listen = l,
		.n_listen = all,
		.cert_pem = cfg->cert ? cfg->cert->cert_pem : NULL,
		.key_pem = cfg->cert ? cfg->cert->key_pem : NULL,
		.client_ca_pem = cfg->client_ca_pem,
		.threads = (unsigned)o->threads,
		.limits = {.connections = (unsigned)o->max_connections,
			   .connections_per_ip = (unsigned)o->max_connections_per_address,
			   .idle_s = (unsigned)o->idle_time,
			   .stall_s = (unsigned)o->stall_time,
			   .answer_s = (unsigned)o->answer_time,
			   .head_bytes = o->max_headers,
			   .body_bytes = o->max_body,
			   .all_bodies_bytes = o->max_bodies,
			   .arena_bytes = o->max_request_memory},
		.check = check,
		.handle = handle,
		.ctx = s,
	};
	int r;

	s->c = *cfg;
	if (cfg->users)
		s->logins = logins_new(cfg->users, *o->pam != '\0', (unsigned)o->max_logins,
				       (unsigned)o->max_logins_per_address);
	s->bounds = (struct cimxml_bounds){
		.depth = (uint32_t)o->max_depth,
		.attributes = (uint32_t)o->max_attributes,
		.name = (uint32_t)o->max_name,
		.namespace_name = (uint32_t)o->max_namespace,
		.array = (uint32_t)o->max_array,
		.keys = (uint32_t)o->max_keys,
		.path_depth = (uint32_t)o->max_path_depth,
		.embedded_depth = (uint32_t)o->max_embedded_depth,
	};
	s->plans = cimxml_plans_new(smiscsi_schema.n_classes);
	(void)pthread_mutex_init(&s->lock, NULL);
	for (size_t i = 0; i < o->http.n; i++)
		l[n++] = (struct http_listen){.address = o->http.v[i].address,
					      .port = o->http.v[i].port};
	for (size_t i = 0; i < o->https.n; i++)
		l[n++] = (struct http_listen){
			.address = o->https.v[i].address, .port = o->https.v[i].port, .tls = true};
	l[n++] = (struct http_listen){.unix_path = cfg->private_socket};
	r = http_server_new(&c, &s->http, e);
	free(l);
	if (r < 0) {
		server_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void server_tick(struct server *s)
{
	http_server_tick(s->http);
}

void server_free(struct server *s)
{
	if (!s)
		return;
	http_server_free(s->http);
	logins_free(s->logins); /* nobody asks any more */
	while (s->parsers) {
		struct parser_box *b = s->parsers;

		s->parsers = b->next;
		cimxml_parser_free(b->parser);
		free(b);
	}
	cimxml_plans_free(s->plans);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

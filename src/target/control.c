/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "target/config.h"
#include "target/control.h"
#include "target/session.h"

enum {
	LINE_MAX_BYTES = 64 << 20,
	OUT_MAX = 256 << 20, /* a controller that does not read what it asked for is dropped */
	READ_CHUNK = 64 << 10,
	CLIENTS_MAX = 8,
	GATHER_MS = 5,
};

struct client {
	struct loop_fd fd;
	struct client *next;
	struct control *control;
	struct buf in, out;
	size_t out_at;
	bool want_out, closed;
};

struct control {
	struct loop_fd fd;
	struct target *target;
	char *path;
	struct client *clients;
	struct client *controller;               /* the one that said hello last */
	bool listening;                          /* atomic: there is a controller */
	struct loop_fd timer;                    /* runs while there are changes */
	struct session *changed, **changed_tail; /* under the target's lock */
};

/* ---- JSON ---- */

static json_t *text(const char *s)
{
	json_t *j = json_string(s);

	return j ? j : json_string("?"); /* not UTF-8 */
}

static void put(json_t *o, const char *name, json_t *value)
{
	if (json_object_set_new(o, name, value) < 0)
		abort(); /* out of memory, as xmalloc */
}

static void put_int(json_t *o, const char *name, uint64_t v)
{
	put(o, name, json_integer((json_int_t)v));
}

static void put_text(json_t *o, const char *name, const char *s)
{
	put(o, name, text(s));
}

static json_t *portal_json(const struct portal *p)
{
	static const char *const names[] = {
		[PORTAL_FAILED] = "failed",         [PORTAL_LISTENING] = "listening",
		[PORTAL_DISABLED] = "disabled",     [PORTAL_IN_USE] = "in_use",
		[PORTAL_NO_ADDRESS] = "no_address",
	};
	json_t *o = json_object();

	put_text(o, "address", p->address);
	put_int(o, "port", p->port);
	put_text(o, "state", names[p->state]);
	put_text(o, "why", p->why);
	return o;
}

static void put_key(void *ctx, const char *name, const char *value)
{
	put_text(ctx, name, value);
}

static json_t *connection_json(const struct connection *c)
{
	json_t *o = json_object();

	put_int(o, "cid", c->cid);
	put_text(o, "peer", c->peer_text);
	put_text(o, "local", c->local_text);
	put_text(o, "header_digest", c->header_digest ? "CRC32C" : "None");
	put_text(o, "data_digest", c->data_digest ? "CRC32C" : "None");
	put_int(o, "max_send", c->max_send);
	put_int(o, "max_recv", c->max_recv);
	return o;
}

/* Under the lock: connections come and go under it. */
static json_t *session_json(const struct session *s)
{
	json_t *o = json_object(), *params = json_object(), *conns = json_array();
	char isid[13];

	for (size_t i = 0; i < 6; i++)
		(void)snprintf(isid + 2 * i, 3, "%02x", s->isid[i]);
	put_int(o, "id", s->id);
	put_text(o, "iqn", s->node ? s->node->iqn : "");
	put_int(o, "tpgt", s->port ? s->port->tpgt : 0);
	put_text(o, "type", s->type == ISCSI_SESSION_NORMAL ? "normal" : "discovery");
	put_text(o, "initiator", s->initiator);
	put_text(o, "initiator_alias", s->initiator_alias);
	put_text(o, "isid", isid);
	put_int(o, "tsih", s->tsih);
	put_int(o, "since_us", (uint64_t)s->since_us);
	iscsi_keys_each(&s->keys, put_key, params);
	put(o, "params", params);
	put_text(o, "auth", s->auth == ISCSI_AUTH_CHAP ? "CHAP" : "None");
	for (const struct connection *c = s->connections; c; c = c->next_of_session)
		if (json_array_append_new(conns, connection_json(c)) < 0)
			abort();
	put(o, "connections", conns);
	return o;
}

static json_t *node_stats_json(const struct node *n)
{
	const struct login_stats *st = &n->stats;
	json_t *o = json_object();

	put_text(o, "iqn", n->iqn);
	put_int(o, "logins_ok", st->logins_ok);
	put_int(o, "logins_other_fail", st->logins_other_fail);
	put_int(o, "logins_redirected", st->logins_redirected);
	put_int(o, "authorize_fails", st->authorize_fails);
	put_int(o, "authenticate_fails", st->authenticate_fails);
	put_int(o, "negotiate_fails", st->negotiate_fails);
	put_int(o, "logouts_normal", st->logouts_normal);
	put_int(o, "logouts_other", st->logouts_other);
	put_int(o, "session_failures", st->session_failures);
	put_int(o, "last_failure_us", (uint64_t)st->last_failure_us);
	put_text(o, "last_failure_kind", st->last_failure_kind);
	put_text(o, "last_failure_initiator", st->last_failure_initiator);
	put_text(o, "last_failure_address", st->last_failure_address);
	return o;
}

static json_t *session_stats_json(const struct session *s)
{
	json_t *o = json_object();

	put_int(o, "id", s->id);
	put_int(o, "commands", __atomic_load_n(&s->commands, __ATOMIC_RELAXED));
	put_int(o, "read_bytes", __atomic_load_n(&s->read_bytes, __ATOMIC_RELAXED));
	put_int(o, "write_bytes", __atomic_load_n(&s->write_bytes, __ATOMIC_RELAXED));
	put_int(o, "digest_errors", __atomic_load_n(&s->digest_errors, __ATOMIC_RELAXED));
	put_int(o, "timeouts", __atomic_load_n(&s->timeouts, __ATOMIC_RELAXED));
	return o;
}

/* ---- clients ---- */

static void client_close(struct client *k)
{
	struct control *ctl = k->control;
	struct client **at = &ctl->clients;

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	if (ctl->controller == k) {
		ctl->controller = NULL;
		__atomic_store_n(&ctl->listening, false, __ATOMIC_RELAXED);
	}
	loop_del(ctl->target->main, &k->fd);
	(void)close(k->fd.fd);
	buf_done(&k->in);
	buf_done(&k->out);
	free(k);
}

/* Returns false when the client is gone. */
static bool client_flush(struct client *k)
{
	while (k->out_at < k->out.len) {
		ssize_t n = send(k->fd.fd, k->out.p + k->out_at, k->out.len - k->out_at,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0)
			return false;
		k->out_at += (size_t)n;
	}
	if (k->out_at == k->out.len) {
		buf_done(&k->out);
		k->out = buf_of(OUT_MAX);
		k->out_at = 0;
	}
	if (k->want_out != (k->out.len > 0)) {
		k->want_out = k->out.len > 0;
		loop_mod(k->control->target->main, &k->fd, EPOLLIN | (k->want_out ? EPOLLOUT : 0U));
	}
	return true;
}

static int dump_to_buf(const char *p, size_t n, void *ctx)
{
	return buf_add(ctx, p, n) ? 0 : -1;
}

/* o is consumed.  The client is closed later, by its own handler, when it does not keep up. */
static void client_say(struct client *k, json_t *o)
{
	put_text(o, "jsonrpc", "2.0");
	(void)json_dump_callback(o, dump_to_buf, &k->out, JSON_COMPACT);
	(void)buf_addc(&k->out, '\n');
	json_decref(o);
	k->closed |= k->out.full || !client_flush(k);
}

static void notify(struct control *ctl, const char *method, json_t *params)
{
	json_t *o = json_object();

	put_text(o, "method", method);
	put(o, "params", params);
	client_say(ctl->controller, o);
}

/* ---- decoding changes ---- */

struct change_list {
	struct change *c;
	size_t n, cap;
	struct err *e;
};

static struct change *list_add(struct change_list *l, enum change_op op, enum change_kind kind)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 16;
		l->c = xrealloc(l->c, l->cap * sizeof(*l->c));
	}
	l->c[l->n] = (struct change){.op = op, .kind = kind};
	return &l->c[l->n++];
}

static const struct {
	const char *name, *plural;
} kinds[] = {
	[KIND_UNIT] = {"unit",     "units"   },
          [KIND_NODE] = {"node",     "nodes"   },
	[KIND_PORT] = {"port",     "ports"   },
          [KIND_PORTAL] = {"portal",   "portals" },
	[KIND_BINDING] = {"binding",  "bindings"},
          [KIND_LUN] = {"lun",      "luns"    },
	[KIND_SETTINGS] = {"settings", NULL      },
};

static bool get_text(const json_t *o, const char *name, const char **ret, struct err *e)
{
	const json_t *v = json_object_get(o, name);

	if (!v || json_is_null(v))
		return true;
	if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
		return err_set(e, -EINVAL, "%s must be a text", name) == 0;
	*ret = json_string_value(v);
	return true;
}

static bool get_u32(const json_t *o, const char *name, uint32_t *ret, struct err *e)
{
	const json_t *v = json_object_get(o, name);

	if (!v || json_is_null(v))
		return true;
	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > UINT32_MAX)
		return err_set(e, -EINVAL, "%s must be a number from 0", name) == 0;
	*ret = (uint32_t)json_integer_value(v);
	return true;
}

static bool get_user(const json_t *o, const char *name, const char *to[2], struct err *e)
{
	const json_t *v = json_object_get(o, name);

	return !v || json_is_null(v) ||
	       (get_text(v, "name", &to[0], e) && get_text(v, "secret", &to[1], e));
}

static bool get_redirect(const json_t *o, struct change *c, struct err *e)
{
	const json_t *v = json_object_get(o, "redirect"), *permanent;

	c->has_redirect = v != NULL;
	if (!v || json_is_null(v))
		return true;
	permanent = json_object_get(v, "permanent");
	if (permanent && !json_is_boolean(permanent))
		return err_set(e, -EINVAL, "redirect: permanent must be true or false") == 0;
	c->redirect_permanent = json_is_true(permanent);
	if (!get_text(v, "address", &c->redirect_address, e) ||
	    !get_u32(v, "port", &c->redirect_port, e))
		return false;
	return c->redirect_address || err_set(e, -EINVAL, "redirect: the address is missing") == 0;
}

static bool get_naa(const json_t *o, uint64_t *ret, struct err *e)
{
	const char *s = NULL;

	if (!get_text(o, "naa", &s, e))
		return false;
	if (s && (strlen(s) != 16 || !str_hex64(s, 16, ret)))
		return err_set(e, -EINVAL, "naa must be 16 hexadecimal digits") == 0;
	return true;
}

static bool decode_change(const json_t *o, struct change *c, struct err *e)
{
	const json_t *size = json_object_get(o, "size"), *enabled = json_object_get(o, "enabled");
	const json_t *auth = json_object_get(o,
					     c->kind == KIND_SETTINGS ? "discovery_auth" : "auth");

	if (!json_is_object(o))
		return err_set(e, -EINVAL, "an object is wanted") == 0;
	if (size && (!json_is_integer(size) || json_integer_value(size) < 0))
		return err_set(e, -EINVAL, "size must be a number from 0") == 0;
	if (enabled && !json_is_boolean(enabled))
		return err_set(e, -EINVAL, "enabled must be true or false") == 0;
	c->size = size ? (uint64_t)json_integer_value(size) : 0;
	c->has_enabled = enabled || c->op == CHANGE_ADD;
	c->enabled = enabled ? json_is_true(enabled) : true;
	c->unless_sessions = json_is_true(json_object_get(o, "unless_sessions"));
	c->if_there = json_is_true(json_object_get(o, "if_there"));
	c->has_chap = auth != NULL;
	c->logout_time = 3;
	c->idle_time = IDLE_SECONDS;
	if (!get_text(o, "iqn", &c->iqn, e) || !get_text(o, "alias", &c->alias, e) ||
	    !get_text(o, "address", &c->address, e) || !get_text(o, "path", &c->path, e) ||
	    !get_text(o, "pr_path", &c->pr_path, e) || !get_text(o, "backing", &c->unit_kind, e) ||
	    !get_u32(o, "tpgt", &c->tpgt, e) || !get_u32(o, "port", &c->port, e) ||
	    !get_u32(o, "lun", &c->lun, e) || !get_u32(o, "block_size", &c->block_size, e) ||
	    !get_u32(o, "logout_time", &c->logout_time, e) ||
	    !get_u32(o, "idle_time", &c->idle_time, e) || !get_naa(o, &c->naa, e) ||
	    !get_user(auth, "initiator", c->chap_in, e) ||
	    !get_user(auth, "target", c->chap_out, e) || !get_redirect(o, c, e))
		return false;
	c->has_alias = c->alias != NULL;
	return true;
}

static bool decode_config(const json_t *config, struct change_list *l)
{
	for (size_t k = 0; k < KIND_SETTINGS; k++) {
		const json_t *array = json_object_get(config, kinds[k].plural), *o;
		size_t i;

		if (array && !json_is_array(array))
			return err_set(l->e, -EINVAL, "%s must be an array", kinds[k].plural) == 0;
		json_array_foreach(array, i, o)
		{
			if (!decode_change(o, list_add(l, CHANGE_ADD, (enum change_kind)k), l->e))
				return err_in(l->e, "%s[%zu]", kinds[k].plural, i) == 0;
		}
	}
	if (json_object_get(config, "settings"))
		return decode_change(json_object_get(config, "settings"),
				     list_add(l, CHANGE_SET, KIND_SETTINGS), l->e);
	return true;
}

static bool decode_changes(const json_t *array, struct change_list *l)
{
	static const char *const ops[] = {
		[CHANGE_ADD] = "add", [CHANGE_SET] = "set", [CHANGE_REMOVE] = "remove"};
	const json_t *o;
	size_t i;

	if (!json_is_array(array))
		return err_set(l->e, -EINVAL, "changes must be an array") == 0;
	json_array_foreach(array, i, o)
	{
		const char *op = NULL, *kind = NULL;
		size_t a = 0, b = 0;

		if (!get_text(o, "op", &op, l->e) || !get_text(o, "kind", &kind, l->e))
			return err_in(l->e, "changes[%zu]", i) == 0;
		while (a < ARRAY_SIZE(ops) && !(op && streq(op, ops[a])))
			a++;
		while (b < ARRAY_SIZE(kinds) && !(kind && streq(kind, kinds[b].name)))
			b++;
		if (a == ARRAY_SIZE(ops) || b == ARRAY_SIZE(kinds))
			return err_set(l->e, -EINVAL, "changes[%zu]: unknown op or kind", i) == 0;
		if (!decode_change(o, list_add(l, (enum change_op)a, (enum change_kind)b), l->e))
			return err_in(l->e, "changes[%zu]", i) == 0;
	}
	return true;
}

/* ---- methods: result, or NULL with *ret_code and e ---- */

struct call {
	struct client *client;
	const json_t *params;
	int code;
	struct err err;
};

/* A new controller asks for the state; from then on it is told of changes. */
static void known(void *ctx, struct table_link *l)
{
	struct session *s = container_of(l, struct session, by_tsih);

	(void)ctx;
	s->told = s->up;
}

static json_t *m_hello(struct call *k)
{
	struct control *ctl = k->client->control;
	const json_t *version = json_object_get(k->params, "version");
	json_t *o;

	if (!json_is_integer(version) || json_integer_value(version) != 1) {
		k->code = CONFIG_BAD_PARAMS;
		(void)err_set(&k->err, -EINVAL, "version must be 1");
		return NULL;
	}
	if (ctl->controller && ctl->controller != k->client)
		ctl->controller->closed = true; /* replaced; its handler closes it */
	if (ctl->controller && ctl->controller != k->client)
		(void)shutdown(ctl->controller->fd.fd, SHUT_RDWR);
	ctl->controller = k->client;
	(void)pthread_mutex_lock(&ctl->target->lock);
	table_each(&ctl->target->sessions_by_tsih, known, NULL);
	(void)pthread_mutex_unlock(&ctl->target->lock);
	__atomic_store_n(&ctl->listening, true, __ATOMIC_RELAXED);
	o = json_object();
	put_int(o, "version", 1);
	put_text(o, "server", "smiscsi-target " SMISCSI_VERSION);
	put_int(o, "pid", (uint64_t)getpid());
	put_int(o, "generation", ctl->target->generation);
	return o;
}

static void collect_portal(void *ctx, const struct portal *p)
{
	if (json_array_append_new(ctx, portal_json(p)) < 0)
		abort();
}

static json_t *change(struct call *k, bool whole)
{
	struct target *t = k->client->control->target;
	const json_t *generation = json_object_get(k->params, "generation");
	struct change_list l = {.e = &k->err};
	json_t *portals = json_array();
	struct config_options o = {
		.generation = (uint64_t)json_integer_value(generation),
		.must_listen = json_is_true(json_object_get(k->params, "must_listen")),
		.portal_changed = collect_portal,
		.ctx = portals,
	};
	json_t *result;

	k->code = CONFIG_BAD_PARAMS;
	if (!json_is_integer(generation))
		(void)err_set(&k->err, -EINVAL, "generation must be a number");
	else if (whole ? decode_config(json_object_get(k->params, "config"), &l)
		       : decode_changes(json_object_get(k->params, "changes"), &l))
		k->code = (whole ? config_replace : config_apply)(t, l.c, l.n, &o, &k->err);
	free(l.c);
	loop_want_tick(t->main); /* for portals that do not listen yet */
	if (k->code < 0) {
		json_decref(portals);
		return NULL;
	}
	result = json_object();
	put(result, "portals", portals);
	return result;
}

static json_t *m_replace(struct call *k)
{
	return change(k, true);
}

static json_t *m_apply(struct call *k)
{
	return change(k, false);
}

static void collect_portal_link(void *ctx, struct table_link *l)
{
	collect_portal(ctx, container_of(l, struct portal, link));
}

static void collect_session(void *ctx, struct table_link *l)
{
	struct session *s = container_of(l, struct session, by_tsih);

	if (s->up && json_array_append_new(ctx, session_json(s)) < 0)
		abort();
}

static void collect_session_stats(void *ctx, struct table_link *l)
{
	struct session *s = container_of(l, struct session, by_tsih);

	if (s->up && json_array_append_new(ctx, session_stats_json(s)) < 0)
		abort();
}

static void collect_node_stats(void *ctx, struct table_link *l)
{
	if (json_array_append_new(ctx, node_stats_json(container_of(l, struct node, link))) < 0)
		abort();
}

static json_t *m_state(struct call *k)
{
	struct target *t = k->client->control->target;
	json_t *o = json_object(), *portals = json_array(), *sessions = json_array();

	(void)pthread_mutex_lock(&t->lock);
	table_each(&t->portals, collect_portal_link, portals);
	table_each(&t->sessions_by_tsih, collect_session, sessions);
	(void)pthread_mutex_unlock(&t->lock);
	put_int(o, "generation", t->generation);
	put(o, "portals", portals);
	put(o, "sessions", sessions);
	return o;
}

static json_t *m_stats(struct call *k)
{
	struct target *t = k->client->control->target;
	json_t *o = json_object(), *nodes = json_array(), *sessions = json_array();

	(void)pthread_mutex_lock(&t->lock);
	table_each(&t->nodes, collect_node_stats, nodes);
	table_each(&t->sessions_by_tsih, collect_session_stats, sessions);
	(void)pthread_mutex_unlock(&t->lock);
	put(o, "nodes", nodes);
	put(o, "sessions", sessions);
	return o;
}

static json_t *m_sync(struct call *k)
{
	(void)k; /* the news have gone before, as before every answer */
	return json_object();
}

static json_t *m_shutdown(struct call *k)
{
	target_stop(k->client->control->target);
	return json_object();
}

static const struct {
	const char *name;
	json_t *(*run)(struct call *k);
} methods[] = {
	{"hello",    m_hello   },
        {"replace",  m_replace },
        {"apply",    m_apply   },
        {"state",    m_state   },
	{"stats",    m_stats   },
        {"sync",     m_sync    },
        {"shutdown", m_shutdown},
};

static json_t *error_json(int code, const char *message)
{
	json_t *o = json_object();

	put(o, "code", json_integer(code));
	put_text(o, "message", message);
	return o;
}

static void tell_news(struct control *ctl);

static void line_in(struct client *c, const char *line, size_t n)
{
	enum { NOT_JSON = -32700, NO_REQUEST = -32600, NO_METHOD = -32601 };
	json_error_t bad;
	json_t *rq = json_loadb(line, n, 0, &bad), *answer = json_object(), *result = NULL;
	const json_t *id = json_object_get(rq, "id");
	const char *method = json_string_value(json_object_get(rq, "method"));
	struct call k = {.client = c, .params = json_object_get(rq, "params")};
	size_t i = 0;

	if (!rq) {
		k.code = NOT_JSON;
		(void)err_set(&k.err, -EINVAL, "not JSON: %s", bad.text);
	} else if (!method) {
		k.code = NO_REQUEST;
		(void)err_set(&k.err, -EINVAL, "a request has a method");
	} else {
		while (i < ARRAY_SIZE(methods) && !streq(methods[i].name, method))
			i++;
		if (i < ARRAY_SIZE(methods)) {
			if (c == c->control->controller)
				tell_news(c->control);
			result = methods[i].run(&k);
		} else {
			k.code = NO_METHOD;
			(void)err_set(&k.err, -EINVAL, "there is no method %s", method);
		}
	}
	put(answer, "id", id ? json_deep_copy(id) : json_null());
	if (result)
		put(answer, "result", result);
	else
		put(answer, "error", error_json(k.code, k.err.text));
	if (rq)
		json_decref(rq);
	client_say(c, answer);
}

static void lines_in(struct client *c)
{
	size_t at = 0;

	while (!c->closed) {
		char *nl = memchr(c->in.p + at, '\n', c->in.len - at);

		if (!nl)
			break;
		line_in(c, c->in.p + at, (size_t)(nl - (c->in.p + at)));
		at = (size_t)(nl - c->in.p) + 1;
	}
	buf_drop(&c->in, at);
	if (c->in.len == 0) { /* a configuration may have been long */
		buf_done(&c->in);
		c->in = buf_of(LINE_MAX_BYTES);
	}
}

static void client_ready(struct loop_fd *f, uint32_t events)
{
	struct client *c = container_of(f, struct client, fd);

	if (events & EPOLLOUT)
		c->closed |= !client_flush(c);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		char *p = buf_grow(&c->in, READ_CHUNK);
		ssize_t n = p ? read(f->fd, p, READ_CHUNK) : 0;

		if (n > 0) {
			c->in.len += (size_t)n;
			lines_in(c);
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			c->closed = true;
		}
	}
	if (c->closed)
		client_close(c);
}

static void acceptable(struct loop_fd *f, uint32_t events)
{
	struct control *ctl = container_of(f, struct control, fd);
	int fd = accept4(f->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *c;
	unsigned n = 0;
	struct err e;

	(void)events;
	if (fd < 0)
		return;
	for (c = ctl->clients; c; c = c->next)
		n++;
	c = xcalloc(1, sizeof(*c));
	c->fd = (struct loop_fd){.fd = fd, .ready = client_ready};
	c->control = ctl;
	c->in = buf_of(LINE_MAX_BYTES);
	c->out = buf_of(OUT_MAX);
	if (n >= CLIENTS_MAX || loop_add(ctl->target->main, &c->fd, EPOLLIN, &e) < 0) {
		(void)close(fd);
		free(c);
		return;
	}
	c->next = ctl->clients;
	ctl->clients = c;
}

/* ---- events ---- */

/*
 * Sessions that come and go by the thousand must not cost a message each: changes are
 * gathered for a moment, and a session that was gone before it was told of is not told of.
 */
static json_t *news(const struct control *ctl, struct session *s)
{
	const char *event = s->up && s->told ? "connection" : s->up ? "up" : "down";
	json_t *o;

	if (!ctl->controller || (!s->up && !s->told))
		return NULL;
	s->told = s->up;
	o = json_object();
	put_text(o, "event", event);
	put(o, "session", session_json(s));
	return o;
}

static void tell_news(struct control *ctl)
{
	struct target *t = ctl->target;
	struct session *s;

	(void)pthread_mutex_lock(&t->lock);
	s = take(ctl->changed);
	ctl->changed_tail = &ctl->changed;
	(void)pthread_mutex_unlock(&t->lock);
	while (s) { /* one at a time: logins wait for the lock, too */
		struct session *next = s->next_changed;
		json_t *o;

		(void)pthread_mutex_lock(&t->lock);
		s->changed = false;
		o = news(ctl, s);
		session_unref_locked(s);
		(void)pthread_mutex_unlock(&t->lock);
		if (o)
			notify(ctl, "session", o);
		s = next;
	}
}

static void time_to_tell(struct loop_fd *f, uint32_t events)
{
	uint64_t n;

	(void)events;
	if (read(f->fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		tell_news(container_of(f, struct control, timer));
}

void control_session_changed(struct target *t, struct session *s)
{
	const struct itimerspec soon = {.it_value.tv_nsec = GATHER_MS * 1000000};
	struct control *ctl = t->control;

	if (s->changed || !__atomic_load_n(&ctl->listening, __ATOMIC_RELAXED))
		return;
	if (!ctl->changed)
		(void)timerfd_settime(ctl->timer.fd, 0, &soon, NULL);
	s->changed = true;
	s->refs++;
	s->next_changed = NULL;
	*ctl->changed_tail = s;
	ctl->changed_tail = &s->next_changed;
}

void control_portal_event(struct target *t, const struct portal *p)
{
	if (t->control->controller)
		notify(t->control, "portal", portal_json(p));
}

void control_unit_event(struct target *t, uint64_t naa, const char *error)
{
	json_t *o;
	char name[17];

	if (!t->control || !t->control->controller)
		return;
	(void)snprintf(name, sizeof(name), "%016" PRIx64, naa);
	o = json_object();
	put_text(o, "naa", name);
	put_text(o, "error", error);
	notify(t->control, "unit", o);
}

/* ---- the socket ---- */

static bool served(const struct sockaddr_un *sa)
{
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0;
}

int control_start(struct target *t, const char *path, struct err *e)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct control *ctl;
	mode_t old;
	int fd, r;

	if (strlen(path) >= sizeof(sa.sun_path))
		return err_set(e, -ENAMETOOLONG, "control socket %s: at most %zu characters", path,
			       sizeof(sa.sun_path) - 1);
	memcpy(sa.sun_path, path, strlen(path));
	if (served(&sa))
		return err_set(e, -EADDRINUSE,
			       "control socket %s is served by another smiscsi-target", path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(e, "control socket %s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(e, "control socket %s", path);
	old = umask(0177);
	r = bind(fd, (const struct sockaddr *)&sa, sizeof(sa));
	(void)umask(old);
	if (r < 0 || listen(fd, CLIENTS_MAX) < 0) {
		r = err_sys(e, "control socket %s", path);
		(void)close(fd);
		return r;
	}
	ctl = xcalloc(1, sizeof(*ctl));
	ctl->fd = (struct loop_fd){.fd = fd, .ready = acceptable};
	ctl->target = t;
	ctl->path = xstrdup(path);
	ctl->changed_tail = &ctl->changed;
	ctl->timer = (struct loop_fd){
		.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC),
		.ready = time_to_tell};
	t->control = ctl;
	r = loop_add(t->main, &ctl->fd, EPOLLIN, e);
	if (r == 0)
		r = loop_add(t->main, &ctl->timer, EPOLLIN, e);
	return r;
}

void control_stop(struct target *t)
{
	struct control *ctl = take(t->control);
	struct session *s = ctl->changed;

	while (ctl->clients)
		client_close(ctl->clients);
	while (s) {
		struct session *next = s->next_changed;

		session_unref_locked(s); /* no other thread is left */
		s = next;
	}
	loop_del(t->main, &ctl->timer);
	(void)close(ctl->timer.fd);
	loop_del(t->main, &ctl->fd);
	(void)close(ctl->fd.fd);
	(void)unlink(ctl->path);
	free(ctl->path);
	free(ctl);
}

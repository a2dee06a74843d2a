/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "engine/device.h"
#include "engine/user/message.h"

/* ---- to the target ---- */

static json_int_t num(uint64_t v)
{
	return v > INT64_MAX ? INT64_MAX : (json_int_t)v;
}

static json_t *unit_json(const struct san_unit *u, const char *dir)
{
	bool block = *u->device->s != '\0';
	auto_free char *path = block ? xstrdup(u->device->s)
				     : xasprintf("%s/%s" ENGINE_UNIT_SUFFIX, dir, u->naa);
	auto_free char *pr = xasprintf("%s/%s" ENGINE_PR_SUFFIX, dir, u->naa);

	return json_pack("{s:s,s:s,s:s,s:I,s:i,s:s}", "naa", u->naa, "path", path, "backing",
			 block ? "block" : "file", "size", num(u->size), "block_size", (int)SAN_BLOCK_SIZE, "pr_path", pr);
}

static json_t *node_json(const struct san_node *n)
{
	return json_pack("{s:s,s:s,s:b}", "iqn", n->iqn->s, "alias", n->alias->s, "enabled",
			 (int)n->enabled.on);
}

static json_t *port_json(const struct san_port *p)
{
	return json_pack("{s:s,s:i,s:b}", "iqn", p->iqn->s, "tpgt", (int)p->tpgt, "enabled",
			 (int)p->enabled.on);
}

static json_t *portal_json(const struct san_portal *p)
{
	return json_pack("{s:s,s:i,s:b}", "address", p->address->s, "port", (int)p->tcp_port,
			 "enabled", (int)p->enabled.on);
}

static json_t *binding_json(const struct san_binding *b)
{
	char address[SAN_ADDRESS_TEXT] = "";
	uint32_t port = 0;
	uint8_t family;

	if (!san_portal_parse(b->portal_text->s, address, &family, &port))
		port = 0; /* the target will refuse it; the model has made the text itself */
	return json_pack("{s:s,s:i,s:s,s:i}", "iqn", b->iqn->s, "tpgt", (int)b->tpgt, "address",
			 address, "port", (int)port);
}

static json_t *lun_json(const struct san_lun *l)
{
	return json_pack("{s:s,s:i,s:s}", "iqn", l->iqn->s, "lun", (int)l->lun, "naa", l->naa);
}

static json_t *obj_json(const struct san_obj *o, const char *dir)
{
	const void *x = o;

	if (o->kind == SAN_UNIT)
		return unit_json(x, dir);
	if (o->kind == SAN_NODE)
		return node_json(x);
	if (o->kind == SAN_PORT)
		return port_json(x);
	if (o->kind == SAN_PORTAL)
		return portal_json(x);
	return o->kind == SAN_BINDING ? binding_json(x) : lun_json(x);
}

static const char *kind_name(enum san_kind k)
{
	return k == SAN_UNIT      ? "unit"
	       : k == SAN_NODE    ? "node"
	       : k == SAN_PORT    ? "port"
	       : k == SAN_PORTAL  ? "portal"
	       : k == SAN_BINDING ? "binding"
				  : "lun";
}

/* Does a changed object differ in anything that is in its JSON? */
static bool concerns(const struct san_change *c, const char *dir)
{
	json_t *a, *b;
	bool same;

	if (!engine_cares(c))
		return false;
	if (!c->old || !c->now)
		return true;
	a = obj_json(c->old, dir);
	b = obj_json(c->now, dir);
	same = json_equal(a, b);
	json_decref(a);
	json_decref(b);
	return !same;
}

/* A binding goes with its port, and everything with its node: the target is told the cause. */
static bool is_implied(const struct san_changes *ch, size_t i)
{
	const struct san_change *c = &ch->v[i];

	if (c->now || c->kind == SAN_NODE)
		return false;
	if (ch->unless_sessions)
		return true;
	/* Its port is the next one to go (san_delete_port). */
	for (size_t k = i; c->kind == SAN_BINDING && k < ch->n; k++) {
		const struct san_change *p = &ch->v[k];

		if (p->kind == SAN_PORT && !p->now)
			return p->old->id ==
			       ((const struct san_binding *)(const void *)c->old)->port;
	}
	return false;
}

json_t *message_apply(const struct san_changes *ch, const char *units_dir, uint64_t gen)
{
	json_t *params = json_pack("{s:I}", "generation", num(gen)), *changes = json_array();

	for (size_t i = 0; i < ch->n; i++) {
		const struct san_change *c = &ch->v[i];
		json_t *x;

		if (!concerns(c, units_dir) || is_implied(ch, i))
			continue;
		x = obj_json(c->now ? c->now : c->old, units_dir);
		(void)json_object_set_new(x, "kind", json_string(kind_name(c->kind)));
		/* It may never have had one whose store can't be opened. */
		if (!c->now && (c->kind == SAN_UNIT || c->kind == SAN_LUN))
			(void)json_object_set_new(x, "if_there", json_true());
		(void)json_object_set_new(x, "op",
					  json_string(!c->old  ? "add"
						      : c->now ? "set"
							       : "remove"));
		if (ch->unless_sessions && c->kind == SAN_NODE)
			(void)json_object_set_new(x, "unless_sessions", json_true());
		(void)json_array_append_new(changes, x);
	}
	(void)json_object_set_new(params, "changes", changes);
	if (ch->must_listen)
		(void)json_object_set_new(params, "must_listen", json_true());
	return params;
}

bool message_is_empty(const json_t *apply_params)
{
	return json_array_size(json_object_get(apply_params, "changes")) == 0;
}

/* The target would make a file that is missing, and take a device that only has the right name. */
static bool is_there(const struct san_unit *u, const char *dir, struct err *e)
{
	auto_free char *path = xasprintf("%s/%s" ENGINE_UNIT_SUFFIX, dir, u->naa);

	if (*u->device->s)
		return device_check(u->device->s, u->identity->s, u->size, e) == 0;
	return access(path, F_OK) == 0 || err_set(e, -ENOENT, "its file is missing") == 0;
}

json_t *message_replace(const struct san_state *s, const char *units_dir,
			void (*missing)(void *ctx, const struct san_unit *u, const char *why),
			void *ctx)
{
	static const struct {
		enum san_index in;
		const char *name;
	} parts[] = {
		{SAN_UNITS,            "units"   },
		{SAN_NODES,            "nodes"   },
		{SAN_PORTS,            "ports"   },
		{SAN_PORTALS,          "portals" },
		{SAN_BINDINGS_OF_PORT, "bindings"},
		{SAN_LUNS_OF_NODE,     "luns"    }
        };
	json_t *config = json_object();
	struct san_walk w;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		json_t *list = json_array();

		for (const struct san_obj *o = san_first(&w, s, parts[i].in); o; o = san_next(&w)) {
			const struct san_unit *u = NULL;
			struct err e;

			if (o->kind == SAN_UNIT)
				u = (const void *)o;
			else if (o->kind == SAN_LUN)
				u = san_unit(s, ((const struct san_lun *)(const void *)o)->unit);
			if (u && !is_there(u, units_dir, &e)) {
				if (o->kind == SAN_UNIT)
					missing(ctx, u, e.text);
				continue;
			}
			(void)json_array_append_new(list, obj_json(o, units_dir));
		}
		(void)json_object_set_new(config, parts[i].name, list);
	}
	(void)json_object_set_new(config, "settings",
				  json_pack("{s:I}", "logout_time", num(s->settings->logout_time)));
	return json_pack("{s:I,s:o}", "generation", num(s->config_generation), "config", config);
}

/* ---- from the target ---- */

static const char *text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

static uint64_t number(const json_t *o, const char *name, uint64_t max)
{
	json_int_t v = json_integer_value(json_object_get(o, name));

	return v < 0 ? 0 : (uint64_t)v > max ? max : (uint64_t)v;
}

static enum san_listen listen_of(const char *state)
{
	static const struct {
		const char *name;
		enum san_listen is;
	} states[] = {
		{"listening",  SAN_LISTENING        },
		{"disabled",   SAN_LISTEN_OFF       },
		{"in_use",     SAN_LISTEN_IN_USE    },
		{"no_address", SAN_LISTEN_NO_ADDRESS}
        };

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		if (streq(state, states[i].name))
			return states[i].is;
	}
	return SAN_LISTEN_FAILED;
}

void message_portal(const json_t *portal, engine_notify *notify, void *ctx)
{
	struct engine_event ev = {.kind = ENGINE_PORTAL,
				  .address = text(portal, "address"),
				  .tcp_port = (uint16_t)number(portal, "port", UINT16_MAX),
				  .listen = listen_of(text(portal, "state")),
				  .why = text(portal, "why")};

	notify(ctx, &ev);
}

/* Login keys come as the text or number that was agreed on. */
static uint32_t key_number(const json_t *params, const char *name)
{
	const json_t *v = json_object_get(params, name);

	if (json_is_string(v))
		return (uint32_t)strtoul(json_string_value(v), NULL, 10);
	return (uint32_t)number(params, name, UINT32_MAX);
}

static bool key_yes(const json_t *params, const char *name)
{
	const json_t *v = json_object_get(params, name);

	return json_is_true(v) || streq(text(params, name), "Yes");
}

static bool has_digest(const json_t *conn, const char *name)
{
	const json_t *v = json_object_get(conn, name);

	return json_is_true(v) || (json_is_string(v) && !streq(json_string_value(v), "None"));
}

static void read_connection(const json_t *j, struct san_connection *c)
{
	c->cid = (uint16_t)number(j, "cid", UINT16_MAX);
	(void)snprintf(c->peer, sizeof(c->peer), "%s", text(j, "peer"));
	(void)snprintf(c->local, sizeof(c->local), "%s", text(j, "local"));
	c->digests_known = true;
	c->header_digest = has_digest(j, "header_digest");
	c->data_digest = has_digest(j, "data_digest");
	c->max_send = (uint32_t)number(j, "max_send", UINT32_MAX);
	c->max_recv = (uint32_t)number(j, "max_recv", UINT32_MAX);
}

/* 12 hex digits as the model has them: upper case. */
static void read_isid(const char *s, char to[13])
{
	size_t n = 0;

	for (; n < 12 && s[n]; n++)
		to[n] = s[n] >= 'a' && s[n] <= 'f' ? (char)(s[n] - 'a' + 'A') : s[n];
	to[n] = '\0';
}

void message_session(const json_t *session, bool up, engine_notify *notify, void *ctx)
{
	const json_t *keys = json_object_get(session, "params");
	const json_t *conns = json_object_get(session, "connections");
	struct san_connection c[SAN_CONNECTIONS_MAX];
	struct engine_event ev = {.kind = up ? ENGINE_SESSION_UP : ENGINE_SESSION_DOWN, .why = ""};
	struct san_seen_session *x = &ev.session;
	char isid[13];

	memset(c, 0, sizeof(c));
	read_isid(text(session, "isid"), isid);
	*x = (struct san_seen_session){
		.id = number(session, "id", INT64_MAX),
		.iqn = text(session, "iqn"),
		.tpgt = (uint16_t)number(session, "tpgt", UINT16_MAX),
		.tsih = (uint16_t)number(session, "tsih", UINT16_MAX),
		.discovery = streq(text(session, "type"), "discovery"),
		.initiator = text(session, "initiator"),
		.initiator_alias = text(session, "initiator_alias"),
		.isid = isid,
		.auth = text(session, "auth"),
		.since_us = (int64_t)number(session, "since_us", INT64_MAX),
		.MaxConnections = key_number(keys, "MaxConnections"),
		.MaxOutstandingR2T = key_number(keys, "MaxOutstandingR2T"),
		.ErrorRecoveryLevel = key_number(keys, "ErrorRecoveryLevel"),
		.DefaultTime2Wait = key_number(keys, "DefaultTime2Wait"),
		.DefaultTime2Retain = key_number(keys, "DefaultTime2Retain"),
		.MaxBurstLength = key_number(keys, "MaxBurstLength"),
		.FirstBurstLength = key_number(keys, "FirstBurstLength"),
		.InitialR2T = key_yes(keys, "InitialR2T"),
		.ImmediateData = key_yes(keys, "ImmediateData"),
		.DataPDUInOrder = key_yes(keys, "DataPDUInOrder"),
		.DataSequenceInOrder = key_yes(keys, "DataSequenceInOrder"),
		.connections = c,
	};
	for (size_t i = 0; i < json_array_size(conns) && i < SAN_CONNECTIONS_MAX; i++)
		read_connection(json_array_get(conns, i), &c[x->n_connections++]);
	notify(ctx, &ev);
}

void message_notification(const char *method, const json_t *params, engine_notify *notify,
			  void *ctx)
{
	if (streq(method, "portal")) {
		message_portal(params, notify, ctx);
	} else if (streq(method, "session")) {
		message_session(json_object_get(params, "session"),
				!streq(text(params, "event"), "down"), notify, ctx);
	} else if (streq(method, "unit")) {
		struct engine_event ev = {.kind = ENGINE_UNIT,
					  .naa = text(params, "naa"),
					  .why = text(params, "error")};

		notify(ctx, &ev);
	}
}

void message_reports(const json_t *result, engine_notify *notify, void *ctx)
{
	const json_t *list = json_object_get(result, "portals");

	for (size_t i = 0; i < json_array_size(list); i++)
		message_portal(json_array_get(list, i), notify, ctx);
	list = json_object_get(result, "sessions");
	for (size_t i = 0; i < json_array_size(list); i++)
		message_session(json_array_get(list, i), true, notify, ctx);
}

#define COPY(to, o, name) (void)snprintf((to), sizeof(to), "%s", text((o), (name)))

static void read_node_stats(const json_t *o, struct engine_node_stats *st)
{
#define COUNT(field) st->field = number(o, #field, INT64_MAX)
	COPY(st->iqn, o, "iqn");
	COUNT(logins_ok);
	COUNT(logins_other_fail);
	COUNT(logins_redirected);
	COUNT(authorize_fails);
	COUNT(authenticate_fails);
	COUNT(negotiate_fails);
	COUNT(logouts_normal);
	COUNT(logouts_other);
	COUNT(session_failures);
	st->last_failure_us = (int64_t)number(o, "last_failure_us", INT64_MAX);
	COPY(st->last_failure_kind, o, "last_failure_kind");
	COPY(st->last_failure_initiator, o, "last_failure_initiator");
	COPY(st->last_failure_address, o, "last_failure_address");
}

static void read_session_stats(const json_t *o, struct engine_session_stats *st)
{
	COUNT(id);
	COUNT(commands);
	COUNT(read_bytes);
	COUNT(write_bytes);
	COUNT(digest_errors);
	COUNT(timeouts);
#undef COUNT
}

void message_stats(const json_t *result, struct engine_stats *ret)
{
	const json_t *nodes = json_object_get(result, "nodes");
	const json_t *sessions = json_object_get(result, "sessions");

	*ret = (struct engine_stats){.n_nodes = json_array_size(nodes),
				     .n_sessions = json_array_size(sessions)};
	ret->nodes = xcalloc(ret->n_nodes + 1, sizeof(ret->nodes[0]));
	ret->sessions = xcalloc(ret->n_sessions + 1, sizeof(ret->sessions[0]));
	for (size_t i = 0; i < ret->n_nodes; i++)
		read_node_stats(json_array_get(nodes, i), &ret->nodes[i]);
	for (size_t i = 0; i < ret->n_sessions; i++)
		read_session_stats(json_array_get(sessions, i), &ret->sessions[i]);
}

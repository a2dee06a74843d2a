/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/str.h"
#include "box.h"
#include "gen/schema.h"
#include "test.h"

/* ---- the module ---- */

static const void *view_get(void *user)
{
	return san_state_ref(((struct box *)user)->state);
}

static void view_put(void *user, const void *view)
{
	(void)user;
	san_state_unref((struct san_state *)(uintptr_t)view);
}

static struct san_env env_of(struct box *b)
{
	b->now_us += 1000;
	b->random = b->random * 6364136223846793005U + 1442695040888963407U;
	return (struct san_env){b->now_us, {b->random, ~b->random}};
}

static void *changes_new(void *user)
{
	struct providers_change *c = xcalloc(1, sizeof(*c));

	c->env = env_of(user);
	return c;
}

static void changes_free(void *user, void *changes)
{
	struct providers_change *c = changes;

	(void)user;
	san_changes_done(&c->list);
	free(c);
}

static bool changes_any(const void *changes)
{
	return ((const struct providers_change *)changes)->list.n > 0;
}

void box_apply(struct box *b, struct san_changes *ch)
{
	struct err e = {0};

	b->state = san_apply(b->state, ch, b->now_us, NULL);
	san_changes_done(ch);
	if (san_invariants(b->state, &e) < 0)
		CHECK_STR(e.text, "");
}

static void submit(void *user, struct prov_write *w)
{
	struct box *b = user;
	struct providers_change *c = changes_new(b);
	enum prov_outcome o = PROV_REFUSED;
	struct err e = {0};

	if (w->run(w, b->state, c)) {
		o = b->outcome;
		if (o == PROV_OK) {
			box_apply(b, &c->list);
			b->writes++;
		} else {
			(void)err_set(&e, -5, "the test says so");
		}
	}
	b->outcome = PROV_OK;
	w->done(w, o, &e);
	changes_free(b, c);
}

static void see_network(struct box *b)
{
	static const struct san_seen_nic nics[] = {
		{"eth0", {0x02, 0, 0, 0, 0, 0xaa}, true, true, false, 10000000000, 1500},
		{"eth1", {0x02, 0, 0, 0, 0, 0xbb}, true, false, false, 0, 9000},
	};
	static const struct san_seen_ip ips[] = {
		{"192.0.2.1", "eth0", 4, 24, false, false},
		{"2001:db8::1", "eth0", 6, 64, false, false},
		{"198.51.100.7", "eth1", 4, 24, false, false},
		{"fe80::1%eth0", "eth0", 6, 64, false, false},
	};
	static const struct san_seen_network seen = {.nics = nics, .n_nics = 2, .ips = ips,
						     .n_ips = 4};
	struct san_env env = env_of(b);
	struct san_changes ch = {0};

	san_network_seen(b->state, &env, &seen, &ch);
	box_apply(b, &ch);
	san_engine_seen(b->state, &env, "fake", SAN_ENGINE_UP, "", &ch);
	box_apply(b, &ch);
	san_portal_seen(b->state, "192.0.2.1", 3260, SAN_LISTENING, "", &ch);
	box_apply(b, &ch);
	san_portal_seen(b->state, "2001:db8::1", 3260, SAN_LISTENING, "", &ch);
	box_apply(b, &ch);
	san_space_seen(b->state, 1ULL << 40, 1ULL << 39, &ch);
	box_apply(b, &ch);
}

static bool node_stats(void *ctx, const char *iqn, struct providers_node_stats *ret)
{
	const struct box *b = ctx;

	if (!b->counts || !streq(iqn, BOX_NODE))
		return false;
	*ret = (struct providers_node_stats){
		.at_us = b->now_us,
		.logins = 1,
		.negotiate_fails = 2,
		.authenticate_fails = 3,
		.authorize_fails = 4,
		.other_fails = 5,
		.redirects = 6,
		.normal_logouts = 7,
		.other_logouts = 8,
		.session_failures = 9,
		.last_failure_us = b->now_us,
		.last_failure_kind = "authorize",
		.last_failure_initiator = "iqn.2026-11.example:i:evil",
		.last_failure_address = "192.0.2.200:40000",
	};
	return true;
}

static bool session_stats(void *ctx, uint64_t id, struct providers_session_stats *ret)
{
	const struct box *b = ctx;

	if (!b->counts || id != 11)
		return false;
	*ret = (struct providers_session_stats){b->now_us, 10, 4096, 512, 1, 2};
	return true;
}

struct box *box_new(void)
{
	static const struct cim_namespace *const spaces[] = {&smiscsi_ns_iscsitarget,
							     &smiscsi_ns_interop};
	static const char *const urls[] = {"http://127.0.0.1:5988", "https://box.example:5989"};
	struct box *b = xcalloc(1, sizeof(*b));
	struct broker_config c = {.namespaces = spaces, .n_namespaces = 2, .n_modules = 1,
				  .host = "box.example"};
	struct err e = {0};

	b->server = (struct providers_server){.version = "1.22.333",
					      .serves = "a box serves",
					      .host = "box.example",
					      .urls = urls,
					      .n_urls = 2,
					      .authenticates = true,
					      .namespaces = spaces,
					      .n_namespaces = 2,
					      .node_stats = node_stats,
					      .session_stats = session_stats,
					      .stats_ctx = b};
	b->now_us = 1763703123000000; /* 2025-11-21 05:32:03 UTC */
	b->state = san_state_new(san_host_new(UUID, "box"),
				 san_settings_new("iqn.2026-11.example"), b->now_us);
	see_network(b);
	b->mod = (struct prov_module){
		.name = "san",
		.user = b,
		.view_get = view_get,
		.view_put = view_put,
		.changes_new = changes_new,
		.changes_free = changes_free,
		.changes_any = changes_any,
		.submit = submit,
	};
	providers_fill(&b->mod, &b->server);
	b->mods[0] = &b->mod;
	c.modules = b->mods;
	b->broker = broker_new(&c, &e);
	CHECK_STR(e.text, "");
	return b;
}

void box_free(struct box *b)
{
	if (!b)
		return;
	broker_free(b->broker);
	providers_done(&b->mod);
	san_state_unref(b->state);
	free(b);
}

/* ---- texts ---- */

static const char *keep(const char *text)
{
	static char *ring[8];
	static unsigned at;
	char **slot = &ring[at++ % ARRAY_SIZE(ring)];

	free(*slot);
	*slot = xstrdup(text);
	return *slot;
}

static const char *path_of(const char *cls, const char *key, const char *value)
{
	auto_free char *p = xasprintf("%s.SystemCreationClassName=\"MSFTSM_ComputerSystem\","
				      "SystemName=\"" UUID "\",CreationClassName=\"%s\",%s=\"%s\"",
				      cls, cls, key, value);

	return keep(p);
}

const char *box_node(const char *iqn)
{
	return path_of("MSISCSITARGET_SCSIProtocolController", "DeviceID", iqn);
}
const char *box_port(const char *name)
{
	return path_of("MSISCSITARGET_iSCSIProtocolEndpoint", "Name", name);
}
const char *box_portal(const char *text)
{
	return path_of("MSISCSITARGET_TCPProtocolEndpoint", "Name", text);
}
const char *box_ip(const char *address)
{
	return path_of("MSFTSMNET_IPProtocolEndpoint", "Name", address);
}
const char *box_volume(const char *naa)
{
	return path_of("MSISCSITARGET_StorageVolume", "DeviceID", naa);
}
const char *box_service(const char *which)
{
	auto_free char *cls = xasprintf("MSISCSITARGET_%sConfigurationService", which);
	auto_free char *name = xasprintf("%s Configuration Service", which);

	return path_of(cls, "Name", name);
}

/* ---- asking ---- */

unsigned box_count(struct box *b, const char *ns, const char *cls)
{
	AUTO(ask) k = ask_new(b->broker, CIM_OP_ENUMERATE_INSTANCES, ns);

	ask_path(k, cls);
	CHECK_INT(ask_go(k), CIM_OK);
	return ask_count(k);
}

static const char *ns_of(const char *path)
{
	return str_starts(path, "MSFTSM_") && !str_starts(path, "MSFTSM_ComputerSystem") ? "interop"
											 : VENDOR;
}

const char *box_get(struct box *b, const char *path, const char *prop)
{
	AUTO(ask) k = ask_new(b->broker, CIM_OP_GET_INSTANCE, ns_of(path));
	const char *text;

	ask_path(k, path);
	ask_props(k, prop, NULL);
	if (ask_go(k) != CIM_OK) {
		CHECK_STR(k->ans->text, "");
		return "";
	}
	text = strstr(ask_text(k), "\" ");
	if (!text || !strchr(text, '='))
		return keep("(no such property)");
	text = keep(strchr(text, '=') + 1);
	*strchr(text, '\n') = '\0';
	return text;
}

/* The last key's value of each path. */
const char *box_names(struct box *b, const char *path, const char *assoc, const char *result)
{
	AUTO(ask) k = ask_new(b->broker, CIM_OP_ASSOCIATOR_NAMES, ns_of(path));
	auto_buf struct buf out = buf_of(1 << 20);
	struct broker_item i;

	ask_path(k, path);
	k->rq.assoc_class = assoc;
	k->rq.result_class = result;
	if (ask_go(k) != CIM_OK)
		CHECK_STR(k->ans->text, "");
	while (k->ans->status == CIM_OK && broker_next(k->op, &i)) {
		const struct cim_path *p = i.path;

		for (unsigned n = 0; n < p->n_keys; n++) {
			if (streq(p->keys[n].name, "Name") || streq(p->keys[n].name, "DeviceID") ||
			    streq(p->keys[n].name, "InstanceID"))
				buf_addf(&out, "%s ", p->keys[n].v.s);
		}
	}
	return keep(out.p ? out.p : "");
}

static char *last_out;
static char last_why[512];

unsigned box_call(struct box *b, const char *path, const char *method, ...)
{
	AUTO(ask) k = ask_new(b->broker, CIM_OP_INVOKE_METHOD, ns_of(path));
	auto_buf struct buf out = buf_of(1 << 20);
	struct cim_named *array = NULL;
	const char *name, *value;
	va_list ap;

	ask_path(k, path);
	k->rq.method = method;
	va_start(ap, method);
	while ((name = va_arg(ap, const char *))) {
		value = va_arg(ap, const char *);
		if (name[0] == '&') {
			ask_ref(k, name + 1, value);
		} else if (name[0] == '*') {
			struct cim_value *more;
			uint32_t n = array ? array->v.n : 0;
			struct cim_path *p = NULL;

			if (!array) {
				array = ask_named(k, name + 1);
				array->is_array = true;
			}
			more = arena_zalloc(k->a, (n + 1) * sizeof(*more));
			if (n)
				memcpy(more, array->v.a, n * sizeof(*more));
			more[n] = cim_null(CIM_REF);
			if (value && cim_path_parse(k->a, value, strlen(value), &p, NULL) == 0)
				more[n] = cim_ref(p);
			array->v = cim_array(CIM_REF, more, value || n ? n + 1 : 0);
		} else {
			ask_value(k, name, value);
		}
	}
	va_end(ap);
	(void)ask_go(k);
	(void)snprintf(last_why, sizeof(last_why), "%s", k->ans->text);
	free(last_out);
	last_out = NULL;
	if (k->ans->status != CIM_OK)
		return 100000U + k->ans->status;
	for (unsigned i = 0; k->ans->out && i < k->ans->method->n_params; i++) {
		const struct cim_value *v = &k->ans->out[i];

		if (cim_is_null(v))
			continue;
		buf_addf(&out, "%s=", k->ans->method->params[i].name);
		if (v->type == CIM_REF)
			buf_adds(&out, cim_path_print(k->a, v->ref));
		else if (v->type == CIM_STRING)
			buf_adds(&out, v->s);
		else
			buf_addf(&out, "%" PRIu64, v->u);
		buf_addc(&out, '\n');
	}
	last_out = xstrdup(out.p ? out.p : "");
	return k->ans->ret;
}

const char *box_out(const char *param)
{
	auto_free char *want = xasprintf("%s=", param);
	const char *at = last_out;

	while (at && *at) {
		size_t n = strcspn(at, "\n");

		if (str_starts(at, want)) {
			auto_free char *v = xstrndup(at + strlen(want), n - strlen(want));

			return keep(v);
		}
		at += n + 1;
	}
	return NULL;
}

const char *box_why(void)
{
	return last_why;
}

void box_furnish(struct box *b)
{
	CHECK_INT(box_call(b, box_service("iSCSI"), "CreateiSCSINode", "Alias", "alpha", NULL), 0);
	CHECK_INT(box_call(b, box_service("iSCSI"), "CreateiSCSIProtocolEndpoint", "&iSCSINode",
			   box_node(BOX_NODE), "Role", "3", "*NetworkPortals",
			   box_portal("192.0.2.1:3260"), "*NetworkPortals",
			   box_portal("[2001:db8::1]:3260"), NULL),
		  0);
}

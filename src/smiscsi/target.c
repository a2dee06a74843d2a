/* SPDX-License-Identifier: Apache-2.0 */
/* The commands on nodes, ports, portals, groups and volumes. */
#include <stdio.h>

#include "base/str.h"
#include "smiscsi/cli.h"

#define SERVICE         "MSISCSITARGET_iSCSIConfigurationService"
#define STORAGE_SERVICE "MSISCSITARGET_StorageConfigurationService"
#define MASKING_SERVICE "MSISCSITARGET_ControllerConfigurationService"

static int list(struct cli *c, const char *class_name, const struct cli_column *cols, size_t n)
{
	struct session_list l;
	struct err e = {0};

	if (session_list(c->session, NS_TARGET, class_name, &l, &e) < 0)
		return cli_fail(&e);
	cli_print(c, &l, cols, n);
	return EXIT_DONE;
}

/* What was made, by the key that people call it by. */
static int print_made(struct cli *c, const char *what, const char *name)
{
	if (c->json) {
		json_t *j = json_object();

		(void)json_object_set_new(j, what, json_string(name));
		cli_print_json(j);
	} else {
		puts(cli_shown(c, name));
	}
	return EXIT_DONE;
}

static int print_out_key(struct cli *c, const struct session_answer *a, const char *param,
			 const char *what, const char *key)
{
	const struct cim_named *o = cli_out(a, param);

	if (!o || o->v.type != CIM_REF || cim_is_null(&o->v))
		return cli_failf("the server's answer has no %s", param);
	return print_made(c, what, path_key(o->v.ref, key));
}

static int delete_object(struct cli *c, const struct cim_raw_instance *i)
{
	struct err e = {0};

	if (session_delete(c->session, NS_TARGET, i->path, &e) < 0)
		return cli_fail(&e);
	return EXIT_DONE;
}

/* Give an object another ElementName, the second argument. */
static int rename_object(struct cli *c, const struct cim_raw_instance *i)
{
	struct cim_named name = cli_text("ElementName", c->args[1]);
	struct err e = {0};

	if (!i)
		return EXIT_REFUSED;
	if (session_modify(c->session, NS_TARGET, i->path, &name, 1, &e) < 0)
		return cli_fail(&e);
	return EXIT_DONE;
}

static int request_state(struct cli *c, const struct cim_raw_instance *i, uint16_t state)
{
	struct session_answer a;
	struct cim_named p = cli_number("RequestedState", CIM_UINT16, state);

	return i ? cli_invoke(c, NS_TARGET, i->path, "RequestStateChange", &p, 1, &a)
		 : EXIT_REFUSED;
}

static const char *status(struct cli *c, const struct cim_raw_instance *i)
{
	(void)c;
	return cli_status(prop_first(i, "OperationalStatus"));
}

static const char *enabled(struct cli *c, const struct cim_raw_instance *i)
{
	(void)c;
	switch (prop_number(i, "EnabledState")) {
	case 2:
		return "enabled";
	case 3:
		return "disabled";
	default:
		return "other";
	}
}

/* ---- nodes ---- */

int cmd_node_list(struct cli *c)
{
	static const struct cli_column cols[] = {
		{"ALIAS", "ElementName", NULL},
		{"NAME", "Name", NULL},
		{"STATE", NULL, enabled},
		{"STATUS", NULL, status},
	};

	return list(c, "MSISCSITARGET_SCSIProtocolController", cols, ARRAY_SIZE(cols));
}

int cmd_node_create(struct cli *c)
{
	const char *iqn = cli_option(c, "iqn");
	struct session_answer a;

	if (iqn) { /* CreateiSCSINode has no parameter for it, CreateInstance has */
		struct cim_named p[] = {cli_text("Name", iqn), cli_text("ElementName", c->args[0])};
		struct cim_path *made;
		struct err e = {0};

		if (session_create(c->session, NS_TARGET, "MSISCSITARGET_SCSIProtocolController", p,
				   ARRAY_SIZE(p), &made, &e) < 0)
			return cli_fail(&e);
		return print_made(c, "node", path_key(made, "DeviceID"));
	}

	struct cim_named p = cli_text("Alias", c->args[0]);
	int r = cli_service(c, SERVICE, "CreateiSCSINode", &p, 1, &a);

	return r ? r : print_out_key(c, &a, "iSCSINode", "node", "DeviceID");
}

int cmd_node_delete(struct cli *c)
{
	const struct cim_raw_instance *n = cli_node(c, c->args[0]);
	struct session_answer a;
	struct cim_named p;

	if (!n)
		return EXIT_REFUSED;
	p = cli_ref("iSCSINode", n->path);
	return cli_service(c, SERVICE, "DeleteiSCSINode", &p, 1, &a);
}

int cmd_node_rename(struct cli *c)
{
	return rename_object(c, cli_node(c, c->args[0]));
}

int cmd_node_enable(struct cli *c)
{
	return request_state(c, cli_node(c, c->args[0]), 2);
}

int cmd_node_disable(struct cli *c)
{
	return request_state(c, cli_node(c, c->args[0]), 3);
}

/* ---- ports ---- */

int cmd_port_list(struct cli *c)
{
	static const struct cli_column cols[] = {
		{"PORT", "Name", NULL},
		{"IDENTIFIER", "Identifier", NULL},
		{"STATE", NULL, enabled},
		{"STATUS", NULL, status},
	};
	struct session_list l;
	struct err e = {0};
	size_t n = 0;

	if (session_list(c->session, NS_TARGET, "MSISCSITARGET_iSCSIProtocolEndpoint", &l, &e) < 0)
		return cli_fail(&e);
	/* the initiators' ends of sessions are endpoints, too (Role 2) */
	for (size_t i = 0; i < l.n; i++)
		if (prop_number(l.v[i], "Role") == 3)
			l.v[n++] = l.v[i];
	l.n = n;
	cli_print(c, &l, cols, ARRAY_SIZE(cols));
	return EXIT_DONE;
}

int cmd_port_create(struct cli *c)
{
	const struct cim_raw_instance *node = cli_node(c, c->args[0]);
	const char *tag = cli_option(c, "tag");
	struct arena *arena = session_arena(c->session);
	struct cim_named p[4];
	struct session_answer a;
	struct cim_value *refs;
	uint32_t n_refs = 0;
	size_t n = 0;
	uint64_t tpgt = 0;
	int r;

	if (!node)
		return EXIT_REFUSED;
	if (tag && !str_u64(tag, strlen(tag), 65535, &tpgt))
		return cli_failf("--tag: '%s' is not a number from 0 to 65535", tag);
	refs = arena_alloc(arena, CLI_MAX_ARGS * sizeof(*refs));
	for (size_t i = 0; i < c->n_options; i++) {
		const struct cim_raw_instance *portal;

		if (!streq(c->options[i].name, "portal"))
			continue;
		portal = cli_portal(c, c->options[i].value);
		if (!portal)
			return EXIT_REFUSED;
		refs[n_refs++] = cim_ref(portal->path);
	}
	if (n_refs == 0) {
		(void)cli_failf("a port needs at least one --portal; see: smiscsi portal list");
		return EXIT_USAGE;
	}
	p[n++] = cli_ref("iSCSINode", node->path);
	p[n++] = cli_number("Role", CIM_UINT16, 3);
	if (tag)
		p[n++] = cli_text("Identifier", arena_printf(arena, "%012lX", (unsigned long)tpgt));
	p[n++] = (struct cim_named){.name = "NetworkPortals",
				    .has_type = true,
				    .claimed = CIM_REF,
				    .is_array = true,
				    .v = cim_array(CIM_REF, refs, n_refs)};
	r = cli_service(c, SERVICE, "CreateiSCSIProtocolEndpoint", p, n, &a);
	return r ? r : print_out_key(c, &a, "iSCSIPort", "port", "Name");
}

int cmd_port_delete(struct cli *c)
{
	const struct cim_raw_instance *port = cli_port(c, c->args[0]);
	struct session_answer a;
	struct cim_named p;

	if (!port)
		return EXIT_REFUSED;
	p = cli_ref("iSCSIPort", port->path);
	return cli_service(c, SERVICE, "DeleteiSCSIProtocolEndpoint", &p, 1, &a);
}

int cmd_port_enable(struct cli *c)
{
	return request_state(c, cli_port(c, c->args[0]), 2);
}

int cmd_port_disable(struct cli *c)
{
	return request_state(c, cli_port(c, c->args[0]), 3);
}

/* ---- portals ---- */

int cmd_portal_list(struct cli *c)
{
	static const struct cli_column cols[] = {
		{"PORTAL", "Name", NULL},
		{"STATE", NULL, enabled},
		{"STATUS", NULL, status},
	};

	return list(c, "MSISCSITARGET_TCPProtocolEndpoint", cols, ARRAY_SIZE(cols));
}

int cmd_portal_create(struct cli *c)
{
	struct arena *arena = session_arena(c->session);
	const char *a = c->args[0];
	bool v6 = strchr(a, ':') != strrchr(a, ':');
	struct cim_named p;
	struct cim_path *made;
	struct err e = {0};

	if (v6 && a[0] != '[')
		a = arena_printf(arena, "[%s]:3260", a);
	else if (v6 ? strstr(a, "]:") == NULL : strchr(a, ':') == NULL)
		a = arena_printf(arena, "%s:3260", a);
	p = cli_text("Name", a);
	if (session_create(c->session, NS_TARGET, "MSISCSITARGET_TCPProtocolEndpoint", &p, 1, &made,
			   &e) < 0)
		return cli_fail(&e);
	return print_made(c, "portal", path_key(made, "Name"));
}

int cmd_portal_delete(struct cli *c)
{
	const struct cim_raw_instance *p = cli_portal(c, c->args[0]);

	return p ? delete_object(c, p) : EXIT_REFUSED;
}

int cmd_portal_bind(struct cli *c)
{
	const struct cim_raw_instance *port = cli_port(c, c->args[0]);
	const struct cim_raw_instance *portal = port ? cli_portal(c, c->args[1]) : NULL;
	struct session_answer a;

	if (!portal)
		return EXIT_REFUSED;

	struct cim_named p[] = {cli_ref("iSCSIPort", port->path),
				cli_ref("NetworkPortal", portal->path)};

	return cli_service(c, SERVICE, "BindiSCSIProtocolEndPoint", p, ARRAY_SIZE(p), &a);
}

/* The association instance of a class whose two references have these Name keys. */
static const struct cim_raw_instance *link_of(struct cli *c, const char *class_name,
					      const char *ref1, const char *key1, const char *v1,
					      const char *ref2, const char *key2, const char *v2)
{
	struct session_list l;
	struct err e = {0};

	if (session_list(c->session, NS_TARGET, class_name, &l, &e) < 0) {
		(void)cli_fail(&e);
		return NULL;
	}
	for (size_t i = 0; i < l.n; i++)
		if (streq(ref_key(l.v[i], ref1, key1), v1) &&
		    streq(ref_key(l.v[i], ref2, key2), v2))
			return l.v[i];
	(void)cli_failf("%s and %s are not connected", v1, v2);
	return NULL;
}

int cmd_portal_unbind(struct cli *c)
{
	const struct cim_raw_instance *port = cli_port(c, c->args[0]);
	const struct cim_raw_instance *portal = port ? cli_portal(c, c->args[1]) : NULL;
	const struct cim_raw_instance *b;

	if (!portal)
		return EXIT_REFUSED;
	b = link_of(c, "MSISCSITARGET_BindsTo", "Antecedent", "Name", prop_text(portal, "Name"),
		    "Dependent", "Name", prop_text(port, "Name"));
	return b ? delete_object(c, b) : EXIT_REFUSED;
}

int cmd_portal_move(struct cli *c)
{
	const struct cim_raw_instance *portal = cli_portal(c, c->args[0]);
	const struct cim_raw_instance *group = portal ? cli_group(c, c->args[1]) : NULL;
	struct cim_path *made;
	struct err e = {0};

	if (!group)
		return EXIT_REFUSED;

	struct cim_named p[] = {cli_ref("Collection", group->path), cli_ref("Member", portal->path)};

	if (session_create(c->session, NS_TARGET, "MSISCSITARGET_MemberOfCollection", p,
			   ARRAY_SIZE(p), &made, &e) < 0)
		return cli_fail(&e);
	return EXIT_DONE;
}

int cmd_portal_enable(struct cli *c)
{
	return request_state(c, cli_portal(c, c->args[0]), 2);
}

int cmd_portal_disable(struct cli *c)
{
	return request_state(c, cli_portal(c, c->args[0]), 3);
}

/* ---- groups ---- */

int cmd_group_list(struct cli *c)
{
	static const struct cli_column cols[] = {
		{"GROUP", "ElementName", NULL},
		{"ID", "InstanceID", NULL},
	};

	return list(c, "MSISCSITARGET_SystemSpecificCollection", cols, ARRAY_SIZE(cols));
}

int cmd_group_create(struct cli *c)
{
	struct cim_named p = cli_text("ElementName", c->args[0]);
	struct cim_path *made;
	struct err e = {0};

	if (session_create(c->session, NS_TARGET, "MSISCSITARGET_SystemSpecificCollection", &p, 1,
			   &made, &e) < 0)
		return cli_fail(&e);
	return print_made(c, "group", path_key(made, "InstanceID"));
}

int cmd_group_rename(struct cli *c)
{
	return rename_object(c, cli_group(c, c->args[0]));
}

int cmd_group_delete(struct cli *c)
{
	const struct cim_raw_instance *g = cli_group(c, c->args[0]);

	return g ? delete_object(c, g) : EXIT_REFUSED;
}

/* ---- volumes ---- */

/* "64M" -> bytes; binary multiples. */
static bool read_size(const char *s, uint64_t *ret)
{
	static const char units[] = "KMGTP";
	size_t n = strlen(s);
	unsigned shift = 0;
	const char *u;

	if (n > 1 && (u = strchr(units, s[n - 1] >= 'a' ? s[n - 1] - 'a' + 'A' : s[n - 1]))) {
		shift = 10 * (unsigned)(u - units + 1);
		n--;
	}
	if (!str_u64(s, n, UINT64_MAX >> shift, ret))
		return false;
	*ret <<= shift;
	return true;
}

static const char *size_text(struct cli *c, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned u = 0;

	while (bytes >= 1024 && bytes % 1024 == 0 && u + 1 < ARRAY_SIZE(units)) {
		bytes /= 1024;
		u++;
	}
	return arena_printf(session_arena(c->session), "%lu %s", (unsigned long)bytes, units[u]);
}

static const char *volume_size(struct cli *c, const struct cim_raw_instance *i)
{
	return size_text(c, prop_number(i, "BlockSize") * prop_number(i, "NumberOfBlocks"));
}

int cmd_volume_list(struct cli *c)
{
	static const struct cli_column cols[] = {
		{"NAME", "ElementName", NULL},
		{"NAA", "Name", NULL},
		{"SIZE", NULL, volume_size},
		{"STATUS", NULL, status},
	};

	return list(c, "MSISCSITARGET_StorageVolume", cols, ARRAY_SIZE(cols));
}

static const char *pool_total(struct cli *c, const struct cim_raw_instance *i)
{
	return size_text(c, prop_number(i, "TotalManagedSpace") >> 20 << 20);
}

static const char *pool_free(struct cli *c, const struct cim_raw_instance *i)
{
	return size_text(c, prop_number(i, "RemainingManagedSpace") >> 20 << 20);
}

int cmd_pool_list(struct cli *c)
{
	static const struct cli_column cols[] = {
		{"POOL", "ElementName", NULL},
		{"ID", "InstanceID", NULL},
		{"SPACE", NULL, pool_total},
		{"FREE", NULL, pool_free},
		{"STATUS", NULL, status},
	};

	return list(c, "MSISCSITARGET_StoragePool", cols, ARRAY_SIZE(cols));
}

int cmd_volume_create(struct cli *c)
{
	const char *pool = cli_option(c, "pool");
	const struct cim_raw_instance *in = pool ? cli_pool(c, pool) : NULL;
	struct cim_named p[4];
	struct session_answer a;
	uint64_t size;
	size_t n = 0;
	int r;

	if (pool && !in)
		return EXIT_REFUSED;
	p[n++] = cli_text("ElementName", c->args[0]);
	p[n++] = cli_number("ElementType", CIM_UINT16, 2);
	if (c->n_args > 1) {
		if (!read_size(c->args[1], &size))
			return cli_failf("'%s' is not a size; write 67108864 or 64M", c->args[1]);
		p[n++] = cli_number("Size", CIM_UINT64, size);
	}
	if (in)
		p[n++] = cli_ref("InPool", in->path);
	r = cli_service(c, STORAGE_SERVICE, "CreateOrModifyElementFromStoragePool", p, n, &a);
	return r ? r : print_out_key(c, &a, "TheElement", "volume", "DeviceID");
}

static int modify_volume(struct cli *c, struct cim_named what)
{
	const struct cim_raw_instance *v = cli_volume(c, c->args[0]);
	struct session_answer a;

	if (!v)
		return EXIT_REFUSED;

	struct cim_named p[] = {cli_number("ElementType", CIM_UINT16, 2),
				cli_ref("TheElement", v->path), what};

	return cli_service(c, STORAGE_SERVICE, "CreateOrModifyElementFromStoragePool", p,
			   ARRAY_SIZE(p), &a);
}

int cmd_volume_grow(struct cli *c)
{
	uint64_t size;

	if (!read_size(c->args[1], &size))
		return cli_failf("'%s' is not a size; write 67108864 or 64M", c->args[1]);
	return modify_volume(c, cli_number("Size", CIM_UINT64, size));
}

int cmd_volume_rename(struct cli *c)
{
	return modify_volume(c, cli_text("ElementName", c->args[1]));
}

int cmd_volume_delete(struct cli *c)
{
	const struct cim_raw_instance *v = cli_volume(c, c->args[0]);
	struct session_answer a;
	struct cim_named p;

	if (!v)
		return EXIT_REFUSED;
	p = cli_ref("TheElement", v->path);
	return cli_service(c, STORAGE_SERVICE, "ReturnToStoragePool", &p, 1, &a);
}

/* AttachDevice and DetachDevice share their references. */
static int attach(struct cli *c, const char *method, const char *number, bool print)
{
	const struct cim_raw_instance *v = cli_volume(c, c->args[0]);
	const struct cim_raw_instance *n = v ? cli_node(c, c->args[1]) : NULL;
	struct session_answer a;
	const struct cim_named *o;
	struct cim_named p[3];
	size_t np = 0;
	int r;

	if (!n)
		return EXIT_REFUSED;
	p[np++] = cli_ref("ProtocolController", n->path);
	p[np++] = cli_ref("Device", v->path);
	if (number)
		p[np++] = cli_text("DeviceNumber", number);
	r = cli_service(c, MASKING_SERVICE, method, p, np, &a);
	if (r || !print)
		return r;
	o = cli_out(&a, "DeviceNumber");
	return print_made(c, "lun", o && !cim_is_null(&o->v) ? o->v.s : "");
}

int cmd_volume_attach(struct cli *c)
{
	const char *lun = cli_option(c, "lun");
	uint64_t n;

	if (!lun)
		return attach(c, "AttachDevice", NULL, true);
	if (!str_u64(lun, strlen(lun), 254, &n))
		return cli_failf("--lun: '%s' is not a number from 0 to 254", lun);
	/* people count in decimal, DeviceNumber is hexadecimal */
	return attach(c, "AttachDevice",
		      arena_printf(session_arena(c->session), "%lX", (unsigned long)n), true);
}

int cmd_volume_detach(struct cli *c)
{
	return attach(c, "DetachDevice", NULL, false);
}

/* ---- sessions, and anything ---- */

static const char *session_type(struct cli *c, const struct cim_raw_instance *i)
{
	(void)c;
	return prop_number(i, "SessionType") == 2 ? "discovery" : "normal";
}

int cmd_session_list(struct cli *c)
{
	static const struct cli_column cols[] = {
		{"SESSION", "InstanceID", NULL},
		{"INITIATOR", "EndPointName", NULL},
		{"TYPE", NULL, session_type},
		{"CONNECTIONS", "CurrentConnections", NULL},
	};

	return list(c, "MSISCSITARGET_iSCSISession", cols, ARRAY_SIZE(cols));
}

/* ---- what others have made ---- */

static const char *foreign_kind(struct cli *c, const struct cim_raw_instance *i)
{
	(void)c;
	return prop_number(i, "ElementKind") == 2 ? "target" : "backing store";
}

/* Where it can be found: portals, or a path. */
static const char *foreign_at(struct cli *c, const struct cim_raw_instance *i)
{
	const struct cim_value *v = prop(i, "NetworkPortals");
	const char *text = "";

	if (!v || v->kind != CIM_V_ARRAY)
		return prop_text(i, "Path");
	for (uint32_t k = 0; k < v->n; k++)
		text = arena_printf(session_arena(c->session), "%s%s%s", text, k ? " " : "",
				    v->a[k].s ? v->a[k].s : "");
	return text;
}

int cmd_foreign_list(struct cli *c)
{
	static const struct cli_column cols[] = {
		{"NAME", "Name", NULL},
		{"KIND", NULL, foreign_kind},
		{"AT", NULL, foreign_at},
		{"STATUS", NULL, status},
	};

	return list(c, "MSISCSITARGET_ForeignElement", cols, ARRAY_SIZE(cols));
}

int cmd_get(struct cli *c)
{
	const char *ns = cli_option(c, "namespace");
	struct session_list l;
	struct err e = {0};

	if (session_list(c->session, ns ? ns : NS_TARGET, c->args[0], &l, &e) < 0)
		return cli_fail(&e);
	if (c->json) {
		cli_print(c, &l, NULL, 0);
		return EXIT_DONE;
	}
	for (size_t i = 0; i < l.n; i++) {
		json_t *j = cli_json(l.v[i]);
		const char *k;
		json_t *v;

		printf("%s%s\n", i ? "\n" : "", cli_shown(c, l.v[i]->class_name));
		json_object_foreach(j, k, v) {
			auto_free char *t = json_dumps(v, JSON_ENCODE_ANY);

			if (!streq(k, "class"))
				printf("  %s = %s\n", cli_shown(c, k), cli_shown(c, t ? t : ""));
		}
		json_decref(j);
	}
	return EXIT_DONE;
}

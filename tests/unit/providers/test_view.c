/* SPDX-License-Identifier: Apache-2.0 */
/* What the providers show, asked through the broker. */
#include <stdio.h>

#include "base/buf.h"
#include "box.h"
#include "gen/block.h"
#include "gen/schema.h"
#include "iscsi/keys.h"
#include "target/target.h"
#include "test.h"

#define PORT BOX_NODE ",t,0x0001"

/* ---- every class, every association ---- */

static int line_cmp(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct lines {
	char **v;
	size_t n;
};

static void lines_add(struct lines *l, const char *s)
{
	l->v = xrealloc(l->v, (l->n + 1) * sizeof(*l->v));
	l->v[l->n++] = xstrdup(s);
}

static void lines_done(struct lines *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	*l = (struct lines){0};
}

static void lines_sort(struct lines *l)
{
	if (l->n)
		qsort(l->v, l->n, sizeof(*l->v), line_cmp);
}

/* Both have the same lines; the second may be unsorted. */
static void check_same(const char *what, struct lines *a, struct lines *b)
{
	lines_sort(a);
	lines_sort(b);
	CHECK_INT(b->n, a->n);
	for (size_t i = 0; i < a->n && i < b->n; i++) {
		if (!streq(a->v[i], b->v[i])) {
			printf("# %s\n", what);
			CHECK_STR(b->v[i], a->v[i]);
			break;
		}
	}
	if (a->n != b->n)
		printf("# %s\n", what);
}

/* Paths (without host), and the whole answer's lines, of a listing. */
static void list(struct box *b, enum cim_op op, const char *ns, const char *path,
		 const char *result, const char *role, struct lines *paths, struct lines *all)
{
	AUTO(ask) k = ask_new(b->broker, op, ns);
	AUTO(ask) again = ask_new(b->broker, op, ns);
	struct broker_item i;

	for (int n = 0; n < 2; n++) {
		struct ask *x = n ? again : k;

		ask_path(x, path);
		x->rq.result_class = result;
		x->rq.role = role;
		if (ask_go(x) != CIM_OK) {
			printf("# %s\n", path);
			CHECK_STR(x->ans->text, "");
			return;
		}
	}
	while (broker_next(k->op, &i)) {
		struct cim_path p = *i.path;

		p.host = NULL;
		lines_add(paths, cim_path_print(k->a, &p));
	}
	if (all) {
		const char *text = ask_text(again);

		for (size_t n; *text; text += n + 1) {
			auto_free char *line = NULL;

			n = strcspn(text, "\n");
			line = xstrndup(text, n);
			lines_add(all, line);
		}
	}
}

/* Without its namespace, for an operation on an object in that namespace. */
static const char *local(const char *path)
{
	const char *colon = strchr(path, ':'), *quote = strchr(path, '"');

	return colon && (!quote || colon < quote) ? colon + 1 : path;
}

static void check_class(struct box *b, const struct prov_class *pc)
{
	struct lines paths = {0}, all = {0};

	list(b, CIM_OP_ENUMERATE_INSTANCES, pc->ns->name, pc->cls->name, NULL, NULL, &paths, &all);
	CHECK_INT(paths.n, all.n);
	if (pc->count) {
		struct prov_ctx c = {.mod = &b->mod, .view = b->state};

		CHECK_INT(pc->count(&c), paths.n);
	}
	for (size_t i = 0; i < paths.n; i++) {
		AUTO(ask) k = ask_new(b->broker, CIM_OP_GET_INSTANCE, pc->ns->name);
		const char *text;

		ask_path(k, local(paths.v[i]));
		if (ask_go(k) != CIM_OK) {
			printf("# %s\n", paths.v[i]);
			CHECK_STR(k->ans->text, "");
			continue;
		}
		text = ask_text(k);
		((char *)(uintptr_t)text)[strcspn(text, "\n")] = '\0';
		CHECK_STR(text, all.v[i]);
	}
	for (size_t i = 0; i < paths.n; i++)
		for (size_t j = 0; j < i; j++)
			if (streq(paths.v[i], paths.v[j]))
				CHECK_STR(paths.v[i], "only once");
	lines_done(&paths);
	lines_done(&all);
}

/* From every object there is, in one role. */
static void walk_from_all(struct box *b, const struct prov_assoc *pa, int which, struct lines *ret)
{
	for (size_t i = 0; i < b->mod.n_classes; i++) {
		const struct prov_class *pc = &b->mod.classes[i];
		struct prov_ctx c = {.mod = &b->mod, .view = b->state, .host = "box.example"};
		struct prov_iter it = {0};
		struct prov_obj o;

		c.arena = arena_new(1 << 20);
		while (pc->next(&c, &it, &o)) {
			struct prov_iter at = {0};
			struct prov_link l = {0};

			while (pa->walk(&c, which, &o, &at, &l)) {
				AUTO(arena) a = arena_new(1 << 16);
				const char *ends[2];

				CHECK(l.pa == pa);
				CHECK(l.end[which].p == o.p && l.end[which].pc == o.pc &&
				      l.end[which].aux == o.aux);
				for (int e = 0; e < 2; e++)
					ends[e] = cim_path_print(a, prov_path(&c, &l.end[e]));
				lines_add(ret, arena_printf(a, "%s - %s", ends[0], ends[1]));
			}
		}
		arena_free(c.arena);
	}
}

static void check_assoc(struct box *b, const struct prov_assoc *pa)
{
	struct prov_ctx c = {.mod = &b->mod, .view = b->state, .host = "box.example"};
	struct lines all = {0}, forth = {0}, back = {0}, listed = {0}, got = {0};
	struct prov_iter it = {0};
	struct prov_link l = {0};

	c.arena = arena_new(1 << 20);
	while (pa->next(&c, &it, &l)) {
		const char *ends[2];

		CHECK(l.pa == pa);
		for (int e = 0; e < 2; e++)
			ends[e] = cim_path_print(c.arena, prov_path(&c, &l.end[e]));
		lines_add(&all, arena_printf(c.arena, "%s - %s", ends[0], ends[1]));
	}
	arena_free(c.arena);
	walk_from_all(b, pa, 0, &forth);
	walk_from_all(b, pa, 1, &back);
	check_same(pa->cls->name, &all, &forth);
	check_same(pa->cls->name, &all, &back);
	/* and each is found by its path */
	list(b, CIM_OP_ENUMERATE_INSTANCES, pa->ns->name, pa->cls->name, NULL, NULL, &listed, &got);
	CHECK_INT(listed.n, all.n);
	for (size_t i = 0; i < listed.n; i++) {
		AUTO(ask) k = ask_new(b->broker, CIM_OP_GET_INSTANCE, pa->ns->name);
		const char *text;

		ask_path(k, local(listed.v[i]));
		if (ask_go(k) != CIM_OK) {
			CHECK_STR(k->ans->text, "");
			continue;
		}
		text = ask_text(k);
		((char *)(uintptr_t)text)[strcspn(text, "\n")] = '\0';
		CHECK_STR(text, got.v[i]);
	}
	lines_done(&all);
	lines_done(&forth);
	lines_done(&back);
	lines_done(&listed);
	lines_done(&got);
}

static void seen_session(struct box *b, uint64_t id, const char *initiator, const char *isid,
			 const char *local_end)
{
	struct san_connection conn[2] = {
		{.cid = 0, .peer = "192.0.2.99:40000", .digests_known = true,
		 .header_digest = true, .max_send = 65536,
		 .max_recv = 262144},
		{.cid = 7, .peer = "192.0.2.99:40001", .max_send = 65536, .max_recv = 262144},
	};
	struct san_seen_session s = {
		.id = id, .iqn = BOX_NODE, .tpgt = 1, .tsih = 3, .initiator = initiator,
		.initiator_alias = "", .isid = isid, .auth = "None", .since_us = b->now_us,
		.MaxConnections = 2, .MaxOutstandingR2T = 1, .MaxBurstLength = 262144,
		.FirstBurstLength = 65536, .InitialR2T = true, .ImmediateData = true,
		.DataPDUInOrder = true, .DataSequenceInOrder = true, .connections = conn,
		.n_connections = 2};
	struct san_changes ch = {0};

	(void)snprintf(conn[0].local, sizeof(conn[0].local), "%s", local_end);
	(void)snprintf(conn[1].local, sizeof(conn[1].local), "%s", "[2001:db8::1]:3260");
	san_session_seen(b->state, &s, &ch);
	box_apply(b, &ch);
}

/* All kinds of objects, several of each. */
static void fill_box(struct box *b)
{
	static const struct san_seen_foreign theirs[] = {
		{SAN_FOREIGN_TARGET, true, "iqn.2001-01.theirs:x",
		 "192.0.2.1:3260,1\n[2001:db8::1]:3260,2", "iblock_0/a"},
		{SAN_FOREIGN_STORE, false, "iblock_0/a", "/dev/x", ""},
	};
	struct san_changes ch = {0};
	struct san_seen_session discovery = {.id = 99, .discovery = true, .iqn = "",
					     .initiator = "iqn.2026-11.example:i:disc",
					     .isid = "00023D000009", .auth = "None"};
	const char *naa;

	box_furnish(b);
	CHECK_INT(box_call(b, box_service("iSCSI"), "CreateiSCSINode", "Alias", "beta", NULL), 0);
	CHECK_INT(box_call(b, box_service("iSCSI"), "CreateiSCSIProtocolEndpoint", "&iSCSINode",
			   box_node("iqn.2026-11.example:box:beta"), "Role", "3", "*NetworkPortals",
			   box_portal("192.0.2.1:3260"), NULL),
		  0);
	for (int i = 0; i < 2; i++)
		CHECK_INT(box_call(b, box_service("Storage"),
				   "CreateOrModifyElementFromStoragePool", "ElementType", "2",
				   "Size", "1048576", NULL),
			  0);
	naa = san_unit_by_naa(b->state, box_get(b, box_out("TheElement"), "DeviceID"))->naa;
	CHECK_INT(box_call(b, box_service("Controller"), "AttachDevice", "&ProtocolController",
			   box_node(BOX_NODE), "&Device", box_volume(naa), NULL),
		  0);
	seen_session(b, 11, "iqn.2026-11.example:i:one", "00023D000001", "192.0.2.1:3260");
	seen_session(b, 12, "iqn.2026-11.example:i:one", "00023D000001", "203.0.113.1:3260");
	seen_session(b, 13, "iqn.2026-11.example:i:two", "00023D000001", "192.0.2.1:3260");
	san_session_seen(b->state, &discovery, &ch);
	box_apply(b, &ch);
	san_foreign_seen(b->state, theirs, ARRAY_SIZE(theirs), &ch);
	box_apply(b, &ch);
}

TEST(what_others_have_made_is_shown_and_hangs_on_nothing)
{
	AUTO(box) b = box_new();
	const char *path = "MSISCSITARGET_ForeignElement.InstanceID="
			   "\"smiscsi:foreign:iqn.2001-01.theirs:x\"";

	fill_box(b);
	CHECK_INT(box_count(b, VENDOR, "MSISCSITARGET_ForeignElement"), 2);
	CHECK_STR(box_get(b, path, "Name"), "iqn.2001-01.theirs:x");
	CHECK_STR(box_get(b, path, "Serves"), "1");
	/* Nobody takes it for something to be configured. */
	CHECK_INT(box_count(b, VENDOR, "CIM_SCSIProtocolController"), 2);
	CHECK_INT(box_count(b, VENDOR, "CIM_LogicalElement"),
		  box_count(b, VENDOR, "CIM_ManagedSystemElement") - 2 -
			  box_count(b, VENDOR, "CIM_PhysicalElement"));
}

TEST(an_enumerated_instance_equals_GetInstance_of_its_path)
{
	AUTO(box) b = box_new();

	for (int full = 0; full < 2; full++) {
		for (size_t i = 0; i < b->mod.n_classes; i++)
			check_class(b, &b->mod.classes[i]);
		if (!full)
			fill_box(b);
	}
}

TEST(a_session_that_is_only_counted_says_no_more_than_that)
{
	AUTO(box) b = box_new();
	const char *path = "MSISCSITARGET_iSCSISession.InstanceID=\"smiscsi:session:14\"";

	fill_box(b);
	seen_session(b, 14, "iqn.2026-11.example:i:two", "", "192.0.2.1:3260");
	CHECK_STR(box_get(b, path, "EndPointName"), "iqn.2026-11.example:i:two,i,unknown");
	CHECK_STR(box_get(b, path, "TSIH"), "NULL");
	CHECK_STR(box_get(b, path, "MaxDataBurstLength"), "NULL");
	CHECK_STR(box_get(b, path, "ImmediateData"), "NULL");
	/* What one instance does not have is not what the one before had. */
	for (size_t i = 0; i < b->mod.n_classes; i++)
		check_class(b, &b->mod.classes[i]);
}

TEST(every_class_has_instances_in_a_full_box)
{
	AUTO(box) b = box_new();

	fill_box(b);
	for (size_t i = 0; i < b->mod.n_classes; i++) {
		const struct prov_class *pc = &b->mod.classes[i];

		if (!box_count(b, pc->ns->name, pc->cls->name))
			CHECK_STR(pc->cls->name, "listed");
	}
	for (size_t i = 0; i < b->mod.n_assocs; i++) {
		const struct prov_assoc *pa = &b->mod.assocs[i];

		if (!box_count(b, pa->ns->name, pa->cls->name))
			CHECK_STR(pa->cls->name, "listed");
	}
}

TEST(an_association_is_the_same_listed_and_walked_from_either_end)
{
	AUTO(box) b = box_new();

	for (int full = 0; full < 2; full++) {
		for (size_t i = 0; i < b->mod.n_assocs; i++)
			check_assoc(b, &b->mod.assocs[i]);
		if (!full)
			fill_box(b);
	}
}

TEST(SystemName_is_the_same_string_everywhere)
{
	AUTO(box) b = box_new();
	struct prov_ctx c = {.mod = &b->mod, .view = b->state};

	fill_box(b);
	c.view = b->state;
	c.arena = arena_new(8 << 20);
	for (size_t i = 0; i < b->mod.n_classes; i++) {
		const struct prov_class *pc = &b->mod.classes[i];
		int at = cim_prop_find(pc->cls, "SystemName", 10);
		struct prov_iter it = {0};
		struct cim_value v[16];
		struct prov_obj o;

		while (at >= 0 && pc->next(&c, &it, &o)) {
			struct cim_instance *in = cim_instance_new(c.arena, pc->cls);

			pc->keys(&c, &o, v);
			for (unsigned k = 0; k < pc->cls->n_keys; k++)
				in->v[pc->cls->keys[k]] = v[k];
			pc->fill(&c, &o, in);
			CHECK_STR(in->v[at].s, UUID);
		}
	}
	arena_free(c.arena);
}

TEST(every_value_has_the_type_and_the_length_that_its_property_declares)
{
	AUTO(box) b = box_new();
	struct prov_ctx c = {.mod = &b->mod};

	fill_box(b);
	c.view = b->state;
	c.arena = arena_new(8 << 20);
	for (size_t i = 0; i < b->mod.n_classes; i++) {
		const struct prov_class *pc = &b->mod.classes[i];
		struct prov_iter it = {0};
		struct prov_obj o;

		while (pc->next(&c, &it, &o)) {
			struct cim_instance *in = cim_instance_new(c.arena, pc->cls);
			struct cim_value v[16];

			pc->fill(&c, &o, in);
			pc->keys(&c, &o, v);
			for (unsigned k = 0; k < pc->cls->n_keys; k++) {
				CHECK_INT(v[k].kind, CIM_V_SCALAR);
				in->v[pc->cls->keys[k]] = v[k];
			}
			for (unsigned p = 0; p < pc->cls->n_props; p++) {
				const struct cim_prop *d = pc->cls->props[p];
				const struct cim_value *x = &in->v[p];
				bool array = d->flags & CIM_F_ARRAY;

				if (x->type != d->type ||
				    (x->kind != CIM_V_NULL && (x->kind == CIM_V_ARRAY) != array) ||
				    (x->kind == CIM_V_SCALAR &&
				     (d->type == CIM_STRING || d->type == CIM_DATETIME) &&
				     strlen(x->s) != x->n)) {
					printf("# %s\n", pc->cls->name);
					CHECK_STR(d->name, "of its declared type and length");
				}
				if (d->max_len && x->kind == CIM_V_SCALAR)
					CHECK(x->n <= d->max_len);
			}
		}
	}
	arena_free(c.arena);
}

/* ---- the walk that libstoragemgmt does ---- */

TEST(the_iscsi_walk_gives_ports_portals_addresses_and_macs)
{
	AUTO(box) b = box_new();

	box_furnish(b);
	CHECK_STR(box_names(b, "MSFTSM_ComputerSystem.CreationClassName=\"MSFTSM_ComputerSystem\","
			       "Name=\"" UUID "\"",
			    "CIM_HostedAccessPoint", "CIM_iSCSIProtocolEndpoint"),
		  PORT " ");
	CHECK_STR(box_get(b, box_port(PORT), "Role"), "3");
	CHECK_STR(box_get(b, box_port(PORT), "Identifier"), "000000000001");
	CHECK_STR(box_get(b, box_port(PORT), "ConnectionType"), "7");
	CHECK_STR(box_get(b, box_port(PORT), "ProtocolIFType"), "1");
	CHECK_STR(box_get(b, box_port(PORT), "OtherTypeDescription"), "iSCSI");
	CHECK_STR(box_names(b, box_port(PORT), "CIM_BindsTo", "CIM_TCPProtocolEndpoint"),
		  "192.0.2.1:3260 [2001:db8::1]:3260 ");
	CHECK_STR(box_get(b, box_portal("[2001:db8::1]:3260"), "PortNumber"), "3260");
	CHECK_STR(box_names(b, box_portal("[2001:db8::1]:3260"), "CIM_BindsTo",
			    "CIM_IPProtocolEndpoint"),
		  "2001:db8::1 ");
	CHECK_STR(box_get(b, box_ip("2001:db8::1"), "IPv6Address"), "2001:db8::1");
	CHECK_STR(box_get(b, box_ip("2001:db8::1"), "IPv4Address"), "NULL");
	CHECK_STR(box_get(b, box_ip("2001:db8::1"), "SubnetMask"), "NULL");
	CHECK_STR(box_get(b, box_ip("2001:db8::1"), "ProtocolIFType"), "4097");
	CHECK_STR(box_get(b, box_ip("2001:db8::1"), "IPv6AddressType"), "6");
	CHECK_STR(box_get(b, box_ip("fe80::1%eth0"), "IPv6AddressType"), "5");
	CHECK_STR(box_get(b, box_ip("fe80::1%eth0"), "IPv6Address"), "fe80::1");
	CHECK_STR(box_get(b, box_ip("192.0.2.1"), "IPv4Address"), "192.0.2.1");
	CHECK_STR(box_get(b, box_ip("192.0.2.1"), "SubnetMask"), "255.255.255.0");
	CHECK_STR(box_names(b, box_ip("2001:db8::1"), "CIM_DeviceSAPImplementation",
			    "CIM_EthernetPort"),
		  "eth0 ");
	CHECK_STR(box_get(b, "MSFTSMNET_EthernetPort.SystemCreationClassName="
			     "\"MSFTSM_ComputerSystem\",SystemName=\"" UUID "\",CreationClassName="
			     "\"MSFTSMNET_EthernetPort\",DeviceID=\"eth0\"",
			  "PermanentAddress"),
		  "0200000000AA");
	CHECK_STR(box_names(b, box_port(PORT), "CIM_SAPAvailableForElement",
			    "CIM_SCSIProtocolController"),
		  BOX_NODE " ");
	CHECK_STR(box_get(b, box_node(BOX_NODE), "NameFormat"), "3");
	CHECK_STR(box_get(b, box_node(BOX_NODE), "Name"), BOX_NODE);
	CHECK_STR(box_get(b, box_node(BOX_NODE), "ElementName"), "alpha");
}

/* ---- what is measured ---- */

static void check_status(struct box *b, const char *path, const char *operational,
			 const char *health, const char *enabled)
{
	CHECK_STR(box_get(b, path, "OperationalStatus"), operational);
	CHECK_STR(box_get(b, path, "HealthState"), health);
	CHECK_STR(box_get(b, path, "EnabledState"), enabled);
}

TEST(status_tells_what_is_wrong)
{
	AUTO(box) b = box_new();
	struct san_changes ch = {0};
	struct san_env env = {.now_us = 1};
	const char *nic1 = "MSFTSMNET_EthernetPort.SystemCreationClassName="
			   "\"MSFTSM_ComputerSystem\",SystemName=\"" UUID "\",CreationClassName="
			   "\"MSFTSMNET_EthernetPort\",DeviceID=\"eth1\"";

	box_furnish(b);
	check_status(b, box_portal("192.0.2.1:3260"), "{2}", "5", "2");
	check_status(b, box_port(PORT), "{2}", "5", "2");
	check_status(b, nic1, "{6}", "20", "6");
	check_status(b, box_ip("198.51.100.7"), "{16}", "20", "6");
	check_status(b, box_portal("198.51.100.7:3260"), "{16}", "20", "6");

	san_portal_seen(b->state, "192.0.2.1", 3260, SAN_LISTEN_IN_USE, "iscsid has it", &ch);
	box_apply(b, &ch);
	check_status(b, box_portal("192.0.2.1:3260"), "{6}", "20", "6");
	CHECK_STR(box_get(b, box_portal("192.0.2.1:3260"), "StatusDescriptions"),
		  "{iscsid has it}");
	check_status(b, box_port(PORT), "{3}", "10", "2");

	CHECK_INT(box_call(b, box_portal("[2001:db8::1]:3260"), "RequestStateChange",
			   "RequestedState", "3", NULL),
		  0);
	check_status(b, box_portal("[2001:db8::1]:3260"), "{10}", "5", "3");
	CHECK_STR(box_get(b, box_portal("[2001:db8::1]:3260"), "RequestedState"), "3");
	check_status(b, box_port(PORT), "{6,16}", "20", "6");

	san_engine_seen(b->state, &env, "fake", SAN_ENGINE_GONE, "no answer", &ch);
	box_apply(b, &ch);
	check_status(b, box_portal("192.0.2.1:3260"), "{12}", "25", "6");
	check_status(b, "MSFTSM_ComputerSystem.CreationClassName=\"MSFTSM_ComputerSystem\",Name=\""
			UUID "\"",
		     "{3,16}", "20", "2");
}

/* ---- sessions ---- */

TEST(an_initiator_with_two_sessions_shows_once_with_role_2)
{
	AUTO(box) b = box_new();
	const char *initiator = "iqn.2026-11.example:i:one,i,0x00023D000001";

	fill_box(b);
	CHECK_INT(box_count(b, VENDOR, "MSISCSITARGET_iSCSISession"), 3);
	CHECK_INT(box_count(b, VENDOR, "MSISCSITARGET_iSCSIConnection"), 6);
	CHECK_INT(box_count(b, VENDOR, "MSISCSITARGET_iSCSIProtocolEndpoint"), 4);
	CHECK_STR(box_get(b, box_port(initiator), "Role"), "2");
	CHECK_STR(box_get(b, box_port(initiator), "Identifier"), "00023D000001");
	CHECK_STR(box_names(b, box_port(initiator), NULL, NULL),
		  "smiscsi:session:11 smiscsi:session:12 ");
	CHECK_STR(box_names(b, "MSISCSITARGET_iSCSISession.InstanceID=\"smiscsi:session:11\"",
			    "CIM_EndpointOfNetworkPipe", NULL),
		  PORT " iqn.2026-11.example:i:one,i,0x00023D000001 ");
	CHECK_STR(box_names(b, "MSISCSITARGET_iSCSISession.InstanceID=\"smiscsi:session:11\"",
			    "CIM_NetworkPipeComposition", NULL),
		  "smiscsi:connection:11:0 smiscsi:connection:11:7 ");
	CHECK_STR(box_names(b, "MSISCSITARGET_iSCSIConnection.InstanceID="
			       "\"smiscsi:connection:13:0\"",
			    "CIM_EndpointOfNetworkPipe", NULL),
		  "192.0.2.1:3260 ");
	/* not hosted here, and not ours to switch */
	CHECK_STR(box_names(b, box_port(initiator), "CIM_HostedAccessPoint", NULL), "");
	CHECK_INT(box_call(b, box_port(initiator), "RequestStateChange", "RequestedState", "3",
			   NULL),
		  1);
}

TEST(a_portal_leads_to_the_connections_that_came_through_it)
{
	AUTO(box) b = box_new();

	fill_box(b);
	CHECK_STR(box_names(b, box_portal("192.0.2.1:3260"), "CIM_EndpointOfNetworkPipe", NULL),
		  "smiscsi:connection:11:0 smiscsi:connection:13:0 ");
	CHECK_STR(box_names(b, box_portal("[2001:db8::1]:3260"), "CIM_EndpointOfNetworkPipe", NULL),
		  "smiscsi:connection:11:7 smiscsi:connection:12:7 smiscsi:connection:13:7 ");
}

/* ---- statistics ---- */

TEST(counts_are_the_targets_and_NULL_while_it_does_not_tell)
{
	AUTO(box) b = box_new();
	auto_free char *logins = NULL, *failures = NULL;
	const char *session = "MSISCSITARGET_iSCSISessionStatistics.InstanceID="
			      "\"smiscsi:session-statistics:11\"";
	uint64_t id;

	fill_box(b);
	id = san_node_by_iqn(b->state, BOX_NODE)->obj.id;
	logins = xasprintf("MSISCSITARGET_iSCSILoginStatistics.InstanceID="
			   "\"smiscsi:login-statistics:%" PRIu64 "\"",
			   id);
	failures = xasprintf("MSISCSITARGET_iSCSISessionFailures.InstanceID="
			     "\"smiscsi:session-failures:%" PRIu64 "\"",
			     id);
	CHECK_STR(box_get(b, logins, "SuccessfulLogins"), "NULL");
	CHECK_STR(box_get(b, logins, "LastLoginFailureType"), "NULL");
	CHECK_STR(box_get(b, failures, "SessionFailures"), "NULL");
	CHECK_STR(box_get(b, session, "BytesTransmitted"), "NULL");
	b->counts = true;
	CHECK_STR(box_get(b, logins, "SuccessfulLogins"), "1");
	CHECK_STR(box_get(b, logins, "LoginFailures"), "14");
	CHECK_STR(box_get(b, logins, "LoginRedirects"), "6");
	CHECK_STR(box_get(b, logins, "LastLoginFailureType"), "4");
	CHECK_STR(box_get(b, logins, "LastLoginFailureRemoteNodeName"),
		  "iqn.2026-11.example:i:evil");
	CHECK_STR(box_get(b, logins, "LastLoginFailureRemoteAddress"), "3221226184");
	CHECK_STR(box_get(b, failures, "SessionFailures"), "9");
	CHECK_STR(box_get(b, session, "BytesTransmitted"), "4096");
	CHECK_STR(box_get(b, session, "BytesReceived"), "512");
	/* of another session it does not tell */
	CHECK_STR(box_get(b, "MSISCSITARGET_iSCSISessionStatistics.InstanceID="
			     "\"smiscsi:session-statistics:12\"",
			  "BytesReceived"),
		  "NULL");
	CHECK_STR(box_names(b, session, "CIM_ElementStatisticalData", NULL), "smiscsi:session:11 ");
	CHECK_STR(box_names(b, logins, "CIM_ElementStatisticalData", NULL), BOX_NODE " ");
}

/* ---- interop ---- */

TEST(interop_has_one_object_manager_on_one_system_with_all_namespaces)
{
	AUTO(box) b = box_new();
	const char *manager = "MSFTSM_ObjectManager.SystemCreationClassName=\"MSFTSM_System\","
			      "SystemName=\"" UUID "\",CreationClassName=\"MSFTSM_ObjectManager\","
			      "Name=\"" UUID "\"";
	const char *url = "MSFTSM_CIMXMLCommunicationMechanism.SystemCreationClassName="
			  "\"MSFTSM_System\",SystemName=\"" UUID "\",CreationClassName="
			  "\"MSFTSM_CIMXMLCommunicationMechanism\",Name=\"http://127.0.0.1:5988\"";

	CHECK_INT(box_count(b, "interop", "CIM_ObjectManager"), 1);
	CHECK_STR(box_get(b, manager, "ElementName"), "smiscsi");
	CHECK_STR(box_names(b, manager, "CIM_HostedService", "CIM_System"), UUID " ");
	CHECK_STR(box_get(b, "MSFTSM_System.Name=\"" UUID "\",CreationClassName=\"MSFTSM_System\"",
			  "NameFormat"),
		  "Other");
	CHECK_STR(box_names(b, manager, "CIM_NamespaceInManager", NULL), VENDOR " interop ");
	CHECK_INT(box_count(b, "interop", "CIM_Namespace"), 2);
	CHECK_STR(box_names(b, manager, "CIM_CommMechanismForManager", NULL),
		  "http://127.0.0.1:5988 https://box.example:5989 ");
	CHECK_STR(box_get(b, url, "CommunicationMechanism"), "2");
	CHECK_STR(box_get(b, url, "AuthenticationMechanismsSupported"), "{3}");
	CHECK_STR(box_get(b, "MSFTSM_SoftwareIdentity.InstanceID=\"smiscsi:software:smiscsid\"",
			  "RevisionNumber"),
		  "333");
}

/* "7" of a property as the target's table has it. */
static void check_offer(struct box *b, const char *path, const char *prop, uint32_t want)
{
	auto_free char *text = xasprintf("%u", want);

	CHECK_STR(box_get(b, path, prop), text);
}

TEST(settings_say_what_the_target_offers_before_a_login)
{
	const char *s = "MSISCSITARGET_iSCSISessionSettings.InstanceID=\"smiscsi:iscsi-session-"
			"settings:1\"";
	const char *c = "MSISCSITARGET_iSCSIConnectionSettings.InstanceID=\"smiscsi:iscsi-"
			"connection-settings:1\"";
	AUTO(box) b = box_new();
	struct iscsi_keys k;

	iscsi_keys_wish(&k);
	check_offer(b, s, "MaxConnectionsPerSession", k.max_connections);
	check_offer(b, s, "MaxOutstandingR2T", k.max_r2t);
	check_offer(b, s, "MaxUnsolicitedFirstDataBurstLength", k.first_burst);
	check_offer(b, s, "MaxDataBurstLength", k.max_burst);
	check_offer(b, s, "DefaultTimeToWaitPreference", k.time2wait);
	check_offer(b, s, "DefaultTimeToRetainPreference", k.time2retain);
	check_offer(b, s, "ErrorRecoveryLevelPreference", k.erl);
	check_offer(b, s, "InitialR2TPreference", k.initial_r2t);
	check_offer(b, s, "ImmediateDataPreference", k.immediate_data);
	check_offer(b, s, "DataPDUInOrderPreference", k.pdu_in_order);
	check_offer(b, s, "DataSequenceInOrderPreference", k.sequence_in_order);
	check_offer(b, c, "MaxReceiveDataSegmentLength", MAX_RECV);
}

TEST(profiles_lead_across_namespaces_to_the_host_without_cycles)
{
	AUTO(box) b = box_new();
	AUTO(ask) k = ask_new(b->broker, CIM_OP_ASSOCIATOR_NAMES, "interop");
	const char *text;
	const char *host = "MSFTSM_ComputerSystem.CreationClassName=\"MSFTSM_ComputerSystem\","
			   "Name=\"" UUID "\"";

	ask_path(k, "MSFTSM_RegisteredProfile.InstanceID=\"SNIA:Array:1.6.1\"");
	k->rq.result_class = "CIM_ComputerSystem";
	CHECK_INT(ask_go(k), CIM_OK);
	text = ask_text(k);
	CHECK(strstr(text, VENDOR ":MSFTSM_ComputerSystem") != NULL);
	CHECK_STR(box_names(b, host, "CIM_ElementConformsToProfile", NULL), "SNIA:Array:1.6.1 ");
	CHECK_STR(box_names(b, "MSFTSM_RegisteredProfile.InstanceID=\"SNIA:SMI-S:1.6.1\"",
			    "CIM_ElementConformsToProfile", NULL),
		  "SNIA:Server:1.6.1 SNIA:Array:1.6.1 ");
	CHECK_STR(box_names(b, "MSFTSM_RegisteredProfile.InstanceID=\"SNIA:Array:1.6.1\"",
			    "CIM_ReferencedProfile", NULL),
		  "SNIA:Block Services:1.6.1 SNIA:iSCSI Target Ports:1.6.1 "
		  "SNIA:Profile Registration:1.6.1 ");
	CHECK_STR(box_names(b, "MSFTSM_RegisteredProfile.InstanceID=\"SNIA:Profile Registration:"
			       "1.6.1\"",
			    "MSFTSM_ReferencedProfile", NULL),
		  "SNIA:Server:1.6.1 SNIA:Array:1.6.1 ");
	CHECK_STR(box_names(b, "MSFTSM_RegisteredProfile.InstanceID=\"SNIA:SMI-S:1.6.1\"",
			    "CIM_ReferencedProfile", NULL),
		  "");
	CHECK_STR(box_get(b, "MSFTSM_RegisteredSubProfile.InstanceID=\"SNIA:iSCSI Target Ports:"
			     "1.6.1\"",
			  "RegisteredOrganization"),
		  "11");
}

TEST(a_link_across_namespaces_shows_once_on_each_side)
{
	AUTO(box) b = box_new();
	AUTO(ask) here = ask_new(b->broker, CIM_OP_REFERENCE_NAMES, "interop");
	AUTO(ask) there = ask_new(b->broker, CIM_OP_REFERENCE_NAMES, VENDOR);

	ask_path(here, "MSFTSM_RegisteredProfile.InstanceID=\"SNIA:Array:1.6.1\"");
	here->rq.result_class = "CIM_ElementConformsToProfile";
	here->rq.role = "ConformantStandard";
	CHECK_INT(ask_go(here), CIM_OK);
	CHECK_INT(ask_count(here), 1);
	ask_path(there, "MSFTSM_ComputerSystem.CreationClassName=\"MSFTSM_ComputerSystem\","
			"Name=\"" UUID "\"");
	there->rq.result_class = "CIM_ElementConformsToProfile";
	CHECK_INT(ask_go(there), CIM_OK);
	CHECK_INT(ask_count(there), 1);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* smiscsi show: the tree of what there is, put together from whole-class enumerations. */
#include <stdio.h>

#include "base/str.h"
#include "smiscsi/cli.h"

struct view {
	struct session_list nodes, ports, portals, volumes, of_node, binds, luns;
};

static int read_view(struct cli *c, struct view *v, struct err *e)
{
	const struct {
		const char *class_name;
		struct session_list *to;
	} q[] = {
		{"MSISCSITARGET_SCSIProtocolController", &v->nodes},
		{"MSISCSITARGET_iSCSIProtocolEndpoint", &v->ports},
		{"MSISCSITARGET_TCPProtocolEndpoint", &v->portals},
		{"MSISCSITARGET_StorageVolume", &v->volumes},
		{"MSISCSITARGET_SAPAvailableForElement", &v->of_node},
		{"MSISCSITARGET_BindsTo", &v->binds},
		{"MSISCSITARGET_ProtocolControllerForUnit", &v->luns},
	};

	for (size_t i = 0; i < ARRAY_SIZE(q); i++) {
		int r = session_list(c->session, NS_TARGET, q[i].class_name, q[i].to, e);

		if (r < 0)
			return r;
	}
	return 0;
}

static const struct cim_raw_instance *find(const struct session_list *l, const char *p,
					   const char *value)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(prop_text(l->v[i], p), value))
			return l->v[i];
	return NULL;
}

/* "enabled, OK" for people; the same facts as JSON members. */
static json_t *states(const struct cim_raw_instance *i, json_t *j)
{
	uint64_t on = prop_number(i, "EnabledState");

	(void)json_object_set_new(j, "enabled", json_boolean(on == 2 || on == 5 || on == 0));
	(void)json_object_set_new(j, "status",
				  json_string(cli_status(prop_first(i, "OperationalStatus"))));
	return j;
}

static json_t *portal_json(const struct view *v, const char *name)
{
	const struct cim_raw_instance *p = find(&v->portals, "Name", name);
	json_t *j = json_object();

	(void)json_object_set_new(j, "portal", json_string(name));
	return p ? states(p, j) : j;
}

static json_t *port_json(const struct view *v, const struct cim_raw_instance *port)
{
	json_t *j = json_object(), *portals = json_array();
	const char *name = prop_text(port, "Name"), *tag = prop_text(port, "Identifier");
	uint64_t tpgt = 0;

	if (!str_hex64(tag, strlen(tag), &tpgt))
		tpgt = 0;
	(void)json_object_set_new(j, "port", json_string(name));
	(void)json_object_set_new(j, "tag", json_integer((json_int_t)tpgt));
	(void)states(port, j);
	for (size_t i = 0; i < v->binds.n; i++)
		if (streq(ref_key(v->binds.v[i], "Dependent", "Name"), name))
			(void)json_array_append_new(
				portals,
				portal_json(v, ref_key(v->binds.v[i], "Antecedent", "Name")));
	(void)json_object_set_new(j, "portals", portals);
	return j;
}

static json_t *lun_json(const struct view *v, const struct cim_raw_instance *l)
{
	const char *naa = ref_key(l, "Dependent", "DeviceID"), *n = prop_text(l, "DeviceNumber");
	const struct cim_raw_instance *vol = find(&v->volumes, "DeviceID", naa);
	json_t *j = json_object();
	uint64_t lun = 0;

	if (!str_hex64(n, strlen(n), &lun))
		lun = 0;
	(void)json_object_set_new(j, "lun", json_integer((json_int_t)lun));
	(void)json_object_set_new(j, "naa", json_string(naa));
	if (!vol)
		return j;
	(void)json_object_set_new(j, "volume", json_string(prop_text(vol, "ElementName")));
	(void)json_object_set_new(j, "bytes",
				  json_integer((json_int_t)(prop_number(vol, "BlockSize") *
							    prop_number(vol, "NumberOfBlocks"))));
	return states(vol, j);
}

static json_t *node_json(const struct view *v, const struct cim_raw_instance *node)
{
	json_t *j = json_object(), *ports = json_array(), *luns = json_array();
	const char *iqn = prop_text(node, "Name");

	(void)json_object_set_new(j, "node", json_string(iqn));
	(void)json_object_set_new(j, "alias", json_string(prop_text(node, "ElementName")));
	(void)states(node, j);
	for (size_t i = 0; i < v->of_node.n; i++) {
		const struct cim_raw_instance *port;

		if (!streq(ref_key(v->of_node.v[i], "ManagedElement", "DeviceID"), iqn))
			continue;
		port = find(&v->ports, "Name", ref_key(v->of_node.v[i], "AvailableSAP", "Name"));
		if (port && prop_number(port, "Role") == 3)
			(void)json_array_append_new(ports, port_json(v, port));
	}
	for (size_t i = 0; i < v->luns.n; i++)
		if (streq(ref_key(v->luns.v[i], "Antecedent", "DeviceID"), iqn))
			(void)json_array_append_new(luns, lun_json(v, v->luns.v[i]));
	(void)json_object_set_new(j, "ports", ports);
	(void)json_object_set_new(j, "luns", luns);
	return j;
}

/* ---- for people ---- */

static const char *text(const json_t *j, const char *k)
{
	const char *s = json_string_value(json_object_get(j, k));

	return s ? s : "";
}

static const char *state_text(const json_t *j)
{
	return json_is_false(json_object_get(j, "enabled")) ? "disabled" : text(j, "status");
}

static void print_port(const json_t *port, bool last)
{
	const json_t *p;
	size_t i;

	printf("%s port %lld  [%s]\n", last ? "└─" : "├─",
	       (long long)json_integer_value(json_object_get(port, "tag")), state_text(port));
	json_array_foreach(json_object_get(port, "portals"), i, p)
		printf("%s  %s portal %s  [%s]\n", last ? " " : "│",
		       i + 1 < json_array_size(json_object_get(port, "portals")) ? "├─" : "└─",
		       text(p, "portal"), state_text(p));
}

static void print_node(const json_t *node)
{
	const json_t *ports = json_object_get(node, "ports"), *luns = json_object_get(node, "luns");
	const json_t *j;
	size_t i;

	printf("%s  \"%s\"  [%s]\n", text(node, "node"), text(node, "alias"), state_text(node));
	json_array_foreach(ports, i, j)
		print_port(j, i + 1 == json_array_size(ports) && json_array_size(luns) == 0);
	json_array_foreach(luns, i, j)
		printf("%s LUN %lld  %s \"%s\" %lld MiB  [%s]\n",
		       i + 1 < json_array_size(luns) ? "├─" : "└─",
		       (long long)json_integer_value(json_object_get(j, "lun")), text(j, "naa"),
		       text(j, "volume"),
		       (long long)json_integer_value(json_object_get(j, "bytes")) >> 20,
		       state_text(j));
}

int cmd_show(struct cli *c)
{
	struct view v = {0};
	struct err e = {0};
	json_t *tree, *node;
	size_t i;

	if (read_view(c, &v, &e) < 0)
		return cli_fail(&e);
	tree = json_array();
	for (i = 0; i < v.nodes.n; i++)
		(void)json_array_append_new(tree, node_json(&v, v.nodes.v[i]));
	if (c->json) {
		cli_print_json(tree);
		return EXIT_DONE;
	}
	json_array_foreach(tree, i, node)
		print_node(node);
	if (i == 0)
		puts("no nodes; make one with: smiscsi node create ALIAS");
	json_decref(tree);
	return EXIT_DONE;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* smiscsi show: the tree of what there is, put together from whole-class enumerations. */
#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "smiscsi/cli.h"

/* The instances of a class in the order of one text of theirs, so that 10,000 nodes are put together in no
 * more than a sort: objects by their name, associations by what they lead from. */
struct sorted {
	size_t n;
	struct entry {
		const char *key;
		size_t at; /* keeps the server's order among equals */
		const struct cim_raw_instance *i;
	} *v;
};

struct view {
	struct session_list nodes;
	struct sorted ports, portals, volumes, of_node, binds, luns;
};

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int r = strcmp(x->key, y->key);

	return r != 0 ? r : (x->at > y->at) - (x->at < y->at);
}

/* What show reads of an object, and of an association. */
static const char *const shown[] = {
	"Name",	      "ElementName",	"DeviceID",  "Identifier",     "Role",
	"EnabledState", "OperationalStatus", "BlockSize", "NumberOfBlocks", NULL};
static const char *const links[] = {"Antecedent",    "Dependent", "ManagedElement",
				    "AvailableSAP", "DeviceNumber", NULL};

/* ref NULL: by property key; otherwise by that key of the path in property ref. */
static int read_sorted(struct cli *c, const char *class_name, const char *ref, const char *key,
		       struct sorted *ret, struct err *e)
{
	struct session_list l;
	int r = session_list_some(c->session, NS_TARGET, class_name, ref ? links : shown, &l, e);

	if (r < 0)
		return r;
	ret->n = l.n;
	ret->v = arena_alloc(session_arena(c->session), (l.n ? l.n : 1) * sizeof(*ret->v));
	if (!ret->v)
		return err_set(e, -ENOMEM, "no memory for %zu instances of %s", l.n, class_name);
	for (size_t i = 0; i < l.n; i++)
		ret->v[i] = (struct entry){
			.key = ref ? ref_key(l.v[i], ref, key) : prop_text(l.v[i], key),
			.at = i,
			.i = l.v[i],
		};
	qsort(ret->v, ret->n, sizeof(*ret->v), compare);
	return 0;
}

static int read_view(struct cli *c, struct view *v, struct err *e)
{
	const struct {
		const char *class_name, *ref, *key;
		struct sorted *to;
	} q[] = {
		{"MSISCSITARGET_iSCSIProtocolEndpoint", NULL, "Name", &v->ports},
		{"MSISCSITARGET_TCPProtocolEndpoint", NULL, "Name", &v->portals},
		{"MSISCSITARGET_StorageVolume", NULL, "DeviceID", &v->volumes},
		{"MSISCSITARGET_SAPAvailableForElement", "ManagedElement", "DeviceID", &v->of_node},
		{"MSISCSITARGET_BindsTo", "Dependent", "Name", &v->binds},
		{"MSISCSITARGET_ProtocolControllerForUnit", "Antecedent", "DeviceID", &v->luns},
	};
	int r = session_list_some(c->session, NS_TARGET, "MSISCSITARGET_SCSIProtocolController",
				  shown, &v->nodes, e);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(q); i++)
		r = read_sorted(c, q[i].class_name, q[i].ref, q[i].key, q[i].to, e);
	return r;
}

/* The first with this key: the others follow it, up to the first that is not has_key. */
static size_t first_of(const struct sorted *s, const char *key)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(s->v[mid].key, key) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool has_key(const struct sorted *s, size_t i, const char *key)
{
	return i < s->n && streq(s->v[i].key, key);
}

static const struct cim_raw_instance *find(const struct sorted *s, const char *key)
{
	size_t i = first_of(s, key);

	return has_key(s, i, key) ? s->v[i].i : NULL;
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
	const struct cim_raw_instance *p = find(&v->portals, name);
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
	for (size_t i = first_of(&v->binds, name); has_key(&v->binds, i, name); i++)
		(void)json_array_append_new(
			portals, portal_json(v, ref_key(v->binds.v[i].i, "Antecedent", "Name")));
	(void)json_object_set_new(j, "portals", portals);
	return j;
}

static json_t *lun_json(const struct view *v, const struct cim_raw_instance *l)
{
	const char *naa = ref_key(l, "Dependent", "DeviceID"), *n = prop_text(l, "DeviceNumber");
	const struct cim_raw_instance *vol = find(&v->volumes, naa);
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
	for (size_t i = first_of(&v->of_node, iqn); has_key(&v->of_node, i, iqn); i++) {
		const struct cim_raw_instance *port =
			find(&v->ports, ref_key(v->of_node.v[i].i, "AvailableSAP", "Name"));

		if (port && prop_number(port, "Role") == 3)
			(void)json_array_append_new(ports, port_json(v, port));
	}
	for (size_t i = first_of(&v->luns, iqn); has_key(&v->luns, i, iqn); i++)
		(void)json_array_append_new(luns, lun_json(v, v->luns.v[i].i));
	(void)json_object_set_new(j, "ports", ports);
	(void)json_object_set_new(j, "luns", luns);
	return j;
}

/* ---- for people ---- */

static const char *text(struct cli *c, const json_t *j, const char *k)
{
	const char *s = json_string_value(json_object_get(j, k));

	return s ? cli_shown(c, s) : "";
}

static const char *state_text(struct cli *c, const json_t *j)
{
	return json_is_false(json_object_get(j, "enabled")) ? "disabled" : text(c, j, "status");
}

static void print_port(struct cli *c, const json_t *port, bool last)
{
	const json_t *p;
	size_t i;

	printf("%s port %lld  [%s]\n", last ? "└─" : "├─",
	       (long long)json_integer_value(json_object_get(port, "tag")), state_text(c, port));
	json_array_foreach(json_object_get(port, "portals"), i, p)
		printf("%s  %s portal %s  [%s]\n", last ? " " : "│",
		       i + 1 < json_array_size(json_object_get(port, "portals")) ? "├─" : "└─",
		       text(c, p, "portal"), state_text(c, p));
}

static void print_node(struct cli *c, const json_t *node)
{
	const json_t *ports = json_object_get(node, "ports"), *luns = json_object_get(node, "luns");
	const json_t *j;
	size_t i;

	printf("%s  \"%s\"  [%s]\n", text(c, node, "node"), text(c, node, "alias"), state_text(c, node));
	json_array_foreach(ports, i, j)
		print_port(c, j, i + 1 == json_array_size(ports) && json_array_size(luns) == 0);
	json_array_foreach(luns, i, j)
		printf("%s LUN %lld  %s \"%s\" %lld MiB  [%s]\n",
		       i + 1 < json_array_size(luns) ? "├─" : "└─",
		       (long long)json_integer_value(json_object_get(j, "lun")), text(c, j, "naa"),
		       text(c, j, "volume"),
		       (long long)json_integer_value(json_object_get(j, "bytes")) >> 20,
		       state_text(c, j));
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
		print_node(c, node);
	if (i == 0)
		puts("no nodes; make one with: smiscsi node create ALIAS");
	json_decref(tree);
	return EXIT_DONE;
}

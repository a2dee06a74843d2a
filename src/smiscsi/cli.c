/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <wchar.h>

#include "base/str.h"
#include "gen/schema.h"
#include "smiscsi/cli.h"

const char *cli_option(const struct cli *c, const char *name)
{
	for (size_t i = 0; i < c->n_options; i++)
		if (streq(c->options[i].name, name))
			return c->options[i].value;
	return NULL;
}

/* ---- text for people ---- */

/* The next character of *text, a control character, what is no UTF-8 and what no terminal shows as U+FFFD
 * with *width 1; 0: the end. */
static wchar_t next_shown(const char **text, int *width)
{
	mbstate_t state = {0};
	wchar_t w;
	size_t n = mbrtowc(&w, *text, strlen(*text) + 1, &state);

	if (n == 0)
		return 0;
	if (n == (size_t)-1 || n == (size_t)-2) {
		n = 1;
		w = 0xFFFD;
	}
	*text += n;
	*width = wcwidth(w);
	if (*width < 0) {
		*width = 1;
		w = 0xFFFD;
	}
	return w;
}

static size_t shown_width(const char *text)
{
	size_t sum = 0;
	int w;

	while (next_shown(&text, &w) != 0)
		sum += (size_t)w;
	return sum;
}

static void put_shown(FILE *to, const char *text)
{
	wchar_t c;
	int w;

	while ((c = next_shown(&text, &w)) != 0)
		(void)fprintf(to, "%lc", (wint_t)c);
}

const char *cli_shown(struct cli *c, const char *text)
{
	struct arena *a = session_arena(c->session);
	/* U+FFFD takes three bytes, what it stands for at least one */
	char *ret = arena_alloc(a, 3 * strlen(text) + 1), *at = ret;
	mbstate_t state = {0};
	wchar_t ch;
	int w;

	if (!ret)
		return "";
	while ((ch = next_shown(&text, &w)) != 0) {
		size_t n = wcrtomb(at, ch, &state);

		at += n == (size_t)-1 ? 0 : n;
	}
	*at = '\0';
	return ret;
}

int cli_fail(const struct err *e)
{
	return cli_failf("%s%s", e->text,
			 e->code == -ECONNREFUSED ? "; is smiscsid running there? (--url URL names another server)"
						  : "");
}

int cli_failf(const char *fmt, ...)
{
	auto_free char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	(void)fputs("smiscsi: ", stderr);
	put_shown(stderr, text ? text : "out of memory");
	(void)fputc('\n', stderr);
	return EXIT_REFUSED;
}

/* What a return code is called: the method's ValueMap and Values in the class table. */
static const char *code_name(const char *class_name, const char *method, uint32_t code)
{
	const struct cim_class *cls =
		cim_schema_find(&smiscsi_schema, class_name, strlen(class_name));
	int i = cls ? cim_method_find(cls, method, strlen(method)) : -1;
	const struct cim_qual *map, *values;
	char text[21];

	if (i < 0)
		return "refused";
	map = cim_qual_find(cls->methods[i]->quals, cls->methods[i]->n_quals, "ValueMap");
	values = cim_qual_find(cls->methods[i]->quals, cls->methods[i]->n_quals, "Values");
	text[str_put_u64(text, code)] = '\0';
	for (uint32_t k = 0; map && values && k < map->value.n && k < values->value.n; k++)
		if (streq(map->value.a[k].s, text))
			return values->value.a[k].s;
	return "refused";
}

int cli_invoke(struct cli *c, const char *ns, const struct cim_path *object, const char *method,
	       const struct cim_named *params, size_t n, struct session_answer *ret)
{
	struct err e = {0};

	if (session_invoke(c->session, ns, object, method, params, n, ret, &e) < 0) {
		err_in(&e, "%s", method);
		return cli_fail(&e);
	}
	if (ret->code == 0)
		return EXIT_DONE;
	return cli_failf("%s: %s (%u)%s%s", method, code_name(object->class_name, method, ret->code),
			 ret->code, *ret->sentence ? ": " : "", ret->sentence);
}

int cli_service(struct cli *c, const char *service, const char *method,
		const struct cim_named *params, size_t n, struct session_answer *ret)
{
	struct session_list l;
	struct err e = {0};

	if (session_list(c->session, NS_TARGET, service, &l, &e) < 0)
		return cli_fail(&e);
	if (l.n != 1)
		return cli_failf("the server shows %zu instances of %s instead of one", l.n, service);
	return cli_invoke(c, NS_TARGET, l.v[0]->path, method, params, n, ret);
}

const struct cim_named *cli_out(const struct session_answer *a, const char *name)
{
	for (size_t i = 0; i < a->n_out; i++)
		if (str_caseeq(a->out[i].name, name))
			return &a->out[i];
	return NULL;
}

/* ---- objects by the names people use ---- */

static bool one_of(const struct cim_raw_instance *i, const char *name, const char *const *props)
{
	for (; *props; props++)
		if (str_caseeq(prop_text(i, *props), name))
			return true;
	return false;
}

static const struct cim_raw_instance *by_name(struct cli *c, const char *class_name,
					      const char *what, const char *name,
					      const char *const *props)
{
	const struct cim_raw_instance *found = NULL;
	struct session_list l;
	struct err e = {0};

	if (session_list_some(c->session, NS_TARGET, class_name, props, &l, &e) < 0) {
		(void)cli_fail(&e);
		return NULL;
	}
	for (size_t i = 0; i < l.n; i++) {
		if (!one_of(l.v[i], name, props))
			continue;
		if (found) {
			(void)cli_failf("there is more than one %s '%s'; use its full name from: smiscsi %s list", what, name, what);
			return NULL;
		}
		found = l.v[i];
	}
	if (!found)
		(void)cli_failf("no %s '%s'; see: smiscsi %s list", what, name, what);
	return found;
}

const struct cim_raw_instance *cli_node(struct cli *c, const char *name)
{
	return by_name(c, "MSISCSITARGET_SCSIProtocolController", "node", name,
		       (const char *const[]){"Name", "ElementName", NULL});
}

const struct cim_raw_instance *cli_port(struct cli *c, const char *name)
{
	const char *comma = strrchr(name, ',');
	const struct cim_raw_instance *node;
	struct arena *a = session_arena(c->session);
	uint64_t tag;

	if (comma && strstr(name, ",t,0x"))
		return by_name(c, "MSISCSITARGET_iSCSIProtocolEndpoint", "port", name,
			       (const char *const[]){"Name", NULL});
	if (!comma || !str_u64(comma + 1, strlen(comma + 1), 65535, &tag)) {
		(void)cli_failf("a port is named NODE,TAG, such as %s,1", name);
		return NULL;
	}
	node = cli_node(c, arena_strndup(a, name, (size_t)(comma - name)));
	if (!node)
		return NULL;
	return by_name(c, "MSISCSITARGET_iSCSIProtocolEndpoint", "port",
		       arena_printf(a, "%s,t,0x%04lx", prop_text(node, "Name"), (unsigned long)tag),
		       (const char *const[]){"Name", NULL});
}

const struct cim_raw_instance *cli_portal(struct cli *c, const char *name)
{
	struct arena *a = session_arena(c->session);
	bool v6 = strchr(name, ':') != strrchr(name, ':');

	if (v6 && name[0] != '[')
		name = arena_printf(a, "[%s]:3260", name);
	else if (v6 ? strstr(name, "]:") == NULL : strchr(name, ':') == NULL)
		name = arena_printf(a, "%s:3260", name);
	return by_name(c, "MSISCSITARGET_TCPProtocolEndpoint", "portal", name,
		       (const char *const[]){"Name", NULL});
}

const struct cim_raw_instance *cli_group(struct cli *c, const char *name)
{
	return by_name(c, "MSISCSITARGET_SystemSpecificCollection", "group", name,
		       (const char *const[]){"ElementName", "InstanceID", NULL});
}

const struct cim_raw_instance *cli_volume(struct cli *c, const char *name)
{
	return by_name(c, "MSISCSITARGET_StorageVolume", "volume", name,
		       (const char *const[]){"Name", "ElementName", NULL});
}

const struct cim_raw_instance *cli_pool(struct cli *c, const char *name)
{
	return by_name(c, "MSISCSITARGET_StoragePool", "pool", name,
		       (const char *const[]){"ElementName", "InstanceID", NULL});
}

/* ---- printing ---- */

/* Values of an answer are text; the sender's type decides what they are in JSON. */
static json_t *json_of(const struct cim_value *v, enum cim_type claimed)
{
	struct cim_value t;
	json_t *j;

	if (v->kind == CIM_V_NULL)
		return json_null();
	if (v->kind == CIM_V_ARRAY) {
		j = json_array();
		for (uint32_t i = 0; i < v->n; i++)
			(void)json_array_append_new(j, json_of(&v->a[i], claimed));
		return j;
	}
	if (v->type == CIM_REF) {
		struct arena *a = arena_new(1 << 16);
		const char *text = cim_path_print(a, v->ref);

		j = json_string(text ? text : "");
		arena_free(a);
		return j;
	}
	if (v->type == CIM_OBJECT)
		return json_null();
	if (claimed <= CIM_SINT64 && cim_value_parse(claimed, v->s, v->n, &t, NULL) == 0) {
		if (claimed == CIM_BOOLEAN)
			return json_boolean(t.u != 0);
		/* JSON integers here are signed 64 bit; what does not fit stays text */
		if (t.u <= INT64_MAX || claimed != CIM_UINT64)
			return json_integer((json_int_t)t.i);
	}
	return json_stringn(v->s, v->n);
}

json_t *cli_json(const struct cim_raw_instance *i)
{
	json_t *j = json_object();

	(void)json_object_set_new(j, "class", json_string(i->class_name));
	for (uint32_t k = 0; k < i->n_props; k++)
		if (!cim_is_null(&i->props[k].v))
			(void)json_object_set_new(
				j, i->props[k].name,
				json_of(&i->props[k].v, i->props[k].has_type
								? (enum cim_type)i->props[k].claimed
								: CIM_STRING));
	return j;
}

void cli_print_json(json_t *j)
{
	char *text = json_dumps(j, JSON_INDENT(2));

	puts(text ? text : "null");
	free(text);
	json_decref(j);
}

static const char *cell(struct cli *c, const struct cim_raw_instance *i,
			const struct cli_column *col)
{
	const char *t = col->text ? col->text(c, i) : prop_text(i, col->prop);

	return *t ? t : "-";
}

static void put_cell(const char *text, size_t width, bool last)
{
	put_shown(stdout, text);
	if (last)
		(void)fputc('\n', stdout);
	else
		printf("%*s", (int)(width - shown_width(text)) + 2, "");
}

void cli_print(struct cli *c, const struct session_list *l, const struct cli_column *cols,
	       size_t n_cols)
{
	size_t width[16] = {0};

	if (c->json) {
		json_t *j = json_array();

		for (size_t i = 0; i < l->n; i++)
			(void)json_array_append_new(j, cli_json(l->v[i]));
		cli_print_json(j);
		return;
	}
	for (size_t k = 0; k < n_cols && k < ARRAY_SIZE(width); k++) {
		width[k] = strlen(cols[k].title);
		for (size_t i = 0; i < l->n; i++) {
			size_t w = shown_width(cell(c, l->v[i], &cols[k]));

			if (w > width[k])
				width[k] = w;
		}
	}
	for (size_t k = 0; k < n_cols; k++)
		put_cell(cols[k].title, width[k], k + 1 == n_cols);
	for (size_t i = 0; i < l->n; i++)
		for (size_t k = 0; k < n_cols; k++)
			put_cell(cell(c, l->v[i], &cols[k]), width[k], k + 1 == n_cols);
}

const char *cli_status(uint64_t s)
{
	/* CIM_ManagedSystemElement.OperationalStatus */
	static const char *const names[] = {
		"unknown",  "other",    "OK",         "degraded",    "stressed",
		"predicted failure",    "error",      "failed",      "starting",
		"stopping", "stopped",  "in service", "no contact",  "lost communication",
		"aborted",  "dormant",  "supporting entity in error", "completed", "power mode",
	};

	return s < ARRAY_SIZE(names) ? names[s] : "unknown";
}

/* ---- parameters ---- */

struct cim_named cli_text(const char *name, const char *value)
{
	return (struct cim_named){
		.name = name, .has_type = true, .claimed = CIM_STRING, .v = cim_str(value)};
}

struct cim_named cli_number(const char *name, enum cim_type t, uint64_t v)
{
	return (struct cim_named){
		.name = name, .has_type = true, .claimed = (uint8_t)t, .v = cim_uint(t, v)};
}

struct cim_named cli_ref(const char *name, const struct cim_path *p)
{
	return (struct cim_named){
		.name = name, .has_type = true, .claimed = CIM_REF, .v = cim_ref(p)};
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * foreign.c - what other tools have made in the kernel's target, to look at
 *
 * A class of its own and no associations: as a SCSIProtocolController with ports it would be offered for
 * configuration by every client, and each rule of the model would have to except it.
 */
#include "gen/iscsi.h"
#include "providers/part.h"

#define FOREIGN(prop) MSISCSITARGET_ForeignElement_P_##prop
#define PREFIX	      "smiscsi:foreign:"

static bool list_foreign(const struct prov_ctx *c, const struct prov_obj *from UNUSED,
			 struct pv_pos *pos, struct prov_obj *ret)
{
	return pv_set(c, PV_FOREIGN, pv_next(c, pos, SAN_FOREIGNS), ret);
}
PV_NEXT(foreign_next, list_foreign)
PV_COUNT(foreign_count, SAN_FOREIGNS)

static void foreign_keys(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret)
{
	const struct san_foreign *f = o->p;

	ret[0] = cim_str(arena_printf(c->arena, PREFIX "%s", f->name->s));
}

static bool foreign_find(const struct prov_ctx *c, const struct cim_value *keys,
			 struct prov_obj *ret)
{
	const size_t n = strlen(PREFIX);
	const char *id = cim_is_null(&keys[0]) ? "" : keys[0].s;

	return strncmp(id, PREFIX, n) == 0 &&
	       pv_set(c, PV_FOREIGN, san_foreign(pv_state(c), id + n), ret);
}

/* Lines to an array; NULL when there is none. */
static struct cim_value lines(const struct prov_ctx *c, const struct san_str *text)
{
	char *copy = arena_strdup(c->arena, text->s);
	struct cim_value *v;
	uint32_t n = 0;

	for (const char *s = text->s; *s; s++)
		n += *s == '\n';
	if (text->len == 0)
		return cim_null(CIM_STRING);
	v = arena_alloc(c->arena, (n + 1) * sizeof(*v));
	if (!v || !copy) /* the request's memory is used up, which its arena remembers */
		return cim_null(CIM_STRING);
	n = 0;
	for (char *line = copy, *end; line; line = end) {
		end = strchr(line, '\n');
		if (end)
			*end++ = '\0';
		v[n++] = cim_str(line);
	}
	return cim_array(CIM_STRING, v, n);
}

static void foreign_fill(const struct prov_ctx *c, const struct prov_obj *o,
			 struct cim_instance *i)
{
	const struct san_foreign *f = o->p;
	bool target = f->kind == SAN_FOREIGN_TARGET;

	i->v[FOREIGN(Name)] = i->v[FOREIGN(ElementName)] = pv_str(f->name);
	i->v[FOREIGN(Description)] =
		target ? PV_TEXT("a target that another tool has made; it can't be changed here")
		       : PV_TEXT("a backing store that another tool has made; it can't be changed here");
	i->v[FOREIGN(ElementKind)] = cim_u16(target ? 2 : 3);
	i->v[FOREIGN(Serves)] = cim_bool(f->serves);
	PV_FARES(i, MSISCSITARGET_ForeignElement, pv_health(f->serves ? SAN_OK : SAN_DISABLED));
	i->v[FOREIGN(NetworkPortals)] = target ? lines(c, f->at) : cim_null(CIM_STRING);
	i->v[FOREIGN(BackingStores)] = target ? lines(c, f->uses) : cim_null(CIM_STRING);
	i->v[FOREIGN(Path)] = !target && f->at->len ? pv_str(f->at) : cim_null(CIM_STRING);
}

static const struct pv_class_row classes[] = {
	{PV_FOREIGN,
	 {.cls = &cim_class_MSISCSITARGET_ForeignElement,
	  .ns = &smiscsi_ns_iscsitarget,
	  .next = foreign_next,
	  .find = foreign_find,
	  .keys = foreign_keys,
	  .fill = foreign_fill,
	  .count = foreign_count}},
};
const struct pv_part pv_foreign = {
	.classes = classes,
	.n_classes = ARRAY_SIZE(classes),
};

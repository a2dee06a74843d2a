/* SPDX-License-Identifier: Apache-2.0 */
#include "said.h"

#include <errno.h>
#include <stdarg.h>

static struct cim_value untyped(struct arena *a, const char *s, size_t n)
{
	struct cim_value v = cim_strn(arena_strndup(a, s, n), n);

	v.type = CIM_UNTYPED;
	return v;
}

enum { PROPS_MAX = 64 };

/* "name=value" and "name[]=a,b" up to a NULL. */
static void props_of(struct arena *a, struct cim_raw_instance *inst, struct cim_named *props,
		     va_list ap)
{
	for (const char *s = va_arg(ap, const char *); s; s = va_arg(ap, const char *)) {
		const char *is = strchr(s, '=');
		bool array = is[-1] == ']';
		struct cim_named *n = &props[inst->n_props++];

		*n = (struct cim_named){.name = arena_strndup(a, s, (size_t)(is - s) - 2 * array),
					.is_array = array};
		if (!array) {
			n->v = untyped(a, is + 1, strlen(is + 1));
			continue;
		}
		struct cim_value *v = arena_alloc(a, 64 * sizeof(*v));
		uint32_t count = 0;

		for (const char *at = is + 1; *at;) {
			size_t len = strcspn(at, ",");

			v[count++] = untyped(a, at, len);
			at += len + (at[len] == ',');
		}
		n->v = cim_array(CIM_UNTYPED, v, count);
	}
}

int say(struct harvest *h, enum src_kind k, const char *path, ...)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_named props[PROPS_MAX];
	struct cim_raw_instance inst = {.class_name = "X", .props = props};
	struct cim_path *p = NULL;
	struct err e = {0};
	va_list ap;

	if (path && cim_path_parse(a, path, strlen(path), &p, &e) < 0)
		return e.code;
	va_start(ap, path);
	props_of(a, &inst, props, ap);
	va_end(ap);
	return harvest_add(h, k, SAID_NS, p, &inst, &e);
}

int say_link(struct harvest *h, enum src_kind k, const char *role_a, const char *a_text,
	     const char *role_b, const char *b_text, ...)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_named props[PROPS_MAX];
	struct cim_raw_instance inst = {.class_name = "X", .props = props, .n_props = 2};
	struct cim_path *pa, *pb;
	struct err e = {0};
	va_list ap;

	if (cim_path_parse(a, a_text, strlen(a_text), &pa, &e) < 0 ||
	    cim_path_parse(a, b_text, strlen(b_text), &pb, &e) < 0)
		return e.code;
	props[0] = (struct cim_named){.name = role_a, .v = cim_ref(pa)};
	props[1] = (struct cim_named){.name = role_b, .v = cim_ref(pb)};
	va_start(ap, b_text);
	props_of(a, &inst, props, ap);
	va_end(ap);
	return harvest_add(h, k, SAID_NS, NULL, &inst, &e);
}

int tie(struct harvest *h, enum src_kind k, const char *role_a, const char *a, const char *role_b,
	const char *b)
{
	return say_link(h, k, role_a, a, role_b, b, NULL);
}

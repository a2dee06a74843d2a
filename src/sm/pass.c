/* SPDX-License-Identifier: Apache-2.0 */
#include "sm/pass.h"

#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "sm/join.h"

enum { NAMESPACES_MAX = 8 };

/* In the order in which they are met in the field. */
static const char *const interop_names[] = {
	"interop",    "root/interop", "root/PG_InterOp", "root/pg_interop", "pg_interop",
	"root/cimv2", "root"};
/* For providers whose profiles point nowhere. */
static const char *const usual_names[] = {"root/cimv2/storage/iscsitarget", "root/cimv2",
					  "root/smis/current"};

struct pass {
	const struct talk_ops *ops;
	void *conn;
	struct harvest *h;
	struct pass_result *res;
	const char *ns;
	enum src_kind kind;
	uint32_t got;
	bool lean;
};

static int keep(void *ctx, const struct cim_path *path, const struct cim_raw_instance *inst,
		struct err *e)
{
	struct pass *p = ctx;

	p->got++;
	return harvest_add(p->h, p->kind, p->ns, path, inst, e);
}

/* 0, a CIM status, or -errno. */
static int read_class(struct pass *p, const char *ns, enum src_kind k, const char *cls,
		      struct err *e)
{
	const struct src_kind_info *ki = src_kind_info(k);

	p->ns = ns;
	p->kind = k;
	p->got = 0;
	uint16_t skip = p->lean && src_is_assoc(k) ? 2 : 0;

	return p->ops->enumerate(p->conn, ns, cls, ki->names + skip, (size_t)ki->n - skip, keep, p,
				 e);
}

/* Does this failure concern the class only, or is the provider gone? */
static bool class_only(int r)
{
	return r > 0 || r == -EPROTO || r == -EBADMSG || r == -EMSGSIZE;
}

static int read_kind(struct pass *p, const char *ns, enum src_kind k, struct err *e)
{
	const struct src_kind_info *ki = src_kind_info(k);
	int r = read_class(p, ns, k, ki->cls, e);

	if (ki->alt && (r > 0 || (r == 0 && !p->got))) {
		struct err second = {0};
		int r2 = read_class(p, ns, k, ki->alt, &second);

		if (r2 == 0 || r2 != CIM_ERR_INVALID_CLASS) {
			r = r2;
			if (r2)
				*e = second;
		}
	}
	p->res->objects += p->got;
	switch (r) {
	case 0:
	case CIM_ERR_INVALID_CLASS:
	case CIM_ERR_INVALID_NAMESPACE:
	case CIM_ERR_NOT_FOUND:
	case CIM_ERR_NOT_SUPPORTED:
		return 0;
	}
	if (r < 0 && !class_only(r))
		return err_in(e, "%s %s", ns, ki->cls);
	err_in(e, "%s %s", ns, ki->cls);
	if (!p->res->failed++)
		p->res->why = *e;
	harvest_note(p->h, "%s", e->text);
	return 0;
}

static int find_interop(struct pass *p, const char *wanted, struct err *e)
{
	const char *list[ARRAY_SIZE(interop_names) + 1];
	size_t n = 0;
	int r = -ENOENT;

	if (wanted && *wanted)
		list[n++] = wanted;
	for (size_t i = 0; i < ARRAY_SIZE(interop_names); i++)
		if (!n || !str_caseeq(list[0], interop_names[i]))
			list[n++] = interop_names[i];
	for (size_t i = 0; i < n; i++) {
		r = read_class(p, list[i], SRC_PROFILE, "CIM_RegisteredProfile", e);
		if (r == 0 && p->got) {
			p->res->objects += p->got;
			snprintf(p->res->interop, sizeof(p->res->interop), "%s", list[i]);
			return 0;
		}
		if (r < 0 || r == CIM_ERR_ACCESS_DENIED)
			break;
	}
	if (r < 0)
		return r;
	if (r == CIM_ERR_ACCESS_DENIED)
		return err_set(e, -EACCES, "the provider refused access");
	return err_set(
		e, -ENOENT,
		"no registered profiles in any usual interop namespace: not an SMI-S provider");
}

static void add_ns(const char **list, size_t *n, const char *ns)
{
	if (!ns || *n == NAMESPACES_MAX)
		return;
	for (size_t i = 0; i < *n; i++)
		if (str_caseeq(list[i], ns))
			return;
	list[(*n)++] = ns;
}

/* Where the objects of the profiles are. */
static size_t find_namespaces(struct pass *p, const char **list)
{
	size_t n = 0;

	for (struct src_obj *c = harvest_first(p->h, SRC_CONFORMS); c; c = c->next) {
		const struct src_obj *profile = harvest_find(p->h, SRC_PROFILE, &c->ref[0]);

		if (profile && join_is_system_profile(profile))
			add_ns(list, &n, c->ref[1].ns);
	}
	if (n)
		return n;
	/* no conformance: the namespaces it says it has, as far as storage may be in them */
	for (struct src_obj *s = harvest_first(p->h, SRC_NS); s; s = s->next) {
		const struct cim_value *v = SRC(s, NS, Name);

		if (v->kind == CIM_V_SCALAR && !str_caseeq(v->s, p->res->interop) &&
		    !str_caseeq(v->s, "root") && !strstr(v->s, "PG_Internal"))
			add_ns(list, &n, v->s);
	}
	for (size_t i = 0; !n && i < ARRAY_SIZE(usual_names); i++)
		add_ns(list, &n, usual_names[i]);
	return n;
}

/* CIM_ProtocolEndpoint is the superclass of what is read by name already; what else there may be
 * belongs to Fibre Channel. */
static bool has_fibre_channel(const struct pass *p)
{
	for (struct src_obj *o = harvest_first(p->h, SRC_PROFILE); o; o = o->next) {
		const struct cim_value *v = SRC(o, PROFILE, RegisteredName);

		if (v->kind == CIM_V_SCALAR && (strstr(v->s, "FC") || strstr(v->s, "Fabric")))
			return true;
	}
	return false;
}

/* Is a class worth asking for, after what has been said so far? */
static bool worth(const struct pass *p, enum src_kind k, bool fibre_channel)
{
	switch (k) {
	case SRC_PEP:
	case SRC_ACTIVE:
		return fibre_channel;
	case SRC_MEDIA:
	case SRC_EXTENT:
	case SRC_COMPONENT:
	case SRC_REALIZES:
	case SRC_DEVSW:
	case SRC_LOCATION:
	case SRC_PLACED: /* what there is to know of disk drives */
		return harvest_count(p->h, SRC_DISK);
	default:
		return true;
	}
}

int pass_run(const struct talk_ops *ops, void *conn, const char *interop,
	     const struct sm_scope *scope, bool lean, struct harvest *h,
	     void (*progress)(void *ctx, unsigned done, unsigned total), void *ctx,
	     struct pass_result *ret, struct err *e)
{
	*ret = (struct pass_result){0};
	struct pass p = {.ops = ops, .conn = conn, .h = h, .res = ret, .lean = lean};
	const char *spaces[NAMESPACES_MAX];
	unsigned total = SRC_N, done = 1;
	size_t n = 0;
	int r = find_interop(&p, interop, e);

	if (r < 0)
		return r;
	/* interop kinds stand in front */
	for (int k = SRC_PROFILE + 1;
	     k < SRC_N && src_kind_info((enum src_kind)k)->where == SRC_INTEROP; k++) {
		done++;
		if (!scope_reads(scope, (enum src_kind)k))
			continue;
		r = read_kind(&p, ret->interop, (enum src_kind)k, e);
		if (r < 0)
			return r;
		if (progress)
			progress(ctx, done, total);
	}
	if (!scope_reads(scope, SRC_SYSTEM)) /* all there is to read was here */
		return 0;
	/* the conformances name the namespaces of the systems; where there are none, these do */
	if (!scope_reads(scope, SRC_NS) && !harvest_count(h, SRC_CONFORMS)) {
		r = read_kind(&p, ret->interop, SRC_NS, e);
		if (r < 0)
			return r;
	}
	n = find_namespaces(&p, spaces);
	bool fibre_channel = has_fibre_channel(&p);

	total = done + (unsigned)n * (SRC_N - done);
	for (size_t i = 0; i < n; i++)
		for (int k = 0; k < SRC_N; k++) {
			const struct src_kind_info *ki = src_kind_info((enum src_kind)k);

			if (ki->where != SRC_IMPL)
				continue;
			if (scope_reads(scope, (enum src_kind)k) &&
			    worth(&p, (enum src_kind)k, fibre_channel)) {
				r = read_kind(&p, spaces[i], (enum src_kind)k, e);
				if (r < 0)
					return r;
			}
			if (progress)
				progress(ctx, ++done, total);
		}
	return 0;
}

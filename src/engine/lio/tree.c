/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "engine/device.h"
#include "engine/engine.h"
#include "engine/lio/facts.h"
#include "engine/lio/tree.h"

/* The same to initiators as smiscsi-target says. */
#define VENDOR   "SMISCSI"
#define PRODUCT  "VOLUME"
#define REVISION "0001"

enum { RESERVATIONS_MAX = 256 << 10 };

#define FOREIGN                                                                               \
	"the kernel has a target of this name already, made by another tool; choose another " \
	"name, "                                                                              \
	"or remove it there first"

struct attribute {
	const char *path, *value;
};

/* Where units are: files, block devices. */
static const char *const hbas[] = {TREE_FILES, TREE_BLOCKS};

/* ---- scopes ---- */

void scopes_done(struct scopes *v)
{
	for (size_t i = 0; i < v->n; i++)
		san_str_unref(v->v[i].name);
	free(v->v);
	*v = (struct scopes){0};
}

void scopes_add(struct scopes *v, enum scope_kind kind, const char *name, uint16_t tpgt)
{
	/* What comes twice comes mostly in a row. */
	if (v->n && v->v[v->n - 1].kind == kind && v->v[v->n - 1].tpgt == tpgt &&
	    streq(v->v[v->n - 1].name->s, name))
		return;
	if (v->n == v->cap) {
		v->cap = v->cap ? v->cap * 2 : 16;
		v->v = xrealloc(v->v, v->cap * sizeof(v->v[0]));
	}
	v->v[v->n++] = (struct scope){kind, san_str_new(name), tpgt};
}

static void add_ports(struct scopes *v, const struct san_state *s, uint64_t node)
{
	struct san_walk w;

	for (const struct san_port *p = san_first_of(&w, s, SAN_PORTS_OF_NODE, node); p;
	     p = san_next(&w))
		scopes_add(v, SCOPE_PORT, p->iqn->s, p->tpgt);
}

static void add_bindings(struct scopes *v, const struct san_state *s, uint64_t portal)
{
	struct san_walk w;

	for (const struct san_binding *b = san_first_of(&w, s, SAN_BINDINGS_OF_PORTAL, portal); b;
	     b = san_next(&w))
		scopes_add(v, SCOPE_PORT, b->iqn->s, b->tpgt);
}

static void add_object(struct scopes *v, const struct san_obj *o, const struct san_state *was,
		       const struct san_state *now)
{
	const void *x = o;

	if (o->kind == SAN_UNIT) {
		scopes_add(v, SCOPE_UNIT, ((const struct san_unit *)x)->naa, 0);
	} else if (o->kind == SAN_NODE) {
		scopes_add(v, SCOPE_TARGET, ((const struct san_node *)x)->iqn->s, 0);
		add_ports(v, was, o->id);
		add_ports(v, now, o->id);
	} else if (o->kind == SAN_PORT) {
		const struct san_port *p = x;

		scopes_add(v, SCOPE_PORT, p->iqn->s, p->tpgt);
	} else if (o->kind == SAN_PORTAL) {
		scopes_add(v, SCOPE_PORTAL, ((const struct san_portal *)x)->text->s, 0);
		add_bindings(v, was, o->id);
		add_bindings(v, now, o->id);
	} else if (o->kind == SAN_BINDING) {
		const struct san_binding *b = x;

		scopes_add(v, SCOPE_PORT, b->iqn->s, b->tpgt);
	} else if (o->kind == SAN_LUN) {
		add_ports(v, was, ((const struct san_lun *)x)->node);
		add_ports(v, now, ((const struct san_lun *)x)->node);
	}
}

void scopes_of_changes(struct scopes *v, const struct san_changes *ch, const struct san_state *was,
		       const struct san_state *now)
{
	for (size_t i = 0; i < ch->n; i++) {
		if (!engine_cares(&ch->v[i]))
			continue;
		if (ch->v[i].old)
			add_object(v, ch->v[i].old, was, now);
		if (ch->v[i].now)
			add_object(v, ch->v[i].now, was, now);
	}
}

int scopes_of_all(struct scopes *v, const struct tree *t, const struct san_state *s, struct err *e)
{
	static const enum san_index in[] = {SAN_UNITS, SAN_NODES, SAN_PORTS, SAN_PORTALS};
	struct cfs_names auto_names portals = {0};
	struct san_walk w;

	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		for (const struct san_obj *o = san_first(&w, s, in[i]); o; o = san_next(&w)) {
			if (o->kind == SAN_NODE)
				scopes_add(v, SCOPE_TARGET,
					   ((const struct san_node *)(const void *)o)->iqn->s, 0);
			else if (o->kind == SAN_PORTAL)
				scopes_add(v, SCOPE_PORTAL,
					   ((const struct san_portal *)(const void *)o)->text->s,
					   0);
			else
				add_object(v, o, s, s);
		}
	}
	for (size_t i = 0; own_at(t->own, i); i++) {
		if (!san_node_by_iqn(s, own_at(t->own, i)))
			scopes_add(v, SCOPE_TARGET, own_at(t->own, i), 0);
	}
	for (size_t h = 0; h < ARRAY_SIZE(hbas); h++) {
		struct cfs_names auto_names units = {0};

		if (cfs_list(&t->cfs, hbas[h], CFS_DIRS, &units, e) < 0)
			return e->code;
		for (size_t i = 0; i < units.n; i++) {
			if (strlen(units.v[i]) == 16 && !san_unit_by_naa(s, units.v[i]))
				scopes_add(v, SCOPE_UNIT, units.v[i], 0);
		}
	}
	if (cfs_list(&t->cfs, "iscsi/" TREE_HOLDER "/tpgt_1/np", CFS_DIRS, &portals, e) < 0)
		return e->code;
	for (size_t i = 0; i < portals.n; i++) {
		if (!san_portal_by_text(s, portals.v[i]))
			scopes_add(v, SCOPE_PORTAL, portals.v[i], 0);
	}
	return 0;
}

/* ---- small things ---- */

void tree_mend(struct tree *t, bool again)
{
	memcpy(t->said_before, t->said, sizeof(t->said));
	if (!again)
		memset(t->said_before, 0, sizeof(t->said_before));
	memset(t->said, 0, sizeof(t->said));
	t->mended = 0;
	t->mending = true;
}

static void mend(struct tree *t, const char *fmt, ...) PRINTF(2, 3);
static void mend(struct tree *t, const char *fmt, ...)
{
	char text[700];
	va_list ap;

	if (!t->mending)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (t->mended++ >= TREE_SAID)
		return;
	t->said[t->mended - 1] = str_hash(text, strlen(text));
	for (size_t i = 0; i < TREE_SAID; i++) {
		if (t->said_before[i] == t->said[t->mended - 1])
			return;
	}
	log_info(engine, "the kernel differed from the configuration: %s", text);
}

static void watch(const struct tree *t, const char *path)
{
	struct cfs_path p;

	if (t->watch < 0)
		return;
	p = cfs_path("%s/%s", t->cfs.path, path);
	(void)inotify_add_watch(t->watch, p.s,
				IN_CREATE | IN_DELETE | IN_MODIFY | IN_ONLYDIR | IN_DONT_FOLLOW);
}

/* Remove every link in a directory, then the directory. */
static int remove_linked(struct tree *t, const char *path, struct err *e)
{
	struct cfs_names auto_names links = {0};

	if (cfs_list(&t->cfs, path, CFS_LINKS, &links, e) < 0)
		return e->code;
	for (size_t i = 0; i < links.n; i++) {
		if (cfs_unlink(&t->cfs, cfs_path("%s/%s", path, links.v[i]).s, e) < 0)
			return e->code;
	}
	return cfs_rmdir(&t->cfs, path, e);
}

/* "lun_7": 7; "tpgt_1": 1; -1 when the name is not the one that we would give. */
static int number_of(const char *name, const char *prefix)
{
	size_t n = strlen(prefix);
	uint64_t v;
	char again[32];

	if (!str_starts(name, prefix) || !str_u64(name + n, strlen(name + n), UINT16_MAX, &v))
		return -1;
	(void)snprintf(again, sizeof(again), "%s%u", prefix, (unsigned)v);
	return streq(again, name) ? (int)v : -1;
}

/* ---- units ---- */

/* The serial number that initiators see: as smiscsi-target writes it. */
static struct cfs_path serial_of(const char *naa)
{
	struct cfs_path p = cfs_path("%s", naa);

	for (char *c = p.s; *c; c++)
		*c = str_lower_c(*c);
	return p;
}

static bool on_device(const struct san_unit *u)
{
	return *u->device->s != '\0';
}

static struct cfs_path unit_path(const struct san_unit *u)
{
	return cfs_path("%s/%s", hbas[on_device(u)], u->naa);
}

static bool unit_there(const struct tree *t, const struct san_unit *u)
{
	char enabled[8];

	cfs_read_line(&t->cfs, cfs_path("%s/enable", unit_path(u).s).s, enabled, sizeof(enabled));
	return streq(enabled, "1");
}

/* Where the kernel keeps a unit's reservations that survive power loss. */
static struct cfs_path reservations_path(const struct tree *t, const char *naa)
{
	return cfs_path("%s/aptpl_%s", t->pr_dir, serial_of(naa).s);
}

static void await(struct tree *t, const char *registration)
{
	struct facts_registration r;

	if (!facts_registration(registration, &r))
		return;
	for (size_t i = 0; i < t->n_awaited; i++) {
		const struct facts_registration *x = &t->awaited[i];

		if (x->tpgt == r.tpgt && streq(x->target, r.target) &&
		    streq(x->initiator, r.initiator))
			return;
	}
	t->awaited = xrealloc(t->awaited, (t->n_awaited + 1) * sizeof(t->awaited[0]));
	t->awaited[t->n_awaited++] = r;
}

/* The kernel writes them and leaves it to others to give them back; it takes them only while
 * nobody can reach the unit. */
static void restore_reservations(struct tree *t, const struct san_unit *u)
{
	struct cfs_path path = reservations_path(t, u->naa),
			to = cfs_path("%s/pr/res_aptpl_metadata", unit_path(u).s);
	auto_free char *text = xcalloc(1, RESERVATIONS_MAX + 1);
	auto_fd int fd = open(path.s, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char one[CFS_VALUE];
	struct err e;
	size_t at = 0;

	if (fd < 0 || read(fd, text, RESERVATIONS_MAX) <= 0)
		return;
	while (facts_next_registration(text, &at, one, sizeof(one))) {
		await(t, one);
		if (cfs_write(&t->cfs, to.s, one, &e) < 0)
			log_warn(engine, "a persistent reservation of volume %s is lost: %s",
				 u->naa, e.text);
	}
}

static int unit_take(struct tree *t, const struct san_state *s, const char *naa, struct err *e)
{
	const struct san_unit *u = san_unit_by_naa(s, naa);
	bool any = false;

	for (size_t h = 0; h < ARRAY_SIZE(hbas); h++) {
		struct cfs_path p = cfs_path("%s/%s", hbas[h], naa);

		if (!cfs_exists(&t->cfs, p.s) || (u && h == on_device(u) && unit_there(t, u)))
			continue;
		mend(t, u ? "volume %s was half made" : "volume %s is no longer there", naa);
		if (cfs_rmdir(&t->cfs, p.s, e) < 0)
			return err_in(e, "take volume %s from the kernel", naa);
		any = true;
	}
	if (any && !u)
		(void)unlink(reservations_path(t, naa).s);
	return 0;
}

/* The kernel has it under our name; is it our file or device, and how large? */
static int unit_compare(struct tree *t, const struct san_unit *u, const char *file, struct err *e)
{
	struct facts_unit is;
	char text[CFS_VALUE];

	if (cfs_read(&t->cfs, cfs_path("%s/info", unit_path(u).s).s, text, e) < 0)
		return e->code;
	if (!(on_device(u) ? facts_unit_on_device(text, &is) : facts_unit(text, &is)))
		return err_set(e, -EPROTO, "the kernel says nothing of its %s",
			       on_device(u) ? "device" : "file");
	if (!streq(is.file, file))
		return err_set(e, -EEXIST,
			       "the kernel serves another %s under this name, %s; remove %s/%s "
			       "with the tool that made it",
			       on_device(u) ? "device" : "file", is.file, t->cfs.path,
			       unit_path(u).s);
	if (on_device(u) || is.size == u->size) /* the kernel follows a device by itself */
		return 0;
	mend(t, "volume %s had %llu bytes", u->naa, (unsigned long long)is.size);
	return cfs_write(&t->cfs, cfs_path("%s/control", unit_path(u).s).s,
			 cfs_path("fd_dev_size=%llu", (unsigned long long)u->size).s, e);
}

static int unit_make(struct tree *t, const struct san_unit *u, const char *file, struct err *e)
{
	struct cfs_path control =
		on_device(u) ? cfs_path("udev_path=%s,readonly=0", file)
			     : cfs_path("fd_dev_name=%s,fd_dev_size=%llu,fd_buffered_io=1", file,
					(unsigned long long)u->size);
	struct cfs_path serial = serial_of(u->naa);
	const struct attribute must[] = {
		{"control",             control.s},
                {"wwn/vpd_unit_serial", serial.s },
                {"enable",              "1"      }
        };
	/* Older kernels lack some. */
	const struct attribute may[] = {
		{"wwn/vendor_id",            VENDOR  },
                {"wwn/product_id",           PRODUCT },
		{"wwn/revision",             REVISION},
                {"udev_path",                file    },
		{"attrib/emulate_tpu",       "1"     },
                {"attrib/emulate_tpws",      "1"     },
		{"attrib/unmap_zeroes_data", "1"     },
	};
	struct cfs_path p = unit_path(u);

	if (cfs_mkdir(&t->cfs, hbas[on_device(u)], e) < 0 || cfs_mkdir(&t->cfs, p.s, e) < 0)
		return e->code;
	/* Names can only be given before it is enabled, the rest only afterwards. */
	for (size_t i = 0; i < 3; i++)
		(void)!cfs_write(&t->cfs, cfs_path("%s/%s", p.s, may[i].path).s, may[i].value,
				 NULL);
	for (size_t i = 0; i < ARRAY_SIZE(must); i++) {
		if (cfs_write(&t->cfs, cfs_path("%s/%s", p.s, must[i].path).s, must[i].value, e) <
		    0) {
			(void)!cfs_rmdir(&t->cfs, p.s, NULL);
			return on_device(u) ? device_why(file, e->code, e) : e->code;
		}
	}
	for (size_t i = 3; i < ARRAY_SIZE(may); i++)
		(void)!cfs_write(&t->cfs, cfs_path("%s/%s", p.s, may[i].path).s, may[i].value,
				 NULL);
	restore_reservations(t, u);
	return 0;
}

static int unit_give(struct tree *t, const struct san_state *s, const char *naa, struct err *e)
{
	const struct san_unit *u = san_unit_by_naa(s, naa);
	auto_free char *file = NULL;
	int r = 0;

	if (!u)
		return 0;
	file = on_device(u) ? xstrdup(u->device->s)
			    : xasprintf("%s/%s" ENGINE_UNIT_SUFFIX, t->units_dir, naa);
	/* The kernel would make an empty file, and take any device that has the name. */
	if (on_device(u))
		r = device_check(file, u->identity->s, u->size, e);
	else if (access(file, F_OK) < 0)
		r = err_set(e, -ENOENT, "its file is missing");
	if (r == 0 && unit_there(t, u)) {
		r = unit_compare(t, u, file, e);
	} else if (r == 0) {
		mend(t, "volume %s was not there", naa);
		r = unit_make(t, u, file, e);
	}
	watch(t, hbas[on_device(u)]);
	t->unit_fares(t->ctx, naa, r < 0 ? e->text : "");
	if (r < 0)
		return err_in(e, "volume %s (%s)", naa, file);
	return 0;
}

/* ---- portals ---- */

static struct cfs_path holder_path(const char *portal)
{
	return cfs_path("iscsi/" TREE_HOLDER "/tpgt_1/np/%s", portal);
}

/* A portal of another tool's target that keeps one on this port from listening: one on every
 * address.  (On the same address the kernel lets targets share a portal.) */
static bool others_hold(const struct tree *t, uint32_t port, uint8_t family, struct err *e)
{
	struct cfs_names auto_names targets = {0};

	(void)!cfs_list(&t->cfs, "iscsi", CFS_DIRS, &targets, NULL);
	for (size_t i = 0; i < targets.n; i++) {
		struct cfs_path dir = cfs_path("iscsi/%s", targets.v[i]);
		struct cfs_names auto_names tpgs = {0};

		if (own_has(t->own, targets.v[i]))
			continue;
		(void)!cfs_list(&t->cfs, dir.s, CFS_DIRS, &tpgs, NULL);
		for (size_t k = 0; k < tpgs.n; k++) {
			static const char *const every[] = {"[::]:", "0.0.0.0:"}; /* also for v4 */

			for (size_t a = 0; a < (family == 4 ? 2 : 1); a++) {
				struct cfs_path np = cfs_path("%s/%s/np/%s%u", dir.s, tpgs.v[k],
							      every[a], port);

				if (!cfs_exists(&t->cfs, np.s))
					continue;
				(void)err_set(e, -EADDRINUSE,
					      "target %s, which another tool has made in the kernel, "
					      "listens on every address there (%s%u); give it "
					      "addresses of its own with that tool, or use another port",
					      targets.v[i], every[a], port);
				return true;
			}
		}
	}
	return false;
}

/* The kernel says EINVAL whatever the matter is: find out. */
static int why_not(const struct tree *t, const char *portal, int code, struct err *e)
{
	char address[SAN_ADDRESS_TEXT], port[8];
	struct addrinfo *ai = NULL, hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
					     .ai_socktype = SOCK_STREAM};
	uint32_t number;
	uint8_t family;
	int r = code, on = 1;

	if (!san_portal_parse(portal, address, &family, &number))
		return err_set(e, -EINVAL, "%s is no address and port", portal);
	(void)snprintf(port, sizeof(port), "%u", number);
	if (getaddrinfo(address, port, &hints, &ai) == 0) {
		auto_fd int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

		/* As the kernel does: connections that are ending are in nobody's way. */
		(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, 1) < 0)
			r = -errno;
		freeaddrinfo(ai);
	} else {
		r = -EADDRNOTAVAIL;
	}
	if (r == -EADDRINUSE && others_hold(t, number, family, e))
		return r;
	if (r == -EADDRINUSE)
		return err_set(e, r, "another process listens there");
	if (r == -EADDRNOTAVAIL)
		return err_set(e, r, "the address is not on this host");
	return err_set(e, r, "the kernel does not listen there: %s", strerrordesc_np(-r));
}

static int portal_take(struct tree *t, const struct san_state *s, const char *text, struct err *e)
{
	const struct san_portal *p = san_portal_by_text(s, text);
	struct cfs_path np = holder_path(text);

	if ((p && p->enabled.on) || !cfs_exists(&t->cfs, np.s))
		return 0;
	mend(t, "portal %s was listening", text);
	return cfs_rmdir(&t->cfs, np.s, e);
}

static int holder_make(struct tree *t, struct err *e)
{
	int r = own_add(t->own, TREE_HOLDER, e);

	if (r == 0 && (cfs_mkdir(&t->cfs, "iscsi/" TREE_HOLDER, e) < 0 ||
		       cfs_mkdir(&t->cfs, "iscsi/" TREE_HOLDER "/tpgt_1", e) < 0))
		r = e->code;
	if (r == 0)
		watch(t, "iscsi/" TREE_HOLDER "/tpgt_1/np");
	return r;
}

static int portal_give(struct tree *t, const struct san_state *s, const char *text, struct err *e)
{
	const struct san_portal *p = san_portal_by_text(s, text);
	struct cfs_path np = holder_path(text);
	int r;

	if (!p || !p->enabled.on || cfs_exists(&t->cfs, np.s))
		return 0;
	r = holder_make(t, e);
	if (r < 0)
		return r;
	r = cfs_mkdir(&t->cfs, np.s, e);
	if (r < 0)
		return why_not(t, text, r, e);
	mend(t, "portal %s was not listening", text);
	return 0;
}

enum san_listen tree_listen(const struct tree *t, const struct san_portal *p, struct err *why)
{
	*why = (struct err){0};
	if (!p->enabled.on)
		return SAN_LISTEN_OFF;
	if (cfs_exists(&t->cfs, holder_path(p->text->s).s))
		return SAN_LISTENING;
	switch (why_not(t, p->text->s, -EINVAL, why)) {
	case -EADDRINUSE:
		return SAN_LISTEN_IN_USE;
	case -EADDRNOTAVAIL:
		return SAN_LISTEN_NO_ADDRESS;
	default:
		return SAN_LISTEN_FAILED;
	}
}

/* ---- ports ---- */

/* A port of the model with all that the kernel is to have of it. */
struct want {
	const struct san_state *s;
	const struct san_node *node;
	const struct san_port *port; /* NULL: it must not be there */
	struct cfs_path path;        /* iscsi/IQN/tpgt_N */
};

static struct want want_of(const struct san_state *s, const char *iqn, uint16_t tpgt)
{
	struct want w = {.s = s, .path = cfs_path("iscsi/%s/tpgt_%u", iqn, (unsigned)tpgt)};

	w.node = san_node_by_iqn(s, iqn);
	w.port = w.node ? san_port_at(s, w.node->obj.id, tpgt) : NULL;
	return w;
}

static bool wants_portal(const struct want *w, const char *text)
{
	const struct san_portal *p = san_portal_by_text(w->s, text);

	return p && streq(p->text->s, text) && p->enabled.on &&
	       san_binding(w->s, w->port->obj.id, p->obj.id);
}

static int acl_drop_lun(struct tree *t, const char *tpg, const char *lun, struct err *e)
{
	struct cfs_names auto_names acls = {0};

	if (cfs_list(&t->cfs, cfs_path("%s/acls", tpg).s, CFS_DIRS, &acls, e) < 0)
		return e->code;
	for (size_t i = 0; i < acls.n; i++) {
		struct cfs_path p = cfs_path("%s/acls/%s/%s", tpg, acls.v[i], lun);

		if (cfs_exists(&t->cfs, p.s) && remove_linked(t, p.s, e) < 0)
			return e->code;
	}
	return 0;
}

static int lun_drop(struct tree *t, const char *tpg, const char *lun, struct err *e)
{
	if (acl_drop_lun(t, tpg, lun, e) < 0)
		return e->code;
	return remove_linked(t, cfs_path("%s/lun/%s", tpg, lun).s, e);
}

/* All of a directory's lun_N. */
static int luns_list(const struct tree *t, const char *path, struct cfs_names *ret, struct err *e)
{
	size_t kept = 0;

	if (cfs_list(&t->cfs, path, CFS_DIRS, ret, e) < 0)
		return e->code;
	for (size_t i = 0; i < ret->n; i++) {
		if (str_starts(ret->v[i], "lun_"))
			ret->v[kept++] = ret->v[i];
		else
			free(ret->v[i]);
	}
	ret->n = kept;
	return 0;
}

static int acl_drop(struct tree *t, const char *acl, struct err *e)
{
	struct cfs_names auto_names luns = {0};

	if (luns_list(t, acl, &luns, e) < 0)
		return e->code;
	for (size_t i = 0; i < luns.n; i++) {
		if (remove_linked(t, cfs_path("%s/%s", acl, luns.v[i]).s, e) < 0)
			return e->code;
	}
	return cfs_rmdir(&t->cfs, acl, e);
}

/* Disabled first: that ends its sessions without an error to anybody's I/O. */
static int port_drop(struct tree *t, const char *tpg, struct err *e)
{
	struct cfs_names auto_names acls = {0}, auto_names luns = {0}, auto_names nps = {0};

	if (!cfs_exists(&t->cfs, tpg))
		return 0;
	if (cfs_set(&t->cfs, cfs_path("%s/enable", tpg).s, "0", e) < 0 ||
	    cfs_list(&t->cfs, cfs_path("%s/np", tpg).s, CFS_DIRS, &nps, e) < 0 ||
	    cfs_list(&t->cfs, cfs_path("%s/acls", tpg).s, CFS_DIRS, &acls, e) < 0 ||
	    cfs_list(&t->cfs, cfs_path("%s/lun", tpg).s, CFS_DIRS, &luns, e) < 0)
		return e->code;
	for (size_t i = 0; i < nps.n; i++) {
		if (cfs_rmdir(&t->cfs, cfs_path("%s/np/%s", tpg, nps.v[i]).s, e) < 0)
			return e->code;
	}
	for (size_t i = 0; i < acls.n; i++) {
		if (acl_drop(t, cfs_path("%s/acls/%s", tpg, acls.v[i]).s, e) < 0)
			return e->code;
	}
	for (size_t i = 0; i < luns.n; i++) {
		if (remove_linked(t, cfs_path("%s/lun/%s", tpg, luns.v[i]).s, e) < 0)
			return e->code;
	}
	return cfs_rmdir(&t->cfs, tpg, e);
}

/* Is lun_N what the model says, by its number and by what it links to? */
static bool lun_right(const struct tree *t, const struct want *w, const char *name)
{
	int n = number_of(name, "lun_");
	const struct san_lun *l = n < 0 ? NULL : san_lun_at(w->s, w->node->obj.id, (uint16_t)n);
	const struct san_unit *u = l ? san_unit(w->s, l->unit) : NULL;
	struct cfs_names auto_names links = {0};
	struct cfs_path dir = cfs_path("%s/lun/%s", w->path.s, name);

	if (!u || cfs_list(&t->cfs, dir.s, CFS_LINKS, &links, NULL) < 0)
		return false;
	for (size_t i = 0; i < links.n; i++) {
		if (!cfs_links_to(&t->cfs, cfs_path("%s/%s", dir.s, links.v[i]).s, unit_path(u).s))
			return false;
	}
	return links.n == 1 && unit_there(t, u);
}

static int port_take_luns(struct tree *t, const struct want *w, struct err *e)
{
	struct cfs_names auto_names luns = {0};

	if (cfs_list(&t->cfs, cfs_path("%s/lun", w->path.s).s, CFS_DIRS, &luns, e) < 0)
		return e->code;
	for (size_t i = 0; i < luns.n; i++) {
		if (lun_right(t, w, luns.v[i]))
			continue;
		mend(t, "%s of port %s should not be there or was another volume", luns.v[i],
		     w->port->name->s);
		if (lun_drop(t, w->path.s, luns.v[i], e) < 0)
			return e->code;
	}
	return 0;
}

static int port_take_portals(struct tree *t, const struct want *w, struct err *e)
{
	struct cfs_names auto_names nps = {0};

	if (cfs_list(&t->cfs, cfs_path("%s/np", w->path.s).s, CFS_DIRS, &nps, e) < 0)
		return e->code;
	for (size_t i = 0; i < nps.n; i++) {
		if (wants_portal(w, nps.v[i]))
			continue;
		mend(t, "portal %s served port %s", nps.v[i], w->port->name->s);
		if (cfs_rmdir(&t->cfs, cfs_path("%s/np/%s", w->path.s, nps.v[i]).s, e) < 0)
			return e->code;
		t->left(t->ctx, w->port->iqn->s, w->port->tpgt, nps.v[i]);
	}
	return 0;
}

/* Is acls/INITIATOR/lun_N the port's lun_N? */
static bool acl_lun_right(const struct tree *t, const struct want *w, const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	int n = number_of(name, "lun_");
	struct cfs_path to = cfs_path("%s/lun/%s", w->path.s, name);
	struct cfs_names auto_names links = {0};

	return n >= 0 && san_lun_at(w->s, w->node->obj.id, (uint16_t)n) &&
	       cfs_list(&t->cfs, path, CFS_LINKS, &links, NULL) == 0 && links.n == 1 &&
	       cfs_links_to(&t->cfs, cfs_path("%s/%s", path, links.v[0]).s, to.s);
}

static int port_take_acls(struct tree *t, const struct want *w, struct err *e)
{
	struct cfs_names auto_names acls = {0};

	if (cfs_list(&t->cfs, cfs_path("%s/acls", w->path.s).s, CFS_DIRS, &acls, e) < 0)
		return e->code;
	for (size_t i = 0; i < acls.n; i++) {
		struct cfs_path acl = cfs_path("%s/acls/%s", w->path.s, acls.v[i]);
		struct cfs_names auto_names luns = {0};

		if (luns_list(t, acl.s, &luns, e) < 0)
			return e->code;
		for (size_t k = 0; k < luns.n; k++) {
			struct cfs_path lun = cfs_path("%s/%s", acl.s, luns.v[k]);

			if (acl_lun_right(t, w, lun.s))
				continue;
			mend(t, "%s of initiator %s at port %s was another", luns.v[k], acls.v[i],
			     w->port->name->s);
			if (remove_linked(t, lun.s, e) < 0)
				return e->code;
		}
	}
	return 0;
}

static int port_take(struct tree *t, const struct san_state *s, const struct scope *x,
		     struct err *e)
{
	struct want w = want_of(s, x->name->s, x->tpgt);

	if (!own_has(t->own, x->name->s) || !cfs_exists(&t->cfs, w.path.s))
		return 0;
	if (!w.port) {
		mend(t, "port tpgt_%u of target %s should not be there", (unsigned)x->tpgt,
		     x->name->s);
		return port_drop(t, w.path.s, e);
	}
	if ((!w.node->enabled.on || !w.port->enabled.on) &&
	    cfs_set(&t->cfs, cfs_path("%s/enable", w.path.s).s, "0", e) < 0)
		return e->code;
	if (port_take_portals(t, &w, e) < 0 || port_take_luns(t, &w, e) < 0)
		return e->code;
	return port_take_acls(t, &w, e);
}

/* An ACL has all logical units, under the same numbers. */
static int acl_fill(struct tree *t, const struct want *w, const char *initiator, struct err *e)
{
	const struct san_lun *l;
	struct san_walk walk;

	for (l = san_first_of(&walk, w->s, SAN_LUNS_OF_NODE, w->node->obj.id); l;
	     l = san_next(&walk)) {
		struct cfs_path dir = cfs_path("%s/acls/%s/lun_%u", w->path.s, initiator,
					       (unsigned)l->lun);
		struct cfs_path to = cfs_path("%s/lun/lun_%u", w->path.s, (unsigned)l->lun);
		struct cfs_path at = cfs_path("%s/%s", dir.s, l->naa);

		if (!cfs_exists(&t->cfs, to.s) || acl_lun_right(t, w, dir.s))
			continue;
		if (cfs_mkdir(&t->cfs, dir.s, e) < 0 || cfs_link(&t->cfs, at.s, to.s, e) < 0)
			return e->code;
	}
	return 0;
}

static int acl_make(struct tree *t, const struct want *w, const char *initiator, struct err *e)
{
	if (strchr(initiator, '/') || !*initiator || *initiator == '.')
		return err_set(e, -EINVAL, "initiator %s can't be asked about", initiator);
	return cfs_mkdir(&t->cfs, cfs_path("%s/acls/%s", w->path.s, initiator).s, e);
}

int tree_acl(struct tree *t, const struct san_state *s, const struct san_port *p,
	     const char *initiator, struct err *e)
{
	struct want w = want_of(s, p->iqn->s, p->tpgt);

	if (!w.port || acl_make(t, &w, initiator, e) < 0)
		return w.port ? e->code : -ENOENT;
	return acl_fill(t, &w, initiator, e);
}

/* They are there before anybody can log in, in whatever order initiators come back. */
static void port_give_awaited(struct tree *t, const struct want *w)
{
	struct err e;

	for (size_t i = 0; i < t->n_awaited;) {
		const struct facts_registration *x = &t->awaited[i];

		if (x->tpgt != w->port->tpgt || !streq(x->target, w->port->iqn->s)) {
			i++;
			continue;
		}
		if (acl_make(t, w, x->initiator, &e) < 0)
			log_warn(engine, "persistent reservations of %s with port %s are lost: %s",
				 x->initiator, w->port->name->s, e.text);
		t->awaited[i] = t->awaited[--t->n_awaited];
	}
}

static int port_give_luns(struct tree *t, const struct want *w, struct err *e)
{
	struct cfs_names auto_names acls = {0};
	const struct san_lun *l;
	struct san_walk walk;

	for (l = san_first_of(&walk, w->s, SAN_LUNS_OF_NODE, w->node->obj.id); l;
	     l = san_next(&walk)) {
		struct cfs_path dir = cfs_path("%s/lun/lun_%u", w->path.s, (unsigned)l->lun);
		struct cfs_path at = cfs_path("%s/%s", dir.s, l->naa);
		const struct san_unit *u = san_unit(w->s, l->unit);

		if (!u || !unit_there(t, u)) /* said where the unit was looked at */
			continue;
		if (!cfs_exists(&t->cfs, dir.s))
			mend(t, "volume %s was not attached to port %s", l->naa, w->port->name->s);
		else if (lun_right(t, w, strrchr(dir.s, '/') + 1))
			continue;
		if (cfs_mkdir(&t->cfs, dir.s, e) < 0)
			return e->code;
		if (cfs_link(&t->cfs, at.s, unit_path(u).s, e) < 0) {
			(void)!cfs_rmdir(&t->cfs, dir.s, NULL);
			return e->code;
		}
	}
	if (cfs_list(&t->cfs, cfs_path("%s/acls", w->path.s).s, CFS_DIRS, &acls, e) < 0)
		return e->code;
	for (size_t i = 0; i < acls.n; i++) {
		if (acl_fill(t, w, acls.v[i], e) < 0)
			return e->code;
	}
	return 0;
}

static int port_give_portals(struct tree *t, const struct want *w, enum tree_care care,
			     struct err *e)
{
	const struct san_binding *b;
	struct san_walk walk;
	int first = 0;

	for (b = san_first_of(&walk, w->s, SAN_BINDINGS_OF_PORT, w->port->obj.id); b;
	     b = san_next(&walk)) {
		struct cfs_path np = cfs_path("%s/np/%s", w->path.s, b->portal_text->s);
		struct err why = {0};

		if (!wants_portal(w, b->portal_text->s) || cfs_exists(&t->cfs, np.s))
			continue;
		if (cfs_mkdir(&t->cfs, np.s, &why) == 0) {
			mend(t, "portal %s did not serve port %s", b->portal_text->s,
			     w->port->name->s);
			continue;
		}
		/* One that listens nowhere says so itself. */
		if (care == TREE_BEST && !cfs_exists(&t->cfs, holder_path(b->portal_text->s).s))
			continue;
		(void)why_not(t, b->portal_text->s, why.code, &why);
		(void)err_in(&why, "portal %s", b->portal_text->s);
		if (first == 0)
			*e = why;
		first = e->code;
		if (care == TREE_MUST_LISTEN)
			return first;
	}
	return care == TREE_BEST ? first : 0;
}

/* CHAP and masking are not in the model yet: who logs in sees the node's units.  fresh: the kernel
 * has just made the port, with defaults of its own. */
static int port_give_attributes(struct tree *t, const struct want *w, bool fresh, struct err *e)
{
	static const struct attribute must[] = {
		{"attrib/authentication",          "0"          },
		{"attrib/demo_mode_write_protect", "0"          },
		{"attrib/generate_node_acls",      "1"          },
 /* What is offered at login: the same as smiscsi-target offers, and as the model
  * says (providers/settings.c). */
		{"param/MaxConnections",           "8"          },
		{"param/InitialR2T",               "No"         },
		{"param/ImmediateData",            "Yes"        },
		{"param/MaxBurstLength",           "1048576"    },
		{"param/FirstBurstLength",         "262144"     },
		{"param/MaxRecvDataSegmentLength", "262144"     },
		{"param/MaxOutstandingR2T",        "8"          },
		{"param/DataPDUInOrder",           "Yes"        },
		{"param/DataSequenceInOrder",      "Yes"        },
		{"param/ErrorRecoveryLevel",       "0"          },
		{"param/DefaultTime2Wait",         "0"          },
 /* A session whose connection is gone can't be taken up again (level 0): it ends. */
		{"param/DefaultTime2Retain",       "0"          },
		{"param/HeaderDigest",             "None,CRC32C"},
		{"param/DataDigest",               "None,CRC32C"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(must); i++) {
		struct cfs_path at = cfs_path("%s/%s", w->path.s, must[i].path);
		char is[64];

		cfs_read_line(&t->cfs, at.s, is, sizeof(is));
		if (streq(is, must[i].value))
			continue;
		if (!fresh)
			mend(t, "%s of port %s was %s", must[i].path, w->port->name->s, is);
		if (cfs_write(&t->cfs, at.s, must[i].value, e) < 0)
			return e->code;
	}
	/* Only what initiators show to people; not every text is taken. */
	if (w->node->alias->len < 256)
		(void)!cfs_set(&t->cfs, cfs_path("%s/param/TargetAlias", w->path.s).s,
			       w->node->alias->s, NULL);
	return 0;
}

static int port_give(struct tree *t, const struct san_state *s, const struct scope *x,
		     enum tree_care care, struct err *e)
{
	struct want w = want_of(s, x->name->s, x->tpgt);
	struct cfs_path enable = cfs_path("%s/enable", w.path.s);
	char is[8];
	int r;

	if (!w.port)
		return 0;
	if (!own_has(t->own, x->name->s))
		return err_set(e, -EEXIST, FOREIGN);
	r = cfs_mkdir(&t->cfs, w.path.s, e);
	if (r < 0)
		return r;
	if (r == 0)
		mend(t, "port %s was not there", w.port->name->s);
	watch(t, w.path.s);
	watch(t, cfs_path("%s/np", w.path.s).s);
	watch(t, cfs_path("%s/lun", w.path.s).s);
	watch(t, cfs_path("%s/attrib", w.path.s).s);
	watch(t, cfs_path("%s/param", w.path.s).s);
	port_give_awaited(t, &w); /* the next step gives them all logical units */
	if (port_give_attributes(t, &w, r == 0, e) < 0 || port_give_luns(t, &w, e) < 0 ||
	    port_give_portals(t, &w, care, e) < 0)
		return e->code;
	if (!w.node->enabled.on || !w.port->enabled.on)
		return 0;
	cfs_read_line(&t->cfs, enable.s, is, sizeof(is));
	if (streq(is, "1"))
		return 0;
	if (r == CFS_THERE)
		mend(t, "port %s was switched off", w.port->name->s);
	return cfs_write(&t->cfs, enable.s, "1", e);
}

/* ---- targets ---- */

static int target_drop(struct tree *t, const char *iqn, struct err *e)
{
	struct cfs_path p = cfs_path("iscsi/%s", iqn);
	struct cfs_names auto_names tpgs = {0};

	if (cfs_list(&t->cfs, p.s, CFS_DIRS, &tpgs, e) < 0)
		return e->code;
	for (size_t i = 0; i < tpgs.n; i++) {
		if (str_starts(tpgs.v[i], "tpgt_") &&
		    port_drop(t, cfs_path("%s/%s", p.s, tpgs.v[i]).s, e) < 0)
			return e->code;
	}
	if (cfs_rmdir(&t->cfs, p.s, e) < 0)
		return e->code;
	own_drop(t->own, iqn);
	return 0;
}

static int target_take(struct tree *t, const struct san_state *s, const char *iqn, struct err *e)
{
	const struct san_node *n = san_node_by_iqn(s, iqn);
	struct cfs_path p = cfs_path("iscsi/%s", iqn);
	struct cfs_names auto_names tpgs = {0};

	if (!own_has(t->own, iqn) || streq(iqn, TREE_HOLDER))
		return 0;
	if (!n) {
		if (cfs_exists(&t->cfs, p.s))
			mend(t, "target %s should not be there", iqn);
		return target_drop(t, iqn, e);
	}
	if (cfs_list(&t->cfs, p.s, CFS_DIRS, &tpgs, e) < 0)
		return e->code;
	for (size_t i = 0; i < tpgs.n; i++) {
		int tag = number_of(tpgs.v[i], "tpgt_");

		if (!str_starts(tpgs.v[i], "tpgt_") ||
		    (tag >= 0 && san_port_at(s, n->obj.id, (uint16_t)tag)))
			continue;
		mend(t, "port %s of target %s should not be there", tpgs.v[i], iqn);
		if (port_drop(t, cfs_path("%s/%s", p.s, tpgs.v[i]).s, e) < 0)
			return e->code;
	}
	return 0;
}

static int target_give(struct tree *t, const struct san_state *s, const char *iqn, struct err *e)
{
	const struct san_node *n = san_node_by_iqn(s, iqn);
	struct cfs_path p = cfs_path("iscsi/%s", iqn);
	int r;

	if (!n)
		return 0;
	if (!own_has(t->own, iqn) && cfs_exists(&t->cfs, p.s))
		return err_set(e, -EEXIST, FOREIGN);
	r = own_add(t->own, iqn, e);
	if (r < 0)
		return r;
	r = cfs_mkdir(&t->cfs, p.s, e);
	if (r < 0)
		return r;
	if (r == 0)
		mend(t, "target %s was not there", iqn);
	watch(t, p.s);
	return 0;
}

/* ---- all together ---- */

static int take_scope(struct tree *t, const struct san_state *s, const struct scope *x,
		      struct err *e)
{
	switch (x->kind) {
	case SCOPE_UNIT:
		return unit_take(t, s, x->name->s, e);
	case SCOPE_TARGET:
		if (target_take(t, s, x->name->s, e) < 0)
			return err_in(e, "target %s", x->name->s);
		return 0;
	case SCOPE_PORT:
		if (port_take(t, s, x, e) < 0)
			return err_in(e, "port %u of target %s", (unsigned)x->tpgt, x->name->s);
		return 0;
	case SCOPE_PORTAL:
		if (portal_take(t, s, x->name->s, e) < 0)
			return err_in(e, "portal %s", x->name->s);
		return 0;
	}
	return 0;
}

static int give_scope(struct tree *t, const struct san_state *s, const struct scope *x,
		      enum tree_care care, struct err *e)
{
	int r;

	switch (x->kind) {
	case SCOPE_UNIT:
		return unit_give(t, s, x->name->s, e);
	case SCOPE_TARGET:
		if (target_give(t, s, x->name->s, e) < 0)
			return err_in(e, "target %s", x->name->s);
		return 0;
	case SCOPE_PORT:
		r = port_give(t, s, x, care, e);
		if (r >= 0 || care == TREE_BEST)
			t->port_fares(t->ctx, x->name->s, x->tpgt, r < 0 ? e->text : "");
		if (r < 0)
			return err_in(e, "port %u of target %s", (unsigned)x->tpgt, x->name->s);
		return 0;
	case SCOPE_PORTAL:
		/* Told as the portal's state; it is no failure of the change. */
		if (portal_give(t, s, x->name->s, e) < 0 && care == TREE_BEST)
			return err_in(e, "portal %s", x->name->s);
		return 0;
	}
	return 0;
}

int tree_make(struct tree *t, const struct san_state *s, const struct scopes *v,
	      enum tree_care care, struct err *e)
{
	/* What holds another goes first when taking, and comes last when giving. */
	static const enum scope_kind take_order[] = {SCOPE_PORT, SCOPE_TARGET, SCOPE_PORTAL,
						     SCOPE_UNIT},
				     give_order[] = {SCOPE_UNIT, SCOPE_TARGET, SCOPE_PORTAL,
						     SCOPE_PORT};
	int first = 0;

	for (size_t step = 0; step < 2 * SCOPE_PORTAL + 2; step++) {
		bool taking = step <= SCOPE_PORTAL;
		enum scope_kind kind = taking ? take_order[step]
					      : give_order[step - SCOPE_PORTAL - 1];

		for (size_t i = 0; i < v->n; i++) {
			struct err why = {0};
			int r;

			if (v->v[i].kind != kind)
				continue;
			r = taking ? take_scope(t, s, &v->v[i], &why)
				   : give_scope(t, s, &v->v[i], care, &why);
			if (r >= 0)
				continue;
			if (first == 0)
				*e = why;
			first = e->code;
			if (care != TREE_BEST)
				return first;
			if (taking && t->stays.code == 0)
				t->stays = why;
		}
	}
	return first;
}

int tree_fence(struct tree *t, const char *iqn, struct err *e)
{
	struct cfs_path p = cfs_path("iscsi/%s", iqn);
	struct cfs_names auto_names tpgs = {0};

	if (!own_has(t->own, iqn))
		return 0;
	if (cfs_list(&t->cfs, p.s, CFS_DIRS, &tpgs, e) < 0)
		return e->code;
	for (size_t i = 0; i < tpgs.n; i++) {
		struct cfs_path np = cfs_path("%s/%s/np", p.s, tpgs.v[i]);
		struct cfs_names auto_names nps = {0};

		if (cfs_list(&t->cfs, np.s, CFS_DIRS, &nps, e) < 0)
			return e->code;
		for (size_t k = 0; k < nps.n; k++) {
			if (cfs_rmdir(&t->cfs, cfs_path("%s/%s", np.s, nps.v[k]).s, e) < 0)
				return e->code;
		}
	}
	return 0;
}

int tree_clear(struct tree *t, struct err *e)
{
	int first = 0;

	/* From the end: each that goes leaves the list. */
	for (size_t i = 0; own_at(t->own, i);) {
		auto_free char *iqn = xstrdup(own_at(t->own, i));
		struct err why;

		if (target_drop(t, iqn, &why) < 0) {
			if (first == 0)
				*e = why;
			first = e->code;
			i++;
		}
	}
	if (first < 0)
		return first;
	for (size_t h = 0; h < ARRAY_SIZE(hbas); h++) {
		struct cfs_names auto_names units = {0};

		if (cfs_list(&t->cfs, hbas[h], CFS_DIRS, &units, e) < 0)
			return e->code;
		for (size_t i = 0; i < units.n; i++) {
			if (strlen(units.v[i]) == 16 &&
			    cfs_rmdir(&t->cfs, cfs_path("%s/%s", hbas[h], units.v[i]).s, e) < 0)
				return e->code;
		}
		if (cfs_rmdir(&t->cfs, hbas[h], e) < 0)
			return e->code;
	}
	return 0;
}

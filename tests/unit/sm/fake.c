/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/str.h"

enum { HOSTS_MAX = 64 };

struct fake {
	pthread_mutex_t mu;
	struct {
		char host[64];
		enum fake_mode mode;
		unsigned opened;
	} h[HOSTS_MAX];
	int n;
};

struct conn {
	struct fake *f;
	enum fake_mode mode;
	unsigned ports;
	const struct talk_to *to;
};

struct fake *fake_new(void)
{
	struct fake *f = xcalloc(1, sizeof(*f));

	pthread_mutex_init(&f->mu, NULL);
	return f;
}

void fake_free(struct fake *f)
{
	pthread_mutex_destroy(&f->mu);
	free(f);
}

static int host_at(struct fake *f, const char *host)
{
	int i = 0;

	while (i < f->n && !streq(f->h[i].host, host))
		i++;
	if (i == f->n && i < HOSTS_MAX - 1)
		snprintf(f->h[f->n++].host, sizeof(f->h[i].host), "%s", host);
	return i;
}

void fake_set(struct fake *f, const char *host, enum fake_mode m)
{
	pthread_mutex_lock(&f->mu);
	f->h[host_at(f, host)].mode = m;
	pthread_mutex_unlock(&f->mu);
}

unsigned fake_opened(struct fake *f, const char *host)
{
	pthread_mutex_lock(&f->mu);
	unsigned n = f->h[host_at(f, host)].opened;

	pthread_mutex_unlock(&f->mu);
	return n;
}

static int fake_open(void *user, const struct talk_to *to, void **ret, struct err *e)
{
	struct fake *f = user;
	struct conn *c = xcalloc(1, sizeof(*c));
	uint64_t ports = 1;
	size_t digits = strcspn(to->uri.host, "0123456789");

	(void)!str_u64(to->uri.host + digits, strlen(to->uri.host + digits), 100000, &ports);
	pthread_mutex_lock(&f->mu);
	int i = host_at(f, to->uri.host);

	f->h[i].opened++;
	c->mode = f->h[i].mode;
	pthread_mutex_unlock(&f->mu);
	c->f = f;
	c->ports = (unsigned)ports;
	c->to = to;
	if (c->mode == FAKE_DOWN ||
	    (c->mode == FAKE_DENIED &&
	     !(to->user && to->password && streq(to->user, "u") && streq(to->password, "p")))) {
		int r = err_set(e, c->mode == FAKE_DOWN ? -ECONNREFUSED : -EACCES,
				c->mode == FAKE_DOWN ? "connection refused" : "access denied");
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

static void fake_close(void *conn)
{
	free(conn);
}

struct saying {
	struct arena *a;
	talk_each *each;
	void *ctx;
	struct err *e;
};

static struct cim_path *path_of(struct saying *s, const char *cls, const char *key,
				const char *value)
{
	struct cim_path *p = arena_zalloc(s->a, sizeof(*p));

	p->keys = arena_zalloc(s->a, sizeof(*p->keys));
	p->n_keys = 1;
	p->class_name = cls;
	p->ns = "root/impl";
	p->keys[0] = (struct cim_key){key, cim_str(value)};
	p->keys[0].v.type = CIM_UNTYPED;
	return p;
}

static int one(struct saying *s, const struct cim_path *p, struct cim_named *props, uint32_t n)
{
	struct cim_raw_instance inst = {.class_name = "X", .props = props, .n_props = n};

	return s->each(s->ctx, p, &inst, s->e);
}

static struct cim_named prop(const char *name, const char *text)
{
	struct cim_named n = {.name = name, .v = cim_str(text)};

	n.v.type = CIM_UNTYPED;
	return n;
}

static int tie(struct saying *s, const char *ra, const struct cim_path *a, const char *rb,
	       const struct cim_path *b)
{
	struct cim_named props[] = {
		{.name = ra, .v = cim_ref(a)},
                {.name = rb, .v = cim_ref(b)}
        };

	return one(s, NULL, props, 2);
}

static int fake_enumerate(void *conn, const char *ns, const char *cls, const char *const *names,
			  size_t n_names, talk_each *each, void *ctx, struct err *e)
{
	struct conn *c = conn;
	AUTO(arena) a = arena_new(64 << 20);
	struct saying s = {a, each, ctx, e};
	struct cim_path *profile = path_of(&s, "CIM_RegisteredProfile", "InstanceID", "array");
	struct cim_path *sys = path_of(&s, "T_System", "Name", "array");
	int r = 0;

	(void)names;
	(void)n_names;
	profile->ns = "interop";
	if (c->mode == FAKE_EMPTY)
		return err_set(e, CIM_ERR_INVALID_CLASS, "no such class");
	while (c->mode == FAKE_STUCK) {
		if (atomic_load(c->to->abandon))
			return err_set(e, -ECANCELED, "abandoned");
		if (clock_mono_ns() > c->to->deadline_ns)
			return err_set(e, -ETIMEDOUT, "no answer in time");
		usleep(1000);
	}
	if (!streq(ns, "interop") && !streq(ns, "root/impl"))
		return err_set(e, CIM_ERR_INVALID_NAMESPACE, "no such namespace");
	if (streq(cls, "CIM_RegisteredProfile")) {
		struct cim_named p[] = {prop("RegisteredName", "Array"),
					prop("RegisteredOrganization", "11")};

		return one(&s, profile, p, 2);
	}
	if (streq(cls, "CIM_ElementConformsToProfile"))
		return tie(&s, "ConformantStandard", profile, "ManagedElement", sys);
	if (streq(cls, "CIM_ComputerSystem")) {
		struct cim_named p[] = {prop("Name", "array")};

		return one(&s, sys, p, 1);
	}
	if (streq(cls, "CIM_BindsTo") && c->mode == FAKE_FAILING)
		return err_set(e, CIM_ERR_FAILED, "the array is busy");
	for (unsigned i = 0; r == 0 && (i < c->ports || c->mode == FAKE_FLOOD); i++) {
		char *port = arena_printf(a, "10.0.%u.%u", i / 256, i % 256);

		if (!port) {
			arena_reset(a);
			continue;
		}
		struct cim_named v4 = prop("IPv4Address", port),
				 number = prop("PortNumber", "3260");
		struct cim_path *ip = path_of(&s, "T_IP", "Name", port);
		struct cim_path *tcp = path_of(&s, "T_TCP", "Name", port);
		struct cim_path *ep = path_of(&s, "T_EP", "Name", port);

		if (streq(cls, "CIM_IPProtocolEndpoint"))
			r = one(&s, ip, &v4, 1);
		else if (streq(cls, "CIM_TCPProtocolEndpoint"))
			r = one(&s, tcp, &number, 1);
		else if (streq(cls, "CIM_iSCSIProtocolEndpoint"))
			r = one(&s, ep, NULL, 0);
		else if (streq(cls, "CIM_BindsTo"))
			r = tie(&s, "Antecedent", ip, "Dependent", tcp) ||
			    tie(&s, "Antecedent", tcp, "Dependent", ep);
		else
			return err_set(e, CIM_ERR_INVALID_CLASS, "no such class");
		if (atomic_load(c->to->abandon))
			return err_set(e, -ECANCELED, "abandoned");
	}
	return r;
}

static const char *fake_peer(void *conn)
{
	(void)conn;
	return "";
}

const struct talk_ops fake_ops = {fake_open, fake_close, fake_enumerate, fake_peer};

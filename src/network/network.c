/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "network/network.h"

enum {
	RECEIVE_MAX = 32768, /* what the kernel packs into one answer */
	READ_TRIES = 10,     /* an answer can be torn by a change; then once more */
	SETTLE_MS = 50,      /* changes come in bursts */
};

void network_list_done(struct network_list *l)
{
	free(l->nics);
	free(l->addresses);
	*l = (struct network_list){0};
}

static bool same_nic(const struct network_nic *x, const struct network_nic *y)
{
	return streq(x->name, y->name) && memcmp(x->mac, y->mac, sizeof(x->mac)) == 0 &&
	       x->up == y->up && x->running == y->running && x->loopback == y->loopback &&
	       x->speed == y->speed && x->mtu == y->mtu;
}

static bool same_address(const struct network_address *x, const struct network_address *y)
{
	return streq(x->text, y->text) && streq(x->nic, y->nic) && x->prefix_len == y->prefix_len &&
	       x->tentative == y->tentative && x->duplicate == y->duplicate;
}

bool network_list_same(const struct network_list *a, const struct network_list *b)
{
	if (a->n_nics != b->n_nics || a->n_addresses != b->n_addresses)
		return false;
	for (size_t i = 0; i < a->n_nics; i++) {
		if (!same_nic(&a->nics[i], &b->nics[i]))
			return false;
	}
	for (size_t i = 0; i < a->n_addresses; i++) {
		if (!same_address(&a->addresses[i], &b->addresses[i]))
			return false;
	}
	return true;
}

/* ---- one dump ---- */

struct reading {
	struct network_list list;
	struct link {
		int index;
		bool shown; /* Ethernet, loopback, or something with an address */
	} * link;           /* of list.nics */
	int seq;
};

/* Mb/s as the driver tells; nothing or -1 when it does not know. */
static uint64_t nic_speed(const char *name)
{
	char path[64], text[24];
	auto_fd int fd = -1;
	uint64_t mbit = 0;
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/sys/class/net/%s/speed", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (n <= 1 || !str_u64(text, (size_t)n - 1, 10000000, &mbit))
		return 0;
	return mbit * 1000000;
}

/* mnl_attr_for_each, without its conversion warning */
static bool attr_ok(const struct nlmsghdr *h, const struct nlattr *a)
{
	const char *end = mnl_nlmsg_get_payload_tail(h);

	return mnl_attr_ok(a, (int)(end - (const char *)(const void *)a));
}

static int see_link(const struct nlmsghdr *h, void *ctx)
{
	const struct ifinfomsg *m = mnl_nlmsg_get_payload(h);
	struct reading *r = ctx;
	struct network_nic nic = {0};
	const struct nlattr *a;

	if (h->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	for (a = mnl_nlmsg_get_payload_offset(h, sizeof(*m)); attr_ok(h, a); a = mnl_attr_next(a)) {
		size_t n = mnl_attr_get_payload_len(a);

		if (mnl_attr_get_type(a) == IFLA_IFNAME)
			(void)snprintf(nic.name, sizeof(nic.name), "%s", mnl_attr_get_str(a));
		else if (mnl_attr_get_type(a) == IFLA_ADDRESS && n == sizeof(nic.mac))
			memcpy(nic.mac, mnl_attr_get_payload(a), n);
		else if (mnl_attr_get_type(a) == IFLA_MTU)
			nic.mtu = mnl_attr_get_u32(a);
	}
	nic.loopback = m->ifi_type == ARPHRD_LOOPBACK;
	nic.up = m->ifi_flags & IFF_UP;
	nic.running = m->ifi_flags & IFF_RUNNING;
	nic.speed = nic_speed(nic.name);
	r->list.nics = xrealloc(r->list.nics, (r->list.n_nics + 1) * sizeof(nic));
	r->link = xrealloc(r->link, (r->list.n_nics + 1) * sizeof(r->link[0]));
	r->link[r->list.n_nics] = (struct link){m->ifi_index,
						nic.loopback || m->ifi_type == ARPHRD_ETHER};
	r->list.nics[r->list.n_nics++] = nic;
	return MNL_CB_OK;
}

static int see_address(const struct nlmsghdr *h, void *ctx)
{
	const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
	const void *local = NULL, *address = NULL;
	struct network_address x = {0};
	struct reading *r = ctx;
	const struct nlattr *a;
	uint32_t flags = m->ifa_flags;
	size_t want = m->ifa_family == AF_INET ? 4 : 16, i = 0;

	if (h->nlmsg_type != RTM_NEWADDR || (m->ifa_family != AF_INET && m->ifa_family != AF_INET6))
		return MNL_CB_OK;
	for (a = mnl_nlmsg_get_payload_offset(h, sizeof(*m)); attr_ok(h, a); a = mnl_attr_next(a)) {
		if (mnl_attr_get_type(a) == IFA_FLAGS)
			flags = mnl_attr_get_u32(a);
		if (mnl_attr_get_payload_len(a) != want)
			continue;
		if (mnl_attr_get_type(a) == IFA_LOCAL)
			local = mnl_attr_get_payload(a);
		else if (mnl_attr_get_type(a) == IFA_ADDRESS)
			address = mnl_attr_get_payload(a);
	}
	while (i < r->list.n_nics && r->link[i].index != (int)m->ifa_index)
		i++;
	/* On point-to-point links IFA_ADDRESS is the other end's. */
	local = local ? local : address;
	if (!local || i == r->list.n_nics ||
	    !inet_ntop(m->ifa_family, local, x.text, sizeof(x.text) - 1 - sizeof(x.nic)))
		return MNL_CB_OK;
	r->link[i].shown = true;
	memcpy(x.nic, r->list.nics[i].name, sizeof(x.nic));
	if (m->ifa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *)local)) {
		size_t n = strlen(x.text);

		(void)snprintf(x.text + n, sizeof(x.text) - n, "%%%s", x.nic);
	}
	x.family = m->ifa_family == AF_INET ? 4 : 6;
	x.prefix_len = m->ifa_prefixlen;
	x.tentative = flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC);
	x.duplicate = flags & IFA_F_DADFAILED;
	r->list.addresses = xrealloc(r->list.addresses, (r->list.n_addresses + 1) * sizeof(x));
	r->list.addresses[r->list.n_addresses++] = x;
	return MNL_CB_OK;
}

static int dump(struct mnl_socket *nl, unsigned type, mnl_cb_t see, struct reading *r,
		struct err *e)
{
	auto_free char *buf = xmalloc(RECEIVE_MAX);
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct rtgenmsg *g;
	unsigned seq = (unsigned)++r->seq;
	ssize_t n;
	int rc = MNL_CB_OK;

	h->nlmsg_type = (uint16_t)type;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	h->nlmsg_seq = seq;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->rtgen_family = AF_UNSPEC;
	if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
		return err_sys(e, "ask the kernel for the network");
	while (rc > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, buf, RECEIVE_MAX);
		if (n < 0)
			return err_sys(e, "read the network from the kernel");
		rc = mnl_cb_run(buf, (size_t)n, seq, mnl_socket_get_portid(nl), see, r);
		/* EINTR: the tables changed under the dump */
		if (rc < 0)
			return err_sys(e, "read the network from the kernel");
	}
	return 0;
}

/* Tunnels that nobody uses (sit0, tunl0 and their like) are no NICs to anybody. */
static void drop_unused(struct reading *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->list.n_nics; i++) {
		if (r->link[i].shown)
			r->list.nics[n++] = r->list.nics[i];
	}
	r->list.n_nics = n;
}

static int read_once(struct network_list *ret, struct err *e)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct reading rd = {0};
	int r = 0;

	if (!nl)
		return err_sys(e, "open rtnetlink");
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		r = err_sys(e, "open rtnetlink");
	if (r == 0)
		r = dump(nl, RTM_GETLINK, see_link, &rd, e);
	if (r == 0)
		r = dump(nl, RTM_GETADDR, see_address, &rd, e);
	(void)mnl_socket_close(nl);
	drop_unused(&rd);
	free(rd.link);
	if (r < 0) {
		network_list_done(&rd.list);
		return r;
	}
	*ret = rd.list;
	return 0;
}

int network_read(struct network_list *ret, struct err *e)
{
	int r = -EINTR;

	for (unsigned i = 0; i < READ_TRIES && r == -EINTR; i++)
		r = read_once(ret, e);
	return r;
}

/* ---- watching ---- */

struct network_watch {
	network_changed *changed;
	void *ctx;
	struct mnl_socket *nl;
	int stop; /* eventfd */
	pthread_t thread;
	struct network_list last;
};

/* Throw away what the kernel has told: that something changed is all we take from it. */
static void drain(struct mnl_socket *nl)
{
	char buf[4096];
	ssize_t n;

	do
		n = recv(mnl_socket_get_fd(nl), buf, sizeof(buf), MSG_DONTWAIT);
	while (n > 0 || (n < 0 && (errno == ENOBUFS || errno == EINTR)));
}

static void look_again(struct network_watch *w)
{
	struct network_list now;
	struct err e;

	if (network_read(&now, &e) < 0) {
		log_warn(network, "addresses may be out of date: %s", e.text);
		return;
	}
	if (network_list_same(&now, &w->last)) {
		network_list_done(&now);
		return;
	}
	network_list_done(&w->last);
	w->last = now;
	w->changed(w->ctx, &w->last);
}

static void *watch_thread(void *arg)
{
	struct network_watch *w = arg;
	struct pollfd p[2] = {
		{.fd = mnl_socket_get_fd(w->nl), .events = POLLIN},
		{.fd = w->stop,                  .events = POLLIN}
        };

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (p[1].revents)
			return NULL;
		if (!p[0].revents)
			continue;
		(void)poll(&p[1], 1, SETTLE_MS);
		drain(w->nl);
		look_again(w);
	}
}

int network_watch_new(network_changed *changed, void *ctx, struct network_watch **ret,
		      struct err *e)
{
	struct network_watch *w = xcalloc(1, sizeof(*w));
	int r = 0;

	w->changed = changed;
	w->ctx = ctx;
	w->stop = eventfd(0, EFD_CLOEXEC);
	w->nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	/* Listen first, then look: what changes between is told as an event. */
	if (w->stop < 0 || !w->nl ||
	    mnl_socket_bind(w->nl, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
			    MNL_SOCKET_AUTOPID) < 0)
		r = err_sys(e, "watch the network");
	if (r == 0)
		r = network_read(&w->last, e);
	if (r == 0)
		changed(ctx, &w->last);
	if (r == 0 && pthread_create(&w->thread, NULL, watch_thread, w) != 0)
		r = err_set(e, -EAGAIN, "watch the network: no more threads");
	if (r < 0) {
		if (w->nl)
			(void)mnl_socket_close(w->nl);
		if (w->stop >= 0)
			(void)close(w->stop);
		network_list_done(&w->last);
		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void network_watch_free(struct network_watch *w)
{
	uint64_t one = 1;

	if (!w)
		return;
	(void)!write(w->stop, &one, sizeof(one));
	(void)pthread_join(w->thread, NULL);
	(void)mnl_socket_close(w->nl);
	(void)close(w->stop);
	network_list_done(&w->last);
	free(w);
}

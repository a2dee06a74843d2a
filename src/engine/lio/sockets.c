/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>

#include "engine/lio/sockets.h"

enum { REQUEST_MAX = 256, RECEIVE_MAX = 32768, CONNECTIONS_MAX = 1 << 20 };

_Static_assert(sizeof(struct inet_diag_sockid) == sizeof(((struct socket_connection *)0)->id),
	       "room for the kernel's name of a socket");

void socket_list_done(struct socket_list *l)
{
	free(l->v);
	*l = (struct socket_list){0};
}

static void address_text(char ret[static SAN_ADDRESS_TEXT], uint8_t family, const void *address,
			 uint32_t interface)
{
	const struct in6_addr *in6 = address;
	char name[IF_NAMESIZE];
	size_t n;

	if (!inet_ntop(family, address, ret, SAN_ADDRESS_TEXT)) {
		ret[0] = '\0';
		return;
	}
	if (family != AF_INET6 || !IN6_IS_ADDR_LINKLOCAL(in6) || !if_indextoname(interface, name))
		return;
	n = strlen(ret);
	(void)snprintf(ret + n, SAN_ADDRESS_TEXT - n, "%%%s", name);
}

struct dump {
	struct socket_list *list;
	size_t cap;
	uint16_t tcp_port;
};

static int take_message(const struct nlmsghdr *h, void *data)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(h);
	struct dump *d = data;
	struct socket_connection *c;
	char address[SAN_ADDRESS_TEXT];
	uint8_t family;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m) || ntohs(m->id.idiag_sport) != d->tcp_port ||
	    d->list->n >= CONNECTIONS_MAX)
		return MNL_CB_OK;
	if (d->list->n == d->cap) {
		d->cap = d->cap ? d->cap * 2 : 16;
		d->list->v = xrealloc(d->list->v, d->cap * sizeof(d->list->v[0]));
	}
	c = &d->list->v[d->list->n++];
	*c = (struct socket_connection){.family = m->idiag_family};
	memcpy(c->id, &m->id, sizeof(c->id));
	family = m->idiag_family == AF_INET ? 4 : 6;
	address_text(address, m->idiag_family, m->id.idiag_src, m->id.idiag_if);
	san_portal_format(c->local, address, family, d->tcp_port);
	address_text(c->peer_address, m->idiag_family, m->id.idiag_dst, m->id.idiag_if);
	san_portal_format(c->peer, c->peer_address, family, ntohs(m->id.idiag_dport));
	return MNL_CB_OK;
}

/* Send one request, hand every answer to cb. */
static int ask(uint16_t type, uint16_t flags, const struct inet_diag_req_v2 *req, mnl_cb_t cb,
	       void *data)
{
	char out[REQUEST_MAX], in[RECEIVE_MAX];
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	struct nlmsghdr *h = mnl_nlmsg_put_header(out);
	ssize_t n;
	int r = -1;

	if (!nl)
		return -1;
	h->nlmsg_type = type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	h->nlmsg_seq = 1;
	memcpy(mnl_nlmsg_put_extra_header(h, sizeof(*req)), req, sizeof(*req));
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == 0 &&
	    mnl_socket_sendto(nl, h, h->nlmsg_len) >= 0) {
		do {
			n = mnl_socket_recvfrom(nl, in, sizeof(in));
			r = n < 0 ? -1
				  : mnl_cb_run(in, (size_t)n, 1, mnl_socket_get_portid(nl), cb,
					       data);
		} while (r > 0);
	}
	n = errno;
	(void)mnl_socket_close(nl);
	errno = (int)n;
	return r;
}

int socket_list(uint16_t tcp_port, struct socket_list *ret, struct err *e)
{
	static const uint8_t families[] = {AF_INET, AF_INET6};
	struct dump d = {.list = ret, .tcp_port = tcp_port};

	*ret = (struct socket_list){0};
	for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
		struct inet_diag_req_v2 req = {.sdiag_family = families[i],
					       .sdiag_protocol = IPPROTO_TCP,
					       .idiag_states = 1U << TCP_ESTABLISHED};

		req.id.idiag_sport = htons(tcp_port);
		if (ask(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &req, take_message, &d) < 0) {
			socket_list_done(ret);
			return err_sys(e, "list the connections to port %u", (unsigned)tcp_port);
		}
	}
	return 0;
}

int socket_kill(const struct socket_connection *c, struct err *e)
{
	struct inet_diag_req_v2 req = {.sdiag_family = c->family,
				       .sdiag_protocol = IPPROTO_TCP,
				       .idiag_states = 1U << TCP_ESTABLISHED};

	memcpy(&req.id, c->id, sizeof(req.id));
	if (ask(SOCK_DESTROY, NLM_F_ACK, &req, NULL, NULL) < 0 && errno != ENOENT)
		return err_sys(e, "end the connection of %s to %s", c->peer, c->local);
	return 0;
}

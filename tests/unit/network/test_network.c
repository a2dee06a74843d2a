/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "network/network.h"
#include "test.h"

TEST(the_loopback_interface_is_there_with_its_address)
{
	struct network_list l = {0};
	struct err e = {0};
	bool nic = false, address = false;

	CHECK_INT(network_read(&l, &e), 0);
	for (size_t i = 0; i < l.n_nics; i++)
		nic = nic || (streq(l.nics[i].name, "lo") && l.nics[i].loopback);
	for (size_t i = 0; i < l.n_addresses; i++)
		address = address || (streq(l.addresses[i].text, "127.0.0.1") &&
				      streq(l.addresses[i].nic, "lo") &&
				      l.addresses[i].prefix_len == 8 && l.addresses[i].family == 4);
	CHECK(nic);
	CHECK(address);
	CHECK(network_list_same(&l, &l));
	network_list_done(&l);
}

struct seen {
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned calls;
	bool lo_up;
};

static void seen_changed(void *ctx, const struct network_list *l)
{
	struct seen *s = ctx;

	pthread_mutex_lock(&s->lock);
	s->calls++;
	for (size_t i = 0; i < l->n_nics; i++) {
		if (l->nics[i].loopback)
			s->lo_up = l->nics[i].up;
	}
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
}

/* A network namespace of our own, where we may change things; false where that is not allowed. */
static bool own_network(void)
{
	return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 || unshare(CLONE_NEWNET) == 0;
}

static int set_lo_up(void)
{
	struct ifreq rq = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;

	rq.ifr_flags = IFF_UP;
	r = ioctl(fd, SIOCSIFFLAGS, &rq);
	(void)close(fd);
	return r;
}

TEST(a_change_is_told_as_the_new_list)
{
	struct seen s = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false};
	struct network_watch *w = NULL;
	struct timespec until;
	struct err e = {0};
	bool mine = own_network();

	CHECK_INT(network_watch_new(seen_changed, &s, &w, &e), 0);
	CHECK_INT(s.calls, 1);
	if (mine) {
		CHECK_INT(set_lo_up(), 0);
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += 10;
		pthread_mutex_lock(&s.lock);
		while (!s.lo_up && pthread_cond_timedwait(&s.more, &s.lock, &until) == 0)
			;
		pthread_mutex_unlock(&s.lock);
		CHECK(s.lo_up);
	} else {
		printf("# no namespace of our own here: only the first list is looked at\n");
	}
	network_watch_free(w);
}

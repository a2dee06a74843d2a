/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole target in this process, and an initiator that does what the input says once it has
 * logged in.  The first byte says how it logs in; then PDUs:
 *
 *   1 byte   which PDU, and whether to wait for the answers to it before the next
 *   1 byte   flags of its header
 *   1 byte   which task tag, transfer tag, CmdSN and LUN (good ones, or not)
 *   1 byte   length of its data, in units of 16
 *   16 bytes the rest of the header: a CDB, or offsets and numbers
 *
 * Checked besides what the sanitizers see: StatSN goes up by one, the window stays within its
 * limits, a connection that is shut down is closed by the target soon, and it always can be
 * logged in again.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "target/config.h"
#include "target/control.h"
#include "target/worker.h"

enum { PDU_IN = 20, DATA_MAX = 255 * 16, PATIENCE_MS = 100000, BIG = 1 << 16 };
#define TARGET "iqn.2026-01.com.example:t"
#define NAA    UINT64_C(0x3000000000000001)

static struct target target = {.lock = PTHREAD_MUTEX_INITIALIZER,
			       .logout_time = 1,
			       .idle_time = 3600,
			       .max_connections = 64};
static struct sockaddr_in portal_at = {.sin_family = AF_INET};

/* What an initiator knows of its connection. */
struct initiator {
	int fd;
	bool open, logged_in;
	uint32_t cmd_sn, stat_sn, itt, last_itt, ttt, r2t_itt;
	uint8_t in[BIG];
	size_t n_in;
};

void target_stop(struct target *t)
{
	(void)t; /* control.c's way out, which nobody takes here */
}

static void portal_told(void *ctx, const struct portal *p)
{
	(void)ctx;
	if (p->state != PORTAL_LISTENING)
		abort();
}

static void set_up(void)
{
	struct config_options o = {
		.generation = 1, .must_listen = true, .portal_changed = portal_told};
	char path[64];
	socklen_t len = sizeof(portal_at);
	struct err e = {0};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	portal_at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(fd, (struct sockaddr *)&portal_at, len) < 0 ||
	    getsockname(fd, (struct sockaddr *)&portal_at, &len) < 0)
		abort();
	(void)close(fd);

	const uint32_t number = ntohs(portal_at.sin_port);
	/* clang-format off */
	const struct change all[] = {
		{CHANGE_ADD, KIND_UNIT, .naa = NAA, .unit_kind = "memory", .size = 1 << 20},
		{CHANGE_ADD, KIND_UNIT, .naa = NAA + 1, .unit_kind = "memory", .size = 1 << 20, .block_size = 4096},
		{CHANGE_ADD, KIND_NODE, .iqn = TARGET},
		{CHANGE_ADD, KIND_PORT, .iqn = TARGET, .tpgt = 1},
		{CHANGE_ADD, KIND_PORTAL, .address = "127.0.0.1", .port = number},
		{CHANGE_ADD, KIND_BINDING, .iqn = TARGET, .tpgt = 1, .address = "127.0.0.1", .port = number},
		{CHANGE_ADD, KIND_LUN, .iqn = TARGET, .lun = 0, .naa = NAA},
		{CHANGE_ADD, KIND_LUN, .iqn = TARGET, .lun = 1, .naa = NAA + 1},
	};
	/* clang-format on */
	log_set_level(LOG_L_ERROR);
	(void)snprintf(path, sizeof(path), "/tmp/smiscsi-fuzz-%d", (int)getpid());
	target.main = loop_new(&e);
	if (!target.main || control_start(&target, path, &e) < 0 ||
	    workers_start(&target, 2, &e) < 0 ||
	    config_apply(&target, all, ARRAY_SIZE(all), &o, &e) < 0) {
		(void)fprintf(stderr, "%s\n", e.text);
		abort();
	}
	(void)unlink(path); /* nobody comes that way */
}

/* ---- the initiator ---- */

static void send_all(struct initiator *i, const void *p, size_t n)
{
	while (n > 0 && i->open) {
		ssize_t k = send(i->fd, p, n, MSG_NOSIGNAL);

		if (k <= 0)
			i->open = false;
		else
			n -= (size_t)k;
		p = (const char *)p + k;
	}
}

static void look_at(struct initiator *i, const uint8_t *b)
{
	uint32_t stat_sn = iscsi_get32(b + 24),
		 window = iscsi_get32(b + 32) - iscsi_get32(b + 28) + 1;
	unsigned op = b[0] & 0x3f;
	bool has_stat = op != 0x31 && !(op == 0x25 && !(b[1] & 1)) &&
			!(op == 0x20 && iscsi_get32(b + 16) == ISCSI_TAG_NONE);

	if (op < 0x20 || (op > 0x26 && op != 0x31 && op != 0x32 && op != 0x3f))
		abort(); /* no target says that */
	if (has_stat && stat_sn != i->stat_sn++)
		abort(); /* a status is missing, or came twice */
	if (i->logged_in && window > CMD_WINDOW)
		abort();
	if (op == 0x31) {
		i->r2t_itt = iscsi_get32(b + 16);
		i->ttt = iscsi_get32(b + 20);
	}
}

/* Read until that answer to the request with that tag has come (END: until the end). */
enum { END = 0, NOP_IN = 0x20, LOGIN_RSP = 0x23 };
static void read_until(struct initiator *i, unsigned op, uint32_t itt)
{
	struct pollfd p = {.fd = i->fd, .events = POLLIN};
	bool done = false;

	while (!done) {
		ssize_t k;
		size_t at = 0;
		int r;

		while ((r = poll(&p, 1, PATIENCE_MS)) < 0 && errno == EINTR)
			; /* the fuzzing engine's alarm */
		if (r != 1)
			abort(); /* the target does not answer, or does not close */
		k = recv(i->fd, i->in + i->n_in, sizeof(i->in) - i->n_in, 0);
		if (k <= 0) {
			i->open = false;
			return;
		}
		i->n_in += (size_t)k;
		while (i->n_in - at >= ISCSI_BHS_LEN) {
			const uint8_t *b = i->in + at;
			size_t n = iscsi_get24(b + 5),
			       whole = ISCSI_BHS_LEN + b[4] * 4U + (n + 3) / 4 * 4;

			if (whole > sizeof(i->in))
				abort(); /* more than we said that we take */
			if (i->n_in - at < whole)
				break;
			look_at(i, b);
			done |= (b[0] & 0x3f) == op && iscsi_get32(b + 16) == itt;
			at += whole;
		}
		memmove(i->in, i->in + at, i->n_in - at);
		i->n_in -= at;
	}
}

static void ping(struct initiator *i)
{
	uint8_t b[ISCSI_BHS_LEN] = {0x40, 0x80};

	iscsi_put32(b + 16, 0x70000000);
	iscsi_put32(b + 20, ISCSI_TAG_NONE);
	iscsi_put32(b + 24, i->cmd_sn);
	iscsi_put32(b + 28, i->stat_sn);
	send_all(i, b, sizeof(b));
	if (i->open)
		read_until(i, NOP_IN, 0x70000000);
}

static bool log_in(struct initiator *i, uint8_t how)
{
#define KEYS(text)                 \
	{                          \
		text, sizeof(text) \
	}
	static const struct {
		const char *text;
		size_t len;
	} keys[4] = {
		KEYS("InitialR2T=No\0ImmediateData=Yes\0FirstBurstLength=4096"),
		KEYS("InitialR2T=Yes\0ImmediateData=No\0MaxBurstLength=512\0MaxOutstandingR2T=8"),
		KEYS("InitialR2T=No\0ImmediateData=No\0FirstBurstLength=512\0MaxOutstandingR2T=1"),
		KEYS("MaxConnections=4\0MaxRecvDataSegmentLength=512"),
	};
#undef KEYS
	char text[400] = "InitiatorName=iqn.2026-01.org.example:i";
	uint8_t b[ISCSI_BHS_LEN] = {0x43, 0x87, [8] = 0x80};
	size_t n = strlen(text) + 1;
	const int one = 1;
	struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};

	*i = (struct initiator){
		.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .cmd_sn = 1, .stat_sn = 1};
	(void)setsockopt(i->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(i->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(i->fd, (struct sockaddr *)&portal_at, sizeof(portal_at)) < 0)
		abort();
	i->open = true;
	n += 1 + (size_t)snprintf(text + n, sizeof(text) - n, "%s",
				  how & 0x40 ? "SessionType=Discovery" : "TargetName=" TARGET);
	memcpy(text + n, keys[how & 3].text, keys[how & 3].len);
	n += keys[how & 3].len;
	b[13] = how >> 2 & 3; /* few ISIDs, so that sessions are taken over */
	iscsi_put24(b + 5, (uint32_t)n);
	iscsi_put32(b + 24, 1);
	iscsi_put32(b + 28, 1);
	send_all(i, b, sizeof(b));
	send_all(i, text, (n + 3) / 4 * 4);
	read_until(i, LOGIN_RSP, 0);
	i->logged_in = i->open;
	return i->open;
}

/* ---- what the input says ---- */

static void pdu(struct initiator *i, const uint8_t *p)
{
	static const uint8_t ops[16] = {1, 1, 1, 1, 1, 5, 5, 5, 2, 0, 4, 6, 0x10, 3, 0x1c, 1};
	static const uint8_t none[DATA_MAX + 4];
	uint8_t b[ISCSI_BHS_LEN] = {ops[p[0] & 15], p[1]};
	uint8_t which = p[2];
	size_t n = p[3] * 16U;

	if (p[0] & 0x20)
		b[0] |= 0x40; /* immediate */
	iscsi_put24(b + 5, (uint32_t)n);
	b[9] = which & 7 ? which & 1 : which;
	i->last_itt = which & 0x10 ? i->last_itt : ++i->itt;
	iscsi_put32(b + 16, i->last_itt);
	iscsi_put32(b + 20, ISCSI_TAG_NONE);
	if (b[0] % 64 == 1)
		iscsi_put32(b + 20, iscsi_get16(p + 4)); /* expected length, beside the CDB */
	if (b[0] % 64 == 5 && which & 0x20) {
		iscsi_put32(b + 16, i->r2t_itt);
		iscsi_put32(b + 20, i->ttt);
	} else if (which & 0x40) {
		iscsi_put32(b + 20, iscsi_get32(p + 16));
	}
	iscsi_put32(b + 24, i->cmd_sn + (which & 0x80 ? p[19] % 4 : 0));
	iscsi_put32(b + 28, i->stat_sn);
	memcpy(b + 32, p + 4, 16);
	if (!(b[0] & 0x40) && b[0] % 64 != 5 && b[0] % 64 != 0x10 && !(which & 0x80))
		i->cmd_sn++;
	send_all(i, b, sizeof(b));
	send_all(i, none, n);
	if (p[0] & 0x40)
		ping(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct initiator i;
	static bool ready;

	if (!ready)
		set_up();
	ready = true;
	if (size < 1)
		return 0;
	if (!log_in(&i, data[0]))
		abort();
	for (data++, size--; size >= PDU_IN && i.open; data += PDU_IN, size -= PDU_IN)
		pdu(&i, data);
	(void)shutdown(i.fd, SHUT_WR);
	if (i.open)
		read_until(&i, END, 0);
	(void)close(i.fd);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole login.  The first byte says which target is met; then requests: two bytes of
 * flags and versions, two of length, and the text.
 */
#include "iscsi/login.h"

static const struct iscsi_login_target targets[2] = {
	{.tpgt = 1,		     .alias = "open"},
	{ .tpgt = 2,
	 .in = {"me", "secretsecret"},
	 .out = {"you", "othersecret"},
	 .moved_to = "[2001:db8::1]:3260"},
};

static const enum iscsi_login_status answers[4] = {ISCSI_LOGIN_OK, ISCSI_LOGIN_NOT_FOUND,
						   ISCSI_LOGIN_OK, ISCSI_LOGIN_MOVED_TEMPORARILY};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct iscsi_login_target *t;
	struct iscsi_login *l;

	if (size < 1)
		return 0;
	t = &targets[data[0] & 1];
	l = iscsi_login_new(65536);
	l->tsih = 0;
	for (data++, size--; size >= 4;) {
		uint8_t bhs[ISCSI_BHS_LEN] = {ISCSI_LOGIN | 0x40, data[0], 0, data[1] & 1};
		size_t n = (size_t)data[2] << 8 | data[3];
		enum iscsi_login_event ev;

		n = n > size - 4 ? size - 4 : n;
		n = n > 8192 ? 8192 : n;
		ev = iscsi_login_step(l, bhs, data + 4, n);
		if (ev == ISCSI_LOGIN_IDENTIFY)
			ev = iscsi_login_identified(l, answers[data[1] >> 1 & 3], t);
		if (ev == ISCSI_LOGIN_COMMIT) {
			if (t->in.name[0] && l->auth != ISCSI_AUTH_CHAP)
				abort(); /* nobody gets round CHAP */
			ev = iscsi_login_committed(l, ISCSI_LOGIN_OK, 9);
		}
		if (l->reply.len > ISCSI_LOGIN_REPLY_MAX)
			abort();
		if (ev != ISCSI_LOGIN_REPLY)
			break;
		data += 4 + n;
		size -= 4 + n;
	}
	iscsi_login_free(l);
	return 0;
}

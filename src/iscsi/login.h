/* SPDX-License-Identifier: Apache-2.0 */
/*
 * login.h - the login phase of one connection, target side (RFC 7143 sections 6.3, 11.12-13)
 *
 * Login request PDUs in, events out; the transport knows the targets and the sessions, this
 * knows the protocol.  Who the initiator wants is asked once (IDENTIFY); when all is agreed
 * the transport makes the session (COMMIT), which may take its time.
 *
 *   step() ──► REPLY ──► next request ...
 *      │
 *      ├─► IDENTIFY ──► identified() ──► REPLY, FAILED, COMMIT
 *      ├─► COMMIT ────► committed() ───► DONE, FAILED
 *      └─► FAILED: send the reply, then close
 *
 * The caller sends reply_bhs and reply; StatSN, ExpCmdSN and MaxCmdSN in it are its own to
 * fill in.
 *
 * Depends on: base.  Threads: one login, one thread.
 */
#pragma once

#include "base/buf.h"
#include "iscsi/chap.h"
#include "iscsi/keys.h"
#include "iscsi/name.h"
#include "iscsi/pdu.h"

enum {
	ISCSI_LOGIN_TEXT_MAX = 16 * 1024, /* one request over its continuations */
	ISCSI_LOGIN_REPLY_MAX = 8192,     /* an initiator's limit until it says otherwise */
	ISCSI_LOGIN_EXCHANGES_MAX = 32,
	ISCSI_ALIAS_MAX = 255,
	ISCSI_TARGET_ADDRESS_MAX = 95, /* [IPv6%scope]:port,tag */
};

enum iscsi_login_event {
	ISCSI_LOGIN_REPLY,
	ISCSI_LOGIN_IDENTIFY,
	ISCSI_LOGIN_COMMIT,
	ISCSI_LOGIN_DONE,
	ISCSI_LOGIN_FAILED,
};

enum iscsi_session_type { ISCSI_SESSION_NORMAL, ISCSI_SESSION_DISCOVERY };
enum iscsi_auth { ISCSI_AUTH_NONE, ISCSI_AUTH_CHAP };

/* A name and its secret; empty name: there is none. */
struct iscsi_chap_user {
	char name[ISCSI_CHAP_NAME_MAX + 1];
	char secret[ISCSI_CHAP_SECRET_MAX + 1];
};

/* What the transport knows about the target once it is identified. */
struct iscsi_login_target {
	uint16_t tpgt;
	char alias[ISCSI_ALIAS_MAX + 1];
	struct iscsi_chap_user in;  /* the initiator must authenticate as this */
	struct iscsi_chap_user out; /* ... and if it asks us to, this is us */
	/* With a status of class 1: where to (section 13.8), address:port. */
	char moved_to[ISCSI_TARGET_ADDRESS_MAX + 1];
};

struct iscsi_login {
	/* who; valid from IDENTIFY on */
	enum iscsi_session_type type;
	char initiator_name[ISCSI_NAME_MAX + 1], target_name[ISCSI_NAME_MAX + 1]; /* normalised */
	char initiator_alias[ISCSI_ALIAS_MAX + 1];
	uint8_t isid[6];
	uint16_t tsih, cid;
	uint32_t cmd_sn;      /* of the first request: the session's first ExpCmdSN */
	uint32_t exp_stat_sn; /* of the first request: our first StatSN */

	/* agreed; valid from COMMIT on */
	struct iscsi_keys keys;
	enum iscsi_auth auth;
	uint32_t our_max_recv; /* what we declared, 8192 if we had no chance to */

	/* to be sent after each event but IDENTIFY and COMMIT */
	uint8_t reply_bhs[ISCSI_BHS_LEN];
	struct buf reply;
	enum iscsi_login_status status; /* of the reply */
	struct err why;                 /* after FAILED */

	/* private */
	struct buf text_;
	struct iscsi_login_target target_;
	const char *said_[ISCSI_KEY_COUNT]; /* TEXT keys of this request, in text_ */
	uint32_t max_recv_wish_, itt_;
	unsigned exchanges_;
	uint8_t stage_, chap_step_, nsg_;
	bool started_, transit_, identified_, told_target_, declared_, security_done_;
	enum iscsi_chap_algorithm chap_algorithm_;
	uint8_t chap_id_, chap_challenge_[ISCSI_CHAP_CHALLENGE];
};

/* max_recv: the MaxRecvDataSegmentLength that we declare. */
struct iscsi_login *iscsi_login_new(uint32_t max_recv) MUST_CHECK;
void iscsi_login_free(struct iscsi_login *l); /* NULL is fine; wipes secrets */

/* One login request: its header and its data segment. */
enum iscsi_login_event iscsi_login_step(struct iscsi_login *l,
					const uint8_t bhs[static ISCSI_BHS_LEN], const void *data,
					size_t len) MUST_CHECK;

/*
 * The answer to IDENTIFY.  target is copied.  Discovery sessions have one, too: its users.  With
 * a status of class 1 only moved_to is looked at, with one of the other errors nothing.
 */
enum iscsi_login_event iscsi_login_identified(struct iscsi_login *l, enum iscsi_login_status status,
					      const struct iscsi_login_target *target) MUST_CHECK;
/* The answer to COMMIT: DONE when status is OK, else FAILED. */
enum iscsi_login_event iscsi_login_committed(struct iscsi_login *l, enum iscsi_login_status status,
					     uint16_t tsih);

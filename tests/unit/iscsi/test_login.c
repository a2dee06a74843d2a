/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/login.h"
#include "test.h"

static const char who[] = "InitiatorName=iqn.2026-01.org.example:i\0TargetName=iqn.2026-01."
			  "com.example:t\0SessionType=Normal";

static const struct iscsi_login_target open_target = {.tpgt = 3, .alias = "a disk"};
static const struct iscsi_login_target chap_target = {
	.tpgt = 1, .in = {"me",  "secretsecret"     },
             .out = {"you", "othersecretsecret"}
};

/* A request with these flags; the text is what sizeof says of a literal. */
static enum iscsi_login_event step(struct iscsi_login *l, uint8_t flags, const char *text, size_t n)
{
	uint8_t b[ISCSI_BHS_LEN] = {ISCSI_LOGIN | 0x40, flags};

	memcpy(b + 8, "\x80\1\2\3\4\5", 6);
	iscsi_put16(b + 14, l->tsih);
	iscsi_put32(b + 16, 42);
	iscsi_put32(b + 24, 1000);
	iscsi_put32(b + 28, 2000);
	iscsi_put24(b + 5, (uint32_t)n);
	return iscsi_login_step(l, b, text, n);
}
#define STEP(l, flags, text) step(l, flags, text, sizeof(text))

static bool said(const struct iscsi_login *l, const char *pair)
{
	const char *at = l->reply.p, *end = at + l->reply.len;

	for (; at < end; at += strlen(at) + 1)
		if (streq(at, pair))
			return true;
	return false;
}

TEST(straight_to_the_operational_stage_and_through)
{
	struct iscsi_login *l = iscsi_login_new(65536);

	CHECK_INT(STEP(l, 0x87, who), ISCSI_LOGIN_IDENTIFY);
	CHECK_STR(l->target_name, "iqn.2026-01.com.example:t");
	CHECK_INT(l->type, ISCSI_SESSION_NORMAL);
	CHECK_INT(l->cmd_sn, 1000);
	CHECK_INT(iscsi_login_identified(l, ISCSI_LOGIN_OK, &open_target), ISCSI_LOGIN_COMMIT);
	CHECK(said(l, "TargetPortalGroupTag=3"));
	CHECK(said(l, "TargetAlias=a disk"));
	CHECK(said(l, "MaxRecvDataSegmentLength=65536"));
	CHECK_INT(iscsi_login_committed(l, ISCSI_LOGIN_OK, 77), ISCSI_LOGIN_DONE);
	CHECK_INT(l->reply_bhs[1], 0x87);
	CHECK_INT(iscsi_get16(l->reply_bhs + 14), 77);
	CHECK_INT(iscsi_get32(l->reply_bhs + 16), 42);
	CHECK_INT(iscsi_get24(l->reply_bhs + 5), l->reply.len);
	iscsi_login_free(l);
}

TEST(security_first_then_operational)
{
	struct iscsi_login *l = iscsi_login_new(65536);

	CHECK_INT(STEP(l, 0x81, who), ISCSI_LOGIN_IDENTIFY);
	CHECK_INT(iscsi_login_identified(l, ISCSI_LOGIN_OK, &open_target), ISCSI_LOGIN_REPLY);
	CHECK_INT(l->reply_bhs[1], 0x81);
	CHECK_INT(STEP(l, 0x04, "HeaderDigest=CRC32C"), ISCSI_LOGIN_REPLY);
	CHECK_INT(l->reply_bhs[1], 0x04);
	CHECK(said(l, "HeaderDigest=CRC32C"));
	CHECK(!said(l, "TargetPortalGroupTag=3"));
	CHECK_INT(STEP(l, 0x87, "MaxBurstLength=512"), ISCSI_LOGIN_COMMIT);
	CHECK_INT(l->keys.header_digest, ISCSI_DIGEST_CRC32C);
	CHECK_INT(l->keys.max_burst, 512);
	CHECK_INT(l->keys.first_burst, 512);
	iscsi_login_free(l);
}

TEST(security_alone_leaves_our_data_segments_at_the_default)
{
	struct iscsi_login *l = iscsi_login_new(65536);

	CHECK_INT(STEP(l, 0x83, who), ISCSI_LOGIN_IDENTIFY);
	CHECK_INT(iscsi_login_identified(l, ISCSI_LOGIN_OK, &open_target), ISCSI_LOGIN_COMMIT);
	CHECK_INT(l->our_max_recv, 8192);
	iscsi_login_free(l);
}

TEST(a_discovery_session_needs_no_target)
{
	struct iscsi_login *l = iscsi_login_new(65536);

	CHECK_INT(STEP(l, 0x87, "InitiatorName=iqn.2026-01.org.example:i\0SessionType=Discovery"),
		  ISCSI_LOGIN_IDENTIFY);
	CHECK_INT(l->type, ISCSI_SESSION_DISCOVERY);
	CHECK_INT(iscsi_login_identified(l, ISCSI_LOGIN_OK, &open_target), ISCSI_LOGIN_COMMIT);
	CHECK(!said(l, "TargetPortalGroupTag=3"));
	iscsi_login_free(l);
}

static const struct {
	const char *why;
	uint8_t flags;
	const char *text;
	size_t n;
	enum iscsi_login_status status;
} refused[] = {
#define REFUSED(why, flags, text, status)              \
	{                                              \
		why, flags, text, sizeof(text), status \
	}
	REFUSED("stage 2 is reserved", 0x88, "a=b", ISCSI_LOGIN_INVALID),
	REFUSED("nobody starts in the full feature phase", 0x0c, "a=b", ISCSI_LOGIN_INVALID),
	REFUSED("no way back", 0x84, "a=b", ISCSI_LOGIN_INVALID),
	REFUSED("transit and continue", 0xc7, "a=b", ISCSI_LOGIN_INVALID),
	REFUSED("no initiator", 0x87, "TargetName=iqn.2026-01.com.example:t",
		ISCSI_LOGIN_MISSING_PARAMETER),
	REFUSED("no target", 0x87, "InitiatorName=iqn.2026-01.org.example:i",
		ISCSI_LOGIN_MISSING_PARAMETER),
	REFUSED("odd session", 0x87, "InitiatorName=iqn.2026-01.org.example:i\0SessionType=X",
		ISCSI_LOGIN_BAD_SESSION_TYPE),
	REFUSED("no name", 0x87, "InitiatorName=me\0TargetName=iqn.2026-01.com.example:t",
		ISCSI_LOGIN_INITIATOR_ERROR),
	REFUSED("no key", 0x87, "InitiatorName", ISCSI_LOGIN_INITIATOR_ERROR),
	REFUSED("AuthMethod in the wrong stage", 0x87, "AuthMethod=None",
		ISCSI_LOGIN_INITIATOR_ERROR),
	REFUSED("what only a target says", 0x87, "TargetAddress=x", ISCSI_LOGIN_INITIATOR_ERROR),
#undef REFUSED
};

TEST(wrong_requests_are_refused_with_their_status)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct iscsi_login *l = iscsi_login_new(65536);

		printf("# %s\n", refused[i].why);
		CHECK_INT(step(l, refused[i].flags, refused[i].text, refused[i].n),
			  ISCSI_LOGIN_FAILED);
		CHECK_INT(l->status, refused[i].status);
		CHECK_INT(iscsi_get16(l->reply_bhs + 36), refused[i].status);
		CHECK_INT(l->reply.len, 0);
		iscsi_login_free(l);
	}
}

TEST(text_may_come_in_pieces)
{
	struct iscsi_login *l = iscsi_login_new(65536);

	CHECK_INT(step(l, 0x44, who, 20), ISCSI_LOGIN_REPLY);
	CHECK_INT(l->reply_bhs[1], 0x04);
	CHECK_INT(step(l, 0x87, who + 20, sizeof(who) - 20), ISCSI_LOGIN_IDENTIFY);
	iscsi_login_free(l);
}

TEST(text_and_patience_have_their_limits)
{
	static const char many[8192];
	struct iscsi_login *l = iscsi_login_new(65536);

	CHECK_INT(step(l, 0x44, many, sizeof(many)), ISCSI_LOGIN_REPLY);
	CHECK_INT(step(l, 0x44, many, sizeof(many)), ISCSI_LOGIN_REPLY);
	CHECK_INT(step(l, 0x44, many, 1), ISCSI_LOGIN_FAILED);
	iscsi_login_free(l);

	l = iscsi_login_new(65536);
	for (int i = 0; i < ISCSI_LOGIN_EXCHANGES_MAX; i++)
		CHECK_INT(step(l, 0x44, NULL, 0), ISCSI_LOGIN_REPLY);
	CHECK_INT(step(l, 0x44, NULL, 0), ISCSI_LOGIN_FAILED);
	iscsi_login_free(l);
}

TEST(answers_that_do_not_fit_end_the_login)
{
	char text[8192] = {0};
	struct iscsi_login *l = iscsi_login_new(65536);
	size_t n = sizeof(who);

	memcpy(text, who, n);
	while (n + 9 < sizeof(text)) {
		(void)snprintf(text + n, 9, "X%05zu=1", n);
		n += 9;
	}
	CHECK_INT(step(l, 0x87, text, n), ISCSI_LOGIN_IDENTIFY);
	CHECK_INT(iscsi_login_identified(l, ISCSI_LOGIN_OK, &open_target), ISCSI_LOGIN_FAILED);
	iscsi_login_free(l);
}

/* The value of a key of the reply, as text. */
static const char *answer(const struct iscsi_login *l, const char *key)
{
	const char *at = l->reply.p, *end = at + l->reply.len;
	size_t n = strlen(key);

	for (; at < end; at += strlen(at) + 1)
		if (strncmp(at, key, n) == 0 && at[n] == '=')
			return at + n + 1;
	return "";
}

static struct iscsi_login *challenged(void)
{
	struct iscsi_login *l = iscsi_login_new(65536);
	char text[sizeof(who) + 16];

	memcpy(text, who, sizeof(who));
	memcpy(text + sizeof(who), "AuthMethod=CHAP", 16);
	CHECK_INT(step(l, 0x81, text, sizeof(text)), ISCSI_LOGIN_IDENTIFY);
	CHECK_INT(iscsi_login_identified(l, ISCSI_LOGIN_OK, &chap_target), ISCSI_LOGIN_REPLY);
	CHECK_INT(l->reply_bhs[1], 0); /* no transit before the proof */
	CHECK_STR(answer(l, "AuthMethod"), "CHAP");
	CHECK_INT(STEP(l, 0x00, "CHAP_A=7"), ISCSI_LOGIN_REPLY);
	return l;
}

static enum iscsi_login_event respond(struct iscsi_login *l, const char *secret, const char *more)
{
	uint8_t challenge[64], hash[ISCSI_CHAP_HASH_MAX];
	char hex[2 * ISCSI_CHAP_HASH_MAX + 3], text[512];
	size_t n, len;

	CHECK(iscsi_binary_parse(answer(l, "CHAP_C"), challenge, sizeof(challenge), &n));
	len = iscsi_chap_response(ISCSI_CHAP_SHA256, (uint8_t)atoi(answer(l, "CHAP_I")), secret,
				  challenge, n, hash);
	iscsi_binary_print(hash, len, hex);
	len = (size_t)snprintf(text, sizeof(text), "CHAP_N=me|CHAP_R=%s|%s", hex, more);
	for (size_t i = 0; i < len; i++)
		if (text[i] == '|')
			text[i] = '\0';
	return step(l, 0x81, text, *more ? len + 1 : len);
}

TEST(the_right_secret_opens_and_the_wrong_one_does_not)
{
	struct iscsi_login *l = challenged();

	CHECK_INT(respond(l, "secretsecret", ""), ISCSI_LOGIN_REPLY);
	CHECK_INT(l->reply_bhs[1], 0x81);
	CHECK_INT(l->auth, ISCSI_AUTH_CHAP);
	CHECK_INT(STEP(l, 0x87, "MaxBurstLength=512"), ISCSI_LOGIN_COMMIT);
	iscsi_login_free(l);

	l = challenged();
	CHECK_INT(respond(l, "secretsecreT", ""), ISCSI_LOGIN_FAILED);
	CHECK_INT(l->status, ISCSI_LOGIN_AUTH_FAILED);
	iscsi_login_free(l);
}

TEST(we_prove_ourselves_when_asked)
{
	struct iscsi_login *l = challenged();
	uint8_t hash[ISCSI_CHAP_HASH_MAX];
	char want[2 * ISCSI_CHAP_HASH_MAX + 3];

	CHECK_INT(respond(l, "secretsecret", "CHAP_I=9|CHAP_C=0x0102"), ISCSI_LOGIN_REPLY);
	CHECK_STR(answer(l, "CHAP_N"), "you");
	iscsi_binary_print(hash,
			   iscsi_chap_response(ISCSI_CHAP_SHA256, 9, "othersecretsecret",
					       (const uint8_t *)"\1\2", 2, hash),
			   want);
	CHECK_STR(answer(l, "CHAP_R"), want);
	iscsi_login_free(l);
}

TEST(our_own_challenge_is_not_answered)
{
	struct iscsi_login *l = challenged();
	char more[128];

	(void)snprintf(more, sizeof(more), "CHAP_I=9|CHAP_C=%s", answer(l, "CHAP_C"));
	CHECK_INT(respond(l, "secretsecret", more), ISCSI_LOGIN_FAILED);
	CHECK_INT(l->status, ISCSI_LOGIN_AUTH_FAILED);
	iscsi_login_free(l);
}

TEST(no_way_round_chap)
{
	struct iscsi_login *l = iscsi_login_new(65536);

	CHECK_INT(STEP(l, 0x87, who), ISCSI_LOGIN_IDENTIFY);
	CHECK_INT(iscsi_login_identified(l, ISCSI_LOGIN_OK, &chap_target), ISCSI_LOGIN_FAILED);
	CHECK_INT(l->status, ISCSI_LOGIN_AUTH_FAILED);
	iscsi_login_free(l);

	l = iscsi_login_new(65536); /* transit without a word about it */
	CHECK_INT(STEP(l, 0x83, who), ISCSI_LOGIN_IDENTIFY);
	CHECK_INT(iscsi_login_identified(l, ISCSI_LOGIN_OK, &chap_target), ISCSI_LOGIN_REPLY);
	CHECK_INT(l->reply_bhs[1], 0);
	iscsi_login_free(l);

	l = challenged(); /* the challenge left unanswered */
	CHECK_INT(step(l, 0x83, NULL, 0), ISCSI_LOGIN_FAILED);
	iscsi_login_free(l);
}

TEST(discovery_can_be_made_to_prove_itself)
{
	struct iscsi_login *l = iscsi_login_new(65536);

	CHECK_INT(STEP(l, 0x81,
		       "InitiatorName=iqn.2026-01.org.example:i\0SessionType=Discovery\0"
		       "AuthMethod=CHAP,None"),
		  ISCSI_LOGIN_IDENTIFY);
	CHECK_INT(iscsi_login_identified(l, ISCSI_LOGIN_OK, &chap_target), ISCSI_LOGIN_REPLY);
	CHECK_STR(answer(l, "AuthMethod"), "CHAP");
	CHECK_STR(answer(l, "TargetPortalGroupTag"), "");
	CHECK_INT(STEP(l, 0x00, "CHAP_A=7"), ISCSI_LOGIN_REPLY);
	CHECK_INT(respond(l, "secretsecret", ""), ISCSI_LOGIN_REPLY);
	CHECK_INT(l->reply_bhs[1], 0x81);
	CHECK_INT(step(l, 0x87, NULL, 0), ISCSI_LOGIN_COMMIT);
	iscsi_login_free(l);
}

TEST(a_moved_target_says_where_it_is_before_anybody_proves_anything)
{
	static const struct iscsi_login_target gone = {
		.moved_to = "[2001:db8::1]:3260", .in = {"me", "secretsecret"}
        };
	struct iscsi_login *l = iscsi_login_new(65536);

	CHECK_INT(STEP(l, 0x87, who), ISCSI_LOGIN_IDENTIFY);
	CHECK_INT(iscsi_login_identified(l, ISCSI_LOGIN_MOVED_PERMANENTLY, &gone),
		  ISCSI_LOGIN_FAILED);
	CHECK_INT(iscsi_get16(l->reply_bhs + 36), 0x0102);
	CHECK_INT(l->reply_bhs[1], 0);
	CHECK_STR(answer(l, "TargetAddress"), gone.moved_to);
	CHECK_INT(iscsi_get24(l->reply_bhs + 5), l->reply.len);
	CHECK_INT(l->reply.len, strlen("TargetAddress=") + strlen(gone.moved_to) + 1);
	iscsi_login_free(l);
}

TEST(isid_and_task_tag_stay_the_same)
{
	struct iscsi_login *l = iscsi_login_new(65536);
	uint8_t b[ISCSI_BHS_LEN] = {ISCSI_LOGIN | 0x40, 0x04};

	CHECK_INT(STEP(l, 0x04, who), ISCSI_LOGIN_IDENTIFY);
	CHECK_INT(iscsi_login_identified(l, ISCSI_LOGIN_OK, &open_target), ISCSI_LOGIN_REPLY);
	CHECK_INT(iscsi_login_step(l, b, NULL, 0), ISCSI_LOGIN_FAILED);
	CHECK_INT(l->status, ISCSI_LOGIN_INVALID);
	iscsi_login_free(l);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/str.h"
#include "iscsi/login.h"

enum stage { SECURITY = 0, OPERATIONAL = 1, FULL_FEATURE = 3 };
enum chap_step { CHAP_NOT, CHAP_WANTS_ALGORITHM, CHAP_WANTS_RESPONSE, CHAP_OVER };

struct iscsi_login *iscsi_login_new(uint32_t max_recv)
{
	struct iscsi_login *l = xcalloc(1, sizeof(*l));

	l->max_recv_wish_ = max_recv;
	l->our_max_recv = 8192;
	l->text_ = buf_of(ISCSI_LOGIN_TEXT_MAX);
	l->reply = buf_of(ISCSI_LOGIN_REPLY_MAX);
	iscsi_keys_wish(&l->keys);
	return l;
}

void iscsi_login_free(struct iscsi_login *l)
{
	if (!l)
		return;
	if (l->text_.p)
		explicit_bzero(l->text_.p, l->text_.cap);
	buf_done(&l->text_);
	buf_done(&l->reply);
	explicit_bzero(l, sizeof(*l));
	free(l);
}

/* Who may go on: a target without a user for the initiator asks for no proof. */
static bool auth_wanted(const struct iscsi_login *l)
{
	return l->target_.in.name[0] != '\0';
}

static void put_reply(struct iscsi_login *l, uint8_t flags)
{
	uint8_t *b = l->reply_bhs;

	memset(b, 0, ISCSI_BHS_LEN);
	b[0] = ISCSI_LOGIN_RSP;
	b[1] = flags;
	iscsi_put24(b + 5, (uint32_t)l->reply.len);
	memcpy(b + 8, l->isid, sizeof(l->isid));
	iscsi_put16(b + 14, l->tsih);
	iscsi_put32(b + 16, l->itt_);
	iscsi_put16(b + 36, (uint16_t)l->status);
}

static enum iscsi_login_event fail(struct iscsi_login *l, enum iscsi_login_status status)
{
	l->status = status;
	buf_clear(&l->reply);
	put_reply(l, 0);
	return ISCSI_LOGIN_FAILED;
}

static enum iscsi_login_event refuse(struct iscsi_login *l, enum iscsi_login_status status,
				     const char *why)
{
	(void)err_set(&l->why, -EPROTO, "%s", why);
	return fail(l, status);
}

/* Section 11.13.5: the login goes on elsewhere.  Before any authentication, so that what is
 * proved is proved to whom it is meant for. */
static enum iscsi_login_event redirect(struct iscsi_login *l, enum iscsi_login_status status,
				       const char *to)
{
	(void)err_set(&l->why, -EREMCHG, "the target is at %s now", to);
	l->status = status;
	buf_clear(&l->reply);
	iscsi_text_add(&l->reply, "TargetAddress", to);
	put_reply(l, 0);
	return ISCSI_LOGIN_FAILED;
}

static enum iscsi_login_event reply(struct iscsi_login *l, uint8_t flags)
{
	if (l->reply.full)
		return refuse(l, ISCSI_LOGIN_INITIATOR_ERROR,
			      "the answers do not fit one login response");
	l->status = ISCSI_LOGIN_OK;
	put_reply(l, flags);
	return ISCSI_LOGIN_REPLY;
}

static bool list_has(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (;;) {
		size_t len = strcspn(list, ",");

		if (len == n && memcmp(list, word, n) == 0)
			return true;
		if (list[len] == '\0')
			return false;
		list += len + 1;
	}
}

/* ---- names ---- */

static bool store_names(struct iscsi_login *l)
{
	const char *name = l->said_[ISCSI_KEY_initiator_name];
	const char *target = l->said_[ISCSI_KEY_target_name];
	const char *type = l->said_[ISCSI_KEY_session_type];
	const char *alias = l->said_[ISCSI_KEY_initiator_alias];

	l->type = ISCSI_SESSION_NORMAL;
	if (type && streq(type, "Discovery")) {
		l->type = ISCSI_SESSION_DISCOVERY;
	} else if (type && !streq(type, "Normal")) {
		l->status = ISCSI_LOGIN_BAD_SESSION_TYPE;
		return err_set(&l->why, -EPROTO, "SessionType=%s", type) == 0;
	}
	if (!name || (l->type == ISCSI_SESSION_NORMAL && !target)) {
		l->status = ISCSI_LOGIN_MISSING_PARAMETER;
		return err_set(&l->why, -EPROTO, "%s is missing in the first login request",
			       name ? "TargetName" : "InitiatorName") == 0;
	}
	l->status = ISCSI_LOGIN_INITIATOR_ERROR;
	if (iscsi_name_normalise(name, l->initiator_name, &l->why) < 0)
		return false;
	if (alias && !str_has_control(alias, strlen(alias)))
		(void)snprintf(l->initiator_alias, sizeof(l->initiator_alias), "%s", alias);
	if (l->type == ISCSI_SESSION_NORMAL &&
	    iscsi_name_normalise(target, l->target_name, &l->why) < 0) {
		l->status = ISCSI_LOGIN_NOT_FOUND; /* whatever it is, we do not have it */
		return false;
	}
	return true;
}

/* ---- CHAP ---- */

static bool chap_challenge(struct iscsi_login *l)
{
	char text[2 * ISCSI_CHAP_CHALLENGE + 3], number[8];
	uint8_t rnd[ISCSI_CHAP_CHALLENGE + 1];

	l->chap_algorithm_ = iscsi_chap_choose(l->said_[ISCSI_KEY_chap_a]);
	if (l->chap_algorithm_ == ISCSI_CHAP_NONE)
		return err_set(&l->why, -EPROTO, "no CHAP algorithm of %s is ours",
			       l->said_[ISCSI_KEY_chap_a]) == 0;
	if (getrandom(rnd, sizeof(rnd), 0) != (ssize_t)sizeof(rnd))
		return err_sys(&l->why, "get random bytes") == 0;
	memcpy(l->chap_challenge_, rnd, ISCSI_CHAP_CHALLENGE);
	l->chap_id_ = rnd[ISCSI_CHAP_CHALLENGE];
	(void)snprintf(number, sizeof(number), "%u", (unsigned)l->chap_algorithm_);
	iscsi_text_add(&l->reply, "CHAP_A", number);
	(void)snprintf(number, sizeof(number), "%u", l->chap_id_);
	iscsi_text_add(&l->reply, "CHAP_I", number);
	iscsi_binary_print(l->chap_challenge_, ISCSI_CHAP_CHALLENGE, text);
	iscsi_text_add(&l->reply, "CHAP_C", text);
	l->chap_step_ = CHAP_WANTS_RESPONSE;
	return true;
}

static bool chap_prove_us(struct iscsi_login *l)
{
	char text[2 * ISCSI_CHAP_HASH_MAX + 3];
	uint8_t challenge[ISCSI_CHAP_CHALLENGE_MAX], response[ISCSI_CHAP_HASH_MAX];
	const char *id = l->said_[ISCSI_KEY_chap_i];
	uint64_t id_number;
	size_t n;

	if (!l->said_[ISCSI_KEY_chap_c] || !str_u64(id, strlen(id), 255, &id_number) ||
	    !iscsi_binary_parse(l->said_[ISCSI_KEY_chap_c], challenge, sizeof(challenge), &n))
		return err_set(&l->why, -EPROTO, "the initiator's CHAP challenge is malformed") ==
		       0;
	if (l->target_.out.name[0] == '\0')
		return err_set(&l->why, -EACCES,
			       "the initiator wants mutual CHAP, and we have no secret for it") ==
		       0;
	/* Our own challenge back would make us the oracle for it (section 9.2.1). */
	if (n == ISCSI_CHAP_CHALLENGE && memcmp(challenge, l->chap_challenge_, n) == 0)
		return err_set(&l->why, -EACCES, "the initiator reflected our CHAP challenge") == 0;
	n = iscsi_chap_response(l->chap_algorithm_, (uint8_t)id_number, l->target_.out.secret,
				challenge, n, response);
	iscsi_binary_print(response, n, text);
	iscsi_text_add(&l->reply, "CHAP_N", l->target_.out.name);
	iscsi_text_add(&l->reply, "CHAP_R", text);
	return true;
}

static bool chap_verify(struct iscsi_login *l)
{
	uint8_t want[ISCSI_CHAP_HASH_MAX], got[ISCSI_CHAP_HASH_MAX];
	const char *name = l->said_[ISCSI_KEY_chap_n], *r = l->said_[ISCSI_KEY_chap_r];
	size_t want_len, got_len = 0;
	bool ok;

	if (!name || !r || !iscsi_binary_parse(r, got, sizeof(got), &got_len))
		return err_set(&l->why, -EPROTO, "CHAP_N or CHAP_R is missing or malformed") == 0;
	want_len = iscsi_chap_response(l->chap_algorithm_, l->chap_id_, l->target_.in.secret,
				       l->chap_challenge_, ISCSI_CHAP_CHALLENGE, want);
	ok = got_len == want_len && iscsi_chap_equal(got, want, want_len);
	explicit_bzero(want, sizeof(want));
	if (!ok || !streq(name, l->target_.in.name))
		return err_set(&l->why, -EACCES, "CHAP name or secret is wrong") == 0;
	if (l->said_[ISCSI_KEY_chap_i] && !chap_prove_us(l))
		return false;
	l->auth = ISCSI_AUTH_CHAP;
	l->chap_step_ = CHAP_OVER;
	l->security_done_ = true;
	return true;
}

static bool choose_auth(struct iscsi_login *l)
{
	const char *offered = l->said_[ISCSI_KEY_auth_method];

	if (auth_wanted(l) && list_has(offered, "CHAP")) {
		iscsi_text_add(&l->reply, "AuthMethod", "CHAP");
		l->chap_step_ = CHAP_WANTS_ALGORITHM;
		return true;
	}
	if (auth_wanted(l) || !list_has(offered, "None"))
		return err_set(&l->why, -EACCES, "AuthMethod=%s offered, %s wanted", offered,
			       auth_wanted(l) ? "CHAP" : "None") == 0;
	iscsi_text_add(&l->reply, "AuthMethod", "None");
	l->security_done_ = true;
	return true;
}

static bool security(struct iscsi_login *l)
{
	if (l->said_[ISCSI_KEY_auth_method] && !choose_auth(l))
		return false;
	if (l->said_[ISCSI_KEY_chap_a] && l->chap_step_ == CHAP_WANTS_ALGORITHM)
		return chap_challenge(l);
	if ((l->said_[ISCSI_KEY_chap_n] || l->said_[ISCSI_KEY_chap_r]) &&
	    l->chap_step_ == CHAP_WANTS_RESPONSE)
		return chap_verify(l);
	if (l->chap_step_ == CHAP_WANTS_RESPONSE ||
	    (l->chap_step_ == CHAP_WANTS_ALGORITHM && !l->said_[ISCSI_KEY_auth_method]))
		return err_set(&l->why, -EPROTO, "CHAP keys are missing") == 0;
	return true;
}

/* ---- stages ---- */

/* The keys of this request are answered and the target is known: decide how it goes on. */
static enum iscsi_login_event conclude(struct iscsi_login *l)
{
	bool transit = l->transit_;

	if (l->stage_ == SECURITY) {
		if (!security(l))
			return fail(l, ISCSI_LOGIN_AUTH_FAILED);
		transit = transit && (l->security_done_ || !auth_wanted(l)) &&
			  l->chap_step_ != CHAP_WANTS_ALGORITHM;
	} else {
		if (auth_wanted(l) && !l->security_done_)
			return refuse(l, ISCSI_LOGIN_AUTH_FAILED,
				      "the target wants authentication");
		if (!l->declared_) {
			char number[16];

			(void)snprintf(number, sizeof(number), "%u", l->max_recv_wish_);
			iscsi_text_add(&l->reply, "MaxRecvDataSegmentLength", number);
			l->our_max_recv = l->max_recv_wish_;
			l->declared_ = true;
		}
	}
	if (!l->told_target_ && l->type == ISCSI_SESSION_NORMAL) {
		char tag[8];

		(void)snprintf(tag, sizeof(tag), "%u", l->target_.tpgt);
		iscsi_text_add(&l->reply, "TargetPortalGroupTag", tag);
		if (l->target_.alias[0])
			iscsi_text_add(&l->reply, "TargetAlias", l->target_.alias);
	}
	l->told_target_ = true;
	if (!transit)
		return reply(l, (uint8_t)(l->stage_ << 2));
	if (l->nsg_ == FULL_FEATURE) {
		if (l->reply.full)
			return reply(l, 0);
		iscsi_keys_settle(&l->keys);
		return ISCSI_LOGIN_COMMIT;
	}
	l->stage_ = OPERATIONAL;
	return reply(l, ISCSI_LOGIN_TRANSIT | SECURITY << 2 | OPERATIONAL);
}

/* A refused login is counted at the target it was for, if it got as far as saying so. */
static void remember_names(struct iscsi_login *l)
{
	const char *name = l->said_[ISCSI_KEY_initiator_name];
	const char *target = l->said_[ISCSI_KEY_target_name];

	if (name && iscsi_name_normalise(name, l->initiator_name, NULL) < 0)
		l->initiator_name[0] = '\0';
	if (target && iscsi_name_normalise(target, l->target_name, NULL) < 0)
		l->target_name[0] = '\0';
}

static enum iscsi_login_event answer_keys(struct iscsi_login *l)
{
	enum iscsi_phase phase = l->tsih ? ISCSI_PHASE_LOGIN : ISCSI_PHASE_LEADING;
	char *at = l->text_.p, *end = l->text_.p + l->text_.len;
	const char *name, *value;
	int r;

	memset(l->said_, 0, sizeof(l->said_));
	while (l->text_.len > 0 && (r = iscsi_text_next(&at, end, &name, &value, &l->why)) != 0) {
		if (r > 0)
			r = iscsi_keys_offer(&l->keys, phase, name, value, &l->reply, &l->why);
		if (r < 0) {
			remember_names(l);
			return fail(l, ISCSI_LOGIN_INITIATOR_ERROR);
		}
		if (r == ISCSI_KEY_IS_TEXT)
			l->said_[iscsi_key_find(name)] = value;
	}
	if (l->stage_ != SECURITY && l->said_[ISCSI_KEY_auth_method])
		return refuse(l, ISCSI_LOGIN_INITIATOR_ERROR,
			      "AuthMethod outside the security stage");
	if (l->identified_)
		return conclude(l);
	if (!store_names(l))
		return fail(l, l->status);
	return ISCSI_LOGIN_IDENTIFY;
}

static const char *check_flags(const struct iscsi_login *l, uint8_t flags)
{
	uint8_t csg = flags >> 2 & 3, nsg = flags & 3;

	if (csg != SECURITY && csg != OPERATIONAL)
		return "the current stage is not one of login";
	if (flags & ISCSI_LOGIN_TRANSIT && flags & ISCSI_LOGIN_CONTINUE)
		return "both transit and continue are set";
	if (flags & ISCSI_LOGIN_TRANSIT && (nsg <= csg || nsg == 2))
		return "the next stage does not come after the current one";
	if (l->started_ && csg != l->stage_)
		return "the current stage is not the one we are in";
	return NULL;
}

static const char *start_or_follow(struct iscsi_login *l, const struct iscsi_req *q,
				   const uint8_t *bhs)
{
	if (l->started_)
		return memcmp(l->isid, bhs + 8, 6) != 0 || l->tsih != iscsi_get16(bhs + 14) ||
				       l->itt_ != q->itt || l->cid != iscsi_get16(bhs + 20)
			       ? "ISID, TSIH, CID or task tag changed during login"
			       : NULL;
	memcpy(l->isid, bhs + 8, 6);
	l->tsih = iscsi_get16(bhs + 14);
	l->cid = iscsi_get16(bhs + 20);
	l->itt_ = q->itt;
	l->cmd_sn = q->cmd_sn;
	l->exp_stat_sn = q->exp_stat_sn;
	l->stage_ = q->flags >> 2 & 3;
	l->started_ = true;
	return NULL;
}

enum iscsi_login_event iscsi_login_step(struct iscsi_login *l,
					const uint8_t bhs[static ISCSI_BHS_LEN], const void *data,
					size_t len)
{
	struct iscsi_req q;
	const char *bad;

	iscsi_req_decode(&q, bhs);
	bad = check_flags(l, q.flags);
	buf_clear(&l->reply);
	if (!l->started_ || bad == NULL) {
		const char *changed = start_or_follow(l, &q, bhs);

		bad = bad ? bad : changed;
	}
	if (q.byte3 > 0) /* Version-min; all of RFC 3720 and 7143 is version 0 */
		return refuse(l, ISCSI_LOGIN_BAD_VERSION, "the initiator does not speak version 0");
	if (bad)
		return refuse(l, ISCSI_LOGIN_INVALID, bad);
	if (++l->exchanges_ > ISCSI_LOGIN_EXCHANGES_MAX)
		return refuse(l, ISCSI_LOGIN_INITIATOR_ERROR, "too many login requests");
	if (!buf_add(&l->text_, data, len))
		return refuse(l, ISCSI_LOGIN_INITIATOR_ERROR, "login text is too long");
	if (q.flags & ISCSI_LOGIN_CONTINUE)
		return reply(l, (uint8_t)(l->stage_ << 2));
	l->transit_ = (q.flags & ISCSI_LOGIN_TRANSIT) != 0;
	l->nsg_ = q.flags & 3;
	enum iscsi_login_event ev = answer_keys(l);

	if (ev != ISCSI_LOGIN_IDENTIFY) /* until then said_ points into the text */
		buf_clear(&l->text_);
	return ev;
}

enum iscsi_login_event iscsi_login_identified(struct iscsi_login *l, enum iscsi_login_status status,
					      const struct iscsi_login_target *target)
{
	enum iscsi_login_event ev;

	if (status >> 8 == 1)
		return redirect(l, status, target->moved_to);
	if (status != ISCSI_LOGIN_OK) {
		(void)err_set(&l->why, -ENOENT, "the target refused to be found");
		return fail(l, status);
	}
	l->target_ = *target;
	l->identified_ = true;
	ev = conclude(l);
	buf_clear(&l->text_);
	return ev;
}

enum iscsi_login_event iscsi_login_committed(struct iscsi_login *l, enum iscsi_login_status status,
					     uint16_t tsih)
{
	if (status != ISCSI_LOGIN_OK)
		return fail(l, status);
	l->tsih = tsih;
	l->status = ISCSI_LOGIN_OK;
	put_reply(l, (uint8_t)(ISCSI_LOGIN_TRANSIT | l->stage_ << 2 | FULL_FEATURE));
	return ISCSI_LOGIN_DONE;
}

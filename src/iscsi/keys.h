/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.h - iSCSI text keys: split the text, negotiate values (RFC 7143 sections 6 and 13)
 *
 * Pure functions: text in, decision out.  No sockets, no session, no clock.  The truth
 * about each key is its row in keys.def.
 *
 * Depends on: base.  Threads: no state.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum {
	ISCSI_KEY_NAME_MAX = 63,
	ISCSI_VALUE_MAX = 255,         /* section 6.1, unless a key says otherwise */
	ISCSI_BINARY_VALUE_MAX = 2050, /* CHAP: 1024 bytes as 0x… */
};

enum iscsi_key {
#define NUMBER(field, ...)   ISCSI_KEY_##field,
#define BOOL(field, ...)     ISCSI_KEY_##field,
#define LIST(field, ...)     ISCSI_KEY_##field,
#define TEXT(field, ...)     ISCSI_KEY_##field,
#define OBSOLETE(field, ...) ISCSI_KEY_##field,
#include "iscsi/keys.def"
#undef NUMBER
#undef BOOL
#undef LIST
#undef TEXT
#undef OBSOLETE
	ISCSI_KEY_COUNT
};

enum iscsi_header_digest { ISCSI_DIGEST_NONE, ISCSI_DIGEST_CRC32C }; /* data digest: the same */

/*
 * What the two sides agreed on.  Every field is a row of keys.def that is negotiated;
 * max_recv is what the initiator declared, so the most that we may send in one PDU.
 */
struct iscsi_keys {
#define NUMBER(field, ...) uint32_t field;
#define BOOL(field, ...)   uint32_t field;
#define LIST(field, ...)   uint32_t field;
#define TEXT(field, ...)
#define OBSOLETE(field, ...)
#include "iscsi/keys.def"
#undef NUMBER
#undef BOOL
#undef LIST
#undef TEXT
#undef OBSOLETE
	uint64_t offered; /* bit per enum iscsi_key: what the initiator has said */
};

enum iscsi_phase { ISCSI_PHASE_LEADING, ISCSI_PHASE_LOGIN, ISCSI_PHASE_FULL_FEATURE };

/* What we would like, before the initiator has said anything. */
void iscsi_keys_wish(struct iscsi_keys *k);
/* The negotiation is over: what was not offered takes the RFC's default. */
void iscsi_keys_settle(struct iscsi_keys *k);

/* The key of that name, or ISCSI_KEY_COUNT. */
enum iscsi_key iscsi_key_find(const char *name);
const char *iscsi_key_name(enum iscsi_key key);

/*
 * Answer one "name=value" that the initiator offered, and remember the outcome in k, which
 * holds our own wish before the call and the agreement after it.
 *
 * Returns 0 and appends "name=answer" to ret_answer (nothing for a declaration), also for a
 * key we do not know ("NotUnderstood") and a value the RFC does not allow ("Reject"; the
 * default holds then); ISCSI_KEY_IS_TEXT when the key is a TEXT row of keys.def, which the
 * caller understands; -EPROTO with e filled when the key may not be said now, or was said
 * before in this negotiation.
 */
enum { ISCSI_KEY_IS_TEXT = 1 };
int iscsi_keys_offer(struct iscsi_keys *k, enum iscsi_phase phase, const char *name,
		     const char *value, struct buf *ret_answer, struct err *e) MUST_CHECK;

/* Every negotiated key by its RFC name with its value as text. */
void iscsi_keys_each(const struct iscsi_keys *k,
		     void (*each)(void *ctx, const char *name, const char *value), void *ctx);

/* Append "name=value" and its NUL. */
void iscsi_text_add(struct buf *b, const char *name, const char *value);

/*
 * The next pair of *at..end.  Returns 1 and both texts (they point into the text, whose
 * first '=' becomes a NUL), 0 at the end, or -EPROTO with e filled.
 */
int iscsi_text_next(char **at, char *end, const char **ret_name, const char **ret_value,
		    struct err *e) MUST_CHECK;

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/str.h"
#include "iscsi/keys.h"

enum kind { KIND_NUMBER, KIND_BOOL, KIND_LIST, KIND_TEXT, KIND_OBSOLETE };
enum rule { AND, OR, MIN, MAX, DECLARED };
enum use { LEADING, LOGIN, ALWAYS, FULL_FEATURE };
enum sender { INITIATOR, TARGET };

static const struct row {
	const char *name;
	enum kind kind;
	enum use use;
	enum rule rule;
	enum sender sender;
	size_t offset;
	uint32_t def, wish, min, max;
	const char *text; /* LIST: our values; OBSOLETE: the answer */
} rows[] = {
#define NUMBER(field, name_, rule_, def_, wish_, min_, max_, use_) \
	{.name = name_,                                            \
	 .kind = KIND_NUMBER,                                      \
	 .use = use_,                                              \
	 .rule = rule_,                                            \
	 .def = def_,                                              \
	 .wish = wish_,                                            \
	 .min = min_,                                              \
	 .max = max_,                                              \
	 .offset = offsetof(struct iscsi_keys, field)},
#define BOOL(field, name_, rule_, def_, wish_, use_) \
	{.name = name_,                              \
	 .kind = KIND_BOOL,                          \
	 .use = use_,                                \
	 .rule = rule_,                              \
	 .def = def_,                                \
	 .wish = wish_,                              \
	 .max = 1,                                   \
	 .offset = offsetof(struct iscsi_keys, field)},
#define LIST(field, name_, values_, use_) \
	{.name = name_,                   \
	 .kind = KIND_LIST,               \
	 .use = use_,                     \
	 .text = values_,                 \
	 .offset = offsetof(struct iscsi_keys, field)},
#define TEXT(field, name_, sender_, use_) \
	{.name = name_, .kind = KIND_TEXT, .use = use_, .sender = sender_},
#define OBSOLETE(field, name_, answer_) \
	{.name = name_, .kind = KIND_OBSOLETE, .use = ALWAYS, .text = answer_},
#include "iscsi/keys.def"
#undef NUMBER
#undef BOOL
#undef LIST
#undef TEXT
#undef OBSOLETE
};

_Static_assert(ISCSI_KEY_COUNT <= 64, "iscsi_keys.offered has a bit for each key");

static uint32_t *slot(struct iscsi_keys *k, const struct row *row)
{
	return (uint32_t *)(void *)((char *)k + row->offset);
}

void iscsi_keys_wish(struct iscsi_keys *k)
{
	*k = (struct iscsi_keys){0};
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].kind <= KIND_LIST)
			*slot(k, &rows[i]) = rows[i].wish;
}

void iscsi_keys_settle(struct iscsi_keys *k)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].kind <= KIND_LIST && !(k->offered & UINT64_C(1) << i))
			*slot(k, &rows[i]) = rows[i].def;
	/* Section 13.14.  An initiator that named the bigger one first was told otherwise, and
	 * what it was told counts. */
	if (k->first_burst > k->max_burst && !(k->offered & UINT64_C(1) << ISCSI_KEY_first_burst))
		k->first_burst = k->max_burst;
}

enum iscsi_key iscsi_key_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (streq(rows[i].name, name))
			return (enum iscsi_key)i;
	return ISCSI_KEY_COUNT;
}

const char *iscsi_key_name(enum iscsi_key key)
{
	return rows[key].name;
}

/* Decimal or 0x hex, as section 6.1 defines constants. */
static bool parse_number(const char *s, uint32_t *ret)
{
	uint64_t v;

	if (strncmp(s, "0x", 2) == 0 || strncmp(s, "0X", 2) == 0) {
		if (!str_hex64(s + 2, strlen(s + 2), &v) || v > UINT32_MAX)
			return false;
	} else if (!str_u64(s, strlen(s), UINT32_MAX, &v)) {
		return false;
	}
	*ret = (uint32_t)v;
	return true;
}

static bool parse_boolean(const char *s, uint32_t *ret)
{
	*ret = streq(s, "Yes");
	return *ret || streq(s, "No");
}

static uint32_t decide(enum rule rule, uint32_t ours, uint32_t theirs)
{
	switch (rule) {
	case AND:
		return ours & theirs;
	case OR:
		return ours | theirs;
	case MIN:
		return ours < theirs ? ours : theirs;
	case MAX:
		return ours > theirs ? ours : theirs;
	case DECLARED:
		return theirs;
	}
	abort();
}

/* The place of s[0..n) in the comma-separated list, or -1. */
static int list_find(const char *list, const char *s, size_t n)
{
	for (int i = 0;; i++) {
		size_t len = strcspn(list, ",");

		if (len == n && memcmp(list, s, n) == 0)
			return i;
		if (list[len] == '\0')
			return -1;
		list += len + 1;
	}
}

/* The first value of the initiator's list that we have, too (section 6.2.1). */
static const char *choose(const struct row *row, const char *offered, uint32_t *ret_index,
			  size_t *ret_len)
{
	for (;;) {
		size_t len = strcspn(offered, ",");
		int i = list_find(row->text, offered, len);

		if (i >= 0) {
			*ret_index = (uint32_t)i;
			*ret_len = len;
			return offered;
		}
		if (offered[len] == '\0')
			return NULL;
		offered += len + 1;
	}
}

static void answer_number(struct buf *b, const struct row *row, uint32_t v)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%" PRIu32, v);
	iscsi_text_add(b, row->name, text);
}

/* Section 6.2: a key whose negotiation fails is what it was before, which is its default, as
 * nothing but declarations may be said twice in a session. */
static void reject(struct iscsi_keys *k, const struct row *row, struct buf *answer)
{
	if (row->rule != DECLARED)
		*slot(k, row) = row->def;
	iscsi_text_add(answer, row->name, "Reject");
}

/* MaxBurstLength as far as it is known yet. */
static uint32_t burst_limit(const struct iscsi_keys *k)
{
	return k->offered & UINT64_C(1) << ISCSI_KEY_max_burst ? k->max_burst
							       : rows[ISCSI_KEY_max_burst].def;
}

static void negotiate(struct iscsi_keys *k, const struct row *row, const char *value,
		      struct buf *answer)
{
	uint32_t theirs;
	size_t len;

	if (row->kind == KIND_LIST) {
		const char *chosen = choose(row, value, &theirs, &len);
		char text[32];

		if (!chosen || len >= sizeof(text)) {
			reject(k, row, answer);
			return;
		}
		memcpy(text, chosen, len);
		text[len] = '\0';
		*slot(k, row) = theirs;
		iscsi_text_add(answer, row->name, text);
		return;
	}
	if (!(row->kind == KIND_BOOL ? parse_boolean : parse_number)(value, &theirs) ||
	    theirs < row->min || theirs > row->max) {
		reject(k, row, answer);
		return;
	}
	*slot(k, row) = decide(row->rule, *slot(k, row), theirs);
	if (slot(k, row) == &k->first_burst && k->first_burst > burst_limit(k))
		k->first_burst = burst_limit(k); /* section 13.14 */
	if (row->rule == DECLARED)
		return;
	if (row->kind == KIND_BOOL)
		iscsi_text_add(answer, row->name, *slot(k, row) ? "Yes" : "No");
	else
		answer_number(answer, row, *slot(k, row));
}

static bool may_be_said(const struct row *row, enum iscsi_phase phase)
{
	if (row->kind == KIND_TEXT && row->sender == TARGET)
		return false;
	switch (row->use) {
	case LEADING:
		return phase == ISCSI_PHASE_LEADING;
	case LOGIN:
		return phase != ISCSI_PHASE_FULL_FEATURE;
	case FULL_FEATURE:
		return phase == ISCSI_PHASE_FULL_FEATURE;
	case ALWAYS:
		return true;
	}
	abort();
}

int iscsi_keys_offer(struct iscsi_keys *k, enum iscsi_phase phase, const char *name,
		     const char *value, struct buf *ret_answer, struct err *e)
{
	enum iscsi_key key = iscsi_key_find(name);
	const struct row *row;

	if (key == ISCSI_KEY_COUNT) {
		iscsi_text_add(ret_answer, name, "NotUnderstood");
		return 0;
	}
	row = &rows[key];
	if (!may_be_said(row, phase))
		return err_set(e, -EPROTO, "key %s may not be sent by the initiator now", name);
	if (k->offered & UINT64_C(1) << key)
		return err_set(e, -EPROTO, "key %s was sent twice in one negotiation", name);
	k->offered |= UINT64_C(1) << key;
	switch (row->kind) {
	case KIND_NUMBER:
	case KIND_BOOL:
	case KIND_LIST:
		negotiate(k, row, value, ret_answer);
		return 0;
	case KIND_OBSOLETE:
		iscsi_text_add(ret_answer, name, row->text);
		return 0;
	case KIND_TEXT:
		return ISCSI_KEY_IS_TEXT;
	}
	abort();
}

void iscsi_keys_each(const struct iscsi_keys *k,
		     void (*each)(void *ctx, const char *name, const char *value), void *ctx)
{
	struct iscsi_keys copy = *k;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		char text[32];
		uint32_t v;

		if (row->kind > KIND_LIST)
			continue;
		v = *slot(&copy, row);
		if (row->kind == KIND_NUMBER) {
			(void)snprintf(text, sizeof(text), "%" PRIu32, v);
		} else if (row->kind == KIND_BOOL) {
			(void)snprintf(text, sizeof(text), "%s", v ? "Yes" : "No");
		} else {
			const char *at = row->text;

			for (; v > 0; v--)
				at += strcspn(at, ",") + 1;
			(void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(at, ","), at);
		}
		each(ctx, row->name, text);
	}
}

void iscsi_text_add(struct buf *b, const char *name, const char *value)
{
	(void)buf_adds(b, name);
	(void)buf_addc(b, '=');
	(void)buf_add(b, value, strlen(value) + 1);
}

int iscsi_text_next(char **at, char *end, const char **ret_name, const char **ret_value,
		    struct err *e)
{
	char *p = *at, *nul, *eq;

	if (p == end)
		return 0;
	nul = memchr(p, '\0', (size_t)(end - p));
	if (!nul)
		return err_set(e, -EPROTO, "text does not end with a NUL");
	if (nul == p) { /* some initiators pad inside the data segment */
		for (; nul < end; nul++)
			if (*nul != '\0')
				return err_set(e, -EPROTO, "an empty pair in the text");
		*at = end;
		return 0;
	}
	eq = memchr(p, '=', (size_t)(nul - p));
	if (!eq || eq == p)
		return err_set(e, -EPROTO, "text without a key name");
	if (eq - p > ISCSI_KEY_NAME_MAX)
		return err_set(e, -EPROTO, "key name of %td bytes, allowed %d", eq - p,
			       ISCSI_KEY_NAME_MAX);
	*eq = '\0';
	if (nul - eq - 1 > (strncmp(p, "CHAP_", 5) == 0 ? ISCSI_BINARY_VALUE_MAX : ISCSI_VALUE_MAX))
		return err_set(e, -EPROTO, "value of %s is too long", p);
	*ret_name = p;
	*ret_value = eq + 1;
	*at = nul + 1;
	return 1;
}

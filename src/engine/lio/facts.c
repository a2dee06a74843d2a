/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/str.h"
#include "engine/lio/facts.h"

/* The number that text begins with. */
static uint64_t digits(const char *text, uint64_t max)
{
	size_t n = strspn(text, "0123456789");
	uint64_t v;

	return str_u64(text, n, max, &v) ? v : 0;
}

uint64_t facts_number(const char *text)
{
	return digits(text, UINT64_MAX);
}

/* What stands behind label on the same line as at, or NULL. */
static const char *after(const char *line, const char *label)
{
	const char *end = strchrnul(line, '\n');
	const char *at = memmem(line, (size_t)(end - line), label, strlen(label));

	return at ? at + strlen(label) : NULL;
}

/* What stands between two labels on one line; returns what follows, or NULL. */
static const char *between(const char *text, const char *label, const char *next,
			   struct facts_unit *ret)
{
	const char *file = strstr(text, label), *rest;
	size_t n;

	if (!file)
		return NULL;
	file += strlen(label);
	rest = after(file, next);
	if (!rest)
		return NULL;
	n = (size_t)(rest - file) - strlen(next);
	if (n == 0 || n >= sizeof(ret->file))
		return NULL;
	memcpy(ret->file, file, n);
	ret->file[n] = '\0';
	return rest;
}

bool facts_unit(const char *text, struct facts_unit *ret)
{
	const char *size = between(text, " File: ", "  Size: ", ret);

	if (!size)
		return false;
	ret->size = digits(size, UINT64_MAX);
	return true;
}

bool facts_unit_on_device(const char *text, struct facts_unit *ret)
{
	ret->size = 0;
	return between(text, "  UDEV PATH: ", "  readonly: ", ret) != NULL;
}

static void copy_line(char *to, size_t size, const char *from)
{
	size_t n = strcspn(from, "\n");

	if (n >= size)
		n = size - 1;
	memcpy(to, from, n);
	to[n] = '\0';
	if (!str_utf8_xml(to, n))
		to[0] = '\0';
}

/* "0x80 00 00 07 00 02", as the kernel has it. */
static void read_isid(const char *at, char to[static 13])
{
	size_t n = 0;

	if (str_starts(at, "0x"))
		at += 2;
	for (; n < 12 && *at; at++) {
		if (*at == ' ' && n % 2 == 0 && at[1] != ' ')
			continue;
		if (!strchr("0123456789abcdefABCDEF", *at))
			break;
		to[n++] = *at >= 'a' ? (char)(*at - 'a' + 'A') : *at;
	}
	to[n == 12 ? n : 0] = '\0';
}

static void read_peer(const char *at, char to[static SAN_ADDRESS_TEXT])
{
	char word[SAN_ADDRESS_TEXT];
	size_t n = strcspn(at, " \n");
	uint8_t family;

	to[0] = '\0';
	if (n >= sizeof(word))
		return;
	memcpy(word, at, n);
	word[n] = '\0';
	if (!san_address_parse(word, to, &family))
		to[0] = '\0';
}

bool facts_session(const char *text, struct facts_session *ret)
{
	struct facts_connection *c = NULL;

	memset(ret, 0, sizeof(*ret));
	for (const char *line = text; *line; line = strchrnul(line, '\n'), line += *line == '\n') {
		const char *at;

		/* The first line alone can say a name, the second an alias: no text of an
		 * initiator's is taken for another fact. */
		if (line == text) {
			if (!str_starts(line, "InitiatorName: "))
				return false;
			copy_line(ret->initiator, sizeof(ret->initiator),
				  line + strlen("InitiatorName: "));
		} else if (str_starts(line, "InitiatorAlias: ")) {
			copy_line(ret->alias, sizeof(ret->alias),
				  line + strlen("InitiatorAlias: "));
		} else if (str_starts(line, "LIO Session ID: ")) {
			ret->number = digits(line + strlen("LIO Session ID: "), UINT32_MAX);
			at = after(line, "ISID: ");
			if (at)
				read_isid(at, ret->isid);
			at = after(line, "TSIH: ");
			ret->tsih = at ? (uint16_t)digits(at, UINT16_MAX) : 0;
			at = after(line, "SessionType: ");
			ret->discovery = at && str_starts(at, "Discovery");
		} else if (str_starts(line, "Session State: ")) {
			ret->logged_in = after(line, "TARG_SESS_STATE_LOGGED_IN") != NULL;
		} else if (str_starts(line, "CID: ")) {
			c = ret->n_connections < SAN_CONNECTIONS_MAX
				    ? &ret->connections[ret->n_connections++]
				    : NULL;
			if (c)
				c->cid = (uint16_t)digits(line + strlen("CID: "), UINT16_MAX);
		} else if (str_starts(line, "   Address ") && c) {
			read_peer(line + strlen("   Address "), c->peer);
		}
	}
	return ret->initiator[0] != '\0';
}

bool facts_next_name(const char *text, size_t n, size_t *at, char ret[static SAN_IQN_MAX + 1])
{
	while (*at < n) {
		size_t from = *at, len = 0;

		while (from + len < n && text[from + len] != '\0' && text[from + len] != '\n')
			len++;
		*at = from + len + 1;
		if (len == 0 || len > SAN_IQN_MAX)
			continue;
		memcpy(ret, text + from, len);
		ret[len] = '\0';
		return true;
	}
	return false;
}

bool facts_next_registration(const char *text, size_t *at, char *ret, size_t size)
{
	const char *start = strstr(text + *at, "PR_REG_START: "), *end;

	if (!start)
		return false;
	start = strchr(start, '\n');
	end = start ? strstr(start, "\nPR_REG_END: ") : NULL;
	if (!end || end == start || (size_t)(end - start) > size)
		return false;
	start++;
	memcpy(ret, start, (size_t)(end - start));
	ret[end - start] = '\0';
	*at = (size_t)(end - text) + 1;
	return true;
}

/* The value of "name=value" on a line of its own. */
static bool value_of(const char *text, const char *name, char *ret, size_t size)
{
	size_t n = strlen(name), len;

	for (const char *line = text; *line; line = strchrnul(line, '\n'), line += *line == '\n') {
		if (strncmp(line, name, n) != 0 || line[n] != '=')
			continue;
		len = strcspn(line + n + 1, "\n");
		if (len == 0 || len >= size)
			return false;
		memcpy(ret, line + n + 1, len);
		ret[len] = '\0';
		return true;
	}
	return false;
}

bool facts_registration(const char *one, struct facts_registration *ret)
{
	char tag[8];
	uint64_t v;

	if (!value_of(one, "initiator_node", ret->initiator, sizeof(ret->initiator)) ||
	    !value_of(one, "target_node", ret->target, sizeof(ret->target)) ||
	    !value_of(one, "tpgt", tag, sizeof(tag)) || !str_u64(tag, strlen(tag), UINT16_MAX, &v))
		return false;
	ret->tpgt = (uint16_t)v;
	return true;
}

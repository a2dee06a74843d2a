/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stringprep.h>

#include "base/str.h"
#include "iscsi/name.h"

static bool digits(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (s[i] < '0' || s[i] > '9')
			return false;
	return true;
}

static bool is_hex(const char *s)
{
	return strspn(s, "0123456789abcdef") == strlen(s);
}

/* iqn.yyyy-mm.reversed.domain[:anything] */
static bool is_iqn(const char *s)
{
	return digits(s, 4) && s[4] == '-' && digits(s + 5, 2) && s[7] == '.' && s[8] != '\0' &&
	       s[8] != ':';
}

/*
 * RFC 3722 allows ASCII letters, digits, '-', '.' and ':'.  '_' is taken as well: names
 * made from those of virtual machines have it, and no other target refuses them.
 */
static bool ascii_allowed(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
	       c == ':' || c == '_';
}

int iscsi_name_normalise(const char *name, char ret_name[static ISCSI_NAME_MAX + 1], struct err *e)
{
	char s[2 * ISCSI_NAME_MAX + 2] = {0};
	size_t n = strlen(name);
	bool ascii = true;

	if (n == 0 || n > ISCSI_NAME_MAX)
		return err_set(e, -EINVAL, "iSCSI name of %zu bytes, allowed 1..%d", n,
			       ISCSI_NAME_MAX);
	for (size_t i = 0; i < n; i++) {
		s[i] = str_lower_c(name[i]);
		ascii &= (unsigned char)s[i] < 0x80;
		if ((unsigned char)s[i] < 0x80 && !ascii_allowed(s[i]))
			return err_set(e, -EINVAL,
				       "iSCSI name %.223s has a character that is not allowed",
				       name);
	}
	if (!ascii && (!str_utf8(name, n, NULL) ||
		       stringprep(s, sizeof(s), STRINGPREP_NO_UNASSIGNED, stringprep_iscsi) != 0 ||
		       strlen(s) > ISCSI_NAME_MAX))
		return err_set(e, -EINVAL, "iSCSI name %.223s is not one by RFC 3722", name);
	if (!(strncmp(s, "iqn.", 4) == 0 && is_iqn(s + 4)) &&
	    !(strncmp(s, "eui.", 4) == 0 && strlen(s) == 20 && is_hex(s + 4)) &&
	    !(strncmp(s, "naa.", 4) == 0 && (strlen(s) == 20 || strlen(s) == 36) && is_hex(s + 4)))
		return err_set(e, -EINVAL, "iSCSI name %.223s is neither iqn., eui. nor naa.",
			       name);
	memcpy(ret_name, s, strlen(s) + 1);
	return 0;
}

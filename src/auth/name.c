/* SPDX-License-Identifier: Apache-2.0 */
/* Apart from users.c, so that smiscsi-pam, which runs as root, links nothing else of it. */
#include "auth/users.h"
#include "base/str.h"

/* No blanks, ':' or '#': it stands in the file and in log lines.  No '(' in front: those are names
 * that the server gives itself. */
bool users_name_ok(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= USERS_NAME_MAX && *name != '(' && !strpbrk(name, ": \t\r\n#") &&
	       str_utf8(name, n, NULL) && !str_has_control(name, n);
}

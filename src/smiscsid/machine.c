/* SPDX-License-Identifier: Apache-2.0 */
#include "smiscsid/machine.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/str.h"

/* What boards leave the factory with. */
static bool is_filler(const char *s)
{
	static const char *const fillers[] = {
		"To be filled by O.E.M.",
		"Default string",
		"Not Specified",
		"Not Applicable",
		"System manufacturer",
		"System Product Name",
		"System Serial Number",
		"None",
		"0",
		"OEM",
		"O.E.M.",
		"Unknown",
		"INVALID",
		"Chassis Manufacture",
	};

	for (size_t i = 0; i < ARRAY_SIZE(fillers); i++)
		if (str_caseeq(s, fillers[i]))
			return true;
	return false;
}

static void read_text(int dir, const char *name, char ret[static MACHINE_TEXT_MAX])
{
	auto_fd int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, ret, MACHINE_TEXT_MAX - 1);

	while (n > 0 && (unsigned char)ret[n - 1] <= ' ')
		n--;
	ret[n > 0 ? n : 0] = '\0';
	if (!str_utf8_xml(ret, strlen(ret)) || is_filler(ret))
		ret[0] = '\0';
}

void machine_read(const char *dir, struct machine *ret)
{
	auto_fd int at = open(dir ? dir : "/sys/class/dmi/id", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*ret = (struct machine){0};
	if (at < 0)
		return;
	read_text(at, "sys_vendor", ret->manufacturer);
	read_text(at, "product_name", ret->model);
	read_text(at, "product_serial", ret->serial);
}

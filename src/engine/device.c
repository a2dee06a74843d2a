/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/str.h"
#include "engine/device.h"

enum { SECTOR = 512, PATH = 512, LINE = 4096 };

struct path {
	char s[PATH];
};

static struct path sysfs(unsigned major, unsigned minor, const char *below)
{
	struct path p;

	(void)snprintf(p.s, sizeof(p.s), "/sys/dev/block/%u:%u/%.300s", major, minor, below);
	return p;
}

/* The first line of a small file; "" when there is none. */
static void read_line(const char *path, char *ret, size_t size)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, ret, size - 1) : 0;

	ret[n > 0 ? n : 0] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
}

static uint64_t number(const char *path)
{
	char text[32];
	uint64_t v;

	read_line(path, text, sizeof(text));
	return str_u64(text, strlen(text), UINT64_MAX, &v) ? v : 0;
}

/* ---- what it is ---- */

/* A partition is named by its disk and its number. */
static void identify(unsigned major, unsigned minor, char *ret, size_t size)
{
	static const char *const says[] = {"wwid",	"device/wwid", "dm/uuid",
					   "md/uuid",	"serial",      "device/serial",
					   "device/cid", "loop/backing_file"};
	char part[32], text[192];
	struct path p = sysfs(major, minor, "partition");

	read_line(p.s, part, sizeof(part));
	*ret = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(says) && !*ret; i++) {
		struct path up;

		(void)snprintf(up.s, sizeof(up.s), "%s%s", *part ? "../" : "", says[i]);
		read_line(sysfs(major, minor, up.s).s, text, sizeof(text));
		if (*text && str_utf8_xml(text, strlen(text)))
			(void)snprintf(ret, size, "%s%s%s", text, *part ? ", partition " : "",
				       part);
	}
}

static int look(const char *path, struct device_facts *ret, struct stat *ret_stat, struct err *e)
{
	unsigned major, minor;
	uint64_t block;

	*ret = (struct device_facts){0};
	if (stat(path, ret_stat) < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? err_set(e, -ENODEV, "the block device is not there")
			       : err_sys(e, "the block device can't be looked at");
	if (!S_ISBLK(ret_stat->st_mode))
		return err_set(e, -ENOTBLK, "it is not a block device");
	major = major(ret_stat->st_rdev);
	minor = minor(ret_stat->st_rdev);
	if (access(sysfs(major, minor, "size").s, F_OK) < 0)
		return err_set(e, -ENODEV, "the block device is not there any more");
	ret->size = number(sysfs(major, minor, "size").s) * SECTOR;
	if (ret->size == 0)
		return err_set(e, -ENOMEDIUM, "the block device is empty");
	block = number(sysfs(major, minor, "queue/logical_block_size").s);
	if (!block)
		block = number(sysfs(major, minor, "../queue/logical_block_size").s);
	if (block != SECTOR)
		return err_set(e, -ENOTSUP,
			       "the block device has blocks of %llu bytes; only such with %d can be "
			       "served",
			       (unsigned long long)block, SECTOR);
	identify(major, minor, ret->identity, sizeof(ret->identity));
	return 0;
}

int device_look(const char *path, struct device_facts *ret, struct err *e)
{
	struct stat sb;

	return look(path, ret, &sb, e);
}

int device_check(const char *path, const char *identity, uint64_t size, struct err *e)
{
	struct device_facts is;
	int r = device_look(path, &is, e);

	if (r < 0)
		return r;
	if (*identity && !streq(identity, is.identity))
		return err_set(e, -ESTALE,
			       "another block device has this name now: it was '%s' and is '%s'",
			       identity, is.identity);
	if (is.size < size)
		return err_set(e, -EFBIG, "the block device has %llu bytes; the volume has %llu",
			       (unsigned long long)is.size, (unsigned long long)size);
	return 0;
}

/* ---- who holds it ---- */

/* Does a line of mountinfo ("36 35 98:0 /root /mnt ...") name the device?  Then where. */
static bool mounted_at(const char *line, unsigned major, unsigned minor, char *ret, size_t size)
{
	char device[32], at[PATH];
	char want[32];

	(void)snprintf(want, sizeof(want), "%u:%u", major, minor);
	if (sscanf(line, "%*s %*s %31s %*s %511s", device, at) != 2 || !streq(device, want))
		return false;
	(void)snprintf(ret, size, "is mounted at %.300s", at);
	return true;
}

static bool in_mounts(unsigned major, unsigned minor, char *ret, size_t size)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[LINE];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = mounted_at(line, major, minor, ret, size);
	if (f)
		(void)fclose(f);
	return found;
}

static bool in_swaps(dev_t dev, char *ret, size_t size)
{
	FILE *f = fopen("/proc/swaps", "re");
	char line[LINE], path[PATH];
	struct stat sb;
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%511s", path) == 1 && stat(path, &sb) == 0 &&
			S_ISBLK(sb.st_mode) && sb.st_rdev == dev;
	if (f)
		(void)fclose(f);
	if (found)
		(void)snprintf(ret, size, "is used as swap space");
	return found;
}

/* The first name in a folder of sysfs that begins so; "" when there is none. */
static void first_in(const char *path, const char *prefix, char *ret, size_t size)
{
	DIR *d = opendir(path);

	*ret = '\0';
	for (const struct dirent *x = d ? readdir(d) : NULL; x && !*ret; x = readdir(d)) {
		if (x->d_name[0] != '.' && str_starts(x->d_name, prefix))
			(void)snprintf(ret, size, "%s", x->d_name);
	}
	if (d)
		(void)closedir(d);
}

static bool is_held(dev_t dev, char *ret, size_t size)
{
	unsigned major = major(dev), minor = minor(dev);
	char name[256];

	if (in_mounts(major, minor, ret, size) || in_swaps(dev, ret, size))
		return true;
	first_in(sysfs(major, minor, "holders").s, "", name, sizeof(name));
	if (*name)
		(void)snprintf(ret, size, "is part of %s", name);
	return *name != '\0';
}

/* A whole disk is also held by who holds one of its partitions. */
static bool partition_held(dev_t dev, char *ret, size_t size)
{
	struct path dir = sysfs(major(dev), minor(dev), "");
	DIR *d = opendir(dir.s);
	char text[32], how[PATH];
	bool found = false;

	for (const struct dirent *x = d ? readdir(d) : NULL; x && !found; x = readdir(d)) {
		unsigned major, minor;
		struct path p;

		if (x->d_name[0] == '.')
			continue;
		(void)snprintf(p.s, sizeof(p.s), "%.100s%.255s/partition", dir.s, x->d_name);
		if (access(p.s, F_OK) < 0)
			continue;
		(void)snprintf(p.s, sizeof(p.s), "%.100s%.255s/dev", dir.s, x->d_name);
		read_line(p.s, text, sizeof(text));
		found = sscanf(text, "%u:%u", &major, &minor) == 2 &&
			is_held(makedev(major, minor), how, sizeof(how));
		if (found)
			(void)snprintf(ret, size, "has a partition, %.64s, which %.300s", x->d_name,
				       how);
	}
	if (d)
		(void)closedir(d);
	return found;
}

int device_why(const char *path, int code, struct err *e)
{
	struct device_facts is;
	char who[PATH];
	struct stat sb;
	int r = look(path, &is, &sb, e);

	if (r < 0)
		return r;
	switch (code) {
	case -EBUSY:
		if (is_held(sb.st_rdev, who, sizeof(who)) ||
		    partition_held(sb.st_rdev, who, sizeof(who)))
			return err_set(e, code, "the block device %s; it can't be a volume as long "
				       "as that is so", who);
		return err_set(e, code, "the block device is held by another program; it can't be a "
			       "volume as long as that is so");
	case -EPERM:
	case -EACCES:
		return err_set(e, code, "the block device may not be opened by this user; see "
			       "docs/devices.md for what smiscsid's unit needs");
	case -EROFS:
		return err_set(e, code, "the block device can only be read");
	default:
		return err_set(e, code, "the block device can't be opened: %s",
			       strerrordesc_np(-code));
	}
}

int device_claimable(const char *path, struct err *e)
{
	auto_fd int fd = open(path, O_RDWR | O_EXCL | O_NONBLOCK | O_CLOEXEC);

	return fd >= 0 ? 0 : device_why(path, -errno, e);
}

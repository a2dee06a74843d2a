/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "control/pool.h"
#include "engine/device.h"
#include "engine/engine.h"

#define GONE_SUFFIX ".gone" /* put aside: its volume is being removed */

struct pool {
	int dir;
	bool named; /* its own name is on the disk */
};

struct name {
	char s[32];
};

static struct name name_of(const char *naa, const char *suffix)
{
	struct name n;

	(void)snprintf(n.s, sizeof(n.s), "%.16s%s", naa, suffix);
	return n;
}

int pool_open(const char *state_dir, struct pool **ret, struct err *e)
{
	auto_free char *path = xasprintf("%s/" ENGINE_UNIT_DIR, state_dir);
	int fd;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "make %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(e, "open %s", path);
	*ret = xcalloc(1, sizeof(**ret));
	(*ret)->dir = fd;
	return 0;
}

void pool_close(struct pool *p)
{
	if (!p)
		return;
	(void)close(p->dir);
	free(p);
}

/* A device is taken as it is; the target will hold it. */
static int try_device(const struct san_unit *u, struct err *e)
{
	if (device_check(u->device->s, u->identity->s, u->size, e) < 0)
		return err_in(e, "%s", u->device->s);
	return 0;
}

static int claim_device(const struct san_unit *u, struct err *e)
{
	if (try_device(u, e) < 0)
		return e ? e->code : -EIO;
	if (device_claimable(u->device->s, e) < 0)
		return err_in(e, "%s", u->device->s);
	return 0;
}

/* Before anything in it is promised; who made it may have died before that. */
static int sync_name(struct pool *p, struct err *e)
{
	auto_fd int fd = p->named ? -1 : openat(p->dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (!p->named && (fd < 0 || fsync(fd) < 0))
		return err_sys(e, "sync the state folder");
	p->named = true;
	return 0;
}

static int make_file(struct pool *p, const struct san_unit *u, struct err *e)
{
	struct name n = name_of(u->naa, ENGINE_UNIT_SUFFIX);
	auto_fd int fd = -1;
	int r = sync_name(p, e);

	if (r < 0)
		return r;
	fd = openat(p->dir, n.s, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, "make the file of volume %s", u->naa);
	if (ftruncate(fd, (off_t)u->size) < 0 || fsync(fd) < 0 || fsync(p->dir) < 0) {
		(void)err_sys(e, "make the file of volume %s", u->naa);
		(void)unlinkat(p->dir, n.s, 0);
		return e ? e->code : -EIO;
	}
	return 0;
}

/* A file that is longer than its volume (growth that did not come about) does no harm. */
static int grow_file(struct pool *p, const struct san_unit *u, struct err *e)
{
	struct name n = name_of(u->naa, ENGINE_UNIT_SUFFIX);
	auto_fd int fd = openat(p->dir, n.s, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stat sb;

	if (fd < 0 || fstat(fd, &sb) < 0)
		return err_sys(e, "open the file of volume %s", u->naa);
	if ((uint64_t)sb.st_size < u->size && (ftruncate(fd, (off_t)u->size) < 0 || fsync(fd) < 0))
		return err_sys(e, "grow the file of volume %s", u->naa);
	return 0;
}

static void move_file(struct pool *p, const char *naa, const char *from, const char *to)
{
	struct name a = name_of(naa, from), b = name_of(naa, to);

	if (renameat(p->dir, a.s, p->dir, b.s) < 0 && errno != ENOENT)
		log_warn(control, "file of volume %s can't be renamed: %m", naa);
}

/* Durably: after a power failure the file of a volume that has gone must not look like data of
 * one that is unknown. */
static int put_aside(struct pool *p, const char *naa, struct err *e)
{
	move_file(p, naa, ENGINE_UNIT_SUFFIX, GONE_SUFFIX);
	if (fsync(p->dir) == 0)
		return 0;
	(void)err_sys(e, "put the file of volume %s aside", naa);
	move_file(p, naa, GONE_SUFFIX, ENGINE_UNIT_SUFFIX);
	return e ? e->code : -EIO;
}

static void remove_files(struct pool *p, const char *naa)
{
	static const char *const suffixes[] = {ENGINE_UNIT_SUFFIX, ENGINE_PR_SUFFIX, GONE_SUFFIX};

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		struct name n = name_of(naa, suffixes[i]);

		if (unlinkat(p->dir, n.s, 0) < 0 && errno != ENOENT)
			log_warn(control, "file %s can't be removed: %m", n.s);
	}
}

static void undo_first(struct pool *p, const struct san_changes *ch, size_t n)
{
	while (n-- > 0) {
		const struct san_unit *old = (const void *)ch->v[n].old,
				      *now = (const void *)ch->v[n].now;

		if (ch->v[n].kind != SAN_UNIT || *(old ? old : now)->device->s)
			continue;
		if (!old)
			remove_files(p, now->naa);
		else if (!now)
			move_file(p, old->naa, GONE_SUFFIX, ENGINE_UNIT_SUFFIX);
	}
}

int pool_prepare(struct pool *p, const struct san_changes *ch, struct err *e)
{
	for (size_t i = 0; i < ch->n; i++) {
		const struct san_unit *old = (const void *)ch->v[i].old,
				      *now = (const void *)ch->v[i].now;
		int r = 0;

		if (ch->v[i].kind != SAN_UNIT)
			continue;
		if (*(old ? old : now)->device->s)
			r = !old ? claim_device(now, e) : now ? try_device(now, e) : 0;
		else if (!old)
			r = make_file(p, now, e);
		else if (!now)
			r = put_aside(p, old->naa, e);
		else if (now->size > old->size)
			r = grow_file(p, now, e);
		if (r < 0) {
			undo_first(p, ch, i);
			return r;
		}
	}
	return 0;
}

void pool_undo(struct pool *p, const struct san_changes *ch)
{
	undo_first(p, ch, ch->n);
}

void pool_finish(struct pool *p, const struct san_changes *ch)
{
	for (size_t i = 0; i < ch->n; i++) {
		if (ch->v[i].kind == SAN_UNIT && !ch->v[i].now)
			remove_files(p, ((const struct san_unit *)(const void *)ch->v[i].old)->naa);
	}
}

static void recover_file(struct pool *p, const struct san_state *s, const char *file)
{
	const char *suffix = strchr(file, '.');
	char naa[17];
	struct stat sb;

	if (!suffix || suffix - file != 16)
		return;
	memcpy(naa, file, 16);
	naa[16] = '\0';
	if (san_unit_by_naa(s, naa)) {
		/* Its removal did not come about. */
		if (streq(suffix, GONE_SUFFIX))
			move_file(p, naa, GONE_SUFFIX, ENGINE_UNIT_SUFFIX);
		return;
	}
	if (!streq(suffix, ENGINE_UNIT_SUFFIX)) {
		if (streq(suffix, GONE_SUFFIX) || streq(suffix, ENGINE_PR_SUFFIX))
			(void)unlinkat(p->dir, file, 0);
		return;
	}
	if (fstatat(p->dir, file, &sb, AT_SYMLINK_NOFOLLOW) == 0 && sb.st_blocks == 0)
		(void)unlinkat(p->dir, file, 0);
	else
		log_warn(control, "file %s holds data of no volume that is known; it is left alone",
			 file);
}

void pool_recover(struct pool *p, const struct san_state *s)
{
	int fd = openat(p->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	if (!d) {
		log_warn(control, "the folder of volumes can't be read: %m");
		if (fd >= 0)
			(void)close(fd);
		return;
	}
	for (const struct dirent *x = readdir(d); x; x = readdir(d))
		recover_file(p, s, x->d_name);
	(void)closedir(d);
}

int pool_space(struct pool *p, const struct san_state *s, uint64_t *ret_total, uint64_t *ret_free,
	       struct err *e)
{
	uint64_t promised = 0, room;
	const struct san_unit *u;
	struct statvfs fs;
	struct san_walk w;

	if (fstatvfs(p->dir, &fs) < 0)
		return err_sys(e, "ask for space in the folder of volumes");
	for (u = san_first(&w, s, SAN_UNITS); u; u = san_next(&w)) {
		struct name n = name_of(u->naa, ENGINE_UNIT_SUFFIX);
		uint64_t used = 0;
		struct stat sb;

		if (*u->device->s)
			continue;
		if (fstatat(p->dir, n.s, &sb, AT_SYMLINK_NOFOLLOW) == 0)
			used = (uint64_t)sb.st_blocks * 512;
		promised += used < u->size ? u->size - used : 0;
	}
	room = (uint64_t)fs.f_bavail * fs.f_frsize;
	*ret_total = (uint64_t)fs.f_blocks * fs.f_frsize;
	*ret_free = room > promised ? room - promised : 0;
	return 0;
}

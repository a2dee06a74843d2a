/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "fake_kernel.h"

enum { PATH = 1024, SESSIONS_MAX = 8 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t let_go = PTHREAD_COND_INITIALIZER;
static char root[256], taken[128], held[128], stuck[128];
static unsigned fail_at, calls;
static int fail_code;
static bool failed, from;
static struct {
	char tpg[512], initiator[256];
} session[SESSIONS_MAX];

int __real_mkdirat(int dir, const char *path, mode_t mode);
int __real_unlinkat(int dir, const char *path, int flags);
int __real_symlinkat(const char *to, int dir, const char *path);
int __real_openat64(int dir, const char *path, int flags, ...);
ssize_t __real_write(int fd, const void *p, size_t n);
int __wrap_mkdirat(int dir, const char *path, mode_t mode);
int __wrap_unlinkat(int dir, const char *path, int flags);
int __wrap_symlinkat(const char *to, int dir, const char *path);
int __wrap_openat64(int dir, const char *path, int flags, ...);
ssize_t __wrap_write(int fd, const void *p, size_t n);

/* ---- files of the folder ---- */

static void put(const char *dir, const char *name, const char *text)
{
	char path[PATH];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s/%s", root, dir, name);
	f = fopen(path, "w");
	if (!f)
		abort();
	(void)fputs(text, f);
	(void)fclose(f);
}

static void get(const char *dir, const char *name, char *text, size_t size)
{
	char path[PATH];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s/%s", root, dir, name);
	f = fopen(path, "r");
	if (!f || !fgets(text, (int)size, f))
		text[0] = '\0';
	if (f)
		(void)fclose(f);
	text[strcspn(text, "\n")] = '\0';
}

static void make(const char *dir, const char *name)
{
	char path[PATH];

	(void)snprintf(path, sizeof(path), "%s/%s/%s", root, dir, name);
	if (mkdir(path, 0755) < 0)
		abort();
}

/* How many entries of a type, with a prefix, dir has. */
static unsigned count(const char *dir, unsigned char type, const char *prefix)
{
	char path[PATH];
	unsigned n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/%s", root, dir);
	d = opendir(path);
	for (const struct dirent *x; d && (x = readdir(d));)
		n += x->d_name[0] != '.' && x->d_type == type && str_starts(x->d_name, prefix);
	if (d)
		(void)closedir(d);
	return n;
}

static int remove_one(const char *path, const struct stat *sb UNUSED, int type UNUSED,
		      struct FTW *f UNUSED)
{
	return remove(path);
}

/* ---- what the kernel makes by itself ---- */

static void show_sessions(const char *tpg)
{
	char target[512], text[4096], dir[PATH];
	FILE *f;
	unsigned n = 0;

	(void)snprintf(target, sizeof(target), "%s", tpg);
	*strrchr(target, '/') = '\0';
	(void)snprintf(text, sizeof(text), "%s/%s/dynamic_sessions", root, tpg);
	f = fopen(text, "w");
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		const char *who = session[i].initiator;

		n += str_starts(session[i].tpg, target);
		if (!streq(session[i].tpg, tpg))
			continue;
		(void)snprintf(dir, sizeof(dir), "%s/%s/acls/%s", root, tpg, who);
		if (access(dir, F_OK) < 0) {
			if (f)
				(void)fprintf(f, "%s\n%c", who, 0);
			continue;
		}
		(void)snprintf(text, sizeof(text),
			       "InitiatorName: %s\nInitiatorAlias: \nLIO Session ID: %zu   ISID: "
			       "0x80 00 00 07 00 02  TSIH: %zu  SessionType: Normal\nSession "
			       "State: TARG_SESS_STATE_LOGGED_IN\nCID: 0  Connection State: "
			       "TARG_CONN_STATE_LOGGED_IN\n   Address 192.0.2.9 TCP  StatSN: 0x1\n",
			       who, i + 1, i + 1);
		put(dir + strlen(root) + 1, "info", text);
	}
	if (f)
		(void)fclose(f);
	(void)snprintf(dir, sizeof(dir), "%s/fabric_statistics/iscsi_instance", target);
	(void)snprintf(text, sizeof(text), "%u\n", n);
	put(dir, "sessions", text);
}

struct part {
	const char *name, *text; /* NULL: a directory */
};

static void populate(const char *dir, const struct part *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i].text)
			put(dir, p[i].name, p[i].text);
		else
			make(dir, p[i].name);
	}
}

static const struct part target_parts[] = {
	{"fabric_statistics",                         NULL },
	{"fabric_statistics/iscsi_instance",          NULL },
	{"fabric_statistics/iscsi_instance/sessions", "0\n"},
};
static const struct part tpg_parts[] = {
	{"np",			     NULL           },
	{"lun",			    NULL           },
	{"acls",			   NULL           },
	{"attrib",			 NULL           },
	{"param",			  NULL           },
	{"enable",			 "0\n"          },
	{"dynamic_sessions",               ""             },
	{"attrib/authentication",          "1\n"          },
	{"attrib/demo_mode_write_protect", "1\n"          },
	{"attrib/generate_node_acls",      "0\n"          },
	{"param/MaxConnections",           "1\n"          },
	{"param/InitialR2T",               "Yes\n"        },
	{"param/ImmediateData",            "Yes\n"        },
	{"param/MaxBurstLength",           "262144\n"     },
	{"param/FirstBurstLength",         "65536\n"      },
	{"param/MaxRecvDataSegmentLength", "8192\n"       },
	{"param/MaxOutstandingR2T",        "1\n"          },
	{"param/DataPDUInOrder",           "Yes\n"        },
	{"param/DataSequenceInOrder",      "Yes\n"        },
	{"param/ErrorRecoveryLevel",       "0\n"          },
	{"param/DefaultTime2Wait",         "2\n"          },
	{"param/DefaultTime2Retain",       "20\n"         },
	{"param/HeaderDigest",             "CRC32C,None\n"},
	{"param/DataDigest",               "CRC32C,None\n"},
	{"param/TargetAlias",              "LIO Target\n" },
};
static const struct part unit_parts[] = {
	{"control",                  ""   },
	{"enable",		   "0\n"},
	{"info",		     ""   },
	{"udev_path",                ""   },
	{"wwn",		      NULL },
	{"pr",		       NULL },
	{"pr/res_aptpl_metadata",    ""   },
	{"attrib",		   NULL },
	{"wwn/vpd_unit_serial",      ""   },
	{"wwn/vendor_id",            "\n" },
	{"wwn/product_id",           "\n" },
	{"wwn/revision",             "\n" },
	{"attrib/emulate_tpu",       "0\n"},
	{"attrib/emulate_tpws",      "0\n"},
	{"attrib/unmap_zeroes_data", "0\n"},
};
static const struct part acl_parts[] = {
	{"info",             "No active iSCSI Session for Initiator Endpoint: x\n"},
	{"cmdsn_depth",      "64\n"					       },
	{"param",            NULL						 },
	{"param/InitialR2T", "1\n"						},
};

/* ---- the rules ---- */

/* Cut in place: "iscsi/IQN/tpgt_1/np/X" into its parts; returns how many. */
static size_t split(char *path, char **part, size_t max)
{
	size_t n = 0;

	for (char *at = strtok_r(path, "/", &path); at && n < max; at = strtok_r(NULL, "/", &path))
		part[n++] = at;
	return n;
}

static int np_refused(char *const part[])
{
	char dir[PATH], np[2 * PATH];
	struct dirent **tpg = NULL;
	int n, r = 0;

	if (taken[0] && streq(taken, part[4]))
		return EINVAL;
	(void)snprintf(dir, sizeof(dir), "%s/iscsi/%s", root, part[1]);
	n = scandir(dir, &tpg, NULL, NULL);
	for (int i = 0; i < n; i++) {
		(void)snprintf(np, sizeof(np), "%s/%s/np/%s", dir, tpg[i]->d_name, part[4]);
		if (!streq(tpg[i]->d_name, part[2]) && access(np, F_OK) == 0)
			r = EINVAL;
		free(tpg[i]);
	}
	free(tpg);
	return r;
}

static int mkdir_refused(char *const part[], size_t n)
{
	uint64_t tag;

	if (streq(part[0], "iscsi") && n == 3 &&
	    (!str_starts(part[2], "tpgt_") ||
	     !str_u64(part[2] + 5, strlen(part[2] + 5), 65535, &tag)))
		return EINVAL;
	if (streq(part[0], "iscsi") && n == 5 && streq(part[3], "np"))
		return np_refused(part);
	return 0;
}

static void made(const char *path, char *const part[], size_t n)
{
	bool core = streq(part[0], "core");

	if (core && n == 3)
		populate(path, unit_parts, ARRAY_SIZE(unit_parts));
	else if (!core && n == 2)
		populate(path, target_parts, ARRAY_SIZE(target_parts));
	else if (!core && n == 3)
		populate(path, tpg_parts, ARRAY_SIZE(tpg_parts));
	else if (!core && n == 5 && streq(part[3], "acls"))
		populate(path, acl_parts, ARRAY_SIZE(acl_parts));
}

static int linked;
static const char *link_target;
static int find_link(const char *path, const struct stat *sb UNUSED, int type, struct FTW *f UNUSED)
{
	char to[PATH];
	ssize_t n;

	if (type != FTW_SL && type != FTW_SLN)
		return 0;
	n = readlink(path, to, sizeof(to) - 1);
	to[n > 0 ? n : 0] = '\0';
	linked += strstr(to, link_target) != NULL;
	return 0;
}

static int rmdir_refused(const char *path, char *const part[], size_t n)
{
	static const char *const lists[] = {"np", "lun", "acls"};
	char sub[PATH];

	if (streq(part[0], "core") && n == 2)
		return count(path, DT_DIR, "") ? ENOTEMPTY : 0;
	if (streq(part[0], "core")) {
		linked = 0;
		link_target = path;
		(void)snprintf(sub, sizeof(sub), "%s/iscsi", root);
		(void)nftw(sub, find_link, 8, FTW_PHYS);
		return linked ? EBUSY : 0;
	}
	if (n == 2)
		return count(path, DT_DIR, "tpgt_") ? ENOTEMPTY : 0;
	for (size_t i = 0; n == 3 && i < ARRAY_SIZE(lists); i++) {
		(void)snprintf(sub, sizeof(sub), "%s/%s", path, lists[i]);
		if (count(sub, DT_DIR, ""))
			return ENOTEMPTY;
	}
	if (n == 5 && streq(part[3], "acls"))
		return count(path, DT_DIR, "lun_") ? ENOTEMPTY : 0;
	return count(path, DT_LNK, "") ? ENOTEMPTY : 0;
}

/* A value that is written: what becomes of it, and of the rest. */
static int wrote(const char *path, const char *value)
{
	char dir[PATH], control[1024], file[512] = "";
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	unsigned long long size = 0;

	if (!slash) {
		put(".", name, value);
		return 0;
	}
	(void)snprintf(dir, sizeof(dir), "%.*s", (int)(name - 1 - path), path);
	if (str_starts(path, "core/") && streq(name, "control")) {
		char text[2048], was[512], *at;

		get(dir, "control", was, sizeof(was));
		/* A size alone leaves the file's name. */
		at = strstr(was, "fd_dev_size=");
		if (str_starts(value, "fd_dev_size=") && at)
			(void)snprintf(text, sizeof(text), "%.*s%s,fd_buffered_io=1",
				       (int)(at - was), was, value);
		else
			(void)snprintf(text, sizeof(text), "%s", value);
		put(dir, "control", text);
	} else if (str_starts(path, "core/") && streq(name, "enable")) {
		get(dir, "control", control, sizeof(control));
		get(dir, "enable", file, sizeof(file));
		if (streq(file, "1"))
			return EEXIST;
		if (!control[0] || !streq(value, "1"))
			return EINVAL;
		put(dir, name, "1\n");
	} else {
		put(dir, name, value);
		if (str_starts(path, "iscsi/") && streq(name, "enable") && streq(value, "0")) {
			for (size_t i = 0; i < SESSIONS_MAX; i++) {
				if (streq(session[i].tpg, dir))
					session[i].tpg[0] = '\0';
			}
			show_sessions(dir);
		}
	}
	get(dir, "control", control, sizeof(control));
	if (str_starts(path, "core/") &&
	    sscanf(control, "fd_dev_name=%511[^,],fd_dev_size=%llu", file, &size) == 2) {
		(void)snprintf(control, sizeof(control),
			       "Status: ACTIVATED  Max Queue Depth: 0\n        TCM FILEIO ID: 0"
			       "        File: %s  Size: %llu  Mode: Buffered-WCE Async: 0\n",
			       file, size);
		put(dir, "info", control);
	}
	if (str_starts(path, "core/") && sscanf(control, "udev_path=%511[^,],", file) == 1) {
		(void)snprintf(
			control, sizeof(control),
			"Status: ACTIVATED  Max Queue Depth: 128\n        iBlock device: loop0"
			"  UDEV PATH: %s  readonly: 0\n        Major: 7 Minor: 0  CLAIMED: "
			"IBLOCK\n",
			file);
		put(dir, "info", control);
	}
	return 0;
}

/* ---- the calls ---- */

/* Is it a change below our folder, and may it go on?  0, or the error to return. */
static int enter(int dir, const char *path, bool *ret_ours)
{
	char at[PATH], link[64];
	ssize_t n;
	int r = 0;

	*ret_ours = false;
	if (!root[0] || dir < 0 || *path == '/')
		return 0;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
	n = readlink(link, at, sizeof(at) - 1);
	at[n > 0 ? n : 0] = '\0';
	if (!streq(at, root))
		return 0;
	*ret_ours = true;
	pthread_mutex_lock(&lock);
	while (held[0] && strstr(path, held))
		pthread_cond_wait(&let_go, &lock);
	if (fail_at && ++calls >= fail_at) {
		failed = true;
		if (!from)
			fail_at = 0;
		r = fail_code;
	}
	pthread_mutex_unlock(&lock);
	return r;
}

static int end_with(int code)
{
	pthread_mutex_unlock(&lock);
	errno = code;
	return code ? -1 : 0;
}

int __wrap_mkdirat(int dir, const char *path, mode_t mode)
{
	char copy[PATH], *part[8] = {0};
	bool ours;
	int code = enter(dir, path, &ours);
	size_t n;

	if (!ours)
		return __real_mkdirat(dir, path, mode);
	(void)snprintf(copy, sizeof(copy), "%s", path);
	n = split(copy, part, ARRAY_SIZE(part));
	pthread_mutex_lock(&lock);
	if (code == 0)
		code = mkdir_refused(part, n);
	if (code == 0 && __real_mkdirat(dir, path, mode) < 0)
		code = errno;
	if (code == 0) {
		made(path, part, n);
		if (n >= 3 && streq(part[0], "iscsi")) {
			char tpg[512];

			(void)snprintf(tpg, sizeof(tpg), "iscsi/%s/%s", part[1], part[2]);
			show_sessions(tpg);
		}
	}
	return end_with(code);
}

int __wrap_unlinkat(int dir, const char *path, int flags)
{
	char copy[PATH], full[PATH], *part[8] = {0};
	bool ours;
	int code = enter(dir, path, &ours);
	size_t n;

	if (!ours)
		return __real_unlinkat(dir, path, flags);
	(void)snprintf(copy, sizeof(copy), "%s", path);
	(void)snprintf(full, sizeof(full), "%s/%s", root, path);
	n = split(copy, part, ARRAY_SIZE(part));
	pthread_mutex_lock(&lock);
	if (code == 0 && stuck[0] && strstr(path, stuck))
		code = EBUSY;
	if (code == 0 && !(flags & AT_REMOVEDIR))
		code = __real_unlinkat(dir, path, flags) < 0 ? errno : 0;
	else if (code == 0 && access(full, F_OK) < 0)
		code = ENOENT;
	else if (code == 0)
		code = rmdir_refused(path, part, n);
	if (code == 0 && (flags & AT_REMOVEDIR))
		(void)nftw(full, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	return end_with(code);
}

int __wrap_symlinkat(const char *to, int dir, const char *path)
{
	char parent[PATH];
	bool ours;
	int code = enter(dir, path, &ours);

	if (!ours)
		return __real_symlinkat(to, dir, path);
	(void)snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(path, '/') - path), path);
	pthread_mutex_lock(&lock);
	if (code == 0 && count(parent, DT_LNK, ""))
		code = EEXIST;
	if (code == 0 && access(to, F_OK) < 0)
		code = ENOENT;
	if (code == 0 && __real_symlinkat(to, dir, path) < 0)
		code = errno;
	return end_with(code);
}

/* What is opened for writing is a copy: the text is judged when it is written. */
static struct {
	int fd;
	char path[PATH];
} writing = {.fd = -1};

int __wrap_openat64(int dir, const char *path, int flags, ...)
{
	bool ours = false;
	mode_t mode = 0;
	int code = 0, fd;

	if (flags & O_CREAT) {
		va_list ap;

		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
	}
	if ((flags & O_ACCMODE) == O_WRONLY)
		code = enter(dir, path, &ours);
	if (!ours)
		return __real_openat64(dir, path, flags, mode);
	if (code) {
		errno = code;
		return -1;
	}
	fd = __real_openat64(dir, path, O_WRONLY | O_CLOEXEC);
	pthread_mutex_lock(&lock);
	writing.fd = fd;
	(void)snprintf(writing.path, sizeof(writing.path), "%s", path);
	pthread_mutex_unlock(&lock);
	return fd;
}

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
	char value[1024];

	pthread_mutex_lock(&lock);
	if (fd != writing.fd) {
		pthread_mutex_unlock(&lock);
		return __real_write(fd, p, n);
	}
	writing.fd = -1;
	(void)snprintf(value, sizeof(value), "%.*s", (int)n, (const char *)p);
	return end_with(wrote(writing.path, value)) < 0 ? -1 : (ssize_t)n;
}

/* ---- for tests ---- */

void fake_kernel_new(const char *dir)
{
	char path[PATH];

	(void)snprintf(root, sizeof(root), "%s", dir);
	memset(session, 0, sizeof(session));
	taken[0] = held[0] = stuck[0] = '\0';
	fail_at = calls = 0;
	writing.fd = -1;
	(void)snprintf(path, sizeof(path), "%s/core", root);
	(void)mkdir(path, 0755);
	(void)snprintf(path, sizeof(path), "%s/iscsi", root);
	(void)mkdir(path, 0755);
	put(".", "dbroot", "/var/target\n");
}

static void fail(unsigned nth, int code, bool all)
{
	pthread_mutex_lock(&lock);
	fail_at = nth;
	fail_code = code;
	from = all;
	calls = 0;
	failed = false;
	pthread_mutex_unlock(&lock);
}

void fake_kernel_fail(unsigned nth, int code)
{
	fail(nth, code, false);
}

void fake_kernel_fail_from(unsigned nth, int code)
{
	fail(nth, code, true);
}

void fake_kernel_stuck(const char *text)
{
	pthread_mutex_lock(&lock);
	(void)snprintf(stuck, sizeof(stuck), "%s", text ? text : "");
	pthread_mutex_unlock(&lock);
}

bool fake_kernel_failed(void)
{
	bool was;

	pthread_mutex_lock(&lock);
	was = failed;
	pthread_mutex_unlock(&lock);
	return was;
}

void fake_kernel_taken(const char *portal)
{
	pthread_mutex_lock(&lock);
	(void)snprintf(taken, sizeof(taken), "%s", portal ? portal : "");
	pthread_mutex_unlock(&lock);
}

void fake_kernel_hold(const char *text)
{
	pthread_mutex_lock(&lock);
	(void)snprintf(held, sizeof(held), "%s", text ? text : "");
	pthread_cond_broadcast(&let_go);
	pthread_mutex_unlock(&lock);
}

void fake_kernel_login(const char *tpg, const char *initiator)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		if (session[i].tpg[0])
			continue;
		(void)snprintf(session[i].tpg, sizeof(session[i].tpg), "%s", tpg);
		(void)snprintf(session[i].initiator, sizeof(session[i].initiator), "%s", initiator);
		break;
	}
	show_sessions(tpg);
	pthread_mutex_unlock(&lock);
}

void fake_kernel_logout(const char *tpg, const char *initiator)
{
	char acl[PATH];

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		if (streq(session[i].tpg, tpg) && streq(session[i].initiator, initiator))
			session[i].tpg[0] = '\0';
	}
	(void)snprintf(acl, sizeof(acl), "%s/acls/%s", tpg, initiator);
	put(acl, "info", "No active iSCSI Session for Initiator Endpoint: x\n");
	show_sessions(tpg);
	pthread_mutex_unlock(&lock);
}

static FILE *out;
static int print_one(const char *path, const struct stat *sb, int type, struct FTW *f UNUSED)
{
	char text[512];
	ssize_t n;

	if (type == FTW_SL || type == FTW_SLN) {
		n = readlink(path, text, sizeof(text) - 1);
		(void)fprintf(out, "%s -> %.*s\n", path + strlen(root), n > 0 ? (int)n : 0, text);
	} else if (S_ISDIR(sb->st_mode)) {
		(void)fprintf(out, "%s/\n", path + strlen(root));
	} else {
		FILE *in = fopen(path, "r");

		text[0] = '\0';
		if (in && !fgets(text, sizeof(text), in))
			text[0] = '\0';
		if (in)
			(void)fclose(in);
		text[strcspn(text, "\n")] = '\0';
		(void)fprintf(out, "%s = %s\n", path + strlen(root), text);
	}
	return 0;
}

static int by_line(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted: folders give their entries in any order. */
char *fake_kernel_print(void)
{
	char *text = NULL, *sorted, *line[4096], *at, *save;
	size_t size, n = 0, used = 0;

	pthread_mutex_lock(&lock);
	out = open_memstream(&text, &size);
	(void)nftw(root, print_one, 8, FTW_PHYS);
	(void)fclose(out);
	pthread_mutex_unlock(&lock);
	for (at = strtok_r(text, "\n", &save); at && n < ARRAY_SIZE(line);
	     at = strtok_r(NULL, "\n", &save))
		line[n++] = at;
	qsort(line, n, sizeof(line[0]), by_line);
	sorted = xmalloc(size + 2);
	for (size_t i = 0; i < n; i++)
		used += (size_t)sprintf(sorted + used, "%s\n", line[i]);
	sorted[used] = '\0';
	free(text);
	return sorted;
}

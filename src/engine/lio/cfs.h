/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cfs.h - configfs below one directory: make, remove, write, read, link, list
 *
 * All paths are relative to a directory descriptor, so that tests hand in a temporary tree
 * where production hands in /sys/kernel/config/target.  Every failure is a sentence that names
 * the path; "it is so already" is success.
 *
 * Depends on: base.  Threads: no state but the descriptor.
 */
#pragma once

#include "base/err.h"

enum {
	CFS_PATH = 1024,  /* "iscsi/<223>/tpgt_N/acls/<223>/lun_N/..." fits */
	CFS_VALUE = 8192, /* an attribute is at most a page; more is cut */
	CFS_NAMES_MAX = 65536
};

struct cfs {
	int root;
	char *path;            /* absolute, of root: what links point into */
	unsigned long changes; /* that were made through it */
};

/* A formatted path, in the caller's memory. */
struct cfs_path {
	char s[CFS_PATH];
};
struct cfs_path cfs_path(const char *fmt, ...) PRINTF(1, 2);

int cfs_open(const char *path, struct cfs *ret, struct err *e) MUST_CHECK;
void cfs_close(struct cfs *c);

bool cfs_exists(const struct cfs *c, const char *path);
/* CFS_THERE when the directory exists already. */
enum { CFS_THERE = 1 };
int cfs_mkdir(struct cfs *c, const char *path, struct err *e) MUST_CHECK;
int cfs_rmdir(struct cfs *c, const char *path, struct err *e) MUST_CHECK;
/* An attribute takes its value in one write or not at all. */
int cfs_write(struct cfs *c, const char *path, const char *value, struct err *e) MUST_CHECK;
/* Cut at CFS_VALUE - 1; NUL-terminated, NULs inside kept; returns the length. */
int cfs_read(const struct cfs *c, const char *path, char ret[static CFS_VALUE],
	     struct err *e) MUST_CHECK;
/* The same without the newline at the end; "" when it can't be read. */
void cfs_read_line(const struct cfs *c, const char *path, char *ret, size_t size);
/* Writes only what differs. */
int cfs_set(struct cfs *c, const char *path, const char *value, struct err *e) MUST_CHECK;
/* path becomes a link to target, which is relative to the root, too. */
int cfs_link(struct cfs *c, const char *path, const char *target, struct err *e) MUST_CHECK;
int cfs_unlink(struct cfs *c, const char *path, struct err *e) MUST_CHECK;
/* Where a link points to, as the kernel says it; false when it is none. */
bool cfs_read_link(const struct cfs *c, const char *path, char *ret, size_t size);
/* Does the link at path point to target (relative to the root)? */
bool cfs_links_to(const struct cfs *c, const char *path, const char *target);

/* Names in a directory: what a user made (directories and links) or all; sorted by nothing. */
struct cfs_names {
	char **v;
	size_t n;
};
enum cfs_kind { CFS_DIRS, CFS_LINKS, CFS_FILES };
/* A directory that is not there has no names. */
int cfs_list(const struct cfs *c, const char *path, enum cfs_kind kind, struct cfs_names *ret,
	     struct err *e) MUST_CHECK;
void cfs_names_done(struct cfs_names *n);
#define auto_names CLEANUP(cfs_names_done)
bool cfs_names_have(const struct cfs_names *n, const char *name);

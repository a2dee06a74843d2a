/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dying_vfs.h - SQLite's file layer with a process that dies at the nth write, sync or truncate
 *
 * Threads: one.
 */
#pragma once

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DYING_EXIT = 99 };

static unsigned dying_left; /* steps until death; 0 = for ever */
static sqlite3_vfs *dying_real;
static sqlite3_vfs dying_vfs;
/* SQLite has several sets of methods (with and without locks); each gets a copy of ours. */
static struct dying_kind {
	sqlite3_io_methods mine;
	const sqlite3_io_methods *real;
} dying_kinds[4];

static inline const sqlite3_io_methods *dying_methods(const sqlite3_file *f)
{
	for (size_t i = 0; i < 4; i++) {
		if (f->pMethods == &dying_kinds[i].mine)
			return dying_kinds[i].real;
	}
	abort();
}

static inline void dying_step(void)
{
	if (dying_left && --dying_left == 0)
		_exit(DYING_EXIT);
}

static inline int dying_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	dying_step();
	return dying_methods(f)->xWrite(f, p, n, at);
}

static inline int dying_sync(sqlite3_file *f, int flags)
{
	dying_step();
	return dying_methods(f)->xSync(f, flags);
}

static inline int dying_truncate(sqlite3_file *f, sqlite3_int64 n)
{
	dying_step();
	return dying_methods(f)->xTruncate(f, n);
}

/* A real file, with three of its methods put before the real ones. */
static inline int dying_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags,
			     int *out)
{
	int r = dying_real->xOpen(dying_real, name, f, flags, out);
	size_t i = 0;

	(void)v;
	if (r != SQLITE_OK || !f->pMethods)
		return r;
	while (dying_kinds[i].real && dying_kinds[i].real != f->pMethods)
		i++;
	dying_kinds[i].real = f->pMethods;
	dying_kinds[i].mine = *f->pMethods;
	dying_kinds[i].mine.iVersion = 1; /* no shared memory, no mapping: all goes through here */
	dying_kinds[i].mine.xWrite = dying_write;
	dying_kinds[i].mine.xSync = dying_sync;
	dying_kinds[i].mine.xTruncate = dying_truncate;
	f->pMethods = &dying_kinds[i].mine;
	return r;
}

/* From now on every database of this process is opened so. */
static inline void dying_install(unsigned nth)
{
	dying_left = nth;
	dying_real = sqlite3_vfs_find("unix");
	dying_vfs = *dying_real;
	dying_vfs.zName = "dying";
	dying_vfs.xOpen = dying_open;
	(void)sqlite3_vfs_register(&dying_vfs, 1);
}

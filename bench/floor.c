/* SPDX-License-Identifier: Apache-2.0 */
/*
 * floor.c - what a start of smiscsid can't be faster than
 *
 *	bench_floor        nothing, with the libraries of smiscsid: from exec to exit
 *	bench_floor DIR    prints the milliseconds that the syncs of a first start take there
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "base/clock.h"

enum { PAGE = 4096, DATABASE_PAGES = 10 };

static bool put(int fd, unsigned pages)
{
	static const char page[PAGE] = {1};

	while (pages && write(fd, page, PAGE) == PAGE)
		pages--;
	return pages == 0;
}

/* The database made aside, named, its log begun and two commits in it; the state folder's name. */
static bool syncs(int dir)
{
	auto_fd int db = openat(dir, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	auto_fd int wal = -1, up = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (db < 0 || up < 0 || !put(db, DATABASE_PAGES) || fsync(db) < 0 ||
	    renameat(dir, "new", dir, "db") < 0 || fsync(dir) < 0)
		return false;
	wal = openat(dir, "wal", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return wal >= 0 && write(wal, "head", 4) == 4 && fdatasync(wal) == 0 &&
	       fdatasync(dir) == 0 && put(wal, 3) && fdatasync(wal) == 0 && put(wal, 2) &&
	       fdatasync(wal) == 0 && fsync(up) == 0;
}

int main(int argc, char **argv)
{
	auto_fd int dir = -1;
	uint64_t begun;

	if (argc < 2)
		return 0;
	begun = clock_mono_ns();
	(void)mkdir(argv[1], 0700);
	dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || !syncs(dir)) {
		(void)fprintf(stderr, "bench_floor: %s: %m\n", argv[1]);
		return 1;
	}
	printf("%.3f\n", (double)(clock_mono_ns() - begun) / 1e6);
	return 0;
}

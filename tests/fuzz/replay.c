/* SPDX-License-Identifier: Apache-2.0 */
/* Without a fuzzing engine a fuzz target is a regression test: replay each file of a folder. */
#include <dirent.h>
#include <stdio.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
	static uint8_t buf[1 << 20];
	struct dirent *d;
	int n = 0;
	DIR *dir;

	if (argc != 2 || !(dir = opendir(argv[1]))) {
		(void)fprintf(stderr, "usage: %s CORPUS-FOLDER\n", argv[0]);
		return EXIT_FAILURE;
	}
	while ((d = readdir(dir))) {
		auto_free char *path = xasprintf("%s/%s", argv[1], d->d_name);
		FILE *f;
		uint8_t *exact;
		size_t len;

		if (d->d_name[0] == '.')
			continue;
		f = fopen(path, "re");
		if (!f) {
			perror(path);
			return EXIT_FAILURE;
		}
		len = fread(buf, 1, sizeof(buf), f);
		(void)fclose(f);
		exact = xmalloc(len); /* its own block, so that ASan sees a read past the end */
		memcpy(exact, buf, len);
		(void)LLVMFuzzerTestOneInput(exact, len);
		free(exact);
		n++;
	}
	(void)closedir(dir);
	printf("%d inputs replayed\n", n);
	return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

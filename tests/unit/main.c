/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

struct test *test_list;
int test_failures;

int main(int argc, char **argv)
{
	int n = 0, failed = 0;

	for (struct test *t = test_list; t; t = t->next) {
		if (argc > 1 && !streq(argv[1], t->name))
			continue;
		test_failures = 0;
		t->fn();
		printf("%s %d - %s\n", test_failures ? "not ok" : "ok", ++n, t->name);
		failed += test_failures > 0;
	}
	printf("1..%d\n", n);
	if (n == 0)
		printf("Bail out! no test of that name\n");
	return failed || n == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

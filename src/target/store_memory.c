/* SPDX-License-Identifier: Apache-2.0 */
/* Memory as a store: a file without a name in tmpfs, so that holes cost nothing. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "target/store_impl.h"

struct store *store_memory_open(const struct store_params *p, struct err *e)
{
	auto_fd int fd = -1;
	struct store *s;

	if ((p->block_size != 512 && p->block_size != 4096) || p->size == 0 ||
	    p->size % p->block_size || p->size > INT64_MAX) {
		(void)err_set(e, -EINVAL, "a unit of %ju bytes in blocks of %u can't be",
			      (uintmax_t)p->size, p->block_size);
		return NULL;
	}
	fd = memfd_create("unit", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)p->size) < 0) {
		(void)err_sys(e, "reserve %ju bytes of memory", (uintmax_t)p->size);
		return NULL;
	}
	s = store_new(fd, p, p->size, true);
	fd = -1;
	s->dev.thin = !p->read_only;
	return s;
}

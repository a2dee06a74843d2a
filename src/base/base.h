/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base.h - the handful of macros every other file may assume
 *
 * Depends on: libc.  Threads: no state.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define MUST_CHECK    __attribute__((warn_unused_result))
#define CLEANUP(fn)   __attribute__((cleanup(fn)))
#define UNUSED        __attribute__((unused))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define LIKELY(x)     __builtin_expect(!!(x), 1)
#define UNLIKELY(x)   __builtin_expect(!!(x), 0)

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

#define container_of(ptr, type, member)                                       \
	({                                                                    \
		__typeof__(((type *)0)->member) *member_p_ = (ptr);           \
		(type *)(void *)((char *)member_p_ - offsetof(type, member)); \
	})

/* Move ownership out of a variable: what is left behind is NULL. */
#define take(ptr)                            \
	({                                   \
		__auto_type take_p_ = (ptr); \
		(ptr) = NULL;                \
		take_p_;                     \
	})

static inline void auto_free_(void *p)
{
	free(*(void **)p);
}
#define auto_free CLEANUP(auto_free_)

/* Close a descriptor held in a local: auto_fd int fd = -1; */
void auto_close_(const int *fd);
#define auto_fd CLEANUP(auto_close_)

/* DEFINE_AUTO(cim_path, cim_path_free) lets callers write: AUTO(cim_path) p = NULL; */
#define DEFINE_AUTO(name, fn)                              \
	static inline void auto_##name##_(struct name **p) \
	{                                                  \
		fn(*p);                                    \
	}
#define AUTO(name) CLEANUP(auto_##name##_) struct name *

/*
 * Memory for process-lifetime and object-lifetime things.  These never return
 * NULL: a server that cannot get a few bytes for its own bookkeeping aborts, is
 * restarted, and recovers from the store.  Sizes that come from outside meet a
 * named maximum before they get here.
 */
void *xmalloc(size_t n) MUST_CHECK;
void *xcalloc(size_t n, size_t size) MUST_CHECK;
void *xrealloc(void *p, size_t n) MUST_CHECK;
char *xstrdup(const char *s) MUST_CHECK;
char *xstrndup(const char *s, size_t n) MUST_CHECK;
char *xasprintf(const char *fmt, ...) MUST_CHECK PRINTF(1, 2);

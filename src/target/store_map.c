/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/mman.h>
#include <unistd.h>

#include "target/store_map.h"

enum { EXTENTS_MAX = 1 << 16, WORD = 64 };

struct store_map {
	struct store_map *next;
	uint64_t first, end; /* bytes of the file; first begins a page */
	uint8_t *base;
	unsigned page_shift;
	uint64_t *there; /* atomic words, one bit a page */
};

static struct store_map *maps_of(struct store_map *const *list)
{
	return __atomic_load_n(list, __ATOMIC_ACQUIRE);
}

/*
 * The word of page *at, and in *ret_mask those of its bits that stand for pages from *at up to
 * end; *at moves behind them.
 */
static uint64_t *next_word(struct store_map *m, uint64_t *at, uint64_t end, uint64_t *ret_mask)
{
	uint64_t *word = &m->there[*at / WORD];
	uint64_t bit = *at % WORD, n = end - *at < WORD - bit ? end - *at : WORD - bit;

	*ret_mask = (n == WORD ? UINT64_MAX : ((uint64_t)1 << n) - 1) << bit;
	*at += n;
	return word;
}

/* The pages of m that hold bytes of [offset, offset + length), as [*ret_at, *ret_end). */
static bool pages_of(const struct store_map *m, uint64_t offset, uint64_t length, uint64_t *ret_at,
		     uint64_t *ret_end)
{
	uint64_t from = offset > m->first ? offset : m->first;
	uint64_t to = offset + length < m->end ? offset + length : m->end;

	if (from >= to)
		return false;
	*ret_at = (from - m->first) >> m->page_shift;
	*ret_end = ((to - m->first - 1) >> m->page_shift) + 1;
	return true;
}

const uint8_t *store_map_find(struct store_map *const *list, uint64_t offset, uint64_t length)
{
	for (struct store_map *m = maps_of(list); m; m = m->next) {
		uint64_t at, end, mask;

		if (offset < m->first || offset + length > m->end ||
		    !pages_of(m, offset, length, &at, &end))
			continue;
		while (at < end) {
			const uint64_t *word = next_word(m, &at, end, &mask);

			if ((__atomic_load_n(word, __ATOMIC_RELAXED) & mask) != mask)
				return NULL;
		}
		return m->base + (offset - m->first);
	}
	return NULL;
}

static void set_written(struct store_map *m, uint64_t offset, uint64_t length)
{
	uint64_t at, end, mask;

	if (!pages_of(m, offset, length, &at, &end))
		return;
	while (at < end) {
		uint64_t *word = next_word(m, &at, end, &mask);

		if ((__atomic_load_n(word, __ATOMIC_RELAXED) & mask) != mask)
			(void)__atomic_fetch_or(word, mask, __ATOMIC_RELAXED);
	}
}

void store_map_written(struct store_map *const *list, uint64_t offset, uint64_t length)
{
	for (struct store_map *m = maps_of(list); m; m = m->next)
		set_written(m, offset, length);
}

void store_map_punching(struct store_map *const *list, uint64_t offset, uint64_t length)
{
	for (struct store_map *m = maps_of(list); m; m = m->next) {
		uint64_t at, end, mask;

		if (!pages_of(m, offset, length, &at, &end))
			continue;
		while (at < end) {
			uint64_t *word = next_word(m, &at, end, &mask);

			(void)__atomic_fetch_and(word, ~mask, __ATOMIC_RELAXED);
		}
	}
}

/* What the file says of itself; of one in very many pieces only the beginning. */
static void look(struct store_map *m, int fd)
{
	off_t at = (off_t)m->first;

	for (int i = 0; i < EXTENTS_MAX && (uint64_t)at < m->end; i++) {
		off_t data = lseek(fd, at, SEEK_DATA);
		off_t hole = data < 0 ? data : lseek(fd, data, SEEK_HOLE);

		if (hole < 0)
			return; /* no more data */
		set_written(m, (uint64_t)data, (uint64_t)(hole - data));
		at = hole;
	}
}

void store_map_add(struct store_map **list, int fd, uint64_t from, uint64_t to)
{
	unsigned shift = (unsigned)__builtin_ctzl((unsigned long)sysconf(_SC_PAGESIZE));
	struct store_map *m;
	void *base;

	from = from >> shift << shift;
	base = mmap(NULL, to - from, PROT_READ, MAP_SHARED, fd, (off_t)from);
	if (base == MAP_FAILED)
		return;
	m = xcalloc(1, sizeof(*m));
	*m = (struct store_map){
		.next = *list, .first = from, .end = to, .base = base, .page_shift = shift};
	m->there = xcalloc((((to - from) >> shift) + WORD) / WORD, sizeof(*m->there));
	/* Written pages are noted in a map that is seen, and asked for after it is. */
	__atomic_store_n(list, m, __ATOMIC_RELEASE);
	look(m, fd);
}

void store_map_free(struct store_map *list)
{
	while (list) {
		struct store_map *next = list->next;

		(void)munmap(list->base, list->end - list->first);
		free(list->there);
		free(list);
		list = next;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "target/table.h"

void table_done(struct table *t)
{
	free(t->buckets);
	*t = (struct table){0};
}

static void grow(struct table *t)
{
	size_t n = t->n_buckets ? t->n_buckets * 2 : 16;
	struct table_link **b = xcalloc(n, sizeof(struct table_link *));

	for (size_t i = 0; i < t->n_buckets; i++) {
		struct table_link *l = t->buckets[i];

		while (l) {
			struct table_link *next = l->next;

			l->next = b[l->hash & (n - 1)];
			b[l->hash & (n - 1)] = l;
			l = next;
		}
	}
	free(t->buckets);
	t->buckets = b;
	t->n_buckets = n;
}

void table_add(struct table *t, struct table_link *l, uint64_t hash)
{
	struct table_link **b;

	if (t->count >= t->n_buckets)
		grow(t);
	b = &t->buckets[hash & (t->n_buckets - 1)];
	l->hash = hash;
	l->next = *b;
	*b = l;
	t->count++;
}

void table_remove(struct table *t, struct table_link *l)
{
	struct table_link **b = &t->buckets[l->hash & (t->n_buckets - 1)];

	while (*b != l)
		b = &(*b)->next;
	*b = l->next;
	t->count--;
}

static struct table_link *same_hash(struct table_link *l, uint64_t hash)
{
	while (l && l->hash != hash)
		l = l->next;
	return l;
}

struct table_link *table_first(const struct table *t, uint64_t hash)
{
	return t->n_buckets ? same_hash(t->buckets[hash & (t->n_buckets - 1)], hash) : NULL;
}

struct table_link *table_next(const struct table_link *l)
{
	return same_hash(l->next, l->hash);
}

void table_each(struct table *t, void (*f)(void *ctx, struct table_link *l), void *ctx)
{
	for (size_t i = 0; i < t->n_buckets; i++) {
		struct table_link *l = t->buckets[i];

		while (l) {
			struct table_link *next = l->next;

			f(ctx, l);
			l = next;
		}
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdatomic.h>

#include "base/pset.h"

enum { FAN = 32, FAN_MIN = 8 };

/* A leaf's slots are items; an inner node's are children, and min[] is the first
 * item below each, borrowed from the leaf that holds it. */
struct pset_node {
	atomic_uint refs;
	uint8_t n;
	bool leaf;
	void *slot[FAN];
	void *min[]; /* [FAN] in inner nodes only */
};

static struct pset_node *node_new(bool leaf)
{
	struct pset_node *x = xmalloc(sizeof(*x) + (leaf ? 0 : (size_t)FAN * sizeof(x->min[0])));

	atomic_init(&x->refs, 1);
	x->n = 0;
	x->leaf = leaf;
	return x;
}

static void node_unref(const struct pset_type *type, struct pset_node *x)
{
	if (atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned i = 0; i < x->n; i++) {
		if (x->leaf)
			type->unref(x->slot[i]);
		else
			node_unref(type, x->slot[i]);
	}
	free(x);
}

static void *node_min(const struct pset_node *x)
{
	return x->leaf ? x->slot[0] : x->min[0];
}

/* Make *px ours alone, copying it when anybody else holds it too.  The caller owns the path
 * down to px, so a count of one cannot rise behind our back. */
static struct pset_node *node_own(const struct pset_type *type, struct pset_node **px)
{
	struct pset_node *x = *px, *y;

	if (atomic_load_explicit(&x->refs, memory_order_acquire) == 1)
		return x;
	y = node_new(x->leaf);
	y->n = x->n;
	memcpy(y->slot, x->slot, x->n * sizeof(x->slot[0]));
	if (!x->leaf)
		memcpy(y->min, x->min, x->n * sizeof(x->min[0]));
	for (unsigned i = 0; i < x->n; i++) {
		if (x->leaf)
			type->ref(x->slot[i]);
		else
			atomic_fetch_add_explicit(&((struct pset_node *)x->slot[i])->refs, 1,
						  memory_order_relaxed);
	}
	node_unref(type, x);
	*px = y;
	return y;
}

/* Move n slots of from, starting at i, to position at of to; both have the same height. */
static void node_move(struct pset_node *to, unsigned at, struct pset_node *from, unsigned i,
		      unsigned n)
{
	memmove(&to->slot[at], &from->slot[i], n * sizeof(to->slot[0]));
	if (!to->leaf)
		memmove(&to->min[at], &from->min[i], n * sizeof(to->min[0]));
}

static void node_open(struct pset_node *x, unsigned i, unsigned n)
{
	node_move(x, i + n, x, i, x->n - i);
	x->n = (uint8_t)(x->n + n);
}

static void node_close(struct pset_node *x, unsigned i, unsigned n)
{
	node_move(x, i, x, i + n, x->n - i - n);
	x->n = (uint8_t)(x->n - n);
}

/* The first slot of a leaf whose item is not before the key. */
static unsigned leaf_seek(const struct pset_node *x, const void *key, pset_key_cmp *cmp,
			  bool *ret_equal)
{
	unsigned lo = 0, hi = x->n;

	*ret_equal = false;
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		int c = cmp(key, x->slot[mid]);

		if (c > 0) {
			lo = mid + 1;
		} else {
			hi = mid;
			if (c == 0)
				*ret_equal = true;
		}
	}
	return lo;
}

/* The last child that starts before the key (strictly: equal items may reach back into it). */
static unsigned inner_seek(const struct pset_node *x, const void *key, pset_key_cmp *cmp)
{
	unsigned lo = 0, hi = x->n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (cmp(key, x->min[mid]) > 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? lo - 1 : 0;
}

/* The child whose range holds the item: the last that starts at or before it. */
static unsigned inner_place(const struct pset_node *x, const void *item, pset_key_cmp *cmp)
{
	unsigned lo = 0, hi = x->n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;

		if (cmp(item, x->min[mid]) >= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? lo - 1 : 0;
}

void pset_done(struct pset *s)
{
	if (s->root)
		node_unref(s->type, s->root);
	s->root = NULL;
	s->count = 0;
}

struct pset pset_copy(const struct pset *s)
{
	if (s->root)
		atomic_fetch_add_explicit(&s->root->refs, 1, memory_order_relaxed);
	return *s;
}

void *pset_find(const struct pset *s, const void *key, pset_key_cmp *cmp)
{
	struct pset_iter it;
	void *item = pset_seek(s, &it, key, cmp);

	return item && cmp(key, item) == 0 ? item : NULL;
}

/* Split the full node x in half; the caller links the returned right half. */
static struct pset_node *node_split(struct pset_node *x)
{
	struct pset_node *right = node_new(x->leaf);

	node_move(right, 0, x, FAN / 2, FAN / 2);
	right->n = FAN / 2;
	x->n = FAN / 2;
	return right;
}

/* Returns whether the set grew; *ret_right is a new sibling when *px had to split. */
static bool put_below(struct pset *s, struct pset_node **px, void *item,
		      struct pset_node **ret_right)
{
	struct pset_node *x = node_own(s->type, px), *right = NULL;
	bool grew = true, equal;
	unsigned i;

	*ret_right = NULL;
	if (x->leaf) {
		i = leaf_seek(x, item, s->type->cmp, &equal);
		if (equal) {
			void *was = x->slot[i];

			x->slot[i] = item;
			s->type->unref(was);
			return false;
		}
		if (x->n == FAN) {
			*ret_right = node_split(x);
			if (i > FAN / 2) {
				x = *ret_right;
				i -= FAN / 2;
			}
		}
		node_open(x, i, 1);
		x->slot[i] = item;
		return true;
	}
	i = inner_place(x, item, s->type->cmp);
	grew = put_below(s, (struct pset_node **)&x->slot[i], item, &right);
	x->min[i] = node_min(x->slot[i]);
	if (!right)
		return grew;
	i++;
	if (x->n == FAN) {
		*ret_right = node_split(x);
		if (i > FAN / 2) {
			x = *ret_right;
			i -= FAN / 2;
		}
	}
	node_open(x, i, 1);
	x->slot[i] = right;
	x->min[i] = node_min(right);
	return grew;
}

void pset_put(struct pset *s, void *item)
{
	struct pset_node *right;

	s->type->ref(item);
	if (!s->root)
		s->root = node_new(true);
	if (put_below(s, &s->root, item, &right))
		s->count++;
	if (right) {
		struct pset_node *top = node_new(false);

		top->slot[0] = s->root;
		top->slot[1] = right;
		top->min[0] = node_min(s->root);
		top->min[1] = node_min(right);
		top->n = 2;
		s->root = top;
	}
}

/* Child i of x has too few slots: join it with a neighbour, or share evenly between the two. */
static void refill(struct pset *s, struct pset_node *x, unsigned i)
{
	unsigned l = i ? i - 1 : 0;
	struct pset_node *a, *b;

	if (x->n < 2)
		return;
	a = node_own(s->type, (struct pset_node **)&x->slot[l]);
	b = node_own(s->type, (struct pset_node **)&x->slot[l + 1]);
	if (a->n + b->n <= FAN) {
		node_move(a, a->n, b, 0, b->n);
		a->n = (uint8_t)(a->n + b->n);
		b->n = 0;
		node_unref(s->type, b);
		node_close(x, l + 1, 1);
	} else if (a->n < b->n) {
		unsigned n = (b->n - a->n) / 2U;

		node_move(a, a->n, b, 0, n);
		a->n = (uint8_t)(a->n + n);
		node_close(b, 0, n);
		x->min[l + 1] = node_min(b);
	} else {
		unsigned n = (a->n - b->n) / 2U;

		node_open(b, 0, n);
		node_move(b, 0, a, a->n - n, n);
		a->n = (uint8_t)(a->n - n);
		x->min[l + 1] = node_min(b);
	}
	x->min[l] = node_min(a);
}

/* item is known to be there. */
static void del_below(struct pset *s, struct pset_node **px, const void *item)
{
	struct pset_node *x = node_own(s->type, px), *child;
	bool equal;
	unsigned i;

	if (x->leaf) {
		void *was;

		i = leaf_seek(x, item, s->type->cmp, &equal);
		assert(equal);
		was = x->slot[i];
		node_close(x, i, 1);
		s->type->unref(was);
		return;
	}
	i = inner_place(x, item, s->type->cmp);
	del_below(s, (struct pset_node **)&x->slot[i], item);
	child = x->slot[i];
	if (child->n < FAN_MIN)
		refill(s, x, i);
	else
		x->min[i] = node_min(child);
}

bool pset_del(struct pset *s, const void *item)
{
	struct pset_node *x;

	if (!pset_find(s, item, s->type->cmp))
		return false;
	del_below(s, &s->root, item);
	s->count--;
	x = s->root;
	if (!x->leaf && x->n == 1) {
		s->root = x->slot[0];
		x->n = 0;
		node_unref(s->type, x);
	} else if (x->n == 0) {
		node_unref(s->type, x);
		s->root = NULL;
	}
	return true;
}

/* From the inner position at the iterator's last level down to the first item below it. */
static void *descend(struct pset_iter *it)
{
	const struct pset_node *x = it->node[it->depth - 1];

	while (!x->leaf) {
		x = x->slot[it->at[it->depth - 1]];
		assert(it->depth < PSET_DEPTH_MAX);
		it->node[it->depth] = x;
		it->at[it->depth++] = 0;
	}
	return x->slot[it->at[it->depth - 1]];
}

void *pset_first(const struct pset *s, struct pset_iter *it)
{
	it->depth = 0;
	if (!s->root)
		return NULL;
	it->node[0] = s->root;
	it->at[0] = 0;
	it->depth = 1;
	return descend(it);
}

void *pset_seek(const struct pset *s, struct pset_iter *it, const void *key, pset_key_cmp *cmp)
{
	const struct pset_node *x = s->root;
	bool equal;
	unsigned i;

	it->depth = 0;
	if (!x)
		return NULL;
	while (!x->leaf) {
		i = inner_seek(x, key, cmp);
		assert(it->depth < PSET_DEPTH_MAX - 1);
		it->node[it->depth] = x;
		it->at[it->depth++] = (uint8_t)i;
		x = x->slot[i];
	}
	i = leaf_seek(x, key, cmp, &equal);
	it->node[it->depth] = x;
	it->at[it->depth++] = (uint8_t)i;
	if (i < x->n)
		return x->slot[i];
	/* Past this leaf: the answer, if any, is the first item of the next one. */
	it->at[it->depth - 1] = (uint8_t)(i - 1);
	return pset_next(it);
}

void *pset_next(struct pset_iter *it)
{
	while (it->depth) {
		const struct pset_node *x = it->node[it->depth - 1];

		if (it->at[it->depth - 1] + 1U < x->n) {
			it->at[it->depth - 1]++;
			return descend(it);
		}
		it->depth--;
	}
	return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pset.h"
#include "test.h"

struct thing {
	unsigned refs, key, value;
};

static unsigned live; /* things in being: the sets must leave none behind */

static struct thing *thing_new(unsigned key, unsigned value)
{
	struct thing *t = xmalloc(sizeof(*t));

	*t = (struct thing){1, key, value};
	live++;
	return t;
}

static void thing_ref(void *item)
{
	((struct thing *)item)->refs++;
}

static void thing_unref(void *item)
{
	struct thing *t = item;

	if (--t->refs == 0) {
		live--;
		free(t);
	}
}

static int thing_cmp(const void *a, const void *b)
{
	const struct thing *x = a, *y = b;

	return (x->key > y->key) - (x->key < y->key);
}

static const struct pset_type type = {thing_cmp, thing_ref, thing_unref};

static int key_cmp(const void *key, const void *item)
{
	const unsigned *k = key;
	const struct thing *t = item;

	return (*k > t->key) - (*k < t->key);
}

static int decade_cmp(const void *key, const void *item)
{
	const unsigned *k = key;
	unsigned d = ((const struct thing *)item)->key / 10;

	return (*k > d) - (*k < d);
}

static void put(struct pset *s, unsigned key, unsigned value)
{
	struct thing *t = thing_new(key, value);

	pset_put(s, t);
	thing_unref(t);
}

enum { KEYS = 3000 };

/* What the set must hold: value by key, 0 = not there. */
static bool same(const struct pset *s, const unsigned *model)
{
	struct pset_iter it;
	const struct thing *t = pset_first(s, &it);
	size_t n = 0;

	for (unsigned k = 0; k < KEYS; k++) {
		if (!model[k])
			continue;
		if (!t || t->key != k || t->value != model[k])
			return false;
		t = pset_next(&it);
		n++;
	}
	return !t && n == s->count;
}

static unsigned rnd(uint64_t *x)
{
	*x = *x * 6364136223846793005U + 1442695040888963407U;
	return (unsigned)(*x >> 33);
}

TEST(random_changes_give_what_a_sorted_array_gives_and_snapshots_stay_as_they_were)
{
	enum { SNAPS = 6 };
	static unsigned model[KEYS], snap_model[SNAPS][KEYS];
	struct pset s = pset_of(&type), snap[SNAPS];
	uint64_t x = 42;

	for (unsigned i = 0; i < SNAPS; i++)
		snap[i] = pset_of(&type);
	for (unsigned step = 1; step <= 120000; step++) {
		unsigned key = rnd(&x) % KEYS;
		/* Waves of growth and shrinking, so that nodes split and join. */
		bool grow = rnd(&x) % 100 < (step / 10000 % 2 ? 20 : 75);

		if (grow) {
			put(&s, key, step);
			model[key] = step;
		} else {
			struct thing probe = {0, key, 0};

			CHECK_INT(pset_del(&s, &probe), model[key] != 0);
			model[key] = 0;
		}
		if (step % 997 == 0) {
			unsigned i = rnd(&x) % SNAPS;

			CHECK(same(&snap[i], snap_model[i]));
			pset_done(&snap[i]);
			snap[i] = pset_copy(&s);
			memcpy(snap_model[i], model, sizeof(model));
			CHECK(same(&s, model));
		}
	}
	CHECK(same(&s, model));
	for (unsigned k = 0; k < KEYS; k++) {
		struct thing probe = {0, k, 0};

		pset_del(&s, &probe);
	}
	CHECK_INT(s.count, 0);
	for (unsigned i = 0; i < SNAPS; i++) {
		CHECK(same(&snap[i], snap_model[i]));
		pset_done(&snap[i]);
	}
	pset_done(&s);
	CHECK_INT(live, 0);
}

TEST(find_and_seek_take_a_key_that_stands_for_a_range)
{
	struct pset s = pset_of(&type);
	struct pset_iter it;
	const struct thing *t;

	for (unsigned k = 0; k < 5000; k += 3)
		put(&s, k, k + 1);
	for (unsigned k = 0; k < 5000; k++) {
		t = pset_find(&s, &k, key_cmp);
		CHECK_INT(t ? t->value : 0, k % 3 ? 0 : k + 1);
		t = pset_seek(&s, &it, &k, key_cmp);
		CHECK_INT(t ? t->key : 9999, k > 4998 ? 9999 : (k + 2) / 3 * 3);
	}
	for (unsigned d = 0; d < 500; d++) {
		unsigned n = 0, want = 0;

		for (t = pset_seek(&s, &it, &d, decade_cmp); t && decade_cmp(&d, t) == 0;
		     t = pset_next(&it))
			n++;
		for (unsigned k = d * 10; k < d * 10 + 10; k++)
			want += k % 3 == 0;
		CHECK_INT(n, want);
	}
	pset_done(&s);
	CHECK_INT(live, 0);
}

TEST(an_empty_set_answers_everything)
{
	struct pset s = pset_of(&type), copy = pset_copy(&s);
	struct pset_iter it;
	struct thing probe = {0, 1, 0};
	unsigned key = 1;

	CHECK(!pset_first(&s, &it));
	CHECK(!pset_next(&it));
	CHECK(!pset_seek(&s, &it, &key, key_cmp));
	CHECK(!pset_find(&copy, &key, key_cmp));
	CHECK(!pset_del(&s, &probe));
	pset_done(&copy);
	pset_done(&s);
	CHECK(sizeof(struct pset_iter) <= 160);
}

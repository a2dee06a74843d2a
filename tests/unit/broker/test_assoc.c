/* SPDX-License-Identifier: Apache-2.0 */
#include "assoc_check.h"
#include "toy.h"

TEST(enumerating_and_walking_agree_for_every_association)
{
	AUTO(toy) t = toy_new(7, TOY_INLINE, NULL);
	struct broker_config c = toy_config(t);

	CHECK_INT(assoc_check_all(toy_broker(t), c.namespaces, c.n_namespaces), 7 + 3 + 1);
}

/* The check itself: a module whose walk forgets a link must not pass. */
static bool walk_less(const struct prov_ctx *c, int which, const struct prov_obj *from,
		      struct prov_iter *it, struct prov_link *ret)
{
	(void)c, (void)which, (void)from, (void)it, (void)ret;
	return false;
}

TEST(a_walk_that_finds_less_than_the_enumeration_is_noticed)
{
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);
	struct broker_config c = toy_config(t);
	struct prov_assoc assoc = c.modules[0]->assocs[1];
	struct prov_class classes[4];
	struct prov_module m = *c.modules[0];
	const struct prov_module *mods[] = {&m};
	struct broker *b;
	struct err e;
	int failures;

	memcpy(classes, m.classes, sizeof(classes));
	for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
		classes[i].mod = &m;
	assoc.mod = &m;
	assoc.walk = walk_less;
	m.classes = classes;
	m.assocs = &assoc;
	m.n_assocs = 1;
	c.modules = mods;
	b = broker_new(&c, &e);
	CHECK(b != NULL);
	failures = test_failures;
	(void)assoc_check_all(b, c.namespaces, c.n_namespaces);
	if (test_failures > failures)
		test_failures = failures;
	else
		test_failures++;
	broker_free(b);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "sample.h"
#include "test.h"

static struct cim_path *path_of(struct arena *a, const char *text)
{
	struct cim_path *p = NULL;
	struct err e = {0};

	if (cim_path_parse(a, text, strlen(text), &p, &e) < 0)
		printf("# %s: %s\n", text, e.text);
	CHECK(p != NULL);
	return p;
}

TEST(a_path_is_printed_as_it_was_read)
{
	static const struct {
		const char *text, *want; /* want NULL: the same */
	} t[] = {
		{"root/t:T_Solo.ID=5",                               NULL                },
		{"T_Solo.ID=-5",				     NULL                },
		{"T_Solo",					   NULL                },
		{"root/t:T_Solo=@",                                  "root/t:T_Solo"     },
		{"/root/t/:T_Solo.ID=5",                             "root/t:T_Solo.ID=5"},
		{"//host:5988/root/t:T_Solo.ID=5",                   NULL                },
		{"T_Port.Kind=\"a,b\",Name=\"q\\\"\\\\.=:\"",        NULL                },
		{"T_X.B=true,R=1.5e3",                               NULL                },
		{"a-b/c:T_Link.From=\"root/t:T_Solo.ID=\\\"x\\\"\"", NULL                },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		AUTO(arena) a = arena_new(1 << 20);
		struct cim_path *p = path_of(a, t[i].text);

		if (p)
			CHECK_STR(cim_path_print(a, p), t[i].want ? t[i].want : t[i].text);
	}
}

TEST(what_is_no_path_is_refused_with_a_reason)
{
	static const char *const t[] = {
		"",        "root/t:",     ".ID=1",       "T.",         "T.ID",
		"T.ID=",   "T.ID=abc",    "T.ID=\"open", "T.ID=\"a\\", "T.ID=\"a\"b",
		"T.ID=1,", "T.ID=1,,B=2", "T ID=1",      "//host",     "///x:T",
		"T.=1",    "5T.A=1",      "T.A=\xff",    "T.A=0x",     "root/t:T.A=1;B=2",
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		AUTO(arena) a = arena_new(1 << 20);
		struct cim_path *p = NULL;
		struct err e = {0};

		if (cim_path_parse(a, t[i], strlen(t[i]), &p, &e) == 0)
			printf("# accepted: %s\n", t[i]);
		CHECK(!p && e.text[0]);
	}
}

TEST(a_path_has_at_most_64_keys)
{
	AUTO(arena) a = arena_new(1 << 20);
	char text[1024] = "T.";
	struct cim_path *p = NULL;
	struct err e = {0};
	size_t n = 2;

	for (int i = 0; i < 65; i++, n += 4)
		memcpy(text + n, "A=1,", 4);
	CHECK_INT(cim_path_parse(a, text, n - 1, &p, &e), -EINVAL);
	CHECK_INT(cim_path_parse(a, text, n - 5, &p, &e), 0);
	CHECK_INT(p->n_keys, 64);
}

TEST(resolving_types_the_keys_and_puts_them_in_order)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_path *p = path_of(a, "t_port.NAME=\"n\",kind=\"k\"");
	struct cim_path *s = path_of(a, "T_Solo.id=\"0x10\"");
	struct err e = {0};

	CHECK_INT(cim_path_resolve(p, &t_ns, a, &e), 0);
	CHECK_STR(cim_path_print(a, p), "T_Port.Kind=\"k\",Name=\"n\"");
	CHECK(p->cls == &t_port);
	CHECK_INT(p->keys[0].v.type, CIM_STRING);
	CHECK_INT(cim_path_resolve(s, &t_ns, a, &e), 0);
	CHECK_INT(s->keys[0].v.u, 16);
}

TEST(a_single_key_may_come_without_its_name)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_path *p = path_of(a, "T_Solo.ID=1"), *q = path_of(a, "T_Port.Kind=\"k\"");
	struct err e = {0};

	p->keys[0].name = q->keys[0].name = NULL;
	CHECK_INT(cim_path_resolve(p, &t_ns, a, &e), 0);
	CHECK_STR(p->keys[0].name, "ID");
	CHECK_INT(cim_path_resolve(q, &t_ns, a, &e), -EINVAL);
}

TEST(references_within_a_path_are_resolved_too)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_path *p = path_of(a, "T_Link.To=\"T_Port.Name=\\\"b\\\",Kind=\\\"k\\\"\","
					"From=\"root/u:T_Solo.ID=7\"");
	struct cim_path *same = path_of(a, "T_Link.From=\"root/u:T_Solo.ID=007\","
					   "To=\"T_Port.Kind=\\\"k\\\",Name=\\\"b\\\"\"");
	struct err e = {0};

	CHECK_INT(cim_path_resolve(p, &t_ns, a, &e), 0);
	CHECK_INT(cim_path_resolve(same, &t_ns, a, &e), 0);
	CHECK_STR(cim_path_print(a, p), "T_Link.From=\"root/u:T_Solo.ID=7\","
					"To=\"T_Port.Kind=\\\"k\\\",Name=\\\"b\\\"\"");
	CHECK(cim_path_eq(p, same));
	CHECK(cim_path_hash(p) == cim_path_hash(same));
	CHECK(cim_path_eq(p, cim_path_dup(a, p)));
}

TEST(what_does_not_fit_the_class_is_refused)
{
	static const struct {
		const char *text;
		int want;
		const char *says;
	} t[] = {
		{"T_None.ID=1",                -ENOENT, "T_None"       },
		{"T_Solo.ID=\"x\"",            -EINVAL, "key ID"       },
		{"T_Solo.ID=1,id=2",           -EINVAL, "twice"        },
		{"T_Solo.Nr=1",                -EINVAL, "no key \"Nr\""},
		{"T_Link.From=5",              -EINVAL, "key From"     },
		{"T_Link.From=\"T_None.X=1\"", -EINVAL, "T_None"       },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		AUTO(arena) a = arena_new(1 << 20);
		struct cim_path *p = path_of(a, t[i].text);
		struct err e = {0};

		CHECK_INT(cim_path_resolve(p, &t_ns, a, &e), t[i].want);
		if (!strstr(e.text, t[i].says))
			printf("# %s: %s\n", t[i].text, e.text);
		CHECK(strstr(e.text, t[i].says) != NULL);
	}
}

TEST(missing_keys_are_left_out)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_path *p = path_of(a, "T_Port.Name=\"n\"");
	struct err e = {0};

	CHECK_INT(cim_path_resolve(p, &t_ns, a, &e), 0);
	CHECK_INT(p->n_keys, 1);
	CHECK_STR(p->keys[0].name, "Name");
}

TEST(references_nest_only_so_deep)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_path inner = {.class_name = "T_Solo"};
	struct cim_key keys[12];
	struct cim_path link[12];
	struct err e = {0};

	for (unsigned i = 0; i < 12; i++) {
		keys[i] = (struct cim_key){"From", cim_ref(i ? &link[i - 1] : &inner)};
		link[i] = (struct cim_path){.class_name = "T_Link", .keys = &keys[i], .n_keys = 1};
	}
	CHECK_INT(cim_path_resolve(&link[6], &t_ns, a, &e), 0);
	for (unsigned i = 0; i < 12; i++) {
		keys[i] = (struct cim_key){"From", cim_ref(i ? &link[i - 1] : &inner)};
		link[i] = (struct cim_path){.class_name = "T_Link", .keys = &keys[i], .n_keys = 1};
	}
	CHECK_INT(cim_path_resolve(&link[11], &t_ns, a, &e), -EINVAL);
	CHECK(cim_path_print(a, &link[11]) == NULL);
}

TEST(the_namespace_counts_only_when_both_have_one)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_path *none = path_of(a, "T_Solo.ID=1"), *t = path_of(a, "root/T:T_Solo.ID=1"),
			*u = path_of(a, "root/u:T_Solo.ID=1");
	struct err e = {0};

	CHECK_INT(cim_path_resolve(none, &t_ns, a, &e), 0);
	CHECK_INT(cim_path_resolve(t, &t_ns, a, &e), 0);
	CHECK_INT(cim_path_resolve(u, &t_ns, a, &e), 0);
	CHECK(cim_path_eq(none, t));
	CHECK(cim_path_eq(none, u));
	CHECK(!cim_path_eq(t, u));
	CHECK(cim_path_hash(t) == cim_path_hash(u));
}

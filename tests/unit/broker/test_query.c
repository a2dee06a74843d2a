/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/buf.h"
#include "broker/query.h"
#include "test.h"
#include "toy.h"

static int parse_usual(struct arena *a, enum query_lang lang, const char *text, size_t n,
		       struct query **ret, struct err *e)
{
	return query_parse(a, lang, text, n, &query_limits_usual, ret, e);
}

/* An Ethernet port: DeviceID p1, Number 7, Speed 2^63, Up true, ElementName NULL. */
static int matches(enum query_lang lang, const char *where)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_instance *i = cim_instance_new(a, toy_class(T_ETH));
	char text[1024];
	struct query *q;
	struct err e;

	i->v[1] = cim_str("h");
	i->v[2] = cim_str("it's p1");
	i->v[3] = cim_u16(7);
	i->v[4] = cim_u64(UINT64_C(1) << 63);
	i->v[5] = cim_bool(true);
	(void)snprintf(text, sizeof(text), "%s%s",
		       lang == QUERY_FQL ? "" : "SELECT * FROM CIM_Port p WHERE ", where);
	if (parse_usual(a, lang, text, strlen(text), &q, &e) < 0)
		return -1;
	return query_match(q, i);
}

struct try {
	const char *where;
	int want; /* -1: doesn't parse */
};

static void check_all(enum query_lang lang, const struct try *t, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int got = matches(lang, t[i].where);

		if (got != t[i].want)
			printf("# %s\n", t[i].where);
		CHECK_INT(got, t[i].want);
	}
}

TEST(comparisons_follow_the_types)
{
	static const struct try tries[] = {
		{"Number = 7", 1},
		{"number=7", 1},
		{"7 = Number", 1},
		{"5 < Number", 1},
		{"Number <> 7", 0},
		{"Number != 7", 0},
		{"Number < 7", 0},
		{"Number <= 7", 1},
		{"Number > 6.5", 1},
		{"Number >= 8e0", 0},
		{"Number > -1", 1},
		{"Speed = 9223372036854775808", 1},
		{"Speed > 9223372036854775807", 1},
		{"Speed > -9223372036854775808", 1},
		{"SystemName = 'h'", 1},
		{"SystemName = 'H'", 0},
		{"SystemName > 'a'", 1},
		{"DeviceID = 'it''s p1'", 1},
		{"DeviceID = 'it\\'s p1'", 1},
		{"Up = TRUE", 1},
		{"Up <> false", 1},
		/* what can't be compared is unknown, and so is its opposite */
		{"Number = 'seven'", 0},
		{"NOT Number = 'seven'", 0},
	};

	check_all(QUERY_WQL, tries, ARRAY_SIZE(tries));
	check_all(QUERY_CQL, tries, ARRAY_SIZE(tries));
	check_all(QUERY_FQL, tries, ARRAY_SIZE(tries));
}

TEST(null_is_unknown_until_asked_for)
{
	static const struct try tries[] = {
		{"ElementName = 'x'", 0},
		{"ElementName <> 'x'", 0},
		{"NOT (ElementName = 'x')", 0},
		{"ElementName IS NULL", 1},
		{"ElementName IS NOT NULL", 0},
		{"ElementName = NULL", 1},
		{"ElementName <> NULL", 0},
		{"Number IS NOT NULL", 1},
		{"Nonsense IS NULL", 1},
		{"ElementName = 'x' OR Number = 7", 1},
		{"ElementName = 'x' AND Number = 7", 0},
		{"NOT (ElementName = 'x' AND Number = 8)", 1},
		{"ElementName < NULL", -1},
	};

	check_all(QUERY_WQL, tries, ARRAY_SIZE(tries));
}

TEST(and_binds_closer_than_or_and_not_closer_than_both)
{
	static const struct try tries[] = {
		{"Number = 7 OR Number = 7 AND Number = 8", 1},
		{"(Number = 7 OR Number = 7) AND Number = 8", 0},
		{"NOT Number = 8 AND Number = 7", 1},
		{"NOT (Number = 8 OR Number = 7)", 0},
		{"not not Number = 7", 1},
		{"Number = 1 OR Number = 2 OR Number = 7 OR Number = 3", 1},
	};

	check_all(QUERY_CQL, tries, ARRAY_SIZE(tries));
}

TEST(isa_asks_for_the_class_or_one_above_it)
{
	static const struct try tries[] = {
		{"p ISA TOY_EthPort", 1},     {"p ISA cim_managedelement", 1},
		{"p ISA TOY_FcPort", 0},      {"CIM_Port ISA CIM_Port", 1},
		{"NOT p ISA TOY_FcPort", 1},  {"p ISA \"TOY_EthPort\"", 1},
		{"Number ISA CIM_Port", 0},   {"p.Number = 7", 1},
		{"CIM_Port.Number = 7", 1},   {"q.Number = 7", 0},
	};

	check_all(QUERY_WQL, tries, ARRAY_SIZE(tries));
}

TEST(like_has_percent_in_wql_and_expressions_elsewhere)
{
	static const struct try wql[] = {
		{"SystemName LIKE 'h'", 1},	  {"SystemName LIKE '_'", 1},
		{"SystemName LIKE ''", 0},	  {"DeviceID LIKE 'it%'", 1},
		{"DeviceID LIKE '%p1'", 1},	  {"DeviceID LIKE '%s%1%'", 1},
		{"DeviceID LIKE '%x%'", 0},	  {"DeviceID LIKE '%p[0-9]'", 1},
		{"DeviceID LIKE '%p[^0-9]'", 0},  {"DeviceID NOT LIKE '%x%'", 1},
		{"DeviceID LIKE 'it_s p\\1'", 1}, {"DeviceID LIKE '[abc'", -1},
		{"Number LIKE '7'", 0},		  {"ElementName LIKE '%'", 0},
		{"DeviceID LIKE 7", -1},
	};
	static const struct try cql[] = {
		{"SystemName LIKE '.'", 1},    {"DeviceID LIKE 'it.*'", 1},
		{"DeviceID LIKE 'it%'", 0},    {"DeviceID LIKE '.*p[0-9]+'", 1},
		{"DeviceID LIKE 'x?i?t?.s p1'", 1}, {"DeviceID LIKE '.*\\.'", 0},
		{"DeviceID LIKE '*'", -1},     {"DeviceID LIKE '(a|b)'", -1},
	};

	check_all(QUERY_WQL, wql, ARRAY_SIZE(wql));
	check_all(QUERY_CQL, cql, ARRAY_SIZE(cql));
	check_all(QUERY_FQL, cql, ARRAY_SIZE(cql));
}

TEST(a_character_of_several_bytes_is_one_character)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_instance *i = cim_instance_new(a, toy_class(T_ETH));
	static const struct {
		const char *query;
		bool want;
	} tries[] = {
		{"SELECT * FROM CIM_Port WHERE DeviceID LIKE '_x'", true},
		{"SELECT * FROM CIM_Port WHERE DeviceID LIKE '__x'", false},
		{"SELECT * FROM CIM_Port WHERE DeviceID LIKE '\xc3\xa9x'", true},
		{"SELECT * FROM CIM_Port WHERE DeviceID LIKE '%x'", true},
	};

	i->v[2] = cim_str("\xc3\xa9x");
	for (size_t k = 0; k < ARRAY_SIZE(tries); k++) {
		struct query *q;
		struct err e;

		CHECK_INT(parse_usual(a, QUERY_WQL, tries[k].query, strlen(tries[k].query), &q, &e),
			  0);
		CHECK_INT(query_match(q, i), tries[k].want);
	}
}

TEST(moments_are_compared_and_not_their_spelling)
{
	static const struct cim_prop when = {.name = "When", .name_len = 4, .type = CIM_DATETIME};
	static const struct cim_prop *const props[] = {&when};
	static const struct cim_class cls = {.name = "X", .name_len = 1, .props = props,
					     .n_props = 1};
	static const struct {
		const char *when, *query;
		bool want;
	} tries[] = {
		{"20260301100000.000000+000", "When = '20260301120000.000000+120'", true},
		{"20260301100000.000000+000", "When < '20260301120000.000000+120'", false},
		{"20260301000000.000000+000", "When > '20260228235959.999999+000'", true},
		{"20260301000000.000000-060", "When > '20260301003000.000000+000'", true},
		{"00000003000000.000000:000", "When > '00000002235959.000000:000'", true},
		{"20260301000000.000000+000", "When > '2026'", false},
		{"20260301000000.000000+000", "When LIKE '2026.*'", true},
	};
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_instance *i = cim_instance_new(a, &cls);

	for (size_t k = 0; k < ARRAY_SIZE(tries); k++) {
		struct query *q;
		struct err e;

		i->v[0] = cim_datetime(tries[k].when);
		CHECK_INT(parse_usual(a, QUERY_FQL, tries[k].query, strlen(tries[k].query), &q, &e),
			  0);
		CHECK_INT(query_match(q, i), tries[k].want);
	}
}

TEST(arrays_are_asked_by_any_or_by_index)
{
	static const struct cim_value status[] = {
		{.type = CIM_UINT16, .kind = CIM_V_SCALAR, .u = 2},
		{.type = CIM_UINT16, .kind = CIM_V_SCALAR, .u = 5}};
	static const struct {
		const char *query;
		bool want;
	} tries[] = {
		{"ANY Status = 5", true},    {"ANY Status = 6", false}, {"Status[1] = 5", true},
		{"Status[0] = 5", false},    {"Status[2] = 5", false},	{"Status = 5", false},
		{"Status[2] IS NULL", true}, {"NOT ANY Status = 6", true},
	};
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_instance *i = cim_instance_new(a, toy_class(T_HOST));

	i->v[2] = cim_array(CIM_UINT16, status, 2);
	for (size_t k = 0; k < ARRAY_SIZE(tries); k++) {
		struct query *q;
		struct err e;

		CHECK_INT(parse_usual(a, QUERY_FQL, tries[k].query, strlen(tries[k].query), &q, &e),
			  0);
		CHECK_INT(query_match(q, i), tries[k].want);
	}
}

TEST(two_properties_can_be_compared)
{
	static const struct try tries[] = {
		{"Number = Number", 1},		  {"Number < Speed", 1},
		{"Number >= p.Speed", 0},	  {"Number <> Speed", 1},
		{"SystemName < DeviceID", 1},	  {"SystemName = DeviceID", 0},
		{"ElementName = ElementName", 0}, {"Number = SystemName", 0},
		{"Number = ", -1},		  {"7 = 7", -1},
	};

	check_all(QUERY_WQL, tries, ARRAY_SIZE(tries));
	check_all(QUERY_CQL, tries, ARRAY_SIZE(tries));
}

TEST(a_scope_names_the_class_that_has_the_property)
{
	static const struct try tries[] = {
		{"p.CIM_Port::Number = 7", 1},	    {"p.TOY_EthPort::Number = 7", 1},
		{"p.TOY_FcPort::Number = 7", 0},    {"CIM_Port::Number = 7", 1},
		{"p.TOY_FcPort::Number IS NULL", 1}, {"p.CIM_Port: Number = 7", -1},
		{"p.CIM_Port:: = 7", -1},
	};

	check_all(QUERY_CQL, tries, ARRAY_SIZE(tries));
}

/* As SNIA's predefined filters have it, with a host in place of an indication. */
TEST(chains_lead_into_embedded_instances_and_whole_arrays_compare)
{
	static const struct cim_prop now = {.name = "SourceInstance", .name_len = 14,
					    .type = CIM_OBJECT};
	static const struct cim_prop old = {.name = "PreviousInstance", .name_len = 16,
					    .type = CIM_OBJECT};
	static const struct cim_prop *const props[] = {&now, &old};
	static const struct cim_class mod = {.name = "CIM_InstModification", .name_len = 20,
					     .props = props, .n_props = 2};
	static const struct {
		enum query_lang lang;
		const char *where;
		bool want;
	} tries[] = {
		{QUERY_WQL, "SourceInstance ISA CIM_System AND SourceInstance.Status <> "
			    "PreviousInstance.Status", true},
		{QUERY_CQL, "SourceInstance ISA CIM_System AND "
			    "SourceInstance.CIM_System::Name = PreviousInstance.CIM_System::Name", true},
		{QUERY_CQL, "SourceInstance.TOY_Host::Status[*] <> "
			    "PreviousInstance.TOY_Host::Status[*]", true},
		{QUERY_CQL, "SourceInstance.TOY_Host::Status[*] = "
			    "SourceInstance.TOY_Host::Status[*]", true},
		{QUERY_CQL, "SourceInstance.Status[0] = PreviousInstance.Status[0]", true},
		{QUERY_CQL, "SourceInstance.Status[1] <> PreviousInstance.Status[1]", true},
		{QUERY_CQL, "SourceInstance.Status < PreviousInstance.Status", false},
		{QUERY_CQL, "SourceInstance ISA CIM_Port", false},
		{QUERY_CQL, "SourceInstance.Name.More = 1", false},
	};
	static const struct cim_value status[] = {
		{.type = CIM_UINT16, .kind = CIM_V_SCALAR, .u = 2},
		{.type = CIM_UINT16, .kind = CIM_V_SCALAR, .u = 5},
		{.type = CIM_UINT16, .kind = CIM_V_SCALAR, .u = 6}};
	const struct cim_value was[] = {status[0], status[2]};
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_instance *i = cim_instance_new(a, &mod);
	struct cim_instance *src = cim_instance_new(a, toy_class(T_HOST));
	struct cim_instance *prev = cim_instance_new(a, toy_class(T_HOST));

	src->v[1] = prev->v[1] = cim_str("h");
	src->v[2] = cim_array(CIM_UINT16, status, 2);
	prev->v[2] = cim_array(CIM_UINT16, was, 2);
	i->v[0] = cim_object(src);
	i->v[1] = cim_object(prev);
	for (size_t k = 0; k < ARRAY_SIZE(tries); k++) {
		char text[512];
		struct query *q;
		struct err e = {0};

		(void)snprintf(text, sizeof(text), "SELECT * FROM CIM_InstModification WHERE %s",
			       tries[k].where);
		if (parse_usual(a, tries[k].lang, text, strlen(text), &q, &e) < 0)
			CHECK_STR(e.text, "");
		else
			CHECK_INT(query_match(q, i), tries[k].want);
	}
}

TEST(what_is_no_query_says_where)
{
	static const struct {
		const char *text, *why;
	} tries[] = {
		{"", "query, at character 1: it must begin with SELECT"},
		{"SELECT", "query, at character 7: a property name or * is missing"},
		{"SELECT * FORM x", "query, at character 10: FROM is missing"},
		{"SELECT a.b FROM x", "query, at character 18: a is neither the class nor its alias"},
		{"SELECT * FROM x WHERE", "query, at character 22: a property name is missing"},
		{"SELECT * FROM x WHERE a = ", "query, at character 27: a literal is missing"},
		{"SELECT * FROM x WHERE a = 'b", "query, at character 27: a string has no end"},
		{"SELECT * FROM x WHERE a = 1 b", "query, at character 29: nothing more may follow"},
		{"SELECT * FROM x WHERE (a = 1", "query, at character 29: ) is missing"},
		{"SELECT * FROM x WHERE a = 99999999999999999999",
		 "query, at character 27: the number is too large"},
		{"SELECT * FROM x WHERE a ; b", "query, at character 25: unexpected character"},
		{"SELECT * FROM x WHERE a.b.c.d.e.f.g.h.i = 1",
		 "query, at character 39: more than 8 names in a chain"},
	};
	AUTO(arena) a = arena_new(1 << 20);

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		struct err e = {0};
		struct query *q;

		CHECK_INT(parse_usual(a, QUERY_WQL, tries[i].text, strlen(tries[i].text), &q, &e) < 0,
			  1);
		CHECK_STR(e.text, tries[i].why);
	}
}

TEST(depth_is_bounded_and_length_is_not_depth)
{
	auto_buf struct buf deep = buf_of(1 << 20), lengthy = buf_of(1 << 20);
	AUTO(arena) a = arena_new(16 << 20);
	struct query *q;
	struct err e;

	for (int i = 0; i < 40; i++)
		buf_addc(&deep, '(');
	CHECK_INT(parse_usual(a, QUERY_FQL, deep.p, deep.len, &q, &e) < 0, 1);
	CHECK(strstr(e.text, "more than 32") != NULL);
	buf_adds(&lengthy, "a = 1");
	for (int i = 0; i < 5000; i++)
		buf_adds(&lengthy, " OR a = 1");
	CHECK_INT(parse_usual(a, QUERY_FQL, lengthy.p, lengthy.len, &q, &e), 0);
}

/* head, n times one with join between them, tail; # in one is which of them it is. */
static void repeat(struct buf *b, const char *head, const char *one, const char *join, uint32_t n,
		   const char *tail)
{
	buf_clear(b);
	buf_adds(b, head);
	for (uint32_t i = 0; i < n; i++) {
		buf_adds(b, i ? join : "");
		for (const char *c = one; *c; c++)
			if (*c == '#')
				buf_addf(b, "%u", i);
			else
				buf_addc(b, *c);
	}
	buf_adds(b, tail);
}

TEST(each_bound_may_be_reached_and_not_passed)
{
	static const struct query_limits other = {
		.depth = 3, .names = 5, .chain = 2, .pattern_bytes = 7};
	static const struct {
		size_t bound;
		enum query_lang lang;
		const char *head, *one, *join, *tail;
	} tries[] = {
#define BOUND(field) offsetof(struct query_limits, field)
		/* a comparison is in a bracket or a NOT of its own, so to say */
		{BOUND(depth), QUERY_FQL, "(", "NOT ", "", "a = 1)"},
		{BOUND(names), QUERY_WQL, "SELECT ", "n#", ", ", " FROM c"},
		{BOUND(names), QUERY_CQL, "SELECT ", "n", ", ", " FROM c"},
		{BOUND(names), QUERY_FQL, "", "n# = 1", " OR ", ""},
		{BOUND(chain), QUERY_FQL, "", "n#", ".", " = 1"},
		{BOUND(chain), QUERY_FQL, "", "X::n[1]", ".", " IS NULL"},
		{BOUND(pattern_bytes), QUERY_WQL, "SELECT * FROM c WHERE n LIKE '", "x", "", "'"},
		{BOUND(pattern_bytes), QUERY_FQL, "n LIKE '", ".", "", "'"},
#undef BOUND
	};

	for (size_t i = 0; i < ARRAY_SIZE(tries) * 2; i++) {
		const struct query_limits *l = i % 2 ? &other : &query_limits_usual;
		uint32_t most = *(const uint32_t *)(const void *)((const char *)l + tries[i / 2].bound);
		uint32_t more = tries[i / 2].bound == 0 ? 2 : 0; /* the bracket, the comparison */
		auto_buf struct buf b = buf_of(1 << 16);
		AUTO(arena) a = arena_new(1 << 20);
		struct query *q;
		char said[16];
		struct err e;

		for (uint32_t over = 0; over < 2; over++) {
			repeat(&b, tries[i / 2].head, tries[i / 2].one, tries[i / 2].join,
			       most + over - more, tries[i / 2].tail);
			CHECK_INT(query_parse(a, tries[i / 2].lang, b.p, b.len, l, &q, &e),
				  over ? -EINVAL : 0);
		}
		(void)snprintf(said, sizeof(said), "%u", most);
		CHECK(strstr(e.text, said) != NULL);
	}
}

TEST(what_a_query_needs_is_in_proportion_to_its_length)
{
	static const struct {
		const char *one, *join;
	} tries[] = {
		{"a=1", " OR "}, {"a=b", " OR "}, {"''=a", " OR "}, {"a='\\\\'", "OR "},
		{"a LIKE ''", "OR "}, {"a LIKE '[x][x]'", "OR "}, {"NOT NOT NOT a=1", "OR "},
		{"a.a.a.a.a.a.a.a=1", "OR "}, {"a=1e0", "OR "}, {"a::a=1", "OR "},
		{"a IS NULL", " AND "}, {"a ISA 'x'", "OR "}, {"a=\"it's\"", "OR "},
	};

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		auto_buf struct buf b = buf_of(1 << 18);
		AUTO(arena) a = arena_new(64 << 20);
		struct query *q;
		struct err e;

		repeat(&b, "", tries[i].one, tries[i].join, 4000, "");
		e.text[0] = '\0';
		CHECK_INT(query_parse(a, QUERY_FQL, b.p, b.len, &query_limits_usual, &q, &e), 0);
		CHECK_STR(e.text, "");
		CHECK(arena_used(a) <= 32 * b.len);
	}
}

TEST(a_query_that_needs_too_much_memory_is_told_from_one_with_a_mistake)
{
	auto_buf struct buf b = buf_of(1 << 18);
	AUTO(arena) a = arena_new(1 << 16);
	struct query *q;
	struct err e;

	repeat(&b, "", "a = 1", " OR ", 4000, "");
	CHECK_INT(query_parse(a, QUERY_FQL, b.p, b.len, &query_limits_usual, &q, &e), -ENOMEM);
	CHECK(strstr(e.text, "memory") != NULL);
}

TEST(the_languages_are_known_by_their_names)
{
	static const struct {
		const char *name;
		int lang;
	} tries[] = {{"WQL", QUERY_WQL}, {"wql", QUERY_WQL}, {"DMTF:CQL", QUERY_CQL},
		     {"DMTF:FQL", QUERY_FQL}, {"SQL", -1}, {"", -1}};

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		enum query_lang l;

		CHECK_INT(query_lang_parse(tries[i].name, &l) ? (int)l : -1, tries[i].lang);
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cimxml/decode.h"
#include "cimxml/encode.h"
#include "sample.h"
#include "test.h"

#define HEAD                                                                                       \
	"<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\">" \
	"<MESSAGE ID=\"7\" PROTOCOLVERSION=\"1.0\"><SIMPLERSP>"
#define TAIL    "</SIMPLERSP></MESSAGE></CIM>\n"
#define I(m, x) HEAD "<IMETHODRESPONSE NAME=\"" m "\">" x "</IMETHODRESPONSE>" TAIL
#define NS                                                          \
	"<LOCALNAMESPACEPATH><NAMESPACE NAME=\"root\"/><NAMESPACE " \
	"NAME=\"t\"/></LOCALNAMESPACEPATH>"
/* t: an attribute more of each key */
#define PORT_OF(t)                                                                                 \
	"<INSTANCENAME CLASSNAME=\"T_Port\"><KEYBINDING NAME=\"Kind\"><KEYVALUE "                  \
	"VALUETYPE=\"string\"" t ">k</KEYVALUE></KEYBINDING><KEYBINDING NAME=\"Name\"><KEYVALUE "   \
	"VALUETYPE=\"string\"" t ">a&amp;b</KEYVALUE></KEYBINDING></INSTANCENAME>"
#define PORT PORT_OF("")
#define SOLO(n)                                                                 \
	"<INSTANCENAME CLASSNAME=\"T_Solo\"><KEYBINDING NAME=\"ID\"><KEYVALUE " \
	"VALUETYPE=\"numeric\">" n "</KEYVALUE></KEYBINDING></INSTANCENAME>"

struct given {
	struct arena *a;
	struct cimxml_plans *plans;
	struct cim_request rq;
	struct cimxml_answer an;
	struct cimxml_encoder *x;
	struct buf out;
	struct cim_key keys[2];
	struct cim_path port;
};

static void setup(struct given *g, enum cim_op op)
{
	*g = (struct given){.a = arena_new(1 << 24), .plans = cimxml_plans_new(4)};
	g->rq = (struct cim_request){.op = op, .message_id = "7"};
	g->an = (struct cimxml_answer){
		.rq = &g->rq, .plans = g->plans, .host = "h", .ns = "root/t"};
	g->x = cimxml_encoder_new(g->a, &g->an);
	g->out = buf_of(1 << 24);
	g->keys[0] = (struct cim_key){"Kind", cim_str("k")};
	g->keys[1] = (struct cim_key){"Name", cim_str("a&b")};
	g->port = (struct cim_path){
		.class_name = "T_Port", .cls = &t_port, .keys = g->keys, .n_keys = 2};
}

static void teardown(struct given *g)
{
	arena_free(g->a);
	cimxml_plans_free(g->plans);
	buf_done(&g->out);
}

static const char *answer(struct given *g, const struct cimxml_item *it, size_t n)
{
	bool ok = cimxml_begin(g->x, &g->out);

	for (size_t i = 0; i < n; i++)
		ok = ok && cimxml_item(g->x, &g->out, &it[i]);
	CHECK(ok && cimxml_end(g->x, &g->out, true, NULL));
	return g->out.p;
}

TEST(an_instance_has_every_property_and_null_ones_without_a_value)
{
	struct given g;
	struct cim_instance *i;
	struct cim_value tags[] = {cim_str("a"), cim_str("<b>")};

	setup(&g, CIM_OP_GET_INSTANCE);
	i = cim_instance_new(g.a, &t_port);
	i->v[PORT_KIND] = cim_str("k");
	i->v[PORT_NAME] = cim_str("a&b \"q\"");
	i->v[PORT_DELTA] = (struct cim_value){
		.type = CIM_SINT32, .kind = CIM_V_SCALAR, .i = -2147483648};
	i->v[PORT_TAGS] = cim_array(CIM_STRING, tags, 2);
	i->v[PORT_UP] = cim_bool(true);
	CHECK_STR(
		answer(&g, &(struct cimxml_item){.inst = i}, 1),
		I("GetInstance",
		  "<IRETURNVALUE><INSTANCE CLASSNAME=\"T_Port\">"
		  "<PROPERTY NAME=\"Kind\" TYPE=\"string\"><VALUE>k</VALUE></PROPERTY>"
		  "<PROPERTY NAME=\"Name\" TYPE=\"string\"><VALUE>a&amp;b \"q\"</VALUE></PROPERTY>"
		  "<PROPERTY NAME=\"Caption\" TYPE=\"string\"></PROPERTY>"
		  "<PROPERTY NAME=\"Number\" TYPE=\"uint16\"><VALUE>7</VALUE></PROPERTY>"
		  "<PROPERTY NAME=\"Delta\" TYPE=\"sint32\"><VALUE>-2147483648</VALUE></PROPERTY>"
		  "<PROPERTY NAME=\"Ratio\" TYPE=\"real64\"></PROPERTY>"
		  "<PROPERTY.ARRAY NAME=\"Tags\" "
		  "TYPE=\"string\"><VALUE.ARRAY><VALUE>a</VALUE><VALUE>&lt;b&gt;</VALUE>"
		  "</VALUE.ARRAY></PROPERTY.ARRAY>"
		  "<PROPERTY.ARRAY NAME=\"Numbers\" TYPE=\"uint64\"></PROPERTY.ARRAY>"
		  "<PROPERTY NAME=\"When\" TYPE=\"datetime\"></PROPERTY>"
		  "<PROPERTY NAME=\"Up\" TYPE=\"boolean\"><VALUE>TRUE</VALUE></PROPERTY>"
		  "<PROPERTY NAME=\"Goal\" TYPE=\"string\" EmbeddedObject=\"instance\"></PROPERTY>"
		  "</INSTANCE></IRETURNVALUE>"));
	teardown(&g);
}

static bool only_number(const void *ctx, const struct cim_class *c, unsigned idx)
{
	(void)ctx, (void)c;
	return idx == PORT_NUMBER;
}

TEST(each_operation_has_its_own_form_of_an_element)
{
#define INST                                                        \
	"<INSTANCE CLASSNAME=\"T_Port\"><PROPERTY NAME=\"Number\" " \
	"TYPE=\"uint16\"><VALUE>7</VALUE></PROPERTY></INSTANCE>"
#define FULL_OF(port) \
	"<INSTANCEPATH><NAMESPACEPATH><HOST>h</HOST>" NS "</NAMESPACEPATH>" port "</INSTANCEPATH>"
#define FULL       FULL_OF(PORT)
#define FULL_TYPED FULL_OF(PORT_OF(" TYPE=\"string\""))
#define PULL                                                \
	"<PARAMVALUE NAME=\"EnumerationContext\" "          \
	"PARAMTYPE=\"string\"><VALUE></VALUE></PARAMVALUE>" \
	"<PARAMVALUE NAME=\"EndOfSequence\" "               \
	"PARAMTYPE=\"boolean\"><VALUE>TRUE</VALUE></PARAMVALUE>"
	static const struct {
		enum cim_op op;
		const char *want;
	} t[] = {
		{CIM_OP_GET_INSTANCE,             I("GetInstance",      "<IRETURNVALUE>" INST "</IRETURNVALUE>")                                                 },
		{CIM_OP_ENUMERATE_INSTANCES,
		 I("EnumerateInstances",                                "<IRETURNVALUE><VALUE.NAMEDINSTANCE>" PORT INST
					 "</VALUE.NAMEDINSTANCE></IRETURNVALUE>")                                        },
		{CIM_OP_ENUMERATE_INSTANCE_NAMES,
		 I("EnumerateInstanceNames",                            "<IRETURNVALUE>" PORT "</IRETURNVALUE>")                                                 },
		{CIM_OP_CREATE_INSTANCE,
		 I("CreateInstance",                                    "<IRETURNVALUE>" PORT "</IRETURNVALUE>")                                                 },
		{CIM_OP_ASSOCIATORS,
		 I("Associators",				       "<IRETURNVALUE><VALUE.OBJECTWITHPATH>" FULL INST
				  "</VALUE.OBJECTWITHPATH></IRETURNVALUE>")                                                     },
		{CIM_OP_REFERENCE_NAMES,          I("ReferenceNames",   "<IRETURNVALUE><OBJECTPATH>" FULL
							     "</OBJECTPATH></IRETURNVALUE>")},
		{CIM_OP_OPEN_ENUMERATE_INSTANCES,
		 I("OpenEnumerateInstances",                            "<IRETURNVALUE><VALUE.INSTANCEWITHPATH>" FULL_TYPED INST
					     "</VALUE.INSTANCEWITHPATH></IRETURNVALUE>" PULL)                        },
		{CIM_OP_PULL_INSTANCE_PATHS,
		 I("PullInstancePaths",                                 "<IRETURNVALUE>" FULL_TYPED "</IRETURNVALUE>" PULL)                                            },
		{CIM_OP_PULL_INSTANCES,
		 I("PullInstances",				     "<IRETURNVALUE>" INST "</IRETURNVALUE>" PULL)                                            },
		{CIM_OP_DELETE_INSTANCE,          I("DeleteInstance",   "")										      },
		{CIM_OP_CLOSE_ENUMERATION,        I("CloseEnumeration", "")										      },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct given g;
		struct cim_instance *in;

		setup(&g, t[i].op);
		g.an.wants = only_number;
		in = cim_instance_new(g.a, &t_port);
		in->path = &g.port;
		CHECK_STR(answer(&g, &(struct cimxml_item){.inst = in}, 1), t[i].want);
		teardown(&g);
	}
}

TEST(an_empty_list_is_an_empty_return_value)
{
	struct given g;

	setup(&g, CIM_OP_ENUMERATE_INSTANCES);
	CHECK_STR(answer(&g, NULL, 0), I("EnumerateInstances", "<IRETURNVALUE></IRETURNVALUE>"));
	teardown(&g);
}

TEST(an_open_enumeration_tells_its_context)
{
	struct given g;

	setup(&g, CIM_OP_OPEN_ENUMERATE_INSTANCE_PATHS);
	CHECK(cimxml_begin(g.x, &g.out) && cimxml_end(g.x, &g.out, false, "c<1"));
	CHECK(strstr(g.out.p,
		     "\"EnumerationContext\" PARAMTYPE=\"string\"><VALUE>c&lt;1</VALUE>") != NULL);
	CHECK(strstr(g.out.p, "\"EndOfSequence\" PARAMTYPE=\"boolean\"><VALUE>FALSE</VALUE>") !=
	      NULL);
	teardown(&g);
}

TEST(references_carry_their_namespace)
{
	struct given g;
	struct cim_key id = {"ID", cim_uint(CIM_UINT32, 5)}, ends[2];
	struct cim_path solo = {.class_name = "T_Solo",
				.cls = &t_solo,
				.keys = &id,
				.n_keys = 1,
				.ns = "interop"},
			link;
	struct cim_instance *i;

	setup(&g, CIM_OP_ENUMERATE_INSTANCES);
	ends[0] = (struct cim_key){"From", cim_ref(&g.port)};
	ends[1] = (struct cim_key){"To", cim_ref(&solo)};
	link = (struct cim_path){.class_name = "T_Link", .cls = &t_link, .keys = ends, .n_keys = 2};
	i = cim_instance_new(g.a, &t_link);
	i->v[0] = ends[0].v;
	i->v[1] = ends[1].v;
	i->v[2] = cim_uint(CIM_UINT8, 3);
	i->path = &link;
#define ABS(ns, x) \
	"<VALUE.REFERENCE><LOCALINSTANCEPATH>" ns x "</LOCALINSTANCEPATH></VALUE.REFERENCE>"
#define OTHER "<LOCALNAMESPACEPATH><NAMESPACE NAME=\"interop\"/></LOCALNAMESPACEPATH>"
	CHECK_STR(
		answer(&g, &(struct cimxml_item){.inst = i}, 1),
		I("EnumerateInstances",
		  "<IRETURNVALUE><VALUE.NAMEDINSTANCE><INSTANCENAME CLASSNAME=\"T_Link\">"
		  "<KEYBINDING NAME=\"From\">" ABS(NS, PORT) "</KEYBINDING><KEYBINDING "
							     "NAME=\"To\">" ABS(
								     OTHER,
								     SOLO("5")) "</KEYBINDING></"
										"INSTANCENAME><"
										"INSTANCE "
										"CLASSNAME=\"T_"
										"Link\">"
										"<PROPERTY."
										"REFERENCE "
										"NAME=\"From\" "
										"REFERENCECLASS="
										"\"T_Named\">" ABS(
											NS,
											PORT) "</"
											      "PROP"
											      "ERTY"
											      ".REF"
											      "EREN"
											      "CE>"
											      "<PRO"
											      "PERT"
											      "Y."
											      "REFE"
											      "RENC"
											      "E "
											      "NAME"
											      "=\"T"
											      "o\" "
											      "REFE"
											      "RENC"
											      "ECLA"
											      "SS="
											      "\"T_"
											      "Name"
											      "d\""
											      ">" ABS(OTHER,
												      SOLO("5")) "</PROPERTY.REFERENCE>"
														 "<PROPERTY NAME=\"Weight\" TYPE=\"uint8\"><VALUE>3</VALUE></PROPERTY>"
														 "</INSTANCE></VALUE.NAMEDINSTANCE></IRETURNVALUE>"));
	teardown(&g);
}

TEST(an_embedded_instance_is_text_within_text)
{
	struct given g;
	struct cim_instance *outer, *inner;

	setup(&g, CIM_OP_GET_INSTANCE);
	outer = cim_instance_new(g.a, &t_port);
	inner = cim_instance_new(g.a, &t_solo);
	inner->v[0] = cim_uint(CIM_UINT32, 9);
	outer->v[PORT_GOAL] = cim_object(inner);
	CHECK(strstr(answer(&g, &(struct cimxml_item){.inst = outer}, 1),
		     "<PROPERTY NAME=\"Goal\" TYPE=\"string\" EmbeddedObject=\"instance\"><VALUE>"
		     "&lt;INSTANCE CLASSNAME=\"T_Solo\"&gt;&lt;PROPERTY NAME=\"ID\" "
		     "TYPE=\"uint32\"&gt;&lt;VALUE&gt;9"
		     "&lt;/VALUE&gt;&lt;/PROPERTY&gt;&lt;/INSTANCE&gt;</VALUE></PROPERTY>") !=
	      NULL);
	teardown(&g);
}

TEST(a_method_answers_its_value_and_what_it_has_to_say)
{
	struct given g;
	struct cim_value notes[] = {cim_str("n"), cim_null(CIM_STRING)};
	struct cim_value out[4] = {{0}, {0}, {0}, cim_array(CIM_STRING, notes, 2)};

	setup(&g, CIM_OP_INVOKE_METHOD);
	out[0] = cim_ref(&g.port); /* an in-parameter */
	CHECK(cimxml_method_answer(g.x, &g.out, &m_move, 4096, out));
	CHECK_STR(g.out.p, HEAD "<METHODRESPONSE NAME=\"Move\"><RETURNVALUE "
				"PARAMTYPE=\"uint32\"><VALUE>4096</VALUE>"
				"</RETURNVALUE><PARAMVALUE NAME=\"Notes\" "
				"PARAMTYPE=\"string\"><VALUE.ARRAY><VALUE>n</VALUE><VALUE.NULL/>"
				"</VALUE.ARRAY></PARAMVALUE></METHODRESPONSE>" TAIL);
	out[2] = cim_ref(&g.port);
	buf_clear(&g.out);
	CHECK(cimxml_method_answer(g.x, &g.out, &m_move, 0, out));
	CHECK(strstr(g.out.p, "<PARAMVALUE NAME=\"Job\" "
			      "PARAMTYPE=\"reference\"><VALUE.REFERENCE><LOCALINSTANCEPATH>" NS PORT
			      "</LOCALINSTANCEPATH></VALUE.REFERENCE></PARAMVALUE>") != NULL);
	teardown(&g);
}

TEST(an_error_is_told_with_code_and_reason)
{
	auto_buf struct buf b = buf_of(1 << 16);

	CHECK(cimxml_error_answer(&b, "7", "Get\"It", false, CIM_ERR_NOT_FOUND, "no <x>\n"));
	CHECK_STR(
		b.p,
		I("Get&quot;It",
		  "<ERROR CODE=\"6\" DESCRIPTION=\"CIM_ERR_NOT_FOUND: no &lt;x&gt;\n\"></ERROR>"));
	buf_clear(&b);
	CHECK(cimxml_error_answer(&b, "7", "M", true, CIM_ERR_FAILED, ""));
	CHECK_STR(b.p, HEAD "<METHODRESPONSE NAME=\"M\"><ERROR CODE=\"1\" "
			    "DESCRIPTION=\"CIM_ERR_FAILED\"></ERROR>"
			    "</METHODRESPONSE>" TAIL);
}

TEST(a_class_is_written_with_what_was_asked_for)
{
	struct given g;

	setup(&g, CIM_OP_GET_CLASS);
	g.an.local_only = true;
	CHECK_STR(
		answer(&g, &(struct cimxml_item){.cls = &t_port}, 1),
		I("GetClass",
		  "<IRETURNVALUE><CLASS NAME=\"T_Port\" SUPERCLASS=\"T_Named\">"
		  "<PROPERTY NAME=\"Number\" TYPE=\"uint16\"><VALUE>7</VALUE></PROPERTY>"
		  "<PROPERTY NAME=\"Delta\" TYPE=\"sint32\"></PROPERTY><PROPERTY NAME=\"Ratio\" "
		  "TYPE=\"real64\"></PROPERTY>"
		  "<PROPERTY.ARRAY NAME=\"Tags\" TYPE=\"string\"></PROPERTY.ARRAY>"
		  "<PROPERTY.ARRAY NAME=\"Numbers\" TYPE=\"uint64\"></PROPERTY.ARRAY>"
		  "<PROPERTY NAME=\"When\" TYPE=\"datetime\"></PROPERTY><PROPERTY NAME=\"Up\" "
		  "TYPE=\"boolean\"></PROPERTY>"
		  "<PROPERTY NAME=\"Goal\" TYPE=\"string\" EmbeddedObject=\"instance\"></PROPERTY>"
		  "<METHOD NAME=\"Move\" TYPE=\"uint32\"><PARAMETER.REFERENCE NAME=\"Where\" "
		  "REFERENCECLASS=\"T_Named\">"
		  "</PARAMETER.REFERENCE><PARAMETER.ARRAY NAME=\"Steps\" "
		  "TYPE=\"uint32\"></PARAMETER.ARRAY>"
		  "<PARAMETER.REFERENCE NAME=\"Job\" "
		  "REFERENCECLASS=\"T_Named\"></PARAMETER.REFERENCE>"
		  "<PARAMETER.ARRAY NAME=\"Notes\" "
		  "TYPE=\"string\"></PARAMETER.ARRAY></METHOD></CLASS></IRETURNVALUE>"));
	teardown(&g);
	setup(&g, CIM_OP_GET_CLASS);
	g.an.include_quals = g.an.include_origin = true;
	CHECK(strstr(answer(&g, &(struct cimxml_item){.cls = &t_port}, 1),
		     "<PROPERTY NAME=\"Kind\" TYPE=\"string\" CLASSORIGIN=\"T_Named\" "
		     "PROPAGATED=\"true\">"
		     "<QUALIFIER NAME=\"Key\" TYPE=\"boolean\" "
		     "OVERRIDABLE=\"false\"><VALUE>TRUE</VALUE></QUALIFIER></PROPERTY>") != NULL);
	teardown(&g);
	setup(&g, CIM_OP_ENUMERATE_CLASS_NAMES);
	CHECK_STR(answer(&g, &(struct cimxml_item){.cls = &t_port}, 1),
		  I("EnumerateClassNames",
		    "<IRETURNVALUE><CLASSNAME NAME=\"T_Port\"/></IRETURNVALUE>"));
	teardown(&g);
	setup(&g, CIM_OP_ASSOCIATOR_NAMES);
	CHECK_STR(answer(&g, &(struct cimxml_item){.cls = &t_port}, 1),
		  I("AssociatorNames",
		    "<IRETURNVALUE><OBJECTPATH><CLASSPATH><NAMESPACEPATH><HOST>h</HOST>" NS
		    "</NAMESPACEPATH><CLASSNAME "
		    "NAME=\"T_Port\"/></CLASSPATH></OBJECTPATH></IRETURNVALUE>"));
	teardown(&g);
}

TEST(a_qualifier_declaration_has_scope_and_flavor)
{
	struct cim_qualdecl q = {"MaxLen",
				 {.type = CIM_UINT32},
				 CIM_S_PROPERTY | CIM_S_METHOD,
				 CIM_Q_OVERRIDABLE | CIM_Q_TOSUBCLASS | CIM_Q_TRANSLATABLE};
	/* an array type without a default, as the tables have it */
	struct cim_qualdecl list = {"Values", {.type = CIM_STRING, .hint = CIM_V_ARRAY},
				    CIM_S_PROPERTY, CIM_Q_OVERRIDABLE | CIM_Q_TOSUBCLASS};
	struct given g;

	setup(&g, CIM_OP_GET_QUALIFIER);
	CHECK_STR(answer(&g, &(struct cimxml_item){.qual = &list}, 1),
		I("GetQualifier", "<IRETURNVALUE><QUALIFIER.DECLARATION NAME=\"Values\" TYPE=\"string\" ISARRAY=\"true\">"
		"<SCOPE PROPERTY=\"true\"></SCOPE></QUALIFIER.DECLARATION></IRETURNVALUE>"));
	teardown(&g);
	setup(&g, CIM_OP_GET_QUALIFIER);
	CHECK_STR(answer(&g, &(struct cimxml_item){.qual = &q}, 1),
		  I("GetQualifier",
		    "<IRETURNVALUE><QUALIFIER.DECLARATION NAME=\"MaxLen\" TYPE=\"uint32\" "
		    "ISARRAY=\"false\""
		    " TRANSLATABLE=\"true\"><SCOPE PROPERTY=\"true\" "
		    "METHOD=\"true\"></SCOPE></QUALIFIER.DECLARATION></IRETURNVALUE>"));
	teardown(&g);
}

TEST(text_of_every_length_is_escaped_where_it_must_be)
{
	struct given g;
	struct cim_value v;
	char text[80], want[600];

	for (size_t n = 0; n <= 70; n++)
		for (size_t at = 0; at <= n; at++) {
			static const struct {
				char c;
				const char *as;
			} t[] = {
				{'x',        "x"           },
                                {'&',        "&amp;"       },
				{'<',        "&lt;"        },
                                {'>',        "&gt;"        },
				{'"',        "\""          },
                                {'\n',       "\n"          },
				{1,          "\xef\xbf\xbd"},
                                {(char)0xff, "\xef\xbf\xbd"}
                        };

			for (size_t k = 0; k < ARRAY_SIZE(t); k++) {
				memset(text, '.', n);
				text[n] = '\0';
				if (at < n)
					text[at] = t[k].c;
				(void)snprintf(want, sizeof(want), "%.*s%s%s", (int)at, text,
					       at < n ? t[k].as : "", at < n ? text + at + 1 : "");
				setup(&g, CIM_OP_GET_PROPERTY);
				v = cim_strn(text, n);
				CHECK(cimxml_begin(g.x, &g.out));
				buf_clear(&g.out);
				CHECK(cimxml_item(g.x, &g.out, &(struct cimxml_item){.value = &v}));
				g.out.p[g.out.len - 8] = '\0';
				CHECK_STR(g.out.p + 7, want);
				teardown(&g);
			}
		}
}

TEST(numbers_are_written_in_full)
{
	static const struct {
		struct cim_value v;
		const char *want;
	} t[] = {
		{{.type = CIM_UINT64, .kind = CIM_V_SCALAR, .u = UINT64_MAX},
		 "18446744073709551615"								},
		{{.type = CIM_UINT64, .kind = CIM_V_SCALAR, .u = 0},          "0"                      },
		{{.type = CIM_UINT64, .kind = CIM_V_SCALAR, .u = 10},         "10"                     },
		{{.type = CIM_UINT64, .kind = CIM_V_SCALAR, .u = 100},        "100"                    },
		{{.type = CIM_SINT64, .kind = CIM_V_SCALAR, .i = INT64_MIN},
		 "-9223372036854775808"								},
		{{.type = CIM_REAL64, .kind = CIM_V_SCALAR, .r = 0.5},        "0.5"                    },
		{{.type = CIM_REAL64, .kind = CIM_V_SCALAR, .r = 3},          "3.0"                    },
		{{.type = CIM_REAL64, .kind = CIM_V_SCALAR, .r = 1e300},      "1.0000000000000001e+300"},
		{{.type = CIM_REAL64, .kind = CIM_V_SCALAR, .r = 1e22},       "1.0000000000000000e+22" },
		{{.type = CIM_CHAR16, .kind = CIM_V_SCALAR, .u = 0x20ac},     "\xe2\x82\xac"           },
		{{.type = CIM_BOOLEAN, .kind = CIM_V_SCALAR, .u = 0},         "FALSE"                  },
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct given g;
		char want[200];

		setup(&g, CIM_OP_GET_PROPERTY);
		CHECK(cimxml_item(g.x, &g.out, &(struct cimxml_item){.value = &t[i].v}));
		(void)snprintf(want, sizeof(want), "<VALUE>%s</VALUE>", t[i].want);
		CHECK_STR(g.out.p, want);
		teardown(&g);
	}
}

TEST(a_step_that_does_not_fit_writes_nothing_and_can_be_repeated)
{
	struct given g;
	struct cim_instance *i;
	size_t full, at;

	setup(&g, CIM_OP_ENUMERATE_INSTANCES);
	i = cim_instance_new(g.a, &t_port);
	i->path = &g.port;
	CHECK(cimxml_item(g.x, &g.out, &(struct cimxml_item){.inst = i}));
	full = g.out.len;
	for (at = 0; at < full + 200; at += 7) {
		auto_buf struct buf small = buf_of(at);
		bool ok = cimxml_item(g.x, &small, &(struct cimxml_item){.inst = i});

		CHECK_INT(small.len, ok ? full : 0);
		if (ok)
			CHECK_STR(small.p, g.out.p);
	}
	teardown(&g);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "cimxml/call.h"
#include "cimxml/decode.h"
#include "cimxml/response.h"
#include "test.h"

#define HEAD                                                                    \
	"<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n<CIM CIMVERSION=\"2.0\" " \
	"DTDVERSION=\"2.0\">\n"                                                 \
	"<MESSAGE ID=\"7\" PROTOCOLVERSION=\"1.0\"> <SIMPLERSP>"
#define TAIL "</SIMPLERSP></MESSAGE></CIM>\n"
#define I(x) HEAD "<IMETHODRESPONSE NAME=\"X\">" x "</IMETHODRESPONSE>" TAIL
#define R(x) I("<IRETURNVALUE>" x "</IRETURNVALUE>")
#define NS                                                          \
	"<LOCALNAMESPACEPATH><NAMESPACE NAME=\"root\"/><NAMESPACE " \
	"NAME=\"t\"/></LOCALNAMESPACEPATH>"
#define NAME(n)                                                                                  \
	"<INSTANCENAME CLASSNAME=\"T\"><KEYBINDING NAME=\"ID\"><KEYVALUE VALUETYPE=\"numeric\" " \
	"TYPE=\"uint32\">" n "</KEYVALUE></KEYBINDING></INSTANCENAME>"
#define PATH(n)                                          \
	"<INSTANCEPATH><NAMESPACEPATH><HOST>h</HOST>" NS \
	"</NAMESPACEPATH>" NAME(n) "</INSTANCEPATH>"
#define INST(n)                                                                     \
	"<INSTANCE CLASSNAME=\"T\"><PROPERTY NAME=\"ID\" TYPE=\"uint32\"><VALUE>" n \
	"</VALUE></PROPERTY></INSTANCE>"

/* What came, one line each. */
struct heard {
	struct arena *a;
	struct buf text;
	unsigned most;
	struct cimxml_response rsp;
	struct err e;
};

static bool on_instance(void *ctx, const struct cim_raw_instance *i)
{
	struct heard *h = ctx;

	buf_addf(&h->text, "%s", i->class_name);
	for (uint32_t k = 0; k < i->n_props; k++)
		buf_addf(&h->text, " %s=%s", i->props[k].name,
			 i->props[k].v.kind == CIM_V_SCALAR && i->props[k].v.type == CIM_UNTYPED
				 ? i->props[k].v.s
				 : "?");
	if (i->path)
		buf_addf(&h->text, " @%s", cim_path_print(h->a, i->path));
	buf_addc(&h->text, '\n');
	return --h->most > 0;
}

static bool on_path(void *ctx, const struct cim_path *p)
{
	struct heard *h = ctx;

	buf_addf(&h->text, "@%s\n", cim_path_print(h->a, p));
	return true;
}

static bool on_class(void *ctx, const char *name)
{
	struct heard *h = ctx;

	buf_addf(&h->text, "class %s\n", name);
	return true;
}

/* Feed in pieces of `step` bytes. */
static int hear(struct heard *h, const char *answer, size_t step, unsigned most)
{
	struct cimxml_sink sink = {h, on_instance, on_path, on_class};
	AUTO(cimxml_reader) r = NULL;
	size_t n = strlen(answer);
	int rc = 0;

	*h = (struct heard){.a = arena_new(1 << 24), .text = buf_of(1 << 20), .most = most};
	buf_add(&h->text, "", 0);
	r = cimxml_reader_new(h->a, &sink, "7");
	for (size_t at = 0; at < n && rc == 0; at += step)
		rc = cimxml_reader_feed(r, answer + at, n - at < step ? n - at : step, &h->e);
	return rc < 0 ? rc : cimxml_reader_end(r, &h->rsp, &h->e);
}

static void done(struct heard *h)
{
	arena_free(h->a);
	buf_done(&h->text);
}

TEST(objects_are_handed_on_in_whatever_pieces_they_come)
{
	static const struct {
		const char *answer, *want;
	} t[] = {
		{R(""),									     ""			     },
		{I(""),									     ""			     },
		{R(INST("1") INST("2")),							    "T ID=1\nT ID=2\n"             },
		{R("<VALUE.NAMEDINSTANCE>" NAME("1")
			   INST("1") "</VALUE.NAMEDINSTANCE>\n <VALUE.NAMEDINSTANCE>" NAME("2")
				   INST("2") "</VALUE.NAMEDINSTANCE>"),
		 "T ID=1 @T.ID=1\nT ID=2 @T.ID=2\n"										},
		{R("<VALUE.OBJECTWITHPATH>" PATH("3") INST("3") "</VALUE.OBJECTWITHPATH>"),
		 "T ID=3 @//h/root/t:T.ID=3\n"										     },
		{R("<VALUE.INSTANCEWITHPATH>" PATH("3") INST("3") "</VALUE.INSTANCEWITHPATH>"),
		 "T ID=3 @//h/root/t:T.ID=3\n"										     },
		{R("<VALUE.OBJECT>" INST("3") "</VALUE.OBJECT>"),                                   "T ID=3\n"                     },
		{R(NAME("4") PATH("5")),							    "@T.ID=4\n@//h/root/t:T.ID=5\n"},
		{R("<OBJECTPATH>" PATH("6") "</OBJECTPATH>"),                                       "@//h/root/t:T.ID=6\n"         },
		{R("<CLASSNAME NAME=\"A\"/><CLASS NAME=\"B\"><PROPERTY NAME=\"x\" "
		   "TYPE=\"string\"/></CLASS>"),
		 "class A\nclass B\n"											      },
 /* what isn't known is left out, with all in it */
		{R("<BLINK><INSTANCE/></BLINK>" INST("1")),                                         "T ID=1\n"                     },
		{R("<INSTANCE CLASSNAME=\"T\" COLOUR=\"red\"><PROPERTY NAME=\"ID\" "
		   "TYPE=\"uint128\"><VALUE>1</VALUE><X/></PROPERTY></INSTANCE>"),
		 "T ID=1\n"													},
	};
	static const size_t steps[] = {1, 7, 4096};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		for (size_t k = 0; k < ARRAY_SIZE(steps); k++) {
			struct heard h;
			int rc = hear(&h, t[i].answer, steps[k], 100);

			if (rc < 0)
				printf("# row %zu: %s\n", i, h.e.text);
			CHECK_INT(rc, 0);
			CHECK_STR(h.text.p, t[i].want);
			done(&h);
		}
}

TEST(an_object_that_makes_no_sense_is_left_out_and_counted)
{
	struct heard h;

	CHECK_INT(hear(&h,
		       R("<INSTANCE><PROPERTY NAME=\"a\" TYPE=\"string\"/></INSTANCE>" INST(
			       "1") "<VALUE.NAMEDINSTANCE>" NAME("1") "</VALUE.NAMEDINSTANCE>"),
		       50, 100),
		  0);
	CHECK_STR(h.text.p, "T ID=1\n");
	CHECK_INT(h.rsp.objects, 1);
	CHECK_INT(h.rsp.skipped, 2);
	done(&h);
}

TEST(the_rest_of_an_answer_is_told_at_its_end)
{
	struct heard h;

	CHECK_INT(hear(&h,
		       I("<ERROR CODE=\"6\" DESCRIPTION=\"no &lt;such&gt; thing\"><INSTANCE "
			 "CLASSNAME=\"CIM_Error\"/></ERROR>"),
		       9, 9),
		  0);
	CHECK_INT(h.rsp.status, CIM_ERR_NOT_FOUND);
	CHECK_STR(h.rsp.text, "no <such> thing");
	done(&h);
	CHECK_INT(hear(&h,
		       I("<IRETURNVALUE>" INST(
			       "1") "</IRETURNVALUE>"
				    "<PARAMVALUE NAME=\"EnumerationContext\" "
				    "PARAMTYPE=\"string\"><VALUE>ctx</VALUE></PARAMVALUE>"
				    "<PARAMVALUE "
				    "NAME=\"EndOfSequence\"><VALUE>false</VALUE></PARAMVALUE>"),
		       9, 9),
		  0);
	CHECK(h.rsp.has_end && !h.rsp.end_of_sequence);
	CHECK_STR(h.rsp.context, "ctx");
	done(&h);
	CHECK_INT(hear(&h, R("<VALUE>42</VALUE>"), 9, 9), 0);
	CHECK(h.rsp.has_value);
	CHECK_STR(h.rsp.value.s, "42");
	done(&h);
	CHECK_INT(hear(&h,
		       HEAD
		       "<METHODRESPONSE NAME=\"M\"><RETURNVALUE "
		       "PARAMTYPE=\"uint32\"><VALUE>4096</VALUE></RETURNVALUE>"
		       "<PARAMVALUE NAME=\"Job\" PARAMTYPE=\"reference\"><VALUE.REFERENCE>" PATH(
			       "9") "</VALUE.REFERENCE></PARAMVALUE>"
				    "<PARAMVALUE NAME=\"None\"/></METHODRESPONSE>" TAIL,
		       9, 9),
		  0);
	CHECK_STR(h.rsp.value.s, "4096");
	CHECK_INT(h.rsp.n_params, 2);
	CHECK_STR(cim_path_print(h.a, h.rsp.params[0].v.ref), "//h/root/t:T.ID=9");
	CHECK(cim_is_null(&h.rsp.params[1].v));
	done(&h);
}

TEST(what_is_no_answer_is_refused)
{
	static const struct {
		const char *answer;
		int want;
	} t[] = {
		{"",										 -EPROTO},
		{"<html>",									   -EPROTO},
		{"<CIM/>",									   -EPROTO},
		{HEAD,									       -EPROTO},
		{HEAD TAIL,									  -EPROTO},
		{"<!DOCTYPE a [<!ENTITY x \"y\">]><CIM/>",                                           -EPROTO},
		{"<CIM><MESSAGE ID=\"8\"><SIMPLERSP><IMETHODRESPONSE/></SIMPLERSP></MESSAGE></CIM>",
		 -EPROTO										    },
		{"<CIM><MESSAGE ID=\"7\"><SIMPLERSP><INSTANCE/></SIMPLERSP></MESSAGE></CIM>",
		 -EPROTO										    },
		{I("<ERROR DESCRIPTION=\"x\"/>"),						    -EPROTO},
		{I("<ERROR CODE=\"0\"/>"),							   -EPROTO},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct heard h;

		CHECK_INT(hear(&h, t[i].answer, 5, 9), t[i].want);
		CHECK(h.e.text[0] != '\0');
		done(&h);
	}
}

TEST(a_sink_can_have_enough)
{
	struct heard h;

	CHECK_INT(hear(&h, R(INST("1") INST("2") INST("3")), 4096, 2), -ECANCELED);
	CHECK_STR(h.text.p, "T ID=1\nT ID=2\n");
	done(&h);
}

/* Feed one byte run again and again, until refused or `most` bytes. */
static int flood(const char *begin, const char *again, uint64_t most, struct err *e)
{
	AUTO(arena) a = arena_new(1 << 24);
	AUTO(cimxml_reader) r = cimxml_reader_new(a, NULL, NULL);
	int rc = cimxml_reader_feed(r, begin, strlen(begin), e);
	auto_buf struct buf b = buf_of(1 << 20);

	while (b.len < 60000)
		buf_adds(&b, again);
	for (uint64_t n = 0; rc == 0 && n < most; n += b.len)
		rc = cimxml_reader_feed(r, b.p, b.len, e);
	return rc;
}

TEST(endless_answers_end)
{
	struct err e = {0};

	CHECK_INT(flood("<", "a", 1 << 28, &e), -E2BIG);
	CHECK_INT(flood("<CIM CIMVERSION=\"", "2", 1 << 28, &e), -E2BIG);
	CHECK_INT(flood("<!--", "-a", 1 << 28, &e), -E2BIG);
	CHECK_INT(flood("", "<CIM>", 1 << 28, &e), -E2BIG);
	CHECK_INT(flood(HEAD "<IMETHODRESPONSE><IRETURNVALUE><VALUE>", "a", 1 << 28, &e), -E2BIG);
	CHECK_INT(flood(HEAD "<IMETHODRESPONSE>", "<PARAMVALUE NAME=\"x\"/>", 1 << 30, &e), -E2BIG);
	CHECK_INT(
		flood(HEAD "<IMETHODRESPONSE><IRETURNVALUE><INSTANCE>", "<PROPERTY/>", 1 << 30, &e),
		-E2BIG);
	/* any number of objects is fine: they cost nothing once they are gone */
	CHECK_INT(flood(HEAD "<IMETHODRESPONSE><IRETURNVALUE>", INST("1"), 1 << 26, &e), 0);
}

/* A request that is written is read back as it was. */
TEST(a_call_is_what_the_other_side_decodes)
{
	AUTO(arena) a = arena_new(1 << 24);
	AUTO(cimxml_parser) p = cimxml_parser_new(&cimxml_bounds_usual);
	auto_buf struct buf out = buf_of(1 << 20);
	struct cim_key key = {"Name", cim_str("a\"b")};
	struct cim_path path = {.class_name = "T", .keys = &key, .n_keys = 1};
	const char *props[] = {"A", "B&C"};
	struct cim_request rq = {.op = CIM_OP_OPEN_ASSOCIATOR_INSTANCES,
				 .message_id = "9",
				 .ns = "root/t",
				 .path = &path,
				 .class_name = "T",
				 .props = props,
				 .n_props = 2,
				 .has_props = true,
				 .result_class = "R",
				 .role = "x",
				 .include_origin = CIM_TRUE,
				 .has_max_objects = true,
				 .max_objects = 10,
				 .query = "q",
				 .query_lang = "l"};
	struct cimxml_request got;
	struct cimxml_refusal no;

	CHECK(cimxml_call(&out, &rq));
	CHECK_INT(cimxml_decode_request(p, out.p, out.len, a, &got, &no), CIMXML_DECODED);
	CHECK_INT(got.rq.op, rq.op);
	CHECK_STR(got.rq.message_id, "9");
	CHECK_STR(got.rq.ns, "root/t");
	CHECK_STR(cim_path_print(a, got.rq.path), "T.Name=\"a\\\"b\"");
	CHECK_STR(got.rq.props[1], "B&C");
	CHECK_STR(got.rq.result_class, "R");
	CHECK_STR(got.rq.role, "x");
	CHECK_INT(got.rq.include_origin, CIM_TRUE);
	CHECK_INT(got.rq.include_quals, CIM_UNSET);
	CHECK_INT(got.rq.max_objects, 10);
	CHECK_STR(got.rq.query, "q");
	CHECK_STR(cimxml_call_method(a, &rq), "OpenAssociatorInstances");
	CHECK_STR(cimxml_call_object(a, &rq), "root/t");
}

TEST(a_method_call_is_what_the_other_side_decodes)
{
	AUTO(arena) a = arena_new(1 << 24);
	AUTO(cimxml_parser) p = cimxml_parser_new(&cimxml_bounds_usual);
	auto_buf struct buf out = buf_of(1 << 20);
	struct cim_key key = {"Name", cim_str("n")};
	struct cim_path path = {.class_name = "T", .keys = &key, .n_keys = 1, .ns = "root/t"};
	struct cim_value two[] = {cim_u16(1), cim_u16(2)};
	struct cim_named inner = {.name = "X", .v = cim_str("<&>")};
	struct cim_raw_instance goal = {.class_name = "G", .props = &inner, .n_props = 1};
	struct cim_named params[] = {
		{.name = "Text",    .v = cim_str("t")                    },
		{										.name = "List", .v = cim_array(CIM_UINT16,                                                 two, 2)},
		{										.name = "Ref",  .v = cim_ref(&path)                                        },
		{						    .name = "Goal",              .v = cim_raw_to_value(&goal)},
		{ .name = "Null",               .has_type = true,							.claimed = CIM_UINT8, .v = cim_null(CIM_UINT8)},
	};
	struct cim_request rq = {.op = CIM_OP_INVOKE_METHOD,
				 .message_id = "1",
				 .ns = "root/t",
				 .path = &path,
				 .method = "Do",
				 .params = params,
				 .n_params = 5};
	struct cimxml_request got;
	struct cimxml_refusal no;
	const struct cim_raw_instance *g;

	CHECK(cimxml_call(&out, &rq));
	CHECK_INT(cimxml_decode_request(p, out.p, out.len, a, &got, &no), CIMXML_DECODED);
	CHECK_STR(got.rq.method, "Do");
	CHECK_INT(got.rq.n_params, 5);
	CHECK_STR(got.rq.params[0].v.s, "t");
	CHECK_INT(got.rq.params[1].claimed, CIM_UINT16);
	CHECK_STR(got.rq.params[1].v.a[1].s, "2");
	CHECK_STR(cim_path_print(a, got.rq.params[2].v.ref), "root/t:T.Name=\"n\"");
	g = cim_raw_of(&got.rq.params[3].v);
	CHECK_STR(g->class_name, "G");
	CHECK_STR(g->props[0].v.s, "<&>");
	CHECK(cim_is_null(&got.rq.params[4].v));
	CHECK_STR(cimxml_call_object(a, &rq), "root/t:T.Name=%22n%22");
}

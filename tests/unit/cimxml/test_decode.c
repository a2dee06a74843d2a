/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cimxml/decode.h"
#include "test.h"

#define HEAD                                                                                       \
	"<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\">" \
	"<MESSAGE ID=\"42\" PROTOCOLVERSION=\"1.0\"><SIMPLEREQ>"
#define TAIL "</SIMPLEREQ></MESSAGE></CIM>"
#define NS                                                          \
	"<LOCALNAMESPACEPATH><NAMESPACE NAME=\"root\"/><NAMESPACE " \
	"NAME=\"t\"/></LOCALNAMESPACEPATH>"
#define I(m, x) HEAD "<IMETHODCALL NAME=\"" m "\">" NS x "</IMETHODCALL>" TAIL
#define P(n, x) "<IPARAMVALUE NAME=\"" n "\">" x "</IPARAMVALUE>"
#define V(x)    "<VALUE>" x "</VALUE>"
#define C(n)    "<CLASSNAME NAME=\"" n "\"/>"
#define IN(n)                                                                   \
	"<INSTANCENAME CLASSNAME=\"T_Solo\"><KEYBINDING NAME=\"ID\"><KEYVALUE " \
	"VALUETYPE=\"numeric\">" n "</KEYVALUE></KEYBINDING></INSTANCENAME>"

struct given {
	struct arena *a;
	struct cimxml_parser *p;
	struct cimxml_request rq;
	struct cimxml_refusal no;
};

static struct given setup(void)
{
	return (struct given){.a = arena_new(1 << 24), .p = cimxml_parser_new(&cimxml_bounds_usual)};
}

static void teardown(struct given *g)
{
	arena_free(g->a);
	cimxml_parser_free(g->p);
}

static enum cimxml_outcome decode(struct given *g, const char *body)
{
	arena_reset(g->a);
	return cimxml_decode_request(g->p, body, strlen(body), g->a, &g->rq, &g->no);
}

static bool decoded(struct given *g, const char *body)
{
	enum cimxml_outcome r = decode(g, body);

	if (r != CIMXML_DECODED)
		printf("# %s\n", r == CIMXML_REFUSED ? g->no.why.text : g->rq.text);
	return r == CIMXML_DECODED;
}

TEST(what_is_no_cim_operation_is_refused_in_http)
{
	static const struct {
		const char *body;
		unsigned status;
		const char *cim_error;
	} t[] = {
		{"",							      400,     "request-not-well-formed"								 },
		{"no xml",							400,     "request-not-well-formed"								 },
		{HEAD,							    400,     "request-not-well-formed"								 },
		{HEAD "\xff" TAIL,						400,     "request-not-valid"								       },
		{"<CIM>&amp;",						    400,     "request-not-valid"								       },
		{"<A/>",							  400,     "request-not-valid"								       },
		{"<!DOCTYPE CIM [<!ENTITY a \"aa\">]><CIM/>",                     400,     "request-not-valid"                                                                       },
		{"<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"/>",                  400,     "request-not-valid"                                                                       },
		{"<CIM CIMVERSION=\"3.0\" DTDVERSION=\"2.0\"><MESSAGE/></CIM>",   501,
		 "unsupported-cim-version"																	   },
		{"<CIM CIMVERSION=\"2.8\" DTDVERSION=\"1.0\"><MESSAGE/></CIM>",   501,
		 "unsupported-dtd-version"																	   },
		{"<CIM CIMVERSION=\"2.8\" DTDVERSION=\"2.3.1\"><MESSAGE/></CIM>", 400,
		 "request-not-valid"																		 },
		{"<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"1\" "
		 "PROTOCOLVERSION=\"2.0\"/>"
		 "</CIM>",								501,								 "unsupported-protocol-version"											},
		{"<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"1\" "
		 "PROTOCOLVERSION=\"1.0\">"
		 "<MULTIREQ/></MESSAGE></CIM>",							       400,								       "header-mismatch"																       },
		{HEAD "<IMETHODCALL NAME=\"GetClass\"/>" TAIL,                                              400,"request-not-valid"},
		{HEAD "<IMETHODCALL>" NS "</IMETHODCALL>" TAIL,                                            400,								     "request-not-valid"																											    },
		{HEAD "<IMETHODCALL NAME=\"GetClass\">stray text" NS "</IMETHODCALL>" TAIL,                                            400,
		 "request-not-valid"},
		{I("GetClass",					     "<BLINK/>"),						    400,																																											       "request-not-valid"},
		{I("GetClass",							    V("x")),400,"request-not-valid"},
		{HEAD "<METHODCALL NAME=\"M\">" NS "</METHODCALL>" TAIL,400,     "request-not-valid"																																										   },
		{HEAD TAIL,          400,                  "request-not-valid"										    },
	};
	struct given g = setup();

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		CHECK_INT(decode(&g, t[i].body), CIMXML_REFUSED);
		CHECK_INT(g.no.status, t[i].status);
		CHECK_STR(g.no.cim_error, t[i].cim_error);
		CHECK(g.no.why.text[0] != '\0');
	}
	teardown(&g);
}

TEST(a_wrong_operation_is_answered_as_a_cim_error)
{
	static const struct {
		const char *body;
		enum cim_status status;
		const char *says;
	} t[] = {
		{I("GetFlass",               ""),                      CIM_ERR_NOT_SUPPORTED,                              "GetFlass"},
		{I("GetClass",                          P("Colour",                                       V("red"))),                                                      CIM_ERR_INVALID_PARAMETER, "Colour"},
		{I("GetClass", P("ResultClass",                 C("T_Solo"))),              CIM_ERR_INVALID_PARAMETER,
		 "ResultClass"},
		{I("GetClass",           P("ClassName",      C("A")) P("classname",                  C("A"))),
		 CIM_ERR_INVALID_PARAMETER, "twice"},
		{I("GetClass",                          P("LocalOnly",                                       V("maybe"))),								  CIM_ERR_INVALID_PARAMETER, "LocalOnly"},
		{I("GetClass",                  P("PropertyList",                            V("Name"))),								       CIM_ERR_INVALID_PARAMETER, "list"},
		{I("GetInstance",               P("InstanceName", C("T_Solo"))), CIM_ERR_INVALID_PARAMETER,
		 "InstanceName"},
		{I("PullInstances",               P("MaxObjectCount",                                       V("-1"))),									      CIM_ERR_INVALID_PARAMETER,
		 "MaxObjectCount"},
		{HEAD "<METHODCALL NAME=\"M\"><LOCALCLASSPATH>" NS C(
			 "T_Solo") "</LOCALCLASSPATH>"
				   "<PARAMVALUE NAME=\"a\">" V(
					   "1") "</PARAMVALUE><PARAMVALUE "
						"NAME=\"A\"/></METHODCALL>" TAIL,
		 CIM_ERR_INVALID_PARAMETER,"twice"},
		{HEAD "<METHODCALL NAME=\"M\"><LOCALCLASSPATH>" NS C(
			 "T_Solo") "</LOCALCLASSPATH>"
				   "<PARAMVALUE NAME=\"Goal\" EmbeddedObject=\"instance\">" V(
					   "&lt;INSTANCE") "</PARAMVALUE></METHODCALL>" TAIL,
		 CIM_ERR_INVALID_PARAMETER,      "Goal"                                          },
	};
	struct given g = setup();

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		CHECK_INT(decode(&g, t[i].body), CIMXML_FAILED);
		CHECK_INT(g.rq.status, t[i].status);
		if (!strstr(g.rq.text, t[i].says))
			printf("# %s\n", g.rq.text);
		CHECK(strstr(g.rq.text, t[i].says) != NULL);
		CHECK_STR(g.rq.rq.message_id, "42");
	}
	teardown(&g);
}

TEST(every_intrinsic_operation_is_known)
{
	struct given g = setup();

	for (unsigned op = 0; op < CIM_OP_INVOKE_METHOD; op++) {
		char body[1024];

		(void)snprintf(body, sizeof(body), I("%s", ""), cim_op_name((enum cim_op)op));
		CHECK(decoded(&g, body));
		CHECK_INT(g.rq.rq.op, op);
		CHECK_STR(g.rq.rq.ns, "root/t");
		CHECK_STR(g.rq.name, cim_op_name((enum cim_op)op));
		CHECK(!g.rq.extrinsic);
	}
	teardown(&g);
}

TEST(enumerate_instances_with_all_it_can_have)
{
	struct given g = setup();
	struct cim_request *rq = &g.rq.rq;

	CHECK(decoded(
		&g, I("EnumerateInstances",
		      P("CLASSNAME", C("T_Port")) P("localonly", V("FALSE")) P("DeepInheritance",
									       V("true"))
			      P("IncludeQualifiers", V("False")) P("IncludeClassOrigin", V("TRUE"))
				      P("PropertyList", "<VALUE.ARRAY>" V("Name")
								V("Nonsense") "</VALUE.ARRAY>"))));
	CHECK_STR(rq->class_name, "T_Port");
	CHECK_INT(rq->local_only, CIM_FALSE);
	CHECK_INT(rq->deep, CIM_TRUE);
	CHECK_INT(rq->include_quals, CIM_FALSE);
	CHECK_INT(rq->include_origin, CIM_TRUE);
	CHECK(rq->has_props);
	CHECK_INT(rq->n_props, 2);
	CHECK_STR(rq->props[1], "Nonsense");
	teardown(&g);
}

TEST(no_property_list_and_an_empty_one_differ)
{
	struct given g = setup();

	CHECK(decoded(&g, I("EnumerateInstances", P("ClassName", C("X")) P("PropertyList", ""))));
	CHECK(!g.rq.rq.has_props);
	CHECK(decoded(&g,
		      I("EnumerateInstances", P("PropertyList", "<VALUE.ARRAY></VALUE.ARRAY>"))));
	CHECK(g.rq.rq.has_props);
	CHECK_INT(g.rq.rq.n_props, 0);
	teardown(&g);
}

TEST(an_object_name_is_an_instance_or_a_class)
{
	struct given g = setup();

	CHECK(decoded(&g, I("Associators", P("ObjectName", IN("5")) P("ResultClass", C("T_Port"))
						   P("Role", V("From")))));
	CHECK_STR(g.rq.rq.class_name, "T_Solo");
	CHECK_STR(cim_path_print(g.a, g.rq.rq.path), "T_Solo.ID=5");
	CHECK_STR(g.rq.rq.result_class, "T_Port");
	CHECK_STR(g.rq.rq.role, "From");
	CHECK(decoded(&g, I("Associators", P("ObjectName", C("T_Solo")))));
	CHECK_STR(g.rq.rq.class_name, "T_Solo");
	CHECK(!g.rq.rq.path);
	teardown(&g);
}

TEST(a_path_may_hold_references_and_come_in_all_its_forms)
{
	static const struct {
		const char *xml, *want;
	} t[] = {
		{IN("5"),						  "T_Solo.ID=5"					  },
		{"<INSTANCENAME CLASSNAME=\"T_Solo\"><KEYVALUE "
		 "VALUETYPE=\"string\">x</KEYVALUE></INSTANCENAME>",							 "T_Solo=\"x\""							       },
		{"<LOCALINSTANCEPATH>" NS IN("5") "</LOCALINSTANCEPATH>",                                                        "root/t:T_Solo.ID=5"},
		{"<INSTANCEPATH><NAMESPACEPATH><HOST>h</HOST>" NS
		 "</NAMESPACEPATH>" IN("5") "</INSTANCEPATH>",
		 "//h/root/t:T_Solo.ID=5"							 },
		{"<VALUE.REFERENCE>" IN("5") "</VALUE.REFERENCE>",                                                        "T_Solo.ID=5"      },
		{"<INSTANCENAME CLASSNAME=\"T_Link\"><KEYBINDING "
		 "NAME=\"From\"><VALUE.REFERENCE>" IN(
			 "1") "</VALUE.REFERENCE></KEYBINDING><KEYBINDING "
			      "NAME=\"To\"><VALUE.REFERENCE><LOCALINSTANCEPATH>" NS
				      IN("2") "</LOCALINSTANCEPATH></VALUE.REFERENCE></"
					      "KEYBINDING></INSTANCENAME>",							"T_Link.From=\"T_Solo.ID=1\",To=\"root/t:T_Solo.ID=2\""													 },
		{"<INSTANCENAME CLASSNAME=\"T_Solo\"><KEYBINDING NAME=\"B\"><KEYVALUE "
		 "VALUETYPE=\"boolean\">TRUE"
		 "</KEYVALUE></KEYBINDING></INSTANCENAME>","T_Solo.B=TRUE"},
	};
	struct given g = setup();

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		char body[4096];

		(void)snprintf(body, sizeof(body), I("GetInstance", P("InstanceName", "%s")),
			       t[i].xml);
		CHECK(decoded(&g, body));
		if (g.rq.rq.path)
			CHECK_STR(cim_path_print(g.a, g.rq.rq.path), t[i].want);
	}
	teardown(&g);
}

TEST(backslashes_and_slashes_in_a_namespace_make_no_difference)
{
	struct given g = setup();

	CHECK(decoded(
		&g,
		HEAD "<IMETHODCALL NAME=\"EnumerateClassNames\"><LOCALNAMESPACEPATH>"
		     "<NAMESPACE NAME=\"\\root\"/><NAMESPACE NAME=\"a\\b/\"/><NAMESPACE NAME=\"\"/>"
		     "</LOCALNAMESPACEPATH></IMETHODCALL>" TAIL));
	CHECK_STR(g.rq.rq.ns, "root/a/b");
	teardown(&g);
}

TEST(wbemcli_sends_qualifiers_and_origins_inside_an_instance)
{
	struct given g = setup();
	struct cim_raw_instance *i;

	CHECK(decoded(&g, I("CreateInstance",
			    P("NewInstance",
			      "<INSTANCE CLASSNAME=\"T_Port\"><QUALIFIER NAME=\"Abstract\" "
			      "TYPE=\"boolean\">" V(
				      "TRUE") "</QUALIFIER>"
					      "<PROPERTY NAME=\"Number\" CLASSORIGIN=\"T_Port\" "
					      "PROPAGATED=\"true\" TYPE=\"uint16\">"
					      "<QUALIFIER NAME=\"Key\" TYPE=\"boolean\">" V("TRUE") "</QUALIFIER>" V(
						      "9") "</PROPERTY>"
							   "<PROPERTY.ARRAY NAME=\"Tags\" "
							   "TYPE=\"string\"><VALUE.ARRAY>" V("a") "<VALUE.NULL/>" V(
								   "b &lt; c") "</VALUE.ARRAY></"
									       "PROPERTY.ARRAY>"
									       "<PROPERTY."
									       "REFERENCE "
									       "NAME=\"To\" "
									       "REFERENCECLASS=\"T_"
									       "Solo\"><VALUE."
									       "REFERENCE>" IN(
										       "1") "</"
											    "VALUE."
											    "REFERE"
											    "NCE></"
											    "PROPER"
											    "TY."
											    "REFERE"
											    "NCE><"
											    "PROPER"
											    "TY "
											    "NAME="
											    "\"Capt"
											    "ion\" "
											    "TYPE="
											    "\"stri"
											    "ng\"/"
											    "></"
											    "INSTAN"
											    "CE"
											    ">"))));
	i = g.rq.rq.instance;
	CHECK_STR(i->class_name, "T_Port");
	CHECK_INT(i->n_props, 4);
	CHECK_STR(i->props[0].name, "Number");
	CHECK_INT(i->props[0].claimed, CIM_UINT16);
	CHECK_STR(i->props[0].v.s, "9");
	CHECK(i->props[1].is_array);
	CHECK_INT(i->props[1].v.n, 3);
	CHECK(cim_is_null(&i->props[1].v.a[1]));
	CHECK_STR(i->props[1].v.a[2].s, "b < c");
	CHECK_INT(i->props[2].v.type, CIM_REF);
	CHECK(cim_is_null(&i->props[3].v));
	teardown(&g);
}

TEST(modify_instance_names_what_it_modifies)
{
	struct given g = setup();

	CHECK(decoded(
		&g,
		I("ModifyInstance",
		  P("ModifiedInstance",
		    "<VALUE.NAMEDINSTANCE>" IN(
			    "5") "<INSTANCE CLASSNAME=\"T_Solo\"></INSTANCE></VALUE.NAMEDINSTANCE>")
			  P("PropertyList", "<VALUE.ARRAY>" V("ID") "</VALUE.ARRAY>"))));
	CHECK_STR(cim_path_print(g.a, g.rq.rq.path), "T_Solo.ID=5");
	CHECK_STR(g.rq.rq.instance->class_name, "T_Solo");
	CHECK_INT(g.rq.rq.n_props, 1);
	teardown(&g);
}

#define EMBEDDED                                                                       \
	"&lt;INSTANCE CLASSNAME=&quot;T_Set&quot;&gt;&lt;PROPERTY NAME=&quot;A&quot; " \
	"TYPE=&quot;uint8&quot;&gt;"                                                   \
	"&lt;VALUE&gt;7&lt;/VALUE&gt;&lt;/PROPERTY&gt;&lt;/INSTANCE&gt;"

TEST(a_method_call_brings_parameters_of_every_kind)
{
	struct given g = setup();
	struct cim_named *p;

	CHECK(decoded(
		&g,
		HEAD "<METHODCALL NAME=\"Move\"><LOCALINSTANCEPATH>" NS IN(
			"5") "</LOCALINSTANCEPATH>"
			     "<PARAMVALUE NAME=\"n\" PARAMTYPE=\"uint32\">" V(
				     "1") "</PARAMVALUE>"
					  "<PARAMVALUE NAME=\"list\"><VALUE.ARRAY>" V("1") V(
						  "2") "</VALUE.ARRAY></PARAMVALUE>"
						       "<PARAMVALUE NAME=\"ref\" "
						       "PARAMTYPE=\"reference\"><VALUE."
						       "REFERENCE>" IN(
							       "6") "</VALUE.REFERENCE></"
								    "PARAMVALUE>"
								    "<PARAMVALUE NAME=\"refs\" "
								    "PARAMTYPE=\"reference\"><"
								    "VALUE.REFARRAY><VALUE."
								    "REFERENCE>" IN(
									    "7") "</"
										 "VALUE.REFERENCE><"
										 "/VALUE.REFARRAY><"
										 "/PARAMVALUE>"
										 "<PARAMVALUE "
										 "NAME="
										 "\"bare\">" IN(
											 "8") "</"
											      "PARA"
											      "MVAL"
											      "UE>"
											      "<PAR"
											      "AMVA"
											      "LUE "
											      "NAME"
											      "=\"c"
											      "lass"
											      "\""
											      ">" C("T_Port") "</PARAMVALUE>"
													      "<PARAMVALUE NAME=\"marked\" EMBEDDEDOBJECT=\"instance\">" V(
														      EMBEDDED) "</PARAMVALUE>"
																"<PARAMVALUE NAME=\"unmarked\">" V(
																	EMBEDDED) "</PARAMVALUE>"
																		  "<PARAMVALUE NAME=\"text\">" V(
																			  "&lt;INSTANCE of what?") "</PARAMVALUE>"
																						   "<PARAMVALUE NAME=\"null\" PARAMTYPE=\"string\"/>"
																						   "</METHODCALL>" TAIL));
	CHECK(g.rq.extrinsic);
	CHECK_INT(g.rq.rq.op, CIM_OP_INVOKE_METHOD);
	CHECK_STR(g.rq.rq.method, "Move");
	CHECK_STR(g.rq.rq.ns, "root/t");
	CHECK_STR(cim_path_print(g.a, g.rq.rq.path), "root/t:T_Solo.ID=5");
	CHECK_INT(g.rq.rq.n_params, 10);
	p = g.rq.rq.params;
	CHECK_INT(p[0].claimed, CIM_UINT32);
	CHECK_STR(p[0].v.s, "1");
	CHECK(!p[1].has_type && p[1].is_array);
	CHECK_INT(p[1].v.n, 2);
	CHECK_STR(cim_path_print(g.a, p[2].v.ref), "T_Solo.ID=6");
	CHECK_INT(p[3].v.kind, CIM_V_ARRAY);
	CHECK_INT(p[3].v.type, CIM_REF);
	CHECK_STR(cim_path_print(g.a, p[4].v.ref), "T_Solo.ID=8");
	CHECK_STR(p[5].v.ref->class_name, "T_Port");
	for (int i = 6; i < 8; i++) {
		CHECK_INT(p[i].v.type, CIM_OBJECT);
		CHECK_STR(cim_raw_of(&p[i].v)->class_name, "T_Set");
		CHECK_STR(cim_raw_of(&p[i].v)->props[0].v.s, "7");
		CHECK_INT(cim_raw_of(&p[i].v)->text != NULL, i == 7);
	}
	CHECK_STR(p[8].v.s, "<INSTANCE of what?");
	CHECK(cim_is_null(&p[9].v));
	teardown(&g);
}

TEST(pull_operations_are_decoded)
{
	struct given g = setup();
	struct cim_request *rq = &g.rq.rq;

	CHECK(decoded(&g, I("OpenEnumerateInstances",
			    P("ClassName", C("T_Port")) P("OperationTimeout", V("30"))
				    P("MaxObjectCount", V("100")) P("ContinueOnError", V("FALSE"))
					    P("FilterQueryLanguage", V("DMTF:FQL"))
						    P("FilterQuery", V("Number = 1")))));
	CHECK(rq->has_timeout && rq->timeout_s == 30 && rq->has_max_objects &&
	      rq->max_objects == 100);
	CHECK_INT(rq->continue_on_error, CIM_FALSE);
	CHECK_STR(rq->query_lang, "DMTF:FQL");
	CHECK_STR(rq->query, "Number = 1");
	CHECK(decoded(&g, I("PullInstancesWithPath",
			    P("EnumerationContext", V("c-1")) P("MaxObjectCount", V("0")))));
	CHECK_STR(rq->context, "c-1");
	CHECK(rq->has_max_objects && rq->max_objects == 0 && !rq->has_timeout);
	teardown(&g);
}

TEST(documents_are_only_so_deep_wide_and_large)
{
	struct given g = setup();
	char *big = xmalloc(1 << 20), *p = big;

	/* references inside references */
	p += sprintf(p, HEAD "<IMETHODCALL NAME=\"GetInstance\">" NS
			     "<IPARAMVALUE NAME=\"InstanceName\">");
	for (int i = 0; i < 9; i++)
		p += sprintf(
			p,
			"<INSTANCENAME CLASSNAME=\"T\"><KEYBINDING NAME=\"K\"><VALUE.REFERENCE>");
	p += sprintf(p, "<INSTANCENAME CLASSNAME=\"T\"/>");
	for (int i = 0; i < 9; i++)
		p += sprintf(p, "</VALUE.REFERENCE></KEYBINDING></INSTANCENAME>");
	p += sprintf(p, "</IPARAMVALUE></IMETHODCALL>" TAIL);
	CHECK_INT(decode(&g, big), CIMXML_FAILED);
	CHECK(strstr(g.rq.text, "inside each other") != NULL);
	/* elements inside elements */
	for (p = big; p < big + 100 * 5;)
		p += sprintf(p, "<CIM>");
	CHECK_INT(decode(&g, big), CIMXML_REFUSED);
	CHECK(strstr(g.no.why.text, "64 elements") != NULL);
	/* keys */
	p = big + sprintf(big, HEAD "<IMETHODCALL NAME=\"GetInstance\">" NS
				    "<IPARAMVALUE NAME=\"InstanceName\">"
				    "<INSTANCENAME CLASSNAME=\"T\">");
	for (int i = 0; i < 65; i++)
		p += sprintf(p, "<KEYBINDING NAME=\"K\"><KEYVALUE>1</KEYVALUE></KEYBINDING>");
	p += sprintf(p, "</INSTANCENAME></IPARAMVALUE></IMETHODCALL>" TAIL);
	CHECK_INT(decode(&g, big), CIMXML_FAILED);
	CHECK(strstr(g.rq.text, "65 keys") != NULL);
	/* a name */
	p = big + sprintf(big, "<CIM CIMVERSION=\"");
	memset(p, '2', 2000);
	strcpy(p + 2000, "\"/>");
	CHECK_INT(decode(&g, big), CIMXML_REFUSED);
	CHECK(strstr(g.no.why.text, "2000 bytes") != NULL);
	free(big);
	teardown(&g);
}

TEST(a_request_that_outgrows_its_memory_is_too_large)
{
	struct given g = {.a = arena_new(512), .p = cimxml_parser_new(&cimxml_bounds_usual)};

	CHECK_INT(decode(&g, I("GetInstance", P("InstanceName", IN("5")))), CIMXML_REFUSED);
	CHECK_INT(g.no.status, 413);
	teardown(&g);
}

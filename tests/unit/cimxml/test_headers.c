/* SPDX-License-Identifier: Apache-2.0 */
#include "cimxml/headers.h"
#include "test.h"

struct header {
	const char *name, *value;
};

static struct cimxml_headers headers_of(const char *method, const char *version, const struct header *h)
{
	struct cimxml_headers got = {.method = method, .version = version};

	for (; h->name; h++)
		cimxml_headers_add(&got, h->name, h->value);
	return got;
}

#define MAN "http://www.dmtf.org/cim/mapping/http/v1.0"

TEST(headers_decide_whether_a_request_is_a_cim_operation)
{
	static const struct {
		const char *method, *version;
		struct header h[9];
		unsigned status; /* 0: accepted */
		const char *cim_error;
	} t[] = {
#define OK_REST {"CIMMethod", "GetClass"}, {"CIMObject", "root/t"}, {"Content-Type", "application/xml; charset=\"utf-8\""}
#define HOST    {"HOST", "x"}
#define OP      {"cimoperation", "methodcall"}
		{"POST", "HTTP/1.1", {HOST, OP, OK_REST}, 0, NULL},
		{"POST", "HTTP/1.0", {OP, OK_REST}, 0, NULL},
		{"POST", "HTTP/1.1", {OP, OK_REST}, 400, NULL},
		{"GET", "HTTP/1.1", {HOST, OP, OK_REST}, 405, NULL},
		{"PUT", "HTTP/1.1", {HOST, OP, OK_REST}, 405, NULL},
		{"POST", "HTTP/1.1", {HOST, OK_REST}, 400, "unsupported-operation"},
		{"POST", "HTTP/1.1", {HOST, {"CIMOperation", "MethodResponse"}, OK_REST}, 400, "unsupported-operation"},
		{"POST", "HTTP/1.1", {HOST, OP, OK_REST, {"CIMBatch", "yes"}}, 501, "multiple-requests-unsupported"},
		{"POST", "HTTP/1.1", {HOST, OP, OK_REST, {"CIMProtocolVersion", "1.4"}}, 0, NULL},
		{"POST", "HTTP/1.1", {HOST, OP, OK_REST, {"CIMProtocolVersion", "2.0"}}, 501, "unsupported-protocol-version"},
		{"POST", "HTTP/1.1", {HOST, OP, OK_REST, {"CIMProtocolVersion", "one"}}, 400, "header-mismatch"},
		{"POST", "HTTP/1.1", {HOST, OP, OK_REST, {"CIMMethod", "GetClass"}}, 400, "header-mismatch"},
		{"POST", "HTTP/1.1", {HOST, OP, {"CIMObject", "root/t"}, {"Content-Type", "text/xml"}}, 400, "header-mismatch"},
		{"POST", "HTTP/1.1", {HOST, OP, {"CIMMethod", "x"}, {"Content-Type", "text/xml"}}, 400, "header-mismatch"},
#define TYPE(x) {HOST, OP, {"CIMMethod", "x"}, {"CIMObject", "y"}, {"Content-Type", x}}
		{"POST", "HTTP/1.1", TYPE("text/xml"), 0, NULL},
		{"POST", "HTTP/1.1", TYPE("Text/XML;charset=UTF-8"), 0, NULL},
		{"POST", "HTTP/1.1", TYPE("application/xml ; a=b; charset = \"utf-8\""), 0, NULL},
		{"POST", "HTTP/1.1", TYPE("application/xml; charset=iso-8859-1"), 400, NULL},
		{"POST", "HTTP/1.1", TYPE("application/xml; charset=utf-80"), 400, NULL},
		{"POST", "HTTP/1.1", TYPE("application/xmlx"), 400, NULL},
		{"POST", "HTTP/1.1", TYPE("text/plain"), 400, NULL},
		{"POST", "HTTP/1.1", {HOST, OP, {"CIMMethod", "x"}, {"CIMObject", "y"}}, 400, NULL},
		{"POST", "HTTP/1.1", {HOST, OP, OK_REST, {"Content-Encoding", "gzip"}}, 415, NULL},
		{"POST", "HTTP/1.1", {HOST, {"73-CIMOperation", "MethodCall"}, OK_REST}, 400, "header-mismatch"},
#define M_REST {"73-CIMOperation", "MethodCall"}, {"73-CIMMethod", "GetClass"}, {"73-CIMObject", "root/t"}, {"Content-Type", "text/xml"}
		{"M-POST", "HTTP/1.1", {HOST, {"Man", MAN ";ns=73"}, M_REST}, 0, NULL},
		{"M-POST", "HTTP/1.1", {HOST, {"Man", "\"" MAN "\" ; ns = 73 "}, M_REST}, 0, NULL},
		{"M-POST", "HTTP/1.1", {HOST, {"Man", MAN ";ns=74"}, M_REST}, 400, "header-mismatch"},
		{"M-POST", "HTTP/1.1", {HOST, {"Man", MAN}, M_REST}, 400, "header-mismatch"},
		{"M-POST", "HTTP/1.1", {HOST, {"Man", "http://other;ns=73"}, M_REST}, 400, "header-mismatch"},
		{"M-POST", "HTTP/1.1", {HOST, {"Man", MAN ";ns=73"}, OP, M_REST}, 400, "header-mismatch"},
		{"M-POST", "HTTP/1.1", {HOST, OP, OK_REST}, 400, "header-mismatch"},
		{"M-POST", "HTTP/1.0", {HOST, {"Man", MAN ";ns=73"}, M_REST}, 501, NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct cimxml_headers h = headers_of(t[i].method, t[i].version, t[i].h);
		struct cimxml_refusal no = {0};
		enum cimxml_way way = cimxml_headers_check(&h, &no);

		if (way != (t[i].status ? CIMXML_WAY_REFUSED : CIMXML_WAY_CALL))
			printf("# row %zu: %s\n", i, no.why.text);
		CHECK_INT(way, t[i].status ? CIMXML_WAY_REFUSED : CIMXML_WAY_CALL);
		CHECK_INT(no.status, t[i].status);
		CHECK_STR(no.cim_error ? no.cim_error : "-", t[i].cim_error ? t[i].cim_error : "-");
		CHECK_INT(no.allow != NULL, t[i].status == 405);
	}
}

TEST(options_are_told)
{
	struct cimxml_headers h = headers_of("OPTIONS", "HTTP/1.1", (struct header[]){{"Host", "x"}, {0}});
	struct cimxml_refusal no = {0};

	CHECK_INT(cimxml_headers_check(&h, &no), CIMXML_WAY_OPTIONS);
}

static const char *match(const char *method, const char *object, const char *version, bool extrinsic)
{
	static struct cimxml_refusal no;
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_key key = {"Name", {.type = CIM_UNTYPED, .kind = CIM_V_SCALAR, .n = 1, .s = "n"}};
	struct cim_path p = {.class_name = "T_Port", .ns = "root/t", .keys = &key, .n_keys = 1};
	struct cimxml_request rq = {.name = "Move", .protocol = "1.0", .extrinsic = extrinsic,
				    .rq = {.ns = "root/t", .class_name = "T_Port", .path = extrinsic ? &p : NULL}};
	struct cimxml_headers h = {.cim_method = method, .cim_object = object, .protocol_version = version};

	no = (struct cimxml_refusal){0};
	return cimxml_headers_match(&h, &rq, a, &no) ? "ok" : no.cim_error;
}

TEST(headers_and_body_must_say_the_same)
{
	static const char *const bad = "header-mismatch";

	CHECK_STR(match("Move", "root/t", NULL, false), "ok");
	CHECK_STR(match("mOVE", "ROOT%2Ft", "1.0", false), "ok");
	CHECK_STR(match(" Move", " \\root\\t\\", "1.0", false), "ok");
	CHECK_STR(match("Move", "root/t", "1.1", false), bad);
	CHECK_STR(match("Stay", "root/t", NULL, false), bad);
	CHECK_STR(match("Move", "root/u", NULL, false), bad);
	CHECK_STR(match("Move", "root%2", NULL, false), bad);
	CHECK_STR(match("Move", "root%ff", NULL, false), bad);
	CHECK_STR(match("Move", "root/t:T_Port.Name=\"n\"", NULL, true), "ok");
	CHECK_STR(match("Move", "root%2Ft%3AT_Port.Name%3D%22n%22", NULL, true), "ok");
	CHECK_STR(match("Move", "/root/t:T_Port", NULL, true), "ok");
	CHECK_STR(match("Move", "root/t:T_Port.Name=n", NULL, true), "ok");
	CHECK_STR(match("Move", "root/t:T_Port.Name=\"m\"", NULL, true), bad);
	CHECK_STR(match("Move", "root/t:T_Other.Name=\"n\"", NULL, true), bad);
	CHECK_STR(match("Move", "root/u:T_Port.Name=\"n\"", NULL, true), bad);
	CHECK_STR(match("Move", "root/t", NULL, true), bad);
}

TEST(an_answer_to_m_post_has_the_same_prefix)
{
	AUTO(arena) a = arena_new(1 << 16);
	struct cimxml_headers h = {.man = MAN ";ns=73", .prefix = "73"}, plain = {0};
	struct cimxml_header got[4];

	CHECK_INT(cimxml_answer_headers(&plain, a, got), 2);
	CHECK_STR(got[1].name, "CIMOperation");
	CHECK_INT(cimxml_answer_headers(&h, a, got), 4);
	CHECK_STR(got[1].name, "Ext");
	CHECK_STR(got[2].name, "73-CIMOperation");
	CHECK_STR(got[3].value, MAN ";ns=73");
}

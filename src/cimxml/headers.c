/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/str.h"
#include "cimxml/headers.h"

#define OPT_URI "http://www.dmtf.org/cim/mapping/http/v1.0"

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool cim_header(struct cimxml_headers *h, const char *name, const char *value)
{
	const struct {
		const char *name;
		const char **at;
	} known[] = {
		{"CIMOperation",       &h->operation       },
                {"CIMProtocolVersion", &h->protocol_version},
		{"CIMMethod",          &h->cim_method      },
                {"CIMObject",          &h->cim_object      },
		{"CIMBatch",           &h->batch           },
                {"CIMExport",          &h->cim_export      },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (str_caseeq(name, known[i].name)) {
			if (*known[i].at)
				h->repeated = true;
			*known[i].at = value;
			return true;
		}
	return false;
}

void cimxml_headers_add(struct cimxml_headers *h, const char *name, const char *value)
{
	char prefix[3] = "";
	bool any = h->operation || h->protocol_version || h->cim_method || h->cim_object ||
		   h->batch || h->cim_export;

	if (digit(name[0]) && digit(name[1]) && name[2] == '-') {
		memcpy(prefix, name, 2);
		name += 3;
		if (!cim_header(h, name, value))
			return;
	} else if (!cim_header(h, name, value)) {
		if (str_caseeq(name, "Host")) {
			h->repeated |= h->host != NULL;
			h->host = value;
		} else if (str_caseeq(name, "Content-Type")) {
			h->repeated |= h->content_type != NULL;
			h->content_type = value;
		} else if (str_caseeq(name, "Content-Encoding")) {
			h->content_encoding = value;
		} else if (str_caseeq(name, "Man")) {
			h->man = value;
		} else if (str_caseeq(name, "TE")) {
			h->te = value;
		}
		return;
	}
	if (any && !streq(prefix, h->prefix))
		h->mixed_prefix = true;
	memcpy(h->prefix, prefix, sizeof(prefix));
}

static enum cimxml_way refuse(struct cimxml_refusal *r, unsigned status, const char *cim_error,
			      const char *why)
{
	*r = (struct cimxml_refusal){.status = status, .cim_error = cim_error};
	err_set(&r->why, -EPROTO, "%s", why);
	return CIMXML_WAY_REFUSED;
}

static const char *skip_blanks(const char *s)
{
	while (*s == ' ' || *s == '\t')
		s++;
	return s;
}

/* Does s begin with word (no case), followed by the end, a blank or one of stops? */
static bool begins(const char *s, const char *word, const char *stops)
{
	size_t n = strlen(word);

	if (strlen(s) < n || !str_caseeqn(s, n, word))
		return false;
	return !s[n] || s[n] == ' ' || s[n] == '\t' || strchr(stops, s[n]);
}

/* application/xml or text/xml; a charset, when there is one, must be utf-8 (RFC 7303). */
static bool content_type_ok(const char *s)
{
	s = skip_blanks(s);
	if (!begins(s, "application/xml", ";") && !begins(s, "text/xml", ";"))
		return false;
	for (s = strchr(s, ';'); s; s = strchr(s, ';')) {
		bool quoted;
		size_t n;

		s = skip_blanks(s + 1);
		if (!begins(s, "charset", "="))
			continue;
		s = skip_blanks(s + 7);
		if (*s++ != '=')
			return false;
		s = skip_blanks(s);
		quoted = *s == '"';
		s += quoted;
		n = strcspn(s, quoted ? "\"" : "; \t");
		if (!str_caseeqn(s, n, "utf-8"))
			return false;
	}
	return true;
}

/* Man: http://www.dmtf.org/cim/mapping/http/v1.0 ; ns=73 (RFC 2774, DSP0200 §6.2.1) */
static bool man_ok(const struct cimxml_headers *h)
{
	const char *s = skip_blanks(h->man);
	bool quoted = *s == '"';

	s += quoted;
	if (!begins(s, OPT_URI, "\";"))
		return false;
	s = skip_blanks(s + strlen(OPT_URI));
	if (quoted && *s++ != '"')
		return false;
	s = skip_blanks(s);
	if (*s++ != ';')
		return false;
	s = skip_blanks(s);
	if (!begins(s, "ns", "="))
		return false;
	s = skip_blanks(s + 2);
	if (*s++ != '=')
		return false;
	s = skip_blanks(s);
	if (!digit(s[0]) || !digit(s[1]))
		return false;
	return memcmp(s, h->prefix, 2) == 0 && *skip_blanks(s + 2) == '\0';
}

static bool version_ok(const char *v, unsigned *ret_major)
{
	const char *dot = strchr(v, '.');
	uint64_t major, minor;

	if (!dot || !str_u64(v, (size_t)(dot - v), 1000, &major) ||
	    !str_u64(dot + 1, strlen(dot + 1), 1000, &minor))
		return false;
	*ret_major = (unsigned)major;
	return true;
}

enum cimxml_way cimxml_headers_check(const struct cimxml_headers *h, struct cimxml_refusal *ret)
{
	bool m_post = streq(h->method, "M-POST");
	bool http10 = streq(h->version, "HTTP/1.0");
	unsigned major;

	if (!http10 && !h->host)
		return refuse(ret, 400, NULL, "HTTP/1.1 needs a Host header (RFC 9112 3.2)");
	if (streq(h->method, "OPTIONS"))
		return CIMXML_WAY_OPTIONS;
	if (!m_post && !streq(h->method, "POST")) {
		(void)refuse(ret, 405, NULL, "CIM operations are sent with POST or M-POST");
		ret->allow = "POST, M-POST, OPTIONS";
		return CIMXML_WAY_REFUSED;
	}
	if (m_post && http10)
		return refuse(ret, 501, NULL, "M-POST needs HTTP/1.1");
	if (m_post && (!h->man || !h->prefix[0] || !man_ok(h)))
		return refuse(ret, 400, "header-mismatch",
			      "M-POST needs \"Man: " OPT_URI ";ns=NN\" and NN- before the CIM "
			      "headers");
	if (h->mixed_prefix || (!m_post && h->prefix[0]))
		return refuse(ret, 400, "header-mismatch",
			      "the CIM headers' prefixes do not agree");
	if (h->repeated)
		return refuse(ret, 400, "header-mismatch", "a header is there twice");
	if (h->batch)
		return refuse(ret, 501, "multiple-requests-unsupported",
			      "send one request per message");
	if (!h->operation || !begins(skip_blanks(h->operation), "MethodCall", ""))
		return refuse(ret, 400, "unsupported-operation",
			      "the header \"CIMOperation: MethodCall\" is missing");
	if (h->protocol_version) {
		if (!version_ok(skip_blanks(h->protocol_version), &major))
			return refuse(ret, 400, "header-mismatch",
				      "CIMProtocolVersion must look like 1.0");
		if (major != 1)
			return refuse(ret, 501, "unsupported-protocol-version",
				      "CIMProtocolVersion must be 1.x");
	}
	if (!h->content_type || !content_type_ok(h->content_type))
		return refuse(ret, 400, NULL,
			      "Content-Type must be application/xml or text/xml in utf-8");
	if (h->content_encoding && !str_caseeq(skip_blanks(h->content_encoding), "identity"))
		return refuse(ret, 415, NULL, "Content-Encoding is not supported");
	if (!h->cim_method || !h->cim_object)
		return refuse(ret, 400, "header-mismatch",
			      "the headers CIMMethod and CIMObject must be there");
	return CIMXML_WAY_CALL;
}

const char *cimxml_uri_decode(struct arena *a, const char *s)
{
	size_t n = strlen(s), len = 0;
	char *out = arena_alloc(a, n + 1);

	if (!out)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		uint64_t v;

		if (s[i] != '%') {
			out[len++] = s[i];
		} else if (n - i > 2 && str_hex64(s + i + 1, 2, &v) && v) {
			out[len++] = (char)v;
			i += 2;
		} else {
			return NULL;
		}
	}
	out[len] = '\0';
	return str_utf8(out, len, NULL) ? out : NULL;
}

static bool same_namespace(const char *a, size_t n, const char *b)
{
	while (n && (*a == '/' || *a == '\\'))
		a++, n--;
	while (n && (a[n - 1] == '/' || a[n - 1] == '\\'))
		n--;
	if (n != strlen(b))
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = a[i] == '\\' ? '/' : str_lower_c(a[i]);

		if (c != str_lower_c(b[i]))
			return false;
	}
	return true;
}

/*
 * The header of an extrinsic call carries the object path as text, in which clients write
 * references and quoting in several ways.  So what contradicts is refused, not what is written
 * unusually: class and namespace must agree, and plain keys that both sides name.
 */
static bool same_object(struct arena *a, const char *text, const struct cim_request *rq)
{
	struct cim_path *p;
	const char *colon;
	size_t n;

	if (cim_path_parse(a, text, strlen(text), &p, NULL) < 0) {
		/* look no further than the class */
		colon = strchr(text, ':');
		if (!colon || !same_namespace(text, (size_t)(colon - text), rq->ns))
			return false;
		n = strcspn(colon + 1, ".=");
		return str_caseeqn(colon + 1, n, rq->class_name);
	}
	if (!p->ns || !same_namespace(p->ns, strlen(p->ns), rq->ns) ||
	    !str_caseeq(p->class_name, rq->class_name))
		return false;
	for (unsigned i = 0; rq->path && i < p->n_keys; i++)
		for (unsigned k = 0; k < rq->path->n_keys; k++) {
			const struct cim_key *x = &p->keys[i], *y = &rq->path->keys[k];

			if (!y->name || !str_caseeq(x->name, y->name) || y->v.type != CIM_UNTYPED ||
			    x->v.hint != CIM_HINT_STRING || y->v.hint != CIM_HINT_STRING)
				continue;
			if (x->v.n != y->v.n || memcmp(x->v.s, y->v.s, x->v.n) != 0)
				return false;
		}
	return true;
}

bool cimxml_headers_match(const struct cimxml_headers *h, const struct cimxml_request *rq,
			  struct arena *a, struct cimxml_refusal *ret)
{
	const char *method = cimxml_uri_decode(a, skip_blanks(h->cim_method));
	const char *object = cimxml_uri_decode(a, skip_blanks(h->cim_object));
	bool same;

	/* without the header it is 1.0 by definition; clients that don't send it vary in what
	 * they write into the message */
	if (h->protocol_version && !streq(skip_blanks(h->protocol_version), rq->protocol)) {
		(void)refuse(ret, 400, "header-mismatch",
			     "CIMProtocolVersion differs from MESSAGE PROTOCOLVERSION");
		return false;
	}
	if (!method || !str_caseeq(method, rq->name)) {
		(void)refuse(ret, 400, "header-mismatch", "CIMMethod differs from the message");
		return false;
	}
	same = object && (rq->extrinsic ? same_object(a, object, &rq->rq)
					: same_namespace(object, strlen(object), rq->rq.ns));
	if (!same) {
		(void)refuse(ret, 400, "header-mismatch", "CIMObject differs from the message");
		return false;
	}
	return true;
}

unsigned cimxml_answer_headers(const struct cimxml_headers *h, struct arena *a,
			       struct cimxml_header ret[static 4])
{
	unsigned n = 0;

	ret[n++] = (struct cimxml_header){"Content-Type", "application/xml; charset=\"utf-8\""};
	if (!h->man || !h->prefix[0]) {
		ret[n++] = (struct cimxml_header){"CIMOperation", "MethodResponse"};
		return n;
	}
	/* its value is empty; libmicrohttpd wants one character, which HTTP says to strip */
	ret[n++] = (struct cimxml_header){"Ext", " "};
	ret[n].name = arena_printf(a, "%s-CIMOperation", h->prefix);
	ret[n].value = "MethodResponse";
	if (ret[n].name)
		n++;
	ret[n].name = "Man";
	ret[n].value = arena_printf(a, OPT_URI ";ns=%s", h->prefix);
	if (ret[n].value)
		n++;
	return n;
}

const struct cimxml_header cimxml_options_headers[4] = {
	{"Opt",			     OPT_URI " ; ns=73"},
	{"73-CIMProtocolVersion",           "1.0"             },
	{"73-CIMSupportedFunctionalGroups",
	 "basic-read, basic-write, instance-manipulation, association-traversal, "
	 "query-execution"                                    },
	{"73-CIMSupportedQueryLanguages",   "WQL, DMTF:CQL"   },
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "cimxml/call.h"
#include "base/str.h"
#include "cimxml/params.h"
#include "cimxml/values.h"

static void class_name(struct writer *w, const char *name)
{
	writer_lit(w, "<CLASSNAME NAME=\"");
	writer_attr(w, name);
	writer_lit(w, "\"/>");
}

static void text(struct writer *w, const char *s)
{
	writer_lit(w, "<VALUE>");
	writer_text(w, s, strlen(s));
	writer_lit(w, "</VALUE>");
}

static void number(struct writer *w, uint64_t u)
{
	writer_lit(w, "<VALUE>");
	writer_u64(w, u);
	writer_lit(w, "</VALUE>");
}

static void truth(struct writer *w, uint8_t tri)
{
	text(w, tri == CIM_TRUE ? "TRUE" : "FALSE");
}

static bool given(const struct cim_request *rq, enum param p)
{
	switch (p) {
	case P_CLASS_NAME:
		return rq->class_name;
	case P_INSTANCE_NAME:
		return rq->path;
	case P_OBJECT_NAME:
		return rq->path || rq->class_name;
	case P_LOCAL_ONLY:
		return rq->local_only != CIM_UNSET;
	case P_DEEP:
		return rq->deep != CIM_UNSET;
	case P_QUALS:
		return rq->include_quals != CIM_UNSET;
	case P_ORIGIN:
		return rq->include_origin != CIM_UNSET;
	case P_PROPS:
		return rq->has_props;
	case P_NEW_INSTANCE:
	case P_MODIFIED_INSTANCE:
		return rq->instance;
	case P_ASSOC_CLASS:
		return rq->assoc_class;
	case P_RESULT_CLASS:
		return rq->result_class;
	case P_ROLE:
		return rq->role;
	case P_RESULT_ROLE:
		return rq->result_role;
	case P_QUERY_LANG:
	case P_FILTER_LANG:
		return rq->query_lang;
	case P_QUERY:
	case P_FILTER:
		return rq->query;
	case P_RETURN_CLASS:
		return rq->return_query_class;
	case P_TIMEOUT:
		return rq->has_timeout;
	case P_CONTINUE:
		return rq->continue_on_error != CIM_UNSET;
	case P_MAX_OBJECTS:
		return rq->has_max_objects;
	case P_CONTEXT:
		return rq->context;
	case P_PROP_NAME:
	case P_QUAL_NAME:
		return rq->name;
	case P_NEW_VALUE:
		return !cim_is_null(&rq->new_value);
	case P_N:
		break;
	}
	return false;
}

static void param(struct values *v, struct writer *w, const struct cim_request *rq, enum param p)
{
	switch (p) {
	case P_CLASS_NAME:
		class_name(w, rq->class_name);
		break;
	case P_OBJECT_NAME:
	case P_INSTANCE_NAME:
		if (rq->path)
			values_instance_name(v, w, rq->path);
		else
			class_name(w, rq->class_name);
		break;
	case P_LOCAL_ONLY:
		truth(w, rq->local_only);
		break;
	case P_DEEP:
		truth(w, rq->deep);
		break;
	case P_QUALS:
		truth(w, rq->include_quals);
		break;
	case P_ORIGIN:
		truth(w, rq->include_origin);
		break;
	case P_PROPS:
		writer_lit(w, "<VALUE.ARRAY>");
		for (uint32_t i = 0; i < rq->n_props; i++)
			text(w, rq->props[i]);
		writer_lit(w, "</VALUE.ARRAY>");
		break;
	case P_NEW_INSTANCE:
		values_raw_instance(v, w, rq->instance);
		break;
	case P_MODIFIED_INSTANCE:
		writer_lit(w, "<VALUE.NAMEDINSTANCE>");
		if (rq->path || rq->instance->path)
			values_instance_name(v, w, rq->path ? rq->path : rq->instance->path);
		values_raw_instance(v, w, rq->instance);
		writer_lit(w, "</VALUE.NAMEDINSTANCE>");
		break;
	case P_ASSOC_CLASS:
		class_name(w, rq->assoc_class);
		break;
	case P_RESULT_CLASS:
		class_name(w, rq->result_class);
		break;
	case P_ROLE:
		text(w, rq->role);
		break;
	case P_RESULT_ROLE:
		text(w, rq->result_role);
		break;
	case P_QUERY_LANG:
	case P_FILTER_LANG:
		text(w, rq->query_lang);
		break;
	case P_QUERY:
	case P_FILTER:
		text(w, rq->query);
		break;
	case P_RETURN_CLASS:
		text(w, "TRUE");
		break;
	case P_TIMEOUT:
		number(w, rq->timeout_s);
		break;
	case P_CONTINUE:
		truth(w, rq->continue_on_error);
		break;
	case P_MAX_OBJECTS:
		number(w, rq->max_objects);
		break;
	case P_CONTEXT:
		text(w, rq->context);
		break;
	case P_PROP_NAME:
	case P_QUAL_NAME:
		text(w, rq->name);
		break;
	case P_NEW_VALUE:
		values_value(v, w, &rq->new_value);
		break;
	case P_N:
		break;
	}
}

static void intrinsic(struct values *v, struct writer *w, const struct cim_request *rq)
{
	writer_lit(w, "<IMETHODCALL NAME=\"");
	writer_str(w, cim_op_name(rq->op));
	writer_lit(w, "\">");
	values_namespace(v, w, rq->ns);
	for (unsigned p = 0; p < P_N; p++) {
		if (!(params_of[rq->op] & 1U << p) || !given(rq, (enum param)p))
			continue;
		writer_lit(w, "<IPARAMVALUE NAME=\"");
		writer_str(w, params_names[p]);
		writer_lit(w, "\">");
		param(v, w, rq, (enum param)p);
		writer_lit(w, "</IPARAMVALUE>");
	}
	writer_lit(w, "</IMETHODCALL>");
}

static void method_param(struct values *v, struct writer *w, const struct cim_named *p)
{
	writer_lit(w, "<PARAMVALUE NAME=\"");
	writer_attr(w, p->name);
	if (p->has_type || p->v.type != CIM_UNTYPED) {
		writer_lit(w, "\" PARAMTYPE=\"");
		writer_str(w, cim_type_name(p->has_type ? (enum cim_type)p->claimed
							: (enum cim_type)p->v.type));
	}
	if (p->v.type == CIM_OBJECT)
		writer_lit(w, "\" EmbeddedObject=\"instance");
	writer_lit(w, "\">");
	values_value(v, w, &p->v);
	writer_lit(w, "</PARAMVALUE>");
}

static void extrinsic(struct values *v, struct writer *w, const struct cim_request *rq)
{
	writer_lit(w, "<METHODCALL NAME=\"");
	writer_attr(w, rq->method);
	writer_str(w, rq->path ? "\"><LOCALINSTANCEPATH>" : "\"><LOCALCLASSPATH>");
	values_namespace(v, w, rq->ns);
	if (rq->path)
		values_instance_name(v, w, rq->path);
	else
		class_name(w, rq->class_name);
	writer_str(w, rq->path ? "</LOCALINSTANCEPATH>" : "</LOCALCLASSPATH>");
	for (uint32_t i = 0; i < rq->n_params; i++)
		method_param(v, w, &rq->params[i]);
	writer_lit(w, "</METHODCALL>");
}

bool cimxml_call(struct buf *out, const struct cim_request *rq)
{
	struct writer w = writer_open(out);
	struct values v = {0};

	writer_lit(&w, "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n"
		       "<CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"");
	writer_attr(&w, rq->message_id ? rq->message_id : "");
	writer_lit(&w, "\" PROTOCOLVERSION=\"1.0\"><SIMPLEREQ>");
	if (rq->op == CIM_OP_INVOKE_METHOD)
		extrinsic(&v, &w, rq);
	else
		intrinsic(&v, &w, rq);
	writer_lit(&w, "</SIMPLEREQ></MESSAGE></CIM>\n");
	return writer_close(&w);
}

/* What may stand in a header value as it is, and in a URI (RFC 3986 §2.3 and some delimiters that
 * every server takes unencoded); the rest is percent-encoded. */
static const char *uri_encode(struct arena *a, const char *s)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t n = strlen(s), len = 0;
	char *out = arena_alloc(a, n * 3 + 1);

	if (!out)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    strchr("-_.~/:=,", c)) {
			out[len++] = (char)c;
		} else {
			out[len++] = '%';
			out[len++] = hex[c >> 4];
			out[len++] = hex[c & 15];
		}
	}
	out[len] = '\0';
	return out;
}

const char *cimxml_call_method(struct arena *a, const struct cim_request *rq)
{
	return uri_encode(a, rq->op == CIM_OP_INVOKE_METHOD ? rq->method : cim_op_name(rq->op));
}

const char *cimxml_call_object(struct arena *a, const struct cim_request *rq)
{
	const char *object;
	struct cim_path p;

	if (rq->op != CIM_OP_INVOKE_METHOD)
		return uri_encode(a, rq->ns);
	if (rq->path)
		p = *rq->path;
	else
		p = (struct cim_path){.class_name = rq->class_name};
	p.host = NULL;
	p.ns = rq->ns;
	object = cim_path_print(a, &p);
	return object ? uri_encode(a, object) : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cim.h - the object model: types, values, object paths, instances, class tables
 *
 * Class tables are const data that mofc writes from the files in mof/ at build time; there is no
 * run-time schema change.  Values and instances are plain structs that borrow their text:
 * whoever fills one says how long it lives (the request's arena, a pinned snapshot, a const
 * table).  Nothing here is freed piecemeal.
 *
 * Names compare without regard to ASCII case (DSP0004 §5.3); string values do not.
 *
 * Depends on: base.  Threads: class tables are const; a value or instance has one owner.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

enum cim_type {
	CIM_BOOLEAN,
	CIM_UINT8,
	CIM_SINT8,
	CIM_UINT16,
	CIM_SINT16,
	CIM_UINT32,
	CIM_SINT32,
	CIM_UINT64,
	CIM_SINT64,
	CIM_REAL32,
	CIM_REAL64,
	CIM_CHAR16,
	CIM_STRING,
	CIM_DATETIME, /* value is the 25-character text of DSP0004 §5.2.4 */
	CIM_REF,
	CIM_OBJECT,  /* embedded instance; on the wire a string (DSP0201 EmbeddedObject) */
	CIM_UNTYPED, /* a key value as it came in: text, see cim_value.hint */
	CIM_N_TYPES
};

/* "uint16", "datetime", "reference", ...: as in CIM-XML TYPE attributes and MOF. */
const char *cim_type_name(enum cim_type t);
bool cim_type_parse(const char *s, size_t n, enum cim_type *ret) MUST_CHECK;

/* ---- values ---- */

enum { CIM_V_NULL = 0, CIM_V_SCALAR = 1, CIM_V_ARRAY = 2 };
enum { CIM_HINT_STRING, CIM_HINT_BOOLEAN, CIM_HINT_NUMERIC, CIM_HINT_RAW };

struct cim_path;
struct cim_instance;

/* All-zero is NULL.  Integers live in u or i by signedness; boolean and char16 in u. */
struct cim_value {
	uint8_t type; /* enum cim_type: of the elements when an array */
	uint8_t kind; /* CIM_V_NULL, _SCALAR, _ARRAY */
	uint8_t hint; /* CIM_UNTYPED: what VALUETYPE claimed (CIM_HINT_*).  CIM_OBJECT: 0, or
		       * CIM_HINT_RAW when inst is a struct cim_raw_instance (request.h) */
	uint8_t pad_;
	uint32_t n; /* bytes of s (scalar text), or elements of a */
	union {
		uint64_t u;
		int64_t i;
		double r;
		const char *s; /* UTF-8, NUL-terminated besides; n bytes */
		const struct cim_path *ref;
		const struct cim_instance *inst;
		const struct cim_value *a; /* n elements, each NULL or SCALAR, all of type */
	};
};

static inline bool cim_is_null(const struct cim_value *v)
{
	return v->kind == CIM_V_NULL;
}
static inline struct cim_value cim_null(enum cim_type t)
{
	return (struct cim_value){.type = (uint8_t)t};
}
static inline struct cim_value cim_bool(bool b)
{
	return (struct cim_value){.type = CIM_BOOLEAN, .kind = CIM_V_SCALAR, .u = b};
}
static inline struct cim_value cim_uint(enum cim_type t, uint64_t u)
{
	return (struct cim_value){.type = (uint8_t)t, .kind = CIM_V_SCALAR, .u = u};
}
static inline struct cim_value cim_u16(uint16_t u)
{
	return cim_uint(CIM_UINT16, u);
}
static inline struct cim_value cim_u32(uint32_t u)
{
	return cim_uint(CIM_UINT32, u);
}
static inline struct cim_value cim_u64(uint64_t u)
{
	return cim_uint(CIM_UINT64, u);
}
/* Borrows s; NULL gives a NULL string. */
static inline struct cim_value cim_strn(const char *s, size_t n)
{
	return (struct cim_value){.type = CIM_STRING,
				  .kind = s ? CIM_V_SCALAR : CIM_V_NULL,
				  .n = (uint32_t)n,
				  .s = s};
}
static inline struct cim_value cim_str(const char *s)
{
	return cim_strn(s, s ? strlen(s) : 0);
}
static inline struct cim_value cim_datetime(const char *s)
{
	struct cim_value v = cim_strn(s, s ? 25 : 0);

	v.type = CIM_DATETIME;
	return v;
}
static inline struct cim_value cim_ref(const struct cim_path *p)
{
	return (struct cim_value){.type = CIM_REF, .kind = p ? CIM_V_SCALAR : CIM_V_NULL, .ref = p};
}
static inline struct cim_value cim_object(const struct cim_instance *i)
{
	return (struct cim_value){
		.type = CIM_OBJECT, .kind = i ? CIM_V_SCALAR : CIM_V_NULL, .inst = i};
}
static inline struct cim_value cim_array(enum cim_type t, const struct cim_value *a, size_t n)
{
	return (struct cim_value){
		.type = (uint8_t)t, .kind = CIM_V_ARRAY, .n = (uint32_t)n, .a = a};
}

/* Deep equality; types must agree (CIM_UNTYPED equals nothing).  References by cim_path_eq. */
bool cim_value_eq(const struct cim_value *a, const struct cim_value *b);
/* Text as it stands in a VALUE or KEYVALUE element -> value of type t; strict (ranges, digits,
 * "true"/"false" without case, datetime form; blanks only around booleans and numbers).  Borrows s for text types.  n bytes of s, which
 * is NUL-terminated besides.  -EINVAL with a sentence (what was given, what is allowed). */
int cim_value_parse(enum cim_type t, const char *s, size_t n, struct cim_value *ret,
		    struct err *e) MUST_CHECK;
/* Turn an untyped key value into type t in place; wrong VALUETYPE hints are tolerated. */
int cim_value_retype(struct cim_value *v, enum cim_type t, struct err *e) MUST_CHECK;
/* Deep copy into an arena; false when the arena is full. */
bool cim_value_dup(struct arena *a, const struct cim_value *v, struct cim_value *ret) MUST_CHECK;

/* ---- datetime (DSP0004 §5.2.4) ---- */

bool cim_datetime_ok(const char *s, size_t n);
/* us: microseconds since 1970 UTC -> "yyyymmddhhmmss.mmmmmm+000" and NUL. */
void cim_datetime_put(char at[static 26], int64_t us);
/* The reverse, from any time zone; false: an interval, or not all of its digits are known. */
bool cim_datetime_get(const char *s, size_t n, int64_t *ret_us) MUST_CHECK;
/* An interval "ddddddddhhmmss.mmmmmm:000". */
void cim_interval_put(char at[static 26], uint64_t us);

/* ---- class tables ---- */

enum { /* cim_prop.flags, cim_param.flags */
	CIM_F_KEY = 1 << 0,
	CIM_F_ARRAY = 1 << 1,
	CIM_F_READ = 1 << 2,
	CIM_F_WRITE = 1 << 3,
	CIM_F_REQUIRED = 1 << 4,
	CIM_F_IN = 1 << 5,
	CIM_F_OUT = 1 << 6,
	CIM_F_OCTETSTRING = 1 << 7,
	CIM_F_STATIC = 1 << 8, /* methods */
};
enum { /* cim_class.flags */
	CIM_C_ABSTRACT = 1 << 0,
	CIM_C_ASSOCIATION = 1 << 1,
	CIM_C_INDICATION = 1 << 2,
};
enum { /* cim_qual.flavor */
	CIM_Q_OVERRIDABLE = 1 << 0,
	CIM_Q_TOSUBCLASS = 1 << 1,
	CIM_Q_TOINSTANCE = 1 << 2,
	CIM_Q_TRANSLATABLE = 1 << 3,
};
enum { /* cim_qualdecl.scope */
	CIM_S_CLASS = 1 << 0,
	CIM_S_ASSOCIATION = 1 << 1,
	CIM_S_INDICATION = 1 << 2,
	CIM_S_PROPERTY = 1 << 3,
	CIM_S_REFERENCE = 1 << 4,
	CIM_S_METHOD = 1 << 5,
	CIM_S_PARAMETER = 1 << 6,
};

struct cim_qual {
	const char *name;
	struct cim_value value;
	uint8_t flavor;
	bool propagated; /* inherited, not written on this very element */
};

struct cim_qualdecl {
	const char *name;
	/* Default; .type declares the type, and so does being an array, which NULL tells by
	 * .hint == CIM_V_ARRAY. */
	struct cim_value value;
	uint16_t scope;
	uint8_t flavor;
};

struct cim_class;

struct cim_prop {
	const char *name;
	uint8_t type;
	uint16_t name_len;
	uint16_t flags;
	uint32_t max_len;    /* MaxLen qualifier; 0: none */
	uint32_t array_size; /* fixed array size; 0: none */
	const struct cim_class *ref_class; /* CIM_REF: the declared class */
	const struct cim_class *origin;    /* where the name was introduced */
	const struct cim_class *declared;  /* the class whose declaration this is (override) */
	struct cim_value dflt;
	const struct cim_qual *quals; /* effective, propagated ones included */
	uint16_t n_quals;
};

struct cim_param {
	const char *name;
	uint8_t type;
	uint16_t flags; /* IN, OUT, ARRAY, REQUIRED */
	uint32_t array_size;
	const struct cim_class *ref_class;
	const struct cim_qual *quals;
	uint16_t n_quals;
};

struct cim_method {
	const char *name;
	uint8_t type; /* of the return value */
	uint16_t flags;
	uint16_t n_params;
	const struct cim_param *params;
	const struct cim_class *origin, *declared;
	const struct cim_qual *quals;
	uint16_t n_quals;
};

/* props and methods list what an instance has, inherited ones first (in the superclass's order),
 * an overriding declaration in the place of the overridden.  So a property's index in a class is
 * its index in every subclass too. */
struct cim_class {
	const char *name;
	uint16_t name_len;
	uint16_t flags;
	uint16_t id; /* dense, 0..schema.n_classes-1 */
	uint16_t n_props, n_methods, n_keys, n_quals, n_subs;
	const struct cim_class *super; /* NULL: none */
	const struct cim_prop *const *props;
	const struct cim_method *const *methods;
	const uint16_t *keys; /* indexes into props, ascending */
	const struct cim_qual *quals;
	const struct cim_class *const *subs; /* direct subclasses */
};

struct cim_schema {
	const struct cim_class *const *classes; /* by id */
	uint16_t n_classes;
	const uint16_t *hash; /* open addressing by str_casehash of the name; 0xffff: empty */
	uint32_t hash_size;   /* a power of two */
	const struct cim_qualdecl *qualdecls;
	uint16_t n_qualdecls;
};

/* The namespace decides which classes of the schema exist in it. */
struct cim_namespace {
	const char *name; /* "root/cimv2/storage/iscsitarget" */
	const struct cim_schema *schema;
	const uint64_t *members; /* bit set by class id */
};

const struct cim_class *cim_schema_find(const struct cim_schema *s, const char *name, size_t n);
static inline bool cim_ns_has(const struct cim_namespace *ns, const struct cim_class *c)
{
	return ns->members[c->id / 64] >> (c->id % 64) & 1;
}
/* NULL: no such class in that namespace. */
const struct cim_class *cim_ns_find(const struct cim_namespace *ns, const char *name, size_t n);
/* sub is c or below it. */
bool cim_class_is_a(const struct cim_class *sub, const struct cim_class *c);
/* Index into c->props / c->methods / m->params by name; -1: none. */
int cim_prop_find(const struct cim_class *c, const char *name, size_t n);
int cim_method_find(const struct cim_class *c, const char *name, size_t n);
int cim_param_find(const struct cim_method *m, const char *name, size_t n);
const struct cim_qual *cim_qual_find(const struct cim_qual *q, size_t n, const char *name);

/* ---- object paths ---- */

struct cim_key {
	const char *name;
	struct cim_value v;
};

struct cim_path {
	const char *host, *ns; /* NULL: not given; ns without slashes at its ends */
	const char *class_name;
	const struct cim_class *cls; /* resolved, or NULL */
	struct cim_key *keys;
	uint16_t n_keys;
};

/* Same class, same keys in any order; namespace compared (without case) only when both have one,
 * host never (DSP0004 §5.7).  Both must be resolved (typed keys). */
bool cim_path_eq(const struct cim_path *a, const struct cim_path *b);
/* Equal paths have equal hashes. */
uint64_t cim_path_hash(const struct cim_path *p);
/*
 * Bind a path that came in to its class table: sets cls, types the key values, puts them into
 * the class's key order, resolves nested references.  Keys that are missing are left out, so
 * n_keys < cls->n_keys afterwards means an abbreviated reference.  0; -ENOENT unknown class;
 * -EINVAL unknown or repeated key, value of wrong type.  e names the culprit.
 */
int cim_path_resolve(struct cim_path *p, const struct cim_namespace *ns, struct arena *a,
		     struct err *e) MUST_CHECK;
/* "ns:Class.k1=\"v\",k2=5" (DSP0207 historic form), for people, logs and the command line.
 * print: into the arena, NULL when full.  parse: keys stay CIM_UNTYPED. */
const char *cim_path_print(struct arena *a, const struct cim_path *p);
int cim_path_parse(struct arena *a, const char *text, size_t n, struct cim_path **ret,
		   struct err *e) MUST_CHECK;
struct cim_path *cim_path_dup(struct arena *a, const struct cim_path *p);

/* ---- instances ---- */

/* v has cls->n_props values in table order; NULL values keep their .type.  path: may be NULL. */
struct cim_instance {
	const struct cim_class *cls;
	struct cim_value *v;
	const struct cim_path *path;
};

/* All properties NULL / at their declared defaults; NULL when the arena is full. */
struct cim_instance *cim_instance_new(struct arena *a, const struct cim_class *c);
void cim_instance_clear(struct cim_instance *i); /* back to that state (defaults) */
struct cim_instance *cim_instance_dup(struct arena *a, const struct cim_instance *i);

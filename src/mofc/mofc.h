/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mofc.h - the MOF compiler: text of mof/ -> checked declarations -> const C tables
 *
 * Three steps, each of which either succeeds whole or says "file:line: what is wrong":
 *
 *	mofc_parse()	text into declarations as written (DSP0004 annex A, without instances)
 *	mofc_check()	names resolved, qualifiers propagated, features inherited, rules held
 *	mofc_emit_*()	the declarations as C, in the shape of cim/cim.h
 *
 * Which namespaces a class lives in is said in MOF: "#pragma namespace" stands for what follows
 * it, includes too, and a file may be included under several namespaces; it is read once.
 * Property, method and class names keep their spelling, so that one grep follows them to C.
 *
 * All memory is the arena's; nothing is freed piecemeal.  Texts are borrowed from the input.
 *
 * Depends on: base, cim (of whose code only types and datetimes run at build time).  Threads: one
 *compilation, one thread.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "cim/cim.h"

enum { MOFC_MAX_NAMESPACES = 16, MOFC_MAX_INCLUDE_DEPTH = 8 };

struct mofc_file {
	const char *path;
	const char *stem; /* "iscsi" of "mof/iscsi.mof" */
	struct mofc_file *next;
	struct mofc_file **includes;
	size_t n_includes;
	bool open; /* being read: including it now would be a circle */
};

struct mofc_loc {
	const struct mofc_file *file;
	int line;
};

/* A constant as written; its type is only known from what it initialises. */
struct mofc_lit {
	enum { LIT_NULL, LIT_BOOL, LIT_INT, LIT_REAL, LIT_STRING, LIT_CHAR, LIT_ARRAY } kind;
	bool neg;   /* LIT_INT, with its magnitude in u */
	uint64_t u; /* also LIT_BOOL, LIT_CHAR */
	double r;
	const char *s;
	size_t n; /* bytes of s, elements of a */
	struct mofc_lit *a;
};

struct mofc_qualdecl {
	const char *name;
	struct mofc_loc loc;
	enum cim_type type;
	bool array;
	struct mofc_lit lit;
	struct cim_value dflt; /* after the check */
	uint16_t scope;
	uint8_t flavor;
	struct mofc_qualdecl *next;
};

struct mofc_qual {
	const char *name;
	struct mofc_loc loc;
	bool has_lit;
	struct mofc_lit lit;
	uint8_t flavor_set, flavor_clear;
	struct mofc_qual *next;
	/* after the check */
	const struct mofc_qualdecl *decl;
	struct cim_value value;
	uint8_t flavor;
	bool propagated;
};

struct mofc_class;

/* A property, a method or a parameter: they differ in little. */
struct mofc_feature {
	const char *name;
	struct mofc_loc loc;
	bool is_method;
	enum cim_type type; /* CIM_OBJECT once EmbeddedInstance or EmbeddedObject is seen */
	const char *ref_name;
	bool array;
	uint32_t array_size;
	bool has_dflt;
	struct mofc_lit lit;
	struct mofc_qual *own; /* as written */
	struct mofc_feature *params;
	size_t n_params;
	struct mofc_feature *next;
	/* after the check */
	const struct mofc_class *ref_class;
	const struct mofc_class *origin, *declared;
	struct cim_value dflt;
	struct mofc_qual **quals; /* effective */
	size_t n_quals;
	uint16_t flags;
	uint32_t max_len;
	uint32_t id; /* position among all features of its kind: the emitter's */
};

struct mofc_class {
	const char *name;
	struct mofc_loc loc;
	const char *super_name;
	struct mofc_qual *own;
	struct mofc_feature *features; /* as written */
	uint32_t ns;                   /* bit set of mofc.namespaces */
	struct mofc_class *next;
	/* after the check */
	uint16_t id;
	struct mofc_class *super;
	uint16_t flags;
	struct mofc_feature **props, **methods; /* flattened: see cim_class */
	size_t n_props, n_methods;
	uint16_t *keys;
	size_t n_keys;
	struct mofc_qual **quals;
	size_t n_quals;
};

struct mofc {
	struct arena *arena;
	struct mofc_file *files; /* in the order they were first read */
	struct mofc_qualdecl *qualdecls;
	struct mofc_class *classes;
	size_t n_classes, n_qualdecls;
	const char *namespaces[MOFC_MAX_NAMESPACES];
	size_t n_namespaces;
	int cur_ns; /* what "#pragma namespace" said last; -1: nothing yet */
	int depth;
	/* Bring the text of an included file; NULL: includes are refused. */
	int (*load)(void *ctx, const char *path, struct arena *a, const char **ret_text,
		    size_t *ret_n, struct err *e);
	void *load_ctx;
};

/* Declarations of text, added to what m holds.  text need not be NUL-terminated; it and path
 * live as long as m.  -EINVAL: the text is not MOF; -ENOMEM: the arena is full. */
int mofc_parse(struct mofc *m, const char *path, const char *text, size_t n,
	       struct err *e) MUST_CHECK;

/* Resolve and check everything parsed.  -EINVAL names the first rule broken, by file and line. */
int mofc_check(struct mofc *m, struct err *e) MUST_CHECK;

/* The tables of all classes. */
int mofc_emit_tables(const struct mofc *m, struct buf *out, struct err *e) MUST_CHECK;
/* What a user of the tables includes: schema.h, and one header per file with its constants. */
int mofc_emit_schema_h(const struct mofc *m, struct buf *out, struct err *e) MUST_CHECK;
int mofc_emit_header(const struct mofc *m, const struct mofc_file *f, struct buf *out,
		     struct err *e) MUST_CHECK;

/* ---- between the steps ---- */

struct mofc_class *mofc_class_find(const struct mofc *m, const char *name);
const struct mofc_qual *mofc_qual_find(struct mofc_qual *const *q, size_t n, const char *name);
int mofc_err(struct err *e, struct mofc_loc loc, const char *fmt, ...) PRINTF(3, 4);
/* What a literal means as a value of type t. */
int mofc_lit_value(struct mofc *m, const struct mofc_lit *l, enum cim_type t, bool array,
		   struct mofc_loc loc, struct cim_value *ret, struct err *e) MUST_CHECK;

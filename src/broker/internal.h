/* SPDX-License-Identifier: Apache-2.0 */
/*
 * internal.h - how the broker is put together; for src/broker only
 *
 *   broker.c  tables made once from the modules: who serves what, who can be linked to whom
 *   read.c    finding objects and links, turning handles into paths and instances
 *   list.c    listings: enumerations, walks, filters; one object at a time
 *   check.c   values as they came -> values of the declared type
 *   write.c   method bodies and intrinsic changes, the two-phase way
 *   pull.c    enumeration contexts
 *   class.c   class-level operations, from the class tables alone
 *   audit.c   one log line for every change, made or refused
 *   op.c      one operation from open to close
 *   query.c   WQL, DMTF:CQL and DMTF:FQL
 *
 * Threads: the tables are const after broker_new(); the enumeration contexts are under
 * broker.lock; everything else belongs to one operation.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "broker/broker.h"
#include "broker/query.h"

enum {
	MODULES_MAX = 16,
	KEYS_MAX = 16,              /* keys of one class */
	ITEM_ARENA_MAX = 8 << 20,   /* one object of a listing */
};

/* ---- tables ---- */

struct row;
struct space;
struct broker_op;
struct write;

struct cand { /* an association in which objects of a class can have a role */
	const struct row *assoc;
	int which;
};

/* One class in one namespace that some module serves: objects (pc) or links (pa). */
struct row {
	const struct prov_class *pc;
	const struct prov_assoc *pa;
	const struct cim_class *cls;
	const struct prov_module *mod;
	struct space *space;
	uint16_t mod_idx;
	bool keys_beyond_refs; /* pa: some key is not a reference, so a path needs fill() */
	struct cand *cands;    /* pc */
	size_t n_cands;
};

struct rows {
	const struct row **v;
	size_t n;
};

struct space { /* a namespace */
	const struct cim_namespace *ns;
	const struct row **row; /* by class id; NULL: nobody serves it here */
	struct rows *below;     /* by class id: the rows of the class and its subclasses */
};

struct broker {
	struct broker_config c;
	const struct cim_schema *schema;
	struct cim_namespace anywhere; /* has every class: references may cross namespaces */
	uint64_t *all_bits;
	struct space *spaces;
	struct row *rows;
	size_t n_rows;
	/* [module][class id] -> per method index its body, or NULL where the class has none */
	const struct prov_method ***bodies[MODULES_MAX];

	pthread_mutex_t lock; /* protects what follows */
	struct pull *pulls;
	uint32_t n_pulls;
};

/* By name, case and slashes ignored, aliases followed; NULL: unknown. */
struct space *space_find(const struct broker *b, const char *name);
/* A class of that namespace, or else of any: filters may name what lives elsewhere. */
const struct cim_class *class_anywhere(const struct broker *b, const struct space *sp,
				       const char *name);
const struct row *row_of(const struct broker *b, const struct prov_class *pc);
const struct prov_method *body_of(const struct broker *b, unsigned mod, const struct cim_class *c,
				  int method);
const struct prov_edit *edit_of(const struct prov_module *m, const struct cim_class *c);

/* ---- reading ---- */

struct made { /* the instance and path that a listing uses again and again for one row */
	const struct row *row;
	struct cim_instance *inst;
	struct cim_path path;
	const uint64_t *bits; /* which properties are in the answer; NULL: all */
	struct made *next;
};

struct reader {
	const struct broker *b;
	struct arena *arena; /* lives as long as the reader */
	struct arena *item;  /* lives until the next object */
	const void *view[MODULES_MAX];
	bool pinned[MODULES_MAX];
	struct made *made;
	/* what is asked of instances */
	const char *const *props;
	uint32_t n_props;
	bool has_props;
	const struct cim_class *only; /* DeepInheritance false: just this class's properties */
};

void reader_init(struct reader *r, const struct broker *b, struct arena *arena);
void reader_done(struct reader *r); /* unpins */
struct prov_ctx reader_ctx(struct reader *r, const struct row *row);

bool same_obj(const struct prov_ctx *c, const struct prov_obj *a, const struct prov_obj *b);
/* The object with the keys of a resolved, complete path. */
bool row_find(const struct prov_ctx *c, const struct row *row, const struct cim_path *p,
	      struct prov_obj *ret);
/* The same for a link; its ends may be in other namespaces. */
bool link_find(const struct broker *b, const struct prov_ctx *c, const struct row *row,
	       const struct cim_path *p, struct prov_link *ret);

/* The row's instance and path, made for this handle; NULL: out of memory.  fill false: only
 * the path and the keys. */
struct made *reader_obj(struct reader *r, const struct row *row, const struct prov_obj *o,
			bool fill);
struct made *reader_link(struct reader *r, const struct row *row, const struct prov_link *l,
			 bool fill);
bool reader_wants(const struct reader *r, const struct cim_class *c, unsigned idx);

/* ---- listings ---- */

enum list_kind { LIST_CLASS, LIST_REFERENCES, LIST_ASSOCIATORS };

struct listing {
	struct reader rd;
	enum list_kind kind;
	bool paths_only;
	struct rows rows;         /* LIST_CLASS */
	const struct cand *cands; /* the others */
	size_t n_cands;
	const struct row *from_row;
	struct prov_obj from;
	const struct cim_class *result_class;
	const struct query *filter;
	size_t at; /* of rows or cands */
	struct prov_iter it;
	struct seen *seen; /* associators by several associations: an object comes once */
	/* the object that comes next, when it has been looked for already */
	bool have, ended, failed;
	/* not 0: when it is others' turn, the search for what a filter wants pauses */
	uint64_t until_ns;
	bool paused;
	const struct row *row;
	struct prov_obj obj;
	struct prov_link link;
	struct made *made;
	uint64_t given;
};

struct list_filter { /* of the association operations; NULL: any */
	const struct cim_class *assoc_class, *result_class;
	const char *role, *result_role;
};

void list_init(struct listing *l, const struct broker *b, struct arena *arena);
void list_done(struct listing *l);
void list_class(struct listing *l, const struct space *sp, const struct cim_class *c);
/* From an object; false: out of memory. */
bool list_walk(struct listing *l, enum list_kind kind, const struct row *row,
	       const struct prov_obj *from, const struct list_filter *f) MUST_CHECK;
/* Is there another one?  Looks for it, and keeps it for list_next.  Where l->paused is set in the
 * end, neither knows yet. */
bool list_more(struct listing *l);
bool list_next(struct listing *l, struct broker_item *ret);

/* ---- checking what came in ---- */

/* e gets the sentence, the result is the status: so checks end in return refuse(...). */
enum cim_status refuse(struct err *e, enum cim_status s, const char *fmt, ...) PRINTF(3, 4);

/* CIM_ERR_NOT_FOUND, naming what there isn't. */
enum cim_status not_found(struct arena *a, const struct cim_path *p, struct err *e);

struct decl {                    /* what a value is declared as: a property or a parameter */
	const char *what, *name; /* "parameter", "Alias": for the sentence */
	enum cim_type type;
	bool array;
	uint32_t array_size;
};
struct decl decl_of_prop(const struct cim_prop *p);
struct decl decl_of_param(const struct cim_param *p);
/* References are bound to their class where it is known (cls stays NULL otherwise: whether that
 * matters is the method's business). */
enum cim_status check_value(const struct broker *b, struct arena *a, const struct decl *d,
			    const struct cim_named *in, struct cim_value *ret, struct err *e);
/* A raw instance as one of class c; given[] says which properties it had. */
enum cim_status check_instance(const struct broker *b, struct arena *a, const struct cim_class *c,
			       const struct cim_raw_instance *in, struct cim_instance *ret,
			       bool *given, struct err *e);
/* Bind an object path of an intrinsic operation: the class must be in the namespace, every key
 * present.  unknown: the status for an unknown class. */
enum cim_status check_path(const struct broker *b, const struct space *sp, struct arena *a,
			   struct cim_path *p, enum cim_status unknown, struct err *e);

/* ---- writing ---- */

struct input { /* one change or method call, checked */
	enum cim_op op;
	const struct space *space;
	const struct row *row; /* NULL: called on a class */
	const struct prov_module *mod;
	unsigned mod_idx;
	const struct cim_class *cls;
	const struct cim_path *path; /* NULL: called on a class, or create */
	const struct cim_method *method;
	const struct prov_method *body;
	const struct prov_edit *edit;
	struct cim_value *in; /* by parameter index */
	struct cim_instance *inst;
	bool *given;
	bool listed; /* modify: there was a PropertyList */
	struct prov_caller who;
	const char *what, *object; /* for the audit: "SetProperty", what it was asked of */
};

struct output {
	enum cim_status status;
	uint32_t ret, busy_code;
	bool job_started, doubtful;
	struct cim_value *out; /* by parameter index */
	const struct cim_path *new_path;
	struct err e;
};

/* Start a checked change: op gets its answer, now or from the writer. */
enum cim_status write_start(struct broker_op *op, const struct input *in, struct err *e);
void write_close(struct write *w);

enum cim_status op_method(struct broker_op *op, struct err *e);
enum cim_status op_create(struct broker_op *op, struct err *e);
enum cim_status op_modify(struct broker_op *op, struct err *e);
enum cim_status op_delete(struct broker_op *op, struct err *e);
enum cim_status op_set_property(struct broker_op *op, struct err *e);

/* ---- audit ---- */

/* What a change is asked of, as the client named it: a path or a class; NULL: nothing. */
const char *audit_object(struct arena *a, const struct cim_request *rq);
/* A change that was refused, or was nothing to do, before any provider saw it. */
void audit_request(const struct broker_op *op, enum cim_status status, const char *why);
/* What became of a change.  Of its values only references, numbers and booleans are written: text
 * may be a secret. */
void audit_write(const struct input *in, const struct output *o);

/* ---- pulling ---- */

enum pull_kind { PULL_OBJECTS, PULL_PATHS, PULL_QUERY };

struct pull {
	struct pull *next;
	char id[33];
	enum pull_kind kind;
	const char *user; /* NULL: nobody */
	const struct space *space;
	struct arena *arena;
	struct listing list;
	const struct cim_class *cls;
	uint32_t timeout_s;
	uint64_t ends_ns; /* clock_mono_ns() */
	bool busy;        /* an operation has it */
	uint32_t left;    /* objects that the operation may still give */
};

enum cim_status op_open_enumeration(struct broker_op *op, struct err *e);
enum cim_status op_pull(struct broker_op *op, struct err *e);
enum cim_status op_close_enumeration(struct broker_op *op, struct err *e);
enum cim_status op_enumeration_count(struct broker_op *op, struct err *e);
bool pull_next(struct broker_op *op, struct broker_item *ret);
/* The operation is over; unless it gave its last object the context is dropped, since the client
 * cannot know where it stands. */
void pull_release(struct broker_op *op);
void pull_drop_all(struct broker *b);

/* ---- classes and qualifiers ---- */

enum cim_status op_get_class(struct broker_op *op, struct err *e);
enum cim_status op_enumerate_classes(struct broker_op *op, struct err *e);
enum cim_status op_get_qualifier(struct broker_op *op, struct err *e);
enum cim_status op_enumerate_qualifiers(struct broker_op *op, struct err *e);
enum cim_status op_class_references(struct broker_op *op, const struct cim_class *c,
				    const struct list_filter *f, struct err *e);
enum cim_status op_class_associators(struct broker_op *op, const struct cim_class *c,
				     const struct list_filter *f, struct err *e);

/* ---- an operation ---- */

struct broker_op {
	struct broker *b;
	struct cim_request *rq;
	struct arena *a;
	struct prov_caller who;
	struct space *space;
	void (*wake)(void *ctx);
	void *wake_ctx;
	struct broker_answer ans;
	atomic_bool ready;
	bool finished; /* broker_next has said so */
	/* where elements come from; at most one */
	struct listing *list;
	struct pull *pull;
	struct broker_item one; /* ans.single */
	const struct cim_class **classes;
	size_t n_classes, at;
	bool qualifiers;
	struct reader *rd; /* what .one and method outputs borrow from */
	struct write *w;
	const void *view; /* pinned for a method that was answered at once */
	const struct prov_module *view_mod;
	/* changes only: whether its line has been written, or will be by the writer */
	bool audited;
	const char *object;
};

/* Access is decided in op.c and nowhere else: before an operation starts, here for a method once
 * it is known (reads_only: its row says so), and again before anything goes to a writer. */
enum cim_status need_method_access(const struct broker_op *op, const char *method, bool reads_only,
				   struct err *e);
enum cim_status need_write_access(const struct broker_op *op, struct err *e);

enum cim_status need_class(const struct broker_op *op, const char *name, enum cim_status unknown,
			   const struct cim_class **ret, struct err *e);
/* The four filters; unknown classes are CIM_ERR_INVALID_PARAMETER. */
enum cim_status need_filter(const struct broker_op *op, struct list_filter *ret, struct err *e);
/* Start listing what rq asks for (the ten operations that list instances), into a list whose
 * memory lives in a: the request's arena or an enumeration context's. */
enum cim_status start_list(struct broker_op *op, struct listing *l, struct arena *a, struct err *e);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * provider.h - what a provider gives the broker: classes, associations, methods
 *
 * A provider module is a set of const tables over one consistent view of some state (the san
 * state; the SM cache).  It says, per class, how to list, find and fill objects; per
 * association, how to walk from either end; per method, one body.  All CIM operations,
 * filters, property lists, pull contexts and queries are derived from these by the broker.
 * A provider knows no XML, no HTTP and no threads.
 *
 * Everything is pull style: the broker asks for the next object when the client's socket has
 * room.  An object handle (prov_obj) is valid as long as the view it came from is pinned.
 *
 * Depends on: base cim.  Threads: all functions may be called from several threads at once;
 * they read the view and write only what the call hands them.
 */
#pragma once

#include "cim/request.h"

struct prov_class;
struct prov_assoc;
struct prov_module;

/* One object of a class, or one association instance: handles, not copies. */
struct prov_obj {
	const struct prov_class *pc;
	const void *p; /* the provider's own object inside the view */
	uint64_t aux;  /* the provider's own, e.g. an index */
};

struct prov_link {
	const struct prov_assoc *pa;
	struct prov_obj end[2]; /* in the order of the association's two REF properties */
	const void *p;
	uint64_t aux;
};

/* Room for a provider's position in a listing; zeroed before the first call, then the
 * provider's own.  Holds no resources: the broker may drop one at any time. */
struct prov_iter {
	uint64_t w[40];
};

/* What a call may use.  view: the module's pinned view.  arena: lives until the object that is
 * being made has been written; for text that is not in the view. */
struct prov_ctx {
	const struct prov_module *mod;
	const void *view;
	struct arena *arena;
	const char *host; /* the host name for paths that need one */
};

struct prov_class {
	const struct cim_class *cls;       /* a concrete class */
	const struct cim_namespace *ns;
	const struct prov_module *mod;

	/* The next object after *it; false: no more.  NULL: never has any instances. */
	bool (*next)(const struct prov_ctx *c, struct prov_iter *it, struct prov_obj *ret);
	/* The object that has these key values (n_keys, class order, all typed and present).
	 * NULL: the broker searches with next (only for classes with a handful of objects). */
	bool (*find)(const struct prov_ctx *c, const struct cim_value *keys, struct prov_obj *ret);
	/* Fill cls->n_keys key values, class order. */
	void (*keys)(const struct prov_ctx *c, const struct prov_obj *o, struct cim_value *ret);
	/* Set property values in i->v by the generated indexes.  i has the class's defaults, and
	 * whatever fill set for the object before (the broker reuses one instance for a listing
	 * and does not clear it): fill sets the same properties for every object, NULL included.
	 * Keys need not be set again: the broker has put them in. */
	void (*fill)(const struct prov_ctx *c, const struct prov_obj *o, struct cim_instance *i);
	uint64_t (*count)(const struct prov_ctx *c); /* optional: how many next would give */
};

struct prov_assoc {
	const struct cim_class *cls;       /* a concrete association class */
	const struct cim_namespace *ns;    /* where its instances live */
	const struct prov_module *mod;
	uint16_t ref[2];                   /* the two REF properties' indexes */

	/* All links.  NULL: never any. */
	bool (*next)(const struct prov_ctx *c, struct prov_iter *it, struct prov_link *ret);
	/* Links in which `from` is end[which].  Costs its result.  from is of any class the module
	 * has; a class that can't take that role gives none. */
	bool (*walk)(const struct prov_ctx *c, int which, const struct prov_obj *from,
		     struct prov_iter *it, struct prov_link *ret);
	/* Properties besides the two references (DeviceNumber, IsCurrent, ...); NULL: none. */
	void (*fill)(const struct prov_ctx *c, const struct prov_link *l, struct cim_instance *i);
};

/* ---- changes ---- */

/*
 * A body that changes something runs twice: first on the published view, on the thread that
 * asked; a refusal is answered at once.  If it returned success and left changes in
 * call->changes, the broker hands it to the module's writer, where it runs again on the newest
 * state, and its changes are made durable and real before the answer goes out.  So a body is a
 * pure function of (view, input): no side effects besides call->changes.
 */
enum prov_outcome {
	PROV_OK,
	PROV_REFUSED, /* the body itself refused when it ran for good */
	PROV_FAILED,  /* could not be made durable or real; nothing has changed */
	PROV_TIMEOUT,
	PROV_BUSY,    /* the engine found the object in use */
};

struct prov_call {
	struct prov_ctx ctx;
	void *changes;                    /* the module's change list (begin()) */
	const struct prov_caller *caller;

	/* methods */
	const struct cim_method *method;
	const struct cim_class *target_class;
	struct prov_obj target;           /* pc NULL: called on the class (static) */
	const struct cim_value *in;       /* method->n_params, by index; absent is NULL */
	struct cim_value *out;            /* same indexes; text in ctx.arena */
	uint32_t ret;                     /* the method's return value */
	uint32_t busy_code;               /* ret when the outcome is PROV_BUSY; preset 4 */
	/* Refused because of what the world may have changed a moment ago (somebody was logged in):
	 * the writer is to ask the world and run the body again before that is answered. */
	bool doubtful;
	bool job_started;                 /* ret is not 0, and the changes are to be made all the
					   * same: they are the job (4096) */

	/* intrinsic changes */
	/* create: the client's values, defaults elsewhere.  modify: the object as it would be. */
	const struct cim_instance *inst;
	/* create: did the client name the property?  modify: does the client change it?  (Keys
	 * and read-only properties never are: the broker sees to that.) */
	const bool *given;
	/* create: the path of the new object.  Comes with class, namespace and key names; the body
	 * sets the keys' values, or puts another path in its place. */
	struct cim_path *new_path;

	struct err e; /* why ret is not 0, in words; for the log and the WBEMMessage header */
};

struct prov_caller {
	const char *user; /* NULL: nobody */
	const char *peer; /* "127.0.0.1:40312" */
	bool may_read, may_write; /* zero means denied */
	/* The thread on which the operation is opened has nobody else to serve at the moment: it may be
	 * kept while a change is made, if that takes less than a millisecond or two. */
	bool alone;
};

/* Resolve a reference parameter to an object: NULL, of a wrong or unknown class, missing, or
 * found (abbreviated references are found when they name exactly one object of `want` or a
 * subclass).  Provided by the broker for bodies. */
enum prov_ref { PROV_REF_NULL, PROV_REF_WRONG_CLASS, PROV_REF_MISSING, PROV_REF_FOUND };
enum prov_ref prov_resolve(const struct prov_call *c, const struct cim_value *ref,
			   const struct cim_class *want, struct prov_obj *ret);
/* The path of an object, in the arena (class, namespace, keys; no host).  NULL: arena full. */
struct cim_path *prov_path(const struct prov_ctx *c, const struct prov_obj *o);

/* A method body.  CIM_OK: call->ret and call->out are the answer (whatever ret says).  Another
 * status: a CIM error with call->e. */
struct prov_method {
	const struct cim_class *cls; /* holds for it and its subclasses */
	const char *name;
	enum cim_status (*body)(struct prov_call *call);
	bool reads_only; /* may be called by who may only read; all others need may_write */
};

/* Intrinsic changes of a class; a member that is NULL is CIM_ERR_NOT_SUPPORTED. */
struct prov_edit {
	const struct cim_class *cls;
	enum cim_status (*create)(struct prov_call *call);
	enum cim_status (*modify)(struct prov_call *call); /* call->target */
	/* call->target; for an association `link` is set instead */
	enum cim_status (*remove)(struct prov_call *call, const struct prov_link *link);
};

/* One write on its way through a module's writer.  Made by the broker. */
struct prov_write {
	/* Run the body for good on the newest view, filling changes; false: refused. */
	bool (*run)(struct prov_write *w, const void *view, void *changes);
	/* Called once, when the change is durable and real, or isn't; any thread.  w is gone
	 * when it returns. */
	void (*done)(struct prov_write *w, enum prov_outcome o, const struct err *e);
	bool doubtful;            /* of the call that brought it here: ask the world before run */
	bool here;                /* submit may do it all on the thread that calls it */
	struct prov_write *next_; /* the writer's queue */
	void *writer_[4];         /* the writer's own */
};

struct prov_module {
	const char *name;
	void *user;
	/* Pin the newest view / let it go.  Cheap, never waits for a writer. */
	const void *(*view_get)(void *user);
	void (*view_put)(void *user, const void *view);
	/* An empty change list / freed; does it hold changes? */
	void *(*changes_new)(void *user);
	void (*changes_free)(void *user, void *changes);
	bool (*changes_any)(const void *changes);
	/* Queue a write; w->done is called later, possibly before this returns.  NULL: read-only. */
	void (*submit)(void *user, struct prov_write *w);

	const struct prov_class *classes;
	size_t n_classes;
	const struct prov_assoc *assocs;
	size_t n_assocs;
	const struct prov_method *methods;
	size_t n_methods;
	const struct prov_edit *edits;
	size_t n_edits;
};

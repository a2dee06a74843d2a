/* SPDX-License-Identifier: Apache-2.0 */
/*
 * broker.h - CIM operations over class tables and providers
 *
 * broker_open() checks a request against the class tables (namespace, class, keys, types,
 * mandatory parameters: before any provider runs), then starts it.  Answers that are lists are
 * pulled object by object with broker_next(), so that they can be streamed to a slow client
 * without being held in memory.  One operation reads one consistent view from first to last.
 *
 * Depends on: base cim.  Threads: any number of operations at once; one operation belongs to
 * one thread at a time.
 */
#pragma once

#include "broker/provider.h"
#include "broker/query.h"

struct broker;
struct broker_op;

struct broker_limits { /* 0: the default */
	uint32_t contexts;            /* open pull contexts in all; default 200 */
	uint32_t contexts_per_user;   /* default 50 */
	uint32_t pull_max_objects;    /* most objects of one Open/Pull; default 10000 */
	uint32_t pull_timeout_s;      /* when the client names none; default 30 */
	uint32_t pull_timeout_max_s;  /* default 900; 0 (never) is refused */
	uint32_t query_bytes;         /* longest query text; default 65536 */
	struct query_limits query;    /* all 0: query_limits_usual */
	size_t context_bytes;         /* what an open enumeration may remember; default 4 MiB */
	uint64_t turn_ns;             /* of a broker_step without a result; default 5 ms */
	size_t write_bytes;           /* inputs and outputs of one change; default 16 MiB */
};

struct broker_alias {
	const char *alias, *name;
};

struct broker_config {
	const struct cim_namespace *const *namespaces;
	size_t n_namespaces;
	/* aliases: "root/interop" -> "interop" */
	const struct broker_alias *aliases;
	size_t n_aliases;
	const struct prov_module *const *modules;
	size_t n_modules;
	const char *host; /* the host string of every path */
	struct broker_limits limits;
};
/* Copies the struct, borrows what it points to.  e: a class without a table row, two providers
 * for one class, ... (our own bugs, found at start). */
struct broker *broker_new(const struct broker_config *c, struct err *e) MUST_CHECK;
void broker_free(struct broker *b);

enum broker_kind {         /* what the answer consists of */
	BROKER_NOTHING,    /* success without a value (DeleteInstance, ModifyInstance, ...) */
	BROKER_INSTANCES,  /* named instances / instances: broker_next */
	BROKER_PATHS,
	BROKER_OBJECTS,    /* with full paths (Associators, References, pulls with path) */
	BROKER_OBJECT_PATHS,
	BROKER_CLASSES,    /* broker_next gives .cls */
	BROKER_CLASS_NAMES,
	BROKER_QUALIFIERS, /* broker_next gives .qual */
	BROKER_VALUE,      /* one value (GetProperty, EnumerationCount): .value */
	BROKER_METHOD,     /* return value and output parameters: broker_method */
};

/* One element of a list answer.  Valid until the next broker_next() on that operation. */
struct broker_item {
	const struct cim_instance *inst; /* with inst->path set where the kind has paths */
	const struct cim_path *path;
	const struct cim_class *cls;     /* classes; also class-level association answers */
	const struct cim_qualdecl *qual;
	const struct cim_value *value;
};

struct broker_answer {
	/* Not CIM_OK: text says why, nothing else is valid.  A list may run into an error half way:
	 * broker_next says end and the status is no longer CIM_OK. */
	enum cim_status status;
	char text[512]; /* also with a method's return value that isn't 0 */
	enum broker_kind kind;
	bool single;              /* exactly one element (GetInstance, GetClass, CreateInstance) */
	const struct cim_class *cls; /* the class asked for, where there is one */
	/* which properties an encoder writes: bit by property index of inst->cls; NULL: all.
	 * per class, since answers are polymorphic: ask broker_wants(). */
	bool local_only, include_quals, include_origin;
	/* pull */
	bool pull, end_of_sequence; /* end_of_sequence is final only after broker_next said end */
	const char *context;        /* likewise; NULL when end_of_sequence */
	const struct cim_class *rows; /* ReturnQueryResultClass: what the rows are taken from */
	/* method */
	const struct cim_method *method;
	uint32_t ret;
	const struct cim_value *out; /* by parameter index */
};

/*
 * Start an operation.  rq and its arena must live until broker_close.  Returns an operation that
 * is answered now (broker_ready true), or one that waits for the writer: then `wake(ctx)` is
 * called exactly once, from another thread or from inside broker_open, after which broker_ready is
 * true.  wake only gives a sign: it must not call the broker, nor wait for a thread that is in
 * broker_close.  Once broker_close has returned nobody is woken any more; the change is made all
 * the same.  NULL: no memory left in a.
 */
struct broker_op *broker_open(struct broker *b, struct cim_request *rq, struct arena *a,
			      const struct prov_caller *who, void (*wake)(void *ctx), void *ctx);
bool broker_ready(const struct broker_op *op);
const struct broker_answer *broker_answer(const struct broker_op *op);
/* true: *ret is the next element.  false: the end (then answer's pull fields are final). */
bool broker_next(struct broker_op *op, struct broker_item *ret);
/* The same for who has others to serve: where many objects have to be looked at to find one that a
 * filter wants, it says so after a while, and goes on when it is called again. */
enum broker_step { BROKER_END, BROKER_ITEM, BROKER_WORKING };
enum broker_step broker_step(struct broker_op *op, struct broker_item *ret);
/* Is property `idx` of class c part of the answer (PropertyList, LocalOnly, DeepInheritance)? */
bool broker_wants(const struct broker_op *op, const struct cim_class *c, unsigned idx);
void broker_close(struct broker_op *op);

/* Let go of pull contexts whose time is over; call about once a second. */
void broker_tick(struct broker *b);

/* For coverage reports and tests: has this class instances / this method a body? */
bool broker_serves_class(const struct broker *b, const struct cim_class *c);
bool broker_serves_method(const struct broker *b, const struct cim_class *c, const char *method);

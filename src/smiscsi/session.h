/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - what the commands ask a CIM server, in a few words each
 *
 * One conversation with one server.  Everything an answer consists of lives in the session's
 * arena until the process ends: the command line asks a handful of questions and is done.
 *
 * Depends on: base, cim, client.  Threads: one.
 */
#pragma once

#include "cim/request.h"

#define NS_TARGET "root/cimv2/storage/iscsitarget"
#define NS_SM     "root/microsoft/windows/storage/sm"
#define NS_IO     "interop"

struct session;

struct session_config {
	const char *url;            /* http://HOST:PORT or https://HOST:PORT */
	const char *user, *password; /* or NULL */
	const char *cacert;         /* trust this certificate (authority) file, or NULL */
	bool insecure;              /* do not verify the server's certificate */
	unsigned timeout_ms;
};

/* Nothing is sent yet; a bad URL is found here. */
int session_open(const struct session_config *c, struct session **ret, struct err *e) MUST_CHECK;
void session_close(struct session *s);
struct arena *session_arena(struct session *s);

struct session_list {
	const struct cim_raw_instance **v;
	size_t n;
};

/* Every instance of a class, subclasses included, each with its path. */
int session_list(struct session *s, const char *ns, const char *class_name,
		 struct session_list *ret, struct err *e) MUST_CHECK;
/* The same, of their properties only those in the NULL-terminated list: for thousands of instances. */
int session_list_some(struct session *s, const char *ns, const char *class_name,
		      const char *const *props, struct session_list *ret,
		      struct err *e) MUST_CHECK;

struct session_answer {
	uint32_t code;               /* the method's return value */
	const struct cim_named *out; /* output parameters */
	size_t n_out;
	const char *sentence;        /* why the code is not 0, or "" */
};

/* Invoke a method.  0: *ret is the answer, whatever its code.  Negative: a CIM or transport error. */
int session_invoke(struct session *s, const char *ns, const struct cim_path *object,
		   const char *method, const struct cim_named *params, size_t n_params,
		   struct session_answer *ret, struct err *e) MUST_CHECK;

int session_create(struct session *s, const char *ns, const char *class_name,
		   const struct cim_named *props, size_t n_props, struct cim_path **ret,
		   struct err *e) MUST_CHECK;
int session_modify(struct session *s, const char *ns, const struct cim_path *object,
		   const struct cim_named *props, size_t n_props, struct err *e) MUST_CHECK;
int session_delete(struct session *s, const char *ns, const struct cim_path *object,
		   struct err *e) MUST_CHECK;

/* ---- reading instances ---- */

/* NULL when there is no such property or it is NULL. */
const struct cim_value *prop(const struct cim_raw_instance *i, const char *name);
/* Text of a scalar property; "" when NULL. */
const char *prop_text(const struct cim_raw_instance *i, const char *name);
uint64_t prop_number(const struct cim_raw_instance *i, const char *name);
/* First number of an array property (OperationalStatus); 0 when empty. */
uint64_t prop_first(const struct cim_raw_instance *i, const char *name);
/* A key of the path a reference property holds; "" when absent. */
const char *ref_key(const struct cim_raw_instance *i, const char *name, const char *key);
const char *path_key(const struct cim_path *p, const char *key);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - CIM operations on a CIM server somewhere else (CIM-XML over HTTP, DSP0200)
 *
 * The server is a stranger: its answers are read as they come, object by object, with a maximum
 * for everything and a deadline.
 *
 * Depends on: base cim cimxml http.  Threads: a client belongs to one thread; abandon may be set
 * from any.
 */
#pragma once

#include <stdatomic.h>

#include "cim/request.h"
#include "cimxml/response.h"

struct client;

/* Copied.  NULL and 0: default. */
struct client_config {
	const char *url;       /* "https://array:5989"; without a path: /cimom */
	const char *unix_path; /* go to this socket instead of the URL's host */
	const char *user, *password;
	const char *ca_file; /* PEM; instead of the system's authorities */
	const char *cert_file, *key_file;
	bool insecure;
	unsigned connect_ms;        /* default 10 s */
	unsigned timeout_ms;        /* of one operation, to the last byte; default 60 s */
	uint64_t answer_bytes;      /* of one answer; default 1 GiB */
	const atomic_bool *abandon; /* turns true: operations end; may be NULL */
	/* before and after each piece of an answer is read, not while one is waited for: for those
	 * that have to share the processors; may be NULL */
	void (*around)(void *ctx, bool begins);
	void *around_ctx;
};

int client_new(const struct client_config *c, struct client **ret, struct err *e) MUST_CHECK;
void client_free(struct client *c);
DEFINE_AUTO(client, client_free)
/* The address of the server, once there was a call; "": not known.  Until the next call. */
const char *client_peer(const struct client *c);
/* For what is left until a deadline. */
void client_set_timeout(struct client *c, unsigned timeout_ms);

struct client_answer {
	struct cimxml_response rsp;
	const char *sentence; /* WBEMMessage header: why a method's value isn't 0; "" at least */
	unsigned http_status;
};

/*
 * Execute rq; objects go to the sink as they come (valid for its call only), the rest into a.
 * rq->message_id is set here.
 *
 * 0: there is an answer, which may be a CIM error (ret->rsp.status).  Negative: there is none;
 * -EACCES (401, 403), -EPROTO (another HTTP status, no CIM-XML), and those of http_client_call.
 */
int client_call(struct client *c, struct cim_request *rq, struct arena *a,
		const struct cimxml_sink *sink, struct client_answer *ret,
		struct err *e) MUST_CHECK;

/*
 * The same, all objects collected in the arena.  Like client_call, but a CIM error is -EREMOTEIO
 * with e filled ("CIM_ERR_NOT_FOUND: ...") and ret->answer.rsp.status set.
 */
struct client_list {
	struct client_answer answer;
	const struct cim_raw_instance **instances;
	size_t n_instances;
	const struct cim_path **paths;
	size_t n_paths;
	const char **classes;
	size_t n_classes;
};
int client_collect(struct client *c, struct cim_request *rq, struct arena *a,
		   struct client_list *ret, struct err *e) MUST_CHECK;

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options.h - what smiscsid can be told: command line and configuration file
 *
 * One row in options.def is the whole truth of an option: its name on the command line
 * (--name VALUE) and in the file (name = VALUE), its field, default, range and help text; the
 * man page's list is checked against it by a test.  The command line wins over the file; an
 * option that may be given several times replaces the file's list.
 *
 * Depends on: base.  Threads: filled once in main(), const afterwards.
 */
#pragma once

#include "base/err.h"

enum { OPTIONS_MAX_LIST = 4096 };

struct options_endpoint {
	char address[64]; /* canonical text, IPv6 without brackets */
	uint16_t port;    /* 0: not given (portals only: the default port) */
	bool loopback;
};

struct options_list {
	struct options_endpoint *v;
	size_t n;
};

struct options_paths {
	char **v;
	size_t n;
};

enum options_engine { ENGINE_USER, ENGINE_LIO, ENGINE_AUTO, ENGINE_FAKE, ENGINES };

struct options {
	char *config, *state, *naming_authority, *target, *log_level, *client_ca, *pam;
	char *provider_authorities, *provider_certificate, *provider_key;
	struct options_list http, https, portal;
	struct options_paths device;
	enum options_engine engine;
	bool keep_credentials, no_auth, foreground, default_portals, identifier_selection, plain_http;
	uint64_t default_port, logout_time, refresh, provider_timeout, threads;
	/* limits: what clients can make the server keep, and for how long */
	uint64_t max_depth, max_attributes, max_name, max_namespace, max_array, max_keys,
		max_path_depth, max_embedded_depth; /* cimxml/bounds.h */
	uint64_t max_headers, max_body, max_bodies, max_request_memory, max_connections,
		max_connections_per_address, idle_time, stall_time, answer_time,
		max_logins, max_logins_per_address;
	uint64_t max_contexts, max_contexts_per_user, max_pull, pull_time, max_pull_time, max_query,
		max_query_depth, max_query_names, max_query_chain, max_pattern, max_context_memory;
	bool help, version;
};

/*
 * Read argv, and the file that --config names.  0, or -EINVAL with the sentence: which option,
 * what was given, what is allowed.  o is to be freed by options_done in either case.
 */
int options_read(struct options *o, int argc, char *const *argv, struct err *e) MUST_CHECK;
void options_done(struct options *o);

/* The text of --help, made from the same rows; to stdout. */
void options_help(const char *program);

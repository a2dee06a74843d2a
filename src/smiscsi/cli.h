/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli.h - what all commands of smiscsi share
 *
 * A command is one row in commands.c: noun, verb, what it takes, one function.  It gets its
 * arguments checked for number, and returns an exit code: 0 done, 1 refused or failed (said on
 * stderr), 2 wrong usage.
 *
 * Depends on: session.h, jansson.  Threads: one.
 */
#pragma once

#include <jansson.h>

#include "smiscsi/session.h"

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2 };
enum { CLI_MAX_ARGS = 4096 };

struct cli {
	struct session *session;
	bool json;
	/* what stands behind noun and verb */
	const char *args[CLI_MAX_ARGS];
	size_t n_args;
	/* --name value pairs that the command declared */
	struct cli_option {
		const char *name, *value;
	} options[CLI_MAX_ARGS];
	size_t n_options;
	const void *beside; /* what a command's columns look things up in */
};

struct cli_command {
	const char *noun, *verb; /* verb NULL: a noun that stands alone (show) */
	const char *takes;       /* "NODE" "NODE --portal PORTAL... [--tag N]": for people */
	size_t min_args, max_args;
	const char *options;     /* names it takes, blank-separated; repeatable ones end in +,
				  * those without a value in ! */
	int (*run)(struct cli *c);
	const char *help;
	bool local; /* needs no server */
};
extern const struct cli_command cli_commands[];
extern const size_t cli_n_commands;

const char *cli_option(const struct cli *c, const char *name); /* NULL: not given */

/* Text from a server as a terminal may have it: UTF-8, U+FFFD for control characters (which could say
 * anything to the terminal).  In the session's arena.  cli_fail, cli_failf and cli_print do it themselves;
 * JSON is for programs and has everything. */
const char *cli_shown(struct cli *c, const char *text);

/* Print "smiscsi: ..." on stderr; returns EXIT_REFUSED. */
int cli_fail(const struct err *e);
int cli_failf(const char *fmt, ...) PRINTF(1, 2);

/* Invoke a method of the only instance of a service class; on any code but 0 says what the code
 * means (the class table's Values) and why, and returns EXIT_REFUSED. */
int cli_service(struct cli *c, const char *service, const char *method,
		const struct cim_named *params, size_t n, struct session_answer *ret);
/* The same on an object. */
int cli_invoke(struct cli *c, const char *ns, const struct cim_path *object, const char *method,
	       const struct cim_named *params, size_t n, struct session_answer *ret);
const struct cim_named *cli_out(const struct session_answer *a, const char *name);

/* Objects by the names people use; NULL after saying so on stderr. */
const struct cim_raw_instance *cli_node(struct cli *c, const char *name);     /* IQN or alias */
const struct cim_raw_instance *cli_port(struct cli *c, const char *name);     /* NODE,TAG */
const struct cim_raw_instance *cli_portal(struct cli *c, const char *name);   /* ADDR[:PORT] */
const struct cim_raw_instance *cli_group(struct cli *c, const char *name);
const struct cim_raw_instance *cli_volume(struct cli *c, const char *name);   /* NAA or name */
const struct cim_raw_instance *cli_pool(struct cli *c, const char *name);     /* name or ID */

/* Print a list: the named properties as columns for people, all of them as JSON. */
struct cli_column {
	const char *title, *prop;
	const char *(*text)(struct cli *c, const struct cim_raw_instance *i); /* instead of prop */
};
void cli_print(struct cli *c, const struct session_list *l, const struct cli_column *cols,
	       size_t n_cols);
json_t *cli_json(const struct cim_raw_instance *i); /* a new object with all properties */
void cli_print_json(json_t *j);                     /* takes the reference over */
const char *cli_status(uint64_t operational_status); /* "OK", "Stopped", ... */

/* Parameters and properties. */
struct cim_named cli_text(const char *name, const char *value);
struct cim_named cli_number(const char *name, enum cim_type t, uint64_t v);
struct cim_named cli_ref(const char *name, const struct cim_path *p);

/* the commands, by file */
int cmd_show(struct cli *c);
int cmd_node_list(struct cli *c);
int cmd_node_create(struct cli *c);
int cmd_node_delete(struct cli *c);
int cmd_node_rename(struct cli *c);
int cmd_node_enable(struct cli *c);
int cmd_node_disable(struct cli *c);
int cmd_port_list(struct cli *c);
int cmd_port_create(struct cli *c);
int cmd_port_delete(struct cli *c);
int cmd_port_enable(struct cli *c);
int cmd_port_disable(struct cli *c);
int cmd_portal_list(struct cli *c);
int cmd_portal_create(struct cli *c);
int cmd_portal_delete(struct cli *c);
int cmd_portal_bind(struct cli *c);
int cmd_portal_unbind(struct cli *c);
int cmd_portal_move(struct cli *c);
int cmd_portal_enable(struct cli *c);
int cmd_portal_disable(struct cli *c);
int cmd_group_list(struct cli *c);
int cmd_group_create(struct cli *c);
int cmd_group_rename(struct cli *c);
int cmd_group_delete(struct cli *c);
int cmd_volume_list(struct cli *c);
int cmd_volume_create(struct cli *c);
int cmd_volume_grow(struct cli *c);
int cmd_volume_rename(struct cli *c);
int cmd_volume_delete(struct cli *c);
int cmd_volume_attach(struct cli *c);
int cmd_volume_detach(struct cli *c);
int cmd_pool_list(struct cli *c);
int cmd_foreign_list(struct cli *c);
int cmd_session_list(struct cli *c);
int cmd_sm_providers(struct cli *c);
int cmd_sm_portals(struct cli *c);
int cmd_sm_endpoints(struct cli *c);
int cmd_sm_discover(struct cli *c);
int cmd_sm_remove(struct cli *c);
int cmd_get(struct cli *c);
int cmd_schema(struct cli *c);
int cmd_user_add(struct cli *c);
int cmd_user_passwd(struct cli *c);
int cmd_user_remove(struct cli *c);
int cmd_completion(struct cli *c);

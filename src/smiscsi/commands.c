/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "smiscsi/cli.h"

const struct cli_command cli_commands[] = {
	{"show", NULL, "", 0, 0, "", cmd_show, "the tree of nodes, ports, portals and volumes, with states", false},
	{"node", "list", "", 0, 0, "", cmd_node_list, "the iSCSI nodes (targets)", false},
	{"node", "create", "ALIAS [--iqn IQN]", 1, 1, "iqn", cmd_node_create, "make a node; its name is made from the alias unless given", false},
	{"node", "delete", "NODE", 1, 1, "", cmd_node_delete, "remove a node with its ports; its volumes stay", false},
	{"node", "rename", "NODE ALIAS", 2, 2, "", cmd_node_rename, "give a node another alias; its name stays", false},
	{"node", "enable", "NODE", 1, 1, "", cmd_node_enable, "let initiators use the node again", false},
	{"node", "disable", "NODE", 1, 1, "", cmd_node_disable, "stop serving the node without forgetting it", false},
	{"port", "list", "", 0, 0, "", cmd_port_list, "the iSCSI ports: a node's target portal groups", false},
	{"port", "create", "NODE --portal PORTAL... [--tag N]", 1, 1, "portal+ tag", cmd_port_create, "make a port of a node on one or more portals", false},
	{"port", "delete", "NODE,TAG", 1, 1, "", cmd_port_delete, "remove a port; sessions on it are asked to log out", false},
	{"port", "enable", "NODE,TAG", 1, 1, "", cmd_port_enable, "serve the port again", false},
	{"port", "disable", "NODE,TAG", 1, 1, "", cmd_port_disable, "stop serving the port without forgetting it", false},
	{"portal", "list", "", 0, 0, "", cmd_portal_list, "the network portals: address and TCP port", false},
	{"portal", "create", "ADDRESS[:PORT]", 1, 1, "", cmd_portal_create, "make a portal on an address of the host", false},
	{"portal", "delete", "PORTAL", 1, 1, "", cmd_portal_delete, "remove a portal that serves no port", false},
	{"portal", "bind", "NODE,TAG PORTAL", 2, 2, "", cmd_portal_bind, "let a portal serve a port", false},
	{"portal", "unbind", "NODE,TAG PORTAL", 2, 2, "", cmd_portal_unbind, "the reverse", false},
	{"portal", "move", "PORTAL GROUP", 2, 2, "", cmd_portal_move, "put an unbound portal into another portal group", false},
	{"portal", "enable", "PORTAL", 1, 1, "", cmd_portal_enable, "listen again", false},
	{"portal", "disable", "PORTAL", 1, 1, "", cmd_portal_disable, "stop listening", false},
	{"group", "list", "", 0, 0, "", cmd_group_list, "the portal groups", false},
	{"group", "create", "NAME", 1, 1, "", cmd_group_create, "make a portal group", false},
	{"group", "rename", "GROUP NAME", 2, 2, "", cmd_group_rename, "give a portal group another name", false},
	{"group", "delete", "GROUP", 1, 1, "", cmd_group_delete, "remove an empty portal group", false},
	{"volume", "list", "", 0, 0, "", cmd_volume_list, "the storage volumes", false},
	{"volume", "create", "NAME [SIZE] [--pool POOL]", 1, 2, "pool", cmd_volume_create, "make a volume; SIZE in bytes or with K, M, G, T (binary); it may be left out when POOL is a block device", false},
	{"volume", "grow", "VOLUME SIZE", 2, 2, "", cmd_volume_grow, "make a volume larger, also while in use", false},
	{"volume", "rename", "VOLUME NAME", 2, 2, "", cmd_volume_rename, "give a volume another name", false},
	{"volume", "delete", "VOLUME", 1, 1, "", cmd_volume_delete, "remove a volume that is not attached; its data is gone", false},
	{"volume", "attach", "VOLUME NODE [--lun N]", 2, 2, "lun", cmd_volume_attach, "make a volume a logical unit of a node", false},
	{"volume", "detach", "VOLUME NODE", 2, 2, "", cmd_volume_detach, "the reverse", false},
	{"pool", "list", "", 0, 0, "", cmd_pool_list, "the storage pools", false},
	{"session", "list", "", 0, 0, "", cmd_session_list, "who is logged in", false},
	{"foreign", "list", "", 0, 0, "", cmd_foreign_list, "what other tools have made in the kernel's target; it is not touched", false},
	{"sm", "providers", "", 0, 0, "", cmd_sm_providers, "the SMI-S providers that this server knows, and how old what it knows is", false},
	{"sm", "portals", "", 0, 0, "", cmd_sm_portals, "the iSCSI portals of all providers", false},
	{"sm", "endpoints", "", 0, 0, "", cmd_sm_endpoints, "the target ports of all providers", false},
	{"sm", "discover", "URL [--provider-user USER] [--level 0-3] [--interop NAMESPACE]", 1, 1, "provider-user level interop", cmd_sm_discover, "discover an SMI-S provider; its password is in $SMISCSI_PROVIDER_PASSWORD", false},
	{"sm", "remove", "PROVIDER", 1, 1, "", cmd_sm_remove, "forget a provider and what it showed", false},
	{"get", NULL, "CLASS [--namespace NS]", 1, 1, "namespace", cmd_get, "every instance of any class", false},
	{"schema", NULL, "[CLASS...|all|--coverage] [--namespace NS]", 0, CLI_MAX_ARGS, "namespace coverage!", cmd_schema, "the class model: the classes, or one as MOF; all: everything; --coverage: what is implemented of each", true},
	{"user", "add", "NAME [--role read|admin] [--login password|certificate] [--state DIR]", 1, 1, "role login state", cmd_user_add, "let somebody in (role read when not given); the password is read from standard input", true},
	{"user", "passwd", "NAME [--state DIR]", 1, 1, "state", cmd_user_passwd, "give an account another password", true},
	{"user", "remove", "NAME [--state DIR]", 1, 1, "state", cmd_user_remove, "let somebody in no longer", true},
	{"completion", "bash", "", 0, 0, "", cmd_completion, "print completion for bash: source <(smiscsi completion bash)", true},
};
const size_t cli_n_commands = ARRAY_SIZE(cli_commands);

int cmd_completion(struct cli *c)
{
	(void)c;
	printf("_smiscsi() {\n"
	       "\tlocal words=\"${COMP_WORDS[COMP_CWORD]}\" noun=\"${COMP_WORDS[1]}\"\n"
	       "\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\tCOMPREPLY=($(compgen -W \"");
	for (size_t i = 0; i < cli_n_commands; i++)
		if (i == 0 || !streq(cli_commands[i].noun, cli_commands[i - 1].noun))
			printf("%s ", cli_commands[i].noun);
	printf("--url --user --json --help --version\" -- \"$words\"))\n\telse\n\t\tcase $noun in\n");
	for (size_t i = 0; i < cli_n_commands;) {
		const char *noun = cli_commands[i].noun;

		printf("\t\t%s) COMPREPLY=($(compgen -W \"", noun);
		for (; i < cli_n_commands && streq(cli_commands[i].noun, noun); i++)
			if (cli_commands[i].verb)
				printf("%s ", cli_commands[i].verb);
		printf("\" -- \"$words\")) ;;\n");
	}
	printf("\t\tesac\n\tfi\n}\ncomplete -F _smiscsi smiscsi\n");
	return EXIT_DONE;
}

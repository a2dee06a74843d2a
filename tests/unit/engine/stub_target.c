/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A target that only talks: keeps what it is told as text, refuses, hangs and dies by the names
 * it is given ("iqn.2026-11.stub:refuse", ":busy", ":hang", ":die").  Its log of methods goes to
 * stderr, which is target.log.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static json_int_t generation;
static size_t n_portals;

static void reply(FILE *f, json_t *id, const char *member, json_t *value)
{
	json_t *m = json_pack("{s:s,s:O,s:o}", "jsonrpc", "2.0", "id", id, member, value);

	(void)json_dumpf(m, f, JSON_COMPACT);
	(void)fputc('\n', f);
	(void)fflush(f);
	json_decref(m);
}

static json_t *portal_states(const json_t *list)
{
	json_t *out = json_array();

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *p = json_array_get(list, i);
		const char *kind = json_string_value(json_object_get(p, "kind"));

		if (kind && strcmp(kind, "portal") != 0)
			continue;
		n_portals++;
		(void)json_array_append_new(out, json_pack("{s:O,s:O,s:s,s:s}", "address",
							   json_object_get(p, "address"), "port",
							   json_object_get(p, "port"), "state",
							   "listening", "why", ""));
	}
	return out;
}

static void apply(FILE *f, json_t *id, const json_t *params)
{
	const json_t *changes = json_object_get(params, "changes");
	char *s = json_dumps(params, JSON_COMPACT | JSON_SORT_KEYS);

	(void)fprintf(stderr, "%s\n", s);
	if (strstr(s, "stub:die"))
		_exit(7);
	if (strstr(s, "stub:hang"))
		pause();
	if (strstr(s, "stub:refuse")) {
		reply(f, id, "error",
		      json_pack("{s:i,s:s}", "code", -32000, "message", "it was told to refuse"));
	} else if (strstr(s, "stub:busy")) {
		reply(f, id, "error",
		      json_pack("{s:i,s:s}", "code", -32001, "message", "there are sessions"));
	} else {
		generation = json_integer_value(json_object_get(params, "generation"));
		reply(f, id, "result", json_pack("{s:o}", "portals", portal_states(changes)));
	}
	free(s);
}

static json_t *session(void)
{
	return json_pack("{s:i,s:s,s:i,s:s,s:s,s:s,s:i,s:{s:s,s:s},s:[{s:i,s:s,s:s,s:s,s:i}]}",
			 "id", 41, "iqn", "iqn.2026-11.stub:a", "tpgt", 1, "type", "normal",
			 "initiator", "iqn.2026-11.init", "isid", "00023d0000ab", "tsih", 9,
			 "params", "MaxBurstLength", "262144", "InitialR2T", "No", "connections",
			 "cid", 1, "peer", "10.0.0.9:4000", "local", "10.0.0.1:3260",
			 "header_digest", "CRC32C", "max_recv", 8192);
}

static int serve(int fd)
{
	FILE *in = fdopen(fd, "r"), *f = fdopen(dup(fd), "w");
	char *line = NULL;
	size_t cap = 0;

	while (getline(&line, &cap, in) > 0) {
		json_t *m = json_loads(line, 0, NULL), *id = json_object_get(m, "id");
		const char *method = json_string_value(json_object_get(m, "method"));
		const json_t *params = json_object_get(m, "params");

		(void)fprintf(stderr, "method %s\n", method);
		if (strcmp(method, "hello") == 0) {
			reply(f, id, "result",
			      json_pack("{s:i,s:s,s:i,s:I}", "version", 1, "server", "stub", "pid",
					(int)getpid(), "generation", generation));
		} else if (strcmp(method, "apply") == 0) {
			apply(f, id, params);
		} else if (strcmp(method, "replace") == 0) {
			const json_t *c = json_object_get(params, "config");
			json_t *p = portal_states(json_object_get(c, "portals"));

			generation = json_integer_value(json_object_get(params, "generation"));
			(void)fprintf(stderr, "units %zu luns %zu\n",
				      json_array_size(json_object_get(c, "units")),
				      json_array_size(json_object_get(c, "luns")));
			reply(f, id, "result", json_pack("{s:o}", "portals", p));
		} else if (strcmp(method, "state") == 0) {
			reply(f, id, "result",
			      json_pack("{s:I,s:[],s:[o]}", "generation", generation, "portals",
					"sessions", session()));
		} else if (strcmp(method, "stats") == 0) {
			reply(f, id, "result",
			      json_pack("{s:[{s:s,s:i}],s:[]}", "nodes", "iqn",
					"iqn.2026-11.stub:a", "logins_ok", 3, "sessions"));
		} else if (strcmp(method, "shutdown") == 0) {
			reply(f, id, "result", json_object());
			_exit(0);
		}
		json_decref(m);
	}
	free(line);
	(void)fclose(in);
	return fclose(f);
}

int main(int argc, char **argv)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (argc != 3 || strcmp(argv[1], "--control") != 0)
		return 2;
	(void)unlink(argv[2]);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", argv[2]);
	if (bind(s, (const struct sockaddr *)&at, sizeof(at)) < 0 || listen(s, 4) < 0)
		return 1;
	for (;;) {
		int fd = accept(s, NULL, NULL);

		if (fd >= 0)
			(void)serve(fd);
	}
}

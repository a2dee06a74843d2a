/* SPDX-License-Identifier: Apache-2.0 */
/* The server dies at each write of the store in turn; what is there after the next start? */
#include <dirent.h>
#include <sys/wait.h>

#include "dying_vfs.h"
#include "rig.h"

enum { NODES = 3 };

static void told(int fd, char c)
{
	if (write(fd, &c, 1) != 1)
		_exit(1);
}

/* The child: what is acknowledged goes down the pipe, one letter each. */
static void live(struct rig *r, int fd)
{
	struct err e;

	if (!rig_start(r, &e))
		_exit(1);
	for (unsigned i = 0; i < NODES; i++) {
		char alias[16];
		struct op node = {.rule = op_create_node, .text = alias};
		struct op port = {.rule = op_create_port, .n_portals = 2};
		struct op volume = {.rule = op_volume, .text = alias, .number = 1 << 20};
		struct op attach = {.rule = op_attach};
		AUTO(san_state) s = control_state_get(r->c);

		(void)snprintf(alias, sizeof(alias), "n%u", i);
		port.portals[0] = ref_to(san_portal_by_text(s, "10.0.0.1:3260")->obj.id);
		port.portals[1] = ref_to(san_portal_by_text(s, "10.0.0.2:3260")->obj.id);
		if (rig_do(r, &node) == CONTROL_OK)
			told(fd, 'n');
		port.a = attach.a = ref_to(node.id);
		if (rig_do(r, &port) == CONTROL_OK)
			told(fd, 'p');
		if (rig_do(r, &volume) == CONTROL_OK)
			told(fd, 'v');
		attach.b = ref_to(volume.id);
		if (rig_do(r, &attach) == CONTROL_OK)
			told(fd, 'a');
		/* The target refuses one: its inverse must survive, too. */
		fake_engine_fail(r->fake, 1, ENGINE_REFUSED);
		node.text = "refused";
		if (rig_do(r, &node) == CONTROL_OK)
			_exit(1);
	}
	_exit(0);
}

static size_t count_files(const struct rig *r)
{
	char path[80];
	size_t n = 0;
	DIR *d;

	(void)snprintf(path, sizeof(path), "%s/units", r->dir);
	d = opendir(path);
	for (const struct dirent *x = d ? readdir(d) : NULL; x; x = readdir(d))
		n += x->d_name[0] != '.';
	if (d)
		(void)closedir(d);
	return n;
}

/* Either what was acknowledged, or one operation more. */
static bool fits(size_t have, size_t acked)
{
	return have == acked || have == acked + 1;
}

TEST(after_death_at_any_write_the_target_is_what_the_store_says_and_no_acknowledged_change_is_lost)
{
	unsigned deaths = 0;

	for (unsigned nth = 1; test_failures == 0; nth += 2) {
		size_t nodes = 0, ports = 0, volumes = 0, attached = 0;
		struct rig r = {
			.addresses = {true, true}
                };
		struct err e = {0};
		int fd[2], status;
		pid_t pid;
		char c;

		rig_make_dir(&r);
		CHECK_INT(pipe(fd), 0);
		(void)fflush(stdout);
		pid = fork();
		if (pid == 0) {
			dying_install(nth);
			live(&r, fd[1]);
		}
		(void)close(fd[1]);
		while (read(fd[0], &c, 1) == 1) {
			nodes += c == 'n';
			ports += c == 'p';
			volumes += c == 'v';
			attached += c == 'a';
		}
		(void)close(fd[0]);
		CHECK_INT(waitpid(pid, &status, 0), pid);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 1);
		if (!rig_start(&r, &e)) {
			printf("Bail out! after death at write %u: %s\n", nth, e.text);
			exit(1);
		}
		{
			AUTO(san_state) s = control_state_get(r.c);

			CHECK_INT(san_invariants(s, &e), 0);
			CHECK_INT(fake_engine_check(r.fake, s, &e), 0);
			CHECK_STR(e.text, "");
			CHECK(fits(san_count(s, SAN_NODES), nodes));
			CHECK(fits(san_count(s, SAN_PORTS), ports));
			CHECK(fits(san_count(s, SAN_UNITS), volumes));
			CHECK(fits(san_count(s, SAN_LUNS_OF_NODE), attached));
			CHECK_INT(san_count(s, SAN_BINDINGS_OF_PORT), 2 * san_count(s, SAN_PORTS));
			CHECK_INT(count_files(&r), san_count(s, SAN_UNITS));
		}
		rig_free(&r);
		if (WEXITSTATUS(status) == 0)
			break;
		deaths++;
	}
	printf("# died %u times\n", deaths);
	CHECK(deaths > 15);
}

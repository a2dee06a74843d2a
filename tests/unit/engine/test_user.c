/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "engine/user/user.h"
#include "san/object.h"
#include "test.h"

struct watcher {
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned count[ENGINE_REST + 1];
	char why[256], portal[64], initiator[64], naa[20];
	struct san_connection connection;
	struct san_seen_session session;
};

static void watch(void *ctx, const struct engine_event *ev)
{
	struct watcher *w = ctx;

	pthread_mutex_lock(&w->lock);
	w->count[ev->kind]++;
	if (ev->kind == ENGINE_DOWN)
		(void)snprintf(w->why, sizeof(w->why), "%s", ev->why);
	if (ev->kind == ENGINE_PORTAL)
		(void)snprintf(w->portal, sizeof(w->portal), "%s %u %d", ev->address, ev->tcp_port,
			       (int)ev->listen);
	if (ev->kind == ENGINE_UNIT)
		(void)snprintf(w->naa, sizeof(w->naa), "%s", ev->naa);
	if (ev->kind == ENGINE_SESSION_UP) {
		w->session = ev->session;
		if (ev->session.n_connections)
			w->connection = ev->session.connections[0];
		(void)snprintf(w->initiator, sizeof(w->initiator), "%s", ev->session.initiator);
	}
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
}

/* Wait until an event of a kind has come n times; false after 20 s. */
static bool seen(struct watcher *w, enum engine_event_kind k, unsigned n)
{
	struct timespec t;
	bool ok;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += 20;
	pthread_mutex_lock(&w->lock);
	while (w->count[k] < n && pthread_cond_timedwait(&w->more, &w->lock, &t) == 0)
		;
	ok = w->count[k] >= n;
	pthread_mutex_unlock(&w->lock);
	return ok;
}

struct rig {
	char dir[64];
	struct watcher w;
	struct engine *en;
};

static void rig_start(struct rig *r)
{
	struct user_engine_config cfg = {
		.state_dir = r->dir, .program = getenv("STUB_TARGET"), .apply_ms = 2000};
	struct err e = {0};

	r->w = (struct watcher){.lock = PTHREAD_MUTEX_INITIALIZER,
				.more = PTHREAD_COND_INITIALIZER};
	if (user_engine_new(&cfg, &r->en, &e) < 0 ||
	    r->en->ops->start(r->en, watch, &r->w, &e) < 0) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
}

static void rig_new(struct rig *r)
{
	char units[80];

	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/san-user.XXXXXX");
	CHECK(mkdtemp(r->dir) != NULL);
	(void)snprintf(units, sizeof(units), "%s/units", r->dir);
	CHECK_INT(mkdir(units, 0700), 0);
	rig_start(r);
}

static int rig_unlink(const char *path, const struct stat *sb UNUSED, int type UNUSED,
		      struct FTW *f UNUSED)
{
	return remove(path);
}

static void rig_free(struct rig *r)
{
	r->en->ops->stop(r->en, false);
	r->en->ops->free(r->en);
	(void)nftw(r->dir, rig_unlink, 8, FTW_DEPTH | FTW_PHYS);
}

/* What the stub has written, read whole. */
static char *rig_log(const struct rig *r)
{
	char path[96];
	static char text[65536];
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof(path), "%s/target.log", r->dir);
	f = fopen(path, "r");
	n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[n] = '\0';
	if (f)
		(void)fclose(f);
	return text;
}

static unsigned rig_count(const struct rig *r, const char *what)
{
	unsigned n = 0;

	for (const char *p = rig_log(r); (p = strstr(p, what)); p++)
		n++;
	return n;
}

static enum engine_result add_node(struct rig *r, const char *iqn, struct err *e)
{
	struct san_changes auto_changes ch = {0};
	const struct san_changes *list = &ch;
	struct engine_outcome out = {0};

	san_changes_add(&ch, SAN_NODE, NULL, san_node_new(9, iqn, "x", 0));
	r->en->ops->apply(r->en, &list, 1, 5, &out);
	*e = out.err;
	return out.result;
}

TEST(a_target_that_is_missing_is_said_so)
{
	struct user_engine_config cfg = {.state_dir = "/tmp", .program = "/nowhere/smiscsi-target"};
	struct engine *en = NULL;
	struct err e = {0};

	CHECK_INT(user_engine_new(&cfg, &en, &e), -ENOENT);
	CHECK(strstr(e.text, "/nowhere/smiscsi-target can't be run") != NULL);
}

TEST(changes_are_taken_refused_or_busy_each_for_itself)
{
	static const char *const name[] = {"iqn.2026-11.stub:a", "iqn.2026-11.stub:refuse",
					   "iqn.2026-11.stub:b", "iqn.2026-11.stub:busy"};
	static const enum engine_result want[] = {ENGINE_OK, ENGINE_REFUSED, ENGINE_OK,
						  ENGINE_BUSY};
	struct san_changes ch[4] = {0};
	const struct san_changes *lists[4] = {&ch[0], &ch[1], &ch[2], &ch[3]};
	struct engine_outcome out[4] = {0};
	struct rig r;

	rig_new(&r);
	CHECK(seen(&r.w, ENGINE_UP, 1));
	for (size_t i = 0; i < 4; i++)
		san_changes_add(&ch[i], SAN_NODE, NULL, san_node_new(i + 1, name[i], "x", 0));
	san_changes_add(&ch[2], SAN_PORTAL, NULL,
			san_portal_new(7, "2001:db8::1", 6, 3260, 1, SAN_PORTAL_HAND, 0));
	r.en->ops->apply(r.en, lists, 4, 1, out);
	for (size_t i = 0; i < 4; i++) {
		CHECK_INT(out[i].result, want[i]);
		san_changes_done(&ch[i]);
	}
	CHECK_STR(out[1].err.text, "it was told to refuse");
	CHECK(seen(&r.w, ENGINE_PORTAL, 1));
	CHECK_STR(r.w.portal, "2001:db8::1 3260 1");
	rig_free(&r);
}

TEST(what_a_removal_implies_is_not_said_again)
{
	struct san_node *n = san_node_new(1, "iqn.2026-11.stub:a", "x", 0);
	struct san_port *p = san_port_new(2, n, 1, 0);
	struct san_portal *at = san_portal_new(3, "10.0.0.1", 4, 3260, 1, SAN_PORTAL_HAND, 0);
	struct san_binding *b = san_binding_new(4, p, at);
	struct san_changes port_goes = {0}, node_goes = {.unless_sessions = true};
	const struct san_changes *lists[] = {&port_goes, &node_goes};
	struct engine_outcome out[2] = {0};
	struct rig r;

	rig_new(&r);
	CHECK(seen(&r.w, ENGINE_UP, 1));
	san_changes_add(&port_goes, SAN_BINDING, b, NULL);
	san_changes_add(&port_goes, SAN_PORT, p, NULL);
	san_changes_add(&node_goes, SAN_BINDING, b, NULL);
	san_changes_add(&node_goes, SAN_PORT, p, NULL);
	san_changes_add(&node_goes, SAN_NODE, n, NULL);
	r.en->ops->apply(r.en, lists, 2, 3, out);
	CHECK_INT(out[0].result, ENGINE_OK);
	CHECK_INT(out[1].result, ENGINE_OK);
	CHECK(strstr(rig_log(&r), "{\"changes\":[{\"enabled\":true,\"iqn\":\"iqn.2026-11.stub:a\","
				  "\"kind\":\"port\",\"op\":\"remove\",\"tpgt\":1}],"
				  "\"generation\":3}") != NULL);
	CHECK(strstr(rig_log(&r), "{\"changes\":[{\"alias\":\"x\",\"enabled\":true,\"iqn\":\"iqn."
				  "2026-11.stub:a\","
				  "\"kind\":\"node\",\"op\":\"remove\",\"unless_sessions\":true}],"
				  "\"generation\":3}") != NULL);
	san_changes_done(&port_goes);
	san_changes_done(&node_goes);
	san_unref(b);
	san_unref(at);
	san_unref(p);
	san_unref(n);
	rig_free(&r);
}

TEST(a_target_that_dies_is_started_again_and_wants_its_configuration)
{
	struct rig r;
	struct err e;

	rig_new(&r);
	CHECK(seen(&r.w, ENGINE_UP, 1));
	CHECK_INT(add_node(&r, "iqn.2026-11.stub:die", &e), ENGINE_ABSENT);
	CHECK(seen(&r.w, ENGINE_DOWN, 1));
	CHECK(seen(&r.w, ENGINE_UP, 2));
	CHECK_INT(add_node(&r, "iqn.2026-11.stub:a", &e), ENGINE_OK);
	rig_free(&r);
}

TEST(no_answer_in_time_is_a_time_out_and_nothing_hangs)
{
	struct rig r;
	struct err e;
	uint64_t t;

	rig_new(&r);
	CHECK(seen(&r.w, ENGINE_UP, 1));
	t = clock_mono_ns();
	CHECK_INT(add_node(&r, "iqn.2026-11.stub:hang", &e), ENGINE_TIMEOUT);
	CHECK(clock_mono_ns() - t < 8000000000U);
	CHECK(seen(&r.w, ENGINE_DOWN, 1));
	CHECK_STR(r.w.why, "the target did not answer in time");
	CHECK_INT(add_node(&r, "iqn.2026-11.stub:a", &e), ENGINE_ABSENT);
	rig_free(&r);
}

TEST(a_running_target_is_taken_over_as_it_is)
{
	struct rig r;

	rig_new(&r);
	CHECK(seen(&r.w, ENGINE_UP, 1));
	r.en->ops->stop(r.en, true);
	r.en->ops->free(r.en);
	rig_start(&r);
	CHECK(seen(&r.w, ENGINE_UP, 1));
	CHECK_INT(rig_count(&r, "method hello"), 2);
	rig_free(&r);
	/* One that had been started anew would have made a new socket; it ended when asked to. */
}

TEST(replace_reports_portals_sessions_and_volumes_without_a_file)
{
	AUTO(san_state)
	s = san_state_new(san_host_new("u", "h"), san_settings_new("iqn.2026-11.x"), 0);
	struct san_changes auto_changes ch = {0};
	struct engine_outcome out = {0};
	struct engine_stats st;
	struct err e;
	struct rig r;

	san_changes_add(&ch, SAN_PORTAL, NULL,
			san_portal_new(10, "10.0.0.1", 4, 3260, 1, SAN_PORTAL_HAND, 0));
	san_changes_add(&ch, SAN_UNIT, NULL,
			san_unit_new(11, san_concrete_pool(s), "3000000000000001", "lost", 1 << 20, 0));
	s = san_apply(take(s), &ch, 0, NULL);
	rig_new(&r);
	CHECK(seen(&r.w, ENGINE_UP, 1));
	r.en->ops->replace(r.en, s, &out);
	CHECK_INT(out.result, ENGINE_OK);
	CHECK_INT(r.w.count[ENGINE_PORTAL], 1);
	CHECK_INT(r.w.count[ENGINE_SESSION_UP], 1);
	CHECK_STR(r.w.initiator, "iqn.2026-11.init");
	CHECK_INT(r.w.session.MaxBurstLength, 262144);
	CHECK_INT(r.w.session.InitialR2T, false);
	CHECK_STR(r.w.connection.local, "10.0.0.1:3260");
	CHECK_INT(r.w.connection.header_digest, true);
	CHECK_STR(r.w.naa, "3000000000000001");
	CHECK(strstr(rig_log(&r), "units 0 luns 0") != NULL);
	CHECK_INT(r.en->ops->stats(r.en, &st, &e), 0);
	CHECK_INT(st.n_nodes, 1);
	CHECK_INT(st.nodes[0].logins_ok, 3);
	engine_stats_done(&st);
	rig_free(&r);
}

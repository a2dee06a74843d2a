/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "engine/device.h"
#include "engine/lio/cfs.h"
#include "engine/lio/lio.h"
#include "fake_kernel.h"
#include "fixture.h"

/* What the engine told, the newest of each kind. */
struct watcher {
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned count[ENGINE_REST + 1];
	char naa[20], unit_why[256], initiator[256], isid[16], port[256], port_why[256], rest[512];
	struct {
		char text[80], why[128];
		enum san_listen listen;
	} portal[16];
	uint64_t session;
	size_t n_foreign;
	char foreign[512]; /* name, serves, at, uses of each */
};

static void watch(void *ctx, const struct engine_event *ev)
{
	struct watcher *w = ctx;

	pthread_mutex_lock(&w->lock);
	w->count[ev->kind]++;
	if (ev->kind == ENGINE_UNIT) {
		(void)snprintf(w->naa, sizeof(w->naa), "%s", ev->naa);
		(void)snprintf(w->unit_why, sizeof(w->unit_why), "%s", ev->why);
	} else if (ev->kind == ENGINE_PORT) {
		(void)snprintf(w->port, sizeof(w->port), "%s,%u", ev->iqn, ev->tpgt);
		(void)snprintf(w->port_why, sizeof(w->port_why), "%s", ev->why);
	} else if (ev->kind == ENGINE_REST) {
		(void)snprintf(w->rest, sizeof(w->rest), "%s", ev->why);
	} else if (ev->kind == ENGINE_SESSION_UP) {
		(void)snprintf(w->initiator, sizeof(w->initiator), "%s", ev->session.initiator);
		(void)snprintf(w->isid, sizeof(w->isid), "%s", ev->session.isid);
		w->session = ev->session.id;
	} else if (ev->kind == ENGINE_FOREIGN) {
		size_t n = 0;

		w->n_foreign = ev->n_foreign;
		w->foreign[0] = '\0';
		for (size_t i = 0; i < ev->n_foreign && n < sizeof(w->foreign); i++)
			n += (size_t)snprintf(w->foreign + n, sizeof(w->foreign) - n,
					      "%s %d [%s] [%s]; ", ev->foreign[i].name,
					      ev->foreign[i].serves, ev->foreign[i].at,
					      ev->foreign[i].uses);
	} else if (ev->kind == ENGINE_PORTAL) {
		char text[80];
		size_t i = 0;

		san_portal_format(text, ev->address, strchr(ev->address, ':') ? 6 : 4,
				  ev->tcp_port);
		while (w->portal[i].text[0] && !streq(w->portal[i].text, text))
			i++;
		(void)snprintf(w->portal[i].text, sizeof(w->portal[i].text), "%s", text);
		(void)snprintf(w->portal[i].why, sizeof(w->portal[i].why), "%s", ev->why);
		w->portal[i].listen = ev->listen;
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

static enum san_listen listen_of(struct watcher *w, const char *portal)
{
	enum san_listen is = SAN_LISTEN_UNKNOWN;

	pthread_mutex_lock(&w->lock);
	for (size_t i = 0; w->portal[i].text[0]; i++) {
		if (streq(w->portal[i].text, portal))
			is = w->portal[i].listen;
	}
	pthread_mutex_unlock(&w->lock);
	return is;
}

/* The box of fixture.h and the engine, below one temporary folder. */
struct rig {
	char dir[64], kernel[80];
	struct box box;
	struct watcher w;
	struct engine *en;
	char a[SAN_IQN_MAX + 1], b[SAN_IQN_MAX + 1];
};

static char *rig_path(const struct rig *r, const char *path)
{
	return xasprintf("%s/%s", r->kernel, path);
}

static bool there(const struct rig *r, const char *fmt, ...) PRINTF(2, 3);
static bool there(const struct rig *r, const char *fmt, ...)
{
	char path[1024];
	auto_free char *full = NULL;
	struct stat sb;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	full = rig_path(r, path);
	return lstat(full, &sb) == 0;
}

static void says(const struct rig *r, const char *path, char text[static 256])
{
	auto_free char *full = rig_path(r, path);
	FILE *f = fopen(full, "r");

	if (!f || !fgets(text, 256, f))
		text[0] = '\0';
	if (f)
		(void)fclose(f);
	text[strcspn(text, "\n")] = '\0';
}

/* A serial number is told in lower case. */
static struct cfs_path lower(const char *naa)
{
	struct cfs_path p = cfs_path("%s", naa);

	for (char *c = p.s; *c; c++)
		*c = str_lower_c(*c);
	return p;
}

static void unit_file(const struct rig *r, uint64_t unit)
{
	const struct san_unit *u = san_unit(r->box.s, unit);
	auto_free char *path = xasprintf("%s/units/%s.img", r->dir, u->naa);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	CHECK(fd >= 0 && ftruncate(fd, (off_t)u->size) == 0);
	(void)close(fd);
}

static void rig_engine(struct rig *r, unsigned apply_ms)
{
	struct lio_engine_config cfg = {.state_dir = r->dir,
					.configfs = r->kernel,
					.apply_ms = apply_ms,
					.poll_ms = 50,
					.retry_ms = 100};
	struct err e = {0};

	r->w = (struct watcher){.lock = PTHREAD_MUTEX_INITIALIZER,
				.more = PTHREAD_COND_INITIALIZER};
	if (lio_engine_new(&cfg, &r->en, &e) < 0 ||
	    r->en->ops->start(r->en, watch, &r->w, &e) < 0) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	CHECK(seen(&r->w, ENGINE_UP, 1));
}

static void rig_replace(struct rig *r)
{
	struct engine_outcome out = {0};

	r->en->ops->replace(r->en, r->box.s, &out);
	CHECK_INT(out.result, ENGINE_OK);
	CHECK_STR(out.err.text, "");
}

static void rig_new(struct rig *r, unsigned apply_ms)
{
	auto_free char *units = NULL;

	(void)snprintf(r->dir, sizeof(r->dir), "%s/lio-test.XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	CHECK(mkdtemp(r->dir) != NULL);
	(void)snprintf(r->kernel, sizeof(r->kernel), "%s/target", r->dir);
	units = xasprintf("%s/units", r->dir);
	CHECK_INT(mkdir(r->kernel, 0755), 0);
	CHECK_INT(mkdir(units, 0755), 0);
	box_new(&r->box);
	(void)snprintf(r->a, sizeof(r->a), "%s", san_node(r->box.s, r->box.a)->iqn->s);
	(void)snprintf(r->b, sizeof(r->b), "%s", san_node(r->box.s, r->box.b)->iqn->s);
	unit_file(r, r->box.u1);
	unit_file(r, r->box.u2);
	fake_kernel_new(r->kernel);
	rig_engine(r, apply_ms);
	rig_replace(r);
}

static int remove_one(const char *path, const struct stat *sb UNUSED, int type UNUSED,
		      struct FTW *f UNUSED)
{
	return remove(path);
}

static void rig_end(struct rig *r, bool keep)
{
	r->en->ops->stop(r->en, keep);
	r->en->ops->free(r->en);
}

static void rig_free(struct rig *r)
{
	rig_end(r, true);
	box_done(&r->box);
	(void)nftw(r->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Has the engine take one list; in the model, too, when it does.  ch is empty afterwards. */
static enum engine_result rig_apply(struct rig *r, struct san_changes *ch, struct err *e)
{
	const struct san_changes *list = ch;
	struct engine_outcome out = {0};

	r->en->ops->apply(r->en, &list, 1, 1, &out);
	if (e)
		*e = out.err;
	if (out.result == ENGINE_OK)
		box_apply(&r->box, ch);
	san_changes_done(ch);
	return out.result;
}

static struct san_changes bind(struct rig *r, uint64_t port, uint64_t portal)
{
	struct san_bind_in in = {ref(port), ref(portal)};
	struct san_changes ch = {0};

	CHECK_INT(san_bind(r->box.s, &in, &ch, &r->box.e), 0);
	return ch;
}

TEST(the_kernel_becomes_what_the_model_says)
{
	struct rig r = {0};
	const struct san_unit *u1;
	char text[256];

	rig_new(&r, 0);
	u1 = san_unit(r.box.s, r.box.u1);
	CHECK(there(&r, "iscsi/%s/tpgt_1/np/10.0.0.1:3260", r.a));
	CHECK(there(&r, "iscsi/%s/tpgt_1/np/10.0.0.2:3260", r.a));
	CHECK(!there(&r, "iscsi/%s/tpgt_1/np/10.0.0.3:3260", r.a));
	CHECK(there(&r, "iscsi/%s/tpgt_7/np/10.0.0.1:3260", r.b));
	CHECK(there(&r, "iscsi/%s/tpgt_1/lun/lun_0/%s", r.a, u1->naa));
	CHECK(!there(&r, "iscsi/%s/tpgt_7/lun/lun_0", r.b));
	says(&r, cfs_path("core/fileio_3260/%s/wwn/vpd_unit_serial", u1->naa).s, text);
	CHECK_STR(text, lower(u1->naa).s);
	says(&r, cfs_path("core/fileio_3260/%s/enable", u1->naa).s, text);
	CHECK_STR(text, "1");
	says(&r, cfs_path("iscsi/%s/tpgt_1/enable", r.a).s, text);
	CHECK_STR(text, "1");
	says(&r, cfs_path("iscsi/%s/tpgt_1/attrib/generate_node_acls", r.a).s, text);
	CHECK_STR(text, "1");
	says(&r, cfs_path("iscsi/%s/tpgt_1/attrib/authentication", r.a).s, text);
	CHECK_STR(text, "0");
	/* A portal that nothing is bound to listens all the same. */
	CHECK_INT(listen_of(&r.w, "10.0.0.3:5000"), SAN_LISTENING);
	CHECK_INT(listen_of(&r.w, "10.0.0.1:3260"), SAN_LISTENING);
	rig_free(&r);
}

TEST(an_empty_kernel_is_left_when_the_target_is_to_end)
{
	struct rig r = {0};
	auto_free char *text = NULL;

	rig_new(&r, 0);
	fake_kernel_login(cfs_path("iscsi/%s/tpgt_1", r.a).s, "iqn.x:i");
	CHECK(seen(&r.w, ENGINE_SESSION_UP, 1));
	rig_end(&r, false);
	text = fake_kernel_print();
	CHECK(!strstr(text, "iqn.") && !strstr(text, "fileio"));
	rig_engine(&r, 0);
	rig_free(&r);
}

TEST(whatever_call_fails_all_of_a_change_is_there_or_nothing)
{
	for (unsigned nth = 1;; nth++) {
		struct rig r = {0};
		auto_free char *before = NULL, *after = NULL;
		struct san_changes ch = {0};
		struct san_attach_out number;
		struct err e = {0};
		enum engine_result got;
		bool hit;

		rig_new(&r, 0);
		before = fake_kernel_print();
		/* A port with two portals, and a unit attached to its node. */
		ch = bind(&r, r.box.b7, r.box.p[2]);
		CHECK_INT(san_attach(r.box.s,
				     &(struct san_attach_in){ref(r.box.b), ref(r.box.u2), NULL},
				     &ch, &number, &r.box.e),
			  0);
		fake_kernel_fail(nth, EIO);
		got = rig_apply(&r, &ch, &e);
		hit = fake_kernel_failed();
		fake_kernel_fail(0, 0);
		after = fake_kernel_print();
		if (got == ENGINE_OK) {
			CHECK(there(&r, "iscsi/%s/tpgt_7/np/10.0.0.2:3260", r.b));
			CHECK(there(&r, "iscsi/%s/tpgt_7/lun/lun_0", r.b));
		} else {
			CHECK_INT(got, ENGINE_REFUSED);
			CHECK(strstr(e.text, r.b) != NULL);
			if (!streq(before, after)) {
				CHECK_STR(after, before);
			}
		}
		rig_free(&r);
		if (!hit)
			break;
	}
}

/* Is anything of the target said not to be well? */
static bool ill(struct watcher *w)
{
	bool yes;

	pthread_mutex_lock(&w->lock);
	yes = w->rest[0] || w->port_why[0] || w->unit_why[0];
	for (size_t i = 0; w->portal[i].text[0]; i++)
		yes = yes || w->portal[i].listen != SAN_LISTENING;
	pthread_mutex_unlock(&w->lock);
	return yes;
}

/* Wait until the kernel is as it was; false after 20 s. */
static bool becomes(const char *before)
{
	for (int i = 0; i < 2000; i++) {
		auto_free char *now = fake_kernel_print();

		if (streq(now, before))
			return true;
		(void)usleep(10000);
	}
	return false;
}

static bool gets_well(struct watcher *w)
{
	for (int i = 0; i < 2000 && ill(w); i++)
		(void)usleep(10000);
	return !ill(w);
}

/* From some call on every one fails, those that should undo the first too. */
TEST(what_can_not_be_taken_back_is_said_and_put_right_later)
{
	unsigned spoiled = 0;

	for (unsigned nth = 1;; nth++) {
		struct rig r = {0};
		auto_free char *before = NULL, *after = NULL;
		struct san_changes ch = {0};
		struct san_attach_out number;
		enum engine_result got;
		bool hit;

		rig_new(&r, 0);
		before = fake_kernel_print();
		CHECK_INT(san_unbind(r.box.s, r.box.a1, r.box.p[1], &ch, &r.box.e), 0);
		CHECK_INT(san_attach(r.box.s,
				     &(struct san_attach_in){ref(r.box.b), ref(r.box.u2), NULL},
				     &ch, &number, &r.box.e),
			  0);
		fake_kernel_fail_from(nth, EIO);
		got = rig_apply(&r, &ch, NULL);
		hit = fake_kernel_failed();
		after = fake_kernel_print();
		if (hit) {
			CHECK_INT(got, ENGINE_REFUSED);
			spoiled += !streq(before, after);
			CHECK(streq(before, after) || ill(&r.w));
		}
		fake_kernel_fail(0, 0);
		if (hit) {
			CHECK(becomes(before));
			CHECK(gets_well(&r.w));
		}
		rig_free(&r);
		if (!hit)
			break;
	}
	CHECK(spoiled > 2);
}

/* What stays belongs to nothing that the model has; it is said all the same. */
/* What stays belongs to nothing that the model has; it is said all the same. */
TEST(what_can_not_be_taken_away_again_is_said_until_it_has_gone)
{
	struct rig r = {0};
	auto_free char *before = NULL;
	struct san_changes ch = {0};
	struct san_attach_out number;
	struct err e = {0};

	rig_new(&r, 0);
	before = fake_kernel_print();
	ch = bind(&r, r.box.b7, r.box.p[2]);
	CHECK_INT(san_attach(r.box.s, &(struct san_attach_in){ref(r.box.b), ref(r.box.u2), NULL},
			     &ch, &number, &r.box.e),
		  0);
	ch.must_listen = true;
	fake_kernel_taken("10.0.0.2:3260");
	fake_kernel_stuck("tpgt_7/lun/lun_0");
	CHECK_INT(rig_apply(&r, &ch, &e), ENGINE_REFUSED);
	CHECK(strstr(e.text, "10.0.0.2:3260") != NULL);
	CHECK(there(&r, "iscsi/%s/tpgt_7/lun/lun_0", r.b));
	CHECK(seen(&r.w, ENGINE_REST, 1));
	CHECK(strstr(r.w.rest, "tpgt_7/lun/lun_0") != NULL);
	/* Once, however often it is tried. */
	(void)usleep(300000);
	CHECK_INT(r.w.count[ENGINE_REST], 1);
	fake_kernel_stuck(NULL);
	CHECK(becomes(before));
	CHECK(seen(&r.w, ENGINE_REST, 2));
	CHECK_STR(r.w.rest, "");
	rig_free(&r);
}

TEST(a_port_that_another_process_has_is_refused_with_the_reason)
{
	struct rig r = {0};
	struct san_changes ch = {0};
	struct err e = {0};

	rig_new(&r, 0);
	fake_kernel_taken("10.0.0.2:3260");
	ch = bind(&r, r.box.b7, r.box.p[2]);
	ch.must_listen = true;
	CHECK_INT(rig_apply(&r, &ch, &e), ENGINE_REFUSED);
	CHECK(strstr(e.text, "10.0.0.2:3260") != NULL);
	CHECK(!there(&r, "iscsi/%s/tpgt_7/np/10.0.0.2:3260", r.b));
	rig_free(&r);
}

TEST(a_node_with_a_session_is_not_removed_and_serves_on)
{
	struct rig r = {0};
	struct san_delete_node_in in;
	struct san_changes ch = {0};
	auto_free char *before = NULL, *after = NULL;
	struct err e = {0};

	rig_new(&r, 0);
	in.node = ref(r.box.a);
	CHECK_INT(san_delete_node(r.box.s, &in, &ch, &r.box.e), 0);
	fake_kernel_login(cfs_path("iscsi/%s/tpgt_1", r.a).s, "iqn.x:i");
	CHECK(seen(&r.w, ENGINE_SESSION_UP, 1));
	CHECK_STR(r.w.initiator, "iqn.x:i");
	CHECK_STR(r.w.isid, "800000070002");
	before = fake_kernel_print();
	CHECK_INT(rig_apply(&r, &ch, &e), ENGINE_BUSY);
	after = fake_kernel_print();
	CHECK_STR(after, before);
	/* The initiator has all that the node has. */
	CHECK(there(&r, "iscsi/%s/tpgt_1/acls/iqn.x:i/lun_0/%s", r.a,
		    san_unit(r.box.s, r.box.u1)->naa));
	fake_kernel_logout(cfs_path("iscsi/%s/tpgt_1", r.a).s, "iqn.x:i");
	CHECK(seen(&r.w, ENGINE_SESSION_DOWN, 1));
	CHECK_INT(san_delete_node(r.box.s, &in, &ch, &r.box.e), 0);
	CHECK_INT(rig_apply(&r, &ch, &e), ENGINE_OK);
	CHECK(!there(&r, "iscsi/%s", r.a));
	rig_free(&r);
}

TEST(what_another_tool_did_to_ours_is_undone_and_its_own_is_left)
{
	struct rig r = {0};
	auto_free char *before = NULL, *after = NULL, *text = NULL;
	auto_free char *np = NULL, *theirs = NULL;

	rig_new(&r, 0);
	theirs = rig_path(&r, "iscsi/iqn.theirs");
	CHECK_INT(mkdir(theirs, 0755), 0);
	before = fake_kernel_print();
	np = rig_path(&r, cfs_path("iscsi/%s/tpgt_1/np/10.0.0.1:3260", r.a).s);
	CHECK_INT(rmdir(np), 0);
	for (int i = 0; i < 400 && access(np, F_OK) < 0; i++)
		(void)usleep(50000);
	(void)usleep(100000);
	after = fake_kernel_print();
	CHECK_STR(after, before);
	rig_end(&r, false);
	text = fake_kernel_print();
	CHECK(strstr(text, "iqn.theirs") != NULL);
	rig_engine(&r, 0);
	rig_free(&r);
}

TEST(a_target_of_that_name_that_others_made_is_not_taken_over)
{
	struct rig r = {0};
	struct san_create_named_node_in in = {"iqn.2001-01.theirs:x", NULL};
	struct san_created out = {0};
	struct san_changes ch = {0};
	struct err e = {0};
	auto_free char *theirs = NULL;

	rig_new(&r, 0);
	theirs = rig_path(&r, "iscsi/iqn.2001-01.theirs:x");
	CHECK_INT(mkdir(theirs, 0755), 0);
	CHECK_INT(san_create_named_node(r.box.s, &box_env, &in, &ch, &out, &r.box.e), 0);
	CHECK_INT(rig_apply(&r, &ch, &e), ENGINE_REFUSED);
	CHECK(strstr(e.text, "another tool") != NULL);
	CHECK(access(theirs, F_OK) == 0);
	rig_free(&r);
}

/* A file or a folder of somebody else's in the kernel. */
static void others_make(const struct rig *r, const char *path, const char *text)
{
	auto_free char *full = rig_path(r, path);
	FILE *f;

	if (!text) {
		CHECK_INT(mkdir(full, 0755), 0);
		return;
	}
	f = fopen(full, "we");
	CHECK(f != NULL && fputs(text, f) >= 0);
	if (f)
		(void)fclose(f);
}

TEST(what_others_have_made_is_told_when_it_changes)
{
	static const char *const dirs[] = {"core/fileio_9",
					   "core/fileio_9/disk",
					   "iscsi/foo",
					   "iscsi/foo/tpgt_1",
					   "iscsi/foo/tpgt_1/np",
					   "iscsi/foo/tpgt_1/np/0.0.0.0:3277",
					   "iscsi/foo/tpgt_1/lun",
					   "iscsi/foo/tpgt_1/lun/lun_0"};
	struct rig r = {0};
	auto_free char *link = NULL;
	unsigned told;

	rig_new(&r, 0);
	CHECK(seen(&r.w, ENGINE_FOREIGN, 1));
	CHECK_INT(r.w.n_foreign, 0);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		others_make(&r, dirs[i], NULL);
	others_make(&r, "core/fileio_9/disk/enable", "1\n");
	others_make(&r, "core/fileio_9/disk/info",
		    "        TCM FILEIO ID: 0        File: /x/y  Size: 512  Mode: O_DSYNC\n");
	others_make(&r, "iscsi/foo/tpgt_1/enable", "0\n");
	link = rig_path(&r, "iscsi/foo/tpgt_1/lun/lun_0/abc");
	CHECK_INT(symlink("../../../../../../target/core/fileio_9/disk", link), 0);
	rig_replace(&r);
	r.en->ops->refresh(r.en);
	CHECK_STR(r.w.foreign, "fileio_9/disk 1 [/x/y] []; "
			       "foo 0 [0.0.0.0:3277,1] [fileio_9/disk]; ");
	told = r.w.count[ENGINE_FOREIGN];
	(void)usleep(300000); /* six looks */
	CHECK_INT(r.w.count[ENGINE_FOREIGN], told);
	others_make(&r, "iscsi/foo/tpgt_1/enable", "1\n");
	CHECK(seen(&r.w, ENGINE_FOREIGN, told + 1));
	CHECK(strstr(r.w.foreign, "foo 1 [") != NULL);
	rig_free(&r);
}

TEST(a_port_that_can_not_be_served_says_why_and_gets_well)
{
	struct rig r = {0};
	auto_free char *theirs = NULL;

	rig_new(&r, 0);
	CHECK_INT(r.w.count[ENGINE_PORT], 0);
	rig_end(&r, false);
	theirs = rig_path(&r, cfs_path("iscsi/%s", r.a).s);
	CHECK_INT(mkdir(theirs, 0755), 0);
	rig_engine(&r, 0);
	rig_replace(&r);
	CHECK(seen(&r.w, ENGINE_PORT, 1));
	CHECK_STR(r.w.port, cfs_path("%s,1", r.a).s);
	CHECK(strstr(r.w.port_why, "another tool") != NULL);
	CHECK(!there(&r, "iscsi/%s/tpgt_1", r.a));
	/* The others are served all the same. */
	CHECK(there(&r, "iscsi/%s/tpgt_7/np/10.0.0.1:3260", r.b));
	CHECK_INT(rmdir(theirs), 0);
	rig_replace(&r);
	CHECK(seen(&r.w, ENGINE_PORT, 2));
	CHECK_STR(r.w.port_why, "");
	CHECK(there(&r, "iscsi/%s/tpgt_1/np/10.0.0.1:3260", r.a));
	rig_free(&r);
}

TEST(after_a_restart_what_is_ours_is_known_and_what_is_too_much_goes)
{
	struct rig r = {0};
	struct san_changes ch = {0};
	struct san_delete_port_in in;

	rig_new(&r, 0);
	rig_end(&r, true);
	/* The model lost a port while nobody looked. */
	in.port = ref(r.box.b7);
	CHECK_INT(san_delete_port(r.box.s, &in, &ch, &r.box.e), 0);
	box_apply(&r.box, &ch);
	rig_engine(&r, 0);
	rig_replace(&r);
	CHECK(there(&r, "iscsi/%s", r.b));
	CHECK(!there(&r, "iscsi/%s/tpgt_7", r.b));
	rig_free(&r);
}

TEST(a_volume_whose_file_is_missing_is_told_and_never_made)
{
	struct rig r = {0};
	auto_free char *file = NULL;
	const struct san_unit *u;

	rig_new(&r, 0);
	u = san_unit(r.box.s, r.box.u1);
	file = xasprintf("%s/units/%s.img", r.dir, u->naa);
	rig_end(&r, false);
	CHECK_INT(unlink(file), 0);
	rig_engine(&r, 0);
	rig_replace(&r);
	CHECK(seen(&r.w, ENGINE_UNIT, 1));
	CHECK_STR(r.w.naa, u->naa);
	CHECK_STR(r.w.unit_why, "its file is missing");
	CHECK(!there(&r, "core/fileio_3260/%s", u->naa));
	CHECK(!there(&r, "iscsi/%s/tpgt_1/lun/lun_0", r.a));
	rig_free(&r);
}

/* A loop device of some MiB on a file in the rig's folder; false where none can be had. */
static bool loop_new(const struct rig *r, char device[static 64])
{
	auto_free char *cmd = xasprintf(
		"truncate -s 8M %s/disk && losetup -f --show %s/disk 2>/dev/null", r->dir, r->dir);
	FILE *f = popen(cmd, "re");
	bool ok = f && fgets(device, 64, f);

	if (f)
		(void)pclose(f);
	device[strcspn(device, "\n")] = '\0';
	return ok && *device == '/';
}

static void loop_free(const char *device)
{
	auto_free char *cmd = xasprintf("losetup -d %s", device);

	CHECK_INT(system(cmd), 0); // NOLINT: the test's own words
}

TEST(a_volume_on_a_block_device_is_the_kernels_iblock)
{
	struct rig r = {0};
	struct san_seen_device offered = {.why = "", .offered = true};
	struct san_changes ch = {0};
	struct device_facts is;
	const struct san_unit *u;
	char device[64] = "", text[256], naa[17];
	uint64_t id;

	rig_new(&r, 0);
	if (!loop_new(&r, device)) {
		printf("# no loop devices here\n");
		rig_free(&r);
		return;
	}
	CHECK_INT(device_look(device, &is, NULL), 0);
	CHECK_INT(is.size, 8 << 20);
	CHECK(strstr(is.identity, "/disk") != NULL);
	offered.path = device;
	offered.size = is.size;
	offered.identity = is.identity;
	san_devices_seen(r.box.s, &offered, 1, &ch);
	box_apply(&r.box, &ch);
	san_changes_done(&ch);
	id = r.box.s->next_id;
	CHECK_INT(san_volume(r.box.s, &box_env,
			     &(struct san_volume_in){
				     .has_type = true,
				     .type = 2,
				     .pool = ref(san_pool_of_device(r.box.s, device)->obj.id)},
			     &ch, &(struct san_volume_out){0}, &r.box.e),
		  0);
	CHECK_INT(rig_apply(&r, &ch, NULL), ENGINE_OK);
	u = san_unit(r.box.s, id);
	(void)snprintf(naa, sizeof(naa), "%s", u->naa);
	says(&r, cfs_path("core/iblock_3260/%s/control", naa).s, text);
	CHECK_STR(text, cfs_path("udev_path=%s,readonly=0", device).s);
	says(&r, cfs_path("core/iblock_3260/%s/wwn/vpd_unit_serial", naa).s, text);
	CHECK_STR(text, lower(naa).s);
	CHECK(!there(&r, "core/fileio_3260/%s", naa));
	CHECK_INT(san_attach(r.box.s, &(struct san_attach_in){ref(r.box.a), ref(id), "9"}, &ch,
			     &(struct san_attach_out){0}, &r.box.e),
		  0);
	CHECK_INT(rig_apply(&r, &ch, NULL), ENGINE_OK);
	CHECK(there(&r, "iscsi/%s/tpgt_1/lun/lun_9/%s", r.a, naa));
	/* A new start finds all as it should be. */
	rig_end(&r, true);
	rig_engine(&r, 0);
	rig_replace(&r);
	CHECK_INT(r.w.count[ENGINE_UNIT], 0);
	CHECK(there(&r, "iscsi/%s/tpgt_1/lun/lun_9/%s", r.a, naa));
	/* The device is gone: said, the rest stays; it comes back. */
	rig_end(&r, false);
	CHECK(!there(&r, "core/iblock_3260"));
	loop_free(device);
	rig_engine(&r, 0);
	rig_replace(&r);
	CHECK(seen(&r.w, ENGINE_UNIT, 1));
	CHECK_STR(r.w.unit_why, "the block device is empty");
	CHECK(!there(&r, "iscsi/%s/tpgt_1/lun/lun_9", r.a));
	CHECK(there(&r, "iscsi/%s/tpgt_1/lun/lun_0", r.a));
	CHECK(loop_new(&r, text));
	CHECK_STR(text, device);
	CHECK(seen(&r.w, ENGINE_UNIT, 2));
	CHECK_STR(r.w.unit_why, "");
	r.en->ops->refresh(r.en); /* after what it was just doing */
	CHECK(there(&r, "iscsi/%s/tpgt_1/lun/lun_9/%s", r.a, naa));
	loop_free(device);
	rig_free(&r);
}

TEST(reservations_that_survive_power_loss_are_given_back)
{
	struct rig r = {0};
	auto_free char *file = NULL;
	char naa[17], text[256];
	FILE *f;

	rig_new(&r, 0);
	(void)snprintf(naa, sizeof(naa), "%s", san_unit(r.box.s, r.box.u1)->naa);
	rig_end(&r, false);
	file = xasprintf("%s/pr/aptpl_%s", r.dir, lower(naa).s);
	f = fopen(file, "w");
	CHECK(f != NULL);
	if (f) {
		(void)fprintf(f,
			      "PR_REG_START: 0\ninitiator_fabric=iSCSI\ninitiator_node=iqn.x:one\n"
			      "target_node=%s\ntpgt=1\nPR_REG_END: 0\n",
			      r.a);
		(void)fclose(f);
	}
	rig_engine(&r, 0);
	rig_replace(&r);
	says(&r, cfs_path("core/fileio_3260/%s/pr/res_aptpl_metadata", naa).s, text);
	CHECK_STR(text, "initiator_fabric=iSCSI");
	/* With an ACL and its logical unit the kernel takes it up. */
	CHECK(there(&r, "iscsi/%s/tpgt_1/acls/iqn.x:one/lun_0/%s", r.a, naa));
	/* The volume goes, and they with it. */
	CHECK(access(file, F_OK) == 0);
	rig_free(&r);
}

TEST(a_volume_grows_in_place)
{
	struct rig r = {0};
	struct san_volume_in in = {.has_type = true, .type = 2, .has_size = true, .size = 4 << 20};
	struct san_volume_out out = {0};
	struct san_changes ch = {0};
	char text[256];

	rig_new(&r, 0);
	in.element = ref(r.box.u1);
	CHECK_INT(san_volume(r.box.s, &box_env, &in, &ch, &out, &r.box.e), 0);
	CHECK_INT(rig_apply(&r, &ch, NULL), ENGINE_OK);
	says(&r, cfs_path("core/fileio_3260/%s/control", san_unit(r.box.s, r.box.u1)->naa).s, text);
	CHECK(strstr(text, "fd_dev_size=4194304") != NULL);
	rig_free(&r);
}

TEST(a_call_that_does_not_come_back_hangs_nobody)
{
	struct rig r = {0};
	struct san_changes ch = {0};
	struct engine_stats st;
	struct err e = {0};

	rig_new(&r, 200);
	fake_kernel_hold("tpgt_7/np/10.0.0.2");
	ch = bind(&r, r.box.b7, r.box.p[2]);
	CHECK_INT(rig_apply(&r, &ch, &e), ENGINE_TIMEOUT);
	ch = bind(&r, r.box.b7, r.box.p[2]);
	CHECK_INT(rig_apply(&r, &ch, &e), ENGINE_ABSENT);
	CHECK(strstr(e.text, "earlier") != NULL);
	CHECK(r.en->ops->stats(r.en, &st, &e) < 0);
	CHECK_INT(r.w.count[ENGINE_UP], 1);
	fake_kernel_hold(NULL);
	/* It wants to be told everything anew then, and is right again. */
	CHECK(seen(&r.w, ENGINE_UP, 2));
	rig_replace(&r);
	CHECK(!there(&r, "iscsi/%s/tpgt_7/np/10.0.0.2:3260", r.b));
	rig_free(&r);
}

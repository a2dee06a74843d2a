/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ask.h"
#include "base/clock.h"
#include "base/log.h"
#include "fake.h"
#include "gen/schema.h"
#include "sm/sm.h"
#include "test.h"

#define NS      "root/microsoft/windows/storage/sm"
#define SERVICE "MSFT_SMStorageDiscovery.systemName=\"me\""

struct world {
	char dir[64];
	struct fake *fake;
	struct sm_config c;
	struct sm *sm;
	struct broker *b;
	const struct prov_module *modules[1];
};

static void open_world(struct world *w)
{
	static const struct cim_namespace *const spaces[] = {&smiscsi_ns_sm};
	struct err e = {0};

	w->sm = sm_new(&w->c, &e);
	CHECK_STR(e.text, "");
	w->modules[0] = sm_module(w->sm);
	struct broker_config bc = {.namespaces = spaces,
				   .n_namespaces = 1,
				   .modules = w->modules,
				   .n_modules = 1,
				   .host = "me"};

	w->b = broker_new(&bc, &e);
	CHECK_STR(e.text, "");
	CHECK_INT(sm_start(w->sm, &e), 0);
}

static void close_world(struct world *w)
{
	broker_free(w->b);
	sm_free(w->sm);
}

static struct world world(void)
{
	struct world w = {.dir = "/tmp/smiscsi-sm-XXXXXX", .fake = fake_new()};

	log_set_level(LOG_L_ERROR);
	CHECK(mkdtemp(w.dir) != NULL);
	w.c = (struct sm_config){.state = NULL,
				 .host = "me",
				 .version = "1",
				 .refresh_s = 3600,
				 .talk = &fake_ops,
				 .talk_user = w.fake};
	return w;
}

static void world_done(struct world *w)
{
	char cmd[128];

	close_world(w);
	fake_free(w->fake);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", w->dir);
	CHECK_INT(system(cmd), 0);
}

#define WORLD(w)                  \
	struct world w = world(); \
	(w).c.state = (w).dir

static unsigned count(struct world *w, const char *cls)
{
	AUTO(ask) k = ask_new(w->b, CIM_OP_ENUMERATE_INSTANCE_NAMES, NS);

	ask_path(k, cls);
	CHECK_INT(ask_go(k), CIM_OK);
	return ask_count(k);
}

/* The text of all instances of a class, in a buffer that the next call overwrites. */
static const char *all(struct world *w, const char *cls, const char *p1, const char *p2)
{
	static char text[1 << 16];
	AUTO(ask) k = ask_new(w->b, CIM_OP_ENUMERATE_INSTANCES, NS);

	ask_path(k, cls);
	ask_props(k, p1, p2, NULL);
	CHECK_INT(ask_go(k), CIM_OK);
	snprintf(text, sizeof(text), "%s", ask_text(k));
	return text;
}

struct result {
	enum cim_status status;
	uint32_t ret;
	char job[64];
	bool explained;
};

static struct result discover(struct world *w, const char *method, const char *host,
			      const char *const *more)
{
	struct result r = {0};
	AUTO(ask) k = ask_new(w->b, CIM_OP_INVOKE_METHOD, NS);

	ask_path(k, SERVICE);
	k->rq.method = method;
	if (host)
		ask_value(k, "host", host);
	for (; more && *more; more += 2)
		ask_value(k, more[0], more[1]);
	r.status = ask_go(k);
	if (r.status)
		return r;
	r.ret = k->ans->ret;
	for (unsigned i = 0; i < k->ans->method->n_params; i++) {
		const struct cim_value *v = &k->ans->out[i];

		if (cim_is_null(v))
			continue;
		if (v->type == CIM_REF)
			snprintf(r.job, sizeof(r.job), "%s", v->ref->keys[0].v.s);
		if (v->type == CIM_OBJECT)
			r.explained = true;
	}
	return r;
}

/* Wait until a job has ended; its JobState, and its error in text. */
static unsigned ended(struct world *w, const char *job, char *error, size_t n)
{
	char path[128];

	snprintf(path, sizeof(path), "MSFT_SMJob.ObjectId=\"%s\"", job);
	for (int i = 0; i < 5000; i++) {
		AUTO(ask) k = ask_new(w->b, CIM_OP_GET_INSTANCE, NS);
		struct broker_item item;

		ask_path(k, path);
		if (ask_go(k) != CIM_OK || !broker_next(k->op, &item))
			return 0;
		const struct cim_class *c = item.inst->cls;
		const struct cim_value *state = &item.inst->v[cim_prop_find(c, "JobState", 8)];
		const struct cim_value *text =
			&item.inst->v[cim_prop_find(c, "ErrorDescription", 16)];

		if (state->u >= 7) {
			if (error)
				snprintf(error, n, "%s", cim_is_null(text) ? "" : text->s);
			return (unsigned)state->u;
		}
		usleep(2000);
	}
	return 1;
}

static unsigned discovered(struct world *w, const char *host)
{
	struct result r = discover(w, "StartDiscovery", host, NULL);

	CHECK_INT(r.ret, 4096);
	return ended(w, r.job, NULL, 0);
}

TEST(a_discovery_runs_as_a_job_and_shows_what_the_provider_has)
{
	WORLD(w);
	open_world(&w);
	CHECK_INT(count(&w, "MSFT_SMiSCSIPortalEndpoint"), 0);
	CHECK_INT(discovered(&w, "http://array5"), 7);
	CHECK_INT(count(&w, "MSFT_SMiSCSIPortalEndpoint"), 5);
	CHECK_INT(count(&w, "MSFT_SMEndpointToiSCSIPortal"), 5);
	CHECK_INT(count(&w, "MSFT_SMSystem"), 1);
	CHECK_INT(count(&w, "MSFT_SMProvider"), 1);
	CHECK(strstr(all(&w, "MSFT_SMProvider", "URI", "InteropNamespace"), "http://array5:5988") !=
	      NULL);
	CHECK(strstr(all(&w, "MSFT_SMDiscovery", "Status", NULL), "current: last read") != NULL);
	world_done(&w);
}

TEST(what_is_current_is_not_read_again_unless_forced)
{
	static const char *const force[] = {"forceRediscovery", "true", NULL};
	WORLD(w);
	open_world(&w);
	CHECK_INT(discovered(&w, "http://array1"), 7);
	struct result r = discover(&w, "StartDiscovery", "HTTP://ARRAY1:5988/cimom", NULL);

	CHECK_INT(r.ret, 0);
	CHECK_STR(r.job, "");
	CHECK_INT(fake_opened(w.fake, "array1"), 1);
	r = discover(&w, "StartDiscovery", "http://array1", force);
	CHECK_INT(r.ret, 4096);
	CHECK_INT(ended(&w, r.job, NULL, 0), 7);
	CHECK_INT(fake_opened(w.fake, "array1"), 2);
	world_done(&w);
}

TEST(a_lower_level_shows_less_and_a_deeper_discovery_more)
{
	static const char *const top[] = {"discoveryLevel", "0", NULL};
	WORLD(w);
	open_world(&w);
	struct result r = discover(&w, "StartDiscovery", "http://array3", top);

	CHECK_INT(ended(&w, r.job, NULL, 0), 7);
	CHECK_INT(count(&w, "MSFT_SMSystem"), 1);
	CHECK_INT(count(&w, "MSFT_SMEndpoint"), 0);
	CHECK_INT(discovered(&w, "http://array3"), 7);
	CHECK_INT(count(&w, "MSFT_SMEndpoint"), 3);
	world_done(&w);
}

TEST(bad_requests_are_answered_with_1_and_the_reason)
{
	static const struct {
		const char *host;
		const char *more[5];
	} rows[] = {
		{NULL,			{NULL}			      },
		{"ftp://array1",              {NULL}                              },
		{"http://user:secret@array1", {NULL}                              },
		{"http://array1:99999",       {NULL}                              },
		{"http://",                   {NULL}                              },
		{"bad host",                  {NULL}                              },
		{"http://array1",             {"hostType", "smis-wmi", NULL}      },
		{"http://array1",             {"hostType", "host-resource", NULL} },
		{"http://array1",             {"hostType", "carrier pigeon", NULL}},
		{"http://array1",             {"discoveryLevel", "4", NULL}       },
		{"http://array1",             {"password", "p", NULL}             },
	};
	WORLD(w);
	open_world(&w);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct result r = discover(&w, "StartDiscovery", rows[i].host, rows[i].more);

		CHECK_INT(r.status, CIM_OK);
		CHECK_INT(r.ret, 1);
		CHECK(r.explained);
		CHECK_STR(r.job, "");
	}
	CHECK_INT(count(&w, "MSFT_SMProvider"), 0);
	world_done(&w);
}

TEST(a_discovery_that_fails_says_why_and_keeps_the_provider)
{
	char error[256];
	WORLD(w);
	open_world(&w);
	fake_set(w.fake, "array1", FAKE_DOWN);
	struct result r = discover(&w, "StartDiscovery", "http://array1", NULL);

	CHECK_INT(ended(&w, r.job, error, sizeof(error)), 10);
	CHECK_STR(error, "connection refused");
	CHECK_INT(count(&w, "MSFT_SMProvider"), 1);
	CHECK_INT(count(&w, "MSFT_SMSystem"), 0);
	fake_set(w.fake, "array2", FAKE_EMPTY);
	r = discover(&w, "StartDiscovery", "http://array2", NULL);
	CHECK_INT(ended(&w, r.job, error, sizeof(error)), 10);
	CHECK(strstr(error, "not an SMI-S provider") != NULL);
	world_done(&w);
}

TEST(a_provider_that_goes_away_keeps_its_objects_marked)
{
	static const char *const force[] = {"forceRediscovery", "true", NULL};
	WORLD(w);
	open_world(&w);
	CHECK_INT(discovered(&w, "http://array2"), 7);
	fake_set(w.fake, "array2", FAKE_DOWN);
	struct result r = discover(&w, "StartDiscovery", "http://array2", force);

	CHECK_INT(ended(&w, r.job, NULL, 0), 10);
	CHECK_INT(count(&w, "MSFT_SMiSCSIPortalEndpoint"), 2);
	CHECK(strstr(all(&w, "MSFT_SMSystem", "OperationalStatus", "StatusDescription"),
		     "no contact with the provider since") != NULL);
	CHECK(strstr(all(&w, "MSFT_SMiSCSIPortalEndpoint", "IPEndpointOpStatus", NULL), "13") !=
	      NULL);
	CHECK(strstr(all(&w, "MSFT_SMDiscovery", "Status", NULL), "stale: last read") != NULL);
	fake_set(w.fake, "array2", FAKE_FINE);
	r = discover(&w, "StartDiscovery", "http://array2", NULL);
	CHECK_INT(ended(&w, r.job, NULL, 0), 7);
	CHECK(strstr(all(&w, "MSFT_SMiSCSIPortalEndpoint", "IPEndpointOpStatus", NULL), "13") ==
	      NULL);
	world_done(&w);
}

TEST(a_class_that_fails_once_takes_nothing_away)
{
	static const char *const force[] = {"forceRediscovery", "true", NULL};
	char error[256];
	WORLD(w);
	open_world(&w);
	CHECK_INT(discovered(&w, "http://array2"), 7);
	fake_set(w.fake, "array2", FAKE_FAILING);
	struct result r = discover(&w, "StartDiscovery", "http://array2", force);

	CHECK_INT(ended(&w, r.job, error, sizeof(error)), 10);
	CHECK(strstr(error, "CIM_BindsTo") != NULL);
	CHECK_INT(count(&w, "MSFT_SMiSCSIPortalEndpoint"), 2);
	/* one that never worked shows the rest at once */
	fake_set(w.fake, "array3", FAKE_FAILING);
	r = discover(&w, "StartDiscovery", "http://array3", NULL);
	CHECK_INT(ended(&w, r.job, error, sizeof(error)), 10);
	CHECK_INT(count(&w, "MSFT_SMEndpoint"), 5);
	world_done(&w);
}

TEST(the_cache_is_there_after_a_restart_and_says_that_it_is_old)
{
	WORLD(w);
	open_world(&w);
	CHECK_INT(discovered(&w, "http://array4"), 7);
	char ids[1 << 16];

	snprintf(ids, sizeof(ids), "%s", all(&w, "MSFT_SMiSCSIPortalEndpoint", "ObjectId", NULL));
	fake_set(w.fake, "array4", FAKE_STUCK);
	/* the image is written after the job has ended */
	usleep(100000);
	close_world(&w);
	open_world(&w);
	CHECK_STR(all(&w, "MSFT_SMiSCSIPortalEndpoint", "ObjectId", NULL), ids);
	CHECK(strstr(all(&w, "MSFT_SMDiscovery", "Status", NULL), "stale: last read") != NULL);
	world_done(&w);
}

TEST(a_stuck_provider_costs_only_itself)
{
	WORLD(w);
	w.c.pass_timeout_s = 1;
	open_world(&w);
	fake_set(w.fake, "array9", FAKE_STUCK);
	struct result stuck = discover(&w, "StartDiscovery", "http://array9", NULL);
	uint64_t start = clock_mono_ns();

	CHECK_INT(discovered(&w, "http://array3"), 7);
	CHECK(clock_mono_ns() - start < 900000000);
	CHECK_INT(count(&w, "MSFT_SMiSCSIPortalEndpoint"), 3);
	char error[256];

	CHECK_INT(ended(&w, stuck.job, error, sizeof(error)), 10);
	CHECK_STR(error, "no answer in time");
	world_done(&w);
}

TEST(a_provider_without_end_is_cut_off)
{
	char error[256];
	WORLD(w);
	w.c.provider_bytes = 4 << 20;
	open_world(&w);
	fake_set(w.fake, "array9", FAKE_FLOOD);
	struct result r = discover(&w, "StartDiscovery", "http://array9", NULL);

	CHECK_INT(ended(&w, r.job, error, sizeof(error)), 10);
	CHECK(strstr(error, "more memory than") != NULL);
	world_done(&w);
}

TEST(jobs_are_kept_for_a_while_and_there_is_an_end_to_those_that_wait)
{
	static const char *const force[] = {"forceRediscovery", "true", NULL};
	static const char *const again[] = {"username", "u", "password", "p", NULL};
	struct result r = {0};
	char first[64] = "";
	unsigned n = 0;
	WORLD(w);
	open_world(&w);
	for (int i = 0; i < 260; i++) {
		r = discover(&w, "StartDiscovery", "http://array1", force);
		CHECK_INT(r.ret, 4096);
		if (!*first)
			snprintf(first, sizeof(first), "%s", r.job);
		CHECK_INT(ended(&w, r.job, NULL, 0), 7);
	}
	CHECK(count(&w, "MSFT_SMJob") <= 256);
	CHECK(count(&w, "MSFT_SMJob") >= 255);
	CHECK(!strstr(all(&w, "MSFT_SMJob", "ObjectId", NULL), first));
	CHECK(strstr(all(&w, "MSFT_SMJob", "ObjectId", NULL), r.job) != NULL);
	/* whoever comes with credentials wants a reading of his own; one that doesn't end */
	fake_set(w.fake, "array9", FAKE_STUCK);
	do
		r = discover(&w, "StartDiscovery", "http://array9", again);
	while (r.ret == 4096 && n++ < 3000);
	CHECK_INT(r.ret, 1);
	CHECK(r.explained);
	CHECK_INT(n, 2000);
	CHECK_INT(discover(&w, "PartialDiscovery", "http://array9", again).ret, 1);
	world_done(&w);
}

TEST(a_removed_provider_is_gone_at_once_even_while_it_is_stuck)
{
	WORLD(w);
	open_world(&w);
	CHECK_INT(discovered(&w, "http://array3"), 7);
	fake_set(w.fake, "array9", FAKE_STUCK);
	struct result stuck = discover(&w, "StartDiscovery", "http://array9", NULL);
	char path[256];

	CHECK_INT(count(&w, "MSFT_SMProvider"), 2);
	for (int i = 0; i < 2; i++) {
		AUTO(ask) names = ask_new(w.b, CIM_OP_ENUMERATE_INSTANCE_NAMES, NS);
		AUTO(ask) k = ask_new(w.b, CIM_OP_INVOKE_METHOD, NS);
		struct broker_item item;

		ask_path(names, "MSFT_SMProvider");
		CHECK_INT(ask_go(names), CIM_OK);
		CHECK(broker_next(names->op, &item));
		snprintf(path, sizeof(path), "MSFT_SMProvider.ObjectId=\"%s\"",
			 item.path->keys[0].v.s);
		ask_path(k, path);
		k->rq.method = "Remove";
		CHECK_INT(ask_go(k), CIM_OK);
		CHECK_INT(k->ans->ret, 0);
	}
	CHECK_INT(count(&w, "MSFT_SMProvider"), 0);
	CHECK_INT(count(&w, "MSFT_SMiSCSIPortalEndpoint"), 0);
	CHECK_INT(ended(&w, stuck.job, NULL, 0), 8);
	close_world(&w);
	open_world(&w);
	CHECK_INT(count(&w, "MSFT_SMProvider"), 0);
	world_done(&w);
}

TEST(partial_discovery_answers_2_while_one_is_running)
{
	static const char *const portals[] = {"partialDiscoveryType", "6", NULL};
	static const char *const fabric[] = {"partialDiscoveryType", "9", NULL};
	static const char *const unknown[] = {"targetObjectId", "nobody:SMSystem:1", NULL};
	WORLD(w);
	open_world(&w);
	struct result r = discover(&w, "PartialDiscovery", "http://array2", portals);

	CHECK_INT(r.ret, 4096);
	CHECK_INT(ended(&w, r.job, NULL, 0), 7);
	CHECK_INT(count(&w, "MSFT_SMiSCSIPortalEndpoint"), 2);
	CHECK_INT(discover(&w, "PartialDiscovery", "http://array2", fabric).ret, 1);
	CHECK_INT(discover(&w, "PartialDiscovery", NULL, unknown).ret, 1);
	fake_set(w.fake, "array2", FAKE_STUCK);
	r = discover(&w, "PartialDiscovery", "http://array2", portals);
	CHECK_INT(r.ret, 4096);
	CHECK_INT(discover(&w, "PartialDiscovery", "http://array2", portals).ret, 2);
	/* StartDiscovery has no such code: it comes after a part that is being read, and joins one
	 * that reads as much */
	static const char *const force[] = {"forceRediscovery", "true", NULL};
	struct result more = discover(&w, "StartDiscovery", "http://array2", force);
	struct result same = discover(&w, "StartDiscovery", "http://array2", force);

	CHECK_INT(more.ret, 4096);
	CHECK(strcmp(more.job, r.job) != 0);
	CHECK_INT(same.ret, 4096);
	CHECK_STR(same.job, more.job);
	world_done(&w);
}

TEST(credentials_are_used_kept_only_if_asked_and_never_shown)
{
	static const char *const login[] = {"username", "u", "password", "p", NULL};
	static const char *const wrong[] = {"username", "u", "password", "q", NULL};

	for (int keep = 0; keep < 2; keep++) {
		WORLD(w);
		char file[128];
		struct stat st;

		w.c.keep_credentials = keep;
		open_world(&w);
		fake_set(w.fake, "array2", FAKE_DENIED);
		struct result r = discover(&w, "StartDiscovery", "http://array2", NULL);

		CHECK_INT(ended(&w, r.job, NULL, 0), 10);
		r = discover(&w, "StartDiscovery", "http://array2", login);
		CHECK_INT(ended(&w, r.job, NULL, 0), 7);
		/* a wrong password later doesn't lock the layer out */
		r = discover(&w, "StartDiscovery", "http://array2", wrong);
		CHECK_INT(ended(&w, r.job, NULL, 0), 10);
		r = discover(&w, "StartDiscovery", "http://array2", NULL);
		CHECK_INT(ended(&w, r.job, NULL, 0), 7);
		snprintf(file, sizeof(file), "%s/sm/credentials", w.dir);
		CHECK_INT(stat(file, &st), keep ? 0 : -1);
		if (keep)
			CHECK_INT(st.st_mode & 0777, 0600);
		close_world(&w);
		open_world(&w);
		/* read again by itself at the start */
		bool fresh = false;

		for (int i = 0; i < 300 && !fresh; i++) {
			fresh = strstr(all(&w, "MSFT_SMDiscovery", "Status", NULL), "current") !=
				NULL;
			usleep(1000);
		}
		CHECK_INT(fresh, keep);
		if (keep) { /* not wanted any more: gone at once, and not used */
			close_world(&w);
			w.c.keep_credentials = false;
			open_world(&w);
			CHECK_INT(stat(file, &st), -1);
			r = discover(&w, "StartDiscovery", "http://array2", NULL);
			CHECK_INT(ended(&w, r.job, NULL, 0), 10);
		}
		world_done(&w);
	}
}

TEST(the_local_server_is_read_at_start_and_again_when_poked)
{
	static const char *const own[] = {"http://array6", "https://array6"};

	WORLD(w);
	w.c.local_socket = "/nowhere";
	w.c.local_uris = own;
	w.c.n_local_uris = 2;
	open_world(&w);
	CHECK(sm_wait_local(w.sm, 5000));
	CHECK_INT(count(&w, "MSFT_SMiSCSIPortalEndpoint"), 6);
	sm_poke_local(w.sm);
	uint64_t start = clock_mono_ns();

	while (fake_opened(w.fake, "array6") < 2 && clock_mono_ns() - start < 1000000000)
		usleep(1000);
	CHECK_INT(fake_opened(w.fake, "array6"), 2);
	/* by whichever of its names a client asks for it, it is there once */
	CHECK_INT(discover(&w, "StartDiscovery", "array6", NULL).ret, 0);
	CHECK_INT(count(&w, "MSFT_SMProvider"), 1);
	world_done(&w);
}

TEST(the_local_server_may_have_more_than_a_stranger)
{
	static const char *const own[] = {"http://array6"};
	char error[256];

	WORLD(w);
	w.c.local_socket = "/nowhere";
	w.c.local_uris = own;
	w.c.n_local_uris = 1;
	w.c.provider_bytes = 4096;
	open_world(&w);
	CHECK(sm_wait_local(w.sm, 5000));
	CHECK_INT(count(&w, "MSFT_SMiSCSIPortalEndpoint"), 6);
	struct result r = discover(&w, "StartDiscovery", "http://array3", NULL);

	CHECK_INT(ended(&w, r.job, error, sizeof(error)), 10);
	CHECK(strstr(error, "more memory than") != NULL);
	world_done(&w);
}

struct reader {
	struct world *w;
	atomic_bool stop;
	atomic_uint reads;
};

static void *read_on(void *arg)
{
	struct reader *r = arg;

	while (!atomic_load(&r->stop)) {
		AUTO(ask) k = ask_new(r->w->b, CIM_OP_ENUMERATE_INSTANCES, NS);

		ask_path(k, "MSFT_SMEndpointToiSCSIPortal");
		if (ask_go(k) == CIM_OK)
			(void)ask_count(k);
		r->reads++;
	}
	return NULL;
}

TEST(readers_go_on_while_providers_come_change_and_go)
{
	static const char *const force[] = {"forceRediscovery", "true", NULL};
	WORLD(w);
	open_world(&w);
	struct reader r = {.w = &w};
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, read_on, &r);
	for (int i = 0; i < 20; i++) {
		char host[32];

		snprintf(host, sizeof(host), "http://array%d", i % 5);
		fake_set(w.fake, host + 7, i % 3 ? FAKE_FINE : FAKE_DOWN);
		struct result res = discover(&w, "StartDiscovery", host, force);

		CHECK(ended(&w, res.job, NULL, 0) >= 7);
	}
	atomic_store(&r.stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	CHECK(r.reads > 0);
	world_done(&w);
}

TEST(twenty_providers_with_500_ports_each_are_read_in_parallel)
{
	WORLD(w);
	open_world(&w);
	struct result r[20];
	uint64_t start = clock_mono_ns();

	for (int i = 0; i < 20; i++) {
		char host[32];

		snprintf(host, sizeof(host), "http://%c500", 'a' + i);
		r[i] = discover(&w, "StartDiscovery", host, NULL);
	}
	for (int i = 0; i < 20; i++)
		CHECK_INT(ended(&w, r[i].job, NULL, 0), 7);
	printf("# 20 x 500 ports joined in %u ms\n",
	       (unsigned)((clock_mono_ns() - start) / 1000000));
	CHECK_INT(count(&w, "MSFT_SMiSCSIPortalEndpoint"), 10000);
	world_done(&w);
}

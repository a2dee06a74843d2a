/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sm.c - the manager: providers and their threads, the cache, jobs, publishing
 *
 * Locks: `mu` guards the registry (providers, jobs) and is never held while something waits for
 * a provider or a disk; `view_mu` guards the pointer to the published view for the moment it
 * takes to count a reference; `lists_mu` is held while the lists are written.  Order: lists_mu,
 * mu, view_mu.
 *
 * Threads: one per provider, for as long as it is registered; the keeper, which runs writes
 * (methods), publishes, keeps the lists on disk and lets old jobs go.
 *
 * Readers come first on the processors, too.  The providers' threads run with a lower priority,
 * and only so many of them at once decode or join (`turns`) that a processor stays free.  They
 * never take view_mu: a thread of lower priority that lost the processor just there would hold
 * readers up.  So they only say that there is something to show, and the keeper shows it.
 */
#include "sm/sm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "gen/sm.h"
#include "sm/files.h"
#include "sm/join.h"
#include "sm/pass.h"
#include "sm/turns.h"
#include "sm/view.h"

enum {
	REFRESH_S = 300,
	RETRY_S = 60, /* after a failure; sooner when refresh is shorter */
	LOCAL_RETRY_MS = 500,
	OP_TIMEOUT_S = 60,
	PASS_TIMEOUT_S = 300,
	PROVIDERS_MAX = 1000,
	OBJECTS_MAX = 500000,
	JOBS_MAX = 256,
	JOB_KEPT_S = 3600,
	INCOMPLETE_MAX = 3, /* incomplete passes in a row before one replaces a complete image */
	STACK_BYTES = 1 << 20,
	LEVEL_ALL = 3,
	NICE = 10, /* how much lower those are that read others: a ninth of a reader's share */
	PROGRESS_MS = 50, /* how long a job's new percentage may stay unseen */
};
#define PROVIDER_BYTES ((size_t)256 << 20)

/* What was odd about a provider's answers. */
struct notes {
	uint32_t n;
	char text[400];
};

struct provider {
	struct sm *sm;
	char id[24];
	struct sm_uri uri;
	bool local;
	pthread_t thread;
	bool has_thread;
	atomic_bool abandon; /* stop talking: removed, or the server ends */

	/* the rest under sm->mu */
	char *interop, *user, *password;
	char *new_user, *new_password; /* to be tried, and kept when they open the door */
	uint32_t level;                /* of whole passes */
	bool wanted;                   /* a whole pass is */
	bool asked;                    /* a client asked for a discovery: */
	uint32_t ask_level, ask_type;  /* of that level, or of that partialDiscoveryType */
	uint64_t job;                  /* the newest that waits for it; 0: none */
	bool busy, gone;               /* gone: removed */
	uint64_t due_ns;               /* next pass by itself */
	uint64_t last_ns;              /* how long the last pass took */
	struct sm_image *image;
	uint32_t image_level;
	int64_t seen_us, since_us; /* image read; failing since, 0: not tried yet */
	int64_t part_us;           /* a part of it was read again; 0: none was */
	const char *part;          /* which */
	bool failed, incomplete;
	unsigned incomplete_run;
	char error[512];
	struct notes notes;
	pthread_cond_t wake;
};

struct sm {
	struct sm_config c;
	struct sm_uri *local_uris;
	int dir;
	pthread_mutex_t mu, view_mu, lists_mu;
	struct provider **p; /* by id */
	uint32_t n, cap;
	struct sm_job **job; /* by number */
	uint32_t n_jobs;
	uint64_t next_job;
	struct sm_view *view;
	bool started, stopping, lists_dirty;
	uint64_t show_ns;    /* the keeper is to publish then; 0: nothing new */
	bool local_shown;    /* the published view has the local server, and it is current */
	struct turns *turns; /* at the processors, of providers' threads */
	struct prov_write *first, **last; /* waiting writes */
	pthread_cond_t keeper_wake, local_done;
	pthread_t keeper;
	struct provider **dead; /* removed; their threads are to be joined by the keeper */
	uint32_t n_dead;
	struct prov_module module;
	void *tables;
};

/* ---- publishing ---- */

static const char *level_words[] = {"top level", "mid level", "all except disk drives", "all"};

static void slot_words(struct provider *p, struct sm_slot *slot, struct arena *a)
{
	const char *seen = p->seen_us ? sm_time_text(a, p->seen_us) : NULL;
	const char *notes = p->notes.n ? arena_printf(a, "; %u oddities: %s", p->notes.n,
						      p->notes.text)
				       : "";
	const char *busy = p->busy || p->wanted || p->asked ? "discovering; " : "";
	const char *part = p->part_us ? arena_printf(a, " (%s %s)", p->part,
						     sm_time_text(a, p->part_us))
				      : "";
	char *s;

	if (!notes)
		notes = "";
	if (!part)
		part = "";
	if (!p->seen_us)
		s = arena_printf(a, "%snever read%s%s", busy, p->error[0] ? ": " : "", p->error);
	else if (slot->stale)
		s = arena_printf(a, "%sstale: last read %s%s; %s%s", busy, seen, part,
				 p->error[0] ? p->error : "not read since the server started",
				 notes);
	else
		s = arena_printf(a, "%s%s: last read %s%s, %s%s%s%s", busy,
				 p->incomplete ? "incomplete" : "current", seen, part,
				 level_words[p->image_level], p->incomplete ? "; " : "",
				 p->incomplete ? p->error : "", notes);
	slot->status = s ? s : "";
	if (!slot->stale)
		return;
	s = p->since_us ? arena_printf(a, "no contact with the provider since %s: %s; last seen %s",
				       sm_time_text(a, p->since_us), p->error, seen)
			: arena_printf(a, "not read since the server started; last seen %s", seen);
	slot->stale_text = s ? s : "no contact with the provider";
}

/* With mu held: make what is registered visible.  Returns the view that was, to be let go of
 * without mu: its last reader frees whole images. */
static struct sm_view *publish(struct sm *sm)
{
	struct sm_view *v = sm_view_new(sm->n, sm->n_jobs), *old;

	for (uint32_t i = 0; i < sm->n; i++) {
		struct provider *p = sm->p[i];
		struct sm_slot *s = &v->slot[i];

		*s = (struct sm_slot){.id = arena_strdup(v->a, p->id),
				      .uri = arena_strdup(v->a, p->uri.text),
				      .image = sm_image_ref(p->image),
				      .local = p->local,
				      .stale = p->seen_us && p->failed,
				      .busy = p->busy || p->wanted || p->asked,
				      .incomplete = p->incomplete,
				      .level = p->image_level,
				      .seen_us = p->seen_us};
		slot_words(p, s, v->a);
		if (p->local)
			sm->local_shown = p->seen_us && !s->stale;
	}
	sm->show_ns = 0;
	for (uint32_t i = 0; i < sm->n_jobs; i++)
		v->job[i] = sm_job_ref(sm->job[i]);
	v->next_job = sm->next_job;
	v->host = sm->c.host;
	v->version = sm->c.version;
	v->providers_max = sm->c.providers_max;
	v->local_uris = sm->local_uris;
	v->n_local_uris = sm->local_uris ? sm->c.n_local_uris : 0;
	pthread_mutex_lock(&sm->view_mu);
	old = sm->view;
	sm->view = v;
	pthread_mutex_unlock(&sm->view_mu);
	pthread_cond_broadcast(&sm->local_done);
	return old;
}

/* With mu held: have the keeper publish, in so many ms. */
static void show_in(struct sm *sm, unsigned ms)
{
	uint64_t at = clock_mono_ns() + ms * 1000000ULL;

	if (sm->show_ns && sm->show_ns <= at)
		return;
	sm->show_ns = at;
	pthread_cond_signal(&sm->keeper_wake);
}

static const void *view_get(void *user)
{
	struct sm *sm = user;

	pthread_mutex_lock(&sm->view_mu);
	const struct sm_view *v = sm_view_ref(sm->view);

	pthread_mutex_unlock(&sm->view_mu);
	return v;
}

static void view_put(void *user, const void *view)
{
	(void)user;
	sm_view_unref((struct sm_view *)(uintptr_t)view);
}

/* ---- jobs (with mu held) ---- */

static struct sm_job *job_copy(const struct sm_job *j)
{
	struct sm_job *n = xmalloc(sizeof(*n));

	memcpy(n, j, sizeof(*n));
	n->refs = 1;
	return n;
}

static void job_change(struct sm_job **at, enum sm_job_state state, unsigned percent,
		       const char *error, int code)
{
	int64_t now = clock_wall_us();
	struct sm_job *j = job_copy(*at);

	if (j->state != state)
		j->changed_us = now;
	j->state = state;
	j->percent = (uint16_t)percent;
	if (state == SM_JOB_RUNNING && !j->started_us)
		j->started_us = now;
	if (state >= SM_JOB_COMPLETED)
		j->ended_us = now;
	if (error) {
		snprintf(j->error, sizeof(j->error), "%s", error);
		j->code = (uint16_t)code;
	}
	sm_job_unref(*at);
	*at = j;
}

/* All that wait for a pass of that provider: the one with that number and those before it. */
static void job_set(struct sm *sm, const char *provider, uint64_t num, enum sm_job_state state,
		    unsigned percent, const char *error, int code)
{
	for (uint32_t i = 0; i < sm->n_jobs; i++) {
		const struct sm_job *j = sm->job[i];

		if (j->num <= num && !j->ended_us && streq(j->provider, provider))
			job_change(&sm->job[i], state, percent, error, code);
	}
}

static void job_new(struct sm *sm, const struct sm_changes *c, const char *provider)
{
	uint64_t num = c->job;
	struct sm_job *j = xcalloc(1, sizeof(*j));

	j->refs = 1;
	j->num = num;
	j->level = c->level;
	j->type = c->type;
	j->state = SM_JOB_NEW;
	j->submitted_us = j->changed_us = clock_wall_us();
	snprintf(j->id, sizeof(j->id), "job:%llu", (unsigned long long)num);
	snprintf(j->provider, sizeof(j->provider), "%s", provider);
	snprintf(j->what, sizeof(j->what), "%s", c->what);
	sm->job[sm->n_jobs++] = j;
	sm->next_job = num + 1;
}

/* Let go of jobs whose time is over, and of the oldest ones that ended when there are many.
 * How many were let go. */
static uint32_t jobs_expire(struct sm *sm)
{
	int64_t limit = clock_wall_us() - JOB_KEPT_S * 1000000LL;
	uint32_t kept = 0, over = sm->n_jobs >= JOBS_MAX ? sm->n_jobs - JOBS_MAX + 1 : 0, n = 0;

	for (uint32_t i = 0; i < sm->n_jobs; i++) {
		struct sm_job *j = sm->job[i];

		if (j->ended_us && (j->ended_us < limit || n < over)) {
			sm_job_unref(j);
			n++;
		} else {
			sm->job[kept++] = j;
		}
	}
	sm->n_jobs = kept;
	return n;
}

/* ---- providers ---- */

static void wipe(char **s)
{
	if (*s)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

static void provider_free(struct provider *p)
{
	if (!p)
		return;
	sm_image_unref(p->image);
	free(p->interop);
	wipe(&p->user);
	wipe(&p->password);
	wipe(&p->new_user);
	wipe(&p->new_password);
	pthread_cond_destroy(&p->wake);
	free(p);
}

/* The object of a provider that has said nothing yet. */
static struct sm_image *empty_image(const struct provider *p)
{
	AUTO(harvest) h = harvest_new(1 << 20, 1);
	struct join_source s = {
		.provider = p->id, .uri = p->uri.text, .host = p->uri.host, .interop = p->interop};

	scope_of_level(0, &s.scope);
	struct sm_image *img = NULL;

	if (join(h, &s, 1 << 20, &img, NULL) < 0)
		abort(); /* three small objects always fit */
	return img;
}

static void cond_init(pthread_cond_t *c)
{
	pthread_condattr_t a;

	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(c, &a);
	pthread_condattr_destroy(&a);
}

/* Until `ns` on the monotonic clock, or woken. */
static void wait_until(pthread_cond_t *c, pthread_mutex_t *mu, uint64_t ns)
{
	struct timespec t = {.tv_sec = (time_t)(ns / 1000000000),
			     .tv_nsec = (long)(ns % 1000000000)};

	pthread_cond_timedwait(c, mu, &t);
}

static struct provider *provider_find(struct sm *sm, const char *id)
{
	for (uint32_t i = 0; i < sm->n; i++)
		if (streq(sm->p[i]->id, id))
			return sm->p[i];
	return NULL;
}

static struct provider *provider_add(struct sm *sm, const char *id, const struct sm_uri *uri)
{
	struct provider *p = xcalloc(1, sizeof(*p));
	uint32_t at = sm->n;

	p->sm = sm;
	snprintf(p->id, sizeof(p->id), "%s", id);
	p->uri = *uri;
	cond_init(&p->wake);
	p->image = empty_image(p);
	if (sm->n == sm->cap) {
		sm->cap = sm->cap ? sm->cap * 2 : 8;
		sm->p = xrealloc(sm->p, sm->cap * sizeof(struct provider *));
	}
	while (at > 0 && strcmp(sm->p[at - 1]->id, id) > 0) {
		sm->p[at] = sm->p[at - 1];
		at--;
	}
	sm->p[at] = p;
	sm->n++;
	return p;
}

/* ---- the lists on disk ---- */

/* With mu held: the text of both lists. */
static void lists_make(struct sm *sm, struct buf *providers, struct buf *credentials)
{
	for (uint32_t i = 0; i < sm->n; i++) {
		struct provider *p = sm->p[i];
		char level[16];

		if (p->local)
			continue;
		snprintf(level, sizeof(level), "%u", p->level);
		files_row_add(providers, (const char *[]){p->uri.text, level, p->interop}, 3);
		if (p->user && sm->c.keep_credentials)
			files_row_add(credentials,
				      (const char *[]){p->uri.text, p->user, p->password}, 3);
	}
}

static void lists_write(struct sm *sm, struct buf *providers, struct buf *credentials)
{
	struct err e = {0};

	if (files_replace(sm->dir, "providers", 0600, providers->p ? providers->p : "",
			  providers->len, &e) < 0)
		log_warn(sm, "the list of providers isn't kept: %s", e.text);
	if (sm->c.keep_credentials) {
		if (files_replace(sm->dir, "credentials", 0600,
				  credentials->p ? credentials->p : "", credentials->len, &e) < 0)
			log_warn(sm, "credentials aren't kept: %s", e.text);
	} else {
		(void)unlinkat(sm->dir, "credentials", 0);
	}
	if (credentials->p)
		explicit_bzero(credentials->p, credentials->len);
}

/* Write the lists if they have changed.  Without mu. */
static void lists_flush(struct sm *sm)
{
	auto_buf struct buf providers = buf_of(FILES_LIST_BYTES_MAX);
	auto_buf struct buf credentials = buf_of(FILES_LIST_BYTES_MAX);

	pthread_mutex_lock(&sm->lists_mu); /* one writer, and the newest text last */
	pthread_mutex_lock(&sm->mu);
	bool dirty = sm->lists_dirty;

	sm->lists_dirty = false;
	if (dirty)
		lists_make(sm, &providers, &credentials);
	pthread_mutex_unlock(&sm->mu);
	if (dirty)
		lists_write(sm, &providers, &credentials);
	pthread_mutex_unlock(&sm->lists_mu);
}

/* ---- one pass ---- */

struct running {
	struct provider *p;
	uint64_t job;
	unsigned percent;
};

static void progress(void *ctx, unsigned done, unsigned total)
{
	struct running *r = ctx;
	struct sm *sm = r->p->sm;
	unsigned percent = total ? done * 95 / total : 0; /* the rest is the join */

	if (!r->job || percent < r->percent + 5)
		return;
	r->percent = percent;
	pthread_mutex_lock(&sm->mu);
	job_set(sm, r->p->id, r->job, SM_JOB_RUNNING, percent, NULL, 0);
	show_in(sm, PROGRESS_MS);
	pthread_mutex_unlock(&sm->mu);
}

/* One pass of one provider, from the copy of what it needs to the outcome. */
struct reading {
	struct running run;
	char *interop, *user, *password;
	bool trying; /* with new credentials */
	uint32_t level;
	struct sm_scope scope;
	struct sm_image *old; /* of which a part is read again; NULL: all is */
	const char *part;
	uint64_t start_ns;
	/* what came out */
	int r;
	struct err e;
	struct sm_image *img;
	struct pass_result res;
	struct notes notes;
};

static char *dup_or_null(const char *s)
{
	return s ? xstrdup(s) : NULL;
}

/* What is this pass to read?  With mu held. */
static void choose_scope(struct reading *rd, const struct provider *p)
{
	bool current = p->seen_us && !p->failed && !p->incomplete;
	bool part = p->asked && !p->wanted && current && clock_mono_ns() < p->due_ns;

	if (part && p->ask_type && scope_type_level(p->ask_type) <= p->image_level) {
		(void)scope_of_type(p->ask_type, &rd->scope);
		rd->part = scope_type_name(p->ask_type);
	} else if (part && !p->ask_type && p->ask_level < p->image_level) {
		scope_of_level(p->ask_level, &rd->scope);
		rd->part = level_words[p->ask_level];
	} else { /* there is nothing that a part could be put into */
		rd->level = p->level;
		scope_of_level(p->level, &rd->scope);
		return;
	}
	rd->level = p->image_level;
	rd->old = sm_image_ref(p->image);
}

/* With mu held. */
static void reading_begin(struct reading *rd, struct provider *p)
{
	struct sm *sm = p->sm;

	*rd = (struct reading){
		.run = {.p = p, .job = p->job},
		.interop = dup_or_null(p->interop),
		.trying = p->new_user != NULL,
		.start_ns = clock_mono_ns()
        };
	choose_scope(rd, p);
	rd->user = rd->trying ? take(p->new_user) : dup_or_null(p->user);
	rd->password = rd->trying ? take(p->new_password) : dup_or_null(p->password);
	/* what a client asked for is part of every whole pass */
	p->asked = false;
	if (!rd->old)
		p->wanted = false;
	p->job = 0;
	p->busy = true;
	if (p->local && !rd->run.job)
		return; /* read so often that nobody wants to know */
	job_set(sm, p->id, rd->run.job, SM_JOB_RUNNING, 0, NULL, 0);
	show_in(sm, 0);
}

/* What one provider may cost.  Our own server is no stranger: what it has must be read. */
struct provider_bounds {
	size_t bytes;
	uint32_t objects;
};

static struct provider_bounds bounds_of(const struct provider *p)
{
	if (p->local)
		return (struct provider_bounds){SIZE_MAX / 16, UINT32_MAX};
	return (struct provider_bounds){p->sm->c.provider_bytes, OBJECTS_MAX};
}

/* Without locks: talk, join. */
static void reading_run(struct reading *rd, struct provider *p)
{
	struct sm *sm = p->sm;
	const struct provider_bounds most = bounds_of(p);
	struct talk_to to = {
		.uri = p->uri,
		.socket = p->local ? sm->c.local_socket : NULL,
		.user = rd->user,
		.password = rd->password,
		.ca_file = sm->c.ca_file,
		.cert_file = sm->c.cert_file,
		.key_file = sm->c.key_file,
		.op_timeout_s = sm->c.op_timeout_s,
		.deadline_ns = rd->start_ns + sm->c.pass_timeout_s * 1000000000ULL,
		.answer_bytes = most.bytes * 4,
		.abandon = &p->abandon,
		.turns = p->local ? NULL : sm->turns,
	};
	AUTO(harvest) h = harvest_new(most.bytes, most.objects);
	const char *text;
	void *conn;

	rd->r = sm->c.talk->open(sm->c.talk_user, &to, &conn, &rd->e);
	if (rd->r < 0)
		return;
	rd->r = pass_run(sm->c.talk, conn, rd->interop, &rd->scope, p->local, h, progress, &rd->run,
			 &rd->res, &rd->e);

	char by_address[SM_URI_MAX];
	bool known = sm_uri_by_address(&p->uri, sm->c.talk->peer(conn), by_address);

	sm->c.talk->close(conn);
	if (rd->r < 0)
		return;
	struct join_source s = {.provider = p->id,
				.uri = p->uri.text,
				.uri_ip = known ? by_address : NULL,
				.host = p->uri.host,
				.interop = rd->res.interop,
				.level = rd->level,
				.scope = rd->scope};

	if (to.turns)
		turns_take(to.turns);
	rd->r = join(h, &s, most.bytes, &rd->img, &rd->e);
	if (rd->r == 0 && rd->old) {
		AUTO(sm_image) part = take(rd->img);

		rd->r = sm_image_merge(rd->old, part, rd->scope.kinds, rd->scope.assocs, most.bytes,
				       &rd->img, &rd->e);
	}
	if (to.turns)
		turns_give(to.turns);
	rd->notes.n = harvest_notes(h, &text);
	snprintf(rd->notes.text, sizeof(rd->notes.text), "%s", text);
}

/* With mu held, of which it lets go in between. */
static void keep_credentials(struct reading *rd, struct provider *p)
{
	/* a wrong password in a later discovery doesn't lock the layer out */
	if (rd->trying && (rd->r >= 0 || !p->user)) {
		wipe(&p->user);
		wipe(&p->password);
		p->user = take(rd->user);
		p->password = take(rd->password);
		p->sm->lists_dirty = true;
		pthread_mutex_unlock(&p->sm->mu);
		lists_flush(p->sm); /* when the job has ended, they are kept */
		pthread_mutex_lock(&p->sm->mu);
	}
	wipe(&rd->user);
	wipe(&rd->password);
}

static void take_failure(struct reading *rd, struct provider *p, const char *text)
{
	if (!p->failed || !p->since_us) {
		p->since_us = clock_wall_us();
		log_warn(sm, "provider %s can't be read: %s", p->uri.text, text);
	}
	p->failed = true;
	snprintf(p->error, sizeof(p->error), "%s", text);
	job_set(p->sm, p->id, rd->run.job, SM_JOB_EXCEPTION, 100, text, CIM_ERR_FAILED);
}

static void put_image(struct reading *rd, struct provider *p)
{
	struct sm_image *old = p->image; /* let go of without mu */

	p->image = rd->img;
	rd->img = old;
}

/* A part of the provider was read again. */
static void take_part(struct reading *rd, struct provider *p)
{
	put_image(rd, p);
	p->part_us = clock_wall_us();
	p->part = rd->part;
	job_set(p->sm, p->id, rd->run.job, SM_JOB_COMPLETED, 100, NULL, 0);
}

static void take_image(struct reading *rd, struct provider *p)
{
	if (p->failed || !p->seen_us)
		log_info(sm, "provider %s read: %u objects in %u ms", p->uri.text, rd->res.objects,
			 (unsigned)(p->last_ns / 1000000));
	put_image(rd, p);
	p->part_us = 0;
	p->image_level = rd->level;
	p->seen_us = clock_wall_us();
	p->since_us = 0;
	p->failed = false;
	p->incomplete = rd->res.failed;
	p->notes = rd->notes;
	snprintf(p->error, sizeof(p->error), "%s", rd->res.why.text);
	if (!p->interop) {
		p->interop = xstrdup(rd->res.interop);
		p->sm->lists_dirty = p->sm->lists_dirty || !p->local;
		pthread_cond_signal(&p->sm->keeper_wake);
	}
	/* an incomplete pass shows its objects, and the job says what is missing */
	if (p->incomplete)
		job_set(p->sm, p->id, rd->run.job, SM_JOB_EXCEPTION, 100, p->error, CIM_ERR_FAILED);
	else
		job_set(p->sm, p->id, rd->run.job, SM_JOB_COMPLETED, 100, NULL, 0);
}

/* With mu held, of which it lets go in between. */
static void write_image(struct provider *p)
{
	struct sm *sm = p->sm;
	struct files_image facts = {.seen_us = p->seen_us, .level = p->image_level};
	struct sm_image *img = sm_image_ref(p->image);
	struct err e = {0};

	snprintf(facts.interop, sizeof(facts.interop), "%s", p->interop);
	pthread_mutex_unlock(&sm->mu);
	if (files_image_write(sm->dir, p->id, img, &facts, &e) < 0)
		log_warn(sm, "provider %s isn't kept: %s", p->uri.text, e.text);
	sm_image_unref(img);
	pthread_mutex_lock(&sm->mu);
	if (p->gone)
		files_image_remove(sm->dir, p->id);
}

static void set_due(struct provider *p)
{
	uint64_t wait = p->sm->c.refresh_s * 1000000000ULL;

	if (p->failed && p->local)
		wait = LOCAL_RETRY_MS * 1000000ULL;
	else if (p->failed && wait > RETRY_S * 1000000000ULL)
		wait = RETRY_S * 1000000000ULL;
	/* up to a tenth sooner, so that a fleet isn't read all at once for ever */
	p->due_ns = clock_mono_ns() + wait - wait / 1000 * (str_hash(p->id, strlen(p->id)) % 100);
}

/* With mu held, before and after; lets go of it in between. */
static void provider_pass(struct provider *p)
{
	struct sm *sm = p->sm;
	struct reading rd;

	reading_begin(&rd, p);
	pthread_mutex_unlock(&sm->mu);
	reading_run(&rd, p);
	pthread_mutex_lock(&sm->mu);
	keep_credentials(&rd, p);
	p->busy = false;
	p->last_ns = clock_mono_ns() - rd.start_ns;
	bool incomplete = rd.r >= 0 && rd.res.failed, fresh = false;

	if (!rd.old)
		p->incomplete_run = incomplete ? p->incomplete_run + 1 : 0;
	if (p->gone || atomic_load(&p->abandon)) {
		job_set(sm, p->id, rd.run.job, SM_JOB_TERMINATED, 100, "the provider was removed",
			0);
	} else if (rd.r < 0) {
		take_failure(&rd, p, rd.e.text);
	} else if (rd.old && incomplete) { /* what was there is no worse for it */
		job_set(sm, p->id, rd.run.job, SM_JOB_EXCEPTION, 100, rd.res.why.text,
			CIM_ERR_FAILED);
	} else if (rd.old) {
		take_part(&rd, p);
		fresh = true;
	} else if (incomplete && p->seen_us && !p->incomplete &&
		   p->incomplete_run < INCOMPLETE_MAX) {
		/* what was read completely isn't given up for a pass in which a class failed */
		take_failure(&rd, p, rd.res.why.text);
	} else {
		take_image(&rd, p);
		fresh = true;
	}
	if (!rd.old || p->failed)
		set_due(p); /* else the next whole pass comes when it would have come */
	show_in(sm, 0);
	if (!p->local && fresh)
		write_image(p);
	pthread_mutex_unlock(&sm->mu);
	free(rd.interop);
	sm_image_unref(rd.img);
	sm_image_unref(rd.old);
	pthread_mutex_lock(&sm->mu);
}

/* This thread gives way to those that answer clients.  A share is left to it whatever they do,
 * so it can't starve; the local server's keeps its own, for it has to be quick. */
static void step_back(const struct provider *p)
{
	static const struct sched_param none = {0};

	/* don't take the processor from somebody when an answer comes in */
	(void)sched_setscheduler(0, SCHED_BATCH, &none);
	/* Linux: of the thread; more than the lowest is the lowest */
	if (!p->local)
		(void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICE);
}

static void *provider_main(void *arg)
{
	struct provider *p = arg;
	struct sm *sm = p->sm;

	step_back(p);
	pthread_mutex_lock(&sm->mu);
	while (!sm->stopping && !p->gone) {
		uint64_t now = clock_mono_ns();

		if (!p->wanted && !p->asked && now < p->due_ns) {
			wait_until(&p->wake, &sm->mu, p->due_ns);
			continue;
		}
		provider_pass(p);
		if (!p->local)
			continue;
		/* changes come in bursts: the next reading takes them all, and a large model
		 * isn't read all the time */
		uint64_t rest = p->last_ns * 4 > 500000000 ? 500000000 : p->last_ns * 4;

		if (rest < 20000000)
			rest = 20000000;
		uint64_t until = clock_mono_ns() + rest;

		while (!sm->stopping && clock_mono_ns() < until)
			wait_until(&p->wake, &sm->mu, until);
	}
	pthread_mutex_unlock(&sm->mu);
	return NULL;
}

static void provider_start(struct provider *p)
{
	pthread_attr_t a;

	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, STACK_BYTES);
	if (pthread_create(&p->thread, &a, provider_main, p) == 0)
		p->has_thread = true;
	else
		snprintf(p->error, sizeof(p->error), "no thread could be started for it");
	pthread_attr_destroy(&a);
}

/* ---- what was known before ---- */

static int lists_load(struct sm *sm, struct err *e)
{
	struct files_row *rows;
	size_t n;
	int r = files_rows_read(sm->dir, "providers", &rows, &n, e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n && sm->n < sm->c.providers_max; i++) {
		struct files_image facts;
		struct sm_uri uri;
		struct err bad = {0};
		uint64_t level;

		if (sm_uri_parse(rows[i].f[0], &uri, &bad) < 0 || provider_find(sm, uri.id))
			continue;
		struct provider *p = provider_add(sm, uri.id, &uri);
		struct sm_image *img = NULL;

		p->level = str_u64(rows[i].f[1], strlen(rows[i].f[1]), LEVEL_ALL, &level)
				   ? (uint32_t)level
				   : LEVEL_ALL;
		if (*rows[i].f[2])
			p->interop = xstrdup(rows[i].f[2]);
		r = files_image_read(sm->dir, p->id, sm->c.provider_bytes, &img, &facts, &bad);
		if (r < 0) {
			if (r != -ENOENT)
				log_warn(sm, "provider %s: %s", p->uri.text, bad.text);
			continue;
		}
		sm_image_unref(p->image);
		p->image = img;
		p->image_level = facts.level;
		p->seen_us = facts.seen_us;
		p->failed = true; /* until it has been read again */
	}
	files_rows_free(rows, n);
	if (!sm->c.keep_credentials) { /* they may have been wanted before */
		(void)unlinkat(sm->dir, "credentials", 0);
		return 0;
	}
	r = files_rows_read(sm->dir, "credentials", &rows, &n, e);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		struct sm_uri uri;
		struct provider *p = sm_uri_parse(rows[i].f[0], &uri, NULL) == 0
					     ? provider_find(sm, uri.id)
					     : NULL;

		if (!p)
			continue;
		wipe(&p->user);
		wipe(&p->password);
		p->user = xstrdup(rows[i].f[1]);
		p->password = xstrdup(rows[i].f[2]);
	}
	files_rows_free(rows, n);
	return 0;
}

/* ---- writes ---- */

static void *changes_new(void *user)
{
	(void)user;
	return sm_changes_new();
}

static void changes_free(void *user, void *changes)
{
	(void)user;
	sm_changes_free(changes);
}

static bool changes_any(const void *changes)
{
	return ((const struct sm_changes *)changes)->ask != SM_ASK_NOTHING;
}

static void submit(void *user, struct prov_write *w)
{
	struct sm *sm = user;
	bool stopping;

	w->next_ = NULL;
	pthread_mutex_lock(&sm->mu);
	stopping = sm->stopping || !sm->started;
	if (!stopping) {
		*sm->last = w;
		sm->last = &w->next_;
		pthread_cond_signal(&sm->keeper_wake);
	}
	pthread_mutex_unlock(&sm->mu);
	if (stopping) {
		struct err e;

		err_set(&e, -ESHUTDOWN, "the server is shutting down");
		w->done(w, PROV_FAILED, &e);
	}
}

/* With mu held. */
static void discover(struct sm *sm, struct sm_changes *c)
{
	struct provider *p = provider_find(sm, c->id);
	struct sm_uri uri;

	if (!p) {
		if (sm_uri_parse(c->uri, &uri, NULL) < 0)
			return;
		p = provider_add(sm, c->id, &uri);
		p->level = c->level;
		sm->lists_dirty = true;
	}
	/* what was read deeper stays: no pass shows less than the one before */
	if (c->level > p->level) {
		p->level = c->level;
		sm->lists_dirty = true;
	}
	if (c->interop && !(p->interop && streq(p->interop, c->interop))) {
		sm->lists_dirty = true;
		p->wanted = p->wanted || (p->interop && !str_caseeq(p->interop, c->interop));
		free(p->interop);
		p->interop = take(c->interop);
	}
	if (c->user) {
		wipe(&p->new_user);
		wipe(&p->new_password);
		p->new_user = take(c->user);
		p->new_password = take(c->password);
	}
	(void)jobs_expire(sm);
	sm->job = xrealloc(sm->job, ((size_t)sm->n_jobs + 1) * sizeof(struct sm_job *));
	job_new(sm, c, p->id);
	/* two that ask before the first has been begun: one whole pass for both */
	p->wanted = p->wanted || p->asked;
	p->asked = true;
	p->ask_level = c->level;
	p->ask_type = c->type;
	p->job = c->job;
	if (!p->has_thread)
		provider_start(p);
	pthread_cond_signal(&p->wake);
}

/* With mu held.  The thread ends by itself; the keeper joins it. */
static void forget(struct sm *sm, const char *id)
{
	for (uint32_t i = 0; i < sm->n; i++) {
		struct provider *p = sm->p[i];

		if (!streq(p->id, id))
			continue;
		memmove(&sm->p[i], &sm->p[i + 1], (sm->n - i - 1) * sizeof(struct provider *));
		sm->n--;
		p->gone = true;
		atomic_store(&p->abandon, true);
		pthread_cond_signal(&p->wake);
		job_set(sm, p->id, p->job, SM_JOB_TERMINATED, 100, "the provider was removed", 0);
		sm->dead = xrealloc(sm->dead, ((size_t)sm->n_dead + 1) * sizeof(struct provider *));
		sm->dead[sm->n_dead++] = p;
		files_image_remove(sm->dir, id);
		log_info(sm, "provider %s removed", p->uri.text);
		sm->lists_dirty = true;
		return;
	}
}

static void run_write(struct sm *sm, struct prov_write *w)
{
	struct sm_changes *c = sm_changes_new();
	const void *v = view_get(sm);
	bool ok = w->run(w, v, c);
	struct sm_view *old = NULL;

	view_put(sm, v);
	if (ok) {
		pthread_mutex_lock(&sm->mu);
		if (c->ask == SM_ASK_DISCOVER)
			discover(sm, c);
		else if (c->ask == SM_ASK_REMOVE)
			forget(sm, c->id);
		old = publish(sm);
		pthread_mutex_unlock(&sm->mu);
		sm_view_unref(old);
		lists_flush(sm);
	}
	sm_changes_free(c);
	w->done(w, ok ? PROV_OK : PROV_REFUSED, NULL);
}

static void join_dead(struct sm *sm)
{
	pthread_mutex_lock(&sm->mu);
	struct provider **dead = take(sm->dead);
	uint32_t n = sm->n_dead, kept = 0;

	sm->n_dead = 0;
	/* a thread that is still talking is asked again next time */
	for (uint32_t i = 0; i < n; i++) {
		struct provider *p = dead[i];

		if (p->busy && !sm->stopping) {
			dead[kept++] = p;
			continue;
		}
		pthread_mutex_unlock(&sm->mu);
		if (p->has_thread)
			pthread_join(p->thread, NULL);
		provider_free(p);
		pthread_mutex_lock(&sm->mu);
	}
	for (uint32_t i = 0; i < kept; i++) {
		sm->dead = xrealloc(sm->dead, ((size_t)sm->n_dead + 1) * sizeof(struct provider *));
		sm->dead[sm->n_dead++] = dead[i];
	}
	pthread_mutex_unlock(&sm->mu);
	free(dead);
}

static void *keeper_main(void *arg)
{
	struct sm *sm = arg;

	pthread_mutex_lock(&sm->mu);
	while (!sm->stopping) {
		struct prov_write *w = sm->first;

		if (w) {
			sm->first = w->next_;
			if (!sm->first)
				sm->last = &sm->first;
			pthread_mutex_unlock(&sm->mu);
			run_write(sm, w);
			pthread_mutex_lock(&sm->mu);
			continue;
		}
		if (sm->lists_dirty) {
			pthread_mutex_unlock(&sm->mu);
			lists_flush(sm);
			pthread_mutex_lock(&sm->mu);
			continue;
		}
		if (jobs_expire(sm) || (sm->show_ns && sm->show_ns <= clock_mono_ns())) {
			struct sm_view *old = publish(sm);

			pthread_mutex_unlock(&sm->mu);
			sm_view_unref(old);
			pthread_mutex_lock(&sm->mu);
			continue;
		}
		if (sm->n_dead) {
			pthread_mutex_unlock(&sm->mu);
			join_dead(sm);
			pthread_mutex_lock(&sm->mu);
		}
		uint64_t until = clock_mono_ns() + 1000000000;

		if (sm->show_ns && sm->show_ns < until)
			until = sm->show_ns;
		if (!sm->first)
			wait_until(&sm->keeper_wake, &sm->mu, until);
	}
	pthread_mutex_unlock(&sm->mu);
	return NULL;
}

/* ---- life ---- */

/* How many providers' threads may compute at once: all processors but one. */
static unsigned processors_for_providers(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n > 2 ? (unsigned)n - 1 : 1;
}

static int open_dir(const char *state, struct err *e)
{
	auto_fd int at = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (at < 0)
		return err_sys(e, "open %s", state);
	if (mkdirat(at, "sm", 0700) < 0 && errno != EEXIST)
		return err_sys(e, "create %s/sm", state);
	int fd = openat(at, "sm", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

	return fd < 0 ? err_sys(e, "open %s/sm", state) : fd;
}

struct sm *sm_new(const struct sm_config *c, struct err *e)
{
	int dir = open_dir(c->state, e);

	if (dir < 0)
		return NULL;
	struct sm *sm = xcalloc(1, sizeof(*sm));

	sm->c = *c;
	sm->dir = dir;
	if (!sm->c.refresh_s)
		sm->c.refresh_s = REFRESH_S;
	if (!sm->c.op_timeout_s)
		sm->c.op_timeout_s = OP_TIMEOUT_S;
	if (!sm->c.pass_timeout_s)
		sm->c.pass_timeout_s = PASS_TIMEOUT_S;
	if (!sm->c.provider_bytes)
		sm->c.provider_bytes = PROVIDER_BYTES;
	if (!sm->c.providers_max)
		sm->c.providers_max = PROVIDERS_MAX;
	if (!sm->c.talk)
		sm->c.talk = &talk_cimxml;
	pthread_mutex_init(&sm->mu, NULL);
	pthread_mutex_init(&sm->view_mu, NULL);
	pthread_mutex_init(&sm->lists_mu, NULL);
	sm->turns = turns_new(processors_for_providers());
	cond_init(&sm->keeper_wake);
	cond_init(&sm->local_done);
	sm->last = &sm->first;
	/* job numbers go on over restarts: a client may still ask for an old one */
	sm->next_job = (uint64_t)clock_wall_us() / 1000;
	sm->module = (struct prov_module){.name = "sm",
					  .user = sm,
					  .view_get = view_get,
					  .view_put = view_put,
					  .changes_new = changes_new,
					  .changes_free = changes_free,
					  .changes_any = changes_any,
					  .submit = submit};
	sm->tables = sm_tables_new(&sm->module);
	struct err bad = {0};

	/* a list that can't be read costs the fleet's memory, not the server */
	if (lists_load(sm, &bad) < 0)
		log_error(sm, "%s; providers have to be discovered again", bad.text);
	if (c->local_socket) {
		sm->local_uris = xcalloc(c->n_local_uris, sizeof(*sm->local_uris));
		for (size_t i = 0; i < c->n_local_uris; i++)
			if (sm_uri_parse(c->local_uris[i], &sm->local_uris[i], e) < 0) {
				sm_free(sm);
				return NULL;
			}
		struct provider *p = provider_add(sm, "local", &sm->local_uris[0]);

		p->local = true;
		p->level = LEVEL_ALL;
	}
	sm_view_unref(publish(sm));
	return sm;
}

int sm_start(struct sm *sm, struct err *e)
{
	int r = pthread_create(&sm->keeper, NULL, keeper_main, sm);

	if (r)
		return err_set(e, -r, "no thread for the Storage Management layer");
	pthread_mutex_lock(&sm->mu);
	sm->started = true;
	for (uint32_t i = 0; i < sm->n; i++)
		provider_start(sm->p[i]);
	pthread_mutex_unlock(&sm->mu);
	return 0;
}

bool sm_wait_local(struct sm *sm, uint32_t timeout_ms)
{
	uint64_t until = clock_mono_ns() + timeout_ms * 1000000ULL;
	bool read = false;

	pthread_mutex_lock(&sm->mu);
	struct provider *p = provider_find(sm, "local");

	while (p && !(read = sm->local_shown) && clock_mono_ns() < until)
		wait_until(&sm->local_done, &sm->mu, until);
	pthread_mutex_unlock(&sm->mu);
	return read;
}

void sm_poke_local(struct sm *sm)
{
	pthread_mutex_lock(&sm->mu);
	struct provider *p = provider_find(sm, "local");

	if (p && !p->wanted) { /* else it has been told: changes come in bursts */
		p->wanted = true;
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&sm->mu);
}

const struct prov_module *sm_module(struct sm *sm)
{
	return &sm->module;
}

void sm_stop(struct sm *sm)
{
	if (!sm)
		return;
	pthread_mutex_lock(&sm->mu);
	bool running = sm->started && !sm->stopping;

	sm->stopping = true;
	for (uint32_t i = 0; i < sm->n; i++) {
		atomic_store(&sm->p[i]->abandon, true);
		pthread_cond_signal(&sm->p[i]->wake);
	}
	pthread_cond_signal(&sm->keeper_wake);
	pthread_mutex_unlock(&sm->mu);
	if (!running)
		return;
	pthread_join(sm->keeper, NULL);
	for (struct prov_write *w = sm->first, *next; w; w = next) {
		struct err e;

		next = w->next_;
		err_set(&e, -ESHUTDOWN, "the server is shutting down");
		w->done(w, PROV_FAILED, &e);
	}
	for (uint32_t i = 0; i < sm->n; i++)
		if (sm->p[i]->has_thread)
			pthread_join(sm->p[i]->thread, NULL);
	join_dead(sm);
	lists_flush(sm);
}

void sm_free(struct sm *sm)
{
	if (!sm)
		return;
	sm_stop(sm);
	for (uint32_t i = 0; i < sm->n; i++)
		provider_free(sm->p[i]);
	sm_view_unref(sm->view);
	for (uint32_t i = 0; i < sm->n_jobs; i++)
		sm_job_unref(sm->job[i]);
	free(sm->job);
	free(sm->p);
	free(sm->dead);
	free(sm->local_uris);
	sm_tables_free(sm->tables);
	pthread_cond_destroy(&sm->keeper_wake);
	pthread_cond_destroy(&sm->local_done);
	turns_free(sm->turns);
	pthread_mutex_destroy(&sm->mu);
	pthread_mutex_destroy(&sm->view_mu);
	pthread_mutex_destroy(&sm->lists_mu);
	close(sm->dir);
	free(sm);
}

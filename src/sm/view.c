/* SPDX-License-Identifier: Apache-2.0 */
#include "sm/view.h"

#include <stdatomic.h>
#include <time.h>

enum { VIEW_BYTES_MAX = 64 << 20 };

struct sm_job *sm_job_ref(struct sm_job *j)
{
	atomic_fetch_add_explicit(&j->refs, 1, memory_order_relaxed);
	return j;
}

void sm_job_unref(struct sm_job *j)
{
	if (j && atomic_fetch_sub_explicit(&j->refs, 1, memory_order_acq_rel) == 1)
		free(j);
}

struct sm_view *sm_view_new(uint32_t n_slots, uint32_t n_jobs)
{
	struct sm_view *v = xcalloc(1, sizeof(*v));

	v->refs = 1;
	v->a = arena_new(VIEW_BYTES_MAX);
	v->slot = xcalloc((size_t)n_slots + 1, sizeof(*v->slot));
	v->job = xcalloc((size_t)n_jobs + 1, sizeof(*v->job));
	v->n_slots = n_slots;
	v->n_jobs = n_jobs;
	return v;
}

struct sm_view *sm_view_ref(struct sm_view *v)
{
	atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
	return v;
}

void sm_view_unref(struct sm_view *v)
{
	if (!v || atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (uint32_t i = 0; i < v->n_slots; i++)
		sm_image_unref(v->slot[i].image);
	for (uint32_t i = 0; i < v->n_jobs; i++)
		sm_job_unref(v->job[i]);
	free(v->slot);
	free(v->job);
	arena_free(v->a);
	free(v);
}

const struct sm_slot *sm_view_slot(const struct sm_view *v, const char *id, size_t n)
{
	uint32_t lo = 0, hi = v->n_slots;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		const char *s = v->slot[mid].id;
		int c = strncmp(id, s, n);

		if (c == 0 && s[n])
			c = -1;
		if (c == 0)
			return &v->slot[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

const struct sm_job *sm_view_job(const struct sm_view *v, const char *id, size_t n)
{
	for (uint32_t i = 0; i < v->n_jobs; i++)
		if (strlen(v->job[i]->id) == n && memcmp(v->job[i]->id, id, n) == 0)
			return v->job[i];
	return NULL;
}

const char *sm_time_text(struct arena *a, int64_t us)
{
	time_t t = (time_t)(us / 1000000);
	struct tm tm;
	char at[32];

	if (!gmtime_r(&t, &tm))
		return "";
	strftime(at, sizeof(at), "%Y-%m-%dT%H:%M:%SZ", &tm);
	char *s = arena_strdup(a, at);

	return s ? s : "";
}

struct sm_changes *sm_changes_new(void)
{
	return xcalloc(1, sizeof(struct sm_changes));
}

void sm_changes_free(struct sm_changes *c)
{
	if (!c)
		return;
	if (c->password)
		explicit_bzero(c->password, strlen(c->password));
	free(c->uri);
	free(c->id);
	free(c->interop);
	free(c->user);
	free(c->password);
	free(c);
}

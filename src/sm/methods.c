/* SPDX-License-Identifier: Apache-2.0 */
/*
 * methods.c - StartDiscovery, PartialDiscovery, Remove: what is asked of the layer
 *
 * Pure functions of the view: they check, choose the job's number and leave what is to be done
 * in the change list; the manager does it (sm.c).
 */
#include <errno.h>
#include <stdio.h>

#include "base/str.h"
#include "broker/provider.h"
#include "gen/sm.h"
#include "sm/scope.h"
#include "sm/uri.h"
#include "sm/view.h"

enum { RET_DONE = 0, RET_FAILED = 1, RET_IN_PROGRESS = 2, RET_JOB = 4096 };
enum { SOURCE_SERVICE = 1 };

/* The parameters that both discoveries have, by their indexes. */
struct discovery_args {
	const char *operation;
	int host, host_type, interop, user, password, level, job, status;
};

static const char *text_arg(const struct prov_call *call, int i)
{
	const struct cim_value *v = &call->in[i];

	return v->kind == CIM_V_SCALAR && v->type == CIM_STRING && v->n ? v->s : NULL;
}

static bool uint_arg(const struct prov_call *call, int i, uint64_t *ret)
{
	if (cim_is_null(&call->in[i]))
		return false;
	*ret = call->in[i].u;
	return true;
}

/* Answer with a code and say why, in ExtendedStatus and to the log.  param: what is at fault. */
static enum cim_status answer(struct prov_call *call, const struct discovery_args *d, uint32_t code,
			      const char *param, const char *message, const char *details)
{
	struct cim_instance *x = cim_instance_new(call->ctx.arena,
						  &cim_class_MSFT_SMExtendedStatus);

	call->ret = code;
	err_set(&call->e, -EINVAL, "%s%s%s", message, details ? ": " : "", details ? details : "");
	if (!x)
		return CIM_OK;
	x->v[MSFT_SMExtendedStatus_P_Description] = cim_str(message);
	x->v[MSFT_SMExtendedStatus_P_ParameterInfo] = cim_str(param);
	x->v[MSFT_SMExtendedStatus_P_Operation] = cim_str(d->operation);
	x->v[MSFT_SMExtendedStatus_P_ProviderName] = cim_str("smiscsi");
	x->v[MSFT_SMExtendedStatus_P_StatusCode] = cim_u32(code);
	x->v[MSFT_SMExtendedStatus_P_SMErrorSource] = cim_u16(SOURCE_SERVICE);
	x->v[MSFT_SMExtendedStatus_P_SMErrorCode] = cim_u32(code);
	x->v[MSFT_SMExtendedStatus_P_SMMessage] = cim_str(message);
	x->v[MSFT_SMExtendedStatus_P_SMDetails] = cim_str(
		details ? arena_strdup(call->ctx.arena, details) : NULL);
	call->out[d->status] = cim_object(x);
	return CIM_OK;
}

static void set_job(struct prov_call *call, int param, const char *id)
{
	struct arena *a = call->ctx.arena;
	struct cim_path *p = arena_zalloc(a, sizeof(*p));
	struct cim_key *k = arena_zalloc(a, sizeof(*k));
	char *text = arena_strdup(a, id);

	if (!p || !k || !text)
		return;
	k->name = "ObjectId";
	k->v = cim_str(text);
	p->ns = smiscsi_ns_sm.name;
	p->class_name = cim_class_MSFT_SMJob.name;
	p->cls = &cim_class_MSFT_SMJob;
	p->keys = k;
	p->n_keys = 1;
	call->out[param] = cim_ref(p);
}

static const struct sm_slot *slot_at(const struct sm_view *v, const struct sm_uri *uri)
{
	for (size_t i = 0; i < v->n_local_uris; i++)
		if (streq(v->local_uris[i].text, uri->text))
			return sm_view_slot(v, "local", strlen("local"));
	return sm_view_slot(v, uri->id, strlen(uri->id));
}

/* The discovery of a provider that has not ended yet, if a client started one. */
static const struct sm_job *open_job(const struct sm_view *v, const char *provider)
{
	for (uint32_t i = v->n_jobs; i-- > 0;)
		if (streq(v->job[i]->provider, provider) && !v->job[i]->ended_us)
			return v->job[i];
	return NULL;
}

static char *dup_arg(const struct prov_call *call, int i)
{
	const char *s = text_arg(call, i);

	return s ? xstrdup(s) : NULL;
}

/* Everything is checked: ask for a discovery of that level, or of the objects of a type. */
static void ask(struct prov_call *call, const struct discovery_args *d, const struct sm_uri *uri,
		const struct sm_slot *slot, uint32_t level, uint32_t type)
{
	const struct sm_view *v = call->ctx.view;
	struct sm_changes *c = call->changes;
	char id[48];

	c->ask = SM_ASK_DISCOVER;
	c->uri = xstrdup(slot ? slot->uri : uri->text);
	c->id = xstrdup(slot ? slot->id : uri->id);
	c->interop = dup_arg(call, d->interop);
	c->user = dup_arg(call, d->user);
	c->password = dup_arg(call, d->password);
	c->level = level;
	c->type = type;
	c->job = v->next_job;
	if (type)
		snprintf(c->what, sizeof(c->what), "%s of %s, %s", d->operation, c->uri,
			 scope_type_name(type));
	else
		snprintf(c->what, sizeof(c->what), "%s of %s, level %u", d->operation, c->uri,
			 level);
	snprintf(id, sizeof(id), "job:%llu", (unsigned long long)c->job);
	set_job(call, d->job, id);
	call->ret = RET_JOB;
	call->job_started = true;
}

/* Checks that both discoveries share.  0: go on with uri filled; 1: answered. */
static int check(struct prov_call *call, const struct discovery_args *d, const char *host,
		 struct sm_uri *uri, uint32_t *level)
{
	const char *type = text_arg(call, d->host_type);
	uint64_t l = SCOPE_LEVEL_MAX;
	struct err e = {0};

	if (type && (str_caseeq(type, "smis-wmi") || str_caseeq(type, "host-resource"))) {
		answer(call, d, RET_FAILED, "hostType",
		       "only CIM-XML providers can be discovered here",
		       "hostType smis-wmi and host-resource are not supported; use smis-cimxml");
		return 1;
	}
	if (type && !str_caseeq(type, "smis-cimxml")) {
		answer(call, d, RET_FAILED, "hostType",
		       "hostType is none of host-resource, smis-wmi, smis-cimxml", type);
		return 1;
	}
	if (uint_arg(call, d->level, &l) && l > SCOPE_LEVEL_MAX) {
		answer(call, d, RET_FAILED, "discoveryLevel", "discoveryLevel must be 0, 1, 2 or 3",
		       NULL);
		return 1;
	}
	*level = (uint32_t)l;
	if (!host) {
		answer(call, d, RET_FAILED, "host", "host is missing",
		       "give the provider's host name or URL, such as https://array1:5989");
		return 1;
	}
	if (sm_uri_parse(host, uri, &e) < 0) {
		answer(call, d, RET_FAILED, "host", "host is no provider's address", e.text);
		return 1;
	}
	if (text_arg(call, d->password) && !text_arg(call, d->user)) {
		answer(call, d, RET_FAILED, "username", "a password without a username", NULL);
		return 1;
	}
	return 0;
}

static bool full(struct prov_call *call, const struct discovery_args *d, const struct sm_slot *slot)
{
	const struct sm_view *v = call->ctx.view;

	if (v->n_jobs >= SM_JOBS_OPEN_MAX) {
		answer(call, d, RET_FAILED, NULL, "there are too many discoveries that have not ended",
		       "wait for some of them, or remove the providers that don't answer");
		return true;
	}
	if (slot || v->n_slots < v->providers_max)
		return false;
	answer(call, d, RET_FAILED, NULL, "there are too many providers already",
	       "remove one, or raise the limit");
	return true;
}

static enum cim_status start_discovery(struct prov_call *call)
{
	static const struct discovery_args d = {
		.operation = "StartDiscovery",
		.host = MSFT_SMStorageDiscovery_StartDiscovery_A_host,
		.host_type = MSFT_SMStorageDiscovery_StartDiscovery_A_hostType,
		.interop = MSFT_SMStorageDiscovery_StartDiscovery_A_interopNamespace,
		.user = MSFT_SMStorageDiscovery_StartDiscovery_A_username,
		.password = MSFT_SMStorageDiscovery_StartDiscovery_A_password,
		.level = MSFT_SMStorageDiscovery_StartDiscovery_A_discoveryLevel,
		.job = MSFT_SMStorageDiscovery_StartDiscovery_A_Job,
		.status = MSFT_SMStorageDiscovery_StartDiscovery_A_ExtendedStatus,
	};
	const struct sm_view *v = call->ctx.view;
	uint64_t force = 0;
	uint32_t level;
	struct sm_uri uri;

	if (check(call, &d, text_arg(call, d.host), &uri, &level))
		return CIM_OK;
	const struct sm_slot *slot = slot_at(v, &uri);
	const struct sm_job *job = slot ? open_job(v, slot->id) : NULL;

	if (full(call, &d, slot))
		return CIM_OK;
	(void)uint_arg(call, MSFT_SMStorageDiscovery_StartDiscovery_A_forceRediscovery, &force);
	/* it is being done */
	if (job && !job->type && job->level >= level && !text_arg(call, d.user)) {
		set_job(call, d.job, job->id);
		call->ret = RET_JOB;
	} else if (slot && !force && !slot->stale && slot->seen_us && slot->level >= level &&
		   !text_arg(call, d.user)) {
		call->ret = RET_DONE; /* what the cache has is current */
	} else {
		ask(call, &d, &uri, slot, level, SCOPE_FULL);
	}
	return CIM_OK;
}

/* Which object does an ObjectId name?  Its partialDiscoveryType, 0 where there is none for its
 * class; -1: there is no such object. */
static int target_type_of(const struct sm_slot *slot, const char *id)
{
	for (int k = 0; k < SM_N_KINDS; k++)
		if (sm_image_find(slot->image, (enum sm_kind)k, id, strlen(id)))
			return (int)scope_type_of((enum sm_kind)k);
	return -1;
}

static enum cim_status partial_discovery(struct prov_call *call)
{
	static const struct discovery_args d = {
		.operation = "PartialDiscovery",
		.host = MSFT_SMStorageDiscovery_PartialDiscovery_A_host,
		.host_type = MSFT_SMStorageDiscovery_PartialDiscovery_A_hostType,
		.interop = MSFT_SMStorageDiscovery_PartialDiscovery_A_interopNamespace,
		.user = MSFT_SMStorageDiscovery_PartialDiscovery_A_username,
		.password = MSFT_SMStorageDiscovery_PartialDiscovery_A_password,
		.level = MSFT_SMStorageDiscovery_PartialDiscovery_A_discoveryLevel,
		.job = MSFT_SMStorageDiscovery_PartialDiscovery_A_Job,
		.status = MSFT_SMStorageDiscovery_PartialDiscovery_A_ExtendedStatus,
	};
	const struct sm_view *v = call->ctx.view;
	const char *host = text_arg(call, d.host);
	const char *target = text_arg(call,
				      MSFT_SMStorageDiscovery_PartialDiscovery_A_targetObjectId);
	uint64_t type = 0, target_type = 0;
	const struct sm_slot *slot = NULL;
	uint32_t level;
	struct sm_uri uri;

	(void)uint_arg(call, MSFT_SMStorageDiscovery_PartialDiscovery_A_partialDiscoveryType,
		       &type);
	(void)uint_arg(call, MSFT_SMStorageDiscovery_PartialDiscovery_A_targetObjectClassType,
		       &target_type);
	if (type > SCOPE_TYPE_MAX)
		return answer(call, &d, RET_FAILED, "partialDiscoveryType",
			      "partialDiscoveryType must be 0 to 16", NULL);
	if (target_type > SCOPE_TYPE_MAX)
		return answer(call, &d, RET_FAILED, "targetObjectClassType",
			      "targetObjectClassType must be 0 to 16", NULL);
	if (type && !scope_type_name((uint32_t)type))
		return answer(call, &d, RET_FAILED, "partialDiscoveryType",
			      "fabrics are not discovered here", NULL);
	if (target) { /* an ObjectId begins with its provider's name */
		slot = sm_view_slot(v, target, strcspn(target, ":"));
		int is = slot ? target_type_of(slot, target) : -1;

		if (is < 0)
			return answer(call, &d, RET_FAILED, "targetObjectId", "no such object",
				      target);
		if (target_type && (int)target_type != is)
			return answer(call, &d, RET_FAILED, "targetObjectClassType",
				      "targetObjectId is an object of another class", target);
		if (!type)
			type = (uint64_t)is;
		if (!host)
			host = slot->uri;
	}
	if (check(call, &d, host, &uri, &level))
		return CIM_OK;
	const struct sm_slot *at = slot_at(v, &uri);

	if (slot && at != slot)
		return answer(call, &d, RET_FAILED, "targetObjectId",
			      "targetObjectId belongs to another provider", slot->uri);
	if (full(call, &d, at))
		return CIM_OK;
	if (at && (at->busy || open_job(v, at->id)))
		return answer(call, &d, RET_IN_PROGRESS, "host", "discovery already in progress",
			      at->uri);
	if (type)
		level = scope_type_level((uint32_t)type);
	ask(call, &d, &uri, at, level, (uint32_t)type);
	return CIM_OK;
}

static enum cim_status remove_provider(struct prov_call *call)
{
	const struct sm_view *v = call->ctx.view;
	struct sm_changes *c = call->changes;

	if (!call->target.pc) {
		err_set(&call->e, -EINVAL, "Remove is called on a provider");
		return CIM_ERR_INVALID_PARAMETER;
	}
	static const struct discovery_args d = {
		.operation = "Remove",
		.status = MSFT_SMProvider_Remove_A_ExtendedStatus,
	};
	const struct sm_slot *slot = &v->slot[call->target.aux];

	/* the page has no code but 0; 1 is Not Supported wherever it stands */
	if (slot->local)
		return answer(call, &d, RET_FAILED, NULL,
			      "this server's own provider can't be removed", slot->uri);
	c->ask = SM_ASK_REMOVE;
	c->id = xstrdup(slot->id);
	call->ret = RET_DONE;
	return CIM_OK;
}

const struct prov_method sm_methods[] = {
	{&cim_class_MSFT_SMStorageDiscovery, "StartDiscovery",   start_discovery  },
	{&cim_class_MSFT_SMStorageDiscovery, "PartialDiscovery", partial_discovery},
	{&cim_class_MSFT_SMProvider,         "Remove",           remove_provider  },
};
const size_t sm_n_methods = ARRAY_SIZE(sm_methods);

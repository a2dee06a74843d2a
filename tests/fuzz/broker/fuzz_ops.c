/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any sequence of operations on the toy: nothing crashes, nothing stays pinned, and what a
 * listing gives can be got again.  Each byte chooses from what a request may consist of.
 */
#include "../../unit/broker/toy.h"
#include "base/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int test_failures; /* the toy counts its complaints here */

struct input {
	const uint8_t *p, *end;
};

static unsigned pick(struct input *in, unsigned n)
{
	return in->p < in->end ? *in->p++ % n : 0;
}

#define PICK(in, list) ((list)[pick((in), ARRAY_SIZE(list))])

static const char *const names[] = {NULL,	   "CIM_ManagedElement", "CIM_Port",  "TOY_EthPort",
				    "TOY_FcPort",  "TOY_Host",		 "TOY_Empty", "CIM_Dependency",
				    "TOY_HostPort", "TOY_Peer",		 "TOY_Conforms",
				    "CIM_RegisteredProfile", "TOY_Nothing", ""};
static const char *const spaces[] = {"root/toy", "interop", "root/interop", "nowhere", NULL};
static const char *const words[] = {"Name",  "SystemName", "DeviceID", "InstanceID", "Antecedent",
				    "Dependent", "ConformantStandard", "ManagedElement", "Speed",
				    "ElementName", "Alias", "Port", "Ports", "Goal", "When",
				    "Nonsense", "ID", "Number"};
static const char *const texts[] = {"h", "p1", "p2", "p3", "toy", "7", "x", "",
				    "TOY_Host.Name=\"h\"", "20260101000000.000000+000"};
static const char *const methods[] = {"Rename", "Resolve", "Count", "Unserved", "Odd", "Nonsense"};
static const char *const langs[] = {NULL, "WQL", "DMTF:CQL", "DMTF:FQL", "x"};
static const char *const queries[] = {NULL, "SELECT * FROM CIM_Port WHERE Number > 1",
				      "SELECT Name FROM CIM_System", "Number <> 2",
				      "SELECT * FROM CIM_Dependency", "Speed"};

static struct cim_path *take_path(struct input *in, struct arena *a, unsigned depth);

static struct cim_value take_value(struct input *in, struct arena *a, unsigned depth)
{
	struct cim_value v = cim_str(PICK(in, texts)), *list;
	struct cim_raw_instance *raw;
	unsigned n;

	v.type = CIM_UNTYPED;
	v.hint = (uint8_t)pick(in, 3);
	switch (depth ? pick(in, 6) : 0) {
	case 1:
		return cim_ref(take_path(in, a, depth - 1));
	case 2:
		n = pick(in, 4);
		list = arena_zalloc(a, (n + 1) * sizeof(*list));
		for (unsigned i = 0; i < n; i++)
			list[i] = take_value(in, a, 0);
		return cim_array(CIM_UNTYPED, list, n);
	case 3:
		n = pick(in, 4);
		list = arena_zalloc(a, (n + 1) * sizeof(*list));
		for (unsigned i = 0; i < n; i++)
			list[i] = cim_ref(take_path(in, a, 0));
		return cim_array(CIM_REF, list, n);
	case 4:
		raw = arena_zalloc(a, sizeof(*raw));
		raw->class_name = names[1 + pick(in, ARRAY_SIZE(names) - 1)];
		return cim_object((const void *)raw);
	case 5:
		return cim_null(CIM_UNTYPED);
	default:
		return v;
	}
}

static struct cim_path *take_path(struct input *in, struct arena *a, unsigned depth)
{
	struct cim_path *p = arena_zalloc(a, sizeof(*p));

	p->class_name = names[1 + pick(in, ARRAY_SIZE(names) - 1)];
	p->ns = PICK(in, spaces);
	p->n_keys = (uint16_t)pick(in, 4);
	p->keys = arena_zalloc(a, (p->n_keys + 1U) * sizeof(*p->keys));
	/* keys are texts or paths: no encoding has anything else */
	for (unsigned i = 0; i < p->n_keys; i++)
		p->keys[i] = (struct cim_key){
			PICK(in, words), depth && pick(in, 2) ? cim_ref(take_path(in, a, depth - 1))
							      : take_value(in, a, 0)};
	return p;
}

static struct cim_named *take_named(struct input *in, struct arena *a, uint32_t *ret_n)
{
	struct cim_named *n;

	*ret_n = pick(in, 4);
	n = arena_zalloc(a, (*ret_n + 1U) * sizeof(*n));
	for (uint32_t i = 0; i < *ret_n; i++) {
		n[i].name = PICK(in, words);
		n[i].has_type = pick(in, 4) == 0;
		n[i].claimed = (uint8_t)pick(in, CIM_N_TYPES);
		n[i].v = take_value(in, a, 2);
		n[i].is_array = n[i].v.kind == CIM_V_ARRAY;
	}
	return n;
}

static void take_request(struct input *in, struct arena *a, struct cim_request *rq,
			 const char *context)
{
	rq->op = (enum cim_op)pick(in, CIM_N_OPS);
	rq->ns = PICK(in, spaces);
	if (pick(in, 2)) {
		rq->path = take_path(in, a, 2);
		rq->class_name = rq->path->class_name;
	} else {
		rq->class_name = PICK(in, names);
	}
	if (pick(in, 2)) {
		rq->instance = arena_zalloc(a, sizeof(*rq->instance));
		rq->instance->class_name = names[1 + pick(in, ARRAY_SIZE(names) - 1)];
		rq->instance->props = take_named(in, a, &rq->instance->n_props);
		rq->instance->path = rq->path;
	}
	if (pick(in, 2)) {
		rq->has_props = true;
		rq->n_props = pick(in, 4);
		rq->props = words + pick(in, ARRAY_SIZE(words) - 4);
	}
	rq->deep = (uint8_t)pick(in, 3);
	rq->assoc_class = PICK(in, names);
	rq->result_class = PICK(in, names);
	rq->role = pick(in, 2) ? NULL : PICK(in, words);
	rq->result_role = pick(in, 2) ? NULL : PICK(in, words);
	rq->query_lang = PICK(in, langs);
	rq->query = PICK(in, queries);
	rq->context = pick(in, 2) ? context : "0";
	rq->has_max_objects = pick(in, 2);
	rq->max_objects = pick(in, 4);
	rq->name = PICK(in, words);
	rq->new_value = take_value(in, a, 1);
	rq->method = PICK(in, methods);
	rq->params = take_named(in, a, &rq->n_params);
}

static void wake(void *ctx)
{
	(void)ctx;
}

/* What GetInstance says to a path that a listing gave in the same breath. */
static void get_again(struct toy *t, const struct prov_caller *who, const struct cim_path *p)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_request rq = {.op = CIM_OP_GET_INSTANCE, .ns = p->ns};
	struct broker_op *op;

	rq.path = cim_path_dup(a, p);
	rq.path->cls = NULL;
	rq.class_name = p->class_name;
	op = broker_open(toy_broker(t), &rq, a, who, wake, NULL);
	if (broker_answer(op)->status != CIM_OK)
		abort();
	broker_close(op);
}

static void one(struct toy *t, struct input *in, char context[static 33])
{
	const struct prov_caller who = {"fuzz", "here", true, true};
	AUTO(arena) a = arena_new(1 << 20);
	struct cim_request rq = {0};
	const struct broker_answer *ans;
	unsigned limit, n = 0;
	struct broker_item i;
	struct broker_op *op;

	take_request(in, a, &rq, context);
	limit = pick(in, 8);
	op = broker_open(toy_broker(t), &rq, a, &who, wake, NULL);
	ans = broker_answer(op);
	while (broker_next(op, &i)) {
		if (rq.op == CIM_OP_ENUMERATE_INSTANCE_NAMES)
			get_again(t, &who, i.path);
		if (++n == limit) /* the client goes away */
			break;
	}
	if (ans->status == CIM_OK && ans->pull && ans->context)
		memcpy(context, ans->context, 33);
	if (ans->status != CIM_OK && !ans->text[0])
		abort(); /* every refusal has a sentence */
	broker_close(op);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, data + size};
	struct toy *t = toy_new(3, TOY_INLINE, NULL);
	char context[33] = "";

	log_set_level(LOG_L_ERROR);
	while (in.p < in.end)
		one(t, &in, context);
	toy_free(t);
	if (test_failures)
		abort();
	return 0;
}

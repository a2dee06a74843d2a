/* SPDX-License-Identifier: Apache-2.0 */
/* Requests whose arena is too small: at whatever byte it ends, the answer is an error or right. */
#include "ask.h"
#include "test.h"
#include "toy.h"

#define P1 "TOY_EthPort.SystemName=\"h\",DeviceID=\"p1\""

static void nobody(void *ctx)
{
	(void)ctx;
}

/* Elements of the answer; -1 when it was refused for want of memory. */
static int run(struct ask *k, size_t limit)
{
	AUTO(arena) small = arena_new(limit);
	struct cim_request rq = k->rq;
	struct broker_op *op;
	struct broker_item i;
	int n = 0;

	/* the broker resolves the path in place, in its own arena */
	if (rq.path)
		rq.path = cim_path_dup(k->a, k->rq.path);
	op = broker_open(k->b, &rq, small, &k->who, nobody, NULL);
	if (!op)
		return -1;
	while (broker_next(op, &i))
		n++;
	if (broker_answer(op)->status == CIM_ERR_FAILED)
		n = -1;
	else
		CHECK_STR(cim_status_name(broker_answer(op)->status), "CIM_OK");
	if (broker_answer(op)->kind == BROKER_METHOD)
		n += broker_answer(op)->ret == 2;
	broker_close(op);
	return n;
}

static void shrink(struct ask *k, int want)
{
	int n = -1;
	size_t limit = 0;

	for (; n < 0 && limit < 65536; limit += 16)
		n = run(k, limit);
	CHECK_INT(n, want);
	CHECK(limit > 32);
}

TEST(every_kind_of_read_survives_an_arena_that_ends_anywhere)
{
	static const struct {
		enum cim_op op;
		const char *path;
		int want;
	} tries[] = {
		{CIM_OP_GET_INSTANCE, P1, 1},
		{CIM_OP_ENUMERATE_INSTANCES, "CIM_ManagedElement", 4},
		{CIM_OP_ENUMERATE_INSTANCES, "CIM_Dependency", 4},
		{CIM_OP_ASSOCIATORS, "TOY_Host.Name=\"h\"", 4},
		{CIM_OP_REFERENCES, P1, 2},
		{CIM_OP_REFERENCES, "TOY_EthPort", 3},
		{CIM_OP_ENUMERATE_CLASSES, "CIM_ManagedElement", 3},
		{CIM_OP_GET_INSTANCE,
		 "TOY_Peer.Antecedent=\"TOY_EthPort.SystemName=\\\"h\\\",DeviceID=\\\"p1\\\"\","
		 "Dependent=\"TOY_FcPort.SystemName=\\\"h\\\",DeviceID=\\\"p2\\\"\"", 1},
	};
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = ask_new(toy_broker(t), tries[i].op, "root/toy");

		ask_path(k, tries[i].path);
		if (i == 1)
			ask_props(k, "Name", NULL);
		shrink(k, tries[i].want);
		CHECK_INT(toy_pinned(t), 0);
	}
}

TEST(queries_and_method_calls_survive_it_too)
{
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);
	AUTO(ask) q = ask_new(toy_broker(t), CIM_OP_EXEC_QUERY, "root/toy");
	AUTO(ask) m = ask_new(toy_broker(t), CIM_OP_INVOKE_METHOD, "root/toy");

	q->rq.query_lang = "WQL";
	q->rq.query = "SELECT Number FROM CIM_Port p WHERE (p.Number > 1 OR DeviceID LIKE '%[x-z]') "
		      "AND NOT Number = 3";
	shrink(q, 1);
	ask_path(m, "TOY_Host.Name=\"h\"");
	m->rq.method = "Resolve";
	ask_ref(m, "Port", P1);
	ask_value(m, "When", "20260101000000.000000+000");
	shrink(m, 0);
	CHECK_INT(toy_pinned(t), 0);
}

TEST(changes_survive_it_too_and_happen_once)
{
	AUTO(toy) t = toy_new(3, TOY_INLINE, NULL);
	AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_CREATE_INSTANCE, "root/toy");

	k->rq.instance = arena_zalloc(k->a, sizeof(*k->rq.instance));
	k->rq.instance->class_name = "TOY_EthPort";
	ask_value(k, "DeviceID", "p9");
	shrink(k, 1);
}

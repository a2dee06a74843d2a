/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usage: bench_broker [OBJECTS]: what the broker itself costs, on the toy of its unit tests
 *
 * One object: nanoseconds per operation, beside the making of its path.  Listings: nanoseconds
 * per object.  A walk from an object with one link must cost the same in a small box and a large.
 */
#include <inttypes.h>
#include <stdio.h>

#include "../tests/unit/broker/ask.h"
#include "../tests/unit/broker/toy.h"
#include "base/clock.h"
#include "base/str.h"

enum { ROUNDS = 200000 };

int test_failures; /* the toy counts its complaints here */

static void wake(void *ctx)
{
	(void)ctx;
}

/* One operation on one object; nothing: only its path. */
static double one(struct broker *b, const struct cim_request *what, const char *path)
{
	const struct prov_caller who = {"bench", "here", true, true};
	AUTO(arena) a = arena_new(1 << 20);
	uint64_t start = clock_mono_ns();
	struct broker_item i;

	for (int n = 0; n < ROUNDS; n++) {
		struct cim_request rq = {0};
		struct broker_op *op;
		struct err e;

		arena_reset(a);
		if (what)
			rq = *what;
		if (cim_path_parse(a, path, strlen(path), &rq.path, &e) < 0)
			abort();
		if (!what)
			continue;
		rq.class_name = rq.path->class_name;
		op = broker_open(b, &rq, a, &who, wake, NULL);
		while (broker_next(op, &i))
			;
		if (broker_answer(op)->status != CIM_OK)
			abort();
		broker_close(op);
	}
	return (double)(clock_mono_ns() - start) / ROUNDS;
}

static void list(struct broker *b, enum cim_op op, const char *from, const char *assoc,
		 const char *query)
{
	AUTO(ask) k = ask_new(b, op, "root/toy");
	uint64_t start;
	unsigned n;

	ask_path(k, from);
	k->rq.assoc_class = assoc;
	k->rq.query = query;
	k->rq.query_lang = query ? "WQL" : NULL;
	start = clock_mono_ns();
	if (ask_go(k) != CIM_OK)
		abort();
	n = ask_count(k);
	printf("%-24s %8u objects %8.0f ns each\n", cim_op_name(op), n,
	       (double)(clock_mono_ns() - start) / n);
}

int main(int argc, char **argv)
{
	static const char port[] = "TOY_EthPort.SystemName=\"h\",DeviceID=\"p3\"";
	static const char host[] = "TOY_Host.Name=\"h\"";
	static const struct cim_request get = {.op = CIM_OP_GET_INSTANCE, .ns = "root/toy"};
	static const struct cim_request walk = {
		.op = CIM_OP_ASSOCIATOR_NAMES, .ns = "root/toy", .assoc_class = "TOY_Peer"};
	uint64_t objects = 100000;

	if (argc > 2 || (argc == 2 && !str_u64(argv[1], strlen(argv[1]), 10000000, &objects))) {
		(void)fprintf(stderr, "usage: %s [OBJECTS]\n", argv[0]);
		return 2;
	}
	for (uint64_t n = 10; n <= objects; n = n < objects ? objects : n + 1) {
		AUTO(toy) t = toy_new((unsigned)n, TOY_INLINE, NULL);
		struct broker *b = toy_broker(t);
		double path = one(b, NULL, port);

		printf("GetInstance among %" PRIu64 " objects: %.0f ns\n", n,
		       one(b, &get, port) - path);
		printf("AssociatorNames to one of %" PRIu64 ": %.0f ns\n", n,
		       one(b, &walk, port) - path);
		if (n < objects)
			continue;
		list(b, CIM_OP_ENUMERATE_INSTANCES, "CIM_Port", NULL, NULL);
		list(b, CIM_OP_ENUMERATE_INSTANCE_NAMES, "CIM_Port", NULL, NULL);
		list(b, CIM_OP_ASSOCIATORS, host, "TOY_HostPort", NULL);
		list(b, CIM_OP_ASSOCIATOR_NAMES, host, NULL, NULL);
		list(b, CIM_OP_REFERENCES, host, NULL, NULL);
		list(b, CIM_OP_EXEC_QUERY, host, NULL,
		     "SELECT * FROM CIM_Port WHERE Number >= 0 AND DeviceID LIKE 'p%'");
	}
	return test_failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

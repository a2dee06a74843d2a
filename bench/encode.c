/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode.c - how fast one processor writes instances as CIM-XML, without provider and network
 *
 * usage: bench_encode [INSTANCES]: an enumeration of a port class, 26 properties of which have
 * values, into chunks of the size that the server sends.
 */
#include <stdio.h>

#include "base/clock.h"
#include "cimxml/encode.h"
#include "gen/schema.h"

enum { CHUNK = 32 * 1024, VALUES = 26 };

/* Any value of the right type, different from instance to instance where it is text. */
static struct cim_value value_of(const struct cim_prop *p, char text[static 64], unsigned i)
{
	if (p->flags & CIM_F_ARRAY || p->type == CIM_REF || p->type == CIM_OBJECT)
		return cim_null((enum cim_type)p->type);
	if (p->type == CIM_DATETIME)
		return cim_datetime("20260101000000.000000+000");
	if (p->type == CIM_STRING) {
		int n = snprintf(text, 64, "iqn.2026-01.example:target-%u,t,0x0001", i);

		return cim_strn(text, (size_t)n);
	}
	return cim_uint((enum cim_type)p->type, p->type == CIM_BOOLEAN ? 1 : i % 100);
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
	const struct cim_class *c = &cim_class_MSISCSITARGET_iSCSIProtocolEndpoint;
	AUTO(arena) a = arena_new(1 << 24);
	AUTO(cimxml_plans) plans = cimxml_plans_new(smiscsi_schema.n_classes);
	struct cim_request rq = {.op = CIM_OP_ENUMERATE_INSTANCES, .message_id = "1"};
	struct cimxml_answer an = {.rq = &rq, .plans = plans, .host = "host", .ns = "root/cimv2"};
	struct cimxml_encoder *x = cimxml_encoder_new(a, &an);
	struct cim_instance *inst = cim_instance_new(a, c);
	char(*text)[64] = arena_alloc(a, c->n_props * sizeof(*text));
	struct cim_key keys[8];
	struct cim_path path = {.class_name = c->name, .cls = c, .keys = keys, .n_keys = c->n_keys};
	struct cimxml_item it = {.inst = inst};
	auto_buf struct buf out = buf_of(CHUNK);
	unsigned given = 0;
	uint64_t bytes = 0, from, ns;

	for (unsigned k = 0; k < c->n_props; k++) {
		inst->v[k] = value_of(c->props[k], text[k], 12345);
		if (!cim_is_null(&inst->v[k]) && ++given > VALUES)
			inst->v[k] = cim_null((enum cim_type)c->props[k]->type);
	}
	for (unsigned k = 0; k < c->n_keys; k++)
		keys[k] = (struct cim_key){c->props[c->keys[k]]->name, inst->v[c->keys[k]]};
	inst->path = &path;
	from = clock_mono_ns();
	for (unsigned i = 0; i < n; i++)
		while (!cimxml_item(x, &out, &it)) {
			bytes += out.len;
			buf_clear(&out);
		}
	ns = clock_mono_ns() - from;
	bytes += out.len;
	printf("{\"instances\": %u, \"properties\": %u, \"bytes_each\": %.0f, \"ns_each\": %.0f, "
	       "\"gb_per_s\": %.2f}\n",
	       n, c->n_props, (double)bytes / n, (double)ns / n, (double)bytes / (double)ns);
	return 0;
}

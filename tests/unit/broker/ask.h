/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.h - ask a broker something and look at the answer as text
 *
 * AUTO(ask) k = ask_new(b, CIM_OP_GET_INSTANCE, "root/toy");
 * ask_path(k, "TOY_EthPort.SystemName=\"h\",DeviceID=\"p1\"");
 * CHECK_INT(ask_go(k), CIM_OK);
 * CHECK_STR(ask_text(k), ...);
 *
 * Threads: one owner.
 */
#pragma once

#include "broker/broker.h"

struct ask {
	struct broker *b;
	struct arena *a;
	struct cim_request rq;
	struct prov_caller who; /* may do everything unless changed */
	struct broker_op *op;
	const struct broker_answer *ans;
	struct ask_wait *wait;
};

struct ask *ask_new(struct broker *b, enum cim_op op, const char *ns);
void ask_free(struct ask *k);
DEFINE_AUTO(ask, ask_free)

void ask_path(struct ask *k, const char *text); /* also the class name */
/* ..., NULL */
void ask_props(struct ask *k, const char *first, ...);
/* A value of the request's instance, or a parameter of the method: text as it comes from the
 * wire.  value NULL: NULL. */
void ask_value(struct ask *k, const char *name, const char *value);
void ask_ref(struct ask *k, const char *name, const char *path);
/* Any value; the last one given can be changed. */
struct cim_named *ask_named(struct ask *k, const char *name);
/* Open, and wait for the answer; the status. */
enum cim_status ask_go(struct ask *k);
/* Wait for an operation that was opened with ask_open(). */
void ask_open(struct ask *k);
void ask_wait(struct ask *k);
int ask_woken(struct ask *k);
/* All elements of the answer, one a line: a path or a class name, and the wanted properties. */
const char *ask_text(struct ask *k);
/* Only how many. */
unsigned ask_count(struct ask *k);

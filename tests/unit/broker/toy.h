/* SPDX-License-Identifier: Apache-2.0 */
/*
 * toy.h - a small schema and a module that serves it, so that the broker is tested alone
 *
 *   root/toy:   CIM_ManagedElement (abstract)
 *                 CIM_System (abstract)  <- TOY_Host ("h")
 *                 CIM_Port (abstract)    <- TOY_EthPort, TOY_FcPort ("p1", "p2", ...)
 *                 TOY_Empty (nobody serves it)
 *               CIM_Dependency (abstract) <- TOY_HostPort (host-port, Slot), TOY_Peer (port-port)
 *   interop:    CIM_RegisteredProfile ("toy"), TOY_Conforms (profile - host in root/toy)
 *
 * Odd ports are Ethernet, even ones are Fibre Channel; port 2k-1 is the Antecedent of port 2k in
 * TOY_Peer.  Each TOY_Host method tries one thing that bodies do.
 *
 * Views are counted; a writer thread applies changes one by one.
 */
#pragma once

#include "broker/broker.h"

enum { /* classes, by id */
	T_ELEMENT,
	T_SYSTEM,
	T_HOST,
	T_PORT,
	T_ETH,
	T_FC,
	T_EMPTY,
	T_DEPENDENCY,
	T_HOSTPORT,
	T_PEER,
	T_PROFILE,
	T_CONFORMS,
	T_N
};

enum toy_writer {
	TOY_THREAD, /* a writer thread of its own */
	TOY_INLINE, /* submit() does it all before it returns */
	TOY_HELD,   /* queued until toy_release() */
};

struct toy;
struct toy *toy_new(unsigned n_ports, enum toy_writer how, const struct broker_limits *l);
void toy_free(struct toy *t); /* fails the test when a view is still pinned */
DEFINE_AUTO(toy, toy_free) /* declare it before what uses the broker: it goes last */
struct broker *toy_broker(struct toy *t);
const struct cim_class *toy_class(unsigned id);
const struct cim_schema *toy_schema(void);
/* What becomes of the next writes. */
void toy_outcome(struct toy *t, enum prov_outcome o);
void toy_release(struct toy *t); /* TOY_HELD: do what is queued, on this thread */
void toy_drop(struct toy *t, enum prov_outcome o); /* TOY_HELD: end what is queued, unrun */
int toy_pinned(struct toy *t);   /* views in use beside the published one */
struct broker_config toy_config(struct toy *t);

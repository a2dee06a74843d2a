/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - CIM-XML over HTTP: requests from the http room to the broker and back
 *
 * Decides who is asking (accounts, client certificates, --no-auth, the private socket), decodes, lets the broker
 * work, and encodes the answer piece by piece as the client takes it.
 *
 * Depends on: base, auth, cimxml, http, broker.  Threads: the http room's.
 */
#pragma once

#include "auth/cert.h"
#include "auth/users.h"
#include "broker/broker.h"
#include "smiscsid/options.h"

struct server;

struct server_config {
	const struct options *options;
	struct broker *broker;
	const char *host;             /* of every object path */
	struct users *users;          /* NULL: nobody but --no-auth and the private socket */
	const struct cert *cert;      /* for --https; NULL without */
	const char *client_ca_pem;    /* whose certificates open accounts; NULL: nobody's */
	const char *private_socket;   /* Unix socket for the SM layer; whoever can open it may all */
};

/* Listens on everything or on nothing. */
int server_new(const struct server_config *c, struct server **ret, struct err *e) MUST_CHECK;
/* Close silent connections; call about once a second. */
void server_tick(struct server *s);
/* Stop taking requests, finish those under way (at most a few seconds), free. */
void server_free(struct server *s);

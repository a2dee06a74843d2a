/* SPDX-License-Identifier: Apache-2.0 */
/*
 * said.h - provider answers written down in a test
 *
 *	say(h, SRC_IP, "CIM_IPProtocolEndpoint.Name=\"10.0.0.1\"", "IPv4Address=10.0.0.1",
 *	    "OperationalStatus[]=2", NULL);
 *	tie(h, SRC_BINDS, "Antecedent", path, "Dependent", path);
 *	say_link(h, SRC_COPY, "SystemElement", path, "SyncedElement", path, "SyncType=6", NULL);
 *
 * Values are text without a type, as they stand in CIM-XML; "name[]=a,b" is an array, a path is
 * in the form of DSP0207.
 */
#pragma once

#include "sm/harvest.h"

#define SAID_NS "root/test"

/* 0 or what harvest_add returned. */
int say(struct harvest *h, enum src_kind k, const char *path, ...);
int tie(struct harvest *h, enum src_kind k, const char *role_a, const char *a, const char *role_b,
	const char *b);
int say_link(struct harvest *h, enum src_kind k, const char *role_a, const char *a,
	     const char *role_b, const char *b, ...);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * join.h - from what a provider said to what the Storage Management layer shows
 *
 * Pure: a harvest and a few facts about the session in, an image out.  Every property of an
 * MSFT_SM* object comes from the CIM property that its ModelCorrespondence names; where that
 * qualifier names the companion instead (MSFT_SMStorageHardwareID.IDType from StorageID, ...)
 * from the property that is meant.  References that lead nowhere make no link; they are counted
 * as notes of the harvest.
 *
 * ObjectId: "<provider>:<class>:<hash of namespace, class kind and keys>"; the same whenever the
 * same provider shows the same object.  Identifier: the key that tells the object from its
 * siblings in one storage system; where a provider uses one twice, both get a suffix.
 *
 * Depends on: base cim gen.  Threads: no state.
 */
#pragma once

#include "sm/harvest.h"
#include "sm/image.h"
#include "sm/scope.h"

struct join_source {
	const char *provider; /* its short name, the first part of every ObjectId */
	const char *uri;      /* "https://array1:5989" */
	const char *host;     /* "array1" */
	const char *uri_ip;   /* uri with the address in place of the name; NULL: not known */
	const char *interop;  /* the interop namespace that answered; NULL: never reached */
	uint32_t level;       /* discovery level reached, by this reading and those before */
	struct sm_scope scope; /* what was read; the image is complete only for its kinds */
};

/* Is this a profile that storage systems conform to (not a subprofile, not "Server")? */
bool join_is_system_profile(const struct src_obj *profile);

/* bytes: most the image may hold.  -E2BIG. */
int join(struct harvest *h, const struct join_source *s, size_t bytes, struct sm_image **ret,
	 struct err *e) MUST_CHECK;

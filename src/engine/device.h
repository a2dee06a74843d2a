/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.h - the host's block devices: what they are, who holds them
 *
 * Looking opens nothing: sysfs tells.  A path may name another device after a restart of the
 * host (sdb), so what a device says of itself is kept with the volume that is made on it and
 * compared before it is served.
 *
 * Depends on: base.  Threads: no state.
 */
#pragma once

#include "base/err.h"

struct device_facts {
	uint64_t size;      /* bytes */
	char identity[256]; /* its world wide name, serial number, ...; "" when it has none */
};

/* What stands at the path.  Failures: it isn't there (-ENODEV), is no block device (-ENOTBLK), is
 * empty (-ENOMEDIUM), can't be served (-ENOTSUP); the sentence does not name the path. */
int device_look(const char *path, struct device_facts *ret, struct err *e) MUST_CHECK;

/* May it be served?  Also -ESTALE when it is another device than it was ("": not known), -EFBIG
 * when it is smaller than size. */
int device_check(const char *path, const char *identity, uint64_t size, struct err *e) MUST_CHECK;

/* Can it be had alone, now?  -EBUSY says who holds it. */
int device_claimable(const char *path, struct err *e) MUST_CHECK;
/* The sentence for somebody else's failure to open it: e becomes what device_claimable says of code. */
int device_why(const char *path, int code, struct err *e);

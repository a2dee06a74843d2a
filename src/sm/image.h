/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - what one provider has, as MSFT_SM* objects: immutable, counted
 *
 * Built once (by the join, or read back from the cache), finished, then only read.  An object
 * is its key and its property values in the order of its class table, so filling a CIM instance
 * is one copy.  Links are indexed from both ends: walking an association costs its result.  A
 * link of a class that says more than what it links has values of its own, in the same order.
 *
 * Depends on: base cim gen.  Threads: one builder; after image_finish any number of readers,
 * each holding a reference (or a view that holds one).
 */
#pragma once

#include "base/buf.h"
#include "cim/cim.h"

#define SM_KINDS(K)                           \
	K(PROVIDER, MSFT_SMProvider)          \
	K(WBEM, MSFT_SMWbemService)           \
	K(DISCOVERY, MSFT_SMDiscovery)        \
	K(SYSTEM, MSFT_SMSystem)              \
	K(CAPS, MSFT_SMSystemCapabilities)    \
	K(ENDPOINT, MSFT_SMEndpoint)          \
	K(PORTAL, MSFT_SMiSCSIPortalEndpoint) \
	K(PROTOCOL, MSFT_SMProtocolEndpoint)  \
	K(GROUP, MSFT_SMStorageGroup)         \
	K(HWID, MSFT_SMStorageHardwareID)     \
	K(POOL, MSFT_SMPool)                  \
	K(SETTING, MSFT_SMPoolSetting)        \
	K(VOLUME, MSFT_SMStorageVolume)       \
	K(DISK, MSFT_SMDiskDrive)             \
	K(JOB, MSFT_SMJob)

#define SM_KIND_ENUM_(id, cls) SM_##id,
enum sm_kind { SM_KINDS(SM_KIND_ENUM_) SM_N_KINDS };
#undef SM_KIND_ENUM_

/* association, class, kinds at its two ends, names of the two references */
#define SM_ASSOCS(A)                                                                           \
	A(PROVIDER_SYSTEM, MSFT_SMProviderToSystem, PROVIDER, SYSTEM, Parent, Child)           \
	A(DISCOVERY_SYSTEM, MSFT_SMDiscoveryToSystem, DISCOVERY, SYSTEM, Parent, Child)        \
	A(SYSTEM_CAPS, MSFT_SMSystemToCapabilities, SYSTEM, CAPS, Parent, Child)               \
	A(SYSTEM_ENDPOINT, MSFT_SMSystemToEndpoint, SYSTEM, ENDPOINT, Parent, Child)           \
	A(SYSTEM_POOL, MSFT_SMSystemToPool, SYSTEM, POOL, Parent, Child)                       \
	A(SYSTEM_GROUP, MSFT_SMSystemToStorageGroup, SYSTEM, GROUP, Parent, Child)             \
	A(SYSTEM_HWID, MSFT_SMSystemToStorageHardwareID, SYSTEM, HWID, Parent, Child)          \
	A(ENDPOINT_PORTAL, MSFT_SMEndpointToiSCSIPortal, ENDPOINT, PORTAL, Parent, Child)      \
	A(GROUP_ENDPOINT, MSFT_SMStorageGroupToEndpoint, GROUP, ENDPOINT, Parent, Child)       \
	A(GROUP_VOLUME, MSFT_SMStorageGroupToStorageVolume, GROUP, VOLUME, Parent, Child)      \
	A(GROUP_HWID, MSFT_SMStorageGroupToStorageHardwareID, GROUP, HWID, Parent, Child)      \
	A(POOL_VOLUME, MSFT_SMPoolToVolume, POOL, VOLUME, Parent, Child)                       \
	A(POOL_SETTING, MSFT_SMPoolToSetting, POOL, SETTING, Parent, Child)                    \
	A(POOL_POOL, MSFT_SMPrimordialPoolToConcretePool, POOL, POOL, Parent, Child)           \
	A(DISK_POOL, MSFT_SMDiskDriveToPool, DISK, POOL, Parent, Child)                        \
	A(VOLUME_COPY, MSFT_SMStorageSynchronized, VOLUME, VOLUME, SourceStorageVolume,        \
	  TargetStorageVolume)                                                                 \
	A(JOB_POOL, MSFT_SMJobToPool, JOB, POOL, Job, AffectedPool)                            \
	A(JOB_GROUP, MSFT_SMJobToStorageGroup, JOB, GROUP, Job, AffectedStorageGroup)          \
	A(JOB_VOLUME, MSFT_SMJobToStorageVolume, JOB, VOLUME, Job, AffectedStorageVolume)

#define SM_ASSOC_ENUM_(id, cls, a, b, pa, pb) SM_##id,
enum sm_assoc { SM_ASSOCS(SM_ASSOC_ENUM_) SM_N_ASSOCS };
#undef SM_ASSOC_ENUM_

struct sm_kind_info {
	const struct cim_class *cls;
	uint16_t key;    /* index of the key property */
	int16_t ident;   /* index of Identifier; -1: none */
};
struct sm_assoc_info {
	const struct cim_class *cls;
	enum sm_kind end[2];
	uint16_t ref[2];
};
const struct sm_kind_info *sm_kind_info(enum sm_kind k);
const struct sm_assoc_info *sm_assoc_info(enum sm_assoc a);

struct sm_object {
	const char *id; /* the key's value */
	uint32_t id_len;
	uint32_t num; /* position within its kind */
	struct cim_value *v; /* class->n_props, key included */
};

struct sm_image;

/* bytes: most its objects may take, and its links a quarter of that.  Born with one reference. */
struct sm_image *sm_image_new(size_t bytes) MUST_CHECK;
struct sm_image *sm_image_ref(struct sm_image *img);
void sm_image_unref(struct sm_image *img); /* NULL is fine */
DEFINE_AUTO(sm_image, sm_image_unref)

/* ---- building ---- */

struct arena *sm_image_arena(struct sm_image *img);
/* A new object with that key (copied), its other values NULL; NULL when the image is full. */
struct sm_object *sm_image_add(struct sm_image *img, enum sm_kind k, const char *id);
/* The i-th object made so far. */
struct sm_object *sm_image_edit(struct sm_image *img, enum sm_kind k, uint32_t i);
void sm_image_link(struct sm_image *img, enum sm_assoc a, uint32_t parent, uint32_t child);
/* A link that says more: its values by the class's property numbers, all NULL yet and for the
 * caller to set (but the two references).  NULL when the image is full. */
struct cim_value *sm_image_link_more(struct sm_image *img, enum sm_assoc a, uint32_t parent,
				     uint32_t child);
/* Something had no room any more; it can't be finished. */
bool sm_image_full(const struct sm_image *img);
/* Sort and index; objects whose key is there already are dropped with their links, and so are
 * links said twice: the first is kept.  Returns how many objects were dropped, and links that
 * said something; -E2BIG when the image was full. */
int sm_image_finish(struct sm_image *img, struct err *e) MUST_CHECK;

/*
 * What two readings of one provider make together: the objects of `kinds` and the links of
 * `assocs` (bits by number) from `renewed`, the others from `old`.  A link whose end isn't there
 * any more goes.  Both stay as they are; the result is finished.  -E2BIG.
 */
int sm_image_merge(const struct sm_image *old, const struct sm_image *renewed, uint32_t kinds,
		   uint32_t assocs, size_t bytes, struct sm_image **ret, struct err *e) MUST_CHECK;

/* ---- reading ---- */

uint32_t sm_image_count(const struct sm_image *img, enum sm_kind k);
const struct sm_object *sm_image_at(const struct sm_image *img, enum sm_kind k, uint32_t i);
const struct sm_object *sm_image_find(const struct sm_image *img, enum sm_kind k, const char *id,
				      size_t n);

struct sm_link {
	uint32_t end[2];
	uint32_t more; /* the image's own: where its values are */
};
/* What a link says besides; NULL: nothing. */
const struct cim_value *sm_image_more(const struct sm_image *img, enum sm_assoc a,
				      const struct sm_link *l);
uint32_t sm_image_n_links(const struct sm_image *img, enum sm_assoc a);
/* The i-th of all links. */
struct sm_link sm_image_link_at(const struct sm_image *img, enum sm_assoc a, uint32_t i);
/* The i-th link in which object `num` is end[which]; false: there are no more. */
bool sm_image_walk(const struct sm_image *img, enum sm_assoc a, int which, uint32_t num, uint32_t i,
		   struct sm_link *ret);

/* ---- keeping (the cache's file format) ---- */

/* Append the whole image to b / read it back.  Classes and properties are stored by name, so
 * that a newer schema reads an older file; files of the format before (links said nothing then)
 * are read, too.  read: -EPROTO when the bytes aren't such an image; the result is finished. */
bool sm_image_write(const struct sm_image *img, struct buf *b);
int sm_image_read(const void *p, size_t n, size_t bytes, struct sm_image **ret,
		  struct err *e) MUST_CHECK;

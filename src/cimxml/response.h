/* SPDX-License-Identifier: Apache-2.0 */
/*
 * response.h - a CIM-XML answer (DSP0200 §5, DSP0201), read as it arrives
 *
 * Bytes are fed as the network brings them.  Of a list only one object is held at a time: it is
 * decoded, handed to the sink, forgotten.  So an answer of a gigabyte costs as much memory as
 * its largest object, and that has a maximum.  Elements and attributes that aren't known are
 * left out; an object that makes no sense is counted and left out.
 *
 * Depends on: base cim.  Threads: one owner.
 */
#pragma once

#include "cim/request.h"
#include "cimxml/bounds.h"
#include "cimxml/decode.h"

/* What the elements of an answer go to.  Everything handed over is valid for the call only (see
 * cim_raw_instance_dup, cim_path_dup).  false: no more, please.  Members may be NULL. */
struct cimxml_sink {
	void *ctx;
	bool (*instance)(void *ctx,
			 const struct cim_raw_instance *i); /* ->path where there is one */
	bool (*path)(void *ctx, const struct cim_path *p);  /* of an instance */
	bool (*class_name)(void *ctx, const char *name); /* also of classes, which aren't decoded */
};

struct cimxml_response {
	enum cim_status status; /* not CIM_OK: the operation failed, text says why */
	const char *text;       /* "" at least */
	/* what follows lives in the arena */
	struct cim_value
		value; /* GetProperty, EnumerationCount, or an extrinsic method's own value */
	bool has_value;
	const struct cim_named *params; /* of an extrinsic method */
	uint32_t n_params;
	bool has_end, end_of_sequence; /* opens and pulls */
	const char *context;           /* NULL: none */
	uint64_t objects, skipped;     /* handed to the sink; not understood */
	bool stopped;                  /* the sink wanted no more */
};

struct cimxml_reader;

/* a: for what outlives the reader (texts of struct cimxml_response); sink: may be NULL.
 * message_id: what the answer must carry; NULL: anything. */
struct cimxml_reader *cimxml_reader_new(struct arena *a, const struct cimxml_sink *sink,
					const char *message_id) MUST_CHECK;
void cimxml_reader_free(struct cimxml_reader *r);
DEFINE_AUTO(cimxml_reader, cimxml_reader_free)

/* -EPROTO: this is no CIM-XML answer; -E2BIG: past a limit; -ECANCELED: the sink wanted no more.
 * After any of them nothing more may be fed. */
int cimxml_reader_feed(struct cimxml_reader *r, const char *p, size_t n, struct err *e) MUST_CHECK;
/* The answer is complete. */
int cimxml_reader_end(struct cimxml_reader *r, struct cimxml_response *ret,
		      struct err *e) MUST_CHECK;

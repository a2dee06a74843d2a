/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h - what the layer keeps across restarts
 *
 * Below one directory: "providers" and "credentials" (text, a line each, fields percent-encoded
 * and separated by tabs), "<id>.cache" (one provider's image).  Every file is replaced whole:
 * written beside, synced, renamed.
 *
 * Depends on: base cim.  Threads: one writer per file.
 */
#pragma once

#include "base/buf.h"
#include "sm/image.h"

enum { FILES_FIELDS_MAX = 6, FILES_LIST_BYTES_MAX = 4 << 20 };

/* A list file.  Fields are NUL-terminated; an absent one is "". */
struct files_row {
	char *f[FILES_FIELDS_MAX];
};
/* 0 with *ret_rows (free with files_rows_free), also when there is no such file. */
int files_rows_read(int dir, const char *name, struct files_row **ret_rows, size_t *ret_n,
		    struct err *e) MUST_CHECK;
void files_rows_free(struct files_row *rows, size_t n); /* wipes the text */
/* Append one row to b: n fields, NULL as "". */
void files_row_add(struct buf *b, const char *const *fields, size_t n);

/* mode: of the new file.  */
int files_replace(int dir, const char *name, unsigned mode, const void *p, size_t n,
		  struct err *e) MUST_CHECK;

struct files_image {
	int64_t seen_us;
	uint32_t level;
	char interop[128];
};
int files_image_write(int dir, const char *id, const struct sm_image *img,
		      const struct files_image *facts, struct err *e) MUST_CHECK;
/* -ENOENT: there is none. */
int files_image_read(int dir, const char *id, size_t bytes, struct sm_image **ret,
		     struct files_image *ret_facts, struct err *e) MUST_CHECK;
void files_image_remove(int dir, const char *id);

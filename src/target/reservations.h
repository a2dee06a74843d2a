/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reservations.h - durable persistent reservations (APTPL) of one unit, in one file
 *
 * The two functions are what scsi_lu_params wants.
 *
 * Depends on: base.  Threads: load and save come one at a time.
 */
#pragma once

#include "base/base.h"

struct reservations;
struct reservations *reservations_new(const char *path) MUST_CHECK;
void reservations_free(struct reservations *r); /* NULL is fine */

int reservations_load(void *ctx, void **ret, size_t *ret_len);
int reservations_save(void *ctx, const void *p, size_t len);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_map.h - a file in memory, mapped, so that what is read can be sent from where it lies
 *
 * A read then costs neither a system call of its own nor a copy: sendmsg() takes the bytes from
 * the mapping.  Nothing of ours ever touches it (blockdev.h says why).
 *
 * Looking at a hole of such a file through a mapping fills it with memory, so holes are
 * not lent: one bit a page remembers which pages are known to be there, from what the file
 * said when it was opened and from what was written since.  A bit that is not set only costs
 * the detour; one that is set though the page has just been punched out costs a page.
 *
 * Depends on: base.  Threads: any, but for _add and _free.
 */
#pragma once

#include "base/base.h"

struct store_map;

/*
 * Map the bytes of fd from `from` to `to`; *list is the maps of the same file so far, none of which
 * ends, as they may be in use, before store_map_free(*list).  Where the system does not map it,
 * nothing is lent.
 */
void store_map_add(struct store_map **list, int fd, uint64_t from, uint64_t to);
void store_map_free(struct store_map *list);

/* Where these bytes lie; NULL: they can't be lent. */
const uint8_t *store_map_find(struct store_map *const *list, uint64_t offset, uint64_t length);
/* They have been written: their pages are there. */
void store_map_written(struct store_map *const *list, uint64_t offset, uint64_t length);
/* They are about to be punched out. */
void store_map_punching(struct store_map *const *list, uint64_t offset, uint64_t length);

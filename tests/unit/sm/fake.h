/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake.h - providers without a wire: "http://array<n>" has one system with n ports
 *
 * How a provider behaves is a mode, by host name; "array" followed by digits otherwise works.
 *
 * Threads: modes may be set while providers are being read.
 */
#pragma once

#include "sm/talk.h"

enum fake_mode {
	FAKE_FINE,
	FAKE_DOWN,    /* refuses connections */
	FAKE_STUCK,   /* never answers; gives up only when abandoned or past its time */
	FAKE_FAILING, /* CIM_BindsTo fails */
	FAKE_DENIED,  /* wants user "u" with password "p" */
	FAKE_FLOOD,   /* objects without end */
	FAKE_EMPTY,   /* knows no class */
};

struct fake;
struct fake *fake_new(void);
void fake_free(struct fake *f);
void fake_set(struct fake *f, const char *host, enum fake_mode m);
unsigned fake_opened(struct fake *f, const char *host); /* how many passes it has seen */
extern const struct talk_ops fake_ops;                  /* talk_user: the fake */

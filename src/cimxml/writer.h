/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writer.h - text into a buffer, escaped where it must be (inside cimxml only)
 *
 * A writer is a cursor into a struct buf that has room asked for in advance, with some bytes of
 * slack behind: so short pieces can be copied in whole vector registers.  Once something didn't
 * fit, .bad is set and nothing more is written; writer_close() then takes everything back.
 *
 * Depends on: base cim.  Threads: one owner.
 */
#pragma once

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/buf.h"
#include "cim/cim.h"

enum {
	WRITER_SLACK = 64, /* bytes behind the room asked for, and behind const pieces */
	WRITER_STEP = 1024,
};

struct writer {
	char *p, *end; /* end: WRITER_SLACK bytes before the buffer's */
	struct buf *b;
	size_t from;
	bool bad;
};

bool writer_more(struct writer *w, size_t n);

static inline struct writer writer_open(struct buf *b)
{
	struct writer w = {.b = b, .from = b->len};

	(void)writer_more(&w, 0);
	return w;
}

/* true: all that was written is in the buffer; false: nothing is. */
static inline bool writer_close(struct writer *w)
{
	if (w->bad) {
		w->b->len = w->from;
		w->b->full = false;
		if (w->b->p)
			w->b->p[w->from] = '\0';
		return false;
	}
	w->b->len = (size_t)(w->p - w->b->p);
	w->b->p[w->b->len] = '\0';
	return true;
}

/* May n bytes be written at w->p? */
static inline bool writer_room(struct writer *w, size_t n)
{
	if (LIKELY(w->p && (size_t)(w->end - w->p) >= n))
		return true;
	return writer_more(w, n);
}

static inline void writer_put(struct writer *w, const char *s, size_t n)
{
	if (LIKELY(writer_room(w, n))) {
		memcpy(w->p, s, n);
		w->p += n;
	}
}

#define writer_lit(w, lit) writer_put((w), "" lit, sizeof(lit) - 1)

/* A piece that is followed by WRITER_SLACK readable bytes; room is known to be there. */
static inline char *writer_copy_const(char *p, const char *s, size_t n)
{
#ifdef __SSE2__
	size_t i = 0;

	do {
		_mm_storeu_si128((__m128i *)(void *)(p + i),
				 _mm_loadu_si128((const __m128i *)(const void *)(s + i)));
		_mm_storeu_si128((__m128i *)(void *)(p + i + 16),
				 _mm_loadu_si128((const __m128i *)(const void *)(s + i + 16)));
		i += 32;
	} while (i < n);
#else
	memcpy(p, s, n);
#endif
	return p + n;
}

static inline void writer_str(struct writer *w, const char *s)
{
	writer_put(w, s, strlen(s));
}

/* Text of an element / of an attribute between "": & < > (and ") escaped; what XML can't carry
 * (control characters, ill-formed UTF-8) becomes U+FFFD. */
void writer_text(struct writer *w, const char *s, size_t n);
void writer_attr(struct writer *w, const char *s);
void writer_u64(struct writer *w, uint64_t u);
/* A scalar's text as it stands in VALUE or KEYVALUE; neither reference nor object. */
void writer_scalar(struct writer *w, const struct cim_value *v);

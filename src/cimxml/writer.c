/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>

#include "base/str.h"
#include "cimxml/writer.h"

bool writer_more(struct writer *w, size_t n)
{
	size_t want = n < WRITER_STEP ? WRITER_STEP : n;
	char *at;

	if (w->bad)
		return false;
	if (w->p)
		w->b->len = (size_t)(w->p - w->b->p);
	/* ask for a step ahead, but be content with what is needed */
	at = buf_grow(w->b, want + WRITER_SLACK);
	if (!at) {
		w->b->full = false;
		at = buf_grow(w->b, n + WRITER_SLACK);
	}
	if (!at) {
		w->bad = true;
		w->p = w->end = NULL;
		return false;
	}
	w->p = at;
	w->end = w->b->p + w->b->cap - 1;
	if ((size_t)(w->end - w->b->p) > w->b->max)
		w->end = w->b->p + w->b->max;
	w->end -= WRITER_SLACK;
	return true;
}

static const char replacement[] = "\xef\xbf\xbd";

/* The long way, for text that has something in it that can't stand as it is. */
static void escape(struct writer *w, const char *s, size_t n)
{
	bool utf8 = str_utf8(s, n, NULL);

	if (!writer_room(w, n * 6))
		return;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		const char *as = NULL;

		if (c == '&')
			as = "&amp;";
		else if (c == '<')
			as = "&lt;";
		else if (c == '>')
			as = "&gt;";
		else if (c == '"')
			as = "&quot;";
		else if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || (c >= 0x80 && !utf8))
			as = replacement;
		else if (c == 0xef && n - i > 2 && (unsigned char)s[i + 1] == 0xbf &&
			 (unsigned char)s[i + 2] >= 0xbe) { /* U+FFFE and U+FFFF */
			as = replacement;
			i += 2;
		}
		if (as) {
			size_t len = strlen(as);

			memcpy(w->p, as, len);
			w->p += len;
		} else {
			*w->p++ = (char)c;
		}
	}
}

/* Text has quotes in it more often than attributes do, and there they may stand. */
static void escape_text(struct writer *w, const char *s, size_t n)
{
	const char *q;

	while ((q = memchr(s, '"', n))) {
		size_t part = (size_t)(q - s);

		escape(w, s, part);
		writer_put(w, q, 1);
		s = q + 1;
		n -= part + 1;
	}
	escape(w, s, n);
}

#ifdef __SSE2__
/* Copies s, and tells whether it was clean: printable ASCII but for & < >. */
static inline int dirty16(__m128i v)
{
	/* a signed comparison finds the bytes from 0x80 up besides those below 0x20 */
	__m128i bad = _mm_cmplt_epi8(v, _mm_set1_epi8(0x20));

	bad = _mm_or_si128(bad, _mm_cmpeq_epi8(v, _mm_set1_epi8('&')));
	bad = _mm_or_si128(bad, _mm_cmpeq_epi8(v, _mm_set1_epi8('<')));
	bad = _mm_or_si128(bad, _mm_cmpeq_epi8(v, _mm_set1_epi8('>')));
	return _mm_movemask_epi8(bad);
}

static inline uint64_t load64(const char *s)
{
	uint64_t v;

	memcpy(&v, s, sizeof(v));
	return v;
}

static inline uint32_t load32(const char *s)
{
	uint32_t v;

	memcpy(&v, s, sizeof(v));
	return v;
}

static inline bool copy_clean(char *p, const char *s, size_t n)
{
	uint64_t lo, hi;
	size_t i;

	if (n >= 16) {
		int bad = 0;

		for (i = 0; i + 16 <= n; i += 16) {
			__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s + i));

			_mm_storeu_si128((__m128i *)(void *)(p + i), v);
			bad |= dirty16(v);
		}
		if (i < n) { /* the rest overlaps what is done */
			__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s + n - 16));

			_mm_storeu_si128((__m128i *)(void *)(p + n - 16), v);
			bad |= dirty16(v);
		}
		return !bad;
	}
	if (n >= 8) {
		lo = load64(s);
		hi = load64(s + n - 8);
		memcpy(p, &lo, 8);
		memcpy(p + n - 8, &hi, 8);
	} else if (n >= 4) {
		uint32_t a = load32(s), b = load32(s + n - 4);

		memcpy(p, &a, 4);
		memcpy(p + n - 4, &b, 4);
		lo = hi = (uint64_t)b << 32 | a;
	} else if (n) {
		p[0] = s[0];
		p[n / 2] = s[n / 2];
		p[n - 1] = s[n - 1];
		lo = 0x2020202020000000U | (unsigned char)s[0] |
		     (uint64_t)(unsigned char)s[n / 2] << 8 |
		     (uint64_t)(unsigned char)s[n - 1] << 16 | 0x20000000U;
		hi = lo;
	} else {
		return true;
	}
	return !dirty16(_mm_set_epi64x((long long)hi, (long long)lo));
}
#else
static inline bool copy_clean(char *p, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c < 0x20 || c >= 0x80 || c == '&' || c == '<' || c == '>')
			return false;
		p[i] = s[i];
	}
	return true;
}
#endif

void writer_text(struct writer *w, const char *s, size_t n)
{
	if (UNLIKELY(!writer_room(w, n)))
		return;
	if (LIKELY(copy_clean(w->p, s, n)))
		w->p += n;
	else
		escape_text(w, s, n);
}

void writer_attr(struct writer *w, const char *s)
{
	escape(w, s, strlen(s));
}

static const char pairs[] = "00010203040506070809101112131415161718192021222324"
			    "25262728293031323334353637383940414243444546474849"
			    "50515253545556575859606162636465666768697071727374"
			    "75767778798081828384858687888990919293949596979899";

void writer_u64(struct writer *w, uint64_t u)
{
	char tmp[20], *at = tmp + sizeof(tmp);

	if (UNLIKELY(!writer_room(w, 20)))
		return;
	if (u < 10) {
		*w->p++ = (char)('0' + u);
		return;
	}
	while (u >= 100) {
		at -= 2;
		memcpy(at, pairs + u % 100 * 2, 2);
		u /= 100;
	}
	if (u >= 10) {
		at -= 2;
		memcpy(at, pairs + u * 2, 2);
	} else {
		*--at = (char)('0' + u);
	}
	memcpy(w->p, at, (size_t)(tmp + sizeof(tmp) - at));
	w->p += tmp + sizeof(tmp) - at;
}

static void real(struct writer *w, const struct cim_value *v)
{
	char text[40];
	int n;

	if (isnan(v->r)) {
		writer_lit(w, "NaN");
	} else if (isinf(v->r)) {
		writer_str(w, v->r < 0 ? "-INF" : "INF");
	} else {
		n = snprintf(text, sizeof(text), v->type == CIM_REAL32 ? "%.9g" : "%.17g", v->r);
		/* DSP0201 §5.2.4.3: the point is not optional */
		if (!strpbrk(text, ".e"))
			memcpy(text + n, ".0", 3);
		else if (!strchr(text, '.'))
			(void)snprintf(text, sizeof(text), "%.16e", v->r);
		writer_str(w, text);
	}
}

static void char16(struct writer *w, uint64_t u)
{
	char c[3];
	size_t n;

	if (u < 0x80) {
		c[0] = (char)u;
		n = 1;
	} else if (u < 0x800) {
		c[0] = (char)(0xc0 | u >> 6);
		c[1] = (char)(0x80 | (u & 0x3f));
		n = 2;
	} else {
		c[0] = (char)(0xe0 | (u >> 12 & 0xf));
		c[1] = (char)(0x80 | (u >> 6 & 0x3f));
		c[2] = (char)(0x80 | (u & 0x3f));
		n = 3;
	}
	writer_text(w, c, n);
}

void writer_scalar(struct writer *w, const struct cim_value *v)
{
	switch ((enum cim_type)v->type) {
	case CIM_STRING:
	case CIM_DATETIME:
	case CIM_UNTYPED:
		writer_text(w, v->s, v->n);
		break;
	case CIM_UINT8:
	case CIM_UINT16:
	case CIM_UINT32:
	case CIM_UINT64:
		writer_u64(w, v->u);
		break;
	case CIM_BOOLEAN:
		if (v->u)
			writer_lit(w, "TRUE");
		else
			writer_lit(w, "FALSE");
		break;
	case CIM_SINT8:
	case CIM_SINT16:
	case CIM_SINT32:
	case CIM_SINT64:
		if (v->i < 0)
			writer_lit(w, "-");
		writer_u64(w, v->i < 0 ? ~(uint64_t)v->i + 1 : (uint64_t)v->i);
		break;
	case CIM_REAL32:
	case CIM_REAL64:
		real(w, v);
		break;
	case CIM_CHAR16:
		char16(w, v->u);
		break;
	case CIM_REF:
	case CIM_OBJECT:
	case CIM_N_TYPES:
		break;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "scsi/sense.h"

#include "scsi/be.h"

enum { CURRENT_FIXED = 0x70, CURRENT_DESCRIPTOR = 0x72, SKSV = 0x80 };

/* The three sense-key specific bytes (SPC-4 4.5.2.4), all zero when there is nothing to say. */
static bool specific(uint8_t out[3], const struct sense_extra *x)
{
	if (x->has_field) {
		out[0] = (uint8_t)(SKSV | (x->field_in_cdb ? 0x40 : 0) |
				   (x->bit_valid ? 0x08 | x->bit : 0));
		be_put16(out + 1, x->field);
		return true;
	}
	if (x->has_progress) {
		out[0] = SKSV;
		be_put16(out + 1, x->progress);
		return true;
	}
	return false;
}

static uint8_t write_fixed(uint8_t *p, enum sense_key key, enum sense_code code,
			   const struct sense_extra *x)
{
	memset(p, 0, 18);
	p[0] = CURRENT_FIXED;
	p[2] = (uint8_t)key;
	/* VALID says that INFORMATION means what the standard defines; what does not fit isn't. */
	if (x->has_information && x->information <= UINT32_MAX) {
		p[0] |= 0x80;
		be_put32(p + 3, (uint32_t)x->information);
	}
	p[7] = 18 - 8;
	be_put16(p + 12, (uint16_t)code);
	(void)specific(p + 15, x);
	return 18;
}

static uint8_t write_descriptor(uint8_t *p, enum sense_key key, enum sense_code code,
				const struct sense_extra *x)
{
	uint8_t n = 8, sks[3] = {0};

	memset(p, 0, 8 + 12 + 8);
	p[0] = CURRENT_DESCRIPTOR;
	p[1] = (uint8_t)key;
	be_put16(p + 2, (uint16_t)code);
	if (x->has_information) {
		p[n + 1] = 0x0a;
		p[n + 2] = 0x80;
		be_put64(p + n + 4, x->information);
		n = (uint8_t)(n + 12);
	}
	if (specific(sks, x)) {
		p[n] = 0x02;
		p[n + 1] = 0x06;
		memcpy(p + n + 4, sks, sizeof(sks));
		n = (uint8_t)(n + 8);
	}
	p[7] = (uint8_t)(n - 8);
	return n;
}

uint8_t sense_write(uint8_t *p, enum sense_format format, enum sense_key key, enum sense_code code,
		    const struct sense_extra *extra)
{
	static const struct sense_extra none;

	if (!extra)
		extra = &none;
	return format == SENSE_DESCRIPTOR ? write_descriptor(p, key, code, extra)
					  : write_fixed(p, key, code, extra);
}

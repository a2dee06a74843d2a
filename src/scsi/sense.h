/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sense.h - sense keys and additional sense codes, and how they become bytes (SPC-4 4.5)
 *
 * An additional sense code is written as one number, ASC << 8 | ASCQ, so that the
 * tables of SPC-4 annex F can be searched for it.
 *
 * Depends on: base.  Threads: no state.
 */
#pragma once

#include "base/base.h"

enum sense_key {
	NO_SENSE = 0x0,
	NOT_READY = 0x2,
	MEDIUM_ERROR = 0x3,
	HARDWARE_ERROR = 0x4,
	ILLEGAL_REQUEST = 0x5,
	UNIT_ATTENTION = 0x6,
	DATA_PROTECT = 0x7,
	COPY_ABORTED = 0xa,
	ABORTED_COMMAND = 0xb,
	MISCOMPARE = 0xe,
};

enum sense_code {
	NO_ADDITIONAL_SENSE = 0x0000,
	NOT_READY_SANITIZE_IN_PROGRESS = 0x041b,
	THIRD_PARTY_DEVICE_FAILURE = 0x0d01,
	COPY_TARGET_DEVICE_UNREACHABLE = 0x0d02,
	INCORRECT_COPY_TARGET_TYPE = 0x0d03,
	WRITE_ERROR = 0x0c00,
	INVALID_FIELD_IN_INFORMATION_UNIT = 0x0e03,
	UNRECOVERED_READ_ERROR = 0x1100,
	PARAMETER_LIST_LENGTH_ERROR = 0x1a00,
	MISCOMPARE_DURING_VERIFY = 0x1d00,
	INVALID_OPERATION_CODE = 0x2000,
	LBA_OUT_OF_RANGE = 0x2100,
	UNSUPPORTED_TOKEN_TYPE = 0x2301,
	INVALID_TOKEN_UNKNOWN = 0x2304,
	INVALID_TOKEN_CORRUPT = 0x2305,
	INVALID_TOKEN_REVOKED = 0x2306,
	INVALID_TOKEN_LENGTH = 0x230a,
	INVALID_FIELD_IN_CDB = 0x2400,
	LOGICAL_UNIT_NOT_SUPPORTED = 0x2500,
	INVALID_FIELD_IN_PARAMETER_LIST = 0x2600,
	TOO_MANY_TARGET_DESCRIPTORS = 0x2606,
	UNSUPPORTED_TARGET_DESCRIPTOR = 0x2607,
	TOO_MANY_SEGMENT_DESCRIPTORS = 0x2608,
	UNSUPPORTED_SEGMENT_DESCRIPTOR = 0x2609,
	INVALID_RELEASE = 0x2604,
	WRITE_PROTECTED = 0x2700,
	SOFTWARE_WRITE_PROTECTED = 0x2702,
	SPACE_ALLOCATION_FAILED = 0x2707,
	RESET_OCCURRED = 0x2900,
	BUS_DEVICE_RESET_OCCURRED = 0x2903,
	MODE_PARAMETERS_CHANGED = 0x2a01,
	RESERVATIONS_PREEMPTED = 0x2a03,
	RESERVATIONS_RELEASED = 0x2a04,
	REGISTRATIONS_PREEMPTED = 0x2a05,
	CAPACITY_DATA_CHANGED = 0x2a09,
	COMMANDS_CLEARED_BY_ANOTHER_INITIATOR = 0x2f00,
	SANITIZE_COMMAND_FAILED = 0x3103,
	SAVING_PARAMETERS_NOT_SUPPORTED = 0x3900,
	REPORTED_LUNS_DATA_CHANGED = 0x3f0e,
	INTERNAL_TARGET_FAILURE = 0x4400,
	INSUFFICIENT_REGISTRATION_RESOURCES = 0x5504,
	INSUFFICIENT_RESOURCES = 0x5503,
};

enum sense_format { SENSE_FIXED, SENSE_DESCRIPTOR };

/* What one sense says besides key and code; zeroed means "nothing more". */
struct sense_extra {
	bool has_information;
	uint64_t information; /* LBA, or the offset of a miscompare */
	/* Sense-key specific: field pointer (ILLEGAL REQUEST) or progress (NOT READY, NO SENSE). */
	bool has_field, field_in_cdb, has_progress;
	uint16_t field, progress;
	bool bit_valid;
	uint8_t bit;
};

/* Write the sense into p (at least 64 bytes) and return its length. */
uint8_t sense_write(uint8_t *p, enum sense_format format, enum sense_key key, enum sense_code code,
		    const struct sense_extra *extra);

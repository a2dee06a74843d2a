/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h - a CIM operation as a CIM-XML request message, the client's side (DSP0200 §5, §6)
 *
 * Depends on: base cim.  Threads: no state.
 */
#pragma once

#include "base/buf.h"
#include "cim/request.h"

/*
 * The whole message.  What is NULL or unset in rq is left out.  Values may be typed or
 * CIM_UNTYPED text; a method's parameters are written with the type they claim, or have.
 * false: past out's maximum.
 */
bool cimxml_call(struct buf *out, const struct cim_request *rq) MUST_CHECK;
/* The values of the headers CIMMethod and CIMObject, percent-encoded; NULL: arena full. */
const char *cimxml_call_method(struct arena *a, const struct cim_request *rq);
const char *cimxml_call_object(struct arena *a, const struct cim_request *rq);

/* SPDX-License-Identifier: Apache-2.0 */
#include "tls/tls.h"

bool tls_is_loaded(void)
{
	return true;
}

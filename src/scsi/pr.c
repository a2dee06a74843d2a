/* SPDX-License-Identifier: Apache-2.0 */
/* Persistent reservations: what is registered and reserved, and keeping it (SPC-4 5.13). */
#include "scsi/pr.h"

#include <errno.h>

#include "scsi/op.h"

void pr_state_done(struct pr_state *pr)
{
	struct pr_registrant *r;

	while ((r = pr->registrants)) {
		pr->registrants = r->next;
		free(r->initiator_port);
		free(r->target_port);
		free(r);
	}
	*pr = (struct pr_state){0};
}

int pr_state_load(struct scsi_lu *lu, const void *p, size_t len, struct err *e)
{
	(void)lu;
	(void)p;
	return len ? err_set(e, -EPROTO, "reservations of a newer version") : 0;
}

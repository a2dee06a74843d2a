/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - the providers' module on top of control: where views come from, changes go to
 *
 * Depends on: broker, providers, control.  Threads: as provider.h asks.
 */
#pragma once

#include "control/control.h"
#include "providers/providers.h"

struct model {
	struct prov_module module;
	struct control *control;
};

/* m must stay where it is until the broker is gone; both arguments are borrowed. */
void model_init(struct model *m, struct control *control, const struct providers_server *server);

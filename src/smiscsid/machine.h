/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - who made the machine, as its firmware says (DMI, below /sys/class/dmi/id)
 *
 * Depends on: base.  Threads: no state.
 */
#pragma once

enum { MACHINE_TEXT_MAX = 128 };

/* "" where the firmware says nothing, or only what it says when nobody filled it in. */
struct machine {
	char manufacturer[MACHINE_TEXT_MAX], model[MACHINE_TEXT_MAX], serial[MACHINE_TEXT_MAX];
};
/* dir NULL: /sys/class/dmi/id.  The serial number is for root only, as a rule. */
void machine_read(const char *dir, struct machine *ret);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.h - OperationalStatus values in words, and the health they mean
 *
 * Depends on: cim.  Threads: no state.
 */
#pragma once

#include "cim/cim.h"

/* "OK", "Lost Communication", ...; NULL beyond the documented values. */
const char *sm_status_name(uint16_t status);
/* The worst health of an OperationalStatus array: 0 healthy, 1 warning, 2 unhealthy; -1 when it
 * says nothing (absent, empty, only Unknown or Other). */
int sm_health(const struct cim_value *status);
const char *sm_health_name(int health);
/* CIM_StorageClientSettingData.ClientTypes and MSFT_SM*.HostTypes. */
const char *sm_host_type_name(uint16_t type);
/* CIM_StorageHardwareID.IDType. */
const char *sm_id_type_name(uint16_t type);

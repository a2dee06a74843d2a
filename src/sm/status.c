/* SPDX-License-Identifier: Apache-2.0 */
#include "sm/status.h"

enum { SAYS_NOTHING = -1, HEALTHY, WARNING, UNHEALTHY };

static const struct {
	const char *name;
	int health;
} statuses[] = {
	{"Unknown",		    SAYS_NOTHING},
	{"Other",		      SAYS_NOTHING},
	{"OK",			 HEALTHY     },
	{"Degraded",                   WARNING     },
	{"Stressed",                   WARNING     },
	{"Predictive Failure",         WARNING     },
	{"Error",		      UNHEALTHY   },
	{"Non-Recoverable Error",      UNHEALTHY   },
	{"Starting",                   WARNING     },
	{"Stopping",                   WARNING     },
	{"Stopped",		    UNHEALTHY   },
	{"In Service",                 HEALTHY     },
	{"No Contact",                 UNHEALTHY   },
	{"Lost Communication",         UNHEALTHY   },
	{"Aborted",		    UNHEALTHY   },
	{"Dormant",		    WARNING     },
	{"Supporting Entity in Error", UNHEALTHY   },
	{"Completed",                  HEALTHY     },
	{"Power Mode",                 HEALTHY     },
};

const char *sm_status_name(uint16_t status)
{
	return status < ARRAY_SIZE(statuses) ? statuses[status].name : NULL;
}

int sm_health(const struct cim_value *status)
{
	int worst = SAYS_NOTHING;

	for (uint32_t i = 0; status->kind == CIM_V_ARRAY && i < status->n; i++)
		if (status->a[i].u < ARRAY_SIZE(statuses) &&
		    statuses[status->a[i].u].health > worst)
			worst = statuses[status->a[i].u].health;
	return worst;
}

const char *sm_health_name(int health)
{
	static const char *const names[] = {"Healthy", "Warning", "Unhealthy"};

	return names[health];
}

const char *sm_host_type_name(uint16_t type)
{
	static const char *const names[] = {"Unknown",
					    "Other",
					    "Standard",
					    "Solaris",
					    "HPUX",
					    "OpenVMS",
					    "Tru64",
					    "Netware",
					    "Sequent",
					    "AIX",
					    "DGUX",
					    "Dynix",
					    "Irix",
					    "Cisco iSCSI Storage Router",
					    "Linux",
					    "Microsoft Windows",
					    "OS400",
					    "TRESPASS",
					    "HI-UX",
					    "VMware ESXi",
					    "Microsoft Windows Server 2008",
					    "Microsoft Windows Server 2003"};

	return type < ARRAY_SIZE(names) ? names[type] : "Vendor Specific";
}

const char *sm_id_type_name(uint16_t type)
{
	static const char *const names[] = {"Unknown",  "Other",      "PortWWN",   "NodeWWN",
					    "Hostname", "iSCSI Name", "SwitchWWN", "SAS Address"};

	return type < ARRAY_SIZE(names) ? names[type] : "Unknown";
}

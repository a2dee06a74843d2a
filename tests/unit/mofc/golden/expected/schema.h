/* Written by mofc from mof/; change it there. */
#pragma once

#include "cim/cim.h"

extern const struct cim_schema smiscsi_schema;
extern const struct cim_namespace smiscsi_ns_shop; /* root/shop */
extern const struct cim_namespace smiscsi_ns_attic; /* attic */

extern const struct cim_class cim_class_Shop_Thing;
extern const struct cim_class cim_class_Shop_Box;
extern const struct cim_class cim_class_Shop_Holds;
extern const struct cim_class cim_class_Shop_Nests;

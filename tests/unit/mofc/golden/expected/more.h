/* Written by mofc from mof/more.mof; change it there. */
#pragma once

#include "gen/schema.h"

/* ---- Shop_Holds ---- */
enum {
	Shop_Holds_P_Holder = 0,
	Shop_Holds_P_Held = 1,
};

/* ---- Shop_Nests ---- */
enum {
	Shop_Nests_P_Holder = 0,
	Shop_Nests_P_Held = 1,
};

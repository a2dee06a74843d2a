/* Written by mofc from mof/shop.mof; change it there. */
#pragma once

#include "gen/schema.h"

/* ---- Shop_Thing ---- */
enum {
	Shop_Thing_P_Name = 0,
	Shop_Thing_P_State = 1,
};
enum {
	Shop_Thing_State_Unknown = 0,
	Shop_Thing_State_On_Off = 1,
	Shop_Thing_State_On_Off_2 = 2,
};

/* ---- Shop_Box ---- */
enum {
	Shop_Box_P_Name = 0,
	Shop_Box_P_State = 1,
	Shop_Box_P_Least = 2,
	Shop_Box_P_Weight = 3,
	Shop_Box_P_Open = 4,
	Shop_Box_P_Packed = 5,
	Shop_Box_P_Sizes = 6,
	Shop_Box_P_Mark = 7,
	Shop_Box_P_Content = 8,
};
enum {
	Shop_Box_M_Put = 0,
};
enum {
	Shop_Box_Put_A_What = 0,
	Shop_Box_Put_A_Label = 1,
	Shop_Box_Put_A_Sides = 2,
};
enum {
	Shop_Box_Put_Done = 0,
	Shop_Box_Put_Invalid_Parameter = 5,
};
enum {
	Shop_Box_Put_Sides_Front = 1,
};

/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/name.h"
#include "test.h"

static const struct {
	const char *name, *normal; /* NULL: refused */
} names[] = {
	{"iqn.2026-01.com.example:disk",         "iqn.2026-01.com.example:disk"        },
	{"IQN.2026-01.COM.Example:DISK",         "iqn.2026-01.com.example:disk"        },
	{"iqn.2026-01.com.example",              "iqn.2026-01.com.example"             },
	{"iqn.2008-11.org.linux-kvm:a_b",        "iqn.2008-11.org.linux-kvm:a_b"       },
	{"iqn.2026-01.com.example:\xc3\x84",     "iqn.2026-01.com.example:\xc3\xa4"    },
	{"eui.02004567A425678D",                 "eui.02004567a425678d"                },
	{"naa.52004567BA64678D",                 "naa.52004567ba64678d"                },
	{"naa.62004567BA64678D0123456789ABCDEF", "naa.62004567ba64678d0123456789abcdef"},
	{"",				     NULL				  },
	{"iqn.",				 NULL				  },
	{"iqn.2026-1.com",                       NULL				  },
	{"iqn.2026-01.",			 NULL				  },
	{"iqn.2026-01.:x",                       NULL				  },
	{"iqn.2026-01.com.example:a b",          NULL                                  },
	{"iqn.2026-01.com.example:a/b",          NULL                                  },
	{"iqn.2026-01.com.example:\x01",         NULL                                  },
	{"iqn.2026-01.com.example:\xff",         NULL                                  },
	{"eui.123",			      NULL				  },
	{"naa.123",			      NULL				  },
	{"eui.02004567A425678G",                 NULL                                  },
	{"foo",				  NULL				  },
};

TEST(names_are_normalised_or_refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char got[ISCSI_NAME_MAX + 1] = "";
		struct err e;
		int r = iscsi_name_normalise(names[i].name, got, &e);

		printf("# %s\n", names[i].name);
		CHECK_INT(r == 0, names[i].normal != NULL);
		CHECK_STR(got, names[i].normal ? names[i].normal : "");
	}
}

TEST(a_name_has_223_bytes_at_most)
{
	char name[225] = "iqn.2026-01.com.example:", got[ISCSI_NAME_MAX + 1];
	struct err e;

	memset(name + strlen(name), 'x', 223 - strlen(name));
	CHECK_INT(iscsi_name_normalise(name, got, &e), 0);
	name[223] = 'x';
	CHECK(iscsi_name_normalise(name, got, &e) < 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "iscsi/chap.h"
#include "test.h"

TEST(the_first_algorithm_we_have_is_chosen)
{
	CHECK_INT(iscsi_chap_choose("5"), ISCSI_CHAP_MD5);
	CHECK_INT(iscsi_chap_choose("99,9,8,7,5"), ISCSI_CHAP_SHA3_256);
	CHECK_INT(iscsi_chap_choose("7,5"), ISCSI_CHAP_SHA256);
	CHECK_INT(iscsi_chap_choose("6,5"), ISCSI_CHAP_SHA1);
	CHECK_INT(iscsi_chap_choose("9"), ISCSI_CHAP_NONE);
	CHECK_INT(iscsi_chap_choose(""), ISCSI_CHAP_NONE);
	CHECK_INT(iscsi_chap_choose("5 ,x,,261"), ISCSI_CHAP_NONE);
}

static void check_response(enum iscsi_chap_algorithm a, const char *want)
{
	/* printf '\x17secretsecret\x01\x02\x03' | md5sum, sha1sum, sha256sum, openssl sha3-256 */
	uint8_t out[ISCSI_CHAP_HASH_MAX];
	char text[2 * ISCSI_CHAP_HASH_MAX + 3];
	size_t n = iscsi_chap_response(a, 0x17, "secretsecret", (const uint8_t *)"\1\2\3", 3, out);

	iscsi_binary_print(out, n, text);
	CHECK_STR(text, want);
}

TEST(responses_are_hashes_of_id_secret_and_challenge)
{
	check_response(ISCSI_CHAP_MD5, "0xd13e5f6eed7f03f2d5475bf0a3bf7b03");
	check_response(ISCSI_CHAP_SHA1, "0x270e7e07bd22bd5e49f7d1560b4227e5507d7fe8");
	check_response(ISCSI_CHAP_SHA256,
		       "0x6d12fb52c9273a7cfd198a6dcf9ac18efb4996c6e7f0ebe37be3d356372d784a");
	check_response(ISCSI_CHAP_SHA3_256,
		       "0x3abde7d52f2e2045b2beb24af30741a23a7dfb03a3bef7ef70c73911b7e304ff");
}

static const struct {
	const char *text;
	bool ok;
	size_t n;
	uint8_t first;
} binaries[] = {
	{"0x0102",                 true,  2, 1   },
	{"0X0102",                 true,  2, 1   },
	{"0x102",		  true,  2, 1   },
	{"0xAf",		   true,  1, 0xaf},
	{"0bAQID",                 true,  3, 1   },
	{"0BAQI=",                 true,  2, 1   },
	{"0x",		     false, 0, 0   },
	{"0102",		   false, 0, 0   },
	{"0xzz",		   false, 0, 0   },
	{"0b",		     false, 0, 0   },
	{"0b!!!!",                 false, 0, 0   },
	{"",		       false, 0, 0   },
	{"0x0 1",		  false, 0, 0   },
	{"0x010203040506070809",   false, 0, 0   },
	{"0bAQIDBAUGBwgJAQIDBAUG", false, 0, 0   },
};

TEST(binary_values_are_hexadecimal_or_base64_and_fit)
{
	for (size_t i = 0; i < ARRAY_SIZE(binaries); i++) {
		uint8_t to[8] = {0};
		size_t n = 0;

		printf("# %s\n", binaries[i].text);
		CHECK_INT(iscsi_binary_parse(binaries[i].text, to, sizeof(to), &n), binaries[i].ok);
		if (binaries[i].ok) {
			CHECK_INT(n, binaries[i].n);
			CHECK_INT(to[0], binaries[i].first);
		}
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "test.h"

TEST(a_decimal_number_is_all_digits_and_fits)
{
	static const struct {
		const char *text;
		uint64_t max;
		bool ok;
		uint64_t want;
	} t[] = {
		{"0", 10, true, 0},
		{"007", 10, true, 7},
		{"11", 10, false, 0},
		{"18446744073709551615", UINT64_MAX, true, UINT64_MAX},
		{"18446744073709551616", UINT64_MAX, false, 0},
		{"99999999999999999999", UINT64_MAX, false, 0},
		{"", 10, false, 0},
		{"+1", 10, false, 0},
		{" 1", 10, false, 0},
		{"1 ", 10, false, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t v = 0;

		CHECK_INT(str_u64(t[i].text, strlen(t[i].text), t[i].max, &v), t[i].ok);
		CHECK(v == t[i].want);
	}
}

TEST(signed_numbers_reach_both_ends)
{
	int64_t v = 0;

	CHECK(str_i64("-9223372036854775808", 20, INT64_MIN, INT64_MAX, &v) && v == INT64_MIN);
	CHECK(str_i64("9223372036854775807", 19, INT64_MIN, INT64_MAX, &v) && v == INT64_MAX);
	CHECK(!str_i64("9223372036854775808", 19, INT64_MIN, INT64_MAX, &v));
	CHECK(!str_i64("-", 1, INT64_MIN, INT64_MAX, &v));
	CHECK(!str_i64("-129", 4, -128, 127, &v));
}

TEST(names_compare_without_case_and_text_with)
{
	CHECK(str_caseeq("CIM_BindsTo", "cim_bindsTO"));
	CHECK(!str_caseeq("CIM_BindsTo", "CIM_BindsT"));
	CHECK(str_caseeqn("abcdef", 3, "ABC"));
	CHECK(!str_caseeqn("abcdef", 3, "ABCD"));
	CHECK(!str_caseeqn("abcd", 4, "ABC"));
	CHECK(str_casehash("AbC", 3) == str_casehash("aBc", 3));
}

TEST(utf8_is_strict)
{
	static const struct {
		const char *text;
		bool ok, xml;
	} t[] = {
		{"plain", true, true},
		{"\xc3\xa4", true, true},
		{"\xc0\x80", false, false},         /* overlong NUL */
		{"\xed\xa0\x80", false, false},     /* surrogate */
		{"\xf4\x90\x80\x80", false, false}, /* above U+10FFFF */
		{"\xe2\x82", false, false},         /* cut off */
		{"\x01", true, false},
		{"\xef\xbf\xbe", true, false}, /* U+FFFE */
	};
	size_t chars = 0;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		CHECK_INT(str_utf8(t[i].text, strlen(t[i].text), NULL), t[i].ok);
		CHECK_INT(str_utf8_xml(t[i].text, strlen(t[i].text)), t[i].xml);
	}
	CHECK(str_utf8("a\xc3\xa4\xf0\x9f\x98\x80", 7, &chars) && chars == 3);
	CHECK(str_has_control("a\xc2\x85", 3));
	CHECK(!str_has_control("a\xc3\xa4", 3));
}

TEST(numbers_are_written_as_they_are_read)
{
	char at[20];

	CHECK_INT(str_put_u64(at, 0), 1);
	CHECK_INT(str_put_u64(at, UINT64_MAX), 20);
	CHECK(memcmp(at, "18446744073709551615", 20) == 0);
}

TEST(a_bad_byte_is_found_wherever_it_stands)
{
	static const char bad[] = {0x01, 0x1f, '\x80', '\xff'};
	char text[40];

	for (size_t n = 0; n < sizeof(text); n++)
		for (size_t at = 0; at < n; at++)
			for (size_t k = 0; k < sizeof(bad); k++) {
				memset(text, k & 1 ? ' ' : '\x7f', n);
				CHECK(str_utf8_xml(text, n));
				text[at] = bad[k];
				CHECK(!str_utf8_xml(text, n));
				CHECK_INT(str_utf8(text, n, NULL), k < 2);
			}
}

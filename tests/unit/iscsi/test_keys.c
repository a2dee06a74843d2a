/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "iscsi/keys.h"
#include "test.h"

/* One offer on a fresh wish: the answer as text, "" for none. */
static const char *offer(struct iscsi_keys *k, const char *name, const char *value)
{
	static char text[128];
	auto_buf struct buf b = buf_of(256);
	struct err e = {0};
	int r = iscsi_keys_offer(k, ISCSI_PHASE_LEADING, name, value, &b, &e);

	if (r < 0)
		return "error";
	if (r == ISCSI_KEY_IS_TEXT)
		return "text";
	(void)snprintf(text, sizeof(text), "%s", b.len ? b.p : "");
	return text;
}

static const struct {
	const char *why, *name, *value, *answer;
} answers[] = {
	{"the smaller burst wins",         "MaxBurstLength",           "131072",      "MaxBurstLength=131072"          },
	{"ours when it is smaller",        "MaxBurstLength",           "16777215",    "MaxBurstLength=1048576"         },
	{"a burst below 512 is refused",   "MaxBurstLength",           "511",         "MaxBurstLength=Reject"          },
	{"a burst above 2^24-1, too",      "MaxBurstLength",           "16777216",    "MaxBurstLength=Reject"          },
	{"hexadecimal constants count",    "MaxBurstLength",           "0x200",       "MaxBurstLength=512"             },
	{"a sign is no digit",             "MaxBurstLength",           "+512",        "MaxBurstLength=Reject"          },
	{"nor is a blank",                 "MaxBurstLength",           " 512",        "MaxBurstLength=Reject"          },
	{"nothing is no number",           "MaxBurstLength",           "",            "MaxBurstLength=Reject"          },
	{"the first burst",                "FirstBurstLength",         "65536",       "FirstBurstLength=65536"         },
	{"the longer wait wins",           "DefaultTime2Wait",         "7",           "DefaultTime2Wait=7"             },
	{"the shorter retention wins",     "DefaultTime2Retain",       "20",          "DefaultTime2Retain=0"           },
	{"an hour is the most",            "DefaultTime2Wait",         "3601",        "DefaultTime2Wait=Reject"        },
	{"no recovery",                    "ErrorRecoveryLevel",       "2",           "ErrorRecoveryLevel=0"           },
	{"there is no level 3",            "ErrorRecoveryLevel",       "3",           "ErrorRecoveryLevel=Reject"      },
	{"R2T when one side wants it",     "InitialR2T",               "Yes",         "InitialR2T=Yes"                 },
	{"none when both do without",      "InitialR2T",               "No",          "InitialR2T=No"                  },
	{"immediate data when both can",   "ImmediateData",            "Yes",         "ImmediateData=Yes"              },
	{"none when one cannot",           "ImmediateData",            "No",          "ImmediateData=No"               },
	{"a boolean is Yes or No",         "ImmediateData",            "yes",         "ImmediateData=Reject"           },
	{"in order always",                "DataPDUInOrder",           "No",          "DataPDUInOrder=Yes"             },
	{"sequences, too",                 "DataSequenceInOrder",      "No",          "DataSequenceInOrder=Yes"        },
	{"the initiator's first choice",   "HeaderDigest",             "CRC32C,None", "HeaderDigest=CRC32C"            },
	{"the other way round",            "DataDigest",               "None,CRC32C", "DataDigest=None"                },
	{"what we do not have is skipped", "DataDigest",               "MD4,CRC32C",  "DataDigest=CRC32C"              },
	{"no common value",                "DataDigest",               "MD4",         "DataDigest=Reject"              },
	{"a prefix is another value",      "DataDigest",               "CRC32",       "DataDigest=Reject"              },
	{"connections of a session",       "MaxConnections",           "100",         "MaxConnections=8"               },
	{"at least one",                   "MaxConnections",           "0",           "MaxConnections=Reject"          },
	{"outstanding R2T",                "MaxOutstandingR2T",        "1",           "MaxOutstandingR2T=1"            },
	{"a declaration has no answer",    "MaxRecvDataSegmentLength", "65536",       ""                               },
	{"but may be wrong",               "MaxRecvDataSegmentLength", "1",           "MaxRecvDataSegmentLength=Reject"},
	{"old markers: no",                "IFMarker",                 "Yes",         "IFMarker=No"                    },
	{"old marker intervals: Reject",   "OFMarkInt",                "2048~8192",   "OFMarkInt=Reject"               },
	{"RFC 7143 and no more",           "iSCSIProtocolLevel",       "2",           "iSCSIProtocolLevel=1"           },
	{"what nobody knows",              "X-com.example.a",          "1",           "X-com.example.a=NotUnderstood"  },
	{"names have a case",              "maxburstlength",           "512",         "maxburstlength=NotUnderstood"   },
	{"names are for the login",        "InitiatorName",            "x",           "text"                           },
	{"what only targets say",          "TargetAddress",            "x",           "error"                          },
	{"what is only for later",         "SendTargets",              "All",         "error"                          },
};

TEST(every_offer_has_the_answer_of_its_rule)
{
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct iscsi_keys k;

		iscsi_keys_wish(&k);
		printf("# %s\n", answers[i].why);
		CHECK_STR(offer(&k, answers[i].name, answers[i].value), answers[i].answer);
	}
}

TEST(a_refused_offer_leaves_the_default_of_the_standard)
{
	struct iscsi_keys k;

	iscsi_keys_wish(&k);
	CHECK_STR(offer(&k, "MaxBurstLength", "1"), "MaxBurstLength=Reject");
	CHECK_STR(offer(&k, "MaxOutstandingR2T", "many"), "MaxOutstandingR2T=Reject");
	CHECK_STR(offer(&k, "InitialR2T", "Maybe"), "InitialR2T=Reject");
	iscsi_keys_settle(&k);
	CHECK_INT(k.max_burst, 262144);
	CHECK_INT(k.max_r2t, 1);
	CHECK_INT(k.initial_r2t, 1);
}

TEST(a_key_is_said_once)
{
	struct iscsi_keys k;

	iscsi_keys_wish(&k);
	CHECK_STR(offer(&k, "InitialR2T", "No"), "InitialR2T=No");
	CHECK_STR(offer(&k, "InitialR2T", "No"), "error");
}

TEST(what_is_not_offered_takes_the_default_of_the_standard)
{
	struct iscsi_keys k;

	iscsi_keys_wish(&k);
	CHECK_STR(offer(&k, "MaxOutstandingR2T", "4"), "MaxOutstandingR2T=4");
	iscsi_keys_settle(&k);
	CHECK_INT(k.max_r2t, 4);
	CHECK_INT(k.initial_r2t, 1);
	CHECK_INT(k.immediate_data, 1);
	CHECK_INT(k.max_burst, 262144);
	CHECK_INT(k.first_burst, 65536);
	CHECK_INT(k.max_connections, 1);
	CHECK_INT(k.time2wait, 2);
	CHECK_INT(k.time2retain, 20);
	CHECK_INT(k.max_recv, 8192);
	CHECK_INT(k.header_digest, ISCSI_DIGEST_NONE);
	CHECK_INT(k.erl, 0);
}

TEST(the_first_burst_is_never_longer_than_any)
{
	struct iscsi_keys k;

	iscsi_keys_wish(&k);
	CHECK_STR(offer(&k, "MaxBurstLength", "1024"), "MaxBurstLength=1024");
	iscsi_keys_settle(&k);
	CHECK_INT(k.first_burst, 1024);
	iscsi_keys_wish(&k);
	CHECK_STR(offer(&k, "MaxBurstLength", "4096"), "MaxBurstLength=4096");
	CHECK_STR(offer(&k, "FirstBurstLength", "65536"), "FirstBurstLength=4096");
	iscsi_keys_wish(&k); /* what was answered before the limit was known holds */
	CHECK_STR(offer(&k, "FirstBurstLength", "65536"), "FirstBurstLength=65536");
	CHECK_STR(offer(&k, "MaxBurstLength", "4096"), "MaxBurstLength=4096");
	iscsi_keys_settle(&k);
	CHECK_INT(k.first_burst, 65536);
}

TEST(a_later_connection_may_not_negotiate_for_the_session)
{
	auto_buf struct buf b = buf_of(256);
	struct iscsi_keys k;
	struct err e;

	iscsi_keys_wish(&k);
	CHECK_INT(iscsi_keys_offer(&k, ISCSI_PHASE_LOGIN, "MaxBurstLength", "512", &b, &e),
		  -EPROTO);
	CHECK_INT(iscsi_keys_offer(&k, ISCSI_PHASE_LOGIN, "HeaderDigest", "CRC32C", &b, &e), 0);
	CHECK_INT(iscsi_keys_offer(&k, ISCSI_PHASE_FULL_FEATURE, "DataDigest", "None", &b, &e),
		  -EPROTO);
}

struct seen {
	int n;
	bool digest;
};

static void see(void *ctx, const char *name, const char *value)
{
	struct seen *s = ctx;

	s->n++;
	s->digest |= streq(name, "DataDigest") && streq(value, "CRC32C");
}

TEST(the_agreement_can_be_read_back_by_its_names)
{
	struct seen s = {0};
	struct iscsi_keys k;

	iscsi_keys_wish(&k);
	CHECK_STR(offer(&k, "DataDigest", "CRC32C"), "DataDigest=CRC32C");
	iscsi_keys_each(&k, see, &s);
	CHECK_INT(s.n, 16);
	CHECK(s.digest);
}

static int pairs(const char *text, size_t n)
{
	char copy[512], *at = copy;
	const char *name, *value;
	struct err e;
	int r, count = 0;

	memcpy(copy, text, n);
	while ((r = iscsi_text_next(&at, copy + n, &name, &value, &e)) > 0)
		count++;
	return r < 0 ? r : count;
}

TEST(text_is_pairs_that_end_with_nul)
{
	CHECK_INT(pairs("", 0), 0);
	CHECK_INT(pairs("a=b\0c=d", 8), 2);
	CHECK_INT(pairs("a=\0", 3), 1);
	CHECK_INT(pairs("a=b=c\0", 6), 1);
	CHECK_INT(pairs("a=b\0\0\0\0", 7), 1);
	CHECK_INT(pairs("a=b", 3), -EPROTO);
	CHECK_INT(pairs("=b\0", 3), -EPROTO);
	CHECK_INT(pairs("ab\0", 3), -EPROTO);
	CHECK_INT(pairs("a=b\0\0c=d", 9), -EPROTO);
}

TEST(names_and_values_have_their_longest)
{
	char text[400];

	memset(text, 'x', sizeof(text));
	text[63] = '=';
	text[64 + 255] = '\0';
	CHECK_INT(pairs(text, 64 + 256), 1);
	text[64 + 255] = 'x';
	text[64 + 256] = '\0';
	CHECK_INT(pairs(text, 64 + 257), -EPROTO);
	text[63] = 'x';
	text[64] = '=';
	text[70] = '\0';
	CHECK_INT(pairs(text, 71), -EPROTO);
}

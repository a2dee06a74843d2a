/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/lio/facts.h"
#include "test.h"

/* As Linux 6.1 wrote it. */
static const char session_text[] =
	"InitiatorName: iqn.x:one\n"
	"InitiatorAlias: my disk box\n"
	"LIO Session ID: 3   ISID: 0x80 00 00 07 00 0a  TSIH: 4  SessionType: Normal\n"
	"Session State: TARG_SESS_STATE_LOGGED_IN\n"
	"---------------------[iSCSI Session Values]-----------------------\n"
	"  CmdSN/WR  :  CmdSN/WC  :  ExpCmdSN  :  MaxCmdSN  :     ITT    :     TTT\n"
	" 0x00000040   0x00000040   0x4bb88147   0x4bb88186   0xdbbfa761   0x00000000\n"
	"----------------------[iSCSI Connections]-------------------------\n"
	"CID: 0  Connection State: TARG_CONN_STATE_LOGGED_IN\n"
	"   Address 127.0.0.1 TCP  StatSN: 0xc73b11da\n"
	"CID: 7  Connection State: TARG_CONN_STATE_LOGGED_IN\n"
	"   Address fd77::2 TCP  StatSN: 0xc73b11da\n";

TEST(a_session_is_read_whole)
{
	struct facts_session f;

	CHECK(facts_session(session_text, &f));
	CHECK_STR(f.initiator, "iqn.x:one");
	CHECK_STR(f.alias, "my disk box");
	CHECK_INT(f.number, 3);
	CHECK_STR(f.isid, "80000007000A");
	CHECK_INT(f.tsih, 4);
	CHECK(!f.discovery);
	CHECK(f.logged_in);
	CHECK_INT(f.n_connections, 2);
	CHECK_STR(f.connections[0].peer, "127.0.0.1");
	CHECK_INT(f.connections[1].cid, 7);
	CHECK_STR(f.connections[1].peer, "fd77::2");
}

TEST(what_is_no_session_is_none)
{
	static const char *const texts[] = {
		"No active iSCSI Session for Initiator Endpoint: iqn.x:one\n",
		"",
		"\n",
		"InitiatorName: \n",
		"InitiatorName",
		"CID: 1\n   Address 127.0.0.1 TCP\n"};
	struct facts_session f;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		CHECK(!facts_session(texts[i], &f));
}

TEST(half_a_session_is_what_was_there)
{
	struct facts_session f;

	CHECK(facts_session("InitiatorName: iqn.x:one\nLIO Session ID: 3   ISID: 0x80 00 0", &f));
	CHECK_STR(f.isid, "");
	CHECK(!f.logged_in);
	CHECK(facts_session("InitiatorName: iqn.x:one\nSession State: TARG_SESS_STATE_FAILED\n"
			    "CID: 1  Connection\n   Address somewhere TCP\n",
			    &f));
	CHECK(!f.logged_in);
	CHECK_STR(f.connections[0].peer, "");
}

TEST(a_file_and_its_size_are_found)
{
	static const struct {
		const char *text, *file;
		uint64_t size;
	} rows[] = {
		{"Status: ACTIVATED  Max Queue Depth: 0  SectorSize: 512  HwMaxSectors: 16384\n"
		 "        TCM FILEIO ID: 0        File: /u/a b.img  Size: 16777216  Mode: "
		 "Buffered-WCE Async: 0\n",			 "/u/a b.img", 16777216},
		{"        TCM FILEIO ID: 0        File:   Size: 0  Mode: O_DSYNC\n", NULL,         0       },
		{"Status: DEACTIVATED\n",					    NULL,         0       },
		{" File: /u/x\n  Size: 4\n",                                         NULL,         0       },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct facts_unit u;
		bool ok = facts_unit(rows[i].text, &u);

		CHECK_INT(ok, rows[i].file != NULL);
		if (ok) {
			CHECK_STR(u.file, rows[i].file);
			CHECK_INT(u.size, rows[i].size);
		}
	}
}

TEST(a_unit_on_a_device_is_known_by_its_path)
{
	static const struct {
		const char *text, *path;
	} rows[] = {
		{"Status: ACTIVATED  Max Queue Depth: 128  SectorSize: 512  HwMaxSectors: 8\n"
		 "        iBlock device: loop0  UDEV PATH: /dev/disk/by-id/x  readonly: 0\n"
		 "        Major: 7 Minor: 0  CLAIMED: IBLOCK\n",
		 "/dev/disk/by-id/x"},
		{"        iBlock device: loop0  readonly: 0\n", NULL},
		{"  UDEV PATH:   readonly: 0\n",                NULL},
		{"  UDEV PATH: /dev/x\n  readonly: 0\n",        NULL},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct facts_unit u;
		bool ok = facts_unit_on_device(rows[i].text, &u);

		CHECK_INT(ok, rows[i].path != NULL);
		if (ok)
			CHECK_STR(u.file, rows[i].path);
	}
}

TEST(names_are_told_apart_by_NUL_and_newline)
{
	static const char text[] = "iqn.x:two\n\0iqn.x:one\n\0\n\0iqn.x:three";
	char name[SAN_IQN_MAX + 1], all[128] = "";
	size_t at = 0;

	while (facts_next_name(text, sizeof(text) - 1, &at, name)) {
		strcat(all, name);
		strcat(all, ";");
	}
	CHECK_STR(all, "iqn.x:two;iqn.x:one;iqn.x:three;");
}

TEST(registrations_come_one_by_one_and_whole)
{
	static const char text[] = "PR_REG_START: 0\na=1\nb=2\nPR_REG_END: 0\n"
				   "PR_REG_START: 1\nc=3\nPR_REG_END: 1\nPR_REG_START: 2\nd=";
	char one[16];
	size_t at = 0;

	CHECK(facts_next_registration(text, &at, one, sizeof(one)));
	CHECK_STR(one, "a=1\nb=2");
	CHECK(facts_next_registration(text, &at, one, sizeof(one)));
	CHECK_STR(one, "c=3");
	CHECK(!facts_next_registration(text, &at, one, sizeof(one)));
	at = 0;
	CHECK(!facts_next_registration(text, &at, one, 4));
	at = 0;
	CHECK(!facts_next_registration("PR_REG_START: 0\nPR_REG_END: 0\n", &at, one, sizeof(one)));
}

TEST(a_name_that_is_too_long_is_left_out)
{
	char text[512], name[SAN_IQN_MAX + 1];
	size_t at = 0;

	memset(text, 'a', sizeof(text));
	text[300] = '\n';
	memcpy(text + 301, "b\n", 2);
	CHECK(facts_next_name(text, 303, &at, name));
	CHECK_STR(name, "b");
	CHECK(!facts_next_name(text, 303, &at, name));
}

TEST(a_counter_is_read_up_to_its_end)
{
	CHECK_INT(facts_number("17\n"), 17);
	CHECK_INT(facts_number(""), 0);
	CHECK_INT(facts_number("none"), 0);
	CHECK_INT(facts_number("99999999999999999999"), 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every code of every method.  Each row breaks the check it is named after and, where that can
 * be said at once, the later ones too: so the order is tested as well.
 */
#include "fixture.h"

enum { NONE, OTHER, GONE, OK }; /* how a row names its reference */

static struct san_ref how(int kind, uint64_t id)
{
	return (struct san_ref){.kind = (enum san_ref_kind)kind, .id = id, .text = "X"};
}

TEST(create_node)
{
	static char long_alias[3 * 130];
	static const struct {
		const char *name, *alias;
		bool off;
		uint32_t code;
	} rows[] = {
		{"4096: not supported, before the alias is looked at", NULL,                 true,  4096},
		{"5: no alias",					NULL,                 false, 5   },
		{"5: empty",					   "",                   false, 5   },
		{"5: control character",                               "a\tb",               false, 5   },
		{"5: C1 control character",                            "a\xc2\x85",          false, 5   },
		{"5: 129 characters",                                  long_alias,           false, 5   },
		{"4097: taken",					"a",                  false, 4097},
		{"4097: taken in another normalisation",               "e\xcc\x81t\xc3\xa9", false, 4097},
		{"case makes another alias",                           "A",                  false, 0   },
		{"128 characters of three bytes",                      long_alias + 3,       false, 0   },
	};
	struct box x;

	for (size_t i = 0; i < 129; i++)
		memcpy(long_alias + 3 * i, "\xe4\xb8\xad", 3);
	box_new(&x);
	(void)box_node(&x, "\xc3\xa9te\xcc\x81");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct san_changes auto_changes ch = {0};
		struct san_create_node_in in = {rows[i].alias};
		struct san_created out;

		x.s->settings->node_creation = !rows[i].off;
		box_check(&x, rows[i].name, san_create_node(x.s, &box_env, &in, &ch, &out, &x.e),
			  rows[i].code, &ch);
	}
	box_done(&x);
}

TEST(names_made_for_nodes_are_folded_and_unique)
{
	static const struct {
		const char *alias, *iqn;
	} rows[] = {
		{"Mail Server_2",            "iqn.2026-11.test:host.example:mail-server-2"},
		{"mail server 2",            NULL					 }, /* folds to the same: told apart by a number */
		{"\xc3\x89t\xc3\xa9",        "iqn.2026-11.test:host.example:ete"          },
		{"\xe4\xb8\xad\xe6\x96\x87", "iqn.2026-11.test:host.example:node"         },
		{"\xe6\x96\x87",             NULL					 },
	};
	struct box x;

	box_new(&x);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct san_node *n = san_node(x.s, box_node(&x, rows[i].alias));
		char norm[SAN_IQN_MAX + 1];
		struct err e;

		CHECK_INT(san_iqn_check(n->iqn->s, norm, &e), 0);
		CHECK_STR(norm, n->iqn->s);
		if (rows[i].iqn)
			CHECK_STR(n->iqn->s, rows[i].iqn);
	}
	box_done(&x);
}

TEST(create_named_node)
{
	static const struct {
		const char *name, *iqn, *alias;
		bool off;
		uint32_t code;
	} rows[] = {
		{"7: not supported", NULL,                                   NULL,  true,  SAN_REFUSED_NOT_SUPPORTED},
		{"4: no name",       NULL,                                   "",    false, SAN_REFUSED_INVALID      },
		{"4: no iSCSI name", "foo",                                  "",    false, SAN_REFUSED_INVALID      },
		{"4: month 13",      "iqn.2026-13.x",                        NULL,  false, SAN_REFUSED_INVALID      },
		{"4: a blank",       "iqn.2026-11.x:a b",                    NULL,  false, SAN_REFUSED_INVALID      },
		{"4: bad alias",     "iqn.2026-11.x:n",                      "",    false, SAN_REFUSED_INVALID      },
		{"11: name taken",   "IQN.2026-11.TEST:Host.Example:A",      "new", false,
		 SAN_REFUSED_EXISTS										 },
		{"11: alias taken",  "iqn.2026-11.x:n",                      "b",   false, SAN_REFUSED_EXISTS       },
		{"eui",              "eui.02004567A425678D",                 "n",   false, 0                        },
		{"naa of 32",        "naa.52004567BA64678D52004567BA64678D", "n",   false, 0                        },
		{"its own name",     "iqn.2026-11.x:n",                      NULL,  false, 0                        },
	};
	struct box x;

	box_new(&x);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct san_changes auto_changes ch = {0};
		struct san_create_named_node_in in = {rows[i].iqn, rows[i].alias};
		struct san_created out;

		x.s->settings->node_creation = !rows[i].off;
		box_check(&x, rows[i].name,
			  san_create_named_node(x.s, &box_env, &in, &ch, &out, &x.e), rows[i].code,
			  &ch);
	}
	box_done(&x);
}

TEST(names_that_others_have_in_the_kernel_are_taken)
{
	static const struct san_seen_foreign theirs[] = {
		{SAN_FOREIGN_TARGET, true, "IQN.2026-11.x:Theirs", "192.0.2.1:3260,1", "fileio_0/a"},
		{SAN_FOREIGN_STORE, true, "fileio_0/a", "/x", ""},
	};
	struct san_changes auto_changes ch = {0};
	struct san_changes auto_changes again = {0};
	struct san_changes auto_changes gone = {0};
	struct san_created out;
	char name[SAN_IQN_MAX + 1];
	struct box x;

	box_new(&x);
	(void)snprintf(name, sizeof(name), "%s", san_node(x.s, box_node(&x, "free"))->iqn->s);
	san_foreign_seen(x.s, theirs, 2, &ch);
	CHECK_INT(ch.n, 2);
	CHECK(!san_changes_are_durable(&ch));
	box_apply(&x, &ch);
	CHECK_INT(san_invariants(x.s, &x.e), 0);
	CHECK_INT(san_count(x.s, SAN_FOREIGNS), 2);
	san_foreign_seen(x.s, theirs, 2, &again);
	CHECK_INT(again.n, 0);
	CHECK_INT(san_create_named_node(
			  x.s, &box_env,
			  &(struct san_create_named_node_in){"iqn.2026-11.x:theirs", NULL}, &again,
			  &out, &x.e),
		  11);
	CHECK(strstr(x.e.text, "another tool") != NULL);
	CHECK_INT(again.n, 0);
	/* What is made from an alias steps aside. */
	{
		struct san_changes auto_changes taken = {0};
		auto_free char *other = xasprintf("%s2", name);
		const struct san_seen_foreign now = {SAN_FOREIGN_TARGET, false, other, "", ""};
		uint64_t id;

		san_foreign_seen(x.s, &now, 1, &taken);
		CHECK_INT(taken.n, 3);
		box_apply(&x, &taken);
		id = box_node(&x, "free2");
		CHECK(!streq(san_node(x.s, id)->iqn->s, other));
		CHECK(strncmp(san_node(x.s, id)->iqn->s, other, strlen(other)) == 0);
	}
	san_foreign_seen(x.s, NULL, 0, &gone);
	box_apply(&x, &gone);
	CHECK_INT(san_count(x.s, SAN_FOREIGNS), 0);
	box_done(&x);
}

TEST(rename_node_and_group)
{
	struct box x;

	box_new(&x);
	{
		struct san_changes auto_changes ch = {0};
		uint64_t first = san_default_group(x.s)->obj.id;
		char long_[SAN_ALIAS_MAX + 2];

		memset(long_, 'x', sizeof(long_) - 1);
		long_[sizeof(long_) - 1] = '\0';
		box_check(&x, "6: no such node", san_rename_node(x.s, 99999, "n", &ch, &x.e),
			  SAN_REFUSED_NOT_FOUND, &ch);
		box_check(&x, "4: no alias", san_rename_node(x.s, x.a, NULL, &ch, &x.e),
			  SAN_REFUSED_INVALID, &ch);
		box_check(&x, "4: empty", san_rename_node(x.s, x.a, "", &ch, &x.e),
			  SAN_REFUSED_INVALID, &ch);
		box_check(&x, "4: too long", san_rename_node(x.s, x.a, long_, &ch, &x.e),
			  SAN_REFUSED_INVALID, &ch);
		box_check(&x, "11: another's", san_rename_node(x.s, x.a, "b", &ch, &x.e),
			  SAN_REFUSED_EXISTS, &ch);
		CHECK_INT(san_rename_node(x.s, x.a, "a", &ch, &x.e), 0);
		CHECK_INT(ch.n, 0); /* its own: nothing changes */
		box_check(&x, "6: no such group", san_rename_group(x.s, x.a, "g", &ch, &x.e),
			  SAN_REFUSED_NOT_FOUND, &ch);
		box_check(&x, "4: no name", san_rename_group(x.s, x.second, NULL, &ch, &x.e),
			  SAN_REFUSED_INVALID, &ch);
		box_check(&x, "11: taken", san_rename_group(x.s, x.second, "default", &ch, &x.e),
			  SAN_REFUSED_EXISTS, &ch);
		box_check(&x, "1: default", san_rename_group(x.s, first, "g", &ch, &x.e),
			  SAN_REFUSED_FAILED, &ch);
	}
	/* o and a combining diaeresis are an o-umlaut */
	BOX_DO(&x, san_rename_node(x.s, x.a, "ko\xcc\x88nig", &ch, &x.e));
	CHECK_STR(san_node(x.s, x.a)->alias->s, "k\xc3\xb6nig");
	CHECK(san_node_by_alias(x.s, "k\xc3\xb6nig") == san_node(x.s, x.a));
	CHECK(!san_node_by_alias(x.s, "a"));
	BOX_DO(&x, san_rename_group(x.s, x.second, "east", &ch, &x.e));
	CHECK_STR(san_group(x.s, x.second)->name->s, "east");
	box_done(&x);
}

TEST(delete_node)
{
	struct box x;

	box_new(&x);
	{
		const struct {
			const char *name;
			struct san_ref node;
			uint32_t code;
		} rows[] = {
			{"5: NULL",              how(NONE,  0),     5   },
			{"5: wrong class",       how(OTHER, 0),     5   },
			{"4096: no such node",   how(GONE,  0),     4096},
			{"4096: gone meanwhile", how(OK,    99999), 4096},
			{"4097: a session",      how(OK,    x.b),   4097},
			{"deleted",              how(OK,    x.a),   0   },
		};

		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct san_changes auto_changes ch = {0};
			struct san_delete_node_in in = {rows[i].node};

			box_check(&x, rows[i].name, san_delete_node(x.s, &in, &ch, &x.e),
				  rows[i].code, &ch);
			CHECK_INT(ch.unless_sessions, rows[i].code == 0);
		}
	}
	BOX_DO(&x, san_delete_node(x.s, &(struct san_delete_node_in){ref(x.a)}, &ch, &x.e));
	CHECK(!san_node(x.s, x.a));
	CHECK(!san_port(x.s, x.a1));
	CHECK(san_portal(x.s, x.p[1]) && san_portal(x.s, x.p[2]));
	CHECK_INT(san_unit(x.s, x.u1)->n_luns, 0);
	CHECK_INT(san_count(x.s, SAN_BINDINGS_OF_PORT), 1);
	box_done(&x);
}

TEST(create_port)
{
	struct box x;

	box_new(&x);
	{
		const struct san_ref none[] =
			{
				how(NONE, 0)
                },
				     other[] = {how(OTHER, 0)},
				     twice[] = {how(GONE, 0), ref(x.p[3]), ref(x.p[3])},
				     gone[] = {{.kind = SAN_REF_FOUND, .is_ip = true, .text = "ip"},
					       how(GONE, 0)},
				     kind[] = {{.kind = SAN_REF_FOUND, .is_ip = true, .text = "ip"},
					       ref(x.p[5])},
				     left[] = {ref(x.p[1]), ref(x.p[5])},
				     bound[] = {ref(x.p[4]), ref(x.p[1])},
				     groups[] = {ref(x.p[3]), ref(x.p[4])}, good[] = {ref(x.p[3])};
#define PORTALS(v) (v), ARRAY_SIZE(v)
		const struct {
			const char *name;
			struct san_ref node;
			int role;
			const char *identifier;
			const struct san_ref *portals;
			size_t n_portals;
			bool off, no_selection;
			uint32_t code;
		} rows[] = {
			{"1: not supported", how(NONE,              0),                      -1,                                          "x",                                                                 NULL,0, true,true, 1},
			{"5: node NULL",                 how(NONE,                                      0),                                                -1,								   "x",											       NULL,0,false,true, 5},
			{"5: node of wrong class",             how(OTHER,                              0),                                                    -1,											       "x",																	   NULL,0,													       false,																																																	  true, 5},
			{"4096: no such node",              how(GONE,                                  0),                                                    -1,											   "x",                   NULL,0,false,true, 4096},
			{"5: no role",                ref(x.a),                                  -1,  "x",NULL,0,false,												      true,																																																																																												       5},
			{"5: role 4",ref(x.a),4,"x",										      NULL,																			   0,                                                          false,true,5},
			{"4097: initiator",        ref(x.a),                           2,								     "x",													      NULL,											0,false,true,4097},
			{"4099: no selection",                  ref(x.a),                       3,                               "x",                                               NULL,                                           0,false,true,4099},
			{"5: 11 digits",              ref(x.a),                                   3,                                       "00000000001",                                                         NULL,												     0,false,false,                                                              5},
			{"5: 13 digits",              ref(x.a),                               3,						      "0000000000001",										    NULL,																  0,false,																									   false,																													      5},
			{"5: empty identifier",             ref(x.a),                             3,                                                   "",											      NULL,																		    0,                                                            false,																												   false,											5},
			{"5: no digits",                 ref(x.a),                                 3,                                                   "00000000000g",											     NULL,                               0,false,false,5},
			{"5: above 65535",              ref(x.a),                                  3,                                                    "000000010000",NULL,0,false,false,5},
			{"4098: taken",    ref(x.a),                     3,"000000000001",NULL,0,false,																		 false,																																																																																							     4098},
			{"5: no portals",                 ref(x.a),3,NULL,     NULL,																			0,																																				   false,																																																																																																															false,																																																																																																																																																																																																							    5},
			{"5: empty list",       ref(x.a),       3,                        NULL,															     good,																											     0,																				   false,               false,5},
			{"5: a NULL portal",    ref(x.a), 3,                                 NULL,														  PORTALS(none),																					     false,false,5},
			{"5: wrong class",                  ref(x.a),                         3,                                  NULL,								      PORTALS(other),													      false,false,5},
			{"5: the same twice",                 ref(x.a),                                      3,                                            NULL,									    PORTALS(twice),																	      false,false,5																																		      },
			{"4100: no such portal",                 ref(x.a),                                      3,                                              NULL,                                                                PORTALS(gone),													  false,false,
			 4100																																																																																																																																																																																														       },
			{"5: an IP endpoint",                 ref(x.a),                                      3,                                           NULL,                                                              PORTALS(kind),											   false,false,																								   5																																																																																			     },
			{"4101: address gone",                 ref(x.a),                                      3,                                        NULL,                                                           PORTALS(left),											false,false,
			 4101},
			{"4102: bound in the node",               ref(x.a),                                    3,                                         NULL,                                                            PORTALS(bound),											 false,false,
			 4102},
			{"4103: two groups",                 ref(x.a),                                      3,                                          NULL,                                                             PORTALS(groups),											  false,false,
			 4103},
			{"made",               ref(x.a),                                    3,                                   "00000000ABCD",                                                        PORTALS(good),										       false,false,0                                                                   },
			{"made, tag chosen",               ref(x.a),                                    3,                                          NULL,                                                             PORTALS(good),											  false,true,0																																																																																																																																																																																															 },
		};

		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct san_changes auto_changes ch = {0};
			struct san_create_port_in in = {.node = rows[i].node,
							.has_role = rows[i].role >= 0,
							.role = (uint16_t)rows[i].role,
							.identifier = rows[i].identifier,
							.portals_null = !rows[i].portals,
							.portals = rows[i].portals,
							.n_portals = rows[i].n_portals};
			struct san_created out;

			x.s->settings->port_creation = !rows[i].off;
			x.s->settings->identifier_selection = !rows[i].no_selection;
			box_check(&x, rows[i].name,
				  san_create_port(x.s, &box_env, &in, &ch, &out, &x.e),
				  rows[i].code, &ch);
			CHECK_INT(ch.must_listen, rows[i].code == 0);
		}
	}
	box_done(&x);
}

TEST(a_port_gets_the_lowest_free_tag_and_shows_what_initiators_see)
{
	const struct san_binding *b;
	const struct san_port *p;
	struct san_walk w;
	struct box x;

	box_new(&x);
	(void)box_port(&x, x.a, "000000000003", x.p[4], 0);
	p = san_port(x.s, box_port(&x, x.a, NULL, x.p[3], 0));
	CHECK_INT(p->tpgt, 2);
	CHECK_STR(p->identifier, "000000000002");
	CHECK_STR(p->name->s, "iqn.2026-11.test:host.example:a,t,0x0002");
	CHECK_INT(p->status, SAN_OK);
	CHECK_INT(p->enabled.on, true);
	b = san_first_of(&w, x.s, SAN_BINDINGS_OF_PORT, p->obj.id);
	CHECK_STR(b->portal_text->s, "10.0.0.3:3260");
	CHECK(!san_next(&w));
	CHECK(san_port_by_name(x.s, "IQN.2026-11.test:host.example:A,t,0x0002") == p);
	box_done(&x);
}

TEST(bind)
{
	struct box x;
	uint64_t a2, empty;

	box_new(&x);
	a2 = box_port(&x, x.a, NULL, x.p[3], 0);
	empty = box_port(&x, x.b, NULL, x.p[2], 0);
	BOX_DO(&x, san_unbind(x.s, empty, x.p[2], &ch, &x.e));
	CHECK_INT(san_port(x.s, empty)->status, SAN_NO_PORTAL);
	{
		const struct san_ref ip = {.kind = SAN_REF_FOUND, .is_ip = true, .text = "ip"};
		const struct {
			const char *name;
			struct san_ref port, portal;
			uint32_t code;
			size_t changes;
		} rows[] = {
			{"5: port NULL",             how(NONE,                        0),         how(GONE,									     0),																			       5, 0},
			{"5: portal NULL",                         how(GONE,							0),                                                   how(NONE,												       0),																									      5, 0},
			{"5: port of wrong class",                        how(OTHER,                                                      0),                                                               how(GONE,                                             0),5, 0},
			{"5: portal of wrong class",                        how(GONE,0),how(OTHER,0),																				  5, 0},
			{"4096: no such port", how(GONE, 0),                ip,																			4096,																																									    0},
			{"4096: no such portal",                         ref(x.a1),                                                        how(GONE,                                               0),															   4096,																																			 0},
			{"5: an IP endpoint",                      ref(x.a1),                                                    ip,							      5,0},
			{"4097: address gone",                        ref(x.a1),                                                   ref(x.p[5]),              4097,0},
			{"4098: bound to another port of the node",                        ref(a2),   ref(x.p[1]),4098,                                                              0																																																						 },
			{"4099: another group",               ref(x.a1),ref(x.p[4]),4099,												 0																																															   },
			{"bound already",               ref(x.a1),                                        ref(x.p[1]),												   0,															  0},
			{"a port without portals takes any group",               ref(empty),                                                   ref(x.p[4]),                                                                         0,                                                             1},
			{"bound",               ref(x.b7),      ref(x.p[3]),0,1																					    },
		};

		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct san_changes auto_changes ch = {0};
			struct san_bind_in in = {rows[i].port, rows[i].portal};

			box_check(&x, rows[i].name, san_bind(x.s, &in, &ch, &x.e), rows[i].code,
				  &ch);
			CHECK_INT(ch.n, rows[i].changes);
		}
	}
	box_done(&x);
}

TEST(delete_port_and_unbind)
{
	struct box x;

	box_new(&x);
	{
		const struct {
			const char *name;
			struct san_ref port;
			uint32_t code;
		} rows[] = {
			{"5: NULL", how(NONE, 0),               5},
			{"5: wrong class",         how(OTHER,  0), 5},
			{"4096: no such port",        how(GONE,                0),             4096},
			{"deleted with its session",       ref(x.b7),0},
		};

		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct san_changes auto_changes ch = {0};
			struct san_delete_port_in in = {rows[i].port};

			box_check(&x, rows[i].name, san_delete_port(x.s, &in, &ch, &x.e),
				  rows[i].code, &ch);
		}
	}
	BOX_DO(&x, san_delete_port(x.s, &(struct san_delete_port_in){ref(x.b7)}, &ch, &x.e));
	CHECK_INT(san_count(x.s, SAN_SESSIONS), 0);
	{
		struct san_changes auto_changes ch = {0};

		box_check(&x, "6: not bound", san_unbind(x.s, x.a1, x.p[3], &ch, &x.e),
			  SAN_REFUSED_NOT_FOUND, &ch);
	}
	BOX_DO(&x, san_unbind(x.s, x.a1, x.p[1], &ch, &x.e));
	CHECK_INT(san_port(x.s, x.a1)->n_bindings, 1);
	box_done(&x);
}

TEST(create_portal)
{
	static const struct {
		const char *name, *text, *address;
		int64_t port;
		uint32_t code;
	} rows[] = {
		{"4: nothing",                           NULL,             NULL,         -1,    SAN_REFUSED_INVALID},
		{"4: no portal",                         "10.0.0",         NULL,         -1,    SAN_REFUSED_INVALID},
		{"4: IPv6 without brackets has no port", "2001:db8::1",    NULL,         -1,
		 SAN_REFUSED_INVALID									       },
		{"4: no address",                        NULL,             "10.0.0.256", 3260,  SAN_REFUSED_INVALID},
		{"4: they differ",                       "10.0.0.1:4000",  "10.0.0.2",   4000,  SAN_REFUSED_INVALID},
		{"4: the ports differ",                  "10.0.0.1:4000",  NULL,         4001,  SAN_REFUSED_INVALID},
		{"4: port 0",                            "10.0.0.1:0",     NULL,         -1,    SAN_REFUSED_INVALID},
		{"4: no port",                           NULL,             "10.0.0.1",   -1,    SAN_REFUSED_INVALID},
		{"4: port 65536",                        NULL,             "10.0.0.1",   65536, SAN_REFUSED_INVALID},
		{"11: exists",                           "10.0.0.1:3260",  NULL,         -1,    SAN_REFUSED_EXISTS },
		{"1: not our address",                   "10.0.0.77:3260", NULL,         -1,    SAN_REFUSED_FAILED },
		{"1: loopback was not asked for",        "127.0.0.1:3260", NULL,         -1,    SAN_REFUSED_FAILED },
		{"by name",			      "10.0.0.1:4000",  NULL,         -1,    0                  },
		{"by address and port",                  NULL,             "10.0.0.1",   65535, 0                  },
		{"by all of them",                       "10.0.0.1:4000",  "10.0.0.1",   4000,  0                  },
	};
	struct box x;

	box_new(&x);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct san_changes auto_changes ch = {0};
		struct san_create_portal_in in = {.name = rows[i].text,
						  .address = rows[i].address,
						  .has_tcp_port = rows[i].port >= 0,
						  .tcp_port = (uint32_t)rows[i].port};
		struct san_created out;

		box_check(&x, rows[i].name, san_create_portal(x.s, &box_env, &in, &ch, &out, &x.e),
			  rows[i].code, &ch);
	}
	box_done(&x);
}

TEST(portals_and_groups)
{
	struct box x;

	box_new(&x);
	{
		struct san_changes auto_changes ch = {0};
		struct san_created out;
		uint64_t group = san_default_group(x.s)->obj.id;

		box_check(&x, "6: no such portal", san_delete_portal(x.s, 99999, &ch, &x.e),
			  SAN_REFUSED_NOT_FOUND, &ch);
		box_check(&x, "4: no name", san_create_group(x.s, NULL, &ch, &out, &x.e),
			  SAN_REFUSED_INVALID, &ch);
		box_check(&x, "11: name taken", san_create_group(x.s, "second", &ch, &out, &x.e),
			  SAN_REFUSED_EXISTS, &ch);
		box_check(&x, "6: no such group", san_delete_group(x.s, x.a, &ch, &x.e),
			  SAN_REFUSED_NOT_FOUND, &ch);
		box_check(&x, "1: default", san_delete_group(x.s, group, &ch, &x.e),
			  SAN_REFUSED_FAILED, &ch);
		box_check(&x, "1: not empty", san_delete_group(x.s, x.second, &ch, &x.e),
			  SAN_REFUSED_FAILED, &ch);
		box_check(&x, "6: move from nowhere",
			  san_move_portal(x.s, x.second, 99999, &ch, &x.e), SAN_REFUSED_NOT_FOUND,
			  &ch);
		box_check(&x, "6: move to nowhere", san_move_portal(x.s, 99999, x.p[3], &ch, &x.e),
			  SAN_REFUSED_NOT_FOUND, &ch);
		box_check(&x, "11: there already",
			  san_move_portal(x.s, x.second, x.p[4], &ch, &x.e), SAN_REFUSED_EXISTS,
			  &ch);
		box_check(&x, "1: bound", san_move_portal(x.s, x.second, x.p[2], &ch, &x.e),
			  SAN_REFUSED_FAILED, &ch);
		CHECK_INT(san_delete_portal(x.s, x.p[1], &ch, &x.e), SAN_REFUSED_FAILED);
		CHECK_STR(x.e.text, "portal 10.0.0.1:3260 can't be deleted while it serves "
				    "iqn.2026-11.test:host.example:a,t,0x0001, "
				    "iqn.2026-11.test:host.example:b,t,0x0007; unbind it first");
		box_check(&x, "1: bound", san_delete_portal(x.s, x.p[1], &ch, &x.e),
			  SAN_REFUSED_FAILED, &ch);
	}
	BOX_DO(&x, san_delete_portal(x.s, x.p[4], &ch, &x.e));
	BOX_DO(&x, san_delete_group(x.s, x.second, &ch, &x.e));
	CHECK(!san_group(x.s, x.second));
	box_done(&x);
}

TEST(request_state)
{
	struct box x;

	box_new(&x);
	{
		const struct {
			const char *name;
			enum san_kind kind;
			uint64_t id;
			int requested;
			bool timeout;
			uint32_t code;
			size_t changes;
		} rows[] = {
			{"5: NULL",          SAN_PORT,   99999,  -1,    true,  5,    0},
			{"5: no such value", SAN_PORT,   99999,  5,     true,  5,    0},
			{"5: vendor value",  SAN_PORT,   99999,  40000, true,  5,    0},
			{"4097: shut down",  SAN_PORT,   99999,  4,     true,  4097, 0},
			{"4097: reset",      SAN_PORTAL, x.p[1], 11,    true,  4097, 0},
			{"4098: time-out",   SAN_PORT,   x.a1,   3,     true,  4098, 0},
			{"4: gone",          SAN_PORT,   99999,  3,     false, 4,    0},
			{"enabled already",  SAN_PORT,   x.a1,   2,     false, 0,    0},
			{"port off",         SAN_PORT,   x.a1,   3,     false, 0,    1},
			{"portal off",       SAN_PORTAL, x.p[1], 3,     false, 0,    1},
			{"node off",         SAN_NODE,   x.a,    3,     false, 0,    1},
		};

		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct san_changes auto_changes ch = {0};
			struct san_request_state_in in = {.kind = rows[i].kind,
							  .id = rows[i].id,
							  .has_requested = rows[i].requested >= 0,
							  .requested = (uint16_t)rows[i].requested,
							  .has_timeout = rows[i].timeout};

			box_check(&x, rows[i].name,
				  san_request_state(x.s, &box_env, &in, &ch, &x.e), rows[i].code,
				  &ch);
			CHECK_INT(ch.n, rows[i].changes);
		}
	}
	BOX_DO(&x, san_request_state(x.s, &box_env,
				     &(struct san_request_state_in){.kind = SAN_PORTAL,
								    .id = x.p[1],
								    .has_requested = true,
								    .requested = 3},
				     &ch, &x.e));
	CHECK_INT(san_portal(x.s, x.p[1])->status, SAN_DISABLED);
	CHECK_INT(san_portal(x.s, x.p[1])->enabled.requested, 3);
	CHECK_INT(san_port(x.s, x.a1)->status, SAN_DEGRADED);
	CHECK_INT(san_port(x.s, x.b7)->status, SAN_NO_SERVICE);
	box_done(&x);
}

TEST(volumes)
{
	const uint64_t mib = 1 << 20;
	struct box x;

	box_new(&x);
	{
		const struct {
			const char *name;
			int type;
			struct san_ref element, pool;
			const char *text;
			int64_t size;
			uint32_t code;
			uint64_t size_out;
		} rows[] = {
			{"5: no type",             -1,       how(NONE,        0),                 how(NONE,                                  0),									   "v",															1,                                5,7},
			{"5: extent",                        3,                      how(NONE,             0),  how(NONE,                             0),												"v",																							    1,															  5,7},
			{"5: TheElement of wrong class",                       2,                               how(OTHER,                 0),            how(NONE,              0),                                                                        "v",																					       1,																								5,
			 7},
			{"5: no such TheElement",                       2,                                  how(GONE,                                                 0),                                             how(NONE,                                                               0),												  "v",																					  1,																		      5,7},
			{"5: InPool of wrong class",                       2,                              how(NONE,                                            0),                                                              how(OTHER,                                                                              0),																   "v",                                               1,5,7},
			{"5: no such pool",                     2,                            how(NONE,                                          0),                                                           how(GONE,												    0),                              "v",										     1,																								      5,7},
			{"5: bad name",                      2,                           how(NONE,                                         0),							  how(NONE,0),                                              "a\n",                                                                        1,5,7},
			{"5: no size",                2,                      how(NONE,                                0),how(NONE,                                  0),                                                                "v",														   -1,																															    5,																																												  7},
			{"5: size 0",                      2,                      how(NONE,    0),                            how(NONE,                                  0),                                              "v",                                                     0,5,7},
			{"4097: too large",                2, how(NONE,     0),how(NONE,0),                             "v",												  INT64_MAX,																																					4097,
			 98 * mib},
			{"4097: a byte too large",        2,        how(NONE,                 0),                                  how(NONE,                                                                           0),															"v",
			 98 * (int64_t)mib + 1,4097,98 * mib},
			{"all there is", 2, how(NONE, 0), how(NONE, 0), "v", 98 * (int64_t)mib,																																									  0,
			 98 * mib},
			{"rounded up",                        2,                   how(NONE,                                 0),                                           how(OK,										  2),																		      NULL,																																	      1,																																					   0,mib},
			{"5: shrink",                 2,                         ref(x.u1),                             how(NONE,                       0),                                      NULL,										1000,																			  5,												       7},
			{"4097: grow too far",                       2,                            ref(x.u1),                                           how(NONE,                                                   0),									   NULL,														      100 * (int64_t)mib,
			 4097,99 * mib},
			{"grow while attached",                       2,                              ref(x.u1),                                             how(NONE,                                            0),                                                              NULL,
			 2 * (int64_t)mib - 5,                     0,2 * mib},
			{"rename",                     2,                     ref(x.u1),                                    how(NONE,                                  0),                                                    "other",											  -1,																				0,																													  mib															},
		};

		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct san_changes auto_changes ch = {0};
			struct san_volume_in in = {.name = rows[i].text,
						   .has_type = rows[i].type >= 0,
						   .type = (uint16_t)rows[i].type,
						   .element = rows[i].element,
						   .pool = rows[i].pool,
						   .has_size = rows[i].size >= 0,
						   .size = (uint64_t)rows[i].size};
			struct san_volume_out out = {.size = 7};

			box_check(&x, rows[i].name, san_volume(x.s, &box_env, &in, &ch, &out, &x.e),
				  rows[i].code, &ch);
			CHECK_INT(out.size, rows[i].size_out);
		}
	}
	CHECK_INT(san_concrete_pool(x.s)->free, 98 * mib);
	CHECK_INT(san_unit(x.s, x.u1)->naa[0], '3');
	CHECK_INT(strlen(san_unit(x.s, x.u1)->naa), 16);
	{
		const struct {
			const char *name;
			struct san_ref element;
			uint32_t code;
		} rows[] = {
			{"5: NULL",  how(NONE, 0),               5},
			{"5: wrong class",          how(OTHER,   0), 5},
			{"5: no such volume",         how(GONE,                 0),               5},
			{"6: attached",        ref(x.u1),6},
			{"returned",ref(x.u2),   0                  },
		};

		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct san_changes auto_changes ch = {0};
			struct san_return_volume_in in = {rows[i].element};

			box_check(&x, rows[i].name, san_return_volume(x.s, &in, &ch, &x.e),
				  rows[i].code, &ch);
		}
	}
	BOX_DO(&x, san_return_volume(x.s, &(struct san_return_volume_in){ref(x.u2)}, &ch, &x.e));
	CHECK_INT(san_concrete_pool(x.s)->free, 99 * mib);
	box_done(&x);
}

static void offer(struct box *x, const char *path, uint64_t size, const char *identity,
		  const char *why, bool offered)
{
	struct san_changes auto_changes ch = {0};

	san_devices_seen(x->s,
			 &(struct san_seen_device){.path = path,
						   .identity = identity,
						   .why = why,
						   .size = size,
						   .offered = offered},
			 1, &ch);
	box_apply(x, &ch);
	CHECK_INT(san_invariants(x->s, &x->e), 0);
}

static uint32_t on_device(struct box *x, struct san_ref pool, struct san_ref element, int64_t size,
			  uint64_t *ret)
{
	struct san_changes auto_changes ch = {0};
	struct san_volume_in in = {.has_type = true,
				   .type = 2,
				   .pool = pool,
				   .element = element,
				   .has_size = size >= 0,
				   .size = (uint64_t)size};
	struct san_volume_out out = {0};
	uint32_t code = san_volume(x->s, &box_env, &in, &ch, &out, &x->e);

	*ret = code == 0 ? out.id : out.size;
	if (code == 0)
		box_apply(x, &ch);
	CHECK_INT(san_invariants(x->s, &x->e), 0);
	return code;
}

TEST(a_block_device_is_a_pool_for_one_volume_of_its_size)
{
	const uint64_t odd = (8 << 20) + 512;
	const char *const path = "/dev/disk/by-id/one";
	uint64_t got, files, pools;
	struct san_ref pool;
	struct box x;

	box_new(&x);
	files = san_concrete_pool(x.s)->free;
	pools = san_count(x.s, SAN_POOLS);
	offer(&x, path, odd, "wwn-1", "", true);
	CHECK_INT(san_count(x.s, SAN_POOLS), pools + 2);
	pool = ref(san_pool_of_device(x.s, path)->obj.id);
	CHECK_INT(on_device(&x, pool, how(NONE, 0), 0, &got), 5);
	CHECK_INT(on_device(&x, pool, how(NONE, 0), (int64_t)odd + 1, &got), 4097);
	CHECK_INT(got, odd);
	CHECK_INT(on_device(&x, ref(pool.id + 1), how(NONE, 0), 1, &got), 5); /* the primordial one */
	CHECK_INT(on_device(&x, pool, how(NONE, 0), 1, &got), 0);
	CHECK_INT(san_unit(x.s, got)->size, odd);
	CHECK_STR(san_unit(x.s, got)->device->s, path);
	CHECK_STR(san_unit(x.s, got)->identity->s, "wwn-1");
	CHECK_INT(san_pool(x.s, pool.id)->free, 0);
	CHECK_INT(san_pool(x.s, pool.id + 1)->free, 0);
	CHECK_INT(san_concrete_pool(x.s)->free, files);
	pools = got;
	CHECK_INT(on_device(&x, pool, how(NONE, 0), -1, &got), 6);
	/* It grows to the end of a device that has grown, and no further. */
	offer(&x, path, 2 * odd, "wwn-1", "", true);
	CHECK_INT(on_device(&x, how(NONE, 0), ref(pools), (int64_t)odd - 1, &got), 5);
	CHECK_INT(on_device(&x, how(NONE, 0), ref(pools), (int64_t)odd * 3, &got), 4097);
	CHECK_INT(got, 2 * odd);
	CHECK_INT(on_device(&x, how(NONE, 0), ref(pools), (int64_t)odd + 1, &got), 0);
	CHECK_INT(san_unit(x.s, pools)->size, 2 * odd);
	/* The device is gone: the volume says so; no longer offered: it stays all the same. */
	offer(&x, path, 0, "", "not there", false);
	CHECK_INT(san_unit(x.s, pools)->status, SAN_FAILED);
	offer(&x, path, 2 * odd, "wwn-1", "", false);
	CHECK_INT(san_unit(x.s, pools)->status, SAN_OK);
	CHECK_STR(san_unit(x.s, pools)->identity->s, "wwn-1");
	BOX_DO(&x, san_return_volume(x.s, &(struct san_return_volume_in){ref(pools)}, &ch, &x.e));
	CHECK_INT(san_pool(x.s, pool.id)->free, 2 * odd);
	CHECK_INT(san_pool(x.s, pool.id + 1)->free, 2 * odd);
	offer(&x, path, 0, "", "not there", true);
	CHECK_INT(on_device(&x, pool, how(NONE, 0), -1, &got), 4);
	/* Without a volume and without an offer it goes, and the primordial one with the last. */
	offer(&x, path, 2 * odd, "wwn-1", "", false);
	CHECK(san_pool_of_device(x.s, path) == NULL);
	CHECK(san_pool(x.s, pool.id + 1) == NULL);
	box_done(&x);
}

TEST(attach_and_detach)
{
	struct box x;

	box_new(&x);
	{
		const struct {
			const char *name;
			struct san_ref node, unit;
			const char *number;
			uint32_t code;
			const char *out;
		} rows[] = {
			{"5: node NULL",  how(NONE, 0),             how(GONE,                       0),                                     "FF",5, "-"},
			{"5: node of wrong class",            how(OTHER,                    0),           how(GONE,                     0),                                      "FF",5, "-"},
			{"5: no such node",           how(GONE,                  0),                             how(GONE,                                                           0),                                            "FF",       5, "-"},
			{"5: number FF",       ref(x.a),             how(GONE,0),"FF",5,"-"},
			{"5: number 0x1", ref(x.a),how(GONE,       0),								    "0x1",																		    5,																								  "-"},
			{"5: empty number", ref(x.a), how(GONE,                   0),                                         "",       5,"-"},
			{"5: volume NULL",               ref(x.a),       how(NONE,             0),                                   "0",                                                     5,"-"},
			{"5: volume of wrong class",            ref(x.a),                    how(OTHER,                   0),                           "0",                                                   5,																						   "-"},
			{"4096: no such volume",              ref(x.a),                   how(GONE,                                 0),                                      "0",     4096,"-"},
			{"4097: taken",            ref(x.a),                   ref(x.u2),                              "0",                                  4097, "-"},
			{"attached already",             ref(x.a),                  ref(x.u1),"5",0,                    "0"},
			{"lowest free",      ref(x.a),ref(x.u2),NULL,0,      "1"																							   },
			{"chosen",      ref(x.a),ref(x.u2),            "fe",                                                      0,									 "FE"                   },
		};

		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct san_changes auto_changes ch = {0};
			struct san_attach_in in = {rows[i].node, rows[i].unit, rows[i].number};
			struct san_attach_out out = {"-"};

			box_check(&x, rows[i].name, san_attach(x.s, &in, &ch, &out, &x.e),
				  rows[i].code, &ch);
			CHECK_STR(out.number, rows[i].out);
		}
	}
	{
		const struct {
			const char *name;
			struct san_ref node, unit;
			uint32_t code;
		} rows[] = {
			{"5: node NULL",         how(NONE, 0),                    how(NONE, 0), 5},
			{"5: no such node",                     how(GONE,                             0),                                  how(NONE,              0), 5},
			{"5: volume NULL",              ref(x.a),                    how(NONE,       0),  5},
			{"4096: no such volume", ref(x.a),how(GONE,0), 4096},
			{"4096: not attached", ref(x.a), ref(x.u2),                                 4096                                            },
			{"detached",                      ref(x.a),           ref(x.u1),                        0                      },
		};

		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct san_changes auto_changes ch = {0};
			struct san_detach_in in = {rows[i].node, rows[i].unit};

			box_check(&x, rows[i].name, san_detach(x.s, &in, &ch, &x.e), rows[i].code,
				  &ch);
		}
	}
	box_done(&x);
}

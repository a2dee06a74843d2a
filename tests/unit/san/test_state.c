/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "fixture.h"
#include "san/object.h"

TEST(an_address_that_leaves_takes_its_unbound_default_portal_and_unbinds_the_others)
{
	struct box x;

	box_new(&x);
	box_network(&x, 1, false);
	CHECK(!san_portal(x.s, x.p[3]));
	CHECK(!san_ip(x.s, "10.0.0.2"));
	CHECK_INT(san_portal(x.s, x.p[2])->status, SAN_ADDRESS_GONE); /* bound */
	CHECK_INT(san_portal(x.s, x.p[2])->has_ip, false);
	CHECK_INT(san_portal(x.s, x.p[4])->status, SAN_ADDRESS_GONE); /* made by hand */
	CHECK_INT(san_port(x.s, x.a1)->status, SAN_DEGRADED);
	box_network(&x, 3, false);
	CHECK_INT(san_portal(x.s, x.p[2])->has_ip, true);
	CHECK_INT(san_portal(x.s, x.p[2])->status, SAN_OK);
	CHECK_INT(san_port(x.s, x.a1)->status, SAN_OK);
	CHECK(san_portal_at(x.s, "10.0.0.3", 3260) != NULL);
	CHECK(san_portal_at(x.s, "10.0.0.3", 3260)->obj.id != x.p[3]); /* ids are not used twice */
	box_done(&x);
}

TEST(loopback_addresses_count_when_asked_for)
{
	static const struct san_seen_nic lo = {
		.name = "lo", .up = true, .running = true, .loopback = true};
	static const struct san_seen_ip one = {
		.address = "127.0.0.1", .nic = "lo", .family = 4, .prefix_len = 8};
	static const struct san_wanted_portal wanted[] = {
		{"127.0.0.1", 3260},
                {"127.0.0.5", 3261}
        };
	struct san_seen_network seen = {.nics = &lo, .n_nics = 1, .ips = &one, .n_ips = 1};
	struct box x = {
		.s = san_state_new(san_host_new("u", "h"), san_settings_new("iqn.2026-11.t"), 0)};
	struct san_create_portal_in in = {.name = "127.9.9.9:3260"};
	struct san_created out;

	BOX_DO(&x, (san_network_seen(x.s, &box_env, &seen, &ch), 0));
	CHECK_INT(san_count(x.s, SAN_NICS) + san_count(x.s, SAN_IPS) + san_count(x.s, SAN_PORTALS),
		  0);
	x.s->settings->loopback = true;
	seen.has_wanted = true;
	seen.wanted = wanted;
	seen.n_wanted = 2;
	BOX_DO(&x, (san_network_seen(x.s, &box_env, &seen, &ch), 0));
	CHECK_INT(san_count(x.s, SAN_PORTALS), 2);
	CHECK(san_portal_at(x.s, "127.0.0.5", 3261)->has_ip);
	CHECK_STR(san_ip(x.s, "127.0.0.5")->nic->s, "lo");
	CHECK_STR(san_ip(x.s, "127.0.0.5")->mask, "255.0.0.0");
	BOX_DO(&x, san_create_portal(x.s, &box_env, &in, &ch, &out, &x.e));
	CHECK(san_portal(x.s, out.id)->has_ip);
	/* Default portals that the option no longer names go, those made by hand stay. */
	seen.n_wanted = 1;
	BOX_DO(&x, (san_network_seen(x.s, &box_env, &seen, &ch), 0));
	CHECK(!san_portal_at(x.s, "127.0.0.5", 3261));
	CHECK(!san_ip(x.s, "127.0.0.5"));
	CHECK(san_portal(x.s, out.id)->has_ip);
	box_done(&x);
}

TEST(what_is_measured_shows)
{
	static const struct {
		bool up, tentative, duplicate;
		enum san_engine_health health;
		enum san_listen listen;
		enum san_status status;
	} rows[] = {
		{true,  false, false, SAN_ENGINE_UP,       SAN_LISTENING,         SAN_OK               },
		{true,  false, false, SAN_ENGINE_UP,       SAN_LISTEN_UNKNOWN,    SAN_STARTING         },
		{true,  false, false, SAN_ENGINE_UP,       SAN_LISTEN_IN_USE,     SAN_PORT_IN_USE      },
		{true,  false, false, SAN_ENGINE_UP,       SAN_LISTEN_FAILED,     SAN_FAILED           },
		{true,  false, false, SAN_ENGINE_UP,       SAN_LISTEN_NO_ADDRESS, SAN_FAILED           },
		{true,  false, false, SAN_ENGINE_GONE,     SAN_LISTENING,         SAN_ENGINE_DOWN      },
		{true,  false, false, SAN_ENGINE_DEGRADED, SAN_LISTENING,         SAN_ENGINE_DOWN      },
		{true,  true,  false, SAN_ENGINE_UP,       SAN_LISTENING,         SAN_ADDRESS_TENTATIVE},
		{true,  true,  true,  SAN_ENGINE_UP,       SAN_LISTENING,         SAN_ADDRESS_DUPLICATE},
		{false, false, false, SAN_ENGINE_UP,       SAN_LISTENING,         SAN_LINK_DOWN        },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct san_seen_nic nic = {.name = "eth0", .up = true, .running = rows[i].up};
		struct san_seen_ip ip = {.address = "2001:db8::1",
					 .nic = "eth0",
					 .family = 6,
					 .prefix_len = 64,
					 .tentative = rows[i].tentative,
					 .duplicate = rows[i].duplicate};
		struct san_seen_network seen = {.nics = &nic, .n_nics = 1, .ips = &ip, .n_ips = 1};
		struct box x = {.s = san_state_new(san_host_new("u", "h"),
						   san_settings_new("iqn.2026-11.t"), 0)};
		const struct san_portal *p;

		BOX_DO(&x, (san_network_seen(x.s, &box_env, &seen, &ch), 0));
		BOX_DO(&x, (san_engine_seen(x.s, &box_env, "f", rows[i].health, "", &ch), 0));
		BOX_DO(&x, (san_portal_seen(x.s, "2001:db8::1", 3260, rows[i].listen, "", &ch), 0));
		p = san_portal_by_text(x.s, "[2001:0db8:0::1]:3260");
		CHECK_INT(p->status, rows[i].status);
		CHECK_STR(p->text->s, "[2001:db8::1]:3260");
		CHECK_INT(p->enabled.changed_us, box_env.now_us);
		box_done(&x);
	}
}

TEST(effects_name_each_object_once_with_all_that_follows)
{
	struct san_changes auto_changes effects = {0};
	struct san_changes auto_changes ch = {0};
	struct san_ref portals[2];
	struct san_create_port_in in = {
		.has_role = true, .role = 3, .portals = portals, .n_portals = 2};
	struct san_created out;
	const struct san_port *p;
	struct box x;

	box_new(&x);
	in.node = ref(x.b);
	portals[0] = ref(x.p[2]);
	portals[1] = ref(x.p[3]);
	CHECK_INT(san_create_port(x.s, &box_env, &in, &ch, &out, &x.e), 0);
	x.s = san_apply(x.s, &ch, 5, &effects);
	CHECK_INT(effects.n, 3);
	CHECK_INT(effects.v[0].kind, SAN_PORT);
	CHECK(!effects.v[0].old);
	p = (const void *)effects.v[0].now;
	CHECK_INT(p->n_bindings, 2);
	CHECK_INT(p->status, SAN_OK);
	CHECK(p == san_port(x.s, out.id));
	CHECK_INT(effects.v[1].kind, SAN_BINDING);
	CHECK_INT(effects.v[2].kind, SAN_BINDING);
	san_changes_done(&effects);
	san_changes_done(&ch);
	/* A portal that fails changes itself and the ports it serves. */
	san_portal_seen(x.s, "10.0.0.3", 3260, SAN_LISTEN_IN_USE, "taken", &ch);
	x.s = san_apply(x.s, &ch, 6, &effects);
	CHECK_INT(effects.n, 2);
	CHECK_INT(((const struct san_portal *)(const void *)effects.v[0].now)->status,
		  SAN_PORT_IN_USE);
	CHECK_INT(((const struct san_port *)(const void *)effects.v[1].old)->status, SAN_OK);
	CHECK_INT(((const struct san_port *)(const void *)effects.v[1].now)->status, SAN_DEGRADED);
	CHECK_INT(((const struct san_port *)(const void *)effects.v[1].now)->enabled.changed_us, 6);
	box_done(&x);
}

TEST(a_snapshot_stays_as_it_was_and_an_inverse_brings_everything_back)
{
	struct san_changes auto_changes back = {0};
	struct san_changes auto_changes gone = {0};
	struct san_state *before;
	struct err e = {0};
	struct box x;

	box_new(&x);
	before = san_state_ref(x.s);
	BOX_DO(&x, (san_session_gone(x.s, 500, &ch), 0));
	CHECK_INT(san_delete_node(x.s, &(struct san_delete_node_in){ref(x.b)}, &gone, &x.e), 0);
	x.s = san_apply(x.s, &gone, 9, NULL);
	CHECK(!san_node(x.s, x.b) && san_node(before, x.b));
	CHECK_INT(san_count(before, SAN_SESSIONS), 1);
	CHECK_INT(san_invariants(before, &e), 0);
	san_changes_invert(&gone, &back);
	x.s = san_apply(x.s, &back, 10, NULL);
	CHECK_INT(san_invariants(x.s, &e), 0);
	CHECK(san_obj_same(&san_port(x.s, x.b7)->obj, &san_port(before, x.b7)->obj));
	CHECK_INT(san_port(x.s, x.b7)->n_bindings, 1);
	CHECK_INT(san_count(x.s, SAN_BINDINGS_OF_PORTAL),
		  san_count(before, SAN_BINDINGS_OF_PORTAL));
	san_state_unref(before);
	box_done(&x);
}

TEST(invariants_see_what_is_broken)
{
	struct err e = {0};
	struct box x;
	struct san_port *lost;

	box_new(&x);
	lost = san_obj_dup(san_port(x.s, x.a1));
	lost->status = SAN_FAILED;
	pset_put(&x.s->index[SAN_PORTS], lost);
	CHECK_INT(san_invariants(x.s, &e), -EUCLEAN);
	pset_put(&x.s->index[SAN_PORTS_OF_NODE], lost);
	CHECK_INT(san_invariants(x.s, &e), -EUCLEAN);
	CHECK_STR(e.text,
		  "port iqn.2026-11.test:host.example:a,t,0x0001 shows 2 portals, 'failed'; it "
		  "is 2, 'ok'");
	san_unref(lost);
	box_done(&x);
}

TEST(addresses_and_portals_are_read_strictly_and_written_canonically)
{
	static const struct {
		const char *text, *address;
		int64_t port; /* -1: refused */
	} rows[] = {
		{"192.0.2.1:3260",         "192.0.2.1",    3260},
		{"192.0.2.1",              "192.0.2.1",    0   },
		{"[2001:DB8:0:0::1]:3260", "2001:db8::1",  3260},
		{"2001:db8::1",            "2001:db8::1",  0   },
		{"[fe80::1%eth0]:860",     "fe80::1%eth0", 860 },
		{"[::1]",                  "::1",          0   },
		{"192.0.2.1:",             NULL,           -1  },
		{"192.0.2.1:+1",           NULL,           -1  },
		{"192.0.2.1:99999999999",  NULL,           -1  },
		{"192.0.2.01:1",           NULL,           -1  },
		{"[192.0.2.1]:1",          NULL,           -1  },
		{"[2001:db8::1]3260",      NULL,           -1  },
		{"[2001:db8::1",           NULL,           -1  },
		{"[2001:db8::1%eth0]:1",   NULL,           -1  },
		{"[::ffff:192.0.2.1]:1",   NULL,           -1  },
		{"[fe80::1%]:1",           NULL,           -1  },
		{"host.example:3260",      NULL,           -1  },
		{":3260",                  NULL,           -1  },
		{"",		       NULL,           -1  },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char address[SAN_ADDRESS_TEXT] = "";
		uint32_t port = 0;
		uint8_t family;
		bool ok = san_portal_parse(rows[i].text, address, &family, &port);

		CHECK_INT(ok ? (int64_t)port : -1, rows[i].port);
		if (ok && rows[i].address)
			CHECK_STR(address, rows[i].address);
	}
}

TEST(iscsi_names_are_normalised_and_checked)
{
	static const struct {
		const char *name, *want;
	} rows[] = {
		{"iqn.2001-04.com.example:storage.disk2.sys1.xyz",
		 "iqn.2001-04.com.example:storage.disk2.sys1.xyz"                                    },
		{"IQN.2001-04.COM.Example:Disk",                   "iqn.2001-04.com.example:disk"    },
		{"iqn.2001-04.com.example",                        "iqn.2001-04.com.example"         },
		{"iqn.2001-04.com.example:\xc3\x84",               "iqn.2001-04.com.example:\xc3\xa4"},
		{"eui.02004567A425678D",                           "eui.02004567a425678d"            },
		{"naa.52004567BA64678D",                           "naa.52004567ba64678d"            },
		{"iqn.2001-4.com.example",                         NULL                              },
		{"iqn.2001-00.com.example",                        NULL                              },
		{"iqn.2001-04.",				   NULL                              },
		{"iqn.2001-04.com..example",                       NULL                              },
		{"iqn.2001-04.com.example.",                       NULL                              },
		{"iqn.2001-04.com.example:a_b",                    NULL                              },
		{"iqn.2001-04.com.example:a b",                    NULL                              },
		{"iqn.2001-04.com.example:a/b",                    NULL                              },
		{"eui.02004567A425678",                            NULL                              },
		{"naa.52004567BA64678D0",                          NULL                              },
		{"foo",					    NULL			      },
		{"",					       NULL			      },
		{"iqn.2001-04.com.example:\xff",                   NULL                              },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char got[SAN_IQN_MAX + 1] = "";
		struct err e = {0};
		int r = san_iqn_check(rows[i].name, got, &e);

		if ((r == 0) != (rows[i].want != NULL))
			printf("# %s: %s\n", rows[i].name, e.text);
		CHECK_INT(r == 0, rows[i].want != NULL);
		if (rows[i].want)
			CHECK_STR(got, rows[i].want);
		else
			CHECK(*e.text);
	}
}

TEST(a_port_that_the_target_can_not_serve_has_failed_until_it_is_well)
{
	struct box x;
	struct san_changes ch = {0};
	const char *iqn;

	box_new(&x);
	iqn = san_node(x.s, x.a)->iqn->s;
	CHECK_INT(san_port(x.s, x.a1)->status, SAN_OK);
	san_port_seen(x.s, iqn, 1, "the name is taken", &ch);
	CHECK_INT(ch.n, 1);
	box_apply(&x, &ch);
	CHECK_INT(san_port(x.s, x.a1)->status, SAN_FAILED);
	CHECK_STR(san_port(x.s, x.a1)->why->s, "the name is taken");
	/* Said twice, or of nothing: no change. */
	san_port_seen(x.s, iqn, 1, "the name is taken", &ch);
	san_port_seen(x.s, iqn, 9, "who?", &ch);
	san_port_seen(x.s, "iqn.2001-01.nobody", 1, "who?", &ch);
	CHECK_INT(ch.n, 0);
	san_port_seen(x.s, iqn, 1, "", &ch);
	box_apply(&x, &ch);
	CHECK_INT(san_port(x.s, x.a1)->status, SAN_OK);
	/* What it said is forgotten with it. */
	san_port_seen(x.s, iqn, 1, "the name is taken", &ch);
	box_apply(&x, &ch);
	san_engine_seen(x.s, &box_env, "fake", SAN_ENGINE_GONE, "killed", &ch);
	box_apply(&x, &ch);
	CHECK_STR(san_port(x.s, x.a1)->why->s, "");
	box_done(&x);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What mofc refuses, and in which words; what it makes of what it accepts. */
#include <errno.h>
#include <stdio.h>

#include "mofc/mofc.h"
#include "test.h"

/* Lines 1 and 2 of every text below. */
#define PRELUDE                                                                                    \
	"#pragma namespace (\"n\") Qualifier Key : boolean = false, Scope (property, reference), " \
	"Flavor (DisableOverride); Qualifier Association : boolean = false, Scope (association), " \
	"Flavor (DisableOverride); Qualifier Abstract : boolean = false, Scope (class), Flavor "   \
	"(Restricted); Qualifier Override : string, Scope (property, reference, method), Flavor "  \
	"(Restricted); Qualifier MaxLen : uint32, Scope (property);\n"                             \
	"Qualifier ValueMap : string[], Scope (property, method, parameter); Qualifier Values : "  \
	"string[], Scope (property, method, parameter); Qualifier EmbeddedInstance : string, "     \
	"Scope (property, parameter); Qualifier In : boolean = true, Scope (parameter); "          \
	"Qualifier "                                                                               \
	"Out : boolean = false, Scope (parameter); Qualifier Fixed : uint8 = 0, Scope (any), "     \
	"Flavor (DisableOverride);\n"

static int compile(struct mofc *m, const char *text, struct err *e)
{
	int r = mofc_parse(m, "t.mof", text, strlen(text), e);

	return r < 0 ? r : mofc_check(m, e);
}

static const struct {
	const char *what, *text, *error;
} refused[] = {
  /* ---- rules ---- */
	{"an unknown superclass",                        "class A : B {\n};",                                              "t.mof:3: unknown superclass B of A"                                    },
	{"a superclass that comes later",                "class A : B {};\nclass B {};",
	 "t.mof:3: unknown superclass B of A"																		      },
	{"a class below itself",                         "class A : A {};",                                                "t.mof:3: unknown superclass A of A"                                    },
	{"a class declared twice",                       "class A {};\nclass a {};",
	 "t.mof:4: class a is declared twice"																		      },
	{"an unknown qualifier",                         "[Clef] class A {};",                                             "t.mof:3: unknown qualifier Clef"                                       },
	{"a qualifier given twice",                      "class A { [Fixed (1),\n Fixed (1)] string B; };",
	 "t.mof:4: qualifier Fixed is given twice"																		 },
	{"a qualifier out of its scope",                 "[Key] class A {};",
	 "t.mof:3: qualifier Key may not stand here"																	       },
	{"a qualifier of another type",                  "class A { [Key (5)] string B; };",
	 "t.mof:3: value is not of type boolean"																		   },
	{"a qualifier without the value it needs",       "class A { [MaxLen] string B; };",
	 "t.mof:3: qualifier MaxLen needs a value"																		 },
	{"one value for an array",                       "class A { [Values (\"x\")] string B; };",
	 "t.mof:3: one value for an array; write it in braces"																     },
	{"a list for one value",                         "class A { [MaxLen {5}] string B; };",
	 "t.mof:3: a list of values for what is not an array"																      },
	{"another value below DisableOverride",
	 "[Fixed (1)] class A {};\n[Fixed (2)] class B : A {};",							   "t.mof:4: qualifier Fixed is inherited with another value and its flavor is "
	 "DisableOverride"													 },
	{"more names than codes",
	 "class A {\n[ValueMap {\"0\", \"1\"}, Values {\"a\", \"b\", \"c\"}]\nuint8 B; };",				"t.mof:5: B has 2 entries in ValueMap and 3 in Values"                  },
	{"a code that is no number",                     "class A { [ValueMap {\"one\"}] uint8 B; };",
	 "t.mof:3: B: \"one\" in ValueMap is no uint8, and no range"															       },
	{"a code out of range",                          "class A { [ValueMap {\"256\"}] uint8 B; };",
	 "t.mof:3: B: \"256\" in ValueMap is no uint8, and no range"															       },
	{"a code twice",				 "class A { [ValueMap {\"1\", \"1\"}] uint8 B; };",
	 "t.mof:3: B: \"1\" and \"1\" in ValueMap overlap"																	 },
	{"a code inside a range",                        "class A { [ValueMap {\"4\", \"3..\"}] uint8 B; };",
	 "t.mof:3: B: \"4\" and \"3..\" in ValueMap overlap"																       },
	{"a range that runs backwards",                  "class A { [ValueMap {\"4..3\"}] sint8 B; };",
	 "t.mof:3: B: \"4..3\" in ValueMap is no sint8, and no range"															      },
	{"a string twice in a map",                      "class A { [ValueMap {\"x\", \"x\"}] string B; };",
	 "t.mof:3: B has \"x\" twice in its ValueMap"																	      },
	{"an association with one end",                  "class A {};\n[Association] class B { [Key] A REF One; };",
	 "t.mof:4: association B has 1 references, at least 2 are needed"															  },
	{"a reference outside associations",             "class A {};\nclass B { A REF One; };",
	 "t.mof:4: reference One stands in B, which is no association"															     },
	{"an association below a concrete class",
	 "class A {};\n[Association] class B : A { A REF C; A REF D; };",						  "t.mof:4: association B is below A, which is none"                      },
	{"a reference to nothing",                       "[Association] class B { B REF C; Z REF D; };",
	 "t.mof:3: D: unknown class Z"																			     },
	{"an embedded class that isn't there",           "class A { [EmbeddedInstance (\"Z\")] string B; };",
	 "t.mof:3: B: unknown class Z"																			     },
	{"an embedded instance that is no string",
	 "class A { [EmbeddedInstance (\"A\")] uint8 B; };",							       "t.mof:3: B is embedded, so its type must be string"                    },
	{"a property overridden with another type",
	 "class A { string B; };\nclass C : A { [Override (\"B\")] uint8 B; };",					   "t.mof:4: property B is uint8, but string in A"                         },
	{"a property overridden as an array",
	 "class A { string B; };\nclass C : A { [Override (\"B\")] string B[]; };",					"t.mof:4: property B is string[], but string in A"                      },
	{"a reference overridden sideways",
	 "class A {};\nclass B {};\n[Association] class C { A REF X; A REF Y; };\n"
	 "[Association] class D : C { [Override (\"X\")] B REF X; };",						     "t.mof:6: X refers to B, which is not below A"                          },
	{"a property again without Override",            "class A { string B; };\nclass C : A { string b; };",
	 "t.mof:4: property b is already in A; Override is missing"																},
	{"an override of nothing",                       "class A { [Override (\"B\")] string B; };",
	 "t.mof:3: property B overrides nothing of that name"																      },
	{"an override that changes the spelling",
	 "class A { string B; };\nclass C : A { [Override (\"b\")] string b; };",					  "t.mof:4: property b overrides nothing of that name"                    },
	{"a property twice in one class",                "class A { string B; uint8 B; };",
	 "t.mof:3: property B is declared twice"																		   },
	{"a method overridden with another return type",
	 "class A { uint32 M(); };\nclass C : A { [Override (\"M\")] uint8 M(); };",				       "t.mof:4: method M is uint8, but uint32 in A"                           },
	{"a parameter renamed",
	 "class A { uint8 M(string P); };\nclass C : A { [Override (\"M\")] uint8 M(string Q); };",			"t.mof:4: method M: parameter Q is not the one of the overridden method"},
	{"a parameter left out",
	 "class A { uint8 M(string P); };\nclass C : A { [Override (\"M\")] uint8 M(); };",				"t.mof:4: method M lacks parameter P of the overridden method"          },
	{"a parameter of another type",
	 "class A { uint8 M(string P); };\nclass C : A { [Override (\"M\")] uint8 M(uint8 P); };",			 "t.mof:4: parameter P is uint8, but string in the superclass"           },
	{"a parameter twice",                            "class A { uint8 M(string P, string p); };",
	 "t.mof:3: parameter p is declared twice"																		  },
	{"a key that is an array",                       "class A { [Key] string B[]; };",                                 "t.mof:3: key B is an array"                                            },
	{"a key added below keys",                       "class A { [Key] string B; };\nclass C : A { [Key] string D; };",
	 "t.mof:4: C adds the key D to the keys of A"																	      },
	{"a default out of range",                       "class A { uint8 B = 256; };",
	 "t.mof:3: value is out of the range of uint8"																	     },
	{"a negative default of an unsigned",            "class A { uint8 B = -1; };",
	 "t.mof:3: value is out of the range of uint8"																	     },
	{"a default of another type",                    "class A { uint8 B = \"1\"; };",
	 "t.mof:3: value is not of type uint8"																		     },
	{"a default that is no datetime",                "class A { datetime B = \"yesterday\"; };",
	 "t.mof:3: \"yesterday\" is not a datetime"																		},
	{"a default longer than MaxLen",                 "class A { [MaxLen (2)] string B = \"abc\"; };",
	 "t.mof:3: default of B is longer than MaxLen"																	     },
	{"a qualifier declared twice",                   "Qualifier Fixed : uint8, Scope (any);",
	 "t.mof:3: qualifier Fixed is declared twice"																	      },
	{"a class where its superclass isn't",
	 "class A {};\n#pragma namespace (\"m\")\nclass B : A {};",							"t.mof:5: B lives in a namespace that its superclass A lacks"           },

 /* ---- grammar ---- */
	{"no end of a class",                            "class A {",						      "t.mof:3: name of a type expected"                                      },
	{"no semicolon",				 "class A {}",						     "t.mof:3: ';' expected after a class"                                   },
	{"an unknown type",			      "class A { integer B; };",                                        "t.mof:3: no such type: integer"                                        },
	{"an instance",				  "instance of A { B = 1; };",
	 "t.mof:3: class, qualifier or #pragma expected"																	   },
	{"an unknown pragma",                            "#pragma locale (\"en\")",
	 "t.mof:3: unknown pragma locale; known are include and namespace"															 },
	{"an include where none can be",                 "#pragma include (\"x\")",
	 "t.mof:3: includes are not allowed here"																		  },
	{"a string over a line's end",                   "class A { string B = \"x\ny\"; };",
	 "t.mof:3: string without end"																			     },
	{"an unknown escape",                            "class A { string B = \"\\q\"; };",
	 "t.mof:3: unknown escape; known are \\b \\t \\n \\f \\r \\\" \\' \\\\ and \\x"													    },
	{"a string with the end of C strings in it",     "class A { string B = \"\\x0\"; };",
	 "t.mof:3: \\x stands before 1 to 4 hex digits of a character other than 0"														},
	{"a string that is not UTF-8",                   "class A { string B = \"\xff\"; };",
	 "t.mof:3: string is not UTF-8, or has a character that XML cannot carry"														  },
	{"a comment without end",                        "class A {\n/* ",                                                 "t.mof:4: comment without end"                                          },
	{"a number too large",                           "class A { uint64 B = 18446744073709551616; };",
	 "t.mof:3: number too large"																			       },
	{"a digit that is none",                         "class A { uint8 B = 09; };",                                     "t.mof:3: not a number"                                                 },
	{"a stray character",                            "class A { ! };",						 "t.mof:3: unexpected character !"                                       },
	{"a method that returns a reference",            "class A { A REF M(); };",
	 "t.mof:3: method M cannot return a reference"																	     },
	{"a qualifier without scope",                    "Qualifier Z : string;",                                          "t.mof:3: qualifier Z has no scope"                                     },
	{"flavors that contradict",
	 "Qualifier Z : string, Scope (any), Flavor (ToSubclass, Restricted);",					    "t.mof:3: flavor Restricted contradicts one before it"                  },
};

TEST(what_is_wrong_is_refused_with_file_line_and_reason)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		AUTO(arena) a = arena_new(1 << 20);
		struct mofc m = {.arena = a};
		auto_free char *text = xasprintf("%s%s", PRELUDE, refused[i].text);
		struct err e = {0};

		CHECK_INT(compile(&m, text, &e), -EINVAL);
		CHECK_STR(e.text, refused[i].error);
		if (!streq(e.text, refused[i].error))
			printf("# that was: %s\n", refused[i].what);
	}
}

TEST(a_class_outside_any_namespace_is_refused)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct mofc m = {.arena = a};
	struct err e = {0};

	CHECK_INT(compile(&m, "class A {};", &e), -EINVAL);
	CHECK_STR(e.text, "t.mof:1: class A stands in no namespace; #pragma namespace comes first");
}

TEST(a_schema_larger_than_its_arena_is_refused_and_not_cut)
{
	AUTO(arena) a = arena_new(2000);
	struct mofc m = {.arena = a};
	struct err e = {0};

	CHECK_INT(compile(&m, PRELUDE "class A { string B; };", &e), -ENOMEM);
	CHECK_STR(e.text, "t.mof: too large");
}

static int load_self(void *ctx UNUSED, const char *path, struct arena *a UNUSED,
		     const char **ret_text, size_t *ret_n, struct err *e)
{
	if (!streq(path, "dir/self.mof"))
		return err_set(e, -ENOENT, "open %s: not there", path);
	*ret_text = "#pragma include (\"self.mof\")";
	*ret_n = strlen(*ret_text);
	return 0;
}

TEST(a_file_that_includes_itself_is_refused)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct mofc m = {.arena = a, .load = load_self};
	struct err e = {0};
	const char *text = "\n#pragma include (\"self.mof\")";

	CHECK_INT(mofc_parse(&m, "dir/top.mof", text, strlen(text), &e), -EINVAL);
	CHECK_STR(e.text, "dir/self.mof:1: dir/self.mof includes itself");
}

TEST(a_file_that_cannot_be_read_is_told_with_the_place_that_wants_it)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct mofc m = {.arena = a, .load = load_self};
	struct err e = {0};
	const char *text = "\n#pragma include (\"other.mof\")";

	CHECK_INT(mofc_parse(&m, "top.mof", text, strlen(text), &e), -ENOENT);
	CHECK_STR(e.text, "top.mof:2: open other.mof: not there");
}

TEST(an_override_takes_the_place_of_the_overridden_and_keeps_its_origin)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct mofc m = {.arena = a};
	struct err e = {0};
	const struct mofc_class *c;

	CHECK_INT(compile(&m,
			  PRELUDE "class A { [Key, MaxLen (9)] string K; uint8 N = 5; };\n"
				  "class B : A { string New; [Override (\"N\")] uint8 N; "
				  "[Override (\"K\")] string K; };\n",
			  &e),
		  0);
	CHECK_STR(e.text, "");
	c = mofc_class_find(&m, "b");
	CHECK(c && c->n_props == 3 && c->n_keys == 1);
	if (!c || c->n_props != 3)
		return;
	CHECK_STR(c->props[0]->name, "K");
	CHECK_STR(c->props[1]->name, "N");
	CHECK_STR(c->props[2]->name, "New");
	CHECK_STR(c->props[1]->origin->name, "A");
	CHECK_STR(c->props[1]->declared->name, "B");
	CHECK_INT(c->props[1]->dflt.u, 5);
	CHECK_INT(c->props[0]->max_len, 9);
	CHECK_INT(c->props[0]->flags, CIM_F_KEY | CIM_F_READ);
}

TEST(restricted_qualifiers_stay_behind_and_others_are_marked_as_inherited)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct mofc m = {.arena = a};
	struct err e = {0};
	const struct mofc_class *c;

	CHECK_INT(compile(&m, PRELUDE "[Abstract, Fixed (1)] class A {};\nclass B : A {};", &e), 0);
	c = mofc_class_find(&m, "B");
	CHECK(c && c->n_quals == 1 && !(c->flags & CIM_C_ABSTRACT));
	if (!c || c->n_quals != 1)
		return;
	CHECK_STR(c->quals[0]->name, "Fixed");
	CHECK(c->quals[0]->propagated);
}

TEST(a_parameter_goes_in_unless_it_says_otherwise)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct mofc m = {.arena = a};
	struct err e = {0};
	const struct mofc_feature *p;

	CHECK_INT(compile(&m,
			  PRELUDE "class A { uint32 M(string One, [Out] string Two, "
				  "[In (false), Out] A REF Three[]); };",
			  &e),
		  0);
	CHECK_STR(e.text, "");
	p = m.classes->methods[0]->params;
	CHECK_INT(p->flags, CIM_F_IN);
	CHECK_INT(p->next->flags, CIM_F_IN | CIM_F_OUT);
	CHECK_INT(p->next->next->flags, CIM_F_OUT | CIM_F_ARRAY);
}

TEST(numbers_are_read_in_every_base_mof_has)
{
	AUTO(arena) a = arena_new(1 << 20);
	struct mofc m = {.arena = a};
	struct err e = {0};
	static const uint64_t want[] = {0, 10, 255, 8, 5, 18446744073709551615U};

	CHECK_INT(compile(&m,
			  PRELUDE "class A { uint64 B[] = {0, +10, 0xfF, 010, 101b, "
				  "18446744073709551615}; sint8 C = -0x80; real64 D = -1.5e-3; };",
			  &e),
		  0);
	CHECK_STR(e.text, "");
	CHECK_INT(m.classes->props[0]->dflt.n, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		CHECK_INT(m.classes->props[0]->dflt.a[i].u, want[i]);
	CHECK_INT(m.classes->props[1]->dflt.i, -128);
	CHECK(m.classes->props[2]->dflt.r == -1.5e-3);
}

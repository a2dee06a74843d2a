/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/cert.h"
#include "base/clock.h"
#include "client/client.h"
#include "http/server.h"
#include "test.h"

#define RSP(x)                                                                                  \
	"<?xml version=\"1.0\"?><CIM CIMVERSION=\"2.0\" DTDVERSION=\"2.0\"><MESSAGE ID=\"%s\" " \
	"PROTOCOLVERSION=\"1.0\">"                                                              \
	"<SIMPLERSP>" x "</SIMPLERSP></MESSAGE></CIM>"
#define IRSP(x) RSP("<IMETHODRESPONSE NAME=\"X\">" x "</IMETHODRESPONSE>")

/* The namespace asked for says how the server behaves. */
static ssize_t endless(void *ctx, char *at, size_t max)
{
	unsigned *n = ctx;

	if ((*n)++ == 0)
		return snprintf(at, max,
				"<CIM><MESSAGE ID=\"1\"><SIMPLERSP><IMETHODRESPONSE "
				"NAME=\"X\"><IRETURNVALUE>");
	return snprintf(at, max, "<INSTANCENAME CLASSNAME=\"T\"></INSTANCENAME>");
}

static ssize_t trickle(void *ctx, char *at, size_t max)
{
	(void)ctx, (void)max;
	(void)usleep(100000);
	*at = ' ';
	return 1;
}

static ssize_t breaks_off(void *ctx, char *at, size_t max)
{
	unsigned *n = ctx;

	(void)max;
	*at = '<';
	return (*n)++ ? -1 : 1;
}

static void handle(void *ctx, struct http_exchange *x)
{
	static const struct http_field sentence = {"WBEMMessage", "because \xc3\xa4"},
				       error = {"CIMError", "header-mismatch"};
	const char *what = http_header(x, "CIMObject"), *id, *user, *password, *answer;
	char id_text[20] = "";
	unsigned *n = arena_zalloc(http_arena(x), sizeof(*n));
	size_t len;

	(void)ctx;
	id = strstr(http_body(x, &len), "ID=\"");
	if (id)
		(void)snprintf(id_text, sizeof(id_text), "%.*s", (int)strcspn(id + 4, "\""),
			       id + 4);
	answer = arena_printf(http_arena(x),
			      IRSP("<IRETURNVALUE><INSTANCENAME CLASSNAME=\"T\"><KEYBINDING "
				   "NAME=\"K\"><KEYVALUE>%s</KEYVALUE>"
				   "</KEYBINDING></INSTANCENAME></IRETURNVALUE>"),
			      id_text, id_text);
	if (streq(what, "refused")) {
		http_answer(x, 401, NULL, 0, "", 0);
		return;
	}
	if (streq(what, "mismatch")) {
		http_answer(x, 400, &error, 1, "<html>", 6);
		return;
	}
	if (streq(what, "moved")) {
		http_answer(x, 302, &(struct http_field){"Location", "http://127.0.0.1:1/"}, 1, "",
			    0);
		return;
	}
	if (streq(what, "html"))
		answer = "<html>hello</html>";
	if (streq(what, "other"))
		answer = arena_printf(http_arena(x), IRSP("<IRETURNVALUE></IRETURNVALUE>"), "666");
	if (streq(what, "error"))
		answer = arena_printf(http_arena(x), IRSP("<ERROR CODE=\"6\" DESCRIPTION=\"no\"/>"),
				      id_text);
	if (streq(what, "user"))
		answer = http_basic(x, &user, &password) && streq(user, "u") &&
					 streq(password, "p:w")
				 ? answer
				 : "";
	if (streq(what, "endless"))
		http_stream(x, 200, NULL, 0, endless, n);
	else if (streq(what, "trickle"))
		http_stream(x, 200, NULL, 0, trickle, n);
	else if (streq(what, "broken"))
		http_stream(x, 200, NULL, 0, breaks_off, n);
	else
		http_answer(x, 200, &sentence, 1, answer, strlen(answer));
}

static uint16_t free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	auto_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(bind(fd, (struct sockaddr *)(void *)&a, sizeof(a)) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)(void *)&a, &n) == 0);
	return ntohs(a.sin_port);
}

struct fixture {
	struct http_server *s;
	struct client *c;
	struct arena *a;
	char dir[40], path[60];
};

/* There are two ways to a server, which must not be told apart. */
enum way { BY_SOCKET, BY_TCP };
#define BOTH_WAYS(name)                \
	static void name(enum way way); \
	TEST(name##_by_socket)          \
	{                               \
		name(BY_SOCKET);        \
	}                               \
	TEST(name##_by_tcp)             \
	{                               \
		name(BY_TCP);           \
	}                               \
	static void name(enum way way)

static void setup(struct fixture *f, enum way way, struct client_config cfg)
{
	auto_free char *url = NULL;
	struct http_listen l = {0};
	struct http_server_config sc = {.listen = &l, .n_listen = 1, .handle = handle};
	struct err e = {0};

	memset(f, 0, sizeof(*f));
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/smiscsi-client-XXXXXX");
	CHECK(mkdtemp(f->dir) != NULL);
	(void)snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
	if (way == BY_TCP)
		l = (struct http_listen){.address = "127.0.0.1", .port = free_port()};
	else
		l.unix_path = cfg.unix_path = f->path;
	url = xasprintf("http://127.0.0.1:%u", l.port);
	cfg.url = url;
	CHECK_INT(http_server_new(&sc, &f->s, &e), 0);
	CHECK_INT(client_new(&cfg, &f->c, &e), 0);
	f->a = arena_new(1 << 20);
}

static void teardown(struct fixture *f)
{
	client_free(f->c);
	http_server_free(f->s);
	arena_free(f->a);
	(void)rmdir(f->dir);
}

static int ask(struct fixture *f, const char *ns, struct client_list *l, struct err *e)
{
	struct cim_request rq = {
		.op = CIM_OP_ENUMERATE_INSTANCE_NAMES, .ns = ns, .class_name = "T"};

	*e = (struct err){0};
	return client_collect(f->c, &rq, f->a, l, e);
}

BOTH_WAYS(answers_are_collected_call_after_call)
{
	struct fixture f;
	struct client_list l;
	struct err e;

	setup(&f, way, (struct client_config){.user = "u", .password = "p:w"});
	CHECK_INT(ask(&f, "plain", &l, &e), 0);
	CHECK_INT(l.n_paths, 1);
	CHECK_STR(cim_path_print(f.a, l.paths[0]), "T.K=\"1\"");
	CHECK_STR(l.answer.sentence, "because \xc3\xa4");
	CHECK_INT(ask(&f, "user", &l, &e), 0);
	CHECK_STR(cim_path_print(f.a, l.paths[0]), "T.K=\"2\"");
	teardown(&f);
}

BOTH_WAYS(whatever_goes_wrong_is_told_apart)
{
	static const struct {
		const char *ns;
		int want;
		const char *says;
	} t[] = {
		{"refused",  -EACCES,    "401"                  },
                {"mismatch", -EPROTO,    "header-mismatch"      },
		{"moved",    -EPROTO,    "302"                  },
                {"html",     -EPROTO,    "CIM-XML"              },
		{"other",    -EPROTO,    "666"                  },
                {"error",    -EREMOTEIO, "CIM_ERR_NOT_FOUND: no"},
		{"broken",   -EPIPE,     ""                     },
                {"endless",  -EFBIG,     "1000000 bytes"        },
		{"trickle",  -ETIMEDOUT, ""                     },
	};
	struct fixture f;

	setup(&f, way, (struct client_config){.timeout_ms = 700, .answer_bytes = 1000000});
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct client_list l;
		struct err e;

		arena_reset(f.a);
		if (streq(t[i].ns,
			  "endless")) { /* the sink's memory comes to its end before the bytes do */
			CHECK_INT(ask(&f, t[i].ns, &l, &e), -E2BIG);
			continue;
		}
		CHECK_INT(ask(&f, t[i].ns, &l, &e), t[i].want);
		if (!strstr(e.text, t[i].says))
			printf("# %s: %s\n", t[i].ns, e.text);
		CHECK(strstr(e.text, t[i].says) != NULL);
		CHECK(e.text[0] != '\0');
	}
	teardown(&f);
}

BOTH_WAYS(an_answer_has_a_most)
{
	struct fixture f;
	struct cim_request rq = {
		.op = CIM_OP_ENUMERATE_INSTANCE_NAMES, .ns = "endless", .class_name = "T"};
	struct client_answer answer;
	struct err e = {0};

	setup(&f, way, (struct client_config){.answer_bytes = 1000000});
	CHECK_INT(client_call(f.c, &rq, f.a, NULL, &answer, &e), -EFBIG);
	teardown(&f);
}

BOTH_WAYS(a_call_can_be_abandoned)
{
	static atomic_bool abandon = true;
	struct fixture f;
	struct client_list l;
	struct err e;
	uint64_t from = clock_mono_ns();

	setup(&f, way, (struct client_config){.abandon = &abandon});
	CHECK_INT(ask(&f, "trickle", &l, &e), -ECANCELED);
	CHECK(clock_mono_ns() - from < 3000000000U);
	teardown(&f);
}

TEST(nobody_there_is_said)
{
	AUTO(arena) a = arena_new(1 << 20);
	AUTO(client) c = NULL;
	struct cim_request rq = {.op = CIM_OP_ENUMERATE_CLASS_NAMES, .ns = "x"};
	struct client_list l;
	struct err e = {0};

	CHECK_INT(client_new(&(struct client_config){.url = "http://127.0.0.1:1"}, &c, &e), 0);
	CHECK_INT(client_collect(c, &rq, a, &l, &e), -ECONNREFUSED);
	CHECK(strstr(e.text, "127.0.0.1:1") != NULL);
	CHECK_INT(client_new(&(struct client_config){.url = "ftp://x"}, &c, &e), -EINVAL);
	client_free(take(c));
	CHECK_INT(client_new(&(struct client_config){.url = "http://x", .unix_path = "/nowhere"}, &c, &e), 0);
	CHECK_INT(client_collect(c, &rq, a, &l, &e), -ECONNREFUSED);
	CHECK(strstr(e.text, "/nowhere") != NULL);
}

TEST(a_server_that_comes_back_is_met_again)
{
	struct http_listen l = {0};
	struct http_server_config sc = {.listen = &l, .n_listen = 1, .handle = handle};
	struct client_list list;
	struct fixture f;
	struct err e;

	setup(&f, BY_SOCKET, (struct client_config){0});
	CHECK_INT(ask(&f, "plain", &list, &e), 0);
	http_server_free(f.s); /* and with it the connection that is kept */
	l.unix_path = f.path;
	CHECK_INT(http_server_new(&sc, &f.s, &e), 0);
	CHECK_INT(ask(&f, "plain", &list, &e), 0);
	CHECK_INT(list.n_paths, 1);
	teardown(&f);
}

TEST(a_certificate_must_be_vouched_for_and_carry_the_name)
{
	static const char *const names[] = {"localhost"};
	static const struct {
		const char *host;
		bool trusted, insecure;
		int want;
	} t[] = {
		{"localhost", true,  false, 0            },
		{"localhost", false, false, -EKEYREJECTED},
		{"127.0.0.1", true,  false, -EKEYREJECTED},
		{"127.0.0.1", false, true,  0            },
	};
	char dir[] = "/tmp/smiscsi-client-XXXXXX";
	auto_free char *pem = NULL, *key = NULL, *tls = NULL;
	struct http_listen l = {.address = "127.0.0.1", .port = free_port(), .tls = true};
	struct http_server_config sc = {
		.listen = &l, .n_listen = 1, .threads = 1, .handle = handle};
	struct http_server *server = NULL;
	struct cert cert;
	struct err e = {0};

	CHECK(mkdtemp(dir) != NULL);
	pem = xasprintf("%s/tls/cert.pem", dir);
	key = xasprintf("%s/tls/key.pem", dir);
	tls = xasprintf("%s/tls", dir);
	CHECK_INT(cert_ensure(dir, names, 1, clock_wall_us(), &cert, &e), 0);
	sc.cert_pem = cert.cert_pem;
	sc.key_pem = cert.key_pem;
	CHECK_INT(http_server_new(&sc, &server, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		AUTO(arena) a = arena_new(1 << 20);
		AUTO(client) c = NULL;
		auto_free char *url = xasprintf("https://%s:%u", t[i].host, l.port);
		struct client_config cfg = {.url = url,
					    .ca_file = t[i].trusted ? pem : NULL,
					    .insecure = t[i].insecure};
		struct cim_request rq = {
			.op = CIM_OP_ENUMERATE_INSTANCE_NAMES, .ns = "plain", .class_name = "T"};
		struct client_list list;

		e = (struct err){0};
		CHECK_INT(client_new(&cfg, &c, &e), 0);
		CHECK_INT(client_collect(c, &rq, a, &list, &e), t[i].want);
		if (e.code != t[i].want)
			printf("# row %zu: %s\n", i, e.text);
	}
	http_server_free(server);
	cert_done(&cert);
	(void)unlink(pem);
	(void)unlink(key);
	(void)rmdir(tls);
	(void)rmdir(dir);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ask.h"
#include "test.h"
#include "toy.h"

#define HOST "TOY_Host.Name=\"h\""

enum { TEXT_MAX = 16384 };

/* What goes to stderr until heard(). */
struct ear {
	int was, fd;
	char text[TEXT_MAX];
};

static void listen_up(struct ear *e)
{
	(void)fflush(stderr);
	e->was = dup(STDERR_FILENO);
	e->fd = memfd_create("stderr", MFD_CLOEXEC);
	(void)dup2(e->fd, STDERR_FILENO);
}

/* The audit lines; returns how many. */
static unsigned heard(struct ear *e)
{
	ssize_t n = pread(e->fd, e->text, TEXT_MAX - 1, 0);
	unsigned lines = 0;

	e->text[n > 0 ? n : 0] = '\0';
	(void)dup2(e->was, STDERR_FILENO);
	(void)close(e->was);
	(void)close(e->fd);
	for (const char *p = e->text; (p = strstr(p, "audit: ")); p++)
		lines++;
	return lines;
}

static struct ask *call(struct toy *t, const char *method)
{
	struct ask *k = ask_new(toy_broker(t), CIM_OP_INVOKE_METHOD, "root/toy");

	ask_path(k, HOST);
	k->rq.method = method;
	k->who.user = "ann";
	k->who.peer = "10.0.0.1:5";
	return k;
}

TEST(a_change_that_is_made_has_one_line_and_none_of_its_text)
{
	AUTO(toy) t = toy_new(1, TOY_THREAD, NULL);
	AUTO(ask) k = call(t, "Rename");
	struct ear e;

	ask_value(k, "Alias", "hidden");
	listen_up(&e);
	CHECK_INT(ask_go(k), CIM_OK);
	CHECK_INT(heard(&e), 1);
	CHECK(strstr(e.text, "audit: user=ann peer=10.0.0.1:5 result=0 Rename "));
	CHECK(strstr(e.text, "TOY_Host.Name=\"h\""));
	CHECK(strstr(e.text, "Alias=..."));
	CHECK(!strstr(e.text, "hidden"));
}

TEST(who_goes_away_while_waiting_has_his_line_all_the_same)
{
	AUTO(toy) t = toy_new(1, TOY_HELD, NULL);
	AUTO(ask) k = call(t, "Rename");
	struct ear e;

	ask_value(k, "Alias", "new");
	listen_up(&e);
	ask_open(k);
	broker_close(take(k->op));
	arena_reset(k->a); /* the request is gone, too */
	toy_release(t);
	CHECK_INT(heard(&e), 1);
	CHECK(strstr(e.text, "audit: user=ann peer=10.0.0.1:5 result=0 Rename "));
	CHECK(strstr(e.text, "TOY_Host.Name=\"h\""));
}

TEST(a_change_that_could_not_be_made_has_a_line_that_says_so)
{
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);
	AUTO(ask) k = call(t, "Rename");
	struct ear e;

	toy_outcome(t, PROV_FAILED);
	ask_value(k, "Alias", "new");
	listen_up(&e);
	CHECK_INT(ask_go(k), CIM_OK);
	CHECK_INT(heard(&e), 1);
	CHECK(strstr(e.text, "result=4 Rename "));
	CHECK(strstr(e.text, ": the toy is broken\n"));
}

TEST(every_way_of_being_refused_has_one_line)
{
	static const struct {
		enum cim_op op;
		const char *method, *path;
		bool may_write;
		const char *result;
	} tries[] = {
		{CIM_OP_INVOKE_METHOD, "Rename", HOST, false, "result=CIM_ERR_ACCESS_DENIED Rename "},
		{CIM_OP_INVOKE_METHOD, "Nothing", HOST, true,
		 "result=CIM_ERR_METHOD_NOT_FOUND Nothing TOY_Host"},
		{CIM_OP_DELETE_INSTANCE, NULL, HOST, false,
		 "result=CIM_ERR_ACCESS_DENIED DeleteInstance TOY_Host"},
		{CIM_OP_DELETE_INSTANCE, NULL, "TOY_Host.Name=\"gone\"", true, " DeleteInstance TOY_Host"},
		{CIM_OP_DELETE_CLASS, NULL, "TOY_Host", true,
		 "result=CIM_ERR_NOT_SUPPORTED DeleteClass TOY_Host"},
	};
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		AUTO(ask) k = call(t, tries[i].method);
		struct ear e;

		k->rq.op = tries[i].op;
		ask_path(k, tries[i].path);
		k->who.may_write = tries[i].may_write;
		listen_up(&e);
		CHECK(ask_go(k) != CIM_OK);
		CHECK_INT(heard(&e), 1);
		if (!strstr(e.text, tries[i].result))
			CHECK_STR(e.text, tries[i].result);
	}
}

TEST(reading_has_no_line)
{
	AUTO(toy) t = toy_new(1, TOY_INLINE, NULL);
	AUTO(ask) k = ask_new(toy_broker(t), CIM_OP_GET_INSTANCE, "root/toy");
	AUTO(ask) denied = ask_new(toy_broker(t), CIM_OP_GET_INSTANCE, "root/toy");
	struct ear e;

	ask_path(k, HOST);
	ask_path(denied, HOST);
	denied->who = (struct prov_caller){0};
	listen_up(&e);
	CHECK_INT(ask_go(k), CIM_OK);
	CHECK_INT(ask_go(denied), CIM_ERR_ACCESS_DENIED);
	CHECK_INT(heard(&e), 0);
}

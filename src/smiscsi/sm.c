/* SPDX-License-Identifier: Apache-2.0 */
/* smiscsi sm: the Storage Management layer's view of all providers. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "smiscsi/cli.h"

static int list(struct cli *c, const char *class_name, const struct cli_column *cols, size_t n)
{
	struct session_list l;
	struct err e = {0};

	if (session_list(c->session, NS_SM, class_name, &l, &e) < 0)
		return cli_fail(&e);
	cli_print(c, &l, cols, n);
	return EXIT_DONE;
}

static const char *ip(struct cli *c, const struct cim_raw_instance *i)
{
	const char *v4 = prop_text(i, "IPv4Address");

	(void)c;
	return *v4 ? v4 : prop_text(i, "IPv6Address");
}

static const char *ip_status(struct cli *c, const struct cim_raw_instance *i)
{
	(void)c;
	return cli_status(prop_first(i, "IPEndpointOpStatus"));
}

static const char *tcp_status(struct cli *c, const struct cim_raw_instance *i)
{
	(void)c;
	return cli_status(prop_first(i, "TCPEndpointOpStatus"));
}

int cmd_sm_portals(struct cli *c)
{
	static const struct cli_column cols[] = {
		{"ADDRESS", NULL, ip},     {"MASK", "SubnetMask", NULL}, {"PORT", "PortNumber", NULL},
		{"IP", NULL, ip_status},   {"TCP", NULL, tcp_status},
	};

	return list(c, "MSFT_SMiSCSIPortalEndpoint", cols, ARRAY_SIZE(cols));
}

int cmd_sm_endpoints(struct cli *c)
{
	static const struct cli_column cols[] = {
		{"ENDPOINT", "Name", NULL},
		{"SYSTEM", "SystemName", NULL},
	};

	return list(c, "MSFT_SMEndpoint", cols, ARRAY_SIZE(cols));
}

/* How old what is known of a provider is: what its MSFT_SMDiscovery says. */
static const char *age(struct cli *c, const struct cim_raw_instance *i)
{
	const struct session_list *discoveries = c->beside;
	const char *id = prop_text(i, "ObjectId");
	size_t n = strcspn(id, ":");

	for (size_t k = 0; k < discoveries->n; k++) {
		const char *of = prop_text(discoveries->v[k], "DiscoveryId");

		if (strlen(of) == n && strncmp(of, id, n) == 0)
			return prop_text(discoveries->v[k], "Status");
	}
	return "";
}

int cmd_sm_providers(struct cli *c)
{
	static const struct cli_column cols[] = {
		{"PROVIDER", "URI", NULL},
		{"NAME", "ElementName", NULL},
		{"VERSION", "VersionString", NULL},
		{"SMI-S", "SMISProfileVersion", NULL},
		{"STATUS", NULL, age},
	};
	struct session_list discoveries;
	struct err e = {0};

	if (session_list(c->session, NS_SM, "MSFT_SMDiscovery", &discoveries, &e) < 0)
		return cli_fail(&e);
	c->beside = &discoveries;
	return list(c, "MSFT_SMProvider", cols, ARRAY_SIZE(cols));
}

int cmd_sm_remove(struct cli *c)
{
	struct session_answer a;
	struct session_list l;
	struct err e = {0};

	if (session_list(c->session, NS_SM, "MSFT_SMProvider", &l, &e) < 0)
		return cli_fail(&e);
	for (size_t i = 0; i < l.n; i++)
		if (str_caseeq(prop_text(l.v[i], "URI"), c->args[0]))
			return cli_invoke(c, NS_SM, l.v[i]->path, "Remove", NULL, 0, &a);
	return cli_failf("no provider '%s'; see: smiscsi sm providers", c->args[0]);
}

/* ---- discovery ---- */

static const struct cim_raw_instance *job_of(struct cli *c, const struct cim_path *job,
					     const struct session_list *l)
{
	(void)c;
	for (size_t i = 0; i < l->n; i++)
		if (streq(prop_text(l->v[i], "ObjectId"), path_key(job, "ObjectId")))
			return l->v[i];
	return NULL;
}

static void progress(uint64_t percent)
{
	enum { WIDTH = 40 };
	char bar[WIDTH + 1];

	if (!isatty(STDERR_FILENO))
		return;
	for (unsigned i = 0; i < WIDTH; i++)
		bar[i] = i * 100 < percent * WIDTH ? '#' : '.';
	bar[WIDTH] = '\0';
	(void)fprintf(stderr, "\r[%s] %3lu %%", bar, (unsigned long)percent);
}

/* CIM_ConcreteJob.JobState: 7 completed, 8 terminated, 9 killed, 10 exception */
enum { JOB_COMPLETED = 7, JOB_EXCEPTION = 10 };

static int follow(struct cli *c, const struct cim_path *job)
{
	const struct timespec wait = {.tv_nsec = 100000000};

	for (;;) {
		const struct cim_raw_instance *j;
		struct session_list l;
		struct err e = {0};
		uint64_t state;

		if (session_list(c->session, NS_SM, "MSFT_SMJob", &l, &e) < 0)
			return cli_fail(&e);
		j = job_of(c, job, &l);
		if (!j)
			return cli_failf("the discovery job is gone; see: smiscsi sm providers");
		state = prop_number(j, "JobState");
		progress(prop_number(j, "PercentComplete"));
		if (state >= JOB_COMPLETED && state <= JOB_EXCEPTION) {
			if (isatty(STDERR_FILENO))
				(void)fputc('\n', stderr);
			if (state == JOB_COMPLETED)
				return EXIT_DONE;
			return cli_failf("discovery failed: %s", prop_text(j, "ErrorDescription"));
		}
		(void)nanosleep(&wait, NULL);
	}
}

int cmd_sm_discover(struct cli *c)
{
	const char *user = cli_option(c, "provider-user");
	const char *level = cli_option(c, "level"), *interop = cli_option(c, "interop");
	/* not an argument: everybody on the host can read those */
	const char *password = getenv("SMISCSI_PROVIDER_PASSWORD");
	const struct cim_named *job;
	struct session_answer a;
	struct cim_named p[7];
	uint64_t l_number = 0;
	struct session_list l;
	struct err e = {0};
	size_t n = 0;

	if (level && !str_u64(level, strlen(level), UINT32_MAX, &l_number))
		return cli_failf("the level is a number: 0 systems, 1 and ports and pools, 2 and "
				 "volumes, 3 all, not '%s'", level);
	if (session_list(c->session, NS_SM, "MSFT_SMStorageDiscovery", &l, &e) < 0)
		return cli_fail(&e);
	if (l.n != 1)
		return cli_failf("the server shows %zu discovery services instead of one", l.n);
	p[n++] = cli_text("host", c->args[0]);
	p[n++] = cli_text("hostType", "smis-cimxml");
	p[n++] = cli_number("forceRediscovery", CIM_BOOLEAN, 1); /* whoever asks wants it now */
	if (level)
		p[n++] = cli_number("discoveryLevel", CIM_UINT32, l_number);
	if (interop)
		p[n++] = cli_text("interopNamespace", interop);
	if (user)
		p[n++] = cli_text("username", user);
	if (password)
		p[n++] = cli_text("password", password);
	if (session_invoke(c->session, NS_SM, l.v[0]->path, "StartDiscovery", p, n, &a, &e) < 0)
		return cli_fail(&e);
	if (a.code == 0)
		return EXIT_DONE;
	job = cli_out(&a, "Job");
	if (a.code != 4096 || !job || cim_is_null(&job->v))
		return cli_failf("discovery was refused (%u)%s%s", a.code, *a.sentence ? ": " : "",
				 a.sentence);
	return follow(c, job->v.ref);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* smiscsid - the management server: wiring, start, stop. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/fake/fake.h"
#include "engine/lio/lio.h"
#include "engine/user/user.h"
#include "gen/schema.h"
#include "sm/sm.h"
#include "smiscsid/machine.h"
#include "smiscsid/model.h"
#include "smiscsid/notify.h"
#include "smiscsid/server.h"
#include "smiscsid/stats.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, READY_MS = 60000 };

static const struct cim_namespace *const namespaces[] = {
	&smiscsi_ns_iscsitarget,
	&smiscsi_ns_sm,
	&smiscsi_ns_interop,
};

/* Everything that lives as long as the process, in the order in which it is made. */
struct daemon {
	struct options options;
	bool made_state;
	char *state, *socket, *users_path, **urls;
	size_t n_urls;
	char host[256];
	struct cert cert;
	char *client_ca_pem;
	struct users *users;
	struct store *store;
	struct engine *engine;
	bool engine_chosen; /* by us: --engine auto */
	struct control *control;
	struct providers_server shown;
	struct machine machine;
	struct stats *stats;
	struct model model;
	struct sm *sm;
	const struct prov_module *modules[2];
	struct broker *broker;
	struct server *server;
};

static int usage(const struct err *e)
{
	(void)fprintf(stderr, "smiscsid: %s\n", e->text);
	return EXIT_USAGE;
}

static int failed(const struct err *e)
{
	(void)fprintf(stderr, "smiscsid: %s\n", e->text);
	return EXIT_FAILED;
}

/* What the options may say one by one but not together. */
static int check_options(struct options *o, struct err *e)
{
	enum log_level level;

	if (!log_level_parse(o->log_level, &level))
		return err_set(e, -EINVAL, "option --log-level: '%s' is not one of error, warning, "
			       "info, debug", o->log_level);
	log_set_level(level);
	if (!*o->provider_certificate != !*o->provider_key)
		return err_set(e, -EINVAL, "--provider-certificate and --provider-key go together");
	if (*o->client_ca && o->https.n == 0)
		return err_set(e, -EINVAL, "--client-ca is of use only with --https");
	if (o->http.n == 0 && o->https.n == 0) {
		o->http.v = xcalloc(1, sizeof(*o->http.v));
		o->http.v[0] = (struct options_endpoint){
			.address = "127.0.0.1", .port = 5988, .loopback = true};
		o->http.n = 1;
	}
	for (size_t i = 0; i < o->http.n; i++) {
		const struct options_endpoint *ep = &o->http.v[i];

		if (ep->loopback)
			continue;
		if (o->no_auth)
			return err_set(e, -EINVAL, "--no-auth is for the loopback only, and --http names "
				       "%s; make accounts with 'smiscsi user add'", ep->address);
		if (!o->plain_http)
			return err_set(e, -EINVAL, "--http names %s, where passwords would travel in the "
				       "clear; use --https, or say --plain-http", ep->address);
	}
	for (size_t i = 0; i < o->https.n; i++)
		if (!o->https.v[i].loopback && o->no_auth)
			return err_set(e, -EINVAL, "--no-auth is for the loopback only, and --https names "
				       "%s; make accounts with 'smiscsi user add'", o->https.v[i].address);
	return 0;
}

/* Have the name of a folder that was made just now on the disk. */
static void sync_parent(const char *dir)
{
	auto_free char *parent = xasprintf("%s/..", dir);
	auto_fd int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		log_warn(smiscsid, "the name of the new folder %s may not be on the disk: %m", dir);
}

/* The state folder, made when it isn't there, with nobody else allowed in. */
static int prepare_state(struct daemon *d, struct err *e)
{
	const char *dir = d->options.state;
	auto_free char *probe = xasprintf("%s/.writable", dir);
	auto_free char *parent = xstrdup(dir);
	FILE *f;

	for (char *p = parent + 1; (p = strchr(p, '/')); p++) {
		*p = '\0';
		(void)mkdir(parent, 0755);
		*p = '/';
	}
	d->made_state = mkdir(dir, 0700) == 0;
	if (!d->made_state && errno != EEXIST)
		return err_sys(e, "cannot make the state folder %s", dir);
	f = fopen(probe, "we");
	if (!f)
		return err_sys(e, "the state folder %s cannot be written; name another with --state", dir);
	(void)fclose(f);
	(void)unlink(probe);
	d->state = realpath(dir, NULL);
	if (!d->state)
		return err_sys(e, "cannot find the state folder %s", dir);
	d->socket = xasprintf("%s/cim.socket", d->state);
	d->users_path = xasprintf("%s/users", d->state);
	return 0;
}

static void add_urls(struct daemon *d, const char *scheme, const struct options_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		bool v6 = strchr(l->v[i].address, ':') != NULL;

		d->urls[d->n_urls++] = xasprintf("%s://%s%s%s:%u", scheme, v6 ? "[" : "",
						 l->v[i].address, v6 ? "]" : "", l->v[i].port);
	}
}

/* What clients may call this host: grows v by one. */
static void add_name(const char ***v, size_t *n, const char *name)
{
	for (size_t i = 0; i < *n; i++)
		if (streq((*v)[i], name))
			return;
	*v = xrealloc(*v, (*n + 1) * sizeof(**v));
	(*v)[(*n)++] = xstrdup(name);
}

/* --https on every address: the certificate names those that the host has now. */
static void add_addresses(const char ***v, size_t *n, int family)
{
	struct ifaddrs *all = NULL;
	char text[INET6_ADDRSTRLEN];

	if (getifaddrs(&all) < 0)
		return;
	for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;

		if (!a->ifa_addr || a->ifa_addr->sa_family != family)
			continue;
		memcpy(&v4, a->ifa_addr, sizeof(v4));
		if (family == AF_INET6)
			memcpy(&v6, a->ifa_addr, sizeof(v6));
		if (family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr))
			continue; /* no name without a scope */
		if (inet_ntop(family, family == AF_INET ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr,
			      text, sizeof(text)))
			add_name(v, n, text);
	}
	freeifaddrs(all);
}

/* The host's name with its domain, where the resolver knows it. */
static void add_canonical(const char ***v, size_t *n, const char *host)
{
	struct addrinfo hint = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM}, *r = NULL;

	if (getaddrinfo(host, NULL, &hint, &r) == 0 && r->ai_canonname)
		add_name(v, n, r->ai_canonname);
	if (r)
		freeaddrinfo(r);
}

static int make_cert(struct daemon *d, struct err *e)
{
	const char **names = NULL;
	size_t n = 0;
	int r;

	if (!cert_is_there(d->state)) {
		add_name(&names, &n, d->host);
		add_canonical(&names, &n, d->host);
		add_name(&names, &n, "localhost");
		for (size_t i = 0; i < d->options.https.n; i++) {
			const char *address = d->options.https.v[i].address;

			if (streq(address, "0.0.0.0"))
				add_addresses(&names, &n, AF_INET);
			else if (streq(address, "::"))
				add_addresses(&names, &n, AF_INET6);
			else
				add_name(&names, &n, address);
		}
	}
	r = cert_ensure(d->state, names, n, clock_wall_us(), &d->cert, e);
	for (size_t i = 0; i < n; i++)
		free((void *)(uintptr_t)names[i]);
	free(names);
	if (r == 0 && *d->options.client_ca) {
		d->client_ca_pem = cert_read_authorities(d->options.client_ca, e);
		r = d->client_ca_pem ? 0 : e->code;
	}
	return r;
}

/* What serves the data, as clients and logs are told. */
static const char *const serves[ENGINES] = {
	[ENGINE_USER] = "smiscsi-target, in user space, serves the data",
	[ENGINE_LIO] = "the Linux kernel's own target (LIO) serves the data",
	[ENGINE_FAKE] = "nothing serves data: this is a test",
};

static void ignore(void *ctx UNUSED, const struct engine_event *ev UNUSED)
{
}

/* What an earlier smiscsid on this state has left in the kernel goes, as the other engine is to
 * serve the same portals now. */
static void clear_kernel(const struct daemon *d)
{
	auto_free char *ours = xasprintf("%s/lio.targets", d->state);
	struct lio_engine_config c = {.state_dir = d->state};
	struct engine *en;
	struct err e = {0};

	if (access(ours, F_OK) < 0 || lio_engine_available(NULL, &e) < 0)
		return;
	if (lio_engine_new(&c, &en, &e) == 0) {
		if (en->ops->start(en, ignore, NULL, &e) == 0)
			en->ops->stop(en, false);
		en->ops->free(en);
	}
	if (e.code)
		log_warn(smiscsid, "what smiscsi has in the kernel stays there: %s", e.text);
}

/* The engine that was asked for; auto becomes the one that it is. */
static int make_engine(struct daemon *d, struct err *e)
{
	struct lio_engine_config lio = {.state_dir = d->state};
	struct user_engine_config user = {.state_dir = d->state,
					  .managed = getenv("NOTIFY_SOCKET") != NULL};
	enum options_engine *kind = &d->options.engine;
	bool chosen = d->engine_chosen = *kind == ENGINE_AUTO;
	int r = 0;

	if (*d->options.target)
		user.program = d->options.target;
	if (chosen) {
		*kind = ENGINE_LIO;
		if (lio_engine_new(&lio, &d->engine, e) < 0) {
			log_info(smiscsid, "the kernel's target is not used: %s", e->text);
			*e = (struct err){0};
			*kind = ENGINE_USER;
		}
	}
	if (*kind == ENGINE_FAKE)
		d->engine = fake_engine_engine(fake_engine_new());
	else if (*kind == ENGINE_LIO && !chosen)
		r = lio_engine_new(&lio, &d->engine, e);
	else if (*kind == ENGINE_USER)
		r = user_engine_new(&user, &d->engine, e);
	if (r < 0)
		return r;
	if (*kind == ENGINE_USER)
		clear_kernel(d);
	else if (*kind == ENGINE_LIO)
		r = user_engine_end_left(d->state, e);
	log_info(smiscsid, "engine %s: %s", d->engine->ops->kind, serves[*kind]);
	return r;
}

/* A change of the model: the SM layer asks the local provider again. */
static void observe(void *ctx, const struct san_state *was, const struct san_state *now,
		    const struct san_changes *effects)
{
	struct daemon *d = ctx;

	(void)was;
	(void)now;
	for (size_t i = 0; i < effects->n; i++)
		if (effects->v[i].kind != SAN_SESSION) { /* of which it shows nothing */
			sm_poke_local(d->sm);
			return;
		}
}

static int start_control(struct daemon *d, struct err *e)
{
	const struct options *o = &d->options;
	struct control_portal_option *portals =
		xcalloc(o->portal.n ? o->portal.n : 1, sizeof(*portals));
	struct san_settings *settings = san_settings_new(o->naming_authority);
	struct control_config c = {
		.state_dir = d->state,
		.settings = settings,
		.portals = portals,
		.n_portals = o->portal.n,
		.devices = (const char *const *)o->device.v,
		.n_devices = o->device.n,
		.watch_network = true,
		.observer = observe,
		.observer_ctx = d,
	};
	int r;

	settings->identifier_selection = o->identifier_selection;
	settings->default_portals = o->default_portals && o->portal.n == 0;
	settings->default_tcp_port = (uint16_t)o->default_port;
	settings->logout_time = (uint32_t)o->logout_time;
	for (size_t i = 0; i < o->portal.n; i++) {
		(void)snprintf(portals[i].address, sizeof(portals[i].address), "%s",
			       o->portal.v[i].address);
		portals[i].tcp_port =
			o->portal.v[i].port ? o->portal.v[i].port : (uint16_t)o->default_port;
	}
	r = control_new(&c, d->store, d->engine, &d->control, e);
	free(portals);
	return r;
}

static int make_sm(struct daemon *d, struct err *e)
{
	struct sm_config c = {
		.state = d->state,
		.local_socket = d->socket,
		.local_uris = (const char *const *)d->urls,
		.n_local_uris = d->n_urls,
		.host = d->host,
		.version = SMISCSI_VERSION,
		.refresh_s = (uint32_t)d->options.refresh,
		.pass_timeout_s = (uint32_t)d->options.provider_timeout,
		.ca_file = *d->options.provider_authorities ? d->options.provider_authorities : NULL,
		.cert_file = *d->options.provider_certificate ? d->options.provider_certificate : NULL,
		.key_file = *d->options.provider_key ? d->options.provider_key : NULL,
		.keep_credentials = d->options.keep_credentials,
	};

	d->sm = sm_new(&c, e);
	return d->sm ? 0 : e->code;
}

static int start_broker(struct daemon *d, struct err *e)
{
	static const struct broker_alias aliases[] = {{"root/interop", "interop"}};
	struct broker_config c = {
		.namespaces = namespaces,
		.n_namespaces = ARRAY_SIZE(namespaces),
		.aliases = aliases,
		.n_aliases = ARRAY_SIZE(aliases),
		.modules = d->modules,
		.n_modules = ARRAY_SIZE(d->modules),
		.host = d->host,
		.limits = {.contexts = (uint32_t)d->options.max_contexts,
			   .contexts_per_user = (uint32_t)d->options.max_contexts_per_user,
			   .pull_max_objects = (uint32_t)d->options.max_pull,
			   .pull_timeout_s = (uint32_t)d->options.pull_time,
			   .pull_timeout_max_s = (uint32_t)d->options.max_pull_time,
			   .query_bytes = (uint32_t)d->options.max_query,
			   .query = {.depth = (uint32_t)d->options.max_query_depth,
				     .names = (uint32_t)d->options.max_query_names,
				     .chain = (uint32_t)d->options.max_query_chain,
				     .pattern_bytes = (uint32_t)d->options.max_pattern},
			   .context_bytes = d->options.max_context_memory,
			   .write_bytes = d->options.max_request_memory},
	};

	d->modules[0] = &d->model.module;
	d->modules[1] = sm_module(d->sm);
	d->broker = broker_new(&c, e);
	return d->broker ? 0 : e->code;
}

/* Everything up to the point where the first request succeeds. */
static int start(struct daemon *d, struct err *e)
{
	struct rlimit files;
	int r;

	/* every connection, portal and unit is a descriptor */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	if (gethostname(d->host, sizeof(d->host) - 1) < 0 || !d->host[0])
		(void)snprintf(d->host, sizeof(d->host), "localhost");
	d->urls = xcalloc(d->options.http.n + d->options.https.n, sizeof(*d->urls));
	add_urls(d, "http", &d->options.http);
	add_urls(d, "https", &d->options.https);
	r = prepare_state(d, e);
	if (r == 0)
		r = store_open(d->state, &d->store, e);
	if (r == 0)
		r = users_open(d->users_path, &d->users, e);
	if (r == 0 && *d->options.pam)
		users_use_pam(d->users, d->options.pam);
	if (r == 0 && d->options.https.n)
		r = make_cert(d, e);
	if (r == 0)
		r = make_sm(d, e);
	if (r == 0)
		r = make_engine(d, e);
	if (r == 0)
		r = start_control(d, e);
	if (r == 0)
		r = control_wait_ready(d->control, READY_MS, e);
	if (r < 0)
		return r;
	/* Before anything is promised, and after the syncs that have taken the name along. */
	if (d->made_state)
		sync_parent(d->options.state);
	machine_read(NULL, &d->machine);
	d->shown = (struct providers_server){
		.manufacturer = *d->machine.manufacturer ? d->machine.manufacturer : NULL,
		.model = *d->machine.model ? d->machine.model : NULL,
		.serial = *d->machine.serial ? d->machine.serial : NULL,
		.version = SMISCSI_VERSION,
		.host = d->host,
		.serves = serves[d->options.engine],
		.urls = (const char *const *)d->urls,
		.n_urls = d->n_urls,
		.authenticates = !d->options.no_auth,
		.takes_certificates = d->client_ca_pem != NULL,
		.pull_timeout_max_s = (uint32_t)d->options.max_pull_time,
		.namespaces = namespaces,
		.n_namespaces = ARRAY_SIZE(namespaces),
	};
	d->stats = stats_new(d->control);
	stats_serve(d->stats, &d->shown);
	model_init(&d->model, d->control, &d->shown);
	r = start_broker(d, e);
	if (r < 0)
		return r;

	struct server_config c = {.options = &d->options,
				  .broker = d->broker,
				  .host = d->host,
				  .users = d->users,
				  .cert = d->options.https.n ? &d->cert : NULL,
				  .client_ca_pem = d->client_ca_pem,
				  .private_socket = d->socket};

	r = server_new(&c, &d->server, e);
	if (r == 0)
		r = sm_start(d->sm, e);
	if (r == 0 && !sm_wait_local(d->sm, READY_MS))
		r = err_set(e, -ETIMEDOUT, "the Storage Management layer can't read this server");
	return r;
}

/* keep: let the target go on serving, for a restart under the service manager. */
static void stop(struct daemon *d, bool keep)
{
	sm_stop(d->sm); /* it is a client of the server */
	server_free(d->server);
	broker_free(d->broker);
	providers_done(&d->model.module);
	stats_free(d->stats);
	if (d->control)
		control_free(d->control, keep);
	sm_free(d->sm);
	if (d->engine)
		d->engine->ops->free(d->engine);
	store_close(d->store);
	users_close(d->users);
	cert_done(&d->cert);
	free(d->client_ca_pem);
	for (size_t i = 0; i < d->n_urls; i++)
		free(d->urls[i]);
	free(d->urls);
	free(d->state);
	free(d->socket);
	free(d->users_path);
}

/* The service manager not knowing is no reason to stop. */
static void tell_manager(const char *text)
{
	struct err e = {0};

	if (notify_manager(text, &e) < 0)
		log_warn(smiscsid, "%s", e.text);
}

static void say_ready(const struct daemon *d)
{
	auto_buf struct buf b = buf_of(1 << 20);
	auto_free char *text = NULL;

	for (size_t i = 0; i < d->n_urls; i++)
		(void)buf_addf(&b, " %s", d->urls[i]);
	if (d->engine_chosen)
		(void)buf_addf(&b, " (engine %s)", d->engine->ops->kind);
	printf("ready:%s\n", b.p);
	(void)fflush(stdout);
	text = xasprintf("READY=1\nSTATUS=serving%s; %s", b.p, serves[d->options.engine]);
	tell_manager(text);
}

static void serve(struct daemon *d, const sigset_t *signals)
{
	const struct timespec second = {.tv_sec = 1};

	for (;;) {
		int sig = sigtimedwait(signals, NULL, &second);

		if (sig == SIGINT || sig == SIGTERM) {
			log_info(smiscsid, "stopping on %s", sig == SIGINT ? "SIGINT" : "SIGTERM");
			return;
		}
		broker_tick(d->broker);
		server_tick(d->server);
		users_tick(d->users);
	}
}

int main(int argc, char **argv)
{
	struct daemon *d = xcalloc(1, sizeof(*d));
	bool managed = getenv("NOTIFY_SOCKET") != NULL;
	struct err e = {0};
	sigset_t signals;
	int ret;

	/* Threads inherit the mask: only sigtimedwait in serve() sees these. */
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGHUP);
	(void)signal(SIGPIPE, SIG_IGN);
	if (options_read(&d->options, argc, argv, &e) < 0 || check_options(&d->options, &e) < 0) {
		ret = usage(&e);
	} else if (d->options.help) {
		options_help("smiscsid");
		ret = EXIT_OK;
	} else if (d->options.version) {
		puts("smiscsid " SMISCSI_VERSION);
		ret = EXIT_OK;
	} else {
		(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
		ret = start(d, &e) < 0 ? failed(&e) : EXIT_OK;
		if (ret == EXIT_OK) {
			say_ready(d);
			serve(d, &signals);
		}
		tell_manager("STOPPING=1");
		stop(d, managed && ret == EXIT_OK);
	}
	options_done(&d->options);
	free(d);
	return ret;
}

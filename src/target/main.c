/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - smiscsi-target: options, signals, start and end
 */
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "target/config.h"
#include "target/control.h"
#include "target/worker.h"

enum { EXIT_USAGE = 2, SPARE_DESCRIPTORS = 256 };

struct options {
	const char *control;
	unsigned workers;
};

struct process {
	struct target target;
	struct loop_fd signals;
	bool again;          /* a second signal does not wait */
	unsigned ticks_left; /* while stopping */
};

/* The loop's callbacks know the loop, not what is around it. */
static struct process *process_of(struct loop *l)
{
	return loop_user(l);
}

void target_stop(struct target *t)
{
	struct process *p = process_of(t->main);

	if (t->stopping)
		return;
	(void)pthread_mutex_lock(&t->lock);
	t->stopping = true;
	p->ticks_left = t->logout_time + 1;
	(void)pthread_mutex_unlock(&t->lock);
	config_stop_listening(t);
	config_sweep(t);
	loop_want_tick(t->main);
}

static void portal_changed(void *ctx, const struct portal *p)
{
	control_portal_event(ctx, p);
}

static bool tick(struct loop *l)
{
	struct process *p = process_of(l);
	struct target *t = &p->target;

	if (!t->stopping)
		return config_retry_portals(t, portal_changed, t);
	if (p->ticks_left-- == 0)
		loop_stop(l);
	return true;
}

/* Stopping is over as soon as nobody is connected; asked after each round. */
static bool round_over(struct loop *l, struct loop_hook *h)
{
	struct target *t = &process_of(l)->target;

	(void)h;
	if (t->stopping && __atomic_load_n(&t->n_connections, __ATOMIC_RELAXED) == 0)
		loop_stop(l);
	return false;
}

static void signalled(struct loop_fd *f, uint32_t events)
{
	struct process *p = container_of(f, struct process, signals);
	struct signalfd_siginfo info;

	(void)events;
	if (read(f->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (p->target.stopping)
		loop_stop(p->target.main);
	target_stop(&p->target);
}

static int catch_signals(struct process *p, struct err *e)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN); /* whoever started us may go */
	p->signals = (struct loop_fd){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
				      .ready = signalled};
	if (p->signals.fd < 0)
		return err_sys(e, "receive signals");
	return loop_add(p->target.main, &p->signals, EPOLLIN, e);
}

/* A connection is a descriptor: take as many as the system gives us, and no more connections. */
static unsigned connections_possible(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return 512;
	rl.rlim_cur = rl.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &rl);
	if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur < 2 * SPARE_DESCRIPTORS)
		return SPARE_DESCRIPTORS;
	return rl.rlim_cur - SPARE_DESCRIPTORS > CONNECTIONS_MAX
		       ? (unsigned)CONNECTIONS_MAX
		       : (unsigned)(rl.rlim_cur - SPARE_DESCRIPTORS);
}

static unsigned processors(void)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	return n < 1 ? 1 : n > WORKERS_MAX ? WORKERS_MAX : (unsigned)n;
}

static int usage(FILE *to, int code)
{
	(void)fprintf(to,
		      "usage: smiscsi-target --control SOCKET [--workers N] [--log LEVEL]\n"
		      "Serves iSCSI initiators as told over the Unix socket SOCKET.\n"
		      "  --control SOCKET  where smiscsid, or another controller, connects\n"
		      "  --workers N       threads that serve, 1 to 64; default: one a processor\n"
		      "  --log LEVEL       error, warning, info (default) or debug\n"
		      "  --foreground      accepted; it always stays in the foreground\n"
		      "  --help, --version\n");
	return code;
}

/* Returns -1 to go on, else the exit code. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option known[] = {
		{"control",          required_argument, NULL, 'c'},
		{"workers",              required_argument, NULL, 'w'},
		{"log",                  required_argument, NULL, 'l'},
		{"foreground",no_argument, NULL, 'f'},
		{"help",               no_argument, NULL, 'h'},
		{"version",              no_argument, NULL, 'V'},
		{0             }
        };
	enum log_level level;
	uint64_t n;
	int k;

	while ((k = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (k) {
		case 'c':
			o->control = optarg;
			break;
		case 'w':
			if (!str_u64(optarg, strlen(optarg), WORKERS_MAX, &n) || n == 0) {
				(void)fprintf(stderr, "smiscsi-target: --workers takes 1 to %d\n",
					      WORKERS_MAX);
				return EXIT_USAGE;
			}
			o->workers = (unsigned)n;
			break;
		case 'l':
			if (!log_level_parse(optarg, &level)) {
				(void)fprintf(stderr,
					      "smiscsi-target: --log takes error, warning, info or "
					      "debug\n");
				return EXIT_USAGE;
			}
			log_set_level(level);
			break;
		case 'f':
			break;
		case 'h':
			return usage(stdout, 0);
		case 'V':
			(void)puts("smiscsi-target " SMISCSI_VERSION);
			return 0;
		default:
			return usage(stderr, EXIT_USAGE);
		}
	}
	if (!o->control || optind < argc)
		return usage(stderr, EXIT_USAGE);
	return -1;
}

static int start(struct process *p, const struct options *o, struct err *e)
{
	struct target *t = &p->target;
	int r;

	t->main = loop_new(e);
	if (!t->main)
		return e->code;
	loop_set_user(t->main, p);
	loop_set_tick(t->main, tick);
	r = catch_signals(p, e);
	if (r == 0)
		r = control_start(t, o->control, e);
	if (r == 0)
		r = workers_start(t, o->workers, e);
	return r;
}

static int serve(struct process *p, const struct options *o, struct err *e)
{
	struct target *t = &p->target;
	struct loop_hook hook = {.run = round_over};
	int r = start(p, o, e);

	if (r == 0) {
		loop_add_hook(t->main, &hook);
		(void)prctl(PR_SET_DUMPABLE, 0); /* CHAP secrets stay out of core files */
		(void)printf("ready: %s\n", o->control);
		(void)fflush(stdout);
		loop_run(t->main);
	}
	workers_stop(t);
	if (t->control)
		control_stop(t);
	config_done(t);
	if (t->main)
		loop_drain(t->main); /* units that have just been released */
	if (p->signals.fd >= 0)
		(void)close(p->signals.fd);
	loop_free(t->main);
	return r;
}

int main(int argc, char **argv)
{
	struct options o = {.workers = processors()};
	struct process p = {
		.target = {.lock = PTHREAD_MUTEX_INITIALIZER,
			   .logout_time = 3,
			   .idle_time = IDLE_SECONDS},
		.signals.fd = -1
        };
	struct err e = {0};
	int code = parse_options(argc, argv, &o);

	if (code >= 0)
		return code;
	p.target.max_connections = connections_possible();
	if (serve(&p, &o, &e) < 0) {
		(void)fprintf(stderr, "smiscsi-target: %s\n", e.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

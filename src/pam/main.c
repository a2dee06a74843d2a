/* SPDX-License-Identifier: Apache-2.0 */
/*
 * smiscsi-pam - asks PAM for smiscsid, which has no right to
 *
 * The only program of ours that runs as root, so it does little: it takes one packet (helper.h)
 * from the one user who may ask, in a process of its own for each, and says yes or no.  Names that
 * are in neither of the two groups are refused without asking PAM: strangers on the network can
 * neither guess nor lock the host's other accounts.
 *
 * Depends on: base, auth (helper.h), libpam.
 */
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "auth/helper.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

enum {
	EXIT_USAGE = 2,
	CHILDREN_MAX = 16, /* more wait to be accepted */
	GROUPS_MAX = 65536,
	SECONDS_MAX = 14, /* smiscsid gives up after 15 */
	FIRST_PASSED = 3, /* of the descriptors that the service manager passes */
};

struct child {
	pid_t pid; /* 0: free */
	uint64_t deadline_ns;
};

struct helper {
	const char *listen, *user, *admin_group, *read_group;
	uint64_t seconds;
	uid_t uid; /* who may ask, besides root */
	int fd, signals;
	bool made; /* the socket, by us */
	struct child children[CHILDREN_MAX];
};

/* ---- one conversation, in a child ---- */

struct conversation {
	const char *password;
	bool asked; /* one hidden question is answered; a second one asks for something else */
};

static int converse(int n, const struct pam_message **m, struct pam_response **ret, void *ctx)
{
	struct conversation *c = ctx;
	struct pam_response *r;

	if (n <= 0 || n > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	r = xcalloc((size_t)n, sizeof(*r));
	for (int i = 0; i < n; i++) {
		int style = m[i]->msg_style;

		if (style == PAM_PROMPT_ECHO_OFF && !c->asked) {
			c->asked = true;
			r[i].resp = xstrdup(c->password); /* the module wipes and frees it */
		} else if (style != PAM_ERROR_MSG && style != PAM_TEXT_INFO) {
			for (int k = 0; k < i; k++) {
				if (r[k].resp)
					explicit_bzero(r[k].resp, strlen(r[k].resp));
				free(r[k].resp);
			}
			free(r);
			return PAM_CONV_ERR;
		}
	}
	*ret = r;
	return PAM_SUCCESS;
}

/* smiscsid slows guessers by their address; a process that sleeps here would only keep others from
 * being asked about. */
static void no_delay(int retval, unsigned usec, void *ctx)
{
	(void)retval;
	(void)usec;
	(void)ctx;
}

static bool has(const gid_t *v, int n, const char *group)
{
	const struct group *g = getgrnam(group);

	for (int i = 0; g && i < n; i++)
		if (v[i] == g->gr_gid)
			return true;
	return false;
}

/* HELPER_NO: in neither group, or unknown. */
static enum helper_answer role_of(const struct helper *h, const char *user)
{
	const struct passwd *p = getpwnam(user);
	enum helper_answer a = HELPER_NO;
	int n = GROUPS_MAX;
	gid_t *v;

	/* another spelling of the name would let a second account be throttled and audited */
	if (!p || !streq(p->pw_name, user))
		return HELPER_NO;
	v = xcalloc((size_t)n, sizeof(*v));
	if (getgrouplist(user, p->pw_gid, v, &n) >= 0)
		a = has(v, n, h->admin_group)  ? HELPER_ADMIN
		    : has(v, n, h->read_group) ? HELPER_READ
					       : HELPER_NO;
	free(v);
	return a;
}

/* What is neither a yes nor the modules' failure is a no. */
static enum helper_answer meaning(int r, enum helper_answer yes)
{
	switch (r) {
	case PAM_SUCCESS:
		return yes;
	case PAM_ACCT_EXPIRED:
	case PAM_NEW_AUTHTOK_REQD:
	case PAM_AUTHTOK_EXPIRED:
		return HELPER_EXPIRED;
	case PAM_OPEN_ERR:
	case PAM_SYMBOL_ERR:
	case PAM_SERVICE_ERR:
	case PAM_SYSTEM_ERR:
	case PAM_BUF_ERR:
	case PAM_CRED_INSUFFICIENT:
	case PAM_AUTHINFO_UNAVAIL:
	case PAM_ABORT:
	case PAM_MODULE_UNKNOWN:
		return HELPER_ERROR;
	default:
		return HELPER_NO;
	}
}

static enum helper_answer ask_pam(const struct helper_request *rq, enum helper_answer yes,
				  const char **ret_why)
{
	struct conversation c = {.password = rq->password};
	const struct pam_conv conv = {converse, &c};
	void (*const delay)(int, unsigned, void *) = no_delay;
	const void *name = NULL;
	pam_handle_t *pam = NULL;
	enum helper_answer a;
	int r = pam_start("smiscsi", rq->user, &conv, &pam);

	if (r == PAM_SUCCESS)
		r = pam_set_item(pam, PAM_RHOST, rq->peer);
	if (r == PAM_SUCCESS)
		r = pam_set_item(pam, PAM_FAIL_DELAY, (const void *)delay);
	if (r == PAM_SUCCESS)
		r = pam_authenticate(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	if (r == PAM_SUCCESS)
		r = pam_acct_mgmt(pam, PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK);
	a = meaning(r, yes);
	*ret_why = pam_strerror(pam, r); /* a literal of libpam's */
	/* a module may have made somebody else of him, whose groups nobody has looked at */
	if (r == PAM_SUCCESS && (pam_get_item(pam, PAM_USER, &name) != PAM_SUCCESS || !name ||
				 !streq(name, rq->user))) {
		a = HELPER_NO;
		*ret_why = "PAM calls him by another name";
	}
	if (pam)
		(void)pam_end(pam, r);
	return a;
}

static int serve(const struct helper *h, int fd)
{
	char packet[HELPER_REQUEST_MAX + 1];
	struct helper_request rq;
	ssize_t n = recv(fd, packet, sizeof(packet), 0);
	const char *why = "in neither group", *text;
	enum helper_answer a;
	bool good = n > 0 && helper_unpack(packet, (size_t)n, &rq);

	explicit_bzero(packet, sizeof(packet));
	if (!good) {
		log_warn(pam, "a request that is none of smiscsid's: closed");
		return EXIT_FAILURE;
	}
	a = role_of(h, rq.user);
	if (a != HELPER_NO)
		a = ask_pam(&rq, a, &why);
	explicit_bzero(rq.password, sizeof(rq.password));
	text = helper_answer_text(a);
	log_info(pam, "user=%s peer=%s answer=%s: %s", rq.user, rq.peer, text, why);
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text) ? EXIT_SUCCESS
										   : EXIT_FAILURE;
}

/* ---- the parent, which never sees a password ---- */

/* pid 0: room for another one. */
static struct child *find(struct helper *h, pid_t pid)
{
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		if (h->children[i].pid == pid)
			return &h->children[i];
	return NULL;
}

static void accept_one(struct helper *h, struct child *c)
{
	auto_fd int fd = accept4(h->fd, NULL, NULL, SOCK_CLOEXEC);
	struct ucred who = {0};
	socklen_t n = sizeof(who);
	sigset_t none;
	pid_t pid;

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) < 0 ||
	    (who.uid != h->uid && who.uid != 0)) {
		log_warn(pam, "uid %u may not ask: closed", (unsigned)who.uid);
		return;
	}
	pid = fork();
	if (pid < 0) {
		log_error(pam, "no process for a question: %m");
	} else if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)close(h->fd);
		(void)close(h->signals);
		(void)sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		_exit(serve(h, fd));
	} else {
		c->pid = pid;
		c->deadline_ns = clock_mono_ns() + h->seconds * 1000000000U;
	}
}

/* What a module has left running is ours now (PR_SET_CHILD_SUBREAPER), and ends. */
static void end_strays(struct helper *h)
{
	FILE *f = fopen("/proc/thread-self/children", "re");
	char *word = NULL;
	size_t max = 0;
	uint64_t pid;

	while (f && getdelim(&word, &max, ' ', f) > 0) {
		word[strcspn(word, " ")] = '\0';
		if (str_u64(word, strlen(word), INT32_MAX, &pid) && pid > 1 && !find(h, (pid_t)pid))
			(void)kill((pid_t)pid, SIGKILL);
	}
	free(word);
	if (f)
		(void)fclose(f);
}

static void reap(struct helper *h)
{
	struct child *c;
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		c = find(h, pid);
		if (c)
			c->pid = 0;
		if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
			log_error(pam, "a conversation with PAM was ended by signal %d",
				  WTERMSIG(status));
	}
	end_strays(h);
}

/* Ends what has taken too long; milliseconds until the next may have, or -1. */
static int end_late(struct helper *h)
{
	uint64_t now = clock_mono_ns(), next = UINT64_MAX;

	for (size_t i = 0; i < CHILDREN_MAX; i++) {
		struct child *c = &h->children[i];

		if (c->pid == 0 || c->deadline_ns == UINT64_MAX)
			continue;
		if (c->deadline_ns <= now) {
			log_error(pam, "PAM has not answered within %u s: given up",
				  (unsigned)h->seconds);
			(void)kill(c->pid, SIGKILL);
			c->deadline_ns = UINT64_MAX; /* until it is reaped */
		} else if (c->deadline_ns < next) {
			next = c->deadline_ns;
		}
	}
	return next == UINT64_MAX ? -1 : (int)((next - now) / 1000000 + 1);
}

static void run(struct helper *h)
{
	for (;;) {
		struct child *room = find(h, 0);
		struct pollfd p[] = {
			{.fd = h->signals,        .events = POLLIN},
			{.fd = room ? h->fd : -1, .events = POLLIN}
                };
		struct signalfd_siginfo s;

		if (poll(p, ARRAY_SIZE(p), end_late(h)) < 0 && errno != EINTR)
			return;
		if (p[0].revents && read(h->signals, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
			if (s.ssi_signo != SIGCHLD)
				return;
			reap(h);
		} else if (p[1].revents) {
			accept_one(h, room);
		}
	}
}

/* ---- start ---- */

/* What the service manager passes (sd_listen_fds(3)); false: nothing. */
static bool passed(struct helper *h, struct err *e)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");
	uint64_t value;
	int type = 0;
	socklen_t len = sizeof(type);

	if (!pid || !n || !str_u64(pid, strlen(pid), INT32_MAX, &value) || (pid_t)value != getpid())
		return false;
	h->fd = FIRST_PASSED;
	value = streq(n, "1");
	/* not the modules' business */
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES");
	if (!value || getsockopt(h->fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_SEQPACKET)
		(void)err_set(e, -EINVAL,
			      "the service manager has to pass one socket, made with "
			      "ListenSequentialPacket=");
	return true;
}

static int make_socket(struct helper *h, const struct passwd *owner, struct err *e)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct stat st;

	if (strlen(h->listen) >= sizeof(at.sun_path))
		return err_set(e, -ENAMETOOLONG, "the socket's name %s is too long", h->listen);
	memcpy(at.sun_path, h->listen, strlen(h->listen) + 1);
	if (lstat(h->listen, &st) == 0 && S_ISSOCK(st.st_mode))
		(void)unlink(h->listen);
	h->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	(void)umask(0177);
	if (h->fd < 0 || bind(h->fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return err_sys(e, "cannot listen on %s", h->listen);
	h->made = true;
	if (lchown(h->listen, owner->pw_uid, owner->pw_gid) < 0 || listen(h->fd, SOMAXCONN) < 0)
		return err_sys(e, "cannot listen on %s", h->listen);
	return 0;
}

static int start(struct helper *h, struct err *e)
{
	const struct rlimit no_core = {0};
	const struct passwd *owner = getpwnam(h->user);
	sigset_t set;

	if (!owner)
		return err_set(e, -ENOENT,
			       "there is no user %s; --user names whom smiscsid runs as", h->user);
	h->uid = owner->pw_uid;
	if (!passed(h, e)) {
		if (!h->listen)
			return err_set(e, -EINVAL,
				       "no socket was passed by the service manager; "
				       "--listen makes one");
		(void)make_socket(h, owner, e);
	}
	if (e->code)
		return e->code;
	/* children have passwords in their memory */
	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)prctl(PR_SET_DUMPABLE, 0);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
	(void)umask(077);
	if (chdir("/") < 0)
		return err_sys(e, "cannot go to /");
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	h->signals = signalfd(-1, &set, SFD_CLOEXEC);
	return h->signals < 0 ? err_sys(e, "receive signals") : 0;
}

static void stop(struct helper *h)
{
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		if (h->children[i].pid)
			(void)kill(h->children[i].pid, SIGKILL);
	while (wait(NULL) > 0) /* theirs become ours */
		end_strays(h);
	if (h->made)
		(void)unlink(h->listen);
	if (h->fd >= 0)
		(void)close(h->fd);
	if (h->signals >= 0)
		(void)close(h->signals);
}

static int usage(FILE *to, int code)
{
	(void)fprintf(
		to,
		"usage: smiscsi-pam [--listen SOCKET] [--user NAME] [--admin-group GROUP]\n"
		"                   [--read-group GROUP] [--seconds N]\n"
		"Asks PAM (service \"smiscsi\") for smiscsid, whose option --pam names the "
		"socket.\n"
		"  --listen SOCKET      make that Unix socket; default: what the service manager "
		"passes\n"
		"  --user NAME          who may ask: whom smiscsid runs as; default smiscsi\n"
		"  --admin-group GROUP  whose members may change; default smiscsi-admin\n"
		"  --read-group GROUP   whose members may read; default smiscsi-read\n"
		"  --seconds N          how long PAM may take for one answer, 1 to 14; default 10\n"
		"  --help, --version\n");
	return code;
}

int main(int argc, char **argv)
{
	static const struct option long_options[] = {
		{"listen",           required_argument, NULL, 'l'},
		{"user",              required_argument, NULL, 'u'},
		{"admin-group",                  required_argument, NULL, 'a'},
		{"read-group",required_argument, NULL, 'r'},
		{"seconds",               required_argument, NULL, 's'},
		{"help",      no_argument, NULL, 'h'},
		{"version",              no_argument, NULL, 'v'},
		{0                 },
	};
	struct helper h = {.user = "smiscsi",
			   .admin_group = "smiscsi-admin",
			   .read_group = "smiscsi-read",
			   .seconds = 10,
			   .fd = -1,
			   .signals = -1};
	struct err e = {0};
	int c, ret;

	while ((c = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		switch (c) {
		case 'l':
			h.listen = optarg;
			break;
		case 'u':
			h.user = optarg;
			break;
		case 'a':
			h.admin_group = optarg;
			break;
		case 'r':
			h.read_group = optarg;
			break;
		case 's':
			if (!str_u64(optarg, strlen(optarg), SECONDS_MAX, &h.seconds) || !h.seconds)
				return usage(stderr, EXIT_USAGE);
			break;
		case 'h':
			return usage(stdout, EXIT_SUCCESS);
		case 'v':
			puts("smiscsi-pam " SMISCSI_VERSION);
			return EXIT_SUCCESS;
		default:
			return usage(stderr, EXIT_USAGE);
		}
	}
	if (optind < argc)
		return usage(stderr, EXIT_USAGE);
	ret = start(&h, &e) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	if (ret == EXIT_SUCCESS)
		run(&h);
	else
		(void)fprintf(stderr, "smiscsi-pam: %s\n", e.text);
	stop(&h);
	return ret;
}

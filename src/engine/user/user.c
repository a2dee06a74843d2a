/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/user/message.h"
#include "engine/user/user.h"

enum {
	APPLY_MS = 10000,
	REPLACE_MS = 60000,
	QUICK_MS = 5000,          /* hello, stats */
	STOP_MS = 15000,          /* for logging out sessions, then it is killed */
	TERM_MS = 2000,           /* one that does not even listen */
	CONNECT_EVERY_MS = 20,    /* while a program that was started has no socket yet */
	BACKOFF_MAX_MS = 5000,    /* between starts of a program that dies at once */
	MANAGER_MS = 10000,       /* for a service manager to start the target (again) */
	STARTED_WELL_MS = 5000,   /* lived so long: the next start needs no patience */
	LOG_MAX = 4 << 20,        /* target.log is begun anew above this */
	LINE_MAX_BYTES = 64 << 20 /* docs/control-protocol.md */
};

/* A request under way. */
struct call {
	struct call *next;
	uint64_t id;
	bool reports; /* the answer tells of portals and sessions */
	bool done;
	struct engine_outcome out;
	json_t *result; /* owned; NULL unless ENGINE_OK */
};

struct user_engine {
	struct engine engine;
	char *program, *units_dir, *socket_path, *log_path;
	unsigned apply_ms;
	bool managed;
	engine_notify *notify;
	void *ctx;
	pthread_t thread;
	int wake; /* eventfd: stop */

	pthread_mutex_t lock; /* over what stands until the next blank line */
	pthread_cond_t answered;
	struct call *calls;
	uint64_t next_id;
	bool connected; /* hello has been answered */
	bool ending;    /* a target that goes is not started again */
	bool stopping;
	bool late; /* an answer did not come in time */
	int peer;  /* pidfd of the target, -1 */

	pthread_mutex_t write_lock; /* one line at a time; fd is closed under it */
	int fd;

	/* the thread's own: */
	pid_t child; /* 0: none that we started */
	uint64_t started_ns, wait_ms;
	uint64_t alone_ns; /* since when there is no target; 0: there is */
	bool told_down;
	struct buf in;
	size_t scanned;
};

static struct user_engine *user_of(struct engine *en)
{
	return container_of(en, struct user_engine, engine);
}

/* ---- requests ---- */

static void call_end(struct call *c, enum engine_result r, int code, const char *text)
{
	c->done = true;
	c->out.result = r;
	if (r != ENGINE_OK)
		(void)err_set(&c->out.err, code, "%s", text);
}

static bool write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = send(fd, p, n, MSG_NOSIGNAL);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

/* One line; a connection on which half a line may have gone is of no more use. */
static bool send_line(struct user_engine *u, json_t *message)
{
	char *s = json_dumps(message, JSON_COMPACT);
	size_t n = s ? strlen(s) : 0;
	bool ok = false;

	if (!s)
		return false;
	s[n] = '\n'; /* in the place of the NUL */
	pthread_mutex_lock(&u->write_lock);
	if (u->fd >= 0) {
		ok = write_all(u->fd, s, n + 1);
		if (!ok)
			(void)shutdown(u->fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&u->write_lock);
	free(s);
	return ok;
}

/* Send a request; takes over params.  c stays in the list until call_wait. */
static void call_send(struct user_engine *u, struct call *c, const char *method, json_t *params)
{
	bool connected;
	uint64_t id;
	json_t *m;

	pthread_mutex_lock(&u->lock);
	connected = u->connected;
	id = c->id = ++u->next_id;
	if (connected) {
		c->next = u->calls;
		u->calls = c;
	} else {
		call_end(c, ENGINE_ABSENT, -ENOTCONN, "the target is not running");
	}
	pthread_mutex_unlock(&u->lock);
	if (!connected) {
		json_decref(params);
		return;
	}
	m = json_pack("{s:s,s:I,s:s,s:o}", "jsonrpc", "2.0", "id", (json_int_t)id, "method", method,
		      "params", params);
	/* When it can't be sent the reader sees the end of the connection and ends the call. */
	(void)send_line(u, m);
	json_decref(m);
}

static void unlink_call(struct user_engine *u, struct call *c)
{
	struct call **at = &u->calls;

	while (*at && *at != c)
		at = &(*at)->next;
	if (*at)
		*at = c->next;
}

static void call_wait(struct user_engine *u, struct call *c, uint64_t until_ns)
{
	struct timespec t = {.tv_sec = (time_t)(until_ns / 1000000000U),
			     .tv_nsec = (long)(until_ns % 1000000000U)};
	bool late = false;

	pthread_mutex_lock(&u->lock);
	while (!c->done && pthread_cond_timedwait(&u->answered, &u->lock, &t) != ETIMEDOUT)
		;
	if (!c->done) {
		unlink_call(u, c);
		call_end(c, ENGINE_TIMEOUT, -ETIMEDOUT, "the target did not answer in time");
		late = u->late = true;
	}
	pthread_mutex_unlock(&u->lock);
	if (late) {
		/* Start over with it: nobody can say what it has done. */
		pthread_mutex_lock(&u->write_lock);
		if (u->fd >= 0)
			(void)shutdown(u->fd, SHUT_RDWR);
		pthread_mutex_unlock(&u->write_lock);
	}
}

static uint64_t in_ms(unsigned ms)
{
	return clock_mono_ns() + ms * 1000000ULL;
}

static void user_apply(struct engine *en, const struct san_changes *const *lists, size_t n,
		       uint64_t gen, struct engine_outcome *out)
{
	struct user_engine *u = user_of(en);
	struct call *calls = xcalloc(n, sizeof(*calls));
	uint64_t until = in_ms(u->apply_ms);

	/* All requests first, then all answers: one round trip for the batch. */
	for (size_t i = 0; i < n; i++) {
		json_t *params = message_apply(lists[i], u->units_dir, gen);

		calls[i].reports = true;
		if (message_is_empty(params)) {
			calls[i].done = true;
			json_decref(params);
		} else {
			call_send(u, &calls[i], "apply", params);
		}
	}
	for (size_t i = 0; i < n; i++) {
		call_wait(u, &calls[i], until);
		json_decref(calls[i].result);
		out[i] = calls[i].out;
	}
	free(calls);
}

static void unit_missing(void *ctx, const struct san_unit *unit, const char *why)
{
	struct user_engine *u = ctx;

	u->notify(u->ctx,
		  &(struct engine_event){.kind = ENGINE_UNIT, .naa = unit->naa, .why = why});
}

static void user_replace(struct engine *en, const struct san_state *s, struct engine_outcome *out)
{
	struct user_engine *u = user_of(en);
	struct call set = {.reports = true}, ask = {.reports = true};
	const struct san_unit *x;
	struct san_walk w;

	/* What it thought of its volumes it will say again. */
	for (x = san_first(&w, s, SAN_UNITS); x; x = san_next(&w)) {
		if (x->why->len)
			u->notify(u->ctx, &(struct engine_event){
						  .kind = ENGINE_UNIT, .naa = x->naa, .why = ""});
	}
	call_send(u, &set, "replace", message_replace(s, u->units_dir, unit_missing, u));
	call_wait(u, &set, in_ms(REPLACE_MS));
	json_decref(set.result);
	*out = set.out;
	if (out->result != ENGINE_OK)
		return;
	call_send(u, &ask, "state", json_object());
	call_wait(u, &ask, in_ms(REPLACE_MS));
	json_decref(ask.result);
	*out = ask.out;
}

/* The target tells its news before it answers (docs/control-protocol.md), and we read in order. */
static void user_refresh(struct engine *en)
{
	struct user_engine *u = user_of(en);
	struct call c = {0};

	call_send(u, &c, "sync", json_object());
	call_wait(u, &c, in_ms(QUICK_MS));
	json_decref(c.result);
}

static int user_stats(struct engine *en, struct engine_stats *ret, struct err *e)
{
	struct user_engine *u = user_of(en);
	struct call c = {0};

	call_send(u, &c, "stats", json_object());
	call_wait(u, &c, in_ms(QUICK_MS));
	if (c.out.result != ENGINE_OK)
		return err_set(e, c.out.err.code, "statistics: %s", c.out.err.text);
	message_stats(c.result, ret);
	json_decref(c.result);
	return 0;
}

/* ---- the program ---- */

static int open_log(const struct user_engine *u)
{
	struct stat sb;
	int fd = open(u->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0 && fstat(fd, &sb) == 0 && sb.st_size > LOG_MAX && ftruncate(fd, 0) < 0)
		log_warn(engine, "%s can't be begun anew: %m", u->log_path);
	return fd;
}

/* In a session of its own and with nothing of ours but its log: it outlives us. */
static int spawn_target(struct user_engine *u, struct err *e)
{
	char *argv[] = {u->program, xstrdup("--control"), u->socket_path, NULL};
	auto_fd int log = open_log(u);
	auto_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, null, 0);
	posix_spawn_file_actions_adddup2(&fa, log >= 0 ? log : null, 1);
	posix_spawn_file_actions_adddup2(&fa, log >= 0 ? log : null, 2);
	posix_spawn_file_actions_addclosefrom_np(&fa, 3);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK |
						POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	r = posix_spawn(&u->child, u->program, &fa, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	free(argv[1]);
	if (r != 0) {
		u->child = 0;
		errno = r;
		return err_sys(e, "start %s", u->program);
	}
	u->started_ns = clock_mono_ns();
	log_info(engine, "smiscsi-target started pid=%d", (int)u->child);
	return 0;
}

static void tell_down(struct user_engine *u, const char *why)
{
	if (u->told_down)
		return;
	u->told_down = true;
	u->notify(u->ctx, &(struct engine_event){.kind = ENGINE_DOWN, .why = why});
}

/* One of the flags that stand under the lock. */
static bool is(struct user_engine *u, const bool *flag)
{
	bool b;

	pthread_mutex_lock(&u->lock);
	b = *flag;
	pthread_mutex_unlock(&u->lock);
	return b;
}

/* Is the program that we started still there?  Says what became of it when not. */
static bool child_lives(struct user_engine *u)
{
	struct err e;
	int status;

	if (u->child == 0)
		return false;
	if (waitpid(u->child, &status, WNOHANG) == 0)
		return true;
	u->child = 0;
	if (is(u, &u->ending))
		return false;
	if (WIFSIGNALED(status))
		(void)err_set(&e, -EIO, "smiscsi-target was killed by signal %d (%s)",
			      WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		(void)err_set(&e, -EIO,
			      "smiscsi-target ended with status %d; its reasons are in %s",
			      WEXITSTATUS(status), u->log_path);
	log_warn(engine, "%s", e.text);
	tell_down(u, e.text);
	u->wait_ms = clock_mono_ns() - u->started_ns > STARTED_WELL_MS * 1000000ULL ? 0
		     : u->wait_ms                                                   ? u->wait_ms * 2
										    : 100;
	if (u->wait_ms > BACKOFF_MAX_MS)
		u->wait_ms = BACKOFF_MAX_MS;
	return false;
}

static void nap(struct user_engine *u, uint64_t ms)
{
	struct pollfd p = {.fd = u->wake, .events = POLLIN};

	(void)poll(&p, 1, (int)ms);
}

static int try_connect(const struct user_engine *u)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct timeval tv = {.tv_sec = QUICK_MS / 1000};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", u->socket_path);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	if (connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* Two that start it would be in each other's way, and one of ours would be in our sandbox. */
static bool left_to_manager(struct user_engine *u)
{
	if (!u->alone_ns)
		u->alone_ns = clock_mono_ns();
	return u->managed && clock_mono_ns() - u->alone_ns < MANAGER_MS * 1000000ULL;
}

/* A connection to a target, started if need be; -1 when there is none yet. */
static int reach(struct user_engine *u)
{
	int fd = try_connect(u);
	struct err e;

	if (fd >= 0)
		return fd;
	if (child_lives(u)) {
		nap(u, CONNECT_EVERY_MS);
	} else if (is(u, &u->ending) || left_to_manager(u)) {
		nap(u, CONNECT_EVERY_MS);
	} else if (u->wait_ms) {
		nap(u, u->wait_ms);
		if (!is(u, &u->stopping) && !is(u, &u->ending) && spawn_target(u, &e) < 0)
			tell_down(u, e.text);
	} else if (spawn_target(u, &e) < 0) {
		log_error(engine, "%s", e.text);
		tell_down(u, e.text);
		u->wait_ms = BACKOFF_MAX_MS;
	}
	return -1;
}

/* ---- the connection ---- */

static void answer(struct user_engine *u, json_t *m)
{
	const json_t *error = json_object_get(m, "error");
	uint64_t id = (uint64_t)json_integer_value(json_object_get(m, "id"));
	enum { BUSY = -32001 };
	struct call *c;

	pthread_mutex_lock(&u->lock);
	for (c = u->calls; c && c->id != id; c = c->next)
		;
	pthread_mutex_unlock(&u->lock);
	/* Too late for its caller, it still tells what is so. */
	if (!error && (!c || c->reports))
		message_reports(json_object_get(m, "result"), u->notify, u->ctx);
	pthread_mutex_lock(&u->lock);
	/* It may have given up meanwhile. */
	for (c = u->calls; c && c->id != id; c = c->next)
		;
	if (c) {
		const char *said = json_string_value(json_object_get(error, "message"));
		json_int_t code = json_integer_value(json_object_get(error, "code"));

		unlink_call(u, c);
		call_end(c,
			 !error         ? ENGINE_OK
			 : code == BUSY ? ENGINE_BUSY
					: ENGINE_REFUSED,
			 code == BUSY ? -EBUSY : -EIO, said ? said : "the target gave no reason");
		/* Its caller alone has it from now on: jansson's counts promise nothing about
		 * who sees what when two threads drop one object. */
		if (!error) {
			c->result = json_incref(json_object_get(m, "result"));
			(void)json_object_del(m, "result");
		}
		pthread_cond_broadcast(&u->answered);
	}
	pthread_mutex_unlock(&u->lock);
}

/* The answer to hello, request 0: who is there. */
static bool greeted(struct user_engine *u, const json_t *m)
{
	const json_t *result = json_object_get(m, "result");
	pid_t pid = (pid_t)json_integer_value(json_object_get(result, "pid"));
	const char *server = json_string_value(json_object_get(result, "server"));

	if (json_integer_value(json_object_get(result, "version")) != 1) {
		tell_down(u, "the program at the control socket speaks another version");
		return false;
	}
	log_info(engine, "connected to %s pid=%d", server ? server : "a target", (int)pid);
	u->told_down = false;
	u->wait_ms = 0;
	u->alone_ns = 0;
	pthread_mutex_lock(&u->lock);
	u->connected = true;
	u->late = false;
	if (u->peer >= 0)
		(void)close(u->peer);
	u->peer = pid > 1 ? pidfd_open(pid, 0) : -1;
	pthread_mutex_unlock(&u->lock);
	u->notify(u->ctx, &(struct engine_event){.kind = ENGINE_UP, .why = ""});
	return true;
}

static bool take_line(struct user_engine *u, const char *line, size_t n)
{
	json_t *m = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
	const char *method = json_string_value(json_object_get(m, "method"));
	const json_t *id = json_object_get(m, "id");
	bool ok = true;

	if (!json_is_object(m))
		ok = false;
	else if (method)
		message_notification(method, json_object_get(m, "params"), u->notify, u->ctx);
	else if (json_is_integer(id) && json_integer_value(id) == 0)
		ok = greeted(u, m);
	else
		answer(u, m);
	json_decref(m);
	return ok;
}

/* Everything that has come; false when the connection is over. */
static bool take_bytes(struct user_engine *u)
{
	char *at = buf_grow(&u->in, 65536), *nl;
	size_t start = 0;
	ssize_t n;

	if (!at)
		return false;
	n = recv(u->fd, at, 65536, MSG_DONTWAIT);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	u->in.len += (size_t)n;
	while ((nl = memchr(u->in.p + u->scanned, '\n', u->in.len - u->scanned))) {
		size_t end = (size_t)(nl - u->in.p);

		if (!take_line(u, u->in.p + start, end - start))
			return false;
		start = u->scanned = end + 1;
	}
	buf_drop(&u->in, start);
	u->scanned = u->in.len;
	return true;
}

static void hello(struct user_engine *u)
{
	json_t *m = json_pack("{s:s,s:i,s:s,s:{s:i,s:s}}", "jsonrpc", "2.0", "id", 0, "method",
			      "hello", "params", "version", 1, "client",
			      "smiscsid " SMISCSI_VERSION);

	(void)send_line(u, m);
	json_decref(m);
}

static void converse(struct user_engine *u, int fd)
{
	struct pollfd p[2] = {
		{.fd = fd,      .events = POLLIN},
                {.fd = u->wake, .events = POLLIN}
        };
	uint64_t until = in_ms(QUICK_MS);

	pthread_mutex_lock(&u->write_lock);
	u->fd = fd;
	pthread_mutex_unlock(&u->write_lock);
	hello(u);
	while (!is(u, &u->stopping)) {
		bool greeting = !is(u, &u->connected);
		int n = poll(p, 2, greeting ? QUICK_MS : -1);

		if (n < 0 && errno != EINTR)
			break;
		if (greeting && clock_mono_ns() > until) {
			tell_down(u, "the target does not answer");
			break;
		}
		if (n > 0 && p[0].revents && !take_bytes(u))
			break;
	}
}

/* The connection has ended: whoever waits is told, and control. */
static void part(struct user_engine *u)
{
	pthread_mutex_lock(&u->write_lock);
	(void)close(u->fd);
	u->fd = -1;
	pthread_mutex_unlock(&u->write_lock);
	buf_clear(&u->in);
	u->scanned = 0;
	pthread_mutex_lock(&u->lock);
	u->connected = false;
	while (u->calls) {
		struct call *c = u->calls;

		u->calls = c->next;
		call_end(c, ENGINE_ABSENT, -ECONNRESET, "the target has gone away");
	}
	pthread_cond_broadcast(&u->answered);
	pthread_mutex_unlock(&u->lock);
}

static void *user_thread(void *arg)
{
	struct user_engine *u = arg;

	while (!is(u, &u->stopping)) {
		bool was_greeted;
		int fd = reach(u);

		if (fd < 0)
			continue;
		converse(u, fd);
		was_greeted = is(u, &u->connected);
		part(u);
		if (is(u, &u->stopping))
			break;
		if (!was_greeted) /* not asked again without pause */
			nap(u, QUICK_MS / 5);
		tell_down(u, is(u, &u->late) ? "the target did not answer in time"
					     : "the connection to the target has ended");
	}
	return NULL;
}

/* ---- life ---- */

static int user_start(struct engine *en, engine_notify *notify, void *ctx, struct err *e)
{
	struct user_engine *u = user_of(en);

	u->notify = notify;
	u->ctx = ctx;
	u->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (u->wake < 0)
		return err_sys(e, "start the engine");
	if (pthread_create(&u->thread, NULL, user_thread, u) != 0) {
		(void)close(u->wake);
		u->wake = -1;
		return err_set(e, -EAGAIN, "start the engine: no more threads");
	}
	return 0;
}

/* Ask the target to end, and see to it that it does. */
static void end_target(struct user_engine *u)
{
	struct call c = {0};
	struct pollfd p = {.events = POLLIN};

	pthread_mutex_lock(&u->lock);
	u->ending = true;
	p.fd = u->peer; /* stays open: nobody is greeted any more by a target that is started */
	pthread_mutex_unlock(&u->lock);
	call_send(u, &c, "shutdown", json_object());
	call_wait(u, &c, in_ms(QUICK_MS));
	json_decref(c.result);
	if (c.out.result != ENGINE_OK && p.fd >= 0)
		(void)pidfd_send_signal(p.fd, SIGTERM, NULL, 0);
	if (p.fd >= 0 && poll(&p, 1, c.out.result == ENGINE_OK ? STOP_MS : TERM_MS) == 0) {
		log_warn(engine, "smiscsi-target does not end; it is killed");
		(void)pidfd_send_signal(p.fd, SIGKILL, NULL, 0);
		(void)poll(&p, 1, QUICK_MS);
	}
}

static void user_stop(struct engine *en, bool keep)
{
	struct user_engine *u = user_of(en);
	uint64_t one = 1;

	if (!keep)
		end_target(u);
	pthread_mutex_lock(&u->lock);
	u->stopping = true;
	pthread_mutex_unlock(&u->lock);
	(void)!write(u->wake, &one, sizeof(one));
	(void)pthread_join(u->thread, NULL);
	/* One that has not got as far as greeting us. */
	if (!keep && u->child > 0 && waitpid(u->child, NULL, WNOHANG) == 0) {
		(void)kill(u->child, SIGKILL);
		(void)waitpid(u->child, NULL, 0);
	}
}

static void user_free(struct engine *en)
{
	struct user_engine *u = user_of(en);

	if (u->wake >= 0)
		(void)close(u->wake);
	if (u->peer >= 0)
		(void)close(u->peer);
	buf_done(&u->in);
	pthread_cond_destroy(&u->answered);
	pthread_mutex_destroy(&u->lock);
	pthread_mutex_destroy(&u->write_lock);
	free(u->program);
	free(u->units_dir);
	free(u->socket_path);
	free(u->log_path);
	free(u);
}

static const struct engine_ops user_ops = {
	.kind = "user",
	.start = user_start,
	.apply = user_apply,
	.replace = user_replace,
	.refresh = user_refresh,
	.stats = user_stats,
	.stop = user_stop,
	.free = user_free,
};

int user_engine_end_left(const char *state_dir, struct err *e)
{
	static const char ask[] =
		"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"hello\",\"params\":{\"version\":1,"
		"\"client\":\"smiscsid\"}}\n"
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"shutdown\",\"params\":{}}\n";
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t until = in_ms(STOP_MS);
	char answer[4096];
	ssize_t n = 1;

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/target.sock", state_dir);
	if (fd < 0)
		return err_sys(e, "look for a smiscsi-target that still runs");
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		return 0; /* nobody listens */
	if (write_all(fd, ask, sizeof(ask) - 1)) {
		log_info(engine,
			 "a smiscsi-target still runs; it is ended, as the kernel serves now");
		while (n != 0 && clock_mono_ns() < until)
			if (poll(&p, 1, STOP_MS) > 0)
				n = recv(fd, answer, sizeof(answer), 0);
	}
	if (n > 0)
		return err_set(e, -ETIMEDOUT,
			       "the smiscsi-target behind %s does not end; end it by hand",
			       at.sun_path);
	return 0;
}

/* smiscsi-target in the folder of the program that is running. */
static char *beside_us(void)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	if (!slash)
		return xstrdup("smiscsi-target");
	*slash = '\0';
	return xasprintf("%s/smiscsi-target", path);
}

int user_engine_new(const struct user_engine_config *cfg, struct engine **ret, struct err *e)
{
	struct user_engine *u = xcalloc(1, sizeof(*u));
	pthread_condattr_t mono;

	u->engine.ops = &user_ops;
	u->program = cfg->program ? xstrdup(cfg->program) : beside_us();
	u->units_dir = xasprintf("%s/" ENGINE_UNIT_DIR, cfg->state_dir);
	u->socket_path = xasprintf("%s/target.sock", cfg->state_dir);
	u->log_path = xasprintf("%s/target.log", cfg->state_dir);
	u->apply_ms = cfg->apply_ms ? cfg->apply_ms : APPLY_MS;
	u->managed = cfg->managed;
	u->fd = u->wake = u->peer = -1;
	u->in = buf_of(LINE_MAX_BYTES);
	pthread_mutex_init(&u->lock, NULL);
	pthread_mutex_init(&u->write_lock, NULL);
	pthread_condattr_init(&mono);
	pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
	pthread_cond_init(&u->answered, &mono);
	pthread_condattr_destroy(&mono);
	if (strlen(u->socket_path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		int r = err_set(e, -ENAMETOOLONG,
				"the path of the control socket, %s, is too long; choose a shorter "
				"--state",
				u->socket_path);

		user_free(&u->engine);
		return r;
	}
	if (access(u->program, X_OK) < 0) {
		int r = err_sys(
			e,
			"the target program %s can't be run; install smiscsi-target there, or "
			"choose another engine with --engine",
			u->program);

		user_free(&u->engine);
		return r;
	}
	*ret = &u->engine;
	return 0;
}

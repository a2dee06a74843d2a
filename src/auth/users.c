/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/helper.h"
#include "auth/users.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

enum {
	FILE_MAX = USERS_MAX * 512,
	REMEMBER_S = 60,
	N_REMEMBERED = 256,
	N_PEERS = 1024,
	FREE_FAILURES = 3,
	BLIND_MISSES = 20, /* wrong passwords within one wait until nothing is looked at */
	MAX_WAIT_S = 30,
	FORGET_S = 600, /* failures longer ago than that count no more */
	DIGEST = 32,
	PAM_S = 15, /* the helper gives up before */
	PAM_SAY_S = 60,
};

struct account {
	char *name, *hash;
	enum users_role role;
};

struct accounts {
	struct account *v;
	size_t n;
};

struct remembered {
	uint8_t digest[DIGEST];
	uint64_t until_ns;
	enum users_role role;
};

struct peer {
	uint64_t hash; /* of its address; 0: free */
	unsigned failures, misses;
	uint64_t not_before_ns, last_ns;
};

struct users {
	char *path;
	char *pam;            /* the helper's socket; NULL: nobody is asked */
	uint64_t pam_said_ns; /* when it was last said that it does not answer */
	pthread_mutex_t lock;
	struct accounts accounts;
	struct stat seen;    /* of the file that accounts came from */
	bool bad;            /* the file can't be read: said once */
	uint8_t key[DIGEST]; /* of the digests in memory; made anew at every start */
	char dummy[CRYPT_GENSALT_OUTPUT_SIZE];
	struct remembered remembered[N_REMEMBERED];
	struct peer peers[N_PEERS];
};

static const char *const role_names[] = {"nobody", "read", "admin"};

const char *users_role_name(enum users_role r)
{
	return role_names[r];
}

bool users_role_parse(const char *s, enum users_role *ret)
{
	for (size_t i = USERS_READ; i <= USERS_ADMIN; i++) {
		if (streq(s, role_names[i])) {
			*ret = (enum users_role)i;
			return true;
		}
	}
	return false;
}

static void accounts_done(struct accounts *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free(a->v[i].name);
		free(a->v[i].hash);
	}
	free(a->v);
	*a = (struct accounts){0};
}

static struct account *find(const struct accounts *a, const char *name)
{
	for (size_t i = 0; i < a->n; i++)
		if (streq(a->v[i].name, name))
			return &a->v[i];
	return NULL;
}

static struct account *add(struct accounts *a, const char *name, size_t n)
{
	a->v = xrealloc(a->v, (a->n + 1) * sizeof(*a->v));
	a->v[a->n] = (struct account){.name = xstrndup(name, n)};
	return &a->v[a->n++];
}

/* One line "name:role:hash". */
static int read_line(struct accounts *a, const char *line, size_t n, unsigned no, const char *path,
		     struct err *e)
{
	const char *end = line + n, *c1 = memchr(line, ':', n);
	const char *c2 = c1 ? memchr(c1 + 1, ':', (size_t)(end - c1 - 1)) : NULL;
	char role[16] = "";
	struct account *u;
	enum users_role r;

	if (c2 && (size_t)(c2 - c1) < sizeof(role)) {
		memcpy(role, c1 + 1, (size_t)(c2 - c1 - 1));
		role[c2 - c1 - 1] = '\0';
	}
	if (!c2 || c1 == line || !users_role_parse(role, &r) || c2 + 1 == end || a->n == USERS_MAX)
		return err_set(e, -EINVAL, "%s:%u: not 'name:read:hash' or 'name:admin:hash'", path,
			       no);
	u = add(a, line, (size_t)(c1 - line));
	u->hash = xstrndup(c2 + 1, (size_t)(end - c2 - 1));
	u->role = r;
	return 0;
}

static int load(const char *path, struct accounts *ret, struct stat *ret_st, struct err *e)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	auto_buf struct buf b = buf_of(FILE_MAX);
	struct accounts a = {0};
	unsigned no = 0;
	int rc = 0;

	*ret_st = (struct stat){0};
	if (fd < 0 && errno == ENOENT) {
		*ret = a;
		return 0;
	}
	if (fd < 0 || fstat(fd, ret_st) < 0)
		return err_sys(e, "cannot read the accounts in %s", path);
	if (ret_st->st_mode & 077)
		return err_set(e, -EPERM, "%s can be read by others; chmod 600 it", path);
	for (;;) {
		char *at = buf_grow(&b, 4096);
		ssize_t n = at ? read(fd, at, 4096) : -1;

		if (n < 0)
			return err_set(e, -EFBIG, "%s cannot be read or is larger than %d bytes",
				       path, FILE_MAX);
		if (n == 0)
			break;
		b.len += (size_t)n;
	}
	for (const char *p = b.p, *end = b.p + b.len; p < end && rc == 0;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl ? nl : end) - p);

		no++;
		if (n > 0 && *p != '#')
			rc = read_line(&a, p, n, no, path, e);
		p += n + 1;
	}
	if (rc < 0)
		accounts_done(&a);
	else
		*ret = a;
	return rc;
}

int users_open(const char *path, struct users **ret, struct err *e)
{
	struct users *u = xcalloc(1, sizeof(*u));
	struct stat st;
	int r = load(path, &u->accounts, &st, e);

	if (r < 0) {
		free(u);
		return r;
	}
	u->path = xstrdup(path);
	u->seen = st;
	(void)pthread_mutex_init(&u->lock, NULL);
	if (getrandom(u->key, sizeof(u->key), 0) != (ssize_t)sizeof(u->key) ||
	    !crypt_gensalt_rn("$y$", 0, NULL, 0, u->dummy, sizeof(u->dummy))) {
		users_close(u);
		return err_set(e, -EIO, "the system gives no random numbers for password checks");
	}
	*ret = u;
	return 0;
}

void users_close(struct users *u)
{
	if (!u)
		return;
	accounts_done(&u->accounts);
	(void)pthread_mutex_destroy(&u->lock);
	explicit_bzero(u->key, sizeof(u->key));
	free(u->path);
	free(u->pam);
	free(u);
}

/* What a new file has changed; who did it is not known here. */
static void log_changes(const struct accounts *was, const struct accounts *now)
{
	static const char who[] = "user=- peer=local";

	for (size_t i = 0; i < now->n; i++) {
		const struct account *n = &now->v[i], *w = find(was, n->name);

		if (!w)
			log_line(LOG_L_INFO, "audit", "account %s added role=%s %s", n->name,
				 users_role_name(n->role), who);
		else if (w->role != n->role)
			log_line(LOG_L_INFO, "audit", "account %s changed role=%s %s", n->name,
				 users_role_name(n->role), who);
		if (w && !streq(w->hash, n->hash))
			log_line(LOG_L_INFO, "audit", "account %s has another password %s", n->name,
				 who);
	}
	for (size_t i = 0; i < was->n; i++)
		if (!find(now, was->v[i].name))
			log_line(LOG_L_INFO, "audit", "account %s removed %s", was->v[i].name, who);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mode == b->st_mode && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* Locked.  A file that has become unreadable keeps the old accounts out: nobody is let in. */
static void reload_if_new(struct users *u)
{
	struct accounts fresh = {0};
	struct stat st = {0};
	struct err e = {0};
	bool bad;

	if (stat(u->path, &st) < 0 && errno == ENOENT)
		st = (struct stat){0};
	if (!u->bad && same_file(&st, &u->seen))
		return;
	bad = load(u->path, &fresh, &st, &e) < 0;
	if (bad) {
		fresh = (struct accounts){0};
		if (!u->bad)
			log_error(auth, "nobody is let in: %s", e.text);
	} else {
		log_changes(&u->accounts, &fresh);
	}
	u->bad = bad;
	accounts_done(&u->accounts);
	u->accounts = fresh;
	u->seen = st;
	memset(u->remembered, 0, sizeof(u->remembered));
}

void users_tick(struct users *u)
{
	(void)pthread_mutex_lock(&u->lock);
	reload_if_new(u);
	(void)pthread_mutex_unlock(&u->lock);
}

static struct peer *peer_of(struct users *u, const char *peer, uint64_t now)
{
	struct in6_addr v6;
	/* who has one address of a /64 has all of them */
	bool is6 = inet_pton(AF_INET6, peer, &v6) == 1;
	uint64_t h = (is6 ? str_hash(&v6, 8) : str_hash(peer, strlen(peer))) | 1;
	struct peer *oldest = NULL;

	for (size_t i = 0; i < 16; i++) {
		struct peer *p = &u->peers[(h + i) % N_PEERS];

		if (p->hash == h)
			return p;
		if (!oldest || p->last_ns < oldest->last_ns)
			oldest = p;
	}
	*oldest = (struct peer){.hash = h, .last_ns = now};
	return oldest;
}

/* Of name, password and peer: what one peer has proved lets no other in, nor lets it guess. */
static bool digest(const struct users *u, const char *name, const char *password, const char *peer,
		   uint8_t ret[static DIGEST])
{
	char text[USERS_NAME_MAX + USERS_PASSWORD_MAX + 64 + 3];
	const char *const parts[] = {name, password, peer};
	size_t at = 0;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t n = strlen(parts[i]) + 1; /* its NUL separates it from the next */

		if (n > sizeof(text) - at)
			return false;
		memcpy(text + at, parts[i], n);
		at += n;
	}
	r = gnutls_hmac_fast(GNUTLS_MAC_SHA256, u->key, sizeof(u->key), text, at, ret);
	explicit_bzero(text, sizeof(text));
	return r == 0;
}

static bool same(const void *a, const void *b, size_t n)
{
	const volatile uint8_t *x = a, *y = b;
	uint8_t diff = 0;

	for (size_t i = 0; i < n; i++)
		diff = (uint8_t)(diff | (x[i] ^ y[i]));
	return diff == 0;
}

/* Does the password make that hash?  Also for a dummy setting, which it never does. */
static bool hash_matches(const char *password, const char *hash)
{
	struct crypt_data d = {0};
	const char *made = crypt_rn(password, hash, &d, (int)sizeof(d));
	bool ok = made && strlen(made) == strlen(hash) && same(made, hash, strlen(hash));

	explicit_bzero(&d, sizeof(d));
	return ok;
}

/* A name that can't be an account's may be anything, a password among it: it isn't logged. */
static const char *loggable(const char *name)
{
	return users_name_ok(name) ? name : "-";
}

static void failed(struct peer *p, uint64_t now, const char *name, const char *peer)
{
	unsigned over, wait;

	p->failures++;
	p->misses = 0;
	over = p->failures > FREE_FAILURES ? p->failures - FREE_FAILURES : 0;
	wait = over == 0 ? 0 : over > 5 ? MAX_WAIT_S : 1U << (over - 1);
	p->not_before_ns = now + (uint64_t)wait * 1000000000U;
	log_warn(auth, "login failed user=%s peer=%s failures=%u wait=%us", loggable(name), peer,
		 p->failures, wait);
}

/* Locked.  d NULL: can't be remembered. */
static enum users_answer look_up(struct users *u, const uint8_t *d, const char *name,
				 const char *peer, uint64_t now, enum users_role *ret_role)
{
	struct peer *p = peer_of(u, peer, now);
	bool waits = now < p->not_before_ns;

	if (now - p->last_ns > (uint64_t)FORGET_S * 1000000000U)
		p->failures = 0;
	p->last_ns = now;
	if (waits && p->misses >= BLIND_MISSES)
		return USERS_THROTTLED;
	for (size_t i = 0; d && i < N_REMEMBERED; i++) {
		const struct remembered *r = &u->remembered[i];

		if (r->until_ns > now && same(r->digest, d, DIGEST)) {
			*ret_role = r->role;
			return USERS_GRANTED;
		}
	}
	if (!waits)
		return USERS_UNKNOWN;
	if (p->misses++ == 0) /* once a wait: a flood of requests is no flood of lines */
		log_warn(auth, "login put off after too many failures user=%s peer=%s",
			 loggable(name), peer);
	return USERS_THROTTLED;
}

/* Locked.  d is filled unless the answer is USERS_DENIED. */
static enum users_answer recall(struct users *u, const char *name, const char *password,
				const char *peer, uint8_t d[static DIGEST],
				enum users_role *ret_role)
{
	bool possible = users_name_ok(name) && *password &&
			strlen(password) <= USERS_PASSWORD_MAX &&
			digest(u, name, password, peer, d);
	uint64_t now = clock_mono_ns();
	enum users_answer answer;

	*ret_role = USERS_NOBODY;
	reload_if_new(u);
	answer = look_up(u, possible ? d : NULL, name, peer, now, ret_role);
	if (answer == USERS_UNKNOWN && !possible) { /* no account has that: not worth a hash */
		failed(peer_of(u, peer, now), now, name, peer);
		return USERS_DENIED;
	}
	return answer;
}

enum users_answer users_recall(struct users *u, const char *name, const char *password,
			       const char *peer, enum users_role *ret_role)
{
	enum users_answer answer;
	uint8_t d[DIGEST];

	(void)pthread_mutex_lock(&u->lock);
	answer = recall(u, name, password, peer, d, ret_role);
	(void)pthread_mutex_unlock(&u->lock);
	return answer;
}

void users_use_pam(struct users *u, const char *socket)
{
	u->pam = xstrdup(socket);
}

bool users_is_elsewhere(struct users *u, const char *name)
{
	bool r;

	if (!u->pam)
		return false;
	(void)pthread_mutex_lock(&u->lock);
	r = !find(&u->accounts, name);
	(void)pthread_mutex_unlock(&u->lock);
	return r;
}

static enum users_answer ask_pam(struct users *u, const char *name, const char *password,
				 const char *peer, enum users_role *ret_role)
{
	struct err e = {0};
	uint64_t now;

	switch (helper_ask(u->pam, name, password, peer, PAM_S, &e)) {
	case HELPER_ADMIN:
		*ret_role = USERS_ADMIN;
		return USERS_GRANTED;
	case HELPER_READ:
		*ret_role = USERS_READ;
		return USERS_GRANTED;
	case HELPER_EXPIRED:
		log_warn(auth, "PAM: the account or its password has expired user=%s peer=%s", name,
			 peer);
		return USERS_DENIED;
	case HELPER_NO:
		return USERS_DENIED;
	case HELPER_ERROR:
		break;
	}
	(void)pthread_mutex_lock(&u->lock);
	now = clock_mono_ns();
	if (!u->pam_said_ns || now - u->pam_said_ns > (uint64_t)PAM_SAY_S * 1000000000U) {
		u->pam_said_ns = now;
		log_error(auth, "PAM does not answer, so its accounts are not let in: %s",
			  e.text[0] ? e.text : "the helper says that it failed; its log says why");
	}
	(void)pthread_mutex_unlock(&u->lock);
	return USERS_UNAVAILABLE;
}

static enum users_answer ask_file(const char *password, const char *hash, enum users_role role,
				  enum users_role *ret_role)
{
	if (!hash_matches(password, hash) || role == USERS_NOBODY)
		return USERS_DENIED;
	*ret_role = role;
	return USERS_GRANTED;
}

/* Locked.  Does the file still say what it said when role was found out?  (hash: what it said
 * then; NULL: that it does not know the name.) */
static bool still(struct users *u, const char *name, const char *hash, enum users_role role)
{
	const struct account *a;

	reload_if_new(u);
	a = find(&u->accounts, name);
	return hash ? a && a->role == role && streq(a->hash, hash) : !a && !u->bad;
}

enum users_answer users_check(struct users *u, const char *name, const char *password,
			      const char *peer, enum users_role *ret_role)
{
	enum users_role role = USERS_NOBODY;
	const struct account *a;
	enum users_answer answer;
	auto_free char *hash = NULL;
	uint8_t d[DIGEST];
	uint64_t now;

	(void)pthread_mutex_lock(&u->lock);
	answer = recall(u, name, password, peer, d, ret_role);
	if (answer != USERS_UNKNOWN) {
		(void)pthread_mutex_unlock(&u->lock);
		return answer;
	}
	a = find(&u->accounts, name);
	if (a && *a->hash != '!')
		role = a->role;
	if (a || !u->pam)
		hash = xstrdup(role != USERS_NOBODY ? a->hash : u->dummy);
	(void)pthread_mutex_unlock(&u->lock);

	/* the slow part without the lock: one guesser does not hold up the others */
	answer = hash ? ask_file(password, hash, role, &role)
		      : ask_pam(u, name, password, peer, &role);

	(void)pthread_mutex_lock(&u->lock);
	/* the account may have gone or changed in the meantime */
	if (answer == USERS_GRANTED && !still(u, name, hash, role))
		answer = USERS_DENIED;
	now = clock_mono_ns();
	if (answer == USERS_GRANTED) {
		struct remembered *slot = &u->remembered[d[0]];

		memcpy(slot->digest, d, DIGEST);
		slot->until_ns = now + (uint64_t)REMEMBER_S * 1000000000U;
		slot->role = role;
		peer_of(u, peer, now)->failures = 0;
		*ret_role = role;
		log_info(auth, "login user=%s role=%s peer=%s%s", name, users_role_name(role), peer,
			 hash ? "" : " by=PAM");
	} else if (answer == USERS_DENIED) {
		failed(peer_of(u, peer, now), now, name, peer);
	}
	(void)pthread_mutex_unlock(&u->lock);
	return answer;
}

enum users_answer users_known(struct users *u, const char *name, const char *peer,
			      enum users_role *ret_role)
{
	const struct account *a;

	(void)pthread_mutex_lock(&u->lock);
	reload_if_new(u);
	a = users_name_ok(name) ? find(&u->accounts, name) : NULL;
	*ret_role = a ? a->role : USERS_NOBODY;
	(void)pthread_mutex_unlock(&u->lock);
	if (*ret_role == USERS_NOBODY)
		log_warn(auth,
			 "login failed user=%s peer=%s: the certificate is good, but there is no "
			 "such account",
			 loggable(name), peer);
	return *ret_role == USERS_NOBODY ? USERS_DENIED : USERS_GRANTED;
}

/* ---- changing the file ---- */

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? xstrndup(path, slash == path ? 1 : (size_t)(slash - path)) : xstrdup(".");
}

/* One change at a time, held until the descriptor is closed.  The folder, since the file itself is
 * replaced by every change. */
static int lock_folder(const char *path, struct err *e)
{
	auto_free char *dir = folder_of(path);
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || flock(fd, LOCK_EX) < 0) {
		(void)err_sys(e, "cannot lock the state folder %s", dir);
		if (fd >= 0)
			(void)close(fd);
		return e ? e->code : -EIO;
	}
	return fd;
}

/* dfd: the folder's, locked. */
static int write_all(const char *path, int dfd, const struct accounts *a, struct err *e)
{
	auto_free char *tmp = xasprintf("%s.new", path);
	auto_buf struct buf b = buf_of(FILE_MAX);
	auto_fd int fd = -1;
	struct stat owner;

	for (size_t i = 0; i < a->n; i++)
		(void)buf_addf(&b, "%s:%s:%s\n", a->v[i].name, users_role_name(a->v[i].role),
			       a->v[i].hash);
	(void)unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || fstat(dfd, &owner) < 0)
		return err_sys(e, "cannot write %s", tmp);
	/* the server has to read what root writes for it */
	if (owner.st_uid != geteuid() && fchown(fd, owner.st_uid, owner.st_gid) < 0) {
		(void)err_sys(e, "cannot give %s to the owner of its folder", tmp);
		(void)unlink(tmp);
		return e ? e->code : -EPERM;
	}
	if (write(fd, b.p ? b.p : "", b.len) != (ssize_t)b.len || fsync(fd) < 0 ||
	    rename(tmp, path) < 0 || fsync(dfd) < 0) {
		(void)err_sys(e, "cannot write %s", path);
		(void)unlink(tmp);
		return e ? e->code : -EIO;
	}
	return 0;
}

/* The hash of a password; NULL: none could be made. */
static char *hash_of(const char *password)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	struct crypt_data *d;
	const char *made;
	char *ret;

	if (!crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof(setting)))
		return NULL;
	d = xcalloc(1, sizeof(*d));
	made = crypt_rn(password, setting, d, (int)sizeof(*d));
	ret = made ? xstrdup(made) : NULL;
	explicit_bzero(d, sizeof(*d));
	free(d);
	return ret;
}

/* role NOBODY: that of the account, which must be there. */
static int change(const char *path, const char *name, enum users_role role, const char *password,
		  struct err *e)
{
	auto_free char *hash = NULL;
	auto_fd int lock = -1;
	struct accounts a = {0};
	struct account *u;
	struct stat st;
	int r;

	if (!users_name_ok(name))
		return err_set(e, -EINVAL,
			       "'%s' is no account name: up to %d characters without "
			       "blanks, ':', '#', and '(' in front",
			       name, USERS_NAME_MAX);
	if (password && (!*password || strlen(password) > USERS_PASSWORD_MAX))
		return err_set(e, -EINVAL, "a password has 1 to %d bytes", USERS_PASSWORD_MAX);
	hash = password ? hash_of(password) : xstrdup("!");
	if (!hash)
		return err_sys(e, "cannot hash the password");
	lock = lock_folder(path, e);
	if (lock < 0)
		return lock;
	r = load(path, &a, &st, e);
	if (r < 0)
		return r;
	u = find(&a, name);
	if (!u && role == USERS_NOBODY) {
		r = err_set(e, -ENOENT, "there is no account '%s' in %s", name, path);
	} else if (!u && a.n == USERS_MAX) {
		r = err_set(e, -ENOSPC, "there are %d accounts already", USERS_MAX);
	} else {
		if (!u)
			u = add(&a, name, strlen(name));
		free(u->hash);
		u->hash = take(hash);
		u->role = role == USERS_NOBODY ? u->role : role;
		r = write_all(path, lock, &a, e);
	}
	accounts_done(&a);
	return r;
}

int users_set(const char *path, const char *name, enum users_role role, const char *password,
	      struct err *e)
{
	if (role == USERS_NOBODY)
		return err_set(e, -EINVAL, "an account has a role");
	return change(path, name, role, password, e);
}

int users_passwd(const char *path, const char *name, const char *password, struct err *e)
{
	return change(path, name, USERS_NOBODY, password, e);
}

int users_remove(const char *path, const char *name, struct err *e)
{
	auto_fd int lock = lock_folder(path, e);
	struct accounts a = {0};
	struct account *u;
	struct stat st;
	int r;

	if (lock < 0)
		return lock;
	r = load(path, &a, &st, e);
	if (r < 0)
		return r;
	u = find(&a, name);
	if (!u) {
		r = err_set(e, -ENOENT, "there is no account '%s' in %s", name, path);
	} else {
		free(u->name);
		free(u->hash);
		*u = a.v[--a.n];
		r = write_all(path, lock, &a, e);
	}
	accounts_done(&a);
	return r;
}

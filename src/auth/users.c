/* SPDX-License-Identifier: Apache-2.0 */
#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/users.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"

enum {
	FILE_MAX = USERS_MAX * 512,
	REMEMBER_S = 60,
	N_REMEMBERED = 256,
	N_PEERS = 1024,
	FREE_FAILURES = 3,
	MAX_WAIT_S = 30,
	DIGEST = 32,
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
	unsigned failures;
	uint64_t not_before_ns, last_ns;
};

struct users {
	char *path;
	pthread_mutex_t lock;
	struct accounts accounts;
	struct timespec mtime;
	ino_t inode;
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
		return err_set(e, -EINVAL, "%s:%u: not 'name:read:hash' or 'name:admin:hash'", path, no);
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
			return err_set(e, -EFBIG, "%s cannot be read or is larger than %d bytes", path,
				       FILE_MAX);
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
	u->mtime = st.st_mtim;
	u->inode = st.st_ino;
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
	free(u);
}

/* Locked.  A file that has become unreadable keeps the old accounts out: nobody is let in. */
static void reload_if_new(struct users *u)
{
	struct accounts fresh = {0};
	struct stat st;

	if (stat(u->path, &st) == 0 && st.st_ino == u->inode &&
	    st.st_mtim.tv_sec == u->mtime.tv_sec && st.st_mtim.tv_nsec == u->mtime.tv_nsec)
		return;
	if (load(u->path, &fresh, &st, NULL) < 0)
		fresh = (struct accounts){0};
	accounts_done(&u->accounts);
	u->accounts = fresh;
	u->mtime = st.st_mtim;
	u->inode = st.st_ino;
	memset(u->remembered, 0, sizeof(u->remembered));
}

static struct peer *peer_of(struct users *u, const char *peer, uint64_t now)
{
	uint64_t h = str_hash(peer, strlen(peer)) | 1;
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

static bool digest(const struct users *u, const char *name, const char *password,
		   uint8_t ret[static DIGEST])
{
	char text[USERS_NAME_MAX + USERS_PASSWORD_MAX + 2];
	size_t n = strlen(name) + 1, m = strlen(password);
	int r;

	memcpy(text, name, n); /* its NUL separates the two */
	memcpy(text + n, password, m);
	r = gnutls_hmac_fast(GNUTLS_MAC_SHA256, u->key, sizeof(u->key), text, n + m, ret);
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
	struct crypt_data *d = xcalloc(1, sizeof(*d));
	const char *made = crypt_rn(password, hash, d, (int)sizeof(*d));
	bool ok = made && strlen(made) == strlen(hash) && same(made, hash, strlen(hash));

	explicit_bzero(d, sizeof(*d));
	free(d);
	return ok;
}

static void failed(struct peer *p, uint64_t now)
{
	unsigned over, wait;

	p->failures++;
	over = p->failures > FREE_FAILURES ? p->failures - FREE_FAILURES : 0;
	wait = over == 0 ? 0 : over > 5 ? MAX_WAIT_S : 1U << (over - 1);
	p->not_before_ns = now + (uint64_t)wait * 1000000000U;
}

enum users_answer users_check(struct users *u, const char *name, const char *password,
			      const char *peer, enum users_role *ret_role)
{
	uint64_t now = clock_mono_ns();
	enum users_role role = USERS_NOBODY;
	const struct account *a;
	uint8_t d[DIGEST];
	char *hash;
	struct peer *p;
	bool ok;

	*ret_role = USERS_NOBODY;
	if (strlen(name) > USERS_NAME_MAX || strlen(password) > USERS_PASSWORD_MAX ||
	    !digest(u, name, password, d))
		return USERS_DENIED;
	(void)pthread_mutex_lock(&u->lock);
	reload_if_new(u);
	for (size_t i = 0; i < N_REMEMBERED; i++) {
		const struct remembered *r = &u->remembered[i];

		if (r->until_ns > now && same(r->digest, d, DIGEST)) {
			*ret_role = r->role;
			(void)pthread_mutex_unlock(&u->lock);
			return USERS_GRANTED;
		}
	}
	p = peer_of(u, peer, now);
	p->last_ns = now;
	if (now < p->not_before_ns) {
		(void)pthread_mutex_unlock(&u->lock);
		return USERS_THROTTLED;
	}
	a = find(&u->accounts, name);
	hash = xstrdup(a ? a->hash : u->dummy);
	if (a)
		role = a->role;
	(void)pthread_mutex_unlock(&u->lock);

	/* the slow part without the lock: one guesser does not hold up the others */
	ok = hash_matches(password, hash) && role != USERS_NOBODY;
	free(hash);

	(void)pthread_mutex_lock(&u->lock);
	p = peer_of(u, peer, now);
	if (ok) {
		struct remembered *slot = &u->remembered[d[0]];

		memcpy(slot->digest, d, DIGEST);
		slot->until_ns = now + (uint64_t)REMEMBER_S * 1000000000U;
		slot->role = role;
		p->failures = 0;
		*ret_role = role;
	} else {
		failed(p, clock_mono_ns());
	}
	(void)pthread_mutex_unlock(&u->lock);
	return ok ? USERS_GRANTED : USERS_DENIED;
}

/* ---- changing the file ---- */

static int write_all(const char *path, const struct accounts *a, struct err *e)
{
	auto_free char *tmp = xasprintf("%s.new", path), *dir = xstrdup(path);
	auto_buf struct buf b = buf_of(FILE_MAX);
	char *slash = strrchr(dir, '/');
	auto_fd int fd = -1;
	auto_fd int dfd = -1;

	for (size_t i = 0; i < a->n; i++)
		(void)buf_addf(&b, "%s:%s:%s\n", a->v[i].name, users_role_name(a->v[i].role),
			       a->v[i].hash);
	if (slash)
		*slash = '\0';
	dfd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || dfd < 0)
		return err_sys(e, "cannot write %s", tmp);
	if (write(fd, b.p ? b.p : "", b.len) != (ssize_t)b.len || fsync(fd) < 0 ||
	    rename(tmp, path) < 0 || fsync(dfd) < 0) {
		(void)err_sys(e, "cannot write %s", path);
		(void)unlink(tmp);
		return e ? e->code : -EIO;
	}
	return 0;
}

static bool name_ok(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= USERS_NAME_MAX && !strpbrk(name, ": \t\r\n#") &&
	       str_utf8(name, n, NULL) && !str_has_control(name, n);
}

int users_set(const char *path, const char *name, enum users_role role, const char *password,
	      struct err *e)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	struct accounts a = {0};
	struct crypt_data *d;
	struct account *u;
	struct stat st;
	const char *hash;
	int r;

	if (!name_ok(name))
		return err_set(e, -EINVAL, "'%s' is no account name: up to %d characters without "
			       "blanks, ':' and '#'", name, USERS_NAME_MAX);
	if (!*password || strlen(password) > USERS_PASSWORD_MAX)
		return err_set(e, -EINVAL, "a password has 1 to %d bytes", USERS_PASSWORD_MAX);
	r = load(path, &a, &st, e);
	if (r < 0)
		return r;
	d = xcalloc(1, sizeof(*d));
	hash = crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof(setting))
		       ? crypt_rn(password, setting, d, (int)sizeof(*d))
		       : NULL;
	if (!hash) {
		r = err_sys(e, "cannot hash the password");
	} else {
		u = find(&a, name);
		if (!u)
			u = add(&a, name, strlen(name));
		free(u->hash);
		u->hash = xstrdup(hash);
		u->role = role;
		r = write_all(path, &a, e);
	}
	explicit_bzero(d, sizeof(*d));
	free(d);
	accounts_done(&a);
	return r;
}

int users_passwd(const char *path, const char *name, const char *password, struct err *e)
{
	enum users_role role = USERS_NOBODY;
	struct accounts a = {0};
	const struct account *u;
	struct stat st;
	int r = load(path, &a, &st, e);

	if (r < 0)
		return r;
	u = find(&a, name);
	if (u)
		role = u->role;
	accounts_done(&a);
	if (role == USERS_NOBODY)
		return err_set(e, -ENOENT, "there is no account '%s' in %s", name, path);
	return users_set(path, name, role, password, e);
}

int users_remove(const char *path, const char *name, struct err *e)
{
	struct accounts a = {0};
	struct account *u;
	struct stat st;
	int r = load(path, &a, &st, e);

	if (r < 0)
		return r;
	u = find(&a, name);
	if (!u) {
		r = err_set(e, -ENOENT, "there is no account '%s' in %s", name, path);
	} else {
		free(u->name);
		free(u->hash);
		*u = a.v[--a.n];
		r = write_all(path, &a, e);
	}
	accounts_done(&a);
	return r;
}

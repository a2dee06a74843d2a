/* SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "base/str.h"
#include "http/transport.h"

enum { HEADERS_MAX = 128 * 1024, RECEIVE_BYTES = 256 * 1024 };

struct http_remote {
	CURL *curl;
	char *url;
	char error[CURL_ERROR_SIZE];
	/* the call under way */
	const struct http_call *call;
	struct err *e;
	int rc;
	bool told_status;
	uint64_t bytes;
	size_t header_bytes;
};

/* What is used of libcurl, found when it is loaded and the same from then on. */
#define CURL_FUNCTIONS(X)                                                           \
	X(global_init)                                                              \
	X(easy_init) X(easy_cleanup) X(easy_setopt) X(easy_getinfo) X(easy_perform) \
		X(easy_strerror) X(slist_append) X(slist_free_all)
#undef curl_easy_setopt /* macros that check types, and hide the functions */
#undef curl_easy_getinfo
static struct {
#define MEMBER(name) __typeof__(curl_##name) *name;
	CURL_FUNCTIONS(MEMBER)
	char why_not[200]; /* "": it is there */
} curl;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
	static const char *const names[] = {"libcurl-gnutls.so.4", "libcurl.so.4"};
	void *lib = NULL;
	bool all = true;

	for (size_t i = 0; !lib && i < ARRAY_SIZE(names); i++)
		lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!lib) {
		const char *why = dlerror();

		(void)snprintf(curl.why_not, sizeof(curl.why_not), "%s", why ? why : names[0]);
		return;
	}
#define FIND(name)                                                \
	*(void **)(void *)&curl.name = dlsym(lib, "curl_" #name); \
	all = all && curl.name;
	CURL_FUNCTIONS(FIND)
	if (!all || curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		(void)snprintf(curl.why_not, sizeof(curl.why_not), "libcurl is not usable");
}

static int tell_status(struct http_remote *c)
{
	long status = 0;

	if (c->told_status || c->rc < 0)
		return c->rc;
	(void)curl.easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
	if (status < 200) /* 100 Continue */
		return 0;
	c->told_status = true;
	if (c->call->status)
		c->rc = c->call->status(c->call->ctx, (unsigned)status, c->e);
	return c->rc;
}

static size_t on_header(char *p, size_t one, size_t n, void *ctx)
{
	struct http_remote *c = ctx;
	char line[8192], *colon, *value;
	size_t len = n;

	(void)one;
	c->header_bytes += n;
	if (c->header_bytes > HEADERS_MAX) {
		c->rc = err_set(c->e, -EFBIG, "the answer's headers have more than %d bytes",
				HEADERS_MAX);
		return 0;
	}
	if (tell_status(c) < 0)
		return 0;
	while (len && (p[len - 1] == '\r' || p[len - 1] == '\n' || p[len - 1] == ' '))
		len--;
	if (!c->call->header || len >= sizeof(line))
		return n;
	memcpy(line, p, len);
	line[len] = '\0';
	colon = strchr(line, ':');
	if (!colon)
		return n;
	*colon = '\0';
	for (value = colon + 1; *value == ' ' || *value == '\t'; value++)
		;
	c->rc = c->call->header(c->call->ctx, line, value, c->e);
	return c->rc < 0 ? 0 : n;
}

static size_t on_bytes(char *p, size_t one, size_t n, void *ctx)
{
	struct http_remote *c = ctx;
	uint64_t most = c->call->answer_bytes ? c->call->answer_bytes : 1ULL << 30;

	(void)one;
	if (tell_status(c) < 0)
		return 0;
	if (n > most - c->bytes) {
		c->rc = err_set(c->e, -EFBIG, "the answer has more than %llu bytes",
				(unsigned long long)most);
		return 0;
	}
	c->bytes += n;
	c->rc = c->call->bytes(c->call->ctx, p, n, c->e);
	return c->rc < 0 ? 0 : n;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t d, curl_off_t f)
{
	struct http_remote *c = ctx;

	(void)a, (void)b, (void)d, (void)f;
	if (!c->call || !c->call->abandon || !atomic_load(c->call->abandon))
		return 0;
	c->rc = err_set(c->e, -ECANCELED, "given up");
	return 1;
}

#define SET(opt, value)                                                \
	do {                                                           \
		if (curl.easy_setopt(c->curl, opt, value) != CURLE_OK) \
			goto bad;                                      \
	} while (0)

int http_remote_new(const struct http_client_config *cfg, struct http_remote **ret, struct err *e)
{
	struct http_remote *c = xcalloc(1, sizeof(*c));

	(void)pthread_once(&once, load);
	if (curl.why_not[0]) {
		free(c);
		return err_set(e, -ENOSYS,
			       "%.200s: other servers are reached by way of libcurl, which "
			       "can't be loaded (%s); install it",
			       cfg->url, curl.why_not);
	}
	c->curl = curl.easy_init();
	if (!c->curl)
		abort();
	SET(CURLOPT_ERRORBUFFER, c->error);
	SET(CURLOPT_URL, cfg->url); /* curl copies strings */
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_TCP_NODELAY, 1L);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_BUFFERSIZE, (long)RECEIVE_BYTES);
	SET(CURLOPT_SSL_VERIFYPEER, cfg->insecure ? 0L : 1L);
	SET(CURLOPT_SSL_VERIFYHOST, cfg->insecure ? 0L : 2L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_CONNECTTIMEOUT_MS, cfg->connect_ms ? (long)cfg->connect_ms : 10000L);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, c);
	SET(CURLOPT_WRITEFUNCTION, on_bytes);
	SET(CURLOPT_WRITEDATA, c);
	SET(CURLOPT_XFERINFOFUNCTION, on_progress);
	SET(CURLOPT_XFERINFODATA, c);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_USERAGENT, "smiscsi/" SMISCSI_VERSION);
	if (cfg->ca_file) {
		SET(CURLOPT_CAINFO, cfg->ca_file);
		SET(CURLOPT_CAPATH, NULL);
	}
	if (cfg->cert_file)
		SET(CURLOPT_SSLCERT, cfg->cert_file);
	if (cfg->key_file)
		SET(CURLOPT_SSLKEY, cfg->key_file);
	if (cfg->user) {
		SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		SET(CURLOPT_USERNAME, cfg->user);
		SET(CURLOPT_PASSWORD, cfg->password ? cfg->password : "");
	}
	c->url = xstrdup(cfg->url);
	*ret = c;
	return 0;
bad:
	err_set(e, -EINVAL, "%.200s: %s", cfg->url,
		c->error[0] ? c->error : "a setting is not usable");
	http_remote_free(c);
	return -EINVAL;
}

void http_remote_free(struct http_remote *c)
{
	if (!c)
		return;
	curl.easy_cleanup(c->curl);
	free(c->url);
	free(c);
}

static int code_of(CURLcode r)
{
	switch ((int)r) {
	case CURLE_COULDNT_CONNECT:
		return -ECONNREFUSED;
	case CURLE_COULDNT_RESOLVE_HOST:
		return -EHOSTUNREACH;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return -EKEYREJECTED;
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return -EPIPE;
	default:
		return -EIO;
	}
}

int http_remote_call(struct http_remote *c, const struct http_call *call, struct err *e)
{
	struct curl_slist *headers = NULL;
	CURLcode r;

	for (const char *const *h = call->headers; h && *h; h++) {
		struct curl_slist *more = curl.slist_append(headers, *h);

		if (!more)
			abort();
		headers = more;
	}
	c->call = call;
	c->e = e;
	c->rc = 0;
	c->told_status = false;
	c->bytes = 0;
	c->header_bytes = 0;
	c->error[0] = '\0';
	(void)curl.easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	(void)curl.easy_setopt(c->curl, CURLOPT_POST, 1L);
	(void)curl.easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, call->method);
	(void)curl.easy_setopt(c->curl, CURLOPT_POSTFIELDS, call->body);
	(void)curl.easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->n);
	(void)curl.easy_setopt(c->curl, CURLOPT_TIMEOUT_MS,
			       call->timeout_ms ? (long)call->timeout_ms : 60000L);
	r = curl.easy_perform(c->curl);
	if (r == CURLE_OK && c->rc == 0)
		(void)tell_status(c); /* an answer without headers or body */
	(void)curl.easy_setopt(c->curl, CURLOPT_HTTPHEADER, NULL);
	(void)curl.easy_setopt(c->curl, CURLOPT_POSTFIELDS, NULL);
	curl.slist_free_all(headers);
	c->call = NULL;
	c->e = NULL;
	if (c->rc < 0)
		return c->rc;
	if (r != CURLE_OK)
		return err_set(e, code_of(r), "%.200s: %s", c->url,
			       c->error[0] ? c->error : curl.easy_strerror(r));
	return 0;
}

const char *http_remote_peer(const struct http_remote *c)
{
	char *peer = NULL;

	if (curl.easy_getinfo(c->curl, CURLINFO_PRIMARY_IP, &peer) != CURLE_OK || !peer)
		return "";
	return peer;
}

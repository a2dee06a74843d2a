/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <gnutls/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/cert.h"
#include "base/buf.h"

enum { PEM_MAX = 1 << 20, VALID_DAYS = 3650, SERIAL = 16 };

void cert_done(struct cert *c)
{
	if (c->key_pem)
		explicit_bzero(c->key_pem, strlen(c->key_pem));
	free(c->key_pem);
	free(c->cert_pem);
	*c = (struct cert){0};
}

static char *read_file(const char *path, struct err *e)
{
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	auto_buf struct buf b = buf_of(PEM_MAX);

	if (fd < 0) {
		(void)err_sys(e, "cannot read %s", path);
		return NULL;
	}
	for (;;) {
		char *at = buf_grow(&b, 4096);
		ssize_t n = at ? read(fd, at, 4096) : -1;

		if (n < 0) {
			(void)err_set(e, -EIO, "%s cannot be read or is no PEM file", path);
			return NULL;
		}
		if (n == 0)
			return buf_take(&b);
		b.len += (size_t)n;
		b.p[b.len] = '\0';
	}
}

static int write_file(const char *path, const gnutls_datum_t *d, struct err *e)
{
	auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, d->data, d->size) != (ssize_t)d->size || fsync(fd) < 0)
		return err_sys(e, "cannot write %s", path);
	return 0;
}

/* A subject alternative name: an IP address or a DNS name. */
static int add_name(gnutls_x509_crt_t crt, const char *name)
{
	unsigned char ip[16];

	if (inet_pton(AF_INET, name, ip) == 1)
		return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, ip, 4,
							    GNUTLS_FSAN_APPEND);
	if (inet_pton(AF_INET6, name, ip) == 1)
		return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, ip, 16,
							    GNUTLS_FSAN_APPEND);
	return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, name,
						    (unsigned)strlen(name), GNUTLS_FSAN_APPEND);
}

static int fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, const char *const *names, size_t n,
		time_t now)
{
	unsigned char serial[SERIAL];
	int r = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial));

	serial[0] &= 0x7f; /* a serial number is positive */
	if (r == 0)
		r = gnutls_x509_crt_set_version(crt, 3);
	if (r == 0)
		r = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (r == 0) /* an hour back: clocks differ */
		r = gnutls_x509_crt_set_activation_time(crt, now - 3600);
	if (r == 0)
		r = gnutls_x509_crt_set_expiration_time(crt, now + (time_t)VALID_DAYS * 86400);
	if (r == 0)
		r = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0,
						  n ? names[0] : "smiscsi",
						  (unsigned)strlen(n ? names[0] : "smiscsi"));
	for (size_t i = 0; i < n && r == 0; i++)
		r = add_name(crt, names[i]);
	if (r == 0)
		r = gnutls_x509_crt_set_basic_constraints(crt, 0, -1);
	if (r == 0)
		r = gnutls_x509_crt_set_key_usage(crt, GNUTLS_KEY_DIGITAL_SIGNATURE);
	if (r == 0)
		r = gnutls_x509_crt_set_key_purpose_oid(crt, GNUTLS_KP_TLS_WWW_SERVER, 0);
	if (r == 0)
		r = gnutls_x509_crt_set_key(crt, key);
	if (r == 0)
		r = gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
	return r;
}

static int make(const char *cert_path, const char *key_path, const char *const *names, size_t n,
		time_t now, struct err *e)
{
	gnutls_datum_t cert_pem = {0}, key_pem = {0};
	gnutls_x509_privkey_t key = NULL;
	gnutls_x509_crt_t crt = NULL;
	int r = gnutls_x509_privkey_init(&key);

	if (r == 0)
		r = gnutls_x509_crt_init(&crt);
	if (r == 0)
		r = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
						 GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	if (r == 0)
		r = fill(crt, key, names, n, now);
	if (r == 0)
		r = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &key_pem);
	if (r == 0)
		r = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &cert_pem);
	if (r < 0)
		r = err_set(e, -EIO, "cannot make a certificate: %s", gnutls_strerror(r));
	/* The key first: a certificate without its key would be taken for complete next time. */
	if (r == 0)
		r = write_file(key_path, &key_pem, e);
	if (r == 0)
		r = write_file(cert_path, &cert_pem, e);
	if (key_pem.data)
		explicit_bzero(key_pem.data, key_pem.size);
	gnutls_free(key_pem.data);
	gnutls_free(cert_pem.data);
	if (crt)
		gnutls_x509_crt_deinit(crt);
	if (key)
		gnutls_x509_privkey_deinit(key);
	return r;
}

int cert_ensure(const char *state_dir, const char *const *names, size_t n_names, int64_t now_us,
		struct cert *ret, struct err *e)
{
	auto_free char *dir = xasprintf("%s/tls", state_dir);
	auto_free char *cert_path = xasprintf("%s/cert.pem", dir);
	auto_free char *key_path = xasprintf("%s/key.pem", dir);
	struct cert c = {0};
	int r;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return err_sys(e, "cannot make the folder %s", dir);
	if (access(cert_path, F_OK) < 0 && errno == ENOENT) {
		(void)unlink(key_path); /* left by a start that was cut off between the two */
		r = make(cert_path, key_path, names, n_names, (time_t)(now_us / 1000000), e);
		if (r < 0)
			return r;
	}
	c.cert_pem = read_file(cert_path, e);
	c.key_pem = c.cert_pem ? read_file(key_path, e) : NULL;
	if (!c.key_pem) {
		cert_done(&c);
		return e ? e->code : -EIO;
	}
	*ret = c;
	return 0;
}

bool cert_is_there(const char *state_dir)
{
	auto_free char *path = xasprintf("%s/tls/cert.pem", state_dir);

	return access(path, F_OK) == 0;
}

char *cert_read_authorities(const char *path, struct err *e)
{
	char *pem = read_file(path, e);
	gnutls_x509_crt_t *list = NULL;
	gnutls_datum_t text;
	unsigned n = 0;

	if (!pem)
		return NULL;
	text = (gnutls_datum_t){.data = (unsigned char *)pem, .size = (unsigned)strlen(pem)};
	if (gnutls_x509_crt_list_import2(&list, &n, &text, GNUTLS_X509_FMT_PEM, 0) < 0 || n == 0) {
		(void)err_set(e, -EINVAL, "%s holds no certificate in PEM form", path);
		free(pem);
		return NULL;
	}
	for (unsigned i = 0; i < n; i++)
		gnutls_x509_crt_deinit(list[i]);
	gnutls_free(list);
	return pem;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <gnutls/x509.h>
#include <stdio.h>
#include <unistd.h>

#include "auth/cert.h"
#include "base/clock.h"
#include "test.h"

static void clean(const char *dir)
{
	static const char *const names[] = {"tls/cert.pem", "tls/key.pem", "tls", ""};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		auto_free char *p = xasprintf("%s/%s", dir, names[i]);

		(void)remove(p);
	}
}

TEST(the_certificate_names_the_host_and_is_made_once)
{
	static const char *const names[] = {"array.example", "127.0.0.1", "::1"};
	char dir[] = "/tmp/smiscsi-cert-XXXXXX";
	struct cert a = {0}, b = {0};
	gnutls_x509_crt_t crt;
	gnutls_datum_t pem;
	struct err e = {0};

	CHECK(mkdtemp(dir) != NULL);
	CHECK_INT(cert_ensure(dir, names, 3, clock_wall_us(), &a, &e), 0);
	CHECK_INT(cert_ensure(dir, NULL, 0, clock_wall_us(), &b, &e), 0);
	CHECK_STR(a.cert_pem, b.cert_pem);
	CHECK_STR(a.key_pem, b.key_pem);
	pem.data = (unsigned char *)a.cert_pem;
	pem.size = (unsigned)strlen(a.cert_pem);
	CHECK_INT(gnutls_x509_crt_init(&crt), 0);
	CHECK_INT(gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM), 0);
	CHECK(gnutls_x509_crt_check_hostname(crt, "array.example"));
	CHECK(gnutls_x509_crt_check_hostname(crt, "127.0.0.1"));
	CHECK(gnutls_x509_crt_check_hostname(crt, "::1"));
	CHECK(!gnutls_x509_crt_check_hostname(crt, "other.example"));
	gnutls_x509_crt_deinit(crt);
	cert_done(&a);
	cert_done(&b);
	clean(dir);
}

TEST(a_folder_that_cannot_be_written_is_said)
{
	struct cert c = {0};
	struct err e = {0};

	CHECK(cert_ensure("/proc/nowhere", NULL, 0, 0, &c, &e) < 0);
	CHECK(strstr(e.text, "/proc/nowhere/tls") != NULL);
	CHECK(c.cert_pem == NULL);
}

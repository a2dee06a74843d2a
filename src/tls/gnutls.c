/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/log.h"
#include "tls/tls.h"

#define SONAME "libgnutls.so.30"

/* One row a function: what it returns when there is no GnuTLS, its name, its parameters' types.
 * The compiler holds each row to the prototype in GnuTLS's header. */
#define NO    GNUTLS_E_INTERNAL_ERROR
#define DATUM const gnutls_datum_t *
#define CREDS gnutls_certificate_credentials_t
#define FUNCTIONS(F1, F2, F3, F4, F5, F6, V1, V2, V3)                                              \
	F4(int, NO, alpn_set_protocols, gnutls_session_t, DATUM, unsigned, unsigned)               \
	F2(int, NO, base64_encode2, DATUM, gnutls_datum_t *)                                       \
	F2(int, NO, bye, gnutls_session_t, gnutls_close_request_t)                                 \
	F1(int, NO, certificate_allocate_credentials, CREDS *)                                     \
	V1(certificate_free_credentials, CREDS)                                                    \
	F2(DATUM, NULL, certificate_get_peers, gnutls_session_t, unsigned *)                       \
	V2(certificate_server_set_request, gnutls_session_t, gnutls_certificate_request_t)         \
	V2(certificate_set_dh_params, CREDS, gnutls_dh_params_t)                                   \
	V2(certificate_set_retrieve_function2, CREDS, gnutls_certificate_retrieve_function2 *)     \
	V2(certificate_set_retrieve_function3, CREDS, gnutls_certificate_retrieve_function3 *)     \
	F4(int, NO, certificate_set_x509_key_mem, CREDS, DATUM, DATUM, gnutls_x509_crt_fmt_t)      \
	F6(int, NO, certificate_set_x509_key_mem2, CREDS, DATUM, DATUM, gnutls_x509_crt_fmt_t,     \
	   const char *, unsigned)                                                                 \
	F3(int, NO, certificate_set_x509_trust_mem, CREDS, DATUM, gnutls_x509_crt_fmt_t)           \
	F4(int, NO, certificate_verify_peers, gnutls_session_t, gnutls_typed_vdata_st *, unsigned, \
	   unsigned *)                                                                             \
	F1(gnutls_cipher_algorithm_t, GNUTLS_CIPHER_UNKNOWN, cipher_get, gnutls_session_t)         \
	F3(int, NO, credentials_set, gnutls_session_t, gnutls_credentials_type_t, void *)          \
	V1(deinit, gnutls_session_t)                                                               \
	V1(dh_params_deinit, gnutls_dh_params_t)                                                   \
	F3(int, NO, dh_params_import_pkcs3, gnutls_dh_params_t, DATUM, gnutls_x509_crt_fmt_t)      \
	F1(int, NO, dh_params_init, gnutls_dh_params_t *)                                          \
	F1(int, NO, handshake, gnutls_session_t)                                                   \
	F6(int, NO, hmac_fast, gnutls_mac_algorithm_t, const void *, size_t, const void *, size_t, \
	   void *)                                                                                 \
	F2(int, NO, init, gnutls_session_t *, unsigned)                                            \
	V1(priority_deinit, gnutls_priority_t)                                                     \
	F3(int, NO, priority_init, gnutls_priority_t *, const char *, const char **)               \
	F2(int, NO, priority_set, gnutls_session_t, gnutls_priority_t)                             \
	F1(gnutls_protocol_t, GNUTLS_VERSION_UNKNOWN, protocol_get_version, gnutls_session_t)      \
	F1(int, NO, psk_allocate_server_credentials, gnutls_psk_server_credentials_t *)            \
	V1(psk_free_server_credentials, gnutls_psk_server_credentials_t)                           \
	V2(psk_set_server_credentials_function, gnutls_psk_server_credentials_t,                   \
	   gnutls_psk_server_credentials_function *)                                               \
	F1(size_t, 0, record_check_pending, gnutls_session_t)                                      \
	F1(int, 0, record_get_direction, gnutls_session_t)                                         \
	F3(ssize_t, NO, record_recv, gnutls_session_t, void *, size_t)                             \
	F3(ssize_t, NO, record_send, gnutls_session_t, const void *, size_t)                       \
	F3(int, NO, rnd, gnutls_rnd_level_t, void *, size_t)                                       \
	F1(void *, NULL, session_get_ptr, gnutls_session_t)                                        \
	V2(session_set_ptr, gnutls_session_t, void *)                                              \
	F1(const char *, "GnuTLS cannot be loaded", strerror, int)                                 \
	V3(transport_set_int2, gnutls_session_t, int, int)                                         \
	V1(x509_crt_deinit, gnutls_x509_crt_t)                                                     \
	F3(int, NO, x509_crt_export2, gnutls_x509_crt_t, gnutls_x509_crt_fmt_t, gnutls_datum_t *)  \
	F6(int, NO, x509_crt_get_dn_by_oid, gnutls_x509_crt_t, const char *, unsigned, unsigned,   \
	   void *, size_t *)                                                                       \
	F3(int, NO, x509_crt_import, gnutls_x509_crt_t, DATUM, gnutls_x509_crt_fmt_t)              \
	F1(int, NO, x509_crt_init, gnutls_x509_crt_t *)                                            \
	F5(int, NO, x509_crt_list_import2, gnutls_x509_crt_t **, unsigned *, DATUM,                \
	   gnutls_x509_crt_fmt_t, unsigned)                                                        \
	F2(int, NO, x509_crt_set_activation_time, gnutls_x509_crt_t, time_t)                       \
	F3(int, NO, x509_crt_set_basic_constraints, gnutls_x509_crt_t, unsigned, int)              \
	F5(int, NO, x509_crt_set_dn_by_oid, gnutls_x509_crt_t, const char *, unsigned,             \
	   const void *, unsigned)                                                                 \
	F2(int, NO, x509_crt_set_expiration_time, gnutls_x509_crt_t, time_t)                       \
	F2(int, NO, x509_crt_set_key, gnutls_x509_crt_t, gnutls_x509_privkey_t)                    \
	F3(int, NO, x509_crt_set_key_purpose_oid, gnutls_x509_crt_t, const void *, unsigned)       \
	F2(int, NO, x509_crt_set_key_usage, gnutls_x509_crt_t, unsigned)                           \
	F3(int, NO, x509_crt_set_serial, gnutls_x509_crt_t, const void *, size_t)                  \
	F5(int, NO, x509_crt_set_subject_alt_name, gnutls_x509_crt_t,                              \
	   gnutls_x509_subject_alt_name_t, const void *, unsigned, unsigned)                       \
	F2(int, NO, x509_crt_set_version, gnutls_x509_crt_t, unsigned)                             \
	F5(int, NO, x509_crt_sign2, gnutls_x509_crt_t, gnutls_x509_crt_t, gnutls_x509_privkey_t,   \
	   gnutls_digest_algorithm_t, unsigned)                                                    \
	V1(x509_privkey_deinit, gnutls_x509_privkey_t)                                             \
	F3(int, NO, x509_privkey_export2, gnutls_x509_privkey_t, gnutls_x509_crt_fmt_t,            \
	   gnutls_datum_t *)                                                                       \
	F4(int, NO, x509_privkey_generate, gnutls_x509_privkey_t, gnutls_pk_algorithm_t, unsigned, \
	   unsigned)                                                                               \
	F1(int, NO, x509_privkey_init, gnutls_x509_privkey_t *)

#define MEMBER(ret, no, name, ...) __typeof__(gnutls_##name) *name;
#define MEMBER_V(name, ...)        __typeof__(gnutls_##name) *name;
static struct {
	FUNCTIONS(MEMBER, MEMBER, MEMBER, MEMBER, MEMBER, MEMBER, MEMBER_V, MEMBER_V, MEMBER_V)
} lib;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_bool loaded;

static void load(void)
{
	void *handle = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
	const char *why;
	bool all = handle;

#define FIND(ret, no, name, ...) FIND_V(name)
#define FIND_V(name, ...)                                                     \
	if (all)                                                              \
		*(void **)(void *)&lib.name = dlsym(handle, "gnutls_" #name); \
	all = all && lib.name;
	FUNCTIONS(FIND, FIND, FIND, FIND, FIND, FIND, FIND_V, FIND_V, FIND_V)
	if (all) {
		atomic_store(&loaded, true);
		return;
	}
	why = dlerror();
	log_error(tls, "there is no TLS, %s is not usable: %s; install libgnutls30", SONAME,
		  why ? why : "unknown reason");
}

bool tls_is_loaded(void)
{
	return atomic_load(&loaded);
}

static bool there(void)
{
	/* once is passed: what load() wrote is seen */
	(void)pthread_once(&once, load);
	return atomic_load_explicit(&loaded, memory_order_relaxed);
}

#define DEFINE_1(ret, no, name, A)                 \
	ret gnutls_##name(A a)                     \
	{                                          \
		return there() ? lib.name(a) : no; \
	}
#define DEFINE_2(ret, no, name, A, B)                 \
	ret gnutls_##name(A a, B b)                   \
	{                                             \
		return there() ? lib.name(a, b) : no; \
	}
#define DEFINE_3(ret, no, name, A, B, C)                 \
	ret gnutls_##name(A a, B b, C c)                 \
	{                                                \
		return there() ? lib.name(a, b, c) : no; \
	}
#define DEFINE_4(ret, no, name, A, B, C, D)                 \
	ret gnutls_##name(A a, B b, C c, D d)               \
	{                                                   \
		return there() ? lib.name(a, b, c, d) : no; \
	}
#define DEFINE_5(ret, no, name, A, B, C, D, E)                 \
	ret gnutls_##name(A a, B b, C c, D d, E e)             \
	{                                                      \
		return there() ? lib.name(a, b, c, d, e) : no; \
	}
#define DEFINE_6(ret, no, name, A, B, C, D, E, F)                 \
	ret gnutls_##name(A a, B b, C c, D d, E e, F f)           \
	{                                                         \
		return there() ? lib.name(a, b, c, d, e, f) : no; \
	}
#define DEFINE_V1(name, A)           \
	void gnutls_##name(A a)      \
	{                            \
		if (there())         \
			lib.name(a); \
	}
#define DEFINE_V2(name, A, B)           \
	void gnutls_##name(A a, B b)    \
	{                               \
		if (there())            \
			lib.name(a, b); \
	}
#define DEFINE_V3(name, A, B, C)           \
	void gnutls_##name(A a, B b, C c)  \
	{                                  \
		if (there())               \
			lib.name(a, b, c); \
	}
FUNCTIONS(DEFINE_1, DEFINE_2, DEFINE_3, DEFINE_4, DEFINE_5, DEFINE_6, DEFINE_V1, DEFINE_V2,
	  DEFINE_V3)

/* libmicrohttpd asks for these when a program starts; to load GnuTLS is to initialise it. */
int gnutls_global_init(void)
{
	return 0;
}

void gnutls_global_deinit(void)
{
}

/* GnuTLS's own values, too, as nobody sets others. */
gnutls_alloc_function gnutls_malloc = malloc;
gnutls_free_function gnutls_free = free;

/* SPDX-License-Identifier: MIT */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tls_peer.h"

#define DAY 86400

/* ------------------------------------------------------------------------------------------
 * Certificates
 */

static void add_extension(X509 *cert, X509 *issuer, int id, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, id, value);
	assert_non_null(extension);
	assert_true(X509_add_ext(cert, extension, -1));
	X509_EXTENSION_free(extension);
}

static struct tls_identity identity_new(const char *name, int days)
{
	static long serial = 1;
	struct tls_identity made = { EVP_EC_gen("P-256"), X509_new() };
	X509_NAME *subject = X509_get_subject_name(made.cert);

	assert_non_null(made.key);
	X509_set_version(made.cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(made.cert), serial++);
	X509_gmtime_adj(X509_getm_notBefore(made.cert), -2 * DAY);
	X509_gmtime_adj(X509_getm_notAfter(made.cert), ((long)days - 1) * DAY);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
				   -1, 0);
	assert_true(X509_set_pubkey(made.cert, made.key));
	return made;
}

struct tls_identity tls_authority(const char *name)
{
	struct tls_identity made = identity_new(name, 30);

	X509_set_issuer_name(made.cert, X509_get_subject_name(made.cert));
	add_extension(made.cert, made.cert, NID_basic_constraints, "critical,CA:TRUE");
	add_extension(made.cert, made.cert, NID_key_usage, "critical,keyCertSign");
	assert_true(X509_sign(made.cert, made.key, EVP_sha256()) > 0);
	return made;
}

struct tls_identity tls_certificate(const struct tls_identity *authority, const char *names,
				    int days)
{
	struct tls_identity made = identity_new("leaf", days);

	X509_set_issuer_name(made.cert, X509_get_subject_name(authority->cert));
	add_extension(made.cert, authority->cert, NID_subject_alt_name, names);
	assert_true(X509_sign(made.cert, authority->key, EVP_sha256()) > 0);
	return made;
}

void tls_identity_free(struct tls_identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->cert);
}

void tls_identity_write(const struct tls_identity *identity, bool key, char *path)
{
	int fd = mkstemp(path);
	FILE *file;

	assert_true(fd >= 0);
	file = fdopen(fd, "w");
	assert_true(PEM_write_X509(file, identity->cert));
	if (key)
		assert_true(PEM_write_PrivateKey(file, identity->key, NULL, NULL, 0, NULL, NULL));
	fclose(file);
}

/* ------------------------------------------------------------------------------------------
 * The server
 */

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
			   const unsigned char *in, unsigned in_size, void *arg)
{
	static const unsigned char mine[] = "\x08http/1.1";

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_size, mine,
				  sizeof(mine) - 1, in, in_size) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	return SSL_TLSEXT_ERR_OK;
}

void tls_peer_open(struct tls_peer *peer, struct weir_stream *stream,
		   const struct tls_identity *identity)
{
	*peer = (struct tls_peer){ .stream = stream, .ctx = SSL_CTX_new(TLS_server_method()) };
	assert_true(SSL_CTX_use_certificate(peer->ctx, identity->cert));
	assert_true(SSL_CTX_use_PrivateKey(peer->ctx, identity->key));
	SSL_CTX_set_alpn_select_cb(peer->ctx, choose_protocol, NULL);
	peer->ssl = SSL_new(peer->ctx);
	SSL_set_bio(peer->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_accept_state(peer->ssl);
	BIO_set_mem_eof_return(SSL_get_rbio(peer->ssl), -1);
}

void tls_peer_close(struct tls_peer *peer)
{
	SSL_free(peer->ssl);
	SSL_CTX_free(peer->ctx);
	weir_stream_close(peer->stream);
	ERR_clear_error();
}

static bool peer_flush(struct tls_peer *peer)
{
	char data[1024];
	int n, status = 0;

	while ((n = BIO_read(SSL_get_wbio(peer->ssl), data, sizeof(data))) > 0 && !status)
		status = weir_stream_write(peer->stream, data, (size_t)n);
	return status == 0;
}

/* More from the stream; whether OpenSSL is to try again. */
static bool peer_fill(struct tls_peer *peer)
{
	char data[1024];
	ssize_t n = peer->ended ? 0 : weir_stream_read(peer->stream, data, sizeof(data));

	if (n <= 0 && peer->ended)
		return false;
	peer->ended = n <= 0;
	if (n > 0)
		BIO_write(SSL_get_rbio(peer->ssl), data, (int)n);
	else
		BIO_set_mem_eof_return(SSL_get_rbio(peer->ssl), 0);
	return true;
}

/* What was tried said OK: whether to try it again. Who does not read can have sent something. */
static bool peer_again(struct tls_peer *peer, int ok)
{
	int error = SSL_get_error(peer->ssl, ok);

	peer_flush(peer);
	return error == SSL_ERROR_WANT_READ && peer_fill(peer);
}

bool tls_peer_accept(struct tls_peer *peer)
{
	int ok;

	do {
		ERR_clear_error();
		ok = SSL_accept(peer->ssl);
	} while (peer_again(peer, ok));
	return ok == 1;
}

ssize_t tls_peer_read(struct tls_peer *peer, void *data, size_t size)
{
	size_t got = 0;
	int ok;

	do {
		ERR_clear_error();
		ok = SSL_read_ex(peer->ssl, data, size, &got);
	} while (peer_again(peer, ok));
	if (ok)
		return (ssize_t)got;
	return SSL_get_shutdown(peer->ssl) & SSL_RECEIVED_SHUTDOWN ? 0 : -1;
}

bool tls_peer_write(struct tls_peer *peer, const void *data, size_t size)
{
	size_t written;

	ERR_clear_error();
	return SSL_write_ex(peer->ssl, data, size, &written) && written == size && peer_flush(peer);
}

void tls_peer_end(struct tls_peer *peer)
{
	ERR_clear_error();
	SSL_shutdown(peer->ssl);
	peer_flush(peer);
}

void tls_peer_update_keys(struct tls_peer *peer)
{
	assert_true(SSL_key_update(peer->ssl, SSL_KEY_UPDATE_REQUESTED));
	assert_int_equal(SSL_do_handshake(peer->ssl), 1);
	assert_true(peer_flush(peer));
}

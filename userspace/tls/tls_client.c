/* SPDX-License-Identifier: MIT */
/*
 * A client is an SSL_CTX that is filled once and never changed, so that workers share it without a
 * lock of ours. What belongs to one connection, the peer's name, is set on its SSL.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/scope.h>

#include "tls/tls_internal.h"

#define HANDSHAKE_MS	  10000u
#define READ_BUFFER_BYTES 32768u
#define ALPN_BYTES	  256u

/* ------------------------------------------------------------------------------------------
 * The configuration
 */

static int file_fail(struct weir_error *error, const char *what, const char *file)
{
	return weir_error_set(error, WEIR_ECONFIG, "%s %s: %s", what, file, tls_error_take());
}

static int client_trust(SSL_CTX *ctx, const struct weir_tls_client_conf *conf,
			struct weir_error *error)
{
	if (conf->insecure)
		return 0;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (conf->ca_file && !SSL_CTX_load_verify_file(ctx, conf->ca_file))
		return file_fail(error, "CA file", conf->ca_file);
	if (conf->ca_folder && access(conf->ca_folder, R_OK | X_OK))
		return weir_error_set(error, WEIR_ECONFIG, "CA folder %s: %s", conf->ca_folder,
				      weir_strerror(-errno));
	if (conf->ca_folder && !SSL_CTX_load_verify_dir(ctx, conf->ca_folder))
		return file_fail(error, "CA folder", conf->ca_folder);
	if (!conf->ca_file && !conf->ca_folder && !SSL_CTX_set_default_verify_paths(ctx))
		return file_fail(error, "CA files", "of the system");
	return 0;
}

/* A program without a terminal must not ask for one. */
static int no_passphrase(char *text, int size, int for_writing, void *ctx)
{
	(void)text;
	(void)size;
	(void)for_writing;
	(void)ctx;
	return -1;
}

static int client_identify(SSL_CTX *ctx, const struct weir_tls_client_conf *conf,
			   struct weir_error *error)
{
	const char *key = conf->key_file ? conf->key_file : conf->cert_file;

	SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
	if (!conf->cert_file && !conf->key_file)
		return 0;
	if (!conf->cert_file) {
		weir_error_remedy(error, "say which certificate it belongs to");
		return weir_error_set(error, WEIR_ECONFIG, "key %s without a certificate", key);
	}
	if (!SSL_CTX_use_certificate_chain_file(ctx, conf->cert_file))
		return file_fail(error, "certificate", conf->cert_file);
	if (!SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM))
		return file_fail(error, "key", key);
	if (!SSL_CTX_check_private_key(ctx))
		return file_fail(error, "key", key);
	return 0;
}

/* RFC 7301 section 3.1: each with its size before it. */
static int client_offer(SSL_CTX *ctx, const char *const *alpn, struct weir_error *error)
{
	unsigned char list[ALPN_BYTES];
	size_t used = 0;

	for (; alpn && *alpn; alpn++) {
		size_t size = strlen(*alpn);

		if (size == 0 || size > 255 || used + 1 + size > sizeof(list))
			return weir_error_set(error, WEIR_ECONFIG,
					      "the protocols for ALPN are too long, or empty");
		list[used++] = (unsigned char)size;
		memcpy(list + used, *alpn, size);
		used += size;
	}
	if (used > 0 && SSL_CTX_set_alpn_protos(ctx, list, (unsigned)used))
		return weir_error_set(error, -ENOMEM, "out of memory");
	return 0;
}

static int version_number(enum weir_tls_version version, int otherwise)
{
	static const int numbers[] = {
		[WEIR_TLS_1_2] = TLS1_2_VERSION,
		[WEIR_TLS_1_3] = TLS1_3_VERSION,
	};

	return version == WEIR_TLS_DEFAULT ? otherwise : numbers[version];
}

static int client_agree(SSL_CTX *ctx, const struct weir_tls_client_conf *conf,
			struct weir_error *error)
{
	if (!SSL_CTX_set_min_proto_version(ctx,
					   version_number(conf->min_version, TLS1_2_VERSION)) ||
	    !SSL_CTX_set_max_proto_version(ctx, version_number(conf->max_version, 0)))
		return weir_error_set(error, WEIR_ECONFIG, "TLS versions: %s", tls_error_take());
	if (conf->min_version && conf->max_version && conf->min_version > conf->max_version)
		return weir_error_set(error, WEIR_ECONFIG,
				      "the oldest version of TLS is newer than the newest one");
	if (conf->ciphers && !SSL_CTX_set_cipher_list(ctx, conf->ciphers))
		return weir_error_set(error, WEIR_ECONFIG, "ciphers \"%s\": %s", conf->ciphers,
				      tls_error_take());
	return client_offer(ctx, conf->alpn, error);
}

/* Buffers are there while there is something in them; one read takes several records. */
static void client_tune(SSL_CTX *ctx)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, READ_BUFFER_BYTES);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
}

/* ------------------------------------------------------------------------------------------
 * The client
 */

struct weir_tls_client *weir_tls_client_new(const struct weir_tls_client_conf *conf,
					    struct weir_error *error)
{
	struct weir_tls_client *client = calloc(1, sizeof(*client));
	int status;

	ERR_clear_error();
	if (client)
		client->ctx = SSL_CTX_new(TLS_client_method());
	if (!client || !client->ctx) {
		weir_error_set(error, -ENOMEM, "out of memory");
		free(client);
		return NULL;
	}
	atomic_init(&client->references, 1);
	client->insecure = conf->insecure;
	client->handshake_ms = conf->handshake_ms ? conf->handshake_ms : HANDSHAKE_MS;
	client_tune(client->ctx);
	status = client_trust(client->ctx, conf, error);
	if (!status)
		status = client_identify(client->ctx, conf, error);
	if (!status)
		status = client_agree(client->ctx, conf, error);
	ERR_clear_error();
	if (!status)
		return client;
	weir_tls_client_put(client);
	return NULL;
}

struct weir_tls_client *weir_tls_client_get(struct weir_tls_client *client)
{
	atomic_fetch_add_explicit(&client->references, 1, memory_order_relaxed);
	return client;
}

void weir_tls_client_put(struct weir_tls_client *client)
{
	if (!client || atomic_fetch_sub_explicit(&client->references, 1, memory_order_acq_rel) > 1)
		return;
	SSL_CTX_free(client->ctx);
	free(client);
}

/* ------------------------------------------------------------------------------------------
 * Connecting
 */

static bool is_ip(const char *name)
{
	struct in6_addr unused;

	return inet_pton(AF_INET, name, &unused) == 1 || inet_pton(AF_INET6, name, &unused) == 1;
}

/* Whom the certificate must be for (RFC 6125), and what the server is told (RFC 6066: names only). */
static int expect_name(const struct weir_tls_client *client, SSL *ssl, const char *name,
		       struct weir_error *error)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	int ok;

	if (!name && client->insecure)
		return 0;
	if (!name)
		return weir_error_set(error, WEIR_ECERTIFICATE,
				      "there is no name that the certificate must be for");
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (is_ip(name))
		ok = X509_VERIFY_PARAM_set1_ip_asc(param, name);
	else
		ok = SSL_set_tlsext_host_name(ssl, name) &&
		     X509_VERIFY_PARAM_set1_host(param, name, 0);
	if (!ok)
		return weir_error_set(error, -EINVAL, "\"%s\" is no name for TLS: %s", name,
				      tls_error_take());
	return 0;
}

static int client_shake_hands(const struct weir_tls_client *client, struct tls_stream *tls,
			      struct weir_error *error)
{
	struct weir_scope scope;
	int status;

	SSL_set_connect_state(tls->ssl);
	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, client->handshake_ms);
	weir_scope_enter(&scope);
	status = tls_stream_handshake(tls, error);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	return status;
}

int weir_tls_connect(struct weir_tls_client *client, struct weir_stream *inner, const char *name,
		     struct weir_stream **out, struct weir_error *error)
{
	struct tls_stream *tls = tls_stream_new(client->ctx, inner);
	int status;

	if (!tls)
		return weir_error_set(error, -ENOMEM, "out of memory");
	status = expect_name(client, tls->ssl, name, error);
	if (!status)
		status = client_shake_hands(client, tls, error);
	if (status) {
		weir_stream_close(&tls->stream);
		return status;
	}
	*out = &tls->stream;
	return 0;
}

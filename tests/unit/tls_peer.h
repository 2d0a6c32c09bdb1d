/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_TLS_PEER_H
#define TESTS_UNIT_TLS_PEER_H

/*
 * A server that speaks TLS by OpenSSL alone, on memory BIOs, over any stream: what the library's
 * streams are held against. And certificates of one's own. All calls park, and fail the test where
 * they do not say otherwise.
 */

#include <openssl/ssl.h>

#include <weir/stream.h>

/* ------------------------------------------------------------------------------------------
 * Certificates: keys on P-256, made anew by each test program
 */

struct tls_identity {
	EVP_PKEY *key;
	X509 *cert;
};

/* Signs itself. */
struct tls_identity tls_authority(const char *name);
/* NAMES as in subjectAltName: "DNS:localhost,IP:127.0.0.1". Valid from one day ago, for DAYS of them
 * (0: it has expired). */
struct tls_identity tls_certificate(const struct tls_identity *authority, const char *names,
				    int days);
void tls_identity_free(struct tls_identity *identity);
/* Writes PEM into a file: the certificate, and with KEY the key. PATH is a template for mkstemp. */
void tls_identity_write(const struct tls_identity *identity, bool key, char *path);

/* ------------------------------------------------------------------------------------------
 * The server
 */

struct tls_peer {
	struct weir_stream *stream; /* owned */
	SSL_CTX *ctx;
	SSL *ssl;
	bool ended; /* the stream has */
};

/* Takes STREAM over. */
void tls_peer_open(struct tls_peer *peer, struct weir_stream *stream,
		   const struct tls_identity *identity);
void tls_peer_close(struct tls_peer *peer);

/* Until the handshake is done: true. Its alert, if there is one, has gone. */
bool tls_peer_accept(struct tls_peer *peer);
/* Bytes; 0 at close_notify; -1 when the stream ends without. */
ssize_t tls_peer_read(struct tls_peer *peer, void *data, size_t size);
/* Whether all of it went. */
bool tls_peer_write(struct tls_peer *peer, const void *data, size_t size);
/* close_notify. */
void tls_peer_end(struct tls_peer *peer);
/* Asks for new keys of both sides (RFC 8446 section 4.6.3). */
void tls_peer_update_keys(struct tls_peer *peer);

#endif

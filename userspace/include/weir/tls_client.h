/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TLS_CLIENT_H
#define WEIR_TLS_CLIENT_H

/*
 * Connecting with TLS (RFC 8446, RFC 5246): a client is what is the same for many connections
 * (whom to trust, which certificate to show, which versions), a connector puts TLS around the
 * streams of the connector that it wraps.
 *
 *	client = weir_tls_client_new(&(struct weir_tls_client_conf){ 0 }, err);
 *	connector = weir_tcp_connector(&tcp, err);
 *	connector = weir_tls_connector(connector, &(struct weir_tls_connector_conf){ .client = client }, err);
 *	weir_tls_client_put(client);
 *
 * A client does not change once it is made: all workers may share it.
 */

#include <stdbool.h>

#include <weir/connector.h>
#include <weir/error.h>
#include <weir/stream.h>

struct weir_tls_client;

enum weir_tls_version {
	WEIR_TLS_DEFAULT,
	WEIR_TLS_1_2,
	WEIR_TLS_1_3,
};

/* Zero means the default in parentheses. Texts are copied, files are read once. */
struct weir_tls_client_conf {
	bool insecure;	     /* takes any certificate of anybody */
	const char *ca_file; /* PEM; whom to trust (the system's certificates, unless one of the */
	const char *ca_folder;	 /* two is set); hashed as by openssl-rehash(1) */
	const char *cert_file;	 /* PEM; shown when the server asks, with its chain (none) */
	const char *key_file;	 /* PEM, without a passphrase (cert_file) */
	const char *const *alpn; /* protocols, the best one first, NULL at the end (none) */
	enum weir_tls_version min_version; /* (TLS 1.2) */
	enum weir_tls_version max_version; /* (the newest) */
	const char *ciphers;   /* of TLS 1.2, as in openssl-ciphers(1) (OpenSSL's choice) */
	uint64_t handshake_ms; /* (10 s): -ETIMEDOUT */
};

/* NULL with ERROR: a file that cannot be read or does not fit, a wrong list. Reads many files; on
 * a task it takes some 10 KiB of stack. */
struct weir_tls_client *weir_tls_client_new(const struct weir_tls_client_conf *conf,
					    struct weir_error *error) WEIR_MUST_CHECK;
/* Any thread. */
struct weir_tls_client *weir_tls_client_get(struct weir_tls_client *client);
/* Accepts NULL. Streams made by it may live on. */
void weir_tls_client_put(struct weir_tls_client *client);

/* Zero means the default in parentheses. */
struct weir_tls_connector_conf {
	struct weir_tls_client *client; /* the connector takes a reference of its own; NULL as if its
					 * constructor had failed */
	/* Said to the server (RFC 6066 section 3), and what its certificate must be for: a name or an
	 * IP address; copied (the target's own). */
	const char *server_name;
	/* Called when a handshake is done; weir_tls_stream_info() says more. May be NULL. */
	void (*on_handshake)(void *ctx, struct weir_stream *stream);
	/* Called with a sentence when a handshake fails, and when a stream later breaks for a reason
	 * that TLS knows more about than its status says. May be NULL. Both must not park. */
	void (*on_failure)(void *ctx, const struct weir_error *error);
	void *ctx; /* borrowed, for as long as the connector and its streams live */
};

/* Takes INNER over in every case. connect() returns, besides what INNER does: WEIR_ECERTIFICATE
 * when the server does not prove to be whom it should be, WEIR_ETLS when the two do not agree,
 * -ECONNRESET, -ETIMEDOUT. */
struct weir_connector *weir_tls_connector(struct weir_connector *inner,
					  const struct weir_tls_connector_conf *conf,
					  struct weir_error *error) WEIR_MUST_CHECK;

/* Shakes hands over INNER, which is taken over in every case and may be any stream; in a task.
 * NAME: as server_name above; NULL: there is none, and nothing but an insecure client connects.
 * 0 with *OUT owned by the caller; else ERROR (may be NULL) says why. Parks. */
int weir_tls_connect(struct weir_tls_client *client, struct weir_stream *inner, const char *name,
		     struct weir_stream **out, struct weir_error *error) WEIR_MUST_CHECK;

#endif

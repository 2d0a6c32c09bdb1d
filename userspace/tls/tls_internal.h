/* SPDX-License-Identifier: MIT */
#ifndef WEIR_TLS_INTERNAL_H
#define WEIR_TLS_INTERNAL_H

/*
 * What the files of this room share: OpenSSL's words for what went wrong, and the stream.
 */

#include <openssl/ssl.h>
#include <stdatomic.h>

#include <weir/buffer.h>
#include <weir/error.h>
#include <weir/tls_client.h>
#include <weir/tls_stream.h>

struct weir_tls_client {
	atomic_uint references;
	SSL_CTX *ctx; /* not changed any more once it is made */
	bool insecure;
	uint64_t handshake_ms;
};

/* ------------------------------------------------------------------------------------------
 * Errors
 */

/* What OpenSSL complained about first, in its words; then its queue of this thread is empty.
 * Static memory of this thread; never NULL. */
const char *tls_error_take(void);

/* ------------------------------------------------------------------------------------------
 * Streams
 */

struct tls_stream {
	struct weir_stream stream;
	struct weir_stream *inner; /* owned */
	SSL *ssl;
	struct weir_buffer out; /* encrypted, and not yet taken by the inner stream */
	size_t pledged;		/* plaintext in it that its writer was not told of yet */
	int read_status;	/* why nothing more will be read, or 0 */
	int write_status;	/* ... written */
	unsigned read_waits;	/* what the inner stream must be for the next read; 0: just try */
	unsigned write_waits;
	bool inner_ended; /* its bytes have ended, with or without close_notify */
	bool notified;	  /* close_notify was written */
	bool aborted;
	void (*on_failure)(void *ctx, const struct weir_error *error); /* may be NULL */
	void *ctx;
};

/* A stream that speaks with CTX over INNER, which is taken over in every case; before its
 * handshake. NULL when memory is out. */
struct tls_stream *tls_stream_new(SSL_CTX *ctx, struct weir_stream *inner) WEIR_MUST_CHECK;
/* Parks. 0; else ERROR says why: what the inner stream or the scope said, -ECONNRESET,
 * WEIR_ECERTIFICATE, WEIR_ETLS. */
int tls_stream_handshake(struct tls_stream *tls, struct weir_error *error) WEIR_MUST_CHECK;

/* STREAM tells ON_FAILURE (may be NULL) when it breaks; CTX is borrowed. */
void tls_stream_tell(struct weir_stream *stream,
		     void (*on_failure)(void *ctx, const struct weir_error *error), void *ctx);

/* ------------------------------------------------------------------------------------------
 * Between OpenSSL and the inner stream
 */

/* Gives tls->ssl its way to tls->inner. 0 or -ENOMEM. */
int tls_bio_attach(struct tls_stream *tls) WEIR_MUST_CHECK;
/* Writes what waits in `out`. 0, -EAGAIN, write_status. */
int tls_bio_flush(struct tls_stream *tls);

#endif

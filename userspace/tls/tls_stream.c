/* SPDX-License-Identifier: MIT */
/*
 * A stream that encrypts, around any other stream.
 *
 * Nothing here parks but the handshake. Reading may need to write (an answer to KeyUpdate), so whoever
 * waits to read waits for the inner stream to take what is in `out`, too. Bytes count as written when
 * the inner stream has them: a record of which a part waits in `out` is pledged, its writer hears
 * -EAGAIN and comes again with the same bytes, which are then not encrypted a second time. So
 * who writes, is told that all is written, and closes, has lost nothing.
 */

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdlib.h>
#include <string.h>

#include "tls/tls_internal.h"

#define RECORD_BYTES SSL3_RT_MAX_PLAIN_LENGTH

static const struct weir_stream_ops tls_ops;

static struct tls_stream *tls_of(struct weir_stream *stream)
{
	return weir_container_of(stream, struct tls_stream, stream);
}

/* ------------------------------------------------------------------------------------------
 * Ends
 */

static void tls_report(const struct tls_stream *tls, const struct weir_error *error)
{
	if (tls->on_failure)
		tls->on_failure(tls->ctx, error);
}

/* Whether OpenSSL's complaint is that the inner stream has ended. */
static bool tls_is_cut(const struct tls_stream *tls)
{
	unsigned long code = ERR_peek_error();

	return tls->inner_ended &&
	       (!code || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
}

/* OpenSSL has said SSL_ERROR_SSL or SSL_ERROR_SYSCALL, and is not asked again. */
static int tls_break(struct tls_stream *tls)
{
	struct weir_error error = { 0 };

	if (!tls->read_status && tls_is_cut(tls)) {
		tls->read_status = weir_error_set(&error, WEIR_ETRUNCATED, "%s",
						  weir_strerror(WEIR_ETRUNCATED));
		ERR_clear_error();
	} else if (!tls->read_status) {
		tls->read_status = weir_error_set(&error, WEIR_ETLS, "TLS: %s", tls_error_take());
		tls_bio_flush(tls); /* the alert that says so */
		if (!tls->write_status)
			tls->write_status = WEIR_ETLS;
	}
	if (error.status)
		tls_report(tls, &error);
	return tls->read_status;
}

static bool tls_may_notify(const struct tls_stream *tls)
{
	return !tls->notified && !tls->aborted && !tls->read_status && !tls->write_status &&
	       SSL_is_init_finished(tls->ssl);
}

/* RFC 8446 section 6.1. */
static void tls_notify(struct tls_stream *tls)
{
	ERR_clear_error();
	SSL_shutdown(tls->ssl);
	tls->notified = true;
}

/* ------------------------------------------------------------------------------------------
 * Reading
 */

/* Bytes, 0 at the end, -EAGAIN, read_status. */
static ssize_t tls_read(struct tls_stream *tls, void *data, size_t size, bool peek)
{
	size_t got = 0;
	int ok;

	if (tls->read_status)
		return tls->read_status;
	ERR_clear_error();
	tls->read_waits = 0;
	ok = peek ? SSL_peek_ex(tls->ssl, data, size, &got)
		  : SSL_read_ex(tls->ssl, data, size, &got);
	switch (SSL_get_error(tls->ssl, ok)) {
	case SSL_ERROR_NONE:
		return (ssize_t)got;
	case SSL_ERROR_WANT_READ:
		tls->read_waits = WEIR_READABLE;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		tls->read_waits = WEIR_WRITABLE;
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		tls->stream.read_ended = true;
		return 0;
	default:
		return tls_break(tls);
	}
}

/* Fills PART as long as records are there. A failure behind some bytes waits for its turn. */
static ssize_t tls_fill(struct tls_stream *tls, const struct iovec *part, bool peek)
{
	size_t done = 0;
	ssize_t got;

	do {
		got = tls_read(tls, (char *)part->iov_base + done, part->iov_len - done, peek);
		if (got <= 0)
			return done ? (ssize_t)done : got;
		done += (size_t)got;
	} while (done < part->iov_len && !peek);
	return (ssize_t)done;
}

static ssize_t tls_readv(struct weir_stream *stream, const struct iovec *iov, int n, bool peek)
{
	struct tls_stream *tls = tls_of(stream);
	size_t done = 0;

	(void)tls_bio_flush(tls);
	for (int i = 0; i < n; i++) {
		ssize_t got;

		if (iov[i].iov_len == 0)
			continue;
		got = tls_fill(tls, &iov[i], peek);
		if (got <= 0 && done == 0)
			return got;
		if (got > 0)
			done += (size_t)got;
		if (got < (ssize_t)iov[i].iov_len || peek)
			break;
	}
	if (!peek)
		stream->bytes_read += done;
	return (ssize_t)done;
}

/* ------------------------------------------------------------------------------------------
 * Writing
 */

/* Where a writev() has got to. */
struct cursor {
	const struct iovec *iov;
	int n;
	size_t offset; /* in the first one */
};

static size_t cursor_left(const struct cursor *cursor)
{
	size_t left = 0;

	for (int i = 0; i < cursor->n; i++)
		left += cursor->iov[i].iov_len;
	return left - cursor->offset;
}

static void cursor_advance(struct cursor *cursor, size_t size)
{
	size += cursor->offset;
	while (cursor->n > 0 && size >= cursor->iov->iov_len) {
		size -= cursor->iov->iov_len;
		cursor->iov++;
		cursor->n--;
	}
	cursor->offset = size;
}

/* What small pieces are put together in: a record for each costs more than copying them. */
static char *record_room(void)
{
	static const struct weir_loop_key key = { "tls_record", free };
	struct weir_loop *loop = weir_loop_current();
	char *room = weir_loop_attached(loop, &key);

	if (room)
		return room;
	room = malloc(RECORD_BYTES);
	if (room && weir_loop_attach(loop, &key, room)) {
		free(room);
		return NULL;
	}
	return room;
}

static size_t cursor_gather(const struct cursor *cursor, char *room)
{
	size_t done = 0, skip = cursor->offset;

	for (int i = 0; i < cursor->n && done < RECORD_BYTES; i++) {
		size_t part = WEIR_MIN(cursor->iov[i].iov_len - skip, RECORD_BYTES - done);

		if (part > 0)
			memcpy(room + done, (char *)cursor->iov[i].iov_base + skip, part);
		done += part;
		skip = 0;
	}
	return done;
}

/* The next record's plaintext. 0 or -ENOMEM. */
static int cursor_record(const struct cursor *cursor, struct iovec *record)
{
	size_t first = cursor->iov->iov_len - cursor->offset;

	if (cursor->n == 1 || first >= RECORD_BYTES) {
		record->iov_base = (char *)cursor->iov->iov_base + cursor->offset;
		record->iov_len = WEIR_MIN(first, RECORD_BYTES);
		return 0;
	}
	record->iov_base = record_room();
	if (!record->iov_base)
		return -ENOMEM;
	record->iov_len = cursor_gather(cursor, record->iov_base);
	return 0;
}

/* Encrypts one record, after which `out` may not be empty. Bytes, -EAGAIN, write_status. */
static ssize_t tls_encrypt(struct tls_stream *tls, const struct iovec *record)
{
	size_t written = 0;
	int ok;

	ERR_clear_error();
	tls->write_waits = WEIR_WRITABLE;
	ok = SSL_write_ex(tls->ssl, record->iov_base, record->iov_len, &written);
	switch (SSL_get_error(tls->ssl, ok)) {
	case SSL_ERROR_NONE:
		return tls->write_status ? tls->write_status : (ssize_t)written;
	case SSL_ERROR_WANT_READ:
		tls->write_waits = WEIR_READABLE;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	default:
		tls_break(tls);
		return tls->write_status ? tls->write_status : tls->read_status;
	}
}

/* One record on its way. Bytes that the inner stream has taken, -EAGAIN, write_status. */
static ssize_t tls_write_record(struct tls_stream *tls, const struct cursor *cursor)
{
	struct iovec record;
	ssize_t sent;
	int status = cursor_record(cursor, &record);

	if (status)
		return status;
	sent = tls_encrypt(tls, &record);
	if (sent < 0 || weir_buffer_size(&tls->out) == 0)
		return sent;
	tls->pledged = (size_t)sent;
	return -EAGAIN;
}

/* What was encrypted before and has gone meanwhile. */
static size_t tls_redeem(struct tls_stream *tls, struct cursor *cursor)
{
	size_t done = WEIR_MIN(tls->pledged, cursor_left(cursor));

	tls->pledged -= done;
	cursor_advance(cursor, done);
	return done;
}

static ssize_t tls_writev(struct weir_stream *stream, const struct iovec *iov, int n, bool more)
{
	struct tls_stream *tls = tls_of(stream);
	struct cursor cursor = { .iov = iov, .n = n };
	ssize_t sent = tls_bio_flush(tls);
	size_t done;

	(void)more;
	if (sent < 0)
		return sent;
	if (stream->write_ended)
		return -EPIPE;
	done = tls_redeem(tls, &cursor);
	while (sent >= 0 && cursor_left(&cursor) > 0) {
		sent = tls_write_record(tls, &cursor);
		if (sent > 0) {
			cursor_advance(&cursor, (size_t)sent);
			done += (size_t)sent;
		}
	}
	stream->bytes_written += done;
	return done || sent >= 0 ? (ssize_t)done : sent;
}

static int tls_shutdown(struct weir_stream *stream)
{
	struct tls_stream *tls = tls_of(stream);
	int status;

	stream->write_ended = true;
	if (tls_may_notify(tls))
		tls_notify(tls);
	status = tls_bio_flush(tls);
	return status ? status : tls->inner->ops->shutdown(tls->inner);
}

/* ------------------------------------------------------------------------------------------
 * The rest of a stream
 */

static void tls_abort(struct weir_stream *stream)
{
	struct tls_stream *tls = tls_of(stream);

	tls->aborted = true;
	tls->inner->ops->abort(tls->inner);
}

/* Says goodbye if that needs no waiting. */
static void tls_close(struct weir_stream *stream)
{
	struct tls_stream *tls = tls_of(stream);

	if (tls_may_notify(tls) && tls_bio_flush(tls) == 0)
		tls_notify(tls);
	SSL_free(tls->ssl);
	ERR_clear_error();
	weir_stream_close(tls->inner);
	weir_buffer_fini(&tls->out);
	free(tls);
}

static void tls_subscribe(struct weir_stream *stream, unsigned events, struct weir_task *task)
{
	struct tls_stream *tls = tls_of(stream);
	unsigned waiting = weir_buffer_size(&tls->out) > 0 ? WEIR_WRITABLE : 0;
	unsigned inner = events & ~(WEIR_READABLE | WEIR_WRITABLE);

	/* Nobody knows whether OpenSSL has something: the reader tries. */
	if (events & WEIR_READABLE && !tls->read_waits)
		weir_task_wake(task);
	if (events & WEIR_READABLE)
		inner |= waiting | (tls->read_waits ? tls->read_waits : WEIR_READABLE);
	if (events & WEIR_WRITABLE)
		inner |= waiting ? waiting : tls->write_waits;
	tls->inner->ops->subscribe(tls->inner, inner, task);
}

static void tls_set_hook(struct weir_stream *stream, struct weir_watch_hook *hook)
{
	weir_stream_set_hook(tls_of(stream)->inner, hook);
}

static int tls_raw_fd(struct weir_stream *stream, const char **why)
{
	(void)stream;
	*why = "TLS is done in userspace: the socket carries records";
	return -1;
}

static const struct weir_stream_ops tls_ops = {
	.name = "tls",
	.readv = tls_readv,
	.writev = tls_writev,
	.shutdown = tls_shutdown,
	.abort = tls_abort,
	.close = tls_close,
	.subscribe = tls_subscribe,
	.set_hook = tls_set_hook,
	.raw_fd = tls_raw_fd,
};

struct tls_stream *tls_stream_new(SSL_CTX *ctx, struct weir_stream *inner)
{
	struct tls_stream *tls = calloc(1, sizeof(*tls));

	if (!tls)
		goto err;
	tls->inner = inner;
	tls->write_waits = WEIR_WRITABLE;
	tls->stream.ops = &tls_ops;
	tls->stream.local = *weir_stream_local(inner);
	tls->stream.peer = *weir_stream_peer(inner);
	tls->ssl = SSL_new(ctx);
	if (tls->ssl && tls_bio_attach(tls) == 0)
		return tls;
	SSL_free(tls->ssl);
	ERR_clear_error();
err:
	free(tls);
	weir_stream_close(inner);
	return NULL;
}

void tls_stream_tell(struct weir_stream *stream,
		     void (*on_failure)(void *ctx, const struct weir_error *error), void *ctx)
{
	struct tls_stream *tls = tls_of(stream);

	tls->on_failure = on_failure;
	tls->ctx = ctx;
}

/* ------------------------------------------------------------------------------------------
 * The handshake
 */

static int handshake_fail(const struct tls_stream *tls, struct weir_error *error)
{
	long verified = SSL_get_verify_result(tls->ssl);
	bool distrusted = ERR_GET_REASON(ERR_peek_error()) == SSL_R_CERTIFICATE_VERIFY_FAILED;

	if (tls->read_status)
		return weir_error_set(error, tls->read_status, "TLS handshake: %s",
				      weir_strerror(tls->read_status));
	if (tls_is_cut(tls))
		return weir_error_set(error, -ECONNRESET,
				      "the peer ended the connection amid the TLS handshake");
	if (distrusted)
		return weir_error_set(error, WEIR_ECERTIFICATE, "%s: %s",
				      weir_strerror(WEIR_ECERTIFICATE),
				      X509_verify_cert_error_string(verified));
	return weir_error_set(error, WEIR_ETLS, "TLS handshake: %s", tls_error_take());
}

/* Waits until OpenSSL can go on. */
static int handshake_wait(struct tls_stream *tls, unsigned events, struct weir_error *error)
{
	int status;

	if (weir_buffer_size(&tls->out) > 0)
		events |= WEIR_WRITABLE;
	status = weir_stream_wait(tls->inner, events);
	if (status)
		weir_error_set(error, status, "TLS handshake: %s", weir_strerror(status));
	return status;
}

int tls_stream_handshake(struct tls_stream *tls, struct weir_error *error)
{
	int status = 0;

	while (!status) {
		int ok;

		(void)tls_bio_flush(tls);
		ERR_clear_error();
		ok = SSL_do_handshake(tls->ssl);
		switch (SSL_get_error(tls->ssl, ok)) {
		case SSL_ERROR_NONE:
			return 0;
		case SSL_ERROR_WANT_READ:
			status = handshake_wait(tls, WEIR_READABLE, error);
			break;
		case SSL_ERROR_WANT_WRITE:
			status = handshake_wait(tls, WEIR_WRITABLE, error);
			break;
		default:
			status = handshake_fail(tls, error);
			(void)tls_bio_flush(tls); /* the alert that says so */
		}
	}
	ERR_clear_error();
	return status;
}

/* ------------------------------------------------------------------------------------------
 * What people want to know
 */

static void text_of_name(char *text, size_t size, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int n = -1;

	if (bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB) >= 0)
		n = BIO_read(bio, text, (int)size - 1);
	text[WEIR_MAX(n, 0)] = '\0';
	BIO_free(bio);
}

static void text_of_time(char *text, size_t size, const ASN1_TIME *time)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int n = -1;

	if (bio && ASN1_TIME_print(bio, time))
		n = BIO_read(bio, text, (int)size - 1);
	text[WEIR_MAX(n, 0)] = '\0';
	BIO_free(bio);
}

static void info_add_certificate(struct weir_tls_info *info, const X509 *cert)
{
	text_of_name(info->subject, sizeof(info->subject), X509_get_subject_name(cert));
	text_of_name(info->issuer, sizeof(info->issuer), X509_get_issuer_name(cert));
	text_of_time(info->begins, sizeof(info->begins), X509_get0_notBefore(cert));
	text_of_time(info->expires, sizeof(info->expires), X509_get0_notAfter(cert));
}

int weir_tls_stream_info(struct weir_stream *stream, struct weir_tls_info *info)
{
	const unsigned char *alpn = NULL;
	unsigned size = 0;
	long verified;
	SSL *ssl;

	if (stream->ops != &tls_ops)
		return -EINVAL;
	ssl = tls_of(stream)->ssl;
	*info = (struct weir_tls_info){
		.version = SSL_get_version(ssl),
		.cipher = SSL_get_cipher_name(ssl),
	};
	SSL_get0_alpn_selected(ssl, &alpn, &size);
	if (size > 0)
		memcpy(info->alpn, alpn, WEIR_MIN(size, sizeof(info->alpn) - 1));
	verified = SSL_get_verify_result(ssl);
	if (verified != X509_V_OK)
		info->why = X509_verify_cert_error_string(verified);
	if (SSL_get0_peer_certificate(ssl))
		info_add_certificate(info, SSL_get0_peer_certificate(ssl));
	ERR_clear_error();
	return 0;
}

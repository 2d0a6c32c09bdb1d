/* SPDX-License-Identifier: MIT */
/*
 * A BIO over a stream. Reading hands on what the stream says. Writing takes all it is given: what
 * the stream does not take waits in `out`, so that OpenSSL never has half a record in hand and
 * never wants the same bytes again. It is full only when somebody makes us answer (KeyUpdate, alerts)
 * without reading the answers.
 *
 * A write that fails is kept in write_status and not shown to OpenSSL, because what the peer sent
 * before it went away can still be read.
 */

#include <errno.h>
#include <limits.h>
#include <openssl/bio.h>
#include <pthread.h>

#include "tls/tls_internal.h"

#define OUT_MAX_BYTES 262144u

static int bio_write(BIO *bio, const char *data, size_t size, size_t *written)
{
	struct tls_stream *tls = BIO_get_data(bio);
	struct iovec iov = { .iov_base = (char *)(uintptr_t)data, .iov_len = size };
	ssize_t sent = 0;

	BIO_clear_retry_flags(bio);
	if (weir_buffer_size(&tls->out) > OUT_MAX_BYTES) {
		BIO_set_retry_write(bio);
		return 0;
	}
	*written = size;
	if (tls->write_status)
		return 1;
	if (weir_buffer_size(&tls->out) == 0)
		sent = tls->inner->ops->writev(tls->inner, &iov, 1, false);
	if (sent < 0 && sent != -EAGAIN) {
		tls->write_status = (int)sent;
		return 1;
	}
	sent = WEIR_MAX(sent, 0);
	if (weir_buffer_append(&tls->out, data + sent, size - (size_t)sent))
		tls->write_status = -ENOMEM;
	return 1;
}

static int bio_read(BIO *bio, char *data, size_t size, size_t *got)
{
	struct tls_stream *tls = BIO_get_data(bio);
	struct iovec iov = { .iov_base = data, .iov_len = size };
	ssize_t n = tls->inner->ops->readv(tls->inner, &iov, 1, false);

	BIO_clear_retry_flags(bio);
	*got = n > 0 ? (size_t)n : 0;
	if (n == -EAGAIN)
		BIO_set_retry_read(bio);
	else if (n < 0)
		tls->read_status = (int)n;
	else if (n == 0)
		tls->inner_ended = true;
	return n > 0;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	const struct tls_stream *tls = BIO_get_data(bio);

	(void)number;
	(void)pointer;
	switch (command) {
	case BIO_CTRL_FLUSH: /* nothing is held back but what the stream did not take */
		return 1;
	case BIO_CTRL_EOF:
		return tls->inner_ended;
	default:
		return 0;
	}
}

static BIO_METHOD *method; /* of all streams; lives as long as the process */

static void method_init(void)
{
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir stream");
	if (!method)
		return;
	BIO_meth_set_write_ex(method, bio_write);
	BIO_meth_set_read_ex(method, bio_read);
	BIO_meth_set_ctrl(method, bio_ctrl);
}

int tls_bio_attach(struct tls_stream *tls)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	BIO *bio;

	pthread_once(&once, method_init);
	bio = method ? BIO_new(method) : NULL;
	if (!bio)
		return -ENOMEM;
	BIO_set_data(bio, tls);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio);
	return 0;
}

int tls_bio_flush(struct tls_stream *tls)
{
	while (!tls->write_status && weir_buffer_size(&tls->out) > 0) {
		struct iovec iov = { .iov_base = weir_buffer_head(&tls->out),
				     .iov_len = weir_buffer_size(&tls->out) };
		ssize_t sent = tls->inner->ops->writev(tls->inner, &iov, 1, false);

		if (sent == -EAGAIN)
			return -EAGAIN;
		if (sent < 0)
			tls->write_status = (int)sent;
		else
			weir_buffer_consume(&tls->out, (size_t)sent);
	}
	weir_buffer_fini(&tls->out);
	return tls->write_status;
}

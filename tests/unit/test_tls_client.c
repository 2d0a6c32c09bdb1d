/* SPDX-License-Identifier: MIT */
/* Clients of TLS: whom they trust, what they show, what they refuse; connectors; several workers. */

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/err.h>

#include <weir/http_client.h>
#include <weir/loop.h>

#include "stage.h"
#include "tls_scene.h"

/* ------------------------------------------------------------------------------------------
 * Trust
 */

static void expect(struct tls_scene *scene, int status, const char *message)
{
	tls_scene_run(scene);
	if (message)
		assert_non_null(strstr(scene->error.message, message));
	assert_int_equal(scene->status, status);
	assert_int_equal(scene->error.status, status);
}

static void test_trust(void **state)
{
	struct tls_scene scene = { 0 };

	(void)state;
	expect(&scene, 0, NULL);
	scene = (struct tls_scene){ .name = "127.0.0.1" };
	expect(&scene, 0, NULL);
	scene = (struct tls_scene){ .name = "example.org" };
	expect(&scene, WEIR_ECERTIFICATE, "hostname mismatch");
	scene = (struct tls_scene){ .name = "127.0.0.2" };
	expect(&scene, WEIR_ECERTIFICATE, "IP address mismatch");
	scene = (struct tls_scene){ .server = &tls_world.expired };
	expect(&scene, WEIR_ECERTIFICATE, "certificate has expired");
	scene = (struct tls_scene){ .server = &tls_world.unknown };
	expect(&scene, WEIR_ECERTIFICATE, "unable to get local issuer certificate");
	scene = (struct tls_scene){ .server = &tls_world.stranger };
	expect(&scene, WEIR_ECERTIFICATE, "self-signed certificate");
}

static void client_know(struct tls_scene *scene)
{
	struct weir_tls_info info;

	assert_int_equal(weir_tls_stream_info(scene->stream, &info), 0);
	assert_non_null(info.why);
}

static void test_insecure(void **state)
{
	struct tls_scene scene = {
		.server = &tls_world.unknown,
		.name = "example.org",
		.conf.insecure = true,
		.at_client = client_know,
	};

	(void)state;
	expect(&scene, 0, NULL);
}

/* The server hears of it. */
static void test_alert(void **state)
{
	struct tls_scene scene = { .server = &tls_world.unknown };

	(void)state;
	tls_scene_run(&scene);
	assert_false(scene.accepted);
	assert_int_equal(scene.alert, SSL_R_TLSV1_ALERT_UNKNOWN_CA);
}

/* ------------------------------------------------------------------------------------------
 * Versions, protocols
 */

static void only_tls12(struct tls_scene *scene)
{
	SSL_set_max_proto_version(scene->peer.ssl, TLS1_2_VERSION);
}

static void only_tls13(struct tls_scene *scene)
{
	SSL_set_min_proto_version(scene->peer.ssl, TLS1_3_VERSION);
}

static void only_tls11(struct tls_scene *scene)
{
	SSL_set_security_level(scene->peer.ssl, 0);
	SSL_set_min_proto_version(scene->peer.ssl, TLS1_1_VERSION);
	SSL_set_max_proto_version(scene->peer.ssl, TLS1_1_VERSION);
}

static void test_versions(void **state)
{
	struct tls_scene scene = { .prepare = only_tls12 };

	(void)state;
	expect(&scene, 0, NULL);
	scene = (struct tls_scene){ .prepare = only_tls13 };
	expect(&scene, 0, NULL);
	scene = (struct tls_scene){ .prepare = only_tls11 };
	expect(&scene, WEIR_ETLS, "version");
	scene = (struct tls_scene){ .prepare = only_tls12, .conf.min_version = WEIR_TLS_1_3 };
	expect(&scene, WEIR_ETLS, "version");
	scene = (struct tls_scene){ .prepare = only_tls13, .conf.max_version = WEIR_TLS_1_2 };
	expect(&scene, WEIR_ETLS, "version");
	scene = (struct tls_scene){ .conf.ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305",
				    .conf.max_version = WEIR_TLS_1_2 };
	expect(&scene, 0, NULL);
}

static void speak_plain(struct tls_scene *scene)
{
	assert_int_equal(weir_stream_write(scene->peer.stream, "HTTP/1.1 400 No\r\n\r\n", 19), 0);
}

static void hang_up(struct tls_scene *scene)
{
	(void)!weir_stream_shutdown(scene->peer.stream);
}

static void stay_silent(struct tls_scene *scene)
{
	char data[4096];

	while (weir_stream_read(scene->peer.stream, data, sizeof(data)) > 0)
		;
}

static void test_broken_handshakes(void **state)
{
	struct tls_scene scene = { .prepare = speak_plain };

	(void)state;
	expect(&scene, WEIR_ETLS, "wrong version number");
	scene = (struct tls_scene){ .prepare = hang_up };
	expect(&scene, -ECONNRESET, "ended the connection amid");
	scene = (struct tls_scene){ .prepare = stay_silent, .conf.handshake_ms = 50 };
	expect(&scene, -ETIMEDOUT, NULL);
	scene = (struct tls_scene){ .prepare = stay_silent, .timeout_ms = 50 };
	expect(&scene, -ETIMEDOUT, NULL);
}

/* ------------------------------------------------------------------------------------------
 * Certificates of clients
 */

static void demand_certificate(struct tls_scene *scene)
{
	X509_STORE *store = SSL_CTX_get_cert_store(scene->peer.ctx);

	X509_STORE_add_cert(store, tls_world.authority.cert);
	SSL_set_verify(scene->peer.ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

static void demand_certificate12(struct tls_scene *scene)
{
	demand_certificate(scene);
	only_tls12(scene);
}

/* In TLS 1.3 the client has long been done when it hears of it. */
static void client_hear(struct tls_scene *scene)
{
	char data[16];

	assert_int_equal(weir_stream_read(scene->stream, data, sizeof(data)), WEIR_ETLS);
}

static void test_own_certificate(void **state)
{
	struct tls_scene scene = { .prepare = demand_certificate, .at_client = client_hear };

	(void)state;
	tls_scene_run(&scene);
	assert_int_equal(scene.status, 0);
	assert_false(scene.accepted);
	scene = (struct tls_scene){ .prepare = demand_certificate12 };
	expect(&scene, WEIR_ETLS, "handshake failure");
	for (int i = 0; i < 2; i++) {
		scene = (struct tls_scene){
			.prepare = i ? demand_certificate12 : demand_certificate,
			.conf.cert_file = tls_world.client_path,
		};
		expect(&scene, 0, NULL);
		assert_true(scene.accepted);
	}
}

/* ------------------------------------------------------------------------------------------
 * Mistakes in configurations
 */

static void refuse(struct weir_tls_client_conf conf, const char *message)
{
	struct weir_error error = { 0 };

	assert_null(weir_tls_client_new(&conf, &error));
	assert_int_equal(error.status, WEIR_ECONFIG);
	assert_non_null(strstr(error.message, message));
	assert_int_equal(ERR_peek_error(), 0);
}

#define REFUSE(message, ...) refuse((struct weir_tls_client_conf){ __VA_ARGS__ }, message)

static void test_mistakes(void **state)
{
	const char *const empty[] = { "", NULL };

	(void)state;
	REFUSE("CA file /nowhere: No such file or directory", .ca_file = "/nowhere");
	REFUSE("CA file /dev/null", .ca_file = "/dev/null");
	REFUSE("CA folder /nowhere: No such file or directory", .ca_folder = "/nowhere");
	REFUSE("certificate /nowhere: No such file or directory", .cert_file = "/nowhere");
	REFUSE("without a certificate", .key_file = tls_world.client_path);
	REFUSE("key /nowhere", .cert_file = tls_world.client_path, .key_file = "/nowhere");
	REFUSE("mismatch", .cert_file = tls_world.ca_path, .key_file = tls_world.client_path);
	REFUSE("ciphers \"nonsense\": no cipher match", .ciphers = "nonsense");
	REFUSE("ALPN", .alpn = empty);
	REFUSE("newer than the newest", .min_version = WEIR_TLS_1_3, .max_version = WEIR_TLS_1_2);
}

/* ------------------------------------------------------------------------------------------
 * The HTTP client over it
 */

struct web {
	struct pair_connector pair;
	struct weir_tls_client *tls;
	struct weir_error failure;
	unsigned handshakes;
	unsigned requests;
	unsigned per_connection; /* responses before the origin goes away */
	bool truncate;		 /* ... without close_notify, amid the last one */
};

/* One connection: answers whatever ends with an empty line. */
static int web_serve(void *arg)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
	struct web *web = arg;
	struct tls_peer peer;
	char data[2048];

	tls_peer_open(&peer, web->pair.origin, &tls_world.server);
	if (tls_peer_accept(&peer)) {
		unsigned n = 0;

		while (n < web->per_connection && tls_peer_read(&peer, data, sizeof(data)) > 0) {
			web->requests++;
			n++;
			assert_true(tls_peer_write(&peer, answer,
						   sizeof(answer) - (web->truncate ? 3 : 1)));
		}
		if (!web->truncate)
			tls_peer_end(&peer);
	}
	tls_peer_close(&peer);
	return 0;
}

/* Starts an origin at the other end of what the inner connector has made. */
struct web_connector {
	struct weir_connector connector;
	struct web *web;
};

static int web_connect(struct weir_connector *connector, struct weir_conn *conn,
		       const struct weir_target *to, struct weir_stream **out)
{
	struct web *web = weir_container_of(connector, struct web_connector, connector)->web;
	int status = weir_connect(&web->pair.connector, conn, to, out);

	if (!status)
		status = weir_scope_spawn(weir_task_home(), "origin", web_serve, web, NULL);
	return status;
}

static void web_free(struct weir_connector *connector)
{
	free(weir_container_of(connector, struct web_connector, connector));
}

static void web_on_handshake(void *ctx, struct weir_stream *stream)
{
	struct web *web = ctx;
	struct weir_tls_info info;

	assert_int_equal(weir_tls_stream_info(stream, &info), 0);
	web->handshakes++;
}

static void web_on_failure(void *ctx, const struct weir_error *error)
{
	((struct web *)ctx)->failure = *error;
}

static struct weir_http_client *web_client(struct web *web)
{
	static const struct weir_connector_ops ops = {
		.name = "web",
		.connect = web_connect,
		.free = web_free,
	};
	struct web_connector *connector = calloc(1, sizeof(*connector));
	struct weir_tls_connector_conf tls = {
		.client = web->tls,
		.server_name = "localhost",
		.on_handshake = web_on_handshake,
		.on_failure = web_on_failure,
		.ctx = web,
	};
	struct weir_http_client_conf conf = { 0 };
	struct weir_http_client *client;

	connector->connector.ops = &ops;
	connector->web = web;
	pair_connector_init(&web->pair, STAGE_MEMORY);
	conf.connector = weir_tls_connector(&connector->connector, &tls, NULL);
	client = weir_http_client_new(&conf, NULL);
	assert_non_null(client);
	return client;
}

/* The status of the exchange or, behind it, of the body. */
static int web_get(struct weir_http_client *client)
{
	struct weir_target target = { .address = { 0 } };
	struct weir_call call;
	struct iovec piece;
	int status;

	assert_int_equal(weir_target_parse(&target, "127.0.0.1:443"), 0);
	weir_call_init(&call, NULL);
	call.request.method = WEIR_METHOD_GET;
	call.request.method_text = WEIR_TEXT("GET");
	call.request.path = WEIR_TEXT("/");
	status = weir_http_client_exchange(client, &call, &target);
	if (!status) {
		assert_int_equal(call.response.status, 200);
		while ((status = weir_body_next(call.response.body, &piece, true)) == 1)
			;
	}
	weir_call_fini(&call);
	return status;
}

static int web_main(void *arg)
{
	struct web *web = arg;
	struct weir_http_client *client = web_client(web);

	for (int i = 0; i < 4; i++)
		assert_int_equal(web_get(client), web->truncate ? WEIR_ETRUNCATED : 0);
	weir_http_client_free(client);
	return 0;
}

static void web_run(struct web *web)
{
	struct weir_tls_client_conf conf = { .ca_file = tls_world.ca_path };
	struct stage stage;

	web->tls = weir_tls_client_new(&conf, NULL);
	assert_non_null(web->tls);
	stage_open(&stage);
	stage_run(&stage, web_main, web);
	stage_close(&stage);
	weir_tls_client_put(web->tls);
}

static void test_http(void **state)
{
	struct web kept = { .per_connection = 10 };
	struct web ended = { .per_connection = 2 };
	struct web cut = { .per_connection = 1, .truncate = true };

	(void)state;
	web_run(&kept);
	assert_int_equal(kept.handshakes, 1);
	assert_int_equal(kept.requests, 4);
	web_run(&ended);
	assert_int_equal(ended.handshakes, 2);
	assert_int_equal(ended.requests, 4);
	web_run(&cut);
	assert_int_equal(cut.handshakes, 4);
	assert_int_equal(cut.failure.status, WEIR_ETRUNCATED);
}

static void test_connector_mistakes(void **state)
{
	struct pair_connector pair;
	struct weir_tls_connector_conf conf = { 0 };

	(void)state;
	pair_connector_init(&pair, STAGE_MEMORY);
	assert_null(weir_tls_connector(&pair.connector, &conf, NULL));
	assert_int_equal(pair.freed, 1);
	assert_null(weir_tls_connector(NULL, &conf, NULL));
}

/* ------------------------------------------------------------------------------------------
 * Workers share a client
 */

#define WORKERS 4
#define ROUNDS	5

static void *worker_run(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		struct web web = { .per_connection = 2, .tls = arg };
		struct stage stage;

		stage_open(&stage);
		stage_run(&stage, web_main, &web);
		stage_close(&stage);
		assert_int_equal(web.requests, 4);
	}
	weir_tls_client_put(arg);
	return NULL;
}

static void test_workers(void **state)
{
	struct weir_tls_client_conf conf = { .ca_file = tls_world.ca_path };
	struct weir_tls_client *client = weir_tls_client_new(&conf, NULL);
	pthread_t threads[WORKERS];

	(void)state;
	assert_non_null(client);
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker_run,
						weir_tls_client_get(client)),
				 0);
	weir_tls_client_put(client);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_insecure),
		cmocka_unit_test(test_alert),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_broken_handshakes),
		cmocka_unit_test(test_own_certificate),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_http),
		cmocka_unit_test(test_connector_mistakes),
		cmocka_unit_test(test_workers),
	};

	return cmocka_run_group_tests(tests, tls_world_open, tls_world_close);
}

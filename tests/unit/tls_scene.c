/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "stage.h"
#include "tls_scene.h"

struct tls_world tls_world;

int tls_world_open(void **state)
{
	struct tls_world *world = &tls_world;

	(void)state;
	world->authority = tls_authority("Test CA");
	world->stranger = tls_authority("Somebody's CA");
	world->server = tls_certificate(&world->authority, "DNS:localhost,IP:127.0.0.1", 30);
	world->expired = tls_certificate(&world->authority, "DNS:localhost", 0);
	world->unknown = tls_certificate(&world->stranger, "DNS:localhost", 30);
	world->client = tls_certificate(&world->authority, "DNS:guest", 30);
	strcpy(world->ca_path, "/tmp/weir-test-ca-XXXXXX");
	strcpy(world->client_path, "/tmp/weir-test-guest-XXXXXX");
	tls_identity_write(&world->authority, false, world->ca_path);
	tls_identity_write(&world->client, true, world->client_path);
	return 0;
}

int tls_world_close(void **state)
{
	struct tls_world *world = &tls_world;

	(void)state;
	unlink(world->ca_path);
	unlink(world->client_path);
	tls_identity_free(&world->authority);
	tls_identity_free(&world->stranger);
	tls_identity_free(&world->server);
	tls_identity_free(&world->expired);
	tls_identity_free(&world->unknown);
	tls_identity_free(&world->client);
	return 0;
}

static int scene_peer(void *arg)
{
	struct tls_scene *scene = arg;
	char data[256];

	if (scene->prepare)
		scene->prepare(scene);
	scene->accepted = tls_peer_accept(&scene->peer);
	scene->alert = ERR_GET_REASON(ERR_peek_error());
	ERR_clear_error();
	if (scene->accepted && scene->at_peer)
		scene->at_peer(scene);
	else if (scene->accepted)
		while (tls_peer_read(&scene->peer, data, sizeof(data)) > 0)
			;
	tls_peer_close(&scene->peer);
	return 0;
}

static void scene_connect(struct tls_scene *scene, struct weir_stream *inner)
{
	struct weir_tls_client_conf conf = scene->conf;
	struct weir_tls_client *client;

	if (!conf.ca_file && !conf.insecure)
		conf.ca_file = tls_world.ca_path;
	client = weir_tls_client_new(&conf, &scene->error);
	assert_non_null(client);
	scene->status = weir_tls_connect(client, inner, scene->name ? scene->name : "localhost",
					 &scene->stream, &scene->error);
	weir_tls_client_put(client);
}

static void scene_open(struct tls_scene *scene, struct weir_stream **inner)
{
	struct weir_stream *ends[2];

	if (scene->tcp)
		stage_pair(ends, STAGE_TCP);
	else
		assert_int_equal(weir_memory_stream_pair(ends, scene->capacity), 0);
	*inner = ends[0];
	tls_peer_open(&scene->peer, ends[1], scene->server ? scene->server : &tls_world.server);
}

void tls_scene_play(struct tls_scene *scene)
{
	struct weir_scope peer, client;
	struct weir_stream *inner;

	scene_open(scene, &inner);
	weir_scope_init(&peer, NULL);
	weir_scope_init(&client, NULL);
	assert_int_equal(weir_scope_spawn(&peer, "peer", scene_peer, scene, NULL), 0);
	weir_scope_set_timeout_ms(&client, scene->timeout_ms);
	weir_scope_enter(&client);
	scene_connect(scene, inner);
	if (!scene->status && scene->at_client)
		scene->at_client(scene);
	weir_scope_leave(&client);
	weir_stream_close(scene->stream);
	scene->stream = NULL;
	weir_scope_join(&peer);
	weir_scope_fini(&client);
	weir_scope_fini(&peer);
}

static int scene_main(void *arg)
{
	tls_scene_play(arg);
	return 0;
}

void tls_scene_run(struct tls_scene *scene)
{
	struct stage stage;

	stage_open(&stage);
	stage_run(&stage, scene_main, scene);
	stage_close(&stage);
}

/* SPDX-License-Identifier: MIT */
/*
 * Where the admin API listens and who may use it.
 */

#include "daemon/admin.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir/http_server.h>
#include <weir/log.h>

#include "daemon/admin_api.h"
#include "daemon/config_value.h"
#include "daemon/process.h"

#define READ_MS	       10000
#define KEEP_ALIVE_MS  10000
#define WRITE_MS       30000
#define HEAD_BYTES_MAX 8192
#define BODY_BYTES_MAX 4096 /* nothing looks at a body */

/* Supplementary groups of a peer that are looked at. */
#define GROUPS_MAX 256

/* One of the two places. */
struct place {
	struct weir_service *service; /* lives as long as the admin */
	struct weir_daemon *daemon;
	char *text; /* its address; NULL: closed */
	struct weir_listener *listener;
};

struct admin {
	struct weir_daemon *daemon;
	struct weir_scope scope; /* root of its connections */
	struct place api;	 /* the Unix socket */
	struct place metrics;
	uid_t *users;
	size_t n_users;
	gid_t *groups;
	size_t n_groups;
};

/* ---- who may ------------------------------------------------------------------------------ */

static bool has_group(const struct admin *admin, gid_t group)
{
	size_t i;

	for (i = 0; i < admin->n_groups; i++) {
		if (admin->groups[i] == group)
			return true;
	}
	return false;
}

static bool may_use(const struct admin *admin, int fd)
{
	gid_t groups[GROUPS_MAX];
	struct ucred peer;
	socklen_t size = sizeof(peer);
	size_t i;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return false;
	if (peer.uid == 0 || peer.uid == geteuid() || has_group(admin, peer.gid))
		return true;
	for (i = 0; i < admin->n_users; i++) {
		if (admin->users[i] == peer.uid)
			return true;
	}
	size = sizeof(groups);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (i = 0; i < size / sizeof(*groups); i++) {
		if (has_group(admin, groups[i]))
			return true;
	}
	return false;
}

static void answer_forbidden(void *ctx, const struct admin_request *request,
			     struct admin_response *response)
{
	(void)ctx;
	(void)request;
	admin_api_error(response, 403,
			"only root, Weir's own user, admin.users and admin.groups may ask");
}

static int serve_api(struct weir_call *call, void *ctx)
{
	struct weir_daemon *daemon = ctx;
	int fd = weir_stream_raw_fd(call->conn->stream, NULL);

	if (may_use(daemon->admin, fd))
		return admin_request_answer(call, admin_api_answer, daemon);
	weir_log(WEIR_LOG_WARN, "admin", "somebody was refused");
	return admin_request_answer(call, answer_forbidden, NULL);
}

static int serve_metrics(struct weir_call *call, void *ctx)
{
	return admin_request_answer(call, admin_api_answer_metrics, ctx);
}

static struct weir_service *service_new(struct weir_daemon *daemon,
					int (*serve)(struct weir_call *call, void *ctx),
					struct weir_error *error)
{
	struct weir_http_server_conf conf = {
		.service = weir_http_function(serve, daemon, error),
		.limits = { .head_bytes = HEAD_BYTES_MAX, .body_bytes = BODY_BYTES_MAX },
		.head_ms = READ_MS,
		.keep_alive_ms = KEEP_ALIVE_MS,
		.body_idle_ms = WRITE_MS,
		.metrics = daemon->metrics,
	};

	return weir_http_server_service(&conf, error);
}

/* ---- names to numbers --------------------------------------------------------------------- */

/* Room for an entry of the data bases, groups of many thousands included; untouched pages cost
 * nothing. */
#define NAME_BYTES (1u << 20)

static int find_user(const char *name, uid_t *id)
{
	struct passwd entry, *found = NULL;
	char *text;
	uint64_t number;

	if (config_value_count(name, &number) == 0 && number < UINT32_MAX) {
		*id = (uid_t)number;
		return 0;
	}
	text = malloc(NAME_BYTES);
	if (text == NULL)
		return -ENOMEM;
	if (getpwnam_r(name, &entry, text, NAME_BYTES, &found) == 0 && found != NULL)
		*id = entry.pw_uid;
	free(text);
	return found != NULL ? 0 : -ENOENT;
}

static int find_group(const char *name, gid_t *id)
{
	struct group entry, *found = NULL;
	char *text;
	uint64_t number;

	if (config_value_count(name, &number) == 0 && number < UINT32_MAX) {
		*id = (gid_t)number;
		return 0;
	}
	text = malloc(NAME_BYTES);
	if (text == NULL)
		return -ENOMEM;
	if (getgrnam_r(name, &entry, text, NAME_BYTES, &found) == 0 && found != NULL)
		*id = entry.gr_gid;
	free(text);
	return found != NULL ? 0 : -ENOENT;
}

static int refuse_name(const struct weir_config_admin *conf, const char *what, const char *name,
		       struct weir_error *error)
{
	weir_error_at(error, conf->place.file, conf->place.line);
	weir_error_remedy(error, "write one that exists, or its number");
	return weir_error_set(error, WEIR_ECONFIG, "there is no %s \"%s\"", what, name);
}

static int apply_users(struct admin *admin, const struct weir_config_admin *conf,
		       struct weir_error *error)
{
	uid_t *users = calloc(conf->users_count + 1, sizeof(*users));
	uint32_t i;

	if (users == NULL)
		return weir_error_set(error, -ENOMEM, "out of memory");
	for (i = 0; i < conf->users_count; i++) {
		if (find_user(conf->users[i], &users[i]) < 0) {
			free(users);
			return refuse_name(conf, "user", conf->users[i], error);
		}
	}
	free(admin->users);
	admin->users = users;
	admin->n_users = conf->users_count;
	return 0;
}

static int apply_groups(struct admin *admin, const struct weir_config_admin *conf,
			struct weir_error *error)
{
	gid_t *groups = calloc(conf->groups_count + 1, sizeof(*groups));
	uint32_t i;

	if (groups == NULL)
		return weir_error_set(error, -ENOMEM, "out of memory");
	for (i = 0; i < conf->groups_count; i++) {
		if (find_group(conf->groups[i], &groups[i]) < 0) {
			free(groups);
			return refuse_name(conf, "group", conf->groups[i], error);
		}
	}
	free(admin->groups);
	admin->groups = groups;
	admin->n_groups = conf->groups_count;
	return 0;
}

/* ---- places ------------------------------------------------------------------------------- */

static bool is_same(const char *a, const char *b)
{
	struct weir_address one, other;

	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0 ||
	       (weir_address_parse(&one, a) == 0 && weir_address_parse(&other, b) == 0 &&
		weir_address_is_equal(&one, &other));
}

/* Accepts no more; what goes on goes on. */
static void place_stop(struct place *place)
{
	if (place->text == NULL)
		return;
	weir_listener_close(place->listener);
	free(place->text);
	place->listener = NULL;
	place->text = NULL;
}

static void place_close(struct place *place)
{
	struct weir_address address;
	int status = place->text == NULL ? -EINVAL : weir_address_parse(&address, place->text);

	place_stop(place);
	if (status == 0)
		socket_set_close_control(&place->daemon->sockets, &address);
}

/* Opens TEXT beside what is open. */
static int place_open(struct place *place, struct weir_scope *scope, const char *text,
		      struct place *opened, struct weir_error *error)
{
	struct weir_listener_conf conf = {
		.name = "admin",
		.service = place->service,
		.keeps_one = true,
	};
	struct weir_address address;
	int status;

	*opened = (struct place){ .text = strdup(text) };
	if (opened->text == NULL)
		return weir_error_set(error, -ENOMEM, "out of memory");
	status = weir_address_parse(&address, text);
	if (status < 0)
		weir_error_set(error, status, "\"%s\" is no address", text);
	else
		status = socket_set_open_control(&place->daemon->sockets, &address, 64, error);
	if (status < 0)
		goto err;
	conf.fd = status;
	opened->listener = weir_listener_open(scope, &conf, error);
	if (opened->listener != NULL)
		return 0;
	status = error->status;
	socket_set_close_control(&place->daemon->sockets, &address);
err:
	free(opened->text);
	return status;
}

static void place_take(struct place *place, const struct place *opened)
{
	place_close(place);
	place->text = opened->text;
	place->listener = opened->listener;
}

/* TEXT NULL: closes it. */
static int place_apply(struct place *place, struct weir_scope *scope, const char *text,
		       const struct weir_config_place *where, struct weir_error *error)
{
	struct place opened;
	int status;

	if (is_same(place->text, text))
		return 0;
	if (text == NULL) {
		place_close(place);
		return 0;
	}
	status = place_open(place, scope, text, &opened, error);
	if (status < 0) {
		weir_error_at(error, where->file, where->line);
		return status;
	}
	place_take(place, &opened);
	return 0;
}

/* The folder of a socket in /run is gone after a boot; service managers make it, others do not. */
static void make_folder(const char *path)
{
	char *copy = strdup(path);

	if (copy != NULL)
		(void)mkdir(dirname(copy), 0755);
	free(copy);
}

/* The file's mode keeps strangers out early; who may use it is decided by SO_PEERCRED. When that
 * lets in more than one group, the mode cannot say it. */
static void set_mode(const struct admin *admin, const char *path)
{
	bool many = admin->n_users > 0 || admin->n_groups > 1;

	if (admin->n_groups == 1 && !many && chown(path, (uid_t)-1, admin->groups[0]) < 0)
		many = true;
	if (chmod(path, many ? 0666 : 0660) < 0)
		weir_log(WEIR_LOG_WARN, "admin", "cannot set the mode of the socket",
			 WEIR_LOG_STATUS(-errno));
}

static int apply_socket(struct admin *admin, const struct weir_config_admin *conf,
			struct weir_error *error)
{
	struct weir_address address;
	char text[sizeof(address.un.sun_path) + 8];
	int status;

	if (conf->socket == NULL)
		return place_apply(&admin->api, &admin->scope, NULL, &conf->place, error);
	make_folder(conf->socket);
	snprintf(text, sizeof(text), "unix:%s", conf->socket);
	status = place_apply(&admin->api, &admin->scope, text, &conf->place, error);
	if (status == 0)
		set_mode(admin, conf->socket);
	return status;
}

static void admin_free(struct admin *admin)
{
	weir_scope_fini(&admin->scope);
	weir_service_free(admin->api.service);
	weir_service_free(admin->metrics.service);
	free(admin->users);
	free(admin->groups);
	free(admin);
}

static struct admin *admin_new(struct weir_daemon *daemon, struct weir_error *error)
{
	struct admin *admin = calloc(1, sizeof(*admin));

	if (admin == NULL) {
		weir_error_set(error, -ENOMEM, "out of memory");
		return NULL;
	}
	admin->daemon = daemon;
	admin->api.daemon = daemon;
	admin->metrics.daemon = daemon;
	weir_scope_init_root(&admin->scope, daemon->loop);
	admin->api.service = service_new(daemon, serve_api, error);
	admin->metrics.service = service_new(daemon, serve_metrics, error);
	if (admin->api.service != NULL && admin->metrics.service != NULL)
		return admin;
	admin_free(admin);
	return NULL;
}

int admin_apply(struct weir_daemon *daemon, const struct weir_config_admin *conf,
		struct weir_error *error)
{
	struct admin *admin = daemon->admin;
	int status;

	if (admin == NULL) {
		admin = daemon->admin = admin_new(daemon, error);
		if (admin == NULL)
			return -ENOMEM;
	}
	status = apply_users(admin, conf, error);
	if (status == 0)
		status = apply_groups(admin, conf, error);
	if (status == 0)
		status = place_apply(&admin->metrics, &admin->scope, conf->metrics, &conf->place,
				     error);
	if (status == 0)
		status = apply_socket(admin, conf, error);
	return status;
}

void admin_leave(struct weir_daemon *daemon)
{
	if (daemon->admin == NULL)
		return;
	place_stop(&daemon->admin->api);
	place_stop(&daemon->admin->metrics);
}

void admin_stop(struct weir_daemon *daemon)
{
	struct admin *admin = daemon->admin;

	if (admin == NULL)
		return;
	place_close(&admin->api);
	place_close(&admin->metrics);
	weir_scope_cancel(&admin->scope);
	weir_scope_join(&admin->scope);
	admin_free(admin);
	daemon->admin = NULL;
}

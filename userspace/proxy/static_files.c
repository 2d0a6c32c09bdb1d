/* SPDX-License-Identifier: MIT */
/*
 * static_files: a name is found (in the folder, or a precompressed variant beside it), then
 * conditions and ranges are looked at, then the response is a part of a file.
 *
 * Opening and reading block the worker for as long as the disk takes: what is asked for often is
 * in the page cache.
 */

#include <weir/static_files.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <weir/buffer.h>
#include <weir/http_date.h>
#include <weir/uri_path.h>

#include "proxy/byteranges.h"
#include "proxy/conditions.h"
#include "proxy/file_types.h"
#include "proxy/listing.h"

#define OPEN_TRIES 4

struct files {
	struct weir_http_service svc;
	struct weir_arena arena; /* of what was configured */
	int root;
	char **index;
	size_t n_index;
	struct weir_file_type *types;
	size_t n_types;
	const char *default_type;
	struct weir_text cache_control; /* no data: none */
	bool precompressed;
	bool listing;
};

/* A file, on its way into a response. */
struct found {
	int fd; /* -1: none */
	struct stat info;
	const char *type;
	struct weir_text coding; /* no data: as it is */
	char etag[64];
	char modified[WEIR_HTTP_DATE_TEXT];
};

struct coding {
	struct weir_text name;
	const char *suffix;
};

/* The best first, of those that are as welcome. */
static const struct coding codings[] = {
	{ { "br", 2 }, ".br" },
	{ { "zstd", 4 }, ".zst" },
	{ { "gzip", 4 }, ".gz" },
};

/* ---- finding ------------------------------------------------------------------------------ */

/* A device or a pipe in the folder must not stop the worker: hence O_NONBLOCK. */
static int open_beneath(int root, const char *path)
{
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	unsigned tries;
	long fd;

	for (tries = 0; tries < OPEN_TRIES; tries++) {
		fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
		if (fd >= 0)
			return (int)fd;
		/* Something was renamed above us while the kernel looked. */
		if (errno != EAGAIN && errno != EINTR)
			break;
	}
	return -errno;
}

/* 0 with FOUND open, or -errno. */
static int find(const struct files *files, const char *path, struct found *found)
{
	found->fd = open_beneath(files->root, path);
	if (found->fd < 0)
		return found->fd;
	if (fstat(found->fd, &found->info) == 0 &&
	    (S_ISREG(found->info.st_mode) || S_ISDIR(found->info.st_mode)))
		return 0;
	close(found->fd);
	found->fd = -1;
	return -ENOENT;
}

static void found_close(struct found *found)
{
	if (found->fd >= 0)
		close(found->fd);
	found->fd = -1;
}

/* Names of /.well-known (RFC 8615) are meant for the public. */
static bool is_hidden(const char *path)
{
	if (strcmp(path, ".well-known") == 0 || strncmp(path, ".well-known/", 12) == 0)
		path += 11;
	return path[0] == '.' || strstr(path, "/.");
}

/* "/a/b" is "a/b", "/" is ".". NULL: no such name can be; *STATUS says why. */
static char *name_of(struct weir_call *call, int *status)
{
	struct weir_text path;
	char *name = NULL;

	*status = weir_uri_path_normalise(&call->arena, call->request.path, true, &path);
	if (*status == 0)
		*status = weir_uri_path_decode(&call->arena, path, &name);
	if (*status < 0)
		return NULL;
	*status = -ENOENT;
	if (!name || name[0] != '/')
		return NULL;
	name++;
	if (is_hidden(name))
		return NULL;
	*status = 0;
	return *name ? name : strcpy(name - 1, ".");
}

/* ---- what a file is ----------------------------------------------------------------------- */

static const char *type_of(const struct files *files, const char *path)
{
	struct weir_text extension = file_extension(path);
	const char *type;
	size_t i;

	for (i = 0; i < files->n_types; i++) {
		if (weir_text_is_equal_nocase(extension, weir_text_of(files->types[i].extension)))
			return files->types[i].type;
	}
	type = file_type(extension);
	return type ? type : files->default_type;
}

/* Weak while the file is so fresh that it may change again without its time showing it. */
static void found_describe(struct found *found, int64_t now)
{
	const struct stat *info = &found->info;
	uint64_t ns = (uint64_t)info->st_mtim.tv_sec * UINT64_C(1000000000) +
		      (uint64_t)info->st_mtim.tv_nsec;

	snprintf(found->etag, sizeof(found->etag), "%s\"%" PRIx64 "-%" PRIx64 "%s%.*s\"",
		 info->st_mtim.tv_sec >= now - 1 ? "W/" : "", ns, (uint64_t)info->st_size,
		 found->coding.size > 0 ? "-" : "", WEIR_TEXT_ARGS(found->coding));
	weir_http_date_format(info->st_mtim.tv_sec, found->modified);
}

/* Takes the variant of PATH that the client likes best, if there is one. */
static void find_variant(const struct files *files, struct weir_call *call, const char *path,
			 struct found *found)
{
	unsigned best = 0, weight;
	struct found variant = *found;
	const char *name;
	size_t i;

	for (i = 0; i < WEIR_ARRAY_SIZE(codings); i++) {
		weight = conditions_accepts(&call->request.headers, codings[i].name);
		if (weight <= best)
			continue;
		name = weir_arena_printf(&call->arena, "%s%s", path, codings[i].suffix);
		if (!name || find(files, name, &variant) < 0)
			continue;
		if (!S_ISREG(variant.info.st_mode)) {
			found_close(&variant);
			continue;
		}
		variant.coding = codings[i].name;
		found_close(found);
		*found = variant;
		best = weight;
	}
}

/* ---- answering ---------------------------------------------------------------------------- */

static int refuse(struct weir_call *call, int status)
{
	switch (status) {
	case -EACCES:
	case -EPERM:
		return weir_call_refuse(call, 403, "file_forbidden");
	case -EMFILE:
	case -ENFILE:
	case -ENOMEM:
		return weir_call_refuse(call, 503, "no_room");
	case -EIO:
		return weir_call_refuse(call, 500, "file_error");
	case -EINVAL:
		return weir_call_refuse(call, 400, "bad_path");
	default:
		return weir_call_refuse(call, 404, "no_file");
	}
}

static int add(struct weir_call *call, enum weir_header_id id, const char *value)
{
	return weir_headers_add_id(&call->response.headers, id, weir_text_of(value));
}

/* What 200, 206 and 304 say (RFC 9110 section 15.4.5). FOUND is on a stack, so text is copied. */
static int add_validators(const struct files *files, struct weir_call *call,
			  const struct found *found)
{
	const char *etag = weir_arena_strdup(&call->arena, found->etag);
	const char *modified = weir_arena_strdup(&call->arena, found->modified);
	int status;

	if (!etag || !modified)
		return -ENOMEM;
	status = add(call, WEIR_HEADER_ETAG, etag);
	if (status == 0)
		status = add(call, WEIR_HEADER_LAST_MODIFIED, modified);
	if (status == 0 && files->cache_control.data)
		status = weir_headers_add_id(&call->response.headers, WEIR_HEADER_CACHE_CONTROL,
					     files->cache_control);
	if (status == 0 && files->precompressed)
		status = add(call, WEIR_HEADER_VARY, "Accept-Encoding");
	return status;
}

static int add_content(struct weir_call *call, const struct found *found)
{
	int status = add(call, WEIR_HEADER_CONTENT_TYPE, found->type);

	if (status == 0 && found->coding.data)
		status = weir_headers_add_id(&call->response.headers, WEIR_HEADER_CONTENT_ENCODING,
					     found->coding);
	if (status == 0)
		status = add(call, WEIR_HEADER_ACCEPT_RANGES, "bytes");
	return status;
}

/* Takes the file over. */
static int set_body(struct weir_call *call, struct found *found, const struct range *range)
{
	int fd = found->fd;

	if (call->request.method == WEIR_METHOD_HEAD || range->size == 0) {
		call->response.announced = range->size;
		return 0;
	}
	found->fd = -1;
	call->response.body = weir_file_body(&call->arena, fd, range->first, range->size);
	return call->response.body ? 0 : -ENOMEM;
}

static int answer_unsatisfiable(struct weir_call *call, uint64_t size)
{
	const char *range = weir_arena_printf(&call->arena, "bytes */%" PRIu64, size);
	int status = range ? weir_call_refuse(call, 416, "range") : -ENOMEM;

	return status < 0 ? status : add(call, WEIR_HEADER_CONTENT_RANGE, range);
}

/* The whole, or one part of it. */
static int answer_with(struct weir_call *call, struct found *found, const struct range *range)
{
	const char *text;
	int status = 0;

	if (call->response.status == 206) {
		text = weir_arena_printf(&call->arena, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
					 range->first, range->first + range->size - 1,
					 (uint64_t)found->info.st_size);
		status = text ? add(call, WEIR_HEADER_CONTENT_RANGE, text) : -ENOMEM;
	}
	return status < 0 ? status : set_body(call, found, range);
}

/* Several parts: each says of itself what type it is and where it belongs. */
static int answer_with_parts(struct weir_call *call, struct found *found,
			     const struct ranges *ranges)
{
	char *type = weir_arena_alloc(&call->arena, BYTERANGES_TYPE_BYTES);
	int fd = found->fd;

	if (!type)
		return -ENOMEM;
	found->fd = -1;
	call->response.body = byteranges_body(&call->arena, fd, ranges,
					      (uint64_t)found->info.st_size, found->type, type);
	if (!call->response.body)
		return -ENOMEM;
	return weir_headers_set_id(&call->response.headers, WEIR_HEADER_CONTENT_TYPE,
				   weir_text_of(type));
}

static int answer_file(const struct files *files, struct weir_call *call, struct found *found,
		       const struct validators *validators)
{
	uint64_t size = (uint64_t)found->info.st_size;
	struct ranges ranges;
	enum range_result result = conditions_ranges(&call->request, validators, size, &ranges);
	int status;

	if (result == RANGE_UNSATISFIABLE)
		return answer_unsatisfiable(call, size);
	/* No field says of a part that it is coded. */
	if (result == RANGE_ALL || (ranges.n > 1 && found->coding.data)) {
		ranges.part[0] = (struct range){ 0, size };
		ranges.n = 1;
		result = RANGE_ALL;
	}
	call->response.status = result == RANGE_PARTS ? 206 : 200;
	status = add_content(call, found);
	if (status == 0)
		status = add_validators(files, call, found);
	if (status < 0)
		return status;
	return ranges.n > 1 ? answer_with_parts(call, found, &ranges)
			    : answer_with(call, found, &ranges.part[0]);
}

static int serve_file(const struct files *files, struct weir_call *call, const char *path,
		      struct found *found)
{
	struct validators validators = { .now = time(NULL) };
	unsigned answer;

	found->type = type_of(files, path);
	if (files->precompressed)
		find_variant(files, call, path, found);
	found_describe(found, validators.now);
	validators.etag = weir_text_of(found->etag);
	validators.modified = found->info.st_mtim.tv_sec;
	answer = conditions_check(&call->request, &validators);
	if (answer == 412)
		return weir_call_refuse(call, 412, "precondition");
	if (answer == 304) {
		call->response.status = 304;
		return add_validators(files, call, found);
	}
	return answer_file(files, call, found, &validators);
}

/* ---- folders ------------------------------------------------------------------------------ */

/* Relative, because the client may know the folder by another path than we do; "./", because a
 * name may have a colon. */
static int redirect_to_folder(struct weir_call *call)
{
	struct weir_text path = call->request.path, query = call->request.query;
	const char *last = memrchr(path.data, '/', path.size);
	size_t size = (size_t)(path.data + path.size - last) - 1;
	const char *to;
	int status;

	to = weir_arena_printf(&call->arena, "./%.*s/%s%.*s", (int)size, last + 1,
			       query.data ? "?" : "", WEIR_TEXT_ARGS(query));
	if (!to)
		return -ENOMEM;
	status = weir_call_refuse(call, 301, "folder");
	return status < 0 ? status : add(call, WEIR_HEADER_LOCATION, to);
}

static int serve_listing(struct weir_call *call, int fd)
{
	struct weir_buffer page = { 0 };
	char *title;
	int status;

	status = weir_uri_path_decode(&call->arena, call->request.path, &title);
	if (status == 0)
		status = listing_format(fd, title, &page);
	if (status == 0)
		status = weir_call_respond(call, 200, "text/html; charset=utf-8",
					   (struct weir_text){ weir_buffer_head(&page),
							       weir_buffer_size(&page) });
	weir_buffer_fini(&page);
	return status;
}

static int serve_folder(const struct files *files, struct weir_call *call, const char *path,
			struct found *folder)
{
	struct weir_text asked = call->request.path;
	struct found found = { .fd = -1 };
	const char *name;
	size_t i;
	int status;

	if (asked.data[asked.size - 1] != '/')
		return redirect_to_folder(call);
	for (i = 0; i < files->n_index; i++) {
		name = weir_arena_printf(&call->arena, "%s/%s", path, files->index[i]);
		if (!name)
			return -ENOMEM;
		if (find(files, name, &found) < 0)
			continue;
		if (S_ISREG(found.info.st_mode)) {
			status = serve_file(files, call, name, &found);
			found_close(&found);
			return status;
		}
		found_close(&found);
	}
	return files->listing ? serve_listing(call, folder->fd) : refuse(call, -ENOENT);
}

/* ---- the service -------------------------------------------------------------------------- */

static __attribute__((noinline)) int serve(const struct files *files, struct weir_call *call)
{
	struct found found = { .fd = -1 };
	const char *path;
	int status;

	path = name_of(call, &status);
	if (!path || (status = find(files, path, &found)) < 0)
		return refuse(call, status);
	if (S_ISDIR(found.info.st_mode))
		status = serve_folder(files, call, path, &found);
	else
		status = serve_file(files, call, path, &found);
	found_close(&found);
	return status;
}

static int files_handle(struct weir_http_service *svc, struct weir_call *call)
{
	const struct files *files = weir_container_of(svc, struct files, svc);
	int status;

	weir_call_reset_response(call);
	if (call->request.method == WEIR_METHOD_GET || call->request.method == WEIR_METHOD_HEAD)
		return serve(files, call);
	status = weir_call_refuse(call, 405, "method");
	return status < 0 ? status : add(call, WEIR_HEADER_ALLOW, "GET, HEAD");
}

static void files_free(struct weir_http_service *svc)
{
	struct files *files = weir_container_of(svc, struct files, svc);

	if (files->root >= 0)
		close(files->root);
	weir_arena_fini(&files->arena);
	free(files);
}

static const struct weir_http_ops files_ops = {
	.name = "static_files",
	.handle = files_handle,
	.free = files_free,
};

/* ---- making ------------------------------------------------------------------------------- */

static int open_root(struct files *files, const char *path, struct weir_error *error)
{
	int fd;

	files->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (files->root < 0) {
		weir_error_remedy(error, "write a folder that exists");
		return weir_error_set(error, -errno, "cannot open folder %.200s: %s", path,
				      strerror(errno));
	}
	fd = open_beneath(files->root, ".");
	if (fd < 0) {
		weir_error_remedy(error, fd == -ENOSYS ? "use Linux 5.6 or later"
						       : "make it readable for Weir");
		return weir_error_set(error, fd, "cannot read folder %.200s: %s", path,
				      strerror(-fd));
	}
	close(fd);
	return 0;
}

static int copy_index(struct files *files, const struct weir_static_files_conf *conf)
{
	static const char *const usual[] = { "index.html" };
	const char *const *names = conf->index;
	size_t n = conf->n_index, i;

	if (n == 0) {
		names = usual;
		n = 1;
	}
	files->n_index = n;
	files->index = weir_arena_alloc(&files->arena, n * sizeof(*files->index));
	if (!files->index)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		files->index[i] = weir_arena_strdup(&files->arena, names[i]);
		if (!files->index[i])
			return -ENOMEM;
	}
	return 0;
}

static int copy_types(struct files *files, const struct weir_static_files_conf *conf)
{
	size_t i;

	files->n_types = conf->n_types;
	files->types = weir_arena_alloc(&files->arena, conf->n_types * sizeof(*files->types));
	if (!files->types)
		return -ENOMEM;
	for (i = 0; i < conf->n_types; i++) {
		files->types[i].extension =
			weir_arena_strdup(&files->arena, conf->types[i].extension);
		files->types[i].type = weir_arena_strdup(&files->arena, conf->types[i].type);
		if (!files->types[i].extension || !files->types[i].type)
			return -ENOMEM;
	}
	return 0;
}

static int copy_text(struct files *files, const struct weir_static_files_conf *conf)
{
	files->default_type =
		weir_arena_strdup(&files->arena, conf->default_type ? conf->default_type
								    : "application/octet-stream");
	if (!files->default_type)
		return -ENOMEM;
	if (!conf->cache_control)
		return 0;
	files->cache_control = weir_text_of(weir_arena_strdup(&files->arena, conf->cache_control));
	return files->cache_control.data ? 0 : -ENOMEM;
}

/* Values that would break a header field. */
static int files_check(const struct weir_static_files_conf *conf, struct weir_error *error)
{
	const char *wrong = NULL;
	size_t i;

	for (i = 0; i < conf->n_types; i++) {
		if (!weir_header_is_valid(WEIR_TEXT("x"), weir_text_of(conf->types[i].type)))
			wrong = conf->types[i].type;
	}
	if (conf->default_type &&
	    !weir_header_is_valid(WEIR_TEXT("x"), weir_text_of(conf->default_type)))
		wrong = conf->default_type;
	if (conf->cache_control &&
	    !weir_header_is_valid(WEIR_TEXT("x"), weir_text_of(conf->cache_control)))
		wrong = conf->cache_control;
	if (!wrong)
		return 0;
	weir_error_remedy(error, "write no control characters");
	return weir_error_set(error, WEIR_ECONFIG, "\"%.100s\" is no value of a header field",
			      wrong);
}

struct weir_http_service *weir_http_static_files(const struct weir_static_files_conf *conf,
						 struct weir_error *error)
{
	struct files *files;

	if (files_check(conf, error) < 0)
		return NULL;
	files = calloc(1, sizeof(*files));
	if (!files)
		goto err_memory;
	weir_arena_init(&files->arena, 0);
	files->svc.ops = &files_ops;
	files->root = -1;
	files->precompressed = conf->precompressed;
	files->listing = conf->listing;
	if (copy_index(files, conf) < 0 || copy_types(files, conf) < 0 ||
	    copy_text(files, conf) < 0)
		goto err_memory;
	if (open_root(files, conf->root, error) < 0)
		goto err;
	return &files->svc;
err_memory:
	weir_error_set(error, -ENOMEM, "out of memory");
err:
	if (files)
		files_free(&files->svc);
	return NULL;
}

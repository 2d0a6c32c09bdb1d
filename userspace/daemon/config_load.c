/* SPDX-License-Identifier: MIT */
/*
 * Files to a configuration: each file becomes a tree, the trees are joined, the joined tree is
 * checked against the tables, libcyaml fills the structs, and what needs more than one value
 * to be judged is checked last.
 */

#include <arpa/inet.h>
#include <cyaml/cyaml.h>
#include <errno.h>
#include <glob.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/config_check.h"
#include "daemon/config_schema.h"
#include "daemon/config_tree.h"

#define FILE_BYTES_MAX (4u << 20)
#define INCLUDE_DEPTH  8
#define INCLUDE_MAX    256

struct loader {
	struct weir_arena arena; /* trees, file names */
	struct weir_config_mistakes *mistakes;
	struct config_node *root;	  /* the joined tree */
	const char *names[INCLUDE_DEPTH]; /* real paths of the files being read */
	unsigned n_files;
};

/* ---- files -------------------------------------------------------------------------------- */

static void mistake_file(struct loader *loader, const struct config_node *at, const char *path,
			 int status)
{
	config_mistake(loader->mistakes, at, "check the path and its permissions",
		       "cannot read %s: %s", path, strerror(-status));
}

static int read_all(FILE *file, struct weir_buffer *text)
{
	size_t size;

	do {
		if (weir_buffer_size(text) > FILE_BYTES_MAX)
			return -EFBIG;
		if (weir_buffer_reserve(text, 16384) < 0)
			return -ENOMEM;
		size = fread(weir_buffer_tail(text), 1, 16384, file);
		weir_buffer_commit(text, size);
	} while (size > 0);
	return ferror(file) ? -EIO : 0;
}

static int read_file(const char *path, struct weir_buffer *text)
{
	struct stat info;
	FILE *file;
	int status;

	file = fopen(path, "re");
	if (file == NULL)
		return -errno;
	if (fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode))
		status = -EISDIR;
	else
		status = read_all(file, text);
	fclose(file);
	return status;
}

/* ---- joining ------------------------------------------------------------------------------ */

static int loader_text(struct loader *loader, const char *name, const char *text, size_t size,
		       struct config_node **tree);
static void join_file(struct loader *loader, const char *path, const struct config_node *at,
		      unsigned depth);

/* The lists of all files are joined; everything else may be said once. */
static void join_list(struct loader *loader, struct config_node *into,
		      const struct config_node *from)
{
	const struct config_entry *entry;

	for (entry = from->first; entry != NULL; entry = entry->next) {
		if (config_node_add(&loader->arena, into, NULL, entry->value) < 0)
			config_mistake(loader->mistakes, NULL, NULL, "out of memory");
	}
}

static void join_entry(struct loader *loader, const struct config_entry *entry)
{
	struct config_node *present = config_node_get(loader->root, entry->key->text);

	if (present == NULL || present->file == entry->value->file) {
		/* Twice in one file is for the checker to say. */
		if (config_node_add(&loader->arena, loader->root, entry->key, entry->value) < 0)
			config_mistake(loader->mistakes, NULL, NULL, "out of memory");
	} else if (present->kind == CONFIG_KIND_SEQUENCE &&
		   entry->value->kind == CONFIG_KIND_SEQUENCE) {
		join_list(loader, present, entry->value);
	} else {
		config_mistake(loader->mistakes, entry->key, "keep one of them",
			       "\"%.100s\" was said before, at %s:%u", entry->key->text,
			       present->file, present->line);
	}
}

static bool is_open(const struct loader *loader, const char *real, unsigned depth)
{
	unsigned i;

	for (i = 0; i < depth; i++) {
		if (strcmp(loader->names[i], real) == 0)
			return true;
	}
	return false;
}

/* What a pattern beside the including file names. A pattern may match nothing, a plain name
 * must exist. */
static void include_pattern(struct loader *loader, const struct config_node *pattern,
			    unsigned depth)
{
	char *folder = weir_arena_strdup(&loader->arena, pattern->file);
	char *path;
	glob_t found;
	size_t i;

	if (folder == NULL) {
		config_mistake(loader->mistakes, pattern, NULL, "out of memory");
		return;
	}
	path = pattern->text[0] == '/' || strchr(folder, '/') == NULL
		       ? weir_arena_strdup(&loader->arena, pattern->text)
		       : weir_arena_printf(&loader->arena, "%s/%s", dirname(folder), pattern->text);
	if (path == NULL) {
		config_mistake(loader->mistakes, pattern, NULL, "out of memory");
		return;
	}
	if (strpbrk(pattern->text, "*?[") == NULL) {
		join_file(loader, path, pattern, depth);
		return;
	}
	if (glob(path, 0, NULL, &found) != 0)
		return;
	for (i = 0; i < found.gl_pathc; i++) {
		path = weir_arena_strdup(&loader->arena, found.gl_pathv[i]);
		if (path != NULL)
			join_file(loader, path, pattern, depth);
	}
	globfree(&found);
}

static void include_list(struct loader *loader, const struct config_node *list, unsigned depth)
{
	const struct config_entry *entry;

	if (list->kind != CONFIG_KIND_SEQUENCE) {
		config_mistake(loader->mistakes, list, "write include: [ more.yaml ]",
			       "\"include\" should be a list of files");
		return;
	}
	for (entry = list->first; entry != NULL; entry = entry->next) {
		if (entry->value->kind != CONFIG_KIND_SCALAR || entry->value->text[0] == '\0')
			config_mistake(loader->mistakes, entry->value, "write a path",
				       "\"include\" should be a list of files");
		else
			include_pattern(loader, entry->value, depth);
	}
}

/* Takes the members of a file's tree into the joined one, what it includes after its own. */
static void join_tree(struct loader *loader, const struct config_node *tree, unsigned depth)
{
	const struct config_node *include = config_node_get(tree, "include");
	const struct config_entry *entry;

	if (tree->kind != CONFIG_KIND_MAPPING) {
		config_mistake(loader->mistakes, tree,
			       "start with a key, for example \"listeners:\"",
			       "the file is not a mapping");
		return;
	}
	for (entry = tree->first; entry != NULL; entry = entry->next) {
		if (strcmp(entry->key->text, "include") != 0)
			join_entry(loader, entry);
	}
	if (include != NULL)
		include_list(loader, include, depth);
}

static void join_file(struct loader *loader, const char *path, const struct config_node *at,
		      unsigned depth)
{
	struct weir_buffer text = { 0 };
	struct config_node *tree;
	char *real = NULL;
	int status;

	status = read_file(path, &text);
	if (status < 0) {
		mistake_file(loader, at, path, status);
		goto out;
	}
	real = realpath(path, NULL);
	if (real == NULL || is_open(loader, real, depth)) {
		config_mistake(loader->mistakes, at, "remove this include", "%s includes itself",
			       path);
		goto out;
	}
	if (depth == INCLUDE_DEPTH || ++loader->n_files > INCLUDE_MAX) {
		config_mistake(loader->mistakes, at, "include from the first file",
			       "too many files include each other");
		goto out;
	}
	loader->names[depth] = real;
	if (loader_text(loader, path, weir_buffer_head(&text), weir_buffer_size(&text), &tree) == 0)
		join_tree(loader, tree, depth + 1);
out:
	free(real);
	weir_buffer_fini(&text);
}

static int loader_text(struct loader *loader, const char *name, const char *text, size_t size,
		       struct config_node **tree)
{
	struct weir_error error;
	int status;

	weir_error_init(&error);
	status = config_tree_read(&loader->arena, name, text, size, tree, &error);
	if (status < 0)
		config_mistake_add(loader->mistakes, &error);
	return status;
}

/* ---- libcyaml ----------------------------------------------------------------------------- */

/* Its first error line is kept: the checker should have found what it complains about. */
static void on_cyaml_log(cyaml_log_t level, void *ctx, const char *format, va_list args)
{
	char *message = ctx;

	if (level == CYAML_LOG_ERROR && message[0] == '\0')
		vsnprintf(message, 128, format, args);
}

static struct weir_config *fill(const struct weir_buffer *text,
				struct weir_config_mistakes *mistakes)
{
	char message[128] = "";
	const cyaml_config_t conf = { .log_fn = on_cyaml_log,
				      .log_ctx = message,
				      .mem_fn = cyaml_mem,
				      .log_level = CYAML_LOG_ERROR,
				      .flags = CYAML_CFG_NO_ALIAS };
	const cyaml_schema_value_t *schema = config_schema_cyaml();
	cyaml_data_t *data = NULL;
	cyaml_err_t err = CYAML_ERR_OOM;

	if (schema != NULL)
		err = cyaml_load_data((const uint8_t *)weir_buffer_head(text),
				      weir_buffer_size(text), &conf, schema, &data, NULL);
	if (err == CYAML_OK && data != NULL)
		return data;
	message[strcspn(message, "\n")] = '\0';
	config_mistake(mistakes, NULL, NULL, "libcyaml refuses the configuration: %s (%s)",
		       cyaml_strerror(err), message);
	return NULL;
}

void weir_config_free(struct weir_config *config)
{
	const cyaml_config_t conf = { .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR };

	if (config != NULL)
		cyaml_free(&conf, config_schema_cyaml(), config, 0);
}

static struct weir_config *finish(struct loader *loader)
{
	struct weir_config_mistakes *mistakes = loader->mistakes;
	struct weir_config *config = NULL;
	struct weir_buffer text = { 0 };
	bool readable = mistakes->n == 0;

	config_check_tree(loader->root, mistakes, &text);
	if (mistakes->n == 0 && readable)
		config = fill(&text, mistakes);
	if (config != NULL)
		config_check_sense(config, loader->root, mistakes);
	if (mistakes->n > 0) {
		weir_config_free(config);
		config = NULL;
	}
	weir_buffer_fini(&text);
	return config;
}

static int loader_init(struct loader *loader, const char *name,
		       struct weir_config_mistakes *mistakes)
{
	*loader = (struct loader){ .mistakes = mistakes };
	weir_arena_init(&loader->arena, 4096);
	loader->root = weir_arena_zalloc(&loader->arena, sizeof(*loader->root));
	if (loader->root == NULL) {
		config_mistake(mistakes, NULL, NULL, "out of memory");
		return -ENOMEM;
	}
	loader->root->kind = CONFIG_KIND_MAPPING;
	loader->root->file = name;
	loader->root->line = 1;
	return 0;
}

struct weir_config *weir_config_load(const char *path, struct weir_config_mistakes *mistakes)
{
	const struct config_node nowhere = { .file = path };
	struct weir_config *config = NULL;
	struct loader loader;

	if (loader_init(&loader, path, mistakes) == 0) {
		join_file(&loader, path, &nowhere, 0);
		if (loader.root->first != NULL || mistakes->n == 0)
			config = finish(&loader);
	}
	weir_arena_fini(&loader.arena);
	return config;
}

struct weir_config *weir_config_parse(const char *text, size_t size, const char *name,
				      struct weir_config_mistakes *mistakes)
{
	struct weir_config *config = NULL;
	struct config_node *tree;
	struct loader loader;

	if (loader_init(&loader, name, mistakes) == 0 &&
	    loader_text(&loader, name, text, size, &tree) == 0) {
		if (config_node_get(tree, "include") != NULL)
			config_mistake(mistakes, config_node_get(tree, "include"),
				       "write everything into one text",
				       "nothing can be included here");
		loader.root = tree;
		config = finish(&loader);
	}
	weir_arena_fini(&loader.arena);
	return config;
}

/* ---- small questions ---------------------------------------------------------------------- */

const struct weir_config_upstream *weir_config_upstream(const struct weir_config *config,
							const char *name)
{
	uint32_t i;

	for (i = 0; i < config->upstreams_count; i++) {
		if (strcmp(config->upstreams[i].name, name) == 0)
			return &config->upstreams[i];
	}
	return NULL;
}

int weir_config_source(struct weir_address *address, const char *text)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
		weir_address_set(address, (const struct sockaddr *)&in, sizeof(in));
	else if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
		weir_address_set(address, (const struct sockaddr *)&in6, sizeof(in6));
	else if (weir_address_parse(address, text) < 0)
		return -EINVAL;
	return 0;
}

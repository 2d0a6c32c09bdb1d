/* SPDX-License-Identifier: MIT */
/*
 * Names in a folder may be any bytes: they are escaped twice, for the link and for the page.
 */

#include "proxy/listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_MAX 10000 /* a larger folder is cut: the page is made in memory */

static int put_html(struct weir_buffer *out, const char *text)
{
	int status = 0;

	for (; *text && status == 0; text++) {
		if (strchr("<>&\"'", *text))
			status = weir_buffer_printf(out, "&#%d;", *text);
		else
			status = weir_buffer_append(out, text, 1);
	}
	return status;
}

static int put_link(struct weir_buffer *out, const char *name)
{
	int status = 0;

	for (; *name && status == 0; name++) {
		if ((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
		    (*name >= '0' && *name <= '9') || strchr("-._~", *name))
			status = weir_buffer_append(out, name, 1);
		else
			status = weir_buffer_printf(out, "%%%02X", (unsigned char)*name);
	}
	return status;
}

static int put_entry(struct weir_buffer *out, int fd, const char *name)
{
	struct stat info;
	const char *slash;
	int status;

	/* Gone meanwhile, or a link to nowhere. */
	if (fstatat(fd, name, &info, 0) < 0 || (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)))
		return 0;
	slash = S_ISDIR(info.st_mode) ? "/" : "";
	status = weir_buffer_printf(out, "<tr><td><a href=\"./");
	if (status == 0)
		status = put_link(out, name);
	if (status == 0)
		status = weir_buffer_printf(out, "%s\">", slash);
	if (status == 0)
		status = put_html(out, name);
	if (status == 0)
		status = weir_buffer_printf(out, "%s</a></td><td>", slash);
	if (status == 0 && S_ISREG(info.st_mode))
		status = weir_buffer_printf(out, "%lld", (long long)info.st_size);
	if (status == 0)
		status = weir_buffer_printf(out, "</td></tr>\n");
	return status;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void names_free(char **names, size_t n)
{
	while (n > 0)
		free(names[--n]);
	free(names);
}

static int read_names(DIR *folder, char **names, size_t *n)
{
	const struct dirent *entry;

	while (*n < NAMES_MAX && (entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		names[*n] = strdup(entry->d_name);
		if (!names[*n])
			return -ENOMEM;
		++*n;
	}
	qsort(names, *n, sizeof(*names), by_name);
	return 0;
}

static int put_page(struct weir_buffer *out, int fd, const char *title, char *const *names,
		    size_t n)
{
	size_t i;
	int status;

	status = weir_buffer_printf(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta "
					 "charset=\"utf-8\"><title>");
	if (status == 0)
		status = put_html(out, title);
	if (status == 0)
		status = weir_buffer_printf(out, "</title></head>\n<body><table>\n%s",
					    strcmp(title, "/") == 0
						    ? ""
						    : "<tr><td><a href=\"../\">../</a></td>"
						      "<td></td></tr>\n");
	for (i = 0; i < n && status == 0; i++)
		status = put_entry(out, fd, names[i]);
	return status < 0 ? status : weir_buffer_printf(out, "</table></body>\n</html>\n");
}

int listing_format(int fd, const char *title, struct weir_buffer *out)
{
	int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = own < 0 ? NULL : fdopendir(own);
	char **names = NULL;
	size_t n = 0;
	int status;

	if (!folder) {
		status = -errno;
		if (own >= 0)
			close(own);
		return status;
	}
	names = calloc(NAMES_MAX, sizeof(*names));
	status = names ? read_names(folder, names, &n) : -ENOMEM;
	if (status == 0)
		status = put_page(out, fd, title, names, n);
	names_free(names, n);
	closedir(folder);
	return status;
}

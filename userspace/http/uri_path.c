/* SPDX-License-Identifier: MIT */
/*
 * Normal form in two passes over a copy: first the escapes, then the segments; what is decoded
 * in the first is unreserved and so starts no escape. Most paths are normal already: a look
 * decides that.
 */

#include <weir/uri_path.h>

#include <errno.h>

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int weir_uri_escape(const char *text, size_t size)
{
	int high, low;

	if (size < 3)
		return -1;
	high = hex_value(text[1]);
	low = hex_value(text[2]);
	return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* RFC 3986 section 2.3. */
static bool is_unreserved(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

/* No escape, no segment that starts with a dot, no empty one but the last. */
static bool is_surely_normal(struct weir_text path)
{
	size_t i;

	for (i = 0; i < path.size; i++) {
		if (path.data[i] == '%')
			return false;
		if (path.data[i] == '/' && i + 1 < path.size &&
		    (path.data[i + 1] == '/' || path.data[i + 1] == '.'))
			return false;
	}
	return true;
}

/* Writes what the escapes of PATH become to OUT, which is as large as PATH. */
static int unescape_unreserved(struct weir_text path, char *out, size_t *size)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t i, n = 0;
	int c;

	for (i = 0; i < path.size; i++) {
		if (path.data[i] != '%') {
			out[n++] = path.data[i];
			continue;
		}
		c = weir_uri_escape(path.data + i, path.size - i);
		if (c < 0)
			return -EINVAL;
		i += 2;
		if (is_unreserved(c)) {
			out[n++] = (char)c;
			continue;
		}
		out[n++] = '%';
		out[n++] = digits[c >> 4];
		out[n++] = digits[c & 15];
	}
	*size = n;
	return 0;
}

static bool is_dots(const char *segment, size_t size)
{
	return size <= 2 && size > 0 && segment[0] == '.' && segment[size - 1] == '.';
}

/* RFC 3986 section 5.2.4, in place: a dot segment at the end leaves its slash. Returns the
 * size. */
static size_t resolve_segments(char *path, size_t size, bool merge_slashes)
{
	size_t at = 0, n = 0, segment;

	while (at < size) {
		const char *start = path + at + 1;
		const char *slash = memchr(start, '/', size - at - 1);
		bool is_last = !slash;

		segment = slash ? (size_t)(slash - start) : size - at - 1;
		at += segment + 1;
		if (is_dots(start, segment)) {
			while (segment == 2 && n > 0 && path[--n] != '/')
				;
			if (is_last)
				path[n++] = '/';
			continue;
		}
		if (segment == 0 && merge_slashes && !is_last)
			continue;
		path[n] = '/';
		memmove(path + n + 1, start, segment);
		n += segment + 1;
	}
	return n;
}

int weir_uri_path_normalise(struct weir_arena *arena, struct weir_text path, bool merge_slashes,
			    struct weir_text *out)
{
	char *copy;
	size_t size;
	int status;

	*out = path;
	if (path.size == 0 || path.data[0] != '/' || is_surely_normal(path))
		return 0;
	copy = weir_arena_alloc(arena, path.size);
	if (!copy)
		return -ENOMEM;
	status = unescape_unreserved(path, copy, &size);
	if (status < 0)
		return status;
	size = resolve_segments(copy, size, merge_slashes);
	*out = (struct weir_text){ copy, size };
	return 0;
}

int weir_uri_path_decode(struct weir_arena *arena, struct weir_text path, char **out)
{
	char *copy = weir_arena_alloc(arena, path.size + 1);
	size_t i, n = 0;
	int c;

	if (!copy)
		return -ENOMEM;
	for (i = 0; i < path.size; i++) {
		c = (unsigned char)path.data[i];
		if (c == '%') {
			c = weir_uri_escape(path.data + i, path.size - i);
			if (c <= 0 || c == '/')
				return -EINVAL;
			i += 2;
		}
		if (c == '\0')
			return -EINVAL;
		copy[n++] = (char)c;
	}
	copy[n] = '\0';
	*out = copy;
	return 0;
}

/* SPDX-License-Identifier: MIT */

#include "daemon/admin_http.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <weir/scope.h>
#include <weir/stream.h>

#define READ_MS	 10000
#define WRITE_MS 30000

/* ---- the head ----------------------------------------------------------------------------- */

/* A line without its CRLF. */
struct line {
	const char *text;
	size_t size;
};

/* Takes the next line. false when it does not end with CRLF or has control characters in it. */
static bool next_line(const char **at, const char *end, struct line *line)
{
	const char *lf = memchr(*at, '\n', (size_t)(end - *at));
	size_t i;

	if (lf == NULL || lf == *at || lf[-1] != '\r')
		return false;
	*line = (struct line){ *at, (size_t)(lf - *at) - 1 };
	*at = lf + 1;
	for (i = 0; i < line->size; i++) {
		unsigned char c = (unsigned char)line->text[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decodes SIZE bytes into TEXT (of MAX). false when it does not fit or is no encoding,
 * or has a zero byte. */
static bool decode(const char *from, size_t size, char *text, size_t max)
{
	size_t i, n = 0;
	int c;

	for (i = 0; i < size; i++) {
		c = (unsigned char)from[i];
		if (c == '%') {
			if (i + 2 >= size || hex(from[i + 1]) < 0 || hex(from[i + 2]) < 0)
				return false;
			c = hex(from[i + 1]) * 16 + hex(from[i + 2]);
			i += 2;
		}
		if (c == 0 || n + 1 >= max)
			return false;
		text[n++] = (char)c;
	}
	text[n] = '\0';
	return true;
}

static int parse_path(struct admin_request *request, const char *path, size_t size)
{
	const char *end = path + size;
	const char *slash;

	while (path < end) {
		path++; /* the slash */
		slash = memchr(path, '/', (size_t)(end - path));
		if (slash == NULL)
			slash = end;
		if (request->n_segments == ADMIN_SEGMENTS)
			return 414;
		if (!decode(path, (size_t)(slash - path), request->segments[request->n_segments++],
			    ADMIN_TEXT_MAX))
			return 400;
		path = slash;
	}
	return 0;
}

static int parse_parameter(struct admin_request *request, const char *text, size_t size)
{
	const char *equals = memchr(text, '=', size);
	size_t name = equals == NULL ? size : (size_t)(equals - text);
	size_t value = equals == NULL ? 0 : size - name - 1;
	size_t i = request->n_parameters;

	if (i == ADMIN_PARAMETERS)
		return 414;
	if (!decode(text, name, request->parameters[i].name, sizeof(request->parameters[i].name)) ||
	    !decode(text + size - value, value, request->parameters[i].value, ADMIN_TEXT_MAX))
		return 400;
	request->n_parameters++;
	return 0;
}

static int parse_query(struct admin_request *request, const char *query, size_t size)
{
	const char *end = query + size;
	const char *next;
	int status = 0;

	for (; query < end && status == 0; query = next + 1) {
		next = memchr(query, '&', (size_t)(end - query));
		if (next == NULL)
			next = end;
		if (next > query)
			status = parse_parameter(request, query, (size_t)(next - query));
	}
	return status;
}

static int parse_target(struct admin_request *request, const char *target, size_t size)
{
	const char *mark = memchr(target, '?', size);
	size_t path = mark == NULL ? size : (size_t)(mark - target);
	int status;

	if (size == 0 || target[0] != '/')
		return 400;
	status = parse_path(request, target, path);
	if (status == 0 && mark != NULL)
		status = parse_query(request, mark + 1, size - path - 1);
	return status;
}

static bool line_starts(const struct line *line, const char *word)
{
	return line->size >= strlen(word) && memcmp(line->text, word, strlen(word)) == 0;
}

static int parse_request_line(struct admin_request *request, const struct line *line)
{
	const char *end = line->text + line->size;
	const char *target, *version;

	if (line_starts(line, "POST "))
		request->is_post = true;
	else if (line_starts(line, "HEAD "))
		request->is_head = true;
	else if (!line_starts(line, "GET "))
		return memchr(line->text, ' ', line->size) != NULL ? 405 : 400;
	target = (const char *)memchr(line->text, ' ', line->size) + 1;
	version = memchr(target, ' ', (size_t)(end - target));
	if (version == NULL || end - version != 9 || memcmp(version, " HTTP/1.", 8) != 0 ||
	    (version[8] != '0' && version[8] != '1'))
		return 400;
	return parse_target(request, target, (size_t)(version - target));
}

static bool is_field(const struct line *line, const char *name)
{
	size_t size = strlen(name);

	return line->size > size && line->text[size] == ':' &&
	       strncasecmp(line->text, name, size) == 0;
}

static int parse_length(struct admin_request *request, const struct line *line)
{
	const char *text = (const char *)memchr(line->text, ':', line->size) + 1;
	const char *end = line->text + line->size;
	size_t length = 0;

	while (text < end && (*text == ' ' || *text == '\t'))
		text++;
	while (end > text && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (text == end)
		return 400;
	for (; text < end; text++) {
		if (!isdigit((unsigned char)*text))
			return 400;
		length = length * 10 + (size_t)(*text - '0');
		if (length > ADMIN_BODY_MAX)
			return 413;
	}
	request->body_bytes = length;
	return 0;
}

/* RFC 9110 section 5.6.2: what a field's name is made of. */
static bool is_field_line(const struct line *line)
{
	const char *colon = memchr(line->text, ':', line->size);
	const char *c;

	if (colon == NULL || colon == line->text)
		return false;
	for (c = line->text; c < colon; c++) {
		if (!isalnum((unsigned char)*c) && strchr("!#$%&'*+-.^_`|~", *c) == NULL)
			return false;
	}
	return true;
}

int admin_http_parse(struct admin_request *request, const char *head, size_t size)
{
	const char *end = head + size;
	bool has_length = false;
	struct line line;
	int status;

	memset(request, 0, sizeof(*request));
	if (!next_line(&head, end, &line))
		return 400;
	status = parse_request_line(request, &line);
	while (status == 0) {
		if (!next_line(&head, end, &line))
			return 400;
		if (line.size == 0)
			return head == end ? 0 : 400;
		if (!is_field_line(&line))
			return 400;
		if (is_field(&line, "transfer-encoding"))
			return 501;
		if (!is_field(&line, "content-length"))
			continue;
		if (has_length)
			return 400;
		has_length = true;
		status = parse_length(request, &line);
	}
	return status;
}

const char *admin_parameter(const struct admin_request *request, const char *name)
{
	size_t i;

	for (i = 0; i < request->n_parameters; i++) {
		if (strcmp(request->parameters[i].name, name) == 0)
			return request->parameters[i].value;
	}
	return NULL;
}

bool admin_path_is(const struct admin_request *request, const char *pattern)
{
	size_t i, size;

	for (i = 0; i < request->n_segments; i++) {
		size = strcspn(pattern, "/");
		if (size == 0 || (strncmp(pattern, "*", size) != 0 &&
				  (strlen(request->segments[i]) != size ||
				   memcmp(request->segments[i], pattern, size) != 0)))
			return false;
		pattern += size;
		if (*pattern == '/')
			pattern++;
	}
	return *pattern == '\0';
}

/* ---- the connection ----------------------------------------------------------------------- */

static const char *reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 431:
		return "Request Header Fields Too Large";
	case 501:
		return "Not Implemented";
	case 503:
		return "Service Unavailable";
	default:
		return "Error";
	}
}

/* The size of the head, the empty line included; 0 while it is not complete. */
static size_t head_size(const struct weir_buffer *buffer)
{
	const char *data = weir_buffer_head(buffer);
	const char *end;

	if (weir_buffer_size(buffer) == 0)
		return 0;
	end = memmem(data, weir_buffer_size(buffer), "\r\n\r\n", 4);
	return end == NULL ? 0 : (size_t)(end - data) + 4;
}

/* Reads until the head is there. Its size; 0 when the peer has gone; or a negative status. */
static ssize_t read_head(struct weir_stream *stream, struct weir_buffer *buffer)
{
	size_t size;
	ssize_t n;

	while ((size = head_size(buffer)) == 0) {
		if (weir_buffer_size(buffer) >= ADMIN_HEAD_MAX)
			return -EMSGSIZE;
		if (weir_buffer_reserve(buffer, 1024) < 0)
			return -ENOMEM;
		n = weir_stream_read(stream, weir_buffer_tail(buffer), 1024);
		if (n <= 0)
			return n;
		weir_buffer_commit(buffer, (size_t)n);
	}
	return (ssize_t)size;
}

/* Nothing looks at a body, but it must be off the wire before the connection is closed. */
static int skip_body(struct weir_stream *stream, size_t bytes)
{
	char rest[512];
	ssize_t n;

	while (bytes > 0) {
		n = weir_stream_read(stream, rest, WEIR_MIN(bytes, sizeof(rest)));
		if (n <= 0)
			return n < 0 ? (int)n : -ENODATA;
		bytes -= (size_t)n;
	}
	return 0;
}

static int write_response(struct weir_stream *stream, const struct admin_request *request,
			  struct admin_response *response)
{
	size_t size = weir_buffer_size(&response->body);
	struct weir_buffer head = { 0 };
	int status;

	status = weir_buffer_printf(&head,
				    "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
				    "Cache-Control: no-store\r\nConnection: close\r\n\r\n",
				    response->status, reason(response->status), response->type,
				    size);
	if (status == 0 && !request->is_head && size > 0)
		status = weir_buffer_append(&head, weir_buffer_head(&response->body), size);
	if (status == 0)
		status =
			weir_stream_write(stream, weir_buffer_head(&head), weir_buffer_size(&head));
	if (status == 0)
		status = weir_stream_shutdown(stream);
	weir_buffer_fini(&head);
	return status;
}

static void refuse(struct admin_response *response, int status)
{
	response->status = status;
	response->type = "application/json";
	(void)!weir_buffer_printf(&response->body, "{\"error\": {\"message\": \"%s\"}}\n",
				  reason(status));
}

/* Reads and parses: *REFUSED is the HTTP status when that is all. 0, 1 for nothing to answer,
 * or a negative status. */
static int read_request(struct weir_stream *stream, struct weir_buffer *buffer,
			struct admin_request *request, int *refused)
{
	size_t had;
	ssize_t size = read_head(stream, buffer);

	if (size == -EMSGSIZE) {
		*refused = 431;
		return 0;
	}
	if (size <= 0)
		return size == 0 ? 1 : (int)size;
	*refused = admin_http_parse(request, weir_buffer_head(buffer), (size_t)size);
	if (*refused != 0)
		return 0;
	had = weir_buffer_size(buffer) - (size_t)size;
	return had >= request->body_bytes ? 0 : skip_body(stream, request->body_bytes - had);
}

static int serve(struct weir_stream *stream, struct admin_request *request, admin_answer_fn *answer,
		 void *ctx)
{
	struct admin_response response = { .status = 200, .type = "application/json" };
	struct weir_buffer buffer = { 0 };
	struct weir_scope scope;
	int refused = 0, status;

	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, READ_MS);
	weir_scope_enter(&scope);
	status = read_request(stream, &buffer, request, &refused);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	weir_buffer_fini(&buffer);
	if (status != 0)
		return WEIR_MIN(status, 0);
	if (refused != 0)
		refuse(&response, refused);
	else
		answer(ctx, request, &response);
	weir_scope_init(&scope, NULL);
	weir_scope_set_timeout_ms(&scope, WRITE_MS);
	weir_scope_enter(&scope);
	status = write_response(stream, request, &response);
	weir_scope_leave(&scope);
	weir_scope_fini(&scope);
	weir_buffer_fini(&response.body);
	return status;
}

int admin_http_serve(struct weir_stream *stream, admin_answer_fn *answer, void *ctx)
{
	/* Too large for a task's stack. */
	struct admin_request *request = calloc(1, sizeof(*request));
	int status;

	if (request == NULL)
		return -ENOMEM;
	status = serve(stream, request, answer, ctx);
	free(request);
	return status;
}

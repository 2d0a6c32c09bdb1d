/* SPDX-License-Identifier: MIT */

#include "tools/weirctl/api.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <weir/error.h>

#include "tools/weirctl/client.h"
#include "tools/weirctl/unit.h"

#define API_WHY_MAX 512

void api_print_advice(const struct ctl *ctl)
{
	fprintf(stderr,
		"  Is it running? Start it with: weir run -c /etc/weir/weir.yaml\n"
		"  Its admin socket is what admin.socket in its configuration says; here it is\n"
		"  expected at %s. Say where it is with -s PATH or WEIR_ADMIN.\n",
		ctl->socket);
}

static void why_not_reached(const struct ctl *ctl, enum client_step step, int status, char *why,
			    size_t size)
{
	if (step == CLIENT_CONNECT && status == -EACCES)
		snprintf(why, size,
			 "no permission to use %s; be root, or be named in admin.users or "
			 "admin.groups of its configuration",
			 ctl->socket);
	else if (step == CLIENT_CONNECT)
		snprintf(why, size, "no daemon answers at %s: %s", ctl->socket,
			 weir_strerror(status));
	else if (status == WEIR_EPROTO || status == WEIR_ELIMIT)
		snprintf(why, size, "what answers at %s does not speak the admin API%s",
			 ctl->socket, status == WEIR_ELIMIT ? ": the answer has no end" : "");
	else
		snprintf(why, size, "the daemon at %s was lost: %s", ctl->socket,
			 weir_strerror(status));
}

/* 0 and RESPONSE, or CTL_USAGE with WHY. */
static int api_reach(const struct ctl *ctl, const char *method, const char *target,
		     struct response *response, char *why, size_t size)
{
	enum client_step step;
	int status = client_ask(ctl->socket, method, target, response, &step);

	if (status < 0) {
		why_not_reached(ctl, step, status, why, size);
		return CTL_USAGE;
	}
	return 0;
}

/* The sentence of {"error": {"message", "file", "line", "remedy"}}. */
static void print_refusal(const struct response *response)
{
	size_t size = weir_buffer_size(&response->body);
	json_t *root = json_loadb(size ? weir_buffer_head(&response->body) : "", size, 0, NULL);
	const json_t *object = json_object_get(root, "error");
	struct weir_error error = { 0 };
	char text[1024];

	if (*api_string(object, "message")) {
		weir_error_set(&error, -EINVAL, "%s", api_string(object, "message"));
		weir_error_remedy(&error, "%s", api_string(object, "remedy"));
		if (*api_string(object, "file"))
			weir_error_at(&error, api_string(object, "file"),
				      (unsigned)api_number(object, "line"));
		weir_error_format(&error, text, sizeof(text));
	} else {
		snprintf(text, sizeof(text), "the daemon refused with status %d", response->status);
	}
	json_decref(root);
	text_clean(text);
	fprintf(stderr, "weirctl: %s\n", text);
}

/* JSON as it came, with a line end. */
static void print_raw(const struct response *response)
{
	size_t size = weir_buffer_size(&response->body);
	const char *body = weir_buffer_head(&response->body);

	fwrite(size ? body : "", 1, size, stdout);
	if (size == 0 || body[size - 1] != '\n')
		fputc('\n', stdout);
}

static int answer_read(const struct ctl *ctl, const struct response *response, json_t **answer)
{
	size_t size = weir_buffer_size(&response->body);
	json_error_t error;

	if (response->status >= 300) {
		print_refusal(response);
		return CTL_REFUSED;
	}
	if (!answer)
		return 0;
	*answer = json_loadb(size ? weir_buffer_head(&response->body) : "", size, 0, &error);
	if (!*answer) {
		fprintf(stderr, "weirctl: the daemon's answer is no JSON: %s\n", error.text);
		return CTL_USAGE;
	}
	if (ctl->is_json)
		print_raw(response);
	return 0;
}

int api_ask(const struct ctl *ctl, const char *method, const char *target, json_t **answer)
{
	struct response response;
	char why[API_WHY_MAX];
	int status = api_reach(ctl, method, target, &response, why, sizeof(why));

	if (status == 0) {
		status = answer_read(ctl, &response, answer);
	} else {
		fprintf(stderr, "weirctl: %s\n", why);
		api_print_advice(ctl);
	}
	response_fini(&response);
	return status;
}

int api_try(const struct ctl *ctl, const char *target, json_t **answer, char *why, size_t size)
{
	struct response response;
	int status = api_reach(ctl, "GET", target, &response, why, size);

	if (status == 0) {
		*why = '\0';
		status = answer_read(ctl, &response, answer);
	}
	response_fini(&response);
	return status;
}

int api_print(const struct ctl *ctl, const char *target)
{
	struct response response;
	char why[API_WHY_MAX];
	int status = api_reach(ctl, "GET", target, &response, why, sizeof(why));

	if (status != 0) {
		fprintf(stderr, "weirctl: %s\n", why);
		api_print_advice(ctl);
	} else if (response.status >= 300) {
		print_refusal(&response);
		status = CTL_REFUSED;
	} else {
		print_raw(&response);
	}
	response_fini(&response);
	return status;
}

static size_t target_put(char *target, size_t size, size_t used, const char *part)
{
	for (; *part; part++) {
		unsigned char c = (unsigned char)*part;

		/* RFC 3986 section 3.3: unreserved, and ':' and '@' of a segment. */
		if (used + 4 > size)
			break;
		if ((c < 0x80 && isalnum(c)) || strchr("-._~:@", c))
			target[used++] = (char)c;
		else
			used += (size_t)snprintf(target + used, size - used, "%%%02X", c);
	}
	return used;
}

char *api_target(char *target, size_t size, const char *format, const char *first,
		 const char *second)
{
	const char *parts[] = { first, second };
	size_t used = 0, next = 0;

	for (; *format && used + 1 < size; format++) {
		if (format[0] == '%' && format[1] == 's' && next < WEIR_ARRAY_SIZE(parts)) {
			used = target_put(target, size, used, parts[next++]);
			format++;
		} else {
			target[used++] = *format;
		}
	}
	target[used] = '\0';
	return target;
}

const char *api_string(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

uint64_t api_number(const json_t *object, const char *key)
{
	const json_t *value = json_object_get(object, key);
	double real = json_number_value(value);

	if (json_is_integer(value))
		return json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0;
	return real >= 1 && real < 1e18 ? (uint64_t)real : 0;
}

bool api_is_list(const json_t *answer)
{
	bool is_list = json_is_array(answer);

	for (size_t i = 0; is_list && i < json_array_size(answer); i++)
		is_list = json_is_object(json_array_get(answer, i));
	if (!is_list)
		fputs("weirctl: the daemon's answer is no list; is it of another version?\n",
		      stderr);
	return is_list;
}

void api_add_string(struct table *table, const json_t *object, const char *key, enum tone tone)
{
	const char *text = api_string(object, key);

	table_add(table, *text ? tone : TONE_DIM, "%s", *text ? text : "-");
}

void api_add_number(struct table *table, const json_t *object, const char *key)
{
	table_add(table, TONE_PLAIN, "%" PRIu64, api_number(object, key));
}

void api_add_failures(struct table *table, const json_t *object, const char *key)
{
	uint64_t n = api_number(object, key);

	table_add(table, n ? TONE_BAD : TONE_PLAIN, "%" PRIu64, n);
}

void api_add_bytes(struct table *table, const json_t *object, const char *key)
{
	char text[UNIT_TEXT];

	table_add(table, TONE_PLAIN, "%s", unit_bytes(text, (double)api_number(object, key)));
}

void api_add_duration(struct table *table, const json_t *object, const char *key, uint64_t unit_ms)
{
	char text[UNIT_TEXT];

	table_add(table, TONE_PLAIN, "%s", unit_duration(text, api_number(object, key) * unit_ms));
}

bool ctl_has_color(const struct ctl *ctl)
{
	const char *no_color = getenv("NO_COLOR");
	const char *term = getenv("TERM");

	return !ctl->is_plain && !(no_color && *no_color) && isatty(STDOUT_FILENO) &&
	       !(term && strcmp(term, "dumb") == 0);
}

unsigned ctl_width(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0)
		return 0;
	return size.ws_col;
}

int api_show(const struct ctl *ctl, struct table *table)
{
	const struct table_look look = { .has_color = ctl_has_color(ctl), .width = ctl_width() };

	table_print(table, &look, stdout);
	table_fini(table);
	return 0;
}

/* SPDX-License-Identifier: MIT */
#include <weir/message.h>

static const char *const methods[WEIR_METHOD_COUNT] = {
	[WEIR_METHOD_GET] = "GET",	   [WEIR_METHOD_HEAD] = "HEAD",
	[WEIR_METHOD_POST] = "POST",	   [WEIR_METHOD_PUT] = "PUT",
	[WEIR_METHOD_DELETE] = "DELETE",   [WEIR_METHOD_CONNECT] = "CONNECT",
	[WEIR_METHOD_OPTIONS] = "OPTIONS", [WEIR_METHOD_TRACE] = "TRACE",
	[WEIR_METHOD_PATCH] = "PATCH",
};

enum weir_method weir_method_parse(struct weir_text text)
{
	for (enum weir_method m = WEIR_METHOD_GET; m < WEIR_METHOD_COUNT; m++) {
		if (weir_text_is_equal(text, weir_text_of(methods[m])))
			return m;
	}
	return WEIR_METHOD_OTHER;
}

struct weir_text weir_method_text(enum weir_method method)
{
	return weir_text_of((unsigned)method < WEIR_METHOD_COUNT ? methods[method] : NULL);
}

bool weir_method_is_safe(enum weir_method method)
{
	return method == WEIR_METHOD_GET || method == WEIR_METHOD_HEAD ||
	       method == WEIR_METHOD_OPTIONS || method == WEIR_METHOD_TRACE;
}

bool weir_method_is_idempotent(enum weir_method method)
{
	return weir_method_is_safe(method) || method == WEIR_METHOD_PUT ||
	       method == WEIR_METHOD_DELETE;
}

void weir_request_init(struct weir_request *request, struct weir_arena *arena)
{
	memset(request, 0, sizeof(*request));
	weir_headers_init(&request->headers, arena);
}

void weir_response_init(struct weir_response *response, struct weir_arena *arena)
{
	memset(response, 0, sizeof(*response));
	weir_headers_init(&response->headers, arena);
	response->announced = WEIR_BODY_UNKNOWN;
}

/* The registry's: RFC 9110 section 15, 2518, 3229, 4918, 5842, 6585, 7538, 7725, 8297, 8470. */
static const char *const reasons[] = {
	[100] = "Continue",
	[101] = "Switching Protocols",
	[102] = "Processing",
	[103] = "Early Hints",
	[200] = "OK",
	[201] = "Created",
	[202] = "Accepted",
	[203] = "Non-Authoritative Information",
	[204] = "No Content",
	[205] = "Reset Content",
	[206] = "Partial Content",
	[207] = "Multi-Status",
	[208] = "Already Reported",
	[226] = "IM Used",
	[300] = "Multiple Choices",
	[301] = "Moved Permanently",
	[302] = "Found",
	[303] = "See Other",
	[304] = "Not Modified",
	[305] = "Use Proxy",
	[307] = "Temporary Redirect",
	[308] = "Permanent Redirect",
	[400] = "Bad Request",
	[401] = "Unauthorized",
	[402] = "Payment Required",
	[403] = "Forbidden",
	[404] = "Not Found",
	[405] = "Method Not Allowed",
	[406] = "Not Acceptable",
	[407] = "Proxy Authentication Required",
	[408] = "Request Timeout",
	[409] = "Conflict",
	[410] = "Gone",
	[411] = "Length Required",
	[412] = "Precondition Failed",
	[413] = "Content Too Large",
	[414] = "URI Too Long",
	[415] = "Unsupported Media Type",
	[416] = "Range Not Satisfiable",
	[417] = "Expectation Failed",
	[421] = "Misdirected Request",
	[422] = "Unprocessable Content",
	[423] = "Locked",
	[424] = "Failed Dependency",
	[425] = "Too Early",
	[426] = "Upgrade Required",
	[428] = "Precondition Required",
	[429] = "Too Many Requests",
	[431] = "Request Header Fields Too Large",
	[451] = "Unavailable For Legal Reasons",
	[500] = "Internal Server Error",
	[501] = "Not Implemented",
	[502] = "Bad Gateway",
	[503] = "Service Unavailable",
	[504] = "Gateway Timeout",
	[505] = "HTTP Version Not Supported",
	[506] = "Variant Also Negotiates",
	[507] = "Insufficient Storage",
	[508] = "Loop Detected",
	[511] = "Network Authentication Required",
};

struct weir_text weir_status_reason(unsigned status)
{
	return weir_text_of(status < WEIR_ARRAY_SIZE(reasons) ? reasons[status] : NULL);
}

bool weir_status_is_bodiless(unsigned status)
{
	return (status >= 100 && status < 200) || status == 204 || status == 304;
}

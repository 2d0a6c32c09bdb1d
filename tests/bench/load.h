/* SPDX-License-Identifier: MIT */
#ifndef LOAD_H
#define LOAD_H

/*
 * The traffic tool of the integration tests and the benchmark: an origin that does what the
 * client's request says, and clients that make many sessions with it through a proxy. Both
 * check every byte. It shares no code with the product, so that both cannot be wrong alike.
 *
 * A session starts with a struct load_request. Then, by its kind:
 *
 *   ECHO      the origin sends back what it reads until the client's end of stream.
 *   TRANSFER  the client sends `up` bytes (or as many as it likes) and ends its direction; the
 *             origin meanwhile sends `down` bytes, and after the client's end a struct
 *             load_result about what it has received; then it ends, too. So a session is only
 *             good when both half-closes came through the proxy.
 *
 * Payload is a function of the session's seed and the offset: any size can be checked without
 * keeping it, and a byte that is lost, doubled or out of place is seen where it happens.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define LOAD_MAGIC   0x6c6f6164u
#define LOAD_UNKNOWN UINT64_MAX
#define LOAD_BUFFER  (256 * 1024)

enum load_kind { LOAD_ECHO, LOAD_TRANSFER };

struct load_request {
	uint32_t magic;
	uint8_t kind;
	uint8_t verify; /* TRANSFER: look at the bytes */
	uint16_t reserved;
	uint32_t seed;
	uint32_t write_size; /* TRANSFER: of the origin's writes */
	uint64_t up;	     /* TRANSFER: LOAD_UNKNOWN: until the end */
	uint64_t down;
};
_Static_assert(sizeof(struct load_request) == 32, "on the wire");

struct load_result {
	uint64_t received;
	uint64_t wrong_at; /* LOAD_UNKNOWN: nothing is wrong */
};
_Static_assert(sizeof(struct load_result) == 16, "on the wire");

/* ---- payload --------------------------------------------------------------------------------- */

/* The bytes [offset, offset + size) of the stream SEED. */
void pattern_fill(uint32_t seed, uint64_t offset, void *data, size_t size);
/* Index of the first wrong byte; SIZE when all are right. */
size_t pattern_check(uint32_t seed, uint64_t offset, const void *data, size_t size);
/* The origin's bytes differ from the client's. */
static inline uint32_t pattern_down(uint32_t seed)
{
	return seed ^ 0x80000000u;
}

/* ---- sockets --------------------------------------------------------------------------------- */

struct load_address {
	struct sockaddr_storage ss;
	socklen_t size;
};

/* "1.2.3.4:80", "[::1]:80", "unix:/path", "unix:@name"; ends the process when it is none. */
void address_parse(struct load_address *address, const char *text);
/* Non-blocking, close-on-exec; TCP_NODELAY set. -errno. */
int socket_new(const struct load_address *address);
int socket_listen(const struct load_address *address);
/* 0: connected or under way; -errno. */
int socket_connect(int fd, const struct load_address *address);

uint64_t now_ns(void);
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *must_alloc(size_t size);

/* ---- the two halves -------------------------------------------------------------------------- */

int origin_main(char **listen, unsigned n_listen);

struct client_conf {
	struct load_address to;
	enum load_kind kind;
	bool hold;	     /* ECHO: one exchange, then wait for the end of stdin, then one more */
	bool verify;	     /* TRANSFER */
	bool abrupt;	     /* ECHO: close after the last answer, without a half-close */
	unsigned concurrent; /* sessions at one time */
	uint64_t sessions;   /* altogether; 0: until the time is over */
	uint64_t requests;   /* ECHO: per session; 0: until the time is over */
	uint64_t time_ns;    /* 0: as long as it takes */
	uint64_t stuck_ns;   /* nothing moved for so long: give up */
	uint32_t size;	     /* ECHO: of a message */
	uint32_t write_size; /* TRANSFER */
	uint64_t up, down;   /* TRANSFER; up may be LOAD_UNKNOWN with time_ns */
};

int client_main(const struct client_conf *conf);

#endif

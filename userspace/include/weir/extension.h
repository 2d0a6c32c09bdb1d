/* SPDX-License-Identifier: MIT */
#ifndef WEIR_EXTENSION_H
#define WEIR_EXTENSION_H

/*
 * Extensions: typed facts that a layer publishes about a connection or a call, found by the
 * address of their key. Append-only, so that a fact that was read once stays true; a later
 * fact under the same key hides the earlier one. A set may have a parent (a call's set has its
 * connection's); a retry attempt gets a child set of its own.
 *
 *	static const struct weir_extension_key peer_key = { "tls_peer" };
 *	weir_extension_add(&conn->extensions, &conn->arena, &peer_key, peer);
 *	const struct peer *peer = weir_extension_find(&conn->extensions, &peer_key);
 */

#include <weir/arena.h>

struct weir_extension_key {
	const char *name; /* for people; the address is the identity */
};

struct weir_extension;

struct weir_extensions {
	const struct weir_extensions *parent; /* borrowed; NULL at the root */
	struct weir_extension *first;	      /* private */
};

void weir_extensions_init(struct weir_extensions *set, const struct weir_extensions *parent);

/* Publishes VALUE (borrowed; it must live as long as the set). 0 or -ENOMEM. */
int weir_extension_add(struct weir_extensions *set, struct weir_arena *arena,
		       const struct weir_extension_key *key, const void *value) WEIR_MUST_CHECK;

/* The newest value in this set or the nearest parent that has one; NULL when there is none. */
const void *weir_extension_find(const struct weir_extensions *set,
				const struct weir_extension_key *key);

#endif

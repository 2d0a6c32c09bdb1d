#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Dependencies between rooms point one way, and each foreign library has one room.

A room may include the public headers of its own rank and of lower ranks. Which room a public
header belongs to is found by its namesake: include/weir/task.h belongs to the room that has
task.c; a header without one belongs to the room named in ROOM_OF.
"""
import os
import re

import tree

RANKS = [
    {"core"},
    {"net"},
    {"tls", "http", "offload"},
    {"layer", "upstream", "proxy", "policy"},
    {"daemon"},
]
RANK = {room: rank for rank, rooms in enumerate(RANKS) for room in rooms}

# Foreign headers and the only room that may include them.
FOREIGN = [
    (re.compile(r"^(bpf/(?!abi\.h)|linux/bpf\.h|.*\.skel\.h)"), {"offload"}),
    (re.compile(r"^openssl/"), {"tls"}),
    (re.compile(r"^(llhttp\.h|nghttp2/)"), {"http"}),
    (re.compile(r"^(zlib\.h|brotli/|zstd\.h|crypt\.h)"), {"layer"}),
    (re.compile(r"^(cyaml/|yaml\.h)"), {"daemon"}),
]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def owners(paths):
    """Public header -> rooms that implement it."""
    found = {}
    for path in paths:
        parts = path.split("/")
        if parts[0] == "userspace" and len(parts) >= 3 and path.endswith(".c"):
            found.setdefault(os.path.basename(path)[:-2], set()).add(parts[1])
    return found


def lowest(rooms):
    ranks = [RANK[room] for room in rooms if room in RANK]
    return min(ranks) if ranks else None


def check(path, room, owner):
    for quote, name in INCLUDE.findall(tree.text(path)):
        for pattern, allowed in FOREIGN:
            if pattern.match(name) and room not in allowed:
                yield f"{path}: includes {name}, which only {', '.join(sorted(allowed))}/ may"
        if room not in RANK:
            continue
        target = None
        if name.startswith("weir/"):
            target = lowest(owner.get(os.path.basename(name)[:-2], set()) - {room})
            if room in owner.get(os.path.basename(name)[:-2], set()):
                target = RANK[room]
        elif quote == '"' and "/" in name and name.split("/")[0] in RANK:
            target = RANK[name.split("/")[0]]
            if name.split("/")[0] != room and target <= RANK[room]:
                yield f"{path}: includes {name}, a private header of another room"
        if target is not None and target > RANK[room]:
            yield f"{path}: {room}/ includes {name} of a room above it"


def main():
    paths = tree.files()
    owner = owners(paths)
    problems = []
    for path in paths:
        parts = path.split("/")
        if parts[0] != "userspace" or not path.endswith((".c", ".h")) or len(parts) < 3:
            continue
        if parts[1] == "include":
            # A public header is as low as the room that implements it.
            rooms = owner.get(parts[-1][:-2], set())
            room = min(rooms & set(RANK), key=lambda r: RANK[r], default=None)
            problems += check(path, room, owner)
        else:
            problems += check(path, parts[1], owner)
    for path in paths:
        if path.startswith("tools/") and path.endswith((".c", ".h")):
            problems += check(path, "tools", owner)
    tree.finish(problems)


main()

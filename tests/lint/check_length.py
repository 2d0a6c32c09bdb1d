#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""No source file is longer than 700 lines."""
import tree

LIMIT = 700
SOURCES = (".c", ".h", ".py", ".sh")


def main():
    problems = []
    for path in tree.files():
        if path.endswith(SOURCES) or path == "Makefile":
            lines = tree.text(path).count("\n")
            if lines > LIMIT:
                problems.append(f"{path}: {lines} lines, at most {LIMIT}: split it by noun or stage")
    tree.finish(problems)


main()

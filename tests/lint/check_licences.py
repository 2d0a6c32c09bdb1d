#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every source file starts with its licence: MIT, in bpf/ GPL-2.0-only OR BSD-2-Clause."""
import tree

SOURCES = (".c", ".h", ".py", ".sh", ".map")


def main():
    problems = []
    for path in tree.files():
        if not path.endswith(SOURCES) and path not in ("Makefile", "tests/run", ".ci/run"):
            continue
        licence = "GPL-2.0-only OR BSD-2-Clause" if path.startswith("bpf/") else "MIT"
        head = tree.text(path).split("\n", 2)[:2]
        if not any(f"SPDX-License-Identifier: {licence}" in line for line in head):
            problems.append(f"{path}: does not start with SPDX-License-Identifier: {licence}")
    tree.finish(problems)


main()

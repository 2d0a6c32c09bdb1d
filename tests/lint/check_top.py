#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The top level holds the six rooms and files that it is known for, and dot-files."""
import tree

ALLOWED = {"bpf", "userspace", "tools", "conf", "tests", "Makefile", "README.md", "LICENSE"}


def main():
    names = {path.split("/")[0] for path in tree.files()}
    tree.finish([f"{name}: does not belong at the top level" for name in sorted(names - ALLOWED)
                 if not name.startswith(".")])


main()

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""No file names a place that exists on one developer's machine only."""
import re

import tree

# The words are put together here, so that this file does not find itself.
PLACES = re.compile("|".join([
    r"(?<![\w.-])/" + r"work/", r"(?<![\w.-])/tmp/" + r"w/", r"(?<![\w.-])/home/" + r"\w+/",
    r"/" + r"root/\.?\w"]))
PROSE = re.compile(r"\.\./" + r"shared")


def main():
    problems = []
    for path in tree.files():
        if path.startswith("tests/fuzz/corpus/"):
            continue
        for number, line in enumerate(tree.text(path).splitlines(), 1):
            if PLACES.search(line) or (path.endswith(".md") and PROSE.search(line)):
                problems.append(f"{path}:{number}: names a place of one machine: {line.strip()}")
    tree.finish(problems)


main()

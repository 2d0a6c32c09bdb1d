#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every folder has a README.md; folders of plain data (corpora, listed below) need none."""
import os

import tree

DATA = ("tests/fuzz/corpus/",)


def main():
    paths = tree.files()
    folders = set()
    for path in paths:
        folder = os.path.dirname(path)
        while folder:
            folders.add(folder)
            folder = os.path.dirname(folder)
    problems = []
    for folder in sorted(folders):
        if folder.startswith(".") or (folder + "/").startswith(DATA):
            continue
        readme = folder + "/README.md"
        if readme not in paths:
            problems.append(f"{folder}: has no README.md that says what lives there")
        elif len(tree.text(readme).split()) < 10:
            problems.append(f"{readme}: says next to nothing")
    tree.finish(problems)


main()

#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The C files are as clang-format 14 (Debian 12's) lays them out.

Later versions differ in details for the same .clang-format, so elsewhere this is skipped: exit
status 77, the reason in the last line.
"""
import re
import subprocess
import sys

import tree

VERSION = 14


def main():
    said = subprocess.run(["clang-format", "--version"], capture_output=True, text=True,
                          check=True).stdout
    version = int(re.search(r"version (\d+)", said).group(1))
    if version != VERSION:
        print(f"needs clang_format_{VERSION}: version {version} lays out differently")
        sys.exit(77)
    files = [p for p in tree.files() if p.endswith((".c", ".h"))]
    run = subprocess.run(["clang-format", "--dry-run", "-Werror", "--ferror-limit=0", *files],
                         cwd=tree.ROOT, capture_output=True, text=True, check=False)
    problems = sorted(set(re.findall(r"^(\S+?:\d+):\d+: error", run.stderr, re.M)))
    if run.returncode and not problems:
        problems = [run.stderr]
    tree.finish([f"{p}: not formatted; run `make format`" for p in problems])


main()

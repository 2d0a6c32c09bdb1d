#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Each public header, and bpf/abi.h, compiles alone with gcc and with clang."""
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import tree

FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wshadow", "-Wvla",
         "-Wstrict-prototypes", "-Wmissing-prototypes", "-Werror", "-fsyntax-only",
         "-Iuserspace/include", "-iquote", ".", "-x", "c"]


def compile_alone(job):
    compiler, header, folder = job
    # Included twice: the guard is part of what is checked.
    source = os.path.join(folder, header.replace("/", "_") + ".c")
    with open(source, "w", encoding="utf-8") as f:
        f.write(f'#include "{header}"\n#include "{header}"\n')
    run = subprocess.run([compiler, *FLAGS, source], cwd=tree.ROOT, capture_output=True, text=True,
                         check=False)
    return f"{compiler}: {header} does not compile alone:\n{run.stderr}" if run.returncode else None


def main():
    headers = [p for p in tree.files()
               if p.endswith(".h") and (p.startswith("userspace/include/") or p == "bpf/abi.h")]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        jobs = [(c, h, folder) for c in ("gcc", "clang") for h in headers]
        problems = [p for p in pool.map(compile_alone, jobs) if p]
    tree.finish(problems)


main()

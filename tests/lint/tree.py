# SPDX-License-Identifier: MIT
"""What the checks share: the tracked files of the tree and a way to end."""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def files():
    """Paths of tracked and of new, not ignored files, from the top of the tree."""
    try:
        out = subprocess.run(
            ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
             "--exclude-standard"], cwd=ROOT, capture_output=True, check=True).stdout
        found = [p.decode() for p in out.split(b"\0") if p]
    except (OSError, subprocess.CalledProcessError):
        # An unpacked release has no history: every file but the build folders.
        found = []
        for folder, folders, names in os.walk(ROOT):
            folders[:] = [d for d in folders
                          if d not in (".git", "__pycache__", ".pytest_cache")
                          and not (folder == ROOT and d.startswith("build"))]
            found += [os.path.relpath(os.path.join(folder, n), ROOT) for n in names]
    return sorted(p for p in set(found) if os.path.isfile(os.path.join(ROOT, p)))


def text(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def finish(problems):
    """Print what is wrong, one a line, and exit 1 if anything is."""
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)

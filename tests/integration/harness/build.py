# SPDX-License-Identifier: MIT
"""The build that is tested."""
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
FOLDER = os.path.abspath(os.environ.get("WEIR_BUILD") or os.path.join(ROOT, "build"))
VARIANT = next((v for v in ("asan", "tsan") if v in os.path.basename(FOLDER)), "gcc")
# Sanitizers make a program slower; times that bound a wait are stretched by this.
SLOWER = {"gcc": 1, "asan": 4, "tsan": 8}[VARIANT]


def tool(name):
    """A program that tests and is not tested: the plain build's, where it is built, because a
    sanitizer would only make it slow."""
    plain = os.path.join(ROOT, "build", name)
    return plain if os.access(plain, os.X_OK) else program(name)


def program(name):
    path = os.path.join(FOLDER, name)
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"{path} is not built; say `make` first")
    return path

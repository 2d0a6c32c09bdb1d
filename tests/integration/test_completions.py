# SPDX-License-Identifier: MIT
"""Completions parse in their shells and offer what the command line allows there."""
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from scripted import LISTENERS, UPSTREAMS, Scripted, flows  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("WEIR_BUILD", "build"))
FOLDER = os.path.join(ROOT, "tools/completions")

# The line up to the cursor, and what must be offered.
CASES = (
    ("weirctl st", {"status"}),
    ("weirctl log ", {"error", "warn", "info", "debug"}),
    ("weirctl -j log w", {"warn"}),
    ("weirctl flow ", {"1", "2"}),
    ("weirctl flow 2 ", {"close", "path"}),
    ("weirctl flow 2 path s", {"splice", "sockmap"}),
    ("weirctl flows --listener ", {"db"}),
    ("weirctl upstream ", {"pg"}),
    ("weirctl upstream pg r", {"resume"}),
    ("weirctl upstream pg drain ", {"127.0.0.1:5432"}),
    ("weir s", {"schema", "serve", "send"}),
    ("weir send --i", {"--include", "--insecure"}),
    ("weir send -X P", {"POST", "PUT", "PATCH"}),
    ("weir run --re", {"--restarts"}),
    ("weir serve ", {"echo", "discard", "http", "fs"}),
    ("weir serve --l", {"--list"}),
)


def run(*words, **environment):
    path = f"{BUILD}:{os.environ['PATH']}"
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False,
                          env={**os.environ, "PATH": path, **environment})


@pytest.fixture(scope="module")
def admin():
    folder = tempfile.mkdtemp(prefix="weir-test-")
    server = Scripted(folder, {"GET /v1/flows": flows(1, 2), "GET /v1/upstreams": UPSTREAMS,
                               "GET /v1/listeners": LISTENERS})
    yield server.path
    server.close()
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", sorted(os.listdir(FOLDER)))
def test_file_parses(name):
    shell = {".bash": "bash", ".fish": "fish"}.get(os.path.splitext(name)[1], "zsh")
    if name == "README.md":
        return
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}: it is not installed")
    done = run(shell, "-n", os.path.join(FOLDER, name))
    assert done.returncode == 0 and done.stderr == "", done.stderr


@pytest.mark.parametrize("line,expected", CASES, ids=[case[0] for case in CASES])
def test_bash(admin, line, expected):
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    program = words[0]
    done = run("bash", "--norc", "-c",
               f"source {FOLDER}/{program}.bash; COMP_WORDS=({quoted}); "
               f"COMP_CWORD={len(words) - 1}; _{program}; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
               WEIR_ADMIN=admin)
    assert set(done.stdout.split("\n")) - {""} == expected, done.stderr


@pytest.mark.parametrize("line,expected", CASES, ids=[case[0] for case in CASES])
def test_fish(admin, line, expected):
    if not shutil.which("fish"):
        pytest.skip("needs fish: it is not installed")
    done = run("fish", "--no-config", "-c",
               f"source {FOLDER}/weirctl.fish; source {FOLDER}/weir.fish; complete -C '{line}'",
               WEIR_ADMIN=admin)
    offered = {row.split("\t")[0] for row in done.stdout.splitlines()}
    # fish 4 also lists what only has the letters of the word in it.
    word = line.split(" ")[-1]
    assert {text for text in offered if text.startswith(word)} == expected, done.stderr


ZSH_CASES = (("weirctl lis", "listeners"), ("weirctl flow 2 clo", "close"),
             ("weirctl upstream p", "pg"), ("weirctl upstream pg drain 127", "127.0.0.1:5432"),
             ("weir serve ec", "echo"))


@pytest.mark.parametrize("line,expected", ZSH_CASES, ids=[case[0] for case in ZSH_CASES])
def test_zsh(admin, line, expected, tmp_path):
    """The line editor itself, on a terminal of its own: what TAB makes of the line."""
    if not shutil.which("zsh"):
        pytest.skip("needs zsh: it is not installed")
    script = tmp_path / "complete.zsh"
    script.write_text(f"""
zmodload zsh/zpty
zpty editor zsh -f -i
zpty -w editor "PS1='READY> '; fpath=({FOLDER} \\$fpath); autoload -Uz compinit; compinit -u -d {tmp_path}/dump; bindkey '^I' complete-word; bindkey '^X' show-line; show-line() {{ print -r -- \\"LINE[\\$BUFFER]\\"; }}; zle -N show-line; print -r -- 'SET''UP'"
zpty -r -m editor text '*SETUP*READY> *'
zpty -w -n editor $'{line}\\t\\x18'
zpty -r -m editor text '*LINE\\[*\\]*'
print -r -- $text
zpty -d editor
""")
    done = run("zsh", "-f", str(script), WEIR_ADMIN=admin, TERM="dumb")
    shown = done.stdout.rsplit("LINE[", maxsplit=1)[-1].split("]")[0]
    assert shown.strip().split(" ")[-1] == expected, (done.stdout, done.stderr)

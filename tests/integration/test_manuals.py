# SPDX-License-Identifier: MIT
"""Manual pages are well-formed and complete: what the tools' help names and what the schema of the
configuration has, is explained, and nothing else."""
import json
import os
import re
import shutil
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("WEIR_BUILD", "build"))
MAN = os.path.join(ROOT, "tools/man")
PAGES = ("weir.8", "weirctl.8", "weir.yaml.5")


def page(name):
    with open(os.path.join(MAN, name), encoding="utf-8") as file:
        return file.read()


def output(program, *words):
    path = os.path.join(BUILD, program)
    if not os.path.exists(path):
        pytest.skip(f"needs {program}: it was not built")
    return subprocess.run([path, *words], capture_output=True, text=True, timeout=60,
                          check=True).stdout


def plain(source):
    """mdoc without its escapes."""
    return source.replace(r"\-", "-").replace(r"\&", "")


@pytest.mark.parametrize("name", PAGES)
def test_page_is_well_formed(name):
    if not shutil.which("mandoc"):
        pytest.skip("needs mandoc: it is not installed")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", os.path.join(MAN, name)],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def long_options(text):
    return set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", text))


def manual_options(source):
    return set(re.findall(r"Fl -([a-z][a-z-]*)", plain(source)))


def commands_of(listing, pattern):
    return set(re.findall(pattern, listing, re.M))


def test_weirctl_page_has_every_command_and_option():
    help_text = output("weirctl", "--help")
    commands = commands_of(help_text.split("Commands:")[1], r"^  ([a-z]+) ")
    assert len(commands) >= 13
    options = long_options(help_text)
    for command in commands:
        options |= long_options(output("weirctl", command, "--help"))
    source = page("weirctl.8")
    explained = set(re.findall(r"^(?:\.It|\.Cm)(?: Cm)? ([a-z]+)\b", source, re.M))
    assert commands - explained == set()
    assert manual_options(source) == options


def test_weir_page_has_every_command_and_option():
    help_text = output("weir", "--help")
    commands = commands_of(help_text, r"^  weir ([a-z]+) ")
    assert {"run", "check", "schema", "serve", "demo"} <= commands
    options = {"help", "version"}
    for command in commands:
        options |= long_options(output("weir", command, "--help").split("\v", maxsplit=1)[0])
    source = page("weir.8")
    for command in commands:
        assert f".It Cm {command}" in source, command
    assert options - {"usage"} - manual_options(source) == set()


def schema_keys(schema, path=()):
    """{path: default} of every key."""
    keys = {}
    for part in (schema, schema.get("items", {}), *schema.get("anyOf", [])):
        for name, value in part.get("properties", {}).items():
            keys[path + (name,)] = value.get("default")
            keys.update(schema_keys(value, path + (name,)))
        for inner in part.get("anyOf", []) if part is not schema else []:
            keys.update(schema_keys(inner, path))
    return keys


# What has the same keys in several places is explained in one.
ELSEWHERE = {
    ("listeners", "http", "routes", "layers"): ("listeners", "http", "layers"),
    ("listeners", "http", "routes", "retry"): ("upstreams", "retry"),
    ("listeners", "http", "routes", "match", "any"): ("listeners", "http", "routes", "match"),
    ("listeners", "http", "routes", "match", "not"): ("listeners", "http", "routes", "match"),
}


def without_twins(keys):
    """Without what is below those places; it must be the same as what it is called the same as."""
    kept = dict(keys)
    for path in keys:
        for twin, original in ELSEWHERE.items():
            if path[:len(twin)] == twin and len(path) > len(twin):
                assert original + path[len(twin):] in keys, path
                kept.pop(path, None)
    return kept


def manual_keys(source):
    """{path: text} of every item, by the nesting of its lists."""
    keys, stack, section = {}, [], ()
    for line in source.splitlines():
        if line.startswith(".Sh "):
            name = line[4:].lower()
            section = (name,) if name in ("listeners", "upstreams") else \
                () if name == "whole process" else None
            if section:
                keys[section] = ""
        elif section is None:
            continue
        elif line.startswith(".Bl "):
            stack.append(None)
        elif line.startswith(".El"):
            stack.pop()
        elif line.startswith(".It Cm "):
            for name in line[7:].replace(",", " ").split():
                stack[-1] = name
                keys[section + tuple(stack)] = ""
        elif stack and None not in stack:
            keys[section + tuple(stack)] += line + "\n"
    return keys


def test_every_key_of_the_configuration_is_explained():
    schema = without_twins(schema_keys(json.loads(output("weir", "schema"))))
    manual = manual_keys(page("weir.yaml.5"))
    assert len(schema) > 80
    assert set(schema) - set(manual) == set()
    balances = {path for path in manual if "balance" in path[:-1]}
    assert set(manual) - set(schema) == balances
    for path, default in schema.items():
        said = re.search(r"^Default: (\S+?)\.?$", manual[path], re.M)
        if said and default is not None:
            assert said.group(1) == default, path


def examples_of(source):
    return [block for block in re.findall(r"\.Bd -literal[^\n]*\n(.*?)\n\.Ed", source, re.S)
            if "listeners:" in block]


def test_examples_are_right(tmp_path):
    output("weir", "--version")
    blocks = examples_of(page("weir.yaml.5"))
    assert len(blocks) >= 2
    for index, block in enumerate(blocks):
        path = tmp_path / f"{index}.yaml"
        path.write_text(block + "\n")
        done = subprocess.run([os.path.join(BUILD, "weir"), "check", "-c", str(path)],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

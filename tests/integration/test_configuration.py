# SPDX-License-Identifier: MIT
"""The schema that `weir schema` prints, and what `weir check` says on the command line."""
import glob
import json
import os
import subprocess

import jsonschema
import pytest
import yaml

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WEIR = os.path.join(TOP, os.environ.get("WEIR_BUILD", "build"), "weir")
CONFS = sorted(glob.glob(os.path.join(TOP, "conf", "*.yaml")))


@pytest.fixture(scope="module")
def validator():
    text = subprocess.run([WEIR, "schema"], check=True, stdout=subprocess.PIPE).stdout
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def check(path):
    return subprocess.run([WEIR, "check", "-c", path], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("example", CONFS, ids=os.path.basename)
def test_examples_follow_the_schema(validator, example):
    with open(example, encoding="utf-8") as file:
        validator.validate(yaml.safe_load(file))
    assert check(example).returncode == 0


@pytest.mark.parametrize("text", [
    "listener: []", "workers: 0", "shutdown: { deadline: 5 }", "log: { level: loud }",
    "listeners: [ { name: a, address: '80' } ]",
    "upstreams: [ { name: a, endpoints: [] } ]",
    "listeners: [ { name: a, address: '80', tcp: { to: b }, layers: [ {} ] } ]",
])
def test_schema_and_check_refuse_the_same(validator, tmp_path, text):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    assert not validator.is_valid(yaml.safe_load(text))
    answer = check(str(path))
    assert answer.returncode == 1
    assert answer.stderr.startswith(f"{path}:1: ")


def test_includes_are_joined_and_keep_their_lines(tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "one.yaml").write_text(
        "upstreams:\n  - { name: one, endpoints: ['127.0.0.1:1'] }\n")
    (tmp_path / "more" / "two.yaml").write_text(
        "upstreams:\n  - { name: two, endpoints: ['127.0.0.1:2'] }\n")
    main = tmp_path / "main.yaml"
    main.write_text("include: [ 'more/*.yaml' ]\nlisteners:\n"
                    "  - { name: a, address: '127.0.0.1:19', tcp: { to: two } }\n")
    answer = check(str(main))
    assert answer.returncode == 0
    assert "1 listeners, 2 upstreams" in answer.stdout
    (tmp_path / "more" / "two.yaml").write_text("upstreams:\n\n  - { name: two }\n")
    answer = check(str(main))
    assert answer.returncode == 1
    assert f"{tmp_path}/more/two.yaml:3: an upstream has no \"endpoints\"" in answer.stderr


def test_a_file_that_includes_itself_is_refused(tmp_path):
    main = tmp_path / "main.yaml"
    main.write_text("include: [ main.yaml ]\n")
    answer = check(str(main))
    assert answer.returncode == 1
    assert "includes itself" in answer.stderr


def test_wrong_usage_is_status_2():
    for arguments in ([], ["nothing"], ["serve"], ["run", "extra"]):
        assert subprocess.run([WEIR, *arguments], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL).returncode == 2

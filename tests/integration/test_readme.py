# SPDX-License-Identifier: MIT
"""What the README shows works as it stands there."""
import os
import re
import subprocess

from harness import build, load, net
from harness.weir import Weir

with open(os.path.join(build.ROOT, "README.md"), encoding="utf-8") as _file:
    TEXT = _file.read()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.S)


def test_first_proxy(tmp_path, origin):
    """Four lines, and the one on top; only the addresses are others here."""
    proxy, admin = blocks("yaml")
    assert len(proxy.splitlines()) == 4 and len(admin.splitlines()) == 1
    address, metrics = net.free_address(), net.free_address()
    text = (admin + proxy).replace("/tmp/weir.sock", f"{tmp_path}/s")
    for theirs, ours in (("127.0.0.1:15432", address), ("127.0.0.1:5432", origin["ipv4"]),
                         ("127.0.0.1:9901", metrics)):
        assert theirs in text
        text = text.replace(theirs, ours)
    daemon = Weir(text)
    daemon.socket_path = f"{tmp_path}/s"
    check = subprocess.run([build.program("weir"), "check", "-c", daemon.config_path],
                           capture_output=True, text=True, timeout=60, check=False)
    assert check.returncode == 0, check.stderr
    try:
        daemon.start()
        load.run("echo", address, "-n", 20)
        for words in re.findall(r"^    weirctl -s /tmp/weir.sock (\w+) ", TEXT, re.M):
            daemon.ctl(words)
    finally:
        daemon.stop()


def test_layer_is_the_example():
    """The code is that of the file which it names, which is compiled and tested."""
    with open(os.path.join(build.ROOT, "userspace/examples/knock.c"), encoding="utf-8") as file:
        source = file.read()
    shown = blocks("c")
    assert len(shown) == 2
    for block in shown:
        assert block in source


def test_files_and_targets_exist():
    """Nothing is named that is not there."""
    for path in re.findall(r"`((?:bpf|userspace|tools|conf|tests)/[\w./-]*)`", TEXT):
        assert os.path.exists(os.path.join(build.ROOT, path)), path
    for name in re.findall(r"`(\w+\.h)`", TEXT):
        assert os.path.exists(os.path.join(build.ROOT, "userspace/include/weir", name)), name
    with open(os.path.join(build.ROOT, "Makefile"), encoding="utf-8") as file:
        makefile = file.read()
    for target in re.findall(r"make (run|check|install|uninstall|deb|deps|help|bench)\b", TEXT):
        assert re.search(rf"^{target}:", makefile, re.M), target

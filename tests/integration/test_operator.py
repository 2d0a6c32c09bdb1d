# SPDX-License-Identifier: MIT
"""What an operator sets once and relies on: who may ask, where logs go, which CPUs, what is
measured; and that memory is used as it should be."""
import json
import os
import shutil
import subprocess

import pytest

from harness import build, load, net
from harness.process import Process, wait_for
from harness.weir import config_of

pytestmark = pytest.mark.asan


def allowed_cpus(daemon, name):
    """Of the thread with this name."""
    folder = f"/proc/{daemon.process.pid}/task"
    for task in os.listdir(folder):
        with open(f"{folder}/{task}/status", encoding="ascii") as status:
            fields = {k: v.strip() for k, _, v in (line.partition(":") for line in status)}
        if fields["Name"] == name:
            return fields["Cpus_allowed_list"]
    raise AssertionError(f"there is no thread {name}")


def test_cpu_affinity(weir, origin):
    cpus = sorted(os.sched_getaffinity(0))
    address = net.free_address()
    daemon = weir({**config_of(address, origin["ipv4"]), "cpu_affinity": True})
    assert allowed_cpus(daemon, "weir-0") == str(cpus[0])
    assert allowed_cpus(daemon, "weir-1") == str(cpus[1 % len(cpus)])
    load.run("echo", address, "-c", 10, "-n", 100)


def test_logs_are_reopened(weir, origin, folder):
    """As logrotate does it: rename, SIGUSR1; not a line is lost, and the old file stays as it is."""
    address = net.free_address()
    log, access = f"{folder}/weir.log", f"{folder}/access.log"
    daemon = weir({**config_of(address, origin["ipv4"],
                               layers=[{"access_log": {"file": access, "format": "json"}}]),
                   "log": {"to": "file", "file": log, "format": "json"}})
    load.run("echo", address, "-n", 10)
    wait_for(lambda: len(lines(access)) == 10, 10 * build.SLOWER, "ten lines")
    os.rename(log, log + ".1")
    os.rename(access, access + ".1")
    load.run("echo", address, "-n", 5)
    daemon.process.send(10)  # SIGUSR1
    wait_for(lambda: os.path.exists(log) and os.path.exists(access), 10 * build.SLOWER,
             "new files")
    load.run("echo", address, "-n", 7)
    wait_for(lambda: len(lines(access)) == 7, 10 * build.SLOWER, "seven lines")
    assert len(lines(access + ".1")) == 15
    assert all(line["listener"] == "in" for line in lines(access) + lines(access + ".1"))
    daemon.api("POST", "/v1/reload")
    wait_for(lambda: any(line.get("object") == "reload" or "reload" in str(line)
                         for line in lines(log)), 10 * build.SLOWER, "the reload in the log")
    assert any("running" in line["message"] for line in lines(log + ".1"))
    assert os.stat(log).st_mode & 0o007 == 0


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def status_as_nobody(daemon):
    """Exit status and error of `weirctl status` for a user who is nobody."""
    done = subprocess.run([f"{daemon.folder}/weirctl", "-s", daemon.socket_path, "status"],
                          user="nobody", group="nogroup", extra_groups=[], capture_output=True,
                          text=True, timeout=60, check=False, cwd="/")
    return done.returncode, done.stderr


@pytest.mark.parametrize("admin,may", [({}, False), ({"users": ["nobody"]}, True),
                                       ({"groups": ["nogroup"]}, True),
                                       ({"users": ["daemon"]}, False)])
def test_who_may_ask(weir, origin, admin, may):
    if os.geteuid() != 0:
        pytest.skip("needs root: to become somebody else")
    config = config_of(net.free_address(), origin["ipv4"])
    daemon = weir(config)
    config["admin"] = {"socket": daemon.socket_path, **admin}
    daemon.write(config)
    os.chmod(daemon.folder, 0o755)
    shutil.copy(build.program("weirctl"), daemon.folder)
    assert daemon.api("POST", "/v1/reload")[0] == 200
    status, why = status_as_nobody(daemon)
    assert status == 0 if may else status in (1, 2) and why, (status, why)
    assert daemon.ctl("status")


def test_metrics_port_only_measures(weir, origin):
    """Prometheus may come by TCP; nobody can change anything there."""
    address, metrics = net.free_address(), net.free_address()
    config = config_of(address, origin["ipv4"])
    daemon = weir(config)
    config["admin"] = {"socket": daemon.socket_path, "metrics": metrics}
    daemon.write(config)
    assert daemon.api("POST", "/v1/reload")[0] == 200
    load.run("echo", address, "-n", 5)

    def curl(path, *words):
        return subprocess.run(["curl", "-sS", "-o", "-", "-w", "%{http_code} %{content_type}",
                               *words, f"http://{metrics}{path}"], capture_output=True, text=True,
                              timeout=60, check=True).stdout

    text = curl("/metrics")
    assert text.endswith("200 text/plain; version=0.0.4; charset=utf-8"), text[-100:]
    assert 'weir_connections_total{listener="in"} 5' in text
    for path in ("/v1/status", "/v1/flows", "/"):
        assert subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}",
                               f"http://{metrics}{path}"], capture_output=True, text=True,
                              timeout=60, check=True).stdout == "404", path
    generation = daemon.get("/v1/status")["generation"]
    curl("/v1/reload", "-X", "POST")
    curl("/v1/drain", "-X", "POST")
    status = daemon.get("/v1/status")
    assert status["state"] == "running" and status["generation"] == generation


def test_valgrind(folder, origin):
    """Stacks of tasks are announced: valgrind follows them and finds nothing."""
    if build.VARIANT != "gcc" or not shutil.which("valgrind"):
        pytest.skip("needs valgrind: and a program without sanitizers")
    address = net.free_address()
    process = Process(["valgrind", "-q", "--error-exitcode=9", "--leak-check=full",
                       "--errors-for-leak-kinds=definite", build.program("examples/proxy"),
                       address, origin["ipv4"]], f"{folder}/log")
    try:
        wait_for(lambda: net.can_connect(address) or not process.is_running(), 60, "the proxy")
        load.run("echo", address, "-c", 4, "-n", 40, "-r", 3, "-T", 60)
        load.run("transfer", address, "-u", 1_000_000, "-d", 1_000_000, "-v", "-T", 60)
        status = process.stop(60)
    finally:
        process.kill()
    assert status == 0, process.output()
    assert "==" not in process.output(), process.output()

# SPDX-License-Identifier: MIT
"""Real servers and their own clients, with a proxy between them."""
import hashlib
import json
import os
import shutil
import tempfile

import pytest

from conftest import PATHS, marked
from harness import net, peers
from harness.peers import run
from harness.weir import config_of


def serving(start):
    @pytest.fixture(scope="module")
    def server():
        folder = tempfile.mkdtemp(prefix="weir-test-")
        process = None
        try:
            process, address = start(folder)
            yield address, folder
        finally:
            if process:
                process.kill()
            shutil.rmtree(folder, ignore_errors=True)
    return server


postgres, redis, nginx = serving(peers.postgres), serving(peers.redis), serving(peers.nginx)
iperf3, rsync = serving(peers.iperf3), serving(peers.rsync)


@pytest.fixture(scope="module")
def ssh():
    folder = tempfile.mkdtemp(prefix="weir-test-")
    server = None
    try:
        server = peers.Ssh(folder)
        yield server
    finally:
        if server:
            server.process.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def front(proxy, path):
    """front(address of a server) -> port of a proxy in front of it."""
    def start(address, **options):
        mine = net.free_address()
        proxy(config_of(mine, address, path), **options)
        return mine.split(":")[1]
    return start


@pytest.mark.tsan
@pytest.mark.asan
def test_postgres_psql(front, postgres):
    """A big result arrives whole: the server's checksum and the client's agree."""
    port = front(postgres[0])
    psql = ["psql", "-h", "127.0.0.1", "-p", port, "-U", "weir", "-d", "postgres", "-XAtq", "-c"]
    rows = "select md5(i::text) || repeat('x', 100) as line from generate_series(1, 100000) i"
    text = run(*psql, rows)
    expected = run(*psql, f"select md5(string_agg(line, e'\\n') || e'\\n') from ({rows}) t")
    assert hashlib.md5(text).hexdigest() == expected.decode().strip()


@pytest.mark.asan
@pytest.mark.tsan
def test_postgres_pgbench(front, postgres):
    port = front(postgres[0])
    common = ["pgbench", "-h", "127.0.0.1", "-p", port, "-U", "weir"]
    run(*common, "-i", "-q", "postgres")
    run(*common, "-c", "8", "-j", "2", "-T", "2", "-S", "postgres")
    out = run(*common, "-c", "4", "-t", "20", "-C", "postgres").decode()
    assert "number of failed transactions: 0" in out or "failed" not in out


@pytest.mark.tsan
@pytest.mark.asan
def test_redis(front, redis, folder):
    port = front(redis[0])
    big = os.path.join(folder, "big")
    data = net.payload(8_000_000)
    with open(big, "wb") as file:
        file.write(data)
    with open(big, "rb") as file:
        out = peers.subprocess.run(["redis-cli", "-p", port, "-x", "set", "big"], stdin=file,
                                   capture_output=True, check=True, timeout=60)
    assert out.stdout.strip() == b"OK"
    net.same(run("redis-cli", "-p", port, "--raw", "get", "big")[:-1], data)
    out = run("redis-benchmark", "-p", port, "-q", "-n", 5000, "-c", 50, "-P", 16, "-t", "get,set")
    assert b"requests per second" in out


@pytest.mark.tsan
@pytest.mark.asan
def test_nginx_curl(front, nginx):
    port = front(nginx[0])
    for size in (0, 1, 100_000, 30_000_000):
        data = net.payload(size)
        name = os.path.join(nginx[1], "www", str(size))
        with open(name, "wb") as file:
            file.write(data)
        net.same(run("curl", "-sSf", f"http://127.0.0.1:{port}/{size}"), data)
    # Several on one connection.
    urls = [f"http://127.0.0.1:{port}/100000"] * 20
    net.same(run("curl", "-sSf", *urls), net.payload(100_000) * 20)


@pytest.mark.asan
@pytest.mark.tsan
def test_rsync(front, rsync, folder):
    port = front(rsync[0])
    here, back = os.path.join(folder, "here"), os.path.join(folder, "back")
    os.makedirs(here)
    for i in range(200):
        with open(os.path.join(here, f"{i}"), "wb") as file:
            file.write(net.payload(i * 997, i))
    url = f"rsync://127.0.0.1:{port}/files/"
    run("rsync", "-a", "--delete", here + "/", url)
    run("rsync", "-a", url, back)
    for i in range(200):
        with open(os.path.join(back, f"{i}"), "rb") as file:
            net.same(file.read(), net.payload(i * 997, i))


@pytest.mark.asan
@pytest.mark.parametrize("options", [pytest.param([], marks=pytest.mark.tsan), ["-R"],
                                     pytest.param(["-P", "4"], marks=pytest.mark.tsan),
                                     ["--bidir"]])
def test_iperf3(front, iperf3, options):
    # Which of its two connections carries which direction, iperf3 tells by the order in which they
    # come; two workers may swap them, and then both ends write on one and none reads.
    port = front(iperf3[0], workers=1 if "--bidir" in options else 2)
    out = json.loads(run("iperf3", "-J", "-c", "127.0.0.1", "-p", port, "-n", "100M", *options))
    assert "error" not in out, out["error"]
    assert out["end"]["sum_received"]["bytes"] > 0


@pytest.mark.asan
@pytest.mark.parametrize("path", marked([(path,) for path in PATHS], [("copy",), ("splice",)],
                                        pytest.mark.tsan), indirect=True)
def test_ssh(front, ssh, folder):
    """A session that answers, a copy each way by scp and sftp, rsync in its tunnel."""
    port = front(ssh.address)
    data = net.payload(12_000_000)
    here, there = os.path.join(folder, "here"), os.path.join(folder, "there")
    with open(here, "wb") as file:
        file.write(data)
    os.makedirs(there)

    def read(name):
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()

    digest = hashlib.sha256(data).hexdigest().encode()
    with open(here, "rb") as file:
        out = peers.subprocess.run(["ssh", *ssh.options, "-p", port, "127.0.0.1", "sha256sum"],
                                   stdin=file, capture_output=True, check=True, timeout=60).stdout
    assert out.split()[0] == digest
    run("scp", *ssh.options, "-P", port, here, f"127.0.0.1:{there}/scp")
    net.same(read("there/scp"), data)
    run("scp", *ssh.options, "-P", port, f"127.0.0.1:{there}/scp", f"{folder}/back")
    net.same(read("back"), data)
    batch = os.path.join(folder, "batch")
    with open(batch, "w", encoding="ascii") as file:
        file.write(f"put {here} {there}/sftp\nget {there}/sftp {folder}/back2\n")
    run("sftp", *ssh.options, "-P", port, "-b", batch, "127.0.0.1")
    net.same(read("there/sftp"), data)
    net.same(read("back2"), data)
    run("rsync", "-a", "-e", " ".join(["ssh", *ssh.options, "-p", port]), here,
        f"127.0.0.1:{there}/rsync")
    net.same(read("there/rsync"), data)

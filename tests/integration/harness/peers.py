# SPDX-License-Identifier: MIT
"""Real servers, each in a folder of its own."""
import os
import shutil
import subprocess

import pytest

from . import net
from .process import Process, wait_for


def run(*argv, env=None, user=None, seconds=120, **options):
    """A client's output; its exit status must be 0."""
    as_user = {"user": user, "group": user, "extra_groups": []} if user and os.geteuid() == 0 else {}
    done = subprocess.run([str(a) for a in argv], capture_output=True, timeout=seconds, check=False,
                          env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, **as_user,
                          **options)
    said = (done.stderr + done.stdout).decode(errors="replace")[-2000:]
    assert done.returncode == 0, f"{argv}: {said}"
    return done.stdout


def postgres(folder):
    """(process, address). PostgreSQL does not run as root."""
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user, user)
    versions = sorted(os.listdir("/usr/lib/postgresql"), key=float)
    binaries = f"/usr/lib/postgresql/{versions[-1]}/bin"
    data = os.path.join(folder, "data")
    run(f"{binaries}/initdb", "-D", data, "-A", "trust", "-U", "weir", "--no-sync", "-E", "UTF8",
        user=user, cwd=folder)
    address = net.free_address()
    process = Process([f"{binaries}/postgres", "-D", data, "-p", address.split(":")[1], "-k", folder,
                       "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"],
                      os.path.join(folder, "log"), user=user, cwd=folder)
    wait_for(lambda: subprocess.run([f"{binaries}/pg_isready", "-q", "-h", "127.0.0.1", "-p",
                                     address.split(":")[1]], check=False).returncode == 0,
             30, "PostgreSQL", 0.2)
    return process, address


def listening(argv, folder, address):
    process = Process(argv, os.path.join(folder, "log"), cwd=folder)
    wait_for(lambda: net.can_connect(address) or not process.is_running(), 15, argv[0])
    assert process.is_running(), process.output()
    return process, address


def redis(folder):
    address = net.free_address()
    return listening(["redis-server", "--port", address.split(":")[1], "--bind", "127.0.0.1",
                      "--save", "", "--dir", folder], folder, address)


def nginx(folder):
    address = net.free_address()
    os.makedirs(os.path.join(folder, "www"))
    os.chmod(folder, 0o755)
    conf = os.path.join(folder, "nginx.conf")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(f"""daemon off; pid {folder}/pid; error_log {folder}/error; worker_processes 1;
events {{ worker_connections 1000; }}
http {{ access_log off; sendfile on; client_body_temp_path {folder}/body;
 proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;
 scgi_temp_path {folder}/s;
 server {{ listen {address}; root {folder}/www; }} }}
""")
    return listening(["nginx", "-p", folder, "-c", conf, "-e", f"{folder}/error"], folder, address)


def iperf3(folder):
    address = net.free_address()
    return listening(["iperf3", "-s", "-B", "127.0.0.1", "-p", address.split(":")[1]], folder, address)


def rsync(folder):
    address = net.free_address()
    os.makedirs(os.path.join(folder, "files"))
    conf = os.path.join(folder, "rsyncd.conf")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(f"use chroot = no\n[files]\npath = {folder}/files\nread only = no\n"
                   f"uid = {os.geteuid()}\ngid = {os.getegid()}\n")
    return listening(["rsync", "--daemon", "--no-detach", "--address=127.0.0.1",
                      f"--port={address.split(':')[1]}", f"--config={conf}"], folder, address)


class Ssh:
    """sshd with keys of its own; `options` are what ssh, scp and sftp must be told."""

    def __init__(self, folder):
        for name in ("host", "user"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{name}")
        shutil.copy(f"{folder}/user.pub", f"{folder}/authorized")
        address = net.free_address()
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # where it confines itself
        with open(f"{folder}/sshd_config", "w", encoding="ascii") as file:
            file.write(f"ListenAddress {address}\nHostKey {folder}/host\nPidFile none\n"
                       f"AuthorizedKeysFile {folder}/authorized\nStrictModes no\nUsePAM no\n"
                       "PermitRootLogin prohibit-password\nPasswordAuthentication no\n"
                       "Subsystem sftp internal-sftp\nMaxStartups 100\n")
        self.folder = folder
        self.process, self.address = listening(
            ["/usr/sbin/sshd", "-D", "-e", "-f", f"{folder}/sshd_config"], folder, address)
        self.options = ["-F", "none", "-i", f"{folder}/user", "-o", "StrictHostKeyChecking=no",
                        "-o", f"UserKnownHostsFile={folder}/known", "-o", "BatchMode=yes",
                        "-o", "LogLevel=ERROR", "-o", "ControlPath=none"]


def node(folder):
    """harness/origin.js; skips where there is no Node.js."""
    if not shutil.which("node"):
        pytest.skip("needs node: Node.js is not installed")
    address = net.free_address()
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "origin.js")
    return listening(["node", script, address.split(":")[1]], folder, address)

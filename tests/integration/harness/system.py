# SPDX-License-Identifier: MIT
"""What a system has around a daemon, in private: journald with its sockets and /dev/log in a mount
namespace, and the service manager's end of the notification protocol."""
import json
import os
import socket
import subprocess

from .process import Process, wait_for

JOURNALD = "/lib/systemd/systemd-journald"

# /run, /dev and /etc/systemd of the namespace are folders of the test's, so that what journald
# writes can be read outside; /var/log is empty, so that it writes to none of this machine's files.
PREPARE = """set -e
mount --bind "$0/run" /run
mount --bind "$0/etc" /etc/systemd
mount -t tmpfs none /var/log
mount -t tmpfs none "$0/dev"
for node in null zero full random urandom; do
    : >"$0/dev/$node"; mount --bind /dev/$node "$0/dev/$node"
done
ln -s /run/systemd/journal/dev-log "$0/dev/log"
mount --rbind "$0/dev" /dev
exec %s
""" % JOURNALD


def why_no_journald():
    if os.geteuid() != 0:
        return "needs root: mount namespaces"
    if not os.access(JOURNALD, os.X_OK):
        return "needs journald: the package systemd is not installed"
    return ""


class Journald:
    """systemd's own journald; `wrap` starts a program where it is the system's."""

    def __init__(self, folder):
        for name in ("run/systemd/journal", "run/log/journal", "etc", "dev"):
            os.makedirs(os.path.join(folder, name))
        with open(os.path.join(folder, "etc/journald.conf"), "w", encoding="ascii") as file:
            file.write("[Journal]\nStorage=volatile\nReadKMsg=no\nForwardToSyslog=no\n"
                       "ForwardToWall=no\nRateLimitBurst=0\n")
        self.folder = folder
        self.process = Process(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                                PREPARE, folder], os.path.join(folder, "log"))
        wait_for(lambda: self.is_ready() or not self.process.is_running(), 10, "journald")
        assert self.process.is_running(), self.process.output()
        self.wrap = ["nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt"]

    def is_ready(self):
        journal = os.path.join(self.folder, "run/systemd/journal")
        return all(os.path.exists(os.path.join(journal, n)) for n in ("socket", "dev-log"))

    def entries(self, identifier):
        """What journalctl says: a list of dictionaries."""
        done = subprocess.run(["journalctl", "-D", os.path.join(self.folder, "run/log/journal"),
                               "-o", "json", "--all", "-t", identifier], capture_output=True,
                              text=True, timeout=20, check=False)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def wait_entry(self, identifier, text):
        def find():
            return next((e for e in self.entries(identifier) if text in e["MESSAGE"]), None)
        return wait_for(find, 10, f"`{text}` in the journal", 0.2)

    def stop(self):
        self.process.stop()


class Manager:
    """The service manager's end of sd_notify(3)."""

    def __init__(self, folder):
        self.path = os.path.join(folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(30)

    def wait_for(self, word):
        """Reads messages until one has the line WORD (or `NAME=`): that message, as lines."""
        while True:
            lines = self.socket.recv(4096).decode().splitlines()
            if any(line == word or word.endswith("=") and line.startswith(word) for line in lines):
                return lines

    def close(self):
        self.socket.close()

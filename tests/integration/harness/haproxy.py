# SPDX-License-Identifier: MIT
"""HAProxy in Weir's place (`pytest --proxy=haproxy`): what carries bytes and is asked nothing of
Weir alone must pass with it, too. So a failing test is known to be right."""
import os
import shutil
import tempfile

from .net import can_connect
from .process import Process, wait_for


def address_of(text):
    if text.startswith("unix:@"):
        return "abns@" + text[6:]
    return "unix@" + text[5:] if text.startswith("unix:") else text.replace("[", "").replace("]", "")


class Haproxy:
    name = "haproxy"

    def __init__(self, config, **_):
        self.folder = tempfile.mkdtemp(prefix="weir-test-")
        self.config_path = os.path.join(self.folder, "haproxy.cfg")
        self.config = config
        self.process = None
        listener, upstream = config["listeners"][0], config["upstreams"][0]
        lines = ["global", " maxconn 4000", " maxpipes 100", "defaults", " mode tcp",
                 " timeout connect 5s", " timeout client 60s", " timeout server 60s"]
        if "splice" in listener["tcp"].get("paths", []):
            lines += [" option splice-request", " option splice-response"]
        lines += [" listen in", f"  bind {address_of(listener['address'])}"]
        lines += [f"  server s{i} {address_of(a)}" for i, a in enumerate(upstream["endpoints"])]
        with open(self.config_path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def start(self):
        self.process = Process(["haproxy", "-db", "-f", self.config_path],
                               os.path.join(self.folder, "log"))
        address = self.config["listeners"][0]["address"]
        wait_for(lambda: can_connect(address) or not self.process.is_running(), 5, "HAProxy")
        assert self.process.is_running(), self.process.output()
        return self

    def log(self):
        return self.process.output()

    def stop(self):
        self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

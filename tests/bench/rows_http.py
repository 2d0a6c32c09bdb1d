# SPDX-License-Identifier: MIT
"""Rows about HTTP: every proxy keeps connections to both sides. The value is what one CPU second of
the proxy's processes serves; the rate is what came out with clients and origin on the same cores."""
import json
import os
import re
import subprocess
import tempfile
import time

import systems
from harness import net

SYSTEMS = ("direct", "weir", *systems.PEERS)

WRK_SCRIPT = """
local method, size, close = "%(method)s", %(size)d, %(close)s
wrk.method = method
if size > 0 then wrk.body = string.rep("x", size) end
if close then wrk.headers["Connection"] = "close" end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('JSON {"requests": %%d, "failed": %%d, "seconds": %%f, "p50_us": %%d, "p99_us": %%d}\\n',
    summary.requests, e.connect + e.read + e.write + e.status + e.timeout, summary.duration / 1e6,
    latency:percentile(50), latency:percentile(99)))
end
"""


def start(folder, names, threads, stops, log=False):
    """LOG: with an access log, each in a file."""
    home = os.path.join(folder, "http-log" if log else "http")
    os.makedirs(home)
    os.chmod(home, 0o755)
    origin = systems.http_origin(home)
    stops.append(origin.stop)
    log = home if log else None
    started = []
    for name in [n for n in SYSTEMS if not names or n in names]:
        if name == "direct":
            started.append(systems.System(name, origin.address))
            continue
        if name == "weir":
            system = systems.http_weir(origin.address, threads, log)
        else:
            make = {"haproxy": systems.http_haproxy, "nginx": systems.http_nginx}[name]
            system = make(home, origin.address, threads, log)
        stops.append(system.stop)
        started.append(system)
    return started


def figures(system, result, machine, own):
    count = result["requests"]
    out = {"value": count / own if system.pids and own else None, "rate": count / result["seconds"],
           "cpu_us": machine / count * 1e6, "own_us": own / count * 1e6}
    return out | {k: result[k] for k in ("p50_us", "p99_us") if k in result}


def wrk(connections, path, method="GET", size=0, close=False):
    script = WRK_SCRIPT % {"method": method, "size": size, "close": str(close).lower()}

    def work(system, seconds, script_path):
        out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s",
                              "--timeout", "10s", "-s", script_path,
                              f"http://{system.address}/{path}"],
                             capture_output=True, text=True, check=True, timeout=120).stdout
        result = json.loads(re.search(r"^JSON (.*)$", out, re.M).group(1))
        assert result["failed"] == 0 and result["requests"] > 0, (system.name, out)
        return result

    def row(system, seconds):
        with tempfile.TemporaryDirectory() as folder:
            path_of_script = systems.write(folder, "row.lua", script)
            return figures(system, *systems.measured(
                system, lambda: work(system, seconds, path_of_script)))
    return row


def percentiles(path):
    """Of h2load's log, whose lines are a time, a status and what the request took, in us."""
    with open(path, encoding="ascii") as log:
        took = sorted(int(line.split()[2]) for line in log)
    return {"p50_us": took[len(took) // 2], "p99_us": took[len(took) * 99 // 100]}


def h2load(connections, path):
    def work(system, seconds, log):
        out = subprocess.run(["h2load", "--h1", f"-c{connections}", f"-D{max(1, round(seconds))}",
                              f"--log-file={log}", f"http://{system.address}/{path}"],
                             capture_output=True, text=True, check=True, timeout=120).stdout
        done = int(re.search(r"status codes: (\d+) 2xx", out).group(1))
        failed = int(re.search(r"(\d+) failed", out).group(1))
        assert done > 0 and failed == 0, (system.name, out)
        rate = float(re.search(r"([0-9.]+) req/s", out).group(1))
        return {"requests": done, "seconds": done / rate}

    def row(system, seconds):
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "log")
            result, machine, own = systems.measured(system, lambda: work(system, seconds, log))
            return figures(system, result | percentiles(log), machine, own)
    return row


def ask(sock):
    """One request on a connection that is kept."""
    sock.sendall(b"GET /1k HTTP/1.1\r\nHost: bench\r\n\r\n")
    data = b""
    while b"\r\n\r\n" not in data or len(data.split(b"\r\n\r\n", 1)[1]) < 1024:
        piece = sock.recv(65536)
        assert piece, "a connection was closed that should be kept"
        data += piece
    return sock


def idle_memory(system, _seconds):
    """Of the proxy alone, in bytes a connection that waits for its next request."""
    if not system.pids:
        return None
    count = 9900
    if system.empty is None:
        ask(net.connect(system.address)).close()
        system.empty = system.memory()
    held = [ask(net.connect(system.address)) for _ in range(count)]
    time.sleep(2)
    size = system.memory() - system.empty
    for sock in held[::100]:
        ask(sock)
    for sock in held:
        sock.close()
    return {"value": size / count}


PER_CPU = "req per CPU s of the proxy"
ROWS = {  # memory first, before the others leave some that is free again
    "http-idle": ("B/conn", False, idle_memory),
    "http-1k-64": (PER_CPU, True, wrk(64, "1k")),
    "http-1k-512": (PER_CPU, True, wrk(512, "1k")),
    "http-64k-64": (PER_CPU, True, wrk(64, "64k")),
    "http-64k-512": (PER_CPU, True, wrk(512, "64k")),
    "http-1m-64": (PER_CPU, True, wrk(64, "1m")),
    "http-1m-512": (PER_CPU, True, wrk(512, "1m")),
    "http-1k-close": (PER_CPU, True, wrk(64, "1k", close=True)),
    "http-post-1m": (PER_CPU, True, wrk(16, "post", method="POST", size=1 << 20)),
    "http-1k-h2load": (PER_CPU, True, h2load(64, "1k")),
}
LOG_ROWS = {
    "http-log-1k-64": (PER_CPU, True, wrk(64, "1k")),
}

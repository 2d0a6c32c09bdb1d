#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures Weir's paths, HAProxy, nginx stream and the direct connection, in turn.

All systems run at the same time and idle; each round measures every system once, one after the
other, so that what disturbs the machine disturbs all. The table has medians, their spread, and the
ratio to the best of the other proxies. JSON goes to build/bench.json.
"""
import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

from harness import build, load, net  # noqa: E402
from harness.process import Process, wait_for  # noqa: E402
from harness.weir import Weir, config_of  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
PATHS = {"copy": ["copy"], "splice": ["splice"], "sockmap": ["sockmap"],
         "adaptive": ["sockmap", "splice", "copy"]}
PEERS = ("haproxy", "nginx")
FILES = 20000


class Proxied:
    """Something that listens at ADDRESS; PIDS are its processes."""

    def __init__(self, name, address, pids=(), stop=lambda: None):
        self.name, self.address, self.pids, self.stop = name, address, list(pids), stop
        self.empty = None  # memory before the first connection that is held

    def cpu(self):
        return sum(process_cpu(pid) for pid in self.pids)

    def memory(self):
        return sum(process_memory(pid) for pid in self.pids)


def process_cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def machine_cpu():
    with open("/proc/stat", encoding="ascii") as stat:
        fields = [int(f) for f in stat.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICKS


def process_memory(pid):
    """Private and shared pages, the latter by share."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        return sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:")) * 1024


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(p) for p in file.read().split()]


def start_haproxy(folder, origin, threads):
    address = net.free_address()
    conf = os.path.join(folder, "haproxy.cfg")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(f"""global
 maxconn 9500
 maxpipes 100
 nbthread {threads}
defaults
 mode tcp
 timeout connect 5s
 timeout client 1h
 timeout server 1h
 option splice-auto
listen in
 bind {address} backlog 4096
 server s {origin}
""")
    process = Process(["haproxy", "-db", "-f", conf], os.path.join(folder, "haproxy.log"))
    wait_for(lambda: net.can_connect(address), 5, "HAProxy: " + process.output())
    return Proxied("haproxy", address, [process.pid], process.kill)


def start_nginx(folder, origin, threads):
    address = net.free_address()
    conf = os.path.join(folder, "nginx.conf")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(f"""load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes {threads};
worker_rlimit_nofile {FILES};
events {{ worker_connections {FILES - 100}; }}
stream {{ server {{ listen {address} backlog=4096 {"reuseport" if threads > 1 else ""};
 proxy_pass {origin}; proxy_timeout 1h; proxy_half_close on; tcp_nodelay on; }} }}
""")
    process = Process(["nginx", "-p", folder, "-c", conf], os.path.join(folder, "nginx.out"))
    wait_for(lambda: net.can_connect(address), 5, "nginx: " + process.output())
    return Proxied("nginx", address, [process.pid, *children(process.pid)], process.kill)


def start_weir(name, origin, threads):
    address = net.free_address()
    daemon = Weir(config_of(address, origin, PATHS[name]), workers=threads)
    daemon.start()
    return Proxied(f"weir {name}", address, [daemon.process.pid], daemon.stop), daemon


# ---- what is measured ----------------------------------------------------------------------------


def measure(system, kind, *options):
    """One run: the client's numbers and the CPU time."""
    machine, own = machine_cpu(), system.cpu()
    result = load.run(kind, system.address, *options)
    return result, machine_cpu() - machine, system.cpu() - own


def messages(connections, size):
    def row(system, seconds):
        result, machine, own = measure(system, "echo", "-c", connections, "-s", size, "-r", 0,
                                       "-t", seconds)
        return {"value": result["requests"] / result["seconds"], "p50_us": result["p50_us"],
                "p99_us": result["p99_us"], "cpu_us": machine / result["requests"] * 1e6,
                "own_us": own / result["requests"] * 1e6}
    return row


def bulk(flows, write):
    def row(system, seconds):
        result, machine, own = measure(system, "transfer", "-c", flows, "-w", write, "-u", "until",
                                       "-t", seconds)
        size = result["bytes_up"]
        return {"value": size * 8 / result["seconds"] / 1e9, "cpu_s_per_gb": machine / size * 1e9,
                "own_s_per_gb": own / size * 1e9}
    return row


def connects(system, seconds):
    result, machine, own = measure(system, "echo", "-c", 16, "-s", 100, "-r", 1, "-x", "-t",
                                   seconds)
    return {"value": result["good"] / result["seconds"],
            "cpu_us": machine / result["good"] * 1e6, "own_us": own / result["good"] * 1e6}


def idle_memory(system, _seconds):
    """Of the proxy alone, in bytes a connection."""
    if not system.pids:
        return None
    count = 9000
    if system.empty is None:  # later runs find memory that earlier ones left
        system.empty = system.memory()
    held = load.hold(system.address, count)
    time.sleep(0.5)
    size = system.memory() - system.empty
    held.release()
    result = held.result()
    assert result["failed"] == 0, result
    return {"value": size / count}


ROWS = {  # name: (unit, more is better, function)
    "pingpong-1": ("req/s", True, messages(1, 1)),
    "pingpong-64": ("req/s", True, messages(64, 100)),
    "bulk-1-16K": ("Gbit/s", True, bulk(1, 16384)),
    "bulk-1-128K": ("Gbit/s", True, bulk(1, 131072)),
    "bulk-8-16K": ("Gbit/s", True, bulk(8, 16384)),
    "bulk-8-128K": ("Gbit/s", True, bulk(8, 131072)),
    "connect": ("conn/s", True, connects),
    "idle-memory": ("B/conn", False, idle_memory),
}


def summarize(values):
    """Medians of every figure; the spread of the first: half of the range, in percent."""
    out = {key: statistics.median(v[key] for v in values) for key in values[0]}
    main = [v["value"] for v in values]
    out["spread_percent"] = (max(main) - min(main)) / 2 / out["value"] * 100 if out["value"] else 0
    out["runs"] = main
    return out


def table(name, results):
    unit, more, _ = ROWS[name]
    pick = max if more else min
    peers = [results[p]["value"] for p in PEERS if p in results]
    best = pick(peers) if peers else None
    print(f"\n{name} ({unit}, {'more' if more else 'less'} is better)")
    for system, figures in results.items():
        ratio = f"{figures['value'] / best:6.2f}" if best else "     -"
        rest = "  ".join(f"{k} {v:.2f}" for k, v in figures.items()
                         if k not in ("value", "spread_percent", "runs"))
        print(f"  {system:14} {figures['value']:12.1f} ±{figures['spread_percent']:3.0f}%  "
              f"{ratio} of the best peer  {rest}")
    sys.stdout.flush()


def start_all(folder, names, threads, stops):
    """Each has an origin address of its own, so that none meets another's TIME_WAIT."""
    wanted = [n for n in ("direct", *PATHS, *PEERS) if not names or n in names]
    origins = {name: net.free_address() for name in wanted}
    server = load.Origin(os.path.join(folder, "origin"), origins.values())
    stops.append(server.stop)
    systems = []
    for name in wanted:
        if name == "direct":
            systems.append(Proxied(name, origins[name]))
            continue
        if name in PATHS:
            system, daemon = start_weir(name, origins[name], threads)
            stops.append(system.stop)
            offload = daemon.get("/v1/status")["offload"]
            if name in ("sockmap", "adaptive") and not offload["available"]:
                print(f"weir {name}: left out: {offload['why']}")
                continue
        else:
            system = {"haproxy": start_haproxy, "nginx": start_nginx}[name](folder, origins[name],
                                                                             threads)
            stops.append(system.stop)
        systems.append(system)
    return systems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 runs of half a second")
    parser.add_argument("--runs", type=int, default=5, help="of each row and system (5)")
    parser.add_argument("--seconds", type=float, default=2, help="of one run (2)")
    parser.add_argument("--threads", type=int, default=1, help="of every proxy (1)")
    parser.add_argument("--rows", default=",".join(ROWS), help="of: " + ", ".join(ROWS))
    parser.add_argument("--systems", default="", help="of: direct, " + ", ".join([*PATHS, *PEERS]))
    options = parser.parse_args()
    rows = options.rows.split(",")
    for row in rows:
        if row not in ROWS:
            parser.error(f"there is no row {row}")
    if options.quick:
        options.runs, options.seconds = 2, 0.5
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = tempfile.mkdtemp(prefix="weir-bench-")
    os.chmod(folder, 0o755)
    stops, report = [], {"kernel": os.uname().release, "cores": os.cpu_count(),
                         "threads": options.threads, "rows": {}}
    try:
        systems = start_all(folder, [s for s in options.systems.split(",") if s],
                            options.threads, stops)
        for row in rows:
            found = {s.name: [] for s in systems}
            for _ in range(options.runs):
                for system in systems:
                    found[system.name].append(ROWS[row][2](system, options.seconds))
            results = {name: summarize(v) for name, v in found.items() if v[0] is not None}
            report["rows"][row] = results
            table(row, results)
    finally:
        for stop in reversed(stops):
            try:
                stop()
            except (AssertionError, subprocess.SubprocessError) as error:
                print(error, file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
    with open(os.path.join(build.FOLDER, "bench.json"), "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()

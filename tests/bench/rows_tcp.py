# SPDX-License-Identifier: MIT
"""Rows about connections: messages, bulk, connecting, memory of idle ones."""
import os
import time

import systems
from harness import load, net

SYSTEMS = ("direct", *systems.PATHS, *systems.PEERS)


def start(folder, names, threads, stops):
    """Each has an origin address of its own, so that none meets another's TIME_WAIT."""
    wanted = [n for n in SYSTEMS if not names or n in names]
    origins = {name: net.free_address() for name in wanted}
    server = load.Origin(os.path.join(folder, "origin"), origins.values())
    stops.append(server.stop)
    started = []
    for name in wanted:
        if name == "direct":
            system = systems.System(name, origins[name])
        elif name in systems.PATHS:
            system = systems.tcp_weir(name, origins[name], threads)
        else:
            make = {"haproxy": systems.tcp_haproxy, "nginx": systems.tcp_nginx}[name]
            system = make(folder, origins[name], threads)
        if system:
            stops.append(system.stop)
            started.append(system)
    return started


def measure(system, kind, *options):
    return systems.measured(system, lambda: load.run(kind, system.address, *options))


def messages(connections, size):
    def row(system, seconds):
        result, machine, own = measure(system, "echo", "-c", connections, "-s", size, "-r", 0,
                                       "-t", seconds)
        return {"value": result["requests"] / result["seconds"], "p50_us": result["p50_us"],
                "p99_us": result["p99_us"], "cpu_us": machine / result["requests"] * 1e6,
                "own_us": own / result["requests"] * 1e6}
    return row


def bulk(flows, size):
    def row(system, seconds):
        result, machine, own = measure(system, "transfer", "-c", flows, "-w", size, "-u", "until",
                                       "-t", seconds)
        moved = result["bytes_up"]
        return {"value": moved * 8 / result["seconds"] / 1e9, "cpu_s_per_gb": machine / moved * 1e9,
                "own_s_per_gb": own / moved * 1e9}
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

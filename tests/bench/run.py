#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures Weir, HAProxy, nginx and the direct connection, in turn.

All systems run at the same time and idle; each round measures every system once, one after the
other, so that what disturbs the machine disturbs all. The tables have medians, their spread, and the
ratio to the other proxies. JSON goes to build/bench.json.
"""
import argparse
import functools
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "integration"))

from harness import build  # noqa: E402

import rows_http  # noqa: E402
import rows_tcp  # noqa: E402
import systems  # noqa: E402

GROUPS = [  # rows, systems that they are measured on, how these start
    (rows_tcp.ROWS, rows_tcp.SYSTEMS, rows_tcp.start),
    (rows_http.ROWS, rows_http.SYSTEMS, rows_http.start),
    (rows_http.LOG_ROWS, rows_http.SYSTEMS, functools.partial(rows_http.start, log=True)),
]
ROWS = {name: row for rows, _, _ in GROUPS for name, row in rows.items()}


def summarize(values):
    """Medians of every figure; the spread of the first: half of the range, in percent."""
    out = {key: statistics.median(v[key] for v in values) if values[0][key] is not None else None
           for key in values[0]}
    main = [v["value"] for v in values]
    if out["value"]:
        out["spread_percent"] = (max(main) - min(main)) / 2 / out["value"] * 100
    out["runs"] = main
    return out


def ratios(results, figures):
    """How many times each peer's value this one is."""
    out = {}
    for peer in systems.PEERS:
        if figures["value"] and results.get(peer, {}).get("value"):
            out[peer] = figures["value"] / results[peer]["value"]
    return out


def table(name, results):
    unit, more, _ = ROWS[name]
    print(f"\n{name} ({unit}, {'more' if more else 'less'} is better)")
    for system, figures in results.items():
        figures["ratio"] = ratios(results, figures)
        value = "           -" if figures["value"] is None else f"{figures['value']:12.1f}"
        spread = f"±{figures['spread_percent']:3.0f}%" if "spread_percent" in figures else "     "
        times = "  ".join(f"{r:5.2f} x {p}" for p, r in figures["ratio"].items())
        rest = "  ".join(f"{k} {v:.2f}" for k, v in figures.items() if v is not None
                         and k not in ("value", "spread_percent", "runs", "ratio"))
        print(f"  {system:14} {value} {spread}  {times}  {rest}")
    sys.stdout.flush()


def run_rows(rows, started, options):
    """{row: {system: figures}}"""
    out = {}
    for row in rows:
        found = {s.name: [] for s in started}
        for _ in range(options.runs):
            for system in started:
                found[system.name].append(ROWS[row][2](system, options.seconds))
        out[row] = {name: summarize(v) for name, v in found.items() if v[0] is not None}
        table(row, out[row])
    return out


def run_group(group, options):
    rows = [r for r in options.rows if r in group[0]]
    if not rows:
        return {}
    folder = tempfile.mkdtemp(prefix="weir-bench-")
    os.chmod(folder, 0o755)
    stops = []
    try:
        started = group[2](folder, options.systems, options.threads, stops)
        return run_rows(rows, started, options)
    finally:
        for stop in reversed(stops):
            try:
                stop()
            except (AssertionError, subprocess.SubprocessError) as error:
                print(error, file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)


def command_line():
    names = list(dict.fromkeys(s for _, group, _ in GROUPS for s in group))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="2 runs of half a second")
    parser.add_argument("--runs", type=int, default=5, help="of each row and system (5)")
    parser.add_argument("--seconds", type=float, default=2, help="of one run (2)")
    parser.add_argument("--threads", type=int, default=1, help="of every proxy (1)")
    parser.add_argument("--one-cpu", action="store_true",
                        help="clients, origin and proxies share one CPU: what the work costs, "
                        "without the waking of another CPU")
    parser.add_argument("--rows", default=",".join(ROWS), help="of: " + ", ".join(ROWS))
    parser.add_argument("--systems", default="", help="of: " + ", ".join(names))
    options = parser.parse_args()
    options.rows = options.rows.split(",")
    options.systems = [s for s in options.systems.split(",") if s]
    for row in options.rows:
        if row not in ROWS:
            parser.error(f"there is no row {row}")
    if options.quick:
        options.runs, options.seconds = 2, 0.5
    return options


def main():
    options = command_line()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.one_cpu:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    report = {"kernel": os.uname().release, "cores": len(os.sched_getaffinity(0)),
              "threads": options.threads, "rows": {}}
    for group in GROUPS:
        report["rows"] |= run_group(group, options)
    with open(os.path.join(build.FOLDER, "bench.json"), "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()

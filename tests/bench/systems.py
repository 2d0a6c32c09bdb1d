# SPDX-License-Identifier: MIT
"""What is measured: Weir, the other proxies, and no proxy; each listens at an address."""
import os

from harness import net
from harness.process import Process, wait_for
from harness.weir import Weir, config_of

TICKS = os.sysconf("SC_CLK_TCK")
FILES = 20000
PATHS = {"copy": ["copy"], "splice": ["splice"], "sockmap": ["sockmap"],
         "adaptive": ["sockmap", "splice", "copy"]}
PEERS = ("haproxy", "nginx")


class System:
    """Something that listens at ADDRESS; PIDS are its processes, of which there are none when the
    client talks to the origin itself."""

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


def measured(system, work):
    """What WORK returns, and the CPU seconds of the machine and of the system's processes."""
    machine, own = machine_cpu(), system.cpu()
    result = work()
    return result, machine_cpu() - machine, system.cpu() - own


# ---- the other proxies ---------------------------------------------------------------------------


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def haproxy(folder, name, threads, sections):
    """Runs HAProxy on SECTIONS, in which {address} is where it shall listen."""
    address = net.free_address()
    conf = write(folder, f"{name}.cfg", f"""global
 maxconn 9950
 maxpipes 20
 nbthread {threads}
{sections.format(address=address)}""")
    process = Process(["haproxy", "-db", "-f", conf], os.path.join(folder, f"{name}.log"))
    wait_for(lambda: net.can_connect(address), 5, "HAProxy: " + process.output())
    return System("haproxy", address, [process.pid], process.kill)


def nginx(folder, name, threads, modules, sections):
    address = net.free_address()
    home = os.path.join(folder, name)
    os.makedirs(home)
    os.chmod(home, 0o755)
    conf = write(home, "nginx.conf", f"""{modules}
daemon off; pid {home}/pid; error_log {home}/error; worker_processes {threads};
worker_rlimit_nofile {FILES};
events {{ worker_connections {FILES - 100}; }}
""" + sections % {"address": address, "home": home,
                  "reuseport": "reuseport" if threads > 1 else ""})
    process = Process(["nginx", "-p", home, "-c", conf, "-e", f"{home}/error"],
                      os.path.join(folder, f"{name}.out"))
    wait_for(lambda: net.can_connect(address), 5, "nginx: " + process.output())
    return System("nginx", address, [process.pid, *children(process.pid)], process.kill)


def weir(name, config, threads):
    daemon = Weir(config, workers=threads)
    daemon.start()
    address = config["listeners"][0]["address"]
    pids = [daemon.process.pid, *children(daemon.process.pid)]  # the keeper, and who works
    return System(name, address, pids, daemon.stop), daemon


# ---- TCP -----------------------------------------------------------------------------------------


def tcp_haproxy(folder, origin, threads):
    return haproxy(folder, "haproxy", threads, f"""defaults
 mode tcp
 timeout connect 5s
 timeout client 1h
 timeout server 1h
 option splice-auto
listen in
 bind {{address}} backlog 4096
 server s {origin}
""")


def tcp_nginx(folder, origin, threads):
    return nginx(folder, "nginx", threads, "load_module /usr/lib/nginx/modules/ngx_stream_module.so;",
                 f"""stream {{ server {{ listen %(address)s backlog=4096 %(reuseport)s;
 proxy_pass {origin}; proxy_timeout 1h; proxy_half_close on; tcp_nodelay on; }} }}
""")


def tcp_weir(name, origin, threads):
    """None, and a word about it, when the machine does not have this path."""
    system, daemon = weir(f"weir {name}", config_of(net.free_address(), origin, PATHS[name]), threads)
    offload = daemon.get("/v1/status")["offload"]
    if name in ("sockmap", "adaptive") and not offload["available"]:
        print(f"weir {name}: left out: {offload['why']}")
        system.stop()
        return None
    return system


# ---- HTTP: connections are kept on both sides, and the origin is told whom a request comes from:
# Weir does so by itself ---------------------------------------------------------------------------

ORIGIN_BODIES = {"1k": 1024, "64k": 65536, "1m": 1 << 20}


def http_origin(folder):
    """nginx with files, and a place that takes what is posted: all of it before it answers, which
    `return` alone would not do."""
    files = os.path.join(folder, "files")
    os.makedirs(files)
    os.chmod(files, 0o755)
    for name, size in ORIGIN_BODIES.items():
        write(files, name, "x" * size)
    return nginx(folder, "origin", 1, "", f"""http {{ access_log off; sendfile on; tcp_nopush on;
 keepalive_requests 1000000000; keepalive_timeout 1h; client_max_body_size 0;
 client_body_buffer_size 2m;
 client_body_temp_path %(home)s/body; proxy_temp_path %(home)s/p; fastcgi_temp_path %(home)s/f;
 uwsgi_temp_path %(home)s/u; scgi_temp_path %(home)s/s; open_file_cache max=10;
 upstream self {{ server %(address)s; keepalive 64; }}
 server {{ listen %(address)s backlog=4096; root {files}; location = /done {{ return 200 "ok"; }}
  location = /post {{ proxy_pass http://self/done; proxy_pass_request_body off; proxy_method GET;
   proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Content-Length ""; }} }} }}
""")


def http_haproxy(folder, origin, threads, log):
    target = " log stdout format raw local0 info\n option httplog\n" if log else ""
    return haproxy(folder, f"haproxy-http{'-log' if log else ''}", threads, f"""defaults
 mode http
{target} timeout connect 5s
 timeout client 1h
 timeout server 1h
 timeout http-keep-alive 1h
 option http-keep-alive
 option splice-auto
 http-reuse always
listen in
 bind {{address}} backlog 4096
 option forwardfor
 http-request set-header X-Forwarded-Proto http
 http-request set-header X-Forwarded-Host %[req.hdr(host)]
 server s {origin}
""")


def http_nginx(folder, origin, threads, log):
    access = f"{log}/nginx-access" if log else "off"
    return nginx(folder, f"nginx-http{'-log' if log else ''}", threads, "", f"""
http {{ access_log {access}; keepalive_requests 1000000000; keepalive_timeout 1h;
 client_max_body_size 0; proxy_request_buffering off; tcp_nodelay on;
 client_body_temp_path %(home)s/body; proxy_temp_path %(home)s/p; fastcgi_temp_path %(home)s/f;
 uwsgi_temp_path %(home)s/u; scgi_temp_path %(home)s/s;
 upstream o {{ server {origin}; keepalive 1024; keepalive_requests 1000000000; }}
 server {{ listen %(address)s backlog=4096 %(reuseport)s;
  location / {{ proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection "";
   proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto http;
   proxy_set_header X-Forwarded-Host $http_host; }} }} }}
""")


def http_weir(origin, threads, log):
    layers = [{"access_log": {"file": f"{log}/weir-access"}}] if log else []
    address = net.free_address()
    config = {"listeners": [{"name": "in", "address": address,
                             "http": {"layers": layers, "limits": {"requests": 1000000000},
                                      "timeouts": {"keep_alive": "1h"},
                                      "routes": [{"to": "out"}]}}],
              "upstreams": [{"name": "out", "endpoints": [origin], "pool": {"max_idle": 1024}}]}
    return weir("weir", config, threads)[0]

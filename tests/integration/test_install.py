# SPDX-License-Identifier: MIT
"""What an installation consists of: `make install` and `uninstall`, programs of others that use
the library, the Debian package on a real Debian."""
import os
import shutil
import subprocess

import pytest

from harness import build, net
from harness.process import Process, wait_for

pytestmark = pytest.mark.skipif(build.FOLDER != os.path.join(build.ROOT, "build"),
                                reason="needs build: sanitized programs are not installed")


def make(*words):
    env = {k: v for k, v in os.environ.items()
           if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "DESTDIR", "PREFIX")}
    done = subprocess.run(["make", "-s", *words], cwd=build.ROOT, env=env, capture_output=True,
                          text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def files_in(folder):
    return {os.path.relpath(os.path.join(top, name), folder)
            for top, _, names in os.walk(folder) for name in names}


def test_install_and_uninstall(folder):
    make("install", f"DESTDIR={folder}", "PREFIX=/usr", "LIBDIR=/usr/lib/here")
    files = files_in(folder)
    for name in ("usr/bin/weir", "usr/bin/weirctl", "usr/lib/here/libweir.a",
                 "usr/lib/here/libweir.so", "usr/lib/here/libweir.so.0",
                 "usr/lib/here/pkgconfig/weir.pc", "usr/include/weir/service.h",
                 "usr/share/man/man8/weir.8", "usr/share/man/man8/weirctl.8",
                 "usr/share/man/man5/weir.yaml.5", "usr/share/doc/weir/examples/weir.yaml",
                 "usr/share/bash-completion/completions/weirctl",
                 "usr/share/zsh/vendor-completions/_weirctl",
                 "usr/share/fish/vendor_completions.d/weirctl.fish",
                 "usr/lib/systemd/system/weir.service"):
        assert name in files, name
    with open(f"{folder}/usr/lib/systemd/system/weir.service", encoding="utf-8") as unit:
        assert "ExecStart=/usr/bin/weir run" in unit.read()
    installed = subprocess.run([f"{folder}/usr/bin/weir", "--version"], capture_output=True,
                               text=True, timeout=20, check=True).stdout
    assert installed.startswith("weir ")
    make("uninstall", f"DESTDIR={folder}", "PREFIX=/usr", "LIBDIR=/usr/lib/here")
    assert files_in(folder) == set()


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """A folder that Weir is installed in."""
    where = str(tmp_path_factory.mktemp("prefix"))
    make("install", f"PREFIX={where}")
    yield where


def flags(prefix, *words):
    env = {**os.environ, "PKG_CONFIG_PATH": f"{prefix}/lib/pkgconfig"}
    return subprocess.run(["pkg-config", *words, "weir"], env=env, capture_output=True, text=True,
                          timeout=20, check=True).stdout.split()


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("kind", ["shared", "static"])
def test_program_outside_the_tree(prefix, folder, kind, compiler):
    """An example, compiled elsewhere as a user of the library would do it, serves."""
    shutil.copy(os.path.join(build.ROOT, "userspace/examples/knock.c"), folder)
    words = flags(prefix, "--cflags", "--libs", *(["--static"] if kind == "static" else []))
    if kind == "static":
        words = ["-l:libweir.a" if word == "-lweir" else word for word in words]
    else:
        words.append(f"-Wl,-rpath,{prefix}/lib")
    done = subprocess.run([compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o", "knock",
                           "knock.c", *words], cwd=folder, capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    needed = subprocess.run(["readelf", "-d", f"{folder}/knock"], capture_output=True, text=True,
                            timeout=20, check=True).stdout
    assert ("libweir.so.0" in needed) == (kind == "shared")
    address = net.free_address()
    program = Process([f"{folder}/knock", address, "sesame"], f"{folder}/log")
    try:
        wait_for(lambda: net.can_connect(address) or not program.is_running(), 20, "the program")
        with net.connect(address) as client:
            client.sendall(b"sesame\nhello")
            client.shutdown(1)
            assert net.read_to_end(client) == b"hello"
    finally:
        assert program.stop() == 0, program.output()


# A root file system whose changes go to memory: the package is installed on this very system,
# with its real dependencies, and leaves no trace.
SYSTEM = """set -e
mount -t tmpfs none "$0"
mkdir "$0/upper" "$0/work" "$0/whole"
mount -t overlay none -o "lowerdir=/,upperdir=$0/upper,workdir=$0/work" "$0/whole"
mount --rbind /dev "$0/whole/dev"
mount -t proc none "$0/whole/proc"
cp "$1" "$0/whole/weir.deb"
exec chroot "$0/whole" bash -ec "$2"
"""
INSIDE = """
dpkg -i /weir.deb
test "$(dpkg -V weir)" = ""
man -w weir weirctl weir.yaml >/dev/null || [ ! -x /usr/bin/man ]
cat >/weir.yaml <<END
admin: {{ socket: /admin.sock }}
listeners:
  - {{ name: echo, address: "{front}", tcp: {{ to: echo }} }}
upstreams:
  - {{ name: echo, endpoints: ["{origin}"] }}
END
weir check -c /weir.yaml
weir serve echo {origin} & origin=$!
weir run -c /weir.yaml & daemon=$!
trap 'kill -9 $origin $daemon 2>/dev/null' EXIT
for i in $(seq 200); do weirctl -s /admin.sock status >/dev/null 2>&1 && break; sleep 0.1; done
exec 3<>/dev/tcp/{host}/{port}
echo hello >&3
read -r -t 20 answer <&3
test "$answer" = hello
weirctl -s /admin.sock flows --json | grep -q '"bytes_up":6'
exec 3>&-
kill $daemon
wait $daemon
kill $origin
trap - EXIT
dpkg -r weir
test ! -e /usr/bin/weir
test ! -e /usr/include/weir
echo all is well
"""


def test_debian_package(folder):
    if os.geteuid() != 0 or not shutil.which("dpkg-deb"):
        pytest.skip("needs root: and dpkg, to install a package")
    package = os.path.join(build.ROOT, make("deb").split()[-1])
    fields = subprocess.run(["dpkg-deb", "--field", package], capture_output=True, text=True,
                            timeout=20, check=True).stdout
    assert "Package: weir\n" in fields and "libbpf1" in fields and "libuv1" in fields
    front, origin = net.free_address(), net.free_address()
    host, port = front.split(":")
    script = INSIDE.format(front=front, origin=origin, host=host, port=port)
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", SYSTEM,
                           folder, package, script], capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, check=False)
    if "mount" in done.stderr and "overlay" in done.stderr:
        pytest.skip(f"needs overlayfs: {done.stderr.strip()[:200]}")
    assert done.returncode == 0 and "all is well" in done.stdout, done.stdout + done.stderr

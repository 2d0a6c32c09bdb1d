# SPDX-License-Identifier: MIT
"""Fixtures. A test asks for `proxy` (or `weir`), calls it with a configuration, and has a running
daemon that is stopped, checked and cleaned up after it."""
import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import build, kernel_log, net  # noqa: E402
from harness.haproxy import Haproxy  # noqa: E402
from harness.load import Load, Origin  # noqa: E402
from harness.weir import Weir, config_of  # noqa: E402

PATHS = {"copy": ["copy"], "splice": ["splice"], "sockmap": ["sockmap"],
         "adaptive": ["sockmap", "splice", "copy"]}


def marked(cases, some, *marks):
    """CASES as parameters, of which SOME have the marks: the others differ from them little in
    what a sanitizer looks at, and take long there."""
    return [pytest.param(*case, marks=marks if case in some else ()) for case in cases]


def pytest_addoption(parser):
    parser.addoption("--proxy", choices=("weir", "haproxy"), default="weir",
                     help="haproxy: check the data-path tests themselves")


def pytest_configure(config):
    for line in ("asan: runs on build-asan, too", "tsan: runs on build-tsan, too",
                 "slow: takes more than ten seconds",
                 "alone: looks at the whole machine, so no other test may run beside it"):
        config.addinivalue_line("markers", line)


def pytest_generate_tests(metafunc):
    own = any("path" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "path" in metafunc.fixturenames and not own:
        metafunc.parametrize("path", PATHS, indirect=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """The daemons' logs belong to the report of a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed:
        for proxy in getattr(item, "proxies", []):
            try:
                report.sections.append((f"log of {proxy.name}", proxy.log()[-20000:]))
            except OSError:
                pass


def pytest_report_header():
    why = kernel_log.unreadable()
    return f"kernel log: not watched: {why}" if why else "kernel log: watched"


@pytest.fixture(scope="session")
def kernel_log_session():
    """None where the log cannot be read."""
    if kernel_log.unreadable():
        yield None
        return
    kernel_log.rewind()
    log = kernel_log.KernelLog()
    yield log
    log.close()


@pytest.fixture(autouse=True)
def quiet_kernel(kernel_log_session):
    """No test may make the kernel warn."""
    if kernel_log_session is None:
        yield
        return
    kernel_log_session.faults()
    yield
    faults = kernel_log_session.faults()
    assert not faults, "the kernel has warned:\n" + "\n".join(faults)


@pytest.fixture
def folder():
    """A short-named temporary folder."""
    path = tempfile.mkdtemp(prefix="weir-test-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def _starter(request, kind):
    request.node.proxies = []

    def start(config, **options):
        proxy = kind(config, **options)
        request.node.proxies.append(proxy)
        return proxy.start()

    yield start
    Load.end_all()
    failures = []
    for proxy in reversed(request.node.proxies):
        try:
            proxy.stop()
        except AssertionError as failure:
            failures.append(failure)
    if failures:
        raise failures[0]


@pytest.fixture
def weir(request):
    """Starts a daemon: weir(config, files=limit of descriptors, workers=2)."""
    if request.config.getoption("--proxy") != "weir":
        pytest.skip("needs weir: another proxy stands in")
    yield from _starter(request, Weir)


@pytest.fixture
def proxy(request):
    """The same for tests of the data path, which another proxy must pass, too."""
    yield from _starter(request, Weir if request.config.getoption("--proxy") == "weir" else Haproxy)


@pytest.fixture(scope="session")
def kernel_path(request):
    """"" when the kernel can carry flows here, else why not, in the daemon's own words."""
    if request.config.getoption("--proxy") != "weir":
        return "another proxy stands in"
    daemon = Weir(config_of(net.free_address(), "127.0.0.1:9"))
    try:
        daemon.start()
        status, kernel = daemon.api("GET", "/v1/kernel")
        offload = daemon.get("/v1/status")["offload"]
        if status != 200:
            return f"GET /v1/kernel says {status}"
        return "" if offload["available"] else offload["why"] or str(kernel)
    finally:
        daemon.stop()


@pytest.fixture
def path(request, kernel_path):
    """The paths that a listener is to allow. Every test of the data path runs on each."""
    if request.param in ("sockmap", "adaptive") and kernel_path:
        pytest.skip(f"needs bpf: {kernel_path}")
    return PATHS[request.param]


@pytest.fixture(scope="session")
def origin(tmp_path_factory):
    """The traffic tool's origin: addresses by kind."""
    folder = tempfile.mkdtemp(prefix="weir-test-")
    addresses = {"ipv4": net.free_address(), "ipv6": net.free_address("::1"),
                 "unix": f"unix:{folder}/origin.sock", "abstract": f"unix:@weir-test-{os.getpid()}"}
    server = Origin(tmp_path_factory.mktemp("origin") / "log", addresses.values())
    yield addresses
    counts = server.stop()
    shutil.rmtree(folder, ignore_errors=True)
    assert counts["bad"] == 0, counts


@pytest.fixture
def carried(proxy, path, origin):
    """The address of a proxy in front of the origin, on each path."""
    address = net.free_address()
    proxy(config_of(address, origin["ipv4"], path))
    return address


class Pair:
    """Both ends of a proxied connection in the test's hands."""

    def __init__(self, address, listener):
        self.address, self.listener = address, listener
        self.open = []

    def join(self):
        client = net.connect(self.address)
        self.open.append(client)
        server = self.listener.accept()[0]
        server.settimeout(20)
        self.open.append(server)
        return client, server

    def close(self):
        for sock in [*self.open, self.listener]:
            sock.close()


@pytest.fixture
def pair(proxy, path):
    """Call join() for (client, upstream): two sockets with a proxy between them."""
    listener = net.listen(net.free_address())
    address = net.free_address()
    daemon = proxy(config_of(address, "%s:%d" % listener.getsockname(), path))
    if daemon.name == "haproxy":  # it was asked whether it is there
        listener.accept()[0].close()
    it = Pair(address, listener)
    it.daemon = daemon
    yield it
    it.close()



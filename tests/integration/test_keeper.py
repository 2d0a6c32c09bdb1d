# SPDX-License-Identifier: MIT
"""The keeper: what it holds, whom it starts again and when not, and how it ends."""
import os
import signal
import subprocess
import sys

import pytest

from harness import build, load, net
from harness.process import Process, wait_for
from harness.weir import config_of

pytestmark = pytest.mark.asan
SLOWER = build.SLOWER
KEEPER = {"keeper": True, "options": ["--restarts", "0", "--backoff", "0"]}


@pytest.fixture
def kept(weir, origin):
    """A daemon under a keeper, and the address of its listener."""
    address = net.free_address()
    return weir(config_of(address, origin["ipv4"]), **KEEPER), address


def another(daemon, pid):
    """The process that has taken the place of PID."""
    def look():
        try:
            new = daemon.pid()
        except (OSError, AssertionError):
            return None
        return new if new != pid else None
    return wait_for(look, 20 * SLOWER, "another daemon")


def kill(daemon):
    pid = daemon.pid()
    os.kill(pid, signal.SIGKILL)
    return pid


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_starts_another_one(kept):
    daemon, address = kept
    pid = kill(daemon)
    another(daemon, pid)
    load.run("echo", address, "-c", 4, "-n", 40)
    daemon.wait_log("was ended by signal 9")


def test_nobody_reads_what_it_says(weir, origin):
    """It goes on, and so does the daemon that it starts, though its standard error is closed."""
    address = net.free_address()
    daemon = weir(config_of(address, origin["ipv4"]), **KEEPER,
                  wrap=("bash", "-c", 'exec "$@" 2> >(exit 0)', "bash"))
    another(daemon, kill(daemon))
    load.run("echo", address, "-c", 4, "-n", 40)


def test_nobody_is_refused(kept):
    """Connections that come while there is no daemon wait, and are served."""
    daemon, address = kept
    for _ in range(5):
        pid = kill(daemon)
        wait_for(lambda: not is_alive(pid), 10, "the end")
        load.run("echo", address, "-c", 20, "-n", 40)
        another(daemon, pid)


def test_unix_listener_survives(weir, origin, folder):
    address = f"unix:{folder}/in.sock"
    daemon = weir(config_of(address, origin["ipv4"]), **KEEPER)
    inode = os.stat(f"{folder}/in.sock").st_ino
    another(daemon, kill(daemon))
    assert os.stat(f"{folder}/in.sock").st_ino == inode
    load.run("echo", address, "-c", 4, "-n", 40)


def test_number_of_workers_changes(weir, origin):
    """The next one may have another number of workers, and so other sockets."""
    address = net.free_address()
    config = config_of(address, origin["ipv4"])
    daemon = weir({**config, "workers": 1}, **KEEPER)
    for workers in (3, 2, 1):
        daemon.write({**config, "workers": workers})
        another(daemon, kill(daemon))
        assert daemon.get("/v1/status")["workers"] == workers
        load.run("echo", address, "-c", 4, "-n", 40)


def test_signals_are_passed_on(kept, origin):
    daemon, address = kept
    other = net.free_address()
    daemon.write(config_of(other, origin["ipv4"]))
    daemon.process.send(signal.SIGHUP)
    wait_for(lambda: net.can_connect(other), 10 * SLOWER, "the new listener")
    wait_for(lambda: not net.can_connect(address), 10 * SLOWER, "the end of the old one")
    held = load.hold(other, 5)
    daemon.process.send(signal.SIGTERM)
    wait_for(lambda: not net.can_connect(other), 10 * SLOWER, "a closed listener")
    held.release()
    assert held.result()["good"] == 5
    assert daemon.process.wait(10 * SLOWER) == 0


def test_drain_is_the_end(kept):
    """After `weirctl drain` nothing starts again."""
    daemon, _ = kept
    daemon.ctl("drain")
    assert daemon.process.wait(10 * SLOWER) == 0


def test_a_mistake_is_an_exit_status(folder):
    """What cannot start at all is not started again."""
    path = os.path.join(folder, "weir.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write("listeners: 5\n")
    done = subprocess.run([build.program("weir"), "run", "-c", path], capture_output=True,
                          text=True, timeout=30, check=False)
    assert done.returncode == 1 and "weir.yaml:1" in done.stderr, done


def test_crash_loop(weir, origin):
    """It gives up after so many deaths in a row, with the status of the last one."""
    daemon = weir(config_of(net.free_address(), origin["ipv4"]), keeper=True,
                  options=["--restarts", "2"])
    daemon.expected = 128 + signal.SIGKILL
    for _ in range(2):
        another(daemon, kill(daemon))
    kill(daemon)
    assert daemon.process.wait(20 * SLOWER) == 128 + signal.SIGKILL
    assert "3 times in a row; given up" in daemon.log()


def test_the_keeper_dies(kept, origin):
    """The daemon drains, so that another keeper can start at once with the same addresses."""
    daemon, address = kept
    pid = daemon.pid()
    held = load.hold(address, 5)
    daemon.kill()
    wait_for(lambda: not net.can_connect(address), 10 * SLOWER, "a closed listener")
    again = type(daemon)(config_of(address, origin["ipv4"]), **KEEPER).start()
    try:
        load.run("echo", address, "-c", 4, "-n", 40)
        held.release()
        assert held.result()["good"] == 5
        wait_for(lambda: not is_alive(pid), 10 * SLOWER, "the end of the old daemon")
        load.run("echo", address, "-c", 4, "-n", 40)
    finally:
        again.stop()


def test_all_are_killed(kept, origin):
    daemon, address = kept
    pid = daemon.pid()
    daemon.kill()
    os.kill(pid, signal.SIGKILL)
    again = type(daemon)(config_of(address, origin["ipv4"]), **KEEPER).start()
    try:
        load.run("echo", address, "-c", 4, "-n", 40)
    finally:
        again.stop()


def test_socket_activation(folder, origin):
    """A service manager's sockets go through the keeper, and are there after a death."""
    listener = net.listen(net.free_address())
    address = "%s:%d" % listener.getsockname()
    path = os.path.join(folder, "weir.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"""listeners: [{{ name: in, address: "{address}", tcp: {{ to: out }} }}]
upstreams: [{{ name: out, endpoints: ["{origin['ipv4']}"] }}]
admin: {{ socket: {folder}/admin.sock }}
""")
    # LISTEN_PID is only known in the new process.
    start = (f"import os; os.dup2({listener.fileno()}, 3); "
             "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid())); "
             f"os.execv('{build.program('weir')}', ['weir', 'run', '-c', '{path}'])")
    listener.set_inheritable(True)
    child = subprocess.Popen([sys.executable, "-c", start], close_fds=False)
    listener.close()
    try:
        load.run("echo", address, "-c", 2, "-n", 10)
        pid = int(subprocess.run(["pgrep", "-P", str(child.pid)], capture_output=True, text=True,
                                 check=True).stdout.split()[0])
        os.kill(pid, signal.SIGKILL)
        load.run("echo", address, "-c", 2, "-n", 10)
    finally:
        child.terminate()
        assert child.wait(20 * SLOWER) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a PID namespace")
def test_first_process_of_a_container(folder, origin):
    """As pid 1 it reaps what is not its own, and ends on SIGTERM."""
    address = net.free_address()
    path = os.path.join(folder, "weir.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"""listeners: [{{ name: in, address: "{address}", tcp: {{ to: out }} }}]
upstreams: [{{ name: out, endpoints: ["{origin['ipv4']}"] }}]
admin: {{ socket: {folder}/admin.sock }}
""")
    process = Process(["unshare", "--pid", "--fork", "--kill-child", build.program("weir"), "run",
                       "-c", path], os.path.join(folder, "log"))

    def children(pid):
        done = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True,
                              check=False)
        return [int(line) for line in done.stdout.split()]

    try:
        wait_for(lambda: net.can_connect(address), 10 * SLOWER, "the listener")
        first = children(process.pid)[0]
        # An orphan of the namespace becomes its child; nobody waits for it but the first process.
        subprocess.run(["nsenter", "--target", str(first), "--pid", "sh", "-c",
                        "sh -c 'sleep 0.2 & exit 0'"], check=True)
        wait_for(lambda: len(children(first)) == 1, 10 * SLOWER, "the reaping of an orphan")
        os.kill(children(first)[0], signal.SIGKILL)
        load.run("echo", address, "-c", 2, "-n", 10)
        os.kill(first, signal.SIGTERM)
        assert process.wait(20 * SLOWER) == 0
    finally:
        process.kill()


@pytest.mark.parametrize("mistake", ("text", "address"))
def test_a_restart_that_fails(weir, origin, mistake):
    """A mistake that was made meanwhile: nothing is lost until somebody has mended it."""
    address, taken = net.free_address(), net.listen(net.free_address())
    config = config_of(address, origin["ipv4"])
    daemon = weir(config, keeper=True, options=["--restarts", "0", "--backoff", "200"])
    other = {"name": "other", "address": "%s:%d" % taken.getsockname(), "tcp": {"to": "out"}}
    wrong = {**config, "listeners": config["listeners"] + [other]}
    daemon.write("listeners: 5\n" if mistake == "text" else wrong)
    pid = kill(daemon)
    traffic = load.Load("echo", address, "-c", 4, "-n", 40)
    daemon.wait_log("the daemon has ended with status 1; another one starts")
    wait_for(lambda: daemon.log().count("ended with status 1") > 1, 20 * SLOWER, "more of it")
    daemon.write(config)
    another(daemon, pid)
    assert traffic.result()["failed"] == 0
    taken.close()

# SPDX-License-Identifier: MIT
"""The gdb script shows the stacks of parked tasks, of a process and of a core."""
import os
import re
import resource
import shutil
import signal
import subprocess
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("WEIR_BUILD", "build"))
SCRIPT = os.path.join(ROOT, "tools/gdb/weir.py")

SOURCE = """
#include <stdio.h>
#include <unistd.h>
#include <weir/error.h>
#include <weir/loop.h>
#include <weir/scope.h>
#include <weir/task.h>

static int inner_sleep(int n)
{
	volatile int guard = n;
	int status = weir_task_sleep_ms(60000);

	return status + guard;
}

static int sleeper(void *arg)
{
	return inner_sleep(*(int *)arg) + 1;
}

static int starter(void *arg)
{
	static int number = 7;
	struct weir_scope *scope = arg;

	(void)!weir_scope_spawn(scope, "sleeper", sleeper, &number, NULL);
	puts("started");
	fflush(stdout);
	return weir_task_sleep_ms(60000);
}

int main(void)
{
	struct weir_loop_conf conf = { 0 };
	struct weir_error error = { 0 };
	struct weir_loop *loop = weir_loop_new(&conf, &error);
	struct weir_scope root;

	weir_scope_init_root(&root, loop);
	(void)!weir_scope_spawn(&root, "starter", starter, &root, NULL);
	return weir_loop_run(loop);
}
"""


def gdb(*arguments):
    done = subprocess.run(["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off",
                           *arguments, "-ex", f"source {SCRIPT}", "-ex", "weir-tasks"],
                          capture_output=True, text=True, timeout=120, check=False)
    return done.stdout, done.stderr


def check(output, errors):
    assert re.search(r"^worker 0, thread 1$", output, re.M), output + errors
    task = re.search(r"^task sleeper 0x[0-9a-f]+ parked, waits for \w.* since [0-9.]+ s\n"
                     r"((?:    #.*\n)+)", output, re.M)
    assert task, output + errors
    frames = re.findall(r"#\d+ +(\S+)", task.group(1))
    at = [frames.index(name) for name in
          ("context_switch", "weir_task_park", "inner_sleep", "sleeper", "task_main")
          if name in frames]
    assert "inner_sleep" in frames and "sleeper" in frames, task.group(1)
    assert at == sorted(at), task.group(1)
    assert re.search(r"inner_sleep at .*program\.c:\d+", task.group(1)), task.group(1)
    assert re.search(r"^task starter ", output, re.M)


@pytest.fixture
def program(tmp_path):
    if not shutil.which("gdb"):
        pytest.skip("needs gdb: it is not installed")
    source = tmp_path / "program.c"
    source.write_text(SOURCE)
    binary = tmp_path / "program"
    libs = subprocess.run(["pkg-config", "--libs", "libuv", "openssl", "libbpf", "libelf", "zlib",
                           "libcares", "libcyaml", "jansson", "libsystemd"],
                          capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O0", "-g", "-Wl,--gc-sections",
                    "-I", os.path.join(ROOT, "userspace/include"), str(source), "-o", str(binary),
                    os.path.join(BUILD, "libweir.a"), *libs, "-l:libboost_context.a", "-lpthread",
                    "-lm"], check=True)
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    limit = unlimited if hard == resource.RLIM_INFINITY else (hard, hard)
    child = subprocess.Popen([str(binary)], stdout=subprocess.PIPE, text=True, cwd=tmp_path,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, limit))
    assert child.stdout.readline() == "started\n"
    time.sleep(0.2)
    yield child, binary, tmp_path
    child.kill()
    child.wait()


def test_tasks_of_a_process(program):
    child, _, _ = program
    output, errors = gdb("-p", str(child.pid))
    if "Operation not permitted" in errors or "ptrace:" in errors:
        pytest.skip("needs ptrace: not permitted here")
    check(output, errors)
    assert child.poll() is None


def test_tasks_of_a_core(program):
    # The kernel's core: gdb's own gcore leaves out mappings that have guard pages.
    child, binary, folder = program
    with open("/proc/sys/kernel/core_pattern", encoding="ascii") as file:
        pattern = file.read().strip()
    if not re.fullmatch(r"[\w.%-]+", pattern):
        pytest.skip(f"needs core files: kernel.core_pattern is {pattern}")
    child.send_signal(signal.SIGABRT)
    child.wait()
    cores = [name for name in os.listdir(folder) if name not in ("program", "program.c")]
    if not cores:
        pytest.skip("needs core files: none was written")
    check(*gdb(str(binary), str(folder / cores[0])))

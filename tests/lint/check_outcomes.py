#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The runner takes no failure for a pass, and says of each what its cause can be found by."""
import os
import sys
import tempfile

import tree

sys.path[:0] = [os.path.join(tree.ROOT, "tests"), os.path.join(tree.ROOT, "tests/integration")]

import outcomes  # noqa: E402
from harness import kernel_log  # noqa: E402

CMOCKA = """[==========] Running 3 test(s).
[ RUN      ] good
[       OK ] good
[ RUN      ] lacks
needs ipv6: no ::1 here
[  SKIPPED ] lacks
[ RUN      ] bad
[  ERROR   ] --- 0x3e8 != 0xc350
[   LINE   ] --- tests/unit/test_x.c:530: error: Failure!
[  FAILED  ] bad
"""
CRASH = """[ RUN      ] last
==12==ERROR: AddressSanitizer: heap-use-after-free on address 0x1
    #0 0x55 in free_it /somewhere/userspace/net/conn.c:12:3
SUMMARY: AddressSanitizer: heap-use-after-free /somewhere/userspace/net/conn.c:12:3 in free_it
"""
JUNIT = """<testsuites><testsuite>
<testcase classname="tests.test_x" name="good"/>
<testcase classname="tests.test_x" name="bad[copy]"><failure message="assert 1 == 2">
    def test_bad():
&gt;       assert 1 == 2
E       assert 1 == 2

tests/integration/test_x.py:7: AssertionError
</failure></testcase>
<testcase classname="tests.test_x" name="lacks"><skipped message="needs bpf: none"/></testcase>
</testsuite></testsuites>"""
VERBOSE = """[gw0] [  1%] PASSED tests/test_x.py::test_a[copy]
[gw1] [  2%] FAILED tests/test_x.py::test_b
tests/test_x.py::test_c[a b] PASSED   [  3%]
tests/test_x.py::test_d
"""
FUZZ = """INFO: Seed: 1
#7	INITED cov: 583
read: one
read: two
==13== ERROR: libFuzzer: deadly signal
    #7 0x55 in assert_same /somewhere/tests/unit/h1_rig.c:129:3
SUMMARY: libFuzzer: deadly signal
artifact_prefix='%s'; Test unit written to %s
"""
RECORDS = ["4,1,1109,-;------------[ cut here ]------------\n",
           "4,2,1110,-;WARNING: CPU: 1 PID: 41 at net/ipv4/af_inet.c:157 inet_sock_destruct+0x174\n",
           "4,3,1111,-;RAX: 0000000000000340 RBX: ffff8881f402c0c0\n",
           "4,4,1112,-; sk_psock_destroy+0x316/0x380\n",
           "4,5,1113,-;---[ end trace 0000000000000000 ]---\n",
           "6,6,1114,-;eth0: link is up\n SUBSYSTEM=net\n"]


class Log(kernel_log.KernelLog):
    def __init__(self):
        self.fd = None

    def records(self):
        return RECORDS


def fuzz():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "crash")
        with open(path, "wb") as file:
            file.write(b"GET")
        reason, lines = outcomes.fuzz(FUZZ % (folder, path), 77, 60)
    return reason, lines


def junit():
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
        file.write(JUNIT)
        file.flush()
        return list(outcomes.junit(file.name))


def main():
    problems = []

    def same(what, got, expected):
        if got != expected:
            problems.append(f"{what}: {got!r} instead of {expected!r}")

    line = "tests/unit/test_x.c:530: error: Failure!"
    same("cmocka", [t[:3] for t in outcomes.cmocka(CMOCKA, 1, 9)],
         [("good", "passed", ""), ("lacks", "skipped", "needs ipv6: no ::1 here"),
          ("bad", "failed", f"0x3e8 != 0xc350 {line}")])
    frame = "  in free_it, userspace/net/conn.c:12"
    last, = outcomes.cmocka(CRASH, 99, 9)
    same("a crash", last[:3], ("last", "failed", "exit status 99 while it ran"))
    same("a crash's lines", (last[3][0][:26], last[3][1]), ("ERROR: AddressSanitizer: h", frame))
    good = CMOCKA[:CMOCKA.index("[ RUN      ] lacks")]
    same("a signal after the tests", [t[:3] for t in outcomes.cmocka(good, -11, 9)],
         [("good", "passed", ""), ("(whole program)", "failed", "killed by SIGSEGV")])
    same("pytest", [t[1:3] for t in junit()],
         [("passed", ""), ("failed", "assert 1 == 2"), ("skipped", "needs bpf: none")])
    same("pytest's lines", junit()[1][3], [">       assert 1 == 2", "E       assert 1 == 2",
                                           "tests/integration/test_x.py:7: AssertionError"])
    same("pytest, unfinished", list(outcomes.unfinished(VERBOSE)),
         [("tests/test_x.py::test_a[copy]", "passed"), ("tests/test_x.py::test_b", "failed"),
          ("tests/test_x.py::test_c[a b]", "passed")])
    same("a harness", fuzz(), ("exit status 77: ERROR: libFuzzer: deadly signal",
                               ["read: one", "read: two", "ERROR: libFuzzer: deadly signal",
                                "  in assert_same, tests/unit/h1_rig.c:129",
                                "SUMMARY: libFuzzer: deadly signal", "input, base64: R0VU"]))
    same("the kernel's log", [text[:24] for text in Log().faults()],
         ["------------[ cut here ]", "WARNING: CPU: 1 PID: 41 ", " sk_psock_destroy+0x316/"])
    tree.finish(problems)


main()

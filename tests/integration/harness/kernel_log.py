# SPDX-License-Identifier: MIT
"""The kernel's log, watched from a point on. A proxy that makes the kernel warn is broken, however
well its bytes arrive."""
import os
import re
import subprocess
import sys

FAULT = re.compile(r"WARNING:|\bBUG\b|Oops|cut here|recvmsg seq|general protection|soft lockup")
FOLLOWING = 40  # lines that belong to a fault, at most
NOISE = re.compile(r"^(?:Code:|R[A-Z0-9]{2,3}:|[FC][SR]\w*:|\? | \? |Modules linked)")
# In a mount namespace of its own, so that debugfs appears for nobody else.
REWIND = """import ctypes
libc = ctypes.CDLL(None, use_errno=True)
MS_REC, MS_PRIVATE = 0x4000, 0x40000
assert libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) == 0
assert libc.mount(b"none", b"/sys/kernel/debug", b"debugfs", 0, None) == 0
open("/sys/kernel/debug/clear_warn_once", "w").write("1")
"""


def unreadable():
    """Why the log cannot be watched; "" when it can."""
    try:
        os.close(os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return f"/dev/kmsg: {error.strerror}"
    return ""


def rewind():
    """Most warnings come once a boot; the next one shall show again. Where that cannot be, the
    log is watched all the same."""
    with open(os.devnull, "w", encoding="ascii") as null:
        subprocess.run(["unshare", "--mount", sys.executable, "-c", REWIND], stderr=null,
                       check=False)


class KernelLog:
    """From now on."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        os.lseek(self.fd, 0, os.SEEK_END)

    def records(self):
        while True:
            try:
                yield os.read(self.fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return
            except BrokenPipeError:
                continue  # older ones were overwritten

    def faults(self):
        """What came since the last call and should not have, with what the kernel says of it."""
        lines, more = [], 0
        for record in self.records():
            text = record.split(";", 1)[-1].split("\n", 1)[0].rstrip()
            more = FOLLOWING if FAULT.search(text) else 0 if "end trace" in text else more - 1
            if more > 0 and not NOISE.search(text):
                lines.append(text)
        return lines

    def close(self):
        os.close(self.fd)

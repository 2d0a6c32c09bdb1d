# SPDX-License-Identifier: MIT
"""Child processes that end with the test, whatever happens to the test."""
import ctypes
import os
import resource
import signal
import subprocess
import time

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
SANITIZER_WORDS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:")


class Process:
    """A child in its own process group, its output in a file. `user` is for those programs that
    refuse to run as root; `files` is the limit of descriptors."""

    def __init__(self, argv, log, env=None, cwd=None, user=None, files=None, stdin=None):
        self.argv = [str(a) for a in argv]
        self.log_path = log
        as_user = {}
        if user and os.geteuid() == 0:
            as_user = {"user": user, "group": user, "extra_groups": []}

        def prepare():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

        with open(log, "ab") as out:
            self.child = subprocess.Popen(
                self.argv, stdin=stdin or subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd,
                env={**os.environ, **(env or {})}, start_new_session=True, preexec_fn=prepare,
                **as_user)

    @property
    def pid(self):
        return self.child.pid

    def is_running(self):
        return self.child.poll() is None

    def send(self, number):
        self.child.send_signal(number)

    def wait(self, seconds):
        return self.child.wait(timeout=seconds)

    def output(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def kill(self):
        """Ends the whole group, at once."""
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()

    def stop(self, seconds=10, number=signal.SIGTERM):
        """Asks it to end; the exit status. A process that does not end is killed and an error."""
        if self.is_running():
            self.child.send_signal(number)
            try:
                self.child.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"{self.argv[0]} did not end within {seconds} s of signal "
                                     f"{number}:\n{self.output()[-4000:]}") from None
        status = self.child.returncode
        self.kill()
        return status


def wait_for(question, seconds, what, every=0.02):
    """Asks until the answer is true; the answer."""
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(every)


def check_sanitizers(text):
    for word in SANITIZER_WORDS:
        at = text.find(word)
        if at >= 0:
            raise AssertionError("a sanitizer spoke:\n" + text[max(0, at - 200):at + 6000])

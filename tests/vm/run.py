#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs the tests of the kernel half on another kernel, in a virtual machine without hardware help.

    tests/vm/run.py [PACKAGE]       Debian's kernel package; the newest 6.1 cloud kernel by default
    tests/vm/run.py --kernel FILE   a bzImage of your own
    FLIP_FLOWS=1000 tests/vm/run.py ...  so many flows that change their paths (100)
    tests/vm/run.py ... -- verdict  these programs of tests/bpf only; carry:test_two_workers: this test

Fetches qemu and the kernel with `apt-get download` into build/vm and unpacks them there; nothing is
installed. The last line is `N passed, N failed, N skipped`; a kernel warning fails the run, and so
does a program that does not come to its end.
"""
import os
import re
import shutil
import subprocess
import sys
import threading

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(ROOT, "build", "vm")
PROGRAMS = ["decide", "pin", "verdict", "paths", "carry"]
SECONDS = 2400
PROGRAM_SECONDS = 900  # an emulated processor is some thirty times slower
# cmpxchg16b of qemu 7.2's emulation faults newer kernels.
MACHINE = ["-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max,-cx16", "-smp", "2", "-m", "2048",
           "-no-reboot", "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"]
APPEND = "console=ttyS0 quiet panic=-1 mitigations=off nokaslr random.trust_cpu=on tsc=reliable"
INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t sysfs none /sys
/bin/busybox mount -t devtmpfs none /dev
/bin/busybox mount -t tmpfs none /tmp
/bin/busybox ip link set lo up
export LD_LIBRARY_PATH=/lib FLIP_FLOWS={flows}
/bin/busybox uname -rv
for t in {programs}; do
	TEST=${{t#*:}}; [ "$TEST" = "$t" ] && unset TEST || export TEST
	/bin/busybox timeout {seconds} /test_${{t%%:*}} 2>&1
	echo "the program $t has ended with $?"
done
/bin/busybox dmesg | /bin/busybox grep -E 'WARNING:|BUG:|Oops|cut here|recvmsg seq'
echo the machine is done
/bin/busybox poweroff -f
"""


def say(*argv, **kw):
    return subprocess.run(argv, check=True, capture_output=True, text=True, **kw).stdout


def newest_kernel():
    names = re.findall(r"^(linux-image-6\.1\.\S*-cloud-\w+) ", say("apt-cache", "search", "linux-image-6.1"),
                       re.M)
    if not names:
        sys.exit("no linux-image-6.1.*-cloud package is known to apt")
    return max(names, key=lambda name: [int(n) for n in re.findall(r"\d+", name)])


def fetch(package, mark):
    """Unpack PACKAGE and what it needs and the host lacks into build/vm/root, once."""
    root = os.path.join(FOLDER, "root")
    done = os.path.join(FOLDER, mark)
    if os.path.exists(done):
        return root
    debs = os.path.join(FOLDER, "debs")
    shutil.rmtree(debs, ignore_errors=True)
    os.makedirs(debs)
    names = [package]
    if not package.startswith("linux-"):
        plan = say("apt-get", "-s", "install", "--no-install-recommends", *package.split())
        names = re.findall(r"^Inst (\S+)", plan, re.M)
    if names:
        say("apt-get", "download", *names, cwd=debs)
    for deb in os.listdir(debs):
        say("dpkg", "-x", os.path.join(debs, deb), root)
    shutil.rmtree(debs)
    with open(done, "w", encoding="utf-8"):
        pass
    return root


def which(root, name):
    for folder in ("usr/bin", "bin"):
        path = os.path.join(root, folder, name)
        if os.path.exists(path):
            return path
    return shutil.which(name) or sys.exit(f"{name} is missing")


def make_initrd(root, programs):
    tree = os.path.join(FOLDER, "initrd")
    shutil.rmtree(tree, ignore_errors=True)
    for folder in ("bin", "lib", "lib64", "proc", "sys", "dev", "tmp"):
        os.makedirs(os.path.join(tree, folder))
    shutil.copy(which(root, "busybox"), os.path.join(tree, "bin", "busybox"))
    for name in sorted({name.split(":")[0] for name in programs}):
        program = os.path.join(ROOT, "build/tests/bpf", "test_" + name)
        say("strip", "-o", os.path.join(tree, "test_" + name), program)
        for library in re.findall(r"=> (/\S+)", say("ldd", program)):
            shutil.copy(library, os.path.join(tree, "lib"))
        for loader in re.findall(r"^\s+(/lib64/\S+)", say("ldd", program), re.M):
            shutil.copy(loader, os.path.join(tree, "lib64"))
    with open(os.path.join(tree, "init"), "w", encoding="utf-8") as f:
        f.write(INIT.format(programs=" ".join(programs), seconds=PROGRAM_SECONDS,
                            flows=os.environ.get("FLIP_FLOWS", "100")))
    os.chmod(os.path.join(tree, "init"), 0o755)
    files = say("find", ".", cwd=tree)
    archive = os.path.join(FOLDER, "initrd.cpio")
    with open(archive, "wb") as f:
        subprocess.run([which(root, "cpio"), "-o", "-H", "newc", "--quiet"], cwd=tree, check=True,
                       input=files.encode(), stdout=f)
    return archive


def boot(root, kernel, initrd):
    libraries = {folder for folder, _, names in os.walk(root) if any(".so" in n for n in names)}
    argv = [which(root, "qemu-system-x86_64")]
    for folder in ("qemu", "seabios"):
        argv += ["-L", os.path.join(root, "usr/share", folder)]
    argv += [*MACHINE, "-kernel", kernel, "-initrd", initrd, "-append", APPEND]
    machine = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace",
                               env=dict(os.environ, LD_LIBRARY_PATH=":".join(sorted(libraries))))
    output = []
    timer = threading.Timer(SECONDS, machine.kill)
    timer.start()
    try:
        for line in machine.stdout:
            sys.stdout.write(line)
            output.append(line)
    finally:
        timer.cancel()
        machine.kill()
        machine.wait()
    return "".join(output)


def main():
    argv = sys.argv[1:]
    programs = argv[argv.index("--") + 1:] if "--" in argv else PROGRAMS
    argv = argv[:argv.index("--")] if "--" in argv else argv
    if argv[:1] in (["-h"], ["--help"]):
        print(__doc__.strip())
        return 0
    os.makedirs(FOLDER, exist_ok=True)
    root = fetch("qemu-system-x86 busybox-static cpio", "qemu.done")
    if argv[:1] == ["--kernel"]:
        kernel = argv[1]
    else:
        package = argv[0] if argv else newest_kernel()
        fetch(package, package + ".done")
        kernel = os.path.join(root, "boot", package.replace("linux-image-", "vmlinuz-"))
    output = boot(root, kernel, make_initrd(root, programs))
    count = {word: len(re.findall(rf"^\[ +{word} +\] test_\w+\s*$", output, re.M))
             for word in ("OK", "FAILED", "SKIPPED")}
    failed = count["FAILED"] // 2  # said once where it happens and once in the summary
    endings = dict(re.findall(r"^the program (\S+) has ended with (\d+)\s*$", output, re.M))
    for name in programs:
        if endings.get(name) != "0":
            print(f"{name} did not end well: {endings.get(name, 'it did not end')}")
            failed += not count["FAILED"]
    if "the machine is done" not in output:
        print("the machine did not come to its end")
        failed += 1
    if re.search(r"WARNING:|BUG:|Oops|cut here|recvmsg seq", output):
        print("the kernel warned")
        failed += 1
    print(f"{count['OK']} passed, {failed} failed, {count['SKIPPED']} skipped")
    return 1 if failed or not count["OK"] else 0


if __name__ == "__main__":
    sys.exit(main())

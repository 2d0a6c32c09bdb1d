# SPDX-License-Identifier: MIT
"""Tasks of a Weir process or core, for gdb.

    gdb -p PID -ex 'source weir.py' -ex weir-tasks
    gdb weir core -ex 'source weir.py' -ex weir-tasks

A parked task is no thread, so gdb does not know of it. Its registers lie where jump_fcontext()
pushed them. No register is written, which a core would not allow: an unwinder pretends instead
that the selected thread's innermost frame was called from where the task parked.
"""
import gdb
import gdb.unwinder

STATES = {0: "ready", 1: "running", 2: "parked", 3: "ended"}


def word(address):
    """The 8 bytes at ADDRESS."""
    data = gdb.selected_inferior().read_memory(address, 8)
    return int.from_bytes(bytes(data), "little")


def saved_x86_64(stack):
    """jump_fcontext() starts with `lea -SIZE(%rsp),%rsp`; SIZE differs between releases. The
    return address is above, the callee-saved registers are right below it."""
    code = bytes(gdb.selected_inferior().read_memory(
        int(gdb.parse_and_eval("(unsigned long)&jump_fcontext")), 16))
    if code[:4] == b"\xf3\x0f\x1e\xfa":  # endbr64
        code = code[4:]
    if code[:4] != b"\x48\x8d\x64\x24":
        raise gdb.GdbError("jump_fcontext() does not look as expected")
    top = stack + 256 - code[4]
    names = ("rip", "rbp", "rbx", "r15", "r14", "r13", "r12")
    saved = {name: word(top - 8 * i) for i, name in enumerate(names)}
    saved["rsp"] = top + 8
    return saved


def saved_aarch64(stack):
    """d8 to d15, x19 to x30, and the program counter."""
    saved = {f"x{19 + i}": word(stack + 0x40 + 8 * i) for i in range(12)}
    saved["pc"] = word(stack + 0xA0)
    saved["sp"] = stack + 0xB0
    return saved


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


class TaskUnwinder(gdb.unwinder.Unwinder):
    """Leads from the innermost frame of the selected thread to a task."""

    def __init__(self):
        super().__init__("weir-task")
        self.stack = None  # of the task that is shown
        self.sp = None  # of the thread's innermost frame

    def __call__(self, pending):
        arch = pending.architecture().name()
        is_x86 = "x86-64" in arch
        if self.stack is None or not (is_x86 or arch.startswith("aarch64")):
            return None
        sp_value = pending.read_register("rsp" if is_x86 else "sp")
        if int(sp_value.cast(ULONG())) != self.sp:
            return None
        saved = saved_x86_64(self.stack) if is_x86 else saved_aarch64(self.stack)
        # Younger than what it leads to, or gdb takes the stack for corrupt.
        info = pending.create_unwind_info(FrameId(gdb.Value(self.stack), gdb.Value(0)))
        for name, value in saved.items():
            kind = pending.read_register(name).type
            info.add_saved_register(name, gdb.Value(value).cast(ULONG()).cast(kind))
        return info


def ULONG():
    return gdb.lookup_type("unsigned long")


UNWINDER = TaskUnwinder()
gdb.unwinder.register_unwinder(None, UNWINDER, replace=True)


def frames_of_thread():
    frame = gdb.newest_frame()
    while frame is not None:
        yield frame
        frame = frame.older()


def frames_of_task(task):
    """The frames of a task that does not run."""
    UNWINDER.stack = None
    gdb.invalidate_cached_frames()
    register = "rsp" if "x86-64" in gdb.newest_frame().architecture().name() else "sp"
    UNWINDER.sp = int(gdb.newest_frame().read_register(register).cast(ULONG()))
    UNWINDER.stack = int(task["context"]["resume"].cast(ULONG()))
    gdb.invalidate_cached_frames()
    try:
        frames = frames_of_thread()
        next(frames)  # the thread's own
        yield from frames
    finally:
        UNWINDER.stack = None
        gdb.invalidate_cached_frames()


def describe(frame):
    name = frame.name() or f"0x{frame.pc():x}"
    place = frame.find_sal()
    if place.symtab is None:
        return name
    return f"{name} at {place.symtab.filename}:{place.line}"


def tasks_of(loop):
    """Every task that lives on LOOP."""
    kind = gdb.lookup_type("struct weir_task")
    offset = next(field.bitpos // 8 for field in kind.fields() if field.name == "all_link")
    head = loop["tasks"].address
    link = loop["tasks"]["next"]
    while link != head:
        yield gdb.Value(int(link.cast(ULONG())) - offset).cast(kind.pointer())
        link = link["next"]


def loop_of_thread():
    """What this thread runs; None when it is no worker."""
    for name in ("'userspace/core/task.c'::current_loop", "'task.c'::current_loop",
                 "current_loop"):
        try:
            loop = gdb.parse_and_eval(name)
        except gdb.error:
            continue
        return loop if int(loop.cast(ULONG())) else None
    return None


def text_of(pointer):
    return pointer.string(errors="replace") if int(pointer.cast(ULONG())) else "-"


def print_task(loop, task, has_stacks):
    state = STATES.get(int(task["state"]), "?")
    line = f"task {text_of(task['name'])} {int(task.cast(ULONG())):#x} {state}"
    if state == "parked":
        seconds = (int(loop["now"]) - int(task["since"])) / 1e9
        line += f", waits for {text_of(task['what'])} since {max(seconds, 0):.3f} s"
    print(line)
    if not has_stacks:
        return
    if loop["running"] == task:
        frames = frames_of_thread()
    else:
        frames = frames_of_task(task)
    for level, frame in enumerate(frames):
        print(f"    #{level:<2} {describe(frame)}")


class WeirTasks(gdb.Command):
    """weir-tasks [-n] [LOOP]: the tasks of every worker and their stacks.

-n leaves the stacks out. LOOP is an expression that yields a struct weir_loop *, for when
the threads' own storage cannot be read (a core without libthread_db)."""

    def __init__(self):
        super().__init__("weir-tasks", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        has_stacks = "-n" not in words
        words = [word for word in words if word != "-n"]
        if words:
            self.show(gdb.parse_and_eval(" ".join(words)), has_stacks)
            return
        before = gdb.selected_thread()
        if before is None:
            raise gdb.GdbError("there is no process and no core")
        found = 0
        for thread in sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.num):
            thread.switch()
            loop = loop_of_thread()
            if loop is not None:
                print(f"worker {int(loop['index'])}, thread {thread.num}")
                self.show(loop, has_stacks)
                found += 1
        before.switch()
        if not found:
            raise gdb.GdbError("no thread runs a loop of Weir, or its storage cannot be read")

    @staticmethod
    def show(loop, has_stacks):
        for task in tasks_of(loop.dereference()):
            print_task(loop.dereference(), task, has_stacks)


WeirTasks()

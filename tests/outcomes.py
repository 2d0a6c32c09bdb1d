# SPDX-License-Identifier: MIT
"""What programs say of their tests, read: each outcome with its reason and, of a failure, with those
few lines of the output that the cause can be found by."""
import base64
import gzip
import os
import re
import signal
import xml.etree.ElementTree as ET

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LINES = 14  # decisive ones of one failure
WIDTH = 240
INPUT_BYTES = 3000  # of a fuzz harness, packed

SANITIZER = re.compile(r"runtime error:|(?:ERROR|WARNING|SUMMARY): \w*(?:Sanitizer|libFuzzer)")
# A frame of ours in a sanitizer's stack: function, file:line.
FRAME = re.compile(r"^ *#\d+ (?:0x[0-9a-f]+ in )?(\S+) .*?((?:bpf|userspace|tools|tests)/[\w/]+\.[ch]:\d+)")


def ending(status, seconds):
    """How a program ended that ran with this limit; None: it ran out of time."""
    if status is None:
        return f"ran out of time ({seconds} s)"
    if status < 0:
        return f"killed by {signal.Signals(-status).name}"
    return f"exit status {status}"


def last(output, count=LINES):
    return [line.rstrip()[:WIDTH] for line in output.splitlines() if line.strip()][-count:]


def first(lines, count=LINES):
    return [line.rstrip()[:WIDTH] for line in lines if line.strip()][:count]


def complaints(output):
    """What went wrong of a long output, if that can be told."""
    return "\n".join(re.findall(r"^.*(?:error|undefined reference|\*\*\*).*$", output, re.M)) or output


def reports(output):
    """What sanitizers report: their first and last lines, and where it was in our code."""
    lines, frames = [], 0
    for line in output.splitlines():
        frame = FRAME.match(line)
        if SANITIZER.search(line):
            lines.append(re.sub(r"^=+\d+=+ *", "", line.strip()))
            frames = 0
        elif frame and lines and frames < 6:
            lines.append("  in %s, %s" % frame.groups())
            frames += 1
    return first(lines)


# ---- cmocka ----

CMOCKA = re.compile(r"^\[\s*(RUN|OK|FAILED|SKIPPED|ERROR|LINE|PASSED|=+)\s*\] ?(?:--- )?(.*)$")


def cmocka(output, status, seconds):
    """Yield (test, outcome, reason, lines) from cmocka's own output, which it flushes line by line,
    so that a crash is told of the test that was running."""
    running, said, error, failed = None, [], "", False
    for line in output.splitlines():
        match = CMOCKA.match(line)
        word, text = match.groups() if match else (None, line.strip())
        if word == "RUN":
            running, said, error = text, [], ""
        elif word in ("ERROR", "LINE") and text:
            error = f"{error} {text}".strip()
            said.append(line)
        elif running and word in ("OK", "FAILED", "SKIPPED") and text == running:
            if word == "OK":
                yield running, "passed", "", []
            elif word == "SKIPPED":
                yield running, "skipped", (said or ["no reason given"])[-1], []
            else:
                failed = True
                yield (running, "failed", error or (said or ["see the log"])[-1],
                       last("\n".join(said)))
            running = None
        elif word is None and text:
            said.append(text)
    if running:
        yield (running, "failed", f"{ending(status, seconds)} while it ran",
               reports(output) or last("\n".join(said)))
    elif status != 0 and not failed:
        yield "(whole program)", "failed", ending(status, seconds), reports(output) or last(output)


# ---- pytest ----


def junit(path):
    """Yield (test, outcome, reason, lines) of what pytest has written down."""
    for case in ET.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname', '').split('.')[-1]}: {case.get('name')}"
        outcome, reason, lines = "passed", "", []
        for child in case:
            if child.tag in ("failure", "error"):
                outcome, reason = "failed", child.get("message") or ""
                lines = traceback(child.text or "")
            elif child.tag == "skipped" and outcome == "passed":
                outcome, reason = "skipped", child.get("message") or ""
        yield name, outcome, reason, lines


def traceback(text):
    """The lines that ask, what they say, and where; a sanitizer's report goes before all."""
    kept = [line for line in text.splitlines() if re.match(r"(?:E|>) |\S+\.py:\d+: ", line)]
    return (reports(re.sub(r"(?m)^E? *", "", text)) + last("\n".join(kept)))[-LINES - 6:]


VERBOSE = re.compile(r"^(?:\[gw\d+\] \[ *\d+%\] (?P<word>[A-Z]+) (?P<name>\S+::.*?)|"
                     r"(?P<name_>\S+::.*?) (?P<word_>[A-Z]+) +\[ *\d+%\])\s*$", re.M)
WORDS = {"PASSED": "passed", "FAILED": "failed", "ERROR": "failed"}


def unfinished(output):
    """Yield (test, outcome) of a run of pytest that did not come to its end."""
    for match in VERBOSE.finditer(output):
        word = match["word"] or match["word_"]
        if word in WORDS:
            yield match["name"] or match["name_"], WORDS[word]


# ---- libFuzzer ----


def packed(path):
    """The input that a harness failed with, as text that makes it again."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        return f"input: {error}"
    if len(data) <= 300:
        return f"input, base64: {base64.b64encode(data).decode()}"
    small = gzip.compress(data, 9, mtime=0)
    if len(small) <= INPUT_BYTES:
        return f"input, base64 of gzip: {base64.b64encode(small).decode()}"
    return f"input: {len(data)} bytes in {path}"


def fuzz(output, status, seconds):
    """(reason, lines) of a harness that has failed: what it said last, the report, the input."""
    before, found, _ = re.sub(r"(?m)^(?:#\d+|INFO:|\tNEW_FUNC|MS:| MS:).*\n", "",
                              output).partition("ERROR: ")
    said = last(before.rpartition("\n")[0], 10) if found else []
    report = reports(output) or ([] if found else last(output))
    asserted = [line for line in said if "Assertion" in line]
    where = re.search(r"Test unit written to (\S+)", output)
    reason = ": ".join([ending(status, seconds), *(asserted or report)[:1]])
    inputs = [packed(os.path.join(ROOT, where.group(1)))] if where else []
    return reason, said + report + inputs

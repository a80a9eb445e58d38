# SPDX-License-Identifier: Apache-2.0
"""Where things lie, how many jobs to use, and how commands are run."""

import os
import pathlib
import shutil
import signal
import subprocess

SOURCE = pathlib.Path(__file__).resolve().parents[3]
BUILD = SOURCE / "build"
LOGS = BUILD / "logs"
JOBS = int(os.environ.get("MORTISE_JOBS", 0)) or os.cpu_count() or 1

IS_ROOT = os.geteuid() == 0
# Tests that need root get it by sudo where we have none; without either they skip themselves.
HAS_SUDO = not IS_ROOT and shutil.which("sudo") is not None


class Outcome:
    """A finished command: `code` is None if it was killed at its deadline."""

    def __init__(self, code, log):
        self.code = code
        self.log = log

    @property
    def ok(self):
        return self.code == 0

    @property
    def why(self):
        if self.code is None:
            return "killed at its deadline"
        if self.code < 0:
            return f"killed by {signal.Signals(-self.code).name}"
        return f"exit code {self.code}"


# Gets what the others leave. Where the kernel groups processes by session, niceness counts inside of a session only.
BESIDE = ("sh", "-c", '{ echo 19 >/proc/self/autogroup; } 2>/dev/null; exec nice -n 19 "$@"', "sh")


def run(command, deadline=600, env=None, cwd=SOURCE):
    """Runs a command without input in a session of its own; what it prints becomes the log."""
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, cwd=cwd, env={**os.environ, **(env or {})},
                               start_new_session=True)
    try:
        out, _ = process.communicate(timeout=deadline)
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate()
        code = None
    return Outcome(code, out.decode(errors="replace"))


def keep_log(name, text):
    LOGS.mkdir(parents=True, exist_ok=True)
    (LOGS / (name.replace("/", "-") + ".log")).write_text(text)

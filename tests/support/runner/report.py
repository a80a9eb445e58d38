# SPDX-License-Identifier: Apache-2.0
"""What the tests came to: every verdict by name, and the closing lines."""

import fnmatch
import sys
import time

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


class Report:
    """Collects verdicts. A failure keeps the end of its log."""

    def __init__(self, pattern):
        self.pattern = pattern.lower()
        self.verdicts = []  # (verdict, name, detail, log)
        self.started = time.monotonic()

    def wants(self, name):
        """Whether the pattern of the command line, a part of a name or a glob, takes in this name."""
        name = name.lower()
        return self.pattern in name or fnmatch.fnmatchcase(name, self.pattern)

    def stage(self, text):
        print(f"== {text} ({time.monotonic() - self.started:.0f} s)", flush=True)

    def add(self, verdict, name, detail="", log=""):
        self.verdicts.append((verdict, name, detail, log))
        if verdict == FAILED:
            print(f"failed {name}: {detail}", flush=True)

    def count(self, verdict):
        return sum(1 for each in self.verdicts if each[0] == verdict)

    def close(self):
        """Prints skips with reasons, failures with the ends of their logs, and the closing line: the exit code."""
        print()
        for verdict, name, detail, _ in self.verdicts:
            if verdict == SKIPPED:
                print(f"skipped {name}: {detail}")
        for verdict, name, detail, log in self.verdicts:
            if verdict == FAILED:
                print(f"\nFAILED {name}: {detail}")
                for line in tail(log, 40):
                    print(f"    {line}")
        if not self.verdicts:
            print(f"no test has a name like '{self.pattern}'")
        print(f"\n{self.count(PASSED)} passed, {self.count(FAILED)} failed, {self.count(SKIPPED)} skipped")
        sys.stdout.flush()
        return 0 if self.verdicts and self.count(FAILED) == 0 else 1


def tail(text, lines):
    all_lines = text.rstrip().splitlines()
    return ([f"... {len(all_lines) - lines} lines before"] if len(all_lines) > lines else []) + all_lines[-lines:]

# SPDX-License-Identifier: Apache-2.0
"""tests/run [--ci] [PATTERN]: see docs/testing.md. Here is the order of things, cheapest first."""

import argparse
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(TESTS / "lint"), str(TESTS / "guest")]  # lists.py knows the suites

from builds import BUILDS, Ahead
from checks import run_checks
from consume import run_consumers
from fuzz import run_fuzz
from guest import run_guest
from place import HAS_SUDO, IS_ROOT, SOURCE, run
from programs import run_programs
from report import FAILED, Report
from style import run_style
from suites import run_suites


def run_lint(report):
    """tests/lint prints a record for each rule, as the suites do: verdict, name, and details below it."""
    outcome = run([sys.executable, "-B", SOURCE / "tests/lint/lint.py", "--records"])
    records = [line.split("\t") for line in outcome.log.splitlines() if line.count("\t") == 2]
    for verdict, name, detail in records:
        if report.wants(f"lint/{name}"):
            report.add(verdict, f"lint/{name}", "see the lines" if verdict == FAILED else detail,
                       detail.replace("; ", "\n"))
    if not records:
        report.add(FAILED, "lint", outcome.why, outcome.log)


def main():
    parser = argparse.ArgumentParser(prog="tests/run", description="Builds and runs the tests.")
    parser.add_argument("--ci", action="store_true", help="clang-format and clang-tidy as well")
    parser.add_argument("pattern", nargs="?", default="", help="part of a test's name, or a glob")
    options = parser.parse_args()
    report = Report(options.pattern)
    if not IS_ROOT:
        print("not root: what needs root " + ("is run by sudo" if HAS_SUDO else "skips itself"))

    run_lint(report)
    ahead = Ahead()
    for build, after in zip(BUILDS, (*BUILDS[1:], None)):
        ahead.wait()
        run_programs(build, report)
        run_suites(build, report, ahead, after)
        if build.name == "gcc":
            run_checks(report)
            run_consumers(report)
            run_fuzz(report)
            run_guest(report)
    ahead.wait()
    if options.ci:
        run_style(report)
    return report.close()


sys.exit(main())

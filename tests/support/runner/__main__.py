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
from programs import chosen_programs, program_targets, run_programs
from report import FAILED, Report
from style import run_format, start_tidy
from suites import build_suites, chosen_suites, run_suites, suite_targets


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


def targets_of(build, report):
    return [*program_targets(build, chosen_programs(build, report)).values(),
            *suite_targets(build, chosen_suites(build, report)).values()]


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
    finish_tidy = None
    for build in BUILDS:
        ahead.wait(build)
        run_programs(build, report)
        built = build_suites(build, report)
        if build is BUILDS[0]:
            for later in BUILDS[1:]:
                if chosen_programs(later, report) or chosen_suites(later, report):
                    ahead.compile(later, lambda build: targets_of(build, report))
            if options.ci:
                finish_tidy = start_tidy(report, ahead)
        run_suites(build, built, report)
        if build.name == "gcc":
            run_checks(report)
            run_consumers(report)
            run_fuzz(report)
            run_guest(report)
    if options.ci:
        run_format(report)
        finish_tidy()
    return report.close()


sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""tests/guest/run: see docs/testing.md."""

import argparse
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "support/runner"), str(TESTS / "lint")]

from guest import run_guest
from report import Report


def main():
    parser = argparse.ArgumentParser(prog="tests/guest/run", description="Runs kernel-facing tests on another kernel.")
    parser.add_argument("--kernel", type=pathlib.Path, help="a bzImage; without, Debian's cloud kernel is fetched")
    parser.add_argument("--modules", type=pathlib.Path, help="its lib/modules/VERSION, where it needs modules")
    parser.add_argument("pattern", nargs="?", default="", help="part of a test's name, or a glob")
    options = parser.parse_args()
    report = Report(options.pattern)
    run_guest(report, options.kernel, options.modules)
    return report.close()


sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""benchmarks/run: see docs/benchmarks.md."""

import argparse
import json
import pathlib
import signal
import sys

import build_cost
import first_byte
import launch
import machine
import provision
import pull
import unpack
from place import Missing
from report import Report

BENCHMARKS = {"launch": launch.run, "provision": provision.run, "unpack": unpack.run, "pull": pull.run,
              "first_byte": first_byte.run, "build_cost": build_cost.run}


def main():
    parser = argparse.ArgumentParser(prog="benchmarks/run", description="Measures mortise beside its floor and peers.")
    parser.add_argument("which", choices=[*BENCHMARKS, "all"])
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that it runs, not to quote")
    parser.add_argument("--json", type=pathlib.Path, help="writes the figures to this file too")
    options = parser.parse_args()
    # The default would end us without a clean-up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))

    report = Report()
    before = machine.facts()
    for name in BENCHMARKS if options.which == "all" else [options.which]:
        try:
            BENCHMARKS[name](options.quick, report)
        except Missing as why:
            report.skip(name, str(why))
    report.table("Machine", ["", ""], [[key, value] for key, value in machine.since(before).items()])
    print(report.markdown())
    if options.json:
        options.json.write_text(json.dumps(report.data(), indent=1) + "\n")
    return 1 if report.skipped else 0


sys.exit(main())

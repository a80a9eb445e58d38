# SPDX-License-Identifier: Apache-2.0
"""clang-format over all sources, and clang-tidy over the headers by way of what includes them."""

import concurrent.futures
import json
import time

from builds import BUILDS, set_up
from place import JOBS, SOURCE, keep_log, run
from report import FAILED, PASSED, SKIPPED

FOLDERS = ("include", "tests", "examples", "benchmarks")
TIDY_SECONDS = 480


def run_style(report):
    run_format(report)
    run_tidy(report)


def run_format(report):
    sources = sorted(path for folder in FOLDERS for path in (SOURCE / folder).rglob("*")
                     if path.suffix in (".hpp", ".cpp", ".h", ".c"))
    sources = [path for path in sources if report.wants(f"format/{path.relative_to(SOURCE)}")]
    if not sources:
        return
    report.stage(f"clang-format {len(sources)} sources")
    for path in sources:
        outcome = run(["clang-format-19", "--dry-run", "-Werror", path])
        report.add(PASSED if outcome.ok else FAILED, f"format/{path.relative_to(SOURCE)}",
                   "" if outcome.ok else f"run clang-format-19 -i {path.relative_to(SOURCE)}", outcome.log)


def run_tidy(report):
    """The ODR program sees every header, the examples see them put to use. A time-box ends what takes too long."""
    build = next(build for build in BUILDS if build.name == "asan")
    if (failure := set_up(build)) is not None:
        report.add(FAILED, "tidy/configure", failure.why, failure.log)
        return
    commands = json.loads((build.directory / "compile_commands.json").read_text())
    wanted = ("../../tests/odr/first.cpp", "../../examples/")
    units = sorted({each["file"] for each in commands if each["file"].startswith(wanted)}, reverse=True)
    units = [unit for unit in units if report.wants(f"tidy/{unit.rsplit('/', 1)[1]}")]
    if not units:
        return
    report.stage(f"clang-tidy {len(units)} translation units")
    end = time.monotonic() + TIDY_SECONDS
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for unit, outcome in zip(units, pool.map(lambda unit: tidy(build, unit, end), units)):
            name = f"tidy/{unit.rsplit('/', 1)[1]}"
            if outcome is None or outcome.code is None:
                report.add(SKIPPED, name, f"out of the {TIDY_SECONDS} seconds that clang-tidy has")
                continue
            keep_log(name, outcome.log)
            report.add(PASSED if outcome.ok else FAILED, name, outcome.why, outcome.log)


def tidy(build, unit, end):
    left = end - time.monotonic()
    if left < 1:
        return None
    return run(["clang-tidy-19", "--quiet", "-p", build.directory, "--warnings-as-errors=*", unit], deadline=left,
               cwd=build.directory)

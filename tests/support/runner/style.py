# SPDX-License-Identifier: Apache-2.0
"""clang-format over all sources, and clang-tidy over the headers by way of what includes them."""

import concurrent.futures
import json
import time

from builds import BUILDS, set_up
from place import BESIDE, JOBS, SOURCE, keep_log, run
from report import FAILED, PASSED, SKIPPED

FOLDERS = ("include", "tests", "examples", "benchmarks")
TIDY_SECONDS = 1200
ALL_HEADERS = "../../tests/odr/first.cpp"
# A third of the time that clang-tidy takes: asked of every header once, and not again wherever it is included.
COSTLY = "performance-unnecessary-value-param"


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


def start_tidy(report, ahead):
    """The ODR program sees every header, the examples see them put to use. A time-box ends what takes too long."""
    units = ["first.cpp", *(path.name for path in (SOURCE / "examples").rglob("*.cpp"))]
    if not any(report.wants(f"tidy/{name}") for name in units):
        return lambda: None
    tidied = ahead.start(tidy_all, report)
    return lambda: report_tidy(tidied, report)


def report_tidy(tidied, report):
    report.stage("clang-tidy: waiting for its end")
    for name, outcome in tidied.result():
        if outcome is None or outcome.code is None:
            report.add(SKIPPED, name, f"out of the {TIDY_SECONDS} seconds that clang-tidy has")
            continue
        keep_log(name, outcome.log)
        report.add(PASSED if outcome.ok else FAILED, name, outcome.why, outcome.log)


def tidy_all(report):
    build = next(build for build in BUILDS if build.name == "asan")
    if (failure := set_up(build)) is not None:
        return [("tidy/configure", failure)]
    commands = json.loads((build.directory / "compile_commands.json").read_text())
    wanted = (ALL_HEADERS, "../../examples/")
    units = sorted({each["file"] for each in commands if each["file"].startswith(wanted)}, reverse=True)
    names = {unit: f"tidy/{unit.rsplit('/', 1)[1]}" for unit in units}
    units = [unit for unit in units if report.wants(names[unit])]
    end = time.monotonic() + TIDY_SECONDS
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        return list(zip((names[unit] for unit in units), pool.map(lambda unit: tidy(build, unit, end), units)))


def tidy(build, unit, end):
    left = end - time.monotonic()
    if left < 1:
        return None
    checks = [] if unit == ALL_HEADERS else [f"--checks=-{COSTLY}"]
    return run([*BESIDE, "clang-tidy-19", "--quiet", "-p", build.directory, "--warnings-as-errors=*", *checks, unit],
               deadline=left, cwd=build.directory)

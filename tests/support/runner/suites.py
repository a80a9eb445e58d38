# SPDX-License-Identifier: Apache-2.0
"""Running the doctest suites, as root and what is pure as nobody too, one verdict for each case."""

import pathlib
import re
import shutil
import tempfile

import lists
from builds import compile_targets, executables, set_up
from place import HAS_SUDO, IS_ROOT, JOBS, SOURCE, keep_log, run
from programs import build_examples
from report import FAILED, PASSED, SKIPPED

# Suites that need no privileges at all. In other suites the cases marked
# `* doctest::test_suite("unprivileged")` run as nobody as well.
UNPRIVILEGED = ("base", "model", "detail")
DEADLINE = {"gcc": 900, "asan": 1500, "tsan": 1500}


def build_suites(build, report):
    """Builds those of a build that the pattern takes in; returns, by name, the target and the arguments of each."""
    chosen = chosen_suites(build, report)
    if not chosen:
        return {}
    report.stage(f"build {build.name}: {' '.join(chosen)}")
    failure = set_up(build)
    if failure is not None:
        report.add(FAILED, f"{build.name}/configure", failure.why, failure.log)
        return {}
    targets = suite_targets(build, chosen)
    for name in chosen.keys() - targets.keys():
        report.add(SKIPPED, f"{build.name}/{name}", "a component that it needs is off, see meson's summary")
    failed = compile_targets(build, list(targets.values()))
    if not build.suites and any(mentions(name, "built_program(") for name in chosen):
        build_examples(build)
    for target, outcome in failed.items():
        report.add(FAILED, f"{build.name}/build {target}", outcome.why, outcome.log)
        keep_log(f"{build.name}/build {target}", outcome.log)
    return {name: (target, chosen[name]) for name, target in targets.items() if target not in failed}


def run_suites(build, built, report):
    for name, (target, arguments) in built.items():
        run_program(build, name, target, arguments, report)


def suite_targets(build, chosen):
    targets = executables(build, "tests")
    return {name: targets[name] for name in chosen if name in targets}


def chosen_suites(build, report):
    """doctest's arguments by suite, for those of a build that the pattern takes in."""
    names = build.suites or (*lists.suites(), "odr")
    return {name: arguments for name in names if (arguments := choose(report, build, name)) is not None}


def run_program(build, name, target, arguments, report):
    if name == "odr":
        outcome = run([build.directory / target], env=build.env)
        report.add(PASSED if outcome.ok else FAILED, f"{build.name}/odr", outcome.why, outcome.log)
        return
    run_suite(build, name, target, arguments, report)
    if build.name == "gcc":
        run_as_nobody(build, name, target, arguments, report)


def choose(report, build, suite):
    """doctest's arguments for the part of a suite that the pattern takes in; None if it takes in nothing."""
    if report.wants(f"{build.name}/{suite}") or report.pattern == "":
        return []
    if suite == "odr":
        return None
    files = test_files(suite)
    by_path = [path for path in files if report.wants(str(path.relative_to(SOURCE)))]
    if by_path:
        return ["--source-file=" + ",".join(f"*{path.relative_to(SOURCE)}" for path in by_path)]
    titles = [title for path in files for title in re.findall(r'TEST_CASE\w*\(\s*"([^"]*)"', path.read_text())]
    if any(report.wants(f"{build.name}/{suite}: {title}") for title in titles):
        return ["--test-case=*" + report.pattern.replace(",", "\\,") + "*"]
    return None


def run_suite(build, name, target, arguments, report):
    report.stage(f"run {build.name}/{name}")
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        env = {**build.env, "MORTISE_TEST_RESULTS": str(scratch / "results")}
        prefix = ["sudo", "env", *(f"{key}={value}" for key, value in env.items())] if HAS_SUDO else []
        outcome = run([*prefix, build.directory / target, *arguments], deadline=DEADLINE[build.name], env=env)
        collect(f"{build.name}/{name}", scratch / "results", outcome, report)


def run_as_nobody(build, name, target, arguments, report):
    """Runs a copy, since nobody may not reach a checkout in somebody's home."""
    if not IS_ROOT:
        return
    if name not in UNPRIVILEGED:
        if not mentions(name, 'test_suite("unprivileged")'):
            return
        arguments = [*arguments, "--test-suite=unprivileged"]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        shutil.copy(build.directory / target, scratch / name)
        results = scratch / "results"
        results.touch()
        results.chmod(0o666)
        scratch.chmod(0o755)
        env = {**build.env, "MORTISE_TEST_RESULTS": str(results), "MORTISE_BUILD_DIRECTORY": str(build.directory),
               "HOME": "/", "TMPDIR": "/tmp"}
        outcome = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all",
                       "--bounding-set=-all", scratch / name, *arguments], deadline=DEADLINE[build.name], env=env,
                      cwd="/")
        collect(f"{build.name} as nobody/{name}", results, outcome, report)


def mentions(suite, text):
    return any(text in path.read_text() for path in test_files(suite))


def test_files(suite):
    names = lists.concurrent() if suite == "concurrent" else lists.suites().get(suite, [])
    return [SOURCE / "tests" / name for name in names]


def collect(prefix, results, outcome, report):
    """Takes over the records of reporter.hpp. What began and has no verdict died on the way."""
    keep_log(prefix, outcome.log)
    open_case, ended, failures = None, False, 0
    for line in results.read_text(errors="replace").splitlines() if results.exists() else []:
        verdict, name, detail = (line.split("\t") + ["", ""])[:3]
        if verdict == "begin":
            open_case = name
        elif verdict == "end":
            ended = True
        else:
            failures += verdict == FAILED
            report.add(verdict, f"{prefix}: {name}", detail, part_of(outcome.log, name) if verdict == FAILED else "")
            open_case = None
    if open_case is not None:
        report.add(FAILED, f"{prefix}: {open_case}", f"did not return: {outcome.why}", outcome.log)
    elif not ended:
        report.add(FAILED, prefix, f"ended early: {outcome.why}", outcome.log)
    elif not outcome.ok and failures == 0:
        report.add(FAILED, prefix, f"after its last case: {outcome.why}", outcome.log)


def part_of(log, name):
    """The lines of a case: from the verdict of the one before it to its own."""
    lines = log.splitlines()
    end = next((at for at, line in enumerate(lines) if line.startswith(f"failed {name} (")), len(lines) - 1)
    start = end
    while start > 0 and not lines[start - 1].startswith(("passed ", "failed ", "skipped ")):
        start -= 1
    return "\n".join(lines[start:end + 1])

# SPDX-License-Identifier: Apache-2.0
"""The builds: which compilers and sanitizers, and what of each is built and run."""

import concurrent.futures
import dataclasses
import json
import shutil

from place import BESIDE, BUILD, JOBS, SOURCE, run


@dataclasses.dataclass(frozen=True)
class Build:
    name: str
    compiler: str
    options: tuple
    env: dict
    suites: tuple = ()  # only these; empty for all

    @property
    def directory(self):
        return BUILD / self.name


# Full debugging information takes a third of the compile time; lines are enough for a sanitizer's report. Under a
# sanitizer clang takes four times as long to optimize as to compile.
COMMON = ("-Dwerror=true", "-Ddebug=false", "--wrap-mode=nodownload")
SANITIZED = (*COMMON, "-Doptimization=0", "-Dcpp_args=-gline-tables-only", "-Dbenchmarks=disabled")
SYMBOLS = "external_symbolizer_path=/usr/bin/addr2line"
BUILDS = (
    Build("gcc", "g++", (*COMMON, "-Doptimization=1"), {}),
    Build("asan", "clang++-19", (*SANITIZED, "-Db_sanitize=address,undefined"), {
        "ASAN_OPTIONS": f"detect_stack_use_after_return=1:strict_string_checks=1:{SYMBOLS}",
        "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:{SYMBOLS}",
    }),
    Build("tsan", "clang++-19", (*SANITIZED, "-Db_sanitize=thread", "-Dexamples=disabled"), {
        "TSAN_OPTIONS": f"die_after_fork=0:halt_on_error=1:report_signal_unsafe=0:{SYMBOLS}:"
                        f"suppressions={SOURCE}/tests/support/tsan.supp",
    }, ("concurrent",)),
)


def set_up(build):
    """Configures the build directory where that is not done yet; ninja reconfigures it by itself later."""
    if (build.directory / "build.ninja").exists():
        return None
    shutil.rmtree(build.directory, ignore_errors=True)
    outcome = run(["meson", "setup", build.directory, SOURCE, *build.options], env={"CXX": build.compiler})
    return None if outcome.ok else outcome


class Ahead:
    """What is done beside the tests, which mostly wait: one thing after the other, and at a lower priority."""

    def __init__(self):
        self.worker = concurrent.futures.ThreadPoolExecutor(1)
        self.compiling = {}

    def start(self, work, *arguments):
        return self.worker.submit(work, *arguments)

    def compile(self, build, targets_of):
        """Compiles a later build's targets; what fails is compiled again when its turn comes, and reported."""
        def work():
            if set_up(build) is None and JOBS > 1 and (targets := targets_of(build)):
                run([*BESIDE, "ninja", "-C", build.directory, f"-j{JOBS}", "-k0", *targets], deadline=3600)
        self.compiling[build.name] = self.start(work)

    def wait(self, build):
        if build.name in self.compiling:
            self.compiling.pop(build.name).result()


def compile_targets(build, targets):
    """Builds them, going on after failures: the outcome of each target that failed, by its name."""
    if not targets:
        return {}
    ninja = ["ninja", "-C", build.directory, f"-j{JOBS}"]
    whole = run([*ninja, "-k0", *targets], deadline=3600)
    if whole.ok:
        return {}
    failed = {}
    for target in targets:
        outcome = run([*ninja, target], deadline=3600)
        if not outcome.ok:
            failed[target] = outcome
    return failed


def executables(build, folder):
    """The programs that Meson builds from a folder of the sources: {name: ninja target}."""
    run(["ninja", "-C", build.directory, "build.ninja"])  # lets Meson see what has changed in its files
    targets = json.loads(run(["meson", "introspect", "--targets", build.directory]).log)
    inside = SOURCE / folder / "meson.build"
    return {each["name"]: str(each["filename"][0]).removeprefix(f"{build.directory}/")
            for each in targets if each["type"] == "executable" and each["defined_in"] == str(inside)}

# SPDX-License-Identifier: Apache-2.0
"""The builds: which compilers and sanitizers, and what of each is built and run."""

import dataclasses
import json
import shutil
import threading

from place import BUILD, JOBS, SOURCE, run


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
    """Compiles what the next build needs while the tests of this one run, which mostly wait."""

    def __init__(self):
        self.thread = None

    def start(self, build, names):
        def work():
            if set_up(build) is None:
                targets = executables(build, "tests")
                run(["nice", "ninja", "-C", build.directory, f"-j{JOBS}", "-k0",
                     *(targets[name] for name in names if name in targets)], deadline=3600)
        self.thread = threading.Thread(target=work)
        self.thread.start()

    def wait(self):
        if self.thread is not None:
            self.thread.join()
            self.thread = None


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

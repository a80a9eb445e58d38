# SPDX-License-Identifier: Apache-2.0
"""tests/consume: small projects of users, who have mortise as Meson subproject, by pkg-config or by CMake."""

import os
import shutil
import subprocess

from place import BUILD, JOBS, SOURCE, keep_log, run
from report import FAILED, PASSED

WORK = BUILD / "consume"
PREFIX = WORK / "prefix"
SOURCES = SOURCE / "tests/consume"


class StepFailed(Exception):
    pass


def run_consumers(report):
    consumers = {"consume/meson subproject": by_meson_subproject, "consume/meson": by_meson, "consume/cmake": by_cmake,
                 "consume/pkg-config": by_pkg_config, "consume/libcurl at first use": by_loaded_curl,
                 "consume/nothing but the base": by_base_only,
                 "consume/every module is complete": every_module}
    chosen = {name: function for name, function in consumers.items() if report.wants(name)}
    if not chosen:
        return
    report.stage("build and run the projects of users")
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    try:
        install()
    except StepFailed as problem:
        report.add(FAILED, "consume/install", "see the log", str(problem))
        return
    for name, function in chosen.items():
        try:
            function()
            report.add(PASSED, name)
        except StepFailed as problem:
            keep_log(name, str(problem))
            report.add(FAILED, name, "see the log", str(problem))


def step(*command, env=None):
    outcome = run(command, env={"PKG_CONFIG_PATH": f"{PREFIX}/share/pkgconfig", **(env or {})})
    if not outcome.ok:
        raise StepFailed(f"$ {' '.join(map(str, command))}\n{outcome.log}\n{outcome.why}")
    return outcome.log


def install():
    off = [f"-D{what}=disabled" for what in ("tests", "examples", "benchmarks")]
    step("meson", "setup", WORK / "mortise", SOURCE, f"--prefix={PREFIX}", "--wrap-mode=nodownload", *off)
    step("meson", "install", "--quiet", "-C", WORK / "mortise")


def project(name, of):
    directory = WORK / name
    directory.mkdir()
    shutil.copy(SOURCES / "main.cpp", directory)
    if of:
        shutil.copytree(SOURCES / of, directory, dirs_exist_ok=True)
    return directory


def build_by_meson(directory):
    step("meson", "setup", directory / "build", directory, "--wrap-mode=nodownload")
    step("ninja", "-C", directory / "build", f"-j{JOBS}")
    step(directory / "build/consumer")


def by_meson_subproject():
    directory = project("subproject", "meson")
    (directory / "subprojects").mkdir()
    ignored = shutil.ignore_patterns("build", ".git")
    shutil.copytree(SOURCE, directory / "subprojects/mortise", ignore=ignored, symlinks=True)
    # A wrap without a source: the directory is there already, and provides our dependencies by name.
    (directory / "subprojects/mortise.wrap").write_text(
        "[wrap-file]\ndirectory = mortise\n\n[provide]\ndependency_names = mortise, mortise-image\n")
    step("meson", "setup", directory / "build", directory, "--wrap-mode=nodownload",
         "--force-fallback-for=mortise", env={"PKG_CONFIG_PATH": ""})
    step("ninja", "-C", directory / "build", f"-j{JOBS}")
    step(directory / "build/consumer")


def by_meson():
    build_by_meson(project("meson", "meson"))


def by_cmake():
    directory = project("cmake", "cmake")
    step("cmake", "-G", "Ninja", "-S", directory, "-B", directory / "build", f"-DCMAKE_PREFIX_PATH={PREFIX}",
         env={"PKG_CONFIG_PATH": ""})
    step("cmake", "--build", directory / "build")
    step(directory / "build/consumer")


def by_pkg_config():
    directory = project("pkg-config", None)
    compile_with(directory / "main.cpp", directory / "consumer", "mortise-image")
    step(directory / "consumer")


def by_base_only():
    """A program of the base alone links nothing of the components, even where they are installed."""
    directory = WORK / "base"
    directory.mkdir()
    (directory / "main.cpp").write_text(
        "#include <mortise/base/id.hpp>\nint main() { return mortise::container_id::parse(\"!\").ok(); }\n")
    compile_with(directory / "main.cpp", directory / "consumer", "mortise")
    step(directory / "consumer")
    linked = step("ldd", directory / "consumer")
    for library in ("archive", "crypto", "zstd", "isal", "libz.", "curl", "bz2", "lzma"):
        if library in linked:
            raise StepFailed(f"the base alone links {library}:\n{linked}")


def by_loaded_curl():
    """A program that loads libcurl at first use is not linked with it."""
    directory = WORK / "loaded"
    directory.mkdir()
    shutil.copy(SOURCES / "loaded_curl.cpp", directory)
    compile_with(directory / "loaded_curl.cpp", directory / "consumer", "mortise")
    step(directory / "consumer")
    if "curl" in step("ldd", directory / "consumer"):
        raise StepFailed("the program is linked with libcurl")


def every_module():
    """Each installed module can be resolved with all that it requires."""
    names = sorted(path.stem for path in (PREFIX / "share/pkgconfig").glob("*.pc"))
    if "mortise" not in names:
        raise StepFailed(f"no mortise.pc among {names}")
    step("pkg-config", "--print-errors", "--exists", *names)


def compile_with(source, program, module):
    env = {**os.environ, "PKG_CONFIG_PATH": f"{PREFIX}/share/pkgconfig"}
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", module], capture_output=True, text=True, env=env)
    step("g++", "-std=c++20", "-O1", source, "-o", program, "-Wl,--as-needed", *flags.stdout.split())

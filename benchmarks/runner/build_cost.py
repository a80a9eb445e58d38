# SPDX-License-Identifier: Apache-2.0
"""What including mortise costs: seconds to compile, bytes of program, libraries it needs."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time

from place import SOURCE, Missing, quietly

ABSEIL = ("absl_status", "absl_statusor")
EVERYTHING = (*ABSEIL, "libcrypto", "libarchive", "libzstd", "zlib", "liblzma", "libisal", "libcurl")
WITHOUT_PACKAGE = ("-lbz2",)  # of Debian, which has no bzip2.pc
# Name in examples/ (of a file, and of the folder of its other parts), packages, whether they are linked statically.
LAUNCHERS = (("minimal_launcher", ABSEIL, True), ("hello", EVERYTHING, False), ("mortise_run", EVERYTHING, False))
SHARED = {"mortise_run": ["tool/images.cpp"]}  # parts that lie elsewhere
COMPILERS = ("g++", "clang++-19")
HEADS = ["", "compiler", "files", "compile -O2 (s)", "stripped (KiB)", "needs"]


def run(quick, report):
    found = []
    with tempfile.TemporaryDirectory(prefix="mortise-benchmark-") as scratch:
        for name, packages, static in LAUNCHERS:
            for compiler in COMPILERS:
                try:
                    found.append(row(pathlib.Path(scratch), compiler, name, packages, static, 1 if quick else 3))
                except Missing as why:
                    report.skip(f"build_cost: {name} by {compiler}", str(why))
    if found:
        report.table("Build cost", HEADS, found, "Seconds are the sum over the files, of each the least of three runs.")


def row(scratch, compiler, name, packages, static, rounds):
    examples = SOURCE / "examples"
    sources = [examples / f"{name}.cpp", *sorted((examples / name).glob("*.cpp")),
               *(examples / part for part in SHARED.get(name, []))]
    if not sources[0].exists():
        raise Missing(f"{sources[0].relative_to(SOURCE)} is not there")
    if shutil.which(compiler) is None:
        raise Missing("the compiler is not installed")
    print(f"compiling {name} by {compiler}", flush=True)
    base = [compiler, "-std=c++20", "-O2", f"-I{SOURCE}/include", *pkg_config("--cflags", *packages)]
    objects = [scratch / f"{at}.o" for at in range(len(sources))]
    total = sum(min(seconds([*base, "-c", source, "-o", to]) for _ in range(rounds))
                for source, to in zip(sources, objects))
    program = scratch / "program"
    quietly([compiler, "-o", program, *objects, "-Wl,--as-needed", *libraries(packages, static)])
    quietly(["strip", program])
    return [name, compiler, len(sources), total, os.path.getsize(program) / 1024, needed(program)]


def seconds(command):
    start = time.monotonic()
    quietly(command)
    return time.monotonic() - start


def libraries(packages, static):
    if not static:
        return [*pkg_config("--libs", *packages), *WITHOUT_PACKAGE]
    return ["-Wl,-Bstatic", *pkg_config("--libs", "--static", *packages), "-Wl,-Bdynamic"]


def pkg_config(*arguments):
    outcome = subprocess.run(["pkg-config", *arguments], capture_output=True, text=True)
    if outcome.returncode != 0:
        raise Missing(outcome.stderr.strip())
    return outcome.stdout.split()


def needed(program):
    table = subprocess.run(["readelf", "--dynamic", "--wide", program], capture_output=True, text=True, check=True).stdout
    return " ".join(sorted(re.findall(r"\(NEEDED\).*\[(.*?)\.so", table)))

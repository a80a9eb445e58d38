# SPDX-License-Identifier: Apache-2.0
"""The fuzz targets of tests/fuzz: their seeds as regressions, one verdict for each target; and fuzzing on, which is
what tests/fuzz/run calls.

A ninja file of our own, as for the checks: what is compiled here is nothing that Meson should offer to anybody."""

import argparse
import os
import subprocess
import sys

from place import BUILD, JOBS, SOURCE, keep_log, run
from report import FAILED, PASSED

FOLDER = SOURCE / "tests/fuzz"
SEEDS = SOURCE / "tests/data/fuzz"
PROGRAMS = BUILD / "fuzz"
MODULES = ("absl_status", "absl_statusor", "libarchive", "libcrypto", "libzstd", "zlib", "RapidJSON", "libisal", "liblzma")
# Half of the compile time is optimization, which seeds do not need; fuzzing on is three times faster with it.
SEEDS_BUILD, FUZZING_BUILD = "seeds", "fuzzing"
OPTIMIZATION = {SEEDS_BUILD: "-O0", FUZZING_BUILD: "-O1"}
FLAGS = "-std=c++20 -gline-tables-only -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror " \
        "-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all"
SYMBOLS = "external_symbolizer_path=/usr/bin/addr2line"
ENVIRONMENT = {
    "ASAN_OPTIONS": f"detect_stack_use_after_return=1:strict_string_checks=1:{SYMBOLS}",
    "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:{SYMBOLS}",
}
# What one input may take; with sanitizers, and on a machine that has other things to do.
GUARDS = ("-timeout=20", "-rss_limit_mb=1024")
RULES = """\
rule header
  command = clang++-19 $flags -MD -MF $out.d -x c++-header -c $in -o $out
  description = precompile $in
  deps = gcc
  depfile = $out.d
rule object
  command = clang++-19 $flags -include-pch $header -MD -MF $out.d -c $in -o $out
  description = compile $in
  deps = gcc
  depfile = $out.d
rule program
  command = clang++-19 $flags $in -o $out $libraries
  description = link $out
"""


def targets():
    return sorted(path.stem for path in FOLDER.glob("*.cpp") if path.stem != "main")


def run_fuzz(report):
    chosen = [name for name in targets() if report.wants(f"fuzz/{name}")]
    if not chosen:
        return
    report.stage(f"build the fuzz targets, and run their seeds: {len(chosen)}")
    outcome = build(SEEDS_BUILD, chosen)
    keep_log("fuzz", outcome.log)
    for name in chosen:
        if not outcome.ok and needs_building(SEEDS_BUILD, name):
            report.add(FAILED, f"fuzz/{name}", "see the compiler's output", outcome.log)
            continue
        ran = regress(name)
        keep_log(f"fuzz/{name}", ran.log)
        report.add(PASSED if ran.ok else FAILED, f"fuzz/{name}", ran.why, ran.log)


def regress(name):
    """Every seed once; those whose names promise something are held to it."""
    if not any((SEEDS / name).glob("ok-*")) or not any((SEEDS / name).glob("should-fail-*")):
        return run(["sh", "-c", f"echo '{SEEDS / name} lacks a good or a bad seed' && false"])
    return run([PROGRAMS / SEEDS_BUILD / name, "-runs=0", *GUARDS, SEEDS / name], env=ENVIRONMENT, deadline=300)


def build(kind, names):
    directory = PROGRAMS / kind
    directory.mkdir(parents=True, exist_ok=True)
    text = ninja_text(kind)
    file = directory / "build.ninja"
    if not file.exists() or file.read_text() != text:
        file.write_text(text)
    return run(["ninja", "-C", directory, f"-j{JOBS}", "-k0", *names], deadline=1800)


def needs_building(kind, name):
    return "no work to do" not in run(["ninja", "-C", PROGRAMS / kind, "-n", name]).log


def ninja_text(kind):
    def package(option):
        return subprocess.run(["pkg-config", option, *MODULES], capture_output=True, text=True).stdout.strip()

    lines = [f"flags = {FLAGS} {OPTIMIZATION[kind]} -I{escape(SOURCE)}/include -I{escape(SOURCE)}/tests "
             + package("--cflags"),
             f"libraries = {package('--libs')} -lbz2", "header = common.pch", RULES,
             f"build common.pch: header {escape(FOLDER)}/common.hpp"]
    for name in ["main", *targets()]:
        lines.append(f"build {name}.o: object {escape(FOLDER)}/{name}.cpp | common.pch")
    lines += [f"build {name}: program {name}.o main.o" for name in targets()]
    return "\n".join(lines) + "\n"


def escape(path):
    return str(path).replace("$", "$$").replace(" ", "$ ").replace(":", "$:")


def fuzz_on(name, seconds):
    """Until something is found or the time is over. New inputs are kept, and are where the next time begins."""
    outcome = build(FUZZING_BUILD, [name])
    if not outcome.ok:
        print(outcome.log)
        return 1
    corpus, found = PROGRAMS / "corpus" / name, PROGRAMS / "found"
    corpus.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    print(f"fuzzing {name} for {seconds} s; new inputs go to {corpus}, what breaks it to {found}", flush=True)
    words = next((each for each in (FOLDER / f"{name}.dict", FOLDER / "json.dict") if each.exists()), None)
    command = [PROGRAMS / FUZZING_BUILD / name, f"-max_total_time={seconds}", *GUARDS, "-print_final_stats=1", "-reload=0",
               f"-artifact_prefix={found}/{name}-", *([f"-dict={words}"] if words else []), corpus, SEEDS / name]
    return subprocess.run([str(word) for word in command], env={**os.environ, **ENVIRONMENT}).returncode


def main():
    parser = argparse.ArgumentParser(prog="tests/fuzz/run", description="Fuzzes on, from the seeds.")
    parser.add_argument("target", choices=targets())
    parser.add_argument("seconds", nargs="?", type=int, default=60)
    options = parser.parse_args()
    return fuzz_on(options.target, options.seconds)


if __name__ == "__main__":
    sys.exit(main())

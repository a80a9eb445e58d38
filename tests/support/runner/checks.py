# SPDX-License-Identifier: Apache-2.0
"""What only has to compile, or must not: the umbrella header, and the pairs of tests/compile.

That every other header compiles alone is seen by the gcc build, which has no precompiled header: each header is the
first thing that its own test includes, and lint sees to that.

A ninja file of our own runs the compilers, so a second run costs only what changed."""

import subprocess

from place import BUILD, JOBS, SOURCE, keep_log, run
from report import FAILED, PASSED

COMPILERS = ("g++", "clang++-19")
FLAGS = "-std=c++20 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -fsyntax-only"
MODULES = ("absl_status", "absl_statusor", "libarchive", "libcrypto", "libzstd", "zlib", "RapidJSON", "libisal",
           "libcurl", "liblzma")
RULES = """\
rule alone
  command = rm -f $out; $compiler $flags -include $header -MD -MF $out.d -MQ $out -x c++ /dev/null >$out.log 2>&1 && touch $out
  deps = gcc
  depfile = $out.d
rule compiles
  command = rm -f $out; $compiler $flags -MD -MF $out.d -MQ $out $in >$out.log 2>&1 && touch $out
  deps = gcc
  depfile = $out.d
rule refused
  command = rm -f $out; $compiler $flags -M -MF $out.d -MQ $out $in; $expect $in $compiler $flags $in >$out.log 2>&1 && touch $out
  deps = gcc
  depfile = $out.d
"""


def run_checks(report):
    edges = [edge for edge in [*umbrella_edges(), *pair_edges()] if report.wants(edge[0])]
    if not edges:
        return
    report.stage(f"compile the umbrella, and what must and must not compile: {len(edges)}")
    directory = BUILD / "checks"
    directory.mkdir(parents=True, exist_ok=True)
    write_ninja(directory, edges)
    outcome = run(["ninja", "-C", directory, f"-j{JOBS}", "-k0"], deadline=1800)
    keep_log("checks", outcome.log)
    pending = run(["ninja", "-C", directory, "-n", "-k0", "-v"]).log
    for name, stamp, *_ in edges:
        log = directory / f"{stamp}.log"
        if not (directory / stamp).exists():
            report.add(FAILED, name, "see the compiler's output", log.read_text() if log.exists() else outcome.log)
        elif f"touch {stamp}" in pending:
            report.add(FAILED, name, "its sources changed meanwhile: run it again")
        else:
            report.add(PASSED, name)


def umbrella_edges():
    umbrella = SOURCE / "include/mortise/mortise.hpp"
    for compiler in COMPILERS:
        yield f"headers/{compiler}/mortise.hpp", f"{compiler}-mortise.hpp", "alone", umbrella, compiler


def pair_edges():
    folder = SOURCE / "tests/compile"
    for kind, rule in (("pass", "compiles"), ("fail", "refused")):
        for source in sorted((folder / kind).glob("*.cpp")):
            for compiler in COMPILERS:
                yield (f"compile/{compiler}/{kind}/{source.stem}", f"{compiler}-{kind}-{source.stem}", rule, source,
                       compiler)


def write_ninja(directory, edges):
    cflags = subprocess.run(["pkg-config", "--cflags", *MODULES], capture_output=True, text=True).stdout.strip()
    lines = [f"flags = {FLAGS} -I{escape(SOURCE)}/include {cflags}",
             f"expect = python3 -B {escape(SOURCE)}/tests/compile/expect", RULES]
    for _, stamp, rule, source, compiler in edges:
        lines.append(f"build {stamp}: {rule} {escape(source)}\n  compiler = {compiler}\n  header = {escape(source)}")
    text = "\n".join(lines) + "\n"
    file = directory / "build.ninja"
    if not file.exists() or file.read_text() != text:
        file.write_text(text)


def escape(path):
    return str(path).replace("$", "$$").replace(" ", "$ ").replace(":", "$:")

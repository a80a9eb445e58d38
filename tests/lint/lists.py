#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lists that Meson and the umbrella header keep because neither can look at the disk.

lists.py --write brings them up to date; without it, it says what is not. lint.py asks the same."""

import pathlib
import re
import sys

SOURCE = pathlib.Path(__file__).resolve().parents[2]
HEADERS = SOURCE / "include/mortise"
UMBRELLA = HEADERS / "mortise.hpp"
NO_SUITES = ("compile", "conformance", "consume", "data", "headers", "lint", "odr")


def headers():
    """Every public header but the umbrella, as it is included."""
    return sorted(f"mortise/{path.relative_to(HEADERS)}" for path in HEADERS.rglob("*.hpp") if path != UMBRELLA)


def suites():
    """The sources of each suite, by the folder of tests/ that they lie in; "mortise" is those right in it."""
    found = {}
    for path in sorted((SOURCE / "tests").rglob("*_test.cpp")):
        parts = path.relative_to(SOURCE / "tests").parts
        suite = parts[0] if len(parts) > 1 else "mortise"
        if suite not in NO_SUITES:
            found.setdefault(suite, []).append("/".join(parts))
    return dict(sorted(found.items()))


def concurrent():
    """The tests that start threads, or whose header has something for several: the thread sanitizer runs these.

    A pointer to a flag that cancels is not something: whose flag it is, is tested with threads.
    """
    def shares(path, words):
        return path.exists() and re.search(words, path.read_text(encoding="utf-8")) is not None

    return [source for sources in suites().values() for source in sources
            if shares(SOURCE / "tests" / source, "#include <thread>")
            or shares(HEADERS / source.replace("_test.cpp", ".hpp"), r"std::(mutex|j?thread)|std::atomic<.+> \w")]


def sources_of(folder):
    return sorted(path.name for path in (SOURCE / folder).glob("*.c*") if path.suffix in (".c", ".cpp"))


def umbrella_text():
    lines = ["// SPDX-License-Identifier: Apache-2.0", "#pragma once", "/// \\file",
             "/// Every public header: for a first try and for tests. A program includes what it names.",
             "/// Needs: the libraries of every component.", ""]
    return "\n".join(lines + [f"#include <{name}>" for name in headers()]) + "\n"


def suites_text():
    lines = ["suites = {"]
    for suite, sources in suites().items():
        lines += [f"  '{suite}': files("] + [f"    '{source}'," for source in sources] + ["  ),"]
    return "\n".join(lines + ["}"])


def concurrent_text():
    return "\n".join(["concurrent = files("] + [f"  '{source}'," for source in concurrent()] + [")"])


def sources_text(name, folder):
    return "\n".join([f"{name} = ["] + [f"  '{source}'," for source in sources_of(folder)] + ["]"])


def between_marks(text, mark, inside):
    pattern = re.compile(rf"(# begin {mark}\n).*?(# end {mark}\n)", re.DOTALL)
    return pattern.sub(lambda found: f"{found[1]}{inside}\n{found[2]}", text)


def wanted_texts():
    """Each file that keeps a list, and what it should read."""
    wanted = {UMBRELLA: umbrella_text()}
    for path, mark, inside in (
            ("tests/meson.build", "suites", suites_text()),
            ("tests/meson.build", "concurrent", concurrent_text()),
            ("examples/meson.build", "examples", sources_text("examples", "examples")),
            ("benchmarks/meson.build", "benchmarks", sources_text("benchmarks", "benchmarks"))):
        file = SOURCE / path
        wanted[file] = between_marks(wanted.get(file) or file.read_text(encoding="utf-8"), mark, inside)
    return wanted


def outdated():
    return {file: text for file, text in wanted_texts().items()
            if not file.exists() or file.read_text(encoding="utf-8") != text}


def main():
    for file, text in outdated().items():
        print(f"{file.relative_to(SOURCE)}: " + ("updated" if "--write" in sys.argv else "run lists.py --write"))
        if "--write" in sys.argv:
            file.write_text(text, encoding="utf-8")
    return 0 if "--write" in sys.argv or not outdated() else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules that no compiler checks. Each rule is one test, which fails with a line for each breach of it.

lint.py prints for people, lint.py --records for the runner: verdict, rule and breaches, by tabs."""

import fnmatch
import re
import sys

import lists
import rules
from lists import HEADERS, SOURCE, UMBRELLA


def headers():
    return [(path.relative_to(HEADERS).as_posix(), path.read_text(encoding="utf-8"))
            for path in sorted(HEADERS.rglob("*.hpp")) if path != UMBRELLA]


def includes(text):
    return re.findall(r"^\s*#\s*include\s*[<\"]([^>\"]+)[>\"]", text, re.MULTILINE)


def sources(*folders, suffixes=(".hpp", ".cpp", ".h", ".c")):
    for folder in folders:
        for path in sorted((SOURCE / folder).rglob("*")):
            if path.suffix in suffixes and path.is_file():
                yield path.relative_to(SOURCE).as_posix(), path.read_text(encoding="utf-8")


def include_table():
    """a folder includes only what DESIGN.md's table allows"""
    for name, text in headers():
        allowed = rules.FOLDERS.get(name.split("/")[0], set()) | {name.split("/")[0]}
        for pattern, more in rules.FILES.items():
            if fnmatch.fnmatch(name, pattern):
                allowed = allowed | more
        for included in includes(text):
            other = included.removeprefix("mortise/")
            if other != included and other not in allowed and other.split("/")[0] not in allowed:
                yield f"{name} includes {included}"


def third_party():
    """a third-party library is included by its own headers only, which name it"""
    for name, text in headers():
        for included in includes(text):
            library = next((entry for pattern, entry in rules.LIBRARIES.items() if re.fullmatch(pattern, included)), None)
            if library is None:
                if not re.fullmatch(rules.SYSTEM, included):
                    yield f"{name} includes <{included}>, of a library that tests/lint/rules.py does not know"
            elif name not in library[1]:
                yield f"{name} includes <{included}>: only {' and '.join(library[1])} may"
            elif not re.search(rf"^/// .*Needs: .*{library[0]}", text, re.MULTILINE):
                yield f"{name} needs {library[0]} and does not say so ('/// Needs: {library[0]}')"


def include_budget():
    """no heavy standard header in the library"""
    for name, text in headers():
        for included in set(includes(text)) & set(rules.TOO_HEAVY):
            yield f"{name} includes <{included}>"


def raw_system_calls():
    """raw system calls only in sys/ and in the child's code"""
    for name, text in headers():
        if "::syscall(" in text and not name.startswith(("sys/", "launch/child")):
            yield f"{name} calls ::syscall"


def header_shape():
    """a header begins with its licence, #pragma once and what it is for"""
    for name, text in headers():
        if not text.startswith("// SPDX-License-Identifier: Apache-2.0\n#pragma once\n/// \\file\n/// "):
            yield f"{name} does not begin with the four lines of every header"


def header_namespace():
    """a header's folder is its namespace"""
    for name, text in headers():
        folder = name.split("/")[0] if "/" in name else "base"
        namespace = rules.NAMESPACES.get(name, "mortise" if folder == "base" else f"mortise::{folder}")
        if not re.search(rf"^(inline )?namespace {namespace}(::\w+)* {{", text, re.MULTILINE):
            yield f"{name} has no namespace {namespace}"


def macros():
    """no macro but the two of base/status.hpp"""
    for name, text in headers():
        if name != "base/status.hpp" and re.search(r"^\s*#\s*define", text, re.MULTILINE):
            yield f"{name} defines a macro"


def header_size():
    """a header has one purpose: at most 400 lines"""
    for name, text in headers():
        if text.count("\n") > 400:
            yield f"{name} has {text.count(chr(10))} lines"


def mirrored_tests():
    """each header has its test, whose first include is that header"""  # which is how we know that it compiles alone
    for name, _ in headers():
        test = SOURCE / "tests" / f"{name.removesuffix('.hpp')}_test.cpp"
        if not test.exists():
            yield f"{name} has no {test.relative_to(SOURCE)}"
        elif (includes(test.read_text(encoding="utf-8")) or [""])[0] != f"mortise/{name}":
            yield f"{test.relative_to(SOURCE)} does not include <mortise/{name}> first"


def licence_lines():
    """every source begins with its licence"""
    for name, text in sources("include", "tests", "examples", "benchmarks", suffixes=(".hpp", ".cpp", ".h", ".c", ".py")):
        if "SPDX-License-Identifier: Apache-2.0" not in text[:120]:
            yield f"{name} has no SPDX line"


def unfinished():
    """nothing is left for later"""
    for name, text in sources("include", "tests", "examples", "benchmarks"):
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text):
            yield f"{name} has work left in it"


def compile_pairs():
    """each must-not-compile test has a twin that compiles"""
    folder = SOURCE / "tests/compile"
    fail, good = ({path.stem for path in (folder / kind).glob("*.cpp")} for kind in ("fail", "pass"))
    for name in sorted(fail ^ good):
        yield f"tests/compile: {name}.cpp is in {'fail' if name in fail else 'pass'}/ only"


def kept_lists():
    """Meson's lists and the umbrella header are what is on the disk"""
    for file in lists.outdated():
        yield f"{file.relative_to(SOURCE)} is out of date: run tests/lint/lists.py --write"


def one_version():
    """meson.build and version.hpp say the same version"""
    project = re.search(r"version: '([\d.]+)'", (SOURCE / "meson.build").read_text(encoding="utf-8"))[1]
    header = (HEADERS / "version.hpp").read_text(encoding="utf-8")
    numbers = ".".join(re.search(rf"version_{part} = (\d+);", header)[1] for part in ("major", "minor", "patch"))
    if not project == numbers == re.search(r'version = "([\d.]+)"', header)[1]:
        yield f"meson.build says {project}, version.hpp {numbers}"


def examples_are_short():
    """an example is one file of at most 80 lines whose first comment says what it proves"""
    for name, text in sources("examples", suffixes=(".cpp",)):
        if text.count("\n") > 80 and not name.endswith("mortise_run.cpp"):
            yield f"{name} has {text.count(chr(10))} lines"
        if not re.match(r"//[^\n]*\n//", text):
            yield f"{name} does not begin with a comment on what it proves"


def readme_program():
    """the README's program is examples/hello.cpp"""
    readme, hello = SOURCE / "README.md", SOURCE / "examples/hello.cpp"
    absent = [path.name for path in (readme, hello) if not path.exists()]
    if absent:
        raise FileNotFoundError(f"no {' and no '.join(absent)} yet")
    program = hello.read_text(encoding="utf-8").strip()
    without_comment = re.sub(r"\A(//[^\n]*\n)+\s*", "", program)
    blocks = [block.strip() for block in re.findall(r"```cpp\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)]
    if program not in blocks and without_comment not in blocks:
        yield "README.md has no ```cpp block that is equal to examples/hello.cpp"


def document_links():
    """links between documents lead somewhere"""
    for path in [*SOURCE.glob("*.md"), *(SOURCE / "docs").rglob("*.md")]:
        text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
            if "://" not in link and not (path.parent / link).exists():
                yield f"{path.relative_to(SOURCE)} links to {link}"


RULES = [include_table, third_party, include_budget, raw_system_calls, header_shape, header_namespace, macros,
         header_size, mirrored_tests, licence_lines, unfinished, compile_pairs, kept_lists, one_version,
         examples_are_short, readme_program, document_links]


def check(rule):
    try:
        breaches = list(rule())
    except FileNotFoundError as reason:
        return "skipped", [str(reason)]
    return ("failed" if breaches else "passed"), breaches


def main():
    failed = 0
    for rule in RULES:
        verdict, details = check(rule)
        failed += verdict == "failed"
        if "--records" in sys.argv:
            print(f"{verdict}\t{rule.__doc__}\t{'; '.join(details)}")
        else:
            print("\n    ".join([f"{verdict} {rule.__doc__}", *details]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

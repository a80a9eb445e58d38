# SPDX-License-Identifier: Apache-2.0
"""The programs of examples/ and benchmarks/: that they build, and what needs no host to run on."""

from builds import compile_targets, executables, set_up
from place import SOURCE, keep_log, run
from report import FAILED, PASSED

# What any C++ program may link; the minimal launcher must not link more.
PLAIN_LIBRARIES = ("linux-vdso", "linux-gate", "ld-linux", "libc.", "libm.", "libstdc++.", "libgcc_s.")


def chosen_programs(build, report):
    """The folder of each program that the pattern takes in, by its name."""
    folders = [] if build.suites else ["examples"] + (["benchmarks"] if build.name == "gcc" else [])
    sources = {f"{build.name}/{folder[:-1]} {path.stem.replace('_', '-')}": folder for folder in folders
               for path in sorted((SOURCE / folder).glob("*.c*"))}
    return {name: folder for name, folder in sources.items() if report.wants(name)}


def program_targets(build, chosen):
    """The ninja targets of programs by their names; those that need what is not there have none."""
    targets = {f"{build.name}/{folder[:-1]} {name}": target for folder in sorted(set(chosen.values()))
               for name, target in executables(build, folder).items()}
    return {name: targets[name] for name in chosen if name in targets}


def run_programs(build, report):
    chosen = chosen_programs(build, report)
    if not chosen:
        return
    report.stage(f"build {build.name}: {' and '.join(sorted(set(chosen.values())))}")
    if set_up(build) is not None:
        report.add(FAILED, f"{build.name}/examples", "cannot be configured")
        return
    targets = program_targets(build, chosen)
    failed = compile_targets(build, list(targets.values()))
    for name in targets:
        outcome = failed.get(targets[name])
        report.add(FAILED if outcome else PASSED, name, outcome.why if outcome else "", outcome.log if outcome else "")
        if outcome:
            keep_log(name, outcome.log)
        elif build.name == "gcc" and name.endswith("example minimal-launcher"):
            check_links(build.directory / targets[name], name, report)


def check_links(program, name, report):
    """Composition is a type: who names no store links no library of one."""
    libraries = [line.split()[0] for line in run(["ldd", program]).log.splitlines() if line.strip()]
    more = [each for each in libraries if not each.rsplit("/", 1)[-1].startswith(PLAIN_LIBRARIES)]
    report.add(FAILED if more else PASSED, f"{name} links libc and libstdc++ only", " ".join(more))


def build_examples(build):
    """For suites that run them; a failure is reported by run_programs."""
    compile_targets(build, list(executables(build, "examples").values()))

# SPDX-License-Identifier: Apache-2.0
"""What a launch costs: mortise, the C floor, crun, bubblewrap, in turn."""

import contextlib
import pathlib
import shutil

import peers
from contest import contest, workers
from images import one_program
from place import Missing, built, mount, require, room
from report import p50, quantile

HEADS = ["", "min", "p50", "p95", "p50 : floor", "p50 : mortise"]
STAGES = ("provision", "prepare", "spawn", "wait", "destroy")
BUSYBOX = pathlib.Path("/bin/busybox")


def run(quick, report):
    require("crun", "bwrap", "busybox")
    programs = built("benchmarks/launch", "benchmarks/launch-floor", "benchmarks/spawn")
    peers.leave_unified_cgroup()
    with room() as place:
        mount("-t", "tmpfs", "tmpfs", "/run")  # where records go, and where ordinary systems have one
        make_root(place / "layer")
        try:
            races(quick, report, programs, place)
            resident(quick, report, programs, place)
            alive(quick, report, programs, place)
        finally:
            peers.clear_away(place)


def make_root(layer):
    if b"/ld-linux" in BUSYBOX.read_bytes():
        raise Missing("needs a static busybox: package busybox-static")
    for name in ("bin", "dev", "proc", "sys", "tmp", "etc"):
        (layer / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, layer / "bin")
    for name in ("true", "sleep"):
        (layer / "bin" / name).symlink_to("busybox")


def own_place(place, name):
    """A directory for one contender, with the shared root in it."""
    mine = place / name.replace(" ", "-")
    mine.mkdir()
    (mine / "layer").mkdir()
    mount("--bind", place / "layer", mine / "layer")
    return mine


def in_process(programs, place):
    def worker(program, root):
        return [programs[program], *(["--root", "bind"] if root == "bind" else []),
                own_place(place, f"{program} {root}")]
    return {"mortise, overlay": worker("launch", "overlay"), "floor, overlay": worker("launch-floor", "overlay"),
            "mortise, bind": worker("launch", "bind"), "floor, bind": worker("launch-floor", "bind")}


def whole_processes(programs, place):
    spawn = programs["spawn"]
    found = {"launcher process, overlay": [spawn, programs["launch"], "--once", own_place(place, "once")],
             "crun run": [spawn, *peers.crun(place, place / "layer")],
             "bwrap": [spawn, *peers.bubblewrap(place / "layer")]}
    with contextlib.suppress(Missing):
        program = built("examples/mortise-run")["mortise-run"]
        image = one_program(place / "image", place / "layer")
        found["mortise-run, cached image"] = [spawn, program, "-q", "--store", place / "store", "--memory", "64m",
                                              "--cpus", "1", "--pids-limit", "64", f"oci:{image}:latest", "/bin/true"]
    return found


def races(quick, report, programs, place):
    commands = {**in_process(programs, place), **whole_processes(programs, place)}
    if "mortise-run, cached image" not in commands:
        report.skip("launch: mortise-run", "examples/mortise-run is not there or does not build")
    with workers(commands) as contenders:
        tight = contest(contenders, 20 if quick else 400)
        report.table("Launch, back to back (µs)", HEADS, rows(tight))
        stages(report, "Where it goes, back to back (p50, µs)", tight)
        spaced = contest(contenders, 5 if quick else 60, pause=0.1)
        report.table("Launch, one per 100 ms (µs)", HEADS, rows(spaced))
        stages(report, "Where it goes, one per 100 ms (p50, µs)", spaced)


def rows(answers):
    """A contender's floor has its kind of root; whole processes are set beside the floor with an overlay."""
    totals = {name: [each[0] / 1000 for each in values] for name, values in answers.items()}
    middle = {name: p50(values) for name, values in totals.items()}
    return [[name, min(values), p50(values), quantile(values, 0.95),
             p50(values) / middle["floor, bind" if name.endswith("bind") else "floor, overlay"],
             p50(values) / middle["mortise, bind" if name.endswith("bind") else "mortise, overlay"]]
            for name, values in totals.items()]


def stages(report, title, answers):
    found = []
    for name in ("mortise, overlay", "floor, overlay", "mortise, bind", "floor, bind"):
        columns = [[value / 1000 for value in column] for column in zip(*answers[name])]
        rest = [total - sum(others) for total, *others in zip(*columns)]
        found.append([name, *(p50(column) for column in columns[1:]), p50(rest)])
    report.table(title, ["", *STAGES, "rest"], found)


def resident(quick, report, programs, place):
    """The same launch from a caller that has 4 GiB resident."""
    mib = 512 if quick else 4096
    available = int(next(line for line in open("/proc/meminfo") if line.startswith("MemAvailable")).split()[1]) // 1024
    if available < 2 * mib:
        return report.skip("launch: resident caller", f"needs {2 * mib} MiB available, there are {available}")
    commands = {"small caller": [programs["launch"], own_place(place, "small")],
                f"caller with {mib} MiB": [programs["launch"], "--resident", mib, own_place(place, "large")]}
    with workers(commands) as contenders:
        answers = contest(contenders, 20 if quick else 300)
    compare(report, "Launch from a large caller (µs)", answers)


def compare(report, title, answers):
    totals = {name: [each[0] / 1000 for each in values] for name, values in answers.items()}
    first = p50(next(iter(totals.values())))
    report.table(title, ["", "min", "p50", "p95", "p50 : first"],
                 [[name, min(values), p50(values), quantile(values, 0.95), p50(values) / first]
                  for name, values in totals.items()])


def alive(quick, report, programs, place):
    """The same launch with many containers alive, and what each of those costs."""
    wanted, rounds = (50, 20) if quick else (1000, 200)
    commands = {"mortise, overlay": [programs["launch"], own_place(place, "many")],
                "floor, overlay": [programs["launch-floor"], own_place(place, "beside")]}
    with workers(commands) as contenders:
        before = contest(contenders, rounds)
        count, ours, theirs, kernels = contenders["mortise, overlay"].ask(f"alive {wanted}")
        after = contest(contenders, rounds)
    for name in commands:
        compare(report, f"{name}: with containers alive (µs)", {"none": before[name], f"{count:.0f}": after[name]})
    report.table("An idle container (KiB)", ["containers", "our memory", "its process", "kernel"],
                 [[int(count), ours, theirs, kernels]],
                 "Memory that is nobody else's: of the launching process, of `sleep` inside, and what slab, page tables, "
                 "kernel stacks and per-processor data grew by.")

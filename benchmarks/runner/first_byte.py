# SPDX-License-Identifier: Apache-2.0
"""From an image's compressed layers, which lie in a layout, to the end of its first program: mortise by each backend,
the floor of unpacking, umoci with crun, and podman, in turn, each into an empty store on a fresh file system with a journal."""

import json
import random
import shlex
import shutil

import images
from contest import workers
from peers import runtime_spec
from place import Missing, built, ext4, require, room
from report import RACE_HEADS, p50, race_rows

SUMMARY_HEADS = ["", "erofs, p50 (s)", "overlay : erofs", "fastest peer", "it : erofs", "erofs, peak MiB"]
PEERS = {"umoci, crun": ("umoci", "crun"), "podman run": ("podman",)}


def run(quick, report):
    require("mkfs.ext4")
    programs = built("benchmarks/first-byte", "benchmarks/unpack-floor", "benchmarks/spawn")
    for name, needed in PEERS.items():
        absent = [each for each in needed if shutil.which(each) is None]
        if absent:
            report.skip(f"first_byte: {name}", f"{', '.join(absent)} is not installed")
    cases = [("one layer", images.debian(), 1 if quick else 7)]
    if not quick:
        cases += [("many layers", images.many(), 3)]
    summary = []
    with room() as place:
        for name, image, rounds in cases:
            for blob, _, _ in image.layers:
                blob.read_bytes()  # into the page cache
            title = f"First program of {name}, {image.bytes / 1e6:.0f} MB, on ext4"
            answers = race(programs, place, title, image, rounds)
            report.table(title, RACE_HEADS, race_rows(answers))
            summary.append(summarised(name, answers))
    report.table("First program, in short", SUMMARY_HEADS, summary)


def race(programs, place, title, image, rounds):
    target = place / "target"
    target.mkdir(exist_ok=True)
    commands = {name: [programs["spawn"], *command]
                for name, command in contenders(programs, place, image, target).items()}
    order = random.Random(1)
    answers = {each: [] for each in commands}
    print(title, flush=True)
    with workers(commands) as running:
        for at in range(rounds + 1):
            names = list(commands)
            order.shuffle(names)
            for each in names:
                with ext4(place, target):
                    nanoseconds, peak, status = running[each].ask()
                if status != 0:
                    raise Missing(f"{each} failed to run {image.path}")
                if at > 0:
                    answers[each].append((nanoseconds / 1e9, peak / 1024))
    return answers


def contenders(programs, place, image, target):
    location = f"oci:{image.path}:latest"
    layers = [word for layer in image.layers for word in layer]
    bundle = target / "bundle"
    spec = place / "config.json"
    wanted = runtime_spec(bundle / "rootfs")
    del wanted["linux"]["cgroupsPath"], wanted["linux"]["resources"]
    spec.write_text(json.dumps(wanted))
    found = {
        "mortise, erofs": [programs["first-byte"], "erofs", location, target / "host"],
        "mortise, overlay": [programs["first-byte"], "overlay", location, target / "host"],
        "mortise, copy": [programs["first-byte"], "copy", location, target / "host"],
        "floor of unpacking, 2 threads": [programs["unpack-floor"], 2, target, *layers],
        "umoci, crun": ["sh", "-c", " && ".join(shlex.join(map(str, words)) for words in (
            ["umoci", "unpack", "--image", f"{image.path}:latest", bundle],
            ["cp", spec, bundle / "config.json"],
            ["crun", "--root", place / "crun", "--cgroup-manager", "disabled", "run", "--bundle", bundle, "first-byte"]))],
        "podman run": ["env", f"TMPDIR={target}", "podman", "--root", target / "podman", "--runroot", place / "podman",
                       "--tmpdir", place / "libpod", "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs",
                       "run", "--rm", "--quiet", "--cgroups", "disabled", "--network", "none", location, "/bin/true"],
    }
    for name, needed in PEERS.items():
        if any(shutil.which(each) is None for each in needed):
            del found[name]
    return found


def summarised(title, answers):
    middle = {name: p50([seconds for seconds, _ in values]) for name, values in answers.items()}
    peers = {name: middle[name] for name in PEERS if name in middle}
    fastest = min(peers, key=peers.get, default=None)
    ours = middle["mortise, erofs"]
    return [title, ours, middle["mortise, overlay"] / ours, fastest or "none", peers[fastest] / ours if fastest else "",
            max(peak for _, peak in answers["mortise, erofs"])]

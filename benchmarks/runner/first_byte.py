# SPDX-License-Identifier: Apache-2.0
"""From an image's compressed layers, which lie in a layout, to the end of its first program: mortise by each backend,
the floor of unpacking, umoci with crun, and podman, in turn, each into an empty store on a fresh file system with a journal."""

import json
import shlex

import images
from contest import race
from peers import LIMITS, installed, leave_unified_cgroup, runtime_spec
from place import built, ext4, require, room
from report import RACE_HEADS, fastest_of, medians, race_rows
from servers import forget_blobs

SUMMARY_HEADS = ["", "erofs, p50 (s)", "overlay : erofs", "fastest peer", "it : erofs", "erofs, peak MiB"]
OURS = "mortise, erofs"
PEERS = {"umoci, crun": ("umoci", "crun"), "podman run": ("podman",)}


def run(quick, report):
    require("mkfs.ext4")
    leave_unified_cgroup()
    programs = built("benchmarks/first-byte", "benchmarks/unpack-floor", "benchmarks/spawn")
    peers = installed(PEERS, "first_byte", report)
    cases = [("one layer", images.debian(), 1 if quick else 7)]
    if not quick:
        cases += [("many layers", images.many(), 3)]
    summary = []
    forget_blobs()
    with room() as place:
        target = place / "target"
        target.mkdir()
        for name, image, rounds in cases:
            for blob, _, _ in image.layers:
                blob.read_bytes()  # into the page cache
            title = f"First program of {name}, {image.bytes / 1e6:.0f} MB, on ext4"
            answers = race(programs, title, contenders(programs, place, image, target, peers), rounds,
                           lambda _: ext4(place, target))
            report.table(title, RACE_HEADS, race_rows(answers, OURS))
            summary.append(summarised(name, answers))
    report.table("First program, in short", SUMMARY_HEADS, summary)


def contenders(programs, place, image, target, peers):
    location = f"oci:{image.path}:latest"
    layers = [word for layer in image.layers for word in layer]
    bundle = target / "bundle"
    spec = place / "config.json"
    wanted = runtime_spec(bundle / "rootfs")
    del wanted["linux"]["cgroupsPath"], wanted["linux"]["resources"]
    spec.write_text(json.dumps(wanted))
    found = {
        OURS: [programs["first-byte"], "erofs", location, target / "host"],
        "mortise, overlay": [programs["first-byte"], "overlay", location, target / "host"],
        "mortise, copy": [programs["first-byte"], "copy", location, target / "host"],
        "floor of unpacking, 2 threads": [programs["unpack-floor"], 2, target, *layers],
        "umoci, crun": ["sh", "-c", " && ".join(shlex.join(map(str, words)) for words in (
            ["umoci", "unpack", "--image", f"{image.path}:latest", bundle],
            ["cp", spec, bundle / "config.json"],
            ["crun", "--root", place / "crun", "--cgroup-manager", "disabled", "run", "--bundle", bundle, "first-byte"]))],
        "podman run": ["env", f"TMPDIR={target}", "podman", "--root", target / "podman", "--runroot", place / "podman",
                       "--tmpdir", place / "libpod", "--storage-driver", "overlay", "--cgroup-manager", "cgroupfs",
                       "run", "--rm", "--quiet", "--cgroups", "disabled", "--network", "none", *LIMITS, location,
                       "/bin/true"],
    }
    return {name: command for name, command in found.items() if name in peers or name not in PEERS}


def summarised(title, answers):
    middle = medians(answers)
    fastest = fastest_of(middle, PEERS)
    ours = middle[OURS]
    return [title, ours, middle["mortise, overlay"] / ours, fastest or "none", middle[fastest] / ours if fastest else "",
            max(peak for _, peak in answers[OURS])]

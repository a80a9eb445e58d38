# SPDX-License-Identifier: Apache-2.0
"""What unpacking an image costs: mortise, the C floor, umoci, tar, in turn, each onto a fresh file system."""

import random
import shlex
import shutil

import images
from contest import workers
from place import Missing, built, ext4, require, room, tmpfs
from report import RACE_HEADS, race_rows


def run(quick, report):
    require("umoci", "tar", "gzip", "mkfs.ext4")
    programs = built("benchmarks/unpack", "benchmarks/unpack-floor", "benchmarks/spawn")
    with room() as place:
        for name, image in (("one layer", images.debian()), ("many layers", None if quick else images.many())):
            if image is None:
                continue
            for blob, _, _ in image.layers:
                blob.read_bytes()  # into the page cache
            for kind in (tmpfs,) if quick else (tmpfs, ext4):
                race(report, programs, place, name, image, kind, 2 if quick else 7 if len(image.layers) == 1 else 3)


def race(report, programs, place, name, image, kind, rounds):
    target = place / "target"
    target.mkdir(exist_ok=True)
    commands = {each: [programs["spawn"], *command] for each, command in contenders(programs, image, target).items()}
    order = random.Random(1)
    answers = {each: [] for each in commands}
    title = f"Unpack {len(image.layers)} layer{'s' * (len(image.layers) > 1)}, {image.bytes / 1e6:.0f} MB, on {kind.__name__}"
    print(title, flush=True)
    with workers(commands) as running:
        for at in range(rounds + 1):
            names = list(commands)
            order.shuffle(names)
            for each in names:
                with kind(place, target):
                    nanoseconds, peak, status = running[each].ask()
                if status != 0:
                    raise Missing(f"{each} failed to unpack {name}")
                if at > 0:
                    answers[each].append((nanoseconds / 1e9, peak / 1024))
    report.table(title, RACE_HEADS, race_rows(answers))


def contenders(programs, image, target):
    layers = [word for layer in image.layers for word in layer]
    location = f"oci:{image.path}:latest"
    found = {
        "mortise": [programs["unpack"], location, target / "store"],
        "mortise, 1 job": [programs["unpack"], "--jobs", 1, location, target / "store"],
        "floor, 1 thread": [programs["unpack-floor"], 1, target, *layers],
        "floor, 2 threads": [programs["unpack-floor"], 2, target, *layers],
        "umoci unpack": ["umoci", "unpack", "--image", f"{image.path}:latest", target / "bundle"],
        "gzip | tar": pipeline("gzip", image, target),
    }
    if shutil.which("igzip"):
        found["igzip | tar"] = pipeline("igzip", image, target)
    return found


def pipeline(unzip, image, target):
    """Each layer into a directory of its own, nothing hashed."""
    steps = []
    for at, (blob, _, _) in enumerate(image.layers):
        into = shlex.quote(f"{target}/{at}")
        steps.append(f"mkdir {into} && {unzip} -dc {shlex.quote(str(blob))} | "
                     f"tar -C {into} -xpf - --xattrs --xattrs-include='*' --same-owner --numeric-owner --delay-directory-restore")
    return ["sh", "-c", " && ".join(steps)]

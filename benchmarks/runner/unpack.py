# SPDX-License-Identifier: Apache-2.0
"""What unpacking an image costs: mortise, the C floor, umoci, tar, in turn, each onto a fresh file system."""

import shlex
import shutil

import images
from contest import race
from place import built, ext4, require, room, tmpfs
from report import RACE_HEADS, race_rows


def run(quick, report):
    require("umoci", "tar", "gzip", "mkfs.ext4")
    programs = built("benchmarks/unpack", "benchmarks/unpack-floor", "benchmarks/spawn")
    with room() as place:
        for image in [images.debian()] if quick else [images.debian(), images.many()]:
            for blob, _, _ in image.layers:
                blob.read_bytes()  # into the page cache
            for kind in (tmpfs,) if quick else (tmpfs, ext4):
                measure(report, programs, place, image, kind, 2 if quick else 7 if len(image.layers) == 1 else 3)


def measure(report, programs, place, image, kind, rounds):
    target = place / "target"
    target.mkdir(exist_ok=True)
    title = f"Unpack {len(image.layers)} layer{'s' * (len(image.layers) > 1)}, {image.bytes / 1e6:.0f} MB, on {kind.__name__}"
    answers = race(programs, title, contenders(programs, image, target), rounds, lambda _: kind(place, target))
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

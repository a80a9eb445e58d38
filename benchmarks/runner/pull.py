# SPDX-License-Identifier: Apache-2.0
"""What pulling an image costs: mortise, the C floor, podman, containerd, skopeo with umoci, in turn, from one registry,
each into an empty store on a fresh file system with a journal."""

import contextlib
import random
import shlex
import shutil

import images
from contest import workers
from place import Missing, built, ext4, require, room
from report import RACE_HEADS, p50, race_rows
from servers import containerd, registry

SUMMARY_HEADS = ["", "p50 (s)", "mortise : floor", "fastest peer", "it : mortise", "mortise, peak MiB"]
PEERS = {"podman pull": ("podman",), "ctr image pull": ("ctr", "containerd"), "skopeo, umoci": ("skopeo", "umoci")}


def run(quick, report):
    require("docker-registry", "skopeo", "fincore", "mkfs.ext4")
    programs = built("benchmarks/pull", "benchmarks/pull-floor", "benchmarks/spawn")
    for name, needed in PEERS.items():
        absent = [each for each in needed if shutil.which(each) is None]
        if absent:
            report.skip(f"pull: {name}", f"{', '.join(absent)} is not installed")
    cases = [("one layer", images.debian(), 1 if quick else 7)]
    if not quick:
        cases += [("40,000 small files", images.small(), 5), ("many layers", images.many(), 3)]
    summary = []
    with room() as place, registry(place) as source:
        for name, image, rounds in cases:
            for compression in ("gzip", "zstd"):
                pushed = source.push(image, compression)
                for temperature, before in (("cold", pushed.cool), ("warm", pushed.warm)):
                    title = f"Pull {name}, {pushed.bytes() / 1e6:.0f} MB {compression}, {temperature}"
                    answers = race(programs, place, title, pushed, before, rounds)
                    report.table(title, RACE_HEADS, race_rows(answers))
                    summary.append(summarised(title.removeprefix("Pull "), answers))
    report.table("Pull, in short", SUMMARY_HEADS, summary)


def race(programs, place, title, pushed, before, rounds):
    target = place / "target"
    target.mkdir(exist_ok=True)
    commands = contenders(programs, place, target, pushed)
    order = random.Random(1)
    answers = {each: [] for each in commands}
    print(title, flush=True)
    with workers({each: [programs["spawn"], *command] for each, command in commands.items()}) as running:
        for at in range(rounds + 1):
            names = list(commands)
            order.shuffle(names)
            for each in names:
                with ext4(place, target), beside(each, place, target) as peak_beside:
                    before()
                    nanoseconds, peak, status = running[each].ask()
                    peak += peak_beside()
                if status != 0:
                    raise Missing(f"{each} failed to pull {pushed.location}")
                if at > 0:
                    answers[each].append((nanoseconds / 1e9, peak / 1024))
    return answers


@contextlib.contextmanager
def beside(name, place, target):
    """What a contender needs running, started anew; yields what asks for that process' peak of resident KiB."""
    if name != "ctr image pull":
        yield lambda: 0
        return
    with containerd(place, target / "containerd") as peak:
        yield peak


def contenders(programs, place, target, pushed):
    layers = [word for layer in pushed.layers() for word in layer]
    floor = [pushed.registry.port, 2, target, pushed.name, *layers]
    layout, bundle = target / "layout", target / "bundle"
    found = {
        "mortise": [programs["pull"], f"docker://{pushed.location}", target / "store"],
        "floor": [programs["pull-floor"], *floor],
        "blob-keeping floor": [programs["pull-floor"], "--keep", *floor],
        "podman pull": ["env", f"TMPDIR={target}", "podman", "--root", target / "podman", "--runroot", place / "podman",
                        "--tmpdir", place / "libpod", "--storage-driver", "overlay",
                        "pull", "--quiet", "--tls-verify=false", pushed.location],
        "ctr image pull": ["ctr", "--address", place / "containerd/socket", "images", "pull", "--plain-http",
                           "--snapshotter", "overlayfs", pushed.location],
        "skopeo, umoci": ["sh", "-c", shlex.join(map(str, [
            "skopeo", "copy", "--quiet", "--src-tls-verify=false", f"docker://{pushed.location}", f"oci:{layout}:latest"]))
            + " && " + shlex.join(map(str, ["umoci", "unpack", "--image", f"{layout}:latest", bundle]))],
    }
    for name, needed in PEERS.items():
        knows = pushed.compression != "zstd" or "umoci" not in needed  # umoci 0.4.7 takes gzip only
        if not knows or any(shutil.which(each) is None for each in needed):
            del found[name]
    return found


def summarised(title, answers):
    middle = {name: p50([seconds for seconds, _ in values]) for name, values in answers.items()}
    peers = {name: middle[name] for name in PEERS if name in middle}
    fastest = min(peers, key=peers.get, default=None)
    ours = middle["mortise"]
    return [title, ours, ours / middle["floor"], fastest or "none", peers[fastest] / ours if fastest else "",
            max(peak for _, peak in answers["mortise"])]

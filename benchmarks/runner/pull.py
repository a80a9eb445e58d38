# SPDX-License-Identifier: Apache-2.0
"""What pulling an image costs: mortise, the C floor, podman, containerd, skopeo with umoci, in turn, from one registry,
each into an empty store on a fresh file system with a journal."""

import contextlib
import shlex

import images
from contest import race
from peers import installed
from place import built, ext4, require, room
from report import RACE_HEADS, fastest_of, medians, race_rows
from servers import containerd, registry

SUMMARY_HEADS = ["", "p50 (s)", "mortise : floor", "fastest peer", "it : mortise", "mortise, peak MiB"]
PEERS = {"podman pull": ("podman",), "ctr image pull": ("ctr", "containerd"), "skopeo, umoci": ("skopeo", "umoci")}


def run(quick, report):
    require("docker-registry", "skopeo", "fincore", "mkfs.ext4")
    programs = built("benchmarks/pull", "benchmarks/pull-floor", "benchmarks/spawn")
    peers = installed(PEERS, "pull", report)
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
                    answers = measure(programs, place, title, pushed, before, rounds, peers)
                    report.table(title, RACE_HEADS, race_rows(answers))
                    summary.append(summarised(title.removeprefix("Pull "), answers))
    report.table("Pull, in short", SUMMARY_HEADS, summary)


def measure(programs, place, title, pushed, before, rounds, peers):
    target = place / "target"
    target.mkdir(exist_ok=True)

    @contextlib.contextmanager
    def around(name):
        with ext4(place, target), beside(name, place, target) as peak:
            before()
            yield peak

    return race(programs, title, contenders(programs, place, target, pushed, peers), rounds, around)


@contextlib.contextmanager
def beside(name, place, target):
    """What a contender needs running, started anew; yields what asks for that process' peak of resident KiB."""
    if name != "ctr image pull":
        yield lambda: 0
        return
    with containerd(place, target / "containerd") as peak:
        yield peak


def contenders(programs, place, target, pushed, peers):
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
        if not knows or name not in peers:
            del found[name]
    return found


def summarised(title, answers):
    middle = medians(answers)
    fastest = fastest_of(middle, PEERS)
    ours = middle["mortise"]
    return [title, ours, ours / middle["floor"], fastest or "none", middle[fastest] / ours if fastest else "",
            max(peak for _, peak in answers["mortise"])]

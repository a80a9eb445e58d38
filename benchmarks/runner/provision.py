# SPDX-License-Identifier: Apache-2.0
"""What a root costs, from the layers in a store to its first program and to its removal: mortise by each backend, the C
floor of each kernel mechanism, cp, umoci and podman, in turn; and what reading all files of such a root costs."""

import contextlib
import subprocess

import images
from contest import Worker, contest, workers
from peers import installed
from place import Missing, built, cool_ext4, ext4, quietly, require, room
from report import p50, quantile
from servers import forget_blobs

LAYERS = (1, 20, 100)
FILES = (1_000, 10_000, 100_000)
QUICK = ((1, 1_000), (20, 1_000))
# Rounds of what takes longer with each file.
COPIES = {1_000: 15, 10_000: 5, 100_000: 3}
READS = {1_000: 7, 10_000: 4, 100_000: 2}
DIRTY = 64 << 20

ROOT_HEADS = ["", "root p50 (ms)", "p95", "removal p50 (ms)", "p95", "beside", "root : it", "both : it"]
READ_HEADS = ["", "cold p50 (ms)", "p95", "cold : plain tree", "warm p50 (ms)", "p95", "warm : plain tree"]
SUMMARY_HEADS = ["", "overlay : floor", "erofs : floor", "overlay over no root (µs)", "cp -a : copy", "podman : overlay"]
BESIDE = {"mortise, overlay": "floor, overlay", "mortise, erofs": "floor, erofs", "mortise, bind": "floor, bind",
          "mortise, copy": "cp -a", "cp -al": "mortise, overlay", "umoci unpack": "mortise, overlay",
          "podman create, mount": "mortise, overlay"}
PEERS = {"umoci unpack": ("umoci",), "podman create, mount": ("podman",)}


def run(quick, report):
    require("mkfs.ext4", "tar", "cp", "rm")
    programs = built("benchmarks/provision", "benchmarks/provision-floor", "benchmarks/provision-inside", "benchmarks/spawn")
    peers = installed(PEERS, "provision", report)
    summary = []
    forget_blobs()
    with room() as place:
        for layers, files in QUICK if quick else [(layers, files) for files in FILES for layers in LAYERS]:
            name = f"{layers} layer{'s' * (layers > 1)}, {files:,} files"
            with case(programs, place, name, layers, files) as here:
                summary.append([name, *roots(report, here, 20 if quick else 200, 3 if quick else COPIES[files], peers)])
                if layers == 20 and files == (1_000 if quick else 10_000):
                    dirty(report, here, 5 if quick else 40)
                reads(report, here, 2 if quick else READS[files])
    report.table("Provision, in short", SUMMARY_HEADS, summary)


class Case:
    """One image on a file system of its own: in a store for each backend, in a layout, and merged as a plain tree."""

    def __init__(self, programs, place, name, image, files):
        self.programs, self.place, self.name, self.files = programs, place, name, files
        self.target = place / "target"
        self.layout = image.path
        self.layers = {backend: self.fill_store(backend) for backend in ("overlay", "erofs")}
        self.merged = self.target / "merged"
        self.merged.mkdir()
        for blob, _, _ in image.layers:
            quietly(["tar", "-C", self.merged, "-xf", blob])
        quietly(["sync", "--file-system", self.target])

    def fill_store(self, backend):
        command = [self.programs["provision"], "--list", *self.where(backend)]
        outcome = subprocess.run(command, capture_output=True, text=True)
        if outcome.returncode != 0:
            raise Missing(f"fill the store: {outcome.stderr.strip()}")
        return outcome.stdout.split()

    def where(self, backend):
        return [backend, f"oci:{self.layout}:latest", self.target]

    def ours(self, backend):
        return [self.programs["provision"], *self.where(backend)]

    def mounts(self):
        """What makes a root by a mount, or two. A bind shows a single layer."""
        def floor(kind, *paths):
            return [self.programs["provision-floor"], kind, self.target / f"floor-{kind}", *paths]
        found = {"mortise, overlay": self.ours("overlay"), "floor, overlay": floor("overlay", *self.layers["overlay"]),
                 "mortise, erofs": self.ours("erofs"), "floor, erofs": floor("erofs", *self.layers["erofs"])}
        if len(self.layers["overlay"]) == 1:
            found |= {"mortise, bind": self.ours("bind"), "floor, bind": floor("bind", *self.layers["overlay"])}
        return {**found, "no root": floor("none", self.merged)}

    def plain(self):
        return [self.programs["provision-floor"], "bind", self.target / "floor-plain", self.merged]


@contextlib.contextmanager
def case(programs, place, name, layers, files):
    """The layout lies in memory: nothing of it is read while roots are timed, but by umoci."""
    target = place / "target"
    target.mkdir(exist_ok=True)
    print(f"Roots of {name}: making image, stores and tree", flush=True)
    layout = place / "layout"
    layout.mkdir()
    try:
        image = images.layered(layout, layers, files, programs["provision-inside"])
        with ext4(place, target, inodes=100_000 + 6 * files):
            yield Case(programs, place, name, image, files)
    finally:
        quietly(["rm", "-rf", layout])


class Commands:
    """A root made by one command and removed by another, with the answers of benchmarks/provision."""

    def __init__(self, spawn, name, make, remove):
        self.workers = [Worker(name, [spawn, *make]), Worker(name, [spawn, *remove])]

    def ask(self):
        answers = [worker.ask() for worker in self.workers]
        if any(status != 0 for _, _, status in answers):
            raise Missing(f"{self.workers[0].name} failed")
        return [answers[0][0], 0, 0, answers[1][0]]

    def close(self):
        for worker in self.workers:
            worker.close()


@contextlib.contextmanager
def commands(here, peers):
    """cp and umoci write a tree; podman has the layers in a storage of its own beforehand, as mortise has."""
    root = here.target / "root"
    remove = ["rm", "-rf", root]
    pairs = {"cp -a": (["cp", "-a", here.merged, root], remove), "cp -al": (["cp", "-al", here.merged, root], remove)}
    if "umoci unpack" in peers:
        pairs["umoci unpack"] = ["umoci", "unpack", "--image", f"{here.layout}:latest", root], remove
    if "podman create, mount" in peers:
        podman = ["env", f"TMPDIR={here.target}", "podman", "--root", here.target / "podman", "--runroot",
                  here.place / "podman", "--tmpdir", here.place / "libpod", "--storage-driver", "overlay"]
        quietly([*podman, "pull", "--quiet", f"oci:{here.layout}:latest"])
        image = subprocess.run([str(word) for word in [*podman, "images", "--quiet"]], capture_output=True, text=True,
                               check=True).stdout.strip()
        script = '"$@" create --quiet --name root --pull never ' + image + ' /inside && exec "$@" mount root'
        pairs["podman create, mount"] = (["sh", "-c", script, "sh", *podman], [*podman, "rm", "--force", "root"])
    started = {}
    try:
        for name, (make, remove) in pairs.items():
            started[name] = Commands(here.programs["spawn"], name, make, remove)
        yield started
    finally:
        for each in started.values():
            each.close()


def roots(report, here, rounds, copies, peers):
    """One table: first those that mount, then those that take longer with each file, in turn among their own."""
    print(f"Roots of {here.name}: mounts, {rounds} rounds", flush=True)
    with workers(here.mounts()) as contenders:
        answers = contest(contenders, rounds)
    print(f"Roots of {here.name}: copies, {copies} rounds", flush=True)
    with workers({"mortise, copy": here.ours("copy")}) as contenders, commands(here, peers) as others:
        answers |= contest({**contenders, **others}, copies, warm_up=1 if copies > 3 else 0)
    report.table(f"Root of {here.name}", ROOT_HEADS, compared(answers))
    return summarised(answers)


def compared(answers):
    """The program's end counts to the removal: it is when the kernel gives the mounts back."""
    made = {name: [each[0] for each in values] for name, values in answers.items()}
    gone = {name: [each[2] + each[3] for each in values] for name, values in answers.items()}
    both = {name: p50([sum(pair) for pair in zip(made[name], gone[name])]) for name in answers}
    rows = []
    for name in answers:
        beside = BESIDE.get(name)
        ratios = [p50(made[name]) / p50(made[beside]), both[name] / both[beside]] if beside else ["", ""]
        rows.append([name, p50(made[name]) / 1e6, quantile(made[name], 0.95) / 1e6, p50(gone[name]) / 1e6,
                     quantile(gone[name], 0.95) / 1e6, beside or "", *ratios])
    return rows


def summarised(answers):
    """Of copies how they are made: both are removed alike."""
    def both(name):
        return p50([root + end + removal for root, _, end, removal in answers[name]])
    ours = both("mortise, overlay")
    podman = "podman create, mount"
    copied, copied_by_cp = (p50([root for root, *_ in answers[name]]) for name in ("mortise, copy", "cp -a"))
    return [ours / both("floor, overlay"), both("mortise, erofs") / both("floor, erofs"), (ours - both("no root")) / 1e3,
            copied_by_cp / copied, both(podman) / ours if podman in answers else ""]


def dirty(report, here, rounds):
    """The same mounts with what has not been written to the disk yet: somebody's sync would have to wait for it."""
    print(f"Roots of {here.name}: with {DIRTY >> 20} MiB dirty, {rounds} rounds", flush=True)
    file = here.target / "dirty"
    piece = bytes(1 << 20)

    def soil():
        with open(file, "wb", buffering=0) as into:
            for _ in range(DIRTY >> 20):
                into.write(piece)
    with workers(here.mounts()) as contenders:
        rows = compared(contest(contenders, rounds, before=soil))
    file.unlink()
    report.table(f"Root of {here.name}, with {DIRTY >> 20} MiB dirty", ROOT_HEADS, rows)


def reads(report, here, rounds):
    """Each first on a file system that was mounted anew, then once more."""
    contenders = {name: command for name, command in here.mounts().items() if name not in ("floor, bind", "no root")}
    contenders["plain tree"] = here.plain()
    print(f"Reading {here.name}: {rounds} rounds", flush=True)
    answers = {name: [] for name in contenders}
    for at in range(rounds):
        names = list(contenders)
        for name in names[at % len(names):] + names[: at % len(names)]:
            cool_ext4(here.place, here.target)
            answers[name].append(read(name, contenders[name], here.files + 1, times=2))
    copied = [read("mortise, copy", here.ours("copy"), here.files + 1, times=1) for _ in range(rounds)]
    plain = [p50(column) for column in zip(*answers["plain tree"])]
    rows = [[name, *(cell for column, floor in zip(zip(*values), plain) for cell in cells(column, floor))]
            for name, values in answers.items()]
    rows.append(["mortise, copy", "", "", "", *cells([each for each, in copied], plain[1])])
    report.table(f"Reading all files of {here.name}", READ_HEADS, rows, "A copy was written a moment ago: it has no cold "
                 "reading of its own. What it leaves is such a plain tree.")


def cells(values, floor):
    return p50(values) / 1e6, quantile(values, 0.95) / 1e6, p50(values) / floor


def read(name, command, files, times):
    """How long the program inside took, first and then, ns."""
    with workers({name: command}) as running:
        return [running[name].ask(f"read {files}")[0] for _ in range(times)]

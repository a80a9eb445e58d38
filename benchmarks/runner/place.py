# SPDX-License-Identifier: Apache-2.0
"""Where things lie, what was built, and a room of our own for everything that a benchmark leaves lying about."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BUILD = SOURCE / "build" / "benchmarks"
CACHE = SOURCE / "build" / "cache"
EXT4_SIZE = 6 << 30


class Missing(Exception):
    """Why a benchmark, or a part of one, cannot run here."""


def require(*programs):
    absent = [name for name in programs if shutil.which(name) is None]
    if absent:
        raise Missing(f"needs {', '.join(absent)} (benchmarks/run --install names the packages)")


def built(*targets):
    """Builds programs in release mode and returns their paths by name."""
    ninja = ["ninja", "-C", BUILD, f"-j{os.cpu_count() or 1}"]
    if not (BUILD / "build.ninja").exists():
        shutil.rmtree(BUILD, ignore_errors=True)
        quietly(["meson", "setup", BUILD, SOURCE, "--buildtype=release", "--wrap-mode=nodownload", "-Dtests=disabled"])
    print(f"building {' '.join(targets)}", flush=True)
    quietly([*ninja, *targets])
    return {pathlib.Path(target).name: BUILD / target for target in targets}


def quietly(command):
    outcome = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
    if outcome.returncode != 0:
        raise Missing(f"'{' '.join(map(str, command))}' failed:\n{outcome.stdout[-3000:]}")


def mount(*arguments):
    quietly(["mount", *arguments])


def unmount(target):
    """The kernel lets go of the mounts of a process that has ended a little later."""
    end = time.monotonic() + 10
    while True:
        try:
            return quietly(["umount", "--recursive", target])
        except Missing:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


@contextlib.contextmanager
def room():
    """A tmpfs of our own. The mount namespace is private (see __main__), so even a kill leaves only a directory."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="mortise-benchmark-", dir="/tmp"))
    try:
        mount("-t", "tmpfs", "-o", "mode=0755", "tmpfs", path)
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], capture_output=True)
        os.rmdir(path)


@contextlib.contextmanager
def tmpfs(_, target):
    mount("-t", "tmpfs", "tmpfs", target)
    try:
        yield
    finally:
        quietly(["umount", target])


@contextlib.contextmanager
def ext4(place, target, inodes=None):
    """With a journal, on a loop device in memory, made anew: what was deleted before would slow down what comes."""
    disk = pathlib.Path(place) / "disk"
    with open(disk, "wb") as file:
        file.truncate(EXT4_SIZE)
    quietly(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0",
             *(["-N", str(inodes)] if inodes else []), disk])
    mount("-o", "loop", disk, target)
    try:
        yield
    finally:
        unmount(target)
        disk.unlink()


def cool_ext4(place, target):
    """Mounts it once more, with nothing of it in the page cache. Nobody may be using it."""
    unmount(target)
    mount("-o", "loop", pathlib.Path(place) / "disk", target)

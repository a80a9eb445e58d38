# SPDX-License-Identifier: Apache-2.0
"""On what it was measured."""

import os
import pathlib
import platform
import subprocess

PROGRAMS = ("g++", "clang++-19", "crun", "bwrap", "podman", "ctr", "skopeo", "umoci", "tar")


def facts():
    """What does not change, and how busy others keep the machine as we begin."""
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "system": system(),
        "cgroups": cgroups(),
        "versions": ", ".join(filter(None, map(version, PROGRAMS))),
        "load before": load(),
    }


def since(before):
    return {**before, "load after": load()}


def load():
    return " ".join(f"{each:.2f}" for each in os.getloadavg())


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def system():
    for line in pathlib.Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.split("=", 1)[1].strip('"')
    return "unknown"


def cgroups():
    if pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return "version 2"
    return "version 1" if pathlib.Path("/sys/fs/cgroup/memory").exists() else "none"


def version(program):
    try:
        out = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    except OSError:
        return None
    words = out.splitlines()[0].split() if out else []
    return " ".join([program, *[word for word in words if word[:1].isdigit()][-1:]])

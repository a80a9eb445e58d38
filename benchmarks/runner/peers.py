# SPDX-License-Identifier: Apache-2.0
"""The same container as its peers spell it: crun by an OCI bundle, bubblewrap by a command line."""

import json
import pathlib
import shutil
import subprocess

from place import mount as mount_here, quietly

CAPABILITIES = [f"CAP_{name}" for name in (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL "
    "AUDIT_WRITE").split()]
MASKED = ["/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
          "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
          "/sys/devices/virtual/powercap"]
READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
CGROUP = "/mortise-peer"
# podman asks for more than its caller has, which takes CAP_SYS_RESOURCE.
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]


def installed(peers, benchmark, report):
    """Those whose programs are all here; of the others it is reported. `peers` maps names to the programs needed."""
    found = []
    for name, needed in peers.items():
        absent = [each for each in needed if shutil.which(each) is None]
        if absent:
            report.skip(f"{benchmark}: {name}", f"{', '.join(absent)} is not installed")
        else:
            found.append(name)
    return found


def leave_unified_cgroup():
    """crun refuses a version 2 tree beside version 1; in our own mount namespace it can go, for all alike. It writes
    into what is there instead, so that is ours too."""
    if pathlib.Path("/sys/fs/cgroup/unified/cgroup.procs").exists():
        quietly(["umount", "/sys/fs/cgroup/unified"])
        mount_here("-t", "tmpfs", "tmpfs", "/sys/fs/cgroup/unified")


def runtime_spec(layer):
    """What the mortise of launch.cpp asks for, as config.json; without seccomp, as there."""
    return {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "cwd": "/",
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "capabilities": {kind: CAPABILITIES for kind in ("bounding", "effective", "permitted")},
            "noNewPrivileges": True,
        },
        "root": {"path": str(layer)},
        "hostname": "peer",
        "mounts": [mount("/proc", "proc"), mount("/sys", "sysfs", "ro"),
                   mount("/dev", "tmpfs", "strictatime", "mode=755", "size=65536k", dev=True),
                   mount("/dev/pts", "devpts", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5", dev=True),
                   mount("/dev/shm", "tmpfs", "mode=1777", "size=65536k"), mount("/dev/mqueue", "mqueue")],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")],
            "cgroupsPath": f"{CGROUP}/one",
            "resources": {"memory": {"limit": 64 << 20}, "cpu": {"period": 100000, "quota": 100000},
                          "pids": {"limit": 64}},
            "maskedPaths": MASKED, "readonlyPaths": READ_ONLY,
        },
    }


def mount(where, kind, *options, dev=False):
    plain = ["nosuid", "noexec"] if dev else ["nosuid", "noexec", "nodev"]
    return {"destination": where, "type": kind, "source": kind, "options": [*plain, *options]}


def crun(place, layer):
    bundle = place / "bundle"
    bundle.mkdir()
    (bundle / "config.json").write_text(json.dumps(runtime_spec(layer)))
    return ["crun", "--root", place / "crun", "--cgroup-manager", "cgroupfs", "run", "--bundle", bundle, "mortise-peer"]


def bubblewrap(layer):
    """It has no cgroups, and its masks are mounts like any other."""
    masks = [word for path in MASKED if pathlib.Path(path).exists()
             for word in (["--tmpfs", path] if pathlib.Path(path).is_dir() else ["--ro-bind", "/dev/null", path])]
    return ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--hostname", "peer",
            "--new-session", "--bind", layer, "/", "--proc", "/proc", "--ro-bind", "/sys", "/sys", "--dev", "/dev",
            "--mqueue", "/dev/mqueue", *masks, "--cap-drop", "ALL",
            *[word for name in CAPABILITIES for word in ("--cap-add", name)], "/bin/true"]


def clear_away(place):
    subprocess.run(["crun", "--root", place / "crun", "delete", "--force", "mortise-peer"], capture_output=True)
    for name in ("one", ""):
        for each in pathlib.Path("/sys/fs/cgroup").glob(f"*{CGROUP}/{name}"):
            if "unified" not in each.parts:
                each.rmdir()

# SPDX-License-Identifier: Apache-2.0
"""A small machine with another kernel, in QEMU: made of Debian's packages, booted, its tests' records brought back."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import typing

from builds import BUILDS, compile_targets, executables, set_up
from place import BUILD, HAS_SUDO, IS_ROOT, SOURCE, Outcome, keep_log, run
from report import FAILED, SKIPPED
from suites import collect

HERE = SOURCE / "tests/guest"
PLACE = BUILD / "guest"
KERNEL = "linux-image-cloud-amd64"
# Programs that the tests use, beside what their libraries are in.
PACKAGES = ("busybox-static", "e2fsprogs", "xfsprogs", "util-linux", "mount", "kmod", "iproute2", "procps", "attr")


class Line(typing.NamedTuple):
    """One run of a suite in the guest; what follows the name is read by `inside`, in this order."""

    name: str
    user: str  # "root" or "user"
    modules: str  # are loaded first, and stay; "-" for none
    suite: str
    options: str  # doctest's, quoted for a shell

    @property
    def prefix(self):
        return f"{self.name}/{self.suite}"


def only(cases):
    return f"'--test-case={cases}'"


def without(cases):
    return f"'--test-case-exclude={cases}'"


# What faces the kernel, and in it what an emulated processor does in time: what takes long makes a thousand calls of
# kinds that others make once. None of it asks which kernel it is.
SHORT = "'--subcase-exclude=destroys what resists,destroys what a killed*,carries many*,merges the lowest*'"
CHOICE = only("first_supported:*,rootfs backend<*first_supported<*overlay*,probing*")
NONE, OVERLAY, BOTH = "-", "overlay", "overlay,erofs"
PLAN = (
    Line("guest without module overlay", "root", NONE, "rootfs", f"{CHOICE} {SHORT}"),
    Line("guest without module overlay", "root", NONE, "container", only("container: a backend that is chosen*")),
    Line("guest without module erofs", "root", OVERLAY, "rootfs", f"{CHOICE} {SHORT}"),
    Line("guest", "root", BOTH, "sys",
         without("remove tree: deeper*,path: deep*,disk_use: a tree takes*,disk_use: many*,disk_use: what lies beside*")),
    Line("guest", "root", BOTH, "isolate", ""),
    Line("guest", "root", BOTH, "launch", without("clone: a large caller*,clone: works from many threads*")),
    Line("guest", "root", BOTH, "container", without("container: a thousand*")),
    Line("guest", "root", BOTH, "rootfs",
         f"'--source-file=*overlay_*,*erofs_*,*bind_test.cpp,*upper_test.cpp,*project_bound*,*copy_inode_test.cpp' {SHORT}"),
    Line("guest as user", "user", BOTH, "sys", f"--test-suite=unprivileged {without('path: deep*')}"),
    Line("guest as user", "user", BOTH, "launch", f"--test-suite=unprivileged {without('clone: a large caller*')}"),
    Line("guest as user", "user", BOTH, "rootfs", f"{only('rootfs backend*unprivileged*,overlay_probe*')} {SHORT}"),
)
AS_ROOT = () if IS_ROOT else ("sudo",)
DISK_MODULES = ("virtio_pci", "virtio_blk", "ext4")
ALIVE_SECONDS = 5
DEADLINE = 1200


class Absent(Exception):
    """Why there can be no guest here."""


class Broken(Exception):
    """Why there is none though there could be."""


def run_guest(report, kernel=None, modules=None):
    wanted = [line for line in PLAN if report.wants(line.prefix)]
    if not wanted:
        return
    report.stage("guest: another kernel")
    try:
        binaries = built(sorted({line.suite for line in wanted}))
        booted = boot(binaries, wanted, kernel, modules)
    except Broken as why:
        report.add(FAILED, "guest", str(why))
    except Absent as why:
        report.add(SKIPPED, "guest", str(why))
    else:
        take_over(report, wanted, booted)


def boot(binaries, wanted, kernel, modules):
    if not IS_ROOT and not HAS_SUDO:
        raise Absent("needs root or sudo, to make the guest's disk")
    os.environ["PATH"] += ":/usr/sbin:/sbin"  # where mke2fs and depmod are, and no user looks
    absent = [name for name in ("qemu-system-x86_64", "mmdebstrap", "mke2fs", "cpio", "depmod", "dpkg-query")
              if shutil.which(name) is None]
    if absent or os.uname().machine != "x86_64":
        raise Absent(f"needs {', '.join(absent) or 'a machine of x86-64'}")
    PLACE.mkdir(parents=True, exist_ok=True)
    if kernel is None:
        kernel, modules = debian_kernel()
    root = root_disk(binaries)
    with tempfile.TemporaryDirectory(dir=PLACE) as scratch:
        scratch = pathlib.Path(scratch)
        tests = tests_disk(scratch, binaries, wanted, modules)
        initrd = initial(scratch, modules)
        accelerator = fastest(kernel, initrd)
        print(f"booting {pathlib.Path(kernel).name} ({accelerator})", flush=True)
        return qemu(accelerator, kernel, initrd, "quiet", DEADLINE,
                    "-drive", f"file={root},if=virtio,format=raw,snapshot=on",
                    "-drive", f"file={tests},if=virtio,format=raw,readonly=on")


def built(suites):
    build = BUILDS[0]
    if set_up(build) is not None:
        raise Broken(f"its tests cannot be configured: run meson setup {build.directory}")
    targets = executables(build, "tests")
    absent = [suite for suite in suites if suite not in targets]
    if absent:
        raise Absent(f"needs the suites {', '.join(absent)}: a component of theirs is off, see meson's summary")
    failed = compile_targets(build, [targets[suite] for suite in suites])
    if failed:
        raise Broken(f"its tests do not build: {', '.join(failed)}")
    return {suite: build.directory / targets[suite] for suite in suites}


# --- what it is made of ----------------------------------------------------------------------------------------------


def checked(command, cwd=SOURCE):
    outcome = run(command, deadline=900, cwd=cwd)
    if not outcome.ok:
        raise Absent(f"'{' '.join(map(str, command))[:200]}' failed: {outcome.log[-500:]}")
    return outcome.log


def debian_kernel():
    """The newest that the distribution's cloud kernel stands for, unpacked and not installed."""
    depends = checked(["apt-cache", "depends", KERNEL])
    found = re.search(r"Depends: (linux-image-\S+)", depends)
    if found is None:
        raise Absent(f"there is no package {KERNEL}")
    place = PLACE / found[1]
    if not (place / "done").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        print(f"fetching {found[1]} (once)", flush=True)
        checked(["apt-get", "download", "-q", found[1]], cwd=place)
        checked(["dpkg-deb", "--extract", *place.glob("*.deb"), place])
        (place / "done").touch()
    return next((place / "boot").glob("vmlinuz-*")), next((place / "lib/modules").iterdir())


def root_disk(binaries):
    """A small system with what the tests' programs are linked with, of the suite that this machine is of."""
    suite = re.search(r"^VERSION_CODENAME=(\S+)", pathlib.Path("/etc/os-release").read_text(), re.MULTILINE)
    if suite is None:
        raise Absent("needs to know the distribution's suite: /etc/os-release has none")
    packages = sorted({*PACKAGES, *libraries(binaries)})
    key = hashlib.sha256("\n".join([suite[1], *packages, "1"]).encode()).hexdigest()[:16]
    disk = PLACE / f"root-{key}.ext4"
    if disk.exists():
        return disk
    print(f"making the guest's root of {len(packages)} packages (once)", flush=True)
    with tempfile.TemporaryDirectory(dir=PLACE) as scratch:
        root = pathlib.Path(scratch) / "root"
        checked([*AS_ROOT, "mmdebstrap", "--mode=root", "--variant=apt", f"--include={','.join(packages)}",
                 "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
                 "--dpkgopt=path-exclude=/usr/share/man/*", '--customize-hook=mkdir "$1/tests"', suite[1], root])
        ext4(root, disk, spare=512)
        checked([*AS_ROOT, "rm", "-rf", root])
    return disk


def libraries(binaries):
    paths = set()
    for binary in binaries.values():
        paths.update(re.findall(r"=> (/\S+)", checked(["ldd", binary])))
    owners = set()
    for path in paths:
        # A package may know its file by the name that it had before /lib became a link.
        outcome = run(["dpkg-query", "--search", path, os.path.realpath(path)])
        owners.update(re.findall(r"^([a-z0-9.+-]+)(?::\S+)?: /", outcome.log, re.MULTILINE))
    return owners


def tests_disk(scratch, binaries, wanted, modules):
    folder = scratch / "tests"
    folder.mkdir()
    for name, binary in binaries.items():
        checked(["objcopy", "--strip-debug", binary, folder / name])
    shutil.copy(HERE / "inside", folder)
    (folder / "plan").write_text("".join(f"{' '.join(each[1:])}\n" for each in wanted))
    disk = scratch / "tests.ext4"
    if modules is not None:
        install_modules(modules, folder / "lib/modules")
    ext4(folder, disk, spare=16)
    return disk


def install_modules(modules, into):
    """All of them: which the tests want is theirs to ask."""
    target = into / pathlib.Path(modules).name
    shutil.copytree(modules, target, symlinks=True, ignore=shutil.ignore_patterns("build", "source"))
    checked(["depmod", "-b", into.parents[1], target.name])


def initial(scratch, modules):
    """An initial RAM file system: a shell, and the modules that it takes to reach a disk."""
    folder = scratch / "initial"
    (folder / "bin").mkdir(parents=True)
    (folder / "modules").mkdir()
    shutil.copy("/bin/busybox", folder / "bin/busybox")
    shutil.copy(HERE / "init", folder / "init")
    order = []
    if modules is not None:
        for path in needed(scratch / "tests/lib/modules" / pathlib.Path(modules).name, DISK_MODULES):
            shutil.copy(path, folder / "modules" / path.name)
            order.append(path.name)
    (folder / "modules/order").write_text("\n".join(order) + "\n")
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    archive = scratch / "initrd"
    with open(archive, "wb") as out:
        subprocess.run(["cpio", "--quiet", "-o", "-H", "newc"], cwd=folder, input="\n".join(names).encode(), stdout=out,
                       check=True)
    return archive


def needed(modules, names):
    """The files of modules and of those that they need, in the order of loading; what is built in has none."""
    depends = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        depends[path] = others.split()
    by_name = {pathlib.Path(path).name.split(".")[0]: path for path in depends}
    out = []

    def add(path):
        for other in reversed(depends[path]):
            add(other)
        if modules / path not in out:
            out.append(modules / path)

    for name in names:
        if name in by_name:
            add(by_name[name])
    return out


def ext4(folder, disk, spare):
    """A disk with a folder's files and so many MiB free."""
    size = int(checked([*AS_ROOT, "du", "-sk", folder]).split()[0]) // 1024 * 5 // 4 + spare
    part = disk.with_suffix(".part")
    checked([*AS_ROOT, "mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0", "-d", folder, part,
             f"{size}M"])
    part.rename(disk)


# --- the machine -----------------------------------------------------------------------------------------------------


def qemu(accelerator, kernel, initrd, options, deadline, *more):
    """Without CMPXCHG16B: as QEMU 7.2 emulates it on several processors, Linux 6.12 panics in its allocator."""
    command = ["qemu-system-x86_64", "-accel", accelerator, "-machine", "q35", "-cpu", "max,-cx16", "-m", "3072",
               "-smp", "2", "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio", "-kernel", kernel,
               "-initrd", initrd, "-append", f"console=ttyS0 panic=-1 {options}", *more]
    return run(command, deadline=deadline)


def fastest(kernel, initrd):
    """KVM, if a guest comes to life by it: on some machines it can be opened, and the guest hangs."""
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        if "@alive" in qemu("kvm", kernel, initrd, "quiet guest.alive", ALIVE_SECONDS).log:
            return "kvm"
    return "tcg,thread=multi"


# --- what it says ----------------------------------------------------------------------------------------------------


def take_over(report, wanted, booted):
    keep_log("guest", booted.log)
    kernel = re.search(r"^@kernel (\S+)", booted.log, re.MULTILINE)
    if kernel is None:
        tail = "\n".join(booted.log.splitlines()[-40:])
        report.add(FAILED, "guest", f"it did not come to life: {booted.why}", tail)
        return
    panic = re.search(r"Kernel panic - not syncing: .*", booted.log)
    parts = re.split(r"^@begin .*$", booted.log.replace("\r", ""), flags=re.MULTILINE)[1:]
    for at, line in enumerate(wanted):
        text = parts[at] if at < len(parts) else ""
        ended = re.search(r"^@end (\d+)$", text, re.MULTILINE)
        code = int(ended[1]) if ended else None
        log = "\n".join(re.findall(r"^@log (.*)$", text, re.MULTILINE)) if ended else text[-4000:]
        if panic and not ended:
            report.add(FAILED, line.prefix, panic[0], log)
            continue
        with tempfile.TemporaryDirectory() as scratch:
            records = pathlib.Path(scratch) / "records"
            records.write_text("".join(f"{each}\n" for each in re.findall(r"^@record (.*)$", text, re.MULTILINE)))
            collect(line.prefix, records, Outcome(None if code == 124 else code, log), report)

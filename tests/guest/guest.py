# SPDX-License-Identifier: Apache-2.0
"""A small machine with another kernel, in QEMU: made of Debian's packages, booted, its tests' records brought back."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from builds import BUILDS, compile_targets, executables, set_up
from place import BUILD, IS_ROOT, SOURCE, Outcome, keep_log, run
from report import FAILED, SKIPPED
from suites import collect

HERE = SOURCE / "tests/guest"
PLACE = BUILD / "guest"
KERNEL = "linux-image-cloud-amd64"
# Programs that the tests use, beside what their libraries are in.
PACKAGES = ("busybox-static", "e2fsprogs", "xfsprogs", "util-linux", "mount", "kmod", "iproute2", "procps", "attr")
# What faces the kernel, and in it what an emulated processor can do in time. None of it asks which kernel it is.
PLAN = (
    ("root", "sys", ""),
    ("root", "isolate", ""),
    ("root", "launch", ""),
    ("root", "container", ""),
    ("root", "rootfs", "'--test-case-exclude=merging*'"),
    ("root", "rootfs", "'--source-file=*overlay_test.cpp' '--test-case=merging*overlay_layers>>'"),
    ("user", "rootfs", "'--source-file=*overlay_test.cpp,*copy_test.cpp' '--test-case=rootfs backend*unprivileged*'"),
    ("user", "sys", "'--source-file=*trial_test.cpp,*cgroupfs_test.cpp'"),
)
DISK_MODULES = ("virtio_pci", "virtio_blk", "ext4")
ALIVE_SECONDS = 8
DEADLINE = 600


class Absent(Exception):
    """Why there can be no guest here."""


def run_guest(report, kernel=None, modules=None):
    wanted = [line for line in PLAN if report.pattern == "" or report.wants(f"{prefix_of(line[0])}/{line[1]}")]
    if not wanted:
        return
    report.stage("guest: another kernel")
    try:
        booted = boot(report, wanted, kernel, modules)
    except Absent as why:
        report.add(SKIPPED, "guest", str(why))
        return
    take_over(report, wanted, booted)


def prefix_of(who):
    return "guest" if who == "root" else "guest as user"


def boot(report, wanted, kernel, modules):
    if not IS_ROOT:
        raise Absent("needs root, to make the guest's disk")
    absent = [name for name in ("qemu-system-x86_64", "mmdebstrap", "mke2fs", "cpio", "depmod", "dpkg-query")
              if shutil.which(name) is None]
    if absent or os.uname().machine != "x86_64":
        raise Absent(f"needs {', '.join(absent) or 'a machine of x86-64'}")
    PLACE.mkdir(parents=True, exist_ok=True)
    binaries = built(report, sorted({name for _, name, _ in wanted}))
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


def built(report, names):
    build = BUILDS[0]
    failure = set_up(build)
    if failure is not None:
        raise Absent("its tests cannot be configured: see gcc/configure")
    targets = executables(build, "tests")
    failed = compile_targets(build, [targets[name] for name in names])
    if failed:
        raise Absent(f"its tests do not build: {', '.join(failed)}")
    return {name: build.directory / targets[name] for name in names}


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
        checked(["mmdebstrap", "--mode=root", "--variant=apt", f"--include={','.join(packages)}",
                 "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
                 "--dpkgopt=path-exclude=/usr/share/man/*", suite[1], root])
        (root / "tests").mkdir(exist_ok=True)
        shutil.rmtree(root / "var/lib/apt", ignore_errors=True)
        ext4(root, disk, spare=512)
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
    (folder / "plan").write_text("".join(f"{who} {name} {arguments}\n" for who, name, arguments in wanted))
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
    size = int(checked(["du", "-sk", folder]).split()[0]) // 1024 * 5 // 4 + spare
    part = disk.with_suffix(".part")
    checked(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0", "-d", folder, part, f"{size}M"])
    part.rename(disk)


# --- the machine -----------------------------------------------------------------------------------------------------


def qemu(accelerator, kernel, initrd, options, deadline, *more):
    command = ["qemu-system-x86_64", "-accel", accelerator, "-machine", "q35", "-cpu", "max", "-m", "3072", "-smp", "2",
               "-nodefaults", "-no-reboot", "-display", "none", "-serial", "stdio", "-kernel", kernel, "-initrd", initrd,
               "-append", f"console=ttyS0 panic=-1 {options}", *more]
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
    parts = re.split(r"^@begin .*$", booted.log.replace("\r", ""), flags=re.MULTILINE)[1:]
    for at, (who, name, _) in enumerate(wanted):
        text = parts[at] if at < len(parts) else ""
        ended = re.search(r"^@end (\d+)$", text, re.MULTILINE)
        code = int(ended[1]) if ended else None
        log = "\n".join(re.findall(r"^@log (.*)$", text, re.MULTILINE)) if ended else text[-4000:]
        with tempfile.TemporaryDirectory() as scratch:
            records = pathlib.Path(scratch) / "records"
            records.write_text("".join(f"{line}\n" for line in re.findall(r"^@record (.*)$", text, re.MULTILINE)))
            collect(f"{prefix_of(who)}/{name}", records, Outcome(None if code == 124 else code, log), report)

# SPDX-License-Identifier: Apache-2.0
"""The images that are unpacked: made once from Debian's packages by Debian's tools, kept in build/cache."""

import hashlib
import io
import json
import pathlib
import random
import shutil
import subprocess
import tarfile
import tempfile

from place import CACHE, Missing, require

SUITE = "bookworm"
# A layer for each line, above a minimal system. What this suite's archive no longer has is left out, aloud.
STACK = (
    ("perl-modules-5.36", "libperl5.36"),
    ("libpython3.11-stdlib", "libpython3.11-minimal", "python3.11-minimal"),
    ("git", "git-man"),
    ("cpp-12",),
    ("gcc-12", "libgcc-12-dev"),
    ("g++-12", "libstdc++-12-dev"),
    ("binutils-x86-64-linux-gnu", "libbinutils"),
    ("cmake", "cmake-data"),
    ("golang-1.19-src",),
    ("libboost1.74-dev",),
    ("vim-runtime", "vim-common"),
    ("libnode108", "nodejs"),
    ("libllvm14",),
    ("libicu72", "libicu-dev"),
    ("mercurial-common",),
    ("libc6-dev", "linux-libc-dev", "manpages-dev"),
    ("python3-numpy", "python3-pip"),
    ("erlang-base", "erlang-crypto"),
)


def debian():
    """One layer: a minimal Debian. tests/image/real_images_test.cpp makes and takes the same one."""
    return cached(SUITE, lambda layout, work: add_layer(layout, minimal_system(work)))


def many():
    """Twenty layers: a minimal Debian, packages, and at the top a layer of whiteouts and links. Its programs run."""
    return cached("bench-stack", make_many)


def small():
    """One layer: 40,000 files of a few hundred to a few thousand bytes."""
    return cached("bench-small", lambda layout, work: add_layer(layout, small_files(work)))


def make_many(layout, work):
    add_layer(layout, minimal_system(work))
    for at, packages in enumerate(STACK):
        tar = package_files(work, at, packages)
        if tar is not None:
            add_layer(layout, tar)
    add_layer(layout, last_layer(work))


def cached(name, make):
    require("umoci", "mmdebstrap", "dpkg-deb", "apt-get")
    kept = CACHE / name
    if not kept.exists():
        print(f"making image {kept.name} (once)", flush=True)
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            work = pathlib.Path(scratch)
            layout = work / "layout"
            run("umoci", "init", "--layout", layout)
            run("umoci", "new", "--image", f"{layout}:latest")
            make(layout, work)
            run("umoci", "gc", "--layout", layout)
            layout.rename(kept)
    return Image(kept)


def minimal_system(work):
    """Shared by both images of it, so that it is made and fetched once."""
    kept = CACHE / f"{SUITE}.tar"
    if not kept.exists():
        tar = work / "minimal.tar"
        run("mmdebstrap", "--variant=minbase", "--mode=root", SUITE, tar)
        tar.rename(kept)
    return kept


def package_files(work, at, packages):
    folder = work / f"packages-{at}"
    root = folder / "root"
    root.mkdir(parents=True)
    for package in packages:
        if subprocess.run(["apt-get", "download", "-q", package], cwd=folder, capture_output=True).returncode != 0:
            print(f"  package {package} is not to be had here: left out")
    archives = sorted(folder.glob("*.deb"))
    for archive in archives:
        run("dpkg-deb", "--extract", archive, root)
    merge_usr(root)
    tar = folder / "layer.tar"
    run("tar", "-C", root, "--sort=name", "--xattrs", "-cf", tar, ".")
    shutil.rmtree(root)
    return tar if archives else None


def merge_usr(root):
    """Below, /lib is a link to /usr/lib: a package's directory of that name would take its place, and the loader go."""
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        if (root / name).is_dir():
            (root / "usr" / name).mkdir(parents=True, exist_ok=True)
            run("cp", "-a", f"{root / name}/.", root / "usr" / name)
            shutil.rmtree(root / name)


def last_layer(work):
    """What a last step of a build does: deletes, hides a directory, links to what lies below."""
    path = work / "last.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("usr/share/.wh.doc", "usr/share/man/.wh..wh..opq", "usr/share/info/.wh..wh..opq"):
            if name.endswith(".wh..wh..opq"):
                directory = tarfile.TarInfo(name.rsplit("/", 1)[0])
                directory.type, directory.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(directory)
            tar.addfile(tarfile.TarInfo(name))
        for at in range(1000):
            each = tarfile.TarInfo(f"srv/data/{at % 20:02}/{at:04}")
            each.size = 100 + at * 7
            tar.addfile(each, io.BytesIO(b"%04d" % at * (each.size // 4 + 1)))
            link = tarfile.TarInfo(f"srv/links/{at:04}")
            link.type, link.linkname = tarfile.LNKTYPE, each.name
            tar.addfile(link)
    return path


def small_files(work):
    """Eight hundred directories of fifty files, of words: they compress about as sources do."""
    path = work / "small.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        add_small_files(tar, range(40_000), Prose())
    return path


class Prose:
    """Text of words without meaning, always the same."""

    def __init__(self):
        self.dice = random.Random(1)
        words = ["".join(self.dice.choices("abcdefghijklmnopqrstuvwxyz", k=self.dice.randint(2, 12))) for _ in range(5000)]
        self.text = " ".join(self.dice.choices(words, k=400_000)).encode()

    def piece(self):
        size = self.dice.randint(200, 6000)
        begin = self.dice.randrange(len(self.text) - size)
        return self.text[begin : begin + size]


def add_small_files(tar, numbers, prose):
    """The files of these numbers, each fifty in a directory, each twenty of these in another."""
    for at in numbers:
        if at % 50 == 0:
            directory = tarfile.TarInfo(f"srv/small/{at // 1000:02}/{at // 50 % 20:02}")
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(directory)
        each = tarfile.TarInfo(f"srv/small/{at // 1000:02}/{at // 50 % 20:02}/{at:05}.txt")
        content = prose.piece()
        each.size = len(content)
        tar.addfile(each, io.BytesIO(content))


def layered(path, layers, files, program):
    """So many small files evenly in so many layers, not compressed, and at the top of the first a program, /inside."""
    blobs = path / "blobs/sha256"
    blobs.mkdir(parents=True)
    prose = Prose()
    parts = []
    for at in range(layers):
        with tarfile.open(path / "layer", "w", format=tarfile.PAX_FORMAT) as tar:
            if at == 0:
                inside = tarfile.TarInfo("inside")
                inside.mode, inside.size = 0o755, program.stat().st_size
                with open(program, "rb") as content:
                    tar.addfile(inside, content)
            add_small_files(tar, range(files * at // layers, files * (at + 1) // layers), prose)
        parts.append(take_blob(blobs, path / "layer", "application/vnd.oci.image.layer.v1.tar"))
    config = {"architecture": "amd64", "os": "linux", "config": {},
              "rootfs": {"type": "layers", "diff_ids": [each["digest"] for each in parts]}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": write_blob(blobs, config, "application/vnd.oci.image.config.v1+json"), "layers": parts}
    top = write_blob(blobs, manifest, manifest["mediaType"])
    top["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    (path / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))
    return Image(path)


def write_blob(blobs, document, media_type):
    (blobs / "document").write_text(json.dumps(document))
    return take_blob(blobs, blobs / "document", media_type)


def take_blob(blobs, file, media_type):
    """Moves the file to where its digest says, and describes it."""
    with open(file, "rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    file.rename(blobs / digest)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": (blobs / digest).stat().st_size}


def add_layer(layout, tar):
    run("umoci", "raw", "add-layer", "--image", f"{layout}:latest", tar)


def run(*command):
    outcome = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if outcome.returncode != 0:
        raise Missing(f"make an image: {command[0]} failed: {outcome.stderr.strip()[-500:]}")


class Image:
    """An OCI layout with one image, tagged "latest"."""

    def __init__(self, path):
        self.path = path
        index = json.loads((path / "index.json").read_text())
        manifest = json.loads(self.blob(index["manifests"][0]["digest"]).read_text())
        config = json.loads(self.blob(manifest["config"]["digest"]).read_text())
        self.layers = [(self.blob(layer["digest"]), layer["digest"].removeprefix("sha256:"), diff.removeprefix("sha256:"))
                       for layer, diff in zip(manifest["layers"], config["rootfs"]["diff_ids"])]
        self.bytes = sum(layer["size"] for layer in manifest["layers"])

    def blob(self, digest):
        return self.path / "blobs" / digest.replace(":", "/")


def one_program(layout, root):
    """An image of one small tree."""
    tar = layout.parent / "one.tar"
    run("tar", "-C", root, "-cf", tar, ".")
    run("umoci", "init", "--layout", layout)
    run("umoci", "new", "--image", f"{layout}:latest")
    add_layer(layout, tar)
    return layout

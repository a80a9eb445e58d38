# SPDX-License-Identifier: Apache-2.0
"""The servers that pulling needs: Debian's docker-registry with the images in it, and containerd."""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

from place import CACHE, Missing, mount, quietly

REMEMBERED = pathlib.Path("/var/lib/containers")  # where podman and skopeo remember what they saw
DOCUMENTS = "application/vnd.oci.image.manifest.v1+json"


@contextlib.contextmanager
def daemon(command, log, ready):
    """Runs a server once `ready()` says that it answers; it is ended by its process ID."""
    with open(log, "w", encoding="utf-8") as output:
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        end = time.monotonic() + 20
        while not ready():
            if process.poll() is not None or time.monotonic() > end:
                raise Missing(f"{command[0]} does not answer: {log.read_text(encoding='utf-8')[-500:]}")
            time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def answers(family, address):
    with socket.socket(family) as client:
        return client.connect_ex(address) == 0


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Registry:
    """A running docker-registry. What is pushed lies on disk in build/cache and stays for the next run."""

    def __init__(self, port, root):
        self.host = f"127.0.0.1:{port}"
        self.port = port
        self.root = root

    def push(self, image, compression):
        """The image under a name that changes with its content, its layers in this compression."""
        digest = json.loads((image.path / "index.json").read_text())["manifests"][0]["digest"]
        pushed = PushedImage(self, f"{image.path.name}-{digest.removeprefix('sha256:')[:12]}", compression)
        if not pushed.exists():
            print(f"pushing {image.path.name}, {compression} (once)", flush=True)
            shutil.rmtree(REMEMBERED / "cache", ignore_errors=True)  # or it would mount the other compression's blobs
            quietly(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", "--dest-compress-format", compression,
                     f"oci:{image.path}:latest", f"docker://{pushed.location}"])
            quietly(["sync", "--file-system", self.root])  # what is not on the disk cannot leave the page cache
        if any(not layer["mediaType"].endswith(compression) for layer in pushed.manifest()["layers"]):
            raise Missing(f"skopeo pushed {pushed.location} in another compression")
        return pushed


class PushedImage:
    """One image in a registry, as its manifest and its blobs' files."""

    def __init__(self, registry, image, compression):
        self.registry = registry
        self.compression = compression
        self.name = f"{image}-{compression}"
        self.location = f"{registry.host}/{self.name}:latest"

    def exists(self):
        try:
            self.manifest()
        except urllib.error.HTTPError as why:
            if why.code == 404:
                return False
            raise
        return True

    def get(self, what):
        request = urllib.request.Request(f"http://{self.registry.host}/v2/{self.name}/{what}", headers={"Accept": DOCUMENTS})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def layers(self):
        """Of each, bottom first: the digests of the blob and of what it unpacks to."""
        manifest = self.manifest()
        diffs = self.get(f"blobs/{manifest['config']['digest']}")["rootfs"]["diff_ids"]
        return [(layer["digest"].removeprefix("sha256:"), diff.removeprefix("sha256:"))
                for layer, diff in zip(manifest["layers"], diffs)]

    def manifest(self):
        return self.get("manifests/latest")

    def bytes(self):
        return sum(layer["size"] for layer in self.manifest()["layers"])

    def files(self):
        blobs = self.registry.root / "docker/registry/v2/blobs/sha256"
        return [blobs / digest[:2] / digest / "data" for digest, _ in self.layers()]

    def warm(self):
        for file in self.files():
            file.read_bytes()

    def cool(self):
        """Takes the blobs out of the page cache: the registry then reads them from the disk."""
        for file in self.files():
            with open(file, "rb") as blob:
                os.posix_fadvise(blob.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        kept = subprocess.run(["fincore", "--noheadings", "--bytes", "--output", "RES", *self.files()], text=True,
                              capture_output=True, check=True).stdout
        if any(int(each) for each in kept.split()):
            raise Missing(f"the page cache keeps the blobs of {self.name}")


def forget_blobs():
    """What podman and skopeo remember from here on lies in a tmpfs of the run's, and nothing is in it yet."""
    REMEMBERED.mkdir(exist_ok=True)
    mount("-t", "tmpfs", "tmpfs", REMEMBERED)


@contextlib.contextmanager
def registry(place):
    forget_blobs()
    root = CACHE / "bench-registry"
    root.mkdir(parents=True, exist_ok=True)
    port = free_port()
    config = place / "registry.yml"
    config.write_text(json.dumps({  # which is YAML too
        "version": "0.1", "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(root)}, "cache": {"blobdescriptor": "inmemory"}},
        "http": {"addr": f"127.0.0.1:{port}"}}))
    log = place / "registry.log"
    with daemon(["docker-registry", "serve", config], log, lambda: answers(socket.AF_INET, ("127.0.0.1", port))):
        yield Registry(port, root)


@contextlib.contextmanager
def containerd(place, root):
    """A containerd of our own that keeps everything in `root`; yields what asks for its peak of resident KiB."""
    state = place / "containerd"
    state.mkdir(exist_ok=True)
    config = state / "config.toml"
    config.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
    address = state / "socket"
    address.unlink(missing_ok=True)
    command = ["containerd", "--config", config, "--root", root, "--state", state / "run", "--address", address]
    with daemon(command, state / "log", lambda: answers(socket.AF_UNIX, str(address))) as process:
        yield lambda: peak_of(process.pid)


def peak_of(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise Missing("the peak memory of a process is not to be had")

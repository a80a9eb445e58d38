# SPDX-License-Identifier: Apache-2.0
"""What may be included where: the table of DESIGN.md, as data."""

BELOW = {"model", "sys", "base"}

# Who may include whom; every folder may include itself.
FOLDERS = {
    "base": set(),
    "model": {"base"},
    "sys": {"base"},
    "digest": BELOW,
    "archive": BELOW,
    "fetch": BELOW,
    "rootfs": BELOW,
    "isolate": BELOW,
    "launch": BELOW,
    "state": BELOW,
    "erofs": BELOW | {"archive"},
    "image": BELOW | {"digest", "archive", "fetch", "erofs"},
    "detail": BELOW,
}

# Single headers that may reach further: the composition knows the concepts, and never a policy.
CONCEPTS = {"image/store_concept.hpp", "rootfs/backend.hpp", "isolate/isolator.hpp", "isolate/facts.hpp",
            "isolate/setting.hpp", "launch/launcher.hpp"}
FILES = {
    "container.hpp": BELOW | CONCEPTS | {"launch", "state", "detail", "observer.hpp"},
    "observer.hpp": BELOW | CONCEPTS,
    "detail/*": CONCEPTS,
}

# Headers whose namespace is not their folder: facts are named fact::cgroup.
NAMESPACES = {"isolate/facts.hpp": "mortise::fact"}

# Third-party headers: the library's name in a header's "Needs:" line, and the only headers that may include it.
LIBRARIES = {
    r"archive(_entry)?\.h": ("libarchive", ["archive/tar.hpp"]),
    r"openssl/.*": ("libcrypto", ["digest/openssl.hpp"]),
    r"rapidjson/.*": ("RapidJSON", ["image/json.hpp", "state/recover.hpp"]),
    r"zstd\.h": ("libzstd", ["archive/zstd.hpp"]),
    r"zlib\.h": ("zlib", ["archive/zlib.hpp"]),
    r"bzlib\.h": ("libbz2", ["archive/bzip2.hpp"]),
    r"lzma\.h": ("liblzma", ["archive/xz.hpp"]),
    r"isa-l.*": ("libisal", ["archive/isal.hpp"]),
    r"curl/.*": ("libcurl", ["fetch/curl.hpp", "fetch/curl_library.hpp"]),
}
SYSTEM = r"(absl|arpa|asm|linux|net|netinet|netpacket|sys|mortise)/.*|[a-z_0-9]+(\.h)?"

# Heavy standard headers cost every user compile time; the library has no need of them.
TOO_HEAVY = ("filesystem", "regex", "iostream", "fstream", "sstream", "iomanip", "locale", "future", "random")

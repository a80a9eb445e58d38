// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// An image and a place for the example programs to run in: made once for all cases of this program.

#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <examples/program.hpp>
#include <mortise/base/text.hpp>
#include <mortise/state/paths.hpp>
#include <mortise/sys/file.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <support/place.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <utility>
#include <vector>

namespace examples {

/// Whether the cases of this folder can run at all.
inline bool missing_host() {
  return support::missing_root() || support::missing_program("umoci") || support::missing_program("busybox");
}

/// The directories in which programs keep things by default, as tmpfs of this process's mount namespace: what the
/// host has there stays as it was.
class private_defaults {
 public:
  private_defaults() {
    for (const char* const each : directories)
      if (::mount("tmpfs", each, "tmpfs", 0, "mode=755") != 0) throw std::runtime_error("mount a tmpfs");
  }
  private_defaults(const private_defaults&) = delete;
  private_defaults& operator=(const private_defaults&) = delete;
  ~private_defaults() {
    for (const char* const each : directories) ::umount2(each, MNT_DETACH);
  }

 private:
  static constexpr const char* directories[] = {"/run", "/var/lib"};
};

/// A layout with the tags `latest` (busybox and two accounts), and `large` (that, and a layer that takes a while).
class scene {
 public:
  static const scene& get() {
    static const scene only;
    return only;
  }

  [[nodiscard]] std::string operator/(const std::string& name) const { return place_ / name; }
  [[nodiscard]] std::string layout() const { return place_ / "image"; }
  [[nodiscard]] std::string image() const { return "oci:" + layout() + ":latest"; }
  /// A root directory of the same files.
  [[nodiscard]] std::string root() const { return place_ / "root"; }
  /// Copies where every user can reach them.
  [[nodiscard]] std::string mortise_run() const { return place_ / "mortise-run"; }
  [[nodiscard]] std::string mortise_image() const { return place_ / "mortise-image"; }
  [[nodiscard]] std::string store() const { return place_ / "store"; }
  /// A directory of nobody's.
  [[nodiscard]] std::string nobody() const { return place_ / "nobody"; }

 private:
  scene() {
    const std::string script = R"sh(set -e; cd "$0"
mkdir -p root/bin root/etc root/proc root/sys root/dev root/tmp root/home/app nobody
chown 65534:65534 nobody; chown 1000:1000 root/home/app; chmod 1777 root/tmp
cp "$(command -v busybox)" root/bin/busybox
for applet in $(root/bin/busybox --list); do [ $applet = busybox ] || ln -s busybox root/bin/$applet; done
printf 'root:x:0:0::/:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n' >root/etc/passwd
printf 'root:x:0:\napp:x:1000:\nextra:x:2000:app\n' >root/etc/group
printf 'not a program\n' >root/etc/text; printf '#!/nowhere\n' >root/bin/lost; chmod 755 root/bin/lost
umoci init --layout image; umoci new --image image:latest
umoci unpack --image image:latest bundle; cp -a root/. bundle/rootfs/; umoci repack --image image:latest bundle
umoci config --image image:latest --config.cmd /bin/echo --config.cmd 'by default' --config.env FROM=image
rm -r bundle; umoci unpack --image image:latest bundle; truncate -s 300M bundle/rootfs/zeros
umoci repack --image image:large bundle; rm -r bundle
cp "$1" "$2" .; chmod -R a+rX image)sh";
    const outcome made = run({"sh", "-c", script, place_.path(), support::built_program("examples/mortise-run"),
                              support::built_program("examples/mortise-image")});
    if (made.code != 0) throw std::runtime_error("make a scene: " + made.err);
  }

  support::temporary_directory place_;
};

/// The names in a directory; none if it is not there.
inline std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> found;
  mortise::sys::for_each_entry(AT_FDCWD, directory, [&found](std::string_view name, unsigned char) {
    found.emplace_back(name);
    return absl::OkStatus();
  }).IgnoreError();
  return found;
}

/// What containers have left in a data and a state directory, by id; empty if nothing is there.
inline std::string left_in(const std::string& data, const std::string& state) {
  std::string found;
  const std::string boot = mortise::state::boot_id().value_or("");
  for (const auto& each : names_in(data + "/containers/" + boot))
    mortise::append(found, "root ", each.substr(0, each.rfind('-')), '\n');
  for (const auto& each : names_in(state))
    if (each != "lock") mortise::append(found, "record ", each, '\n');
  return found;
}

}  // namespace examples

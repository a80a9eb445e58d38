// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a case about containers works with: a root of Debian's static busybox, a host in a temporary directory,
/// and one container run from beginning to end.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <mortise/container.hpp>
#include <mortise/image/directory.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/rootfs/overlay.hpp>
#include <mortise/sys/file.hpp>
#include <stdexcept>
#include <string>
#include <string_view>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <utility>
#include <vector>

namespace boxes {

inline void check(bool worked, const std::string& what) {
  if (!worked) throw std::runtime_error(what);
}
inline void check(const absl::Status& status) { check(status.ok(), std::string(mortise::message(status))); }

/// A directory that holds an image's one layer, and a host's directories beside it.
class scene {
 public:
  scene() {
    const std::string busybox = support::find_program("busybox");
    for (const char* const name : {"bin", "etc", "tmp", "root", "home", "proc", "sys", "dev"}) make_directory(name);
    const auto program = mortise::sys::read_file(busybox, 16 << 20);
    check(program.status());
    write("bin/busybox", *program, 0755);
    for (const char* const name :
         {"sh",   "ls",   "cat",   "true",     "id", "sleep",    "echo",  "mount", "mknod", "dd",
          "kill", "stat", "touch", "readlink", "nc", "hostname", "mkdir", "chmod", "su",    "grep"})
      link("busybox", std::string("bin/") + name);
    write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:100:User:/home/user:/bin/sh\n");
    write("etc/group", "root:x:0:\nusers:x:100:\nwheel:x:10:root,user\nextra:x:2000:user\n");
  }

  /// The image's location for image::directory.
  [[nodiscard]] std::string image() const { return directory_ / "image"; }
  [[nodiscard]] mortise::host_options host_options() const { return {directory_ / "data", directory_ / "state"}; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return directory_ / name; }

  void make_directory(const std::string& name) { check(mortise::sys::make_directories(image() + '/' + name)); }
  void write(const std::string& name, std::string_view text, mode_t mode = 0644) {
    remove(name);
    const auto file = mortise::sys::open(image() + '/' + name, O_WRONLY | O_CREAT | O_TRUNC, mode);
    check(file.status());
    check(mortise::sys::write_all(file->get(), text));
  }
  void link(const std::string& target, const std::string& name) {
    remove(name);
    check(::symlink(target.c_str(), (image() + '/' + name).c_str()) == 0, "link " + name);
  }
  void remove(const std::string& name) { check(mortise::sys::remove_tree(image() + '/' + name)); }

  /// Gives all of it to a user.
  void give(uid_t to) {
    const std::string owner = std::to_string(to) + ':' + std::to_string(to);
    check(::system(("chown -R " + owner + ' ' + directory_.path()).c_str()) == 0, "chown");
  }

 private:
  support::temporary_directory directory_;
};

template <class... Isolators>
using box =
    mortise::container<mortise::image::directory, mortise::rootfs::overlay, mortise::isolate::standard, Isolators...>;
using plain_box = box<>;
using unprivileged_box = mortise::container<mortise::image::directory, mortise::rootfs::unprivileged_overlay,
                                            mortise::isolate::standard_unprivileged>;

/// How a run ended, and what it said on standard output and error together.
struct outcome {
  absl::Status status;  ///< of launch, wait and destroy: the first failure
  int code = -1;
  std::string text;

  [[nodiscard]] std::string message() const { return std::string(mortise::message(status)); }
};

template <class Box>
typename Box::host open_host(const scene& place) {
  auto host = Box::host::open(place.host_options());
  check(host.status());
  return *std::move(host);
}

/// Reads to the end.
inline std::string read_all(int fd) {
  auto text = mortise::sys::read_all(fd, 16 << 20);
  check(text.status());
  return *std::move(text);
}

/// Launches, collects the output, waits, destroys.
template <class Host, class Options>
outcome run(Host& host, Options options) {
  auto ends = mortise::sys::make_pipe();
  check(ends.status());
  using mortise::launch::stream;
  if (options.stdio[1].what == stream::kind::inherit) {
    options.stdio = {stream::null(), stream::descriptor(ends->write.get()), stream::descriptor(ends->write.get())};
  }
  outcome out;
  auto launched = host.launch(options);
  ends->write.reset();
  out.status = launched.status();
  if (!launched.ok()) return out;
  out.text = read_all(ends->read.get());
  const auto ended = launched->wait();
  out.status = ended.status();
  if (ended.ok()) out.code = ended->code();
  out.status = mortise::first_error(out.status, launched->destroy());
  return out;
}

/// A shell script in a container of the scene.
template <class Box = plain_box>
outcome run_script(const scene& place, const std::string& script, typename Box::launch_options options = {}) {
  auto host = open_host<Box>(place);
  options.image = place.image();
  if (options.args.empty()) options.args = {"/bin/sh", "-c", script};
  return run(host, std::move(options));
}

}  // namespace boxes

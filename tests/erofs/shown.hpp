// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Layers twice: unpacked and stacked by overlayfs, and as an index of their tars mounted by the kernel.

#include <fcntl.h>
#include <sys/stat.h>

#include <archive/layer_stack.hpp>
#include <archive/tree.hpp>
#include <map>
#include <mortise/erofs/index.hpp>
#include <mortise/rootfs/erofs_mount.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <support/temporary.hpp>
#include <utility>
#include <vector>

namespace support {

/// Layer tars in a directory, as a store lays a packed image down.
class packed_stack {
 public:
  packed_stack() {
    auto opened = mortise::sys::open(place_.path(), O_RDONLY | O_DIRECTORY);
    if (!opened.ok()) throw std::runtime_error("open " + place_.path());
    directory_ = *std::move(opened);
  }

  void add(const std::string& tar, std::optional<mortise::archive::subtree> only = {}) {
    const std::string path = place_ / std::to_string(tars_.size());
    mortise::sys::unique_fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    if (!file || !mortise::sys::write_all(file.get(), tar).ok()) throw std::runtime_error("write " + path);
    tars_.push_back(std::move(file));
    sources_.push_back({tars_.back().get(), std::move(only)});
  }
  /// A tar that another program has made.
  void add_file(const std::string& from) {
    const std::string path = place_ / std::to_string(tars_.size());
    if (::link(from.c_str(), path.c_str()) != 0) throw std::runtime_error("link " + from);
    tars_.emplace_back(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    sources_.push_back({tars_.back().get(), {}});
  }

  absl::StatusOr<mortise::erofs::indexed> write(const mortise::erofs::index_options& options = {}) {
    index_ = mortise::sys::unique_fd(::open((place_ / "index").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    return mortise::erofs::write_index(sources_, index_.get(), options);
  }

  /// The root of the mounted index, by a path that ends with this object.
  std::string mount() {
    auto tree = mortise::rootfs::mount_erofs(directory_.get());
    if (!tree.ok()) throw std::runtime_error(std::string(mortise::message(tree.status())));
    mounted_ = *std::move(tree);
    // Not by the descriptor itself, which may be opened for its path only.
    return "/proc/self/fd/" + std::to_string(mounted_.get());
  }

  [[nodiscard]] std::string path() const { return place_.path(); }
  [[nodiscard]] int index() const { return index_.get(); }

 private:
  temporary_directory place_;
  mortise::sys::unique_fd directory_;
  std::vector<mortise::sys::unique_fd> tars_;
  std::vector<mortise::erofs::layer_tar> sources_;
  mortise::sys::unique_fd index_;
  mortise::sys::unique_fd mounted_;
};

/// What a tree is, as text to be compared: kinds, attributes, contents, and of what is no directory size, time of
/// change and number of links.
inline std::string text_of(const tree& what, bool with_links = true) {
  std::string out;
  for (const auto& [path, line] : what.lines()) {
    const struct stat about = what.about(path);
    mortise::append(out, mortise::printable(path, 4096), ": ", line);
    if (!S_ISDIR(about.st_mode)) {
      mortise::append(out, " at ", about.st_mtim.tv_sec, '.', about.st_mtim.tv_nsec, " size ", about.st_size);
      if (with_links) mortise::append(out, " links ", about.st_nlink);
    }
    out += '\n';
  }
  return out;
}

/// The tree that the tars give when they are unpacked, as text, or why they are refused.
inline absl::StatusOr<std::string> unpacked_text(const std::vector<std::string>& tars, bool with_links = true) {
  layer_stack<> layers;
  for (const std::string& each : tars) MORTISE_RETURN_IF_ERROR(layers.add(each).status());
  return text_of(layers.merged(), with_links);
}

/// The same by their index.
inline absl::StatusOr<std::string> indexed_text(const std::vector<std::string>& tars, bool with_links = true) {
  packed_stack layers;
  for (const std::string& each : tars) layers.add(each);
  MORTISE_RETURN_IF_ERROR(layers.write().status());
  return text_of(tree(layers.mount()), with_links);
}

}  // namespace support

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Layers made directly on disk from a small description, in the form that a backend reads.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mortise/model/layer.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace conformance {

/// Throws with the errno's text: these functions run in forked children, whose failure is a text.
inline void check(bool worked, const std::string& what) {
  if (!worked) throw std::runtime_error(what + ": " + std::strerror(errno));
}

inline void write_file(const std::string& path, const std::string& text, mode_t mode = 0644) {
  const mortise::sys::unique_fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  check(file && mortise::sys::write_all(file.get(), text).ok() && ::fchmod(file.get(), mode) == 0, "write " + path);
}

enum class kind : unsigned char { file, directory, symlink, hard_link, node, whiteout, opaque };

/// One entry of a layer. Parents that are not described are made, with mode 0755.
struct entry {
  kind type;
  std::string path;
  std::string text = {};  ///< content, or target
  mode_t mode = 0;
  dev_t device = 0;
  std::vector<std::pair<std::string, std::string>> xattrs = {};
  std::optional<uid_t> owner = std::nullopt;  ///< and group, one more
  time_t modified = 1'000'000'000;

  [[nodiscard]] entry with_xattr(std::string name, std::string value) const {
    entry out = *this;
    out.xattrs.emplace_back(std::move(name), std::move(value));
    return out;
  }
  [[nodiscard]] entry with_owner(uid_t id) const {
    entry out = *this;
    out.owner = id;
    return out;
  }
  [[nodiscard]] entry with_time(time_t seconds) const {
    entry out = *this;
    out.modified = seconds;
    return out;
  }
};

inline entry file(std::string path, std::string text = {}, mode_t mode = 0644) {
  return {kind::file, std::move(path), std::move(text), mode};
}
inline entry directory(std::string path, mode_t mode = 0755) { return {kind::directory, std::move(path), {}, mode}; }
inline entry symlink(std::string path, std::string target) {
  return {kind::symlink, std::move(path), std::move(target)};
}
/// `target` is a path in the same layer.
inline entry hard_link(std::string path, std::string target) {
  return {kind::hard_link, std::move(path), std::move(target)};
}
inline entry fifo(std::string path, mode_t mode = 0644) { return {kind::node, std::move(path), {}, S_IFIFO | mode}; }
inline entry device(std::string path, unsigned major, unsigned minor) {
  return {kind::node, std::move(path), {}, S_IFCHR | 0666, makedev(major, minor)};
}
inline entry whiteout(std::string path) { return {kind::whiteout, std::move(path)}; }
/// A directory that hides its lower namesake; "." is the layer's root.
inline entry opaque(std::string path) { return {kind::opaque, std::move(path), {}, 0755}; }

/// Layers of one form, each in a directory of its own.
template <class Format>
class layer_set {
 public:
  /// `prefix` is what each layer's directory begins with.
  explicit layer_set(std::string prefix) : prefix_(std::move(prefix)) {}

  void add(const std::vector<entry>& entries) {
    const std::size_t number = layers_.size();
    const std::string root = prefix_ + std::to_string(number);
    check(mortise::sys::make_directories(root).ok() && ::chmod(root.c_str(), 0755) == 0, "make " + root);
    for (const entry& each : entries) make(root, each);
    // Times last: what is made in a directory changes its own.
    for (const entry& each : entries) {
      const timespec times[] = {{each.modified, 1}, {each.modified, 123'456'789}};
      if (each.type != kind::whiteout)
        check(::utimensat(AT_FDCWD, (root + '/' + each.path).c_str(), times, AT_SYMLINK_NOFOLLOW) == 0, "set times");
    }
    const char byte = static_cast<char>(number);
    layers_.push_back(
        {mortise::model::digest::from_bytes(mortise::model::digest_algorithm::sha256, std::string(31, '\0') + byte),
         root});
  }
  /// The layer `which` once more, on top.
  void repeat(std::size_t which) { layers_.push_back(layers_[which]); }

  [[nodiscard]] const mortise::model::layers& all() const { return layers_; }

 private:
  static void make(const std::string& root, const entry& what) {
    const std::string path = root + '/' + what.path;
    check(mortise::sys::make_directories(path.substr(0, path.rfind('/'))).ok(), "make parents of " + path);
    const char* const name = path.c_str();
    switch (what.type) {
      case kind::file:
        write_file(path, what.text);
        break;
      case kind::directory:
        check(::mkdir(name, 0755) == 0 || errno == EEXIST, "make " + path);
        break;
      case kind::symlink:
        check(::symlink(what.text.c_str(), name) == 0, "link " + path);
        break;
      case kind::hard_link:
        check(::link((root + '/' + what.text).c_str(), name) == 0, "link " + path);
        return;
      case kind::node:
        check(::mknod(name, what.mode, what.device) == 0, "make " + path);
        break;
      case kind::whiteout:
        make_whiteout(path);
        return;
      case kind::opaque:
        check(::mkdir(name, 0755) == 0 || errno == EEXIST, "make " + path);
        make_opaque(path);
        break;
    }
    if (what.owner) check(::lchown(name, *what.owner, *what.owner + 1) == 0, "change owner of " + path);
    for (const auto& [key, value] : what.xattrs)
      check(::lsetxattr(name, key.c_str(), value.data(), value.size(), 0) == 0, "set attribute " + key);
    if (what.type != kind::symlink) check(::chmod(name, what.mode & 07777) == 0, "change mode of " + path);
  }

  static void make_whiteout(const std::string& path) {
    if constexpr (mortise::model::marked_by_names<Format>) {
      write_file(std::string(path).insert(path.rfind('/') + 1, Format::whiteout_prefix), "", 0400);
    } else {
      check(::mknod(path.c_str(), S_IFCHR, makedev(0, 0)) == 0, "make whiteout " + path);
    }
  }
  static void make_opaque(const std::string& path) {
    if constexpr (mortise::model::marked_by_names<Format>) {
      write_file(path + '/' + std::string(Format::opaque_name), "", 0400);
    } else {
      check(::setxattr(path.c_str(), Format::opaque_xattr, "y", 1, 0) == 0, "make opaque " + path);
    }
  }

  std::string prefix_;
  mortise::model::layers layers_;
};

}  // namespace conformance

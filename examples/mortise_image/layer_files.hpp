// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The files of an unpacked layer, as a list.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <mortise/sys/path.hpp>
#include <mortise/sys/xattr.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mortise_image {

struct layer_file {
  std::string path;  ///< within the root
  std::string_view kind;
  unsigned mode = 0;  ///< permissions
  unsigned uid = 0;
  unsigned gid = 0;
  std::uint64_t size = 0;
  std::string target;   ///< of a symbolic link
  bool opaque = false;  ///< a directory that hides its namesake below
};

/// What a file is; a character device 0:0 says that the layer deletes what is below.
inline std::string_view kind_of(const struct stat& about) {
  if (S_ISREG(about.st_mode)) return "file";
  if (S_ISDIR(about.st_mode)) return "directory";
  if (S_ISLNK(about.st_mode)) return "link";
  if (S_ISCHR(about.st_mode)) return about.st_rdev == 0 ? "deleted" : "character device";
  if (S_ISBLK(about.st_mode)) return "block device";
  return S_ISFIFO(about.st_mode) ? "fifo" : "socket";
}

namespace detail {

inline absl::StatusOr<layer_file> read_file(int directory, const std::string& name, std::string path) {
  struct stat about{};
  if (::fstatat(directory, name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0)
    return mortise::errno_error(errno, mortise::concat("read '", mortise::printable(path), '\''));
  layer_file out{std::move(path), kind_of(about), about.st_mode & 07777U, about.st_uid, about.st_gid, 0, {}, false};
  if (out.kind == "file") out.size = static_cast<std::uint64_t>(about.st_size);
  if (out.kind == "link") {
    out.target.resize(static_cast<std::size_t>(about.st_size) + 1);
    const ssize_t got = ::readlinkat(directory, name.c_str(), out.target.data(), out.target.size());
    if (got < 0) return mortise::errno_error(errno, mortise::concat("read link '", mortise::printable(out.path), '\''));
    out.target.resize(static_cast<std::size_t>(got));
  }
  if (out.kind == "directory") {
    MORTISE_ASSIGN_OR_RETURN(const auto node, mortise::sys::open_at(directory, name, O_PATH | O_NOFOLLOW));
    MORTISE_ASSIGN_OR_RETURN(const auto attributes, mortise::sys::list_xattrs(node.get()));
    const auto is_opaque = [](std::string_view each) { return each.ends_with(".overlay.opaque"); };
    out.opaque = std::any_of(attributes.begin(), attributes.end(), is_opaque);
  }
  return out;
}

}  // namespace detail

/// Calls `each` for all files of a tree but its root, a directory before what is in it, names in order. Goes by paths:
/// a tree may be deeper than there are descriptors.
template <class Each>
absl::Status for_each_file(const std::string& tree, Each each) {
  MORTISE_ASSIGN_OR_RETURN(const auto root, mortise::sys::open(tree, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  std::vector<std::string> pending{"."};
  while (!pending.empty()) {
    const std::string path = std::move(pending.back());
    pending.pop_back();
    const std::string parent = path.find('/') == std::string::npos ? "." : path.substr(0, path.rfind('/'));
    MORTISE_ASSIGN_OR_RETURN(const auto directory,
                             mortise::sys::open_in_root(root.get(), parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    MORTISE_ASSIGN_OR_RETURN(const layer_file file,
                             detail::read_file(directory.get(), path.substr(path.rfind('/') + 1), path));
    if (path != ".") each(file);
    if (file.kind != "directory") continue;
    std::vector<std::string> below;
    MORTISE_ASSIGN_OR_RETURN(const auto inside,
                             mortise::sys::open_in_root(root.get(), path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    MORTISE_RETURN_IF_ERROR(mortise::sys::for_each_entry(inside.get(), ".", [&](std::string_view name, unsigned char) {
      below.push_back(path == "." ? std::string(name) : mortise::concat(path, '/', name));
      return absl::OkStatus();
    }));
    std::sort(below.begin(), below.end(), std::greater<>());
    pending.insert(pending.end(), below.begin(), below.end());
  }
  return absl::OkStatus();
}

}  // namespace mortise_image

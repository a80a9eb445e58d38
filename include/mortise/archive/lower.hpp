// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Looking up what the layers below show at a path, as overlayfs or aufs would, without mounting them.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mortise/archive/entry.hpp>
#include <mortise/archive/extent.hpp>
#include <mortise/archive/marks.hpp>
#include <mortise/base/status.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/xattr.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::archive {

/// Something in a lower layer: where it lies and what it is. It is never a whiteout.
struct lower_node {
  sys::unique_fd directory;
  std::string name;
  struct stat about{};
};

/// What the layers (top-most first) show at `path`, a way down as entry_path spells it and not the root itself;
/// nothing if the path does not exist, is deleted, hidden by an opaque directory, or leads through something that is
/// not a directory. Symbolic links are not followed.
inline absl::StatusOr<std::optional<lower_node>> find_in_lower(std::span<const int> layers, std::string_view path,
                                                               const marks& form) {
  constexpr int flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  for (const int layer : layers) {
    MORTISE_ASSIGN_OR_RETURN(sys::unique_fd at, sys::open_at(layer, ".", flags | O_DIRECTORY));
    bool opaque = form.is_opaque(at.get());
    std::string_view rest = path;
    for (;;) {
      const std::string part(rest.substr(0, rest.find('/')));
      struct stat about{};
      const auto found = form.find(at.get(), part, about);
      if (!found.ok()) return annotate(found.status(), concat("look up '", printable(path), "' in the layers below"));
      if (*found == presence::missing) break;
      if (*found == presence::deleted) return std::nullopt;
      if (part.size() == rest.size()) return lower_node{std::move(at), part, about};
      if (!S_ISDIR(about.st_mode)) return std::nullopt;
      MORTISE_ASSIGN_OR_RETURN(at, sys::open_at(at.get(), part, flags | O_DIRECTORY));
      opaque = opaque || form.is_opaque(at.get());
      rest.remove_prefix(part.size() + 1);
    }
    if (opaque) return std::nullopt;
  }
  return std::nullopt;
}

/// What stands in an archive for something that lies on disk: its attributes, and a symbolic link's target.
inline absl::Status describe(const lower_node& node, entry& into) {
  const struct stat& about = node.about;
  switch (about.st_mode & S_IFMT) {
    case S_IFREG:
      into.type = entry_type::regular;
      break;
    case S_IFDIR:
      into.type = entry_type::directory;
      break;
    case S_IFLNK:
      into.type = entry_type::symbolic_link;
      break;
    case S_IFCHR:
      into.type = entry_type::character_device;
      break;
    case S_IFBLK:
      into.type = entry_type::block_device;
      break;
    case S_IFIFO:
      into.type = entry_type::fifo;
      break;
    default:
      return error(absl::StatusCode::kInvalidArgument, "its type is not one that a layer may hold");
  }
  into.mode = about.st_mode & 07777;
  into.uid = about.st_uid;
  into.gid = about.st_gid;
  into.device = about.st_rdev;
  into.size = S_ISREG(about.st_mode) ? static_cast<std::uint64_t>(about.st_size) : 0;
  into.accessed = about.st_atim;
  into.modified = about.st_mtim;
  MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd fd, sys::open_at(node.directory.get(), node.name, O_PATH | O_NOFOLLOW));
  if (S_ISLNK(about.st_mode)) {
    char target[PATH_MAX];
    const ssize_t length = ::readlinkat(fd.get(), "", target, sizeof target);
    if (length < 0) return errno_error(errno, "read symbolic link");
    into.link_target.assign(target, static_cast<std::size_t>(length));
  }
  MORTISE_ASSIGN_OR_RETURN(const std::vector<std::string> names, sys::list_xattrs(fd.get()));
  for (const std::string& name : names) {
    MORTISE_ASSIGN_OR_RETURN(std::string value, sys::get_xattr(fd.get(), name));
    into.xattrs.push_back({name, std::move(value)});
  }
  return absl::OkStatus();
}

/// The data of an open file, piece by piece.
class file_source {
 public:
  explicit file_source(int fd) : fd_(fd), buffer_(std::make_unique_for_overwrite<std::byte[]>(buffer_size)) {}

  absl::StatusOr<extent> next() {
    MORTISE_ASSIGN_OR_RETURN(const std::size_t got, sys::read_some(fd_, {buffer_.get(), buffer_size}));
    return extent{std::exchange(offset_, offset_ + got), {buffer_.get(), got}};
  }

 private:
  static constexpr std::size_t buffer_size = 256 * 1024;

  int fd_;
  std::unique_ptr<std::byte[]> buffer_;
  std::uint64_t offset_ = 0;
};

}  // namespace mortise::archive

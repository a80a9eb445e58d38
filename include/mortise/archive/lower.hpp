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
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mortise/archive/entry.hpp>
#include <mortise/archive/extent.hpp>
#include <mortise/archive/marks.hpp>
#include <mortise/base/status.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/path.hpp>
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

/// Looks up what layers (top-most first) show. What it has found out of a directory it keeps, so that the next name in
/// it costs one look into each layer that has a part in it, however deep it lies and however many layers there are.
class lower_lookup {
 public:
  lower_lookup(std::span<const int> layers, const marks& form) : layers_(layers), marks_(form) {}

  /// What is shown at `path`, a way down as entry_path spells it and not the root itself; nothing if the path does not
  /// exist, is deleted, hidden by an opaque directory, or leads through something that is not a directory. Symbolic
  /// links are not followed.
  absl::StatusOr<std::optional<lower_node>> find(std::string_view path) {
    const auto found = look(path);
    if (!found.ok()) return annotate(found.status(), concat("look up '", printable(path), "' in the layers below"));
    if (found->layer == none) return std::nullopt;
    MORTISE_ASSIGN_OR_RETURN(lower_node node, open_parent(found->layer, path));
    if (::fstatat(node.directory.get(), node.name.c_str(), &node.about, AT_SYMLINK_NOFOLLOW) != 0)
      return errno_error(errno, concat("look up '", printable(path), "' in the layers below"));
    return node;
  }

 private:
  using numbers = std::vector<std::uint32_t>;

  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  static constexpr std::size_t most_bytes = std::size_t{64} << 20;
  static constexpr std::size_t overhead = 160;  ///< of what is kept for a path

  /// What there is at a path: the layer that shows it, and all that have a part in it, if it is a directory.
  struct shown {
    std::uint32_t layer = none;
    std::shared_ptr<const numbers> parts;
  };

  absl::StatusOr<shown> look(std::string_view path) {
    if (const auto known = known_.find(path); known != known_.end()) return known->second;
    shown parent;
    if (!path.empty()) {
      MORTISE_ASSIGN_OR_RETURN(parent, look(parent_of(path)));
    }
    MORTISE_ASSIGN_OR_RETURN(shown found, path.empty() ? look_at_roots() : look_below(parent, path));
    const bool is_same = found.parts && parent.parts && *found.parts == *parent.parts;
    if (is_same) found.parts = parent.parts;
    const std::size_t size = path.size() + overhead + (found.parts && !is_same ? found.parts->size() * 4 : 0);
    if (bytes_ + size > most_bytes) {
      known_.clear();
      bytes_ = 0;
    }
    bytes_ += size;
    return known_.emplace(path, std::move(found)).first->second;
  }

  [[nodiscard]] absl::StatusOr<shown> look_at_roots() const {
    numbers parts;
    for (const int layer : layers_) {
      parts.push_back(static_cast<std::uint32_t>(parts.size()));
      MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd root, sys::open_at(layer, ".", directory_flags));
      if (marks_.is_opaque(root.get())) break;
    }
    return shown{none, std::make_shared<const numbers>(std::move(parts))};
  }

  [[nodiscard]] absl::StatusOr<shown> look_below(const shown& parent, std::string_view path) const {
    shown found;
    if (!parent.parts) return found;
    numbers parts;
    for (const std::uint32_t layer : *parent.parts) {
      MORTISE_ASSIGN_OR_RETURN(lower_node node, open_parent(layer, path));
      MORTISE_ASSIGN_OR_RETURN(const presence there, marks_.find(node.directory.get(), node.name, node.about));
      if (there == presence::missing) continue;
      if (there == presence::deleted) break;
      if (found.layer == none) found.layer = layer;
      if (!S_ISDIR(node.about.st_mode)) break;
      parts.push_back(layer);
      MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd at, sys::open_at(node.directory.get(), node.name, directory_flags));
      if (marks_.is_opaque(at.get())) break;
    }
    if (!parts.empty()) found.parts = std::make_shared<const numbers>(std::move(parts));
    return found;
  }

  [[nodiscard]] absl::StatusOr<lower_node> open_parent(std::uint32_t layer, std::string_view path) const {
    const std::string parent(path.find('/') == std::string_view::npos ? "." : parent_of(path));
    MORTISE_ASSIGN_OR_RETURN(sys::unique_fd directory,
                             sys::open_in_root(layers_[layer], parent, O_PATH | O_DIRECTORY, 0, sys::links::refused));
    return lower_node{std::move(directory), std::string(path.substr(path.rfind('/') + 1)), {}};
  }

  static std::string_view parent_of(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    return path.substr(0, slash == std::string_view::npos ? 0 : slash);
  }

  static constexpr int directory_flags = O_PATH | O_NOFOLLOW | O_DIRECTORY;

  std::span<const int> layers_;
  marks marks_;
  std::map<std::string, shown, std::less<>> known_;
  std::size_t bytes_ = 0;
};

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

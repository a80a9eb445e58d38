// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// How an unpacked layer says that something below it is gone: overlayfs' way (Documentation/filesystems/overlayfs.rst,
/// "whiteouts and opaque directories") or aufs' (aufs(5)).

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <mortise/archive/whiteout.hpp>
#include <mortise/base/status.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/sys/fd.hpp>
#include <string>
#include <string_view>

namespace mortise::archive {

/// What a layer's directory has under a name.
enum class presence : std::uint8_t { missing, deleted, there };

/// A form of layers as a value: one compiled engine reads and writes all of them. Directories are descriptors, names
/// single components.
class marks {
 public:
  template <class Format>
  static constexpr marks of() {
    if constexpr (model::marked_by_names<Format>) {
      return marks(nullptr);
    } else {
      return marks(Format::opaque_xattr);
    }
  }

  /// Whether names beginning with ".wh." are marks here, and nothing else may be called so.
  [[nodiscard]] bool by_names() const { return opaque_xattr_ == nullptr; }

  /// Refuses a path with a component that would be a mark here.
  [[nodiscard]] absl::Status expect_no_mark(std::string_view path) const {
    while (by_names() && !path.empty()) {
      const std::string_view part = take_component(path);
      if (part.starts_with(whiteout_prefix))
        return error(absl::StatusCode::kInvalidArgument,
                     concat("aufs takes the name '", printable(part), "' for a whiteout's"));
    }
    return absl::OkStatus();
  }

  /// Fills `about` if it is there.
  absl::StatusOr<presence> find(int directory, const std::string& name, struct stat& about) const {
    if (::fstatat(directory, name.c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0)
      return is_device_mark(about) ? presence::deleted : presence::there;
    if (errno != ENOENT) return errno_error(errno, "stat");
    return is_deleted(directory, name) ? presence::deleted : presence::missing;
  }

  /// Whether a name that is not there itself is marked as deleted.
  [[nodiscard]] bool is_deleted(int directory, const std::string& name) const {
    return by_names() && ::faccessat(directory, whiteout_of(name).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  }

  /// Whether an entry is no content but says that a name is deleted.
  [[nodiscard]] bool is_whiteout(std::string_view entry, const struct stat& about) const {
    return by_names() ? classify_whiteout(entry).kind == whiteout_kind::name : is_device_mark(about);
  }

  /// Marks a name as deleted, which must not be there; marking it again is fine.
  absl::Status make_whiteout(int directory, const std::string& name) const {
    if (by_names()) return annotate(make_mark(directory, whiteout_of(name)), "make whiteout");
    if (::mknodat(directory, name.c_str(), S_IFCHR, 0) == 0) return absl::OkStatus();
    return errno_error(errno, "make whiteout", errno == EPERM ? "without privileges it needs Linux 5.8" : "");
  }

  /// Takes back that a name is deleted, beside which something has been put; false if it was not. Where the mark has
  /// the name itself, what is put there replaces it.
  [[nodiscard]] bool withdraw(int directory, const std::string& name) const {
    return by_names() && ::unlinkat(directory, whiteout_of(name).c_str(), 0) == 0;
  }

  /// Says that a directory hides what lower layers have in it.
  [[nodiscard]] absl::Status make_opaque(int directory) const {
    if (by_names()) return annotate(make_mark(directory, std::string(model::aufs_layers::opaque_name)), "make opaque");
    if (::fsetxattr(directory, opaque_xattr_, "y", 1, 0) == 0) return absl::OkStatus();
    return errno_error(errno, concat("set '", opaque_xattr_, '\''),
                       "the file system must allow such attributes, and trusted ones need CAP_SYS_ADMIN");
  }

  /// The descriptor may be an O_PATH one.
  [[nodiscard]] bool is_opaque(int directory) const {
    if (by_names())
      return ::faccessat(directory, model::aufs_layers::opaque_name.data(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    char value[2];
    const std::string path = concat("/proc/self/fd/", directory);
    return ::getxattr(path.c_str(), opaque_xattr_, value, sizeof value) == 1 && value[0] == 'y';
  }

 private:
  explicit constexpr marks(const char* opaque_xattr) : opaque_xattr_(opaque_xattr) {}

  [[nodiscard]] bool is_device_mark(const struct stat& about) const {
    return !by_names() && S_ISCHR(about.st_mode) && about.st_rdev == 0;
  }
  static std::string whiteout_of(std::string_view name) { return concat(whiteout_prefix, name); }

  static absl::Status make_mark(int directory, const std::string& name) {
    const sys::unique_fd made(::openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0400));
    return made ? absl::OkStatus() : errno_error(errno, concat("create '", name, '\''));
  }

  const char* opaque_xattr_;  ///< none where names are the marks
};

}  // namespace mortise::archive

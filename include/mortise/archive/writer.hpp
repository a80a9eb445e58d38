// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Making files, directories, links and whiteouts in the directory where the cursor is. Whatever has the name
/// already is replaced, except that a directory stays one and only changes its attributes.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mortise/archive/attributes.hpp>
#include <mortise/archive/cursor.hpp>
#include <mortise/archive/entry.hpp>
#include <mortise/archive/entry_path.hpp>
#include <mortise/archive/extent.hpp>
#include <mortise/archive/marks.hpp>
#include <mortise/base/status.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <mortise/sys/path.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::archive {

class writer {
 public:
  writer(int staging, const marks& form, cursor& where, attribute_writer& attributes)
      : staging_(staging), marks_(form), cursor_(where), attributes_(attributes) {}

  /// A directory, which the cursor then is in. One that replaces something else of this layer hides what lower
  /// layers have there, as that something did.
  absl::Status make_directory(const std::string& name, const entry& about) {
    cursor_.touch();
    bool made = ::mkdirat(cursor_.fd(), name.c_str(), 0700) == 0;
    if (!made && errno != EEXIST) return errno_error(errno, "make directory");
    const bool was_deleted = made && withdraw(name);
    MORTISE_ASSIGN_OR_RETURN(step_result step, cursor_.descend(name));
    if (was_deleted) MORTISE_RETURN_IF_ERROR(cursor_.hide_lower());
    if (step == step_result::entered) return set_directory(about, !made);
    MORTISE_RETURN_IF_ERROR(remove(name));
    if (::mkdirat(cursor_.fd(), name.c_str(), 0700) != 0) return errno_error(errno, "make directory");
    MORTISE_ASSIGN_OR_RETURN(step, cursor_.descend(name));
    MORTISE_RETURN_IF_ERROR(cursor_.hide_lower());
    return set_directory(about, false);
  }

  /// Attributes of the directory where the cursor is.
  absl::Status set_directory(const entry& about, bool had_others) {
    if (had_others) MORTISE_RETURN_IF_ERROR(attributes_.clear_xattrs(cursor_.fd()));
    MORTISE_RETURN_IF_ERROR(attributes_.begin_directory(cursor_.fd(), about));
    cursor_.set_final(about.mode, about.accessed, about.modified);
    for (const xattr& each : about.xattrs)
      if (each.name == default_acl_xattr && attributes_.may_set(each.name)) cursor_.set_final_acl(each.value);
    return absl::OkStatus();
  }

  /// A regular file. `next` gives its data piece by piece, as StatusOr<extent>, empty at the end.
  template <class Next>
  absl::Status make_file(const char* name, const entry& about, Next next) {
    sys::unique_fd file;
    const mode_t mode = attributes_.first_mode(about);
    MORTISE_RETURN_IF_ERROR(place(name, "create file", [&] {
      file.reset(::openat(cursor_.fd(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
      return static_cast<bool>(file);
    }));
    std::uint64_t end = 0;
    for (;;) {
      MORTISE_ASSIGN_OR_RETURN(const extent piece, next());
      if (piece.bytes.empty()) break;
      if (piece.offset > about.size || piece.bytes.size() > about.size - piece.offset)
        return error(absl::StatusCode::kInvalidArgument, "its data reaches beyond its size");
      MORTISE_RETURN_IF_ERROR(write_at(file.get(), piece.offset, piece.bytes));
      end = std::max(end, piece.offset + piece.bytes.size());
    }
    if (end < about.size && ::ftruncate(file.get(), static_cast<off_t>(about.size)) != 0)
      return errno_error(errno, "extend file");
    MORTISE_RETURN_IF_ERROR(attributes_.finish_file(file.get(), about));
    return file.close();
  }

  /// A symbolic link, device or FIFO.
  absl::Status make_node(const char* name, const entry& about) {
    const auto make = [&] {
      if (about.type == entry_type::symbolic_link)
        return ::symlinkat(about.link_target.c_str(), cursor_.fd(), name) == 0;
      return ::mknodat(cursor_.fd(), name, file_type(about.type) | 0600U, about.device) == 0;
    };
    MORTISE_RETURN_IF_ERROR(place(name, concat("make ", name_of(about.type)), make,
                                  "devices need CAP_MKNOD outside of user namespaces; without it unpack in the form "
                                  "model::unprivileged_overlay_layers"));
    return attributes_.finish_node(cursor_.fd(), name, about);
  }

  /// A hard link to something of this layer; false if the layer has no such thing (or only its whiteout).
  absl::StatusOr<bool> make_link(const char* name, const entry_path& target) {
    const auto directory =
        sys::open_in_root(staging_, concat("./", target.parent()), O_PATH | O_DIRECTORY, 0, sys::links::refused);
    if (!directory.ok() && errno_of(directory.status()) == ENOENT) return false;
    if (!directory.ok()) return directory.status();
    struct stat about{};
    MORTISE_ASSIGN_OR_RETURN(const presence found, marks_.find(directory->get(), target.name(), about));
    if (found == presence::missing) return false;
    if (found == presence::deleted) return error(absl::StatusCode::kInvalidArgument, "this layer deletes it");
    if (S_ISDIR(about.st_mode)) return error(absl::StatusCode::kInvalidArgument, "it is a directory");
    MORTISE_RETURN_IF_ERROR(
        place(name, "link", [&] { return ::linkat(directory->get(), target.name(), cursor_.fd(), name, 0) == 0; }));
    return true;
  }

  absl::Status make_whiteout(const std::string& name) {
    cursor_.touch();
    has_whiteouts_ = true;
    return marks_.make_whiteout(cursor_.fd(), name);
  }

  /// Whatever has the name, with all that is in it.
  absl::Status remove(const std::string& name) {
    cursor_.touch();
    return sys::remove_tree_at(cursor_.fd(), name);
  }

  /// Takes the whiteouts out of the current directory and all below it, but for what is opaque already. Where there
  /// are `others`, also the files of which `is_other(name)` says so.
  template <class IsOther>
  absl::Status remove_marks(bool others, IsOther is_other) {
    if (!has_whiteouts_ && !others) return absl::OkStatus();
    const unsigned char mark = marks_.by_names() ? DT_REG : DT_CHR;
    return sys::for_each_entry(cursor_.fd(), ".", [&](std::string_view entry_name, unsigned char kind) {
      if (!others && kind != mark && kind != DT_DIR && kind != DT_UNKNOWN) return absl::OkStatus();
      return remove_marks_at(std::string(entry_name), others, is_other);
    });
  }

 private:
  template <class IsOther>
  absl::Status remove_marks_at(const std::string& name, bool others, IsOther& is_other) {
    struct stat about{};
    if (::fstatat(cursor_.fd(), name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0) return errno_error(errno, "stat");
    if (marks_.is_whiteout(name, about)) return remove(name);
    if (!S_ISDIR(about.st_mode)) return others && is_other(name) ? remove(name) : absl::OkStatus();
    MORTISE_RETURN_IF_ERROR(cursor_.descend(name));
    if (!marks_.is_opaque(cursor_.fd())) MORTISE_RETURN_IF_ERROR(remove_marks(others, is_other));
    return cursor_.leave();
  }

  /// Makes something that must not exist yet, after removing what does. `make` says whether it worked, with errno.
  template <class Make>
  absl::Status place(const char* name, std::string_view what, Make make, std::string_view remedy = {}) {
    cursor_.touch();
    bool made = make();
    if (!made && errno == EEXIST) {
      MORTISE_RETURN_IF_ERROR(remove(name));
      made = make();
    }
    if (!made) return errno_error(errno, what, errno == EPERM ? remedy : std::string_view{});
    withdraw(name);
    return absl::OkStatus();
  }

  /// What is put beside a whiteout of its name takes its place; false if there was none.
  bool withdraw(const std::string& name) { return has_whiteouts_ && marks_.withdraw(cursor_.fd(), name); }

  static mode_t file_type(entry_type type) {
    if (type == entry_type::character_device) return S_IFCHR;
    return type == entry_type::block_device ? S_IFBLK : S_IFIFO;
  }

  /// pwrite(2), so that what is not written stays a hole.
  static absl::Status write_at(int fd, std::uint64_t offset, std::span<const std::byte> from) {
    while (!from.empty()) {
      const ssize_t put = ::pwrite(fd, from.data(), from.size(), static_cast<off_t>(offset));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return errno_error(errno, "write file", errno == ENOSPC ? "free space, or use another disk" : "");
      from = from.subspan(static_cast<std::size_t>(put));
      offset += static_cast<std::uint64_t>(put);
    }
    return absl::OkStatus();
  }

  int staging_;
  marks marks_;
  cursor& cursor_;
  attribute_writer& attributes_;
  bool has_whiteouts_ = false;
};

}  // namespace mortise::archive

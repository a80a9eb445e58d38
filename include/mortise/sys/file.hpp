// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Whole files: read with a cap, replace atomically, make directories, remove trees. Host paths only.

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/sys/fd.hpp>
#include <span>
#include <string>
#include <string_view>

namespace mortise::sys {

/// What is left of an open file, at most `limit` bytes; more is a RESOURCE_EXHAUSTED error.
inline absl::StatusOr<std::string> read_all(int fd, std::size_t limit) {
  std::string text;
  for (;;) {
    const std::size_t had = text.size();
    text.resize(std::min(limit + 1, std::max<std::size_t>(4096, had * 2)));
    MORTISE_ASSIGN_OR_RETURN(const std::size_t got,
                             read_some(fd, std::as_writable_bytes(std::span(text)).subspan(had)));
    text.resize(had + got);
    if (text.size() > limit) {
      return error(absl::StatusCode::kResourceExhausted, concat("read file: more than ", limit, " bytes"));
    }
    if (got == 0) return text;
  }
}

/// A host file's content, at most `limit` bytes.
inline absl::StatusOr<std::string> read_file_at(int directory, const std::string& path, std::size_t limit = 1 << 20) {
  MORTISE_ASSIGN_OR_RETURN(const unique_fd file, open_at(directory, path, O_RDONLY));
  auto text = read_all(file.get(), limit);
  if (!text.ok()) return annotate(text.status(), concat('\'', path, '\''));
  return text;
}
inline absl::StatusOr<std::string> read_file(const std::string& path, std::size_t limit = 1 << 20) {
  return read_file_at(AT_FDCWD, path, limit);
}

/// Writes to an existing file in one write(2), as procfs, sysfs and cgroupfs need it.
inline absl::Status write_file_at(int directory, const std::string& path, std::string_view text) {
  MORTISE_ASSIGN_OR_RETURN(const unique_fd file, open_at(directory, path, O_WRONLY));
  for (;;) {
    if (::write(file.get(), text.data(), text.size()) >= 0) return absl::OkStatus();
    if (errno != EINTR) return errno_error(errno, concat("write '", text, "' to '", path, '\''));
  }
}

/// Replaces `name` in `directory` by rename(2): a reader sees the old content or the new. With `durable`
/// the file and the directory are fsynced, which a directory on tmpfs does not need.
/// Leaves behind on failure: nothing.
inline absl::Status replace_file_at(int directory, const std::string& name, std::string_view text, bool durable = false,
                                    mode_t mode = 0644) {
  const std::string temporary = concat('.', name, '.', static_cast<long>(::gettid()), ".new");
  auto file = open_at(directory, temporary, O_WRONLY | O_CREAT | O_TRUNC, mode);
  if (!file.ok()) return file.status();
  absl::Status status = write_all(file->get(), text);
  if (status.ok() && durable && ::fsync(file->get()) != 0) status = errno_error(errno, "fsync");
  status = first_error(std::move(status), file->close());
  if (status.ok() && ::renameat(directory, temporary.c_str(), directory, name.c_str()) != 0)
    status = errno_error(errno, "rename");
  if (status.ok() && durable && ::fsync(directory) != 0) status = errno_error(errno, "fsync directory");
  if (!status.ok()) ::unlinkat(directory, temporary.c_str(), 0);
  return annotate(status, concat("replace '", name, '\''));
}

/// mkdir -p on the host; existing directories are left as they are. Relative paths start at `from`.
inline absl::Status make_directories(const std::string& path, mode_t mode = 0755, int from = AT_FDCWD) {
  for (std::size_t at = 0; at != std::string::npos;) {
    at = path.find('/', at + 1);
    const std::string part = path.substr(0, at);
    for (int tries = 0; ::mkdirat(from, part.c_str(), mode) != 0; ++tries) {
      const int problem = errno;
      struct stat about{};
      const bool exists = ::fstatat(from, part.c_str(), &about, 0) == 0;
      if (exists && S_ISDIR(about.st_mode)) break;
      if (!exists && problem == EEXIST && tries < 100) continue;  // removed by somebody between our two calls
      return errno_error(exists ? ENOTDIR : problem, concat("make directory '", part, '\''));
    }
  }
  return absl::OkStatus();
}

namespace detail {
struct close_directory {
  void operator()(DIR* stream) const { ::closedir(stream); }
};
}  // namespace detail
/// An open directory stream.
using directory_stream = std::unique_ptr<DIR, detail::close_directory>;

/// A stream over the directory `name` in `parent`, which must not be a symbolic link.
inline absl::StatusOr<directory_stream> open_directory_stream(int parent, const std::string& name) {
  MORTISE_ASSIGN_OR_RETURN(unique_fd fd, open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  DIR* const stream = ::fdopendir(fd.get());
  if (stream == nullptr) return errno_error(errno, concat("list '", name, '\''));
  (void)fd.release();
  return directory_stream(stream);
}

/// Calls `each(name, d_type)` for every entry but "." and ".."; stops at the first Status that is not OK.
template <class Each>
absl::Status for_each_entry(int parent, const std::string& name, Each each) {
  MORTISE_ASSIGN_OR_RETURN(const directory_stream stream, open_directory_stream(parent, name));
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(stream.get());
    if (entry == nullptr) return errno == 0 ? absl::OkStatus() : errno_error(errno, concat("list '", name, '\''));
    const std::string_view text = entry->d_name;
    if (text == "." || text == "..") continue;
    MORTISE_RETURN_IF_ERROR(each(text, entry->d_type));
  }
}

namespace detail {

/// Removes one tree in which somebody else has made what they liked: names of any bytes, directories that lock
/// their owner out, more levels than there are descriptors or stack.
class tree_removal {
 public:
  explicit tree_removal(const char* name) : name_(name) {}

  absl::Status run(int parent) { return remove(parent, name_, 0); }

 private:
  /// A level costs a descriptor and a page of stack: what lies deeper is moved to the top and goes from there.
  static constexpr unsigned most_depth = 32;

  absl::Status remove(int parent, const char* name, unsigned depth) {
    if (::unlinkat(parent, name, 0) == 0) return removed();
    if (errno == ENOENT) return absl::OkStatus();
    // Linux says EISDIR of a directory and POSIX EPERM, which is also what an immutable file is told.
    if (errno != EISDIR && errno != EPERM) return failure(errno, name);
    return remove_directory(parent, name, depth);
  }

  absl::Status removed() {
    ++changes_;
    return absl::OkStatus();
  }
  [[nodiscard]] absl::Status failure(int error, const char* name) const {
    const std::string inner = name == name_ ? "" : concat(": '", printable(name), '\'');
    return errno_error(error, concat("remove '", name_, '\'', inner),
                       error == EPERM ? "it is another user's, or immutable: see chattr(1)" : "");
  }

  absl::Status remove_directory(int parent, const char* name, unsigned depth) {
    if (::unlinkat(parent, name, AT_REMOVEDIR) == 0) return removed();
    if (errno == ENOENT) return absl::OkStatus();
    if (errno == ENOTDIR) return failure(EPERM, name);
    if (errno != ENOTEMPTY && errno != EEXIST) return failure(errno, name);
    if (depth == most_depth) return move_to_top(parent, name);
    MORTISE_ASSIGN_OR_RETURN(const directory_stream stream, open_writable(parent, name));
    if (depth == 0) top_ = ::dirfd(stream.get());
    for (;;) {
      const std::size_t before = changes_;
      MORTISE_RETURN_IF_ERROR(empty(stream.get(), name, depth));
      if (::unlinkat(parent, name, AT_REMOVEDIR) == 0) return removed();
      if (errno == ENOENT) return absl::OkStatus();
      // Entries may have come by a move to the top, or be missed by a listing that is not a snapshot.
      if ((errno != ENOTEMPTY && errno != EEXIST) || changes_ == before) return failure(errno, name);
      ::rewinddir(stream.get());
    }
  }

  absl::Status empty(DIR* stream, const char* name, unsigned depth) {
    for (;;) {
      errno = 0;
      const dirent* const entry = ::readdir(stream);
      if (entry == nullptr) return errno == 0 ? absl::OkStatus() : failure(errno, name);
      const std::string_view text = entry->d_name;
      if (text == "." || text == "..") continue;
      const int directory = ::dirfd(stream);
      MORTISE_RETURN_IF_ERROR(entry->d_type == DT_DIR ? remove_directory(directory, entry->d_name, depth + 1)
                                                      : remove(directory, entry->d_name, depth + 1));
    }
  }

  /// A new name for it in the top directory, whose listing has still to end or is begun again.
  absl::Status move_to_top(int parent, const char* name) {
    MORTISE_RETURN_IF_ERROR(open_writable(parent, name).status());
    for (;;) {
      if (::renameat(parent, name, top_, concat(".removed-", ++moves_).c_str()) == 0) return removed();
      if (errno != EEXIST && errno != ENOTEMPTY && errno != ENOTDIR) return failure(errno, name);
    }
  }

  /// An owner without privileges may have been locked out by a mode of the container's choice.
  [[nodiscard]] absl::StatusOr<directory_stream> open_writable(int parent, const char* name) const {
    constexpr int flags = O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    unique_fd fd(::openat(parent, name, O_RDONLY | flags));
    if (!fd && errno == EACCES) {
      const unique_fd locked(::openat(parent, name, O_PATH | flags));
      if (locked) ::chmod(concat("/proc/self/fd/", locked.get()).c_str(), S_IRWXU);
      fd.reset(::openat(parent, name, O_RDONLY | flags));
    }
    if (!fd) return failure(errno, name);
    struct stat about{};
    if (::fstat(fd.get(), &about) != 0) return failure(errno, name);
    if ((about.st_mode & S_IRWXU) != S_IRWXU) ::fchmod(fd.get(), S_IRWXU);
    DIR* const stream = ::fdopendir(fd.get());
    if (stream == nullptr) return failure(errno, name);
    (void)fd.release();
    return directory_stream(stream);
  }

  const char* name_;
  int top_ = -1;
  std::size_t changes_ = 0;
  std::size_t moves_ = 0;
};

}  // namespace detail

/// rm -rf of `name` in `parent`: never follows a link, does not stop at file systems (detach mounts first), and
/// a missing tree is success. Any depth takes some thirty descriptors and as many pages of stack.
inline absl::Status remove_tree_at(int parent, const std::string& name) {
  return detail::tree_removal(name.c_str()).run(parent);
}
inline absl::Status remove_tree(const std::string& path) { return remove_tree_at(AT_FDCWD, path); }

}  // namespace mortise::sys

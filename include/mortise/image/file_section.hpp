// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A part of an open file, read in place; several readers of one file do not disturb each other.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <mortise/sys/fd.hpp>
#include <span>
#include <string>
#include <utility>

namespace mortise::image {

/// `size` bytes from `offset` of a file that stays open as long as a section of it lives.
struct file_section {
  std::shared_ptr<const sys::unique_fd> file;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;

  /// pread(2) at a place in the section; fewer bytes than asked for only at its end.
  [[nodiscard]] absl::StatusOr<std::size_t> read_at(std::uint64_t from, std::span<std::byte> into) const {
    std::size_t done = 0;
    const std::uint64_t left = from < size ? size - from : 0;
    into = into.first(static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), left)));
    while (done < into.size()) {
      const auto rest = into.subspan(done);
      const ssize_t got = ::pread(file->get(), rest.data(), rest.size(), static_cast<off_t>(offset + from + done));
      if (got == 0) break;  // the file became shorter since it was opened
      if (got < 0 && errno != EINTR) return errno_error(errno, "read");
      if (got > 0) done += static_cast<std::size_t>(got);
    }
    return done;
  }
};

/// A whole regular file below `directory`. Fails with INVALID_ARGUMENT for anything but a regular file; a
/// FIFO does not block it.
inline absl::StatusOr<file_section> open_file(int directory, const std::string& path) {
  MORTISE_ASSIGN_OR_RETURN(sys::unique_fd file, sys::open_at(directory, path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat about{};
  if (::fstat(file.get(), &about) != 0) return errno_error(errno, concat("stat '", path, '\''));
  if (!S_ISREG(about.st_mode))
    return error(absl::StatusCode::kInvalidArgument, concat("open '", path, "': it is not a regular file"));
  return file_section{std::make_shared<const sys::unique_fd>(std::move(file)), 0,
                      static_cast<std::uint64_t>(about.st_size)};
}

/// Streams a section.
class section_reader : public reader {
 public:
  explicit section_reader(file_section from) : from_(std::move(from)) {}
  absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
    MORTISE_ASSIGN_OR_RETURN(const std::size_t got, from_.read_at(at_, into));
    at_ += got;
    return got;
  }

 private:
  file_section from_;
  std::uint64_t at_ = 0;
};

/// Streams a string that it owns.
class text_reader : public reader {
 public:
  explicit text_reader(std::string text) : text_(std::move(text)) {}
  absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
    const std::size_t count = std::min(into.size(), text_.size() - at_);
    std::memcpy(into.data(), text_.data() + at_, count);
    at_ += count;
    return count;
  }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

/// What `from` has left, at most `limit` bytes; RESOURCE_EXHAUSTED for more.
inline absl::StatusOr<std::string> read_text(reader& from, std::size_t limit) {
  std::string text;
  for (;;) {
    const std::size_t had = text.size();
    text.resize(std::min(limit + 1, std::max<std::size_t>(4096, had * 2)));
    MORTISE_ASSIGN_OR_RETURN(const std::size_t got, from.read(std::as_writable_bytes(std::span(text)).subspan(had)));
    text.resize(had + got);
    if (text.size() > limit)
      return error(absl::StatusCode::kResourceExhausted, concat("read: more than ", limit, " bytes"));
    if (got == 0) return text;
  }
}

}  // namespace mortise::image

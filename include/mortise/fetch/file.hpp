// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Fetches regular files of this host: file: URIs, or a path made into one.

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <mortise/fetch/fetcher.hpp>
#include <mortise/sys/fd.hpp>

namespace mortise::fetch {

/// The file: URI of an absolute path.
inline absl::StatusOr<uri> file_uri(std::string_view path) {
  static constexpr std::string_view hex = "0123456789ABCDEF";
  if (!path.starts_with('/') || path.find('\0') != std::string_view::npos)
    return error(absl::StatusCode::kInvalidArgument, concat("fetch '", printable(path), "': not an absolute path"));
  uri out{.scheme = "file", .host = "", .port = {}, .path = {}, .query = {}};
  for (const char each : path) {
    const auto byte = static_cast<unsigned char>(each);
    if (each == '/' || detail::is_unreserved_or_delimiter(each)) {
      out.path.push_back(each);
    } else {
      append(out.path, '%', hex[byte >> 4U], hex[byte & 15U]);
    }
  }
  return out;
}

/// The path that a file: URI names.
inline absl::StatusOr<std::string> path_of(const uri& from) {
  const std::string& host = from.host ? *from.host : std::string();
  if ((!host.empty() && host != "localhost") || from.port || from.query || !from.path.starts_with('/'))
    return detail::bad_uri("a file: URI names an absolute path on this host and nothing else (file:///path)");
  return detail::percent_decoded_path(from.path);
}

namespace detail {

/// The size of the file at `fd`, which must be regular and fit the request.
inline absl::StatusOr<std::uint64_t> size_to_fetch(int fd, const request& what) {
  struct stat about{};
  if (::fstat(fd, &about) != 0) return errno_error(errno, "look at file");
  if (!S_ISREG(about.st_mode)) return error(absl::StatusCode::kFailedPrecondition, "not a regular file");
  const auto size = static_cast<std::uint64_t>(about.st_size);
  if (size > what.limit)
    return error(absl::StatusCode::kResourceExhausted, concat(size, " bytes, more than ", what.limit));
  if (what.offset > size)
    return error(absl::StatusCode::kOutOfRange, concat("offset ", what.offset, " is behind its end at ", size));
  return size;
}

/// Gives `left` bytes of a file to a sink; a file that shrinks meanwhile is a DATA_LOSS error.
inline absl::Status copy_to_sink(int fd, std::uint64_t left, const request& what, sink& into) {
  std::vector<std::byte> buffer(1U << 16U);
  while (left > 0) {
    MORTISE_RETURN_IF_ERROR(check_cancelled(what));
    const std::size_t most = std::min<std::uint64_t>(left, buffer.size());
    MORTISE_ASSIGN_OR_RETURN(const std::size_t got, sys::read_some(fd, std::span(buffer).first(most)));
    if (got == 0) return error(absl::StatusCode::kDataLoss, "it shrank while it was read");
    MORTISE_RETURN_IF_ERROR(into.write(std::span(buffer).first(got)));
    left -= got;
  }
  return absl::OkStatus();
}

}  // namespace detail

/// The fetcher of file: URIs. A symbolic link is followed; a FIFO, device or directory is refused unread.
class file {
 public:
  static constexpr std::array<std::string_view, 1> schemes = {"file"};

  absl::StatusOr<response> fetch(const uri& from, const request& what, sink& into) const {
    MORTISE_ASSIGN_OR_RETURN(const std::string path, path_of(from));
    auto out = fetch_path(path, what, into);
    if (!out.ok()) return annotate(out.status(), concat("fetch '", printable(path), '\''));
    return out;
  }

 private:
  static absl::StatusOr<response> fetch_path(const std::string& path, const request& what, sink& into) {
    MORTISE_RETURN_IF_ERROR(check_cancelled(what));
    // Without O_NONBLOCK the open of a FIFO would wait for a writer.
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd fd, sys::open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
    response about;
    MORTISE_ASSIGN_OR_RETURN(about.total, detail::size_to_fetch(fd.get(), what));
    about.offset = what.offset;
    about.status = what.offset == 0 ? 200 : 206;
    if (::lseek(fd.get(), static_cast<off_t>(what.offset), SEEK_SET) < 0) return errno_error(errno, "seek");
    MORTISE_RETURN_IF_ERROR(into.begin(about));
    MORTISE_RETURN_IF_ERROR(detail::copy_to_sink(fd.get(), *about.total - what.offset, what, into));
    return about;
  }
};

}  // namespace mortise::fetch

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The named files of an image on disk: a directory, or a tar archive of one, which may be compressed.
/// Needs: libisal or zlib, libzstd.

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mortise/archive/decompress.hpp>
#include <mortise/base/status.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/image/location.hpp>
#include <mortise/image/source.hpp>
#include <mortise/image/tar_index.hpp>
#include <mortise/sys/fd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mortise::image {

/// How a section's bytes begin says how it is packed.
inline absl::StatusOr<archive::compression> compression_of(const file_section& of) {
  std::array<std::byte, archive::longest_magic> head{};
  MORTISE_ASSIGN_OR_RETURN(const std::size_t got, of.read_at(0, head));
  return archive::detect_compression({reinterpret_cast<const char*>(head.data()), got});
}

/// Opened at once, indexed when `read_index` is called, so that its fingerprint costs one open and one stat.
class bundle {
 public:
  /// Fails where `path` is neither a directory nor a regular file, or cannot be read.
  static absl::StatusOr<bundle> open(const std::string& path) {
    MORTISE_ASSIGN_OR_RETURN(sys::unique_fd file, sys::open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
    struct stat about{};
    if (::fstat(file.get(), &about) != 0) return errno_error(errno, concat("stat '", path, '\''));
    if (!S_ISDIR(about.st_mode) && !S_ISREG(about.st_mode))
      return error(absl::StatusCode::kInvalidArgument,
                   concat("open '", path, "': it is neither a directory nor a file"));
    bundle out(path, fingerprint_of(about), S_ISDIR(about.st_mode));
    out.file_ = {std::make_shared<const sys::unique_fd>(std::move(file)), 0, static_cast<std::uint64_t>(about.st_size)};
    return out;
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  /// Identity, size and times of the file, which change with its content; empty where they cannot tell.
  [[nodiscard]] const std::string& fingerprint() const { return fingerprint_; }

  /// Makes `find` usable. A compressed archive is unpacked to an unnamed file in `scratch` first, since
  /// members of it cannot be reached otherwise.
  absl::Status read_index(const std::string& scratch) {
    if (is_directory_) return absl::OkStatus();
    MORTISE_ASSIGN_OR_RETURN(const auto packed, compression_of(file_));
    if (packed != archive::compression::none) {
      const absl::Status status = spool(scratch);
      if (!status.ok()) return annotate(status, concat("read '", path_, '\''));
    }
    auto index = tar_index::build(file_);
    if (!index.ok()) return annotate(index.status(), concat("read '", path_, '\''));
    index_ = std::make_shared<const tar_index>(*std::move(index));
    return absl::OkStatus();
  }

  /// A file by its name, which the caller has validated or which an archive is asked for. NOT_FOUND where
  /// it is missing.
  [[nodiscard]] absl::StatusOr<file_section> find(const std::string& name) const {
    auto found = is_directory_ ? open_file(file_.file->get(), name) : index_->find(name);
    if (!found.ok()) return annotate(found.status(), concat("read '", path_, '\''));
    return found;
  }

  /// What tells this state of a file from every other; empty for a directory, and for a file that changed just now: it
  /// could change once more within the same tick of its clock.
  static std::string fingerprint_of(const struct stat& about) {
    if (S_ISDIR(about.st_mode) || ::time(nullptr) - about.st_ctim.tv_sec < 2) return {};
    return concat(about.st_dev, ' ', about.st_ino, ' ', about.st_size, ' ', about.st_mtim.tv_sec, '.',
                  about.st_mtim.tv_nsec, ' ', about.st_ctim.tv_sec, '.', about.st_ctim.tv_nsec);
  }

 private:
  bundle(std::string path, std::string fingerprint, bool is_directory)
      : path_(std::move(path)), fingerprint_(std::move(fingerprint)), is_directory_(is_directory) {}

  absl::Status spool(const std::string& scratch) {
    MORTISE_ASSIGN_OR_RETURN(auto file, sys::open(scratch, O_RDWR | O_TMPFILE, 0600));
    section_reader packed(file_);
    MORTISE_ASSIGN_OR_RETURN(const auto plain, archive::decompress(packed));
    std::vector<std::byte> buffer(std::size_t{256} << 10);
    std::uint64_t size = 0;
    for (;;) {
      MORTISE_ASSIGN_OR_RETURN(const std::size_t got, plain->read(buffer));
      if (got == 0) break;
      MORTISE_RETURN_IF_ERROR(sys::write_all(file.get(), std::span(buffer).first(got)));
      size += got;
    }
    file_ = {std::make_shared<const sys::unique_fd>(std::move(file)), 0, size};
    return absl::OkStatus();
  }

  std::string path_;
  std::string fingerprint_;
  bool is_directory_;
  file_section file_;
  std::shared_ptr<const tar_index> index_;
};

/// What the sources of bundles do with "SCHEME:PATH[:NAME]": an `Origin` over the bundle at PATH. `form` is shown
/// where the location is wrong. Fails where the path cannot be opened; a wrong name shows when `roots` is asked.
template <class Origin>
absl::StatusOr<std::unique_ptr<origin>> open_bundle(std::string_view location, std::string_view form,
                                                    const std::string& scratch) {
  location.remove_prefix(location.find(':') + 1);
  MORTISE_ASSIGN_OR_RETURN(auto at, file_location::parse(location, form));
  MORTISE_ASSIGN_OR_RETURN(bundle files, bundle::open(at.path));
  return std::make_unique<Origin>(std::move(files), std::move(at), scratch);
}

}  // namespace mortise::image

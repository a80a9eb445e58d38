// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The smallest store: a directory on the host is the image. Needs nothing: for launchers that bring their
/// own roots.

#include <sys/stat.h>

#include <cerrno>
#include <mortise/base/status.hpp>
#include <mortise/image/store_concept.hpp>
#include <mortise/model/image.hpp>
#include <string>
#include <string_view>

namespace mortise::image {

/// The location is an absolute path; the directory is the image's one layer, and its configuration is empty:
/// the caller says what to run. Nothing is verified, since there is no digest to verify against.
/// Fails with: INVALID_ARGUMENT for a path that is not absolute or no directory; NOT_FOUND.
class directory {
 public:
  /// The path is where other stores keep their things; this one keeps none.
  static absl::StatusOr<directory> open(const std::string& /*path*/) { return directory{}; }

  template <class Format, class Progress>
  absl::StatusOr<model::image> provide(std::string_view location, const provide_options& /*options*/,
                                       Progress&& /*hear*/) const {
    const std::string path(location);
    const auto refuse = [&path](std::string_view why) {
      return error(absl::StatusCode::kInvalidArgument,
                   concat("use directory '", printable(path), "' as an image: ", why));
    };
    if (!path.starts_with('/') || path.find('\0') != std::string::npos) return refuse("it must be an absolute path");
    struct stat about{};
    if (::stat(path.c_str(), &about) != 0)
      return errno_error(errno, concat("use directory '", printable(path), "' as an image"));
    if (!S_ISDIR(about.st_mode)) return refuse("it is not a directory");
    return model::image{path, {}, {}, {model::layer{{}, path}}};
  }
};

}  // namespace mortise::image

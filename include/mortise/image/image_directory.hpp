// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Images as plain directories of blobs, the `dir:` form of containers/image: manifest.json, and each blob as a file
/// named by its digest in hexadecimal. Needs: RapidJSON, libcrypto, libisal or zlib, libzstd.

#include <fcntl.h>

#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/image/location.hpp>
#include <mortise/image/oci/manifest.hpp>
#include <mortise/image/resolve.hpp>
#include <mortise/image/source.hpp>
#include <mortise/sys/fd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mortise::image {

namespace detail {

class directory_origin : public origin {
 public:
  directory_origin(std::string path, sys::unique_fd directory)
      : path_(std::move(path)), directory_(std::move(directory)) {}

  absl::StatusOr<std::vector<model::descriptor>> roots() override {
    auto root = describe();
    if (!root.ok()) return annotate(root.status(), concat("open image directory '", path_, '\''));
    return std::vector<model::descriptor>{*std::move(root)};
  }

  /// The manifest goes by its digest too, as what leads to everything else; an index's manifests lie beside it as
  /// HEX.manifest.json.
  absl::StatusOr<std::unique_ptr<reader>> open_blob(const model::descriptor& blob) override {
    const role kind = role_of(blob.type);
    const bool document = kind == role::manifest || kind == role::index;
    const std::string name = !document              ? std::string(blob.digest.hex())
                             : blob.digest == root_ ? std::string("manifest.json")
                                                    : concat(blob.digest.hex(), ".manifest.json");
    MORTISE_ASSIGN_OR_RETURN(file_section found, open_file(directory_.get(), name));
    return std::make_unique<section_reader>(std::move(found));
  }

 private:
  absl::StatusOr<model::descriptor> describe() {
    MORTISE_ASSIGN_OR_RETURN(file_section found, open_file(directory_.get(), "manifest.json"));
    section_reader bytes(std::move(found));
    MORTISE_ASSIGN_OR_RETURN(const std::string text, read_text(bytes, most_document_bytes));
    MORTISE_ASSIGN_OR_RETURN(const auto parsed, oci::parse_manifest(text, "manifest.json"));
    root_ = digest::of(text);
    const auto type_of = [](const auto& document) { return document.type; };
    return model::descriptor{std::visit(type_of, parsed), *root_, text.size(), {}, {}, {}, {}, {}};
  }

  std::string path_;
  sys::unique_fd directory_;
  std::optional<model::digest> root_;
};

}  // namespace detail

/// A source: `dir:PATH`, a directory that `skopeo copy ... dir:PATH` and its kin wrote. It holds one image, or one for
/// several platforms, and may be rewritten at any time, so it is asked each time.
class image_directory {
 public:
  static constexpr std::string_view form = "dir:PATH";

  [[nodiscard]] bool accepts(std::string_view location) const { return after_scheme(location, "dir").has_value(); }

  [[nodiscard]] std::string canonical(std::string_view location) const { return absolute_location(location); }

  /// Fails where the path is no directory; what is not in it shows when `roots` is asked.
  [[nodiscard]] absl::StatusOr<std::unique_ptr<origin>> open(std::string_view location,
                                                             const std::string& /*scratch*/) const {
    std::string path(after_scheme(location, "dir").value_or(std::string_view()));
    if (path.empty() || path.find('\0') != std::string::npos)
      return error(absl::StatusCode::kInvalidArgument,
                   concat("parse image location '", printable(location), "': there is no path (write ", form, ')'));
    MORTISE_ASSIGN_OR_RETURN(sys::unique_fd directory, sys::open(path, O_RDONLY | O_DIRECTORY));
    return std::make_unique<detail::directory_origin>(std::move(path), std::move(directory));
  }
};

static_assert(source<image_directory>);

}  // namespace mortise::image

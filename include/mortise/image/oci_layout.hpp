// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Images in an OCI image layout (image-layout.md), a directory or a tar archive of one.
/// Needs: RapidJSON, libcrypto, libisal or zlib, libzstd.

#include <algorithm>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/image/bundle.hpp>
#include <mortise/image/location.hpp>
#include <mortise/image/oci/manifest.hpp>
#include <mortise/image/resolve.hpp>
#include <mortise/image/source.hpp>
#include <mortise/model/manifest.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mortise::image {

namespace detail {

class layout_origin : public origin {
 public:
  layout_origin(bundle files, file_location at, std::string scratch)
      : files_(std::move(files)), at_(std::move(at)), scratch_(std::move(scratch)) {}

  absl::StatusOr<std::vector<model::descriptor>> roots() override {
    MORTISE_RETURN_IF_ERROR(files_.read_index(scratch_));
    MORTISE_ASSIGN_OR_RETURN(const std::string header, read("oci-layout"));
    MORTISE_RETURN_IF_ERROR(oci::check_layout_version(header, subject("oci-layout")));
    MORTISE_ASSIGN_OR_RETURN(const std::string text, read("index.json"));
    MORTISE_ASSIGN_OR_RETURN(const auto index_type, model::media_type::parse(media::oci_index));
    MORTISE_ASSIGN_OR_RETURN(auto parsed, oci::parse_manifest(text, subject("index.json"), index_type));
    return pick(std::get<model::index>(std::move(parsed)).manifests);
  }

  absl::StatusOr<std::unique_ptr<reader>> open_blob(const model::descriptor& blob) override {
    const std::string name = concat("blobs/", name_of(blob.digest.algorithm()), '/', blob.digest.hex());
    MORTISE_ASSIGN_OR_RETURN(file_section found, files_.find(name));
    return std::make_unique<section_reader>(std::move(found));
  }

 private:
  [[nodiscard]] std::string subject(std::string_view name) const { return concat(name, " of '", files_.path(), '\''); }

  [[nodiscard]] absl::StatusOr<std::string> read(const std::string& name) const {
    auto found = files_.find(name);
    if (absl::IsNotFound(found.status()))
      return annotate(found.status(), concat("open image layout '", files_.path(), '\''));
    if (!found.ok()) return found.status();
    section_reader bytes(*std::move(found));
    auto text = read_text(bytes, most_document_bytes);
    if (!text.ok()) return annotate(text.status(), subject(name));
    return text;
  }

  /// The name an entry goes by: OCI's, and the full one that containerd writes beside it.
  static bool is_named(const model::descriptor& entry, std::string_view name) {
    return model::find(entry.annotations, "org.opencontainers.image.ref.name") == name ||
           model::find(entry.annotations, "io.containerd.image.name") == name;
  }

  [[nodiscard]] absl::StatusOr<std::vector<model::descriptor>> pick(
      const std::vector<model::descriptor>& entries) const {
    std::vector<model::descriptor> chosen;
    for (const model::descriptor& each : entries) {
      const bool wanted = at_.digest ? each.digest == *at_.digest : at_.name.empty() || is_named(each, at_.name);
      if (wanted) chosen.push_back(each);
    }
    const std::string names = list_names(entries);
    if (chosen.empty() && at_.digest) return missing(concat("no image with the digest ", at_.digest->text()), names);
    if (chosen.empty() && at_.name.empty()) return missing("no image", names);
    if (chosen.empty()) return missing(concat("no tag '", printable(at_.name, 128), '\''), names);
    // Entries without a name are one image for several platforms; named ones are several images.
    const bool ambiguous = at_.name.empty() && !at_.digest && chosen.size() > 1 && !names.empty();
    if (ambiguous)
      return error(absl::StatusCode::kInvalidArgument, concat("choose an image of '", files_.path(), "': it holds ",
                                                              chosen.size(), " (name one of the tags: ", names, ')'));
    return chosen;
  }

  [[nodiscard]] absl::Status missing(std::string_view what, std::string_view names) const {
    return error(absl::StatusCode::kNotFound,
                 concat("choose an image of '", files_.path(), "': it holds ", what,
                        names.empty() ? " (nor any tag)" : " (its tags: ", names, names.empty() ? "" : ")"));
  }

  static std::string list_names(const std::vector<model::descriptor>& entries) {
    std::set<std::string> names;
    for (const model::descriptor& each : entries)
      if (const auto name = model::find(each.annotations, "org.opencontainers.image.ref.name"))
        if (names.size() < 50) names.insert(printable(*name, 128));
    return join(names, ", ");
  }

  bundle files_;
  file_location at_;
  std::string scratch_;
};

}  // namespace detail

/// A source: `oci:PATH[:TAG]` (and `oci-archive:`, which other tools say for the archive). A layout in a
/// directory may be rewritten at any time, so it is asked each time; that costs three small reads.
class oci_layout {
 public:
  static constexpr std::string_view form = "oci:PATH[:TAG]";

  [[nodiscard]] bool accepts(std::string_view location) const {
    return after_scheme(location, "oci").has_value() || after_scheme(location, "oci-archive").has_value();
  }

  [[nodiscard]] std::string canonical(std::string_view location) const { return absolute_location(location); }

  /// Fails where the path cannot be opened; a wrong tag shows when `roots` is asked.
  [[nodiscard]] absl::StatusOr<std::unique_ptr<origin>> open(std::string_view location,
                                                             const std::string& scratch) const {
    return open_bundle<detail::layout_origin>(location, form, scratch);
  }
};

static_assert(source<oci_layout>);

}  // namespace mortise::image

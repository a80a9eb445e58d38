// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Images that `docker save` and its kin wrote: the old layout with its links, the one since Docker 25 that
/// is an OCI layout as well, layers plain or compressed, the archive plain or compressed.
/// Needs: RapidJSON, libcrypto, libisal or zlib, libzstd.

#include <sys/stat.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/image/bundle.hpp>
#include <mortise/image/docker/manifest.hpp>
#include <mortise/image/location.hpp>
#include <mortise/image/media_types.hpp>
#include <mortise/image/oci/config.hpp>
#include <mortise/image/oci/manifest.hpp>
#include <mortise/image/resolve.hpp>
#include <mortise/image/source.hpp>
#include <mortise/model/manifest.hpp>
#include <mortise/model/reference.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace mortise::image {

namespace detail {

/// The archive has no manifest that states digests and sizes. One is made: layers that lie there plain go by
/// their diff IDs, which the configuration states and unpacking verifies; compressed ones are hashed first.
class archive_origin : public origin {
 public:
  archive_origin(bundle files, file_location at, std::string scratch)
      : files_(std::move(files)), at_(std::move(at)), scratch_(std::move(scratch)) {}

  absl::StatusOr<std::vector<model::descriptor>> roots() override {
    MORTISE_RETURN_IF_ERROR(files_.read_index(scratch_));
    auto found = files_.find("manifest.json");
    if (!found.ok()) return annotate(found.status(), "open image archive");
    MORTISE_ASSIGN_OR_RETURN(const std::string text, read(*std::move(found), "manifest.json"));
    MORTISE_ASSIGN_OR_RETURN(const auto images, docker::parse_archive(text, subject("manifest.json")));
    MORTISE_ASSIGN_OR_RETURN(const docker::saved_image image, pick(images));
    MORTISE_ASSIGN_OR_RETURN(auto manifest, describe(image));
    return std::vector<model::descriptor>{std::move(manifest)};
  }

  absl::StatusOr<std::unique_ptr<reader>> open_blob(const model::descriptor& blob) override {
    const auto found = blobs_.find(blob.digest.text());
    if (found != blobs_.end()) return std::make_unique<section_reader>(found->second);
    return error(absl::StatusCode::kNotFound,
                 concat("open blob ", blob.digest.text(), " of '", files_.path(), "': it is not there"));
  }

  [[nodiscard]] std::string fingerprint() const override { return files_.fingerprint(); }

 private:
  [[nodiscard]] std::string subject(std::string_view name) const {
    return concat(printable(name, 160), " of '", files_.path(), '\'');
  }

  [[nodiscard]] absl::StatusOr<std::string> read(file_section from, std::string_view name) const {
    section_reader bytes(std::move(from));
    auto text = read_text(bytes, most_document_bytes);
    if (!text.ok()) return annotate(text.status(), subject(name));
    return text;
  }

  /// Whether two references mean the same: "busybox" is what an archive calls "busybox:latest".
  static bool is_same(std::string_view a, std::string_view b) {
    if (a == b) return true;
    const auto left = model::reference::parse(a);
    const auto right = model::reference::parse(b);
    return left.ok() && right.ok() && *left == *right;
  }

  [[nodiscard]] bool is_wanted(const docker::saved_image& image) const {
    if (at_.digest) return promised(image.config) == at_.digest;
    for (const std::string& tag : image.tags)
      if (is_same(tag, at_.name)) return true;
    return false;
  }

  [[nodiscard]] absl::StatusOr<docker::saved_image> pick(const std::vector<docker::saved_image>& images) const {
    const std::string wanted = at_.digest ? at_.digest->text() : printable(at_.name, 300);
    std::vector<std::string> names;
    for (const docker::saved_image& each : images) {
      if (!wanted.empty() && is_wanted(each)) return each;
      for (const std::string& tag : each.tags)
        if (names.size() < 50) names.push_back(printable(tag, 300));
    }
    if (wanted.empty() && images.size() == 1) return images.front();
    const std::string there = names.empty() ? "none has a tag" : concat("its tags: ", join(names, ", "));
    const std::string place = concat("choose an image of '", files_.path(), "': it holds ");
    if (!wanted.empty() || images.empty())
      return error(absl::StatusCode::kNotFound, concat(place, "no image '", wanted, "' (", there, ')'));
    return error(absl::StatusCode::kInvalidArgument, concat(place, images.size(), " (name one of them: ", there, ')'));
  }

  /// The digest that a member's name promises, as the content-addressed layouts have it.
  static std::optional<model::digest> promised(std::string_view name) {
    const std::size_t slash = name.rfind('/');
    std::string_view hex = slash == std::string_view::npos ? name : name.substr(slash + 1);
    if (hex.ends_with(".json")) hex.remove_suffix(5);
    const bool addressed =
        slash == std::string_view::npos ? name.ends_with(".json") : name.substr(0, slash) == "blobs/sha256";
    auto digest = model::digest::parse(concat("sha256:", hex));
    if (!addressed || !digest.ok()) return std::nullopt;
    return *std::move(digest);
  }

  absl::StatusOr<model::descriptor> describe(const docker::saved_image& image) {
    MORTISE_ASSIGN_OR_RETURN(file_section config_at, files_.find(image.config));
    MORTISE_ASSIGN_OR_RETURN(const std::string config_text, read(config_at, image.config));
    const model::digest actual = digest::of(config_text);
    if (const auto said = promised(image.config); said && *said != actual)
      return error(absl::StatusCode::kDataLoss,
                   concat("verify ", subject(image.config), ": its digest is ", actual.text()));
    MORTISE_ASSIGN_OR_RETURN(const auto config, oci::parse_config(config_text, subject(image.config)));
    if (config.diff_ids.size() != image.layers.size())
      return error(absl::StatusCode::kDataLoss,
                   concat("read ", subject("manifest.json"), ": it has ", image.layers.size(),
                          " layers, the configuration ", config.diff_ids.size(), " diff IDs"));
    if (image.layers.size() > oci::most_descriptors)
      return error(
          absl::StatusCode::kResourceExhausted,
          concat("read ", subject("manifest.json"), ": it lists more than ", oci::most_descriptors, " layers"));
    MORTISE_ASSIGN_OR_RETURN(auto config_type, model::media_type::parse(media::docker_config));
    const model::descriptor config_blob{std::move(config_type), actual, config_text.size(), {}, {}, {}, {}, {}};
    std::vector<model::descriptor> layers;
    for (std::size_t at = 0; at < image.layers.size(); ++at) {
      MORTISE_ASSIGN_OR_RETURN(auto layer, describe_layer(image.layers[at], config.diff_ids[at]));
      layers.push_back(std::move(layer));
    }
    return describe_manifest(docker::manifest_text(config_blob, layers), config_at, actual);
  }

  absl::StatusOr<model::descriptor> describe_manifest(std::string text, file_section config_at,
                                                      const model::digest& config) {
    blobs_.emplace(config.text(), std::move(config_at));
    MORTISE_ASSIGN_OR_RETURN(auto type, model::media_type::parse(media::docker_manifest));
    const model::digest digest = digest::of(text);
    const std::size_t size = text.size();
    return model::descriptor{std::move(type), digest, size, {}, {}, {}, {}, std::move(text)};
  }

  absl::StatusOr<model::descriptor> describe_layer(const std::string& name, const model::digest& diff_id) {
    MORTISE_ASSIGN_OR_RETURN(file_section content, files_.find(name));
    MORTISE_ASSIGN_OR_RETURN(const auto packed, compression_of(content));
    model::digest digest = diff_id;
    std::string type(media::docker_layer);
    if (packed != archive::compression::none) {
      MORTISE_ASSIGN_OR_RETURN(digest, packed_digest(name, content));
      append(type, '.', archive::name_of(packed));
    }
    MORTISE_ASSIGN_OR_RETURN(auto media_type, model::media_type::parse(type));
    model::descriptor out{std::move(media_type), std::move(digest), content.size, {}, {}, {}, {}, {}};
    blobs_.insert_or_assign(out.digest.text(), std::move(content));
    return out;
  }

  /// Bytes that several layers are, by whatever names and links, are hashed once.
  [[nodiscard]] absl::StatusOr<model::digest> packed_digest(const std::string& name, const file_section& content) {
    if (const auto said = promised(name)) return *said;
    struct stat about{};
    if (::fstat(content.file->get(), &about) != 0) return errno_error(errno, concat("stat ", subject(name)));
    const auto place = std::tuple(about.st_dev, about.st_ino, content.offset);
    if (const auto known = hashed_.find(place); known != hashed_.end()) return known->second;
    MORTISE_ASSIGN_OR_RETURN(auto digest, hash(content));
    return hashed_.emplace(place, std::move(digest)).first->second;
  }

  [[nodiscard]] static absl::StatusOr<model::digest> hash(const file_section& content) {
    digest::openssl hash;
    section_reader bytes(content);
    std::vector<std::byte> buffer(std::size_t{256} << 10);
    for (;;) {
      MORTISE_ASSIGN_OR_RETURN(const std::size_t got, bytes.read(buffer));
      if (got == 0) return hash.finish();
      hash.update(std::span(buffer).first(got));
    }
  }

  bundle files_;
  file_location at_;
  std::string scratch_;
  std::map<std::string, file_section> blobs_;
  std::map<std::tuple<dev_t, ino_t, std::uint64_t>, model::digest> hashed_;  ///< by file and place in it
};

}  // namespace detail

/// A source: `docker-archive:PATH[:REF][@ID]`, where REF is one of the references that the archive was
/// saved with and ID an image ID; both may be left out where the archive holds one image.
class docker_archive {
 public:
  static constexpr std::string_view form = "docker-archive:PATH[:REF]";

  [[nodiscard]] bool accepts(std::string_view location) const {
    return after_scheme(location, "docker-archive").has_value();
  }

  [[nodiscard]] std::string canonical(std::string_view location) const { return absolute_location(location); }

  /// Fails where the path cannot be opened; a wrong reference shows when `roots` is asked.
  [[nodiscard]] absl::StatusOr<std::unique_ptr<origin>> open(std::string_view location,
                                                             const std::string& scratch) const {
    return open_bundle<detail::archive_origin>(location, form, scratch);
  }
};

static_assert(source<docker_archive>);

}  // namespace mortise::image

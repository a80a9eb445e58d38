// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Images in registries, by the distribution API: Docker Hub and every other, their mirrors, with whatever credentials
/// and certificates the user has for them. Needs: RapidJSON, libcrypto, libcurl, libisal or zlib, libzstd.

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/fetch/curl.hpp>
#include <mortise/fetch/http.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/image/registry/client.hpp>
#include <mortise/image/registry/options.hpp>
#include <mortise/image/registry/schema1_image.hpp>
#include <mortise/image/source.hpp>
#include <mortise/model/reference.hpp>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image {

/// What a program may say about registries, their mirrors and credentials: image/registry/options.hpp.
using distribution::registry_options;

namespace detail {

/// One reference. Documents are verified before they are given out, layers are not.
template <class Http>
class registry_origin final : public origin {
 public:
  registry_origin(std::unique_ptr<distribution::client<Http>> from, std::string scratch)
      : client_(std::move(from)), scratch_(std::move(scratch)) {}

  void heed(const std::atomic<bool>* cancelled) override { client_->heed(cancelled); }

  absl::StatusOr<std::vector<model::descriptor>> roots() override {
    MORTISE_ASSIGN_OR_RETURN(model::descriptor found, client_->find_manifest());
    if (role_of(found.type) != role::schema_1) return std::vector<model::descriptor>{std::move(found)};
    const std::string subject = concat("manifest ", found.digest.text());
    auto converted = distribution::convert_schema_1(*client_, *found.data, subject, scratch_);
    if (!converted.ok()) return annotate(converted.status(), concat("pull ", client_->of().text()));
    converted_ = *std::move(converted);
    return std::vector<model::descriptor>{converted_->manifest};
  }

  absl::StatusOr<std::unique_ptr<reader>> open_blob(const model::descriptor& blob) override {
    if (converted_ && blob.digest == converted_->config_digest)
      return std::make_unique<text_reader>(converted_->config);
    MORTISE_ASSIGN_OR_RETURN(std::string text, client_->document(blob));
    return std::make_unique<text_reader>(std::move(text));
  }

  [[nodiscard]] bool is_remote() const override { return true; }

  absl::Status fetch_blob(const model::descriptor& blob, byte_range range, fetch::sink& into,
                          const std::atomic<bool>* cancelled) override {
    if (range.first > range.last || range.last > blob.size)
      return error(absl::StatusCode::kInvalidArgument, concat("fetch blob ", blob.digest.text(), ": bytes ",
                                                              range.first, " to ", range.last, " of ", blob.size));
    if (converted_)
      if (const auto found = converted_->layers.find(blob.digest.text()); found != converted_->layers.end())
        return copy(found->second, range, into, cancelled);
    return client_->blob(blob, blob.size, range, into, cancelled);
  }

  bool distrust(const model::descriptor& blob) override { return client_->distrust(blob.digest); }

  /// What a digest names never changes; what a tag does only the registry can tell.
  [[nodiscard]] std::string fingerprint() const override {
    const auto& digest = client_->of().digest();
    return digest ? digest->text() : std::string();
  }

 private:
  /// Of a layer that had to be pulled already.
  static absl::Status copy(const file_section& from, byte_range range, fetch::sink& into,
                           const std::atomic<bool>* cancelled) {
    fetch::request what;
    what.cancelled = cancelled;
    fetch::response about;
    about.offset = range.first;
    about.status = range.first == 0 ? 200 : 206;
    about.total = from.size;
    MORTISE_RETURN_IF_ERROR(into.begin(about));
    std::vector<std::byte> buffer(std::size_t{1} << 16);
    while (range.first < range.last) {
      MORTISE_RETURN_IF_ERROR(fetch::check_cancelled(what));
      const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(range.last - range.first, buffer.size()));
      MORTISE_ASSIGN_OR_RETURN(const std::size_t got, from.read_at(range.first, std::span(buffer).first(most)));
      if (got == 0) return error(absl::StatusCode::kDataLoss, "fetch blob: the file shrank while it was read");
      MORTISE_RETURN_IF_ERROR(into.write(std::span(buffer).first(got)));
      range.first += got;
    }
    return absl::OkStatus();
  }

  std::unique_ptr<distribution::client<Http>> client_;
  std::string scratch_;
  std::optional<distribution::converted_image> converted_;
};

}  // namespace detail

/// A source: `docker://NAME[:TAG][@DIGEST]`, and every bare name that could be an image's, docker.io's where it names
/// no registry. "oci:x" could be one too, so name this source behind those with schemes of their own.
/// Copies share connections, tokens and warnings.
template <class Http>
class basic_registry {
 public:
  static constexpr std::string_view form = "docker://NAME[:TAG]";

  explicit basic_registry(registry_options options = {}, Http by = Http())
      : shared_(std::make_shared<distribution::context<Http>>(std::move(options), std::move(by))) {}

  [[nodiscard]] bool accepts(std::string_view location) const {
    return location.starts_with(scheme) || model::reference::parse(location).ok();
  }

  [[nodiscard]] std::string canonical(std::string_view location) const {
    const auto parsed = parse(location);
    return parsed.ok() ? concat(scheme, parsed->text()) : std::string(location);
  }

  /// Fails where the location is no name of an image, or its registry's settings are wrong; all else shows when
  /// `roots` is asked.
  [[nodiscard]] absl::StatusOr<std::unique_ptr<origin>> open(std::string_view location,
                                                             const std::string& scratch) const {
    MORTISE_ASSIGN_OR_RETURN(model::reference of, parse(location));
    MORTISE_ASSIGN_OR_RETURN(auto client, distribution::client<Http>::open(shared_, std::move(of)));
    return std::make_unique<detail::registry_origin<Http>>(std::move(client), scratch);
  }

  /// The tags of a location's repository, in the registry's order.
  [[nodiscard]] absl::StatusOr<std::vector<model::tag>> tags(std::string_view location) const {
    MORTISE_ASSIGN_OR_RETURN(model::reference of, parse(location));
    MORTISE_ASSIGN_OR_RETURN(const auto client, distribution::client<Http>::open(shared_, std::move(of)));
    return client->tags();
  }

  /// What refers to a location's image (signatures, bills of materials), all or of one artifact type, unverified.
  [[nodiscard]] absl::StatusOr<std::vector<model::descriptor>> referrers(std::string_view location,
                                                                         std::string_view artifact_type = {}) const {
    MORTISE_ASSIGN_OR_RETURN(model::reference of, parse(location));
    MORTISE_ASSIGN_OR_RETURN(const auto client, distribution::client<Http>::open(shared_, std::move(of)));
    return client->referrers(artifact_type);
  }

 private:
  static constexpr std::string_view scheme = "docker://";

  static absl::StatusOr<model::reference> parse(std::string_view location) {
    if (location.starts_with(scheme)) location.remove_prefix(scheme.size());
    return model::reference::parse(location);
  }

  std::shared_ptr<distribution::context<Http>> shared_;
};

/// The source with libcurl.
using registry = basic_registry<fetch::http<fetch::curl>>;

static_assert(source<registry>);

}  // namespace mortise::image

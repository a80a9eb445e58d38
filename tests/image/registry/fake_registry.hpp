// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A registry in memory that a test can make misbehave, one that pulls from it, and what goes in between.

#include <functional>
#include <image/layout_builder.hpp>
#include <map>
#include <memory>
#include <mortise/digest/openssl.hpp>
#include <mortise/fetch/curl.hpp>
#include <mortise/fetch/http.hpp>
#include <mortise/image/registry/client.hpp>
#include <mortise/image/registry/options.hpp>
#include <string>
#include <string_view>
#include <support/collect.hpp>
#include <support/http_server.hpp>
#include <utility>
#include <vector>

namespace support {

namespace distribution = mortise::image::distribution;
namespace media = mortise::image::media;
using curl_http = mortise::fetch::http<mortise::fetch::curl>;
using curl_client = distribution::client<curl_http>;

/// Serves manifests, blobs and tags as the distribution API has them. `first` may answer instead, and says so.
class fake_registry {
 public:
  struct manifest {
    std::string text;
    std::string type;
  };

  explicit fake_registry(std::function<bool(const http_request&, http_connection&)> first_word = {})
      : first(std::move(first_word)), server([this](const http_request& asked, http_connection& to) {
          if (!first || !first(asked, to)) answer(asked, to);
        }) {}

  /// Adds a manifest under its digest and, where there is one, a tag. Returns the digest.
  std::string put(const std::string& text, std::string_view type, const std::string& tag = {}) {
    const std::string digest = sha256(text);
    manifests[digest] = {text, std::string(type)};
    if (!tag.empty()) manifests[tag] = manifests[digest];
    return digest;
  }
  std::string put_blob(const std::string& content) {
    blobs[sha256(content)] = content;
    return content;
  }
  /// Adds an image of these layers; returns its manifest.
  std::string put_image(const std::vector<test_layer>& layers, const std::string& tag = "latest") {
    std::vector<std::string> descriptors;
    for (const test_layer& each : layers) descriptors.push_back(descriptor(each.type, put_blob(each.blob)));
    const std::string config = put_blob(config_text(layers));
    std::string text = manifest_text(descriptor(media::oci_config, config), descriptors);
    put(text, media::oci_manifest, tag);
    return text;
  }

  /// "127.0.0.1:port/app" with a tag or digest behind it.
  [[nodiscard]] std::string name(const std::string& rest = ":latest") const { return server.host() + "/app" + rest; }
  /// What was asked, as "GET manifests/latest".
  [[nodiscard]] std::vector<std::string> asked() const {
    std::vector<std::string> out;
    for (const http_request& each : server.requests()) {
      const std::string path = each.path();
      out.push_back(each.method + ' ' + (path.starts_with("/v2/app/") ? path.substr(8) : path));
    }
    return out;
  }
  /// Whether any request carried credentials.
  [[nodiscard]] bool saw_credentials() const {
    for (const http_request& each : server.requests())
      if (each.has("authorization") || each.has("cookie")) return true;
    return false;
  }

  void answer(const http_request& asked, http_connection& to) const {
    const std::string path = asked.path();
    const std::size_t manifest_at = path.rfind("/manifests/");
    const std::size_t blob_at = path.rfind("/blobs/");
    if (manifest_at != std::string::npos) return answer_manifest(path.substr(manifest_at + 11), to);
    if (blob_at != std::string::npos) return answer_blob(asked, path.substr(blob_at + 7), to);
    if (path == "/v2/") return to.answer(200, {}, "{}");
    to.answer(404, {}, R"({"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]})");
  }

  std::map<std::string, manifest> manifests;
  std::map<std::string, std::string> blobs;
  std::function<bool(const http_request&, http_connection&)> first;

 private:
  void answer_manifest(const std::string& name, http_connection& to) const {
    const auto found = manifests.find(name);
    // What is sent is a copy: the test may change what is here as soon as the client has the last byte.
    if (found == manifests.end())
      return to.answer(404, {}, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})");
    const manifest copy = found->second;
    to.answer(200, {{"Content-Type", copy.type}, {"Docker-Content-Digest", sha256(copy.text)}}, copy.text);
  }
  void answer_blob(const http_request& asked, const std::string& digest, http_connection& to) const {
    const auto found = blobs.find(digest);
    if (found == blobs.end())
      return to.answer(404, {}, R"({"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]})");
    to.serve(asked, std::string(found->second), {{"Content-Type", "application/octet-stream"}});
  }

 public:
  http_server server;  // the last to be made and the first to go: its threads use the rest
};

/// Options that see nothing of the user who runs the tests, wait for nothing, and speak plain HTTP to `hosts`.
inline distribution::registry_options test_options(const std::vector<std::string>& hosts = {}) {
  distribution::registry_options out;
  for (const std::string& each : hosts) out.registries.push_back({each, {}, {}, true, false});
  out.variables = distribution::environment{"HOME=/nonexistent", "XDG_RUNTIME_DIR=/nonexistent"};
  out.certificates = {};
  out.retry.tries = 3;
  out.retry.first = std::chrono::milliseconds(1);
  out.retry.longest = std::chrono::milliseconds(5);
  out.retry.longest_asked = std::chrono::milliseconds(20);
  return out;
}

/// A client of a reference.
inline std::unique_ptr<curl_client> client_of(const std::string& name, distribution::registry_options options) {
  auto shared = std::make_shared<distribution::context<curl_http>>(std::move(options));
  return curl_client::open(std::move(shared), mortise::model::reference::parse(name).value()).value();
}

/// A descriptor of content that lies somewhere.
inline mortise::model::descriptor blob_of(std::string_view content,
                                          std::string_view type = mortise::image::media::oci_layer) {
  return {mortise::model::media_type::parse(type).value(),
          mortise::digest::of(content),
          content.size(),
          {},
          {},
          {},
          {},
          {}};
}

/// Bytes in which a wrong offset shows.
inline std::string numbered_bytes(std::size_t size) {
  std::string out;
  for (std::uint32_t at = 0; out.size() < size; ++at) mortise::append(out, at, ',');
  out.resize(size);
  return out;
}

}  // namespace support

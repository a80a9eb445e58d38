// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/requests.hpp>

#include <doctest/doctest.h>

#include <optional>
#include <string>

using namespace mortise::image::distribution;  // NOLINT(google-build-using-namespace): it is all of it that is tested
using mortise::model::digest;
using mortise::model::reference;
using mortise::model::tag;

namespace {

endpoint at(const char* name, const std::vector<registry_settings>& all = {}) {
  return endpoints_of(reference::parse(name).value(), all).value().front();
}
const std::string hex(64, 'a');

}  // namespace

TEST_CASE("requests: addresses") {
  const auto blob = digest::parse("sha256:" + hex).value();
  const auto latest = tag::parse("v1.0_x-y").value();
  CHECK(manifest_url(at("busybox"), latest).text() ==
        "https://registry-1.docker.io/v2/library/busybox/manifests/v1.0_x-y");
  CHECK(manifest_url(at("r.example:5000/a/b"), blob).text() == "https://r.example:5000/v2/a/b/manifests/sha256:" + hex);
  CHECK(blob_url(at("r.example/a"), blob).text() == "https://r.example/v2/a/blobs/sha256:" + hex);
  CHECK(tags_url(at("r.example/a")).text() == "https://r.example/v2/a/tags/list");
  CHECK(tags_url(at("r.example/a"), 100).text() == "https://r.example/v2/a/tags/list?n=100");
  const endpoint mirror =
      at("r.example:5000/a",
         {{.registry = "r.example:5000", .mirrors = {{.address = "m.example/p", .add_namespace = true}}}});
  CHECK(blob_url(mirror, blob).text() == "https://m.example/v2/p/a/blobs/sha256:" + hex + "?ns=r.example%3A5000");
  CHECK(tags_url(mirror, 1).text() == "https://m.example/v2/p/a/tags/list?ns=r.example%3A5000&n=1");
}

TEST_CASE("requests: header fields") {
  const auto modern = manifest_headers();
  CHECK(modern[0].first == "Accept");
  CHECK(modern[0].second ==
        "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
        "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json");
  CHECK(manifest_headers(schema_1::accepted)[0].second.find("manifest.v1+prettyjws") != std::string::npos);
  for (const auto& fields : {modern, blob_headers(), tags_headers()})
    CHECK(fields.back() == std::pair<std::string, std::string>{"Accept-Encoding", "identity"});
}

TEST_CASE("requests: what a response says of itself") {
  CHECK(content_type("application/vnd.oci.image.index.v1+json; charset=utf-8")->text() ==
        "application/vnd.oci.image.index.v1+json");
  CHECK(content_type(" Application/JSON ")->text() == "application/json");
  for (const char* const bad : {"", ";", "json", "a/b/c", "a/\r\nb"}) CHECK_FALSE(content_type(bad).has_value());

  const auto asked = digest::parse("sha256:" + hex).value();
  CHECK_FALSE(content_digest("", asked)->has_value());
  CHECK(content_digest("sha256:" + hex, asked)->value() == asked);
  CHECK(content_digest("sha512:" + hex + hex, asked)->value().text() == "sha512:" + hex + hex);
  CHECK(content_digest("sha256:" + hex, std::nullopt)->value() == asked);
  const auto other = content_digest("sha256:" + std::string(64, 'b'), asked);
  CHECK(other.status().code() == absl::StatusCode::kDataLoss);
  CHECK_FALSE(content_digest("sha256:../../x", asked).ok());
}

TEST_CASE("requests: warnings are shown cleaned, or not") {
  CHECK(warning_text("299 - \"going away \\\"soon\\\"\"") == "going away \"soon\"");
  CHECK(warning_text("299 - \"caf\xc3\xa9\"") == "caf\\xc3\\xa9");
  for (const std::string& bad :
       {std::string(), std::string("299 - \""), std::string("299 - x"), std::string("199 - \"x\""),
        std::string("299 - \"\x1b[31mred\""), std::string("299 - \"a\" \"b\""), std::string("299 - \"a\\\""),
        "299 - \"" + std::string(5000, 'a') + '"'}) {
    CAPTURE(bad);
    CHECK_FALSE(warning_text(bad).has_value());
  }
}

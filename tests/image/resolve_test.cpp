// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/resolve.hpp>

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <image/layout_builder.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <support/fork.hpp>
#include <vector>

using mortise::message;
using mortise::image::resolve;
using mortise::model::parse_platform;
namespace media = mortise::image::media;

namespace {

/// Blobs in memory; a blob may be replaced by another content, to be altered, or left out.
class memory_origin : public mortise::image::origin {
 public:
  std::string put(const std::string& content) {
    blobs[support::sha256(content)] = content;
    return content;
  }
  std::string put_image(std::string_view architecture, std::string_view config_more = {}) {
    const std::string config = put(support::config_text({support::plain_layer("tar")}, config_more, architecture));
    return put(support::manifest_text(support::descriptor(media::oci_config, config),
                                      {support::descriptor(media::oci_layer, "tar")}));
  }
  void root(std::string_view type, const std::string& content, std::string_view more = {}) {
    const auto parsed = mortise::image::json::document::parse(support::descriptor(type, content, more), "root");
    roots_.push_back(mortise::image::oci::read_descriptor(parsed->root()).value());
  }

  absl::StatusOr<std::vector<mortise::model::descriptor>> roots() override { return roots_; }
  absl::StatusOr<std::unique_ptr<mortise::reader>> open_blob(const mortise::model::descriptor& blob) override {
    opened.insert(blob.digest.text());
    const auto found = blobs.find(blob.digest.text());
    if (found == blobs.end()) return absl::NotFoundError("no such blob");
    return std::make_unique<mortise::image::text_reader>(found->second);
  }

  std::map<std::string, std::string> blobs;
  std::set<std::string> opened;

 private:
  std::vector<mortise::model::descriptor> roots_;
};

std::string chosen(memory_origin& from, std::string_view platform) {
  const auto image = resolve(from, parse_platform(platform).value());
  return image.ok() ? image->config.parsed.platform.text() : std::string(message(image.status()));
}

bool says(memory_origin& from, std::string_view part, std::string_view platform = "linux/amd64") {
  const std::string said = chosen(from, platform);
  CAPTURE(said);
  return said.find(part) != std::string::npos;
}

std::string image_entry(const std::string& manifest, std::string_view more = {}) {
  return support::descriptor(media::oci_manifest, manifest, more);
}

}  // namespace

TEST_CASE("resolve: a single image is taken if its configuration fits") {
  memory_origin from;
  const std::string manifest = from.put_image("amd64");
  from.root(media::oci_manifest, manifest);
  const auto image = resolve(from, parse_platform("linux/amd64/v3").value());
  REQUIRE(image.ok());
  CHECK(image->manifest.digest.text() == support::sha256(manifest));
  CHECK(image->manifest.text == manifest);
  CHECK(image->config.parsed.diff_ids.size() == 1);
  CHECK(says(from, "it is offered for linux/amd64 (name one of these", "linux/arm64"));
}

TEST_CASE("resolve: of an index the best platform is taken, and no other is touched") {
  memory_origin from;
  const std::string plain = from.put_image("amd64");
  const std::string better = from.put_image("amd64", R"(,"variant":"v2")");
  const std::string arm = from.put_image("arm64");
  from.root(media::oci_index,
            from.put(support::index_text({image_entry(arm, support::for_platform("linux", "arm64")),
                                          image_entry(plain, support::for_platform("linux", "amd64")),
                                          image_entry(better, support::for_platform("linux", "amd64", "v2"))})));
  from.blobs.erase(support::sha256(arm));  // a layout may be sparse
  CHECK(chosen(from, "linux/amd64/v3") == "linux/amd64/v2");
  CHECK(chosen(from, "linux/amd64") == "linux/amd64");
  CHECK(says(from, "choose an image for linux/s390x: it is offered for linux/amd64, linux/amd64/v2, linux/arm64",
             "linux/s390x"));
  CHECK_FALSE(from.opened.contains(support::sha256(arm)));
  CHECK(says(from, "no such blob", "linux/arm64"));
}

TEST_CASE("resolve: what an image says of its own platform, and its index does not, is a warning") {
  const auto said = [](std::string_view architecture, std::string_view more = {}) {
    const auto wanted = parse_platform("linux/amd64/v2").value();
    memory_origin from;
    const std::string image = from.put_image(architecture, more);
    from.root(media::oci_index,
              from.put(support::index_text({image_entry(image, support::for_platform("linux", "amd64"))})));
    const auto found = resolve(from, wanted);
    if (!found.ok()) return std::string(message(found.status()));
    return mortise::image::platform_warning(*found, wanted).value_or("");
  };
  CHECK(said("amd64") == "");
  CHECK(said("x86_64") == "");
  CHECK(said("arm64") == "its index has it for linux/amd64/v2, and its configuration says linux/arm64: it may not run");
  CHECK(said("amd64", R"(,"variant":"v3")").ends_with("says linux/amd64/v3: it may not run"));
  CHECK(said(R"(a\u001b)").ends_with(R"(says linux/a\x1b: it may not run)"));
}

TEST_CASE("resolve: the first of equals is taken") {
  memory_origin from;
  const std::string first = from.put_image("amd64", R"(,"author":"first")");
  const std::string second = from.put_image("amd64", R"(,"author":"second")");
  from.root(media::oci_index,
            from.put(support::index_text({image_entry(first, support::for_platform("linux", "amd64")),
                                          image_entry(second, support::for_platform("linux", "amd64"))})));
  CHECK(resolve(from, parse_platform("linux/amd64").value())->config.parsed.author == "first");
}

TEST_CASE("resolve: nested indexes are searched, attestations and unknown types are passed over") {
  memory_origin from;
  const std::string image = from.put_image("amd64");
  const std::string inner =
      from.put(support::index_text({image_entry(image, support::for_platform("linux", "amd64"))}));
  from.root(
      media::oci_index,
      from.put(support::index_text(
          {image_entry("attestation", support::for_platform("unknown", "unknown")),
           image_entry("other", R"(,"annotations":{"vnd.docker.reference.type":"attestation-manifest"})"),
           support::descriptor("application/vnd.example+json", "x"), support::descriptor(media::oci_index, inner)})));
  CHECK(chosen(from, "linux/amd64") == "linux/amd64");
}

TEST_CASE("resolve: indexes nest to a bounded depth and list a bounded number") {
  memory_origin deep;
  std::string inner = deep.put(support::index_text({}));
  for (int depth = 0; depth < 6; ++depth)
    inner = deep.put(support::index_text({support::descriptor(media::oci_index, inner)}));
  deep.root(media::oci_index, inner);
  CHECK(says(deep, "nested deeper than 4"));

  memory_origin wide;
  const std::vector<std::string> half(5001, image_entry("x", support::for_platform("linux", "arm64")));
  const std::string one = wide.put(support::index_text(half));
  const std::string other = wide.put(support::index_text(half) + " ");
  wide.root(media::oci_index, wide.put(support::index_text({support::descriptor(media::oci_index, one),
                                                            support::descriptor(media::oci_index, other)})));
  CHECK(says(wide, "list more than 10000"));
}

TEST_CASE("resolve: an index that is listed twice is read once") {
  memory_origin from;
  const std::string inner =
      from.put(support::index_text({image_entry(from.put_image("amd64"), support::for_platform("linux", "amd64"))}));
  const std::string again = support::descriptor(media::oci_index, inner);
  from.root(media::oci_index, from.put(support::index_text({again, again, again})));
  CHECK(chosen(from, "linux/amd64") == "linux/amd64");
}

TEST_CASE("resolve: altered, truncated, oversized and missing documents are refused") {
  memory_origin from;
  const std::string manifest = from.put_image("amd64");
  from.root(media::oci_manifest, manifest);
  const std::string id = support::sha256(manifest);
  std::string altered = manifest;
  altered[altered.size() / 2] ^= 1;
  from.blobs[id] = altered;
  CHECK(says(from, "verify manifest " + id + ": its digest is"));
  from.blobs[id] = manifest.substr(0, 100);
  CHECK(says(from, "ends after 100 of the"));
  from.blobs[id] = manifest + "x";
  CHECK(says(from, "it is longer than the"));
  from.blobs.erase(id);
  CHECK(says(from, "read manifest " + id + ": no such blob"));

  memory_origin big;
  const std::string claim =
      mortise::concat(R"({"mediaType":")", media::oci_manifest, R"(","digest":")", id, R"(","size":5368709120})");
  big.root(media::oci_index, big.put(support::index_text({claim})));
  CHECK(says(big, "5368709120 bytes are more than the 8388608 allowed"));
  CHECK_FALSE(big.opened.contains(id));
}

TEST_CASE("resolve: embedded documents need no blob") {
  memory_origin from;
  const std::string config = support::config_text({});
  static constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string encoded;
  for (std::size_t at = 0; at < config.size(); at += 3) {
    unsigned bits = 0;
    for (std::size_t each = 0; each < 3; ++each)
      bits = bits << 8 | (at + each < config.size() ? static_cast<unsigned char>(config[at + each]) : 0U);
    for (unsigned each = 0; each < 4; ++each)
      encoded += at + each <= config.size() ? letters[bits >> (18 - 6 * each) & 63] : '=';
  }
  from.root(media::oci_manifest,
            from.put(support::manifest_text(
                support::descriptor(media::oci_config, config, ",\"data\":\"" + encoded + '"'), {})));
  CHECK(chosen(from, "linux/amd64") == "linux/amd64");
}

TEST_CASE("resolve: what is no image is refused with what it is") {
  const auto with = [](const std::string& config_type, const std::string& layer_type) {
    memory_origin from;
    const std::string config = from.put(support::config_text({support::plain_layer("tar")}));
    from.root(media::oci_manifest, from.put(support::manifest_text(support::descriptor(config_type, config),
                                                                   {support::descriptor(layer_type, "tar")})));
    return chosen(from, "linux/amd64");
  };
  const std::string config(media::oci_config);
  const std::string layer(media::oci_layer);
  CHECK(with("application/vnd.oci.empty.v1+json", layer).find("it is an artifact, not an image") != std::string::npos);
  CHECK(with(std::string(media::docker_plugin), layer).find("Docker plugin") != std::string::npos);
  CHECK(with(config, "application/vnd.in-toto+json")
            .find("layer 1 of 1 has the unknown media type application/vnd.in-toto+json") != std::string::npos);
  CHECK(with(config, std::string(media::oci_foreign_layer)) == "linux/amd64");
  CHECK(with(config, layer) == "linux/amd64");

  memory_origin nothing;
  nothing.root(media::oci_index, nothing.put(support::index_text({support::descriptor("text/plain", "x")})));
  CHECK(says(nothing, "nothing in it is an image (it holds text/plain)"));
  memory_origin empty;
  empty.root(media::oci_index, empty.put(support::index_text({})));
  CHECK(says(empty, "its index is empty"));
}

TEST_CASE("resolve: manifest and configuration must agree on the layers") {
  memory_origin from;
  const std::string config = from.put(support::config_text({support::plain_layer("a"), support::plain_layer("b")}));
  from.root(media::oci_manifest, from.put(support::manifest_text(support::descriptor(media::oci_config, config),
                                                                 {support::descriptor(media::oci_layer, "a")})));
  CHECK(says(from, "its manifest has 1 layers, its configuration 2 diff IDs"));

  memory_origin docker;
  const std::string history =
      docker.put(support::config_text({support::plain_layer("a")}, R"(,"history":[{},{},{"empty_layer":true}])"));
  const std::string manifest =
      docker.put(mortise::concat(R"({"schemaVersion":2,"config":)", support::descriptor(media::docker_config, history),
                                 R"(,"layers":[)", support::descriptor(media::docker_layer, "a"), "]}"));
  docker.root(media::docker_manifest, manifest);
  CHECK(says(docker, "its history makes 2 layers, its configuration has 1 diff IDs"));
}

TEST_CASE("resolve: an image is made of Appc layers or of others, and only with the former its Appc manifest counts") {
  const std::string more = R"(,"appc":{"manifest":"{}"})";
  const auto image = [&](const std::vector<std::string_view>& types) {
    memory_origin from;
    std::vector<support::test_layer> contents;
    std::vector<std::string> layers;
    for (const std::string_view type : types) {
      contents.push_back(support::plain_layer("tar"));
      layers.push_back(support::descriptor(type, "tar"));
    }
    const std::string config = from.put(support::config_text(contents, more, "amd64"));
    const std::string text = support::manifest_text(support::descriptor(media::oci_config, config), layers);
    from.root(media::oci_manifest, from.put(text));
    return resolve(from, parse_platform("linux/amd64").value());
  };
  const auto appc = image({media::appc_layer, media::appc_layer});
  REQUIRE_MESSAGE(appc.ok(), message(appc.status()));
  CHECK(appc->config.parsed.appc_manifest == "{}");
  CHECK(image({media::oci_layer})->config.parsed.appc_manifest.empty());
  for (const auto& mixed : {std::vector{media::appc_layer, media::oci_layer}, {media::oci_layer, media::appc_layer}}) {
    const absl::Status status = image(mixed).status();
    CHECK(status.code() == absl::StatusCode::kFailedPrecondition);
    CHECK(message(status).ends_with("some of its layers are Appc images and some are not"));
  }
}

TEST_CASE("resolve: a configuration that thousands of manifests share is read once") {
  memory_origin from;
  const std::string more = R"(,"author":")" + std::string(std::size_t{7} << 20, 'x') + '"';
  const std::string config = support::descriptor(
      media::oci_config, from.put(support::config_text({support::plain_layer("tar")}, more, "arm64")));
  std::vector<std::string> entries;
  for (int each = 0; each < 9'000; ++each) {
    const std::string number = mortise::concat(R"(,"annotations":{"number":")", each, R"("})");
    entries.push_back(
        image_entry(from.put(support::manifest_text(config, {support::descriptor(media::oci_layer, "tar")}, number))));
  }
  entries.push_back(image_entry(from.put_image("amd64")));
  from.root(media::oci_index, from.put(support::index_text(entries)));
  const auto outcome =
      support::in_child({.cpu_seconds = 20}, [&] { return chosen(from, "linux/amd64") + chosen(from, "arm64"); });
  CHECK(outcome.text == "linux/amd64linux/arm64");
}

TEST_CASE("resolve: of what is offered a message has no more than can be read") {
  memory_origin from;
  std::vector<std::string> entries;
  for (int each = 0; each < 100; ++each)
    entries.push_back(
        image_entry(from.put_image("x"), support::for_platform(std::string(10'000, 'o'), std::to_string(each))));
  from.root(media::oci_index, from.put(support::index_text(entries)));
  CHECK(chosen(from, "linux/amd64").size() < 10'000);
}

// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/docker_archive.hpp>

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <archive/pack.hpp>
#include <archive/tar_builder.hpp>
#include <digest/memory_reader.hpp>
#include <image/layout_builder.hpp>
#include <string>
#include <string_view>
#include <support/fork.hpp>
#include <support/temporary.hpp>

using mortise::message;
using mortise::image::docker_archive;
namespace media = mortise::image::media;

namespace {

const mortise::model::platform amd64{"linux", "amd64", "", {}};
const std::string tar_1 = support::tar_builder().file("one", "1").text();
const std::string tar_2 = support::tar_builder().file("two", "2").text();

struct archive {
  explicit archive(const std::string& content) { support::write_file(place / "a.tar", content); }
  [[nodiscard]] absl::StatusOr<mortise::image::resolved_image> image(const std::string& which = {}) {
    MORTISE_ASSIGN_OR_RETURN(opened,
                             docker_archive{}.open("docker-archive:" + (place / "a.tar") + which, place.path()));
    return mortise::image::resolve(*opened, amd64);
  }
  std::string author(const std::string& which = {}) {
    const auto found = image(which);
    return found.ok() ? found->config.parsed.author : std::string(message(found.status()));
  }
  std::string blob(const mortise::model::descriptor& of) {
    auto reader = opened->open_blob(of);
    return reader.ok() ? support::read_whole(**reader).value() : std::string(message(reader.status()));
  }
  support::temporary_directory place;
  std::unique_ptr<mortise::image::origin> opened;
};

bool has(const std::string& said, std::string_view part) {
  CAPTURE(said);
  return said.find(part) != std::string::npos;
}

std::string config(std::string_view author, const std::vector<support::test_layer>& layers) {
  return support::config_text(layers, mortise::concat(R"(,"author":")", author, '"'));
}

/// Two images in the old layout: a layer shared by a symbolic link, manifest.json last.
support::tar_builder legacy() {
  const std::string one = config("one", {support::plain_layer(tar_1)});
  const std::string two = config("two", {support::plain_layer(tar_1), support::plain_layer(tar_2)});
  support::tar_builder out;
  out.directory("a/")
      .file("a/VERSION", "1.0")
      .file("a/layer.tar", tar_1)
      .symlink("b/layer.tar", "../a/layer.tar")
      .file("c/layer.tar", tar_2);
  out.file(support::sha256(one).substr(7) + ".json", one).file("two-config", two);
  out.file("repositories", "{}");
  out.file("manifest.json", mortise::concat(R"([{"Config":")", support::sha256(one).substr(7),
                                            R"(.json","RepoTags":["busybox:latest"],"Layers":["a/layer.tar"]},
    {"Config":"two-config","RepoTags":["example.com/two:1","two:2"],"Layers":["b/layer.tar","./c/layer.tar"]}])"));
  return out;
}

}  // namespace

TEST_CASE("docker_archive: an image is chosen by any of its references") {
  archive there(legacy().text());
  CHECK(there.author(":busybox") == "one");
  CHECK(there.author(":docker.io/library/busybox:latest") == "one");
  CHECK(there.author(":example.com/two:1") == "two");
  CHECK(there.author(":two:2") == "two");
  CHECK(there.author('@' + support::sha256(config("one", {support::plain_layer(tar_1)}))) == "one");
  CHECK(has(there.author(":three"), "it holds no image 'three' (its tags: busybox:latest, example.com/two:1, two:2)"));
  CHECK(has(there.author(), "it holds 2 (name one of them: its tags: busybox:latest"));
}

TEST_CASE("docker_archive: plain layers go by their diff IDs, also behind links") {
  archive there(legacy().text());
  const auto image = there.image(":two:2");
  REQUIRE(image.ok());
  const auto& layers = image->manifest.parsed.layers;
  REQUIRE(layers.size() == 2);
  CHECK(layers[0].digest == image->config.parsed.diff_ids[0]);
  CHECK(there.blob(layers[0]) == tar_1);
  CHECK(there.blob(layers[1]) == tar_2);
  CHECK(image->manifest.digest.text() == support::sha256(image->manifest.text));
}

TEST_CASE("docker_archive: compressed layers and archives") {
  const std::string packed = support::gzip(tar_1);
  const std::string text = config("one", {support::plain_layer(tar_1)});
  support::tar_builder tar;
  tar.file("manifest.json", R"([{"Config":"c","RepoTags":null,"Layers":["l.tar.gz"]}])")
      .file("c", text)
      .file("l.tar.gz", packed);
  for (const std::string& content : {tar.text(), support::gzip(tar.text()), support::zstd(tar.text())}) {
    archive there(content);
    const auto image = there.image();
    REQUIRE(image.ok());
    const auto& layer = image->manifest.parsed.layers.front();
    CHECK(layer.type == "application/vnd.docker.image.rootfs.diff.tar.gzip");
    CHECK(layer.digest.text() == support::sha256(packed));
    CHECK(layer.size == packed.size());
    CHECK(there.blob(layer) == packed);
  }
}

TEST_CASE("docker_archive: one that is an OCI layout too promises its digests by names") {
  const std::string packed = support::gzip(tar_1);
  const std::string text = config("one", {support::plain_layer(tar_1)});
  const auto name = [](const std::string& content) { return "blobs/sha256/" + support::sha256(content).substr(7); };
  const auto build = [&](const std::string& config_name, const std::string& layer) {
    support::tar_builder tar;
    tar.file("oci-layout", R"({"imageLayoutVersion":"1.0.0"})").file("index.json", support::index_text({}));
    tar.file(config_name, text).file(name(packed), layer);
    tar.file("manifest.json", mortise::concat(R"([{"Config":")", config_name, R"(","RepoTags":["a:1"],"Layers":[")",
                                              name(packed), R"("]}])"));
    return tar.text();
  };
  archive sound(build(name(text), packed));
  CHECK(sound.image(":a:1")->manifest.parsed.layers.front().digest.text() == support::sha256(packed));
  archive altered(build(name("other"), packed));
  CHECK(has(altered.author(), "its digest is " + support::sha256(text)));
}

TEST_CASE("docker_archive: what is wrong is named") {
  const std::string text = config("one", {support::plain_layer(tar_1)});
  const auto with = [&](const std::string& manifest) {
    support::tar_builder tar;
    tar.file("c", text).file("l", tar_1).symlink("out", "/../../etc/passwd");
    if (!manifest.empty()) tar.file("manifest.json", manifest);
    return archive(tar.text()).author();
  };
  CHECK(has(with(""), "open image archive: read '"));
  CHECK(has(with(""), "find 'manifest.json' in the archive: there is no such member"));
  CHECK(has(with("{}"), "it must be an array"));
  CHECK(has(with("[]"), "it holds no image"));
  CHECK(has(with(R"([{"Config":"d","Layers":["l"]}])"), "find 'd' in the archive"));
  CHECK(has(with(R"([{"Config":"c","Layers":["../../l"]}])"), "leads out of the archive"));
  CHECK(has(with(R"([{"Config":"c","Layers":["out"]}])"), "leads out of the archive"));
  CHECK(has(with(R"([{"Config":"c","Layers":[]}])"), "it has 0 layers, the configuration 1 diff IDs"));
  CHECK(has(with(R"([{"Config":"l","Layers":["l"]}])"), "parse l of '"));
  CHECK(with(R"([{"Config":"c","Layers":["l"]}])") == "one");
  CHECK(has(archive(legacy().text().substr(0, 3000)).author(":busybox"), "the archive is truncated"));
}

TEST_CASE("docker_archive: what is a layer thousands of times is hashed once, by whatever names it goes") {
  const std::string packed = support::gzip(tar_1);
  std::vector<std::string> names;
  std::vector<support::test_layer> layers;
  for (int each = 0; each < 9'000; ++each) {
    names.push_back(mortise::concat('"', each, "/../", each % 2 == 0 ? "l" : "link", '"'));
    layers.push_back(support::plain_layer(tar_1));
  }
  support::tar_builder tar;
  tar.file("l", packed + std::string(std::size_t{32} << 20, '\0'))
      .symlink("link", "l")
      .file("c", config("one", layers));
  tar.file("manifest.json", mortise::concat(R"([{"Config":"c","Layers":[)", mortise::join(names, ","), "]}]"));
  archive there(tar.text());
  const auto outcome = support::in_child({.cpu_seconds = 20}, [&] { return there.author(); });
  CHECK(outcome.text == "one");
}

TEST_CASE("docker_archive: more layers than a manifest can list are refused before they are looked at") {
  std::vector<std::string> names(10'001, R"("l")");
  support::tar_builder tar;
  tar.file("l", tar_1).file("c", config("one", std::vector(names.size(), support::plain_layer(tar_1))));
  tar.file("manifest.json", mortise::concat(R"([{"Config":"c","Layers":[)", mortise::join(names, ","), "]}]"));
  CHECK(has(archive(tar.text()).author(), "a.tar': it lists more than 10000 layers"));
}

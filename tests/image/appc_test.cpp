// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc.hpp>

#include <doctest/doctest.h>

#include <image/appc/aci_scene.hpp>
#include <mortise/image/docker_archive.hpp>
#include <mortise/image/oci_layout.hpp>
#include <string>
#include <string_view>
#include <support/leaks.hpp>
#include <support/skip.hpp>
#include <vector>

using mortise::message;
using mortise::image::appc_files;
using support::aci_app;
using support::aci_dependencies;
using support::aci_dependency;
using support::aci_directory;
using support::aci_manifest;
using support::aci_tar;
using support::provided_image;
using support::tar_builder;
using strings = std::vector<std::string>;

namespace {

/// Opens a location with a source that looks at these prefixes.
std::unique_ptr<mortise::image::origin> open(const std::string& location, const strings& prefixes = {}) {
  static const support::temporary_directory scratch;
  mortise::image::appc::discovery_options options;
  options.prefixes = prefixes;
  options.meta = false;
  auto opened = appc_files({}, options).open(location, scratch.path());
  REQUIRE_MESSAGE(opened.ok(), message(opened.status()));
  return *std::move(opened);
}

std::string why(const std::string& location, const strings& prefixes = {}) {
  return provided_image(*open(location, prefixes)).said();
}

bool has(const std::string& text, std::string_view part) {
  CAPTURE(text);
  const bool found = text.find(part) != std::string::npos;
  CHECK(found);
  return found;
}

/// An image of a case of rendering: what it whitelists, the numbers of the images that it depends on, what is in its
/// rootfs: "directory/", "link -> target", "file".
struct case_image {
  strings whitelist;
  std::vector<int> dependencies;
  strings entries;
};

/// Its images from number 0 on, the last of which is rendered, and what that shows: each file with the number of the
/// image that it is from, each directory of an image with its mode, 0700 and that number.
struct render_case {
  std::vector<case_image> images;
  strings shows;
};

std::string tar_of(const case_image& image, int number) {
  strings whitelist;
  for (const std::string& each : image.whitelist) whitelist.push_back('"' + each + '"');
  strings dependencies;
  for (const int each : image.dependencies) dependencies.push_back(aci_dependency(mortise::concat('i', each)));
  const std::string more =
      mortise::concat(R"("pathWhitelist":[)", mortise::join(whitelist, ","), "],", aci_dependencies(dependencies));
  tar_builder tar;
  tar.file("manifest", aci_manifest(more, mortise::concat('i', number))).directory("rootfs/");
  for (const std::string& each : image.entries) {
    const std::size_t arrow = each.find(" -> ");
    if (arrow != std::string::npos) {
      tar.symlink("rootfs/" + each.substr(0, arrow), each.substr(arrow + 4));
    } else if (each.ends_with('/')) {
      tar.directory("rootfs/" + each, 0700U + static_cast<unsigned>(number));
    } else {
      tar.file("rootfs/" + each, std::to_string(number));
    }
  }
  return tar.text();
}

/// The same for what was rendered. Directories that are only on the way to something are left out.
strings shown(const support::tree& merged) {
  strings out;
  for (const std::string& path : merged.paths()) {
    const std::string what = merged[path];
    if (what.starts_with("file")) out.push_back(path + '=' + what.substr(what.size() - 2, 1));
    if (what.starts_with("link")) out.push_back(path + what.substr(what.find(" -> ")));
    if (what.starts_with("dir") && !what.starts_with("dir 0755")) out.push_back(path + "/ " + what.substr(4, 4));
  }
  return out;
}

std::string gzip(const std::string& text) { return support::gzip(text); }
std::string bzip2(const std::string& text) { return support::bzip2(text); }
std::string xz(const std::string& text) { return support::xz(text); }

}  // namespace

TEST_CASE("appc: which locations are taken, and how they are remembered") {
  const appc_files source;
  for (const char* const each : {"aci:x", "appc:example.com/app", "appc:"}) CHECK(source.accepts(each));
  for (const char* const each : {"aci", "oci:x", "acis:x", "docker://x", "x", ""}) CHECK_FALSE(source.accepts(each));
  CHECK(source.canonical("aci:/a/b.aci") == "aci:/a/b.aci");
  CHECK(source.canonical("aci:b.aci").starts_with("aci:/"));
  CHECK(source.canonical("appc:a/b,version=1,b=2,a=1") == "appc:a/b:1,a=1,b=2");
  CHECK(source.canonical("appc:A") == "appc:A");
  CHECK(message(source.open("appc:A", "/tmp").status()).starts_with("parse AC identifier 'A'"));
  CHECK(source.open("aci:/no/such/file", "/tmp").status().code() == absl::StatusCode::kNotFound);
  CHECK(source.open("aci:/dev", "/tmp").status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("appc: a file becomes an image, however it is packed, and always the same one") {
  const aci_directory place;
  const std::string tar = aci_tar(aci_app(R"("exec":["/bin/sh","-c"],"workingDirectory":"/w")"), {"bin", "etc"});
  std::string manifest;
  for (const std::string& content : {tar, gzip(tar), bzip2(tar), xz(tar), support::zstd(tar)}) {
    support::write_file(place / "app.aci", content);
    const auto from = open("aci:" + (place / "app.aci"));
    const provided_image image(*from);
    REQUIRE_MESSAGE(image.status.ok(), image.said());
    CHECK(image.layers.top().paths() == strings{"bin", "etc"});
    CHECK(image.image->config.parsed.entrypoint == strings{"/bin/sh", "-c"});
    CHECK(image.image->config.parsed.working_directory == "/w");
    CHECK(image.image->config.parsed.user == "0:0");
    CHECK(image.image->config.parsed.diff_ids.at(0) == support::image_id(tar).digest());
    CHECK(image.image->manifest.parsed.layers.at(0).size == tar.size());
    if (manifest.empty()) manifest = image.image->manifest.text;
    CHECK(image.image->manifest.text == manifest);
  }
  const std::string id = support::image_id(tar).text();
  CHECK(provided_image(*open("aci:" + (place / "app.aci") + "@" + id)).status.ok());
  const std::string other = support::image_id("other").text();
  const provided_image wrong(*open("aci:" + (place / "app.aci") + "@" + other));
  CHECK(wrong.status.code() == absl::StatusCode::kDataLoss);
  has(wrong.said(), "its image ID is " + id + ", expected " + other);
}

TEST_CASE("appc: what an image depends on lies beside its file or at a prefix, and below it") {
  const aci_directory place;
  const aci_directory elsewhere;
  place.put("base", aci_tar(aci_manifest("", "base"), {"etc", "lib"}, " of base"), gzip);
  const std::string version = R"("labels":[{"name":"version","value":"1.0"}])";
  elsewhere.put("example.com/deep", aci_tar(aci_manifest(version, "example.com/deep"), {"deep", "lib"}, " of deep"), xz,
                "1.0");
  place.put("app",
            aci_tar(aci_manifest(
                        aci_dependencies({aci_dependency("example.com/deep", version), aci_dependency("base")}), "app"),
                    {"etc", "app"}, " of app"),
            bzip2);
  const std::string file = mortise::concat("app-latest-linux-", aci_directory::architecture(), ".aci");
  for (const std::string& location : {"aci:" + (place / file), std::string("appc:app")}) {
    const provided_image image(*open(location, {place.prefix(), elsewhere.prefix()}));
    REQUIRE_MESSAGE(image.status.ok(), image.said());
    CHECK(image.image->manifest.parsed.layers.size() == 3);
    CHECK(image.layers.layer(0)["deep"].ends_with("'deep of deep'"));
    CHECK(image.layers.layer(1)["lib"].ends_with("'lib of base'"));
    CHECK(image.layers.layer(2)["etc"].ends_with("'etc of app'"));
  }
  has(why("aci:" + (place / file)), "find dependency of 'app': find image 'example.com/deep' (version=1.0): open '");
  CHECK(provided_image(*open("appc:nowhere", {place.prefix()})).status.code() == absl::StatusCode::kNotFound);
  CHECK(why("appc:nowhere") == "find image 'nowhere': there is nowhere to look (name a prefix)");
}

TEST_CASE("appc: a dependency must be what was asked for") {
  const aci_directory place;
  const std::string labels = R"("labels":[{"name":"version","value":"latest"},{"name":"channel","value":"beta"}])";
  const std::string tar = aci_tar(aci_manifest(labels, "base"), {"x"});
  const std::string id = place.put("base", tar);
  const auto with = [&](const std::string& more) {
    place.put("app", aci_tar(aci_manifest(aci_dependencies({aci_dependency("base", more)}), "app"), {}));
    return std::make_unique<provided_image>(*open("appc:app", {place.prefix()}));
  };
  CHECK(with("")->status.ok());
  CHECK(with(R"("imageID":")" + id + '"')->status.ok());
  CHECK(with(mortise::concat(R"("size":)", tar.size()))->status.ok());
  CHECK(with(R"("labels":[{"name":"channel","value":"beta"}])")->status.ok());
  const auto wrong_id = with(R"("imageID":")" + support::image_id("x").text() + '"');
  CHECK(wrong_id->status.code() == absl::StatusCode::kDataLoss);
  has(wrong_id->said(), "its image ID is " + id);
  has(with(mortise::concat(R"("size":)", tar.size() + 1))->said(), "its size is");
  has(with(R"("labels":[{"name":"channel","value":"stable"}])")->said(),
      "its label channel is 'beta', expected 'stable'");
  has(with(R"("labels":[{"name":"other","value":"x"}])")->said(), "its label other is 'missing'");
  place.put("base", aci_tar(aci_manifest("", "other"), {}));
  has(with("")->said(), "its name is 'other', expected 'base'");
  const std::string foreign = R"("labels":[{"name":"os","value":"linux"},{"name":"arch","value":"armv6l"}])";
  place.put("base", aci_tar(aci_manifest(foreign, "base"), {}));
  has(with("")->said(), "its label arch is 'armv6l', expected");
}

TEST_CASE("appc: diamonds and whitelists: an image shows what every list on the way to it names") {
  const aci_directory place;
  const auto put = [&](const std::string& name, const strings& dependencies, const strings& files,
                       const std::string& whitelist = {}) {
    std::vector<std::string> all;
    for (const auto& each : dependencies) all.push_back(aci_dependency(each));
    std::string more = aci_dependencies(all);
    if (!whitelist.empty()) more += R"(,"pathWhitelist":)" + whitelist;
    place.put(name, aci_tar(aci_manifest(more, name), files));
  };
  put("base", {}, {"a", "b", "c"});
  put("left", {"base"}, {"left"}, R"(["/a","/left"])");
  put("right", {"base"}, {"right"}, R"(["/b","/right"])");
  put("app", {"left", "right"}, {"app"});
  const auto from = open("appc:app", {place.prefix()});
  const provided_image image(*from);
  REQUIRE_MESSAGE(image.status.ok(), image.said());
  CHECK(image.layers.layer(0).paths() == strings{"a"});
  CHECK(image.layers.layer(1).paths() == strings{"left"});
  CHECK(image.layers.layer(2).paths() == strings{"b"});
  CHECK(image.layers.layer(3).paths() == strings{"right"});
  CHECK(image.layers.layer(4).paths() == strings{"app"});
  CHECK(image.keys[0] != image.keys[2]);  // of the same bytes
  CHECK(image.image->config.parsed.diff_ids[0] == image.image->config.parsed.diff_ids[2]);
  if (support::missing_root()) return;
  const support::tree merged = image.layers.merged();
  CHECK(merged.paths() == strings{"a", "app", "b", "left", "right"});
}

// The cases that the specification's own renderer, pkg/acirenderer, is tested by.
TEST_CASE("appc: whitelists and dependencies render as they do for others") {
  if (support::missing_root()) return;
  const strings parent = {"a/1", "a/2", "a/3", "b/l -> 1", "c/", "c/1", "d/", "d/1", "e/1"};
  const strings first = {"a/1", "a/2", "a/3", "a/4", "b/l -> 1"};
  const strings second = {"a/1", "a/2", "b/1"};
  const strings upper = {"a/1", "b/2", "c/1"};
  const strings all_but_a4 = {"/a/1", "/a/2", "/a/3", "/b/l", "/b/1", "/b/2", "/c/1"};
  const strings rendered = {"a/1=2", "a/2=1", "a/3=0", "b/1=1", "b/2=2", "b/l -> 1", "c/1=2"};
  const std::vector<render_case> cases = {
      {{{{}, {}, {"a/"}}, {{}, {0}, {}}}, {"a/ 0700"}},
      {{{{}, {}, {}}, {{}, {0}, {"a/"}}}, {"a/ 0701"}},
      {{{{}, {}, {"a/"}}, {{}, {0}, {"a/"}}}, {"a/ 0701"}},
      {{{{}, {}, {"a/1"}}, {{}, {0}, {}}}, {"a/1=0"}},
      {{{{}, {}, {}}, {{}, {0}, {"a/1"}}}, {"a/1=1"}},
      {{{{}, {}, {"a/1"}}, {{}, {0}, {"a/1"}}}, {"a/1=1"}},
      {{{{}, {}, {"a/b/", "a/b/c/", "a/b/c/1"}}, {{}, {0}, {"a/b"}}}, {"a/b=1"}},
      {{{{"/a/1", "/a/2", "/b/l", "/c/", "/d/"}, {}, parent}, {{}, {0}, {"b/1", "c/2"}}},
       {"a/1=0", "a/2=0", "b/1=1", "b/l -> 1", "c/ 0700", "c/2=1", "d/ 0700"}},
      {{{{}, {}, parent}, {{"/a/1", "/a/2", "/b/l", "/b/1", "/c/2", "/d/"}, {0}, {"a/1", "c/2"}}},
       {"a/1=1", "a/2=0", "b/l -> 1", "c/ 0700", "c/2=1", "d/ 0700"}},
      {{{{"/a/1", "/a/2", "/a/3", "/a/4", "/b/l", "/b/1"}, {}, first}, {{}, {}, second}, {all_but_a4, {0, 1}, upper}},
       rendered},
      {{{{}, {}, first}, {{"/a/1", "/a/2", "/b/1"}, {}, second}, {all_but_a4, {0, 1}, upper}}, rendered},
      {{{{}, {}, first}, {{}, {}, {"a/2", "b/1", "d/", "d/1"}}, {{}, {1}, second}, {all_but_a4, {0, 2}, upper}},
       {"a/1=3", "a/2=2", "a/3=0", "b/1=2", "b/2=3", "b/l -> 1", "c/1=3"}},
      {{{{}, {}, {}}}, {}},
      {{{{"/foo"}, {}, {}}}, {}},
  };
  for (const render_case& each : cases) {
    CAPTURE(&each - cases.data());
    const aci_directory place;
    int number = 0;
    for (const case_image& image : each.images) {
      place.put(mortise::concat('i', number), tar_of(image, number));
      ++number;
    }
    const provided_image image(*open(mortise::concat("appc:i", number - 1), {place.prefix()}));
    REQUIRE_MESSAGE(image.status.ok(), image.said());
    CHECK(shown(image.layers.merged()) == each.shows);
  }
}

TEST_CASE("appc: cycles, and dependencies without end, are refused") {
  const aci_directory place;
  place.put("a", aci_tar(aci_manifest(aci_dependencies({aci_dependency("b")}), "a"), {}));
  place.put("b", aci_tar(aci_manifest(aci_dependencies({aci_dependency("a")}), "b"), {}));
  CHECK(why("appc:a", {place.prefix()}) == "render image 'a': it depends on itself (a > b > a)");
  for (int at = 0; at < 70; ++at)
    place.put("n" + std::to_string(at),
              aci_tar(aci_manifest(aci_dependencies({aci_dependency("n" + std::to_string(at + 1))}),
                                   "n" + std::to_string(at)),
                      {}));
  has(why("appc:n0", {place.prefix()}), "its dependencies go deeper than 64");
}

TEST_CASE("appc: hostile ACIs are refused before anything of them is unpacked") {
  const aci_directory place;
  const auto image = [&](const tar_builder& tar) {
    support::write_file(place / "app.aci", tar.text());
    return why("aci:" + (place / "app.aci"));
  };
  const auto sound = [] { return tar_builder().file("manifest", aci_manifest()).directory("rootfs/"); };
  has(image(sound().file("etc/passwd", "x")), "only 'manifest', 'rootfs'");
  has(image(sound().file("rootfs/../../etc/passwd", "x")), "its name contains '..'");
  has(image(tar_builder().file("manifest", aci_manifest()).symlink("rootfs", "/")), "'rootfs' must be a directory");
  has(image(sound().hard_link("rootfs/x", "manifest")), "leads out of 'rootfs'");
  has(image(sound().hard_link("rootfs/x", "rootfs/y")), "comes before its target");
  has(image(sound().symlink("rootfs/soft", "/etc").file("rootfs/soft/x")), "symbolic link as its parent 'soft'");
  has(image(sound().add({.name = "rootfs/gone", .type = '3'})), "the device 0:0");
  support::write_file(place / "app.aci", "no archive");
  has(why("aci:" + (place / "app.aci")), "read ACI '");
  tar_builder plain = sound().file("rootfs/.wh.etc", "a file").file("rootfs/.wh..wh..opq", "a file");
  support::write_file(place / "app.aci", plain.text());
  const auto from = open("aci:" + (place / "app.aci"));
  const provided_image kept(*from);
  REQUIRE_MESSAGE(kept.status.ok(), kept.said());
  CHECK(kept.layers.top().paths() == strings{".wh..wh..opq", ".wh.etc"});
}

TEST_CASE("appc: a file that changes after it was looked at does not pass for what it was") {
  const aci_directory place;
  support::write_file(place / "app.aci", aci_tar(aci_manifest(), {"good"}));
  const auto from = open("aci:" + (place / "app.aci"));
  const auto roots = from->roots();
  REQUIRE(roots.ok());
  const std::string evil = aci_tar(aci_manifest(), {"evil"});
  const auto file = mortise::sys::open(place / "app.aci", O_WRONLY);
  REQUIRE(mortise::sys::write_all(file->get(), evil).ok());
  struct kept final : mortise::image::origin {
    explicit kept(mortise::image::origin& from, std::vector<mortise::model::descriptor> all)
        : from_(from), roots_(std::move(all)) {}
    absl::StatusOr<std::vector<mortise::model::descriptor>> roots() override { return roots_; }
    absl::StatusOr<std::unique_ptr<mortise::reader>> open_blob(const mortise::model::descriptor& blob) override {
      return from_.open_blob(blob);
    }
    mortise::image::origin& from_;
    std::vector<mortise::model::descriptor> roots_;
  } again(*from, *roots);
  const provided_image image(again);
  CHECK(image.status.code() == absl::StatusCode::kDataLoss);
}

TEST_CASE("appc: a fingerprint stands for an image that depends on nothing, or was asked for by its ID") {
  const aci_directory place;
  const auto age = [&](const std::string& name) {  // a file that changed just now could change again unseen
    CHECK(std::system(("touch -d '1 hour ago' " + (place / name)).c_str()) == 0);
  };
  support::write_file(place / "alone.aci", aci_tar(aci_manifest(), {"x"}));
  CHECK(open("aci:" + (place / "alone.aci"))->fingerprint().empty());
  support::write_file(place / "app.aci", aci_tar(aci_manifest(aci_dependencies({aci_dependency("base")})), {"x"}));
  support::write_file(place / "late.aci",
                      tar_builder().directory("rootfs/").file("rootfs/x").file("manifest", aci_manifest()).text());
  for (const char* const each : {"alone.aci", "app.aci", "late.aci"}) age(each);
  ::sleep(2);  // of the change of its status, which cannot be set
  CHECK_FALSE(open("aci:" + (place / "alone.aci"))->fingerprint().empty());
  CHECK(open("aci:" + (place / "app.aci"))->fingerprint().empty());
  CHECK(open("aci:" + (place / "late.aci"))->fingerprint().empty());
  const std::string id = support::image_id("x").text();
  CHECK(open("appc:a")->fingerprint().empty());
  CHECK(open("appc:a@" + id)->fingerprint() == id);
}

TEST_CASE("appc: nothing is left open") {
  const aci_directory place;
  place.put("a", aci_tar(aci_manifest("", "a"), {"x"}), xz);
  (void)open("appc:a", {place.prefix()});
  const support::leak_snapshot before;
  {
    const auto from = open("appc:a", {place.prefix()});
    CHECK(provided_image(*from).status.ok());
  }
  CHECK(before.leaked() == "");
}

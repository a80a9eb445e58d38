// SPDX-License-Identifier: Apache-2.0
// mortise-image as its users meet it: each command for people and as JSON, exit codes, messages, progress, signals.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <examples/image_shelf.hpp>
#include <examples/program.hpp>
#include <examples/scene.hpp>
#include <image/registry/real_registry.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <support/http_server.hpp>
#include <support/skip.hpp>

using examples::outcome;
using examples::printed;
using examples::program;
using examples::scene;
using examples::shelf;

namespace {

bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

using words = std::vector<std::string>;

/// Changes one byte of a file, and nothing that `ls` would show.
void damage(const std::string& path) {
  struct stat about{};
  REQUIRE(::stat(path.c_str(), &about) == 0);
  std::string text = support::read_file(path);
  text[0] ^= 1;
  support::write_file(path, text);
  const timespec times[] = {about.st_atim, about.st_mtim};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

}  // namespace

TEST_CASE("mortise-image: pull makes images ready, once") {
  if (support::missing_root()) return;
  const shelf here;
  const outcome first = here.run({"pull", here.one(), here.two()});
  CHECK(first.code == 0);
  CHECK_MESSAGE(has(first.err, "mortise-image: layer 1 of 2: "), first.err);
  CHECK(has(first.err, here.one() + ": 2 layers, 0 there already, "));
  CHECK(has(first.err, here.two() + ": 2 layers, 1 there already, "));
  CHECK_FALSE(has(first.err, "\x1b"));
  const printed again = here.json({"pull", "--settle", here.one()});
  CHECK(again.code == 0);
  CHECK(again.said == "");
  CHECK(first.out.starts_with(again.text("images.0.manifest") + "  " + here.one() + '\n'));
  CHECK(again.text("images.0.location") == here.one());
  CHECK(again.size("images.0.layers") == 2);
  CHECK(again.size("failed") == 0);
  const std::string top = again.text("images.0.layers.1.directory");
  CHECK(support::read_file(top + "/one") == "one");
  CHECK(here.json({"inspect", here.one()}).truth("images.0.layers.0.unpacked.0.synced"));
  CHECK(here.run({"-q", "pull", here.one()}).err == "");
}

TEST_CASE("mortise-image: pull ends at the first location that fails, prefetch goes on") {
  if (support::missing_root()) return;
  const shelf here;
  const printed failed = here.json({"pull", "oci:/nowhere", here.one()});
  CHECK(failed.code == 1);
  CHECK(failed.said.starts_with("mortise-image: open image 'oci:/nowhere': "));
  CHECK(failed.size("images") == 0);
  CHECK(failed.text("failed.0.location") == "oci:/nowhere");
  CHECK(has(failed.text("failed.0.error"), "No such file or directory"));

  support::write_file(here / "list", "# comment\n\n  " + here.one() + "\t\r\noci:/nowhere\n#" + here.two() + "\n");
  const outcome mixed = here.run({"prefetch", "-f", here / "list", here.two()});
  CHECK(mixed.code == 1);
  CHECK(has(mixed.out, "  " + here.one() + '\n'));
  CHECK(has(mixed.out, "  " + here.two() + '\n'));
  CHECK(has(mixed.err, "open image 'oci:/nowhere'"));
  CHECK(mixed.err.ends_with("mortise-image: 2 of 3 images are there\n"));
  const outcome piped = here.run({"prefetch", "--file=-"}, {.input = here.one() + '\n'});
  CHECK(piped.code == 0);
  CHECK(piped.err.ends_with("mortise-image: 1 of 1 images are there\n"));
  support::write_file(here / "list", "# nothing yet\n");
  CHECK(here.run({"prefetch", "-f", here / "list"}).code == 0);
  const outcome unread = here.run({"prefetch", "-f", "/nowhere"});
  CHECK(unread.code == 2);
  CHECK(unread.err == "mortise-image: option --file: open '/nowhere': No such file or directory\n");
}

TEST_CASE("mortise-image: prefetch stands back behind everything else") {
  if (examples::missing_host() || support::missing_program("ionice")) return;
  const std::string large = "oci:" + scene::get().layout() + ":large";
  const shelf here;
  const std::string script = R"sh("$0" "$@" >/dev/null 2>&1 & pid=$!
while kill -0 $pid; do
  seen="$(ps -o ni= -p $pid | tr -d ' ') $(ionice -p $pid)"
  [ "$seen" = "19 idle" ] && break
done
kill -TERM $pid; wait $pid; echo "$seen, $?")sh";
  words all = here.command({"prefetch", large});
  all.insert(all.begin(), {"sh", "-c", script});
  CHECK(examples::run(all).out == "19 idle, 143\n");
}

TEST_CASE("mortise-image: what registries warn of, and what is odd about an image, is said") {
  if (support::missing_root()) return;
  using namespace support;
  const shelf here;
  const test_layer layer = gzip_layer(tar_builder().file("f").text());
  const std::string config = config_text({layer}, {}, "s390x");
  const std::string manifest =
      manifest_text(descriptor(mortise::image::media::oci_config, config), {descriptor(layer.type, layer.blob)});
  const std::string index =
      index_text({descriptor(mortise::image::media::oci_manifest, manifest, for_platform("linux", "amd64"))});
  http_server server([&](const http_request& asked, http_connection& to) {
    const std::string last = asked.path().substr(asked.path().rfind('/') + 1);
    http_fields fields = {{"Warning", "299 - \"this is \\\"old\\\"\""}};
    if (last == "1" || last == sha256(index)) {
      fields.emplace_back("Content-Type", mortise::image::media::oci_index);
      return to.answer(200, fields, index);
    }
    if (last == sha256(manifest)) {
      fields.emplace_back("Content-Type", mortise::image::media::oci_manifest);
      return to.answer(200, fields, manifest);
    }
    for (const std::string& each : {config, layer.blob})
      if (last == sha256(each)) return to.answer(200, fields, each);
    to.answer(404, {}, "{}");
  });
  const std::string location = "docker://" + server.host() + "/app:1";
  const outcome pulled = here.run({"pull", "-q", "--platform", "linux/amd64", location});
  CHECK_MESSAGE(pulled.code == 0, pulled.err);
  CHECK(pulled.err ==
        "mortise-image: warning: " + server.host() + ": this is \"old\"\nmortise-image: warning: " + location +
            ": its index has it for linux/amd64, and its configuration says linux/s390x: it may not run\n");
  const std::string mirror = "registry.example.com=" + server.url("/cache");
  const outcome mirrored =
      here.run({"pull", "-q", "--mirror", mirror, "--platform", "linux/amd64", "registry.example.com/team/app:1"});
  CHECK_MESSAGE(mirrored.code == 0, mirrored.err);
  CHECK(mirrored.out == sha256(manifest) + "  registry.example.com/team/app:1\n");
  CHECK(server.requests().back().path().starts_with("/v2/cache/team/app/"));
}

TEST_CASE("mortise-image: which registries are spoken to without TLS, and which images are old, is for the user") {
  if (support::missing_root()) return;
  const shelf here;
  support::http_server server([](const support::http_request&, support::http_connection& to) {
    to.answer(200, {{"Content-Type", "application/vnd.docker.distribution.manifest.v1+json"}},
              R"({"schemaVersion":1,"name":"app","tag":"1","fsLayers":[],"history":[]})");
  });
  const std::string location = server.host() + "/app:1";
  CHECK(has(here.run({"pull", location}).err, "it is of Docker's schema 1, which is off"));
  CHECK(server.requests().front().connection > 1);  // the first began with TLS
  CHECK(has(here.run({"pull", "--schema-1", location}).err, "at 'fsLayers': it is empty"));

  support::http_server plain(
      [](const support::http_request&, support::http_connection& to) { to.answer(404, {}, ""); });
  CHECK(here.run({"pull", "--plain-http", plain.host(), plain.host() + "/app:1"}).code == 1);
  CHECK(plain.requests().front().connection == 1);
}

TEST_CASE("mortise-image: an artifact is kept as it is") {
  if (support::missing_root()) return;
  using namespace support;
  const shelf here;
  layout_builder layout(here / "artifact");
  const std::string config = layout.put("{}");
  const std::string blob = layout.put("not a layer");
  const std::string manifest =
      layout.put(manifest_text(descriptor("application/vnd.example.thing", config), {descriptor("text/plain", blob)}));
  layout.write_index({descriptor(mortise::image::media::oci_manifest, manifest, tagged("it"))});
  const std::string location = "oci:" + layout.path() + ":it";
  CHECK(has(here.run({"pull", location}).err, "it is an artifact"));
  const outcome kept = here.run({"pull", "--artifact", location});
  CHECK(kept.code == 0);
  CHECK(kept.out == sha256(manifest) + "  " + location + '\n');
  CHECK(has(kept.err, location + ": kept as it is, "));
  const printed shown = here.json({"inspect", location});
  CHECK(shown.text("images.0.config.media_type") == "application/vnd.example.thing");
  CHECK(shown.truth("images.0.layers.0.kept"));
  CHECK(shown.size("images.0.layers.0.unpacked") == 0);
  CHECK(has(here.run({"inspect", "--files", location}).err, "it is not unpacked"));
  CHECK(read_file(here.store() + "/blobs/sha256/" + sha256(blob).substr(7)) == blob);
}

TEST_CASE("mortise-image: ls lists what there is, by location and platform") {
  if (support::missing_root()) return;
  const shelf here;
  CHECK(here.run({"pull", "-q", "--platform", "linux/amd64", here.two(), here.one()}).code == 0);
  CHECK(here.run({"pull", "-q", here.one()}).code == 0);
  CHECK(here.run({"pin", here.two()}).code == 0);
  const printed listed = here.json({"ls"});
  REQUIRE(listed.size("images") == 3);
  CHECK(listed.names("images.0") == words{"location", "platform", "manifest", "used", "pinned"});
  CHECK(listed.text("images.0.location") == here.one());
  CHECK(listed.text("images.0.platform") == "linux/amd64");
  CHECK(listed.text("images.1.location") == here.one());
  CHECK(listed.text("images.0.manifest") == listed.text("images.1.manifest"));
  CHECK(listed.text("images.2.location") == here.two());
  CHECK_FALSE(listed.truth("images.0.pinned"));
  CHECK(listed.truth("images.2.pinned"));
  const std::string used = listed.text("images.0.used");
  CHECK_MESSAGE((used.size() == 20 && used.starts_with("20") && used[10] == 'T' && used.back() == 'Z'), used);
  const outcome shown = here.run({"ls"});
  CHECK(shown.out.starts_with("LOCATION "));
  CHECK(std::count(shown.out.begin(), shown.out.end(), '\n') == 4);
  CHECK(shown.out.ends_with("  pinned\n"));
}

TEST_CASE("mortise-image: inspect shows configuration, layers and sizes") {
  if (support::missing_root()) return;
  const shelf here;
  REQUIRE(here.run({"pull", "-q", here.one()}).code == 0);
  const printed of = here.json({"inspect", here.one()});
  CHECK(of.names() == words{"images"});
  CHECK(of.names("images.0") == words{"location", "platform", "used", "pinned", "manifest", "config", "layers"});
  CHECK(of.text("images.0.manifest.media_type") == mortise::image::media::oci_manifest);
  CHECK(of.text("images.0.config.platform") == "linux/amd64");
  CHECK(of.texts("images.0.config.cmd") == words{"/one", "say \"1\""});
  CHECK(of.names("images.0.config.labels") == words{"a\nb"});
  CHECK(of.at("images.0.config.labels").pairs()->front().second == "\u00e9\u0001");
  REQUIRE(of.size("images.0.layers") == 2);
  CHECK(of.text("images.0.layers.0.media_type") == "application/vnd.oci.image.layer.v1.tar+gzip");
  CHECK(of.number("images.0.layers.0.size") > 0);
  CHECK(of.number("images.0.layers.0.size") < 3000);
  CHECK_FALSE(of.truth("images.0.layers.0.kept"));
  CHECK(of.number("images.0.layers.0.unpacked.0.bytes") == 3000);
  CHECK(of.text("images.0.layers.0.unpacked.0.format") == "overlay");
  CHECK(of.text("images.0.layers.0.unpacked.0.name") ==
        "layers/overlay/" + of.text("images.0.layers.0.diff_id").substr(7));
  CHECK_FALSE(of.truth("images.0.layers.0.unpacked.0.synced"));

  const outcome lines = here.run({"inspect", here.one()});
  CHECK(has(lines.out, "location    " + here.one() + '\n'));
  CHECK(has(lines.out, "manifest    " + of.text("images.0.manifest.digest") + ", "));
  CHECK(has(lines.out, "cmd         say \"1\"\n"));
  CHECK(has(lines.out, "label       a\\x0ab=\\xc3\\xa9\\x01\n"));
  CHECK(has(lines.out, "layer 2     " + of.text("images.0.layers.1.digest") + ", "));
  CHECK(has(lines.out, "unpacked: overlay, 3.0 kB, layers/overlay/"));
  const outcome tree = here.run({"inspect", "--tree", here.one()});
  CHECK(has(tree.out, "\n`- manifest " + of.text("images.0.manifest.digest")));
  CHECK(has(tree.out, "\n   |- config " + of.text("images.0.config.digest")));
  CHECK(has(tree.out, "\n   |  `- unpacked: overlay, 3.0 kB"));
  CHECK(has(tree.out, "\n   `- layer 2 " + of.text("images.0.layers.1.digest")));

  const outcome unknown = here.run({"inspect", here.two()});
  CHECK(unknown.code == 1);
  CHECK(has(unknown.err, "inspect image '" + here.two() + "': the store does not know it"));
  CHECK(here.run({"inspect", "--platform", "linux/s390x", here.one()}).code == 1);
}

TEST_CASE("mortise-image: inspect --files lists each layer's files, whatever their names are") {
  if (support::missing_root()) return;
  using namespace support;
  const shelf here;
  layout_builder layout(here / "names");
  layout.write_image({plain_layer(tar_builder().directory("./").file("caf\xe9\x1b[2J\"\\\n", "x").text())}, "names");
  const std::string odd = "oci:" + layout.path() + ":names";
  REQUIRE(here.run({"pull", "-q", here.one(), odd}).code == 0);
  const printed of = here.json({"inspect", "--files", here.one()});
  CHECK(of.size("images.0.layers.0.files") == 2);
  CHECK(of.text("images.0.layers.0.files.0.path") == "d");
  CHECK(of.text("images.0.layers.0.files.0.kind") == "directory");
  CHECK(of.number("images.0.layers.0.files.0.mode") == 0711);
  CHECK(of.text("images.0.layers.0.files.1.path") == "d/base");
  CHECK(of.number("images.0.layers.0.files.1.size") == 3000);
  CHECK(of.text("images.0.layers.1.files.1.path") == "d/base");
  CHECK(of.text("images.0.layers.1.files.1.kind") == "deleted");
  CHECK(of.text("images.0.layers.1.files.2.target") == "d/base");
  CHECK(of.text("images.0.layers.1.files.3.path") == "one");
  const outcome lines = here.run({"inspect", "--files", here.one()});
  CHECK(has(lines.out, "\n0711 0:0 directory          d\n0644 0:0 3.0 kB             d/base\n"));
  CHECK(has(lines.out, "\n---- 0:0 deleted            d/base\n0777 0:0 link               link -> d/base\n"));
  CHECK(here.json({"inspect", "--files", odd}).text("images.0.layers.0.files.0.path") == "caf\ufffd\x1b[2J\"\\\n");
  const outcome shown = here.run({"inspect", "--files", odd});
  CHECK_FALSE(has(shown.out, "\x1b"));
  CHECK(has(shown.out, "caf\\xe9\\x1b[2J"));
}

TEST_CASE("mortise-image: rm forgets, and gc frees what a dry run said") {
  if (support::missing_root()) return;
  const shelf here;
  REQUIRE(here.run({"pull", "-q", here.one(), here.two()}).code == 0);
  const printed removed = here.json({"rm", here.one(), "busybox"});
  CHECK(removed.code == 1);
  CHECK(removed.texts("removed") == words{here.one()});
  CHECK(removed.texts("unknown") == words{"busybox"});
  CHECK(has(removed.said, "forget image 'busybox': the store does not know it"));
  CHECK(here.json({"ls"}).size("images") == 1);

  const std::string before = here.content();
  const printed would = here.json({"gc", "--dry-run"});
  CHECK(would.code == 0);
  CHECK(would.truth("dry_run"));
  CHECK(here.content() == before);
  const outcome said = here.run({"gc", "-n"});
  CHECK(has(said.out, "\nwould free "));
  const printed did = here.json({"gc"});
  CHECK_FALSE(did.truth("dry_run"));
  CHECK(did.names() == words{"dry_run", "gone", "freed", "kept", "short_by", "problems"});
  REQUIRE(did.size("gone") == would.size("gone"));
  REQUIRE(did.size("gone") == 3);  // manifest, configuration, the layer that was its own
  for (const std::string each : {"gone.0", "gone.1", "gone.2"}) {
    CHECK(did.text(each + ".name") == would.text(each + ".name"));
    CHECK(did.text(each + ".why") == "no image needs it");
    CHECK(::access((here.store() + '/' + did.text(each + ".name")).c_str(), F_OK) != 0);
  }
  CHECK(did.text("gone.0.kind") == "blob");
  CHECK(did.text("gone.2.kind") == "layer");
  CHECK(did.number("freed") == would.number("freed"));
  CHECK(did.number("freed") > 0);
  CHECK(did.number("kept") == would.number("kept"));
  CHECK(here.json({"verify"}).code == 0);
  CHECK(here.json({"gc"}).size("gone") == 0);
}

TEST_CASE("mortise-image: gc lets images go by size and age, and not those that are pinned") {
  if (support::missing_root()) return;
  const shelf here;
  REQUIRE(here.run({"pull", "-q", here.one(), here.two()}).code == 0);
  REQUIRE(here.json({"pin", here.two()}).texts("pinned") == words{here.two()});
  CHECK(here.json({"gc", "--older-than", "1h"}).size("gone") == 0);
  const outcome too_much = here.run({"gc", "--keep", "0"});
  CHECK(too_much.code == 1);
  CHECK(has(too_much.out, "image " + here.one() + ", "));
  CHECK(has(too_much.err, "the rest is pinned or in use: "));
  CHECK(here.json({"ls"}).text("images.0.location") == here.two());

  // As if it had been used long ago; unpinned, it goes.
  REQUIRE(examples::run({"sh", "-c", "touch -d '3 days ago' \"$0\"/images/*", here.store()}).code == 0);
  CHECK(here.json({"gc", "--older-than=2d"}).size("gone") == 0);
  REQUIRE(here.json({"unpin", here.two()}).texts("unpinned") == words{here.two()});
  CHECK(here.json({"gc", "--older-than=4d"}).size("gone") == 0);
  const printed old = here.json({"gc", "--older-than=2d", "--drop-blobs"});
  CHECK(old.code == 0);
  CHECK(old.text("gone.0.kind") == "image");
  CHECK(old.text("gone.0.name") == here.two());
  CHECK(old.text("gone.0.why").starts_with("not used for "));
  CHECK(old.number("kept") == 0);
  CHECK(here.json({"ls"}).size("images") == 0);
  const outcome full = here.run({"gc", "--free", "8000000t"});
  CHECK(full.code == 1);
  CHECK(here.json({"gc", "--free", "1k", "-n"}).code == 0);
}

TEST_CASE("mortise-image: gc leaves what a container runs from") {
  if (examples::missing_host()) return;
  const std::string image = scene::get().image();
  const examples::private_defaults defaults;
  const shelf here;
  program box({scene::get().mortise_run(), "--store", here.data(), "-q", image, "sh", "-c",
               "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done"});
  REQUIRE(box.wait_for(0, "ready"));
  CHECK(here.json({"ls"}).text("images.0.location") == image);
  const printed none = here.json({"gc", "--keep", "0"});
  CHECK(none.code == 1);
  CHECK(none.size("gone") == 0);
  CHECK(none.number("short_by") == none.number("kept"));
  box.signal(SIGTERM);
  CHECK(box.finish().code == 7);
  CHECK(here.json({"gc", "--keep", "0"}).number("kept") == 0);
}

TEST_CASE("mortise-image: verify finds damage, and repairs it") {
  if (support::missing_root()) return;
  const shelf here;
  REQUIRE(here.run({"pull", "-q", here.one(), here.two()}).code == 0);
  const printed sound = here.json({"verify"});
  CHECK(sound.code == 0);
  CHECK(sound.names() == words{"blobs", "layers", "unchecked", "bytes", "damaged", "pulled", "problems"});
  CHECK(sound.number("blobs") == 4);
  CHECK(sound.number("layers") == 3);
  CHECK(sound.number("bytes") > 0);
  CHECK(has(here.run({"verify"}).out, "4 blobs hashed"));

  const printed of = here.json({"inspect", here.one()});
  const std::string layer = of.text("images.0.layers.0.unpacked.0.name");
  const std::string config = "blobs/sha256/" + of.text("images.0.config.digest").substr(7);
  damage(here.store() + '/' + layer + "/tree/d/base");
  const printed found = here.json({"verify"});
  CHECK(found.code == 1);
  REQUIRE(found.size("damaged") == 1);
  CHECK(found.text("damaged.0.name") == layer);
  CHECK(found.texts("damaged.0.locations") == words{here.one(), here.two()});
  CHECK_FALSE(found.truth("damaged.0.removed"));
  damage(here.store() + '/' + config);
  const outcome both = here.run({"verify"});
  CHECK(both.code == 1);
  CHECK(has(both.out, "damaged: " + config + ": "));
  CHECK(has(both.out, "damaged: " + layer + ": its files are not those of its blob; needed by "));

  const printed repaired = here.json({"verify", "--repair"});
  CHECK(repaired.code == 1);
  CHECK(repaired.size("damaged") == 2);
  CHECK(repaired.truth("damaged.0.removed"));
  CHECK(repaired.size("problems") == 0);
  CHECK(here.json({"verify"}).code == 0);
  CHECK(support::read_file(here.store() + '/' + layer + "/tree/d/base") == std::string(3000, 'b'));
}

TEST_CASE("mortise-image: du tells what is shared and what is not") {
  if (support::missing_root()) return;
  const shelf here;
  REQUIRE(here.run({"pull", "-q", here.one(), here.two()}).code == 0);
  const printed of = here.json({"du"});
  CHECK(of.names() == words{"images", "blobs", "layers", "partials", "garbage", "total"});
  CHECK(of.number("images.0.shared") == 3000);
  CHECK(of.number("images.1.shared") == 3000);
  CHECK(of.number("images.0.unique") + of.number("images.1.unique") + 3000 == of.number("total"));
  CHECK(of.number("garbage") == 0);
  CHECK(has(here.run({"du"}).out, "  3.0 kB\n"));
  REQUIRE(here.run({"rm", here.one()}).code == 0);
  const printed less = here.json({"du"});
  CHECK(less.number("images.0.shared") == 0);
  CHECK(less.number("garbage") == of.number("images.0.unique"));
  CHECK(less.number("garbage") == here.json({"gc", "-n"}).number("freed"));
}

TEST_CASE("mortise-image: nobody's images are in the form for containers without privileges") {
  if (examples::missing_host()) return;
  const std::string home = scene::get().nobody();
  const examples::run_options nobody = {.as_nobody = true, .env = {"HOME=" + home, "XDG_DATA_HOME=" + home + "/own"}};
  const std::string image = scene::get().image();
  CHECK(examples::run({scene::get().mortise_image(), "pull", "-q", image}, nobody).code == 0);
  const printed of(examples::run({scene::get().mortise_image(), "inspect", "--json", image}, nobody));
  CHECK(of.text("images.0.layers.0.unpacked.0.format") == "overlay-user");
  CHECK(::access((home + "/own/mortise/store/version").c_str(), F_OK) == 0);
  const shelf here;
  REQUIRE(here.run({"pull", "-q", "--rootless", here.one()}).code == 0);
  REQUIRE(here.run({"pull", "-q", here.one()}).code == 0);
  CHECK(here.json({"inspect", here.one()}).size("images.0.layers.0.unpacked") == 2);
  CHECK(here.json({"verify"}).number("layers") == 4);
}

TEST_CASE("mortise-image: packed images are hashed where they lie, and their files are listed once they are unpacked") {
  if (support::missing_root()) return;
  const shelf here;
  REQUIRE(here.run({"pull", "-q", "--packed", here.one()}).code == 0);
  const printed packed = here.json({"inspect", here.one()});
  CHECK(packed.text("images.0.layers.0.unpacked.0.format") == "erofs");
  CHECK(here.json({"verify"}).number("layers") == 2);
  CHECK(has(here.run({"inspect", "--files", here.one()}).err, "it is not unpacked (pull unpacks it)"));
  REQUIRE(here.run({"pull", "-q", here.one()}).code == 0);
  CHECK(here.run({"inspect", "--files", here.one()}).code == 0);
  CHECK(here.json({"verify"}).number("layers") == 4);
}

TEST_CASE("mortise-image: a store is named by itself, or by the directory that it is in") {
  if (support::missing_root()) return;
  const shelf here;
  REQUIRE(here.run({"pull", "-q", here.one()}).code == 0);
  const std::string tool = here.command({}).front();
  CHECK(printed(examples::run({tool, "ls", "--json", "--store=" + here.store()})).size("images") == 1);
  const outcome missing = examples::run({tool, "ls", "--store", here / "misspelt"});
  CHECK(missing.code == 1);
  CHECK(has(missing.err, "misspelt/store': there is none (pull makes one)"));
  CHECK(::access((here / "misspelt").c_str(), F_OK) != 0);
  support::write_file(here.store() + "/version", "99\n");
  const outcome newer = here.run({"ls"});
  CHECK(newer.code == 1);
  CHECK(has(newer.err, "its version is '99', this library reads "));
}

TEST_CASE("mortise-image: bars on a terminal, nothing where nobody looks") {
  if (examples::missing_host()) return;
  const std::string image = scene::get().image();
  const shelf here;
  const outcome bars = here.run({"pull", image}, {.terminal = true, .env = {"TERM=xterm"}});
  CHECK(bars.code == 0);
  CHECK(has(bars.err, "layer 1   ["));
  CHECK(has(bars.err, "image     ["));
  CHECK(has(bars.err, "\x1b["));
  const outcome verified = here.run({"verify"}, {.terminal = true, .env = {"TERM=xterm"}});
  CHECK(has(verified.err, "verify    ["));
  for (const std::string option : {"--json", "--quiet"}) {
    CAPTURE(option);
    REQUIRE(here.run({"rm", image}).code == 0);
    REQUIRE(here.run({"gc"}).code == 0);
    CHECK(here.run({"pull", option, image}, {.terminal = true, .env = {"TERM=xterm"}}).err == "");
    CHECK(here.run({"verify", option}, {.terminal = true, .env = {"TERM=xterm"}}).err == "");
  }
}

TEST_CASE("mortise-image: a signal cancels a pull, and the next one succeeds") {
  if (examples::missing_host()) return;
  const std::string image = "oci:" + scene::get().layout() + ":large";
  for (const int signal : {SIGINT, SIGTERM}) {
    const shelf here;
    program pull(here.command({"pull", image}), {.terminal = true, .env = {"TERM=xterm"}});
    REQUIRE(pull.wait_for(1, "layer 2"));
    pull.signal(signal);
    const outcome cancelled = pull.finish();
    CHECK(cancelled.code == 128 + signal);
    CHECK(has(cancelled.err, "cancelled by a signal"));
    CHECK(examples::names_in(here.store() + "/staging").empty());
    CHECK(here.json({"ls"}).size("images") == 0);
  }
}

TEST_CASE("mortise-image: what came from a registry is kept, dropped, and fetched again") {
  if (support::missing_root() || support::missing_registry()) return;
  const shelf here;
  const support::real_registry registry;
  const std::string name = registry.host() + "/team/one:1";
  const auto copy = [&name](const std::string& image) {
    return examples::run(
        {"skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", image, "docker://" + name});
  };
  REQUIRE(copy(here.one()).code == 0);
  const outcome pulled = here.run({"pull", name}, {.terminal = true, .env = {"TERM=xterm"}});
  CHECK_MESSAGE(pulled.code == 0, pulled.err);
  CHECK(has(pulled.err, name + ": 2 layers, 0 there already, "));
  const printed of = here.json({"inspect", name});
  CHECK(of.text("images.0.location") == "docker://" + name);
  CHECK(of.truth("images.0.layers.0.kept"));
  CHECK(here.json({"gc", "--drop-blobs"}).size("gone") == 0);  // not safe on the disk yet
  CHECK(here.run({"pull", "-q", "--settle", name}).code == 0);
  const printed dropped = here.json({"gc", "--drop-blobs"});
  REQUIRE(dropped.size("gone") == 2);
  CHECK(dropped.text("gone.0.why") == "unpacked");
  CHECK(here.json({"verify"}).number("unchecked") == 2);
  CHECK(has(here.run({"pull", name}).err, ": 2 layers, there already, "));

  const std::string layer = here.store() + '/' + of.text("images.0.layers.0.unpacked.0.name");
  REQUIRE(mortise::sys::remove_tree(layer).ok());
  CHECK(has(here.run({"prefetch", name}).err, ": 2 layers, 1 there already, "));
  const std::string blob = "blobs/sha256/" + of.text("images.0.layers.0.digest").substr(7);
  damage(here.store() + '/' + blob);
  const printed repaired = here.json({"verify", "--repair"});
  CHECK(repaired.text("damaged.0.name") == blob);
  CHECK(repaired.truth("damaged.0.removed"));
  CHECK(here.json({"verify"}).code == 0);
  REQUIRE(copy(here.two()).code == 0);  // the tag moves
  CHECK(here.json({"pull", name}).text("images.0.manifest") != of.text("images.0.manifest.digest"));
  CHECK(here.json({"rm", name}).texts("removed") == words{name});
  CHECK(here.json({"gc"}).number("kept") == 0);
}

TEST_CASE("mortise-image: a signal ends a pull from a registry that says nothing") {
  if (support::missing_root()) return;
  const shelf here;
  const mortise::sys::unique_fd silent(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  REQUIRE(::bind(silent.get(), generic, length) == 0);
  REQUIRE(::listen(silent.get(), 8) == 0);
  REQUIRE(::getsockname(silent.get(), generic, &length) == 0);
  program pull(here.command({"pull", mortise::concat("127.0.0.1:", ntohs(address.sin_port), "/x")}));
  pollfd asked{silent.get(), POLLIN, 0};
  REQUIRE(::poll(&asked, 1, 20'000) == 1);
  pull.signal(SIGINT);
  const outcome cancelled = pull.finish();
  CHECK(cancelled.code == 128 + SIGINT);
  CHECK(cancelled.err == "mortise-image: cancelled by a signal\n");
}

TEST_CASE("mortise-image: an Appc image is looked after as any other") {
  if (examples::missing_host()) return;
  const std::string script = R"sh(set -e; cd "$0"; mkdir aci aci/rootfs; echo text >aci/rootfs/file
cat >aci/manifest <<'END'
{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/box","labels":[{"name":"os","value":"linux"},
{"name":"arch","value":"amd64"}],"app":{"exec":["/box"],"user":"0","group":"0"}}
END
tar -C aci -czf box.aci manifest rootfs)sh";
  const shelf here;
  REQUIRE(examples::run({"sh", "-c", script, here / ""}).code == 0);
  const std::string location = "aci:" + here / "box.aci";
  const printed pulled = here.json({"pull", "--aci-http", "--aci-prefix=file:///nowhere/", location});
  CHECK_MESSAGE(pulled.code == 0, pulled.said);
  const printed of = here.json({"inspect", "--files", location});
  CHECK(of.texts("images.0.config.entrypoint").size() + of.texts("images.0.config.cmd").size() == 1);
  CHECK(of.size("images.0.layers") == 1);
  CHECK(of.text("images.0.layers.0.files.0.path") == "file");
  CHECK(here.json({"verify"}).code == 0);
  CHECK(here.json({"rm", location}).code == 0);
  CHECK(here.json({"gc"}).number("kept") == 0);
  const outcome refused = here.run({"pull", "--aci-keys", here / "no-keys", location});
  CHECK(refused.code == 1);
  CHECK(has(refused.err, location));
}

TEST_CASE("mortise-image: what cannot be printed is a failure") {
  if (support::missing_root()) return;
  const shelf here;
  REQUIRE(here.run({"pull", "-q", here.one()}).code == 0);
  words all = here.command({"inspect", "--files", here.one()});
  all.insert(all.begin(), {"sh", "-c", "\"$0\" \"$@\" >/dev/full"});
  const outcome full = examples::run(all);
  CHECK(full.code == 1);
  CHECK(full.err == "mortise-image: write to standard output: No space left on device\n");
}

TEST_CASE("mortise-image: wrong command lines are named, with what would be right") {
  const std::string tool = support::built_program("examples/mortise-image");
  const std::vector<std::pair<words, std::string>> wrong = {
      {{}, "no command is named (see mortise-image --help)"},
      {{"lss"}, "unknown command 'lss' (did you mean ls)"},
      {{"frobnicate"}, "unknown command 'frobnicate' (see --help)"},
      {{"pull"}, "no location is named (write mortise-image pull [OPTIONS] LOCATION...)"},
      {{"prefetch"}, "no location is named (write mortise-image prefetch [OPTIONS] [LOCATION...])"},
      {{"inspect", "a", "b"}, "'b' is one word too many (write mortise-image inspect [OPTIONS] LOCATION)"},
      {{"ls", "--", "-x"}, "'-x' is one word too many (write mortise-image ls [OPTIONS])"},
      {{"pull", "--dry-run", "x"}, "unknown option '--dry-run'"},
      {{"gc", "--kep", "1g"}, "unknown option '--kep' (did you mean --keep SIZE)"},
      {{"gc", "--keep"}, "option --keep lacks its value (write --keep SIZE)"},
      {{"gc", "--keep", "much"}, "option --keep: 'much' is not a size such as 500m or 20g"},
      {{"gc", "--older-than", "7"}, "option --older-than: '7' is not an age such as 45s, 30m, 12h, 7d or 2w"},
      {{"gc", "--older-than", "-1d"}, "option --older-than: '-1d' is not an age"},
      {{"gc", "--older-than="}, "option --older-than: '' is not an age"},
      {{"gc", "--older-than", "99999999999w"}, "option --older-than: '99999999999w' is not an age"},
      {{"pull", "--jobs", "0", "x"}, "option --jobs: '0' is not a number from 1 up"},
      {{"pull", "--platform", "a/b/c/d", "x"}, "option --platform: parse platform 'a/b/c/d'"},
      {{"pull", "--mirror", "a", "x"}, "option --mirror: 'a' is not REGISTRY=ADDRESS"},
      {{"verify", "--mirror", "=b"}, "option --mirror: '=b' is not REGISTRY=ADDRESS"},
      {{"pull", "--plain-http", "http://a", "x"}, "option --plain-http: 'http://a' is not a registry's HOST[:PORT]"},
      {{"--store", "", "ls"}, "option --store: '' is not a directory"},
      {{"verify", "--repair=yes"}, "option --repair takes no value (write --repair)"},
  };
  for (const auto& [line, message] : wrong) {
    words all = {tool};
    all.insert(all.end(), line.begin(), line.end());
    const outcome refused = examples::run(all);
    CAPTURE(message);
    CHECK(refused.code == 2);
    CHECK(refused.out == "");
    CHECK_MESSAGE(refused.err.starts_with("mortise-image: " + message), refused.err);
  }
}

TEST_CASE("mortise-image: help for the whole and for each command") {
  const std::string tool = support::built_program("examples/mortise-image");
  const outcome whole = examples::run({tool, "--help"});
  CHECK(whole.code == 0);
  CHECK(whole.out.starts_with("usage: mortise-image [OPTIONS] COMMAND [OPTIONS] [LOCATION...]\n"));
  for (const std::string command : {"pull", "prefetch", "ls", "inspect", "rm", "pin", "unpin", "gc", "verify", "du"}) {
    CAPTURE(command);
    CHECK(has(whole.out, "\n  " + command + ' '));
    const outcome one = examples::run({tool, command, "-h"});
    CHECK(one.code == 0);
    CHECK(one.out.starts_with("usage: mortise-image " + command + " [OPTIONS]"));
    CHECK(has(one.out, "--json"));
    CHECK(has(one.out, "--store DIR"));
  }
  CHECK(has(examples::run({tool, "gc", "--help"}).out, "-n, --dry-run"));
  CHECK_FALSE(has(examples::run({tool, "ls", "--help"}).out, "--dry-run"));
  CHECK(examples::run({tool, "--version"}).out.starts_with("mortise-image "));
}

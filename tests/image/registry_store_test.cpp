// SPDX-License-Identifier: Apache-2.0
// A store that pulls from real registries: by several processes, through proxies that fail, killed on the way.
#include <mortise/image/registry.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <image/registry/fake_registry.hpp>
#include <image/registry/real_registry.hpp>
#include <image/store_fixture.hpp>
#include <image/tree_compare.hpp>
#include <mortise/image/store.hpp>
#include <string>
#include <support/leaks.hpp>
#include <support/script.hpp>
#include <support/skip.hpp>
#include <thread>
#include <vector>

namespace {

using mortise::concat;
using mortise::message;
using mortise::image::refresh;
using mortise::model::overlay_layers;
using support::gzip_layer;
using support::tar_builder;
using store_type = mortise::image::store<mortise::image::registry>;

bool missing() {
  return support::missing_root() || support::missing_registry() || support::missing_program("umoci") ||
         support::missing_program("nginx");
}

/// An image of three layers, one of them large enough to come in pieces, in Debian's registry.
struct scene {
  support::temporary_directory place;
  support::layout_builder layout{place / "oci"};
  support::real_registry server;
  std::string directory = place / "store";
  support::test_layer large =
      support::plain_layer(tar_builder().directory("./").file("large", support::sample_noise(40 << 20)).text());
  std::string manifest;

  scene() {
    tar_builder top;
    top.file("d/late", "late").file("d/.wh.gone", "");
    manifest =
        layout.write_image({gzip_layer(tar_builder().directory("./").directory("d/", 0711).file("d/gone").text()),
                            large, gzip_layer(top.text())});
    REQUIRE(support::run_script(
        place.path(), concat("skopeo copy -q --preserve-digests --dest-tls-verify=false oci:oci:latest docker://",
                             server.host(), "/app:1")));
  }
  absl::StatusOr<mortise::model::image> provide(const std::string& host,
                                                const mortise::image::provide_options& options = {}) const {
    MORTISE_ASSIGN_OR_RETURN(auto store,
                             store_type::open(directory, mortise::image::registry(support::test_options({host}))));
    return store.provide<overlay_layers>(concat("docker://", host, "/app:1"), options);
  }
  /// Whether what was made is what a pull from the layout makes.
  bool is_right(const mortise::model::image& image) const {
    const auto local = support::provide(place / "local", "oci:" + layout.path() + ":latest");
    bool same = local.ok() && image.layers.size() == local->layers.size();
    for (std::size_t at = 0; same && at < image.layers.size(); ++at)
      same = support::differences(image.layers[at].directory, local->layers[at].directory).empty();
    return same;
  }
  std::size_t count(const std::string& part) const { return support::names_in(directory + "/" + part).size(); }
  bool tidy() const { return count("partial") + count("staging") + count("locks") == 0; }
};

}  // namespace

TEST_CASE("registry store: a pull is what a layout gives, shared by processes, and needs no registry afterwards") {
  if (missing()) return;
  const scene here;
  {
    const pid_t other = ::fork();
    if (other == 0) ::_exit(here.provide(here.server.host()).ok() ? 0 : 1);
    const auto image = here.provide(here.server.host());
    int status = 1;
    ::waitpid(other, &status, 0);
    REQUIRE_MESSAGE(image.ok(), std::string(message(image.status())));
    CHECK(status == 0);
    CHECK(image->manifest->text() == support::sha256(here.manifest));
    CHECK(here.is_right(*image));
  }
  CHECK(here.count("blobs/sha256") == 5);
  CHECK(here.tidy());
  const auto nobody_there = here.provide(here.server.host(), {.refresh = refresh::never});
  CHECK(nobody_there.ok());
}

TEST_CASE("registry store: killed again and again behind a slow proxy, it ends where it would have") {
  if (missing()) return;
  const scene here;
  const support::real_nginx slow(concat("server {\n  listen 127.0.0.1:PORT;\n  location / { proxy_pass http://",
                                        here.server.host(), "; proxy_set_header Host $http_host; limit_rate 8m; }\n}"));
  std::uint64_t last = 0;
  for (int round = 0; round < 6; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      (void)here.provide(slow.host());
      ::_exit(0);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(150 + 20 * round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    std::uint64_t there = 0;
    for (const std::string& name : support::names_in(here.directory + "/partial")) {
      struct stat about{};
      if (::stat((here.directory + "/partial/" + name).c_str(), &about) == 0)
        there += static_cast<std::uint64_t>(about.st_blocks) * 512;
    }
    if (there > last) last = there;
  }
  CHECK(last > 0);
  const auto image = here.provide(slow.host());
  REQUIRE_MESSAGE(image.ok(), std::string(message(image.status())));
  CHECK(here.is_right(*image));
  CHECK(here.tidy());
}

TEST_CASE("registry store: a mirror that lies about a layer costs a second try, and no wrong byte") {
  if (missing()) return;
  const scene here;
  const std::string digest = support::sha256(here.large.blob);
  std::string altered = here.large.blob;
  altered[altered.size() / 2] = static_cast<char>(altered[altered.size() / 2] ^ 1);
  support::write_file(here.place / "altered", altered);
  const support::real_nginx mirror(
      concat("server {\n  listen 127.0.0.1:PORT;\n  location ~ /blobs/", digest, "$ { alias ", here.place / "altered",
             "; }\n  location / { proxy_pass http://", here.server.host(), "; proxy_set_header Host $http_host; }\n}"));
  auto options = support::test_options({here.server.host()});
  options.registries.front().mirrors = {{.address = mirror.host(), .plain_http = true}};
  auto store = store_type::open(here.directory, mortise::image::registry(options));
  REQUIRE(store.ok());
  const auto image = store->provide<overlay_layers>(concat("docker://", here.server.host(), "/app:1"));
  REQUIRE_MESSAGE(image.ok(), std::string(message(image.status())));
  CHECK(here.is_right(*image));
}

TEST_CASE("registry store: what cannot be had is said as a whole sentence, and leaves nothing") {
  if (missing()) return;
  const support::leak_snapshot before;
  {
    const support::temporary_directory place;
    const support::real_registry server;
    auto store = store_type::open(place / "store", mortise::image::registry(support::test_options({server.host()})));
    REQUIRE(store.ok());
    const auto image = store->provide<overlay_layers>(concat("docker://", server.host(), "/app:1"));
    CHECK(absl::IsNotFound(image.status()));
    const std::string said(message(image.status()));
    CAPTURE(said);
    CHECK(said.find("/app:1: ") != std::string::npos);
    CHECK(said.find("unknown (check the ") != std::string::npos);
    CHECK(store->list()->empty());
    CHECK(support::names_in(place / "store/leases").empty());
  }
  CHECK(before.leaked() == "");
}

TEST_CASE("registry store: a pull is given up at once, also while the registry is silent") {
  if (support::missing_root()) return;
  support::fake_registry silent(
      [](const support::http_request&, support::http_connection& to) { return to.stall(), true; });
  const support::temporary_directory place;
  auto store =
      store_type::open(place / "store", mortise::image::registry(support::test_options({silent.server.host()})));
  REQUIRE(store.ok());
  std::atomic<bool> cancelled = false;
  std::thread canceller([&cancelled] {
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    cancelled = true;
  });
  const auto begin = std::chrono::steady_clock::now();
  const auto image =
      store->provide<overlay_layers>(concat("docker://", silent.server.host(), "/app:1"), {.cancelled = &cancelled});
  canceller.join();
  CHECK(absl::IsCancelled(image.status()));
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(1));
}

// SPDX-License-Identifier: Apache-2.0
#include <mortise/container.hpp>

#include <doctest/doctest.h>

#include <pages/page.hpp>
#include <support/temporary.hpp>

// archetype
#include <mortise/container.hpp>
#include <mortise/image/docker_archive.hpp>
#include <mortise/image/oci_layout.hpp>
#include <mortise/image/store.hpp>
#include <mortise/isolate/rlimits.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/isolate/volumes.hpp>
#include <mortise/rootfs/overlay.hpp>
#include <mortise/state/recover.hpp>

using namespace mortise;
using namespace std::chrono_literals;

// Runs without privileges: a user namespace, and layers in the form that it can read.
using builder = container<image::store<image::oci_layout, image::docker_archive>, rootfs::unprivileged_overlay,
                          isolate::standard_unprivileged, isolate::volumes, isolate::rlimits>;

/// Builds what lies in `sources`, for ten minutes at most; returns what the compiler said.
absl::StatusOr<std::string> build(const std::string& place, const std::string& image, const std::string& sources) {
  MORTISE_ASSIGN_OR_RETURN(auto host, builder::host::open({.directory = place + "/data", .state = place + "/state"}));
  MORTISE_RETURN_IF_ERROR(state::recover(host));  // frees what an earlier process of ours left when it was killed
  MORTISE_ASSIGN_OR_RETURN(
      auto box,
      host.launch({.image = image,
                   .args = {"make", "-C", "/src"},
                   .env = {"LANG=C.UTF-8"},
                   .stdio = {launch::stream::null(), launch::stream::pipe(), launch::stream::inherit()},
                   .with = {isolate::volumes::bind(sources, "/src"), isolate::rlimits::set(RLIMIT_CORE, 0, 0)}}));
  MORTISE_ASSIGN_OR_RETURN(std::string said, sys::read_all(box.take_stream(1).get(), 16 << 20));
  MORTISE_ASSIGN_OR_RETURN(const auto ended, box.wait(std::chrono::steady_clock::now() + 10min));
  MORTISE_RETURN_IF_ERROR(box.destroy());
  if (!ended.success()) return error(absl::StatusCode::kAborted, concat("build '", sources, "': code ", ended.code()));
  return said;
}
// end of archetype

TEST_CASE("concepts: the page of getting started prints what is compiled here") {
  CHECK(concepts::prints_archetype(__FILE__, "getting-started"));
}

TEST_CASE("concepts: the program of getting started names what is wrong") {
  const support::temporary_directory place;
  CHECK(build(place.path(), "oci:/nowhere", "/nowhere").status().message().find("open image 'oci:/nowhere'") !=
        absl::string_view::npos);
}

// SPDX-License-Identifier: Apache-2.0
#include <mortise/isolate/volumes.hpp>

#include <doctest/doctest.h>

#include <isolate/prepared.hpp>
#include <mortise/isolate/namespaces.hpp>
#include <support/temporary.hpp>

namespace isolate = mortise::isolate;
using isolate::volumes;

TEST_CASE("volumes: in the order given, each with its flags" * doctest::test_suite("unprivileged")) {
  const support::temporary_directory place;
  const std::string text = prepared::plan_of<isolate::mount_namespace, volumes>(
      {volumes::bind(place.path(), "/data"), volumes::tmpfs("/scratch", {4096}),
       volumes::bind(place.path(), "/sealed", volumes::access::read_only), volumes::bind("/dev/null", "/dev/fake")});
  CHECK(text ==
        mortise::concat("clone flags 0x20000\nhost\n  make mounts private\n  share '", place.path(),
                        "' recursively nodev -> #1\n  share '", place.path(),
                        "' recursively ro,nodev -> #3\n  share '/dev/null' recursively -> #4\nvolumes\n"
                        "  attach to '/data' <- #1\n  mount tmpfs mode=1777,size=4096 nosuid,nodev -> #2\n"
                        "  attach to '/scratch' <- #2\n  attach to '/sealed' <- #3\n  attach to '/dev/fake' <- #4\n"));
}

TEST_CASE("volumes: a read-only root is sealed after all else" * doctest::test_suite("unprivileged")) {
  using prepared::plan_of;
  CHECK(plan_of<isolate::mount_namespace, isolate::read_only_root>() ==
        "clone flags 0x20000\nhost\n  make mounts private\nseal\n  seal the root: ro\n");
  CHECK(plan_of<isolate::mount_namespace, isolate::read_only_root>({isolate::read_only_root::enable(false)}) ==
        "clone flags 0x20000\nhost\n  make mounts private\n");
}

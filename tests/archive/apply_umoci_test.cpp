// SPDX-License-Identifier: Apache-2.0
// A tree unpacked by us equals the same layer unpacked by umoci, entry by entry.
#include <mortise/archive/apply.hpp>

#include <doctest/doctest.h>

#include <archive/layer_stack.hpp>
#include <archive/pack.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <support/skip.hpp>
#include <support/temporary.hpp>

TEST_CASE("what GNU tar packs is unpacked as umoci does, two layers deep") {
  if (support::missing_root() || support::missing_program("umoci")) return;
  const support::temporary_directory place;
  const auto run = [&](const std::string& script) {
    return std::system(("cd " + place.path() + " && exec >/dev/null 2>&1 && set -e && " + script).c_str()) == 0;
  };
  std::ofstream(place / "large") << support::sample_text(1'500'000);
  REQUIRE(
      run("mkdir -p one/etc one/usr/bin one/var/empty/deep one/opt/app && echo root > one/etc/passwd && "
          "cp large one/usr/bin/tool && chmod 4755 one/usr/bin/tool && ln one/usr/bin/tool one/usr/bin/alias && "
          "ln -s usr/bin one/bin && ln -s ../none one/etc/dangling && mkfifo one/var/pipe && "
          "mknod one/var/null c 1 3 && mknod one/var/disk b 8 70000 && chown 1000:2000 one/opt/app && "
          "touch -h -d '2001-02-03 04:05:06.789 UTC' one/etc/dangling one/opt/app && chmod 1777 one/var/empty && "
          "echo data > \"one/opt/app/$(printf 'caf\\351 \\303\\251')\" && truncate -s 5M one/opt/app/hole && "
          "mkdir one/opt/app/$(printf 'n%.0s' $(seq 200)) && touch one/opt/app/$(printf 'n%.0s' $(seq 200))/file && "
          "mkdir -p two/etc two/opt/app two/usr/lib && echo new > two/etc/passwd && touch two/etc/.wh.dangling && "
          "touch two/opt/app/.wh..wh..opq && echo kept > two/opt/app/kept && touch two/var-note two/.wh.bin && "
          "chown -R 3:4 two/usr && chmod 2750 two/usr/lib"));
  REQUIRE(run(
      "tar -C one --sort=name --format=pax -S -cf one.tar . && tar -C two --sort=name --format=gnu -cf two.tar . && "
      "umoci init --layout image && umoci new --image image:tag && umoci raw add-layer --image image:tag one.tar && "
      "umoci raw add-layer --image image:tag two.tar && umoci unpack --image image:tag bundle"));
  support::layer_stack stack;
  for (const char* const name : {"one.tar", "two.tar"}) {
    std::ifstream file(place / name, std::ios::binary);
    const std::string tar{std::istreambuf_iterator<char>(file), {}};
    const auto result = stack.add(tar);
    REQUIRE_MESSAGE(result.ok(), std::string(mortise::message(result.status())));
    CHECK_FALSE(result->depends_on_lower);
  }
  const support::tree theirs(place / "bundle/rootfs");
  const support::tree ours = stack.merged();
  REQUIRE(theirs.paths().size() > 15);
  CHECK(ours.paths() == theirs.paths());
  for (const std::string& path : theirs.paths()) {
    CHECK_MESSAGE(ours[path] == theirs[path], path);
    CHECK_MESSAGE(ours.about(path).st_mtim.tv_sec == theirs.about(path).st_mtim.tv_sec, path);
    CHECK_MESSAGE(ours.about(path).st_mtim.tv_nsec == theirs.about(path).st_mtim.tv_nsec, path);
    const bool directory = S_ISDIR(ours.about(path).st_mode);  // overlayfs counts a directory's links its own way
    CHECK_MESSAGE((directory || ours.about(path).st_nlink == theirs.about(path).st_nlink), path);
  }
}

// SPDX-License-Identifier: Apache-2.0
// Each of the small example programs, run for real.
#include <doctest/doctest.h>

#include <examples/program.hpp>
#include <examples/scene.hpp>
#include <support/leaks.hpp>
#include <support/place.hpp>
#include <support/sanitizer.hpp>
#include <support/temporary.hpp>

using examples::outcome;
using examples::run;
using examples::scene;

namespace {

std::string built(const std::string& name) { return support::built_program("examples/" + name); }

}  // namespace

TEST_CASE("examples: hello says hello and leaves nothing") {
  if (examples::missing_host()) return;
  const std::string image = scene::get().image();
  const examples::private_defaults defaults;
  const support::leak_snapshot before;
  const outcome said = run({built("hello"), image});
  CHECK(said.code == 0);
  CHECK(said.out == "Hello from a container\n");
  CHECK(said.err == "");
  const outcome refused = run({built("hello"), "oci:/nowhere"});
  CHECK(refused.code == 125);
  CHECK(refused.err.find("open image 'oci:/nowhere'") != std::string::npos);
  CHECK(examples::left_in("/var/lib/hello", "/run/hello") == "");
  CHECK(before.leaked() == "");
}

TEST_CASE("examples: custom-isolator's directory is there with its fact, and gone afterwards") {
  if (examples::missing_host()) return;
  const std::string root = scene::get().root();
  const examples::private_defaults defaults;
  const outcome ran = run({built("custom-isolator"), root, "sh", "-c", "echo $(hostname) $(cat /scratch/name)"});
  CHECK_MESSAGE(ran.code == 0, ran.err);
  const std::size_t space = ran.out.find(' ');
  REQUIRE(space != std::string::npos);
  const std::string id = ran.out.substr(0, space);
  CHECK(ran.out == id + ' ' + id + '\n');
  CHECK(::access(("/var/tmp/scratch-" + id).c_str(), F_OK) != 0);
  CHECK(examples::left_in("/var/lib/custom-isolator", "/run/custom-isolator") == "");
}

TEST_CASE("examples: custom-backend's root is the image's and cannot be written") {
  if (examples::missing_host()) return;
  const std::string image = scene::get().image();
  const examples::private_defaults defaults;
  const outcome ran = run({built("custom-backend"), image, "sh", "-c", "cat /etc/text; echo x > /file"});
  CHECK(ran.code == 1);
  CHECK(ran.out == "not a program\n");
  CHECK(ran.err.find("Read-only file system") != std::string::npos);
  CHECK(examples::left_in("/var/lib/custom-backend", "/run/custom-backend") == "");
}

TEST_CASE("examples: custom-fetcher asks its peers in turn, and the fetcher beside it by scheme") {
  const support::temporary_directory first;
  const support::temporary_directory second;
  REQUIRE(run({"sh", "-c", "echo mine >'" + first / "one" + "'; echo yours >'" + second / "two" + "'"}).code == 0);
  const std::string program = built("custom-fetcher");
  const std::string peers = first.path() + ':' + second.path();
  CHECK(run({program, peers, "p2p:one"}).out == "mine\n");
  const outcome other = run({program, peers, "P2P:two"});
  CHECK(other.code == 0);
  CHECK(other.out == "yours\n");
  CHECK(other.err == "6 bytes\n");
  CHECK(run({program, "-", "file://" + first / "one"}).out == "mine\n");
  CHECK(run({program, peers, "p2p:three"}).err.find("none of 2 peers has it") != std::string::npos);
  CHECK(run({program, peers, "p2p:../one"}).err.find("not a plain name") != std::string::npos);
  CHECK(run({program, peers, "ftp:one"}).err.find("this program has: p2p, file") != std::string::npos);
}

TEST_CASE("examples: plan-dump prints a plan, without privileges") {
  const support::temporary_directory place;  // which nobody can enter, wherever the program was built
  const std::string program = place / "plan-dump";
  REQUIRE(run({"cp", built("plan-dump"), program}).code == 0);
  const outcome printed = run({program, "ls", "-l"}, {.as_nobody = ::geteuid() == 0});
  CHECK_MESSAGE(printed.code == 0, printed.err);
  for (const auto* const line : {"clone flags 0x", "\nidentity\n  map user and group ids: uid 0 ",
                                 "\nroot\n  mount overlay of 1 layer userxattr", "  set hostname 'plan'\n",
                                 "  seal the root: ro\n", "  execute 'ls'\n", "      argument -l\n"})
    CHECK_MESSAGE(printed.out.find(line) != std::string::npos, printed.out);
}

TEST_CASE("examples: minimal-launcher needs libc and libstdc++ only") {
  if (examples::missing_host() || support::missing_program("readelf")) return;
  const std::string root = scene::get().root();
  const examples::private_defaults defaults;
  const outcome ran =
      run({built("minimal-launcher"), root, "sh", "-c", "echo mine > /etc/text; cat /etc/text; exit 4"});
  CHECK_MESSAGE(ran.code == 4, ran.err);
  CHECK(ran.out == "mine\n");
  CHECK(run({"cat", root + "/etc/text"}).out == "not a program\n");
  CHECK(examples::left_in("/var/lib/minimal-launcher", "/run/minimal-launcher") == "");
  const outcome needed =
      run({"sh", "-c", "readelf -d \"$0\" | sed -n 's/.*NEEDED.*\\[\\(.*\\)\\]/\\1/p'", built("minimal-launcher")});
  for (const auto library : mortise::split(needed.out, '\n')) {
    const std::string name(library);
    const bool plain = name.empty() || name.starts_with("libc.so") || name.starts_with("libstdc++.so") ||
                       name.starts_with("libgcc_s.so") || name.starts_with("libm.so") || name.starts_with("ld-linux");
    CHECK_MESSAGE((plain || support::address_sanitizer), name);  // which brings libraries of its own
  }
}

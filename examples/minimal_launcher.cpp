// SPDX-License-Identifier: Apache-2.0
// Proves that what a type does not name is not linked: a launcher of prepared root directories that needs libc
// and libstdc++ only. Needs root: minimal-launcher ROOT PROGRAM [ARGS...]
#include <cstdio>
#include <mortise/container.hpp>
#include <mortise/image/directory.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/rootfs/overlay.hpp>

using namespace mortise;

// ROOT is the lowest layer of an overlay: what the container writes goes elsewhere, and goes away with it.
using launcher = container<image::directory, rootfs::overlay, isolate::standard>;

absl::StatusOr<int> run(const char* root, std::vector<std::string> program) {
  MORTISE_ASSIGN_OR_RETURN(
      auto host, launcher::host::open({.directory = "/var/lib/minimal-launcher", .state = "/run/minimal-launcher"}));
  MORTISE_ASSIGN_OR_RETURN(auto box, host.launch({.image = root, .args = std::move(program)}));
  MORTISE_ASSIGN_OR_RETURN(const auto ended, box.wait());
  MORTISE_RETURN_IF_ERROR(box.destroy());
  return ended.code();
}

int main(int argc, char** argv) {
  if (argc < 3) return std::fputs("usage: minimal-launcher ROOT PROGRAM [ARGS...]\n", stderr), 125;
  const auto code = run(argv[1], {argv + 2, argv + argc});
  if (code.ok()) return *code;
  std::fputs(concat("minimal-launcher: ", message(code.status()), '\n').c_str(), stderr);
  return 125;
}

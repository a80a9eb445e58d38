// SPDX-License-Identifier: Apache-2.0
// Proves that a container's type is its configuration, and that running one is a straight line.
// Needs root, and an image in an OCI layout: hello oci:DIRECTORY[:TAG]
#include <cstdio>
#include <mortise/container.hpp>
#include <mortise/image/oci_layout.hpp>
#include <mortise/image/store.hpp>
#include <mortise/isolate/cgroup.hpp>
#include <mortise/isolate/memory.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/rootfs/overlay.hpp>

using namespace mortise;

using worker = container<image::store<image::oci_layout>,  // where images come from
                         rootfs::overlay,                  // how their layers become a root
                         isolate::standard,                // namespaces, /proc, /sys, /dev, few capabilities
                         isolate::cgroup,                  // a cgroup of its own
                         isolate::memory>;                 // with a limit, for who asks for one

absl::StatusOr<int> run(const char* location) {
  MORTISE_ASSIGN_OR_RETURN(auto host, worker::host::open({.directory = "/var/lib/hello", .state = "/run/hello"}));
  MORTISE_ASSIGN_OR_RETURN(auto box, host.launch({.image = location,
                                                  .args = {"echo", "Hello from a container"},
                                                  .with = {isolate::memory::limit(64_MiB)}}));
  MORTISE_ASSIGN_OR_RETURN(const auto ended, box.wait());
  MORTISE_RETURN_IF_ERROR(box.destroy());
  return ended.code();
}

int main(int argc, char** argv) {
  const auto code = run(argc > 1 ? argv[1] : "oci:image");
  if (code.ok()) return *code;
  std::fputs(concat("hello: ", message(code.status()), '\n').c_str(), stderr);
  return 125;
}

// SPDX-License-Identifier: Apache-2.0
// From an image's compressed layers to the end of its first program, for benchmarks/run first_byte, which times the
// whole process.
//
//   first-byte overlay|erofs|copy LOCATION DIRECTORY    as "oci:PATH:TAG"; store and roots are made in DIRECTORY

#include <cstdio>
#include <mortise/container.hpp>
#include <mortise/image/oci_layout.hpp>
#include <mortise/image/store.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/rootfs/copy.hpp>
#include <mortise/rootfs/erofs.hpp>
#include <mortise/rootfs/overlay.hpp>
#include <string>
#include <string_view>

namespace {

template <class Rootfs>
absl::Status run(const std::string& location, const std::string& directory) {
  using container =
      mortise::container<mortise::image::store<mortise::image::oci_layout>, Rootfs, mortise::isolate::standard>;
  MORTISE_ASSIGN_OR_RETURN(auto host, container::host::open({directory, directory + "/state"}));
  MORTISE_ASSIGN_OR_RETURN(auto box, host.launch({.image = location, .args = {"/bin/true"}}));
  MORTISE_ASSIGN_OR_RETURN(const auto ended, box.wait());
  if (ended.code() != 0) return absl::InternalError("/bin/true failed");
  return box.destroy();
}

}  // namespace

int main(int count, char** words) {
  const std::string_view backend = count == 4 ? words[1] : "";
  absl::Status status = absl::InvalidArgumentError("usage: first-byte overlay|erofs|copy LOCATION DIRECTORY");
  if (backend == "overlay") status = run<mortise::rootfs::overlay>(words[2], words[3]);
  if (backend == "erofs") status = run<mortise::rootfs::erofs>(words[2], words[3]);
  if (backend == "copy") status = run<mortise::rootfs::copy>(words[2], words[3]);
  if (!status.ok()) (void)std::fprintf(stderr, "first-byte: %s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}

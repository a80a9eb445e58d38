// SPDX-License-Identifier: Apache-2.0
// Proves that a rootfs backend of your own is two functions: this one stacks an image's layers without a place to
// write, so that a container costs no disk and leaves the root as it was. Needs root, and an image that has the
// directories on which to mount /proc, /sys and /dev: custom-backend oci:DIR[:TAG] PROGRAM [ARGS...]
#include <cstdio>
#include <mortise/container.hpp>
#include <mortise/image/oci_layout.hpp>
#include <mortise/image/store.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/rootfs/directory.hpp>

using namespace mortise;

/// Effects: the layers as one read-only tree.
/// Leaves behind: two empty directories in the container's directory, until `destroy`.
struct read_only_stack {
  using layer_format = model::overlay_layers;  // the store unpacks what a backend says it reads
  static constexpr std::string_view name = "read-only-stack";

  absl::StatusOr<model::rootfs> provision(const rootfs::request& what, model::plan& plan) const {
    MORTISE_ASSIGN_OR_RETURN(auto lower, rootfs::visible_layers<layer_format>(what.layers));
    const std::string root = what.directory + "/root";
    const std::string floor = what.directory + "/floor";
    for (const auto& each : {root, floor}) MORTISE_RETURN_IF_ERROR(rootfs::make_directory(each));
    lower.push_back(floor);  // without an upper directory the kernel wants two lower ones at least
    const model::slot stack = plan.new_slot();
    plan.add(model::stage::root, model::op::new_overlay{std::move(lower), {}, {}, root, stack});
    plan.add(model::stage::root, model::op::enter_root{stack, root});
    return model::rootfs{};
  }

  absl::StatusOr<bool> destroy(const std::string& directory) const { return rootfs::destroy_directory(directory); }
};

static_assert(rootfs::backend<read_only_stack>);

using launcher = container<image::store<image::oci_layout>, read_only_stack, isolate::standard>;

absl::StatusOr<int> run(const char* location, std::vector<std::string> program) {
  MORTISE_ASSIGN_OR_RETURN(
      auto host, launcher::host::open({.directory = "/var/lib/custom-backend", .state = "/run/custom-backend"}));
  MORTISE_ASSIGN_OR_RETURN(auto box, host.launch({.image = location, .args = std::move(program)}));
  MORTISE_ASSIGN_OR_RETURN(const auto ended, box.wait());
  MORTISE_RETURN_IF_ERROR(box.destroy());
  return ended.code();
}

int main(int argc, char** argv) {
  if (argc < 3) return std::fputs("usage: custom-backend oci:DIR[:TAG] PROGRAM [ARGS...]\n", stderr), 125;
  const auto code = run(argv[1], {argv + 2, argv + argc});
  if (code.ok()) return *code;
  std::fputs(concat("custom-backend: ", message(code.status()), '\n').c_str(), stderr);
  return 125;
}

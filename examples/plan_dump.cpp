// SPDX-License-Identifier: Apache-2.0
// Proves that a launch is data: a launcher that prints its plan, in place of one that runs it, is a policy like
// any other. Needs nothing, no privileges either: plan-dump [PROGRAM [ARGS...]]
#include <cstdio>
#include <cstdlib>
#include <mortise/container.hpp>
#include <mortise/image/directory.hpp>
#include <mortise/isolate/rlimits.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/isolate/volumes.hpp>
#include <mortise/model/plan_text.hpp>
#include <mortise/rootfs/overlay.hpp>
#include <mortise/sys/file.hpp>

using namespace mortise;

/// Prints. There is never a process, so it fails, and the container unwinds what it had made for one.
struct printer {
  absl::StatusOr<launch::process> spawn(const model::plan& plan) const {
    std::fputs(model::to_text(plan).c_str(), stdout);
    return error(absl::StatusCode::kCancelled, "only the plan was asked for");
  }
};

using dump =
    basic_container<image::directory, rootfs::unprivileged_overlay, printer, no_observer,
                    isolate::standard_unprivileged, isolate::rlimits, isolate::volumes, isolate::read_only_root>;

absl::Status run(const std::string& scratch, std::vector<std::string> program) {
  MORTISE_ASSIGN_OR_RETURN(auto host, dump::host::open({.directory = scratch + "/data", .state = scratch + "/state"}));
  const auto box =
      host.launch({.image = "/",
                   .args = std::move(program),
                   .with = {isolate::uts_namespace::hostname("plan"), isolate::rlimits::set(RLIMIT_NOFILE, 1024, 1024),
                            isolate::volumes::tmpfs("/tmp", 16_MiB)}});
  return absl::IsCancelled(box.status()) ? absl::OkStatus() : box.status();
}

int main(int argc, char** argv) {
  std::vector<std::string> program(argv + 1, argv + argc);
  if (program.empty()) program = {"true"};
  std::string scratch = "/tmp/plan-dump-XXXXXX";
  if (::mkdtemp(scratch.data()) == nullptr) return std::perror("plan-dump: make a directory in /tmp"), 125;
  const absl::Status status = run(scratch, std::move(program));
  sys::remove_tree(scratch).IgnoreError();
  if (!status.ok()) std::fputs(concat("plan-dump: ", message(status), '\n').c_str(), stderr);
  return status.ok() ? 0 : 125;
}

// SPDX-License-Identifier: Apache-2.0
// Proves that a whole program can be made of compositions: a `docker run` that needs no daemon, and whose container
// types (each of mortise's backends, with privileges or without) are chosen by its command line.
// Needs an image, and root or user namespaces. The parts are in mortise_run/; `mortise-run --help` explains.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <initializer_list>
#include <map>
#include <mortise/base/text.hpp>
#include <mortise/launch/launcher.hpp>
#include <mortise/sys/file.hpp>
#include <mortise/version.hpp>
#include <string>
#include <string_view>

#include "mortise_run/composition.hpp"
#include "mortise_run/options.hpp"

namespace {

using namespace mortise_run;

enum exit_code : int { ours = 125, not_executable = 126, not_found = 127, by_signal = 128 };

void say(std::string_view text) {
  std::fprintf(stderr, "mortise-run: %.*s\n", static_cast<int>(text.size()), text.data());
}

/// What went wrong, as the last word of a run.
int fail(const absl::Status& status, int code) {
  say(mortise::message(status));
  return code;
}

/// A failed launch as an exit code, by the conventions of shells and of `docker run`.
int exit_code_of(const absl::Status& status) {
  const auto operation = status.GetPayload(mortise::to_absl(mortise::launch::operation_payload));
  if (!operation || *operation != "execute") return ours;
  const int problem = mortise::errno_of(status);
  return problem == ENOENT || problem == ENOTDIR ? not_found : not_executable;
}

const composition& composition_for(const options& what) {
  if (what.ids) return mapped;
  return what.rootless ? rootless : privileged;
}

/// Mostly there are none, and to find that out is cheaper than to open a host of each type.
bool any_records() {
  bool any = false;
  const absl::Status listed =
      mortise::sys::for_each_entry(AT_FDCWD, state_directory(), [&any](std::string_view, unsigned char) {
        any = true;
        return absl::OkStatus();
      });
  return any || !listed.ok();
}

/// What earlier runs left when they were killed is freed before anything new is made. A record is freed by the
/// type of container that wrote it; the others can only say that it is not theirs.
void recover(const options& what, std::initializer_list<composition> all) {
  if (!any_records()) return;
  std::map<std::string, absl::Status> problems;
  for (const composition& each : all) {
    const auto result = each.recover(what);
    if (!result.ok()) return;  // to run will fail for the same reason, and say so
    for (const auto& id : result->freed) problems.erase(id);
    for (const auto& [id, status] : result->failed)
      if (!absl::IsFailedPrecondition(status) || !problems.contains(id)) problems[id] = status;
  }
  for (const auto& [id, status] : problems) say(mortise::message(status));
}

/// Whether the composition that the other options ask for has the backend.
absl::Status check_backend(const options& what) {
  const auto known = composition_for(what).backends();
  if (std::ranges::find(known, what.backend) != known.end()) return absl::OkStatus();
  std::string_view whose = what.rootless ? " that needs no privileges: " : ": ";
  if (what.ids) whose = " that maps ids: ";
  return mortise::annotate(tool::refuse(what.backend, mortise::concat("a backend", whose, mortise::join(known, ", "))),
                           "option --backend");
}

int run(options what) {
  const bool is_root = ::geteuid() == 0;
  if (!is_root && !what.rootless && !what.quiet) say("not root: running rootless, in a user namespace");
  what.rootless = what.rootless || !is_root;
  if (what.ids && what.rootless)
    return fail(mortise::error(absl::StatusCode::kPermissionDenied,
                               "option --map-ids is for root: without privileges a container has one id"),
                ours);
  auto signals = tool::signal_relay::start();
  if (!signals.ok()) return fail(signals.status(), ours);

  if (const absl::Status known = check_backend(what); !known.ok()) return fail(known, ours);
  if (is_root)
    recover(what, {rootless, privileged, mapped});
  else
    recover(what, {rootless});
  const auto code = composition_for(what).run(what, **signals);
  if (code.ok()) return *code;
  if (const int signal = (*signals)->cancelled_by())
    return fail(absl::CancelledError("cancelled by a signal"), by_signal + signal);
  if (mortise::errno_of(code.status()) == EPERM && !what.rootless) say("without all of root's rights, try --rootless");
  return fail(code.status(), exit_code_of(code.status()));
}

}  // namespace

int main(int argc, char** argv) {
  auto what = parse_options({argv + 1, argv + argc});
  if (!what.ok()) return fail(what.status(), ours);
  if (what->help) return std::fputs(help_text().c_str(), stdout) < 0 ? ours : 0;
  if (what->version) return std::printf("mortise-run %s\n", std::string(mortise::version).c_str()) < 0 ? ours : 0;
  return run(*std::move(what));
}

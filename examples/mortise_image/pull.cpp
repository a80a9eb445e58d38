// SPDX-License-Identifier: Apache-2.0
// Part of mortise-image: pull, and prefetch, which stands back behind all else that the machine does.
#include <linux/ioprio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <vector>

#include "command.hpp"
#include "output.hpp"
#include "puller.hpp"

namespace mortise_image {

namespace {

/// The threads that this one starts inherit both. Where they are refused, it is only less polite.
void stand_back() {
  (void)::setpriority(PRIO_PROCESS, 0, 19);
  (void)::syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}

}  // namespace

absl::StatusOr<int> pull(const session& of) {
  MORTISE_ASSIGN_OR_RETURN(puller images, puller::open(of));
  for (const std::string& each : of.what.operands) {
    absl::Status status = images.pull(each);
    if (absl::IsCancelled(status)) return status;
    if (status.ok()) continue;
    say(mortise::message(status));
    break;
  }
  return images.finish();
}

absl::StatusOr<int> prefetch(const session& of) {
  const std::vector<std::string>& locations = of.what.operands;
  stand_back();
  MORTISE_ASSIGN_OR_RETURN(puller images, puller::open(of));
  std::size_t there = 0;
  for (const std::string& each : locations) {
    absl::Status status = images.pull(each);
    if (absl::IsCancelled(status)) return status;
    if (!status.ok()) say(mortise::message(status));
    there += status.ok() ? 1 : 0;
  }
  if (!of.what.quiet && !of.what.json) say(mortise::concat(there, " of ", locations.size(), " images are there"));
  return images.finish();
}

}  // namespace mortise_image

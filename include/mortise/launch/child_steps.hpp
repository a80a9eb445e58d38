// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What the child's operations are made of: slots, and naming each system call before it can fail. Runs between clone
/// and exec in the caller's memory: no allocation, no lock, no Status.

#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>
#include <mortise/launch/report.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/sys/call.hpp>
#include <mortise/sys/mount.hpp>
#include <span>

namespace mortise::launch {

class child_steps {
 public:
  child_steps(std::span<int> slots, report& to) : slots_(slots), report_(to) {}

 protected:
  [[nodiscard]] int at(model::slot which) const { return slots_[static_cast<std::size_t>(which)]; }
  void set(model::slot which, long fd) { slots_[static_cast<std::size_t>(which)] = static_cast<int>(fd); }

  /// Names the sub-step that a failure is reported under, and passes the result on. What the kernel said of one before
  /// no longer counts.
  long step(const char* name, long result) {
    report_.step = name;
    report_.detail[0] = 0;
    return result;
  }
  /// A failure of our own finding, or one that needs more words.
  long refuse(const char* name, int error, const char* words) {
    report_.words = words;
    return step(name, -error);
  }

  /// The kernel's own words on a file system context: fsopen(2), "message retrieval interface".
  long explain(int context, long failure) {
    const long got = sys::call(SYS_read, context, report_.detail, sizeof report_.detail - 1);
    report_.detail[got > 0 ? got : 0] = 0;
    return failure;
  }

  /// A detached mount of a configured context.
  long mount(int context, std::uint64_t flags, model::slot to) {
    const long made = step("fsconfig create", sys::raw_fsconfig_create(context));
    if (made < 0) return explain(context, made);
    const long tree = step("fsmount", sys::raw_fsmount(context, flags));
    if (tree < 0) return explain(context, tree);
    set(to, tree);
    return 0;
  }

 private:
  std::span<int> slots_;
  report& report_;
};

}  // namespace mortise::launch

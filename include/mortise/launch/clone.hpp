// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The launcher: one clone3(2), the plan run in the caller's memory on a stack of its own, one exec.

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mortise/launch/child.hpp>
#include <mortise/launch/id_mapper.hpp>
#include <mortise/launch/launcher.hpp>
#include <mortise/model/plan_text.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/mount.hpp>
#include <mortise/sys/raw_clone.hpp>
#include <mutex>
#include <utility>

namespace mortise::launch {

namespace detail {

/// A child that changes its user makes the memory it shares undumpable (prctl(2), PR_SET_DUMPABLE), which
/// rightly keeps its new user out of our memory until exec. Once no thread has such a child, it is ours again.
class kept_dumpable {
 public:
  kept_dumpable() {
    const std::lock_guard lock(guard_);
    if (launches_++ == 0) before_ = ::prctl(PR_GET_DUMPABLE);
  }
  ~kept_dumpable() {
    const std::lock_guard lock(guard_);
    if (--launches_ == 0 && before_ == 1 && ::prctl(PR_GET_DUMPABLE) != 1) ::prctl(PR_SET_DUMPABLE, 1);
  }
  kept_dumpable(const kept_dumpable&) = delete;
  kept_dumpable& operator=(const kept_dumpable&) = delete;

 private:
  static inline std::mutex guard_;
  static inline int launches_ = 0;
  static inline int before_ = 0;
};

struct child_start {
  const model::plan* plan;
  child_memory* memory;
  report* to;
};

inline void run_child(void* start) {
  const auto* const from = static_cast<const child_start*>(start);
  child(*from->plan, *from->memory, *from->to).run_until(model::stage::execute);
  for (;;) (void)sys::call(SYS_exit_group, 127);
}

/// The operation that a report counts to.
inline const model::operation* find_operation(const model::plan& plan, std::size_t index) {
  for (std::size_t each = 0; each < model::stage_count; ++each) {
    const auto& operations = plan.at(static_cast<model::stage>(each));
    if (index < operations.size()) return &operations[index];
    index -= operations.size();
  }
  return nullptr;
}

/// "mount proc: fsmount: Operation not permitted (the kernel says: ...)", with errno and operation as payloads.
inline absl::Status to_status(const model::plan& plan, const report& from) {
  const model::operation* const failed = find_operation(plan, from.operation);
  const std::string what = failed == nullptr ? std::string("prepare the child") : model::summary_text(*failed);
  const std::string_view detail = sys::context_words(from.detail);
  absl::Status status = errno_error(from.error, concat(what, ": ", from.step),
                                    detail.empty() ? std::string() : concat("the kernel says: ", printable(detail)));
  if (from.words != nullptr) status = reword(status, concat(what, ": ", from.step, ": ", from.words));
  const bool executing = failed != nullptr && std::holds_alternative<model::op::execute>(*failed);
  status.SetPayload(to_absl(operation_payload), absl::Cord(to_absl(executing ? "execute" : what)));
  return status;
}

/// Of a child that ended without a word: the kernel killed it, for want of memory perhaps.
inline absl::Status silent_end(const model::plan& plan, const report& from,
                               const absl::StatusOr<model::exit_status>& ended) {
  const model::operation* const last = find_operation(plan, from.operation);
  return error(
      absl::StatusCode::kAborted,
      concat(last == nullptr ? std::string("execute the plan") : model::summary_text(*last), ": the child ended ",
             ended.ok() ? concat("with code ", ended->code()) : "unseen", " before it executed a program"));
}

}  // namespace detail

/// Effects: a child in the plan's namespaces and cgroup, running the plan's last operation's program.
/// Fails with: the first operation's failure, by name, with errno and `operation_payload`; or clone3's.
/// Leaves behind on failure: nothing; the child has been reaped.
/// The caller's thread waits in the kernel from clone to exec; its memory is shared, not copied, so a large
/// caller launches as fast as a small one. clone(2), CLONE_VM and CLONE_VFORK.
struct clone {
  absl::StatusOr<process> spawn(const model::plan& plan) const {
    child_memory memory(plan);
    report outcome;
    const sys::child_stack stack;
    if (stack.base() == nullptr) return errno_error(ENOMEM, "spawn process: allocate a stack");
    detail::child_start start{&plan, &memory, &outcome};
    sys::unique_fd cgroup;
    if (!plan.cgroup.empty()) {
      MORTISE_ASSIGN_OR_RETURN(cgroup, sys::open(plan.cgroup, O_RDONLY | O_DIRECTORY));
    }
    std::unique_ptr<id_mapper> mapper;
    if (plan.ids) {
      MORTISE_ASSIGN_OR_RETURN(mapper, id_mapper::start(*plan.ids));
      memory.id_mapper = mapper->child_end();
    }
    int pidfd = -1;
    const long pid = start_child(plan, stack, start, cgroup.get(), mapper.get(), pidfd);
    if (pid < 0) return clone_failure(plan, static_cast<int>(-pid));
    process started(static_cast<pid_t>(pid), sys::unique_fd(pidfd));
    if (outcome.error == 0 && outcome.executing) return started;
    const auto ended = started.wait();
    return outcome.error != 0 ? detail::to_status(plan, outcome) : detail::silent_end(plan, outcome, ended);
  }

 private:
  static long start_child(const model::plan& plan, const sys::child_stack& stack, detail::child_start& start,
                          int cgroup, id_mapper* mapper, int& pidfd) {
    clone_args arguments{};
    arguments.flags = plan.clone_flags | CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
    arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
    arguments.exit_signal = SIGCHLD;
    arguments.stack = reinterpret_cast<std::uintptr_t>(stack.base());
    arguments.stack_size = sys::child_stack::size;
    if (cgroup >= 0) {
      arguments.flags |= CLONE_INTO_CGROUP;
      arguments.cgroup = static_cast<std::uint64_t>(cgroup);
    }
    if (mapper != nullptr) {
      arguments.flags |= CLONE_PARENT_SETTID;
      arguments.parent_tid = reinterpret_cast<std::uintptr_t>(mapper->child());
    }
    const sys::blocked_signals blocked;
    const detail::kept_dumpable dumpable;
    return sys::clone_and_run(arguments, detail::run_child, &start);
  }

  static absl::Status clone_failure(const model::plan& plan, int error) {
    const bool new_user = (plan.clone_flags & CLONE_NEWUSER) != 0;
    std::string_view hint;
    if (error == EPERM && !new_user && plan.clone_flags != 0) hint = "needs CAP_SYS_ADMIN, or a user namespace";
    if (error == EPERM && new_user)
      hint = "user namespaces may be turned off here: see sysctl kernel.unprivileged_userns_clone";
    if (error == ENOSYS) hint = "needs Linux 5.5, and no seccomp filter that hides clone3";
    if (error == ENOSPC) hint = "a limit in /proc/sys/user/max_*_namespaces is reached";
    if (error == EAGAIN) hint = "a limit of processes is reached: RLIMIT_NPROC or a cgroup's pids.max";
    return errno_error(error, "spawn process: clone3", hint);
  }
};

static_assert(launcher<clone>);

}  // namespace mortise::launch

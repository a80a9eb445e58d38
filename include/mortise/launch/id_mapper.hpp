// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Mapping the ids of a child that waits for it, while the caller's thread waits in the kernel: user_namespaces(7).

#include <fcntl.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/model/id_range.hpp>
#include <mortise/sys/call.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/sharing_process.hpp>
#include <string>
#include <string_view>

namespace mortise::launch {

/// A process in the caller's memory and with its privileges. It touches nothing that the child touches.
class id_mapper {
 public:
  /// Fails with: what socketpair(2) and clone3(2) fail with.
  static absl::StatusOr<std::unique_ptr<id_mapper>> start(model::id_range ids) {
    std::unique_ptr<id_mapper> out(new id_mapper(ids));
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      return errno_error(errno, "map ids: socketpair");
    const sys::unique_fd mapper_end(ends[0]);  // the mapper's alone: when it dies, the child reads the end
    out->child_end_.reset(ends[1]);
    out->mapper_end_ = ends[0];
    MORTISE_RETURN_IF_ERROR(annotate(out->process_.start(0, run, out.get()), "map ids"));
    return out;
  }
  ~id_mapper() { (void)::shutdown(child_end_.get(), SHUT_RDWR); }  // the child may never have asked
  id_mapper(const id_mapper&) = delete;
  id_mapper& operator=(const id_mapper&) = delete;

  /// Where the kernel is to write the child's number before the child runs: CLONE_PARENT_SETTID.
  [[nodiscard]] pid_t* child() { return &child_; }
  /// The child asks by a byte, and is answered by an errno (int).
  [[nodiscard]] int child_end() const { return child_end_.get(); }

 private:
  explicit id_mapper(model::id_range ids) : map_(model::id_map_text(ids)) {}

  static void run(void* what) {
    static_cast<id_mapper*>(what)->serve();
    for (;;) (void)sys::call(SYS_exit, 0);
  }

  void serve() {
    (void)sys::call(SYS_close, child_end_.get());
    char asked = 0;
    if (sys::call(SYS_read, mapper_end_, &asked, 1) != 1) return;
    long done = write_map("uid_map");
    if (done >= 0) done = write_map("gid_map");
    answer_ = done < 0 ? static_cast<int>(-done) : 0;
    (void)sys::call(SYS_write, mapper_end_, &answer_, sizeof answer_);
  }

  long write_map(std::string_view file) {
    char* at = path_ + std::string_view("/proc/").copy(path_, sizeof path_);
    at = std::to_chars(at, path_ + sizeof path_ / 2, child_).ptr;
    *at++ = '/';
    at[file.copy(at, sizeof path_ / 2 - 1)] = 0;
    const long opened = sys::call(SYS_openat, AT_FDCWD, path_, O_WRONLY | O_CLOEXEC, 0);
    if (opened < 0) return opened;
    const long put = sys::call(SYS_write, opened, map_.data(), map_.size());
    (void)sys::call(SYS_close, opened);
    return put;
  }

  std::string map_;
  pid_t child_ = 0;
  int answer_ = 0;
  char path_[64] = {};
  int mapper_end_ = -1;
  sys::unique_fd child_end_;
  sys::sharing_process process_;  ///< ended before all that it uses goes
};

}  // namespace mortise::launch

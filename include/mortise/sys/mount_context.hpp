// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A new file system, option by option, with the kernel's own words on what it refuses: fsopen(2), "message retrieval
/// interface".

#include <unistd.h>

#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/mount.hpp>
#include <string>
#include <string_view>

namespace mortise::sys {

/// Messages are "mount TYPE: OPTION: what the kernel says: errno's text (a remedy)".
class mount_context {
 public:
  /// What helps against an errno; empty for nothing.
  using remedies = std::string_view (*)(int problem);

  static absl::StatusOr<mount_context> open(const char* type, remedies helps = nullptr) {
    mount_context out(type, helps);
    const long opened = raw_fsopen(type);
    if (opened < 0) return out.failure("", opened);
    out.context_.reset(static_cast<int>(opened));
    return out;
  }

  absl::Status set(const char* flag) { return result(flag, raw_fsconfig_flag(context_.get(), flag)); }
  absl::Status set(const char* key, const std::string& value) {
    return result(key, raw_fsconfig_string(context_.get(), key, value.c_str()));
  }
  /// A directory by descriptor.
  absl::Status set(const char* key, int directory) {
    return result(key, raw_fsconfig_fd(context_.get(), key, directory));
  }

  /// Detached, with mount_flag's bits.
  absl::StatusOr<unique_fd> mount(std::uint64_t flags) {
    const long made = raw_fsconfig_create(context_.get());
    if (made < 0) return failure("", made);
    const long tree = raw_fsmount(context_.get(), flags);
    if (tree < 0) return failure("", tree);
    return unique_fd(static_cast<int>(tree));
  }

 private:
  mount_context(const char* type, remedies helps) : type_(type), helps_(helps) {}

  absl::Status result(std::string_view what, long done) const {
    return done < 0 ? failure(what, done) : absl::OkStatus();
  }

  [[nodiscard]] absl::Status failure(std::string_view what, long result) const {
    char words[256];
    const ssize_t got = context_ ? ::read(context_.get(), words, sizeof words) : 0;
    const std::string_view said = context_words({words, got > 0 ? static_cast<std::size_t>(got) : 0});
    std::string message = concat("mount ", type_);
    if (!what.empty()) append(message, ": ", what);
    if (!said.empty()) append(message, ": ", printable(said));
    const int problem = static_cast<int>(-result);
    return errno_error(problem, message, helps_ != nullptr ? helps_(problem) : std::string_view{});
  }

  const char* type_;
  remedies helps_;
  unique_fd context_;
};

}  // namespace mortise::sys

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Checks ACIs' signatures by running gpgv, of Debian's package of that name, over the keys that are trusted for a
/// name: a directory laid out as rkt's. Needs: RapidJSON.

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/image/appc/armor.hpp>
#include <mortise/image/appc/signature.hpp>
#include <mortise/image/child_program.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/model/ac_name.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::appc {

/// Keys are files, binary or armored: those in DIRECTORY/root.d are trusted for every image, those in
/// DIRECTORY/prefix.d/example.com/app for example.com/app and what is below it. Whoever may write there decides.
/// Effects: runs gpgv with a time-out and bounded output, without a shell or a key of its user's.
/// Fails with PERMISSION_DENIED where no key is trusted for the name, the image has no signature, or it is not good: of
/// several signatures every one must be, by a trusted key that has neither expired nor been revoked. NOT_FOUND where
/// there is no gpgv.
class gpgv {
 public:
  explicit gpgv(std::string directory, std::chrono::milliseconds time = std::chrono::seconds(60))
      : directory_(std::move(directory)), time_(time) {}

  [[nodiscard]] bool is_needed() const { return true; }

  absl::Status operator()(const model::ac_identifier& name, const file_section& aci, const signature_text& ask) const {
    return annotate(check(name, aci, ask), concat("check signature of image '", name.text(), '\''));
  }

 private:
  static constexpr std::size_t most_key_bytes = std::size_t{1} << 20;
  static constexpr std::size_t most_keys = 1000;

  static absl::Status refuse(std::string_view why) { return error(absl::StatusCode::kPermissionDenied, why); }

  absl::Status check(const model::ac_identifier& name, const file_section& aci, const signature_text& ask) const {
    MORTISE_ASSIGN_OR_RETURN(const std::string keyring, keys_for(name));
    if (keyring.empty())
      return refuse(concat("no key is trusted for it (put one into '", directory_, "/prefix.d/", name.text(), "')"));
    const auto signature = ask();
    if (!signature.ok()) return refuse(concat("it has no signature: ", message(signature.status())));
    MORTISE_ASSIGN_OR_RETURN(const std::string program, find_program("gpgv", std::nullopt, "install the package gpgv"));
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd keys_at, in_memory("keyring", keyring));
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd signature_at, in_memory("signature", *signature));
    child_program process;
    MORTISE_RETURN_IF_ERROR(process.start({.path = program,
                                           .arguments = {"--homedir", "/nonexistent", "--status-fd", "1", "--keyring",
                                                         "/proc/self/fd/3", "--", "/proc/self/fd/4", "/proc/self/fd/5"},
                                           .variables = {"LC_ALL=C", "PATH=/usr/bin:/bin"},
                                           .files = {keys_at.get(), signature_at.get(), aci.file->get()}}));
    MORTISE_ASSIGN_OR_RETURN(const program_result result, process.finish({.time = time_}));
    return judge(result);
  }

  /// gpgv takes expired and revoked keys for good ones, but says so.
  static absl::Status judge(const program_result& result) {
    bool good = false;
    for (const std::string_view line : split(result.output, '\n')) {
      for (const std::string_view bad :
           {"BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "KEYEXPIRED", "KEYREVOKED"})
        if (line.starts_with(concat("[GNUPG:] ", bad)))
          return refuse(concat("gpgv says ", printable(line.substr(9), 200)));
      good = good || line.starts_with("[GNUPG:] GOODSIG ");
    }
    if (good && !result.end.by_signal && result.end.number == 0) return absl::OkStatus();
    std::string_view said = result.complaint;
    while (!said.empty() && static_cast<unsigned char>(said.back()) <= ' ') said.remove_suffix(1);
    return refuse(concat("gpgv finds no good one: ", said.empty() ? "it says nothing" : printable(said, 400)));
  }

  [[nodiscard]] absl::StatusOr<std::string> keys_for(const model::ac_identifier& name) const {
    std::string out;
    std::size_t count = 0;
    MORTISE_RETURN_IF_ERROR(add_keys(concat(directory_, "/root.d"), out, count));
    for (std::size_t end = 0; end != std::string::npos;) {
      end = name.text().find('/', end + 1);
      MORTISE_RETURN_IF_ERROR(add_keys(concat(directory_, "/prefix.d/", name.text().substr(0, end)), out, count));
    }
    return out;
  }

  /// The regular files right in a directory; none where there is no such directory.
  static absl::Status add_keys(const std::string& directory, std::string& into, std::size_t& count) {
    const auto opened = sys::open(directory, O_RDONLY | O_DIRECTORY);
    if (absl::IsNotFound(opened.status())) return absl::OkStatus();
    if (!opened.ok()) return opened.status();
    std::vector<std::string> names;
    MORTISE_RETURN_IF_ERROR(sys::for_each_entry(opened->get(), ".", [&](std::string_view name, unsigned char) {
      struct stat about{};
      const std::string text(name);
      if (::fstatat(opened->get(), text.c_str(), &about, 0) == 0 && S_ISREG(about.st_mode)) names.push_back(text);
      return names.size() + count > most_keys
                 ? error(absl::StatusCode::kResourceExhausted, concat("more than ", most_keys, " keys"))
                 : absl::OkStatus();
    }));
    std::sort(names.begin(), names.end());
    count += names.size();
    for (const std::string& each : names) {
      MORTISE_ASSIGN_OR_RETURN(const std::string text, sys::read_file_at(opened->get(), each, most_key_bytes));
      const auto key = without_armor(text);
      if (!key)
        return error(absl::StatusCode::kInvalidArgument,
                     concat("read key '", directory, '/', printable(each), "': it is not armored as OpenPGP has it"));
      into.append(*key);
    }
    return absl::OkStatus();
  }

  static absl::StatusOr<sys::unique_fd> in_memory(const char* what, std::string_view content) {
    sys::unique_fd out(::memfd_create(what, MFD_CLOEXEC));
    if (!out) return errno_error(errno, "make file in memory");
    MORTISE_RETURN_IF_ERROR(sys::write_all(out.get(), content));
    return out;
  }

  std::string directory_;
  std::chrono::milliseconds time_;
};

static_assert(signature_check<gpgv>);

}  // namespace mortise::image::appc

// SPDX-License-Identifier: Apache-2.0
/// \file
/// What libFuzzer calls, the same for every target.

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <fuzz/target.hpp>
#include <iterator>
#include <string>
#include <string_view>

namespace {

std::string content_of(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The names of seeds are promises. libFuzzer only sees their bytes, so they are kept here.
void check_names(const std::filesystem::path& corpus) {
  for (const auto& each : std::filesystem::directory_iterator(corpus)) {
    const std::string name = each.path().filename();
    const bool good = name.starts_with("ok-");
    if (!good && !name.starts_with("should-fail-")) continue;
    std::fprintf(stderr, "seed %s\n", each.path().c_str());
    const absl::Status status = fuzz::target(content_of(each.path()));
    fuzz::require(status.ok() == good, good ? "the seed is accepted" : "the seed is refused", mortise::message(status));
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  for (int at = 1; at < *argc; ++at)
    if (std::filesystem::is_directory((*argv)[at])) check_names((*argv)[at]);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::target({reinterpret_cast<const char*>(data), size}).IgnoreError();
  return 0;
}

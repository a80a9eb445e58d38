// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Keeps the code that a page of docs/ prints and the code that a test compiles the same.

#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <support/place.hpp>
#include <support/skip.hpp>

namespace concepts {

inline std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Where `file`, a __FILE__, lies: Meson names sources relative to the build directory.
inline std::string path_of(std::string_view file) {
  return file.starts_with('/') ? std::string(file) : support::build_directory() + '/' + std::string(file);
}

/// Whether docs/PAGE.md prints what lies between "// archetype" and "// end of archetype" in a test.
inline bool prints_archetype(std::string_view file, std::string_view page) {
  const std::string source = path_of(file);
  const std::string test = read_text(source);
  constexpr std::string_view begin = "// archetype\n";
  const std::size_t from = test.find(begin);
  const std::size_t to = test.find("// end of archetype\n");
  if (from == std::string::npos || to == std::string::npos) {
    support::skip("needs the sources: run it where it was built");
    return true;
  }
  const std::string docs = source.substr(0, source.rfind("/tests/")) + "/docs/" + std::string(page) + ".md";
  const std::string archetype = test.substr(from + begin.size(), to - from - begin.size());
  return read_text(docs).find("```cpp\n" + archetype + "```\n") != std::string::npos;
}

}  // namespace concepts

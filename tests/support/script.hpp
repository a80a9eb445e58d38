// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Shell scripts in test cases, for what other tools do best.

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <mortise/base/text.hpp>
#include <string>

namespace support {

/// Runs a shell script in `directory` until its first failure; its output is shown only if there is one.
inline bool run_script(const std::string& directory, const std::string& script) {
  const std::string path = directory + "/script";
  std::ofstream(path) << mortise::concat("set -e\ncd '", directory, "'\n", script);
  const bool worked = std::system(mortise::concat("sh '", path, "' >'", directory, "/output' 2>&1").c_str()) == 0;
  std::ifstream output(directory + "/output");
  INFO(std::string(std::istreambuf_iterator<char>(output), {}));
  CHECK(worked);
  return worked;
}

}  // namespace support

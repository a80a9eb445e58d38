// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Where a test finds what was built and what is kept between runs, from where its own program lies.

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace support {

/// The Meson build directory that this program was built in ("/.../build/gcc"), or nothing if it is elsewhere;
/// $MORTISE_BUILD_DIRECTORY where tests/run starts a copy of the program.
inline std::string build_directory() {
  if (const char* const given = std::getenv("MORTISE_BUILD_DIRECTORY")) return given;
  char program[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", program, sizeof program);
  std::string path(program, length > 0 ? static_cast<std::size_t>(length) : 0);
  while (!path.empty()) {
    path.resize(path.rfind('/'));
    if (::access((path + "/meson-private").c_str(), F_OK) == 0) return path;
  }
  return {};
}

/// A program of examples/ as it was built beside this test: built_program("examples/mortise-run").
inline std::string built_program(const std::string& name) { return build_directory() + '/' + name; }

/// A directory kept between runs, for images that take long to make: make what it holds elsewhere and rename it
/// into place. It lies beside the build directories.
inline std::string cache_directory() {
  const std::string build = build_directory();
  std::string path = build.empty() ? "/tmp/mortise-cache" : build.substr(0, build.rfind('/')) + "/cache";
  if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST)
    throw std::runtime_error("make directory '" + path + "' for what tests keep");
  return path;
}

}  // namespace support

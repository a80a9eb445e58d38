// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The specification's own tool, built once from Debian's source packages.

#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <support/place.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

namespace support {

/// Whether a script of the shell succeeds.
inline bool run_quietly(const std::string& script) {
  return std::system(("exec >/dev/null 2>&1; " + script).c_str()) == 0;
}

/// Where actool is, building it where it is not yet; empty, and the case skipped, where it cannot be had.
inline std::string actool() {
  const std::string kept = cache_directory() + "/actool-0.8.11";
  if (::access(kept.c_str(), X_OK) == 0) return kept;
  if (missing_program("go")) return {};
  if (::access("/usr/share/gocode/src/github.com/appc/spec/actool", F_OK) != 0) {
    skip("needs Debian's golang-github-appc-spec-dev, to build actool from");
    return {};
  }
  const temporary_directory place;
  const std::string made = place / "actool";
  if (!run_quietly("cd / && GOPATH=/usr/share/gocode GO111MODULE=off GOFLAGS= GOCACHE=" + (place / "cache") +
                   " go build -o " + made + " github.com/appc/spec/actool && cp " + made + ' ' + kept + ".new && mv " +
                   kept + ".new " + kept))
    throw std::runtime_error("build actool");
  return kept;
}

}  // namespace support

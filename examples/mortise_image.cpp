// SPDX-License-Identifier: Apache-2.0
// Proves that a store is looked after by what the library gives: pulled into, listed, inspected, measured, verified,
// repaired and collected, beside whatever else uses it, for people or, with --json, for programs.
// The parts are in mortise_image/; `mortise-image --help` explains.
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <mortise/version.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "mortise_image/command.hpp"
#include "mortise_image/help.hpp"

namespace {

using namespace mortise_image;

int fail(const absl::Status& status, int code) {
  std::fprintf(stderr, "mortise-image: %s\n", std::string(mortise::message(status)).c_str());
  return code;
}

/// What was printed is part of what was asked for.
int finish(int code) {
  return std::fflush(stdout) == 0 ? code : fail(mortise::errno_error(errno, "write to standard output"), failed);
}

int print(const std::string& text) {
  std::fputs(text.c_str(), stdout);
  return finish(done);
}

int run(wish of) {
  of.what.rootless = of.what.rootless || ::geteuid() != 0;
  auto signals = tool::signal_relay::start();
  if (!signals.ok()) return fail(signals.status(), failed);
  const session all{std::move(of.what), **signals};
  const auto code = of.chosen->run(all);
  say_warnings(all);
  if (code.ok()) return finish(*code);
  std::fflush(stdout);
  if (const int signal = (*signals)->cancelled_by())
    return fail(absl::CancelledError("cancelled by a signal"), by_signal + signal);
  return fail(code.status(), failed);
}

}  // namespace

int main(int argc, char** argv) {
  auto of = parse_command_line({argv + 1, argv + argc});
  if (!of.ok()) return fail(of.status(), misused);
  if (of->what.version) return print(mortise::concat("mortise-image ", mortise::version, '\n'));
  if (of->what.help) return print(of->chosen != nullptr ? help_text(*of->chosen) : help_text());
  return run(*std::move(of));
}

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What mortise-image --help says, for the whole and for each command.

#include <string>
#include <string_view>
#include <vector>

#include "../tool/locations.hpp"
#include "command.hpp"
#include "options.hpp"

namespace mortise_image {

inline std::string help_text() {
  std::string out = R"(usage: mortise-image [OPTIONS] COMMAND [OPTIONS] [LOCATION...]

Looks after the images that containers run from.

COMMANDS (mortise-image COMMAND --help explains each)
)";
  for (const command& each : all_commands) {
    std::string left = mortise::concat("  ", each.name, ' ', each.operands);
    left.resize(std::max<std::size_t>(left.size() + 1, 27), ' ');
    mortise::append(out, left, each.help, '\n');
  }
  out += R"(
LOCATION is one of
)";
  out += tool::locations_help;
  out += "\nOPTIONS\n";
  tool::append_help<options>(out, options_named(common_options));
  return out + R"(
EXIT CODE
  0        done, and all is well
  1        something failed, or was found damaged
  2        the command line is wrong
  128+N    cancelled by signal N

EXAMPLES
  mortise-image pull oci:busybox docker-archive:build.tar
  mortise-image inspect --tree oci:busybox
  mortise-image gc --dry-run --keep 20g --older-than 30d
  mortise-image du --json
)";
}

inline std::string help_text(const command& of) {
  const std::vector<tool::option<options>> table = options_named(of.all_options());
  std::string out = mortise::concat("usage: mortise-image ", of.name, " [OPTIONS]", of.operands.empty() ? "" : " ",
                                    of.operands, "\n\n");
  out += static_cast<char>(of.help.front() ^ 0x20);
  mortise::append(out, of.help.substr(1), ".\n", of.more.empty() ? "" : "\n", of.more, "\nOPTIONS\n");
  tool::append_help<options>(out, table);
  return out;
}

}  // namespace mortise_image

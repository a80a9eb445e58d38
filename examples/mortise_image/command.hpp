// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// mortise-image's commands: one table from which they are chosen, checked and explained.

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <mortise/base/status.hpp>
#include <mortise/state/paths.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../tool/signals.hpp"
#include "../tool/warnings.hpp"
#include "options.hpp"

namespace mortise_image {

enum exit_code : int { done = 0, failed = 1, misused = 2, by_signal = 128 };

/// What a command works with.
struct session {
  options what;
  tool::signal_relay& signals;
  tool::kept_warnings warnings{};

  [[nodiscard]] tool::source_options sources() const {
    tool::source_options out = what.sources;
    out.cancelled = &signals.cancelled();
    out.warn = warnings.listener();
    out.platform = what.platform;
    return out;
  }

  /// A directory that is a store itself, else the one in which mortise-run keeps images.
  [[nodiscard]] std::string store() const {
    std::string out = what.store.empty() ? mortise::state::default_data_directory() : what.store;
    if (::access(mortise::concat(out, "/version").c_str(), F_OK) != 0) out += "/store";
    return out;
  }
};

inline void say(std::string_view text) {
  std::fprintf(stderr, "mortise-image: %.*s\n", static_cast<int>(text.size()), text.data());
}
/// What was heard so far.
inline void say_warnings(const session& of) {
  for (const std::string& each : of.warnings.take()) say(mortise::concat("warning: ", each));
}

/// Each prints what it found or did, and returns the exit code; a failure is for the caller to tell.
absl::StatusOr<int> pull(const session& of);
absl::StatusOr<int> prefetch(const session& of);
absl::StatusOr<int> list(const session& of);
absl::StatusOr<int> inspect(const session& of);
absl::StatusOr<int> remove(const session& of);
absl::StatusOr<int> pin(const session& of);
absl::StatusOr<int> unpin(const session& of);
absl::StatusOr<int> collect(const session& of);
absl::StatusOr<int> verify(const session& of);
absl::StatusOr<int> measure(const session& of);

struct command {
  std::string_view name;
  std::string_view operands;
  std::size_t least;  ///< operands
  std::size_t most;
  std::string_view options;  ///< names, beside those of groups
  bool pulls;                ///< takes the options of sources
  absl::StatusOr<int> (*run)(const session& of);
  std::string_view help;
  std::string_view more;

  [[nodiscard]] std::string all_options() const {
    return mortise::concat(options, ' ', pulls ? source_options : "", ' ', common_options);
  }
};

inline constexpr std::size_t any_number = 100'000;
inline constexpr command all_commands[] = {
    {"pull", "LOCATION...", 1, any_number, "platform rootless packed artifact jobs settle", true, pull,
     "make images ready to run",
     "Asks what each location means now; fetches, verifies and unpacks what is not there yet, and goes on where a "
     "killed\n"
     "pull ended. Prints the digest of each manifest. Ends at the first location that fails.\n"},
    {"prefetch", "[LOCATION...]", 1, any_number, "file platform rootless packed artifact jobs settle", true, prefetch,
     "the same for later, at the lowest priority",
     "Goes on after locations that fail, and tells of them at the end. Takes processors and disks only while nobody "
     "else\n"
     "wants them.\n"},
    {"ls", "", 0, 0, "", false, list, "list the images that the store knows", ""},
    {"inspect", "LOCATION", 1, 1, "platform tree files", false, inspect,
     "show one: configuration, layers, sizes, files",
     "Asks the store alone, never the place that the image came from. --tree and --files take the place of the rest;\n"
     "with --json, --files adds to it. --platform is one that ls lists.\n"},
    {"rm", "LOCATION...", 1, any_number, "", false, remove, "forget images",
     "For all platforms, and pins too. What only they needed is freed by gc.\n"},
    {"pin", "LOCATION...", 1, any_number, "", false, pin, "keep gc from forgetting images, also ones yet to be pulled",
     ""},
    {"unpin", "LOCATION...", 1, any_number, "", false, unpin, "let gc forget them again", ""},
    {"gc", "", 0, 0, "dry-run keep free older-than drop-blobs", false, collect,
     "free what no image needs, and images by age or size",
     "Without options, only what no image needs goes. Images that are pinned or in use stay. Pulls and launches go on\n"
     "beside it. Exit code 1 tells that --keep or --free could not be met, or that something could not be removed.\n"},
    {"verify", "", 0, 0, "repair", true, verify, "hash everything again",
     "Blobs are hashed, and unpacked layers compared with what their blobs give. Exit code 1 tells that something was\n"
     "damaged, repaired or not.\n"},
    {"du", "", 0, 0, "", false, measure, "show what room images take",
     "Bytes are those of blobs and of files as they were unpacked, not of blocks on the disk. What several images "
     "share\n"
     "counts in full for each of them, and once in the total.\n"},
};

/// A command that was chosen, and what it is to do.
struct wish {
  const command* chosen = nullptr;  ///< null where only help or the version is asked for
  options what;
};

namespace detail {

inline absl::Status misuse(std::string_view why) { return mortise::error(absl::StatusCode::kInvalidArgument, why); }

inline absl::StatusOr<const command*> find_command(std::string_view name) {
  for (const command& each : all_commands)
    if (each.name == name) return &each;
  const auto* const nearest =
      std::min_element(std::begin(all_commands), std::end(all_commands), [name](const command& a, const command& b) {
        return tool::distance(name, a.name) < tool::distance(name, b.name);
      });
  return misuse(mortise::concat(
      "unknown command '", mortise::printable(name), "' (",
      tool::resemble(name, nearest->name) ? mortise::concat("did you mean ", nearest->name) : std::string("see --help"),
      ')'));
}

inline absl::Status check_operands(const wish& of) {
  const std::size_t count = of.what.operands.size();
  const std::string usage = mortise::concat(" (write mortise-image ", of.chosen->name, " [OPTIONS]",
                                            of.chosen->operands.empty() ? "" : " ", of.chosen->operands, ')');
  if (count < of.chosen->least && !of.what.has_file) return misuse(mortise::concat("no location is named", usage));
  if (count > of.chosen->most)
    return misuse(
        mortise::concat("'", mortise::printable(of.what.operands[of.chosen->most]), "' is one word too many", usage));
  return absl::OkStatus();
}

}  // namespace detail

/// Options may stand anywhere; the first other word is the command.
inline absl::StatusOr<wish> parse_command_line(std::span<const char* const> words) {
  wish out;
  std::vector<tool::option<options>> table = options_named(common_options);
  while (!words.empty()) {
    const tool::option_parser<options> parser(table);
    const std::string_view word = words[0];
    std::size_t taken = 1;
    if (parser.is_option(word)) {
      MORTISE_ASSIGN_OR_RETURN(taken, parser.apply(words, out.what));
    } else if (word == "--") {
      out.what.operands.insert(out.what.operands.end(), words.begin() + 1, words.end());
      break;
    } else if (out.chosen == nullptr) {
      MORTISE_ASSIGN_OR_RETURN(out.chosen, detail::find_command(word));
      table = options_named(out.chosen->all_options());
    } else {
      out.what.operands.emplace_back(word);
    }
    if (out.what.help || out.what.version) return out;
    words = words.subspan(taken);
  }
  if (out.chosen == nullptr) return detail::misuse("no command is named (see mortise-image --help)");
  MORTISE_RETURN_IF_ERROR(detail::check_operands(out));
  return out;
}

}  // namespace mortise_image

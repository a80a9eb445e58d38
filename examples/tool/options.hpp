// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A command line's options: tables from which they are parsed, explained, and guessed where they are misspelt.

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mortise/base/status.hpp>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tool {

/// One option, as the parser and --help read it.
template <class Options>
struct option {
  std::string_view name;
  char letter;             ///< or 0
  std::string_view value;  ///< what its value is called; empty where it takes none
  std::string_view help;
  absl::Status (*apply)(Options& to, std::string_view value);
};

inline absl::Status refuse(std::string_view value, std::string_view expected) {
  return mortise::error(absl::StatusCode::kInvalidArgument,
                        mortise::concat('\'', mortise::printable(value), "' is not ", expected));
}

/// Assigns what a value was parsed to, or says what it should be.
template <class Target, class Value>
absl::Status assign(Target& to, std::optional<Value> parsed, std::string_view value, std::string_view expected) {
  if (!parsed) return refuse(value, expected);
  to = *std::move(parsed);
  return absl::OkStatus();
}

/// An option that only turns something on.
template <auto Flag, class Options>
absl::Status turn_on(Options& to, std::string_view /*value*/) {
  to.*Flag = true;
  return absl::OkStatus();
}
template <auto Text, class Options>
absl::Status set_text(Options& to, std::string_view value) {
  if (value.empty()) return refuse(value, "a value: it is empty");
  to.*Text = value;
  return absl::OkStatus();
}

/// A path of the caller's as it reads from everywhere, links followed where it exists.
inline std::string absolute(std::string_view path) {
  const std::unique_ptr<char, decltype(&::free)> resolved(::realpath(std::string(path).c_str(), nullptr), &::free);
  if (resolved != nullptr) return resolved.get();
  if (path.starts_with('/')) return std::string(path);
  const std::unique_ptr<char, decltype(&::free)> here(::getcwd(nullptr, 0), &::free);
  return mortise::concat(here != nullptr ? here.get() : "", '/', path);
}
template <auto Path, class Options>
absl::Status set_directory(Options& to, std::string_view value) {
  if (value.empty()) return refuse(value, "a directory");
  to.*Path = absolute(value);
  return absl::OkStatus();
}

/// How many letters to change, add or leave out to make one word of the other.
inline std::size_t distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t at = 0; at < from.size(); ++at) {
    std::size_t corner = std::exchange(row[0], at + 1);
    for (std::size_t column = 0; column < to.size(); ++column) {
      const std::size_t changed = corner + (from[at] == to[column] ? 0 : 1);
      corner = row[column + 1];
      row[column + 1] = std::min({changed, corner + 1, row[column] + 1});
    }
  }
  return row.back();
}

/// Whether somebody who wrote the one may have meant the other.
inline bool resemble(std::string_view written, std::string_view meant) {
  return distance(written, meant) <= 1 + meant.size() / 3;
}

template <class Options>
std::string spelling(const option<Options>& of) {
  return mortise::concat("--", of.name, of.value.empty() ? "" : " ", of.value);
}

/// A line of help for each option.
template <class Options>
void append_help(std::string& out, std::span<const option<Options>> table) {
  for (const option<Options>& each : table) {
    std::string left = each.letter != 0 ? mortise::concat("  -", each.letter, ", ") : std::string("      ");
    left += spelling(each);
    left.resize(std::max<std::size_t>(left.size() + 1, 32), ' ');
    mortise::append(out, left, each.help, '\n');
  }
}

/// Applies options of one table.
template <class Options>
class option_parser {
 public:
  /// The table must outlive it.
  explicit option_parser(std::span<const option<Options>> table) : table_(table) {}

  /// Whether a word is an option, and not an operand. "-" alone is an operand, and "--" ends the options.
  static bool is_option(std::string_view word) { return word.size() > 1 && word.front() == '-' && word != "--"; }

  /// Applies the option that `words` begins with; returns how many words it took.
  absl::StatusOr<std::size_t> apply(std::span<const char* const> words, Options& to) const {
    const match found = find(words[0]);
    if (found.what == nullptr) return unknown(words[0]);
    const auto wrong = [&](std::string_view why) {
      return mortise::error(
          absl::StatusCode::kInvalidArgument,
          mortise::concat("option --", found.what->name, ' ', why, " (write ", spelling(*found.what), ')'));
    };
    const bool takes_value = !found.what->value.empty();
    if (!takes_value && found.value) return wrong("takes no value");
    const bool in_next = takes_value && !found.value;
    if (in_next && words.size() < 2) return wrong("lacks its value");
    const absl::Status done = found.what->apply(to, in_next ? words[1] : found.value.value_or(""));
    if (!done.ok()) return mortise::annotate(done, mortise::concat("option --", found.what->name));
    return in_next ? 2 : 1;
  }

 private:
  /// An option as it was written, and the value that was written in the same word.
  struct match {
    const option<Options>* what = nullptr;
    std::optional<std::string_view> value;
  };

  match find(std::string_view word) const {
    for (const option<Options>& each : table_) {
      if (word.starts_with("--")) {
        const std::size_t equals = std::min(word.find('='), word.size());
        if (word.substr(2, equals - 2) != each.name) continue;
        return {&each, equals < word.size() ? std::optional(word.substr(equals + 1)) : std::nullopt};
      }
      if (each.letter != 0 && word[1] == each.letter)
        return {&each, word.size() > 2 ? std::optional(word.substr(2)) : std::nullopt};
    }
    return {};
  }

  [[nodiscard]] absl::Status unknown(std::string_view word) const {
    const std::string_view name = word.substr(std::min(word.find_first_not_of('-'), word.size()));
    const auto nearest = std::min_element(table_.begin(), table_.end(), [name](const auto& a, const auto& b) {
      return distance(name, a.name) < distance(name, b.name);
    });
    const bool guess = nearest != table_.end() && resemble(name, nearest->name);
    return mortise::error(
        absl::StatusCode::kInvalidArgument,
        mortise::concat("unknown option '", mortise::printable(word), "' (",
                        guess ? mortise::concat("did you mean ", spelling(*nearest)) : "see --help", ')'));
  }

  std::span<const option<Options>> table_;
};

}  // namespace tool

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What commands print: JSON for programs, tables for people. Needs: RapidJSON (its headers only).

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <mortise/base/text.hpp>
#include <mortise/base/units.hpp>
#include <mortise/image/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise_image {

/// How long the valid UTF-8 sequence is that a text begins with; 0 where there is none.
inline std::size_t utf8_length(std::string_view text) {
  const auto at = [text](std::size_t index) { return static_cast<unsigned char>(text[index]); };
  const unsigned first = at(0);
  const std::size_t length = first < 0x80   ? 1
                             : first < 0xc2 ? 0
                             : first < 0xe0 ? 2
                             : first < 0xf0 ? 3
                             : first < 0xf5 ? 4
                                            : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t index = 1; index < length; ++index)
    if ((at(index) & 0xc0) != 0x80) return 0;
  const bool too_long = (first == 0xe0 && at(1) < 0xa0) || (first == 0xf0 && at(1) < 0x90);
  const bool no_character = (first == 0xed && at(1) > 0x9f) || (first == 0xf4 && at(1) > 0x8f);
  return too_long || no_character ? 0 : length;
}

/// A string of JSON, whatever bytes there are: those that are no UTF-8 become U+FFFD.
inline std::string quoted(std::string_view text) {
  std::string valid;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    valid += length == 0 ? std::string_view("\xef\xbf\xbd") : text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return mortise::image::json::quoted(valid);
}

/// An object of JSON that grows.
class object {
 public:
  object& text(std::string_view name, std::string_view value) { return raw(name, quoted(value)); }
  object& number(std::string_view name, std::uint64_t value) { return raw(name, std::to_string(value)); }
  object& truth(std::string_view name, bool value) { return raw(name, value ? "true" : "false"); }
  object& raw(std::string_view name, std::string_view json) {
    mortise::append(text_, text_.empty() ? "" : ",", quoted(name), ':', json);
    return *this;
  }
  [[nodiscard]] std::string json() const { return mortise::concat('{', text_, '}'); }

 private:
  std::string text_;
};

/// An array of what `each` makes of the elements.
template <class Range, class Each>
std::string array_of(const Range& elements, Each each) {
  std::vector<std::string> texts;
  for (const auto& element : elements) texts.push_back(each(element));
  return mortise::concat('[', mortise::join(texts, ","), ']');
}
template <class Range>
std::string array_of(const Range& texts) {
  return array_of(texts, [](const auto& text) { return quoted(text); });
}

/// Rows below their heads, in columns; no spaces at the ends of lines.
class table {
 public:
  explicit table(std::vector<std::string> heads) { add(std::move(heads)); }
  void add(std::vector<std::string> row) {
    widths_.resize(std::max(widths_.size(), row.size()));
    for (std::size_t at = 0; at < row.size(); ++at) widths_[at] = std::max(widths_[at], row[at].size());
    rows_.push_back(std::move(row));
  }
  [[nodiscard]] std::string text() const {
    std::string out;
    for (const auto& row : rows_) {
      std::string line;
      for (std::size_t at = 0; at < row.size(); ++at)
        mortise::append(line, row[at], std::string(widths_[at] - row[at].size() + 2, ' '));
      line.erase(line.find_last_not_of(' ') + 1);
      mortise::append(out, line, '\n');
    }
    return out;
  }

 private:
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::size_t> widths_;
};

inline std::string size_text(std::uint64_t size) { return mortise::to_text(mortise::bytes{size}); }

/// Untrusted text in full, made printable.
inline std::string shown(std::string_view text) { return mortise::printable(text, std::size_t{1} << 16); }

/// RFC 3339, in UTC.
inline std::string time_text(std::chrono::sys_seconds when) {
  const time_t seconds = when.time_since_epoch().count();
  tm parts{};
  char text[64] = "";
  if (::gmtime_r(&seconds, &parts) != nullptr) ::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

/// Whoever writes all of it looks for errors.
inline void print(std::string_view text) { (void)std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace mortise_image

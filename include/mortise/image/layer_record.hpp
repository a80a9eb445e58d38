// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a store writes beside an unpacked layer: what it is, and whether it would survive a power cut.
///
/// Writing every file of a layer through to the disk would cost many times the unpacking. So a layer is
/// published without that, and its record carries the boot during which it was written: as long as that boot
/// lasts, the kernel's cache is as good as the disk. A store's `settle` syncs the file system once, off the
/// path, and only then says `synced`. A layer that is not synced and from another boot may have lost
/// anything, so it does not count and is unpacked again.

#include <array>
#include <cstddef>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/model/digest.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image {

/// "name value" lines, names in the given order, the last value up to the end of the text: the form of
/// every record in a store. Nothing where a line is missing, malformed or out of order.
template <std::size_t N>
std::optional<std::array<std::string, N>> read_lines(std::string_view text,
                                                     const std::array<std::string_view, N>& names) {
  std::array<std::string, N> out;
  for (std::size_t at = 0; at < N; ++at) {
    const std::size_t end = at + 1 == N ? text.size() - (text.ends_with('\n') ? 1 : 0) : text.find('\n');
    if (end == std::string_view::npos || !text.starts_with(names[at]) || end <= names[at].size()) return std::nullopt;
    if (text[names[at].size()] != ' ') return std::nullopt;
    out[at] = text.substr(names[at].size() + 1, end - names[at].size() - 1);
    text.remove_prefix(end + 1 <= text.size() ? end + 1 : text.size());
  }
  return out;
}

template <std::size_t N>
std::string write_lines(const std::array<std::string_view, N>& names, const std::array<std::string, N>& values) {
  std::string out;
  for (std::size_t at = 0; at < N; ++at) append(out, names[at], ' ', values[at], '\n');
  return out;
}

/// This boot of the machine; empty where the kernel does not say.
inline const std::string& boot_id() {
  static const std::string id = [] {
    auto text = sys::read_file("/proc/sys/kernel/random/boot_id", 64);
    return text.ok() ? text->substr(0, text->find('\n')) : std::string();
  }();
  return id;
}

struct layer_record {
  model::digest diff_id;
  std::optional<model::digest> chain_id;  ///< where the layer holds parts of those below
  bool opaque_root = false;               ///< it hides all layers below
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::string boot;  ///< the boot that wrote it; empty once it is synced

  /// Whether what lies beside it is all there.
  [[nodiscard]] bool holds() const { return boot.empty() || boot == boot_id(); }

  [[nodiscard]] std::string text() const {
    return write_lines(
        names, {std::string(version), diff_id.text(), chain_id ? chain_id->text() : "-", opaque_root ? "opaque" : "-",
                std::to_string(entries), std::to_string(bytes), boot.empty() ? "synced" : boot});
  }

  static std::optional<layer_record> parse(std::string_view text) {
    auto lines = read_lines(text, names);
    if (!lines || (*lines)[0] != version) return std::nullopt;
    auto diff_id = model::digest::parse((*lines)[1]);
    const auto entries = parse_number<std::uint64_t>((*lines)[4]);
    const auto bytes = parse_number<std::uint64_t>((*lines)[5]);
    if (!diff_id.ok() || !entries || !bytes || (*lines)[6].empty()) return std::nullopt;
    layer_record out{*std::move(diff_id), {}, (*lines)[3] == "opaque", *entries, *bytes, std::move((*lines)[6])};
    if (out.boot == "synced") out.boot.clear();
    if ((*lines)[2] == "-") return out;
    auto chain_id = model::digest::parse((*lines)[2]);
    if (!chain_id.ok()) return std::nullopt;
    out.chain_id = *std::move(chain_id);
    return out;
  }

 private:
  static constexpr std::string_view version = "1";
  static constexpr std::array<std::string_view, 7> names{"layer",   "diff-id", "chain-id", "root",
                                                         "entries", "bytes",   "boot"};
};

}  // namespace mortise::image

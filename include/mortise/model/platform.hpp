// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What an image is built for, in the terms of OCI image-index.md, and which of several platforms a host
/// would rather run.

#include <sys/utsname.h>

#include <algorithm>
#include <compare>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mortise::model {

/// An operating system, an architecture and, where that has several, a variant: linux/arm/v7. Empty means
/// that nobody said. Make it by `normalized` or `parse_platform`, so that equal platforms are equal values.
struct platform {
  std::string os;
  std::string architecture;
  std::string variant;
  std::vector<std::string> os_features;  ///< win32k and the like; no feature is known on Linux

  bool operator==(const platform&) const = default;
  /// "linux/arm/v7"
  [[nodiscard]] std::string text() const {
    std::string out = concat(os.empty() ? "unknown" : os, '/', architecture.empty() ? "unknown" : architecture);
    if (!variant.empty()) append(out, '/', variant);
    return out;
  }
};

namespace detail {

inline std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& each : out)
    if (each >= 'A' && each <= 'Z') each = static_cast<char>(each | 0x20);
  return out;
}

struct architecture_alias {
  std::string_view alias, architecture, variant;
};
/// The spellings of uname(2), of Debian and of Rust for what images call otherwise.
inline constexpr architecture_alias architecture_aliases[] = {
    {"x86_64", "amd64", ""}, {"x86-64", "amd64", ""}, {"i386", "386", ""},      {"i486", "386", ""},
    {"i586", "386", ""},     {"i686", "386", ""},     {"aarch64", "arm64", ""}, {"armhf", "arm", "v7"},
    {"armel", "arm", "v6"},  {"armv5l", "arm", "v5"}, {"armv6l", "arm", "v6"},  {"armv7l", "arm", "v7"},
    {"armv8l", "arm", "v8"},
};

/// The level in "v3" or "v9.2": major and minor; 0 and 0 for an empty text; nothing for anything else.
struct variant_level {
  unsigned major_level = 0;
  unsigned minor_level = 0;
};
inline std::optional<variant_level> level_of(std::string_view variant) {
  if (variant.empty()) return variant_level{};
  if (variant.front() != 'v') return std::nullopt;
  variant.remove_prefix(1);
  const std::size_t dot = variant.find('.');
  const auto major = parse_number<unsigned>(variant.substr(0, dot));
  const auto minor =
      dot == std::string_view::npos ? std::optional<unsigned>(0) : parse_number<unsigned>(variant.substr(dot + 1));
  if (!major || !minor || *major > 99 || *minor > 99) return std::nullopt;
  return variant_level{*major, *minor};
}

}  // namespace detail

/// The same platform in the one spelling: x86_64 is amd64, aarch64 is arm64, amd64/v1 and arm64/v8 are what
/// no variant means, arm without a variant is v7.
inline platform normalized(platform from) {
  using detail::lower_case;
  platform to{lower_case(from.os), lower_case(from.architecture), lower_case(from.variant),
              std::move(from.os_features)};
  if (to.os == "macos") to.os = "darwin";
  for (const auto& [alias, architecture, variant] : detail::architecture_aliases) {
    if (to.architecture != alias) continue;
    to.architecture = architecture;
    if (to.variant.empty()) to.variant = variant;
  }
  if (!to.variant.empty() && to.variant.front() >= '0' && to.variant.front() <= '9') to.variant.insert(0, "v");
  if (to.variant.ends_with(".0")) to.variant.resize(to.variant.size() - 2);
  if (to.architecture == "amd64" && to.variant == "v1") to.variant.clear();
  if (to.architecture == "arm64" && to.variant == "v8") to.variant.clear();
  if (to.architecture == "arm" && to.variant.empty()) to.variant = "v7";
  return to;
}

/// What this process runs on: uname(2), and on amd64 the level of the x86-64 psABI that the processor has.
inline platform host_platform() {
  utsname about{};
  ::uname(&about);
  platform host = normalized({"linux", about.machine, "", {}});
#if defined(__x86_64__)
  if (host.architecture == "amd64") {
    if (__builtin_cpu_supports("x86-64-v4"))
      host.variant = "v4";
    else if (__builtin_cpu_supports("x86-64-v3"))
      host.variant = "v3";
    else if (__builtin_cpu_supports("x86-64-v2"))
      host.variant = "v2";
  }
#endif
  return host;
}

/// "linux/arm64/v8", "arm64", "linux/amd64": the operating system may be left out and is Linux then.
inline absl::StatusOr<platform> parse_platform(std::string_view text) {
  const auto refuse = [text](std::string_view why) {
    return error(absl::StatusCode::kInvalidArgument,
                 concat("parse platform '", printable(text, 80), "': ", why, ", as in linux/amd64 or linux/arm/v7"));
  };
  std::vector<std::string_view> parts = split(text, '/');
  for (const std::string_view part : parts) {
    if (part.empty()) return refuse("a part is empty");
    for (const char each : detail::lower_case(part)) {
      const bool good =
          (each >= 'a' && each <= 'z') || (each >= '0' && each <= '9') || each == '_' || each == '.' || each == '-';
      if (!good) return refuse("its parts take letters, digits, '_', '.' and '-'");
    }
  }
  if (parts.empty() || parts.size() > 3) return refuse("it takes os/architecture[/variant]");
  if (parts.size() == 1) parts.insert(parts.begin(), "linux");
  return normalized({std::string(parts[0]), std::string(parts[1]), parts.size() == 3 ? std::string(parts[2]) : "", {}});
}

namespace detail {

/// Ranks among the ARM architectures, after containerd: arm64 v9.x runs all v9 below it and v8 up to
/// x + 5 (v9.0 contains v8.5), then 32-bit v8 down to v5.
inline std::optional<unsigned> arm_rank(const platform& wanted, const platform& offered) {
  const auto most = level_of(wanted.variant.empty() ? "v8" : wanted.variant);
  const auto has = level_of(offered.variant.empty() ? "v8" : offered.variant);
  if (!most || !has) return std::nullopt;
  const unsigned below = most->major_level >= 9 ? most->minor_level + 1 : 0;  // ranks that v9 takes
  if (wanted.architecture == "arm64" && offered.architecture == "arm64") {
    if (has->major_level == 9 && most->major_level == 9 && has->minor_level <= most->minor_level)
      return most->minor_level - has->minor_level;
    const unsigned top = most->major_level == 9 ? most->minor_level + 5 : most->minor_level;
    if (has->major_level == 8 && has->minor_level <= top) return below + top - has->minor_level;
    return std::nullopt;
  }
  if (offered.architecture != "arm" || has->minor_level != 0) return std::nullopt;
  const unsigned ceiling = wanted.architecture == "arm64" ? 8 : most->major_level;
  if (has->major_level < 5 || has->major_level > ceiling) return std::nullopt;
  return (wanted.architecture == "arm64" ? 1000U : 0U) + ceiling - has->major_level;
}

inline std::optional<unsigned> amd64_rank(const platform& wanted, const platform& offered) {
  if (offered.architecture == "386") return offered.variant.empty() ? std::optional<unsigned>(1000) : std::nullopt;
  const auto most = level_of(wanted.variant.empty() ? "v1" : wanted.variant);
  const auto has = level_of(offered.variant.empty() ? "v1" : offered.variant);
  if (offered.architecture != "amd64" || !most || !has) return std::nullopt;
  if (has->minor_level != 0 || has->major_level < 1 || has->major_level > most->major_level) return std::nullopt;
  return most->major_level - has->major_level;
}

}  // namespace detail

/// How well `wanted` runs what is `offered`: 0 is best, nothing is not at all. Both normalised. An image
/// that does not say what it is for comes after every one that does.
inline std::optional<unsigned> rank(const platform& wanted, const platform& offered) {
  if (!offered.os.empty() && offered.os != wanted.os) return std::nullopt;
  for (const std::string& feature : offered.os_features)
    if (std::find(wanted.os_features.begin(), wanted.os_features.end(), feature) == wanted.os_features.end())
      return std::nullopt;
  if (offered.architecture.empty()) return 10000;
  if (wanted.architecture == "amd64") return detail::amd64_rank(wanted, offered);
  if (wanted.architecture == "arm64" || wanted.architecture == "arm") return detail::arm_rank(wanted, offered);
  if (offered.architecture == wanted.architecture && offered.variant == wanted.variant) return 0;
  return std::nullopt;
}

}  // namespace mortise::model

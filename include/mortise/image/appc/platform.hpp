// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Between Appc's labels `os` and `arch` and the platforms of OCI, which name the same things otherwise.

#include <mortise/base/status.hpp>
#include <mortise/model/ac_name.hpp>
#include <mortise/model/platform.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::appc {

namespace detail {

struct architecture_pair {
  std::string_view appc, architecture, variant;
};
/// Where the two differ; all others have one name in both.
inline constexpr architecture_pair architecture_pairs[] = {
    {"i386", "386", ""},     {"aarch64", "arm64", ""}, {"aarch64_be", "arm64be", ""}, {"armv6l", "arm", "v6"},
    {"armv7l", "arm", "v7"}, {"armv7b", "armbe", ""},  {"x86_64", "amd64", ""},
};

}  // namespace detail

/// What an image is for, by its labels. Parts that they do not state are empty: such an image runs anywhere.
inline model::platform platform_of(const model::ac_labels& labels) {
  model::platform out;
  out.os = labels.find("os").value_or("");
  out.architecture = labels.find("arch").value_or("");
  for (const auto& [appc, architecture, variant] : detail::architecture_pairs) {
    if (out.architecture != appc) continue;
    out.architecture = architecture;
    out.variant = variant;
    break;
  }
  return model::normalized(std::move(out));
}

/// Appc's name of a platform's architecture; nothing for one that it has none for.
inline std::optional<std::string> architecture_label(const model::platform& of) {
  for (const auto& [appc, architecture, variant] : detail::architecture_pairs)
    if (architecture == of.architecture && (variant.empty() || variant == of.variant) && appc != "x86_64")
      return std::string(appc);
  for (const std::string_view same : {"amd64", "ppc64", "ppc64le", "s390x"})
    if (of.architecture == same) return std::string(same);
  return std::nullopt;
}

/// `labels`, and of the platform's `os` and `arch` what they do not state: what discovery asks for.
inline model::ac_labels with_platform(const model::ac_labels& labels, const model::platform& wanted) {
  auto all = labels.all();
  const auto add = [&all](std::string_view name, std::string value) {
    all.emplace_back(model::ac_identifier::parse(name).value(), std::move(value));
  };
  const auto architecture = architecture_label(wanted);
  const bool own_os = labels.find("os").has_value();
  if (!own_os) add("os", wanted.os);
  if (architecture && !labels.find("arch") && labels.find("os").value_or(wanted.os) == wanted.os)
    add("arch", *architecture);
  // Only for a system that Appc does not know.
  return model::ac_labels::make(std::move(all)).value_or(labels);
}

}  // namespace mortise::image::appc

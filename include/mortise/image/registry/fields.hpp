// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Looks up header fields of an answer.

#include <mortise/fetch/fetcher.hpp>
#include <mortise/model/platform.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::distribution {

/// The values of all fields of a name, in order; `name` in lower case.
inline std::vector<std::string> fields_named(std::string_view name, std::span<const fetch::header> in) {
  std::vector<std::string> out;
  for (const fetch::header& each : in)
    if (model::detail::lower_case(each.name) == name) out.push_back(each.value);
  return out;
}

/// The value of the first of them; empty where there is none.
inline std::string field_named(std::string_view name, std::span<const fetch::header> in) {
  auto all = fields_named(name, in);
  return all.empty() ? std::string() : std::move(all.front());
}

}  // namespace mortise::image::distribution

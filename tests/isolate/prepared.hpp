// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The plan that isolators make by themselves, as text; needs no privileges.

#include <mortise/detail/compose.hpp>
#include <mortise/model/plan_text.hpp>
#include <string>
#include <string_view>

namespace prepared {

struct no_records : mortise::isolate::recorder {
  absl::Status record(std::string_view, unsigned, std::string) override { return absl::OkStatus(); }
};

template <class... Isolators>
using composed = mortise::detail::composition<mortise::detail::isolators_of<Isolators...>>;

/// The plan for a container "box", or the failure.
template <class... Isolators>
std::string plan_of(typename composed<Isolators...>::settings_type with = {}) {
  composed<Isolators...> all;
  mortise::model::plan plan;
  no_records records;
  const absl::Status status = all.prepare(*mortise::container_id::parse("box"), with, plan, records);
  return status.ok() ? mortise::model::to_text(plan) : std::string(mortise::message(status));
}

}  // namespace prepared

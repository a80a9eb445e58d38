// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a launch asks of one isolator: `memory::limit(64_MiB)` is a value that changes memory's settings, and
/// fits only a container that has `memory`.

#include <utility>

namespace mortise::isolate {

/// One change of an isolator's settings. Isolators offer named functions that make them.
template <class Isolator, class Change>
struct setting {
  using isolator = Isolator;
  Change change;
};

/// `return change<memory>([=](memory::settings& all) { all.limit = size; });`
template <class Isolator, class Change>
constexpr setting<Isolator, Change> change(Change how) {
  return {std::move(how)};
}

}  // namespace mortise::isolate

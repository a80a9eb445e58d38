// SPDX-License-Identifier: Apache-2.0
#include <mortise/fetch/any_of.hpp>
#include <mortise/fetch/file.hpp>

struct mine {
  static constexpr std::array<std::string_view, 1> schemes = {"mine"};
  absl::StatusOr<mortise::fetch::response> fetch(const mortise::fetch::uri& from, const mortise::fetch::request& what,
                                                 mortise::fetch::sink& into) const {
    return mortise::fetch::file().fetch(from, what, into);
  }
};

mortise::fetch::any_of<mine, mortise::fetch::file> fetcher;

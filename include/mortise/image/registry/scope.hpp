// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a token is for: the scopes of distribution's token protocol, "repository:library/busybox:pull".

#include <algorithm>
#include <cstddef>
#include <map>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/model/reference.hpp>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::distribution {

/// One scope: a kind of thing, its name (which may begin with host:port), what is to be done with it.
struct scope {
  std::string type;
  std::string name;
  std::set<std::string, std::less<>> actions;

  /// Fails with INVALID_ARGUMENT for a text that could be read in another way, or as several.
  static absl::StatusOr<scope> parse(std::string_view text) {
    const auto refuse = [text](std::string_view why) {
      return error(absl::StatusCode::kInvalidArgument, concat("parse scope '", printable(text), "': ", why));
    };
    const std::size_t first = text.find(':');
    const std::size_t last = text.rfind(':');
    if (text.size() > 1024) return refuse("it is longer than 1024 bytes");
    if (first == std::string_view::npos || first == last) return refuse("it is not type:name:actions");
    scope out{std::string(text.substr(0, first)), std::string(text.substr(first + 1, last - first - 1)), {}};
    if (!is_type(out.type)) return refuse("its type takes lower-case letters and digits");
    if (!is_name(out.name)) return refuse("its name takes letters, digits and '.', '_', '-', '/', ':'");
    for (const std::string_view each : split(text.substr(last + 1), ',')) {
      if (!is_action(each)) return refuse("its actions take lower-case letters, or are '*'");
      out.actions.emplace(each);
    }
    return out;
  }
  static scope pull(const model::repository_name& name) { return pull(name.path()); }
  /// `repository` as the registry names it, which at a mirror may not be as the reference does.
  static scope pull(std::string_view repository) { return {"repository", std::string(repository), {"pull"}}; }

  [[nodiscard]] std::string text() const { return concat(type, ':', name, ':', join(actions, ",")); }
  bool operator==(const scope&) const = default;

 private:
  static bool is_type(std::string_view text) {
    const std::size_t bracket = text.find('(');
    const auto word = [](std::string_view part) {
      return !part.empty() && model::detail::every(part, [](char c) {
        return model::detail::is_lower(c) || model::detail::is_digit(c);
      });
    };
    if (bracket == std::string_view::npos) return word(text);
    return text.ends_with(')') && word(text.substr(0, bracket)) &&
           word(text.substr(bracket + 1, text.size() - bracket - 2));
  }
  static bool is_name(std::string_view text) {
    return !text.empty() && model::detail::every(text, [](char c) {
      return model::detail::is_alphanumeric(c) ||
             (c != 0 && std::string_view("._-/:").find(c) != std::string_view::npos);
    });
  }
  static bool is_action(std::string_view text) {
    return text == "*" || (!text.empty() && model::detail::every(text, model::detail::is_lower));
  }
};

/// Scopes, sorted and each thing once: equal sets have equal texts, whatever the order they were asked in.
class scope_set {
 public:
  void add(const scope& more) { by_thing_[{more.type, more.name}].insert(more.actions.begin(), more.actions.end()); }
  [[nodiscard]] bool empty() const { return by_thing_.empty(); }
  [[nodiscard]] std::vector<std::string> texts() const {
    std::vector<std::string> out;
    out.reserve(by_thing_.size());
    for (const auto& [thing, actions] : by_thing_) out.push_back(scope{thing.first, thing.second, actions}.text());
    return out;
  }
  /// With spaces between, as OAuth 2 has it.
  [[nodiscard]] std::string text() const { return join(texts(), " "); }
  /// Whether a token for this serves for `other` as well.
  [[nodiscard]] bool covers(const scope_set& other) const {
    return std::all_of(other.by_thing_.begin(), other.by_thing_.end(), [this](const auto& each) {
      const auto mine = by_thing_.find(each.first);
      return mine != by_thing_.end() &&
             std::includes(mine->second.begin(), mine->second.end(), each.second.begin(), each.second.end());
    });
  }
  bool operator==(const scope_set&) const = default;

 private:
  std::map<std::pair<std::string, std::string>, std::set<std::string, std::less<>>> by_thing_;
};

/// What to ask a token for: to pull `repository`, and whatever else the registry's challenge says is needed to read.
/// A challenge that asks for more (push, delete, everything) is not followed: a token that a registry gets to see
/// should be worth no more than the pull. Scopes that cannot be read are passed over, and so are those after the 16th.
inline scope_set scopes_for_pull(std::string_view repository, std::span<const std::string> asked) {
  scope_set out;
  out.add(scope::pull(repository));
  for (const std::string& each : asked.first(std::min<std::size_t>(asked.size(), 16))) {
    auto parsed = scope::parse(each);
    if (!parsed.ok() || !parsed->actions.contains("pull")) continue;
    parsed->actions = {"pull"};
    out.add(*parsed);
  }
  return out;
}

}  // namespace mortise::image::distribution

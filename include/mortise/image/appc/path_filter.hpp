// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Which paths of an Appc image's layer show: App Container specification 0.8.11, "path whitelist".

#include <algorithm>
#include <functional>
#include <memory>
#include <mortise/base/text.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::appc {

/// Which paths of a layer show: those that every whitelist on the way from the layer up to the image lists, and
/// the directories above them. Costs the lists' text once, however many layers share them.
class path_filter {
 public:
  /// Shows everything.
  path_filter() = default;

  /// This one, and the paths of one more whitelist (absolute and normalised); an empty one hides nothing.
  [[nodiscard]] path_filter narrowed(std::vector<std::string> whitelist) const {
    path_filter out = *this;
    if (whitelist.empty()) return out;
    for (std::string& each : whitelist)
      if (each == "/") each.clear();  // the root, as shows() spells it
    std::sort(whitelist.begin(), whitelist.end());
    whitelist.erase(std::unique(whitelist.begin(), whitelist.end()), whitelist.end());
    const auto equal = [&whitelist](const list& each) { return *each == whitelist; };
    if (std::any_of(lists_.begin(), lists_.end(), equal)) return out;
    out.lists_.push_back(std::make_shared<const std::vector<std::string>>(std::move(whitelist)));
    return out;
  }

  /// Whether a path shows, given as "/usr/bin/map"; the root ("/" or "") always does.
  [[nodiscard]] bool shows(std::string_view path) const {
    while (path.ends_with('/')) path.remove_suffix(1);
    return path.empty() ||
           std::all_of(lists_.begin(), lists_.end(), [path](const list& each) { return leads(*each, path); });
  }
  [[nodiscard]] bool shows_all() const { return lists_.empty(); }

  /// All lists as one, sorted, that shows the same: equal for filters that show the same paths. Empty where all shows,
  /// "/" alone where nothing but the root does.
  [[nodiscard]] std::vector<std::string> paths() const {
    if (shows_all()) return {};
    std::vector<std::string> shown;
    for (std::string_view path : *lists_.front()) {
      while (!shows(path)) path = path.substr(0, path.rfind('/'));
      if (!path.empty()) shown.emplace_back(path);
    }
    std::sort(shown.begin(), shown.end());
    shown.erase(std::unique(shown.begin(), shown.end()), shown.end());
    std::vector<std::string> out;
    for (const std::string& each : shown)
      if (!is_above_another(shown, each)) out.push_back(each);
    if (out.empty()) out.emplace_back("/");
    return out;
  }

  /// Whether both hide the same by the same lists, in whatever order.
  bool operator==(const path_filter& other) const { return within(other) && other.within(*this); }

 private:
  using list = std::shared_ptr<const std::vector<std::string>>;

  /// Whether a path is listed or above one that is.
  static bool leads(const std::vector<std::string>& sorted, std::string_view path) {
    return std::binary_search(sorted.begin(), sorted.end(), path, std::less<>{}) || is_above_another(sorted, path);
  }

  static bool is_above_another(const std::vector<std::string>& sorted, std::string_view path) {
    const std::string below = concat(path, '/');
    const auto found = std::lower_bound(sorted.begin(), sorted.end(), below);
    return found != sorted.end() && found->starts_with(below);
  }

  [[nodiscard]] bool within(const path_filter& other) const {
    return std::all_of(lists_.begin(), lists_.end(), [&other](const list& mine) {
      return std::any_of(other.lists_.begin(), other.lists_.end(),
                         [&mine](const list& theirs) { return mine == theirs || *mine == *theirs; });
    });
  }

  std::vector<list> lists_;
};

}  // namespace mortise::image::appc

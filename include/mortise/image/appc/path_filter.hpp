// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Which paths of an Appc image's layer show: App Container specification 0.8.11, "path whitelist".

#include <algorithm>
#include <compare>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <mortise/base/text.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::appc {

/// Which paths of a layer show: those that every whitelist on the way from the layer up to the image lists, and
/// the directories above them. Copies share their text.
class path_filter {
 public:
  /// Shows everything.
  path_filter() = default;

  /// This one, and the paths of one more whitelist (absolute and normalised); an empty one hides nothing.
  /// Costs no more than sorting that whitelist, however long this one's own paths are.
  [[nodiscard]] path_filter narrowed(std::vector<std::string> whitelist) const {
    if (whitelist.empty()) return *this;
    std::vector<std::string> more = outermost(std::move(whitelist));
    if (shown_) more = more.size() < shown_->size() ? common(more, *shown_) : common(*shown_, more);
    if (shown_ && *shown_ == more) return *this;
    path_filter out;
    out.shown_ = std::make_shared<const std::vector<std::string>>(std::move(more));
    return out;
  }

  /// Whether a path shows, given as "/usr/bin/map"; the root ("/" or "") always does.
  [[nodiscard]] bool shows(std::string_view path) const {
    while (path.ends_with('/')) path.remove_suffix(1);
    return path.empty() || shows_all() || leads(*shown_, path);
  }
  [[nodiscard]] bool shows_all() const { return shown_ == nullptr; }

  /// The paths without those that others are below, sorted: equal for filters that show the same. Empty where all
  /// shows, "/" alone where nothing but the root does.
  [[nodiscard]] std::vector<std::string> paths() const {
    if (shows_all()) return {};
    return shown_->empty() ? std::vector<std::string>{"/"} : *shown_;
  }

  /// Whether both hide the same.
  bool operator==(const path_filter& other) const { return std::is_eq(*this <=> other); }
  /// The same for copies.
  [[nodiscard]] const void* identity() const { return shown_.get(); }
  /// Some order, to find filters by.
  std::strong_ordering operator<=>(const path_filter& other) const {
    if (shown_ == other.shown_) return std::strong_ordering::equal;
    if (shows_all() || other.shows_all()) return other.shows_all() <=> shows_all();
    return *shown_ <=> *other.shown_;
  }

 private:
  /// Whether a path is listed or above one that is.
  static bool leads(const std::vector<std::string>& sorted, std::string_view path) {
    return std::binary_search(sorted.begin(), sorted.end(), path, std::less<>{}) || is_above_another(sorted, path);
  }

  static bool is_above_another(const std::vector<std::string>& sorted, std::string_view path) {
    const std::string below = concat(path, '/');
    const auto found = std::lower_bound(sorted.begin(), sorted.end(), below);
    return found != sorted.end() && found->starts_with(below);
  }

  /// Sorted, each once, without the root and without those that are above others.
  static std::vector<std::string> outermost(std::vector<std::string> all) {
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    std::vector<std::string> out;
    for (const std::string& each : all)
      if (!each.empty() && each != "/" && !is_above_another(all, each)) out.push_back(each);
    return out;
  }

  /// What of `few` shows by `many` as well.
  static std::vector<std::string> common(const std::vector<std::string>& few, const std::vector<std::string>& many) {
    std::vector<std::string> out;
    out.reserve(few.size());
    for (const std::string& each : few) out.emplace_back(shown_part(each, many));
    return outermost(std::move(out));
  }

  /// The path, or the lowest directory above it, that leads to one of the list. What is above a directory that leads
  /// there leads there too, so halving finds it: a path may have thousands of components.
  static std::string_view shown_part(std::string_view path, const std::vector<std::string>& sorted) {
    if (leads(sorted, path)) return path;
    std::vector<std::size_t> ends;
    for (std::size_t at = path.find('/', 1); at != std::string_view::npos; at = path.find('/', at + 1))
      ends.push_back(at);
    const auto end = std::partition_point(ends.begin(), ends.end(),
                                          [&](std::size_t to) { return leads(sorted, path.substr(0, to)); });
    return end == ends.begin() ? std::string_view() : path.substr(0, *std::prev(end));
  }

  std::shared_ptr<const std::vector<std::string>> shown_;  ///< as `outermost` makes them; null shows all
};

}  // namespace mortise::image::appc

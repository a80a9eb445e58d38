// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Where one is in the merged tree while a layer's tar is read: the way to an entry's parent.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mortise/archive/entry_path.hpp>
#include <mortise/archive/followed_links.hpp>
#include <mortise/archive/limits.hpp>
#include <mortise/base/status.hpp>
#include <mortise/erofs/tree.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::erofs {

/// Fails with RESOURCE_EXHAUSTED for a layer of so many entries, or a tree, that is larger than is believed, or that
/// with `more` bytes beside it takes more memory than it should.
inline absl::Status check_size(const tree& all, const archive::limits& caps, std::uint64_t entries = 0,
                               std::uint64_t more = 0) {
  constexpr std::uint64_t most = std::uint64_t{512} << 20;
  if (std::max<std::uint64_t>(all.size(), entries) > caps.entries)
    return archive::beyond_limits(concat("more than the ", caps.entries, " entries allowed"));
  if (all.weight() + more > most)
    return error(absl::StatusCode::kResourceExhausted,
                 concat("to index it takes more than ", most, " bytes of memory"));
  return absl::OkStatus();
}

/// Finds directories in the merged tree, for one layer; makes those that its tar only implies. The rules are those by
/// which archive::way makes a layer's own tree, seen from above.
class place_finder {
 public:
  /// With `own_root` the layer's symbolic links to directories are not followed: archive::subtree.
  place_finder(tree& all, std::uint32_t layer, const archive::limits& caps, bool own_root)
      : tree_(all), layer_(layer), limits_(caps), own_root_(own_root) {}

  /// A directory, and whether it hides what lower layers have in it.
  struct place {
    std::uint32_t directory = tree::root;
    bool hides_lower = false;
  };

  /// Another entry of the layer; times of directories that are made on the way.
  void implied_by(std::int64_t seconds, std::uint32_t nanoseconds) {
    ++entries_;
    seconds_ = seconds;
    nanoseconds_ = nanoseconds;
  }

  /// The directory that something is to be put into.
  absl::StatusOr<place> enter(std::string_view path) {
    MORTISE_ASSIGN_OR_RETURN(const auto found, go(std::string(path), false));
    for (std::uint32_t up = found->directory;; up = tree_.names_of(up).parent) {
      tree_.names_of(up).hollow_in = none;
      if (up == tree::root) return *found;
    }
  }

  /// The directory that something is to be hidden in; nothing if it shows nothing of lower layers anyway.
  absl::StatusOr<std::optional<place>> enter_to_hide(std::string_view path) {
    MORTISE_ASSIGN_OR_RETURN(auto found, go(std::string(path), true));
    if (found && found->hides_lower) found.reset();
    return found;
  }

  /// Remembers that this layer deletes a name: below it there is nothing more to hide.
  void note_deleted(std::uint32_t in, std::string_view text) { note(deleted_, in, text); }
  [[nodiscard]] bool is_deleted(std::uint32_t in, const std::string& text) const {
    return deleted_.contains({in, text});
  }

  /// Remembers that this layer has a file of a lower one too, because it links to it.
  void note_copied_up(std::uint32_t in, std::string_view text) { note(copied_up_, in, text); }

  /// About how many bytes of memory it takes to remember.
  [[nodiscard]] std::uint64_t weight() const { return weight_; }

  /// Goes from a place to a directory in it.
  [[nodiscard]] place step(const place& from, std::uint32_t directory) const {
    return {directory, from.hides_lower || tree_.names_of(directory).opaque_in == layer_};
  }

 private:
  using notes = std::set<std::pair<std::uint32_t, std::string>>;

  void note(notes& into, std::uint32_t in, std::string_view text) {
    if (into.emplace(in, text).second) weight_ += 96 + text.size();
  }

  absl::StatusOr<std::optional<place>> go(std::string path, bool to_hide) {
    place at = step({}, tree::root);
    std::string_view rest = path;
    links_.begin();
    while (!rest.empty()) {
      const std::string part(rest.substr(0, rest.find('/')));
      std::string_view after = rest.substr(part.size());
      const name* const found = tree_.find(at.directory, part);
      const bool is_ours = found != nullptr && (found->layer == layer_ || copied_up_.contains({at.directory, part}));
      if (found != nullptr && tree_.at(found->inode).is_directory()) {
        at = step(at, take(at.directory, part, to_hide));
      } else if (to_hide && (is_ours || at.hides_lower || (found == nullptr && is_deleted(at.directory, part)))) {
        return std::optional<place>();
      } else if (is_ours) {
        return error(absl::StatusCode::kInvalidArgument,
                     concat("this layer has a ", tree_.at(found->inode).is_link() ? "symbolic link" : "file",
                            " as its parent '", printable(part), '\''));
      } else if (found != nullptr && tree_.at(found->inode).is_link() && !own_root_) {
        MORTISE_RETURN_IF_ERROR(links_.count(entries_));
        auto next = redirect(at.directory, tree_.target_of(found->inode), after);
        if (!next.ok()) return annotate(next.status(), concat("make its parent '", printable(part), '\''));
        path = *std::move(next);
        rest = path;
        at = step({}, tree::root);
        continue;
      } else {
        MORTISE_RETURN_IF_ERROR(make_implied(at, part));
        if (to_hide) tree_.names_of(at.directory).hollow_in = layer_;
      }
      rest = after.empty() ? after : after.substr(1);
    }
    return std::optional(at);
  }

  /// A directory that a layer has something in is the layer's too.
  std::uint32_t take(std::uint32_t in, const std::string& text, bool to_hide) {
    name& found = tree_.names_of(in).names.find(text)->second;
    if (found.layer != layer_ && to_hide) tree_.names_of(found.inode).hollow_in = layer_;
    found.layer = layer_;
    return found.inode;
  }

  absl::Status make_implied(place& at, const std::string& part) {
    MORTISE_RETURN_IF_ERROR(check_size(tree_, limits_));
    const std::uint32_t made = tree_.add({.seconds = seconds_, .nanoseconds = nanoseconds_, .mode = S_IFDIR | 0755});
    tree_.make_directory(made, at.directory);
    if (is_deleted(at.directory, part)) tree_.names_of(made).opaque_in = layer_;
    tree_.link(at.directory, part, made, layer_);
    at = step(at, made);
    return absl::OkStatus();
  }

  /// Where a lower layer's symbolic link leads an implied parent to: within the layers, by names alone.
  [[nodiscard]] absl::StatusOr<std::string> redirect(std::uint32_t from, std::string_view target,
                                                     std::string_view rest) const {
    std::string base;
    if (!target.starts_with('/')) {
      while (target == ".." || target.starts_with("../")) {
        from = tree_.names_of(from).parent;
        target.remove_prefix(std::min<std::size_t>(target.size(), 3));
      }
      base = path_of(from);
    }
    auto path = archive::entry_path::parse(concat(base, '/', target, rest), limits_);
    if (!path.ok()) return annotate(path.status(), "follow the lower layers' symbolic link");
    return path->text();
  }

  [[nodiscard]] std::string path_of(std::uint32_t which) const {
    std::vector<const std::string*> names;
    for (; which != tree::root; which = tree_.names_of(which).parent) names.push_back(tree_.names_of(which).text);
    std::string out;
    for (auto each = names.rbegin(); each != names.rend(); ++each) append(out, '/', **each);
    return out;
  }

  tree& tree_;
  std::uint32_t layer_;
  const archive::limits& limits_;
  bool own_root_;
  notes deleted_;
  notes copied_up_;
  archive::followed_links links_;
  std::uint64_t entries_ = 0;
  std::uint64_t weight_ = 0;
  std::int64_t seconds_ = 0;
  std::uint32_t nanoseconds_ = 0;
};

}  // namespace mortise::erofs

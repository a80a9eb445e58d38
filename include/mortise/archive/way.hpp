// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The way to an entry's parent: parents that the tar does not name are made as the lower layers have them.

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <mortise/archive/apply_request.hpp>
#include <mortise/archive/cursor.hpp>
#include <mortise/archive/entry.hpp>
#include <mortise/archive/entry_path.hpp>
#include <mortise/archive/followed_links.hpp>
#include <mortise/archive/lower.hpp>
#include <mortise/archive/marks.hpp>
#include <mortise/archive/meter.hpp>
#include <mortise/archive/path_set.hpp>
#include <mortise/archive/writer.hpp>
#include <mortise/base/status.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::archive {

/// Moves the cursor. Everything it is given must outlive it.
class way {
 public:
  way(const apply_request& request, const marks& form, cursor& where, writer& output, meter& used)
      : request_(request), marks_(form), cursor_(where), writer_(output), meter_(used) {}

  /// Goes to a directory that something is to be put into, making what is missing of the way.
  absl::Status enter(std::string_view directory) {
    MORTISE_RETURN_IF_ERROR(go(std::string(directory), false));
    hollow_.erase_way(cursor_.path());
    return absl::OkStatus();
  }

  /// Goes to a directory that something is to be hidden in; false if it shows nothing of lower layers anyway.
  absl::StatusOr<bool> enter_to_hide(std::string_view directory) {
    MORTISE_ASSIGN_OR_RETURN(const bool there, go(std::string(directory), true));
    return there && !cursor_.hides_lower();
  }

  /// A name in the current directory as a path.
  [[nodiscard]] std::string path_of(std::string_view name) const {
    return cursor_.path().empty() ? std::string(name) : concat(cursor_.path(), '/', name);
  }

  /// What the lower layers show at a path.
  absl::StatusOr<std::optional<lower_node>> find_lower(const std::string& path) {
    depends_on_lower_ = true;
    if (!lower_ && request_.lower) {
      MORTISE_ASSIGN_OR_RETURN(const std::span<const int> layers, request_.lower());
      lower_.emplace(layers, marks_);
    }
    return lower_ ? lower_->find(path) : std::optional<lower_node>();
  }

  /// Whether the lower layers have been asked for anything.
  [[nodiscard]] bool depends_on_lower() const { return depends_on_lower_; }

  /// Whether a directory in the current one is only there because whiteouts are in it. It no longer is afterwards.
  bool take_hollow(std::string_view name) { return !hollow_.empty() && hollow_.erase(path_of(name)); }

 private:
  absl::StatusOr<bool> go(std::string directory, bool to_hide) {
    MORTISE_RETURN_IF_ERROR(cursor_.ascend_towards(directory));
    links_.begin();
    while (cursor_.path().size() < directory.size()) {
      std::string_view rest = std::string_view(directory).substr(cursor_.path().size());
      if (rest.front() == '/') rest.remove_prefix(1);
      const std::string part(rest.substr(0, rest.find('/')));
      MORTISE_ASSIGN_OR_RETURN(const step_result step, cursor_.descend(part));
      if (step == step_result::entered) continue;
      // umoci says of a directory that became a link both that, and that its former files are deleted.
      if (to_hide && (step == step_result::not_a_directory || cursor_.hides_lower())) return false;
      if (step == step_result::not_a_directory) MORTISE_RETURN_IF_ERROR(expect_whiteout(part));
      auto link = make_implied(part, step);
      if (!link.ok()) return annotate(link.status(), concat("make its parent '", printable(part), '\''));
      if (*link) {
        MORTISE_RETURN_IF_ERROR(links_.count(meter_.entries()));
        MORTISE_ASSIGN_OR_RETURN(directory, redirect(**link, rest.substr(part.size())));
        MORTISE_RETURN_IF_ERROR(cursor_.ascend_towards(directory));
      } else if (to_hide) {
        MORTISE_RETURN_IF_ERROR(hollow_.insert(cursor_.path()));
      }
    }
    return true;
  }

  /// A directory that must exist because something is in it. It is the lower layers' directory, if they have one
  /// there: what this layer makes of it must look the same. If they have a symbolic link there, its target, except for
  /// a subtree.
  absl::StatusOr<std::optional<std::string>> make_implied(const std::string& name, step_result found) {
    entry about;
    about.type = entry_type::directory;
    about.mode = 0755;
    about.accessed.tv_nsec = about.modified.tv_nsec = UTIME_NOW;
    if (found == step_result::missing && !cursor_.hides_lower()) {
      MORTISE_ASSIGN_OR_RETURN(const auto node, find_lower(path_of(name)));
      const bool followed = node && S_ISLNK(node->about.st_mode) && !request_.only;
      if (node && (S_ISDIR(node->about.st_mode) || followed)) MORTISE_RETURN_IF_ERROR(describe(*node, about));
    }
    if (about.type == entry_type::symbolic_link) return std::move(about.link_target);
    MORTISE_RETURN_IF_ERROR(meter_.count_inode());
    MORTISE_RETURN_IF_ERROR(writer_.make_directory(name, about));
    return std::nullopt;
  }

  /// Where a lower layer's symbolic link, met in the current directory, leads an implied parent to: within the
  /// layers, by names alone. Nothing is looked up through it, so it may lead to what does not exist.
  absl::StatusOr<std::string> redirect(std::string_view target, std::string_view rest) const {
    std::string_view from = target.starts_with('/') ? std::string_view{} : cursor_.path();
    while (target == ".." || target.starts_with("../")) {
      const std::size_t slash = from.rfind('/');
      from = from.substr(0, slash == std::string_view::npos ? 0 : slash);
      target.remove_prefix(std::min<std::size_t>(target.size(), 3));
    }
    auto path = entry_path::parse(concat(from, '/', target, rest), request_.limits);
    absl::Status status = path.status();
    if (status.ok()) status = marks_.expect_no_mark(path->text());
    if (!status.ok()) return annotate(status, "follow the lower layers' symbolic link");
    return path->text();
  }

  absl::Status expect_whiteout(const std::string& name) const {
    struct stat about{};
    MORTISE_ASSIGN_OR_RETURN(const presence found, marks_.find(cursor_.fd(), name, about));
    if (found != presence::there) return absl::OkStatus();
    return error(absl::StatusCode::kInvalidArgument,
                 concat("this layer has a ", S_ISLNK(about.st_mode) ? "symbolic link" : "file", " as its parent '",
                        printable(name), "'"));
  }

  const apply_request& request_;
  marks marks_;
  cursor& cursor_;
  writer& writer_;
  meter& meter_;
  std::optional<lower_lookup> lower_;
  path_set hollow_;
  followed_links links_;
  bool depends_on_lower_ = false;
};

}  // namespace mortise::archive

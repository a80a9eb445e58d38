// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Layers merged into one tree of real files. What an upper layer hides is decided before anything is written,
/// so that nothing is copied twice and nothing is deleted.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/rootfs/copy_inode.hpp>
#include <mortise/rootfs/directory.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <mortise/sys/path.hpp>
#include <mutex>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace mortise::rootfs {

/// One merge. Directories are visited top-down, each with the layers that have a part in it; a layer's links are
/// never followed. A directory is the work of one thread, and where there are many several share them. Memory: the
/// names of one directory for each, the directories still to be visited, and the first name of each file with several.
template <class Format>
class merged_copy {
 public:
  /// Fills `root`, an empty directory, from the layers' directories, top-most first. Leaves behind on failure:
  /// what had been copied.
  static absl::Status run(const std::vector<std::string>& layers, const std::string& root) {
    merged_copy merge;
    MORTISE_ASSIGN_OR_RETURN(merge.root_, sys::open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    directory all;
    for (const auto& each : layers) {
      MORTISE_ASSIGN_OR_RETURN(sys::unique_fd opened, sys::open(each, O_RDONLY | O_DIRECTORY));
      all.layers.push_back(static_cast<std::uint32_t>(merge.layers_.size()));
      merge.layers_.push_back({each, std::move(opened)});
    }
    merge.pending_.push_back(std::move(all));
    return merge.run();
  }

 private:
  struct layer {
    std::string path;  ///< for messages
    sys::unique_fd root;
  };
  /// A name in a directory of the result. Millions may wait, and a path is long: so what they have in common they
  /// share.
  struct directory;
  struct place {
    std::shared_ptr<const directory> parent;  ///< none for the result's root
    std::string name;

    /// Below the root.
    [[nodiscard]] std::string path() const {
      std::vector<std::string_view> names;
      for (const place* each = this; each->parent; each = &each->parent->at) names.push_back(each->name);
      std::string out;
      for (auto each = names.rbegin(); each != names.rend(); ++each) append(out, out.empty() ? "" : "/", *each);
      return out;
    }
  };
  /// A directory of the result, and the layers that have a part in it, top-most first.
  struct directory {
    place at;
    std::vector<std::uint32_t> layers;
  };
  /// What is known of a name while the layers of its directory are read from the top.
  struct name {
    std::vector<std::uint32_t> layers;  ///< that have a part in it, if it is a directory
    bool is_open = false;               ///< whether lower layers may add to it
  };
  /// Where an entry comes from and goes to.
  struct step {
    const std::shared_ptr<const directory>& parent;
    std::uint32_t layer;
    int from;
    int to;
    content_copier& content;  ///< the thread's
  };
  using inode = std::tuple<std::uint32_t, dev_t, ino_t>;  // a layer's own: links do not reach across layers

  absl::Status run() {
    {
      std::vector<std::jthread> helpers;
      work(&helpers);
    }
    MORTISE_RETURN_IF_ERROR(failure_);
    // Last, and the inner ones first: they lock out an owner who is not root.
    for (auto each = late_modes_.rbegin(); each != late_modes_.rend(); ++each) {
      const auto& [at, mode] = *each;
      const std::string path = at.path();
      if (::fchmodat(root_.get(), path.empty() ? "." : path.c_str(), mode, 0) != 0)
        return errno_error(errno, concat("change mode of '", printable(path), '\''));
    }
    return absl::OkStatus();
  }

  /// Takes directories until there are none, nor any in work that could bring more. The first thread gets `helpers`
  /// once it is worth while.
  void work(std::vector<std::jthread>* helpers) {
    content_copier content;
    while (const auto next = take()) {
      give_back(copy_directory(next, content));
      if (helpers != nullptr && helpers->empty() && is_busy()) start(*helpers);
    }
  }

  void start(std::vector<std::jthread>& helpers) {
    constexpr unsigned most = 4;
    const unsigned wanted = std::min(most, std::max(1U, std::thread::hardware_concurrency()));
    while (helpers.size() + 1 < wanted) {
      try {
        helpers.emplace_back([this] { work(nullptr); });
      } catch (const std::system_error&) {
        break;  // fewer threads do it too
      }
    }
  }

  [[nodiscard]] bool is_busy() {
    constexpr std::size_t many = 8;
    const std::lock_guard guard(mutex_);
    return pending_.size() >= many;
  }

  std::shared_ptr<const directory> take() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [this] { return !pending_.empty() || in_work_ == 0 || !failure_.ok(); });
    if (pending_.empty() || !failure_.ok()) return nullptr;
    auto out = std::make_shared<const directory>(std::move(pending_.back()));
    pending_.pop_back();
    ++in_work_;
    return out;
  }

  void give_back(const absl::Status& status) {
    const std::lock_guard guard(mutex_);
    --in_work_;
    if (failure_.ok()) failure_ = status;
    changed_.notify_all();
  }

  absl::Status copy_directory(const std::shared_ptr<const directory>& what, content_copier& content) {
    const std::string path = what->at.path();
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd to, open_below(root_.get(), path));
    std::unordered_map<std::string, name> names;
    sys::unique_fd topmost;
    for (const std::uint32_t each : what->layers) {
      auto from = open_below(layers_[each].root.get(), path);
      if (!from.ok()) return annotate(from.status(), concat("layer '", layers_[each].path, '\''));
      const step here{what, each, from->get(), to.get(), content};
      MORTISE_RETURN_IF_ERROR(sys::for_each_entry(
          from->get(), ".", [&](std::string_view entry, unsigned char) { return merge_entry(here, entry, names); }));
      if (!topmost) topmost = *std::move(from);
    }
    // First of all its own attributes, which nothing below it changes.
    MORTISE_RETURN_IF_ERROR(
        annotate(finish_directory(topmost.get(), to.get(), what->at), concat("copy '", printable(path), '\'')));
    const std::lock_guard guard(mutex_);
    for (auto& [entry, found] : names) {
      if (!found.layers.empty()) pending_.push_back({{what, entry}, std::move(found.layers)});
    }
    changed_.notify_all();
    return absl::OkStatus();
  }

  /// Decides what one layer's entry means, given what higher layers have said about its name.
  absl::Status merge_entry(const step& here, std::string_view entry, std::unordered_map<std::string, name>& names) {
    if (const auto deleted = deleted_by<Format>(entry)) {
      if (!deleted->empty()) names.try_emplace(std::string(*deleted)).first->second.is_open = false;
      return absl::OkStatus();
    }
    const auto [at, is_new] = names.try_emplace(std::string(entry));
    auto& [text, known] = *at;
    if (!is_new && !known.is_open) return absl::OkStatus();
    struct stat about{};
    if (::fstatat(here.from, text.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0) return failure(here, text, errno, "stat");
    if (!S_ISDIR(about.st_mode)) {
      known.is_open = false;
      const bool is_whiteout = S_ISCHR(about.st_mode) && about.st_rdev == 0;
      return is_new && !is_whiteout ? copy_entry(here, text, about) : absl::OkStatus();
    }
    // Writable for us until all that goes into it is there.
    if (is_new && ::mkdirat(here.to, text.c_str(), first_mode(about) | S_IXUSR) != 0)
      return failure(here, text, errno, "make directory");
    known.layers.push_back(here.layer);
    known.is_open = false;
    if (here.layer == here.parent->layers.back()) return absl::OkStatus();
    const auto ends = is_opaque<Format>(concat("/proc/self/fd/", here.from, '/', text));
    known.is_open = ends.ok() && !*ends;
    return describe(here, text, ends.status());
  }

  absl::Status copy_entry(const step& here, const std::string& entry, const struct stat& about) {
    if (about.st_nlink == 1) return describe(here, entry, copy_new(here, entry, about));
    const std::lock_guard guard(links_);  // until a file is whole nobody links to it
    const auto [first, is_new] = first_names_.try_emplace({here.layer, about.st_dev, about.st_ino});
    if (!is_new) {
      if (::linkat(root_.get(), first->second.path().c_str(), here.to, entry.c_str(), 0) == 0) return absl::OkStatus();
      if (errno != EMLINK) return failure(here, entry, errno, "link");
    }
    first->second = {here.parent, entry};
    return describe(here, entry, copy_new(here, entry, about));
  }

  absl::Status copy_new(const step& here, const std::string& entry, const struct stat& about) {
    if (S_ISREG(about.st_mode)) return copy_file(here, entry, about);
    if (S_ISLNK(about.st_mode)) {
      char target[PATH_MAX];
      const ssize_t size = ::readlinkat(here.from, entry.c_str(), target, sizeof target - 1);
      if (size < 0) return errno_error(errno, "read link");
      target[size] = 0;
      if (::symlinkat(target, here.to, entry.c_str()) != 0) return errno_error(errno, "make link");
    } else if (::mknodat(here.to, entry.c_str(), (about.st_mode & S_IFMT) | first_mode(about), about.st_rdev) != 0) {
      return errno_error(errno, "make node");
    }
    constexpr int flags = O_PATH | O_NOFOLLOW;
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd from, sys::open_at(here.from, entry, flags));
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd to, sys::open_at(here.to, entry, flags));
    return copy_attributes<Format>(from.get(), to.get(), about);
  }

  absl::Status copy_file(const step& here, const std::string& entry, const struct stat& about) {
    constexpr int create = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd from, sys::open_at(here.from, entry, O_RDONLY | O_NOFOLLOW));
    MORTISE_ASSIGN_OR_RETURN(sys::unique_fd to, sys::open_at(here.to, entry, create, first_mode(about)));
    MORTISE_RETURN_IF_ERROR(here.content.copy(from.get(), to.get(), about));
    MORTISE_RETURN_IF_ERROR(copy_attributes<Format>(from.get(), to.get(), about));
    return to.close();
  }

  /// All entries are there, so that neither the times change again nor a default ACL reaches them.
  absl::Status finish_directory(int from, int to, const place& at) {
    struct stat about{};
    if (::fstat(from, &about) != 0) return errno_error(errno, "stat");
    const mode_t mode = about.st_mode & 07777;
    if ((mode & S_IRWXU) != S_IRWXU) {
      const std::lock_guard guard(mutex_);
      late_modes_.emplace_back(at, mode);
      about.st_mode |= S_IRWXU;
    }
    return copy_attributes<Format>(from, to, about);
  }

  static absl::StatusOr<sys::unique_fd> open_below(int root, const std::string& path) {
    return sys::open_in_root(root, path.empty() ? "." : path, O_RDONLY | O_DIRECTORY, 0, sys::links::refused);
  }

  absl::Status describe(const step& here, const std::string& entry, const absl::Status& status) const {
    if (status.ok()) return status;
    return annotate(status, concat("copy '", printable(place{here.parent, entry}.path()), "' of layer '",
                                   layers_[here.layer].path, '\''));
  }
  absl::Status failure(const step& here, const std::string& entry, int error, const char* what) const {
    return describe(here, entry, errno_error(error, what));
  }

  sys::unique_fd root_;
  std::vector<layer> layers_;
  std::mutex links_;
  std::map<inode, place> first_names_;

  std::mutex mutex_;  ///< of all below
  std::condition_variable changed_;
  std::vector<directory> pending_;
  std::size_t in_work_ = 0;
  std::vector<std::pair<place, mode_t>> late_modes_;  ///< outer directories before those in them
  absl::Status failure_;
};

}  // namespace mortise::rootfs

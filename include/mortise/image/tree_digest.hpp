// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// One digest of a whole directory tree: two trees with the same one are equal entry by entry. Needs: libcrypto.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/model/digest.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <mortise/sys/path.hpp>
#include <mortise/sys/xattr.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image {

namespace detail {

class tree_hasher {
 public:
  tree_hasher(int root, const std::atomic<bool>* cancelled) : root_(root), cancelled_(cancelled) {}

  /// Goes by paths and not by descriptors: a tree may be deeper than there are any.
  absl::StatusOr<model::digest> run() {
    MORTISE_RETURN_IF_ERROR(add_entry(root_, ".", {}));
    std::vector<waiting> pending{{nullptr, "."}};
    while (!pending.empty()) {
      const auto path = std::make_shared<const std::string>(path_of(pending.back()));
      pending.pop_back();
      auto below = add_directory(*path);
      if (!below.ok()) return annotate(below.status(), concat("read '", printable(*path), '\''));
      for (auto each = below->rbegin(); each != below->rend(); ++each) pending.push_back({path, std::move(*each)});
    }
    return hash_.finish();
  }

 private:
  /// A directory that is still to be read. Millions may be, and a path is long: so they share their parent's.
  struct waiting {
    std::shared_ptr<const std::string> parent;
    std::string name;
  };
  static std::string path_of(const waiting& what) {
    return what.parent == nullptr || *what.parent == "." ? what.name : concat(*what.parent, '/', what.name);
  }

  /// Adds all entries of a directory, in the order of their names; returns the directories among them.
  absl::StatusOr<std::vector<std::string>> add_directory(const std::string& path) {
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd directory,
                             sys::open_in_root(root_, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    std::vector<std::string> names;
    MORTISE_RETURN_IF_ERROR(sys::for_each_entry(directory.get(), ".", [&](std::string_view name, unsigned char) {
      names.emplace_back(name);
      return absl::OkStatus();
    }));
    std::sort(names.begin(), names.end());
    std::vector<std::string> directories;
    for (std::string& name : names) {
      if (cancelled_ != nullptr && cancelled_->load(std::memory_order_relaxed))
        return error(absl::StatusCode::kCancelled, "cancelled");
      const std::string below = path == "." ? name : concat(path, '/', name);
      MORTISE_RETURN_IF_ERROR(add_entry(directory.get(), name, below));
      if (is_directory_) directories.push_back(std::move(name));
    }
    return directories;
  }

  /// Lengths come before texts, so that no two trees are written alike.
  void add(std::string_view text) {
    const std::string size = concat(text.size(), ':');
    hash_.update(std::as_bytes(std::span(size)));
    hash_.update(std::as_bytes(std::span(text)));
  }

  absl::Status add_entry(int directory, const std::string& name, const std::string& path) {
    struct stat about{};
    if (::fstatat(directory, name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0) return errno_error(errno, "stat");
    is_directory_ = S_ISDIR(about.st_mode);
    add(path);
    if (S_ISCHR(about.st_mode) && about.st_rdev == 0) return add("whiteout"), absl::OkStatus();
    std::string line = concat(about.st_mode, ' ', about.st_uid, ':', about.st_gid, ' ', about.st_rdev);
    if (!path.empty()) append(line, ' ', about.st_mtim.tv_sec, '.', about.st_mtim.tv_nsec);
    // A directory's link count and size are the file system's affair.
    if (!is_directory_) append(line, ' ', about.st_nlink, ' ', about.st_size);
    add(line);
    MORTISE_RETURN_IF_ERROR(add_attributes(directory, name));
    if (S_ISLNK(about.st_mode)) return add_target(directory, name, static_cast<std::size_t>(about.st_size));
    return S_ISREG(about.st_mode) ? add_content(directory, name) : absl::OkStatus();
  }

  absl::Status add_attributes(int directory, const std::string& name) {
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd node, sys::open_at(directory, name, O_PATH | O_NOFOLLOW));
    MORTISE_ASSIGN_OR_RETURN(auto names, sys::list_xattrs(node.get()));
    std::sort(names.begin(), names.end());
    for (const std::string& each : names) {
      MORTISE_ASSIGN_OR_RETURN(const std::string value, sys::get_xattr(node.get(), each));
      add(each);
      add(value);
    }
    return absl::OkStatus();
  }

  absl::Status add_target(int directory, const std::string& name, std::size_t size) {
    std::string target(size + 1, '\0');
    const ssize_t got = ::readlinkat(directory, name.c_str(), target.data(), target.size());
    if (got < 0) return errno_error(errno, "read link");
    add(std::string_view(target).substr(0, static_cast<std::size_t>(got)));
    return absl::OkStatus();
  }

  absl::Status add_content(int directory, const std::string& name) {
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd file,
                             sys::open_at(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    if (buffer_.empty()) buffer_.resize(std::size_t{256} << 10);
    for (;;) {
      MORTISE_ASSIGN_OR_RETURN(const std::size_t got, sys::read_some(file.get(), buffer_));
      if (got == 0) return absl::OkStatus();
      hash_.update(std::span(buffer_).first(got));
    }
  }

  int root_;
  const std::atomic<bool>* cancelled_;
  digest::openssl hash_;
  std::vector<std::byte> buffer_;
  bool is_directory_ = false;  ///< what add_entry saw last
};

}  // namespace detail

/// Of names, types, modes, owners, sizes, devices, link counts, times of change to the nanosecond, targets of links,
/// extended attributes and contents. Not of the root's own time, nor of those of whiteouts, which say when a layer was
/// unpacked. Nobody may change the tree meanwhile.
/// Fails with CANCELLED, or an errno; the message names the path within the tree.
inline absl::StatusOr<model::digest> tree_digest(int root, const std::atomic<bool>* cancelled = nullptr) {
  return detail::tree_hasher(root, cancelled).run();
}

/// Whether two trees are equal. What cannot be read of the second is not what it was; of the first it is a failure.
inline absl::StatusOr<bool> same_tree(int right, int other, const std::atomic<bool>* cancelled) {
  MORTISE_ASSIGN_OR_RETURN(const auto wanted, tree_digest(right, cancelled));
  const auto actual = tree_digest(other, cancelled);
  if (absl::IsCancelled(actual.status())) return actual.status();
  return actual.ok() && *actual == wanted;
}

}  // namespace mortise::image

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The directory of a store: its version, its parts, and how something becomes part of it, whole or not at all.
///
///   version                    "2"
///   blobs/<algorithm>/<hex>    manifests, configurations, and layers that came from elsewhere: verified again
///                              whenever they are read
///   partial/<algorithm>-<hex>  what there is of a blob that is being fetched, or was by a process that was killed
///   layers/<format>/<hex>/     unpacked layers by diff ID: `tree` and its `record`
///   chains/<format>/<hex>/     the same by chain ID, for layers that took something from those below
///   images/<hex>               what a location was resolved to; its time of modification is that of its last use
///   pins/<hex>                 locations that the collector leaves alone
///   leases/<name>              what is in use: lease.hpp
///   gate                       locked for a moment by who takes a lease or collects: lease.hpp
///   staging/<name>/            work of a living process, which holds a lock on it
///   locks/<name>               held while a layer is made

#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/image/file_lock.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/image/source.hpp>
#include <mortise/model/descriptor.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <mortise/sys/ownership.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::image {

/// Work in progress: a directory that disappears with this object, and whose remains, were this process
/// killed, the next one to open the store removes.
class staging {
 public:
  staging(staging&& other) noexcept = default;
  staging& operator=(staging&&) = delete;
  ~staging() {
    if (directory_) (void)sys::remove_tree_at(parent_, name_);
  }

  /// Makes one in the directory `parent`, which must outlive it.
  static absl::StatusOr<staging> create(int parent) {
    for (;;) {
      std::uint64_t random = 0;
      while (::getrandom(&random, sizeof random, 0) != static_cast<ssize_t>(sizeof random)) {
      }
      const std::string name = concat(::getpid(), '-', random);
      if (::mkdirat(parent, name.c_str(), 0700) != 0) {
        if (errno == EEXIST) continue;
        return errno_error(errno, "make staging directory");
      }
      MORTISE_ASSIGN_OR_RETURN(auto locked, lock(parent, name));
      if (locked) return staging(parent, name, *std::move(locked));
    }
  }

  /// Removes what dead processes left in `parent`. What cannot be removed stays for the next time.
  static void sweep(int parent) {
    (void)sys::for_each_entry(parent, ".", [parent](std::string_view entry, unsigned char) {
      const std::string name(entry);
      const auto locked = lock(parent, name);
      if (locked.ok() && *locked) (void)sys::remove_tree_at(parent, name);
      return absl::OkStatus();
    });
  }

  [[nodiscard]] int fd() const { return directory_.get(); }

 private:
  staging(int parent, std::string name, sys::unique_fd directory)
      : parent_(parent), name_(std::move(name)), directory_(std::move(directory)) {}

  /// The locked directory; nothing where another has the lock or it was swept between making and locking.
  static absl::StatusOr<std::optional<sys::unique_fd>> lock(int parent, const std::string& name) {
    auto directory = sys::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (absl::IsNotFound(directory.status())) return std::optional<sys::unique_fd>{};
    if (!directory.ok()) return directory.status();
    MORTISE_ASSIGN_OR_RETURN(const bool locked, try_lock(directory->get()));
    if (!locked || !is_still(directory->get(), parent, name)) return std::optional<sys::unique_fd>{};
    return std::optional<sys::unique_fd>(*std::move(directory));
  }

  int parent_;
  std::string name_;
  sys::unique_fd directory_;
};

/// Opened once, used by any number of threads.
class store_directory {
 public:
  static constexpr std::string_view version = "2";

  /// Makes what is missing, and removes what killed processes left.
  /// Fails with FAILED_PRECONDITION for a store of another version or a directory that holds other things,
  /// PERMISSION_DENIED for one that is not the caller's alone: who can write to a store is believed.
  static absl::StatusOr<store_directory> open(const std::string& path) {
    auto out = open_parts(path);
    if (!out.ok()) return annotate(out.status(), concat("open image store '", path, '\''));
    staging::sweep(out->staging_.get());
    out->sweep_locks();
    return out;
  }

  /// Absolute, without symbolic links.
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string staging_path() const { return concat(path_, "/staging"); }
  [[nodiscard]] int fd() const { return root_.get(); }
  [[nodiscard]] int locks() const { return locks_.get(); }
  [[nodiscard]] absl::StatusOr<staging> stage() const { return staging::create(staging_.get()); }

  /// Puts a file where readers find all of it or nothing. What is there is replaced. Unless it is `durable` a power cut
  /// may leave anything in its place: for content that is verified whenever it is read.
  absl::Status publish_file(const staging& through, const std::string& name, std::string_view content,
                            bool durable = true) const {
    const std::string temporary = concat("file-", names_->fetch_add(1));
    MORTISE_ASSIGN_OR_RETURN(auto file, sys::open_at(through.fd(), temporary, O_WRONLY | O_CREAT | O_EXCL, 0600));
    absl::Status status = sys::write_all(file.get(), content);
    if (status.ok() && durable && ::fsync(file.get()) != 0) status = errno_error(errno, "fsync");
    status = first_error(std::move(status), file.close());
    if (status.ok() && ::renameat(through.fd(), temporary.c_str(), root_.get(), name.c_str()) != 0)
      status = errno_error(errno, "rename");
    if (status.ok() && durable) status = sync_directory(name.substr(0, name.rfind('/')));
    return annotate(status, concat("write '", path_, '/', name, '\''));
  }

  /// Moves a finished directory of `through` to its place. False where somebody else's was there first.
  [[nodiscard]] absl::StatusOr<bool> publish_directory(const staging& through, const std::string& from,
                                                       const std::string& name) const {
    if (::renameat(through.fd(), from.c_str(), root_.get(), name.c_str()) == 0) return true;
    if (errno == ENOTEMPTY || errno == EEXIST) return false;
    return errno_error(errno, concat("publish '", path_, '/', name, '\''));
  }

  static std::string blob_name(const model::digest& of) {
    return concat("blobs/", name_of(of.algorithm()), '/', of.hex());
  }
  static std::string partial_name(const model::digest& of) {
    return concat("partial/", name_of(of.algorithm()), '-', of.hex());
  }

 private:
  store_directory(std::string path, sys::unique_fd root)
      : path_(std::move(path)), root_(std::move(root)), names_(std::make_unique<std::atomic<std::uint64_t>>(0)) {}

  static absl::StatusOr<store_directory> open_parts(const std::string& path) {
    MORTISE_RETURN_IF_ERROR(make_root(path));
    const std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), &::free);
    if (real == nullptr) return errno_error(errno, "resolve its path");
    MORTISE_RETURN_IF_ERROR(sys::expect_own_directory(real.get()));
    MORTISE_ASSIGN_OR_RETURN(sys::unique_fd root, sys::open(real.get(), O_RDONLY | O_DIRECTORY));
    store_directory out(real.get(), std::move(root));
    MORTISE_RETURN_IF_ERROR(out.check_version());
    for (const char* const part : {"blobs/sha256", "blobs/sha512", "partial", "layers", "chains", "images", "pins",
                                   "leases", "staging", "locks"})
      MORTISE_RETURN_IF_ERROR(sys::make_directories(part, 0700, out.fd()));
    MORTISE_ASSIGN_OR_RETURN(out.staging_, sys::open_at(out.fd(), "staging", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    MORTISE_ASSIGN_OR_RETURN(out.locks_, sys::open_at(out.fd(), "locks", O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    return out;
  }

  /// Only the last directory is ours alone: layers hold set-user-ID programs that no other user may reach.
  static absl::Status make_root(const std::string& path) {
    const std::size_t slash = path.find_last_of('/');
    if (slash != std::string::npos && slash > 0) MORTISE_RETURN_IF_ERROR(sys::make_directories(path.substr(0, slash)));
    return sys::make_directories(path, 0700);
  }

  /// A directory without a version becomes a store if it is empty. Processes that open a new one at once may
  /// see each other's first steps, hence the second look.
  absl::Status check_version() {
    MORTISE_ASSIGN_OR_RETURN(bool known, has_version());
    if (known) return absl::OkStatus();
    const absl::Status empty = sys::for_each_entry(root_.get(), ".", [](std::string_view name, unsigned char) {
      if (name == "version" || name.starts_with(".version.")) return absl::OkStatus();
      return error(absl::StatusCode::kFailedPrecondition,
                   concat("it is no store, and holds '", printable(name), "' (name an empty directory)"));
    });
    MORTISE_ASSIGN_OR_RETURN(known, has_version());
    if (known) return absl::OkStatus();
    MORTISE_RETURN_IF_ERROR(empty);
    return sys::replace_file_at(root_.get(), "version", concat(version, '\n'), true);
  }

  /// False where there is none; an error where it is one that this library does not know. Version 1 lacks parts that
  /// are made where they are missing, and its library kept no leases: it must not go on with a store that is collected.
  [[nodiscard]] absl::StatusOr<bool> has_version() const {
    const auto text = sys::read_file_at(root_.get(), "version", 64);
    if (absl::IsNotFound(text.status())) return false;
    if (!text.ok()) return text.status();
    if (*text == concat(version, '\n')) return true;
    if (*text == "1\n") {
      MORTISE_RETURN_IF_ERROR(sys::replace_file_at(root_.get(), "version", concat(version, '\n'), true));
      return true;
    }
    return error(absl::StatusCode::kFailedPrecondition,
                 concat("its version is '", printable(text->substr(0, text->find('\n'))), "', this library reads ",
                        version, " (use a library that knows it, or another directory)"));
  }

  void sweep_locks() const {
    (void)sys::for_each_entry(locks_.get(), ".", [this](std::string_view name, unsigned char) {
      (void)file_lock::try_acquire(locks_.get(), std::string(name));  // taken and dropped: gone
      return absl::OkStatus();
    });
  }

  [[nodiscard]] absl::Status sync_directory(const std::string& name) const {
    MORTISE_ASSIGN_OR_RETURN(const auto directory, sys::open_at(root_.get(), name, O_RDONLY | O_DIRECTORY));
    return ::fsync(directory.get()) == 0 ? absl::OkStatus() : errno_error(errno, "fsync directory");
  }

  std::string path_;
  sys::unique_fd root_, staging_, locks_;
  std::unique_ptr<std::atomic<std::uint64_t>> names_;
};

/// The store's own blobs as an origin, so that what was resolved once is read back by the same code.
class stored_blobs : public origin {
 public:
  stored_blobs(const store_directory& store, model::descriptor root) : store_(store), root_(std::move(root)) {}
  absl::StatusOr<std::vector<model::descriptor>> roots() override { return std::vector<model::descriptor>{root_}; }
  absl::StatusOr<std::unique_ptr<reader>> open_blob(const model::descriptor& blob) override {
    MORTISE_ASSIGN_OR_RETURN(file_section found, open_file(store_.fd(), store_directory::blob_name(blob.digest)));
    return std::make_unique<section_reader>(std::move(found));
  }

 private:
  const store_directory& store_;
  model::descriptor root_;
};

}  // namespace mortise::image

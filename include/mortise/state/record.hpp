// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The record of one container: what it has made or is about to make, so that whoever comes after a crash
/// can free it. Written without a library; read by state/recover.hpp.
///
/// STATE/ID/lock     held (flock(2)) by the launcher, and by its child until exec
/// STATE/ID/record   JSON, replaced by rename at every step
/// STATE/ID/process  /proc/PID/stat of the container's first process, written by itself before all else

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <mortise/base/id.hpp>
#include <mortise/base/status.hpp>
#include <mortise/state/paths.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::state {

/// Of the record's form. A newer one is refused by name, an older one upgraded.
inline constexpr unsigned record_version = 1;

/// How far a container is. Each is written before the step that it names begins; `running` after the spawn.
enum class phase : unsigned char { provisioning, preparing, spawning, running, destroying };

constexpr std::string_view name_of(phase which) {
  constexpr std::string_view names[] = {"provisioning", "preparing", "spawning", "running", "destroying"};
  return names[static_cast<std::size_t>(which)];
}

/// What an isolator has written of itself.
struct isolator_record {
  std::string name;
  unsigned version;
  std::string text;
};

/// All that a record says.
struct contents {
  unsigned version = record_version;
  std::string id;
  std::string boot;  ///< boot id of the machine when it was written
  std::string phase;
  std::string backend;                     ///< of the rootfs
  std::string directory;                   ///< of the rootfs
  std::vector<isolator_record> isolators;  ///< in the order of prepares
};

namespace detail {

/// A JSON string of any bytes: those that are not printable ASCII become \u00XX.
inline void append_json(std::string& out, std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  out.push_back('"');
  for (const char each : text) {
    const auto byte = static_cast<unsigned char>(each);
    if (byte < 0x20 || byte >= 0x7f) {
      append(out, "\\u00", hex[byte >> 4], hex[byte & 15]);
    } else {
      if (each == '"' || each == '\\') out.push_back('\\');
      out.push_back(each);
    }
  }
  out.push_back('"');
}

inline std::string to_json(const contents& what) {
  std::string out = concat("{\"version\":", what.version);
  for (const auto& [key, value] :
       {std::pair{",\"id\":", &what.id}, std::pair{",\"boot\":", &what.boot}, std::pair{",\"phase\":", &what.phase},
        std::pair{",\"backend\":", &what.backend}, std::pair{",\"directory\":", &what.directory}}) {
    append(out, key);
    append_json(out, *value);
  }
  append(out, ",\"isolators\":[");
  for (const auto& each : what.isolators) {
    append(out, out.back() == '[' ? "" : ",", "{\"name\":");
    append_json(out, each.name);
    append(out, ",\"version\":", each.version, ",\"record\":");
    append_json(out, each.text);
    out.push_back('}');
  }
  append(out, "]}\n");
  return out;
}

}  // namespace detail

/// Takes the lock of a whole state directory: making and taking over records exclude each other.
inline absl::StatusOr<sys::unique_fd> lock_state(const std::string& state) {
  MORTISE_ASSIGN_OR_RETURN(sys::unique_fd lock, sys::open(concat(state, "/lock"), O_RDWR | O_CREAT, 0600));
  while (::flock(lock.get(), LOCK_EX) != 0)
    if (errno != EINTR) return errno_error(errno, concat("lock state '", state, '\''));
  return lock;
}

/// Removes STATE/ID. Under the lock of the state, so that nobody takes over what is half gone, or removes by the same
/// name what was made after.
inline absl::Status remove_record(const std::string& path) {
  MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd all, lock_state(path.substr(0, path.rfind('/'))));
  for (const char* const each : {"/process", "/record", "/lock"}) ::unlink((path + each).c_str());
  if (::rmdir(path.c_str()) == 0) return absl::OkStatus();
  return sys::remove_tree(path);  // there is more: what a crash left of a write
}

/// The record of a container of this process, locked as long as the object lives. Moves, never copies; its
/// destructor leaves the record for recovery.
class record {
 public:
  /// Makes STATE/ID with a first record. Fails with ALREADY_EXISTS if a container of this id is recorded,
  /// running or waiting for recovery. Leaves behind on failure: nothing.
  static absl::StatusOr<record> create(const std::string& state, const container_id& id, std::string_view backend,
                                       std::string directory) {
    MORTISE_ASSIGN_OR_RETURN(std::string boot, boot_id());
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd all, lock_state(state));
    record made(concat(state, '/', id.text()));
    if (::mkdir(made.path_.c_str(), 0700) != 0) {
      if (errno != EEXIST) return errno_error(errno, concat("make directory '", made.path_, '\''));
      return error(absl::StatusCode::kAlreadyExists,
                   concat("create container '", id.text(), "': the id is in use (choose another, or recover)"));
    }
    made.contents_ = {record_version,
                      id.text(),
                      std::move(boot),
                      std::string(name_of(phase::provisioning)),
                      std::string(backend),
                      std::move(directory),
                      {}};
    absl::Status status = made.open_files();
    if (status.ok()) return made;
    (void)sys::remove_tree(made.path_);
    return status;
  }

  /// Writes that a step is about to begin, or, of `running`, that it has succeeded. A container that runs, of which
  /// there may be thousands, keeps one descriptor here: the lock.
  absl::Status enter(phase which) {
    contents_.phase = name_of(which);
    absl::Status status = write();
    if (which == phase::running) {
      process_.reset();
      directory_.reset();
    }
    return status;
  }

  /// Writes or replaces an isolator's own record.
  absl::Status set(std::string_view isolator, unsigned version, std::string text) {
    for (auto& each : contents_.isolators) {
      if (each.name != isolator) continue;
      each.version = version;
      each.text = std::move(text);
      return write();
    }
    contents_.isolators.push_back({std::string(isolator), version, std::move(text)});
    return write();
  }

  /// Where the child writes who it is: an open file, until the container is running.
  [[nodiscard]] int process() const { return process_.get(); }

  /// Removes the record: nothing is left to be recovered.
  absl::Status remove() {
    absl::Status status = remove_record(path_);
    lock_.reset();
    process_.reset();
    return status;
  }

 private:
  explicit record(std::string path) : path_(std::move(path)) {}

  absl::Status open_files() {
    MORTISE_ASSIGN_OR_RETURN(directory_, sys::open(path_, O_RDONLY | O_DIRECTORY));
    MORTISE_ASSIGN_OR_RETURN(lock_, sys::open_at(directory_.get(), "lock", O_RDWR | O_CREAT, 0600));
    if (::flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) return errno_error(errno, concat("lock '", path_, '\''));
    MORTISE_ASSIGN_OR_RETURN(process_, sys::open_at(directory_.get(), "process", O_RDWR | O_CREAT, 0600));
    struct statfs about{};
    durable_ = ::fstatfs(directory_.get(), &about) != 0 || about.f_type != TMPFS_MAGIC;
    return write();
  }

  absl::Status write() {
    if (!directory_) {
      MORTISE_ASSIGN_OR_RETURN(directory_, sys::open(path_, O_RDONLY | O_DIRECTORY));
    }
    return annotate(sys::replace_file_at(directory_.get(), "record", detail::to_json(contents_), durable_, 0600),
                    concat("record container '", contents_.id, '\''));
  }

  std::string path_;
  contents contents_;
  bool durable_ = true;  ///< a state directory on disk is fsynced, one on tmpfs does not outlive the machine anyway
  sys::unique_fd directory_;
  sys::unique_fd lock_;
  sys::unique_fd process_;
};

}  // namespace mortise::state

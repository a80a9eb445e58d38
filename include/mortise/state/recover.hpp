// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Finds what launchers that died have left, and has it freed. Needs: RapidJSON.

// RapidJSON 1.1 adds to a null pointer where a stack is still empty: harmless, and not ours to be stopped by.
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpragma-clang-attribute"  // where another header has included it before
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#endif
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang diagnostic pop
#endif
#include <sys/file.h>

#include <chrono>
#include <csignal>
#include <mortise/base/status.hpp>
#include <mortise/state/record.hpp>
#include <mortise/sys/file.hpp>
#include <mortise/sys/process.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::state {

namespace detail {

/// JSON strings came from bytes as \u00XX (state/record.hpp): two bytes of UTF-8 each, made one again.
inline std::string to_bytes(std::string_view utf8) {
  std::string out;
  for (std::size_t at = 0; at < utf8.size(); ++at) {
    const auto byte = static_cast<unsigned char>(utf8[at]);
    if ((byte & 0xfeU) == 0xc2U && at + 1 < utf8.size()) {
      out.push_back(static_cast<char>((byte & 3U) << 6 | (static_cast<unsigned char>(utf8[++at]) & 0x3fU)));
    } else {
      out.push_back(utf8[at]);
    }
  }
  return out;
}

/// Builds contents from the events of RapidJSON's reader, which names its functions. What it does not know it
/// passes over: a newer record is to be told from a damaged one.
class record_builder : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, record_builder> {
 public:
  explicit record_builder(contents& to) : to_(to) {}

  bool Key(const char* text, rapidjson::SizeType size, bool) {
    key_.assign(text, size);
    return true;
  }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    if (std::string* const member = find_text()) *member = to_bytes({text, size});
    return true;
  }
  bool Uint(unsigned value) {
    if (key_ != "version") return true;
    if (depth_ == 1) to_.version = value;
    if (in_isolator()) to_.isolators.back().version = value;
    return true;
  }
  bool StartObject() {
    ++depth_;
    if (in_isolator()) to_.isolators.push_back({{}, 0, {}});
    return true;
  }
  bool EndObject(rapidjson::SizeType) { return leave(); }
  bool StartArray() {
    ++depth_;
    if (depth_ == 2) in_isolators_ = key_ == "isolators";
    return true;
  }
  bool EndArray(rapidjson::SizeType) { return leave(); }

 private:
  [[nodiscard]] bool in_isolator() const { return in_isolators_ && depth_ == 3; }

  bool leave() {
    --depth_;
    if (depth_ < 2) in_isolators_ = false;
    return true;
  }

  std::string* find_text() {
    if (in_isolator()) {
      isolator_record& isolator = to_.isolators.back();
      return key_ == "name" ? &isolator.name : key_ == "record" ? &isolator.text : nullptr;
    }
    if (depth_ != 1) return nullptr;
    for (const auto& [key, value] :
         {std::pair{"id", &to_.id}, std::pair{"boot", &to_.boot}, std::pair{"phase", &to_.phase},
          std::pair{"backend", &to_.backend}, std::pair{"directory", &to_.directory}})
      if (key_ == key) return value;
    return nullptr;
  }

  contents& to_;
  std::string key_;
  unsigned depth_ = 0;
  bool in_isolators_ = false;
};

/// Whether everything that every record says is said.
inline bool is_complete(const contents& what) {
  bool complete = what.version != 0;
  for (const auto* each : {&what.id, &what.boot, &what.phase, &what.backend, &what.directory})
    complete = complete && !each->empty();
  for (const auto& each : what.isolators) complete = complete && !each.name.empty() && each.version != 0;
  return complete;
}

}  // namespace detail

/// Reads a record. Fails with DATA_LOSS if it is no record of ours, FAILED_PRECONDITION if it is of a newer
/// version of mortise than this.
inline absl::StatusOr<contents> parse_record(std::string_view text) {
  contents out;
  out.version = 0;
  detail::record_builder building(out);
  rapidjson::MemoryStream stream(text.data(), text.size());
  rapidjson::Reader reader;
  const bool parsed = !reader.Parse<rapidjson::kParseIterativeFlag>(stream, building).IsError();
  if (parsed && out.version > record_version) {
    return error(absl::StatusCode::kFailedPrecondition,
                 concat("read record: its version ", out.version, " is newer than this library's ", record_version,
                        " (recover with a newer mortise)"));
  }
  if (!parsed || !detail::is_complete(out))
    return error(absl::StatusCode::kDataLoss, "read record: it is damaged (free by hand what it names, and remove it)");
  return out;
}

/// A container whose launcher is dead, with its record locked for us.
struct orphan {
  contents record;
  std::optional<sys::process_identity> process;  ///< as it was recorded; it may have ended since
  sys::unique_fd lock;
};

/// What recover did.
struct recovery {
  std::vector<std::string> freed;                            ///< ids of containers of which nothing is left
  std::vector<std::string> alive;                            ///< ids whose launchers live: left alone
  std::vector<std::pair<std::string, absl::Status>> failed;  ///< ids that could not be freed in full; recorded still
};

namespace detail {

/// Kills the container's first process, if it is still that process, and waits until it has ended.
inline absl::Status end_process(const orphan& of) {
  if (!of.process) return absl::OkStatus();
  auto boot = boot_id();
  if (boot.ok() && *boot != of.record.boot) return absl::OkStatus();
  const auto pidfd = sys::open_process(*of.process);
  if (!pidfd.ok()) return absl::IsNotFound(pidfd.status()) ? absl::OkStatus() : pidfd.status();
  const absl::Status killed = sys::signal_process(pidfd->get(), SIGKILL);
  if (absl::IsNotFound(killed)) return absl::OkStatus();  // it had ended, and has been reaped since it was opened
  MORTISE_RETURN_IF_ERROR(killed);
  return sys::wait_for_end(pidfd->get(), std::chrono::steady_clock::now() + std::chrono::seconds(30));
}

/// Takes over a record if its launcher is dead; nothing if it lives. NOT_FOUND if there is none any more.
inline absl::StatusOr<std::optional<orphan>> take_over(const std::string& path, const std::string& id) {
  auto lock = sys::open(concat(path, "/lock"), O_RDWR | O_CREAT, 0600);
  if (!lock.ok()) return lock.status();
  if (::flock(lock->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return std::optional<orphan>();
    return errno_error(errno, concat("lock '", path, '\''));
  }
  orphan out;
  out.lock = *std::move(lock);
  const auto text = sys::read_file(concat(path, "/record"));
  if (text.ok()) {
    MORTISE_ASSIGN_OR_RETURN(out.record, parse_record(*text));
    if (out.record.id != id) return error(absl::StatusCode::kDataLoss, "read record: it is of another container");
  } else if (!absl::IsNotFound(text.status())) {
    return text.status();
  }  // without a record the launcher died before anything was made
  const auto stat = sys::read_file(concat(path, "/process"), 4096);
  if (stat.ok()) out.process = sys::parse_stat(*stat);
  return out;
}

}  // namespace detail

/// Frees what dead launchers left: ends their containers, has isolators and backend free what they recorded,
/// sweeps what earlier boots left. Touches nothing of launchers that live. `host` is a container's host:
/// `state_directory()`, `free(contents)`, `sweep()`. May run beside launches and other recoveries.
/// Fails only if the state directory cannot be read; what could not be freed is in the result, stays
/// recorded, and is tried again by the next call.
template <class Host>
absl::StatusOr<recovery> recover(Host& host) {
  const std::string& state = host.state_directory();
  recovery result;
  std::vector<std::string> ids;
  MORTISE_RETURN_IF_ERROR(sys::for_each_entry(AT_FDCWD, state, [&](std::string_view name, unsigned char) {
    if (container_id::parse(name).ok() && name != "lock") ids.emplace_back(name);
    return absl::OkStatus();
  }));
  for (const std::string& id : ids) {
    const std::string path = concat(state, '/', id);
    auto lock = lock_state(state);
    if (!lock.ok()) return lock.status();
    auto taken = detail::take_over(path, id);
    lock->reset();
    if (absl::IsNotFound(taken.status())) continue;  // its launcher has removed it since it was listed
    if (taken.ok() && !*taken) {
      result.alive.push_back(id);
      continue;
    }
    absl::Status status = taken.status();
    if (status.ok()) status = detail::end_process(**taken);
    if (status.ok() && !(*taken)->record.id.empty()) status = host.free((*taken)->record);
    if (status.ok()) status = remove_record(path);
    if (status.ok()) {
      result.freed.push_back(id);
    } else {
      result.failed.emplace_back(id, annotate(status, concat("recover container '", id, '\'')));
    }
  }
  if (absl::Status swept = host.sweep(); !swept.ok()) result.failed.emplace_back("", std::move(swept));
  return result;
}

}  // namespace mortise::state

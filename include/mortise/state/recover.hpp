// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Finds what launchers that died have left, and has it freed. Needs: RapidJSON.

#include <rapidjson/document.h>
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

/// A string member, or nothing where it is missing or of another type.
inline std::optional<std::string> text_member(const rapidjson::Value& object, const char* name) {
  const auto found = object.FindMember(name);
  if (found == object.MemberEnd() || !found->value.IsString()) return std::nullopt;
  return std::string(found->value.GetString(), found->value.GetStringLength());
}

inline std::optional<isolator_record> to_isolator_record(const rapidjson::Value& value) {
  if (!value.IsObject() || !value.HasMember("version") || !value["version"].IsUint()) return std::nullopt;
  auto name = text_member(value, "name");
  auto text = text_member(value, "record");
  if (!name || !text) return std::nullopt;
  return isolator_record{*std::move(name), value["version"].GetUint(), *std::move(text)};
}

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

}  // namespace detail

/// Reads a record. Fails with DATA_LOSS if it is no record of ours, FAILED_PRECONDITION if it is of a newer
/// version of mortise than this.
inline absl::StatusOr<contents> parse_record(std::string_view text) {
  rapidjson::Document json;
  json.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
  const auto broken = [] { return error(absl::StatusCode::kDataLoss, "read record: it is damaged"); };
  if (json.HasParseError() || !json.IsObject() || !json.HasMember("version") || !json["version"].IsUint())
    return broken();
  contents out;
  out.version = json["version"].GetUint();
  if (out.version > record_version) {
    return error(absl::StatusCode::kFailedPrecondition,
                 concat("read record: its version ", out.version, " is newer than this library's ", record_version));
  }
  for (const auto& [key, value] :
       {std::pair{"id", &out.id}, std::pair{"boot", &out.boot}, std::pair{"phase", &out.phase},
        std::pair{"backend", &out.backend}, std::pair{"directory", &out.directory}}) {
    auto found = detail::text_member(json, key);
    if (!found) return broken();
    *value = detail::to_bytes(*found);
  }
  if (!json.HasMember("isolators") || !json["isolators"].IsArray()) return broken();
  for (const auto& each : json["isolators"].GetArray()) {
    auto isolator = detail::to_isolator_record(each);
    if (!isolator) return broken();
    isolator->name = detail::to_bytes(isolator->name);
    isolator->text = detail::to_bytes(isolator->text);
    out.isolators.push_back(*std::move(isolator));
  }
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
  MORTISE_RETURN_IF_ERROR(sys::signal_process(pidfd->get(), SIGKILL));
  return sys::wait_for_end(pidfd->get(), std::chrono::steady_clock::now() + std::chrono::seconds(30));
}

/// Takes over a record if its launcher is dead; nothing if it lives.
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
    if (taken.ok() && !*taken) {
      result.alive.push_back(id);
      continue;
    }
    absl::Status status = taken.status();
    if (status.ok()) status = detail::end_process(**taken);
    if (status.ok() && !(*taken)->record.id.empty()) status = host.free((*taken)->record);
    if (status.ok()) status = sys::remove_tree(path);
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

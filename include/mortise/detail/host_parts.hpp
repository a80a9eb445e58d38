// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a host is made of, and how its containers' isolators write their records.

#include <mortise/base/status.hpp>
#include <mortise/isolate/isolator.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::detail {

/// What all containers of a host share, kept alive by each of them.
template <class Store, class Rootfs, class Launcher, class Observer>
struct host_parts {
  Store store;
  Rootfs rootfs;
  Launcher launcher;
  Observer observer;
  std::string state;
  std::string roots;       ///< DIRECTORY/containers
  std::string boot_roots;  ///< DIRECTORY/containers/BOOT-ID
};

/// Isolators' records go into the container's, a state::record.
template <class Record>
class container_recorder final : public isolate::recorder {
 public:
  explicit container_recorder(Record& to) : to_(to) {}
  absl::Status record(std::string_view isolator, unsigned version, std::string text) override {
    return to_.set(isolator, version, std::move(text));
  }

 private:
  Record& to_;
};

}  // namespace mortise::detail

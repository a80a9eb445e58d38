// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Which layers of an image are ready: what the threads that make them tell each other.

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/image/unpacked_layers.hpp>
#include <mortise/sys/fd.hpp>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mortise::image {

/// The trees below a layer, opened once the layer turns out to depend on them; top-most first. They stay open as long
/// as the ready_layers that they are of.
struct lower_trees {
  std::vector<int> fds;
};

class ready_layers {
 public:
  explicit ready_layers(std::size_t count) : layers_(count), trees_(count) {}

  [[nodiscard]] std::size_t size() const { return layers_.size(); }
  /// By whoever knows that no thread is at work on it.
  [[nodiscard]] const std::optional<unpacked_layer>& operator[](std::size_t at) const { return layers_[at]; }

  void set(std::size_t at, std::optional<unpacked_layer> layer) {
    const std::lock_guard guard(mutex_);
    layers_[at] = std::move(layer);
    trees_[at].reset();
    changed_.notify_all();
  }

  /// Opens the trees below a layer once all of them are there, each once for all layers above it: of thousands each may
  /// depend on those below. `wanted` says, by failing, that nobody waits any more.
  template <class Wanted>
  absl::Status open_below(std::size_t at, lower_trees& into, Wanted wanted) {
    if (!into.fds.empty()) return absl::OkStatus();
    MORTISE_RETURN_IF_ERROR(wait_below(at, wanted));
    const std::lock_guard guard(mutex_);
    std::vector<int> fds;
    fds.reserve(at);
    for (std::size_t below = at; below-- > 0;) {
      if (!trees_[below]) {
        MORTISE_ASSIGN_OR_RETURN(trees_[below],
                                 sys::open(layers_[below]->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
      }
      fds.push_back(trees_[below].get());
    }
    into.fds = std::move(fds);
    return absl::OkStatus();
  }

 private:
  template <class Wanted>
  absl::Status wait_below(std::size_t at, Wanted wanted) {
    std::unique_lock guard(mutex_);
    const auto end = layers_.begin() + static_cast<std::ptrdiff_t>(at);
    while (!std::all_of(layers_.begin(), end, [](const auto& each) { return each.has_value(); })) {
      MORTISE_RETURN_IF_ERROR(wanted());
      changed_.wait_for(guard, std::chrono::milliseconds(20));  // wakes to see a cancellation too
    }
    return absl::OkStatus();
  }

  std::vector<std::optional<unpacked_layer>> layers_;
  std::vector<sys::unique_fd> trees_;  ///< of the layers, where one was asked for
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace mortise::image

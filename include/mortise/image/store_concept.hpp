// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a container asks of a store of images: to make one ready, unpacked in the form that its rootfs
/// backend reads.

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mortise/base/status.hpp>
#include <mortise/model/image.hpp>
#include <mortise/model/platform.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace mortise::image {

/// How far a layer is. One event comes when work on a layer begins, more while its blob is read, one when it
/// is ready; a layer that was there already has only that last one. Where the blob comes from elsewhere, `fetching`
/// tells of that beside it, before and while it is unpacked.
struct progress {
  enum class stage : std::uint8_t { waiting, unpacking, ready, fetching };
  std::size_t layer = 0;   ///< 0 is the bottom
  std::size_t layers = 0;  ///< how many the image has
  stage now = stage::ready;
  std::uint64_t done = 0;  ///< bytes of the blob
  std::uint64_t total = 0;
  bool cached = false;  ///< ready without work of ours
};

/// Hears nothing.
struct no_progress {
  void operator()(const progress&) const {}
};

/// When a remote source is asked what a location means now. Sources on this host are always asked: it costs nothing.
enum class refresh : std::uint8_t {
  missing,  ///< where the store does not remember an image of it, or has lost something of that
  always,   ///< each time: a tag may have been moved
  never,    ///< what is not in the store is NOT_FOUND
};

/// Hears a line, fit for a terminal, about what is wrong with an image that is taken nevertheless.
using warning_listener = std::function<void(std::string_view)>;

struct provide_options {
  std::optional<model::platform> platform = {};  ///< the host's where none is given
  unsigned jobs = 0;                             ///< layers unpacked at once; 0 is the processors, at most 4
  unsigned connections = 0;                      ///< of a remote source, at once; 0 is 4
  const std::atomic<bool>* cancelled = nullptr;  ///< ends the work with CANCELLED soon after it turns true
  image::refresh refresh = image::refresh::missing;
  warning_listener warn = {};  ///< called in the caller's thread, when the place that the image comes from was asked
};

/// A store that makes images ready for backends that read `Format`. `provide` may be called by many threads
/// and processes at once for the same image; it returns when every layer lies complete and verified on disk.
/// The progress callable is never called by two threads at once.
template <class S, class Format>
concept provides = requires(S& store, std::string_view location, const provide_options& options, no_progress hear) {
  { store.template provide<Format>(location, options, hear) } -> std::same_as<absl::StatusOr<model::image>>;
};

}  // namespace mortise::image

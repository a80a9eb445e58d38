// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a fetcher is: one class for one or more URI schemes, whose fetch() streams one resource to a sink.

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mortise/fetch/uri.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mortise::fetch {

/// A header of a request or a response. Names are compared without regard to case.
struct header {
  std::string name;
  std::string value;
};

inline bool is_named(const header& field, std::string_view name) {
  return detail::lowered(field.name) == detail::lowered(name);
}

/// The value of the first header of that name.
inline std::optional<std::string_view> field_of(const std::vector<header>& headers, std::string_view name) {
  for (const header& each : headers)
    if (is_named(each, name)) return each.value;
  return std::nullopt;
}

/// What is wanted of a resource, and how long to try.
struct request {
  std::vector<header> headers{};
  std::uint64_t offset = 0;                                         ///< the first byte wanted
  std::uint64_t limit = std::numeric_limits<std::uint64_t>::max();  ///< most bytes the whole resource may have
  std::chrono::milliseconds inactivity{60'000};                     ///< longest time without a byte
  const std::atomic<bool>* cancelled = nullptr;                     ///< set by any thread; null: never
};

/// What is known of a resource before its body.
struct response {
  int status = 200;  ///< as HTTP has it; 206 where the body begins at the request's offset
  std::vector<header> headers{};
  std::uint64_t offset = 0;              ///< where in the resource the body begins
  std::optional<std::uint64_t> total{};  ///< the whole resource's size
  std::string media_type{};              ///< empty where unknown
};

/// Where a body goes. A failure that it returns ends the fetch, which then fails with it.
class sink {
 public:
  sink() = default;
  sink(const sink&) = delete;
  sink& operator=(const sink&) = delete;
  virtual ~sink() = default;

  /// Called once, before the body.
  virtual absl::Status begin(const response& about) = 0;
  /// Called for each piece of the body, in order; a piece is valid during the call only.
  virtual absl::Status write(std::span<const std::byte> piece) = 0;
};

/// `F::schemes` is a constexpr array of the schemes it takes, in lower case. fetch() may be called by several
/// threads at once.
/// Fails with CANCELLED soon after `cancelled` is set, RESOURCE_EXHAUSTED for more than `limit` bytes, OUT_OF_RANGE
/// for an offset behind the end, and whatever the sink returned.
template <class F>
concept fetcher = requires(const F& model, const uri& from, const request& what, sink& into) {
  { F::schemes.size() } -> std::convertible_to<std::size_t>;
  { F::schemes[0] } -> std::convertible_to<std::string_view>;
  { model.fetch(from, what, into) } -> std::same_as<absl::StatusOr<response>>;
};

/// CANCELLED once the request's flag is set.
inline absl::Status check_cancelled(const request& what) {
  const bool cancelled = what.cancelled != nullptr && what.cancelled->load(std::memory_order_relaxed);
  return cancelled ? error(absl::StatusCode::kCancelled, "fetch: cancelled by the caller") : absl::OkStatus();
}

}  // namespace mortise::fetch

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What the tests of fetch::http have in common: calls that are patient for milliseconds only.

#include <chrono>
#include <mortise/fetch/curl.hpp>
#include <mortise/fetch/http.hpp>
#include <string>
#include <string_view>
#include <support/collect.hpp>

namespace fetching {

namespace fetch = mortise::fetch;

using http = fetch::http<fetch::curl>;

/// Bytes that do not repeat soon, so that one taken twice or left out shows.
inline std::string noise(std::size_t size) {
  std::string out(size, '\0');
  std::uint32_t state = 1;
  for (char& each : out) {
    state = state * 1664525U + 1013904223U;
    each = static_cast<char>(state >> 24U);
  }
  return out;
}

inline fetch::call call_to(const std::string& url) {
  fetch::call out{.to = *fetch::parse_uri(url)};
  out.retry = {
      .tries = 3, .progress = 1, .first = std::chrono::milliseconds(2), .longest = std::chrono::milliseconds(4)};
  return out;
}

inline absl::StatusOr<fetch::answer> run(const fetch::call& what, support::collect& into) {
  return http().run(what, into);
}
inline absl::StatusOr<fetch::answer> run(const fetch::call& what) {
  support::collect into;
  return run(what, into);
}

template <class Result>
absl::StatusCode code_of(const absl::StatusOr<Result>& of) {
  return of.status().code();
}
template <class Result>
bool says(const absl::StatusOr<Result>& of, std::string_view words) {
  return mortise::message(of.status()).find(words) != std::string_view::npos;
}

}  // namespace fetching

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// When to ask a server again, and how long to wait before: decisions that need neither a network nor a clock.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <mortise/base/status.hpp>
#include <mortise/fetch/transport.hpp>
#include <optional>
#include <string_view>

namespace mortise::fetch {

/// How stubbornly a call is tried.
struct retry_policy {
  unsigned tries = 5;                                ///< in a row without progress; 1: never again
  std::uint64_t progress = std::uint64_t{1} << 20U;  ///< bytes of the body that make the count begin anew
  std::chrono::milliseconds first{500};              ///< wait before the second try, doubled before each further one
  std::chrono::milliseconds longest{30'000};         ///< up to this
  std::chrono::milliseconds longest_asked{60'000};   ///< a server that asks for a longer wait is asked after this
  /// Nothing begins, and no byte is taken, later than this after the call; none: there is no hurry.
  std::optional<std::chrono::milliseconds> deadline{};
};

/// Whether another try may well be answered otherwise. A POST may have been acted upon, so it is sent again only where
/// the server says that it was not.
inline bool is_worth_retrying(method verb, int status) {
  if (status == 408 || status == 429) return true;
  if (verb == method::post) return status == 503;
  return status == 500 || status == 502 || status == 503 || status == 504;
}
inline bool is_worth_retrying(method verb, const absl::Status& failure) {
  return verb != method::post && (absl::IsUnavailable(failure) || absl::IsDeadlineExceeded(failure));
}

namespace detail {

/// The seconds since 1970 of a date as RFC 9110 wants it written: "Sun, 06 Nov 1994 08:49:37 GMT".
inline std::optional<std::int64_t> parse_http_date(std::string_view text) {
  constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != 29 || text.substr(3, 2) != ", " || text.substr(25) != " GMT") return std::nullopt;
  for (const std::size_t space : {7U, 11U, 16U})
    if (text[space] != ' ') return std::nullopt;
  const auto number = [text](std::size_t at, std::size_t length) {
    return parse_number<std::uint16_t>(text.substr(at, length));
  };
  const auto day = number(5, 2), year = number(12, 4), hour = number(17, 2), minute = number(20, 2),
             second = number(23, 2);
  const std::size_t month = months.find(text.substr(8, 3));
  if (!day || !year || !hour || !minute || !second || month % 3 != 0 || text[19] != ':' || text[22] != ':')
    return std::nullopt;
  if (*day < 1 || *day > 31 || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  std::tm parts{};
  parts.tm_mday = *day;
  parts.tm_mon = static_cast<int>(month / 3);
  parts.tm_year = *year - 1900;
  parts.tm_hour = *hour;
  parts.tm_min = *minute;
  parts.tm_sec = *second;
  return ::timegm(&parts);
}

}  // namespace detail

/// How long a server asks to wait in a Retry-After field: seconds or a date, `now` being the seconds since 1970.
/// Nothing where it asks for nothing that can be understood; never negative, never more than a year.
inline std::optional<std::chrono::milliseconds> asked_wait(const response& about, std::int64_t now) {
  constexpr std::int64_t year = 366 * 24 * 60 * 60;
  const auto field = field_of(about.headers, "retry-after");
  if (!field) return std::nullopt;
  std::optional<std::int64_t> seconds;
  if (const auto number = parse_number<std::uint32_t>(*field)) seconds = *number;
  if (const auto date = detail::parse_http_date(*field)) seconds = *date - now;
  if (!seconds) return std::nullopt;
  return std::chrono::seconds(std::clamp<std::int64_t>(*seconds, 0, year));
}

/// The wait before try number `tries` + 1 of a row: doubled each time, and then between half and all of that, so that
/// those who failed together do not come back together. `random` is any number.
inline std::chrono::milliseconds back_off(const retry_policy& policy, unsigned tries, std::uint32_t random) {
  std::chrono::milliseconds wait = policy.first;
  for (unsigned at = 1; at < tries && wait < policy.longest; ++at) wait *= 2;
  wait = std::min(wait, policy.longest);
  return wait / 2 + std::chrono::milliseconds(wait.count() / 2 * (random % 1024) / 1023);
}

}  // namespace mortise::fetch

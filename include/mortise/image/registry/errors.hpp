// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a registry says when it will not: the errors of the distribution API and of token servers, made into a
/// Status that names the remedy. Needs: RapidJSON.

#include <absl/status/statusor.h>

#include <algorithm>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/json.hpp>
#include <mortise/model/platform.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::distribution {

/// One error, as a stranger wrote it: nothing here is fit to be printed as it is.
struct api_error {
  std::string code;  ///< "MANIFEST_UNKNOWN"
  std::string message;
  std::string detail;  ///< where it is a text
};

/// The most bytes of an error's body that are worth reading.
inline constexpr std::size_t most_error_bytes = std::size_t{1} << 20;

namespace detail {

inline std::string text_of(const json::value& from, std::string_view name) {
  const auto found = from.text_or(name, "");
  return found.ok() ? *found : std::string();
}
/// An error of OAuth 2, or of the servers that write {"details": "..."} and {"message": "..."}.
inline api_error read_other_error(const json::value& root) {
  api_error out{text_of(root, "error"), text_of(root, "error_description"), {}};
  for (const char* const name : {"details", "message", "detail"})
    if (out.message.empty()) out.message = text_of(root, name);
  return out;
}

struct error_meaning {
  std::string_view code, words, remedy;
};
/// The codes whose name alone does not say what to do.
inline constexpr error_meaning error_meanings[] = {
    {"MANIFEST_UNKNOWN", "manifest unknown", "check the tag"},
    {"NAME_UNKNOWN", "repository unknown", "check the name; it may be private: log in"},
    {"NAME_INVALID", "repository name invalid", "check the name"},
    {"BLOB_UNKNOWN", "blob unknown", "the image is incomplete there: push it again"},
    {"DIGEST_INVALID", "digest invalid", "check the digest"},
    {"TAG_INVALID", "tag invalid", "check the tag"},
    {"MANIFEST_INVALID", "manifest invalid", ""},
    {"UNAUTHORIZED", "unauthorized", "log in, or check the name and password"},
    {"DENIED", "denied", "log in as a user who may pull it, or check the name"},
    {"UNSUPPORTED", "unsupported", ""},
    {"TOOMANYREQUESTS", "too many requests", "wait, or log in for a higher limit"},
    {"invalid_grant", "credentials refused", "log in again"},
    {"invalid_token", "token refused", "log in again"},
    {"insufficient_scope", "not allowed by this token", "log in as a user who may pull it"},
};
inline constexpr error_meaning status_meanings[] = {
    {"401", "unauthorized", "log in, or check the name and password"},
    {"403", "forbidden", "log in as a user who may pull it"},
    {"404", "not found", "check the name and the tag"},
    {"408", "the server waited too long", "try again"},
    {"429", "too many requests", "wait, or log in for a higher limit"},
    {"500", "the server failed", "try again"},
    {"502", "the server's server failed", "try again"},
    {"503", "the server is not available", "try again"},
    {"504", "the server's server did not answer", "try again"},
};

template <std::size_t Count>
const error_meaning* meaning_of(const error_meaning (&table)[Count], std::string_view code) {
  const auto* const found =
      std::find_if(std::begin(table), std::end(table), [code](const error_meaning& each) { return each.code == code; });
  return found == std::end(table) ? nullptr : found;
}

inline absl::StatusCode code_of(unsigned status) {
  switch (status) {
    case 401:
      return absl::StatusCode::kUnauthenticated;
    case 403:
      return absl::StatusCode::kPermissionDenied;
    case 404:
    case 410:
      return absl::StatusCode::kNotFound;
    case 416:
      return absl::StatusCode::kOutOfRange;
    case 429:
      return absl::StatusCode::kResourceExhausted;
    default:
      return status == 408 || status >= 500 ? absl::StatusCode::kUnavailable : absl::StatusCode::kFailedPrecondition;
  }
}

/// A stranger's text as a part of a message, which has no period at its end.
inline std::string shown(std::string_view text, std::size_t limit) {
  const std::size_t end = text.find_last_not_of(". \t\r\n");
  return printable(text.substr(0, end == std::string_view::npos ? 0 : end + 1), limit);
}

/// "MANIFEST_UNKNOWN" in words; the code is a stranger's, and so are its words.
inline std::string words_of(const api_error& from) {
  const error_meaning* const known = meaning_of(error_meanings, from.code);
  std::string out = known != nullptr ? std::string(known->words) : shown(model::detail::lower_case(from.code), 64);
  std::replace(out.begin(), out.end(), '_', ' ');
  std::string said = shown(from.message, 200);
  const std::string lower = model::detail::lower_case(said);
  if (out.empty()) return said;
  // Most registries repeat the code in words, at the front if with more behind it.
  if (said.empty() || out.starts_with(lower)) return out;
  if (lower.starts_with(out)) return said;
  return concat(out, ": ", said);
}

}  // namespace detail

/// The errors in the body of a response, at most ten; none where it is not of any known form.
inline std::vector<api_error> parse_errors(std::string_view body) {
  std::vector<api_error> out;
  const auto document = json::document::parse(body, "error", {.size = most_error_bytes, .depth = 16, .values = 1000});
  if (!document.ok()) return out;
  const json::value root = document->root();
  const auto errors = root.optional("errors");
  if (!errors.ok()) return out;
  if (*errors) {
    const auto list = (*errors)->elements();
    for (std::size_t at = 0; list.ok() && at < std::min<std::size_t>(list->size(), 10); ++at) {
      const json::value& each = (*list)[at];
      api_error read{detail::text_of(each, "code"), detail::text_of(each, "message"), detail::text_of(each, "detail")};
      if (!read.code.empty() || !read.message.empty()) out.push_back(std::move(read));
    }
    return out;
  }
  api_error other = detail::read_other_error(root);
  if (!other.code.empty() || !other.message.empty()) out.push_back(std::move(other));
  return out;
}

/// The failure that a response with this status and body is: "`action`: manifest unknown (check the tag)". `action` is
/// ours, "pull docker.io/library/x"; whatever the server says is cleaned and cut.
inline absl::Status response_error(std::string_view action, unsigned status, std::string_view body) {
  const auto errors = parse_errors(body);
  const auto* const by_status = detail::meaning_of(detail::status_meanings, std::to_string(status));
  std::string text = errors.empty() ? std::string() : detail::words_of(errors.front());
  std::string_view remedy = by_status != nullptr ? by_status->remedy : std::string_view();
  if (text.empty()) {  // or of nothing but periods
    text = by_status != nullptr ? concat(by_status->words, ", status ", status) : concat("status ", status);
  } else if (const auto* const known = detail::meaning_of(detail::error_meanings, errors.front().code)) {
    remedy = known->remedy;
  }
  if (errors.size() > 1) append(text, ", and ", errors.size() - 1, " more");
  const std::string_view open = remedy.empty() ? "" : " (";
  const std::string_view close = remedy.empty() ? "" : ")";
  return error(detail::code_of(status), concat(action, ": ", text, open, remedy, close));
}

}  // namespace mortise::image::distribution

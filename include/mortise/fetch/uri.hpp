// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// URIs as RFC 3986 has them, as far as fetching needs: parsed strictly and in linear time, never with
/// credentials inside, and resolved against a base as a Location header wants it.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace mortise::fetch {

/// The longest URI that is looked at.
inline constexpr std::size_t longest_uri = 8192;

/// An absolute URI without user information and fragment. Only parse_uri and resolve make a valid one.
struct uri {
  std::string scheme;                 ///< lower case
  std::optional<std::string> host;    ///< lower case (not of a "+unix"), an IPv6 address in []; nothing without "//"
  std::optional<std::uint16_t> port;  ///< as written, never 0
  std::string path;                   ///< still percent-encoded
  std::optional<std::string> query;   ///< still percent-encoded, without '?'

  friend bool operator==(const uri&, const uri&) = default;
};

/// The URI in writing.
inline std::string to_string(const uri& from) {
  std::string out = concat(from.scheme, ':');
  if (from.host) append(out, "//", *from.host);
  if (from.port) append(out, ':', *from.port);
  out += from.path;
  if (from.query) append(out, '?', *from.query);
  return out;
}

/// The URI as a message may show it: a query may hold a signature or a token.
inline std::string shown(const uri& from) {
  uri out = from;
  out.query.reset();
  return printable(to_string(out));
}

namespace detail {

inline absl::Status bad_uri(std::string_view cause) {
  // The text itself is not shown: it may hold a password.
  return error(absl::StatusCode::kInvalidArgument, concat("parse URI: ", cause));
}

inline constexpr std::string_view digits = "0123456789";
inline constexpr std::string_view hex_digits = "0123456789abcdefABCDEF";
inline constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz";

inline bool is_one_of(char each, std::string_view set) { return set.find(each) != std::string_view::npos; }
inline char lower(char each) { return each >= 'A' && each <= 'Z' ? static_cast<char>(each + ('a' - 'A')) : each; }
inline std::string lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lower);
  return out;
}

inline bool is_unreserved_or_delimiter(char each) {
  return is_one_of(lower(each), letters) || is_one_of(each, digits) || is_one_of(each, "-._~!$&'()*+,;=");
}

/// Whether a text is made of unreserved characters, delimiters, whole percent-escapes and those of `more`.
inline bool is_spelt_well(std::string_view text, std::string_view more) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '%') {
      if (text.size() - at < 3 || !is_one_of(text[at + 1], hex_digits) || !is_one_of(text[at + 2], hex_digits))
        return false;
      at += 2;
    } else if (!is_unreserved_or_delimiter(text[at]) && !is_one_of(text[at], more)) {
      return false;
    }
  }
  return true;
}

/// The length of the scheme that a reference begins with; 0 where it is a relative one.
inline std::size_t scheme_length(std::string_view text) {
  const std::size_t end = text.find_first_of(":/?#");
  if (end == std::string_view::npos || text[end] != ':' || end == 0) return 0;
  if (!is_one_of(lower(text[0]), letters)) return 0;
  const auto fits = [](char each) { return is_one_of(lower(each), letters) || is_one_of(each, "0123456789+-."); };
  return std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(end), fits) ? end : 0;
}

/// The path of this host that a percent-encoded text stands for.
inline absl::StatusOr<std::string> percent_decoded_path(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out.push_back(text[at]);
      continue;
    }
    const auto byte = parse_number<std::uint8_t>(text.substr(at + 1, 2), 16);
    if (!byte || *byte == 0) return bad_uri("path has a NUL or half an escape");
    out.push_back(static_cast<char>(*byte));
    at += 2;
  }
  return out;
}

inline absl::Status take_port(std::string_view text, uri& into) {
  if (text.empty()) return absl::OkStatus();
  into.port = parse_number<std::uint16_t>(text);
  if (!into.port || *into.port == 0) return bad_uri("port is not a number from 1 to 65535");
  return absl::OkStatus();
}

inline absl::Status take_authority(std::string_view text, uri& into) {
  if (text.find('@') != std::string_view::npos)
    return bad_uri("it holds a user name or password (give credentials apart from the URI)");
  std::size_t end = text.find(':');
  if (text.starts_with('[')) {
    end = text.find(']');
    if (end == std::string_view::npos) return bad_uri("'[' without ']' in the host");
    in6_addr address{};
    const std::string inner(text.substr(1, end - 1));
    // A zero byte would end the text for inet_pton, and what is behind it would be believed.
    if (inner.find('\0') != std::string::npos || ::inet_pton(AF_INET6, inner.c_str(), &address) != 1)
      return bad_uri("host in brackets is not an IPv6 address");
    ++end;
    if (end < text.size() && text[end] != ':') return bad_uri("something between ']' and the port");
  } else if (!is_spelt_well(text.substr(0, end), {})) {
    return bad_uri("host has a character that it must not have");
  }
  // The host of http+unix: is a path, whose case matters.
  into.host = into.scheme.ends_with("+unix") ? std::string(text.substr(0, end)) : lowered(text.substr(0, end));
  return end < text.size() ? take_port(text.substr(end + 1), into) : absl::OkStatus();
}

/// RFC 3986 section 5.2.4 in one pass; never climbs above the root.
inline std::string without_dots(std::string_view path) {
  std::string out;
  while (path.starts_with('/')) {
    const std::size_t end = path.find('/', 1);
    const std::string_view segment = path.substr(0, end);
    path.remove_prefix(segment.size());
    if (segment == "/..") out.resize(out.empty() ? 0 : out.rfind('/'));
    if (segment != "/." && segment != "/..") {
      out += segment;
    } else if (path.empty()) {
      out.push_back('/');
    }
  }
  return out;
}

/// Takes what follows the scheme. `into` keeps its scheme.
inline absl::Status take_rest(std::string_view text, uri& into) {
  const std::size_t fragment = text.find('#');
  if (fragment != std::string_view::npos && !is_spelt_well(text.substr(fragment + 1), ":@/?"))
    return bad_uri("fragment has a character that it must not have");
  text = text.substr(0, fragment);
  if (const std::size_t query = text.find('?'); query != std::string_view::npos) {
    into.query = text.substr(query + 1);
    if (!is_spelt_well(*into.query, ":@/?")) return bad_uri("query has a character that it must not have");
    text = text.substr(0, query);
  }
  if (text.starts_with("//")) {
    const std::string_view authority = text.substr(2, text.find('/', 2) - 2);
    MORTISE_RETURN_IF_ERROR(take_authority(authority, into));
    text.remove_prefix(2 + authority.size());
  }
  into.path = text;
  return is_spelt_well(text, ":@/") ? absl::OkStatus() : bad_uri("path has a character that it must not have");
}

inline absl::Status check_whole(const uri& of) {
  const bool web = of.scheme == "http" || of.scheme == "https";
  if (web && of.host.value_or("").empty()) return bad_uri("no host");
  // In writing it would begin with a host. What was parsed never does so, what dots were taken out of may.
  if (!of.host && of.path.starts_with("//")) return bad_uri("path begins with '//' where there is no host");
  return absl::OkStatus();
}

}  // namespace detail

/// Parses an absolute URI; a fragment is checked and dropped, as it is never sent.
/// Fails with INVALID_ARGUMENT where it is relative, too long, misspelt, or holds user information; the message
/// never shows the text.
inline absl::StatusOr<uri> parse_uri(std::string_view text) {
  if (text.size() > longest_uri) return detail::bad_uri(concat("longer than ", longest_uri, " bytes"));
  const std::size_t scheme = detail::scheme_length(text);
  if (scheme == 0) return detail::bad_uri("no scheme (write it in full, as in https://host/path)");
  uri out;
  out.scheme = detail::lowered(text.substr(0, scheme));
  MORTISE_RETURN_IF_ERROR(detail::take_rest(text.substr(scheme + 1), out));
  MORTISE_RETURN_IF_ERROR(detail::check_whole(out));
  return out;
}

/// What a reference, absolute or relative, means where it is found at `base` (RFC 3986 section 5.2).
/// Fails as parse_uri does.
inline absl::StatusOr<uri> resolve(const uri& base, std::string_view reference) {
  if (detail::scheme_length(reference) != 0) return parse_uri(reference);
  if (reference.size() > longest_uri) return detail::bad_uri(concat("longer than ", longest_uri, " bytes"));
  if (reference.substr(0, reference.find_first_of("/?#")).find(':') != std::string_view::npos)
    return detail::bad_uri("scheme is misspelt");
  uri out;
  out.scheme = base.scheme;
  MORTISE_RETURN_IF_ERROR(detail::take_rest(reference, out));
  if (!out.host) {
    out.host = base.host;
    out.port = base.port;
    if (out.path.empty()) {
      out.path = base.path;
      if (!out.query) out.query = base.query;
      return out;
    }
    if (!out.path.starts_with('/')) {
      const std::size_t last = base.path.rfind('/');
      out.path = concat(last == std::string::npos ? "/" : base.path.substr(0, last + 1), out.path);
    }
  }
  out.path = detail::without_dots(out.path);
  MORTISE_RETURN_IF_ERROR(detail::check_whole(out));
  return out;
}

/// The port that a connection goes to; nothing for a scheme without a usual one.
inline std::optional<std::uint16_t> effective_port(const uri& of) {
  if (of.port) return of.port;
  if (of.scheme == "http") return 80;
  if (of.scheme == "https") return 443;
  return std::nullopt;
}

/// Whether two URIs have scheme, host and port in common, so that credentials for one may go to the other.
inline bool same_origin(const uri& left, const uri& right) {
  return left.scheme == right.scheme && left.host == right.host && effective_port(left) == effective_port(right);
}

}  // namespace mortise::fetch

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Addresses of registries, token servers and pages: http and https only, read so strictly that two readers cannot
/// take one text for two hosts.

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/model/platform.hpp>
#include <mortise/model/reference.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::image::distribution {

/// How far away a host is by its written form. A name other than localhost is `open`, wherever it may lead.
enum class reach : unsigned char { loopback, local, open };

namespace detail {

inline reach reach_of_ipv4(std::uint32_t address) {
  const std::uint32_t first = address >> 24;
  const std::uint32_t second = address >> 16 & 255;
  if (first == 127) return reach::loopback;
  const bool local = first == 0 || first == 10 || first >= 224 || (first == 100 && second >= 64 && second < 128) ||
                     (first == 169 && second == 254) || (first == 172 && second >= 16 && second < 32) ||
                     (first == 192 && second == 168);
  return local ? reach::local : reach::open;
}

inline reach reach_of_ipv6(const in6_addr& address) {
  const std::uint8_t* const bytes = address.s6_addr;
  const auto zeros = [bytes](std::size_t count) {
    return std::all_of(bytes, bytes + count, [](std::uint8_t each) { return each == 0; });
  };
  const auto tail = [bytes] {
    std::uint32_t number = 0;
    std::memcpy(&number, bytes + 12, sizeof number);
    return ntohl(number);
  };
  if (zeros(15) && bytes[15] == 1) return reach::loopback;
  if (zeros(10) && bytes[10] == 255 && bytes[11] == 255) return reach_of_ipv4(tail());
  // 64:ff9b::/96 and ::/96 carry an IPv4 address as well.
  if (zeros(12) || (bytes[0] == 0 && bytes[1] == 0x64 && bytes[2] == 0xff && bytes[3] == 0x9b))
    return reach_of_ipv4(tail()) == reach::open ? reach::open : reach::local;
  const bool local = bytes[0] == 255 || (bytes[0] & 0xfe) == 0xfc || (bytes[0] == 0xfe && (bytes[1] & 0x80) == 0x80);
  return local ? reach::local : reach::open;
}

/// What other readers take for an IPv4 address: the last label a number, decimal or hexadecimal.
inline bool looks_numeric(std::string_view host) {
  std::string_view last = host.substr(host.rfind('.') + 1);
  if (model::detail::every(last, model::detail::is_digit)) return true;
  const bool hex = last.starts_with("0x") || last.starts_with("0X");
  return hex && model::detail::every(last.substr(2), model::detail::is_hex);
}

inline std::optional<in_addr> ipv4_of(const std::string& host) {
  in_addr out{};
  if (::inet_pton(AF_INET, host.c_str(), &out) != 1) return std::nullopt;
  return out;
}
inline std::optional<in6_addr> ipv6_of(std::string_view host) {
  in6_addr out{};
  if (host.size() < 3 || host.front() != '[' || host.back() != ']') return std::nullopt;
  if (::inet_pton(AF_INET6, std::string(host.substr(1, host.size() - 2)).c_str(), &out) != 1) return std::nullopt;
  return out;
}

/// A host in one spelling; nothing where it is a name in no grammar or a number in another spelling.
inline std::optional<std::string> plain_host(std::string_view text) {
  std::string host = model::detail::lower_case(text);
  if (host.size() > 255) return std::nullopt;
  if (host.starts_with('[')) return ipv6_of(host) ? std::optional(host) : std::nullopt;
  if (!model::detail::is_host_name(host)) return std::nullopt;
  if (looks_numeric(host) && !ipv4_of(host)) return std::nullopt;
  return host;
}

}  // namespace detail

/// How far away a host is; `host` as `url::host` gives it.
inline reach reach_of(std::string_view host) {
  if (host == "localhost" || host.ends_with(".localhost")) return reach::loopback;
  if (const auto v6 = detail::ipv6_of(host)) return detail::reach_of_ipv6(*v6);
  if (const auto v4 = detail::ipv4_of(std::string(host))) return detail::reach_of_ipv4(ntohl(v4->s_addr));
  return reach::open;
}

/// "http://" or "https://", a host, an optional port, then path and query, all of visible ASCII.
class url {
 public:
  /// Fails with INVALID_ARGUMENT for another scheme, a user name, a fragment, a host in an odd spelling.
  static absl::StatusOr<url> parse(std::string_view text) {
    const auto refuse = [text](std::string_view why) {
      return error(absl::StatusCode::kInvalidArgument, concat("parse address '", without_user(text), "': ", why));
    };
    if (text.size() > most_size) return refuse(concat("it is longer than ", most_size, " bytes"));
    if (!model::detail::every(text, is_written)) return refuse("it holds a character that must be percent-encoded");
    const std::size_t colon = text.find("://");
    const std::string scheme = model::detail::lower_case(text.substr(0, std::min(colon, text.size())));
    if (colon == std::string_view::npos || (scheme != "http" && scheme != "https"))
      return refuse("it does not begin with https:// or http://");
    url out;
    out.secure_ = scheme == "https";
    const std::string_view rest = text.substr(colon + 3);
    const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
    if (!out.take_authority(rest.substr(0, end))) return refuse("no plain host[:port] after its scheme");
    out.target_ = rest.substr(end);
    if (out.target_.find('#') != std::string::npos) return refuse("it has a fragment");
    if (!out.target_.starts_with('/')) out.target_.insert(0, "/");
    return out;
  }
  /// Where a Link header's reference leads, seen from here: RFC 3986 5.2 for an address, "//host/...", "/path",
  /// "?query" and a name beside the last segment. Dots are left to the server, which must be this one anyway.
  [[nodiscard]] absl::StatusOr<url> resolve(std::string_view reference) const {
    if (reference.find("://") < reference.find_first_of("/?")) return parse(reference);
    if (reference.starts_with("//")) return parse(concat(secure_ ? "https:" : "http:", reference));
    if (reference.starts_with('/')) return parse(concat(origin(), reference));
    const std::string_view path = std::string_view(target_).substr(0, target_.find('?'));
    if (reference.starts_with('?')) return parse(concat(origin(), path, reference));
    return parse(concat(origin(), path.substr(0, path.rfind('/') + 1), reference));
  }

  [[nodiscard]] bool secure() const { return secure_; }
  /// In lower case; an IPv6 address in brackets.
  [[nodiscard]] const std::string& host() const { return host_; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// Path and query: "/v2/?n=1".
  [[nodiscard]] const std::string& target() const { return target_; }
  /// "host" or "host:port": without the port that the scheme has anyway.
  [[nodiscard]] std::string authority() const {
    return port_ == (secure_ ? 443 : 80) ? host_ : concat(host_, ':', port_);
  }
  /// "https://host:port"
  [[nodiscard]] std::string origin() const { return concat(secure_ ? "https://" : "http://", authority()); }
  [[nodiscard]] std::string text() const { return concat(origin(), target_); }
  /// For messages: nothing after a '?', since queries may carry secrets.
  [[nodiscard]] std::string brief() const { return printable(concat(origin(), target_.substr(0, target_.find('?')))); }
  /// The same scheme, host and port, so that what was meant for one may go to the other.
  [[nodiscard]] bool same_origin(const url& other) const {
    return secure_ == other.secure_ && host_ == other.host_ && port_ == other.port_;
  }
  /// Another path on the same server; `path` begins with '/' and is encoded.
  [[nodiscard]] url with_path(std::string_view path) const {
    url out = *this;
    out.target_ = path;
    return out;
  }
  /// This address with a name and value at the end of its query; `encoded` is.
  [[nodiscard]] url with_query(std::string_view encoded) const {
    url out = *this;
    const std::size_t mark = target_.find('?');
    const bool follows = mark != std::string::npos && mark + 1 != target_.size() && target_.back() != '&';
    append(out.target_, mark == std::string::npos ? "?" : follows ? "&" : "", encoded);
    return out;
  }
  bool operator==(const url&) const = default;

 private:
  static constexpr std::size_t most_size = 8192;

  url() = default;

  /// Visible ASCII but for what readers disagree on: a backslash is a slash to some.
  static bool is_written(char c) {
    return c > 0x20 && c < 0x7f && std::string_view("\\\"<>^`{|}").find(c) == std::string_view::npos;
  }
  /// For messages: the text with whatever stands before an '@' in it blanked out, and no query.
  static std::string without_user(std::string_view text) {
    const std::size_t at = text.rfind('@');
    const std::size_t query = at == std::string_view::npos ? text.find('?') : std::string_view::npos;
    if (at != std::string_view::npos) return concat("...", printable(text.substr(at), 160));
    return printable(text.substr(0, query), 160);
  }
  bool take_authority(std::string_view text) {
    const std::size_t bracket = text.rfind(']');
    const std::size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
    port_ = secure_ ? 443 : 80;
    if (colon != std::string_view::npos) {
      const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
      if (!port || *port == 0) return false;
      port_ = *port;
      text = text.substr(0, colon);
    }
    auto host = detail::plain_host(text);
    if (!host) return false;
    host_ = *std::move(host);
    return true;
  }

  bool secure_ = true;
  std::string host_;
  std::uint16_t port_ = 443;
  std::string target_;
};

}  // namespace mortise::image::distribution

// SPDX-License-Identifier: Apache-2.0
/// \file
/// URIs, and what a Location field makes of them: whatever is taken means the same when it was written down.

#include <fuzz/target.hpp>
#include <mortise/fetch/uri.hpp>
#include <string>
#include <string_view>

namespace {

using namespace mortise;

void check(const fetch::uri& from) {
  const std::string text = fetch::to_string(from);
  fuzz::require(fuzz::is_printable(text) && text.find(' ') == std::string::npos, "a URI is visible ASCII", text);
  const auto again = fetch::parse_uri(text);
  if (text.size() > fetch::longest_uri) return;  // two long ones were put together
  fuzz::require(again.ok() && *again == from, "a URI survives being written", text);
  fuzz::require(fetch::same_origin(from, *again), "a URI is of its own origin", text);
  fuzz::require(from.path.empty() || from.path.front() == '/' || !from.host, "a path behind a host is absolute", text);
}

void check_resolved(const fetch::uri& base, std::string_view reference) {
  const auto found = fetch::resolve(base, reference);
  if (!fuzz::accepted(found)) return;
  check(*found);
  const bool relative = reference.find(':') == std::string_view::npos && !reference.starts_with("//");
  if (!relative) return;
  fuzz::require(fetch::same_origin(base, *found), "a relative reference stays at its origin", fetch::to_string(*found));
  if (found->path == base.path) return;  // an empty one, or one with a query alone
  const std::string path = concat(found->path, '/');
  fuzz::require(path.find("/../") == std::string::npos, "no dots are left in a path", path);
}

}  // namespace

/// The first line is a URI; the second, where there is one, a reference found there.
absl::Status fuzz::target(std::string_view input) {
  const std::size_t line = std::min(input.find('\n'), input.size());
  const std::string_view reference = input.substr(std::min(line + 1, input.size()));
  for (const char* const base : {"https://user.example.com:8443/a/b/c?q", "file:/a/b", "unix:a", "http://[::1]/"})
    check_resolved(taken(fetch::parse_uri(base), "the base is a URI"), input.substr(0, line));
  const auto parsed = fetch::parse_uri(input.substr(0, line));
  if (!accepted(parsed)) return parsed.status();
  check(*parsed);
  check_resolved(*parsed, reference);
  return absl::OkStatus();
}

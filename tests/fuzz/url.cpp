// SPDX-License-Identifier: Apache-2.0
/// \file
/// Addresses that registries send: of pages (Link), of token servers (realm). None may take our token elsewhere.

#include <array>
#include <fuzz/target.hpp>
#include <mortise/image/registry/realm.hpp>
#include <mortise/image/registry/tags.hpp>
#include <mortise/image/registry/url.hpp>
#include <string>
#include <string_view>

namespace {

using namespace mortise;
using namespace mortise::image::distribution;

void check_url(const url& from) {
  const std::string text = from.text();
  fuzz::require(fuzz::is_printable(text) && text.find(' ') == std::string::npos, "an address is visible ASCII", text);
  const auto again = url::parse(text);
  fuzz::require(again.ok() && *again == from, "an address survives being written", text);
  fuzz::require(from.target().front() == '/', "a target begins with a slash", text);
  fuzz::require(from.origin().find('@') == std::string::npos, "an address has no user", text);
}

void check_realm_of(std::string_view input, const url& registry) {
  const auto realm = check_realm(input, registry);
  if (!fuzz::accepted(realm)) return;
  fuzz::require(realm->secure() || !registry.secure(), "a token server is asked with TLS", realm->text());
  const bool nearer = static_cast<int>(reach_of(realm->host())) < static_cast<int>(reach_of(registry.host()));
  fuzz::require(!nearer, "a registry names no token server nearer to us than itself", realm->text());
}

void check_page(std::string_view link, const url& current) {
  const std::array<std::string, 1> fields{std::string(link)};
  const auto next = next_page(current, fields);
  if (!fuzz::accepted(next) || !*next) return;
  check_url(**next);
  fuzz::require((*next)->same_origin(current), "the next page is where our token may go", (*next)->text());
  fuzz::require(**next != current, "the next page is another one", (*next)->text());
}

}  // namespace

absl::Status fuzz::target(std::string_view input) {
  for (const char* const at : {"https://registry.example.com/v2/x/tags/list?n=1", "http://127.0.0.1:5000/v2/"}) {
    const url base = taken(url::parse(at), "the base is an address");
    check_realm_of(input, base);
    check_page(input, base);
    if (const auto seen = base.resolve(input); accepted(seen)) check_url(*seen);
  }
  const auto parsed = url::parse(input);
  if (!accepted(parsed)) return parsed.status();
  check_url(*parsed);
  return absl::OkStatus();
}

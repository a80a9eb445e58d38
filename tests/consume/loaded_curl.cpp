// SPDX-License-Identifier: Apache-2.0
// A program that fetches by libcurl, which it opens when it does: nothing is linked for it.
#include <mortise/fetch/curl.hpp>
#include <mortise/fetch/http.hpp>

namespace fetch = mortise::fetch;

class nothing final : public fetch::sink {
  absl::Status begin(const fetch::response&) override { return absl::OkStatus(); }
  absl::Status write(std::span<const std::byte>) override { return absl::OkStatus(); }
};

int main() {
  const auto library = fetch::curl_library::loaded();
  if (!library.ok()) return 1;
  const fetch::http<fetch::curl> fetcher(fetch::curl(**library), {.retry = {.tries = 1}});
  nothing into;
  const auto out = fetcher.fetch(*fetch::parse_uri("http+unix://%2Fnowhere/"), {}, into);
  return absl::IsUnavailable(out.status()) ? 0 : 1;
}

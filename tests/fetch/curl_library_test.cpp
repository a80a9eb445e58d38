// SPDX-License-Identifier: Apache-2.0
#include <mortise/fetch/curl_library.hpp>

#include <doctest/doctest.h>

#include <string>

namespace fetch = mortise::fetch;

TEST_CASE("curl_library: loaded, it is the one that would be linked") {
  const auto loaded = fetch::curl_library::loaded();
  REQUIRE(loaded.ok());
  CHECK(*loaded == *fetch::curl_library::loaded());
  const auto version = [](const fetch::curl_library& of) {
    return std::string(of.version_info(CURLVERSION_NOW)->version);
  };
  CHECK(version(**loaded) == version(fetch::curl_library::linked()));
  const bool same = (*loaded)->multi_poll == fetch::curl_library::linked().multi_poll;
  CHECK(same);
}

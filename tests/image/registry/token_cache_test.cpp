// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/token_cache.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using mortise::image::distribution::secret;
using mortise::image::distribution::token_cache;
using mortise::image::distribution::token_margin;
using std::chrono::seconds;

namespace {
secret token(std::string_view text) { return secret(text); }
constexpr token_cache::clock::time_point start{seconds(1000)};
}  // namespace

TEST_CASE("token cache: a token is given until shortly before its end") {
  token_cache cache;
  CHECK_FALSE(cache.find("a", start));
  cache.keep("a", token("t-1"), seconds(300), start);
  CHECK(cache.find("a", start) == token("t-1"));
  CHECK(cache.find("a", start + seconds(289)) == token("t-1"));
  CHECK_FALSE(cache.find("a", start + seconds(300) - token_margin));
  CHECK_FALSE(cache.find("b", start));
}

TEST_CASE("token cache: a later token takes the place of an earlier one") {
  token_cache cache;
  cache.keep("a", token("t-1"), seconds(300), start);
  cache.keep("b", token("t-2"), seconds(60), start);
  cache.keep("a", token("t-3"), seconds(60), start);
  CHECK(cache.find("a", start) == token("t-3"));
  CHECK(cache.find("b", start) == token("t-2"));
  CHECK_FALSE(cache.find("a", start + seconds(55)));
}

TEST_CASE("token cache: several threads keep and find") {
  token_cache cache;
  std::vector<std::thread> threads;
  for (int each = 0; each < 4; ++each)
    threads.emplace_back([&cache, name = std::to_string(each)] {
      for (int turn = 0; turn < 100; ++turn) {
        cache.keep(name, token(name), seconds(300));
        (void)cache.find("0");
      }
    });
  for (std::thread& each : threads) each.join();
  for (int each = 0; each < 4; ++each) CHECK(cache.find(std::to_string(each)) == token(std::to_string(each)));
}

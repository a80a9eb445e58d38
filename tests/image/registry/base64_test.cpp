// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/base64.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

using mortise::image::distribution::base64_form;
using mortise::image::distribution::decode_base64;
using mortise::image::distribution::encode_base64;

TEST_CASE("base64: the vectors of RFC 4648") {
  for (const auto& [plain, coded] : std::vector<std::pair<std::string, std::string>>{{"", ""},
                                                                                     {"f", "Zg=="},
                                                                                     {"fo", "Zm8="},
                                                                                     {"foo", "Zm9v"},
                                                                                     {"foob", "Zm9vYg=="},
                                                                                     {"fooba", "Zm9vYmE="},
                                                                                     {"foobar", "Zm9vYmFy"}}) {
    CAPTURE(plain);
    CHECK(encode_base64(plain) == coded);
    CHECK(decode_base64(coded) == plain);
    const std::string bare = coded.substr(0, coded.find('='));
    CHECK(encode_base64(plain, base64_form::url) == bare);
    CHECK(decode_base64(bare, base64_form::url) == plain);
  }
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every.push_back(static_cast<char>(byte));
  CHECK(decode_base64(encode_base64(every)) == every);
  CHECK(decode_base64(encode_base64(every, base64_form::url), base64_form::url) == every);
  CHECK(encode_base64("\xfb\xff", base64_form::url) == "-_8");
}

TEST_CASE("base64: another spelling is refused") {
  for (const char* const bad : {"Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm9v\n", " Zm9v",
                                "Zm-v", "Zm_v", "Zm9v=", "Z", "Zm9vY", "Zg=a"}) {
    CAPTURE(bad);
    CHECK_FALSE(decode_base64(bad).has_value());
  }
  for (const char* const bad : {"Zg==", "Zh", "Z", "Zm+v", "Zm/v"}) {
    CAPTURE(bad);
    CHECK_FALSE(decode_base64(bad, base64_form::url).has_value());
  }
  CHECK_FALSE(decode_base64(std::string("Zm\0v", 4)).has_value());
}

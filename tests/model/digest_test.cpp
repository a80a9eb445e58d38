// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/digest.hpp>
// The header under test comes first, so that it is proven to need nothing before it.

#include <doctest/doctest.h>

#include <string>

using mortise::model::digest;
using mortise::model::digest_algorithm;

namespace {
std::string why(std::string_view text) {
  const auto parsed = digest::parse(text);
  return parsed.ok() ? std::string("accepted") : std::string(mortise::message(parsed.status()));
}
}  // namespace

TEST_CASE("digest: the two known algorithms are taken in their one spelling") {
  const std::string hex(64, 'a');
  const auto parsed = digest::parse("sha256:" + hex);
  REQUIRE(parsed.ok());
  CHECK(parsed->algorithm() == digest_algorithm::sha256);
  CHECK(parsed->text() == "sha256:" + hex);
  CHECK(parsed->hex() == hex);
  CHECK(parsed->brief() == std::string(12, 'a'));
  const auto longer = digest::parse("sha512:" + std::string(128, '0'));
  REQUIRE(longer.ok());
  CHECK(longer->algorithm() == digest_algorithm::sha512);
  CHECK(*parsed < *longer);
  CHECK(*parsed == *digest::parse(parsed->text()));
}

TEST_CASE("digest: what is not one says why, and is never a path") {
  CHECK(why("") == "parse digest '': no algorithm before a ':'");
  CHECK(why("sha256:../../etc/passwd").ends_with("sha256 needs 64 digits"));
  CHECK(why("sha256:" + std::string(63, 'a')).ends_with("sha256 needs 64 digits"));
  CHECK(why("sha256:" + std::string(65, 'a')).ends_with("sha256 needs 64 digits"));
  CHECK(why("sha256:" + std::string(64, 'A')).ends_with("only lower-case hexadecimal digits are allowed"));
  CHECK(why("sha256:" + std::string(62, 'a') + "/.").ends_with("only lower-case hexadecimal digits are allowed"));
  CHECK(why("md5:" + std::string(32, 'a')).ends_with("unsupported algorithm (sha256 and sha512 are)"));
  CHECK(why("../x:" + std::string(64, 'a')).ends_with("unsupported algorithm (sha256 and sha512 are)"));
  CHECK(why(std::string("sha256:\0\n", 9)).starts_with("parse digest 'sha256:\\x00\\x0a'"));
}

TEST_CASE("digest: raw bytes become digits") {
  std::string raw(32, '\0');
  raw[0] = '\x01';
  raw[31] = '\xfe';
  const auto made = digest::from_bytes(digest_algorithm::sha256, raw);
  CHECK(made.text() == "sha256:01" + std::string(60, '0') + "fe");
  CHECK(digest::parse(made.text()).ok());
}

// SPDX-License-Identifier: Apache-2.0
#include <mortise/digest/openssl.hpp>

#include <doctest/doctest.h>

#include <string>
#include <utility>

using mortise::digest::openssl;
using mortise::model::digest_algorithm;

TEST_CASE("digest::of knows the published digests") {
  CHECK(mortise::digest::of("").text() == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(mortise::digest::of("abc").text() == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(mortise::digest::of("{}").text() == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
}

TEST_CASE("digest::openssl computes sha512") {
  openssl hash(digest_algorithm::sha512);
  hash.update(std::as_bytes(std::span(std::string_view("abc"))));
  CHECK(hash.finish().text() ==
        "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

TEST_CASE("digest::openssl takes its bytes in any pieces, and moves in between") {
  const std::string text(100'000, 'x');
  openssl hash;
  hash.update(std::as_bytes(std::span(text)).first(1));
  hash.update({});
  openssl moved(std::move(hash));
  moved.update(std::as_bytes(std::span(text)).subspan(1));
  CHECK(moved.finish() == mortise::digest::of(text));
}

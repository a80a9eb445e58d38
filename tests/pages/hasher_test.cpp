// SPDX-License-Identifier: Apache-2.0
#include <mortise/digest/hasher.hpp>

#include <doctest/doctest.h>

#include <pages/page.hpp>

// archetype
/// All that verification asks of a hash. This one hashes nothing: its digest is all zeros.
class hasher_archetype {
 public:
  explicit hasher_archetype(mortise::model::digest_algorithm which) : which_(which) {}
  void update(std::span<const std::byte> /*bytes*/) {}
  [[nodiscard]] mortise::model::digest finish() const {
    const bool sha256 = which_ == mortise::model::digest_algorithm::sha256;
    return *mortise::model::digest::parse(sha256 ? "sha256:" + std::string(64, '0')
                                                 : "sha512:" + std::string(128, '0'));
  }

 private:
  mortise::model::digest_algorithm which_;
};

static_assert(mortise::digest::hasher<hasher_archetype>);
// end of archetype

TEST_CASE("concepts: the page of hasher prints what is compiled here") {
  CHECK(concepts::prints_archetype(__FILE__, "concepts/hasher"));
}

TEST_CASE("concepts: the hasher archetype has a digest") {
  hasher_archetype hash(mortise::model::digest_algorithm::sha256);
  hash.update({});
  CHECK(hash.finish().hex() == std::string(64, '0'));
}

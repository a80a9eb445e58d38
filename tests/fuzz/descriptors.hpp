// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What holds of every descriptor that any document gave.

#include <fuzz/target.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/model/descriptor.hpp>
#include <mortise/model/digest.hpp>
#include <mortise/model/platform.hpp>

namespace fuzz {

inline void check_digest(const mortise::model::digest& from) {
  const auto again = taken(mortise::model::digest::parse(from.text()), "the text of a digest is one");
  require(again == from, "a digest survives being written", from.text());
}

inline void check_descriptor(const mortise::model::descriptor& from) {
  using namespace mortise;
  check_digest(from.digest);
  require(model::media_type::parse(from.type.text()).ok(), "a media type survives being written", from.type.text());
  require(from.size >> 63 == 0, "a size fits into a signed number");
  if (from.platform) require(model::normalized(*from.platform) == *from.platform, "a platform is normalised");
  if (!from.data) return;
  require(from.data->size() == from.size, "embedded content has the size that was stated");
  require(digest::of(*from.data) == from.digest || from.digest.algorithm() != model::digest_algorithm::sha256,
          "embedded content has the digest that was stated", from.digest.text());
}

}  // namespace fuzz

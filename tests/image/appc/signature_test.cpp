// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/signature.hpp>

#include <doctest/doctest.h>

TEST_CASE("signature: no policy asks for none") {
  bool asked = false;
  const mortise::image::appc::no_signature check;
  CHECK(check(mortise::model::ac_identifier::parse("a").value(), {}, [&]() -> absl::StatusOr<std::string> {
          asked = true;
          return std::string();
        }).ok());
  CHECK_FALSE(asked);
}

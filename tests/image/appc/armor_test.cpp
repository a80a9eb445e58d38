// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/armor.hpp>

#include <doctest/doctest.h>

#include <string>

using mortise::image::appc::without_armor;

namespace {

std::string armored(const std::string& inside) {
  return "-----BEGIN PGP PUBLIC KEY BLOCK-----\n" + inside + "-----END PGP PUBLIC KEY BLOCK-----\n";
}

}  // namespace

TEST_CASE("armor: keys come out of it, several of one file, with and without headers") {
  CHECK(without_armor("\x99\x01 binary") == "\x99\x01 binary");
  CHECK(without_armor(armored("\naGVsbG8=\n=abcd\n")) == "hello");
  CHECK(without_armor("a note\r\n" + armored("Version: x\r\nComment: y: z\r\n\r\naGVs\r\nbG8=\r\n=abcd\r\n")) ==
        "hello");
  CHECK(without_armor(armored("\naGVsbG8=\n") + "\n" + armored("\nd29ybGQ=\n=1234\n")) == "helloworld");
}

TEST_CASE("armor: what is malformed is nothing") {
  CHECK_FALSE(without_armor("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\naGVsbG8=\n"));
  CHECK_FALSE(without_armor(armored("\n")));
  CHECK_FALSE(without_armor(armored("\naGVs!G8=\n")));
  CHECK_FALSE(without_armor(armored("\naGVsbG8=\n") + armored("\naGV\n")));
}

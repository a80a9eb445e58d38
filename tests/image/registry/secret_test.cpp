// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/secret.hpp>

#include <doctest/doctest.h>

#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

using mortise::image::distribution::secret;

namespace {
template <class T>
concept prints = requires(std::ostream& out, const T& value) { out << value; };
}  // namespace

TEST_CASE("secret: it goes where it is meant to, and into no message") {
  static_assert(!std::is_convertible_v<secret, std::string_view> && !std::is_constructible_v<std::string_view, secret>);
  static_assert(!std::is_convertible_v<secret, std::string> && !std::is_constructible_v<std::string, secret>);
  static_assert(!std::is_convertible_v<std::string, secret>, "a secret is made on purpose");
  static_assert(!prints<secret>);
  const secret one(std::string_view("hunter2"));
  CHECK(one.reveal() == "hunter2");
  secret copy = one;
  CHECK(copy == one);
  const secret moved = std::move(copy);
  CHECK(moved == one);
  CHECK(copy.empty());  // NOLINT(bugprone-use-after-move,clang-analyzer-cplusplus.Move): what is left is the question
  CHECK(secret().empty());
}

TEST_CASE("secret: the text it was made of is overwritten") {
  std::string text(64, 'x');
  const secret made(std::move(text));
  CHECK(made.reveal() == std::string(64, 'x'));
  CHECK(text.find('x') == std::string::npos);  // NOLINT(bugprone-use-after-move): what is left is the question
}

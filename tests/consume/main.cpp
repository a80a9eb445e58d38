// SPDX-License-Identifier: Apache-2.0
#include <mortise/digest/openssl.hpp>
#include <mortise/model/digest.hpp>

int main() {
  const auto parsed = mortise::model::digest::parse("sha256:short");
  return parsed.ok() || mortise::digest::of("").hex().substr(0, 8) != "e3b0c442";
}

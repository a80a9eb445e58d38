// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/oci/descriptor.hpp>

#include <doctest/doctest.h>

#include <image/layout_builder.hpp>
#include <string>
#include <string_view>

using mortise::message;
using mortise::image::json::document;
using mortise::image::oci::decode_base64;
using mortise::image::oci::read_descriptor;

namespace {

absl::StatusOr<mortise::model::descriptor> read(std::string_view text) {
  const auto parsed = document::parse(text, "it");
  if (!parsed.ok()) return parsed.status();
  return read_descriptor(parsed->root());
}

bool says(std::string_view text, std::string_view part) {
  const auto result = read(text);
  const std::string said(message(result.status()));
  CAPTURE(said);
  return !result.ok() && said.find(part) != std::string::npos;
}

std::string with(std::string_view type, std::string_view digest, std::string_view size, std::string_view more = {}) {
  return mortise::concat(R"({"mediaType":)", type, R"(,"digest":)", digest, R"(,"size":)", size, more, '}');
}

const std::string type = R"("application/vnd.oci.image.config.v1+json")";
const std::string digest = '"' + support::sha256("hello") + '"';

}  // namespace

TEST_CASE("descriptor: every member is read") {
  const auto good = read(with(type, digest, "5",
                              R"(,"platform":{"os":"Linux","architecture":"x86_64","variant":"v1","extra":{}},
                                 "urls":["https://example.com/x"],"annotations":{"a":"b"},"artifactType":"x/y","data":"aGVsbG8=")"));
  REQUIRE(good.ok());
  CHECK(good->size == 5);
  CHECK(good->platform->text() == "linux/amd64");
  CHECK(good->urls.front() == "https://example.com/x");
  CHECK(good->artifact_type == "x/y");
  CHECK(good->data == "hello");
}

TEST_CASE("descriptor: what is wrong is named") {
  CHECK(says(with(type, R"("sha256:../../x")", "5"), "at 'digest'"));
  CHECK(says(with(type, R"("md5:0123")", "5"), "unsupported algorithm"));
  CHECK(says(with(type, digest, "-5"), "at 'size'"));
  CHECK(says(with(type, digest, "5.0"), "at 'size'"));
  CHECK(says(with(type, digest, R"("5")"), "at 'size'"));
  CHECK(says(with(R"("tar")", digest, "5"), "at 'mediaType'"));
  CHECK(says(with("null", digest, "5"), "'mediaType' is missing"));
  CHECK(says(R"([])", "must be an object"));
}

TEST_CASE("descriptor: embedded content counts only if it is what is described") {
  CHECK(says(with(type, digest, "5", R"(,"data":"aGVsbG8h")"), "it is longer than the 5 bytes expected"));
  CHECK(says(with(type, digest, "5", R"(,"data":"aGVsbA==")"), "ends after 4 of the 5 bytes"));
  CHECK(says(with(type, digest, "5", R"(,"data":"aGVsbGE=")"), "its digest is"));
  CHECK(says(with(type, digest, "5", R"(,"data":"aGVsbG8")"), "not base64"));
  CHECK(says(with(type, digest, "5", R"(,"data":7)"), "at 'data'"));
}

TEST_CASE("descriptor: base64 has one spelling") {
  CHECK(decode_base64("") == "");
  CHECK(decode_base64("/+8=") == "\xff\xef");
  CHECK(decode_base64("AAEC") == std::string("\0\1\2", 3));
  for (const char* const bad : {"A", "AA", "AAA", "A===", "AB==", "AAB=", "A A=", "AA=A", "_-8=", "===="}) {
    CAPTURE(bad);
    CHECK_FALSE(decode_base64(bad).has_value());
  }
}

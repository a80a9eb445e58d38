// SPDX-License-Identifier: Apache-2.0
/// \file
/// Names of images: whatever is taken has texts that mean the same again.

#include <fuzz/target.hpp>
#include <mortise/model/digest.hpp>
#include <mortise/model/platform.hpp>
#include <mortise/model/reference.hpp>
#include <string>
#include <string_view>

namespace {

using namespace mortise;

void check_digest(std::string_view text) {
  const auto digest = model::digest::parse(text);
  if (!fuzz::accepted(digest)) return;
  fuzz::require(digest->text() == text, "a digest has one spelling", text);
  fuzz::require(digest->hex().size() == model::hex_length(digest->algorithm()), "a digest has all its digits", text);
  fuzz::require(text.find('/') == std::string_view::npos, "a digest is a file name", text);
}

void check_platform(std::string_view text) {
  const auto platform = model::parse_platform(text);
  if (!fuzz::accepted(platform)) return;
  fuzz::require(model::normalized(*platform) == *platform, "a normalised platform stays as it is", text);
}

}  // namespace

absl::Status fuzz::target(std::string_view input) {
  check_digest(input);
  check_platform(input);
  const auto reference = model::reference::parse(input);
  if (!accepted(reference)) return reference.status();
  const auto again = taken(model::reference::parse(reference->text()), "the text of a reference is one");
  require(again == *reference, "a reference survives being written", reference->text());
  const auto familiar = taken(model::reference::parse(reference->familiar()), "the short text is a reference");
  require(familiar == *reference, "the short text means the same image", reference->familiar());
  require(reference->tag() || reference->digest(), "a reference has a tag or a digest", input);
  require(is_printable(reference->text()), "a reference is printable", input);
  const std::string path = concat('/', reference->name().path(), '/');
  for (const char* const part : {"//", "/./", "/../"})
    require(path.find(part) == std::string::npos, "a repository is a plain path", path);
  return absl::OkStatus();
}

// SPDX-License-Identifier: Apache-2.0
/// \file
/// Pages of Appc's meta discovery, and templates: only whole URLs of the schemes that were asked for come of them.

#include <fuzz/target.hpp>
#include <mortise/image/appc/discovery.hpp>
#include <mortise/model/ac_name.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace mortise;
using namespace mortise::image::appc;

model::ac_labels labels() {
  std::vector<model::ac_labels::value_type> all;
  for (const auto& [name, value] : {std::pair("version", "1.0/../{name}"), std::pair("os", "linux")})
    all.emplace_back(fuzz::taken(model::ac_identifier::parse(name), "the label is one"), value);
  return fuzz::taken(model::ac_labels::make(std::move(all)), "the labels are good");
}

void check_url(const std::string& url) {
  fuzz::require(url.starts_with("https://"), "only https comes of a page", url);
  fuzz::require(url.size() <= 4096, "a URL has an end", url);
  for (const char each : url)
    fuzz::require(static_cast<unsigned char>(each) > 0x20 && each != 0x7f, "a URL has no spaces", url);
}

}  // namespace

absl::Status fuzz::target(std::string_view input) {
  const auto name = taken(model::ac_identifier::parse("example.com/worker"), "the name is one");
  const model::ac_labels asked = labels();
  if (const auto expanded = expand_template(input, name, asked, "aci"); accepted(expanded))
    require(expanded->find("/../") == std::string::npos || input.find("..") != std::string_view::npos,
            "a label adds no component", *expanded);
  const auto found = meta_discovery(input, name, asked);
  if (!accepted(found)) return found.status();
  require(found->images.size() + found->keys.size() <= 64, "a page names a few places");
  for (const aci_location& each : found->images) {
    check_url(each.image);
    check_url(each.signature);
  }
  for (const std::string& each : found->keys) check_url(each);
  if (found->images.empty()) return error(absl::StatusCode::kNotFound, "scan page: it names no image");
  return absl::OkStatus();
}

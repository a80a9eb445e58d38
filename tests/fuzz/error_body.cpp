// SPDX-License-Identifier: Apache-2.0
/// \file
/// What registries say when they will not: whatever it is, a Status that can be shown comes of it.

#include <fuzz/target.hpp>
#include <mortise/image/registry/errors.hpp>
#include <mortise/image/registry/tags.hpp>
#include <string_view>

using namespace mortise;
using namespace mortise::image::distribution;

/// Refused where nothing in the body could be understood.
absl::Status fuzz::target(std::string_view input) {
  for (const unsigned status : {200U, 400U, 401U, 403U, 404U, 416U, 418U, 429U, 500U, 503U, 999U}) {
    const absl::Status made = response_error("pull registry.example.com/x", status, input);
    check_failure(made);
    require(message(made).starts_with("pull registry.example.com/x: "), "a failure names the action", message(made));
    require(message(made).size() < 1000, "a failure is short", message(made));
  }
  if (const auto tags = parse_tags(input, "tags"); accepted(tags))
    for (const model::tag& each : *tags)
      require(model::tag::parse(each.text()).ok(), "a tag of the list is one", each.text());
  const auto errors = parse_errors(input);
  require(errors.size() <= 10, "ten errors are enough");
  if (errors.empty()) return error(absl::StatusCode::kInvalidArgument, "read body: no error in it");
  return absl::OkStatus();
}

// SPDX-License-Identifier: Apache-2.0
/// \file
/// Answers of token servers: a token that is taken can be sent, for a time that makes sense.

#include <chrono>
#include <fuzz/target.hpp>
#include <mortise/image/registry/token.hpp>
#include <string_view>

using namespace mortise;
using namespace mortise::image::distribution;

absl::Status fuzz::target(std::string_view input) {
  const std::chrono::sys_seconds now(std::chrono::seconds(1'800'000'000));
  const auto answer = parse_token_response(input, "the token server's answer", now);
  if (!accepted(answer)) return answer.status();
  require(bearer_authorization(answer->token).ok(), "a token can be sent");
  require(answer->refresh_token.empty() || bearer_authorization(answer->refresh_token).ok(), "so can the other one");
  const auto lifetime = answer->lifetime;
  require(lifetime >= std::chrono::minutes(1) && lifetime <= std::chrono::hours(24), "a token lives a minute to a day",
          concat(lifetime.count()));
  return absl::OkStatus();
}

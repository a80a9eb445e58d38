// SPDX-License-Identifier: Apache-2.0
/// \file
/// WWW-Authenticate fields, up to the decision what to send where: a password never goes to a stranger.

#include <fuzz/target.hpp>
#include <mortise/image/registry/authorization.hpp>
#include <mortise/image/registry/challenge.hpp>
#include <mortise/image/registry/endpoint.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace {

using namespace mortise;
using namespace mortise::image::distribution;

constexpr std::string_view password = "not-to-be-seen";

/// Challenges as a server would write them.
std::string text_of(const std::vector<challenge>& all) {
  std::vector<std::string> texts;
  for (const challenge& each : all) {
    std::vector<std::string> parameters;
    for (const auto& [name, value] : each.parameters) {
      std::string quoted;
      for (const char letter : value) append(quoted, letter == '"' || letter == '\\' ? "\\" : "", letter);
      parameters.push_back(concat(name, "=\"", quoted, '"'));
    }
    texts.push_back(concat(each.scheme, ' ', each.token68, join(parameters, ", ")));
  }
  return join(texts, ", ");
}

bool same(const challenge& left, const challenge& right) {
  return left.scheme == right.scheme && left.token68 == right.token68 && left.parameters == right.parameters;
}

/// Written again, so as not to ask the code under test whether it is right.
bool is_related(const std::string& realm, const std::string& registry) {
  const bool below = realm.ends_with(concat('.', registry));
  const bool above = registry.ends_with(concat('.', realm)) && realm.find('.') != std::string::npos;
  return realm == registry || below || above;
}

/// Asked by a registry of the network, with credentials for it.
void check_answer(const endpoint& at, const demand& asked) {
  const credential mine{"me", secret(password), secret(password), {}};
  const auto step = answer_challenge(at, asked, mine);
  if (!fuzz::accepted(step)) {
    fuzz::require(message(step.status()).find(password) == std::string_view::npos, "a message shows no password");
    return;
  }
  const auto* const token = std::get_if<token_step>(&*step);
  if (token == nullptr) return;
  const url& realm = token->request.realm;
  const std::string address = token->request.address().text();
  fuzz::require(realm.secure(), "a password goes over TLS only", address);
  fuzz::require(is_related(realm.host(), at.base.host()), "a password goes to no stranger", address);
  fuzz::require(address.find(password) == std::string::npos, "a password is in no address", address);
  fuzz::require(url::parse(address).ok(), "the token server's address is one", address);
  for (const std::string& scope : token->request.scopes.texts())
    fuzz::require(scope.ends_with(":pull"), "a token is asked for reading only", scope);
}

}  // namespace

/// Lines are fields.
absl::Status fuzz::target(std::string_view input) {
  std::vector<std::string> fields;
  for (const std::string_view line : split(input, '\n')) fields.emplace_back(line);
  const auto challenges = parse_challenges(fields);
  if (!accepted(challenges)) return challenges.status();
  const std::string text = text_of(*challenges);
  if (text.size() <= challenge_limits{}.size && challenges->size() <= challenge_limits{}.challenges) {
    const std::vector<std::string> written{text};
    const auto again = taken(parse_challenges(written), "challenges survive being written");
    require(std::equal(again.begin(), again.end(), challenges->begin(), challenges->end(), same),
            "challenges mean the same when they were written", text);
  }
  if (input.find(password) != std::string_view::npos) return absl::OkStatus();  // a registry that knows it already
  const demand asked = demand_of(*challenges);
  require(!asked.bearer || !asked.bearer->realm.empty(), "a demand for a token says where from", input);
  const auto image = taken(model::reference::parse("registry.example.com/a/b"), "the image is one");
  const auto endpoints = taken(endpoints_of(image), "the image has a registry");
  check_answer(endpoints.front(), asked);
  return absl::OkStatus();
}

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Credential helpers: "docker-credential-NAME get", the one place where a registry's protocol has a program run.
/// Needs: RapidJSON.

#include <absl/status/statusor.h>

#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/child_program.hpp>
#include <mortise/image/json.hpp>
#include <mortise/image/registry/auth_file.hpp>
#include <mortise/image/registry/credentials.hpp>
#include <mortise/image/registry/secret.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::distribution {

/// What a helper may cost: it may have to ask its user.
using helper_limits = program_limits;

namespace detail {

/// What helpers say, with status 1, of a registry that they do not know.
inline bool says_unknown(std::string_view output) {
  while (!output.empty() && static_cast<unsigned char>(output.back()) <= ' ') output.remove_suffix(1);
  return output == "credentials not found in native keychain";
}

/// Why a helper failed, for messages: what it wrote to standard error, or else to standard output, where the protocol
/// has it, unless that could be an answer with a secret in it.
inline std::string complaint_of(const program_result& from) {
  std::string text =
      from.end.by_signal ? concat("killed by signal ", from.end.number) : concat("exit code ", from.end.number);
  std::string_view said = from.complaint;
  if (said.find_first_not_of(" \t\r\n") == std::string_view::npos)
    said = from.output.find_first_of("{\"") == std::string::npos && !from.end.by_signal ? std::string_view(from.output)
                                                                                        : std::string_view();
  while (!said.empty() && static_cast<unsigned char>(said.back()) <= ' ') said.remove_suffix(1);
  if (!said.empty()) append(text, ": ", printable(said));
  return text;
}

inline absl::StatusOr<credential> read_helper_answer(const json::value& root) {
  credential out;
  MORTISE_ASSIGN_OR_RETURN(std::string username, root.text_or("Username", ""));
  MORTISE_ASSIGN_OR_RETURN(const json::value secret_at, root.member("Secret"));
  MORTISE_ASSIGN_OR_RETURN(std::string text, secret_at.text());
  secret hidden(std::move(text));
  const auto good = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; };
  if (!model::detail::every(username, good) || username.find(':') != std::string::npos)
    return root.refuse("'Username' holds a colon or a control character");
  if (hidden.empty() || !model::detail::every(hidden.reveal(), good))
    return root.refuse("'Secret' is empty or holds a control character");
  if (username == "<token>") {
    out.identity_token = std::move(hidden);
  } else {
    out.username = std::move(username);
    out.password = std::move(hidden);
  }
  return out;
}

}  // namespace detail

/// Asks a credential helper. Nothing where it has no credentials for the server.
///
/// Effects: runs "docker-credential-NAME get" without a shell, in a session of its own, with `variables` as its
/// environment, the server on its standard input and no other descriptor than its three.
/// Fails with INVALID_ARGUMENT for a query that is none or an answer that is none, NOT_FOUND where there is no such
/// program, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, and UNAVAILABLE where it fails, with what it says of that; never
/// with anything of its answer.
/// Leaves behind on failure: no process of its session.
inline absl::StatusOr<std::optional<credential>> ask_helper(const helper_query& query, const environment& variables,
                                                            const helper_limits& most = {}) {
  const std::string what =
      concat("ask credential helper '", printable(query.name, 64), "' for '", printable(query.server, 300), '\'');
  const auto visible = [](char c) { return c > 0x20 && c < 0x7f; };
  if (!is_helper_name(query.name))
    return error(absl::StatusCode::kInvalidArgument, concat(what, ": not a name of one"));
  if (query.server.empty() || query.server.size() > 2048 || !model::detail::every(query.server, visible))
    return error(absl::StatusCode::kInvalidArgument, concat(what, ": not a name of a registry"));
  const auto path = find_program(concat("docker-credential-", query.name), variable(variables, "PATH"),
                                 "install it, or take it out of the file of credentials");
  if (!path.ok()) return annotate(path.status(), what);
  child_program process;
  if (const absl::Status status =
          process.start({.path = *path, .arguments = {"get"}, .input = query.server, .variables = variables});
      !status.ok())
    return annotate(status, what);
  auto result = process.finish(most);
  if (!result.ok()) return annotate(result.status(), what);
  if (result->end.by_signal || result->end.number != 0) {
    if (!result->end.by_signal && detail::says_unknown(result->output)) return std::optional<credential>();
    return error(absl::StatusCode::kUnavailable, concat(what, ": ", detail::complaint_of(*result)));
  }
  const secret answer(std::move(result->output));
  const auto document = json::document::parse(answer.reveal(), "its answer", {.depth = 8, .values = 100});
  if (!document.ok()) return annotate(document.status(), what);
  auto read = detail::read_helper_answer(document->root());
  if (!read.ok()) return annotate(read.status(), concat(what, ": parse its answer"));
  return std::optional(*std::move(read));
}

}  // namespace mortise::image::distribution

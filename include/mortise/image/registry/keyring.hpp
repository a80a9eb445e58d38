// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The credentials of whoever pulls: what the program was given, then what files and helpers of the user know.
/// Needs: RapidJSON.

#include <absl/status/statusor.h>
#include <unistd.h>

#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/registry/auth_file.hpp>
#include <mortise/image/registry/credentials.hpp>
#include <mortise/image/registry/helper.hpp>
#include <mortise/model/platform.hpp>
#include <mortise/model/reference.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace mortise::image::distribution {

/// Credentials that a program gives itself. They decide before all files.
struct login {
  std::string where;  ///< "docker.io", "registry.example.com:5000", or a path in it: "registry.example.com/team"
  credential with;
};

/// Finds a repository's credentials. May be asked by several threads at once.
class keyring {
 public:
  keyring() = default;
  /// Without `variables` those of the process decide, as they are when it is asked.
  explicit keyring(std::vector<login> own, std::optional<environment> variables = {}, helper_limits most = {})
      : own_(std::move(own)), variables_(std::move(variables)), most_(most) {}

  /// Nothing where the repository is to be pulled anonymously.
  /// Effects: reads files and runs credential helpers.
  /// Fails as `find_credentials` and `ask_helper` do: going on without would be guessing who the user is.
  [[nodiscard]] absl::StatusOr<std::optional<credential>> find(const model::repository_name& name) const {
    std::vector<std::string> keys;
    keys.reserve(own_.size());
    for (const login& each : own_) keys.push_back(each.where);
    const auto best = detail::best_key(keys, concat(model::detail::lower_case(name.registry()), '/', name.path()));
    if (best) return std::optional(own_[*best].with);
    const environment variables = variables_ ? *variables_ : process_environment();
    MORTISE_ASSIGN_OR_RETURN(const auto ways, find_credentials(variables, ::geteuid(), name));
    for (const credential_way& each : ways) {
      if (const auto* const here = std::get_if<credential>(&each)) return std::optional(*here);
      MORTISE_ASSIGN_OR_RETURN(auto helped, ask_helper(std::get<helper_query>(each), variables, most_));
      if (helped) return helped;
    }
    return std::optional<credential>();
  }

 private:
  std::vector<login> own_;
  std::optional<environment> variables_;
  helper_limits most_;
};

}  // namespace mortise::image::distribution

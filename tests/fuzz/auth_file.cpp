// SPDX-License-Identifier: Apache-2.0
/// \file
/// Files of credentials: what they give can be sent, and runs no program that a variable names.

#include <fuzz/target.hpp>
#include <mortise/image/registry/auth_file.hpp>
#include <mortise/image/registry/token.hpp>
#include <mortise/model/reference.hpp>
#include <string_view>
#include <variant>

namespace {

using namespace mortise;
using namespace mortise::image::distribution;

void check(const credential& from) {
  if (!from.password.empty())
    fuzz::require(basic_authorization(from.username, from.password).ok(), "a name and password can be sent",
                  from.username);
  fuzz::require(!from.empty(), "an entry without anything is none");
}

void check(const helper_query& from, auth_form form) {
  fuzz::require(form == auth_form::config, "only a configuration names programs", from.name);
  fuzz::require(is_helper_name(from.name), "a helper's name is part of a program's name", from.name);
}

absl::Status check_file(std::string_view text, auth_form form) {
  const auto file = auth_file::parse(text, "credentials", form);
  if (!fuzz::accepted(file)) return file.status();
  absl::Status first;
  for (const char* const each : {"busybox", "registry.example.com/a/b", "registry.example.com:5000/a", "localhost/x"}) {
    const auto name = fuzz::taken(model::repository_name::parse(each), "the name is one");
    const auto ways = file->find(name);
    first = first_error(first, ways.status());
    if (!fuzz::accepted(ways)) continue;
    for (const credential_way& way : *ways) {
      if (const auto* const here = std::get_if<credential>(&way)) check(*here);
      if (const auto* const helper = std::get_if<helper_query>(&way)) check(*helper, form);
    }
  }
  return first;
}

}  // namespace

absl::Status fuzz::target(std::string_view input) {
  check_file(input, auth_form::environment).IgnoreError();
  check_file(input, auth_form::legacy).IgnoreError();
  return check_file(input, auth_form::config);
}

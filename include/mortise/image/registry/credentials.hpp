// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Where a user's credentials for registries lie, and which of them a repository's are. Needs: RapidJSON.

#include <absl/status/statusor.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <iterator>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/registry/auth_file.hpp>
#include <mortise/model/reference.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::distribution {

/// Variables as "NAME=VALUE", as execve(2) takes them.
using environment = std::vector<std::string>;

/// This process's own.
inline environment process_environment() {
  environment out;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) out.emplace_back(*each);
  return out;
}

/// The value of a variable; nothing where it is empty too, as the tools that we read after have it.
inline std::optional<std::string> variable(const environment& in, std::string_view name) {
  for (const std::string& each : in)
    if (each.size() > name.size() + 1 && each.starts_with(name) && each[name.size()] == '=')
      return each.substr(name.size() + 1);
  return std::nullopt;
}

/// One place to look for credentials.
struct auth_place {
  std::string path;  ///< of a file; empty where `text` is it
  std::string text;
  auth_form form = auth_form::config;
  bool asked_for = false;  ///< the user named it: that it is missing is an error
};

/// The places, the one that decides first in front: $DOCKER_AUTH_CONFIG; $REGISTRY_AUTH_FILE, or else auth.json in the
/// run-time directory; auth.json in the configuration directory; $DOCKER_CONFIG or ~/.docker; ~/.dockercfg.
/// `user` owns the run-time directory where no variable names it. Touches nothing.
inline std::vector<auth_place> auth_places(const environment& in, uid_t user) {
  std::vector<auth_place> out;
  const auto file = [&out](std::string_view directory, std::string_view name, auth_form form = auth_form::config) {
    // A relative path would mean another file in each working directory.
    if (directory.starts_with('/')) out.push_back({concat(directory, '/', name), {}, form, false});
  };
  const std::string home = variable(in, "HOME").value_or("");
  if (auto text = variable(in, "DOCKER_AUTH_CONFIG"))
    out.push_back({{}, *std::move(text), auth_form::environment, false});
  if (auto named = variable(in, "REGISTRY_AUTH_FILE")) {
    out.push_back({*std::move(named), {}, auth_form::config, true});
  } else if (const auto runtime = variable(in, "XDG_RUNTIME_DIR")) {
    file(*runtime, "containers/auth.json");
  } else {
    file(concat("/run/containers/", user), "auth.json");
  }
  const auto below = [&](std::string_view name, std::string_view otherwise) {
    const auto named = variable(in, name);
    return named || home.empty() ? named.value_or("") : concat(home, otherwise);
  };
  file(below("XDG_CONFIG_HOME", "/.config"), "containers/auth.json");
  file(below("DOCKER_CONFIG", "/.docker"), "config.json");
  file(home, ".dockercfg", auth_form::legacy);
  return out;
}

namespace detail {

/// A regular file's text; nothing where there is none. A pipe that nobody writes to must not hold us.
inline absl::StatusOr<std::optional<std::string>> read_if_there(const std::string& path) {
  auto opened = sys::open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!opened.ok()) {
    const int problem = errno_of(opened.status());
    if (problem == ENOENT || problem == ENOTDIR) return std::optional<std::string>();
    return opened.status();
  }
  struct stat about{};
  if (::fstat(opened->get(), &about) != 0) return errno_error(errno, concat("stat '", path, '\''));
  if (!S_ISREG(about.st_mode))
    return error(absl::StatusCode::kFailedPrecondition, concat("read '", path, "': it is not a regular file"));
  auto text = sys::read_all(opened->get(), auth_file::most_bytes);
  if (!text.ok()) return annotate(text.status(), concat('\'', path, '\''));
  return std::optional(*std::move(text));
}

}  // namespace detail

/// The ways to credentials for a repository that one place knows. None where it does not exist.
/// Fails with NOT_FOUND where the user named it and it does not exist; else as `auth_file` does.
inline absl::StatusOr<std::vector<credential_way>> credentials_at(const auth_place& place,
                                                                  const model::repository_name& name) {
  std::optional<std::string> text = place.text;
  const std::string subject = place.path.empty() ? "$DOCKER_AUTH_CONFIG" : concat('\'', place.path, '\'');
  if (!place.path.empty()) {
    MORTISE_ASSIGN_OR_RETURN(text, detail::read_if_there(place.path));
  }
  if (!text && place.asked_for)
    return error(absl::StatusCode::kNotFound,
                 concat("read credentials in ", subject, ": no such file (unset REGISTRY_AUTH_FILE, or log in)"));
  if (!text) return std::vector<credential_way>{};
  MORTISE_ASSIGN_OR_RETURN(const auto file, auth_file::parse(*text, subject, place.form));
  return file.find(name);
}

/// All ways to credentials for a repository, the one to try first in front; none means that it is pulled anonymously.
/// A helper that has none passes on to the next way.
/// Fails with the failure of a place before which there was no way: going on would be guessing who the user is.
inline absl::StatusOr<std::vector<credential_way>> find_credentials(const environment& in, uid_t user,
                                                                    const model::repository_name& name) {
  std::vector<credential_way> out;
  for (const auth_place& each : auth_places(in, user)) {
    auto ways = credentials_at(each, name);
    if (!ways.ok() && !out.empty()) break;
    if (!ways.ok()) return ways.status();
    std::move(ways->begin(), ways->end(), std::back_inserter(out));
  }
  return out;
}

}  // namespace mortise::image::distribution

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What runs in a container: an image's wishes and a caller's, made one.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mortise/base/status.hpp>
#include <mortise/model/image_config.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::model {

/// What a caller says about the program; what is left empty is the image's choice.
struct program_options {
  std::vector<std::string> args;                         ///< in place of the image's Cmd
  std::optional<std::vector<std::string>> entrypoint{};  ///< in place of the image's Entrypoint, and drops its Cmd
  std::vector<std::string> env{};                        ///< NAME=VALUE; wins over the image's
  std::string working_directory{};
  std::string user{};  ///< "user", "uid", "user:group" or "uid:gid"
};

/// All that is needed to execute.
struct program {
  std::vector<std::string> arguments;    ///< at least the program itself
  std::vector<std::string> environment;  ///< NAME=VALUE, each name once; PATH is always among them
  std::string working_directory = "/";   ///< absolute
  std::string user = "0";
  std::string group;
};

/// Where programs are sought unless image or caller say otherwise: image-spec conversion.md.
inline constexpr std::string_view default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

namespace detail {

/// The lists one after the other, each name once and where it stood first, with the value that it had last.
inline std::vector<std::string> merged_environment(const std::vector<std::string>& image,
                                                   const std::vector<std::string>& own) {
  std::vector<std::string> out;
  std::map<std::string_view, std::size_t> places;  // not hashed: an image could choose names that all hash alike
  for (const auto* list : {&image, &own})
    for (const std::string& each : *list) {
      const auto [place, is_new] = places.try_emplace(std::string_view(each).substr(0, each.find('=') + 1), out.size());
      if (is_new)
        out.push_back(each);
      else
        out[place->second] = each;
    }
  return out;
}

/// No text handed to the kernel may hold a NUL; a variable needs a name.
inline absl::Status check_program(const program& what) {
  const auto refuse = [](std::string_view why) {
    return error(absl::StatusCode::kInvalidArgument, concat("run program: ", why));
  };
  if (what.arguments.empty() || what.arguments.front().empty())
    return refuse("nothing to run: the image names no program (give one)");
  for (const auto* list : {&what.arguments, &what.environment})
    for (const std::string& each : *list)
      if (each.find('\0') != std::string::npos) return refuse(concat("a NUL byte in '", printable(each), '\''));
  for (const std::string& each : what.environment)
    if (each.find('=') == std::string::npos || each.front() == '=')
      return refuse(concat("environment '", printable(each), "' is not of the form NAME=VALUE"));
  if (!what.working_directory.starts_with('/') || what.working_directory.find('\0') != std::string::npos)
    return refuse(concat("working directory '", printable(what.working_directory), "' is not an absolute path"));
  return absl::OkStatus();
}

}  // namespace detail

/// The image's configuration with the caller's options over it: image-spec conversion.md.
/// Fails with INVALID_ARGUMENT where no program remains, or a text is not of its form.
inline absl::StatusOr<program> make_program(const image_config& image, const program_options& options) {
  program out;
  out.arguments = options.entrypoint ? *options.entrypoint : image.entrypoint;
  const bool image_arguments = options.args.empty() && !options.entrypoint;
  const auto& arguments = image_arguments ? image.cmd : options.args;
  out.arguments.insert(out.arguments.end(), arguments.begin(), arguments.end());
  out.environment = detail::merged_environment(image.env, options.env);
  const bool has_path = std::any_of(out.environment.begin(), out.environment.end(),
                                    [](const std::string& each) { return each.starts_with("PATH="); });
  if (!has_path) out.environment.push_back(concat("PATH=", default_path));
  const std::string& directory =
      options.working_directory.empty() ? image.working_directory : options.working_directory;
  if (!directory.empty()) out.working_directory = directory;
  const std::string& user = options.user.empty() ? image.user : options.user;
  const std::size_t colon = std::min(user.find(':'), user.size());
  if (colon > 0) out.user = user.substr(0, colon);
  if (colon < user.size()) out.group = user.substr(colon + 1);
  MORTISE_RETURN_IF_ERROR(detail::check_program(out));
  return out;
}

}  // namespace mortise::model

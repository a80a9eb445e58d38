// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Reads Appc's image manifest: App Container specification 0.8.11, "ImageManifest". Every rule is checked
/// here, so that what follows works on values that keep them.

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/image/appc/fields.hpp>
#include <mortise/image/appc/isolator.hpp>
#include <mortise/image/json.hpp>
#include <mortise/model/ac_name.hpp>
#include <mortise/model/descriptor.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::appc {

/// What an app does before it starts or after it ended.
struct event_handler {
  std::string name;  ///< "pre-start" or "post-stop"
  std::vector<std::string> exec;
};

struct mount_point {
  model::ac_name name;
  std::string path;  ///< absolute, without ".."
  bool read_only = false;
};

struct port {
  model::ac_name name;
  std::string protocol;
  std::uint16_t first = 0;
  std::uint32_t count = 1;
  bool socket_activated = false;
};

/// How the image's program is to run.
struct app {
  std::vector<std::string> exec;
  std::string user;   ///< a name, a number, or a path whose owner is meant
  std::string group;  ///< likewise
  std::vector<std::uint32_t> supplementary_gids;
  std::vector<event_handler> event_handlers;
  std::string working_directory = "/";
  model::annotations environment;
  std::vector<mount_point> mount_points;
  std::vector<port> ports;
  std::vector<isolator> isolators;  ///< all that the image asks for
  model::annotations user_annotations;
  model::annotations user_labels;
};

/// An image that is rendered below this one.
struct dependency {
  model::ac_identifier name;
  std::optional<model::ac_image_id> id;
  model::ac_labels labels;
  std::optional<std::uint64_t> size;  ///< of the ACI as it is transferred
};

/// The manifest of one image.
struct image_manifest {
  std::string version;  ///< of the specification that it was written by
  bool older = false;   ///< whether its major version is an older one, which a user should hear of
  model::ac_identifier name;
  model::ac_labels labels;
  std::optional<appc::app> app;
  std::vector<dependency> dependencies;
  std::vector<std::string> path_whitelist;  ///< absolute, without ".."; empty shows all
  model::annotations annotations;
};

namespace detail {

/// The version of the specification that this library knows.
inline constexpr std::array<std::uint32_t, 3> known_version{0, 8, 11};

/// "0.8.11", "0.8.11-rc1+git": the three numbers of semantic versioning 2.0.0, or nothing.
inline std::optional<std::array<std::uint32_t, 3>> parse_version(std::string_view text) {
  if (text.size() > 128) return std::nullopt;
  const std::size_t end = text.find_first_of("-+");
  const std::string_view extra = end == std::string_view::npos ? std::string_view{} : text.substr(end);
  std::array<std::uint32_t, 3> out{};
  const auto parts = split(text.substr(0, end), '.');
  if (parts.size() != out.size()) return std::nullopt;
  for (std::size_t at = 0; at < out.size(); ++at) {
    const auto number = parse_number<std::uint32_t>(parts[at]);
    if (!number || (parts[at].size() > 1 && parts[at].front() == '0')) return std::nullopt;
    out[at] = *number;
  }
  const auto odd = [](char c) {
    return !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
             c == '+');
  };
  if (extra.size() == 1 || std::any_of(extra.begin(), extra.end(), odd)) return std::nullopt;
  return out;
}

/// "2026-01-31T23:59:60.5+01:00": RFC 3339, section 5.6.
inline bool is_date(std::string_view text) {
  constexpr std::string_view form = "dddd-dd-ddTdd:dd:dd";
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto fits = [digit](std::string_view piece, std::string_view pattern) {
    if (piece.size() != pattern.size()) return false;
    for (std::size_t at = 0; at < piece.size(); ++at)
      if (pattern[at] == 'd' ? !digit(piece[at]) : piece[at] != pattern[at]) return false;
    return true;
  };
  const auto within = [](std::string_view digits, unsigned least, unsigned most) {
    const auto number = parse_number<unsigned>(digits);
    return number && *number >= least && *number <= most;
  };
  if (text.size() > 64 || !fits(text.substr(0, form.size()), form)) return false;
  if (!within(text.substr(5, 2), 1, 12) || !within(text.substr(8, 2), 1, 31) || !within(text.substr(11, 2), 0, 23) ||
      !within(text.substr(14, 2), 0, 59) || !within(text.substr(17, 2), 0, 60))
    return false;
  text.remove_prefix(form.size());
  if (text.starts_with('.')) {
    const std::size_t end = text.find_first_not_of("0123456789", 1);
    if (end == std::string_view::npos || end == 1) return false;
    text.remove_prefix(end);
  }
  if (text == "Z") return true;
  const bool offset = fits(text, "+dd:dd") || fits(text, "-dd:dd");
  return offset && within(text.substr(1, 2), 0, 23) && within(text.substr(4, 2), 0, 59);
}

inline absl::StatusOr<std::vector<std::string>> read_exec(const json::value& of) {
  std::vector<std::string> out;
  MORTISE_ASSIGN_OR_RETURN(const auto from, of.optional("exec"));
  if (!from) return out;
  MORTISE_ASSIGN_OR_RETURN(out, read_texts(*from));
  if (!out.empty() && out.front().empty()) return from->refuse("its first element must not be empty");
  return out;
}

inline absl::StatusOr<event_handler> read_event_handler(const json::value& from) {
  event_handler out;
  MORTISE_ASSIGN_OR_RETURN(out.name, read_text(from, "name"));
  if (out.name != "pre-start" && out.name != "post-stop")
    return from.refuse(concat("'", printable(out.name, 40), "' is not an event (pre-start and post-stop are)"));
  MORTISE_ASSIGN_OR_RETURN(out.exec, read_exec(from));
  if (out.exec.empty()) return from.refuse("'exec' is missing or empty");
  return out;
}

inline absl::StatusOr<mount_point> read_mount_point(const json::value& from) {
  MORTISE_ASSIGN_OR_RETURN(auto name, read_name(from, "name"));
  MORTISE_ASSIGN_OR_RETURN(auto path, read_path(from, "path"));
  MORTISE_ASSIGN_OR_RETURN(const bool read_only, read_flag(from, "readOnly"));
  return mount_point{std::move(name), std::move(path), read_only};
}

inline absl::StatusOr<port> read_port(const json::value& from) {
  MORTISE_ASSIGN_OR_RETURN(auto name, read_name(from, "name"));
  MORTISE_ASSIGN_OR_RETURN(auto protocol, read_filled(from, "protocol"));
  MORTISE_ASSIGN_OR_RETURN(const json::value first_at, from.member("port"));
  MORTISE_ASSIGN_OR_RETURN(const std::uint64_t first, first_at.count());
  if (first < 1 || first > 65535) return first_at.refuse(concat(first, " is not within 1 and 65535"));
  std::uint64_t count = 1;
  MORTISE_ASSIGN_OR_RETURN(const auto count_at, from.optional("count"));
  if (count_at) {
    MORTISE_ASSIGN_OR_RETURN(count, count_at->count());
    if (count < 1 || count > 65536 - first)
      return count_at->refuse(concat(count, " is not within 1 and ", 65536 - first, ", where the ports end"));
  }
  MORTISE_ASSIGN_OR_RETURN(const bool activated, read_flag(from, "socketActivated"));
  return port{std::move(name), std::move(protocol), static_cast<std::uint16_t>(first),
              static_cast<std::uint32_t>(count), activated};
}

/// Letters, digits, "_", "." and "-", no digit, dot or hyphen first.
inline bool is_variable_name(std::string_view name) {
  constexpr std::string_view first = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_";
  const auto other = [first](char c) {
    return first.find(c) == std::string_view::npos &&
           std::string_view("0123456789.-").find(c) == std::string_view::npos;
  };
  return !name.empty() && first.find(name.front()) != std::string_view::npos &&
         std::none_of(name.begin(), name.end(), other);
}

/// Refuses the second of two elements with one name.
template <class List, class Name>
absl::Status check_unique(const json::value& of, std::string_view member, const List& list, Name name_of) {
  std::set<std::string_view> seen;
  for (const auto& each : list) {
    const std::string_view name = name_of(each);
    if (seen.insert(name).second) continue;
    MORTISE_ASSIGN_OR_RETURN(const json::value at, of.member(member));
    return at.refuse(concat("'", printable(name), "' occurs twice"));
  }
  return absl::OkStatus();
}

using name_and_value = std::pair<std::string, std::string>;

inline absl::StatusOr<name_and_value> read_variable(const json::value& from) {
  MORTISE_ASSIGN_OR_RETURN(std::string name, read_text(from, "name"));
  if (!is_variable_name(name)) return from.refuse(concat("'", printable(name, 160), "' cannot be a variable's name"));
  MORTISE_ASSIGN_OR_RETURN(std::string value, read_text_or(from, "value"));
  return name_and_value(std::move(name), std::move(value));
}

inline absl::StatusOr<name_and_value> read_annotation(const json::value& from) {
  MORTISE_ASSIGN_OR_RETURN(const auto name, read_identifier(from, "name"));
  MORTISE_ASSIGN_OR_RETURN(std::string value, read_text_or(from, "value"));
  if (name == "created" && !is_date(value))
    return from.refuse(concat("'", printable(value, 64), "' is not a date of RFC 3339"));
  const bool link = name == "homepage" || name == "documentation";
  if (link && !value.starts_with("http://") && !value.starts_with("https://"))
    return from.refuse(concat("'", printable(value, 160), "' is not an http or https URL"));
  return name_and_value(name.text(), std::move(value));
}

inline absl::StatusOr<std::uint32_t> read_gid(const json::value& from) {
  MORTISE_ASSIGN_OR_RETURN(const std::uint64_t gid, from.count());
  if (gid >= 0xffffffffU) return from.refuse(concat(gid, " is not a group ID"));
  return static_cast<std::uint32_t>(gid);
}

inline absl::Status read_places(const json::value& from, app& into) {
  MORTISE_ASSIGN_OR_RETURN(const auto directory, from.optional("workingDirectory"));
  if (directory) {
    MORTISE_ASSIGN_OR_RETURN(const std::string text, directory->text());
    if (!text.empty()) {
      MORTISE_ASSIGN_OR_RETURN(into.working_directory, read_path(*directory));
    }
  }
  MORTISE_ASSIGN_OR_RETURN(into.mount_points, read_list<mount_point>(from, "mountPoints", read_mount_point));
  MORTISE_RETURN_IF_ERROR(check_unique(from, "mountPoints", into.mount_points,
                                       [](const mount_point& each) -> std::string_view { return each.name.text(); }));
  MORTISE_ASSIGN_OR_RETURN(into.ports, read_list<port>(from, "ports", read_port));
  return check_unique(from, "ports", into.ports, [](const port& each) -> std::string_view { return each.name.text(); });
}

inline std::string_view first_of(const name_and_value& pair) { return pair.first; }

inline absl::StatusOr<app> read_app(const json::value& from) {
  app out;
  MORTISE_ASSIGN_OR_RETURN(out.exec, read_exec(from));
  MORTISE_ASSIGN_OR_RETURN(out.user, read_filled(from, "user"));
  MORTISE_ASSIGN_OR_RETURN(out.group, read_filled(from, "group"));
  MORTISE_ASSIGN_OR_RETURN(out.supplementary_gids, read_list<std::uint32_t>(from, "supplementaryGIDs", read_gid));
  MORTISE_ASSIGN_OR_RETURN(out.event_handlers, read_list<event_handler>(from, "eventHandlers", read_event_handler));
  MORTISE_RETURN_IF_ERROR(check_unique(from, "eventHandlers", out.event_handlers,
                                       [](const event_handler& each) -> std::string_view { return each.name; }));
  MORTISE_ASSIGN_OR_RETURN(out.environment, read_list<name_and_value>(from, "environment", read_variable));
  MORTISE_RETURN_IF_ERROR(check_unique(from, "environment", out.environment, first_of));
  MORTISE_RETURN_IF_ERROR(read_places(from, out));
  MORTISE_ASSIGN_OR_RETURN(out.isolators, read_isolators(from));
  MORTISE_ASSIGN_OR_RETURN(out.user_annotations, from.pairs_or_none("userAnnotations"));
  MORTISE_ASSIGN_OR_RETURN(out.user_labels, from.pairs_or_none("userLabels"));
  return out;
}

inline absl::StatusOr<dependency> read_dependency(const json::value& from) {
  MORTISE_ASSIGN_OR_RETURN(auto name, read_identifier(from, "imageName"));
  dependency out{std::move(name), {}, {}, {}};
  MORTISE_ASSIGN_OR_RETURN(const auto id_at, from.optional("imageID"));
  if (id_at) {
    MORTISE_ASSIGN_OR_RETURN(const std::string text, id_at->text());
    MORTISE_ASSIGN_OR_RETURN(out.id, placed(model::ac_image_id::parse(text), *id_at));
  }
  MORTISE_ASSIGN_OR_RETURN(out.labels, read_labels(from));
  MORTISE_ASSIGN_OR_RETURN(const auto size_at, from.optional("size"));
  if (size_at) {
    MORTISE_ASSIGN_OR_RETURN(out.size, size_at->count());
  }
  if (out.size == 0U) out.size.reset();  // as Go's writers say "unknown"
  return out;
}

/// acKind and acVersion. A later version may mean by a member what this library does not know.
inline absl::Status read_heading(const json::value& root, image_manifest& into) {
  MORTISE_ASSIGN_OR_RETURN(const json::value kind_at, root.member("acKind"));
  MORTISE_ASSIGN_OR_RETURN(const std::string kind, kind_at.text());
  if (kind != "ImageManifest") return kind_at.refuse(concat("'", printable(kind, 40), "' is not ImageManifest"));
  MORTISE_ASSIGN_OR_RETURN(const json::value version_at, root.member("acVersion"));
  MORTISE_ASSIGN_OR_RETURN(into.version, version_at.text());
  const auto version = parse_version(into.version);
  if (!version) return version_at.refuse(concat("'", printable(into.version, 40), "' is not a semantic version"));
  if (*version > known_version)
    return version_at.refuse(
        concat("version ", printable(into.version, 40), " is newer than 0.8.11, the latest known"));
  into.older = version->front() < known_version.front();
  return absl::OkStatus();
}

inline absl::StatusOr<image_manifest> read_image_manifest(const json::value& root) {
  MORTISE_ASSIGN_OR_RETURN(const auto is_object, root.optional("acKind"));
  if (!is_object) return root.refuse("'acKind' is missing");
  MORTISE_ASSIGN_OR_RETURN(auto name, read_identifier(root, "name"));
  image_manifest out{{}, false, std::move(name), {}, {}, {}, {}, {}};
  MORTISE_RETURN_IF_ERROR(read_heading(root, out));
  MORTISE_ASSIGN_OR_RETURN(out.labels, read_labels(root));
  MORTISE_ASSIGN_OR_RETURN(const auto app_at, root.optional("app"));
  if (app_at) {
    MORTISE_ASSIGN_OR_RETURN(out.app, read_app(*app_at));
  }
  MORTISE_ASSIGN_OR_RETURN(out.dependencies, read_list<dependency>(root, "dependencies", read_dependency, 256));
  const auto path = [](const json::value& each) { return read_path(each); };
  MORTISE_ASSIGN_OR_RETURN(out.path_whitelist, read_list<std::string>(root, "pathWhitelist", path, 200'000));
  MORTISE_ASSIGN_OR_RETURN(out.annotations, read_list<name_and_value>(root, "annotations", read_annotation));
  MORTISE_RETURN_IF_ERROR(check_unique(root, "annotations", out.annotations, first_of));
  return out;
}

}  // namespace detail

/// Parses an image manifest. Members that the specification does not know are ignored, as it asks.
/// Fails with INVALID_ARGUMENT: "parse `subject`: at 'app.ports[0].port': ..."; RESOURCE_EXHAUSTED past the
/// limits of json::document.
inline absl::StatusOr<image_manifest> parse_image_manifest(std::string_view text, std::string_view subject) {
  MORTISE_ASSIGN_OR_RETURN(const auto document, json::document::parse(text, subject));
  auto out = detail::read_image_manifest(document.root());
  if (!out.ok()) return annotate(out.status(), concat("parse ", subject));
  return out;
}

}  // namespace mortise::image::appc

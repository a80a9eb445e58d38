// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What holds of every Appc manifest that was taken.

#include <fuzz/target.hpp>
#include <mortise/image/appc/manifest.hpp>
#include <mortise/image/appc/render.hpp>
#include <mortise/model/ac_name.hpp>
#include <string>

namespace fuzz {

inline void check_name(const mortise::model::ac_identifier& from) {
  require(mortise::model::ac_identifier::parse(from.text()).ok(), "an identifier survives being written", from.text());
  const std::string path = mortise::concat('/', from.text(), '/');
  for (const char* const part : {"//", "/./", "/../"})
    require(path.find(part) == std::string::npos, "an identifier is a plain path", path);
}

inline void check_path(const std::string& path) {
  const std::string whole = path == "/" ? path : path + '/';
  require(path.starts_with('/') && path.find('\0') == std::string::npos, "a path is absolute, and whole", path);
  for (const char* const part : {"//", "/./", "/../"})
    require(whole.find(part) == std::string::npos, "a path is plain", path);
}

inline void check_app(const mortise::image::appc::app& from) {
  check_path(from.working_directory);
  require(!from.user.empty() && !from.group.empty(), "an app has a user and a group");
  for (const auto& each : from.mount_points) check_path(each.path);
  for (const auto& each : from.isolators) check_name(each.name);
  for (const auto& each : from.ports)
    require(each.count >= 1 && each.first + each.count <= 65536, "ports are ports", each.name.text());
  for (const std::string& each : from.exec)
    require(each.find('\0') == std::string::npos, "an argument is a C string", each);
}

inline void check_manifest(const mortise::image::appc::image_manifest& from) {
  check_name(from.name);
  for (const auto& [name, value] : from.labels.all()) check_name(name);
  require(from.labels.match(from.labels), "labels match themselves", from.labels.text());
  for (const auto& each : from.dependencies) {
    check_name(each.name);
    if (each.id)
      require(mortise::model::ac_image_id::parse(each.id->text()).ok(), "an image ID survives being written");
  }
  const auto filter = mortise::image::appc::path_filter().narrowed(from.path_whitelist);
  for (const std::string& each : from.path_whitelist) {
    check_path(each);
    require(filter.shows(each), "what is on the whitelist shows", each);
  }
  if (from.app) check_app(*from.app);
}

}  // namespace fuzz

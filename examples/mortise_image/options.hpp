// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// mortise-image's command line: its options, by name.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <mortise/model/platform.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../tool/options.hpp"
#include "../tool/source_options.hpp"

namespace mortise_image {

struct options {
  std::vector<std::string> operands;
  bool has_file = false;  ///< some of them were read from one
  std::string store;      ///< absolute; empty for the default
  std::optional<mortise::model::platform> platform;
  std::optional<mortise::bytes> keep;
  std::optional<mortise::bytes> free;
  std::optional<std::chrono::seconds> older_than;
  unsigned jobs = 0;
  tool::source_options sources;
  bool artifact = false;
  bool drop_blobs = false;
  bool dry_run = false;
  bool files = false;
  bool repair = false;
  bool rootless = false;
  bool settle = false;
  bool tree = false;
  bool json = false;
  bool packed = false;
  bool quiet = false;
  bool help = false;
  bool version = false;
};

/// "45s", "30m", "12h", "7d", "2w".
inline std::optional<std::chrono::seconds> parse_age(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::int64_t unit = 0;
  switch (text.back()) {
    case 's':
      unit = 1;
      break;
    case 'm':
      unit = 60;
      break;
    case 'h':
      unit = 3600;
      break;
    case 'd':
      unit = 86400;
      break;
    case 'w':
      unit = 604800;
      break;
    default:
      return std::nullopt;
  }
  const auto number = mortise::parse_number<std::int64_t>(text.substr(0, text.size() - 1));
  if (!number || *number < 0 || *number > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  return std::chrono::seconds(*number * unit);
}

/// The locations in a file: one a line, without the spaces around it; empty lines and those with # first are none.
/// Read at once: as long as options are parsed, a signal ends the program.
inline absl::Status add_locations(options& to, std::string_view file) {
  constexpr std::size_t most = std::size_t{1} << 20;
  const auto text =
      file == "-" ? mortise::sys::read_all(STDIN_FILENO, most) : mortise::sys::read_file(std::string(file), most);
  if (!text.ok()) return text.status();
  for (std::string_view line : mortise::split(*text, '\n')) {
    constexpr std::string_view space = " \t\r";
    line.remove_prefix(std::min(line.find_first_not_of(space), line.size()));
    line = line.substr(0, line.find_last_not_of(space) + 1);
    if (!line.empty() && line.front() != '#') to.operands.emplace_back(line);
  }
  to.has_file = true;
  return absl::OkStatus();
}

template <auto Size>
absl::Status set_size(options& to, std::string_view value) {
  return tool::assign(to.*Size, mortise::parse_bytes(value), value, "a size such as 500m or 20g");
}

/// Every command has a few of these.
inline constexpr tool::option<options> all_options[] = {
    {"platform", 0, "P", "this platform of the image, as in linux/arm64",
     [](options& to, std::string_view value) {
       MORTISE_ASSIGN_OR_RETURN(to.platform, mortise::model::parse_platform(value));
       return absl::OkStatus();
     }},
    {"rootless", 0, "", "unpack for containers without privileges; for others than root it is always on",
     tool::turn_on<&options::rootless>},
    {"packed", 0, "", "unpack nothing: keep layers as tars, with an index, for mortise-run --backend erofs",
     tool::turn_on<&options::packed>},
    {"artifact", 0, "", "keep it as it is and unpack nothing: it need not be an image",
     tool::turn_on<&options::artifact>},
    {"jobs", 'j', "N", "unpack so many layers at once; as many as processors, at most 4, without",
     [](options& to, std::string_view value) {
       const auto jobs = mortise::parse_number<unsigned>(value);
       return tool::assign(to.jobs, jobs && *jobs > 0 ? jobs : std::nullopt, value, "a number from 1 up");
     }},
    {"settle", 0, "", "end only when all of it would survive a power cut", tool::turn_on<&options::settle>},
    {"file", 'f', "FILE", "read locations from here, one a line, # begins a comment; - is standard input",
     add_locations},
    {"tree", 0, "", "show what it is made of as a tree", tool::turn_on<&options::tree>},
    {"files", 0, "", "list the files of its unpacked layers", tool::turn_on<&options::files>},
    {"dry-run", 'n', "", "only say what would go", tool::turn_on<&options::dry_run>},
    {"keep", 0, "SIZE", "let images go, those not used for longest first, until no more than this is held",
     set_size<&options::keep>},
    {"free", 0, "SIZE", "the same until so much of the file system is free", set_size<&options::free>},
    {"older-than", 0, "AGE", "let images go that were not used for longer, as in 12h, 7d, 2w",
     [](options& to, std::string_view value) {
       return tool::assign(to.older_than, parse_age(value), value, "an age such as 45s, 30m, 12h, 7d or 2w");
     }},
    {"drop-blobs", 0, "", "let fetched layers go whose unpacked form is on the disk",
     tool::turn_on<&options::drop_blobs>},
    {"repair", 0, "", "take out what is damaged, and pull its images anew", tool::turn_on<&options::repair>},
    {"aci-prefix", 0, "URL", "look for Appc images behind this, as in file:///srv/aci/; may be repeated",
     tool::add_aci_prefix<&options::sources>},
    {"aci-keys", 0, "DIR", "take Appc images only if a key in DIR/root.d or DIR/prefix.d/NAME signed them",
     tool::set_aci_keys<&options::sources>},
    {"aci-http", 0, "", "fetch Appc images by plain HTTP too", tool::turn_on_aci_http<&options::sources>},
    {"mirror", 0, "REGISTRY=ADDRESS", "ask this before a registry, as in docker.io=mirror.example.com; may be repeated",
     tool::add_mirror<&options::sources>},
    {"plain-http", 0, "REGISTRY", "speak plain HTTP to this registry; may be repeated",
     tool::add_plain_http<&options::sources>},
    {"schema-1", 0, "", "take Docker's old manifests of schema 1 too", tool::turn_on_schema_1<&options::sources>},
    {"store", 0, "DIR", "a store, or a directory with one in DIR/store, as mortise-run has",
     tool::set_directory<&options::store>},
    {"json", 0, "", "print one JSON object", tool::turn_on<&options::json>},
    {"quiet", 'q', "", "show no progress", tool::turn_on<&options::quiet>},
    {"help", 'h', "", "print this and end", tool::turn_on<&options::help>},
    {"version", 0, "", "print the version and end", tool::turn_on<&options::version>},
};
inline constexpr std::string_view source_options = "aci-prefix aci-keys aci-http mirror plain-http schema-1";
inline constexpr std::string_view common_options = "store json quiet help version";

/// Those of the table whose names are in a list with spaces between.
inline std::vector<tool::option<options>> options_named(std::string_view names) {
  const std::vector<std::string_view> wanted = mortise::split(names, ' ');
  std::vector<tool::option<options>> out;
  for (const auto& each : all_options)
    if (std::find(wanted.begin(), wanted.end(), each.name) != wanted.end()) out.push_back(each);
  return out;
}

}  // namespace mortise_image

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// mortise-run's command line: one table from which it is parsed and explained.

#include <stdlib.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <mortise/base/id.hpp>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/base/units.hpp>
#include <mortise/image/store_concept.hpp>
#include <mortise/model/id_range.hpp>
#include <mortise/model/image.hpp>
#include <mortise/model/platform.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../tool/locations.hpp"
#include "../tool/options.hpp"
#include "../tool/source_options.hpp"

namespace mortise_run {

struct volume {
  std::string source;  ///< absolute, links followed
  std::string target;
  bool read_only = false;
};

struct options {
  std::string image;
  std::vector<std::string> args;
  std::optional<std::vector<std::string>> entrypoint;
  std::vector<std::string> env;
  std::string working_directory;
  std::string user;
  std::string hostname;
  std::vector<volume> volumes;
  std::vector<mortise::model::image_volume> image_volumes;
  std::optional<mortise::bytes> disk;
  std::optional<mortise::model::id_range> ids;
  std::optional<mortise::bytes> memory;
  std::optional<double> cpus;
  std::optional<std::uint64_t> pids;
  std::optional<mortise::container_id> name;
  std::optional<mortise::model::platform> platform;
  tool::source_options sources;
  std::string store;  ///< absolute; empty for the default
  mortise::image::refresh refresh = mortise::image::refresh::missing;
  bool strict_isolators = false;  ///< an Appc image whose isolators cannot all be enforced is refused
  std::string backend = "overlay";
  bool rootless = false;
  bool read_only = false;
  bool quiet = false;
  bool help = false;
  bool version = false;
};

namespace detail {

inline std::optional<mortise::image::refresh> parse_refresh(std::string_view text) {
  using mortise::image::refresh;
  if (text == "missing") return refresh::missing;
  if (text == "always") return refresh::always;
  return text == "never" ? std::optional(refresh::never) : std::nullopt;
}

inline std::optional<double> parse_double(std::string_view text) {
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

inline absl::Status add_volume(options& to, std::string_view value) {
  const auto parts = mortise::split(value, ':');
  const bool known_mode = parts.size() < 3 || parts[2] == "ro" || parts[2] == "rw";
  if (parts.size() < 2 || parts.size() > 3 || parts[0].empty() || !parts[1].starts_with('/') || !known_mode)
    return tool::refuse(value, "SRC:DST[:ro], a host path and an absolute path in the container");
  to.volumes.push_back({tool::absolute(parts[0]), std::string(parts[1]), parts.size() == 3 && parts[2] == "ro"});
  return absl::OkStatus();
}

/// The image's own name may have colons. One without DST, as in oci:/srv/image, does not read as an image "oci".
inline absl::Status add_image_volume(options& to, std::string_view value) {
  constexpr std::string_view schemes[] = {"oci", "oci-archive", "docker-archive", "dir", "aci", "appc", "docker"};
  const std::size_t colon = value.rfind(":/");
  if (colon == std::string_view::npos || colon == 0 || std::ranges::count(schemes, value.substr(0, colon)) != 0)
    return tool::refuse(value, "IMAGE:DST, an image and an absolute path in the container");
  to.image_volumes.push_back({std::string(value.substr(0, colon)), std::string(value.substr(colon + 1))});
  return absl::OkStatus();
}

/// To the library zero is no bound, and to somebody who writes it the contrary.
inline absl::Status set_disk(options& to, std::string_view value) {
  constexpr std::string_view wanted = "a size such as 512k, 64m or 2g";
  MORTISE_RETURN_IF_ERROR(tool::assign(to.disk, mortise::parse_bytes(value), value, wanted));
  if (to.disk->count != 0) return absl::OkStatus();
  return tool::refuse(value, mortise::concat(wanted, " (--read-only for nothing at all)"));
}

inline absl::Status set_ids(options& to, std::string_view value) {
  constexpr std::string_view wanted = "FIRST:COUNT, two numbers";
  const std::size_t colon = value.find(':');
  if (colon == std::string_view::npos) return tool::refuse(value, wanted);
  const auto first = mortise::parse_number<std::uint32_t>(value.substr(0, colon));
  const auto count = mortise::parse_number<std::uint32_t>(value.substr(colon + 1));
  if (!first || !count) return tool::refuse(value, wanted);
  to.ids = mortise::model::id_range{*first, *count};
  return mortise::model::check_id_range(*to.ids);
}

/// NAME=VALUE, or NAME alone for the caller's own value, if there is one.
inline absl::Status add_variable(options& to, std::string_view value) {
  if (value.empty() || value.front() == '=') return tool::refuse(value, "NAME=VALUE or NAME");
  if (value.find('=') != std::string_view::npos) {
    to.env.emplace_back(value);
  } else if (const char* const own = ::getenv(std::string(value).c_str())) {
    to.env.push_back(mortise::concat(value, '=', own));
  }
  return absl::OkStatus();
}

}  // namespace detail

inline constexpr tool::option<options> all_options[] = {
    {"memory", 'm', "SIZE", "at most this much memory, as in 512k, 64m, 2g",
     [](options& to, std::string_view value) {
       return tool::assign(to.memory, mortise::parse_bytes(value), value, "a size such as 512k, 64m or 2g");
     }},
    {"cpus", 0, "N", "at most the time of this many processors, as in 1.5",
     [](options& to, std::string_view value) {
       return tool::assign(to.cpus, detail::parse_double(value), value, "a number of processors such as 1.5");
     }},
    {"pull", 0, "WHEN", "ask a registry about the image always, never, or if it is missing (default)",
     [](options& to, std::string_view value) {
       return tool::assign(to.refresh, detail::parse_refresh(value), value, "missing, always or never");
     }},
    {"pids-limit", 0, "N", "at most this many processes and threads",
     [](options& to, std::string_view value) {
       return tool::assign(to.pids, mortise::parse_number<std::uint64_t>(value), value, "a whole number");
     }},
    {"env", 'e', "K=V", "set an environment variable; K alone passes on the caller's", detail::add_variable},
    {"volume", 'v', "SRC:DST[:ro]", "show a host file or directory at DST", detail::add_volume},
    {"workdir", 'w', "DIR", "start in this directory of the container", tool::set_text<&options::working_directory>},
    {"user", 'u', "USER", "become this user: name or number, or USER:GROUP", tool::set_text<&options::user>},
    {"entrypoint", 0, "PROGRAM", "run this in place of the image's entrypoint; '' for none",
     [](options& to, std::string_view value) {
       to.entrypoint.emplace();
       if (!value.empty()) to.entrypoint->emplace_back(value);
       return absl::OkStatus();
     }},
    {"hostname", 0, "H", "the container's host name; its id without", tool::set_text<&options::hostname>},
    {"read-only", 0, "", "a root file system that cannot be written", tool::turn_on<&options::read_only>},
    {"backend", 0, "NAME", "how layers become a root: see below; overlay without", tool::set_text<&options::backend>},
    {"image-volume", 0, "IMAGE:DST", "show another image, read-only, at DST; may be repeated",
     detail::add_image_volume},
    {"disk", 0, "SIZE", "at most this much may be written into the root, as in 64m, 2g", detail::set_disk},
    {"map-ids", 0, "FIRST:COUNT", "the container's users are COUNT of the host's, from FIRST on, as in 100000:65536",
     detail::set_ids},
    {"rootless", 0, "", "use no privileges: a user namespace; for others than root it is always on",
     tool::turn_on<&options::rootless>},
    {"store", 0, "DIR", "keep images and roots here", tool::set_directory<&options::store>},
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
    {"strict-isolators", 0, "", "refuse an Appc image with an isolator that would be ignored",
     tool::turn_on<&options::strict_isolators>},
    {"platform", 0, "P", "choose this platform of the image, as in linux/arm64",
     [](options& to, std::string_view value) {
       MORTISE_ASSIGN_OR_RETURN(to.platform, mortise::model::parse_platform(value));
       return absl::OkStatus();
     }},
    {"name", 0, "ID", "the container's id; random without",
     [](options& to, std::string_view value) {
       MORTISE_ASSIGN_OR_RETURN(to.name, mortise::container_id::parse(value));
       return absl::OkStatus();
     }},
    {"quiet", 'q', "", "say nothing but errors", tool::turn_on<&options::quiet>},
    {"help", 'h', "", "print this and end", tool::turn_on<&options::help>},
    {"version", 0, "", "print the version and end", tool::turn_on<&options::version>},
};

/// Options end at `--` or at the first word that is none: the image. All after the image is the container's.
inline absl::StatusOr<options> parse_options(std::span<const char* const> words) {
  const tool::option_parser<options> parser(all_options);
  options out;
  while (!words.empty() && parser.is_option(words[0])) {
    MORTISE_ASSIGN_OR_RETURN(const std::size_t taken, parser.apply(words, out));
    words = words.subspan(taken);
    if (out.help || out.version) return out;
  }
  if (!words.empty() && std::string_view(words[0]) == "--") words = words.subspan(1);
  if (words.empty())
    return mortise::error(absl::StatusCode::kInvalidArgument, "no image is named (write mortise-run [OPTIONS] IMAGE)");
  out.image = words[0];
  out.args.assign(words.begin() + 1, words.end());
  return out;
}

inline std::string help_text() {
  std::string out = R"(usage: mortise-run [OPTIONS] IMAGE [ARGS...]

Runs a container and ends as it ends. ARGS take the place of the image's Cmd.

IMAGE is one of
)";
  mortise::append(out, tool::locations_help, "\nOPTIONS\n");
  tool::append_help<options>(out, all_options);
  return out + R"(
A value may follow as --option VALUE, --option=VALUE, -o VALUE or -oVALUE. `--` ends the options.

BACKENDS
  overlay  layers stacked by the kernel; a start costs the same whatever the image's size
  erofs    layers are never unpacked: the kernel reads files out of their tars (Linux 6.4, root)
  copy     layers copied into a tree of the container's own: slow, and works everywhere
  bind     an image of one layer, read-only, as it lies in the store
  aufs     as overlay, on the few kernels that have it
  auto     the first of erofs, overlay, aufs and copy that works here

SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 and SIGWINCH are passed on to the container; before it
runs, the first four cancel. The third request to end kills it.

EXIT CODE: the container's own, and
  125      mortise-run could not make or run the container
  126      its program cannot be executed
  127      its program was not found
  128+N    it, or mortise-run before it ran, was ended by signal N

EXAMPLES
  mortise-run oci:busybox echo hello
  mortise-run --memory 64m --cpus 0.5 --pids-limit 100 oci:debian.tar:bookworm sh -c 'make -j'
  mortise-run --read-only -v "$PWD:/src:ro" -w /src -u 1000:1000 docker-archive:build.tar ls -l
  mortise-run --map-ids 100000:65536 oci:busybox id
  tar c . | mortise-run -q --rootless oci:busybox sha256sum
)";
}

}  // namespace mortise_run

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// mortise-run's command line: one table from which it is parsed and explained.

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <memory>
#include <mortise/base/id.hpp>
#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <mortise/model/platform.hpp>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  std::optional<mortise::bytes> memory;
  std::optional<double> cpus;
  std::optional<std::uint64_t> pids;
  std::optional<mortise::container_id> name;
  std::optional<mortise::model::platform> platform;
  std::string store;                      ///< absolute; empty for the default
  std::vector<std::string> aci_prefixes;  ///< where Appc images are looked for; empty for https and their own hosts
  std::string aci_keys;                   ///< a directory of keys for Appc images; empty asks for no signature
  bool aci_http = false;                  ///< plain HTTP is good enough for Appc images
  bool strict_isolators = false;          ///< an Appc image whose isolators cannot all be enforced is refused
  bool copy = false;                      ///< the backend, instead of overlay
  bool rootless = false;
  bool read_only = false;
  bool quiet = false;
  bool help = false;
  bool version = false;
};

namespace detail {

inline absl::Status refuse(std::string_view value, std::string_view expected) {
  return mortise::error(absl::StatusCode::kInvalidArgument,
                        mortise::concat('\'', mortise::printable(value), "' is not ", expected));
}

/// Assigns what a value was parsed to, or says what it should be.
template <class Target, class Value>
absl::Status assign(Target& to, std::optional<Value> parsed, std::string_view value, std::string_view expected) {
  if (!parsed) return refuse(value, expected);
  to = *std::move(parsed);
  return absl::OkStatus();
}

inline std::optional<double> parse_double(std::string_view text) {
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

/// A path of the caller's as it reads from everywhere, links followed where it exists.
inline std::string absolute(std::string_view path) {
  const std::unique_ptr<char, decltype(&::free)> resolved(::realpath(std::string(path).c_str(), nullptr), &::free);
  if (resolved != nullptr) return resolved.get();
  if (path.starts_with('/')) return std::string(path);
  const std::unique_ptr<char, decltype(&::free)> here(::getcwd(nullptr, 0), &::free);
  return mortise::concat(here != nullptr ? here.get() : "", '/', path);
}

inline absl::Status add_volume(options& to, std::string_view value) {
  const auto parts = mortise::split(value, ':');
  const bool known_mode = parts.size() < 3 || parts[2] == "ro" || parts[2] == "rw";
  if (parts.size() < 2 || parts.size() > 3 || parts[0].empty() || !parts[1].starts_with('/') || !known_mode)
    return refuse(value, "SRC:DST[:ro], a host path and an absolute path in the container");
  to.volumes.push_back({absolute(parts[0]), std::string(parts[1]), parts.size() == 3 && parts[2] == "ro"});
  return absl::OkStatus();
}

/// NAME=VALUE, or NAME alone for the caller's own value, if there is one.
inline absl::Status add_variable(options& to, std::string_view value) {
  if (value.empty() || value.front() == '=') return refuse(value, "NAME=VALUE or NAME");
  if (value.find('=') != std::string_view::npos) {
    to.env.emplace_back(value);
  } else if (const char* const own = ::getenv(std::string(value).c_str())) {
    to.env.push_back(mortise::concat(value, '=', own));
  }
  return absl::OkStatus();
}

}  // namespace detail

/// One option, as the parser and --help read it.
struct option {
  std::string_view name;
  char letter;             ///< or 0
  std::string_view value;  ///< what its value is called; empty where it takes none
  std::string_view help;
  absl::Status (*apply)(options& to, std::string_view value);
};

/// An option that only turns something on.
template <bool options::* Flag>
absl::Status turn_on(options& to, std::string_view /*value*/) {
  to.*Flag = true;
  return absl::OkStatus();
}
template <std::string options::* Text>
absl::Status set_text(options& to, std::string_view value) {
  if (value.empty()) return detail::refuse(value, "a value: it is empty");
  to.*Text = value;
  return absl::OkStatus();
}

inline constexpr option all_options[] = {
    {"memory", 'm', "SIZE", "at most this much memory, as in 512k, 64m, 2g",
     [](options& to, std::string_view value) {
       return detail::assign(to.memory, mortise::parse_bytes(value), value, "a size such as 512k, 64m or 2g");
     }},
    {"cpus", 0, "N", "at most the time of this many processors, as in 1.5",
     [](options& to, std::string_view value) {
       return detail::assign(to.cpus, detail::parse_double(value), value, "a number of processors such as 1.5");
     }},
    {"pids-limit", 0, "N", "at most this many processes and threads",
     [](options& to, std::string_view value) {
       return detail::assign(to.pids, mortise::parse_number<std::uint64_t>(value), value, "a whole number");
     }},
    {"env", 'e', "K=V", "set an environment variable; K alone passes on the caller's", detail::add_variable},
    {"volume", 'v', "SRC:DST[:ro]", "show a host file or directory at DST", detail::add_volume},
    {"workdir", 'w', "DIR", "start in this directory of the container", set_text<&options::working_directory>},
    {"user", 'u', "USER", "become this user: name or number, or USER:GROUP", set_text<&options::user>},
    {"entrypoint", 0, "PROGRAM", "run this in place of the image's entrypoint; '' for none",
     [](options& to, std::string_view value) {
       to.entrypoint.emplace();
       if (!value.empty()) to.entrypoint->emplace_back(value);
       return absl::OkStatus();
     }},
    {"hostname", 0, "H", "the container's host name; its id without", set_text<&options::hostname>},
    {"read-only", 0, "", "a root file system that cannot be written", turn_on<&options::read_only>},
    {"backend", 0, "overlay|copy", "how layers become a root; overlay without",
     [](options& to, std::string_view value) {
       to.copy = value == "copy";
       return to.copy || value == "overlay" ? absl::OkStatus() : detail::refuse(value, "'overlay' or 'copy'");
     }},
    {"rootless", 0, "", "use no privileges: a user namespace; for others than root it is always on",
     turn_on<&options::rootless>},
    {"store", 0, "DIR", "keep images and roots here",
     [](options& to, std::string_view value) {
       if (value.empty()) return detail::refuse(value, "a directory");
       to.store = detail::absolute(value);
       return absl::OkStatus();
     }},
    {"aci-prefix", 0, "URL", "look for Appc images behind this, as in file:///srv/aci/; may be repeated",
     [](options& to, std::string_view value) {
       if (value.find(':') == std::string_view::npos) return detail::refuse(value, "the beginning of a URL");
       to.aci_prefixes.emplace_back(value);
       return absl::OkStatus();
     }},
    {"aci-keys", 0, "DIR", "run Appc images only if a key in DIR/root.d or DIR/prefix.d/NAME signed them",
     [](options& to, std::string_view value) {
       if (value.empty()) return detail::refuse(value, "a directory");
       to.aci_keys = detail::absolute(value);
       return absl::OkStatus();
     }},
    {"aci-http", 0, "", "fetch Appc images by plain HTTP too", turn_on<&options::aci_http>},
    {"strict-isolators", 0, "", "refuse an Appc image with an isolator that would be ignored",
     turn_on<&options::strict_isolators>},
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
    {"quiet", 'q', "", "say nothing but errors", turn_on<&options::quiet>},
    {"help", 'h', "", "print this and end", turn_on<&options::help>},
    {"version", 0, "", "print the version and end", turn_on<&options::version>},
};

namespace detail {

/// How many letters to change, add or leave out to make one word of the other.
inline std::size_t distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row(to.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t at = 0; at < from.size(); ++at) {
    std::size_t corner = std::exchange(row[0], at + 1);
    for (std::size_t column = 0; column < to.size(); ++column) {
      const std::size_t changed = corner + (from[at] == to[column] ? 0 : 1);
      corner = row[column + 1];
      row[column + 1] = std::min({changed, corner + 1, row[column] + 1});
    }
  }
  return row.back();
}

inline std::string spelling(const option& of) {
  const std::string_view space = of.value.empty() ? "" : " ";
  return mortise::concat("--", of.name, space, of.value);
}

inline absl::Status unknown(std::string_view word) {
  const std::string_view name = word.substr(std::min(word.find_first_not_of('-'), word.size()));
  const auto* const nearest = std::min_element(
      std::begin(all_options), std::end(all_options),
      [name](const option& a, const option& b) { return distance(name, a.name) < distance(name, b.name); });
  const std::string_view guess = distance(name, nearest->name) <= 1 + nearest->name.size() / 3 ? "did you mean " : "";
  return mortise::error(absl::StatusCode::kInvalidArgument,
                        mortise::concat("unknown option '", mortise::printable(word), "' (", guess,
                                        guess.empty() ? "see --help" : spelling(*nearest), ')'));
}

/// An option as it was written, and the value that was written in the same word.
struct match {
  const option* what = nullptr;
  std::optional<std::string_view> value;
};

inline match find_option(std::string_view word) {
  for (const option& each : all_options) {
    if (word.starts_with("--")) {
      const std::size_t equals = std::min(word.find('='), word.size());
      if (word.substr(2, equals - 2) != each.name) continue;
      return {&each, equals < word.size() ? std::optional(word.substr(equals + 1)) : std::nullopt};
    }
    if (each.letter != 0 && word[1] == each.letter)
      return {&each, word.size() > 2 ? std::optional(word.substr(2)) : std::nullopt};
  }
  return {};
}

/// Applies the option that `words` begins with; returns how many words it took.
inline absl::StatusOr<std::size_t> apply_option(std::span<const char* const> words, options& to) {
  const match found = find_option(words[0]);
  if (found.what == nullptr) return unknown(words[0]);
  const auto wrong = [&](std::string_view why) {
    return mortise::error(absl::StatusCode::kInvalidArgument, mortise::concat("option --", found.what->name, ' ', why,
                                                                              " (write ", spelling(*found.what), ')'));
  };
  const bool takes_value = !found.what->value.empty();
  if (!takes_value && found.value) return wrong("takes no value");
  const bool in_next = takes_value && !found.value;
  if (in_next && words.size() < 2) return wrong("lacks its value");
  const absl::Status done = found.what->apply(to, in_next ? words[1] : found.value.value_or(""));
  if (!done.ok()) return mortise::annotate(done, mortise::concat("option --", found.what->name));
  return in_next ? 2 : 1;
}

}  // namespace detail

/// Options end at `--` or at the first word that is none: the image. All after the image is the container's.
inline absl::StatusOr<options> parse_options(std::span<const char* const> words) {
  options out;
  while (!words.empty() && words[0][0] == '-' && words[0][1] != 0) {
    if (std::string_view(words[0]) == "--") {
      words = words.subspan(1);
      break;
    }
    MORTISE_ASSIGN_OR_RETURN(const std::size_t taken, detail::apply_option(words, out));
    words = words.subspan(taken);
    if (out.help || out.version) return out;
  }
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
  oci:DIR[:TAG]               an OCI image layout
  oci:FILE.tar[:TAG]          the same in a tar archive
  docker-archive:FILE[:REF]   what `docker save` and `skopeo copy` write

OPTIONS
)";
  for (const option& each : all_options) {
    std::string left = each.letter != 0 ? mortise::concat("  -", each.letter, ", ") : std::string("      ");
    left += detail::spelling(each);
    left.resize(std::max<std::size_t>(left.size() + 1, 32), ' ');
    mortise::append(out, left, each.help, '\n');
  }
  return out + R"(
A value may follow as --option VALUE, --option=VALUE, -o VALUE or -oVALUE. `--` ends the options.

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
  tar c . | mortise-run -q --rootless oci:busybox sha256sum
)";
}

}  // namespace mortise_run

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The isolators that an Appc image asks for, all of them, so that each can be enforced, adjusted or reported:
/// App Container specification 0.8.11, "isolators".

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mortise/base/status.hpp>
#include <mortise/image/appc/fields.hpp>
#include <mortise/image/json.hpp>
#include <mortise/model/ac_name.hpp>
#include <mortise/model/descriptor.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mortise::image::appc {

/// An amount of a resource: `whole` units and `thousandths` of one.
struct quantity {
  std::uint64_t whole = 0;
  std::uint32_t thousandths = 0;
  auto operator<=>(const quantity&) const = default;
};

/// "500m", "2", "10M", "1Gi": a whole number with m, k or K, M, G, T, P, E, or their binary kin with an i.
/// Nothing for anything else or 2^63 and more.
inline std::optional<quantity> parse_quantity(std::string_view text) {
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const std::size_t digits = text.find_first_not_of("0123456789");
  const auto number = parse_number<std::uint64_t>(text.substr(0, digits));
  if (!number || *number > most) return std::nullopt;
  std::string_view unit = digits == std::string_view::npos ? std::string_view{} : text.substr(digits);
  if (unit.empty()) return quantity{*number, 0};
  if (unit == "m") return quantity{*number / 1000, static_cast<std::uint32_t>(*number % 1000)};
  const bool binary = unit.size() == 2 && unit.back() == 'i';
  if (unit.size() != 1 && !binary) return std::nullopt;
  const std::size_t power = std::string_view("KMGTPE").find(unit == "k" ? 'K' : unit.front());
  if (power == std::string_view::npos) return std::nullopt;
  std::uint64_t value = *number;
  for (std::size_t times = 0; times <= power; ++times) {
    const std::uint64_t factor = binary ? 1024 : 1000;
    if (value > most / factor) return std::nullopt;
    value *= factor;
  }
  return quantity{value, 0};
}

/// resource/...: what the app is sure to get and the most that it may take; a missing request is the limit.
struct resource_bounds {
  std::optional<quantity> request;
  std::optional<quantity> limit;
  bool is_default = false;  ///< of bandwidths and IOPS: for every device or interface
};

/// os/linux/capabilities-retain-set and -remove-set.
struct capability_set {
  std::vector<std::string> names;
};

/// os/linux/seccomp-retain-set and -remove-set: system calls and "@" wildcards, and what the refused ones get.
struct seccomp_set {
  std::vector<std::string> names;
  std::string errno_name;  ///< "EPERM"; empty kills the process
};

/// os/linux/no-new-privileges, oom-score-adj, cpu-shares, selinux-context and os/unix/sysctl.
struct no_new_privileges {
  bool on = false;
};
struct oom_score_adj {
  int value = 0;
};
struct cpu_shares {
  std::uint32_t value = 1024;
};
struct selinux_context {
  std::string user, role, type, level;
};
struct sysctl_values {
  model::annotations values;
};
/// One that this library does not know: nothing of its value is believed, its name is there to be reported.
struct unknown_isolator {};

using isolator_value = std::variant<unknown_isolator, resource_bounds, capability_set, seccomp_set, no_new_privileges,
                                    oom_score_adj, cpu_shares, selinux_context, sysctl_values>;

struct isolator {
  model::ac_identifier name;
  isolator_value value;
};

namespace detail {

inline absl::StatusOr<std::optional<quantity>> read_quantity(const json::value& of, std::string_view name) {
  MORTISE_ASSIGN_OR_RETURN(const auto from, of.optional(name));
  if (!from) return std::optional<quantity>{};
  if (const auto number = from->count(); number.ok()) return std::optional<quantity>({*number, 0});
  MORTISE_ASSIGN_OR_RETURN(const std::string text, from->text());
  const auto parsed = parse_quantity(text);
  if (parsed) return parsed;
  return from->refuse(concat("'", printable(text, 40), "' is not a quantity (a whole number, then m, K, M, Gi, ...)"));
}

/// CPU and memory belong to the app; bandwidths and IOPS are stated for all devices, and never requested.
inline absl::StatusOr<isolator_value> read_resource(const json::value& from, bool by_device) {
  resource_bounds out;
  MORTISE_ASSIGN_OR_RETURN(out.request, read_quantity(from, "request"));
  MORTISE_ASSIGN_OR_RETURN(out.limit, read_quantity(from, "limit"));
  MORTISE_ASSIGN_OR_RETURN(out.is_default, read_flag(from, "default"));
  if (out.is_default != by_device) return from.refuse(by_device ? "'default' must be true" : "it takes no 'default'");
  if (by_device && out.request) return from.refuse("it takes no 'request'");
  if (out.request && out.limit && *out.request > *out.limit) return from.refuse("'request' is above 'limit'");
  if (!out.request) out.request = by_device ? std::nullopt : out.limit;
  return out;
}

inline absl::StatusOr<std::vector<std::string>> read_set(const json::value& from) {
  const auto one = [](const json::value& each) -> absl::StatusOr<std::string> {
    MORTISE_ASSIGN_OR_RETURN(std::string name, read_text(each));
    if (name.empty() || name.size() > 128) return each.refuse("it must have 1 to 128 bytes");
    return name;
  };
  MORTISE_ASSIGN_OR_RETURN(auto out, read_list<std::string>(from, "set", one));
  if (out.empty()) return from.refuse("'set' must not be empty");
  return out;
}

inline absl::StatusOr<isolator_value> read_capabilities(const json::value& from) {
  MORTISE_ASSIGN_OR_RETURN(auto names, read_set(from));
  for (const std::string& name : names) {
    const bool sound = name.starts_with("CAP_") &&
                       name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") == std::string::npos;
    if (!sound) return from.refuse(concat("'", printable(name, 40), "' is not a capability (CAP_KILL is one)"));
  }
  return capability_set{std::move(names)};
}

inline absl::StatusOr<isolator_value> read_seccomp(const json::value& from) {
  seccomp_set out;
  MORTISE_ASSIGN_OR_RETURN(out.names, read_set(from));
  MORTISE_ASSIGN_OR_RETURN(out.errno_name, read_text_or(from, "errno"));
  const bool sound = out.errno_name.empty() || (out.errno_name.starts_with('E') && out.errno_name.size() <= 32);
  if (!sound || out.errno_name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != std::string::npos)
    return from.refuse(concat("errno '", printable(out.errno_name, 40), "' is not an error's name (EPERM is one)"));
  return out;
}

inline absl::StatusOr<isolator_value> read_score(const json::value& from) {
  MORTISE_ASSIGN_OR_RETURN(const std::int64_t value, from.integer());
  if (value < -1000 || value > 1000) return from.refuse(concat(value, " is not within -1000 and 1000"));
  return oom_score_adj{static_cast<int>(value)};
}

inline absl::StatusOr<isolator_value> read_shares(const json::value& from) {
  MORTISE_ASSIGN_OR_RETURN(const std::uint64_t value, from.count());
  if (value < 2 || value > 262144) return from.refuse(concat(value, " is not within 2 and 262144"));
  return cpu_shares{static_cast<std::uint32_t>(value)};
}

/// Only the level may hold colons: the four are joined by them.
inline absl::StatusOr<isolator_value> read_selinux(const json::value& from) {
  selinux_context out;
  for (const auto& [name, into] : {std::pair("user", &out.user), {"role", &out.role}, {"type", &out.type}}) {
    MORTISE_ASSIGN_OR_RETURN(*into, read_filled(from, name));
    if (into->find(':') != std::string::npos) return from.refuse(concat("'", name, "' holds a colon"));
  }
  MORTISE_ASSIGN_OR_RETURN(out.level, read_filled(from, "level"));
  return out;
}

inline absl::StatusOr<isolator_value> read_sysctls(const json::value& from) {
  MORTISE_ASSIGN_OR_RETURN(auto values, from.pairs());
  for (const auto& [name, value] : values) {
    if (name.empty() || name.find('\0') != std::string::npos || value.find('\0') != std::string::npos)
      return from.refuse("a name is empty, or a name or value holds a zero byte");
  }
  return sysctl_values{std::move(values)};
}

inline absl::StatusOr<isolator_value> read_isolator_value(std::string_view name, const json::value& from) {
  if (name == "resource/cpu" || name == "resource/memory") return read_resource(from, false);
  if (name == "resource/block-bandwidth" || name == "resource/block-iops" || name == "resource/network-bandwidth")
    return read_resource(from, true);
  if (name == "os/linux/capabilities-retain-set" || name == "os/linux/capabilities-remove-set")
    return read_capabilities(from);
  if (name == "os/linux/seccomp-retain-set" || name == "os/linux/seccomp-remove-set") return read_seccomp(from);
  if (name == "os/linux/oom-score-adj") return read_score(from);
  if (name == "os/linux/cpu-shares") return read_shares(from);
  if (name == "os/linux/selinux-context") return read_selinux(from);
  if (name == "os/unix/sysctl") return read_sysctls(from);
  if (name != "os/linux/no-new-privileges") return unknown_isolator{};
  MORTISE_ASSIGN_OR_RETURN(const bool on, from.boolean());
  return no_new_privileges{on};
}

inline bool is_known_isolator(std::string_view name) {
  static constexpr std::string_view names[] = {
      "resource/cpu",
      "resource/memory",
      "resource/block-bandwidth",
      "resource/block-iops",
      "resource/network-bandwidth",
      "os/linux/capabilities-retain-set",
      "os/linux/capabilities-remove-set",
      "os/linux/seccomp-retain-set",
      "os/linux/seccomp-remove-set",
      "os/linux/oom-score-adj",
      "os/linux/cpu-shares",
      "os/linux/selinux-context",
      "os/linux/no-new-privileges",
      "os/unix/sysctl",
  };
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

inline absl::StatusOr<isolator> read_isolator(const json::value& from) {
  MORTISE_ASSIGN_OR_RETURN(auto name, read_identifier(from, "name"));
  if (!is_known_isolator(name.text())) return isolator{std::move(name), unknown_isolator{}};
  MORTISE_ASSIGN_OR_RETURN(const json::value value_at, from.member("value"));
  MORTISE_ASSIGN_OR_RETURN(auto value, read_isolator_value(name.text(), value_at));
  return isolator{std::move(name), std::move(value)};
}

inline bool may_repeat(const isolator_value& value) {
  return std::holds_alternative<unknown_isolator>(value) || std::holds_alternative<resource_bounds>(value) ||
         std::holds_alternative<capability_set>(value) || std::holds_alternative<no_new_privileges>(value);
}

}  // namespace detail

/// Whether an image asks for an isolator of this name.
inline bool has_isolator(const std::vector<isolator>& in, std::string_view name) {
  return std::any_of(in.begin(), in.end(), [name](const isolator& each) { return each.name == name; });
}

/// The optional member `isolators` of an app, in its order; unknown ones are kept by name. Of two resources or
/// capability sets of one name the later counts, as in the reference library; no other known one may occur
/// twice, and of a set to retain and one to remove only one may be there.
/// Fails with INVALID_ARGUMENT, which names the place.
inline absl::StatusOr<std::vector<isolator>> read_isolators(const json::value& app) {
  MORTISE_ASSIGN_OR_RETURN(auto out, detail::read_list<isolator>(app, "isolators", detail::read_isolator, 256));
  MORTISE_ASSIGN_OR_RETURN(const auto at, app.optional("isolators"));
  for (auto each = out.begin(); each != out.end(); ++each) {
    const auto same = [each](const isolator& other) { return other.name == each->name; };
    if (!detail::may_repeat(each->value) && std::any_of(std::next(each), out.end(), same))
      return at->refuse(concat("'", each->name.text(), "' occurs twice"));
  }
  for (const std::string_view kind : {"os/linux/capabilities", "os/linux/seccomp"}) {
    if (has_isolator(out, concat(kind, "-retain-set")) && has_isolator(out, concat(kind, "-remove-set")))
      return at->refuse(concat("'", kind, "-retain-set' and '", kind, "-remove-set' exclude each other"));
  }
  return out;
}

}  // namespace mortise::image::appc

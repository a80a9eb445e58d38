// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A plan as text: for `plan_dump`, golden tests, and the "verb object" of a child's error message.

#include <mortise/base/text.hpp>
#include <mortise/model/plan.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace mortise::model {

namespace detail {

inline std::string slot_text(slot which) {
  return which == slot::root ? std::string("root") : concat('#', static_cast<unsigned>(which));
}
inline std::string place_text(const place& where) {
  return where.base == slot::root ? where.path : concat(slot_text(where.base), '/', where.path);
}
inline std::string flags_text(std::uint64_t flags) {
  std::string out;
  const auto name = [&](std::uint64_t bit, std::string_view text) {
    if ((flags & bit) != 0) append(out, out.empty() ? " " : ",", text);
  };
  name(mount_flag::read_only, "ro");
  name(mount_flag::no_suid, "nosuid");
  name(mount_flag::no_dev, "nodev");
  name(mount_flag::no_exec, "noexec");
  return out;
}
inline std::string layers_text(const std::vector<std::string>& lower) {
  return concat(lower.size(), lower.size() == 1 ? " layer" : " layers");
}
inline std::string hex_text(std::uint64_t bits) {
  char digits[17];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, bits, 16);
  return concat("0x", std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

/// Verb and object of an operation: the beginning of an error message.
struct summary {
  std::string operator()(const op::record_self&) const { return "record the process"; }
  std::string operator()(const op::map_identity&) const { return "map user and group ids"; }
  std::string operator()(const op::await_ids&) const { return "map user and group ids"; }
  std::string operator()(const op::become_root&) const { return "become the container's root"; }
  std::string operator()(const op::join_cgroup& o) const { return concat("join cgroup by '", o.tasks, '\''); }
  std::string operator()(const op::new_session&) const { return "start a session"; }
  std::string operator()(const op::set_hostname& o) const { return concat("set hostname '", printable(o.name), '\''); }
  std::string operator()(const op::loopback_up&) const { return "bring up loopback"; }
  std::string operator()(const op::make_private&) const { return "make mounts private"; }
  std::string operator()(const op::clone_tree& o) const { return concat("share '", o.source, '\''); }
  std::string operator()(const op::adopt_tree& o) const { return concat("take tree ", o.from); }
  std::string operator()(const op::new_filesystem& o) const { return concat("mount ", o.type); }
  std::string operator()(const op::new_overlay& o) const {
    return o.lower_tree ? concat("mount overlay of tree ", slot_text(*o.lower_tree))
                        : concat("mount overlay of ", layers_text(o.lower));
  }
  std::string operator()(const op::new_aufs& o) const { return concat("mount aufs of ", layers_text(o.lower)); }
  std::string operator()(const op::attach& o) const {
    return concat("attach to '", printable(place_text(o.target)), '\'');
  }
  std::string operator()(const op::attach_on_host& o) const { return concat("attach at '", o.directory, '\''); }
  std::string operator()(const op::enter_root& o) const { return concat("enter root '", o.mount_point, '\''); }
  std::string operator()(const op::make_node& o) const { return concat("make node '", place_text(o.where), '\''); }
  std::string operator()(const op::make_symlink& o) const { return concat("make link '", place_text(o.where), '\''); }
  std::string operator()(const op::make_directory& o) const {
    return concat("make directory '", place_text(o.where), '\'');
  }
  std::string operator()(const op::imitate_directory& o) const {
    return concat("make directory '", place_text(o.where), '\'');
  }
  std::string operator()(const op::mask& o) const { return concat("mask '", place_text(o.where), '\''); }
  std::string operator()(const op::make_read_only& o) const {
    return concat("make '", place_text(o.where), "' read-only");
  }
  std::string operator()(const op::seal_root& o) const { return concat("seal the root:", flags_text(o.flags)); }
  std::string operator()(const op::set_limit& o) const { return concat("set resource limit ", o.resource); }
  std::string operator()(const op::change_directory& o) const {
    return concat("change to directory '", printable(o.path), '\'');
  }
  std::string operator()(const op::keep_bounding&) const { return "drop capabilities from the bounding set"; }
  std::string operator()(const op::become& o) const {
    return concat("become user '", printable(o.user), o.group.empty() ? "" : ":", printable(o.group), '\'');
  }
  std::string operator()(const op::set_capabilities&) const { return "set capabilities"; }
  std::string operator()(const op::forbid_new_privileges&) const { return "forbid new privileges"; }
  std::string operator()(const op::redirect& o) const { return concat("redirect file descriptor ", o.to); }
  std::string operator()(const op::execute& o) const {
    return concat("execute '", o.arguments.empty() ? std::string() : printable(o.arguments.front()), '\'');
  }
};

/// What the summary leaves out: slots, options, numbers.
struct details {
  template <class Operation>
  std::string operator()(const Operation&) const {
    return {};
  }
  std::string operator()(const op::map_identity& o) const { return concat(": uid ", o.uid_map, ", gid ", o.gid_map); }
  std::string operator()(const op::clone_tree& o) const {
    return concat(o.recursive ? " recursively" : "", flags_text(o.flags), " -> ", slot_text(o.to));
  }
  std::string operator()(const op::adopt_tree& o) const { return concat(" -> ", slot_text(o.to)); }
  std::string operator()(const op::attach_on_host& o) const { return concat(" <- ", slot_text(o.from)); }
  std::string operator()(const op::new_filesystem& o) const {
    std::string out;
    for (const auto& [key, value] : o.options)
      append(out, out.empty() ? " " : ",", key, value.empty() ? "" : "=", value);
    return concat(out, flags_text(o.flags), " -> ", slot_text(o.to));
  }
  std::string operator()(const op::new_overlay& o) const {
    std::string out;
    for (const auto& lower : o.lower) append(out, "\n      lower ", lower);
    if (!o.upper.empty()) append(out, "\n      upper ", o.upper, "\n      work  ", o.work);
    return concat(o.user_xattrs ? " userxattr" : "", o.is_volatile ? " volatile" : "", " -> ", slot_text(o.to), out);
  }
  std::string operator()(const op::new_aufs& o) const {
    std::string out;
    for (const auto& lower : o.lower) append(out, "\n      lower ", lower);
    if (!o.upper.empty()) append(out, "\n      upper ", o.upper);
    return concat(" -> ", slot_text(o.to), out);
  }
  std::string operator()(const op::attach& o) const { return concat(" <- ", slot_text(o.from)); }
  std::string operator()(const op::enter_root& o) const { return concat(" <- ", slot_text(o.from)); }
  std::string operator()(const op::make_node& o) const {
    return concat(" mode ", hex_text(o.mode), " device ", hex_text(o.device));
  }
  std::string operator()(const op::make_symlink& o) const { return concat(" -> ", o.target); }
  std::string operator()(const op::imitate_directory& o) const { return concat(" like ", o.like); }
  std::string operator()(const op::set_limit& o) const { return concat(" to ", o.soft, ':', o.hard); }
  std::string operator()(const op::keep_bounding& o) const { return concat(" but ", hex_text(o.capabilities)); }
  std::string operator()(const op::set_capabilities& o) const {
    return concat(": permitted ", hex_text(o.permitted), " ambient ", hex_text(o.ambient));
  }
  std::string operator()(const op::execute& o) const {
    std::string out;
    for (const auto& each : o.candidates) append(out, "\n      candidate ", printable(each));
    for (const auto& each : o.arguments) append(out, "\n      argument ", printable(each));
    for (const auto& each : o.environment) append(out, "\n      environment ", printable(each));
    return out;
  }
};

}  // namespace detail

/// "mount tmpfs": what an error message begins with.
inline std::string summary_text(const operation& what) { return std::visit(detail::summary{}, what); }

/// The whole plan, a line an operation, under a heading for each stage that has any.
inline std::string to_text(const plan& what) {
  std::string out = concat("clone flags ", detail::hex_text(what.clone_flags), '\n');
  if (what.ids) append(out, "ids 0 to ", what.ids->count - 1, " are the host's from ", what.ids->first, " on\n");
  for (std::size_t index = 0; index < stage_count; ++index) {
    const auto when = static_cast<stage>(index);
    if (what.at(when).empty()) continue;
    append(out, name_of(when), '\n');
    for (const operation& each : what.at(when))
      append(out, "  ", summary_text(each), std::visit(detail::details{}, each), '\n');
  }
  return out;
}

}  // namespace mortise::model

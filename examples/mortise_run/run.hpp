// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What every composition of mortise-run does; the container's type is the template argument.

#include <unistd.h>

#include <cstdio>
#include <mortise/container.hpp>
#include <mortise/isolate/capabilities.hpp>
#include <mortise/isolate/cgroup.hpp>
#include <mortise/isolate/cpu.hpp>
#include <mortise/isolate/memory.hpp>
#include <mortise/isolate/pids.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/isolate/volumes.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../tool/images.hpp"
#include "composition.hpp"
#include "enforce.hpp"
#include "progress.hpp"

namespace mortise_run {

namespace isolate = mortise::isolate;

/// What all compositions have beside their namespaces.
using limits_and_volumes = isolate::pack<isolate::cgroup, isolate::memory, isolate::cpu, isolate::pids,
                                         isolate::volumes, isolate::read_only_root>;

/// Calls `each(name)` for every isolator of a pack.
template <class Isolator>
struct names_of {
  static void add_to(std::string& out) { mortise::append(out, out.empty() ? "" : " ", Isolator::name); }
};
template <class... Isolators>
struct names_of<isolate::pack<Isolators...>> {
  static void add_to(std::string& out) { (names_of<Isolators>::add_to(out), ...); }
};

/// Shows progress, and tells the relay when a signal may be the container's.
class run_observer : public progress_view {
 public:
  void tell(tool::signal_relay& signals) { signals_ = &signals; }
  void begin(const mortise::container_id& id, mortise::step which) {
    if (which == mortise::step::spawn && signals_ != nullptr) signals_->keep();
    progress_view::begin(id, which);
  }

 private:
  tool::signal_relay* signals_ = nullptr;
};

template <class Rootfs, class Isolators>
class runner {
  using container = mortise::basic_container<tool::images, Rootfs, mortise::launch::clone, run_observer, Isolators>;
  using host = typename container::host;
  using settings_type = typename container::settings;

 public:
  static std::vector<std::string_view> backends() {
    std::vector<std::string_view> out;
    if constexpr (has_choice) {
      for (const std::string_view name : Rootfs::names) out.push_back(spelling(name));
      out.emplace_back("auto");
    } else {
      out.push_back(spelling(Rootfs::name));
    }
    return out;
  }

  static absl::StatusOr<int> run(const options& what, tool::signal_relay& signals) {
    MORTISE_ASSIGN_OR_RETURN(Rootfs backend, choose(what.backend));
    MORTISE_ASSIGN_OR_RETURN(host place, host::open(directories(what), std::move(backend)));
    std::string isolation;
    names_of<Isolators>::add_to(isolation);
    place.observer().describe(tool::style_for(what.quiet), what.image, root_name(place.backend()), isolation);
    place.observer().tell(signals);
    tool::source_options sources = what.sources;
    sources.cancelled = &signals.cancelled();
    sources.platform = what.platform;
    sources.warn = place.observer().warnings();
    MORTISE_RETURN_IF_ERROR(place.store().configure(sources));
    MORTISE_ASSIGN_OR_RETURN(container box, place.launch(launch_options(what, signals, place.observer().warnings())));
    const bool goes_on = signals.forward_to(box.pidfd());
    const auto ended = goes_on ? box.wait() : absl::CancelledError("");
    signals.ignore();
    // What it leaves behind stays recorded, and the next run tries again: no reason to hide how it ended.
    if (const absl::Status destroyed = box.destroy(); !destroyed.ok())
      std::fprintf(stderr, "mortise-run: %s\n", std::string(mortise::message(destroyed)).c_str());
    if (!ended.ok()) return ended.status();
    return ended->code();
  }

  static absl::StatusOr<mortise::state::recovery> recover(const options& what) {
    MORTISE_ASSIGN_OR_RETURN(host place, host::open(directories(what)));
    return mortise::state::recover(place);
  }

 private:
  static constexpr bool has_choice = requires { Rootfs::names; };

  /// What stands before a backend's name says which options go with it: unprivileged-overlay is --rootless.
  static constexpr std::string_view spelling(std::string_view name) { return name.substr(name.rfind('-') + 1); }

  static absl::StatusOr<Rootfs> choose(std::string_view spelled) {
    if constexpr (has_choice) {
      for (const std::string_view name : Rootfs::names)
        if (spelling(name) == spelled) return Rootfs::only(name);
    }
    return Rootfs{};
  }

  /// Of several backends the one that was chosen.
  static std::string root_name(const Rootfs& backend) {
    if constexpr (has_choice) {
      return std::string(backend.chosen());
    } else {
      return std::string(Rootfs::name);
    }
  }

  static mortise::host_options directories(const options& what) { return {what.store, state_directory()}; }

  static typename container::launch_options launch_options(const options& what, const tool::signal_relay& signals,
                                                           mortise::image::warning_listener warn) {
    return {.image = what.image,
            .args = what.args,
            .entrypoint = what.entrypoint,
            .env = what.env,
            .working_directory = what.working_directory,
            .user = what.user,
            .with = settings(what),
            .volumes = what.image_volumes,
            .writable = what.disk.value_or(mortise::bytes{}),
            .adjust = [&what](const mortise::model::image& image,
                              settings_type& with) { return hold_to_isolators(what, image.config, with); },
            .id = what.name,
            .platform = what.platform,
            .refresh = what.refresh,
            .cancelled = &signals.cancelled(),
            .warn = std::move(warn)};
  }

  /// Holds an Appc image to the isolators that it asks for, unless an option says otherwise, and says how far.
  static absl::Status hold_to_isolators(const options& what, const mortise::model::image_config& image,
                                        settings_type& with) {
    MORTISE_ASSIGN_OR_RETURN(const auto wished, enforce(image, isolate::default_capabilities.bits()));
    for (const auto& each : wished.reports) {
      const bool decided =
          (each.name == "resource/memory" && what.memory) || (each.name == "resource/cpu" && what.cpus);
      const std::string text = decided ? mortise::concat(each.name, " is adjusted: an option decides") : each.text();
      if (!what.quiet) std::fprintf(stderr, "mortise-run: isolator %s\n", text.c_str());
    }
    if (what.strict_isolators && wished.ignores_any())
      return mortise::error(absl::StatusCode::kFailedPrecondition,
                            "hold image to its isolators: not all can be enforced (leave out --strict-isolators)");
    if (wished.memory && !what.memory) with.set(isolate::memory::limit(*wished.memory));
    if (wished.memory_reservation && !what.memory) with.set(isolate::memory::reservation(*wished.memory_reservation));
    if (wished.cpus && !what.cpus) with.set(isolate::cpu::cpus(*wished.cpus));
    if (wished.cpu_shares) with.set(isolate::cpu::weight(isolate::cpu::weight_of(*wished.cpu_shares)));
    if (wished.capabilities)
      with.set(isolate::capabilities::keep(isolate::capability_set::from_bits(*wished.capabilities)));
    return absl::OkStatus();
  }

  static settings_type settings(const options& what) {
    settings_type out;
    out.set(isolate::read_only_root::enable(what.read_only));
    if constexpr (mortise::rootfs::maps_ids<Rootfs>) {
      const auto ids = what.ids.value_or(mortise::model::id_range{});
      out.set(isolate::mapped_user_namespace::ids(ids.first, ids.count));
    }
    if (what.memory) out.set(isolate::memory::limit(*what.memory));
    if (what.cpus) out.set(isolate::cpu::cpus(*what.cpus));
    if (what.pids) out.set(isolate::pids::limit(*what.pids));
    if (!what.hostname.empty()) out.set(isolate::uts_namespace::hostname(what.hostname));
    using access = isolate::volumes::access;
    for (const volume& each : what.volumes)
      out.set(
          isolate::volumes::bind(each.source, each.target, each.read_only ? access::read_only : access::read_write));
    return out;
  }
};

/// A composition for a backend, or one of several, and the pack of namespaces that it goes with.
template <class Rootfs, class Namespaces>
constexpr composition make_composition() {
  using of = runner<Rootfs, isolate::pack<Namespaces, limits_and_volumes>>;
  return {&of::backends, &of::run, &of::recover};
}

}  // namespace mortise_run

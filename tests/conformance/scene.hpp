// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a case about a backend works with: layers in its form, containers' directories, and a look from inside a
/// root, all as the user whom the backend is for.

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <conformance/layers.hpp>
#include <conformance/tree_text.hpp>
#include <mortise/launch/child.hpp>
#include <mortise/rootfs/backend.hpp>
#include <stdexcept>
#include <string>
#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <utility>
#include <vector>

namespace conformance {

template <class Backend>
class scene {
 public:
  using format = typename Backend::layer_format;
  /// What the launcher gives a container at least; without privileges a user namespace comes with it.
  static constexpr int namespaces = CLONE_NEWNS | (format::keeps_owners ? 0 : CLONE_NEWUSER);

  /// `directory` is the case's own.
  explicit scene(std::string directory) : directory_(std::move(directory)), layers_(directory_ + "/layer-") {
    if constexpr (mortise::rootfs::opens<Backend>) {
      const absl::Status opened = backend_.open(directory_);
      if (!opened.ok()) throw std::runtime_error(std::string(mortise::message(opened)));
    }
  }

  void layer(const std::vector<entry>& entries) { layers_.add(entries); }
  void repeat_layer(std::size_t which) { layers_.repeat(which); }
  [[nodiscard]] const mortise::model::layers& layers() const { return layers_.all(); }
  [[nodiscard]] const std::string& directory() const { return directory_; }

  /// Layers from here on lie in a directory whose path has `length` bytes more.
  void use_long_paths(std::size_t length) {
    layers_ = layer_set<format>(directory_ + '/' + std::string(length, 'x') + "/layer-");
  }

  /// What containers from here on may write at most.
  void bound(mortise::bytes most) { writable_ = most; }

  /// A new, empty directory for a container.
  std::string new_box() {
    std::string path = directory_ + "/box-" + std::to_string(boxes_++);
    check(::mkdir(path.c_str(), 0700) == 0, "make " + path);
    return path;
  }

  /// All ids are mapped to themselves where there must be a map: what cases expect of owners holds then too.
  [[nodiscard]] mortise::rootfs::request request_for(const std::string& box) const {
    mortise::rootfs::request out{layers_.all(), box, writable_};
    if constexpr (mortise::rootfs::maps_ids<Backend>) out.ids = mortise::model::id_range{0, 0xffff'ffff};
    return out;
  }
  absl::StatusOr<mortise::model::rootfs> try_provision(const std::string& box, mortise::model::plan& plan) const {
    return backend_.provision(request_for(box), plan);
  }
  [[nodiscard]] mortise::model::plan provision(const std::string& box) const {
    mortise::model::plan plan;
    const auto made = try_provision(box, plan);
    if (!made.ok()) throw std::runtime_error(std::string(mortise::message(made.status())));
    return plan;
  }

  /// Whether containers cannot write into the roots of the layers that there are.
  [[nodiscard]] bool is_read_only() {
    mortise::model::plan plan;
    const auto made = try_provision(new_box(), plan);
    return made.ok() && made->writable.empty();
  }

  /// Takes this process into the root; there is no way back.
  static void enter_here(const mortise::model::plan& plan, mortise::model::stage last = mortise::model::stage::root) {
    mortise::launch::child_memory memory(plan);
    mortise::launch::report report;
    mortise::launch::child child(plan, memory, report);
    if (child.run_until(last) < 0)
      throw std::runtime_error(std::string(report.step) + ": " + std::strerror(report.error) + ' ' + report.detail);
  }
  /// Runs `callable` in a child in the root.
  template <class Callable>
  static support::child_result enter(const mortise::model::plan& plan, Callable callable) {
    return support::in_child({.namespaces = namespaces}, [&] {
      enter_here(plan);
      return callable();
    });
  }

  /// What a new container of the layers sees, a line for each entry; "/" is left out.
  std::string see() {
    const std::string box = new_box();
    std::string text = enter(provision(box), [] { return tree_text("/"); }).text;
    destroy(box);
    return text;
  }
  void expect_tree(const std::vector<std::string>& lines) { expect_same(see(), text_of(lines), "the tree"); }

  void destroy(const std::string& box) {
    const auto destroyed = backend_.destroy(box);
    expect(destroyed.ok(), "destroy: " + std::string(mortise::message(destroyed.status())));
    expect(destroyed.ok() && *destroyed, "destroy finds what there is");
    expect(::access(box.c_str(), F_OK) != 0, "nothing is left in " + box);
  }
  [[nodiscard]] const Backend& backend() const { return backend_; }

  void expect(bool holds, const std::string& what) {
    if (!holds) problems_ += "expected: " + what + '\n';
  }
  void expect_same(const std::string& actual, const std::string& wanted, const std::string& what) {
    if (actual != wanted) problems_ += what + " is\n" + actual + "instead of\n" + wanted;
  }
  [[nodiscard]] const std::string& problems() const { return problems_; }

 private:
  std::string directory_;
  layer_set<format> layers_;
  Backend backend_;
  mortise::bytes writable_;
  int boxes_ = 0;
  std::string problems_;
};

/// Whether a kernel may be without what a backend needs: then its cases are skipped, with the probe's reason.
template <class Backend>
inline constexpr bool may_be_absent = false;

/// Plays a case in a child, as root or as a user without any privileges, by the backend's form of layers.
template <class Backend>
void play(void (*what)(scene<Backend>&)) {
  constexpr bool privileged = Backend::layer_format::keeps_owners;
  if (privileged ? support::missing_root() : support::missing_user_namespaces()) return;
  const support::temporary_directory directory;
  if constexpr (may_be_absent<Backend>) {
    const absl::Status found = Backend{}.probe(directory.path());
    if (!found.ok()) return support::skip(mortise::message(found));
  }
  support::child_options options{.deadline = std::chrono::minutes(2)};
  if (!privileged && ::geteuid() == 0) {
    options.uid = support::nobody;
    REQUIRE(::chown(directory.path().c_str(), support::nobody, support::nobody) == 0);
  }
  const support::leak_snapshot before("none is made here, and other programs' do not count");
  const auto result = support::in_child(options, [&] {
    scene<Backend> place(directory.path());
    what(place);
    return place.problems();
  });
  CHECK(result.text == "");
  CHECK(result.ok());
  CHECK(before.leaked() == "");
}

}  // namespace conformance

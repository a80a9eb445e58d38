// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// One of several backends: the first that works on the machine where the program runs, or the one that its user names.

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/rootfs/backend.hpp>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace mortise::rootfs {

/// Effects: `open` probes the backends in order, where the roots will be, and takes the first that works; one without a
/// probe always does. Of `only`'s there is no choice, and nothing is probed. Layers are asked of the store in the
/// chosen one's form. What was made by any of them is destroyed, also when another is chosen the next time.
/// Fails with: FAILED_PRECONDITION where none works, with each one's reason; the same from all else before `open`.
/// Leaves behind: what the chosen one does.
template <backend... Backends>
  requires(sizeof...(Backends) > 0)
class first_supported {
  using first = std::tuple_element_t<0, std::tuple<Backends...>>;
  static constexpr bool one_form = (std::same_as<typename Backends::layer_format, typename first::layer_format> && ...);

 public:
  using layer_format = std::conditional_t<one_form, typename first::layer_format,
                                          model::one_of_layers<typename Backends::layer_format...>>;
  static constexpr std::string_view name = "first-supported";
  static constexpr bool limits_writes = (rootfs::limits_writes<Backends> || ...);
  /// Of the backends, in their order.
  static constexpr std::array<std::string_view, sizeof...(Backends)> names = {Backends::name...};

  /// For `host::open`: never another than the one of this name. That it does not work here is told when it is used.
  /// Fails with: INVALID_ARGUMENT where none has the name.
  static absl::StatusOr<first_supported> only(std::string_view backend) {
    first_supported out;
    out.only_ = static_cast<std::size_t>(std::ranges::find(names, backend) - names.begin());
    if (out.only_ != none) return out;
    return error(absl::StatusCode::kInvalidArgument,
                 concat("choose backend '", printable(backend), "': it is none of ", join(names, ", ")));
  }

  absl::Status open(const std::string& directory) {
    refused_.clear();
    chosen_ = none;
    if (only_ != none) return open_only(directory);
    (void)(try_one<Backends>(directory) || ...);
    if (chosen_ != none) return absl::OkStatus();
    return error(absl::StatusCode::kFailedPrecondition, concat("no backend works here: ", join(refused_, "; ")));
  }

  /// The name of the one that was taken; empty before `open`.
  [[nodiscard]] std::string_view chosen() const {
    std::string_view out;
    if (chosen_ != none) visit([&]<class Backend>(const Backend&) { out = Backend::name; });
    return out;
  }
  /// Why each one before it was not.
  [[nodiscard]] const std::vector<std::string>& refused() const { return refused_; }

  absl::StatusOr<model::rootfs> provision(const request& what, model::plan& plan) const {
    absl::StatusOr<model::rootfs> out = not_open();
    visit([&]<class Backend>(const Backend& policy) {
      const absl::Status bound = check_bound<Backend>(what.writable);
      out = bound.ok() ? policy.provision(what, plan) : bound;
    });
    return out;
  }

  absl::StatusOr<model::slot> show(const request& what, model::plan& plan) const {
    absl::StatusOr<model::slot> out = not_open();
    visit([&]<class Backend>(const Backend& policy) {
      if constexpr (shows<Backend>) {
        out = policy.show(what, plan);
      } else {
        out = error(absl::StatusCode::kInvalidArgument, concat("backend '", Backend::name, "' has no image volumes"));
      }
    });
    return out;
  }

  absl::StatusOr<bool> destroy(const std::string& directory) const {
    absl::StatusOr<bool> out = false;
    const auto destroy_by = [&](const auto& policy) {
      out = policy.destroy(directory);
      return !out.ok() || *out;
    };
    std::apply([&](const auto&... each) { (void)(destroy_by(each) || ...); }, all_);
    return out;
  }

  template <class Use>
  auto with_layer_format(Use use) const {
    return with_format<0>(use);
  }

 private:
  static constexpr std::size_t none = sizeof...(Backends);

  static absl::Status not_open() {
    return error(absl::StatusCode::kFailedPrecondition, "no backend is chosen yet: open it first");
  }

  absl::Status open_only(const std::string& directory) {
    absl::Status status;
    visit_at(all_, only_, [&](auto& policy) { status = open_one(policy, directory); });
    if (status.ok()) chosen_ = only_;
    return status;
  }

  template <class Backend>
  static absl::Status open_one(Backend& policy, const std::string& directory) {
    if constexpr (opens<Backend>) return policy.open(directory);
    return absl::OkStatus();
  }

  template <class Backend>
  bool try_one(const std::string& directory) {
    Backend& policy = std::get<Backend>(all_);
    absl::Status status;
    if constexpr (probes<Backend>) status = policy.probe(directory);
    if (status.ok()) status = open_one(policy, directory);
    if (status.ok()) {
      chosen_ = refused_.size();
      return true;
    }
    refused_.emplace_back(message(status));
    return false;
  }

  /// Calls `use` with the chosen one, if there is one.
  template <class Use>
  void visit(Use use) const {
    visit_at(all_, chosen_, use);
  }
  template <class All, class Use>
  static void visit_at(All& all, std::size_t which, Use use) {
    std::size_t at = 0;
    const auto ask = [&](auto& policy) {
      if (at++ == which) use(policy);
    };
    std::apply([&](auto&... each) { (ask(each), ...); }, all);
  }

  template <std::size_t At, class Use>
  auto with_format(Use& use) const {
    using format = typename std::tuple_element_t<At, std::tuple<Backends...>>::layer_format;
    if constexpr (At + 1 < sizeof...(Backends)) {
      if (chosen_ != At) return with_format<At + 1>(use);
    }
    return use(std::type_identity<format>{});
  }

  std::tuple<Backends...> all_;
  std::size_t only_ = none;
  std::size_t chosen_ = none;
  std::vector<std::string> refused_;
};

}  // namespace mortise::rootfs

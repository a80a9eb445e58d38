// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A list of isolators made into one: checked and ordered by the compiler, prepared in order, released in
/// reverse.

#include <cstddef>
#include <cstdint>
#include <mortise/base/id.hpp>
#include <mortise/base/status.hpp>
#include <mortise/detail/diagnose.hpp>
#include <mortise/detail/order.hpp>
#include <mortise/isolate/facts.hpp>
#include <mortise/isolate/isolator.hpp>
#include <mortise/isolate/setting.hpp>
#include <mortise/model/id_range.hpp>
#include <mortise/model/plan.hpp>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace mortise::detail {

/// The settings of all isolators of a container for one launch: `{memory::limit(64_MiB), ...}`.
template <class List>
class settings;
template <class... Isolators>
class settings<type_list<Isolators...>> {
 public:
  settings() = default;
  template <class... Changes>
    requires(requires { typename Changes::isolator; } && ...)
  settings(const Changes&... changes) {  // not explicit: written as a braced list
    (set(changes), ...);
  }

  /// Applies one more change; a later change of the same thing wins.
  template <class Isolator, class Change>
  void set(const isolate::setting<Isolator, Change>& wanted) {
    constexpr bool known = contains<Isolator, type_list<Isolators...>>;
    (void)sizeof(typename diagnose::this_container<Isolator>::template has_no_isolator_for_the_setting<known>);
    if constexpr (known) wanted.change(std::get<slot<Isolator>>(values_).value);
  }

  template <class Isolator>
  [[nodiscard]] const isolate::settings_of<Isolator>& of() const {
    return std::get<slot<Isolator>>(values_).value;
  }

 private:
  template <class Isolator>
  struct slot {
    isolate::settings_of<Isolator> value{};
  };
  std::tuple<slot<Isolators>...> values_;
};

/// What the isolators of one launch hold, each filled by its prepare.
template <class List>
class composition;
template <class... Isolators>
class composition<type_list<Isolators...>> {
  using list = type_list<Isolators...>;
  static constexpr std::size_t size = sizeof...(Isolators);
  static_assert(check<list, std::make_index_sequence<size>>::checked + 1 > 0);
  static constexpr ordering<size> order = order_of(list{});

 public:
  using settings_type = settings<list>;
  /// Of all namespaces that the isolators ask for.
  static constexpr std::uint64_t clone_flags = (0 | ... | isolate::detail::clone_flags_of<Isolators>());
  /// Whether one of the isolators gives a fact.
  template <class Fact>
  static constexpr bool gives = (contains<Fact, typename Isolators::gives> || ...);

  /// What the isolator that gives fact::mapped_ids is to map, if there is one: the root is made before it is prepared.
  static std::optional<model::id_range> ids(const settings_type& with) {
    std::optional<model::id_range> out;
    [[maybe_unused]] const auto look = [&]<class Isolator>(std::type_identity<Isolator>) {
      if constexpr (contains<fact::mapped_ids, typename Isolator::gives>) out = with.template of<Isolator>().ids;
    };
    (look(std::type_identity<Isolators>{}), ...);
    return out;
  }

  composition() = default;
  composition(composition&& other) noexcept
      : held_(std::move(other.held_)), prepared_(std::exchange(other.prepared_, 0)) {}
  composition& operator=(composition&&) = delete;
  ~composition() { (void)release(); }

  /// Calls every prepare in the order of facts. On failure, the message names the isolator; what was prepared
  /// before is released by the destructor.
  absl::Status prepare(const container_id& id, const settings_type& with, model::plan& plan,
                       isolate::recorder& records) {
    plan.clone_flags |= clone_flags;
    return prepare_all(id, with, plan, records, std::make_index_sequence<size>{});
  }

  /// Gives everything back in reverse order; goes on after a failure and returns the first. May be repeated:
  /// what failed is tried again.
  absl::Status release() { return release_all(std::make_index_sequence<size>{}); }

  /// What an isolator's prepare returned; valid between prepare and release.
  template <class Isolator>
  [[nodiscard]] const isolate::held_of<Isolator>& held() const {
    return *std::get<holder<Isolator>>(held_).value;
  }

  /// Calls the recover of the isolator with this name. False if the container has none of that name or none
  /// that records anything; the status is the recover's.
  static std::pair<bool, absl::Status> recover(std::string_view name, unsigned version, std::string_view record) {
    std::pair<bool, absl::Status> result{false, absl::OkStatus()};
    (recover_one<Isolators>(name, version, record, result), ...);
    return result;
  }

  /// Calls `each(name, version)` in the order of prepares.
  template <class Each>
  static void for_each(Each each) {
    [&]<std::size_t... Positions>(std::index_sequence<Positions...>) {
      (each(std::string_view(at<order.order[Positions]>::name), unsigned{at<order.order[Positions]>::version}), ...);
    }(std::make_index_sequence<size>{});
  }

 private:
  template <std::size_t Index>
  using at = std::tuple_element_t<Index, std::tuple<Isolators...>>;
  template <class Isolator>
  struct holder {
    std::optional<isolate::held_of<Isolator>> value;
  };
  template <class Fact>
  struct known {
    std::optional<Fact> value;
  };

  /// What one isolator gives. All facts that are given, each once (that has been checked), are the bases of
  /// `knowledge`.
  template <class Isolator, class Facts>
  struct given_by;
  template <class Isolator, class... Facts>
  struct given_by<Isolator, facts<Facts...>> : known<Facts>... {};
  struct knowledge : given_by<Isolators, typename Isolators::gives>... {};

  template <class... Facts>
  static std::tuple<const Facts*...> pointers_to(const knowledge& values, facts<Facts...>) {
    return {pointer_to<Facts>(values)...};
  }
  template <class Fact>
  static const Fact* pointer_to(const knowledge& values) {
    if constexpr (gives<Fact>) {
      const auto& value = static_cast<const known<Fact>&>(values).value;
      return value ? &*value : nullptr;
    } else {
      return nullptr;
    }
  }
  template <class... Facts>
  static std::tuple<std::optional<Facts>*...> slots_for(knowledge& values, facts<Facts...>) {
    return {&static_cast<known<Facts>&>(values).value...};
  }
  template <class... Facts>
  static bool all_given(const knowledge& values, facts<Facts...>) {
    return (static_cast<const known<Facts>&>(values).value.has_value() && ...);
  }

  template <std::size_t... Positions>
  absl::Status prepare_all(const container_id& id, const settings_type& with, model::plan& plan,
                           isolate::recorder& records, std::index_sequence<Positions...>) {
    [[maybe_unused]] knowledge values;
    absl::Status status;
    (void)((status = prepare_one<at<order.order[Positions]>>(id, with, plan, records, values), status.ok()) && ...);
    return status;
  }

  template <class Isolator>
  absl::Status prepare_one(const container_id& id, const settings_type& with, model::plan& plan,
                           isolate::recorder& records, knowledge& values) {
    if constexpr (has_prepare<Isolator>) {
      isolate::preparation<Isolator> preparation(
          id, with.template of<Isolator>(), plan, pointers_to(values, typename Isolator::needs{}),
          pointers_to(values, isolate::wants_of<Isolator>{}), slots_for(values, typename Isolator::gives{}), records);
      auto result = Isolator::prepare(preparation);
      if (!result.ok()) return annotate(mortise::detail::take_status(std::move(result)), Isolator::name);
      auto& mine = std::get<holder<Isolator>>(held_).value;
      if constexpr (requires { mine.emplace(*std::move(result)); }) {
        mine.emplace(*std::move(result));
      } else {
        mine.emplace();
      }
      if (!all_given(values, typename Isolator::gives{}))
        return error(absl::StatusCode::kInternal, concat(Isolator::name, ": prepare gave not all of its facts"));
    }
    ++prepared_;
    return absl::OkStatus();
  }

  template <std::size_t... Positions>
  absl::Status release_all(std::index_sequence<Positions...>) {
    absl::Status status;
    ((status =
          first_error(std::move(status), release_one<at<order.order[size - 1 - Positions]>>(size - 1 - Positions))),
     ...);
    return status;
  }

  template <class Isolator>
  absl::Status release_one(std::size_t position) {
    auto& mine = std::get<holder<Isolator>>(held_).value;
    if (position >= prepared_ || !mine) return absl::OkStatus();
    absl::Status status;
    if constexpr (has_release<Isolator>) status = annotate(Isolator::release(*mine), Isolator::name);
    if (status.ok()) mine.reset();
    return status;
  }

  template <class Isolator>
  static void recover_one(std::string_view name, unsigned version, std::string_view record,
                          std::pair<bool, absl::Status>& result) {
    if constexpr (has_recover<Isolator>) {
      if (name != std::string_view(Isolator::name)) return;
      result = {true, annotate(Isolator::recover(record, version), name)};
    }
  }

  std::tuple<holder<Isolators>...> held_;
  std::size_t prepared_ = 0;
};

/// The composition of a container's isolators, packs included.
template <class... Policies>
using isolators_of = typename flatten<type_list<>, Policies...>::type;

}  // namespace mortise::detail

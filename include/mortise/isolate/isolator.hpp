// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What an isolator is: a class that says what it needs and gives, and adds its part to the plan of a launch.

#include <concepts>
#include <cstdint>
#include <mortise/base/id.hpp>
#include <mortise/base/status.hpp>
#include <mortise/base/types.hpp>
#include <mortise/model/plan.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace mortise::isolate {

/// The optional members of an isolator, by name: it lists those it has, `using hooks = hook::list<...>`, so
/// that a misspelt one is an error and not silence.
namespace hook {
/// `static Status prepare(preparation<I>&)`, or `StatusOr<held>` where the isolator has a type `held`. Adds
/// operations to the plan, makes what it must. Whatever it has made when it fails, it has unmade.
struct prepare;
/// `static Status release(held&)`: gives back what prepare made, once no process of the container is left.
/// Called once, in the reverse order of the prepares; also when a launch fails after this prepare.
struct release;
/// `static Status recover(std::string_view record, unsigned version)`: frees what `record` names, which a
/// prepare of that version wrote by `checkpoint` in a process that died. What is no longer there is success.
struct recover;

template <class... Hooks>
struct list {};
}  // namespace hook

/// Isolators that belong together, usable wherever one is: `pack<pid_namespace, mount_namespace>`.
template <class... Isolators>
struct pack {};

namespace detail {

struct nothing {};

template <class Isolator>
struct settings_of {
  using type = nothing;
};
template <class Isolator>
  requires requires { typename Isolator::settings; }
struct settings_of<Isolator> {
  using type = typename Isolator::settings;
};

template <class Isolator>
struct held_of {
  using type = nothing;
};
template <class Isolator>
  requires requires { typename Isolator::held; }
struct held_of<Isolator> {
  using type = typename Isolator::held;
};

template <class Isolator>
struct wants_of {
  using type = facts<>;
};
template <class Isolator>
  requires requires { typename Isolator::wants; }
struct wants_of<Isolator> {
  using type = typename Isolator::wants;
};

template <class Isolator>
constexpr std::uint64_t clone_flags_of() {
  if constexpr (requires { Isolator::clone_flags; }) {
    return Isolator::clone_flags;
  } else {
    return 0;
  }
}

template <class List>
struct readable;
template <class... Facts>
struct readable<facts<Facts...>> {
  using type = std::tuple<const Facts*...>;
};
template <class List>
struct writable;
template <class... Facts>
struct writable<facts<Facts...>> {
  using type = std::tuple<std::optional<Facts>*...>;
};

}  // namespace detail

/// What a launch asks of an isolator: its `settings`, if it has any.
template <class Isolator>
using settings_of = typename detail::settings_of<Isolator>::type;
/// What an isolator keeps while the container lives: its `held`, if it has any.
template <class Isolator>
using held_of = typename detail::held_of<Isolator>::type;
/// Facts that an isolator uses where some other gives them, and does without otherwise: its `wants`, if any.
template <class Isolator>
using wants_of = typename detail::wants_of<Isolator>::type;

/// Where isolators' records go: the container's state directory.
class recorder {
 public:
  recorder() = default;
  recorder(const recorder&) = delete;
  recorder& operator=(const recorder&) = delete;
  virtual ~recorder() = default;
  /// Writes or replaces one isolator's record, atomically.
  virtual absl::Status record(std::string_view isolator, unsigned version, std::string text) = 0;
};

/// What `prepare` works with: the launch's settings, the plan, and the facts that the isolator has declared.
template <class Isolator>
class preparation {
 public:
  using needed = typename detail::readable<typename Isolator::needs>::type;
  using wanted = typename detail::readable<wants_of<Isolator>>::type;
  using given = typename detail::writable<typename Isolator::gives>::type;

  preparation(const container_id& id, const settings_of<Isolator>& settings, model::plan& plan, needed needs,
              wanted wants, given gives, recorder& records)
      : id_(id), settings_(settings), plan_(plan), needs_(needs), wants_(wants), gives_(gives), records_(records) {}

  [[nodiscard]] const container_id& id() const { return id_; }
  [[nodiscard]] const settings_of<Isolator>& settings() const { return settings_; }
  [[nodiscard]] model::plan& plan() { return plan_; }

  /// A fact that the isolator needs.
  template <class Fact>
  [[nodiscard]] const Fact& fact() const {
    static_assert(contains<Fact, typename Isolator::needs>, "an isolator reads only the facts that its 'needs' lists");
    return *std::get<const Fact*>(needs_);
  }
  /// A fact that the isolator wants, or nullptr where nobody gives it.
  template <class Fact>
  [[nodiscard]] const Fact* find() const {
    static_assert(contains<Fact, wants_of<Isolator>>, "an isolator looks for only the facts that its 'wants' lists");
    return std::get<const Fact*>(wants_);
  }
  /// Gives a fact; each fact in `gives` must have been given when prepare returns OK.
  template <class Fact>
  void give(Fact value) {
    static_assert(contains<Fact, typename Isolator::gives>, "an isolator gives only the facts that its 'gives' lists");
    std::get<std::optional<Fact>*>(gives_)->emplace(std::move(value));
  }

  /// Records what is about to be made outside this process, so that recovery can free it. Replaces an earlier
  /// record. When it returns OK the record will be found after a crash at any later instruction.
  absl::Status checkpoint(std::string record) {
    return records_.record(Isolator::name, Isolator::version, std::move(record));
  }

 private:
  const container_id& id_;
  const settings_of<Isolator>& settings_;
  model::plan& plan_;
  needed needs_;
  wanted wants_;
  given gives_;
  recorder& records_;
};

/// The five members that every isolator has. What its hooks promise is checked where it is composed, with a
/// message that names it: detail/diagnose.hpp.
template <class Isolator>
concept isolator = requires {
  { Isolator::name } -> std::convertible_to<std::string_view>;
  { Isolator::version } -> std::convertible_to<unsigned>;
  typename Isolator::needs;
  typename Isolator::gives;
  typename Isolator::hooks;
};

}  // namespace mortise::isolate

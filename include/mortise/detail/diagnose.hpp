// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Every message that a wrong composition gives. C++20 cannot format the text of a static_assert, so each
/// check is a template whose name reads as the sentence, with the isolator and the fact as its arguments.

#include <cstddef>
#include <mortise/base/types.hpp>
#include <mortise/detail/order.hpp>
#include <mortise/isolate/isolator.hpp>
#include <string_view>
#include <type_traits>

namespace mortise::diagnose {

template <class Policy>
struct this_type {
  struct is_no_isolator {
    static_assert(isolate::isolator<Policy>,
                  "mortise: the type named above is no isolator: it lacks one of name, version, needs, gives, hooks");
  };
};

template <class Isolator>
struct the_isolator {
  template <class Fact, bool Given>
  struct needs_the_fact {
    static_assert(Given,
                  "mortise: the isolator named above needs the fact named above, which no isolator of this "
                  "container gives; add the isolator that gives it");
  };
  template <class Other, bool Distinct>
  struct has_the_name_of {
    static_assert(Distinct, "mortise: the two isolators named above have one name, or one isolator is named twice");
  };
  template <class Other, class Fact, bool Alone>
  struct gives_what_is_given_by {
    static_assert(Alone, "mortise: the two isolators named above both give the fact named above; keep one of them");
  };
  template <class Hook, bool Present>
  struct lists_the_hook {
    static_assert(Present,
                  "mortise: the isolator named above lists the hook named above but has no member function of "
                  "that name and signature; is it misspelt?");
  };
  template <class Hook, bool Listed>
  struct has_the_member {
    static_assert(Listed,
                  "mortise: the isolator named above has a member named as a hook that its 'hooks' does not list");
  };
  template <class Hook, bool Known>
  struct lists_something_unknown {
    static_assert(Known,
                  "mortise: the isolator named above lists a hook that does not exist: hooks are prepare, release "
                  "and recover of mortise::isolate::hook");
  };
};

template <bool Acyclic, class... Isolators>
struct the_isolators {
  static_assert(Acyclic,
                "mortise: the facts of the isolators named above form a cycle: each needs what a later one gives");
};

template <class Isolator>
struct this_container {
  template <bool Has>
  struct has_no_isolator_for_the_setting {
    static_assert(Has,
                  "mortise: a setting was given for the isolator named above, which this container does not have; "
                  "add it to the container's type");
  };
};

}  // namespace mortise::diagnose

namespace mortise::detail {

template <class Hook>
inline constexpr bool known_hook =
    contains<Hook, isolate::hook::list<isolate::hook::prepare, isolate::hook::release, isolate::hook::recover>>;

template <class Isolator>
concept has_prepare = requires(isolate::preparation<Isolator>& with) { Isolator::prepare(with); };
template <class Isolator>
concept has_release = requires(isolate::held_of<Isolator>& held) { Isolator::release(held); };
template <class Isolator>
concept has_recover = requires { Isolator::recover(std::string_view{}, 1U); };

template <class Isolator, class Hook>
consteval bool has_hook() {
  if constexpr (std::is_same_v<Hook, isolate::hook::prepare>) return has_prepare<Isolator>;
  if constexpr (std::is_same_v<Hook, isolate::hook::release>) return has_release<Isolator>;
  if constexpr (std::is_same_v<Hook, isolate::hook::recover>) return has_recover<Isolator>;
  return true;  // an unknown one has a message of its own
}

template <class Isolator, class List>
struct check_hooks;
template <class Isolator, class... Hooks>
struct check_hooks<Isolator, isolate::hook::list<Hooks...>> {
  using who = diagnose::the_isolator<Isolator>;
  using list = isolate::hook::list<Hooks...>;
  static constexpr std::size_t checked =
      (0 + ... + sizeof(typename who::template lists_something_unknown<Hooks, known_hook<Hooks>>)) +
      (0 + ... + sizeof(typename who::template lists_the_hook<Hooks, has_hook<Isolator, Hooks>()>)) +
      sizeof(typename who::template has_the_member < isolate::hook::prepare,
             !has_prepare<Isolator> || contains < isolate::hook::prepare, list >>) +
      sizeof(typename who::template has_the_member < isolate::hook::release,
             !has_release<Isolator> || contains < isolate::hook::release, list >>) +
      sizeof(typename who::template has_the_member < isolate::hook::recover,
             !has_recover<Isolator> || contains < isolate::hook::recover, list >>);
};

template <class Fact, class... All>
inline constexpr bool given_by_any = (contains<Fact, typename All::gives> || ...);

template <class Isolator, class Needs, class... All>
struct check_needs;
template <class Isolator, class... Needs, class... All>
struct check_needs<Isolator, facts<Needs...>, All...> {
  static constexpr std::size_t checked =
      (0 + ... +
       sizeof(typename diagnose::the_isolator<Isolator>::template needs_the_fact<Needs, given_by_any<Needs, All...>>));
};

/// The first fact of one list that is also in another; void where there is none.
template <class First, class Second>
struct common_fact {
  using type = void;
};
template <class First, class... Rest, class Second>
struct common_fact<facts<First, Rest...>, Second> {
  using type = typename std::conditional_t<contains<First, Second>, std::type_identity<First>,
                                           common_fact<facts<Rest...>, Second>>::type;
};

template <std::size_t FirstIndex, class First, std::size_t SecondIndex, class Second>
consteval std::size_t check_pair() {
  if constexpr (FirstIndex >= SecondIndex) {
    return 0;
  } else {
    using who = diagnose::the_isolator<First>;
    using fact = typename common_fact<typename First::gives, typename Second::gives>::type;
    constexpr bool distinct = std::string_view(First::name) != std::string_view(Second::name);
    return sizeof(typename who::template has_the_name_of<Second, distinct>) +
           sizeof(typename who::template gives_what_is_given_by < Second, fact, std::is_void_v<fact> || !distinct >);
  }
}

template <std::size_t Index, class Isolator, class... All, std::size_t... Indices>
consteval std::size_t check_against(std::index_sequence<Indices...>) {
  return (0 + ... + check_pair<Index, Isolator, Indices, All>());
}

/// Instantiating `checked` proves a composition, or stops with the first sentence that is not true.
template <class List, class Indices>
struct check;
template <class... Isolators, std::size_t... Indices>
struct check<type_list<Isolators...>, std::index_sequence<Indices...>> {
  using all = std::index_sequence<Indices...>;
  static constexpr std::size_t are_isolators =
      (0 + ... + sizeof(typename diagnose::this_type<Isolators>::is_no_isolator));
  static constexpr std::size_t checked =
      are_isolators + (0 + ... + check_hooks<Isolators, typename Isolators::hooks>::checked) +
      (0 + ... + check_against<Indices, Isolators, Isolators...>(all{})) +
      (0 + ... + check_needs<Isolators, typename Isolators::needs, Isolators...>::checked) +
      sizeof(diagnose::the_isolators<!order_of(type_list<Isolators...>{}).cyclic, Isolators...>);
};

}  // namespace mortise::detail

// SPDX-License-Identifier: Apache-2.0
#include <mortise/detail/compose.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace hook = mortise::isolate::hook;
using mortise::facts;
using mortise::isolate::preparation;

namespace {

std::string& told() {
  static std::string text;
  return text;
}
std::string take_told() { return std::exchange(told(), {}); }

struct ground {
  int depth;
};
struct walls {};
struct garden {};

struct base {
  static constexpr std::string_view name = "base";
  static constexpr unsigned version = 2;
  using needs = facts<>;
  using gives = facts<ground>;
  using hooks = hook::list<hook::prepare, hook::release, hook::recover>;
  static constexpr std::uint64_t clone_flags = 0x10;
  struct settings {
    int depth = 1;
    bool fails_to_release = false;
  };
  struct held {
    int depth;
  };

  static auto depth(int value) {
    return mortise::isolate::change<base>([value](settings& all) { all.depth = value; });
  }
  static absl::StatusOr<held> prepare(preparation<base>& with) {
    MORTISE_RETURN_IF_ERROR(with.checkpoint("dug"));
    told() += "dig ";
    with.give(ground{with.settings().depth});
    return held{with.settings().depth};
  }
  static absl::Status release(held& what) {
    told() += "fill ";
    return what.depth-- > 90 ? mortise::error(absl::StatusCode::kUnavailable, "too deep") : absl::OkStatus();
  }
  static absl::Status recover(std::string_view record, unsigned written_by) {
    mortise::append(told(), "recover ", record, ' ', written_by, ' ');
    return written_by > version ? mortise::error(absl::StatusCode::kFailedPrecondition, "newer") : absl::OkStatus();
  }
};

struct house {
  static constexpr std::string_view name = "house";
  static constexpr unsigned version = 1;
  using needs = facts<ground>;
  using wants = facts<garden>;
  using gives = facts<walls>;
  using hooks = hook::list<hook::prepare, hook::release>;
  static constexpr std::uint64_t clone_flags = 0x01;
  struct held {};

  static absl::StatusOr<held> prepare(preparation<house>& with) {
    mortise::append(told(), "build on ", with.fact<ground>().depth,
                    with.find<garden>() != nullptr ? " with garden " : " ");
    with.give(walls{});
    return held{};
  }
  static absl::Status release(held&) {
    told() += "tear down ";
    return absl::OkStatus();
  }
};

struct roof {
  static constexpr std::string_view name = "roof";
  static constexpr unsigned version = 1;
  using needs = facts<walls>;
  using gives = facts<>;
  using hooks = hook::list<hook::prepare>;

  static absl::Status prepare(preparation<roof>&) {
    told() += "cover ";
    return mortise::error(absl::StatusCode::kUnavailable, "no tiles");
  }
};

struct planting {
  static constexpr std::string_view name = "planting";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<garden>;
  using hooks = hook::list<hook::prepare>;
  static absl::Status prepare(preparation<planting>& with) {
    told() += "plant ";
    with.give(garden{});
    return absl::OkStatus();
  }
};

struct forgetful {
  static constexpr std::string_view name = "forgetful";
  static constexpr unsigned version = 1;
  using needs = facts<>;
  using gives = facts<garden>;
  using hooks = hook::list<hook::prepare>;
  static absl::Status prepare(preparation<forgetful>&) { return absl::OkStatus(); }
};

struct records : mortise::isolate::recorder {
  absl::Status record(std::string_view isolator, unsigned version, std::string text) override {
    mortise::append(told(), isolator, ' ', version, ' ', text, ' ');
    return absl::OkStatus();
  }
};

template <class... Isolators>
using composed = mortise::detail::composition<mortise::detail::isolators_of<Isolators...>>;

template <class Composed>
absl::Status prepare(Composed& all, typename Composed::settings_type with = {}) {
  mortise::model::plan plan;
  records to;
  const absl::Status status = all.prepare(*mortise::container_id::parse("x"), with, plan, to);
  CHECK(plan.clone_flags == Composed::clone_flags);
  return status;
}

}  // namespace

TEST_CASE("compose: prepared by the order of facts, released in reverse, once") {
  {
    composed<house, base> all;
    CHECK(composed<house, base>::clone_flags == 0x11);
    CHECK(prepare(all).ok());
    CHECK(take_told() == "base 2 dug dig build on 1 ");
    CHECK(all.held<base>().depth == 1);
    CHECK(all.release().ok());
    CHECK(take_told() == "tear down fill ");
    CHECK(all.release().ok());
  }
  CHECK(take_told() == "");
}

TEST_CASE("compose: wants are met before, and done without") {
  composed<house, planting, base> all;
  CHECK(prepare(all).ok());
  CHECK(take_told() == "plant base 2 dug dig build on 1 with garden ");
  composed<house, base>::for_each(
      [](std::string_view name, unsigned version) { mortise::append(told(), name, version, ' '); });
  CHECK(take_told() == "base2 house1 ");
  all.release().IgnoreError();
  take_told();
}

TEST_CASE("compose: settings, the last one of a thing wins; a pack is its members") {
  using all_of_them = composed<mortise::isolate::pack<house, mortise::isolate::pack<base>>>;
  all_of_them all;
  CHECK(prepare(all, {base::depth(3), base::depth(7)}).ok());
  CHECK(all.held<base>().depth == 7);
  CHECK(take_told() == "base 2 dug dig build on 7 ");
  all_of_them moved = std::move(all);
  CHECK(moved.held<base>().depth == 7);
  CHECK(all.release().ok());
  CHECK(take_told() == "");
  CHECK(moved.release().ok());
  take_told();
}

TEST_CASE("compose: what was prepared before a failure is released, in reverse") {
  {
    composed<roof, house, base> all;
    const absl::Status failed = prepare(all);
    CHECK(mortise::message(failed) == "roof: no tiles");
    CHECK(take_told() == "base 2 dug dig build on 1 cover ");
  }
  CHECK(take_told() == "tear down fill ");
}

TEST_CASE("compose: a release that fails does not keep the others, and is tried again") {
  composed<house, base> all;
  CHECK(prepare(all, {base::depth(92)}).ok());
  take_told();
  CHECK(mortise::message(all.release()) == "base: too deep");
  CHECK(take_told() == "tear down fill ");
  CHECK(mortise::message(all.release()) == "base: too deep");
  CHECK(all.release().ok());
  CHECK(take_told() == "fill fill ");
}

TEST_CASE("compose: recovery goes by name, to those that have one") {
  using all = composed<house, base>;
  CHECK(all::recover("base", 1, "dug").first);
  CHECK(mortise::message(all::recover("base", 3, "dug").second) == "base: newer");
  CHECK(!all::recover("house", 1, "").first);
  CHECK(!all::recover("none", 1, "").first);
  CHECK(take_told() == "recover dug 1 recover dug 3 ");
}

TEST_CASE("compose: an isolator that keeps a promised fact to itself is an error of its own") {
  composed<forgetful> all;
  CHECK(mortise::message(prepare(all)) == "forgetful: prepare gave not all of its facts");
}

TEST_CASE("compose: nothing is a composition too") {
  composed<> none;
  CHECK(prepare(none).ok());
  CHECK(none.release().ok());
  CHECK(composed<>::clone_flags == 0);
}

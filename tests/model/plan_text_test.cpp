// SPDX-License-Identifier: Apache-2.0
// The standard isolators' whole plans are in isolate/standard_test.cpp.
#include <mortise/model/plan_text.hpp>

#include <doctest/doctest.h>

#include <memory>
#include <utility>

namespace model = mortise::model;
namespace op = mortise::model::op;
using model::slot;

TEST_CASE("plan_text: each operation has a verb and an object, and hostile names are made printable") {
  CHECK(model::summary_text(op::set_hostname{"a\nb"}) == "set hostname 'a\\x0ab'");
  CHECK(model::summary_text(op::change_directory{"/a\x1b"}) == "change to directory '/a\\x1b'");
  CHECK(model::summary_text(op::become{"u", "g", {}}) == "become user 'u:g'");
  CHECK(model::summary_text(op::execute{{}, {}, {}}) == "execute ''");
  CHECK(model::summary_text(op::seal_root{model::mount_flag::read_only | model::mount_flag::no_dev}) ==
        "seal the root: ro,nodev");
  CHECK(model::summary_text(op::new_overlay{{"/a"}, {}, {}, "/m", slot{1}}) == "mount overlay of 1 layer");
  CHECK(model::summary_text(op::attach{slot{1}, {slot{2}, "shm"}}) == "attach to '#2/shm'");
}

TEST_CASE("plan_text: the whole, stage by stage") {
  model::plan plan;
  plan.clone_flags = 0x20000;
  const slot root = plan.new_slot();
  plan.add(model::stage::root, op::new_overlay{{"/b", "/a"}, "/u", "/w", "/m", root, true, true});
  plan.add(model::stage::root, op::enter_root{root, "/m"});
  plan.add(model::stage::root, op::adopt_tree{7, slot{3}});
  plan.add(model::stage::root, op::new_aufs{{"/b", "/a"}, "/u", "/m", slot{4}});
  plan.add(model::stage::root, op::attach_on_host{slot{3}, "/h"});
  plan.add(model::stage::host, op::clone_tree{"/x", slot{2}, true, model::mount_flag::read_only});
  CHECK(model::to_text(plan) ==
        "clone flags 0x20000\nhost\n  share '/x' recursively ro -> #2\nroot\n  mount overlay of 2 layers userxattr "
        "volatile -> #1\n"
        "      lower /b\n      lower /a\n      upper /u\n      work  /w\n  enter root '/m' <- #1\n"
        "  take tree 7 -> #3\n  mount aufs of 2 layers -> #4\n      lower /b\n      lower /a\n      upper /u\n  attach "
        "at '/h' <- #3\n");
}

TEST_CASE("plan_text: an overlay on a tree") {
  model::plan plan;
  plan.add(model::stage::root, op::new_overlay{{}, "/u", "/w", "/m", slot{2}, false, true, slot{1}});
  CHECK(model::to_text(plan) ==
        "clone flags 0x0\nroot\n  mount overlay of tree #1 volatile -> #2\n      upper /u\n      work  /w\n");
}

TEST_CASE("plan: what is kept goes with it") {
  const auto kept = std::make_shared<int>(1);
  {
    model::plan plan;
    plan.keep(kept);
    model::plan moved = std::move(plan);
    CHECK(kept.use_count() == 2);
  }
  CHECK(kept.use_count() == 1);
}

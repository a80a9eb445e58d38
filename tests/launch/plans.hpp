// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Small plans that run a program of the host, without any namespace unless the case adds one.

#include <mortise/launch/clone.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace plans {

/// Executes a program by its path.
inline mortise::model::plan run(std::vector<std::string> arguments) {
  mortise::model::plan plan;
  plan.add(mortise::model::stage::session, mortise::model::op::new_session{});
  std::vector<std::string> candidates{arguments.front()};
  plan.add(mortise::model::stage::execute,
           mortise::model::op::execute{std::move(candidates), std::move(arguments), {"PATH=/bin:/usr/bin"}});
  return plan;
}
inline mortise::model::plan script(const std::string& text) { return run({"/bin/sh", "-c", text}); }

/// Spawns, and waits for the end; the exit code, or -1 and the message.
inline std::pair<int, std::string> play(const mortise::model::plan& plan) {
  auto started = mortise::launch::clone{}.spawn(plan);
  if (!started.ok()) return {-1, std::string(mortise::message(started.status()))};
  const auto ended = started->wait();
  return ended.ok() ? std::pair{ended->code(), std::string()}
                    : std::pair{-1, std::string(mortise::message(ended.status()))};
}

/// The same with standard output brought back.
inline std::string output(mortise::model::plan plan) {
  auto ends = mortise::sys::make_pipe();
  if (!ends.ok()) throw std::runtime_error("make pipe");
  plan.add(mortise::model::stage::stdio, mortise::model::op::redirect{ends->write.get(), 1});
  auto started = mortise::launch::clone{}.spawn(plan);
  ends->write.reset();
  if (!started.ok()) return std::string(mortise::message(started.status()));
  const auto text = mortise::sys::read_all(ends->read.get(), 1 << 20);
  (void)started->wait();
  return text.ok() ? *text : std::string(mortise::message(text.status()));
}

}  // namespace plans

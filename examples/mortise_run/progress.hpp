// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// mortise-run's observer: a line on standard error for each step of a container's life, and on a terminal
/// bars while layers are fetched and unpacked. Standard output is the container's alone.

#include <chrono>
#include <mortise/observer.hpp>
#include <string>
#include <utility>

#include "../tool/progress.hpp"
#include "../tool/warnings.hpp"

namespace mortise_run {

class progress_view {
 public:
  /// What the steps have to tell beside their time is known to the composition.
  void describe(tool::style how, std::string image, std::string root, std::string isolation) {
    layers_ = tool::layer_progress(how, "mortise-run");
    image_ = std::move(image);
    root_ = std::move(root);
    isolation_ = std::move(isolation);
  }

  /// What is heard is said when the step ends.
  [[nodiscard]] mortise::image::warning_listener warnings() { return warnings_.listener(); }

  void begin(const mortise::container_id& /*id*/, mortise::step /*which*/) {
    began_ = std::chrono::steady_clock::now();
  }

  void end(const mortise::container_id& id, mortise::step which, const absl::Status& status) {
    for (const std::string& each : warnings_.take()) layers_.say_line(mortise::concat("warning: ", each));
    if (!status.ok()) return layers_.clear();
    layers_.say_line(mortise::concat(name_of(which), ": ", story(id, which), ", ", tool::elapsed_since(began_)));
  }

  void progress(const mortise::container_id& /*id*/, const mortise::image::progress& how) { layers_(how); }

 private:
  [[nodiscard]] std::string story(const mortise::container_id& id, mortise::step which) const {
    switch (which) {
      case mortise::step::fetch:
        return mortise::concat(image_, ", ", layers_.story());
      case mortise::step::provision:
        return mortise::concat(root_, " root");
      case mortise::step::prepare:
        return isolation_;
      case mortise::step::spawn:
        return mortise::concat("container ", id.text(), " runs");
      case mortise::step::destroy:
        return "nothing is left";
    }
    return {};
  }

  tool::layer_progress layers_{tool::style::quiet, "mortise-run"};
  tool::kept_warnings warnings_;
  std::string image_;
  std::string root_;
  std::string isolation_;
  std::chrono::steady_clock::time_point began_;
};

static_assert(mortise::observer<progress_view>);

}  // namespace mortise_run

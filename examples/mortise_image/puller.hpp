// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What mortise-image's pull and prefetch do with each location.

#include <chrono>
#include <mortise/base/status.hpp>
#include <mortise/model/image.hpp>
#include <mortise/model/layer.hpp>
#include <string>
#include <utility>
#include <vector>

#include "../tool/images.hpp"
#include "../tool/progress.hpp"
#include "command.hpp"
#include "output.hpp"

namespace mortise_image {

/// One location at a time.
class puller {
 public:
  static absl::StatusOr<puller> open(const session& of) {
    MORTISE_ASSIGN_OR_RETURN(tool::images store, tool::images::open(of.store(), of.sources()));
    return puller(of, std::move(store));
  }

  /// Tells how it went; what becomes of a failure is for the caller.
  absl::Status pull(const std::string& location) {
    tool::layer_progress progress(tool::style_for(of_.what.quiet || of_.what.json), "mortise-image");
    const auto began = std::chrono::steady_clock::now();
    const auto image = provide(location, progress);
    progress.clear();
    say_warnings(of_);
    if (!image.ok()) {
      failed_.push_back(object().text("location", location).text("error", mortise::message(image.status())).json());
      return image.status();
    }
    const std::string story = of_.what.artifact ? "kept as it is" : progress.story();
    progress.say_line(mortise::concat(shown(location), ": ", story, ", ", tool::elapsed_since(began)));
    const std::string manifest = image->manifest ? image->manifest->text() : "";
    if (!of_.what.json) print(mortise::concat(manifest, "  ", shown(location), '\n'));
    const auto layer_json = [](const mortise::model::layer& each) {
      return object()
          .text("diff_id", each.diff_id ? each.diff_id->text() : "")
          .text("directory", each.directory)
          .json();
    };
    object done;
    done.text("location", location).text("manifest", manifest).raw("layers", array_of(image->layers, layer_json));
    pulled_.push_back(done.json());
    return absl::OkStatus();
  }

  /// Once all were tried.
  absl::StatusOr<int> finish() {
    const absl::Status settled = of_.what.settle ? store_.settle() : absl::OkStatus();
    if (of_.what.json)
      print(object().raw("images", join_array(pulled_)).raw("failed", join_array(failed_)).json() + '\n');
    if (!settled.ok()) return settled;
    return failed_.empty() ? done : failed;
  }

 private:
  puller(const session& of, tool::images store) : of_(of), store_(std::move(store)) {}

  static std::string join_array(const std::vector<std::string>& of) {
    return mortise::concat('[', mortise::join(of, ","), ']');
  }

  absl::StatusOr<mortise::model::image> provide(const std::string& location, tool::layer_progress& progress) {
    const mortise::image::provide_options options{.platform = of_.what.platform,
                                                  .jobs = of_.what.jobs,
                                                  .cancelled = &of_.signals.cancelled(),
                                                  .refresh = mortise::image::refresh::always,
                                                  .warn = of_.warnings.listener()};
    if (of_.what.artifact) {
      MORTISE_ASSIGN_OR_RETURN(auto manifest, store_.fetch(location, options));
      return mortise::model::image{.location = location, .manifest = std::move(manifest), .config = {}, .layers = {}};
    }
    if (of_.what.packed) return store_.provide<mortise::model::erofs_layers>(location, options, progress);
    if (of_.what.rootless)
      return store_.provide<mortise::model::unprivileged_overlay_layers>(location, options, progress);
    return store_.provide<mortise::model::overlay_layers>(location, options, progress);
  }

  const session& of_;
  tool::images store_;
  std::vector<std::string> pulled_;
  std::vector<std::string> failed_;
};

}  // namespace mortise_image

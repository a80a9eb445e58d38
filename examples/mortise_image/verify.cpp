// SPDX-License-Identifier: Apache-2.0
// Part of mortise-image: verify.
#include <cstddef>
#include <mortise/image/verify.hpp>
#include <mortise/model/layer.hpp>

#include "../tool/progress.hpp"
#include "command.hpp"
#include "output.hpp"
#include "store.hpp"

namespace mortise_image {

using namespace mortise;

namespace {

std::string json_of(const image::verification& found) {
  const std::string damaged = array_of(found.damaged, [](const image::damage& each) {
    object part;
    part.text("name", each.name).text("why", each.why).raw("locations", array_of(each.locations));
    return part.truth("removed", each.removed).json();
  });
  object out;
  out.number("blobs", found.blobs).number("layers", found.layers).number("unchecked", found.unchecked);
  out.number("bytes", found.bytes).raw("damaged", damaged).raw("pulled", array_of(found.pulled));
  return out.raw("problems", array_of(found.problems)).json() + '\n';
}

std::string text_of(const image::verification& found) {
  std::string out;
  for (const image::damage& each : found.damaged) {
    std::vector<std::string> locations;
    locations.reserve(each.locations.size());
    for (const std::string& of : each.locations) locations.push_back(shown(of));
    append(out, "damaged: ", each.name, ": ", shown(each.why), each.removed ? "; taken out" : "",
           locations.empty() ? "; no image needs it" : "; needed by ", join(locations, ", "), '\n');
  }
  for (const std::string& each : found.pulled) append(out, "pulled anew: ", shown(each), '\n');
  return append(out, found.blobs, " blobs hashed (", size_text(found.bytes), "), ", found.layers, " layers compared, ",
                found.unchecked, " not (their blobs are not at hand), ", found.damaged.size(), " damaged\n"),
         out;
}

}  // namespace

absl::StatusOr<int> verify(const session& of) {
  MORTISE_ASSIGN_OR_RETURN(tool::image_store store, open_store(of));
  const tool::style style = tool::style_for(of.what.quiet || of.what.json);
  tool::bars bars;
  const auto hear = [&](std::string_view name, std::size_t at, std::size_t all) {
    if (style != tool::style::bars || !bars.is_due()) return;
    bars.add("verify", {at, 0, all}, concat(at, " of ", all, ": ", name.substr(0, 28)));
    bars.draw();
  };
  using namespace model;
  const auto found = store.verify<overlay_layers, unprivileged_overlay_layers, aufs_layers, erofs_layers>(
      {.repair = of.what.repair, .cancelled = &of.signals.cancelled(), .hear = hear});
  bars.say("");
  if (!found.ok()) return found.status();
  print(of.what.json ? json_of(*found) : text_of(*found));
  for (const std::string& each : found->problems) say(each);
  return found->damaged.empty() && found->problems.empty() ? done : failed;
}

}  // namespace mortise_image

// SPDX-License-Identifier: Apache-2.0
// Part of mortise-image: ls and du.
#include <mortise/image/usage.hpp>

#include "command.hpp"
#include "output.hpp"
#include "store.hpp"

namespace mortise_image {

using namespace mortise;

absl::StatusOr<int> list(const session& of) {
  MORTISE_ASSIGN_OR_RETURN(const tool::image_store store, open_store(of));
  MORTISE_ASSIGN_OR_RETURN(const auto images, store.list());
  if (of.what.json) {
    const std::string array = array_of(images, [](const image::stored_image& each) {
      return object()
          .text("location", each.location)
          .text("platform", each.platform)
          .text("manifest", each.manifest.text())
          .text("used", time_text(each.used))
          .truth("pinned", each.pinned)
          .json();
    });
    print(object().raw("images", array).json() + '\n');
    return done;
  }
  table rows({"LOCATION", "PLATFORM", "MANIFEST", "LAST USED", ""});
  for (const image::stored_image& each : images)
    rows.add({shown(each.location), shown(each.platform), std::string(each.manifest.brief()), time_text(each.used),
              each.pinned ? "pinned" : ""});
  print(rows.text());
  return done;
}

absl::StatusOr<int> measure(const session& of) {
  MORTISE_ASSIGN_OR_RETURN(const tool::image_store store, open_store(of));
  MORTISE_ASSIGN_OR_RETURN(const image::store_usage usage, image::measure(store.directory()));
  if (of.what.json) {
    const std::string array = array_of(usage.images, [](const image::image_usage& each) {
      return object()
          .text("location", each.location)
          .text("platform", each.platform)
          .number("unique", each.unique)
          .number("shared", each.shared)
          .truth("damaged", each.damaged)
          .json();
    });
    object all;
    all.raw("images", array).number("blobs", usage.blobs).number("layers", usage.layers);
    all.number("partials", usage.partials).number("garbage", usage.garbage).number("total", usage.total());
    print(all.json() + '\n');
    return done;
  }
  table rows({"LOCATION", "PLATFORM", "UNIQUE", "SHARED"});
  for (const image::image_usage& each : usage.images)
    rows.add({shown(each.location), shown(each.platform), each.damaged ? "damaged" : size_text(each.unique),
              each.damaged ? "" : size_text(each.shared)});
  print(rows.text());
  print(concat("\nblobs ", size_text(usage.blobs), ", unpacked layers ", size_text(usage.layers),
               ", unfinished fetches ", size_text(usage.partials), ": ", size_text(usage.total()), " in all, of which ",
               size_text(usage.garbage), " no image needs\n"));
  return done;
}

}  // namespace mortise_image

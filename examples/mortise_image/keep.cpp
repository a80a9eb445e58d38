// SPDX-License-Identifier: Apache-2.0
// Part of mortise-image: what stays and what goes: rm, pin, unpin and gc.
#include "command.hpp"
#include "output.hpp"
#include "store.hpp"

namespace mortise_image {

using namespace mortise;

absl::StatusOr<int> remove(const session& of) {
  MORTISE_ASSIGN_OR_RETURN(tool::image_store store, open_store(of));
  std::vector<std::string> removed;
  std::vector<std::string> unknown;
  for (const std::string& each : of.what.operands) {
    MORTISE_ASSIGN_OR_RETURN(const bool known, store.remove(each));
    (known ? removed : unknown).push_back(each);
    if (!known)
      say(concat("forget image '", printable(each), "': the store does not know it (ls lists what it knows)"));
  }
  if (of.what.json) print(object().raw("removed", array_of(removed)).raw("unknown", array_of(unknown)).json() + '\n');
  return unknown.empty() ? done : failed;
}

absl::StatusOr<int> pin(const session& of) {
  MORTISE_ASSIGN_OR_RETURN(tool::image_store store, open_store(of));
  for (const std::string& each : of.what.operands) MORTISE_RETURN_IF_ERROR(store.pin(each));
  if (of.what.json) print(object().raw("pinned", array_of(of.what.operands)).json() + '\n');
  return done;
}

absl::StatusOr<int> unpin(const session& of) {
  MORTISE_ASSIGN_OR_RETURN(tool::image_store store, open_store(of));
  for (const std::string& each : of.what.operands) MORTISE_RETURN_IF_ERROR(store.unpin(each));
  if (of.what.json) print(object().raw("unpinned", array_of(of.what.operands)).json() + '\n');
  return done;
}

namespace {

std::string json_of(const image::collection& went, bool dry_run) {
  const std::string gone = array_of(went.gone, [](const image::collected& each) {
    object part;
    part.text("kind", name_of(each.kind)).text("name", each.name).number("bytes", each.bytes).text("why", each.why);
    return part.json();
  });
  object out;
  out.truth("dry_run", dry_run).raw("gone", gone).number("freed", went.freed).number("kept", went.kept);
  return out.number("short_by", went.short_by).raw("problems", array_of(went.problems)).json() + '\n';
}

std::string text_of(const image::collection& went, bool dry_run) {
  std::string out;
  for (const image::collected& each : went.gone)
    append(out, name_of(each.kind), ' ', shown(each.name), ", ", size_text(each.bytes), ": ", each.why, '\n');
  return append(out, dry_run ? "would free " : "freed ", size_text(went.freed), ", keeps ", size_text(went.kept), '\n'),
         out;
}

}  // namespace

absl::StatusOr<int> collect(const session& of) {
  MORTISE_ASSIGN_OR_RETURN(const tool::image_store store, open_store(of));
  image::collect_options how{
      .unused_for = of.what.older_than, .drop_blobs = of.what.drop_blobs, .dry_run = of.what.dry_run};
  if (of.what.keep) how.most_bytes = of.what.keep->count;
  if (of.what.free) how.least_free = of.what.free->count;
  MORTISE_ASSIGN_OR_RETURN(const image::collection went, store.collect(how));
  print(of.what.json ? json_of(went, how.dry_run) : text_of(went, how.dry_run));
  for (const std::string& each : went.problems) say(each);
  if (went.short_by > 0) say(concat("the rest is pinned or in use: ", size_text(went.short_by), " too many are held"));
  return went.problems.empty() && went.short_by == 0 ? done : failed;
}

}  // namespace mortise_image

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// In which order an Appc image's dependencies are laid over each other, and which of their paths show: App
/// Container specification 0.8.11, "dependency matching" and "path whitelist". Pure logic: images come from a
/// look-up that the caller gives.

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/image/appc/manifest.hpp>
#include <mortise/image/appc/path_filter.hpp>
#include <mortise/model/ac_name.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::appc {

/// An image that a look-up found. Its ID is the one that its bytes were verified against.
struct found_image {
  model::ac_image_id id;
  std::uint64_t size = 0;  ///< of the ACI as it was transferred
  std::shared_ptr<const image_manifest> manifest;
};

/// One image to be laid over those before it. A path that is there already is replaced, and a symbolic link is
/// replaced and never followed.
struct rendered_layer {
  found_image image;
  path_filter filter;
};

/// What a tree of dependencies may cost.
struct render_limits {
  std::size_t depth = 64;     ///< of dependencies below dependencies
  std::size_t visits = 1024;  ///< of images, where two ways to one image count twice
  /// Bytes of whitelists, and 32 for each path; one that narrows several views of its image counts for each of them.
  std::size_t whitelists = std::size_t{64} << 20;
};

/// Finds the image of a dependency: absl::StatusOr<found_image>(const dependency&).
template <class Type>
concept image_lookup = requires(Type& lookup, const dependency& wanted) {
  { lookup(wanted) } -> std::same_as<absl::StatusOr<found_image>>;
};

/// Whether an image is the one that a dependency means: its name, all labels that are stated, its ID and size
/// where they are. Fails with DATA_LOSS for another ID or size, else FAILED_PRECONDITION; messages say what it is.
inline absl::Status check_match(const dependency& wanted, const found_image& found) {
  const auto differs = [&wanted](absl::StatusCode code, std::string_view what, std::string_view is,
                                 std::string_view expected) {
    return error(code, concat("match image '", wanted.name.text(), "': its ", what, " is '", is, "', expected '",
                              expected, '\''));
  };
  if (wanted.id && *wanted.id != found.id)
    return differs(absl::StatusCode::kDataLoss, "image ID", found.id.text(), wanted.id->text());
  if (wanted.size && *wanted.size != found.size)
    return differs(absl::StatusCode::kDataLoss, "size", concat(found.size), concat(*wanted.size));
  if (wanted.name != found.manifest->name)
    return differs(absl::StatusCode::kFailedPrecondition, "name", found.manifest->name.text(), wanted.name.text());
  for (const auto& [name, value] : wanted.labels.all()) {
    const auto has = found.manifest->labels.find(name.text());
    if (has != value)
      return differs(absl::StatusCode::kFailedPrecondition, concat("label ", name.text()),
                     has ? printable(*has, 160) : "missing", printable(value, 160));
  }
  return absl::OkStatus();
}

namespace detail {

/// Goes down an image's dependencies, depth first.
template <image_lookup Lookup>
class renderer {
 public:
  renderer(Lookup& lookup, const render_limits& most) : lookup_(lookup), most_(most) {}

  // NOLINTNEXTLINE(misc-no-recursion): as deep as the limit says
  absl::Status visit(const found_image& image, const path_filter& above) {
    if (++visits_ > most_.visits)
      return refuse(absl::StatusCode::kResourceExhausted, image,
                    concat("it needs more than ", most_.visits, " images"));
    for (const found_image* const each : way_)
      if (each->id == image.id) return refuse(absl::StatusCode::kInvalidArgument, image, "it depends on itself");
    if (way_.size() > most_.depth)
      return refuse(absl::StatusCode::kResourceExhausted, image,
                    concat("its dependencies go deeper than ", most_.depth));
    MORTISE_ASSIGN_OR_RETURN(const path_filter filter, narrowed(above, image));
    way_.push_back(&image);
    for (const dependency& each : image.manifest->dependencies) {
      MORTISE_ASSIGN_OR_RETURN(const found_image found, find(each));
      MORTISE_RETURN_IF_ERROR(visit(found, filter));
    }
    way_.pop_back();
    layers_.push_back({image, filter});
    return absl::OkStatus();
  }

  /// What an image shows last covers all that the same image showed before through the same filter, so only its last
  /// turn counts.
  std::vector<rendered_layer> take() {
    std::vector<rendered_layer> out;
    std::set<view> seen;
    for (auto each = layers_.rbegin(); each != layers_.rend(); ++each)
      if (seen.emplace(each->image.id, each->filter.identity()).second) out.push_back(std::move(*each));
    std::reverse(out.begin(), out.end());
    return out;
  }

 private:
  /// An image and the filter that it is seen through, or that it is below.
  using view = std::pair<model::ac_image_id, const void*>;

  /// Made once for an image below one filter, and one for all that show the same.
  absl::StatusOr<path_filter> narrowed(const path_filter& above, const found_image& image) {
    const std::vector<std::string>& whitelist = image.manifest->path_whitelist;
    if (whitelist.empty()) return above;
    const auto known = views_.find({image.id, above.identity()});
    if (known != views_.end()) return known->second;
    for (const std::string& each : whitelist) whitelists_ += each.size() + 32;
    if (whitelists_ > most_.whitelists)
      return refuse(absl::StatusCode::kResourceExhausted, image, "the path whitelists on the way are too long");
    const path_filter& out = *filters_.insert(above.narrowed(whitelist)).first;
    views_.emplace(view(image.id, above.identity()), out);
    return out;
  }

  absl::StatusOr<found_image> find(const dependency& wanted) {
    absl::StatusOr<found_image> found = lookup_(wanted);
    absl::Status status = found.status();
    if (status.ok()) status = check_match(wanted, *found);
    if (status.ok()) return found;
    return annotate(status, concat("find dependency of '", way_.back()->manifest->name.text(), '\''));
  }

  /// A failure that names the images on the way.
  [[nodiscard]] absl::Status refuse(absl::StatusCode code, const found_image& at, std::string_view why) const {
    constexpr std::size_t most_names = 8;
    std::vector<std::string_view> names;
    const std::size_t skipped = way_.size() > most_names ? way_.size() - most_names : 0;
    for (std::size_t each = skipped; each < way_.size(); ++each) names.push_back(way_[each]->manifest->name.text());
    names.push_back(at.manifest->name.text());
    return error(code, concat("render image '", at.manifest->name.text(), "': ", why, " (", skipped > 0 ? "... > " : "",
                              join(names, " > "), ')'));
  }

  Lookup& lookup_;
  const render_limits& most_;
  std::vector<const found_image*> way_;
  std::vector<rendered_layer> layers_;
  std::map<view, path_filter> views_;
  std::set<path_filter> filters_;
  std::size_t whitelists_ = 0;
  std::size_t visits_ = 0;
};

}  // namespace detail

/// The layers of an image, lowest first and itself last: before each image its dependencies in the order that it
/// lists them. An image that is reached on several ways has a layer for each filter that it is seen through.
/// Fails with INVALID_ARGUMENT for an image that depends on itself, RESOURCE_EXHAUSTED past a limit, what
/// check_match says of an image that is not the wanted one, and the look-up's own failures; messages name the
/// images on the way.
template <image_lookup Lookup>
absl::StatusOr<std::vector<rendered_layer>> rendering_order(const found_image& image, Lookup&& lookup,
                                                            const render_limits& most = {}) {
  detail::renderer<std::remove_reference_t<Lookup>> all(lookup, most);
  MORTISE_RETURN_IF_ERROR(all.visit(image, {}));
  return all.take();
}

}  // namespace mortise::image::appc

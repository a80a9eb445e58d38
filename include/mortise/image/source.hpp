// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Where images come from. A source recognises locations of its own form and opens them; what is opened
/// gives blobs. Everything after that (choice of platform, verification, unpacking) is the store's, the
/// same for every source, so a source cannot get it wrong.

#include <concepts>
#include <cstddef>
#include <memory>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <mortise/model/descriptor.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace mortise::image {

/// One opened location. Used by several threads at once once `roots` has returned.
class origin {
 public:
  origin() = default;
  origin(const origin&) = delete;
  origin& operator=(const origin&) = delete;
  virtual ~origin() = default;

  /// What the location names: one manifest or index. Several are alternatives for different platforms.
  /// Fails with NOT_FOUND, listing what there is, where the location's tag does not exist.
  virtual absl::StatusOr<std::vector<model::descriptor>> roots() = 0;

  /// A blob's bytes, unverified: the caller checks size and digest. NOT_FOUND where it is not here.
  virtual absl::StatusOr<std::unique_ptr<reader>> open_blob(const model::descriptor& blob) = 0;

  /// A text that changes whenever `roots` could answer differently; empty where only asking can tell. Cheap,
  /// and usable before `roots`: a store that has seen it need not ask again.
  [[nodiscard]] virtual std::string fingerprint() const { return {}; }
};

/// A model is default-constructible or configured by its constructor; const calls come from many threads.
template <class S>
concept source =
    std::copy_constructible<S> && requires(const S& source, std::string_view location, const std::string& scratch) {
      /// How its locations look, for messages: "oci:PATH[:TAG]".
      { S::form } -> std::convertible_to<std::string_view>;
      /// Whether a location is of its form. Touches nothing.
      { source.accepts(location) } -> std::same_as<bool>;
      /// An accepted location as it reads from everywhere, the name under which a store remembers it. Touches nothing.
      { source.canonical(location) } -> std::same_as<std::string>;
      /// Opens a location that it accepts. What must be spooled goes to unnamed files in the directory
      /// `scratch`.
      { source.open(location, scratch) } -> std::same_as<absl::StatusOr<std::unique_ptr<origin>>>;
    };

}  // namespace mortise::image

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Where images come from. A source recognises locations of its own form and opens them; what is opened
/// gives blobs. Everything after that (choice of platform, verification, unpacking) is the store's, the
/// same for every source, so a source cannot get it wrong.

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <mortise/fetch/fetcher.hpp>
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

  /// From now on `roots` and `open_blob` end with CANCELLED soon after the flag is set, by any thread, if they ask
  /// somebody; the flag outlives them. Null: they do not.
  virtual void heed(const std::atomic<bool>* /*cancelled*/) {}

  /// What the location names: one manifest or index. Several are alternatives for different platforms.
  /// Fails with NOT_FOUND, listing what there is, where the location's tag does not exist.
  virtual absl::StatusOr<std::vector<model::descriptor>> roots() = 0;

  /// A blob's bytes, unverified: the caller checks size and digest. NOT_FOUND where it is not here.
  virtual absl::StatusOr<std::unique_ptr<reader>> open_blob(const model::descriptor& blob) = 0;

  /// Whether blobs come from elsewhere: a store then takes layers by `fetch_blob`, keeps what it got, and goes on
  /// there when it is asked again. Others are read where they lie.
  [[nodiscard]] virtual bool is_remote() const { return false; }

  /// Whether `roots` asks another machine, so that a store that remembers an answer need not ask again each time.
  [[nodiscard]] virtual bool is_elsewhere() const { return is_remote(); }

  /// Whether it checks what a store's memory does not tell, a signature: then it is asked each time, whatever is
  /// remembered.
  [[nodiscard]] virtual bool must_be_asked() const { return false; }

  /// Streams the bytes of a blob from `range.first` up to `range.last`, unverified. `begin` of the sink is called once,
  /// whatever it takes to get all of them; no byte comes twice.
  /// Fails with UNIMPLEMENTED where a part was asked for and only the whole is to be had, before the sink has heard of
  /// anything; CANCELLED soon after `cancelled` is set; else as it went last.
  struct byte_range {
    std::uint64_t first = 0;
    std::uint64_t last = 0;  ///< one past the last byte: the blob's size for all of the rest
  };
  virtual absl::Status fetch_blob(const model::descriptor& blob, byte_range /*range*/, fetch::sink& /*into*/,
                                  const std::atomic<bool>* /*cancelled*/) {
    return error(absl::StatusCode::kUnimplemented, concat("fetch blob ", blob.digest.text(), ": it is not remote"));
  }

  /// Told that what it gave of a blob was not what the blob's digest says. True if it would ask somewhere else now.
  virtual bool distrust(const model::descriptor& /*blob*/) { return false; }

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

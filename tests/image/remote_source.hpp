// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A source of a test's own: "remote:PATH[:TAG]" is an image layout whose blobs have to be fetched, from a place that
/// behaves as the test says.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mortise/image/oci_layout.hpp>
#include <mortise/image/source.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace support {

/// What the place does; shared by all origins of a source.
struct remote_behaviour {
  bool gives_parts = true;
  std::uint64_t most = ~std::uint64_t{0};  ///< a call ends after so many bytes, as dropped connections do
  std::chrono::microseconds pause{0};      ///< before each 16 KiB
  std::function<void(std::uint64_t, std::span<std::byte>)> alter;  ///< what comes from an offset on
  bool has_another = false;                                        ///< another place, which alters nothing
  std::atomic<unsigned> calls = 0;
  std::atomic<std::uint64_t> bytes = 0;
  std::atomic<unsigned> distrusted = 0;
};

class remote_origin : public mortise::image::origin {
 public:
  remote_origin(std::unique_ptr<mortise::image::origin> from, std::shared_ptr<remote_behaviour> how)
      : from_(std::move(from)), how_(std::move(how)) {}

  absl::StatusOr<std::vector<mortise::model::descriptor>> roots() override { return from_->roots(); }
  absl::StatusOr<std::unique_ptr<mortise::reader>> open_blob(const mortise::model::descriptor& blob) override {
    return from_->open_blob(blob);
  }
  [[nodiscard]] bool is_remote() const override { return true; }
  bool distrust(const mortise::model::descriptor& /*blob*/) override {
    ++how_->distrusted;
    return how_->has_another;
  }

  absl::Status fetch_blob(const mortise::model::descriptor& blob, byte_range range, mortise::fetch::sink& into,
                          const std::atomic<bool>* cancelled) override {
    ++how_->calls;
    if (!how_->gives_parts && (range.first != 0 || range.last != blob.size))
      return absl::UnimplementedError("no parts");
    MORTISE_ASSIGN_OR_RETURN(const auto opened, from_->open_blob(blob));
    MORTISE_ASSIGN_OR_RETURN(const std::string all, mortise::image::read_text(*opened, std::size_t{1} << 30));
    MORTISE_RETURN_IF_ERROR(into.begin({}));
    std::uint64_t sent = 0;
    for (std::uint64_t at = range.first; at < range.last;) {
      if (*cancelled) return absl::CancelledError("cancelled");
      if (how_->pause.count() != 0) std::this_thread::sleep_for(how_->pause);
      if (sent >= how_->most) return absl::UnavailableError("connection lost");
      const std::uint64_t size = std::min({std::uint64_t{16} << 10, range.last - at, how_->most - sent});
      std::string piece = all.substr(at, size);
      if (how_->alter && (how_->distrusted == 0 || !how_->has_another))
        how_->alter(at, std::as_writable_bytes(std::span(piece)));
      MORTISE_RETURN_IF_ERROR(into.write(std::as_bytes(std::span(piece))));
      how_->bytes += size;
      at += size;
      sent += size;
    }
    return absl::OkStatus();
  }

 private:
  std::unique_ptr<mortise::image::origin> from_;
  std::shared_ptr<remote_behaviour> how_;
};

class remote_source {
 public:
  static constexpr std::string_view form = "remote:PATH[:TAG]";
  std::shared_ptr<remote_behaviour> how = std::make_shared<remote_behaviour>();

  [[nodiscard]] bool accepts(std::string_view location) const { return location.starts_with("remote:"); }
  [[nodiscard]] std::string canonical(std::string_view location) const { return std::string(location); }
  [[nodiscard]] absl::StatusOr<std::unique_ptr<mortise::image::origin>> open(std::string_view location,
                                                                             const std::string& scratch) const {
    MORTISE_ASSIGN_OR_RETURN(auto from, mortise::image::oci_layout().open(location, scratch));
    return std::make_unique<remote_origin>(std::move(from), how);
  }
};
static_assert(mortise::image::source<remote_source>);

}  // namespace support

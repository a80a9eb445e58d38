// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// An ACI that was read once and found good, in the open file that it lies in.
/// Needs: RapidJSON, libarchive, libcrypto, libbz2, liblzma, libisal or zlib, libzstd.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mortise/archive/limits.hpp>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <mortise/image/appc/aci.hpp>
#include <mortise/image/appc/render.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/image/metered_reader.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace mortise::image::appc {

/// Copies share the file.
struct stored_aci {
  file_section file;
  std::string where;  ///< a path or URL, for messages
  std::shared_ptr<const aci> about;

  [[nodiscard]] found_image found() const {
    return {about->id, file.size, std::shared_ptr<const image_manifest>(about, &about->manifest)};
  }
};

/// Reads the ACI at `where` and checks all that the file itself says; as read_aci. Fails with CANCELLED soon after
/// `cancelled` turns true.
inline absl::StatusOr<stored_aci> read_stored(file_section file, std::string where,
                                              std::optional<model::ac_image_id> expected,
                                              const archive::limits& caps = {},
                                              const std::atomic<bool>* cancelled = nullptr) {
  section_reader content(file);
  metered_reader source(content, [cancelled](std::uint64_t) {
    const bool enough = cancelled != nullptr && cancelled->load(std::memory_order_relaxed);
    return enough ? error(absl::StatusCode::kCancelled, "cancelled") : absl::OkStatus();
  });
  aci_request request{concat("ACI '", printable(where, 300), '\''), std::move(expected)};
  request.limits = caps;
  MORTISE_ASSIGN_OR_RETURN(aci about, read_aci(source, request));
  return stored_aci{std::move(file), std::move(where), std::make_shared<const aci>(std::move(about))};
}

/// Streams the uncompressed tar of an ACI. Its bytes are unverified: the file may have changed since it was read.
class tar_of_aci final : public reader {
 public:
  static absl::StatusOr<std::unique_ptr<reader>> open(const stored_aci& of, const archive::limits& caps = {}) {
    std::unique_ptr<tar_of_aci> out(new tar_of_aci(of.file));
    MORTISE_ASSIGN_OR_RETURN(out->plain_, unpack_aci(out->packed_, caps));
    return out;
  }
  absl::StatusOr<std::size_t> read(std::span<std::byte> into) override { return plain_->read(into); }

 private:
  explicit tar_of_aci(file_section of) : packed_(std::move(of)) {}

  section_reader packed_;
  std::unique_ptr<reader> plain_;
};

}  // namespace mortise::image::appc

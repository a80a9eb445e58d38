// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A layer of a packed image in a store: its uncompressed tar, as it was published. Needs: libcrypto.

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mortise/archive/apply_request.hpp>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/digest/verifying_reader.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/image/layer_keys.hpp>
#include <mortise/image/metered_reader.hpp>
#include <mortise/image/store_directory.hpp>
#include <mortise/image/unpacked_layers.hpp>
#include <mortise/model/digest.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/sys/fd.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace mortise::image {

/// Its name in the layer's tree.
inline constexpr const char* packed_tar = "layer.tar";

/// Writes a tar into the layer's directory, as it is, to its very end.
/// Fails with RESOURCE_EXHAUSTED on a full disk, and as `tar` does. Leaves behind on failure: what was written.
inline absl::StatusOr<archive::applied> write_packed(reader& tar, int directory) {
  constexpr std::size_t piece = std::size_t{512} << 10;
  MORTISE_ASSIGN_OR_RETURN(sys::unique_fd to, sys::open_at(directory, packed_tar, O_WRONLY | O_CREAT | O_EXCL, 0644));
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(piece);
  archive::applied out;
  out.root_entry = true;  // whatever it has of its own: nothing of lower layers is put into a tar
  for (;;) {
    MORTISE_ASSIGN_OR_RETURN(const std::size_t got, tar.read({buffer.get(), piece}));
    if (got == 0) break;
    const absl::Status put = sys::write_all(to.get(), {reinterpret_cast<const char*>(buffer.get()), got});
    if (errno_of(put) == ENOSPC) return errno_error(ENOSPC, "write tar", "free space, or use another disk");
    MORTISE_RETURN_IF_ERROR(put);
    out.bytes += got;
  }
  MORTISE_RETURN_IF_ERROR(to.close());
  return out;
}

/// The tar in a layer's tree.
inline absl::StatusOr<file_section> open_packed(const std::string& tree) {
  return open_file(AT_FDCWD, concat(tree, '/', packed_tar));
}

/// The tar of the layer that the store has in packed form, if it has.
inline std::optional<file_section> find_packed(const store_directory& store, const layer_key& key) {
  const auto layer = unpacked_layers(store, model::erofs_layers::name).find(key);
  if (!layer) return std::nullopt;
  auto tar = open_packed(layer->directory);
  return tar.ok() ? std::optional(*std::move(tar)) : std::nullopt;
}

/// Whether it still is what it was.
inline absl::StatusOr<bool> check_packed(const std::string& tree, const model::digest& diff_id,
                                         const std::atomic<bool>* cancelled) {
  auto section = open_packed(tree);
  if (!section.ok()) return false;  // what cannot be read is not what it was
  section_reader bytes(*std::move(section));
  metered_reader wanted(bytes, [cancelled](std::uint64_t) {
    const bool stop = cancelled != nullptr && cancelled->load(std::memory_order_relaxed);
    return stop ? error(absl::StatusCode::kCancelled, "cancelled") : absl::OkStatus();
  });
  digest::verifying_reader<digest::openssl> tar(wanted, diff_id, std::nullopt, "diff ID");
  absl::Status status = drain(tar);
  if (absl::IsCancelled(status)) return status;
  return status.ok();
}

}  // namespace mortise::image

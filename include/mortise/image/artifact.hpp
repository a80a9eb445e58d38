// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Content that is no image, or not to be run: verified blobs as files of a store (OCI image-spec manifest.md,
/// "Guidelines for Artifact Usage"). Needs: RapidJSON, libcrypto.

#include <fcntl.h>
#include <stdio.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/digest/verifying_reader.hpp>
#include <mortise/image/blob_fetches.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/image/resolve.hpp>
#include <mortise/image/source.hpp>
#include <mortise/image/store_concept.hpp>
#include <mortise/image/store_directory.hpp>
#include <mortise/model/image.hpp>
#include <mortise/model/manifest.hpp>
#include <mortise/sys/fd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image {

/// One blob of an artifact.
struct artifact_part {
  model::descriptor what;
  std::string path;  ///< absolute, for reading only: others share it
};

struct artifact {
  std::string location;  ///< as the caller named it
  model::digest digest;  ///< of its manifest
  model::manifest manifest;
  artifact_part config;
  std::vector<artifact_part> parts;     ///< the manifest's layers, in its order
  std::shared_ptr<model::hold> held{};  ///< keeps the files from being collected
};

namespace detail {

/// Brings blobs into a store whole, without unpacking anything.
class blob_pull {
 public:
  blob_pull(const store_directory& store, origin& from, const provide_options& options)
      : store_(store), from_(from), options_(options) {}

  absl::Status run(const std::vector<model::descriptor>& blobs) const {
    return from_.is_remote() ? fetch(blobs) : copy_all(blobs);
  }

 private:
  [[nodiscard]] absl::Status wanted() const {
    const bool cancelled = options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed);
    return cancelled ? error(absl::StatusCode::kCancelled, "cancelled") : absl::OkStatus();
  }

  absl::Status fetch(const std::vector<model::descriptor>& blobs) const {
    fetch_plan plan;
    if (options_.connections != 0) plan.connections = options_.connections;
    blob_fetches fetches(store_, from_, blobs, std::move(plan));
    MORTISE_RETURN_IF_ERROR(fetches.start());
    for (std::size_t at = 0; at < blobs.size(); ++at)
      MORTISE_RETURN_IF_ERROR(drain(*fetches.at(at).follow([this] { return wanted(); })));
    return absl::OkStatus();
  }

  absl::Status copy_all(const std::vector<model::descriptor>& blobs) const {
    MORTISE_ASSIGN_OR_RETURN(const staging through, store_.stage());
    for (const model::descriptor& each : blobs)
      if (!is_there(each)) MORTISE_RETURN_IF_ERROR(copy(each, through));
    return absl::OkStatus();
  }

  /// Whole and right, since somebody will read it as a file.
  [[nodiscard]] bool is_there(const model::descriptor& blob) const {
    auto file = open_file(store_.fd(), store_directory::blob_name(blob.digest));
    if (!file.ok()) return false;
    section_reader bytes(*std::move(file));
    return digest::verifying_reader<digest::openssl>(bytes, blob.digest, blob.size, "blob").drain().ok();
  }

  absl::Status copy(const model::descriptor& blob, const staging& through) const {
    std::unique_ptr<reader> opened;
    if (blob.data) opened = std::make_unique<text_reader>(*blob.data);
    if (!opened) {
      MORTISE_ASSIGN_OR_RETURN(opened, from_.open_blob(blob));
    }
    digest::verifying_reader<digest::openssl> verified(*opened, blob.digest, blob.size,
                                                       concat("blob ", blob.digest.text()));
    MORTISE_ASSIGN_OR_RETURN(const auto file,
                             sys::open_at(through.fd(), "blob", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
    std::vector<std::byte> buffer(std::size_t{256} << 10);
    for (;;) {
      MORTISE_RETURN_IF_ERROR(wanted());
      MORTISE_ASSIGN_OR_RETURN(const std::size_t got, verified.read(buffer));
      if (got == 0) break;
      MORTISE_RETURN_IF_ERROR(sys::write_all(file.get(), std::span(buffer).first(got)));
    }
    const std::string name = store_directory::blob_name(blob.digest);
    if (::renameat(through.fd(), "blob", store_.fd(), name.c_str()) == 0) return absl::OkStatus();
    return errno_error(errno, concat("publish blob ", blob.digest.text()));
  }

  const store_directory& store_;
  origin& from_;
  const provide_options& options_;
};

}  // namespace detail

}  // namespace mortise::image

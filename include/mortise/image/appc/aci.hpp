// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Reads an App Container Image: its layout, its manifest and its image ID, in one pass over the file.
/// Needs: RapidJSON, libarchive, libcrypto, libbz2, liblzma, libisal or zlib, libzstd.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mortise/archive/bzip2.hpp>
#include <mortise/archive/decompress.hpp>
#include <mortise/archive/entry.hpp>
#include <mortise/archive/entry_path.hpp>
#include <mortise/archive/extent.hpp>
#include <mortise/archive/limits.hpp>
#include <mortise/archive/tar.hpp>
#include <mortise/archive/xz.hpp>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/image/appc/manifest.hpp>
#include <mortise/model/ac_name.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::image::appc {

/// What an ACI turned out to be.
struct aci {
  model::ac_image_id id;
  image_manifest manifest;
  std::string manifest_text;
  std::uint64_t size = 0;     ///< of the uncompressed tar
  std::uint64_t entries = 0;  ///< below rootfs, which is counted too
};

/// What is believed of an ACI, and what is asked of it.
struct aci_request {
  std::string subject;                         ///< for messages: "ACI '/x/app.aci'"
  std::optional<model::ac_image_id> expected;  ///< the image ID that was asked for
  archive::limits limits = {};                 ///< of the archive
  std::size_t manifest_bytes = std::size_t{4} << 20;
  std::size_t name_bytes = std::size_t{64} << 20;  ///< of all names, which are kept to find those that occur twice
};

/// The uncompressed tar of an ACI, plain or packed with gzip, bzip2, xz or zstd; as archive::decompress.
inline absl::StatusOr<std::unique_ptr<reader>> unpack_aci(reader& source, const archive::limits& caps = {}) {
  return archive::decompress<archive::bzip2_decoder, archive::xz_decoder>(source, caps);
}

namespace detail {

/// Hashes and counts what passes.
class hashing_reader final : public reader {
 public:
  explicit hashing_reader(reader& source) : source_(source), hash_(model::digest_algorithm::sha512) {}

  absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
    MORTISE_ASSIGN_OR_RETURN(const std::size_t got, source_.read(into));
    hash_.update(into.first(got));
    count_ += got;
    return got;
  }

  [[nodiscard]] std::uint64_t count() const { return count_; }
  model::ac_image_id finish() { return model::ac_image_id(hash_.finish()); }

 private:
  reader& source_;
  digest::openssl hash_;
  std::uint64_t count_ = 0;
};

/// The rules of the layout, entry by entry: `manifest`, `rootfs` and what is below it, each once.
class layout_check {
 public:
  layout_check(const aci_request& request, archive::tar_reader& tar) : request_(request), tar_(tar) {}

  absl::Status take(const archive::entry& about) {
    return annotate(check(about), concat("entry '", printable(about.path), '\''));
  }

  /// What only shows at the end of the archive.
  [[nodiscard]] absl::Status finish() const {
    if (!manifest_) return refuse("it has no 'manifest'");
    return entries_ > 0 ? absl::OkStatus() : refuse("it has no 'rootfs'");
  }

  [[nodiscard]] std::uint64_t entries() const { return entries_; }
  /// Only where there is one.
  [[nodiscard]] const std::string& manifest() const { return *manifest_; }
  [[nodiscard]] bool has_manifest() const { return manifest_.has_value(); }

 private:
  static absl::Status refuse(std::string_view why) { return error(absl::StatusCode::kInvalidArgument, why); }
  static absl::Status exhausted(std::string_view why) { return error(absl::StatusCode::kResourceExhausted, why); }

  absl::Status check(const archive::entry& about) {
    MORTISE_ASSIGN_OR_RETURN(const auto path, archive::entry_path::parse(about.path, request_.limits));
    if (path.is_root() && about.type == archive::entry_type::directory) return absl::OkStatus();  // as `tar .` writes
    MORTISE_RETURN_IF_ERROR(remember(path.text()));
    if (path.text() == "manifest") return take_manifest(about);
    if (path.text() != "rootfs" && !path.text().starts_with("rootfs/"))
      return refuse("only 'manifest', 'rootfs' and what is below it belong into an ACI");
    if (path.text() == "rootfs" && about.type != archive::entry_type::directory)
      return refuse("'rootfs' must be a directory");
    if (++entries_ > request_.limits.entries)
      return exhausted(concat("more than ", request_.limits.entries, " entries"));
    if (about.type == archive::entry_type::hard_link) return check_link(about);
    return absl::OkStatus();
  }

  absl::Status remember(const std::string& path) {
    names_bytes_ += path.size() + 64;
    if (names_bytes_ > request_.name_bytes)
      return exhausted(concat("the names take more than ", request_.name_bytes, " bytes"));
    return names_.insert(path).second ? absl::OkStatus() : refuse("it occurs twice");
  }

  /// A hard link may name what was in the archive before it, and nothing outside rootfs.
  absl::Status check_link(const archive::entry& about) const {
    MORTISE_ASSIGN_OR_RETURN(const auto target, archive::entry_path::parse(about.link_target, request_.limits));
    const std::string link = concat("its hard link to '", printable(about.link_target), "' ");
    if (!target.text().starts_with("rootfs/")) return refuse(concat(link, "leads out of 'rootfs'"));
    return names_.contains(target.text()) ? absl::OkStatus() : refuse(concat(link, "comes before its target"));
  }

  absl::Status take_manifest(const archive::entry& about) {
    if (about.type != archive::entry_type::regular)
      return refuse(concat("'manifest' must be a regular file, not a ", archive::name_of(about.type)));
    if (about.size > request_.manifest_bytes)
      return exhausted(concat("it is longer than ", request_.manifest_bytes, " bytes"));
    std::string text(static_cast<std::size_t>(about.size), '\0');
    for (;;) {
      MORTISE_ASSIGN_OR_RETURN(const archive::extent piece, tar_.data());
      if (piece.bytes.empty()) break;
      if (piece.offset > text.size() || piece.bytes.size() > text.size() - piece.offset)
        return refuse("it has more data than it said");
      std::memcpy(text.data() + piece.offset, piece.bytes.data(), piece.bytes.size());
    }
    manifest_ = std::move(text);
    return absl::OkStatus();
  }

  const aci_request& request_;
  archive::tar_reader& tar_;
  std::optional<std::string> manifest_;
  std::set<std::string> names_;
  std::size_t names_bytes_ = 0;
  std::uint64_t entries_ = 0;
};

inline absl::StatusOr<aci> read_aci(reader& source, const aci_request& request) {
  MORTISE_ASSIGN_OR_RETURN(const auto plain, unpack_aci(source, request.limits));
  hashing_reader hashing(*plain);
  archive::tar_reader tar(hashing, request.limits);
  layout_check layout(request, tar);
  archive::entry about;
  for (;;) {
    MORTISE_ASSIGN_OR_RETURN(const bool more, tar.next(about));
    if (!more) break;
    MORTISE_RETURN_IF_ERROR(layout.take(about));
  }
  MORTISE_RETURN_IF_ERROR(tar.drain());
  const std::uint64_t size = hashing.count();
  auto id = hashing.finish();
  if (request.expected && *request.expected != id)
    return error(absl::StatusCode::kDataLoss,
                 concat("its image ID is ", id.text(), ", expected ", request.expected->text()));
  MORTISE_RETURN_IF_ERROR(layout.finish());
  MORTISE_ASSIGN_OR_RETURN(auto manifest, parse_image_manifest(layout.manifest(), "manifest"));
  return aci{std::move(id), std::move(manifest), layout.manifest(), size, layout.entries()};
}

}  // namespace detail

/// Reads an ACI to the end of `source` and nothing of it to disk.
/// Fails with, all of them beginning "read `subject`: ": INVALID_ARGUMENT for what is no ACI, RESOURCE_EXHAUSTED
/// past a limit, UNIMPLEMENTED for other compressions, by name, DATA_LOSS for damaged data or another image ID than the
/// expected one; the source's own code.
inline absl::StatusOr<aci> read_aci(reader& source, const aci_request& request) {
  auto out = detail::read_aci(source, request);
  if (!out.ok()) return annotate(out.status(), concat("read ", request.subject));
  return out;
}

}  // namespace mortise::image::appc

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Images of App Container, from files and by discovery.
/// Needs: RapidJSON, libarchive, libcrypto, libbz2, liblzma, libisal or zlib, libzstd.

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <concepts>
#include <memory>
#include <mortise/archive/entry.hpp>
#include <mortise/archive/tar.hpp>
#include <mortise/base/status.hpp>
#include <mortise/fetch/fetcher.hpp>
#include <mortise/fetch/file.hpp>
#include <mortise/image/appc/discoverer.hpp>
#include <mortise/image/appc/location.hpp>
#include <mortise/image/appc/origin.hpp>
#include <mortise/image/appc/signature.hpp>
#include <mortise/image/appc/stored_aci.hpp>
#include <mortise/image/bundle.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/image/location.hpp>
#include <mortise/image/source.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::image {

namespace appc::detail {

/// What dependencies are for: the image's own platform, where it states one.
inline model::platform platform_below(const stored_aci& image, const model::platform& otherwise) {
  model::platform own = platform_of(image.about->manifest.labels);
  return own.architecture.empty() ? otherwise : own;
}

/// Whether the manifest is the first entry of an ACI, as builders put it, and says that nothing lies below it. Nothing
/// is verified: it decides only whether to look again at what was verified before.
inline bool stands_alone(const file_section& file) {
  section_reader packed(file);
  const auto plain = unpack_aci(packed);
  if (!plain.ok()) return false;
  const aci_request request;
  archive::tar_reader tar(**plain, request.limits);
  layout_check layout(request, tar);
  archive::entry about;
  for (int entries = 0; entries < 2 && !layout.has_manifest(); ++entries) {  // some write the root before it
    const auto more = tar.next(about);
    if (!more.ok() || !*more || !layout.take(about).ok()) return false;
  }
  if (!layout.has_manifest()) return false;
  const auto manifest = parse_image_manifest(layout.manifest(), "manifest");
  return manifest.ok() && manifest->dependencies.empty();
}

/// "aci:FILE". What it depends on may lie beside it, named as simple discovery has it.
template <class Discoverer>
class file_finder final : public image_finder {
 public:
  file_finder(Discoverer from, aci_file_location at, file_section file, std::string fingerprint)
      : from_(std::move(from)), at_(std::move(at)), file_(std::move(file)), fingerprint_(std::move(fingerprint)) {}

  absl::StatusOr<stored_aci> find_main() override {
    MORTISE_ASSIGN_OR_RETURN(stored_aci found,
                             read_stored(file_, at_.path, at_.id, from_.options().limits, from_.options().cancelled));
    MORTISE_RETURN_IF_ERROR(from_.check_beside(found, at_.path));
    return found;
  }
  absl::StatusOr<stored_aci> find(const dependency& wanted, const stored_aci& for_image) override {
    MORTISE_ASSIGN_OR_RETURN(const auto directory,
                             fetch::file_uri(absolute(at_.path.substr(0, at_.path.rfind('/') + 1))));
    return from_.find(wanted, platform_below(for_image, from_.options().platform), concat("file://", directory.path));
  }
  [[nodiscard]] std::string fingerprint() const override {
    return !fingerprint_.empty() && stands_alone(file_) ? fingerprint_ : std::string();
  }
  [[nodiscard]] bool is_elsewhere() const override { return false; }
  [[nodiscard]] bool must_be_asked() const override { return from_.checks_signatures(); }
  void heed(const std::atomic<bool>* cancelled) override { from_.heed(cancelled); }

 private:
  /// A directory's name, which ends in a slash or is empty.
  static std::string absolute(const std::string& directory) {
    return absolute_location(concat("aci:", directory)).substr(4);
  }

  Discoverer from_;
  aci_file_location at_;
  file_section file_;
  std::string fingerprint_;
};

/// "appc:NAME". With an image ID nothing needs to be asked again of what was once resolved.
template <class Discoverer>
class name_finder final : public image_finder {
 public:
  name_finder(Discoverer from, dependency wanted) : from_(std::move(from)), wanted_(std::move(wanted)) {}

  absl::StatusOr<stored_aci> find_main() override { return from_.find(wanted_, from_.options().platform); }
  absl::StatusOr<stored_aci> find(const dependency& wanted, const stored_aci& for_image) override {
    return from_.find(wanted, platform_below(for_image, from_.options().platform));
  }
  [[nodiscard]] std::string fingerprint() const override { return wanted_.id ? wanted_.id->text() : std::string(); }
  [[nodiscard]] bool is_elsewhere() const override { return true; }
  [[nodiscard]] bool must_be_asked() const override { return from_.checks_signatures(); }
  void heed(const std::atomic<bool>* cancelled) override { from_.heed(cancelled); }

 private:
  Discoverer from_;
  dependency wanted_;
};

}  // namespace appc::detail

/// A source: "aci:FILE" and "appc:NAME[:VERSION][,LABEL=VALUE]...", either with "@sha512-ID" behind it. Of the image
/// and all that it depends on, name, labels, image IDs and sizes are checked before anything is unpacked. The origin's
/// blobs are the ACIs' uncompressed tars, whose digests are their image IDs.
///
/// `Fetch` reaches what discovery names; `Check` looks at signatures: appc::no_signature, or appc::gpgv of
/// image/appc/gpgv.hpp.
template <fetch::fetcher Fetch, appc::signature_check Check = appc::no_signature>
class basic_appc {
 public:
  static constexpr std::string_view form = "aci:FILE or appc:NAME[:VERSION]";

  basic_appc()
    requires std::default_initializable<Fetch> && std::default_initializable<Check>
      : basic_appc(Fetch()) {}
  explicit basic_appc(Fetch fetch, appc::discovery_options options = {}, Check check = Check())
      : fetch_(std::move(fetch)), options_(std::move(options)), check_(std::move(check)) {}

  [[nodiscard]] bool accepts(std::string_view location) const {
    return after_scheme(location, "aci").has_value() || after_scheme(location, "appc").has_value();
  }

  [[nodiscard]] std::string canonical(std::string_view location) const {
    const auto name = after_scheme(location, "appc");
    if (!name) return absolute_location(location);
    const auto wanted = appc::parse_appc_location(*name);
    return wanted.ok() ? appc::canonical_appc_location(*wanted) : std::string(location);
  }

  /// Fails for a location that is none, and where a file cannot be opened; what discovery finds shows when `roots` is
  /// asked.
  [[nodiscard]] absl::StatusOr<std::unique_ptr<origin>> open(std::string_view location,
                                                             const std::string& scratch) const {
    using discoverer = appc::discoverer<Fetch, Check>;
    discoverer from(fetch_, check_, options_, scratch);
    std::unique_ptr<appc::image_finder> finder;
    if (const auto name = after_scheme(location, "appc")) {
      MORTISE_ASSIGN_OR_RETURN(auto wanted, appc::parse_appc_location(*name));
      finder = std::make_unique<appc::detail::name_finder<discoverer>>(std::move(from), std::move(wanted));
    } else {
      MORTISE_ASSIGN_OR_RETURN(auto at, appc::aci_file_location::parse(location.substr(location.find(':') + 1)));
      MORTISE_ASSIGN_OR_RETURN(file_section file, open_file(AT_FDCWD, at.path));
      struct stat about{};
      if (::fstat(file.file->get(), &about) != 0) return errno_error(errno, concat("stat '", at.path, '\''));
      finder = std::make_unique<appc::detail::file_finder<discoverer>>(std::move(from), std::move(at), std::move(file),
                                                                       bundle::fingerprint_of(about));
    }
    return std::make_unique<appc::image_origin>(std::move(finder), options_.limits);
  }

 private:
  Fetch fetch_;
  appc::discovery_options options_;
  Check check_;
};

/// Appc images of this host alone: files, and what they depend on in the same directory or at file: prefixes.
using appc_files = basic_appc<fetch::file>;

static_assert(source<appc_files>);

}  // namespace mortise::image

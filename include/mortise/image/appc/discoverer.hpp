// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Finds Appc images by name: asks the places that discovery.hpp names, by whatever fetcher it is given, and takes the
/// first image that is what was wanted.
/// Needs: RapidJSON, libarchive, libcrypto, libbz2, liblzma, libisal or zlib, libzstd.

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mortise/archive/limits.hpp>
#include <mortise/base/status.hpp>
#include <mortise/base/units.hpp>
#include <mortise/fetch/fetcher.hpp>
#include <mortise/fetch/file.hpp>
#include <mortise/fetch/uri.hpp>
#include <mortise/image/appc/discovery.hpp>
#include <mortise/image/appc/manifest.hpp>
#include <mortise/image/appc/platform.hpp>
#include <mortise/image/appc/render.hpp>
#include <mortise/image/appc/signature.hpp>
#include <mortise/image/appc/stored_aci.hpp>
#include <mortise/image/file_section.hpp>
#include <mortise/model/platform.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::appc {

/// Where images are looked for, and how much is taken.
struct discovery_options {
  /// Of simple discovery, in this order: what stands before the image's name ("https://", "file:///srv/aci/").
  std::vector<std::string> prefixes = {"https://"};
  /// Whether the host in the image's name is asked where its images are, if it is at none of the prefixes.
  bool meta = true;
  /// Whether plain HTTP is good enough, for prefixes and for what hosts say. Anybody on the way can change what it
  /// brings, unless an image ID or a signature is asked for.
  bool allow_http = false;
  /// What images are for that do not say.
  model::platform platform = model::host_platform();
  archive::limits limits = {};
  /// Ends looking, fetching and reading with CANCELLED soon after it turns true; any thread may set it.
  const std::atomic<bool>* cancelled = nullptr;
  /// Of all files that one image takes, together.
  bytes most_transferred{std::uint64_t{64} << 30};
};

namespace detail {

/// Gives the pieces of a body to `Keep`, and refuses what is more than was asked for, whatever the fetcher does.
template <class Keep>
class bounded_sink final : public fetch::sink {
 public:
  bounded_sink(std::uint64_t most, Keep keep) : most_(most), keep_(std::move(keep)) {}
  absl::Status begin(const fetch::response& /*about*/) override { return absl::OkStatus(); }
  absl::Status write(std::span<const std::byte> piece) override {
    if (piece.size() > most_ - size_)
      return error(absl::StatusCode::kResourceExhausted, concat("it has more than ", most_, " bytes"));
    size_ += piece.size();
    return keep_(piece);
  }
  [[nodiscard]] std::uint64_t size() const { return size_; }

 private:
  std::uint64_t most_;
  Keep keep_;
  std::uint64_t size_ = 0;
};

/// What was tried and why it did not do. The result's code is the first that says more than "not there".
class attempts {
 public:
  void add(const absl::Status& status) {
    if (code_ == absl::StatusCode::kNotFound) code_ = status.code();
    if (said_.size() < most) said_.emplace_back(message(status));
    ++count_;
  }
  [[nodiscard]] absl::Status result(const dependency& wanted) const {
    std::string text = concat("find image '", wanted.name.text(), '\'');
    if (!wanted.labels.empty()) append(text, " (", wanted.labels.text(), ')');
    append(text, ": ", said_.empty() ? "there is nowhere to look (name a prefix)" : join(said_, "; "));
    if (count_ > said_.size()) append(text, "; and ", count_ - said_.size(), " more");
    return error(code_, text);
  }

 private:
  static constexpr std::size_t most = 8;
  absl::StatusCode code_ = absl::StatusCode::kNotFound;
  std::vector<std::string> said_;
  std::size_t count_ = 0;
};

}  // namespace detail

/// For one opened location; not for several threads.
template <fetch::fetcher Fetch, signature_check Check>
class discoverer {
 public:
  /// `scratch` is a directory for unnamed files.
  discoverer(Fetch fetch, Check check, discovery_options options, std::string scratch)
      : fetch_(std::move(fetch)),
        check_(std::move(check)),
        options_(std::move(options)),
        scratch_(std::move(scratch)) {}

  /// Finds an image for a platform. `nearby` is a prefix that is tried before the others, or empty.
  /// Effects: fetches candidates until one is signed as the policy wants it and has the wanted name, labels, image ID
  /// and size. File URIs are read where they lie.
  /// Fails with NOT_FOUND where there is none, or as the first candidate did that was there; the message names all that
  /// was tried.
  absl::StatusOr<stored_aci> find(const dependency& wanted, const model::platform& platform,
                                  std::string_view nearby = {}) {
    const model::ac_labels labels = with_platform(wanted.labels, platform);
    detail::attempts tried;
    std::vector<std::string> prefixes = options_.prefixes;
    if (!nearby.empty()) prefixes.insert(prefixes.begin(), std::string(nearby));
    for (const std::string& prefix : prefixes) {
      const auto at = simple_discovery(prefix, wanted.name, labels);
      auto found = at.ok() ? take(*at, wanted, labels) : absl::StatusOr<stored_aci>(at.status());
      if (found.ok()) return found;
      tried.add(found.status());
    }
    if (options_.meta) {
      if (auto found = ask_host(wanted, labels, tried)) return *std::move(found);
    }
    if (options_.cancelled != nullptr && options_.cancelled->load(std::memory_order_relaxed))
      return error(absl::StatusCode::kCancelled, concat("find image '", wanted.name.text(), "': cancelled"));
    return tried.result(wanted);
  }

  /// Whether the signature beside the file at `path` is as the policy wants it.
  absl::Status check_beside(const stored_aci& what, const std::string& path) const {
    return check_(what.about->manifest.name, what.file,
                  [&path] { return sys::read_file(concat(path, ".asc"), most_signature); });
  }

  [[nodiscard]] const discovery_options& options() const { return options_; }

  [[nodiscard]] bool checks_signatures() const { return check_.is_needed(); }

  /// From now on in place of the options' own flag; null leaves that.
  void heed(const std::atomic<bool>* cancelled) {
    if (cancelled != nullptr) options_.cancelled = cancelled;
  }

 private:
  static constexpr std::size_t most_page = std::size_t{1} << 20;
  static constexpr std::size_t most_signature = std::size_t{64} << 10;

  /// Meta discovery: the first page that knows images decides.
  std::optional<stored_aci> ask_host(const dependency& wanted, const model::ac_labels& labels,
                                     detail::attempts& tried) {
    std::vector<std::string> pages = discovery_pages(wanted.name);
    if (options_.allow_http) {
      const auto plain = discovery_pages(wanted.name, "http");
      pages.insert(pages.end(), plain.begin(), plain.end());
    }
    for (const std::string& page : pages) {
      const auto said = read_page(page, wanted.name, labels);
      if (!said.ok()) tried.add(said.status());
      if (!said.ok() || said->images.empty()) continue;
      for (const aci_location& each : said->images) {
        auto found = take(each, wanted, labels);
        if (found.ok()) return *std::move(found);
        tried.add(found.status());
      }
      return std::nullopt;
    }
    return std::nullopt;
  }

  absl::StatusOr<discovered> read_page(const std::string& page, const model::ac_identifier& name,
                                       const model::ac_labels& labels) const {
    MORTISE_ASSIGN_OR_RETURN(const std::string text, fetch_text(page, most_page));
    MORTISE_ASSIGN_OR_RETURN(
        auto out,
        meta_discovery(text, name, labels, options_.allow_http ? url_schemes::https_and_http : url_schemes::https));
    if (!out.images.empty()) return out;
    return error(absl::StatusCode::kNotFound, concat("look at '", page, "': it names no place for such an image"));
  }

  /// The image at one place, if it is the wanted one.
  absl::StatusOr<stored_aci> take(const aci_location& at, const dependency& wanted, const model::ac_labels& labels) {
    MORTISE_ASSIGN_OR_RETURN(file_section file, fetch_file(at.image, wanted.size));
    MORTISE_RETURN_IF_ERROR(check_(wanted.name, file, [&] { return fetch_text(at.signature, most_signature); }));
    MORTISE_ASSIGN_OR_RETURN(auto found,
                             read_stored(std::move(file), at.image, wanted.id, options_.limits, options_.cancelled));
    MORTISE_RETURN_IF_ERROR(annotate(check_match(wanted, found.found()), concat("take '", printable(at.image), '\'')));
    MORTISE_RETURN_IF_ERROR(check_platform(found, labels));
    return found;
  }

  /// What an image says of its platform must be what was looked for, even if nobody asked for it by name.
  static absl::Status check_platform(const stored_aci& found, const model::ac_labels& labels) {
    for (const std::string_view name : {"os", "arch"}) {
      const auto is = found.about->manifest.labels.find(name);
      const auto expected = labels.find(name);
      if (is && expected && *is != *expected)
        return error(absl::StatusCode::kFailedPrecondition,
                     concat("take '", printable(found.where), "': its label ", name, " is '", printable(*is, 40),
                            "', expected '", printable(*expected, 40), '\''));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<fetch::uri> usable(const std::string& text) const {
    MORTISE_ASSIGN_OR_RETURN(auto uri, fetch::parse_uri(text));
    const auto& schemes = Fetch::schemes;
    if (std::find(schemes.begin(), schemes.end(), uri.scheme) == schemes.end())
      return error(absl::StatusCode::kUnimplemented, concat("this program fetches no '", uri.scheme, ":'"));
    if (uri.scheme == "http" && !options_.allow_http)
      return error(absl::StatusCode::kPermissionDenied, "plain HTTP was not allowed");
    return uri;
  }

  absl::StatusOr<std::string> fetch_text(const std::string& from, std::size_t most) const {
    auto uri = usable(from);
    if (!uri.ok()) return annotate(uri.status(), concat("fetch '", printable(from), '\''));
    std::string text;
    detail::bounded_sink into(most, [&text](std::span<const std::byte> piece) {
      text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
      return absl::OkStatus();
    });
    fetch::request what;
    what.cancelled = options_.cancelled;
    what.limit = most;
    MORTISE_RETURN_IF_ERROR(fetch_.fetch(*uri, what, into).status());
    return text;
  }

  absl::StatusOr<file_section> fetch_file(const std::string& from, std::optional<std::uint64_t> size) {
    auto uri = usable(from);
    if (!uri.ok()) return annotate(uri.status(), concat("fetch '", printable(from), '\''));
    if (uri->scheme == "file") {
      MORTISE_ASSIGN_OR_RETURN(const std::string path, fetch::path_of(*uri));
      return open_file(AT_FDCWD, path);
    }
    MORTISE_ASSIGN_OR_RETURN(sys::unique_fd fd, sys::open(scratch_, O_RDWR | O_TMPFILE, 0600));
    fetch::request what;
    what.cancelled = options_.cancelled;
    what.limit = options_.most_transferred.count - std::min(options_.most_transferred.count, transferred_);
    if (size) what.limit = std::min(what.limit, *size);
    detail::bounded_sink into(what.limit,
                              [&fd](std::span<const std::byte> piece) { return sys::write_all(fd.get(), piece); });
    const absl::Status status = fetch_.fetch(*uri, what, into).status();
    transferred_ += into.size();
    MORTISE_RETURN_IF_ERROR(status);
    return file_section{std::make_shared<const sys::unique_fd>(std::move(fd)), 0, into.size()};
  }

  Fetch fetch_;
  Check check_;
  discovery_options options_;
  std::string scratch_;
  std::uint64_t transferred_ = 0;
};

}  // namespace mortise::image::appc

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Pulls from one repository: what a tag means, manifests, blobs and parts of them, the list of tags.
/// Needs: RapidJSON, libcrypto.

#include <absl/status/statusor.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/fetch/call.hpp>
#include <mortise/image/oci/manifest.hpp>
#include <mortise/image/registry/endpoint.hpp>
#include <mortise/image/registry/errors.hpp>
#include <mortise/image/registry/fields.hpp>
#include <mortise/image/registry/manifest_type.hpp>
#include <mortise/image/registry/options.hpp>
#include <mortise/image/registry/relay_sink.hpp>
#include <mortise/image/registry/requests.hpp>
#include <mortise/image/registry/servers.hpp>
#include <mortise/image/registry/tags.hpp>
#include <mortise/image/registry/text_sink.hpp>
#include <mortise/image/resolve.hpp>
#include <mortise/model/descriptor.hpp>
#include <mortise/model/reference.hpp>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mortise::image::distribution {

/// One repository on all its servers. `Http` is a fetch::http of some transport. Used by several threads at once.
template <class Http>
class client {
 public:
  /// Touches no server. Fails as `endpoints_of` does.
  static absl::StatusOr<std::unique_ptr<client>> open(std::shared_ptr<context<Http>> shared, model::reference of) {
    MORTISE_ASSIGN_OR_RETURN(auto endpoints, endpoints_of(of, shared->options.registries));
    return std::unique_ptr<client>(new client(std::move(shared), std::move(of), std::move(endpoints)));
  }

  [[nodiscard]] const model::reference& of() const { return of_; }

  /// What is asked from now on without a flag of its own ends soon after this one is set, in place of the options'.
  void heed(const std::atomic<bool>* cancelled) { servers_.heed(cancelled); }

  /// What the reference names: asked for by HEAD where that says enough, else with its content in `data`.
  /// Fails with NOT_FOUND, UNAUTHENTICATED, PERMISSION_DENIED, RESOURCE_EXHAUSTED (429), each with its remedy;
  /// DATA_LOSS where what came is not what was asked for.
  absl::StatusOr<model::descriptor> find_manifest() {
    const auto may_ask = [this](const server<Http>& each) { return of_.digest() || each.at().resolves_tags; };
    return told(servers_.ask([this](server<Http>& each) { return find_at(each); }, may_ask, never));
  }

  /// A manifest, index or configuration, verified.
  /// Fails as `find_manifest` does, and with RESOURCE_EXHAUSTED for more than `most_document_bytes`.
  absl::StatusOr<std::string> document(const model::descriptor& blob) {
    if (blob.size > most_document_bytes)
      return error(absl::StatusCode::kResourceExhausted,
                   concat(action(), ": ", blob.digest.text(), " has ", blob.size, " bytes, more than the ",
                          most_document_bytes, " of a document"));
    return told(servers_.ask([&](server<Http>& each) { return document_at(each, blob); }, anybody, never));
  }

  /// Streams the bytes of a blob from `first` up to `last`, unverified. A server that breaks off in the middle is
  /// followed by the next.
  /// `size` is the blob's, where it is known.
  /// Fails as origin::fetch_blob does.
  absl::Status blob(const model::descriptor& what, std::optional<std::uint64_t> size, origin::byte_range range,
                    fetch::sink& into, const std::atomic<bool>* cancelled) {
    if (range.first == range.last && range.first != 0) return begin_empty(range.first, into);
    part wanted{what, size, range, relay_sink(into, range.first, range.last), cancelled};
    const auto is_final = [&wanted] { return wanted.sink.is_refused(); };
    absl::Status out = servers_.ask([&](server<Http>& each) { return blob_at(each, wanted); }, anybody, is_final);
    if (!out.ok() && !absl::IsCancelled(out) && !wanted.sink.is_refused() && !what.urls.empty() &&
        role_of(what.type) == role::foreign_layer)
      out = blob_elsewhere(wanted, std::move(out));
    // Who got the first bytes already cannot begin again by asking for everything.
    if (absl::IsUnimplemented(out) && wanted.sink.is_begun()) out = error(absl::StatusCode::kUnavailable, message(out));
    return out.ok() || wanted.sink.is_refused() ? out : annotate(out, concat(action(), ": blob ", what.digest.brief()));
  }

  /// Told that a blob was not what its digest says: the mirrors that gave some of it are not asked any more. True if
  /// that leaves somebody else to ask.
  bool distrust(const model::digest& blob) {
    const std::lock_guard hold(mutex_);
    const auto found = given_.find(blob.text());
    return found != given_.end() && servers_.distrust(std::exchange(found->second, {}));
  }

  /// The manifests that refer to the one of the reference, all or those of one artifact type, as the registry describes
  /// them: nothing of it is verified before it is fetched. None where it knows of none.
  /// Fails as `find_manifest` does, and with RESOURCE_EXHAUSTED for more than it may list.
  absl::StatusOr<std::vector<model::descriptor>> referrers(std::string_view artifact_type = {}) {
    std::optional<model::digest> subject = of_.digest();
    if (!subject) {
      MORTISE_ASSIGN_OR_RETURN(const model::descriptor found, find_manifest());
      subject = found.digest;
    }
    const auto ask = [&](server<Http>& each) { return referrers_at(each, *subject, artifact_type); };
    auto out = servers_.ask(ask, anybody, never);
    if (!out.ok()) return annotate(out.status(), concat("list referrers of ", of_.text()));
    return out;
  }

  /// All tags, in the registry's order.
  absl::StatusOr<std::vector<model::tag>> tags() {
    const auto may_ask = [](const server<Http>& each) { return each.at().resolves_tags; };
    const auto ask = [this](server<Http>& each) { return tags_at(each); };
    auto out = servers_.ask(ask, may_ask, never);
    if (!out.ok()) return annotate(out.status(), concat("list tags of ", of_.name().text()));
    return out;
  }

 private:
  /// A part of a blob on its way.
  struct part {
    const model::descriptor& what;
    std::optional<std::uint64_t> size;
    origin::byte_range range;
    relay_sink sink;
    const std::atomic<bool>* cancelled;
  };

  client(std::shared_ptr<context<Http>> shared, model::reference of, std::vector<endpoint> endpoints)
      : shared_(std::move(shared)), of_(std::move(of)), servers_(shared_, std::move(endpoints)) {}

  /// A part without a byte needs no server.
  static absl::Status begin_empty(std::uint64_t at, fetch::sink& into) {
    fetch::response about;
    about.status = 206;
    about.offset = at;
    return into.begin(about);
  }

  static bool anybody(const server<Http>& /*each*/) { return true; }
  static bool never() { return false; }

  [[nodiscard]] std::string action() const { return concat("pull ", of_.text()); }
  template <class T>
  [[nodiscard]] absl::StatusOr<T> told(absl::StatusOr<T> out) const {
    if (!out.ok()) return annotate(out.status(), action());
    return out;
  }
  static absl::Status refusal(const server<Http>& by, const fetch::answer& said) {
    return response_error(by.at().base.authority(), static_cast<unsigned>(said.about.status), said.error_body);
  }
  static absl::Status lie(const server<Http>& by, std::string_view why) {
    return error(absl::StatusCode::kDataLoss, concat(by.at().base.authority(), ": ", why));
  }

  absl::StatusOr<model::descriptor> find_at(server<Http>& at) {
    if (of_.digest()) return get_manifest(at, manifest_url(at.at(), *of_.digest()), of_.digest());
    const url address = manifest_url(at.at(), *of_.tag());
    // A mirror is believed with the content in hand: it could name a digest that nobody has.
    if (at.at().is_mirror) return get_manifest(at, address, {});
    MORTISE_ASSIGN_OR_RETURN(auto brief, head_manifest(at, address));
    if (brief) return *std::move(brief);
    return get_manifest(at, address, {});
  }

  /// Nothing where the answer does not say all that a descriptor needs: a GET says it, or why not.
  absl::StatusOr<std::optional<model::descriptor>> head_manifest(server<Http>& at, const url& address) {
    MORTISE_ASSIGN_OR_RETURN(fetch::call call, at.call_to(address, manifest_headers(shared_->options.old)));
    call.verb = fetch::method::head;
    text_sink nothing(std::numeric_limits<std::size_t>::max());
    MORTISE_ASSIGN_OR_RETURN(const fetch::answer said, at.run(call, nothing));
    if (said.about.status == 429) return refusal(at, said);
    const auto& headers = said.about.headers;
    const auto digest = content_digest(field_named("docker-content-digest", headers), {});
    const auto type = content_type(field_named("content-type", headers));
    const auto size = parse_number<std::uint64_t>(field_named("content-length", headers));
    if (said.about.status != 200 || !digest.ok() || !*digest || !type || !is_manifest_type(*type) || !size ||
        *size == 0 || *size > most_document_bytes || role_of(*type) == role::schema_1)
      return std::optional<model::descriptor>();
    return std::optional(model::descriptor{*type, **digest, *size, {}, {}, {}, {}, {}});
  }

  /// A manifest with its content. Its digest is `expected`, or else the one that the server states, or else found out.
  absl::StatusOr<model::descriptor> get_manifest(server<Http>& at, const url& address,
                                                 const std::optional<model::digest>& expected) {
    MORTISE_ASSIGN_OR_RETURN(fetch::call call, at.call_to(address, manifest_headers(shared_->options.old)));
    call.limit = most_document_bytes;
    text_sink into(most_document_bytes);
    MORTISE_ASSIGN_OR_RETURN(const fetch::answer said, at.run(call, into));
    if (!said.ok()) return refusal(at, said);
    const std::string text = into.take();
    const std::string subject = concat("manifest of ", at.at().base.authority());
    MORTISE_ASSIGN_OR_RETURN(auto type, manifest_type(text, field_named("content-type", said.about.headers), subject));
    MORTISE_ASSIGN_OR_RETURN(auto stated,
                             content_digest(field_named("docker-content-digest", said.about.headers), expected));
    if (expected) stated = expected;
    const auto algorithm = stated ? stated->algorithm() : model::digest_algorithm::sha256;
    MORTISE_ASSIGN_OR_RETURN(auto actual, manifest_digest(text, type, algorithm, subject));
    if (stated && *stated != actual)
      return lie(at, concat("the manifest's digest is ", actual.text(), ", expected ", stated->text()));
    const std::uint64_t size = text.size();
    return check_version({std::move(type), std::move(actual), size, {}, {}, {}, {}, text});
  }

  absl::StatusOr<model::descriptor> check_version(model::descriptor found) const {
    if (role_of(found.type) != role::schema_1 || shared_->options.old == schema_1::accepted) return found;
    return error(absl::StatusCode::kUnimplemented,
                 "it is of Docker's schema 1, which is off (push it again with a current tool, or set "
                 "registry_options::old to schema_1::accepted)");
  }

  absl::StatusOr<std::string> document_at(server<Http>& at, const model::descriptor& blob) {
    const bool manifest = is_manifest_type(blob.type);
    const url address = manifest ? manifest_url(at.at(), blob.digest) : blob_url(at.at(), blob.digest);
    MORTISE_ASSIGN_OR_RETURN(fetch::call call,
                             at.call_to(address, manifest ? manifest_headers(shared_->options.old) : blob_headers()));
    call.limit = blob.size;
    text_sink into(static_cast<std::size_t>(blob.size));
    MORTISE_ASSIGN_OR_RETURN(const fetch::answer said, at.run(call, into));
    if (!said.ok()) return refusal(at, said);
    std::string text = into.take();
    if (text.size() != blob.size) return lie(at, concat(text.size(), " bytes came, expected ", blob.size));
    digest::openssl hash(blob.digest.algorithm());
    hash.update(std::as_bytes(std::span(text)));
    if (const auto actual = hash.finish(); actual != blob.digest)
      return lie(at, concat("the digest of what came is ", actual.text(), ", expected ", blob.digest.text()));
    if (manifest) MORTISE_RETURN_IF_ERROR(check_manifest(at, blob, said, text));
    return text;
  }

  /// What its headers say of a manifest whose bytes are the right ones.
  absl::Status check_manifest(server<Http>& at, const model::descriptor& blob, const fetch::answer& said,
                              const std::string& text) {
    MORTISE_RETURN_IF_ERROR(content_digest(field_named("docker-content-digest", said.about.headers), blob.digest));
    MORTISE_ASSIGN_OR_RETURN(const auto type, manifest_type(text, field_named("content-type", said.about.headers),
                                                            concat("manifest of ", at.at().base.authority())));
    // The descriptor that led here has named the type, and the digest binds the two.
    if (type.text() != blob.type.text())
      shared_->heard.say(concat(at.at().base.authority(), ": a manifest came as ", type.text(), " where ",
                                blob.type.text(), " was announced"));
    return absl::OkStatus();
  }

  absl::Status blob_at(server<Http>& at, part& wanted) {
    MORTISE_ASSIGN_OR_RETURN(fetch::call call, at.call_to(blob_url(at.at(), wanted.what.digest), blob_headers()));
    const std::uint64_t before = wanted.sink.at();
    prepare(call, wanted);
    const auto said = at.run(call, wanted.sink);
    if (at.at().is_mirror && wanted.sink.at() != before) remember(wanted.what.digest, at.index);
    return outcome(at.at().base.authority(), said, wanted);
  }

  static void prepare(fetch::call& call, const part& wanted) {
    if (wanted.cancelled != nullptr) call.cancelled = wanted.cancelled;
    if (wanted.size) call.limit = *wanted.size;
    call.total = wanted.size;
    call.offset = wanted.sink.at();
    // Without an end a server that ignores ranges costs the bytes before the offset; asked for a part, it says so.
    const bool part_only = wanted.range.first != 0 || (wanted.size && wanted.range.last != *wanted.size);
    if (part_only) call.end = wanted.range.last;
  }

  static absl::Status outcome(std::string_view by, const absl::StatusOr<fetch::answer>& said, const part& wanted) {
    if (wanted.sink.is_complete() && !wanted.sink.is_refused()) return absl::OkStatus();
    if (!said.ok()) return said.status();
    if (!said->ok()) return response_error(by, static_cast<unsigned>(said->about.status), said->error_body);
    if (!wanted.size) return absl::OkStatus();
    return error(absl::StatusCode::kDataLoss,
                 concat(by, ": it ends after ", wanted.sink.at(), " of ", wanted.range.last, " bytes"));
  }

  /// A foreign layer's addresses are a stranger's hints: plain web servers, without credentials, and none that only
  /// this machine or its network could ask, unless the registry is one itself.
  absl::Status blob_elsewhere(part& wanted, absl::Status out) {
    for (const std::string& each : wanted.what.urls) {
      const auto address = url::parse(each);
      if (!address.ok() || reach_of(address->host()) < reach_of(servers_.last().base.host())) continue;
      MORTISE_ASSIGN_OR_RETURN(fetch::call call, detail::call_to(shared_->options, *address, blob_headers()));
      prepare(call, wanted);
      out = outcome(address->authority(), shared_->http.run(call, wanted.sink), wanted);
      if (out.ok() || absl::IsCancelled(out) || wanted.sink.is_refused()) return out;
    }
    return out;
  }

  void remember(const model::digest& blob, std::size_t giver) {
    const std::lock_guard hold(mutex_);
    given_[blob.text()].insert(giver);
  }

  /// A registry may ignore the filter, or not know the question: then a tag may lead to the same index.
  absl::StatusOr<std::vector<model::descriptor>> referrers_at(server<Http>& at, const model::digest& of,
                                                              std::string_view artifact_type) {
    std::vector<model::descriptor> out;
    std::optional<url> page = referrers_url(at.at(), of, artifact_type);
    std::size_t bytes = 0;
    for (std::size_t count = 0; page; ++count) {
      if (count == most_tag_pages || out.size() > oci::most_descriptors || bytes > most_list_bytes)
        return error(absl::StatusCode::kResourceExhausted,
                     concat("more than ", oci::most_descriptors, " referrers or ", most_list_bytes, " bytes"));
      MORTISE_ASSIGN_OR_RETURN(fetch::call call, at.call_to(*page, {{"Accept", std::string(media::oci_index)}}));
      call.limit = most_document_bytes;
      text_sink into(most_document_bytes);
      MORTISE_ASSIGN_OR_RETURN(const fetch::answer said, at.run(call, into));
      if (said.about.status == 404 && count == 0) {
        page = referrers_tag_url(at.at(), of);
        continue;
      }
      if (said.about.status == 404) return out;
      if (!said.ok()) return refusal(at, said);
      const std::string text = into.take();
      bytes += text.size();
      MORTISE_ASSIGN_OR_RETURN(const auto parsed, oci::parse_manifest(text, "list of referrers"));
      const auto* const index = std::get_if<model::index>(&parsed);
      if (index == nullptr) return lie(at, "its list of referrers is no index");
      for (const model::descriptor& each : index->manifests)
        if (artifact_type.empty() || each.artifact_type == artifact_type) out.push_back(each);
      MORTISE_ASSIGN_OR_RETURN(page, next_page(*page, fields_named("link", said.about.headers)));
    }
    return out;
  }

  absl::StatusOr<std::vector<model::tag>> tags_at(server<Http>& at) {
    std::vector<model::tag> out;
    std::optional<url> page = tags_url(at.at());
    std::size_t bytes = 0;
    for (std::size_t count = 0; page; ++count) {
      if (count == most_tag_pages || out.size() > most_tags || bytes > most_list_bytes)
        return error(absl::StatusCode::kResourceExhausted, concat("more than ", most_tag_pages, " pages, ", most_tags,
                                                                  " tags or ", most_list_bytes, " bytes"));
      MORTISE_ASSIGN_OR_RETURN(fetch::call call, at.call_to(*page, tags_headers()));
      call.limit = most_document_bytes;
      text_sink into(most_document_bytes);
      MORTISE_ASSIGN_OR_RETURN(const fetch::answer said, at.run(call, into));
      if (!said.ok()) return refusal(at, said);
      const std::string text = into.take();
      bytes += text.size();
      MORTISE_ASSIGN_OR_RETURN(auto more, parse_tags(text, "list of tags"));
      out.insert(out.end(), more.begin(), more.end());
      MORTISE_ASSIGN_OR_RETURN(page, next_page(*page, fields_named("link", said.about.headers)));
    }
    return out;
  }

  std::shared_ptr<context<Http>> shared_;
  model::reference of_;
  servers<Http> servers_;
  std::mutex mutex_;
  std::map<std::string, std::set<std::size_t>> given_;  ///< the mirrors that gave some of a blob
};

}  // namespace mortise::image::distribution

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The list of a repository's tags, which comes in pages. Needs: RapidJSON.

#include <absl/status/statusor.h>

#include <algorithm>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/json.hpp>
#include <mortise/image/registry/url.hpp>
#include <mortise/model/platform.hpp>
#include <mortise/model/reference.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::distribution {

namespace detail {

/// Finds the target of a Link field's rel=next: RFC 8288 3, in linear time.
class link_reader {
 public:
  explicit link_reader(std::string_view text) : text_(text) {}

  /// Nothing where there is none, or the field is broken before it.
  std::optional<std::string_view> next() {
    for (;;) {
      skip(" \t,");
      if (at_ == text_.size() || text_[at_] != '<') return std::nullopt;
      const std::size_t end = text_.find('>', at_);
      if (end == std::string_view::npos) return std::nullopt;
      const std::string_view target = text_.substr(at_ + 1, end - at_ - 1);
      at_ = end + 1;
      bool is_next = false;
      if (!read_parameters(is_next)) return std::nullopt;
      if (is_next) return target;
    }
  }

 private:
  void skip(std::string_view letters) { at_ = std::min(text_.find_first_not_of(letters, at_), text_.size()); }

  /// Up to the comma after them; false where they are broken. Only the first rel counts.
  bool read_parameters(bool& is_next) {
    bool related = false;
    for (skip(" \t"); at_ < text_.size() && text_[at_] != ','; skip(" \t")) {
      if (text_[at_] != ';') return false;
      ++at_;
      skip(" \t");
      const std::size_t end = std::min(text_.find_first_of("=;, \t", at_), text_.size());
      const std::string name = model::detail::lower_case(text_.substr(at_, end - at_));
      at_ = end;
      skip(" \t");
      std::string value;
      if (at_ < text_.size() && text_[at_] == '=' && !read_value(value)) return false;
      if (name != "rel" || std::exchange(related, true)) continue;
      const std::string kinds = model::detail::lower_case(value);
      for (const std::string_view kind : split(kinds, ' ')) is_next = is_next || kind == "next";
    }
    return true;
  }
  bool read_value(std::string& into) {
    ++at_;
    skip(" \t");
    if (at_ == text_.size() || text_[at_] != '"') {
      const std::size_t end = std::min(text_.find_first_of(";, \t", at_), text_.size());
      into = text_.substr(at_, end - at_);
      at_ = end;
      return true;
    }
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
      if (at_ == text_.size()) return false;
      into.push_back(text_[at_]);
    }
    return at_++ < text_.size();
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace detail

/// The address of the page after `current`, from the Link fields of its response; nothing where it was the last.
/// Fails with PERMISSION_DENIED where it lies at another scheme, host or port, which would get our token;
/// INVALID_ARGUMENT where it is no address, or is this page again.
inline absl::StatusOr<std::optional<url>> next_page(const url& current, std::span<const std::string> links) {
  for (const std::string& field : links) {
    if (field.size() > 16384) return error(absl::StatusCode::kInvalidArgument, "read Link: longer than 16384 bytes");
    const auto target = detail::link_reader(field).next();
    if (!target) continue;
    auto address = current.resolve(*target);
    if (!address.ok()) return annotate(address.status(), "read Link");
    if (!address->same_origin(current))
      return error(absl::StatusCode::kPermissionDenied,
                   concat("go to the next page at ", address->origin(), ": it is not on ", current.origin()));
    if (*address == current)
      return error(absl::StatusCode::kInvalidArgument,
                   concat("go to the next page of ", current.brief(), ": it is this one again"));
    return std::optional(*std::move(address));
  }
  return std::optional<url>();
}

/// The most pages and tags that are worth following a registry for.
inline constexpr std::size_t most_tag_pages = 10'000;
inline constexpr std::size_t most_tags = 1'000'000;
/// The most bytes of all pages of one list, whatever is in them: a page need not have anything that counts.
inline constexpr std::size_t most_list_bytes = std::size_t{64} << 20;

/// The tags of one page. What is no tag is left out: a registry of another kind may have more than we could ask for.
/// Fails with INVALID_ARGUMENT or RESOURCE_EXHAUSTED: "parse `subject`: ...".
inline absl::StatusOr<std::vector<model::tag>> parse_tags(std::string_view text, std::string_view subject) {
  MORTISE_ASSIGN_OR_RETURN(const auto document, json::document::parse(text, subject));
  const auto names = document.root().texts_or_none("tags");
  if (!names.ok()) return annotate(names.status(), concat("parse ", subject));
  std::vector<model::tag> out;
  for (const std::string& each : *names)
    if (auto tag = model::tag::parse(each); tag.ok()) out.push_back(*std::move(tag));
  return out;
}

}  // namespace mortise::image::distribution

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// From an Appc image's name to where its ACI may lie: App Container specification 0.8.11, "discovery". Text
/// in, URLs out; what asks a server is elsewhere.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/model/ac_name.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::appc {

/// A template that simple discovery uses behind its scheme or prefix.
inline constexpr std::string_view simple_template = "{name}-{version}-{os}-{arch}.{ext}";

/// Where an image may be had, and its signature.
struct aci_location {
  std::string image;
  std::string signature;
  bool operator==(const aci_location&) const = default;
};

/// What the pages of meta discovery say of one image, in the order of the page.
struct discovered {
  std::vector<aci_location> images;
  std::vector<std::string> keys;  ///< URLs of public keys
};

/// Which URLs are taken from a page.
enum class url_schemes : std::uint8_t { https, https_and_http };

namespace detail {

/// The longest template, page attribute and URL that are looked at.
inline constexpr std::size_t longest_url = 4096;

/// The value that stands for a variable; nothing for one that the image does not have.
inline std::optional<std::string> variable(std::string_view which, const model::ac_identifier& name,
                                           const model::ac_labels& labels, std::string_view extension) {
  if (which == "name") return name.text();  // its slashes are the path, and it holds nothing that needs encoding
  if (which == "ext") return std::string(extension);
  const auto label = labels.find(which);
  // No more of it than makes a template too long: a page may have many templates, a label may have megabytes.
  if (label && *label != "." && *label != "..") return percent_encoded(label->substr(0, longest_url + 1));
  if (label) return std::nullopt;
  return which == "version" ? std::optional<std::string>("latest") : std::nullopt;
}

}  // namespace detail

/// A template with its {variables} replaced by the image's name, labels and `extension` ("aci", "aci.asc"). A
/// version that was not asked for is "latest". Values are inserted once, never read as templates themselves.
/// Fails with INVALID_ARGUMENT for a variable that the image has no label for, an unpaired brace, a control
/// character or space, or more than 4096 bytes.
inline absl::StatusOr<std::string> expand_template(std::string_view text, const model::ac_identifier& name,
                                                   const model::ac_labels& labels, std::string_view extension) {
  const auto refuse = [text](std::string_view why) {
    return error(absl::StatusCode::kInvalidArgument, concat("expand template '", printable(text, 200), "': ", why));
  };
  if (text.size() > detail::longest_url) return refuse("it is longer than 4096 bytes");
  std::string out;
  while (!text.empty()) {
    const std::size_t brace = text.find_first_of("{}");
    out.append(text.substr(0, brace));
    if (brace == std::string_view::npos) break;
    text.remove_prefix(brace);
    const std::size_t end = text.find('}');
    if (text.front() == '}' || end == std::string_view::npos) return refuse("a brace has no partner");
    const std::string_view which = text.substr(1, end - 1);
    const auto value = detail::variable(which, name, labels, extension);
    if (!value) return refuse(concat("the image has no usable label '", printable(which, 80), "'"));
    out.append(*value);
    if (out.size() > detail::longest_url) return refuse("it becomes longer than 4096 bytes");
    text.remove_prefix(end + 1);
  }
  const auto odd = [](char each) { return static_cast<unsigned char>(each) <= 0x20 || each == 0x7f; };
  if (std::any_of(out.begin(), out.end(), odd)) return refuse("it holds a space or control character");
  return out;
}

/// Where simple discovery looks: `prefix` ("https://", "file:///srv/aci/") and the usual template behind it.
/// Fails as expand_template does.
inline absl::StatusOr<aci_location> simple_discovery(std::string_view prefix, const model::ac_identifier& name,
                                                     const model::ac_labels& labels) {
  const std::string whole = concat(prefix, simple_template);
  MORTISE_ASSIGN_OR_RETURN(auto image, expand_template(whole, name, labels, "aci"));
  MORTISE_ASSIGN_OR_RETURN(auto signature, expand_template(whole, name, labels, "aci.asc"));
  return aci_location{std::move(image), std::move(signature)};
}

/// The pages that meta discovery asks for, one after the other until one answers with something: the name, then
/// what is left of it without its last component, down to its host.
inline std::vector<std::string> discovery_pages(const model::ac_identifier& name, std::string_view scheme = "https") {
  std::vector<std::string> out;
  std::string_view rest = name.text();
  for (;;) {
    out.push_back(concat(scheme, "://", rest, "?ac-discovery=1"));
    const std::size_t slash = rest.rfind('/');
    if (slash == std::string_view::npos) return out;
    rest = rest.substr(0, slash);
  }
}

namespace detail {

inline bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }
inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

inline bool same_word(std::string_view text, std::string_view lower_case) {
  if (text.size() != lower_case.size()) return false;
  for (std::size_t at = 0; at < text.size(); ++at)
    if (lower(text[at]) != lower_case[at]) return false;
  return true;
}

/// The five references that a writer of URLs needs; any other stays as it is.
inline std::string unescaped(std::string_view text) {
  static constexpr std::pair<std::string_view, char> known[] = {
      {"&amp;", '&'}, {"&quot;", '"'}, {"&#39;", '\''}, {"&lt;", '<'}, {"&gt;", '>'}};
  std::string out;
  while (!text.empty()) {
    const auto found = std::find_if(std::begin(known), std::end(known),
                                    [text](const auto& each) { return text.starts_with(each.first); });
    out.push_back(found == std::end(known) ? text.front() : found->second);
    text.remove_prefix(found == std::end(known) ? 1 : found->first.size());
  }
  return out;
}

/// A tolerant scan for `meta` tags. Each byte is looked at a bounded number of times, whatever the page is:
/// a construct that does not end is the end of the page.
class meta_scanner {
 public:
  struct tag {
    std::string name, content;
  };

  explicit meta_scanner(std::string_view page) : rest_(page) {}

  /// The next `meta` tag, or nothing at the end.
  std::optional<tag> next() {
    while (skip_past("<")) {
      if (rest_.starts_with("!--")) {
        rest_.remove_prefix(3);
        if (!skip_past("-->")) return std::nullopt;
        continue;
      }
      const std::string_view word = take_word();
      if (word.empty()) continue;
      tag found;
      if (!take_attributes(found)) return std::nullopt;
      if (same_word(word, "meta")) return found;
      for (const std::string_view raw :
           {"script", "style", "title", "textarea", "template", "xmp", "iframe", "noframes"})
        if (same_word(word, raw) && !skip_element(raw)) return std::nullopt;
      if (same_word(word, "plaintext")) return std::nullopt;
    }
    return std::nullopt;
  }

 private:
  bool skip_past(std::string_view text) {
    const std::size_t at = rest_.find(text);
    rest_ = at == std::string_view::npos ? std::string_view{} : rest_.substr(at + text.size());
    return at != std::string_view::npos;
  }

  /// To behind the name of the closing tag: what lies in such an element is text, and no tag.
  bool skip_element(std::string_view name) {
    while (skip_past("</"))
      if (same_word(rest_.substr(0, name.size()), name)) return true;
    return false;
  }

  /// A tag's name: up to a space, a slash or the tag's end.
  std::string_view take_word() {
    // Looked at first: a page of nothing but "<" would be scanned to its end for each of them.
    if (rest_.empty() || lower(rest_.front()) < 'a' || lower(rest_.front()) > 'z') return {};
    std::size_t end = 0;
    while (end < rest_.size() && !is_space(rest_[end]) && rest_[end] != '>' && rest_[end] != '/') ++end;
    const std::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return word;
  }

  void skip_spaces() {
    while (!rest_.empty() && (is_space(rest_.front()) || rest_.front() == '/')) rest_.remove_prefix(1);
  }

  /// Whether the tag ended. Of two attributes with one name the first counts, as in HTML.
  bool take_attributes(tag& into) {
    bool named = false;
    bool filled = false;
    for (;;) {
      skip_spaces();
      if (rest_.empty()) return false;
      if (rest_.front() == '>') {
        rest_.remove_prefix(1);
        return true;
      }
      const std::string_view key = take_key();
      std::string_view value;
      if (!take_value(value)) return false;
      if (value.size() > 2 * longest_url) value = {};
      if (same_word(key, "name") && !std::exchange(named, true)) into.name = unescaped(value);
      if (same_word(key, "content") && !std::exchange(filled, true)) into.content = unescaped(value);
    }
  }

  std::string_view take_key() {
    std::size_t end = 1;  // an equals sign first is part of the name, as in HTML
    while (end < rest_.size() && !is_space(rest_[end]) &&
           std::string_view("=>/").find(rest_[end]) == std::string_view::npos)
      ++end;
    const std::string_view key = rest_.substr(0, end);
    rest_.remove_prefix(key.size());
    return key;
  }

  bool take_value(std::string_view& into) {
    while (!rest_.empty() && is_space(rest_.front())) rest_.remove_prefix(1);
    if (!rest_.starts_with('=')) return true;
    rest_.remove_prefix(1);
    while (!rest_.empty() && is_space(rest_.front())) rest_.remove_prefix(1);
    if (rest_.empty()) return false;
    const char quote = rest_.front();
    std::size_t end = 0;
    if (quote == '"' || quote == '\'') {
      rest_.remove_prefix(1);
      end = rest_.find(quote);
      if (end == std::string_view::npos) return false;
      into = rest_.substr(0, end);
      rest_.remove_prefix(end + 1);
      return true;
    }
    while (end < rest_.size() && !is_space(rest_[end]) && rest_[end] != '>') ++end;
    into = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return true;
  }

  std::string_view rest_;
};

inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

inline bool is_allowed(std::string_view url, url_schemes schemes) {
  if (url.size() > longest_url) return false;
  return url.starts_with("https://") || (schemes == url_schemes::https_and_http && url.starts_with("http://"));
}

inline bool is_plain_url(std::string_view url) {
  return std::all_of(url.begin(), url.end(), [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
}

inline void take_meta(const meta_scanner::tag& tag, const model::ac_identifier& name, const model::ac_labels& labels,
                      url_schemes schemes, discovered& into) {
  const std::string_view content = trimmed(tag.content);
  const auto end = std::find_if(content.begin(), content.end(), is_space);
  const auto at = static_cast<std::size_t>(end - content.begin());
  const std::string_view uri = trimmed(content.substr(at));
  if (at == 0 || uri.empty() || !name.text().starts_with(content.substr(0, at)) || !is_allowed(uri, schemes)) return;
  if (tag.name == "ac-discovery-pubkeys") {
    if (is_plain_url(uri)) into.keys.emplace_back(uri);
    return;
  }
  if (tag.name != "ac-discovery") return;
  auto image = expand_template(uri, name, labels, "aci");
  if (!image.ok()) return;
  auto signature = expand_template(uri, name, labels, "aci.asc");
  if (signature.ok()) into.images.push_back({*std::move(image), *std::move(signature)});
}

}  // namespace detail

/// What a page says about an image: its `<meta name="ac-discovery" content="PREFIX TEMPLATE">` tags, and
/// `ac-discovery-pubkeys`, whose prefix is the image's name or a beginning of it. Tags that do not fit,
/// URLs of other schemes and templates that need a label that was not asked for are passed over; nothing found
/// is no failure, since the next page may know more.
/// Fails with RESOURCE_EXHAUSTED for a page of more than 1 MiB or more than 64 tags that fit.
inline absl::StatusOr<discovered> meta_discovery(std::string_view page, const model::ac_identifier& name,
                                                 const model::ac_labels& labels,
                                                 url_schemes schemes = url_schemes::https) {
  constexpr std::size_t most_bytes = std::size_t{1} << 20;
  constexpr std::size_t most_tags = 64;
  const auto refuse = [&name](std::string_view why) {
    return error(absl::StatusCode::kResourceExhausted, concat("scan discovery page of '", name.text(), "': ", why));
  };
  if (page.size() > most_bytes) return refuse("it is longer than 1 MiB");
  discovered out;
  detail::meta_scanner tags(page);
  while (const auto tag = tags.next()) {
    detail::take_meta(*tag, name, labels, schemes, out);
    if (out.images.size() + out.keys.size() > most_tags) return refuse("more than 64 of its tags fit");
  }
  return out;
}

}  // namespace mortise::image::appc

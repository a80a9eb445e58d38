// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Names of images in registries: the grammar of distribution/reference with its docker.io defaults,
/// scanned by hand in linear time.

#include <algorithm>
#include <compare>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/model/digest.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace mortise::model {

namespace detail {

constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alphanumeric(char c) { return is_lower(c) || is_upper(c) || is_digit(c); }
constexpr bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

template <class Predicate>
constexpr bool every(std::string_view text, Predicate predicate) {
  return std::all_of(text.begin(), text.end(), predicate);
}

/// Labels of letters, digits and inner '-', joined by '.': what a DNS name and an IPv4 address share.
inline bool is_host_name(std::string_view text) {
  if (text.empty()) return false;
  for (const std::string_view label : split(text, '.')) {
    if (label.empty() || label.front() == '-' || label.back() == '-') return false;
    if (!every(label, [](char c) { return is_alphanumeric(c) || c == '-'; })) return false;
  }
  return true;
}

/// "[::1]": hexadecimal digits and colons in brackets; neither a zone nor an IPv4 tail, as the grammar has it.
inline bool is_bracketed_address(std::string_view text) {
  return text.size() > 2 && text.front() == '[' && text.back() == ']' &&
         every(text.substr(1, text.size() - 2), [](char c) { return is_hex(c) || c == ':'; });
}

inline bool is_registry(std::string_view text) {
  const std::size_t bracket = text.rfind(']');
  const std::size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon != std::string_view::npos) {
    const std::string_view port = text.substr(colon + 1);
    if (port.empty() || !every(port, is_digit)) return false;
    text = text.substr(0, colon);
  }
  return is_host_name(text) || is_bracketed_address(text);
}

/// Runs of [a-z0-9] joined by one of '.', '_', '__' or any run of '-'.
inline bool is_path_component(std::string_view text) {
  const auto word = [](char c) { return is_lower(c) || is_digit(c); };
  if (text.empty() || !word(text.front()) || !word(text.back())) return false;
  for (std::size_t at = 0; at < text.size();) {
    if (word(text[at])) {
      ++at;
      continue;
    }
    const std::size_t end = std::min(text.find_first_not_of(text[at], at), text.size());
    const std::size_t run = end - at;
    const bool joins = text[at] == '-' || (text[at] == '.' && run == 1) || (text[at] == '_' && run <= 2);
    if (!joins || !word(text[end])) return false;
    at = end;
  }
  return true;
}

inline absl::Status refuse_name(std::string_view text, std::string_view why) {
  return error(absl::StatusCode::kInvalidArgument, concat("parse image name '", printable(text, 300), "': ", why));
}

}  // namespace detail

/// A tag: a letter, digit or '_', then at most 127 of those, '.' and '-'.
class tag {
 public:
  static absl::StatusOr<tag> parse(std::string_view text) {
    const auto refuse = [text](std::string_view why) {
      return error(absl::StatusCode::kInvalidArgument, concat("parse tag '", printable(text, 160), "': ", why));
    };
    const auto word = [](char c) { return detail::is_alphanumeric(c) || c == '_'; };
    if (text.empty()) return refuse("it is empty");
    if (text.size() > 128) return refuse("it is longer than 128 characters");
    if (!word(text.front()) || !detail::every(text, [&](char c) { return word(c) || c == '.' || c == '-'; }))
      return refuse("it takes letters, digits, '_', '.' and '-', and does not begin with '.' or '-'");
    return tag(std::string(text));
  }

  [[nodiscard]] const std::string& text() const { return text_; }
  auto operator<=>(const tag&) const = default;

 private:
  explicit tag(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// A registry and a path within it, in full: "docker.io/library/busybox".
class repository_name {
 public:
  static constexpr std::string_view default_registry = "docker.io";

  /// Takes the short forms that users write: "busybox", "library/busybox", "index.docker.io/busybox".
  static absl::StatusOr<repository_name> parse(std::string_view text) {
    const auto refuse = [text](std::string_view why) { return detail::refuse_name(text, why); };
    if (text.empty()) return refuse("it is empty");
    if (text.size() == 64 && detail::every(text, [](char c) { return detail::is_hex(c) && !detail::is_upper(c); }))
      return refuse("64 hexadecimal digits are an image ID, not a name");
    auto [registry, path] = divide(text);
    if (!detail::is_registry(registry)) return refuse(concat("'", printable(registry, 255), "' is not a host[:port]"));
    if (path.empty()) return refuse("no repository after the registry");
    if (path.size() > 255) return refuse("the repository is longer than 255 characters");
    if (!detail::every(path, [](char c) { return !detail::is_upper(c); }))
      return refuse("a repository is written in lower case");
    const auto components = split(path, '/');
    if (!std::all_of(components.begin(), components.end(), detail::is_path_component))
      return refuse("a repository is lower-case letters and digits, joined by '.', '_', '__', '-' and '/'");
    return repository_name(std::move(registry), std::move(path));
  }

  [[nodiscard]] const std::string& registry() const { return registry_; }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string text() const { return concat(registry_, '/', path_); }
  /// As users write it: docker.io and its library/ left out, where what is left still means the same.
  [[nodiscard]] std::string familiar() const {
    if (registry_ != default_registry) return text();
    constexpr std::string_view library = "library/";
    const bool official = path_.starts_with(library) && path_.find('/', library.size()) == std::string::npos;
    std::string out = official ? path_.substr(library.size()) : path_;
    const auto again = parse(out);
    return again.ok() && *again == *this ? out : text();
  }
  auto operator<=>(const repository_name&) const = default;

 private:
  repository_name(std::string registry, std::string path) : registry_(std::move(registry)), path_(std::move(path)) {}

  struct parts {
    std::string registry;
    std::string path;
  };
  /// The first component is a registry where nothing else could be meant by it.
  static parts divide(std::string_view text) {
    const std::size_t slash = text.find('/');
    const std::string_view first = text.substr(0, slash);
    const bool is_domain = slash != std::string_view::npos &&
                           (first == "localhost" || first.find_first_of(".:") != std::string_view::npos ||
                            !detail::every(first, [](char c) { return !detail::is_upper(c); }));
    parts out{std::string(default_registry), std::string(text)};
    if (is_domain) out = {std::string(first), std::string(text.substr(slash + 1))};
    if (out.registry == "index.docker.io") out.registry = default_registry;
    if (out.registry == default_registry && !out.path.empty() && out.path.find('/') == std::string::npos)
      out.path.insert(0, "library/");
    return out;
  }

  std::string registry_;
  std::string path_;
};

/// A name with a tag, a digest or both; with both the digest decides and the tag only informs.
class reference {
 public:
  /// "[registry/]path[:tag][@digest]"; the tag "latest" where neither is written.
  static absl::StatusOr<reference> parse(std::string_view text) {
    if (text.empty()) return detail::refuse_name(text, "it is empty");
    std::optional<model::digest> digest;
    std::string_view rest = text;
    if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
      MORTISE_ASSIGN_OR_RETURN(digest, annotated(model::digest::parse(rest.substr(at + 1)), text));
      rest = rest.substr(0, at);
    }
    std::optional<model::tag> tag;
    const std::size_t slash = rest.rfind('/');
    const std::size_t colon = rest.find(':', slash == std::string_view::npos ? 0 : slash);
    if (colon != std::string_view::npos) {
      MORTISE_ASSIGN_OR_RETURN(tag, annotated(model::tag::parse(rest.substr(colon + 1)), text));
      rest = rest.substr(0, colon);
    }
    MORTISE_ASSIGN_OR_RETURN(auto name, repository_name::parse(rest));
    if (!tag && !digest) {
      MORTISE_ASSIGN_OR_RETURN(tag, model::tag::parse("latest"));
    }
    return reference(std::move(name), std::move(tag), std::move(digest));
  }

  [[nodiscard]] const repository_name& name() const { return name_; }
  [[nodiscard]] const std::optional<model::tag>& tag() const { return tag_; }
  [[nodiscard]] const std::optional<model::digest>& digest() const { return digest_; }
  /// In full: "docker.io/library/busybox:latest".
  [[nodiscard]] std::string text() const { return with(name_.text()); }
  /// As users write it: "busybox:latest".
  [[nodiscard]] std::string familiar() const { return with(name_.familiar()); }
  bool operator==(const reference&) const = default;

 private:
  reference(repository_name name, std::optional<model::tag> tag, std::optional<model::digest> digest)
      : name_(std::move(name)), tag_(std::move(tag)), digest_(std::move(digest)) {}

  template <class T>
  static absl::StatusOr<T> annotated(absl::StatusOr<T> result, std::string_view text) {
    if (result.ok()) return result;
    return annotate(result.status(), concat("parse image name '", printable(text, 300), '\''));
  }
  [[nodiscard]] std::string with(std::string text) const {
    if (tag_) append(text, ':', tag_->text());
    if (digest_) append(text, '@', digest_->text());
    return text;
  }

  repository_name name_;
  std::optional<model::tag> tag_;
  std::optional<model::digest> digest_;
};

}  // namespace mortise::model

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The names of Appc that only validating constructors make: AC Identifier, AC Name, image ID and labels, by
/// the App Container specification 0.8.11, "types".

#include <absl/status/statusor.h>

#include <compare>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/model/digest.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::model {

namespace detail {

/// Nothing where `text` is lower-case letters and digits with single `separators` between them; else why not.
/// One pass, whatever the text.
inline std::optional<std::string_view> ac_fault(std::string_view text, std::string_view separators) {
  constexpr std::size_t most = 512;
  if (text.empty()) return "it is empty";
  if (text.size() > most) return "it is longer than 512 bytes";
  bool separated = true;
  for (const char each : text) {
    const bool plain = (each >= 'a' && each <= 'z') || (each >= '0' && each <= '9');
    if (!plain && separators.find(each) == std::string_view::npos)
      return "only lower-case letters, digits and its separators are allowed";
    if (!plain && separated) return "a separator must stand between two letters or digits";
    separated = !plain;
  }
  if (separated) return "a separator must stand between two letters or digits";
  return std::nullopt;
}

}  // namespace detail

/// "example.com/reduce-worker": words of a-z and 0-9 joined by one of "-._~/" each. No component is "." or
/// "..", none is empty and it begins with no slash: safe as a relative path by construction.
class ac_identifier {
 public:
  /// Fails with INVALID_ARGUMENT for anything else, and for more than 512 bytes.
  static absl::StatusOr<ac_identifier> parse(std::string_view text) {
    if (const auto fault = detail::ac_fault(text, "-._~/"))
      return error(absl::StatusCode::kInvalidArgument,
                   concat("parse AC identifier '", printable(text, 160), "': ", *fault, " (-._~/ are separators)"));
    return ac_identifier(std::string(text));
  }

  [[nodiscard]] const std::string& text() const { return text_; }
  auto operator<=>(const ac_identifier&) const = default;
  bool operator==(const ac_identifier&) const = default;
  bool operator==(std::string_view text) const { return text_ == text; }

 private:
  explicit ac_identifier(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// "reduce-worker": as an AC identifier, with "-" for its only separator.
class ac_name {
 public:
  /// Fails with INVALID_ARGUMENT for anything else, and for more than 512 bytes.
  static absl::StatusOr<ac_name> parse(std::string_view text) {
    if (const auto fault = detail::ac_fault(text, "-"))
      return error(absl::StatusCode::kInvalidArgument,
                   concat("parse AC name '", printable(text, 160), "': ", *fault, " (- is the separator)"));
    return ac_name(std::string(text));
  }

  [[nodiscard]] const std::string& text() const { return text_; }
  auto operator<=>(const ac_name&) const = default;
  bool operator==(const ac_name&) const = default;
  bool operator==(std::string_view text) const { return text_ == text; }

 private:
  explicit ac_name(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// "sha512-" and 128 lower-case hexadecimal digits: the digest of an image's uncompressed tar.
class ac_image_id {
 public:
  explicit ac_image_id(model::digest sha512) : digest_(std::move(sha512)) {}

  /// Fails with INVALID_ARGUMENT for anything else, shortened IDs among it: they identify nothing.
  static absl::StatusOr<ac_image_id> parse(std::string_view text) {
    constexpr std::string_view prefix = "sha512-";
    const auto refuse = [text](std::string_view why) {
      return error(absl::StatusCode::kInvalidArgument, concat("parse image ID '", printable(text, 160), "': ", why));
    };
    if (!text.starts_with(prefix)) return refuse("it does not begin with 'sha512-'");
    auto digest = model::digest::parse(concat("sha512:", text.substr(prefix.size())));
    if (!digest.ok()) return refuse("128 lower-case hexadecimal digits must follow 'sha512-'");
    return ac_image_id(*std::move(digest));
  }

  [[nodiscard]] const model::digest& digest() const { return digest_; }
  [[nodiscard]] std::string text() const { return concat("sha512-", digest_.hex()); }
  auto operator<=>(const ac_image_id&) const = default;
  bool operator==(const ac_image_id&) const = default;

 private:
  model::digest digest_;
};

/// Names and values that tell images of one name apart: version, os, arch and whatever else. No name twice,
/// none is "name"; where there is an os, it and its arch are ones that the specification knows.
class ac_labels {
 public:
  using value_type = std::pair<ac_identifier, std::string>;

  ac_labels() = default;

  /// Fails with INVALID_ARGUMENT: "check labels: ...".
  static absl::StatusOr<ac_labels> make(std::vector<value_type> all) {
    ac_labels out;
    for (value_type& each : all) MORTISE_RETURN_IF_ERROR(out.add(std::move(each)));
    MORTISE_RETURN_IF_ERROR(out.check_platform());
    return out;
  }

  /// The value of a label, or nothing.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const {
    for (const auto& [key, value] : all_)
      if (key == name) return value;
    return std::nullopt;
  }
  /// Whether all that `asked` has is here with the same values; what it does not have matches anything.
  [[nodiscard]] bool match(const ac_labels& asked) const {
    for (const auto& [key, value] : asked.all_)
      if (find(key.text()) != value) return false;
    return true;
  }

  [[nodiscard]] const std::vector<value_type>& all() const { return all_; }
  [[nodiscard]] bool empty() const { return all_.empty(); }
  /// "version=1.0,os=linux", made printable.
  [[nodiscard]] std::string text() const {
    std::vector<std::string> parts;
    parts.reserve(all_.size());
    for (const auto& [key, value] : all_) parts.push_back(concat(key.text(), '=', printable(value, 160)));
    return join(parts, ",");
  }
  bool operator==(const ac_labels&) const = default;

 private:
  static constexpr std::size_t most = 256;
  static constexpr std::string_view linux_names[] = {"amd64",  "i386",   "aarch64", "aarch64_be", "armv6l",
                                                     "armv7l", "armv7b", "ppc64",   "ppc64le",    "s390x"};
  static constexpr std::string_view freebsd_names[] = {"amd64", "i386", "arm"};
  static constexpr std::string_view darwin_names[] = {"x86_64", "i386"};

  static absl::Status refuse(std::string_view why) {
    return error(absl::StatusCode::kInvalidArgument, concat("check labels: ", why));
  }

  absl::Status add(value_type label) {
    const std::string& name = label.first.text();
    if (all_.size() >= most) return refuse(concat("there are more than ", most));
    if (name == "name") return refuse("none may be called 'name'");
    if (find(name)) return refuse(concat("'", name, "' occurs twice"));
    if (label.second.find('\0') != std::string::npos) return refuse(concat("'", name, "' holds a zero byte"));
    all_.push_back(std::move(label));
    return absl::OkStatus();
  }

  static std::span<const std::string_view> architectures(std::string_view os) {
    if (os == "linux") return linux_names;
    if (os == "freebsd") return freebsd_names;
    if (os == "darwin") return darwin_names;
    return {};
  }

  [[nodiscard]] absl::Status check_platform() const {
    const auto os = find("os");
    const auto arch = find("arch");
    if (!os && arch) return refuse("'arch' stands without 'os'");
    if (!os) return absl::OkStatus();
    const auto known = architectures(*os);
    if (known.empty()) return refuse(concat("os '", printable(*os, 40), "' is not one of linux, freebsd, darwin"));
    if (!arch) return absl::OkStatus();
    for (const std::string_view each : known)
      if (each == *arch) return absl::OkStatus();
    return refuse(concat("arch '", printable(*arch, 40), "' is not one of ", *os, "'s: ", join(known, ", ")));
  }

  std::vector<value_type> all_;
};

}  // namespace mortise::model

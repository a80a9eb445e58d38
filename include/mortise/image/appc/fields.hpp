// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The fields that Appc's documents are made of: texts that become C strings, names, labels, absolute paths.

#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/image/json.hpp>
#include <mortise/model/ac_name.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::appc::detail {

/// A failure of a field's own parser, with the place in the document before it.
template <class T>
absl::StatusOr<T> placed(absl::StatusOr<T> result, const json::value& at) {
  if (result.ok()) return result;
  return at.refuse(message(result.status()));
}

/// A text without zero bytes: JSON can state them, and the kernel would see a shorter text than was checked.
inline absl::StatusOr<std::string> read_text(const json::value& from) {
  MORTISE_ASSIGN_OR_RETURN(std::string text, from.text());
  if (text.find('\0') != std::string::npos) return from.refuse("it holds a zero byte");
  return text;
}
inline absl::StatusOr<std::string> read_text(const json::value& of, std::string_view name) {
  MORTISE_ASSIGN_OR_RETURN(const json::value from, of.member(name));
  return read_text(from);
}
inline absl::StatusOr<std::string> read_text_or(const json::value& of, std::string_view name) {
  MORTISE_ASSIGN_OR_RETURN(const auto from, of.optional(name));
  return from ? read_text(*from) : std::string();
}
/// One that must be there and say something.
inline absl::StatusOr<std::string> read_filled(const json::value& of, std::string_view name) {
  MORTISE_ASSIGN_OR_RETURN(const json::value from, of.member(name));
  MORTISE_ASSIGN_OR_RETURN(std::string text, read_text(from));
  if (text.empty()) return from.refuse("it must not be empty");
  return text;
}
inline absl::StatusOr<std::vector<std::string>> read_texts(const json::value& from) {
  MORTISE_ASSIGN_OR_RETURN(const auto list, from.elements());
  std::vector<std::string> out;
  out.reserve(list.size());
  for (const json::value& each : list) {
    MORTISE_ASSIGN_OR_RETURN(out.emplace_back(), read_text(each));
  }
  return out;
}

/// An absolute path without "..", its repeated slashes and "." components taken out: "/a/b", or "/".
inline absl::StatusOr<std::string> read_path(const json::value& from) {
  constexpr std::size_t most = 4096;
  MORTISE_ASSIGN_OR_RETURN(const std::string text, read_text(from));
  if (text.size() >= most) return from.refuse("it is longer than 4095 bytes");
  if (!text.starts_with('/')) return from.refuse(concat("'", printable(text, 160), "' is not an absolute path"));
  std::string out;
  for (const std::string_view part : split(text, '/')) {
    if (part == "..") return from.refuse(concat("'", printable(text, 160), "' contains '..'"));
    if (!part.empty() && part != ".") append(out, '/', part);
  }
  if (out.empty()) out = "/";
  return out;
}
inline absl::StatusOr<std::string> read_path(const json::value& of, std::string_view name) {
  MORTISE_ASSIGN_OR_RETURN(const json::value from, of.member(name));
  return read_path(from);
}

inline absl::StatusOr<bool> read_flag(const json::value& of, std::string_view name) {
  MORTISE_ASSIGN_OR_RETURN(const auto from, of.optional(name));
  return from ? from->boolean() : false;
}

inline absl::StatusOr<model::ac_identifier> read_identifier(const json::value& of, std::string_view name) {
  MORTISE_ASSIGN_OR_RETURN(const json::value from, of.member(name));
  MORTISE_ASSIGN_OR_RETURN(const std::string text, from.text());
  return placed(model::ac_identifier::parse(text), from);
}
inline absl::StatusOr<model::ac_name> read_name(const json::value& of, std::string_view name) {
  MORTISE_ASSIGN_OR_RETURN(const json::value from, of.member(name));
  MORTISE_ASSIGN_OR_RETURN(const std::string text, from.text());
  return placed(model::ac_name::parse(text), from);
}

/// An optional member that is an array, each element read by `one`, at most `most` of them.
template <class Element, class One>
absl::StatusOr<std::vector<Element>> read_list(const json::value& of, std::string_view name, One one,
                                               std::size_t most = 4096) {
  std::vector<Element> out;
  MORTISE_ASSIGN_OR_RETURN(const auto from, of.optional(name));
  if (!from) return out;
  MORTISE_ASSIGN_OR_RETURN(const auto list, from->elements());
  if (list.size() > most) return from->refuse(concat("it has more than ", most, " elements"));
  for (const json::value& each : list) {
    MORTISE_ASSIGN_OR_RETURN(Element element, one(each));
    out.push_back(std::move(element));
  }
  return out;
}

inline absl::StatusOr<model::ac_labels> read_labels(const json::value& of) {
  using label = model::ac_labels::value_type;
  const auto read = [](const json::value& from) -> absl::StatusOr<label> {
    MORTISE_ASSIGN_OR_RETURN(auto name, read_identifier(from, "name"));
    MORTISE_ASSIGN_OR_RETURN(auto value, read_text_or(from, "value"));
    return label(std::move(name), std::move(value));
  };
  MORTISE_ASSIGN_OR_RETURN(auto all, read_list<label>(of, "labels", read));
  MORTISE_ASSIGN_OR_RETURN(const auto at, of.optional("labels"));
  if (!at) return model::ac_labels();
  return placed(model::ac_labels::make(std::move(all)), *at);
}

}  // namespace mortise::image::appc::detail

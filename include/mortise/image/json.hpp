// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// JSON that strangers wrote, read strictly: valid UTF-8, no duplicate names, no NaN, nothing after the
/// value, bounded in depth and in count. Needs: RapidJSON (its reader only, headers only).

// RapidJSON 1.1 adds to a null pointer where a stack is still empty: harmless, and not ours to be stopped by.
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpragma-clang-attribute"  // where another header has included it before
#pragma clang attribute push(__attribute__((no_sanitize("pointer-overflow"))), apply_to = function)
#endif
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang diagnostic pop
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mortise/base/status.hpp>
#include <mortise/model/descriptor.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mortise::image::json {

/// What a document may cost. A value takes up to 72 bytes besides its text, so the count bounds memory too.
struct limits {
  std::size_t size = std::size_t{8} << 20;
  unsigned depth = 64;
  std::size_t values = 200'000;
};

namespace detail {

struct node;
struct null {};
/// A whole number below 0, which only an image's OOM score adjustment may be.
struct negative_number {
  std::int64_t value = 0;
};
/// A number that is no whole number from -2^63 to 2^63 - 1: nothing that images state needs its value.
struct other_number {};
using array = std::vector<node>;
using object = std::vector<std::pair<std::string, node>>;

struct node {
  std::variant<null, bool, std::uint64_t, negative_number, other_number, std::string, array, object> is;
};

/// Builds nodes from what RapidJSON's reader calls, and ends the parse at the first excess.
class builder {
 public:
  explicit builder(const limits& most) : most_(most) {}

  /// Why a call returned false; empty where none did.
  [[nodiscard]] const absl::Status& refusal() const { return refusal_; }
  [[nodiscard]] node take() { return std::move(root_); }

  bool Null() { return put({null{}}); }
  bool Bool(bool b) { return put({b}); }
  bool Int(int i) { return Int64(i); }
  bool Uint(unsigned i) { return Uint64(i); }
  bool Int64(std::int64_t i) { return i < 0 ? put({negative_number{i}}) : put({static_cast<std::uint64_t>(i)}); }
  bool Uint64(std::uint64_t i) { return i >> 63 != 0 ? put({other_number{}}) : put({i}); }
  bool Double(double) { return put({other_number{}}); }
  bool RawNumber(const char*, rapidjson::SizeType, bool) { return put({other_number{}}); }
  bool String(const char* s, rapidjson::SizeType n, bool) { return put({std::string(s, n)}); }
  bool Key(const char* s, rapidjson::SizeType n, bool) {
    key_.assign(s, n);
    return count();
  }
  bool StartObject() { return open({object{}}); }
  bool StartArray() { return open({array{}}); }
  bool EndObject(rapidjson::SizeType) {
    const auto& members = std::get<object>(open_.back()->is);
    std::vector<std::string_view> names;
    names.reserve(members.size());
    for (const auto& [name, value] : members) names.push_back(name);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    open_.pop_back();
    if (twice == names.end()) return true;
    return refuse(absl::StatusCode::kInvalidArgument,
                  concat("the name '", printable(*twice), "' occurs twice in one object"));
  }
  bool EndArray(rapidjson::SizeType) {
    open_.pop_back();
    return true;
  }

 private:
  bool refuse(absl::StatusCode code, std::string_view why) {
    refusal_ = error(code, why);
    return false;
  }
  bool count() {
    if (++values_ <= most_.values) return true;
    return refuse(absl::StatusCode::kResourceExhausted, concat("more than ", most_.values, " values"));
  }

  /// Where the next value goes: pointers to open containers stay good, since only the innermost one grows.
  node* place(node value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    if (auto* const list = std::get_if<array>(&open_.back()->is)) return &list->emplace_back(std::move(value));
    return &std::get<object>(open_.back()->is).emplace_back(std::move(key_), std::move(value)).second;
  }
  bool put(node value) {
    place(std::move(value));
    return count();
  }
  bool open(node value) {
    if (open_.size() >= most_.depth)
      return refuse(absl::StatusCode::kResourceExhausted, concat("nested deeper than ", most_.depth));
    open_.push_back(place(std::move(value)));
    return count();
  }

  const limits& most_;
  node root_;
  std::vector<node*> open_;
  std::string key_;
  std::size_t values_ = 0;
  absl::Status refusal_;
};

}  // namespace detail

/// A value within a document that outlives it, and where in the document it is, for messages. An optional
/// member that is null counts as absent everywhere.
class value {
 public:
  value(const detail::node& json, std::string where) : json_(&json), where_(std::move(where)) {}

  /// Whether an object has a member that is not null.
  [[nodiscard]] bool has(std::string_view name) const { return look_up(name) != nullptr; }

  /// A member that must be there.
  [[nodiscard]] absl::StatusOr<value> member(std::string_view name) const {
    MORTISE_ASSIGN_OR_RETURN(auto found, optional(name));
    if (found) return *std::move(found);
    return refuse(concat("'", name, "' is missing"));
  }
  /// A member that may be missing or null. Fails where this is no object.
  [[nodiscard]] absl::StatusOr<std::optional<value>> optional(std::string_view name) const {
    if (as<detail::object>() == nullptr) return refuse("it must be an object");
    const detail::node* const found = look_up(name);
    if (found == nullptr) return std::optional<value>{};
    return std::optional<value>(value(*found, where_.empty() ? std::string(name) : concat(where_, '.', name)));
  }

  [[nodiscard]] absl::StatusOr<std::string> text() const {
    if (const auto* const text = as<std::string>()) return *text;
    return refuse("it must be a string");
  }
  /// A whole number from 0 to 2^63 - 1, as sizes are.
  [[nodiscard]] absl::StatusOr<std::uint64_t> count() const {
    if (const auto* const number = as<std::uint64_t>()) return *number;
    return refuse("it must be a whole number from 0 to 2^63 - 1");
  }
  /// A whole number from -2^63 to 2^63 - 1.
  [[nodiscard]] absl::StatusOr<std::int64_t> integer() const {
    if (const auto* const number = as<std::uint64_t>()) return static_cast<std::int64_t>(*number);
    if (const auto* const number = as<detail::negative_number>()) return number->value;
    return refuse("it must be a whole number from -2^63 to 2^63 - 1");
  }
  [[nodiscard]] absl::StatusOr<bool> boolean() const {
    if (const auto* const truth = as<bool>()) return *truth;
    return refuse("it must be true or false");
  }
  [[nodiscard]] absl::StatusOr<std::vector<value>> elements() const {
    const auto* const list = as<detail::array>();
    if (list == nullptr) return refuse("it must be an array");
    std::vector<value> out;
    out.reserve(list->size());
    for (const detail::node& each : *list) out.emplace_back(each, concat(where_, '[', out.size(), ']'));
    return out;
  }
  /// The strings of an array.
  [[nodiscard]] absl::StatusOr<std::vector<std::string>> texts() const {
    MORTISE_ASSIGN_OR_RETURN(const auto list, elements());
    std::vector<std::string> out;
    out.reserve(list.size());
    for (const value& each : list) {
      MORTISE_ASSIGN_OR_RETURN(out.emplace_back(), each.text());
    }
    return out;
  }
  /// The names of an object, whatever their values are.
  [[nodiscard]] absl::StatusOr<std::vector<std::string>> names() const {
    const auto* const members = as<detail::object>();
    if (members == nullptr) return refuse("it must be an object");
    std::vector<std::string> out;
    for (const auto& [name, held] : *members) out.push_back(name);
    return out;
  }
  /// An object of strings; a null is an empty one.
  [[nodiscard]] absl::StatusOr<model::annotations> pairs() const {
    const auto* const members = as<detail::object>();
    if (members == nullptr) return refuse("it must be an object");
    model::annotations out;
    for (const auto& [name, held] : *members) {
      const auto* const text = std::get_if<std::string>(&held.is);
      if (text == nullptr && !std::holds_alternative<detail::null>(held.is))
        return refuse(concat("the value of '", printable(name), "' must be a string"));
      out.emplace_back(name, text != nullptr ? *text : std::string());
    }
    return out;
  }

  /// Shorthands for an object's optional members.
  [[nodiscard]] absl::StatusOr<std::string> text_or(std::string_view name, std::string_view otherwise) const {
    MORTISE_ASSIGN_OR_RETURN(const auto found, optional(name));
    return found ? found->text() : std::string(otherwise);
  }
  [[nodiscard]] absl::StatusOr<std::vector<std::string>> texts_or_none(std::string_view name) const {
    MORTISE_ASSIGN_OR_RETURN(const auto found, optional(name));
    return found ? found->texts() : std::vector<std::string>{};
  }
  [[nodiscard]] absl::StatusOr<std::vector<std::string>> names_or_none(std::string_view name) const {
    MORTISE_ASSIGN_OR_RETURN(const auto found, optional(name));
    return found ? found->names() : std::vector<std::string>{};
  }
  [[nodiscard]] absl::StatusOr<model::annotations> pairs_or_none(std::string_view name) const {
    MORTISE_ASSIGN_OR_RETURN(const auto found, optional(name));
    return found ? found->pairs() : model::annotations{};
  }

  /// A failure that names this place in the document.
  [[nodiscard]] absl::Status refuse(std::string_view why) const {
    if (where_.empty()) return error(absl::StatusCode::kInvalidArgument, why);
    return error(absl::StatusCode::kInvalidArgument, concat("at '", printable(where_), "': ", why));
  }

 private:
  template <class T>
  [[nodiscard]] const T* as() const {
    return std::get_if<T>(&json_->is);
  }
  [[nodiscard]] const detail::node* look_up(std::string_view name) const {
    const auto* const members = as<detail::object>();
    if (members == nullptr) return nullptr;
    for (const auto& [key, held] : *members)
      if (key == name) return std::holds_alternative<detail::null>(held.is) ? nullptr : &held;
    return nullptr;
  }

  const detail::node* json_;
  std::string where_;
};

/// A parsed document; values that it gives live as long as it.
class document {
 public:
  /// Fails with INVALID_ARGUMENT, or RESOURCE_EXHAUSTED past a limit; messages begin with "parse `subject`".
  static absl::StatusOr<document> parse(std::string_view text, std::string_view subject, const limits& most = {}) {
    const auto fail = [subject](absl::StatusCode code, std::string_view why) {
      return error(code, concat("parse ", subject, ": ", why));
    };
    if (text.size() > most.size)
      return fail(absl::StatusCode::kResourceExhausted, concat("longer than ", most.size, " bytes"));
    // The stream would end at a zero byte as it does at its end.
    if (text.find('\0') != std::string_view::npos)
      return fail(absl::StatusCode::kInvalidArgument, "it holds a zero byte");
    detail::builder building(most);
    rapidjson::MemoryStream stream(text.data(), text.size());
    rapidjson::Reader reader;
    // Iterative, so that nesting costs heap and not stack.
    constexpr unsigned flags = rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag;
    const rapidjson::ParseResult result = reader.Parse<flags>(stream, building);
    if (!building.refusal().ok()) return annotate(building.refusal(), concat("parse ", subject));
    if (result.IsError()) return fail(absl::StatusCode::kInvalidArgument, describe(result));
    return document(building.take());
  }

  [[nodiscard]] value root() const { return {*json_, ""}; }

 private:
  explicit document(detail::node json) : json_(std::make_unique<detail::node>(std::move(json))) {}

  static std::string describe(const rapidjson::ParseResult& result) {
    std::string text = rapidjson::GetParseError_En(result.Code());
    while (text.ends_with('.')) text.pop_back();
    if (!text.empty() && text.front() >= 'A' && text.front() <= 'Z')
      text.front() = static_cast<char>(text.front() | 0x20);
    return concat("not JSON at byte ", result.Offset(), ": ", text);
  }

  std::unique_ptr<const detail::node> json_;
};

/// A string as JSON text, quotes included. Bytes above 0x7f pass as they are.
inline std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char each : text) {
    if (each == '"' || each == '\\') {
      append(out, '\\', each);
    } else if (static_cast<unsigned char>(each) < 0x20) {
      append(out, "\\u00", "0123456789abcdef"[each >> 4], "0123456789abcdef"[each & 15]);
    } else {
      out.push_back(each);
    }
  }
  out.push_back('"');
  return out;
}

}  // namespace mortise::image::json

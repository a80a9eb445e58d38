// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// What a registry asks for when it says 401: the WWW-Authenticate field of RFC 9110 11.6.1, read in linear time.

#include <algorithm>
#include <cstddef>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/model/platform.hpp>
#include <mortise/model/reference.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image::distribution {

/// One challenge: a scheme with a token68 or with parameters. Scheme and names of parameters are in lower case.
struct challenge {
  std::string scheme;
  std::string token68;
  std::vector<std::pair<std::string, std::string>> parameters;

  [[nodiscard]] std::optional<std::string_view> parameter(std::string_view name) const {
    for (const auto& [key, value] : parameters)
      if (key == name) return value;
    return std::nullopt;
  }
};

/// What a field may cost.
struct challenge_limits {
  std::size_t size = 16384;
  std::size_t challenges = 16;
  std::size_t parameters = 32;  ///< of one challenge
};

namespace detail {

/// tchar of RFC 9110 5.6.2.
inline bool is_token_letter(char c) {
  return model::detail::is_alphanumeric(c) ||
         (c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}
inline bool is_token68_letter(char c) {
  return model::detail::is_alphanumeric(c) || (c != 0 && std::string_view("-._~+/").find(c) != std::string_view::npos);
}

class challenge_reader {
 public:
  challenge_reader(std::string_view text, const challenge_limits& most) : text_(text), most_(most) {}

  absl::StatusOr<std::vector<challenge>> read() {
    if (text_.size() > most_.size) return fail(concat("it is longer than ", most_.size, " bytes"));
    std::vector<challenge> out;
    skip_separators();
    while (at_ < text_.size()) {
      if (out.size() == most_.challenges) return fail(concat("it has more than ", most_.challenges, " challenges"));
      MORTISE_RETURN_IF_ERROR(read_one(out.emplace_back()));
    }
    return out;
  }

 private:
  absl::Status fail(std::string_view why) const {
    return error(absl::StatusCode::kInvalidArgument, concat("parse WWW-Authenticate at byte ", at_, ": ", why));
  }
  [[nodiscard]] char here() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_spaces() { at_ = std::min(text_.find_first_not_of(" \t", at_), text_.size()); }
  void skip_separators() { at_ = std::min(text_.find_first_not_of(" \t,", at_), text_.size()); }
  template <class Predicate>
  std::string_view take(Predicate predicate) {
    const std::size_t from = at_;
    while (at_ < text_.size() && predicate(text_[at_])) ++at_;
    return text_.substr(from, at_ - from);
  }

  absl::Status read_one(challenge& into) {
    into.scheme = model::detail::lower_case(take(is_token_letter));
    if (into.scheme.empty()) return fail("no name of a scheme");
    const bool space = here() == ' ' || here() == '\t';
    skip_spaces();
    if (at_ < text_.size() && here() != ',') {
      if (!space) return fail("no space after the name of a scheme");
      if (take_token68(into)) return end_element();
    }
    return read_parameters(into);
  }

  /// A token68 reaches to a comma or the end; what does not is the first of some parameters.
  bool take_token68(challenge& into) {
    const std::size_t from = at_;
    const std::string_view letters = take(is_token68_letter);
    take([](char c) { return c == '='; });
    const std::size_t end = at_;
    skip_spaces();
    if (!letters.empty() && (at_ == text_.size() || here() == ',')) {
      into.token68 = text_.substr(from, end - from);
      return true;
    }
    at_ = from;
    return false;
  }

  /// Until the end, or to a name that no '=' follows: the scheme of the next challenge.
  absl::Status read_parameters(challenge& into) {
    for (;;) {
      skip_separators();
      const std::size_t from = at_;
      const std::string name = model::detail::lower_case(take(is_token_letter));
      skip_spaces();
      if (name.empty() && at_ == text_.size()) return absl::OkStatus();
      if (name.empty()) return fail("no name of a parameter");
      if (here() != '=') {
        at_ = from;
        return absl::OkStatus();
      }
      ++at_;
      skip_spaces();
      if (into.parameters.size() == most_.parameters)
        return fail(concat("a challenge has more than ", most_.parameters, " parameters"));
      if (into.parameter(name)) return fail(concat("the parameter '", name, "' occurs twice"));
      auto& value = into.parameters.emplace_back(name, std::string()).second;
      MORTISE_RETURN_IF_ERROR(here() == '"' ? read_quoted(value) : read_token(value));
      MORTISE_RETURN_IF_ERROR(end_element());
    }
  }

  absl::Status read_token(std::string& into) {
    into = take(is_token_letter);
    return into.empty() ? fail("no value of a parameter") : absl::OkStatus();
  }

  absl::Status read_quoted(std::string& into) {
    for (++at_; at_ < text_.size(); ++at_) {
      char each = text_[at_];
      if (each == '"') {
        ++at_;
        return absl::OkStatus();
      }
      if (each == '\\' && ++at_ < text_.size()) each = text_[at_];
      if (at_ == text_.size()) break;
      if ((static_cast<unsigned char>(each) < 0x20 && each != '\t') || each == 0x7f)
        return fail("a control character in a quoted string");
      into.push_back(each);
    }
    return fail("a quoted string does not end");
  }

  absl::Status end_element() {
    skip_spaces();
    if (at_ < text_.size() && here() != ',') return fail("no comma between two parts");
    skip_separators();
    return absl::OkStatus();
  }

  std::string_view text_;
  const challenge_limits& most_;
  std::size_t at_ = 0;
};

}  // namespace detail

/// All challenges of all fields of a response, in order. A field that is broken is passed over where another one is
/// not, so that a proxy's does not hide the registry's.
/// Fails with INVALID_ARGUMENT: the first broken field, or too many fields.
inline absl::StatusOr<std::vector<challenge>> parse_challenges(std::span<const std::string> fields,
                                                               const challenge_limits& most = {}) {
  std::vector<challenge> out;
  absl::Status first;
  if (fields.size() > most.challenges)
    return error(absl::StatusCode::kInvalidArgument,
                 concat("parse WWW-Authenticate: more than ", most.challenges, " fields"));
  for (const std::string& each : fields) {
    auto read = detail::challenge_reader(each, most).read();
    first = first_error(std::move(first), read.status());
    if (read.ok()) std::move(read->begin(), read->end(), std::back_inserter(out));
  }
  if (out.empty() && !first.ok()) return first;
  return out;
}

/// A Bearer challenge as registries mean it. The realm is a stranger's text until `check_realm` has seen it.
struct bearer_demand {
  std::string realm;
  std::string service;
  std::vector<std::string> scopes;
  std::string error;  ///< "insufficient_scope", "invalid_token", ...
};

/// What of a response's challenges mortise can answer. Bearer is to be preferred where both are asked for.
struct demand {
  std::optional<bearer_demand> bearer;
  bool basic = false;
};

inline demand demand_of(std::span<const challenge> challenges) {
  const auto text = [](const challenge& from, std::string_view name) {
    return std::string(from.parameter(name).value_or(std::string_view{}));
  };
  demand out;
  for (const challenge& each : challenges) {
    if (each.scheme == "basic") out.basic = true;
    if (each.scheme != "bearer" || out.bearer || text(each, "realm").empty()) continue;
    out.bearer = {text(each, "realm"), text(each, "service"), {}, text(each, "error")};
    const std::string scopes = text(each, "scope");
    for (const std::string_view scope : split(scopes, ' '))
      if (!scope.empty()) out.bearer->scopes.emplace_back(scope);
  }
  return out;
}

}  // namespace mortise::image::distribution

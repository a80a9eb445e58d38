// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// mortise-run's source of Appc images: by which ways it fetches, and when it asks for signatures.

#include <array>
#include <mortise/fetch/any_of.hpp>
#include <mortise/fetch/curl.hpp>
#include <mortise/fetch/http.hpp>
#include <mortise/image/appc.hpp>
#include <mortise/image/appc/gpgv.hpp>
#include <optional>
#include <string_view>

namespace mortise_run {

using namespace mortise;

/// HTTP by a libcurl that is loaded when it is first needed: most runs fetch nothing.
struct web {
  static constexpr std::array<std::string_view, 2> schemes = {"http", "https"};
  absl::StatusOr<fetch::response> fetch(const fetch::uri& from, const fetch::request& what, fetch::sink& into) const {
    MORTISE_ASSIGN_OR_RETURN(const fetch::curl_library* const library, fetch::curl_library::loaded());
    return fetch::http<fetch::curl>(fetch::curl(*library)).fetch(from, what, into);
  }
};

/// Signatures are asked for where there are keys.
struct signatures {
  std::optional<image::appc::gpgv> by_keys;
  absl::Status operator()(const model::ac_identifier& name, const image::file_section& aci,
                          const image::appc::signature_text& ask) const {
    return by_keys ? (*by_keys)(name, aci, ask) : absl::OkStatus();
  }
};

/// The source of Appc images.
using appc_images = image::basic_appc<fetch::any_of<fetch::file, web>, signatures>;

}  // namespace mortise_run

// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// How the tools speak HTTP.

#include <mortise/base/status.hpp>
#include <mortise/fetch/curl.hpp>
#include <mortise/fetch/transport.hpp>

namespace tool {

/// libcurl, loaded when it is first needed: most runs fetch nothing, and a host without it runs what lies there.
struct loaded_curl {
  static constexpr auto schemes = mortise::fetch::curl::schemes;

  absl::StatusOr<mortise::fetch::response> exchange(const mortise::fetch::exchange& what,
                                                    mortise::fetch::sink& into) const {
    static const absl::StatusOr<mortise::fetch::curl> transport = load();
    return transport.ok() ? transport->exchange(what, into) : transport.status();
  }

 private:
  static absl::StatusOr<mortise::fetch::curl> load() {
    MORTISE_ASSIGN_OR_RETURN(const auto* const library, mortise::fetch::curl_library::loaded());
    return mortise::fetch::curl(*library);
  }
};

static_assert(mortise::fetch::transport<loaded_curl>);

}  // namespace tool

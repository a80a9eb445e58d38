// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The transport of http:, https: and http+unix: (whose host is a percent-encoded socket path). Needs: libcurl.

#include <curl/curl.h>

#include <array>
#include <memory>
#include <mortise/fetch/transport.hpp>

namespace mortise::fetch {

/// libcurl's functions. linked() needs -lcurl when linking; loaded() opens libcurl.so.4 at first use instead, for
/// programs that start often and fetch seldom.
struct curl_library {
  static const curl_library& linked();
  static absl::StatusOr<const curl_library*> loaded();
};

/// Keeps connections for reuse; copies share them.
class curl {
 public:
  static constexpr std::array<std::string_view, 3> schemes = {"http", "https", "http+unix"};

  curl() : curl(curl_library::linked()) {}
  explicit curl(const curl_library& library);

  absl::StatusOr<response> exchange(const fetch::exchange& what, sink& into) const;
};

}  // namespace mortise::fetch

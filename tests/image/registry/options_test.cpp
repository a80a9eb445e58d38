// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/options.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <mortise/fetch/uri.hpp>
#include <string>
#include <support/temporary.hpp>
#include <vector>

using absl::StatusCode;
using mortise::fetch::parse_uri;
using mortise::image::distribution::registry_options;
using mortise::image::distribution::tls_files_for;

TEST_CASE("registry options: each host has certificates of its own") {
  const support::temporary_directory place;
  ::mkdir((place / "r.example.com:5000").c_str(), 0755);
  for (const char* const name : {"ca.crt", "client.cert", "client.key"})
    std::ofstream(place / "r.example.com:5000/" + name) << "x";
  registry_options options;
  options.certificates = {place / "none", place.path()};
  const auto own = tls_files_for(options, parse_uri("https://r.example.com:5000/v2/").value());
  REQUIRE(own.ok());
  const std::string directory = place / "r.example.com:5000/";
  CHECK(own->authorities == std::vector<std::string>{directory + "ca.crt"});
  CHECK(own->certificate == directory + "client.cert");
  CHECK(own->key == directory + "client.key");
  // Where a redirect leads sees none of them.
  for (const char* const other :
       {"https://storage.example.com/x", "https://r.example.com/", "https://r.example.com:5001/"})
    CHECK(tls_files_for(options, parse_uri(other).value()).value() == mortise::fetch::tls_files{});
  ::unlink((directory + "client.key").c_str());
  CHECK(tls_files_for(options, parse_uri("https://r.example.com:5000/").value()).status().code() ==
        StatusCode::kFailedPrecondition);
}

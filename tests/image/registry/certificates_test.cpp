// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/certificates.hpp>

#include <doctest/doctest.h>

#include <string>
#include <support/temporary.hpp>
#include <vector>

using mortise::message;
using mortise::image::distribution::certificate_directories;
using mortise::image::distribution::certificates;
using mortise::image::distribution::find_certificates;
using mortise::image::distribution::url;

namespace {

void touch(const std::string& path) {
  REQUIRE(mortise::sys::make_directories(path.substr(0, path.rfind('/'))).ok());
  REQUIRE(mortise::sys::open(path, O_WRONLY | O_CREAT, 0644).ok());
}

}  // namespace

TEST_CASE("certificates: authorities and pairs of a registry's directory") {
  const support::temporary_directory first;
  const support::temporary_directory second;
  const std::vector<std::string> both{first / "none", first.path(), second.path()};
  const url registry = url::parse("https://r.example:5000/v2/").value();
  CHECK(*find_certificates(both, registry) == certificates{});
  for (const char* const name : {"r.example:5000/b.crt", "r.example:5000/a.crt", "r.example:5000/client.cert",
                                 "r.example:5000/client.key", "r.example:5000/README", "other.example/x.crt"})
    touch(second / name);
  const auto found = find_certificates(both, registry).value();
  CHECK(found.authorities ==
        std::vector<std::string>{second / "r.example:5000/a.crt", second / "r.example:5000/b.crt"});
  REQUIRE(found.clients.size() == 1);
  CHECK(found.clients[0].certificate == second / "r.example:5000/client.cert");
  CHECK(found.clients[0].key == second / "r.example:5000/client.key");
  // The first directory that has one for the registry decides.
  touch(first / "r.example:5000/c.crt");
  CHECK(find_certificates(both, registry)->authorities == std::vector<std::string>{first / "r.example:5000/c.crt"});
  CHECK(find_certificates(both, url::parse("https://r.example/").value())->authorities.empty());
  CHECK(certificate_directories().size() == 2);
}

TEST_CASE("certificates: the port that https has anyway may be left out") {
  const support::temporary_directory place;
  touch(place / "r.example/a.crt");
  CHECK(find_certificates({place.path()}, url::parse("https://r.example/").value())->authorities.size() == 1);
  CHECK(find_certificates({place.path()}, url::parse("https://R.example:443/").value())->authorities.size() == 1);
  CHECK(find_certificates({place.path()}, url::parse("https://r.example:444/").value())->authorities.empty());
  touch(place / "r.example:443/b.crt");
  CHECK(find_certificates({place.path()}, url::parse("https://r.example/").value())->authorities ==
        std::vector<std::string>{place / "r.example:443/b.crt"});
  touch(place / "[::1]:5000/c.crt");
  CHECK(find_certificates({place.path()}, url::parse("https://[::1]:5000/").value())->authorities.size() == 1);
}

TEST_CASE("certificates: half a pair is refused") {
  const support::temporary_directory place;
  touch(place / "a.example/client.cert");
  touch(place / "b.example/client.key");
  const auto said = [&](const char* at) {
    return std::string(message(find_certificates({place.path()}, url::parse(at).value()).status()));
  };
  CHECK(said("https://a.example/").find("client.cert' has no .key of its name beside it") != std::string::npos);
  CHECK(said("https://b.example/").find("client.key' has no .cert of its name beside it") != std::string::npos);
  touch(place / "c.example");
  CHECK_FALSE(find_certificates({place.path()}, url::parse("https://c.example/").value()).ok());
}

// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/challenge.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

using mortise::message;
using mortise::image::distribution::challenge;
using mortise::image::distribution::demand_of;
using mortise::image::distribution::parse_challenges;

namespace {

std::vector<challenge> parse(const std::vector<std::string>& fields) {
  const auto out = parse_challenges(fields);
  REQUIRE_MESSAGE(out.ok(), message(out.status()));
  return *out;
}

std::string refusal(const std::string& field) {
  const auto out = parse_challenges(std::vector{field});
  return out.ok() ? "accepted" : std::string(message(out.status()));
}

}  // namespace

TEST_CASE("challenge: what registries send") {
  const auto all = parse(
      {R"(Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/x:pull")"});
  REQUIRE(all.size() == 1);
  CHECK(all[0].scheme == "bearer");
  CHECK(all[0].parameter("realm") == "https://auth.docker.io/token");
  const auto asked = demand_of(all);
  REQUIRE(asked.bearer);
  CHECK(asked.bearer->service == "registry.docker.io");
  CHECK(asked.bearer->scopes == std::vector<std::string>{"repository:library/x:pull"});
  CHECK_FALSE(asked.basic);

  CHECK(demand_of(parse({R"(Basic realm="Registry Realm")"})).basic);
  CHECK(demand_of(parse({"BASIC"})).basic);
  const auto lacking =
      demand_of(parse({R"(bearer realm="https://a/t",error="insufficient_scope",scope="a:b:c  d:e:f")"}));
  CHECK(lacking.bearer->error == "insufficient_scope");
  CHECK(lacking.bearer->scopes.size() == 2);
  CHECK_FALSE(demand_of(parse({"Bearer", R"(Bearer realm="")"})).bearer);
}

TEST_CASE("challenge: several in one field and in several") {
  // The example of RFC 9110 11.6.1.
  const auto rfc = parse({R"(Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\"")"});
  REQUIRE(rfc.size() == 2);
  CHECK(rfc[0].scheme == "basic");
  CHECK(rfc[1].scheme == "newauth");
  CHECK(rfc[1].parameter("title") == R"(Login to "apps")");
  CHECK(rfc[1].parameter("type") == "1");

  const auto mixed = parse({R"(Negotiate YII=, Digest , ,Bearer realm = "https://a/t" , service=s,, Negotiate)",
                            "Basic realm=\"b, Bearer realm=\\\"x\\\"\""});
  REQUIRE(mixed.size() == 5);
  CHECK(mixed[0].token68 == "YII=");
  CHECK(mixed[1].scheme == "digest");
  CHECK(mixed[2].parameter("realm") == "https://a/t");
  CHECK(mixed[2].parameter("service") == "s");
  CHECK(mixed[3].scheme == "negotiate");
  CHECK(mixed[4].parameter("realm") == "b, Bearer realm=\"x\"");
  CHECK(demand_of(mixed).bearer->realm == "https://a/t");
  CHECK(parse({"", " , "}).empty());
}

TEST_CASE("challenge: what is broken is refused where it is") {
  CHECK(refusal(R"(Bearer realm="https://a)") == "parse WWW-Authenticate at byte 23: a quoted string does not end");
  CHECK(refusal("Bearer realm=\"a\\").find("does not end") != std::string::npos);
  CHECK(refusal("Bearer realm=\"a\r\nX-Evil: 1\"").find("a control character") != std::string::npos);
  CHECK(refusal("Bearer realm=\"a\\\nb\"").find("a control character") != std::string::npos);
  CHECK(refusal(std::string("Bearer realm=\"a\0b\"", 17)).find("a control character") != std::string::npos);
  CHECK(refusal(std::string("Bearer\0 realm=a", 15)).find("no space") != std::string::npos);
  CHECK(refusal("Bearer realm=\"a\" service=\"b\"").find("no comma") != std::string::npos);
  CHECK(refusal("Bearer realm=\"a\",realm=\"b\"").find("'realm' occurs twice") != std::string::npos);
  CHECK(refusal("Bearer realm=\"a\",Realm=\"b\"").find("occurs twice") != std::string::npos);
  CHECK(refusal("=a").find("no name of a scheme") != std::string::npos);
  CHECK(refusal("Bearer ,=a").find("no name of a parameter") != std::string::npos);
  CHECK(refusal("Bearer x=1,a=,b=c").find("no value") != std::string::npos);
}

TEST_CASE("challenge: a broken field does not hide a good one") {
  const auto both = parse({"Broken \"", R"(Bearer realm="https://a/t")"});
  CHECK(demand_of(both).bearer->realm == "https://a/t");
}

TEST_CASE("challenge: many and long ones are refused, and take linear time") {
  std::string many;
  for (int each = 0; each < 17; ++each) many += "Basic realm=\"a\", ";
  CHECK(refusal(many).find("more than 16 challenges") != std::string::npos);
  std::string names = "Basic ";
  for (int each = 0; each < 33; ++each) names += "p" + std::to_string(each) + "=1,";
  CHECK(refusal(names).find("more than 32 parameters") != std::string::npos);
  CHECK(refusal("Basic " + std::string(20000, ',')).find("longer than 16384") != std::string::npos);
  CHECK_FALSE(parse_challenges(std::vector<std::string>(17, "Basic")).ok());
  // A quadratic reader would need minutes for these.
  const mortise::image::distribution::challenge_limits wide{.size = std::size_t{8} << 20};
  const std::size_t length = std::size_t{4} << 20;
  for (const std::string& each :
       {"Basic " + std::string(length, 'a'), "Basic " + std::string(length, '='), "Basic " + std::string(length, ','),
        "Basic a=\"" + std::string(length, '\\'), "Basic a" + std::string(length, ' ') + "b"})
    (void)parse_challenges(std::vector{each}, wide);
}

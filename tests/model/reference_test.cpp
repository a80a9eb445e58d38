// SPDX-License-Identifier: Apache-2.0
#include <mortise/model/reference.hpp>

#include <doctest/doctest.h>

#include <string>
#include <string_view>

using mortise::message;
using mortise::model::reference;
using mortise::model::repository_name;
using mortise::model::tag;

namespace {

const std::string hex(64, 'a');

std::string full(std::string_view text) {
  const auto parsed = reference::parse(text);
  return parsed.ok() ? parsed->text() : std::string(message(parsed.status()));
}

std::string why(std::string_view text) {
  const auto parsed = reference::parse(text);
  return parsed.ok() ? "accepted as " + parsed->text() : std::string(message(parsed.status()));
}

bool says(std::string_view text, std::string_view part) {
  CAPTURE(why(text));
  return why(text).find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("reference: short names get docker.io's defaults") {
  CHECK(full("busybox") == "docker.io/library/busybox:latest");
  CHECK(full("busybox:1.36") == "docker.io/library/busybox:1.36");
  CHECK(full("user/app") == "docker.io/user/app:latest");
  CHECK(full("docker.io/busybox") == "docker.io/library/busybox:latest");
  CHECK(full("index.docker.io/busybox") == "docker.io/library/busybox:latest");
  CHECK(full("ubuntu:5000") == "docker.io/library/ubuntu:5000");
  CHECK(full("localhost") == "docker.io/library/localhost:latest");
}

TEST_CASE("reference: the first component is a registry where nothing else could be meant") {
  CHECK(full("localhost/app") == "localhost/app:latest");
  CHECK(full("localhost:5000/app:v1") == "localhost:5000/app:v1");
  CHECK(full("quay.io/a/b/c") == "quay.io/a/b/c:latest");
  CHECK(full("Host/app") == "Host/app:latest");
  CHECK(full("[::1]:5000/app") == "[::1]:5000/app:latest");
  CHECK(full("192.0.2.1/app") == "192.0.2.1/app:latest");
}

TEST_CASE("reference: a digest needs no tag, and both may be written") {
  CHECK(full("busybox@sha256:" + hex) == "docker.io/library/busybox@sha256:" + hex);
  const auto both = reference::parse("busybox:1@sha256:" + hex);
  REQUIRE(both.ok());
  CHECK(both->tag()->text() == "1");
  CHECK(both->digest()->hex() == hex);
}

TEST_CASE("reference: the familiar form leaves out what is understood") {
  CHECK(reference::parse("docker.io/library/busybox:1")->familiar() == "busybox:1");
  CHECK(reference::parse("docker.io/user/app")->familiar() == "user/app:latest");
  CHECK(reference::parse("docker.io/library/a/b")->familiar() == "library/a/b:latest");
  CHECK(reference::parse("quay.io/library/app")->familiar() == "quay.io/library/app:latest");
  // Left out, it would be a registry's name or an image ID.
  CHECK(reference::parse("docker.io/localhost/app")->familiar() == "docker.io/localhost/app:latest");
  CHECK(reference::parse("docker.io/a.b/app")->familiar() == "docker.io/a.b/app:latest");
  CHECK(reference::parse("docker.io/library/" + hex)->familiar() == "docker.io/library/" + hex + ":latest");
}

TEST_CASE("reference: repositories are components of lower-case words and their joints") {
  for (const char* const good : {"a/b.c", "a/b_c", "a/b__c", "a/b---c", "0/1", "a/b-c_d.e"}) {
    CAPTURE(good);
    CHECK(reference::parse(good).ok());
  }
  for (const char* const bad :
       {"a/b..c", "a/b___c", "a/.b", "a/b.", "a/-b", "a/b-", "a//b", "a/", "/a", "a/b._c", "a b", "a/b\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(reference::parse(bad).ok());
  }
}

TEST_CASE("reference: each mistake has its own message") {
  CHECK(says("", "it is empty"));
  CHECK(says(hex, "image ID"));
  CHECK(says("a/Bc", "lower case"));
  CHECK(says("Busybox", "lower case"));
  CHECK(says("busybox:", "parse tag '': it is empty"));
  CHECK(says("busybox:-x", "does not begin with"));
  CHECK(says("busybox:" + std::string(129, 'x'), "longer than 128"));
  CHECK(says("a/" + std::string(256, 'x'), "longer than 255"));
  CHECK(says("busybox@sha256:" + std::string(63, 'a'), "sha256 needs 64 digits"));
  CHECK(says("busybox@sha256:" + std::string(64, 'A'), "lower-case hexadecimal"));
  CHECK(says("busybox@md5:" + hex, "unsupported algorithm"));
  CHECK(says("busybox@", "no algorithm"));
  CHECK(says("host:port/app", "not a host[:port]"));
  CHECK(says("-host.io/app", "not a host[:port]"));
  CHECK(says("[::1/app", "not a host[:port]"));
  CHECK(says("quay.io/", "no repository"));
  CHECK(says("quay.io/\x1b[2J", "\\x1b"));
}

TEST_CASE("reference: long names are scanned in linear time") {
  const std::string many(1 << 20, 'a');
  CHECK_FALSE(reference::parse(many).ok());
  CHECK_FALSE(reference::parse(std::string(1 << 20, '-') + "a").ok());
  CHECK_FALSE(reference::parse("x/" + std::string(1 << 20, ':')).ok());
}

TEST_CASE("reference: names and tags compare as what they mean") {
  CHECK(*reference::parse("busybox") == *reference::parse("docker.io/library/busybox:latest"));
  CHECK(*repository_name::parse("busybox") == *repository_name::parse("index.docker.io/library/busybox"));
  CHECK(*tag::parse("a") < *tag::parse("b"));
}

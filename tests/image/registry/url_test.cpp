// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/url.hpp>

#include <doctest/doctest.h>

#include <string>

using mortise::message;
using mortise::percent_encoded;
using mortise::image::distribution::reach;
using mortise::image::distribution::reach_of;
using mortise::image::distribution::url;

TEST_CASE("url: its parts, in one spelling") {
  const auto full = url::parse("HTTPS://Registry.Example.com:5000/v2/a%20b?n=1&last=x").value();
  CHECK(full.secure());
  CHECK(full.host() == "registry.example.com");
  CHECK(full.port() == 5000);
  CHECK(full.target() == "/v2/a%20b?n=1&last=x");
  CHECK(full.text() == "https://registry.example.com:5000/v2/a%20b?n=1&last=x");
  CHECK(full.brief() == "https://registry.example.com:5000/v2/a%20b");
  CHECK(url::parse("https://a:443")->text() == "https://a/");
  CHECK(url::parse("http://a:80?x")->text() == "http://a/?x");
  CHECK(url::parse("http://[::1]:5000/")->authority() == "[::1]:5000");
  CHECK(url::parse("https://a/")->with_query("x=1").text() == "https://a/?x=1");
  CHECK(url::parse("https://a/?x=1")->with_query("y=2").text() == "https://a/?x=1&y=2");
  CHECK(url::parse("https://a/?")->with_query("y=2").text() == "https://a/?y=2");
  CHECK(percent_encoded("a b+c/d:e\r\n\xc3") == "a%20b%2Bc%2Fd%3Ae%0D%0A%C3");
}

TEST_CASE("url: what two readers could take for two hosts is refused") {
  for (const char* const bad : {"",
                                "a",
                                "//a/",
                                "ftp://a/",
                                "file:///etc/passwd",
                                "javascript:alert(1)",
                                "https:/a",
                                "https://",
                                "https:///x",
                                "https://user@a/",
                                "https://user:password@a/",
                                "https://a@b/",
                                "https://a\\@b/",
                                "https://a\\b/",
                                "https://a b/",
                                "https://a/\r\nX: y",
                                "https://a/\x01",
                                "https://\xc3\xa9/",
                                "https://a/#f",
                                "https://a:/",
                                "https://a:0/",
                                "https://a:65536/",
                                "https://a:+1/",
                                "https://a:1:2/",
                                "https://[::1/",
                                "https://[fe80::1%eth0]/",
                                "https://[::g]/",
                                "https://a..b/",
                                "https://a./",
                                "https://127.1/",
                                "https://2130706433/",
                                "https://0x7f000001/",
                                "https://0x7f.0.0.1/",
                                "https://127.0.0.01/",
                                "https://127.0.0.256/",
                                "https://1.2.3.4.5/"}) {
    CAPTURE(bad);
    CHECK_FALSE(url::parse(bad).ok());
  }
  CHECK_FALSE(url::parse("https://a/" + std::string(9000, 'a')).ok());
  CHECK_FALSE(url::parse("https://" + std::string(300, 'a') + "/").ok());
  CHECK_FALSE(url::parse(std::string("https://a\0.b/", 13)).ok());
  const auto told = url::parse("https://user:hunter2@a/");
  CHECK(message(told.status()) == "parse address '...@a/': no plain host[:port] after its scheme");
}

TEST_CASE("url: a reference is resolved, and its origin shows") {
  const auto base = url::parse("https://a:5000/v2/x/tags/list?n=2").value();
  CHECK(base.resolve("/v2/y?last=b")->text() == "https://a:5000/v2/y?last=b");
  CHECK(base.resolve("?last=b")->text() == "https://a:5000/v2/x/tags/list?last=b");
  CHECK(base.resolve("other")->text() == "https://a:5000/v2/x/tags/other");
  CHECK(base.resolve("/x?next=http://b/")->text() == "https://a:5000/x?next=http://b/");
  CHECK(base.resolve("https://a:5000/z")->same_origin(base));
  CHECK_FALSE(base.resolve("https://a/z")->same_origin(base));
  CHECK_FALSE(base.resolve("http://a:5000/z")->same_origin(base));
  CHECK(base.resolve("//evil/z")->host() == "evil");
  CHECK_FALSE(base.resolve("file:///etc/passwd").ok());
  CHECK_FALSE(base.resolve("/a\nb").ok());
}

TEST_CASE("url: how far away a host is") {
  for (const char* const each :
       {"localhost", "a.localhost", "127.0.0.1", "127.255.0.9", "[::1]", "[0:0::1]", "[::ffff:7f00:1]"}) {
    CAPTURE(each);
    CHECK(reach_of(each) == reach::loopback);
  }
  for (const char* const each :
       {"0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "224.0.0.1", "255.255.255.255", "[::]", "[fe80::1]", "[fd00::1]", "[ff02::1]", "[fec0::1]",
        "[::ffff:a9fe:a9fe]", "[64:ff9b::a00:1]", "[64:ff9b::7f00:1]"}) {
    CAPTURE(each);
    CHECK(reach_of(each) == reach::local);
  }
  for (const char* const each : {"example.com", "localhost.example.com", "8.8.8.8", "172.32.0.1", "[2001:db8::1]",
                                 "[64:ff9b::808:808]", "127.example.com"}) {
    CAPTURE(each);
    CHECK(reach_of(each) == reach::open);
  }
}

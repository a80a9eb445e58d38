// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/discovery.hpp>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <image/layout_builder.hpp>
#include <string>
#include <string_view>
#include <support/fork.hpp>
#include <support/skip.hpp>

#include <utility>
#include <vector>

using mortise::message;
using namespace mortise::image::appc;
using mortise::model::ac_identifier;
using mortise::model::ac_labels;

namespace {

const ac_identifier name = ac_identifier::parse("example.com/tools/app").value();

ac_labels labels(const std::vector<std::pair<std::string, std::string>>& from) {
  std::vector<ac_labels::value_type> all;
  all.reserve(from.size());
  for (const auto& [key, value] : from) all.emplace_back(ac_identifier::parse(key).value(), value);
  return ac_labels::make(std::move(all)).value();
}

const ac_labels usual = labels({{"version", "1.0.0"}, {"os", "linux"}, {"arch", "amd64"}});

std::string expanded(std::string_view text, const ac_labels& with = usual) {
  const auto out = expand_template(text, name, with, "aci");
  return out.ok() ? *out : std::string(message(out.status()));
}

/// The images that a page gives, joined.
std::string found(std::string_view page, url_schemes schemes = url_schemes::https, const ac_labels& with = usual) {
  const auto out = meta_discovery(page, name, with, schemes);
  REQUIRE(out.ok());
  std::vector<std::string> urls;
  for (const aci_location& each : out->images) urls.push_back(each.image);
  for (const std::string& each : out->keys) urls.push_back("key " + each);
  return mortise::join(urls, " ");
}

std::string meta(std::string_view content) {
  return mortise::concat(R"(<meta name="ac-discovery" content=")", content, R"(">)");
}

}  // namespace

TEST_CASE("discovery: simple discovery fills the template") {
  const auto at = simple_discovery("https://", name, usual);
  REQUIRE(at.ok());
  CHECK(at->image == "https://example.com/tools/app-1.0.0-linux-amd64.aci");
  CHECK(at->signature == "https://example.com/tools/app-1.0.0-linux-amd64.aci.asc");
  CHECK(simple_discovery("https://", name, labels({{"os", "linux"}, {"arch", "amd64"}}))->image ==
        "https://example.com/tools/app-latest-linux-amd64.aci");
  CHECK(message(simple_discovery("https://", name, {}).status()).find("no usable label 'os'") != std::string::npos);
}

TEST_CASE("discovery: values add nothing to a URL but themselves") {
  CHECK(expanded("https://x/{version}", labels({{"version", "../../etc?a=b#c@d:e"}})) ==
        "https://x/..%2F..%2Fetc%3Fa%3Db%23c%40d%3Ae");
  CHECK(expanded("https://x/{version}", labels({{"version", "1.0+git"}})) == "https://x/1.0%2Bgit");
  CHECK(expanded("https://x/{version}", labels({{"version", "{os}\r\nHost: y"}})) ==
        "https://x/%7Bos%7D%0D%0AHost%3A%20y");
  CHECK(expanded("https://x/{version}", labels({{"version", ".."}})).find("no usable label") != std::string::npos);
  CHECK(expanded("https://x/{channel}", labels({{"channel", "b"}})) == "https://x/b");
}

TEST_CASE("discovery: unsound templates are refused") {
  for (const char* const bad :
       {"https://x/{", "https://x/}", "https://x/{name", "https://x/name}", "https://x/{{name}}", "https://x/{}",
        "https://x/{odd}", "https://x/a b", "https://x/\n", "https://x/\x7f"}) {
    CAPTURE(bad);
    CHECK(expanded(bad).starts_with("expand template '"));
  }
  CHECK(expanded(std::string(4097, 'a')).find("longer than 4096") != std::string::npos);
  std::string growing;
  for (int at = 0; at < 600; ++at) growing += "{name}";
  CHECK(expanded(growing).find("it becomes longer than 4096") != std::string::npos);
}

TEST_CASE("discovery: pages are asked from the name up to its host") {
  CHECK(discovery_pages(name) == std::vector<std::string>{"https://example.com/tools/app?ac-discovery=1",
                                                          "https://example.com/tools?ac-discovery=1",
                                                          "https://example.com?ac-discovery=1"});
  CHECK(discovery_pages(ac_identifier::parse("host").value(), "http") ==
        std::vector<std::string>{"http://host?ac-discovery=1"});
}

TEST_CASE("discovery: meta tags of the name's prefixes are found, in order") {
  CHECK(found(R"(<!DOCTYPE html><html><head><title>x</title>
    <meta charset="utf-8">
    <META NAME='ac-discovery' CONTENT='example.com https://a.example.com/{name}-{version}.{ext}?v=1&amp;w'/>
    <meta content="example.com/tools   https://b.example.com/{os}/{arch}/{name}.{ext}" name=ac-discovery>
    <meta name="ac-discovery" content="other.com https://c.example.com/{name}.{ext}">
    <meta name="ac-discovery-pubkeys" content="example.com https://example.com/keys.gpg">
    <meta name="ac-discovery" content="example.com/tools/app/more https://d.example.com/{name}.{ext}"></head>)") ==
        "https://a.example.com/example.com/tools/app-1.0.0.aci?v=1&w "
        "https://b.example.com/linux/amd64/example.com/tools/app.aci "
        "key https://example.com/keys.gpg");
  const auto both = meta_discovery(meta("example.com https://a/{name}.{ext}"), name, usual);
  REQUIRE(both.ok());
  CHECK(both->images.front().signature == "https://a/example.com/tools/app.aci.asc");
}

TEST_CASE("discovery: the specification's own pages are read as it reads them") {
  const std::string place = "/usr/share/gocode/src/github.com/appc/spec/discovery/testdata/";
  if (::access(place.c_str(), F_OK) != 0) {
    support::skip("needs Debian's golang-github-appc-spec-dev");
    return;
  }
  const auto page = [&place](const char* file) { return found(support::read_file(place + file)); };
  const std::string image = "example.com/example.com/tools/app-1.0.0";
  const std::string first = "https://storage." + image + "-linux-amd64.aci";
  const std::string second = " https://storage." + image + ".aci";
  const std::string key = "key https://example.com/pubkeys.gpg";
  CHECK(page("meta01.html") == first + ' ' + key);
  CHECK(page("meta02.html") == first);
  CHECK(page("meta03.html") == key);
  CHECK(page("meta04.html") == "https://another.storage." + image + "-linux-amd64.aci " + key);
  CHECK(page("meta05.html") == first + second + ' ' + key);
  CHECK(page("meta06.html") == first + second + ' ' + key);
}

TEST_CASE("discovery: what does not fit is passed over") {
  CHECK(found("").empty());
  CHECK(found("<html>404</html>").empty());
  for (const char* const content :
       {"example.com", "", " ", "example.com ", "example.com https://a/{odd}", "example.com ftp://a/{name}",
        "example.com file:///etc/passwd", "example.com javascript:x", "example.com //a/{name}",
        "example.com http://a/{name}", "example.com HTTPS://a b"}) {
    CAPTURE(content);
    CHECK(found(meta(content)).empty());
  }
  CHECK(found(R"(<meta name="ac-other" content="example.com https://a/x">)").empty());
  CHECK(found(R"(<meta name="AC-DISCOVERY" content="example.com https://a/x">)").empty());
  CHECK(found(meta("example.com http://a/x"), url_schemes::https_and_http) == "http://a/x");
  CHECK(found(meta("example.com https://a/{os}"), url_schemes::https, {}).empty());
}

TEST_CASE("discovery: text that is no tag is no tag") {
  const std::string evil = meta("example.com https://evil/x");
  const std::string good = meta("example.com https://good/x");
  for (const std::string& around : std::vector<std::string>{
           "<!-- " + evil + " -->", "<script>'" + evil + "'</script >", "<style>" + evil + "</style>",
           "<textarea></b" + evil + "</TEXTAREA>", "<title>" + evil + "</title>", "<a title='" + evil + "'>",
           "<metadata name=\"ac-discovery\" content=\"example.com https://evil/x\">",
           "</meta name=\"ac-discovery\" content=\"example.com https://evil/x\">",
           "< meta name=\"ac-discovery\" content=\"example.com https://evil/x\">"}) {
    CAPTURE(around);
    CHECK(found(around + good) == "https://good/x");
  }
  CHECK(found("<!-- " + evil).empty());
  CHECK(found("<script>" + evil).empty());
  CHECK(
      found(
          R"(<meta name="ac-discovery" name="x" content="example.com https://good/x" content="example.com https://evil/x">)") ==
      "https://good/x");
}

TEST_CASE("discovery: a page that does not end, or ends badly, costs one look") {
  for (const char* const tail :
       {"<", "<m", "<meta", "<meta ", "<meta name", "<meta name=", "<meta name=\"", "<meta name='ac-discovery' content",
        "<!--", "<!", "</", "<script", "<script>", "<meta =", "<meta ==="}) {
    CAPTURE(tail);
    CHECK(found(meta("example.com https://good/x") + tail) == "https://good/x");
  }
  constexpr std::size_t size = 1 << 20;
  for (const std::string_view piece :
       {"<", "<a ", "<!--", "</", "<script>", "<meta name=\"", "= ", "<script></", "<meta a=b>", "&amp;"}) {
    std::string page;
    while (page.size() + piece.size() <= size) page += piece;
    CHECK(found(page).empty());
  }
}

TEST_CASE("discovery: pages and their tags are bounded") {
  const auto more = absl::StatusCode::kResourceExhausted;
  CHECK(meta_discovery(std::string((1 << 20) + 1, ' '), name, usual).status().code() == more);
  std::string flood;
  for (int at = 0; at < 65; ++at) flood += meta("example.com https://a/x");
  const auto result = meta_discovery(flood, name, usual);
  CHECK(result.status().code() == more);
  CHECK(message(result.status()) == "scan discovery page of 'example.com/tools/app': more than 64 of its tags fit");
  CHECK(found(meta("example.com https://a/" + std::string(5000, 'x'))).empty());
}

TEST_CASE("discovery: a label of megabytes is not spelt out for each template of a page") {
  const ac_labels with = labels({{"version", std::string(std::size_t{4} << 20, '%')}});
  CHECK(expanded("https://x/{version}", with) ==
        "expand template 'https://x/{version}': it becomes longer than 4096 bytes");
  std::string page;
  while (page.size() < (std::size_t{1} << 18)) page += "<meta name=ac-discovery content='e https://{version}'>";
  const auto outcome = support::in_child({.cpu_seconds = 60}, [&] {
    const auto out = meta_discovery(page, name, with);
    return std::string(out.ok() && out->images.empty() ? "none" : "some");
  });
  CHECK(outcome.text == "none");
}

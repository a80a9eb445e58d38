// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/discoverer.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <image/appc/aci_scene.hpp>
#include <map>
#include <mortise/fetch/any_of.hpp>
#include <mortise/fetch/curl.hpp>
#include <mortise/fetch/http.hpp>
#include <mortise/image/appc/location.hpp>
#include <string>
#include <string_view>
#include <support/http_server.hpp>
#include <support/temporary.hpp>
#include <vector>

using mortise::message;
using namespace mortise::image::appc;
namespace fetch = mortise::fetch;
using support::aci_manifest;
using support::aci_tar;
using strings = std::vector<std::string>;

namespace {

/// A server of files and pages, by target.
class web {
 public:
  std::map<std::string, std::string> content;
  std::map<std::string, int> statuses;

  support::http_server server{[this](const support::http_request& asked, support::http_connection& to) {
    const auto status = statuses.find(asked.target);
    if (status != statuses.end()) return to.answer(status->second, {}, "no");
    const auto found = content.find(asked.target);
    if (found == content.end()) return to.answer(404, {}, "not here");
    to.serve(asked, found->second);
  }};

  /// "host/target" of each request that came by `any_host`, in order.
  [[nodiscard]] strings asked() const {
    strings out;
    for (const auto& each : server.requests()) out.push_back(each.target);
    return out;
  }
};

/// All hosts are the test's server: names of images say no port. The host becomes the beginning of the path.
class any_host {
 public:
  static constexpr std::array<std::string_view, 2> schemes = {"https", "http"};
  explicit any_host(const web& to) : port_(fetch::parse_uri(to.server.url())->port) {}

  absl::StatusOr<fetch::response> fetch(const fetch::uri& from, const fetch::request& what, fetch::sink& into) const {
    fetch::uri to = from;
    to.scheme = "http";
    to.path = mortise::concat('/', from.scheme, '/', *from.host, from.path);
    to.host = "127.0.0.1";
    to.port = port_;
    return http_.fetch(to, what, into);
  }

 private:
  std::optional<std::uint16_t> port_;
  fetch::http<fetch::curl> http_{fetch::curl(), {.tls = {}, .retry = {.tries = 1}}};
};

const mortise::model::platform amd64 = mortise::model::parse_platform("linux/amd64").value();
const std::string image = aci_tar(aci_manifest("", "example.com/group/app"), {"x"});

/// Finds "NAME:VERSION,..." with these options; empty, or what went wrong.
template <class Fetch = any_host, class Check = no_signature>
std::string find(const Fetch& by, const std::string& name, discovery_options options = {}, Check check = {}) {
  static const support::temporary_directory scratch;
  discoverer<Fetch, Check> all(by, check, std::move(options), scratch.path());
  const auto found = all.find(parse_appc_location(name).value(), amd64);
  return found.ok() ? found->where : std::string(message(found.status()));
}

std::string page(const std::string& prefix, const std::string& url) {
  return R"(<html><head><meta name="ac-discovery" content=")" + prefix + ' ' + url + R"("></head></html>)";
}

}  // namespace

TEST_CASE("discoverer: simple discovery asks the prefixes in their order") {
  web net;
  net.content["/https/b.org/aci/example.com/group/app-1.0-linux-amd64.aci"] = image;
  discovery_options options;
  options.prefixes = {"https://", "https://b.org/aci/"};
  CHECK(find(any_host(net), "example.com/group/app:1.0", options).find("its label version is 'missing'") !=
        std::string::npos);
  const std::string versioned = R"("labels":[{"name":"version","value":"1.0"}])";
  net.content["/https/b.org/aci/example.com/group/app-1.0-linux-amd64.aci"] =
      aci_tar(aci_manifest(versioned, "example.com/group/app"), {});
  CHECK(find(any_host(net), "example.com/group/app:1.0", options) ==
        "https://b.org/aci/example.com/group/app-1.0-linux-amd64.aci");
  CHECK(net.asked().at(0) == "/https/example.com/group/app-1.0-linux-amd64.aci");
}

TEST_CASE("discoverer: meta discovery climbs until a page knows the image") {
  web net;
  net.statuses["/https/example.com/group/app?ac-discovery=1"] = 403;
  net.content["/https/example.com/group?ac-discovery=1"] = page("other.org", "https://x.org/{name}.{ext}");
  net.content["/https/example.com?ac-discovery=1"] =
      page("example.com", "https://files.org/{name}/{version}-{os}-{arch}.{ext}");
  net.content["/https/files.org/example.com/group/app/latest-linux-amd64.aci"] = image;
  CHECK(find(any_host(net), "example.com/group/app") ==
        "https://files.org/example.com/group/app/latest-linux-amd64.aci");
  CHECK(net.asked() == strings{"/https/example.com/group/app-latest-linux-amd64.aci",
                               "/https/example.com/group/app?ac-discovery=1", "/https/example.com/group?ac-discovery=1",
                               "/https/example.com?ac-discovery=1",
                               "/https/files.org/example.com/group/app/latest-linux-amd64.aci"});
  discovery_options options;
  options.meta = false;
  CHECK(find(any_host(net), "example.com/group/app", options).find("answered with status 404") != std::string::npos);
}

TEST_CASE("discoverer: what is at one place and is no such image does not hide what is at the next") {
  web net;
  net.content["/https/example.com/group/app-latest-linux-amd64.aci"] = "<html>welcome</html>";
  net.content["/https/example.com/group/app?ac-discovery=1"] =
      page("example.com/group", "https://a.org/{name}.{ext}") + page("example.com", "https://b.org/{name}.{ext}");
  net.content["/https/a.org/example.com/group/app.aci"] = aci_tar(aci_manifest("", "example.com/other"), {});
  net.content["/https/b.org/example.com/group/app.aci"] = image;
  CHECK(find(any_host(net), "example.com/group/app") == "https://b.org/example.com/group/app.aci");
  net.content["/https/b.org/example.com/group/app.aci"] = image.substr(0, 700);
  const std::string said = find(any_host(net), "example.com/group/app");
  CHECK(said.find(
            "find image 'example.com/group/app': read ACI 'https://example.com/group/app-latest-linux-amd64.aci': ") ==
        0);
  CHECK(said.find("its name is 'example.com/other', expected 'example.com/group/app'") != std::string::npos);
  CHECK(said.find("read ACI 'https://b.org/example.com/group/app.aci': ") != std::string::npos);
}

TEST_CASE("discoverer: plain HTTP only where it was allowed, in prefixes and in pages") {
  web net;
  net.content["/https/example.com?ac-discovery=1"] = page("example.com", "http://a.org/{name}.{ext}");
  net.content["/http/a.org/example.com/group/app.aci"] = image;
  net.content["/http/example.com?ac-discovery=1"] = page("example.com", "http://a.org/{name}.{ext}");
  discovery_options options;
  options.prefixes = {"http://a.org/"};
  const std::string said = find(any_host(net), "example.com/group/app", options);
  CHECK(said.find("fetch 'http://a.org/example.com/group/app-latest-linux-amd64.aci': plain HTTP was not allowed") !=
        std::string::npos);
  for (const auto& each : net.asked()) CHECK(each.starts_with("/https/"));
  options.allow_http = true;
  CHECK(find(any_host(net), "example.com/group/app", options) == "http://a.org/example.com/group/app.aci");
  net.content.erase("/https/example.com?ac-discovery=1");
  CHECK(find(any_host(net), "example.com/group/app", options) == "http://a.org/example.com/group/app.aci");
}

TEST_CASE("discoverer: real HTTP, through a prefix that says where") {
  web net;
  net.content["/example.com/group/app-latest-linux-amd64.aci"] = support::gzip(image);
  discovery_options options;
  options.prefixes = {net.server.url("/")};
  options.meta = false;
  options.allow_http = true;
  using all = fetch::any_of<fetch::file, fetch::http<fetch::curl>>;
  CHECK(find(all(), "example.com/group/app", options) ==
        options.prefixes[0] + "example.com/group/app-latest-linux-amd64.aci");
  options.prefixes.insert(options.prefixes.begin(), "s3://bucket/");
  options.allow_http = false;
  const std::string said = find(all(), "example.com/group/app", options);
  CHECK(said.find("this program fetches no 's3:'; ") != std::string::npos);
  CHECK(said.find("plain HTTP was not allowed") != std::string::npos);
}

TEST_CASE("discoverer: what comes is bounded: pages, images, all images together") {
  web net;
  net.content["/https/example.com/group/app-latest-linux-amd64.aci"] = image;
  net.content["/https/big.org/app?ac-discovery=1"] = std::string((1 << 20) + 1, ' ');
  discovery_options options;
  options.most_transferred = {image.size() - 1};
  const std::string large = find(any_host(net), "example.com/group/app", options);
  CAPTURE(large);
  CHECK(large.find(mortise::concat(image.size())) != std::string::npos);
  CHECK(find(any_host(net), "big.org/app", options).find("1048576") != std::string::npos);
  options.most_transferred = {image.size()};
  CHECK(find(any_host(net), "example.com/group/app", options).starts_with("https://"));
  const support::temporary_directory scratch;
  discoverer<any_host, no_signature> both(any_host(net), {}, options, scratch.path());
  const auto wanted = parse_appc_location("example.com/group/app").value();
  CHECK(both.find(wanted, amd64).ok());
  CHECK(both.find(wanted, amd64).status().code() == absl::StatusCode::kResourceExhausted);
  dependency sized = wanted;
  sized.size = 100;
  discoverer<any_host, no_signature> small(any_host(net), {}, {}, scratch.path());
  CHECK(small.find(sized, amd64).status().code() == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("discoverer: a signature is asked for by those who want one, from beside the image, and decides") {
  struct wants_word {
    [[nodiscard]] bool is_needed() const { return true; }
    absl::Status operator()(const mortise::model::ac_identifier& name, const mortise::image::file_section& aci,
                            const signature_text& ask) const {
      MORTISE_ASSIGN_OR_RETURN(const std::string text, ask());
      if (text == mortise::concat("good ", name.text(), ' ', aci.size)) return absl::OkStatus();
      return mortise::error(absl::StatusCode::kPermissionDenied, "not signed so");
    }
  };
  web net;
  const std::string at = "/https/example.com/group/app-latest-linux-amd64.aci";
  net.content[at] = image;
  discovery_options options;
  options.meta = false;
  CHECK(find(any_host(net), "example.com/group/app", options).starts_with("https://"));
  CHECK(net.asked().size() == 1);
  const auto signed_only = [&] { return find(any_host(net), "example.com/group/app", options, wants_word()); };
  CHECK(signed_only().find("answered with status 404") != std::string::npos);
  net.content[at + ".asc"] = "bad";
  CHECK(signed_only() == "find image 'example.com/group/app': not signed so");
  net.content[at + ".asc"] = mortise::concat("good example.com/group/app ", image.size());
  CHECK(signed_only().starts_with("https://"));
  net.content[at + ".asc"] = std::string((64 << 10) + 1, ' ');
  CHECK(signed_only().find("65536") != std::string::npos);
}

TEST_CASE("discoverer: once cancelled it asks nobody, and says so") {
  web net;
  net.content["/https/example.com/group/app-latest-linux-amd64.aci"] = image;
  const std::atomic<bool> cancelled = true;
  discovery_options options;
  options.cancelled = &cancelled;
  CHECK(find(any_host(net), "example.com/group/app", options) == "find image 'example.com/group/app': cancelled");
  CHECK(net.asked().empty());
}

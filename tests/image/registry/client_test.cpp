// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/registry/client.hpp>

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <image/registry/fake_registry.hpp>
#include <mortise/digest/openssl.hpp>
#include <string>
#include <string_view>
#include <support/fork.hpp>
#include <thread>
#include <vector>

using absl::StatusCode;
using mortise::message;
using support::blob_of;
using support::client_of;
using support::collect;
using support::fake_registry;
using support::http_connection;
using support::http_request;
using support::test_options;
namespace media = mortise::image::media;

namespace {

using words = std::vector<std::string>;

/// What a pull of `rest` of the fake's repository finds.
absl::StatusOr<mortise::model::descriptor> find(const fake_registry& from, const std::string& rest = ":latest") {
  return client_of(from.name(rest), test_options({from.server.host()}))->find_manifest();
}

/// All of a blob.
absl::Status pull(const fake_registry& from, const mortise::model::descriptor& blob, collect& into) {
  return client_of(from.name(), test_options({from.server.host()}))
      ->blob(blob, blob.size, {0, blob.size}, into, nullptr);
}

bool has(const absl::Status& status, std::string_view part) {
  return message(status).find(part) != std::string_view::npos;
}

constexpr std::string_view no_manifest = R"({"schemaVersion":2,"mediaType":"x/y"})";

}  // namespace

TEST_CASE("registry client: a tag is resolved by HEAD and pulled by digest") {
  fake_registry here;
  const std::string manifest = here.put_image({support::plain_layer("tar")});
  const auto client = client_of(here.name(), test_options({here.server.host()}));
  const auto found = client->find_manifest();
  REQUIRE_MESSAGE(found.ok(), message(found.status()));
  CHECK(found->digest.text() == support::sha256(manifest));
  CHECK(found->type == media::oci_manifest);
  CHECK(found->size == manifest.size());
  CHECK_FALSE(found->data);
  CHECK(client->document(*found).value() == manifest);
  CHECK(here.asked() == words{"HEAD manifests/latest", "GET manifests/" + support::sha256(manifest)});
  const auto asked = here.server.requests().front();
  for (const std::string_view type :
       {media::oci_index, media::oci_manifest, media::docker_index, media::docker_manifest})
    CHECK(asked.field("accept").find(type) != std::string::npos);
  CHECK(asked.field("accept").find("v1+prettyjws") == std::string::npos);
  CHECK(asked.field("accept-encoding") == "identity");
  CHECK(asked.field("user-agent") == "mortise");
}

TEST_CASE("registry client: what HEAD does not say, GET does") {
  std::string kind;
  fake_registry here([&kind](const http_request& asked, http_connection& to) {
    if (asked.method != "HEAD") return false;
    const std::string digest = support::sha256(no_manifest);
    const std::string type(media::oci_manifest);
    if (kind == "405") to.answer(405, {}, "");
    if (kind == "404") to.answer(404, {}, "");
    if (kind == "no digest") to.answer(200, {{"Content-Type", type}}, no_manifest);
    if (kind == "bad digest")
      to.answer(200, {{"Content-Type", type}, {"Docker-Content-Digest", "sha256:../../etc"}}, no_manifest);
    if (kind == "no type") to.answer(200, {{"Docker-Content-Digest", digest}}, no_manifest);
    if (kind == "no size") {
      to.send_head(200, {{"Content-Type", type}, {"Docker-Content-Digest", digest}});
      to.drop();
    }
    if (kind == "empty") to.answer(200, {{"Content-Type", type}, {"Docker-Content-Digest", digest}}, "");
    if (kind == "html") to.answer(200, {{"Content-Type", "text/html"}, {"Docker-Content-Digest", digest}}, "hello");
    return true;
  });
  const std::string manifest = here.put_image({support::plain_layer("tar")});
  for (const char* const each : {"405", "404", "no digest", "bad digest", "no type", "no size", "empty", "html"}) {
    kind = each;
    CAPTURE(each);
    here.server.forget();
    const auto found = find(here);
    REQUIRE_MESSAGE(found.ok(), message(found.status()));
    CHECK(found->digest.text() == support::sha256(manifest));
    CHECK(found->data == manifest);
    CHECK(here.asked() == words{"HEAD manifests/latest", "GET manifests/latest"});
  }
}

TEST_CASE("registry client: a digest is asked for at once, with a tag or without") {
  fake_registry here;
  const std::string manifest = here.put_image({support::plain_layer("tar")});
  for (const std::string& rest : {"@" + support::sha256(manifest), ":other@" + support::sha256(manifest)}) {
    here.server.forget();
    const auto found = find(here, rest);
    REQUIRE_MESSAGE(found.ok(), message(found.status()));
    CHECK(found->data == manifest);
    CHECK(here.asked() == words{"GET manifests/" + support::sha256(manifest)});
  }
}

TEST_CASE("registry client: refusals say what and why") {
  int status = 404;
  std::string body;
  fake_registry here([&](const http_request&, http_connection& to) {
    to.answer(status, {{"Retry-After", "0"}}, std::string(body));
    return true;
  });
  const auto refused = [&](int with, const std::string& errors) {
    status = with;
    body = errors;
    return find(here, ":1").status();
  };
  const std::string action = "pull " + here.server.host() + "/app:1: " + here.server.host() + ": ";
  auto out = refused(404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})");
  CHECK(out.code() == StatusCode::kNotFound);
  CHECK(message(out) == action + "manifest unknown (check the tag)");
  out = refused(404, R"({"errors":[{"code":"NAME_UNKNOWN"}]})");
  CHECK(out.code() == StatusCode::kNotFound);
  out = refused(403, R"({"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]})");
  CHECK(out.code() == StatusCode::kPermissionDenied);
  CHECK(has(out, "log in"));
  out = refused(500, "<html>\x1b[31mno JSON</html>");
  CHECK(out.code() == StatusCode::kUnavailable);
  CHECK_FALSE(has(out, "\x1b"));
  out = refused(401, "");
  CHECK(out.code() == StatusCode::kUnauthenticated);
  here.server.forget();
  out = refused(429, R"({"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]})");
  CHECK(out.code() == StatusCode::kResourceExhausted);
  CHECK(here.server.count() == 3);  // tries, of the HEAD only
}

TEST_CASE("registry client: 429 with Retry-After is waited for") {
  std::atomic<int> refusals = 2;
  fake_registry here([&](const http_request&, http_connection& to) {
    if (refusals-- <= 0) return false;
    to.answer(429, {{"Retry-After", "1"}}, "");
    return true;
  });
  here.put_image({support::plain_layer("tar")});
  auto options = test_options({here.server.host()});
  options.retry.longest_asked = std::chrono::milliseconds(150);
  const auto begin = std::chrono::steady_clock::now();
  const auto found = client_of(here.name(), options)->find_manifest();
  CHECK_MESSAGE(found.ok(), message(found.status()));
  CHECK(std::chrono::steady_clock::now() - begin >= std::chrono::milliseconds(300));
  CHECK(here.server.count() == 3);
}

TEST_CASE("registry client: a manifest that is not what was asked for is refused") {
  fake_registry here;
  const std::string good = here.put_image({support::plain_layer("tar")});
  const std::string digest = support::sha256(good);
  SUBCASE("its bytes have another digest than the reference") {
    here.manifests[digest].text += ' ';
    here.first = [&](const http_request& asked, http_connection& to) {
      if (asked.method == "GET") to.answer(200, {{"Content-Type", std::string(media::oci_manifest)}}, good + " ");
      return asked.method == "GET";
    };
    const auto out = find(here, "@" + digest).status();
    CHECK(out.code() == StatusCode::kDataLoss);
    CHECK(has(out, "the manifest's digest is " + support::sha256(good + " ") + ", expected " + digest));
  }
  SUBCASE("its bytes have another digest than HEAD said") {
    here.manifests[digest].text += ' ';
    here.manifests["latest"] = {good, std::string(media::oci_manifest)};
    const auto client = client_of(here.name(), test_options({here.server.host()}));
    const auto found = client->find_manifest();
    REQUIRE(found.ok());
    here.manifests[digest].text = std::string(good).replace(2, 1, "S");
    CHECK(client->document(*found).status().code() == StatusCode::kDataLoss);
  }
  SUBCASE("the header names another digest") {
    here.first = [&](const http_request& asked, http_connection& to) {
      if (asked.method == "HEAD") return false;
      to.answer(200,
                {{"Content-Type", std::string(media::oci_manifest)}, {"Docker-Content-Digest", support::sha256("x")}},
                std::string(good));
      return true;
    };
    CHECK(find(here, "@" + digest).status().code() == StatusCode::kDataLoss);
    const auto client = client_of(here.name(), test_options({here.server.host()}));
    CHECK(client->document(client->find_manifest().value()).status().code() == StatusCode::kDataLoss);
  }
  SUBCASE("by tag, the header names another digest than the body has") {
    here.first = [&](const http_request& asked, http_connection& to) {
      if (asked.method == "HEAD") return to.answer(405, {}, ""), true;
      to.answer(200,
                {{"Content-Type", std::string(media::oci_manifest)}, {"Docker-Content-Digest", support::sha256("x")}},
                std::string(good));
      return true;
    };
    CHECK(find(here).status().code() == StatusCode::kDataLoss);
  }
}

TEST_CASE("registry client: CVE-2021-41190, a manifest sent as another type is refused") {
  fake_registry here([](const http_request& asked, http_connection& to) {
    if (asked.method == "HEAD") to.answer(405, {}, "");
    return asked.method == "HEAD";
  });
  const std::string good = here.put_image({support::plain_layer("tar")});
  here.put(good, media::oci_index, "latest");
  const auto out = find(here).status();
  CHECK(out.code() == StatusCode::kInvalidArgument);
  CHECK(has(out,
            "it calls itself application/vnd.oci.image.manifest.v1+json and was sent as "
            "application/vnd.oci.image.index.v1+json"));
  // Types that say nothing leave it to the document.
  for (const char* const type : {"application/json", "text/plain; charset=utf-8", "application/octet-stream"}) {
    here.put(good, type, "latest");
    CHECK(find(here).value().type == media::oci_manifest);
  }
  here.put(good, std::string(media::oci_manifest) + "; charset=utf-8", "latest");
  CHECK(find(here).value().type == media::oci_manifest);
}

TEST_CASE("registry client: CVE-2021-41190, an index that is a manifest as well is refused when it is resolved") {
  fake_registry here;
  const std::string both = mortise::concat(R"({"schemaVersion":2,"manifests":[],"layers":[],"config":)",
                                           support::descriptor(media::oci_config, "{}"), "}");
  here.put(both, media::oci_index, "latest");
  const auto found = find(here);
  REQUIRE(found.ok());
  const auto parsed = mortise::image::oci::parse_manifest(both, "m", found->type);
  CHECK(parsed.status().code() == StatusCode::kInvalidArgument);
}

TEST_CASE("registry client: CVE-2020-1702, a manifest of any claimed or real size costs no memory") {
  std::atomic<std::uint64_t> sent = 0;
  std::string kind;
  fake_registry here([&](const http_request& asked, http_connection& to) {
    const std::string type(media::oci_manifest);
    if (kind == "claimed") {
      to.send_head(
          200,
          {{"Content-Type", type}, {"Docker-Content-Digest", support::sha256("x")}, {"Content-Length", "5368709120"}});
      if (asked.method == "GET") to.send("{}");
      return to.drop(), true;
    }
    if (asked.method == "HEAD") return to.answer(405, {}, ""), true;
    to.send_head(200, {{"Content-Type", type}, {"Transfer-Encoding", "chunked"}});
    const std::string chunk = "10000\r\n" + std::string(0x10000, ' ') + "\r\n";
    while (sent < (std::uint64_t{1} << 30) && to.send(chunk)) sent += chunk.size();
    return to.drop(), true;
  });
  for (const char* const each : {"claimed", "real"}) {
    kind = each;
    CAPTURE(each);
    const auto out = find(here).status();
    CHECK_MESSAGE(out.code() == StatusCode::kResourceExhausted, message(out));
  }
  CHECK(sent < (std::uint64_t{32} << 20));
  // A descriptor that claims much is not even asked for.
  here.server.forget();
  auto blob = blob_of("x", media::oci_config);
  blob.size = std::uint64_t{5} << 30;
  CHECK(client_of(here.name(), test_options({here.server.host()}))->document(blob).status().code() ==
        StatusCode::kResourceExhausted);
  CHECK(here.server.count() == 0);
}

TEST_CASE("registry client: an error body without end is cut") {
  std::atomic<std::uint64_t> sent = 0;
  fake_registry here([&](const http_request&, http_connection& to) {
    to.send_head(404, {{"Transfer-Encoding", "chunked"}});
    const std::string chunk = "10000\r\n" + std::string(0x10000, 'x') + "\r\n";
    while (sent < (std::uint64_t{1} << 30) && to.send(chunk)) sent += chunk.size();
    return to.drop(), true;
  });
  CHECK(find(here, "@" + support::sha256("x")).status().code() == StatusCode::kNotFound);
  CHECK(sent < (std::uint64_t{32} << 20));
}

TEST_CASE("registry client: documents are verified before they are given out") {
  fake_registry here;
  const auto client = client_of(here.name(), test_options({here.server.host()}));
  const std::string config = here.put_blob(R"({"os":"linux"})");
  const auto blob = blob_of(config, media::oci_config);
  CHECK(client->document(blob).value() == config);
  for (const std::string& other : {std::string(R"({"os":"linuX"})"), std::string("{}"), config + " "}) {
    here.blobs[blob.digest.text()] = other;
    const auto out = client->document(blob).status();
    CHECK_MESSAGE((out.code() == StatusCode::kDataLoss || out.code() == StatusCode::kResourceExhausted), message(out));
  }
  here.blobs.clear();
  CHECK(client->document(blob).status().code() == StatusCode::kNotFound);
}

TEST_CASE("registry client: a blob, and parts of it") {
  fake_registry here;
  const std::string content = here.put_blob(support::numbered_bytes(300'000));
  const auto blob = blob_of(content);
  collect whole;
  const absl::Status got = pull(here, blob, whole);
  CHECK_MESSAGE(got.ok(), message(got));
  CHECK((whole.text == content));
  CHECK_FALSE(here.server.requests().back().has("range"));
  const auto client = client_of(here.name(), test_options({here.server.host()}));
  const std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges = {
      {0, 1}, {0, 1000}, {7, 8}, {1000, 200'000}, {299'999, 300'000}, {5, 300'000}};
  for (const auto& [first, last] : ranges) {
    collect part;
    CHECK(client->blob(blob, blob.size, {first, last}, part, nullptr).ok());
    CHECK((part.text == content.substr(first, last - first)));
    CHECK(part.about.offset == first);
    CHECK(part.begun == 1);
    CHECK(here.server.requests().back().field("range") == mortise::concat("bytes=", first, '-', last - 1));
  }
  collect nothing;
  CHECK(client->blob(blob, blob.size, {300'000, 300'000}, nothing, nullptr).ok());
  CHECK(nothing.begun == 1);
  const std::string empty = here.put_blob("");
  CHECK(client->blob(blob_of(empty), 0, {0, 0}, nothing, nullptr).ok());
  CHECK(nothing.text.empty());
}

TEST_CASE("registry client: a part of a blob where the server ignores ranges is not to be had") {
  const std::string content = support::numbered_bytes(10'000);
  fake_registry here([&](const http_request&, http_connection& to) { return to.answer(200, {}, content), true; });
  const auto client = client_of(here.name(), test_options({here.server.host()}));
  const auto blob = blob_of(content);
  for (const auto& range : {mortise::image::origin::byte_range{0, 100}, mortise::image::origin::byte_range{100, 200},
                            mortise::image::origin::byte_range{100, 10'000}}) {
    collect part;
    CHECK(client->blob(blob, blob.size, range, part, nullptr).code() == StatusCode::kUnimplemented);
    CHECK(part.begun == 0);
  }
  collect whole;
  CHECK(client->blob(blob, blob.size, {0, blob.size}, whole, nullptr).ok());
  CHECK((whole.text == content));
}

TEST_CASE("registry client: a blob whose connection breaks is gone on with") {
  const std::string content = support::numbered_bytes(200'000);
  std::atomic<int> drops = 2;
  fake_registry here([&](const http_request& asked, http_connection& to) {
    if (drops-- <= 0) return false;
    const std::string range = asked.field("range");
    const std::size_t first = range.empty() ? 0 : std::stoull(range.substr(6));
    if (first == 0) {
      to.send_head(200, {{"Content-Length", "200000"}});
    } else {
      to.send_head(206, {{"Content-Length", std::to_string(200'000 - first)},
                         {"Content-Range", mortise::concat("bytes ", first, "-199999/200000")}});
    }
    to.send(std::string_view(content).substr(first, 50'000));
    return to.drop(), true;
  });
  here.put_blob(content);
  collect into;
  const absl::Status got = pull(here, blob_of(content), into);
  CHECK_MESSAGE(got.ok(), message(got));
  CHECK((into.text == content));
  CHECK(into.begun == 1);
  CHECK(here.server.count() == 3);
}

TEST_CASE("registry client: a blob that is too long or too short is not passed on as one") {
  const std::string content = support::numbered_bytes(10'000);
  std::string sent;
  fake_registry here(
      [&](const http_request&, http_connection& to) { return to.answer(200, {}, std::string(sent)), true; });
  for (const std::string& each : {content.substr(1), content + "more"}) {
    sent = each;
    collect into;
    const absl::Status got = pull(here, blob_of(content), into);
    CHECK_MESSAGE((got.code() == StatusCode::kDataLoss || got.code() == StatusCode::kResourceExhausted), message(got));
    CHECK(into.text.size() <= content.size());
  }
}

TEST_CASE("registry client: what the sink says ends the pull, in its own words") {
  class full_sink : public mortise::fetch::sink {
   public:
    absl::Status begin(const mortise::fetch::response&) override { return absl::OkStatus(); }
    absl::Status write(std::span<const std::byte>) override { return absl::ResourceExhaustedError("no space left"); }
  } full;
  fake_registry here;
  const std::string content = here.put_blob(support::numbered_bytes(1000));
  const auto client = client_of(here.name(), test_options({here.server.host()}));
  const absl::Status got = client->blob(blob_of(content), content.size(), {0, content.size()}, full, nullptr);
  CHECK(got.code() == StatusCode::kResourceExhausted);
  CHECK(has(got, "no space left"));
  CHECK(here.server.count() == 1);
}

TEST_CASE("registry client: cancelling ends a pull at once") {
  fake_registry here([](const http_request&, http_connection& to) {
    to.send_head(200, {{"Content-Length", "1000"}});
    return to.stall(), true;
  });
  std::atomic<bool> cancelled = false;
  const auto client = client_of(here.name(), test_options({here.server.host()}));
  std::thread canceller([&cancelled] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    cancelled = true;
  });
  collect into;
  const auto begin = std::chrono::steady_clock::now();
  auto blob = blob_of("x");
  blob.size = 1000;
  CHECK(client->blob(blob, blob.size, {0, blob.size}, into, &cancelled).code() == StatusCode::kCancelled);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(1));
  canceller.join();
  // The program's own flag ends what has none.
  auto options = test_options({here.server.host()});
  options.cancelled = &cancelled;
  CHECK(client_of(here.name(), options)->find_manifest().status().code() == StatusCode::kCancelled);
}

TEST_CASE("registry client: blobs by several threads at once") {
  fake_registry here;
  const std::string content = here.put_blob(support::numbered_bytes(400'000));
  const auto client = client_of(here.name(), test_options({here.server.host()}));
  std::vector<collect> parts(8);
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (std::size_t each = 0; each < parts.size(); ++each)
    threads.emplace_back([&, each] {
      const std::uint64_t first = each * 50'000;
      good +=
          client->blob(blob_of(content), content.size(), {first, first + 50'000}, parts[each], nullptr).ok() ? 1 : 0;
    });
  for (std::thread& each : threads) each.join();
  CHECK(good == 8);
  std::string all;
  for (const collect& each : parts) all += each.text;
  CHECK((all == content));
}

TEST_CASE("registry client: warnings are heard once each and cleaned") {
  fake_registry here([](const http_request&, http_connection& to) {
    return to.answer(200,
                     {{"Content-Type", std::string(media::oci_manifest)},
                      {"Docker-Content-Digest", support::sha256("x")},
                      {"Warning", "299 - \"this image is old\""},
                      {"Warning", "299 - \"see \\\"there\\\"\""},
                      {"Warning", "199 - \"not for us\""},
                      {"Warning", "299 - \"" + std::string(5000, 'x') + "\""}},
                     "x"),
           true;
  });
  auto options = test_options({here.server.host()});
  words heard;
  options.warn = [&heard](std::string_view text) { heard.emplace_back(text); };
  const auto client = client_of(here.name(), options);
  CHECK(client->find_manifest().ok());
  CHECK(client->find_manifest().ok());
  CHECK(heard == words{here.server.host() + ": this image is old", here.server.host() + ": see \"there\""});
}

TEST_CASE("registry client: tags come page by page") {
  std::string next;
  fake_registry here([&next](const http_request& asked, http_connection& to) {
    if (asked.query() == "n=2&last=b") return to.answer(200, {}, R"({"tags":["c","-no tag"]})"), true;
    to.answer(200, {{"Link", next}}, R"({"name":"app","tags":["a","b"]})");
    return true;
  });
  const auto list = [&](const std::string& link) {
    next = link;
    here.server.forget();
    return client_of(here.name(), test_options({here.server.host()}))->tags();
  };
  auto tags = list("</v2/app/tags/list?n=2&last=b>; rel=\"next\"");
  REQUIRE_MESSAGE(tags.ok(), message(tags.status()));
  REQUIRE(tags->size() == 3);
  CHECK(tags->back().text() == "c");
  CHECK(here.server.count() == 2);
  // To another server, which would get our token, and round in a circle.
  CHECK(list("<http://127.0.0.1:1/v2/app/tags/list?last=b>; rel=next").status().code() ==
        StatusCode::kPermissionDenied);
  CHECK(here.server.count() == 1);
  CHECK(list("</v2/app/tags/list>; rel=next").status().code() == StatusCode::kInvalidArgument);
  CHECK(list("").value().size() == 2);
}

TEST_CASE("registry client: lists that go round and never name anything are not followed for long") {
  const std::string padding(std::size_t{7} << 20, 'x');
  const std::string tags = R"({"x":")" + padding + R"("})";
  const std::string index = R"({"schemaVersion":2,"manifests":[],"x":")" + padding + R"("})";
  fake_registry here([&](const http_request& asked, http_connection& to) {
    const bool referrers = asked.target.find("/referrers/") != std::string::npos;
    const std::string next = asked.query() == "at=1" ? "<?at=2>; rel=next" : "<?at=1>; rel=next";
    return to.answer(200, {{"Link", next}}, referrers ? index : tags), true;
  });
  const auto outcome = support::in_child({.cpu_seconds = 20}, [&] {
    const auto client = client_of(here.name("@sha256:" + std::string(64, 'a')), test_options({here.server.host()}));
    return mortise::concat(message(client->tags().status()), '\n', message(client->referrers().status()));
  });
  CHECK(outcome.text.find("more than 10000 pages, 1000000 tags or 67108864 bytes\n") != std::string::npos);
  CHECK(outcome.text.ends_with("more than 10000 referrers or 67108864 bytes"));
  CHECK(here.server.count() == 2 * 10);
}

TEST_CASE("registry client: referrers, by the API or by the tag that stands for it, filtered whoever filters") {
  const std::string hex(64, 'a');
  const auto entry = [](std::string_view type, char digit) {
    return mortise::concat(R"({"mediaType":"application/vnd.oci.image.manifest.v1+json","size":2,"digest":"sha256:)",
                           std::string(64, digit), R"(","artifactType":")", type, R"("})");
  };
  const std::string index =
      mortise::concat(R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json",)",
                      R"("manifests":[)", entry("a/sig", '1'), ',', entry("a/sbom", '2'), "]}");
  std::string answers;  // the last part of the path that is answered
  std::string body = index;
  fake_registry here([&](const http_request& asked, http_connection& to) {
    if (answers.empty() || asked.target.find(answers) == std::string::npos) return to.answer(404, {}, "{}"), true;
    return to.answer(200, {{"Content-Type", "application/vnd.oci.image.index.v1+json"}}, body), true;
  });
  const auto list = [&](std::string_view type = {}) {
    return client_of(here.name("@sha256:" + hex), test_options({here.server.host()}))->referrers(type);
  };
  CHECK(list().value().empty());
  for (const std::string& each : {"/referrers/sha256:" + hex, "/manifests/sha256-" + hex}) {
    answers = each;
    CHECK(list().value().size() == 2);
    REQUIRE(list("a/sbom").value().size() == 1);
    CHECK(list("a/sbom")->front().digest.hex() == std::string(64, '2'));
    CHECK(list("a/none").value().empty());
  }
  body = R"({"schemaVersion":2,"config":{},"layers":[]})";
  CHECK_FALSE(list().ok());
  body = std::string(100, '[');
  CHECK(list().status().code() == StatusCode::kResourceExhausted);
}

TEST_CASE("registry client: foreign layers come from their addresses, CVE-2020-15157 without credentials") {
  const std::string content = support::numbered_bytes(1000);
  fake_registry elsewhere(
      [&](const http_request& asked, http_connection& to) { return to.serve(asked, content), true; });
  fake_registry here([](const http_request& asked, http_connection& to) {
    if (asked.has("authorization")) return false;
    return to.answer(401, {{"WWW-Authenticate", "Basic realm=\"r\""}}, ""), true;
  });
  auto options = test_options({here.server.host()});
  options.logins = {
      {here.server.host(), {"user", mortise::image::distribution::secret(std::string_view("hunter2")), {}, {}}}};
  const auto client = client_of(here.name(), options);
  auto blob = blob_of(content, media::oci_foreign_layer);
  collect into;
  CHECK(client->blob(blob, blob.size, {0, blob.size}, into, nullptr).code() == StatusCode::kNotFound);
  CHECK(here.saw_credentials());
  blob.urls = {"file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:pw@127.0.0.1/x", elsewhere.server.url("/layer")};
  const absl::Status got = client->blob(blob, blob.size, {0, blob.size}, into, nullptr);
  CHECK_MESSAGE(got.ok(), message(got));
  CHECK((into.text == content));
  CHECK(elsewhere.server.count() == 1);
  CHECK_FALSE(elsewhere.saw_credentials());
  // Other layers have no business elsewhere.
  elsewhere.server.forget();
  auto plain = blob_of(content);
  plain.urls = blob.urls;
  CHECK_FALSE(client->blob(plain, plain.size, {0, plain.size}, into, nullptr).ok());
  CHECK(elsewhere.server.count() == 0);
}

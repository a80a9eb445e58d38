// SPDX-License-Identifier: Apache-2.0
#include <mortise/fetch/http.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <fetch/http_calls.hpp>
#include <mortise/fetch/any_of.hpp>
#include <mortise/fetch/file.hpp>
#include <support/http_server.hpp>
#include <thread>

namespace fetch = mortise::fetch;

namespace {

using namespace std::chrono_literals;
using fetching::call_to;
using fetching::code_of;
using fetching::http;
using fetching::noise;
using fetching::run;
using fetching::says;
static_assert(fetch::fetcher<http>);
static_assert(fetch::any_of<http, fetch::file>::schemes.size() == 4);

/// Answers credentials that it counts.
class secretary final : public fetch::authorizer {
 public:
  absl::StatusOr<std::vector<fetch::header>> headers_for(const fetch::uri& to) override {
    asked.push_back(fetch::to_string(to));
    if (!home || !fetch::same_origin(*home, to)) return std::vector<fetch::header>{};
    return std::vector<fetch::header>{{"Authorization", mortise::concat("Bearer ", version)}};
  }
  absl::StatusOr<bool> challenged(const fetch::uri&, const fetch::response& answer) override {
    ++challenges;
    field = std::string(fetch::field_of(answer.headers, "www-authenticate").value_or(""));
    ++version;
    return verdict;
  }

  std::optional<fetch::uri> home;
  absl::StatusOr<bool> verdict = true;
  int version = 0;
  int challenges = 0;
  std::string field;
  std::vector<std::string> asked;
};

/// A transport of the caller's own: tears its answer at every fourth byte.
struct tearing {
  static constexpr std::array<std::string_view, 1> schemes = {"tear"};

  static absl::StatusOr<fetch::response> exchange(const fetch::exchange& what, fetch::sink& into) {
    const std::string_view all = "0123456789";
    const auto range = fetch::field_of(what.headers, "range");
    const std::size_t first = range ? static_cast<std::size_t>(range->at(6) - '0') : 0;
    fetch::response out{.status = range ? 206 : 200, .total = all.size() - first};
    out.headers = {{"Content-Range", mortise::concat("bytes ", first, "-9/10")}};
    MORTISE_RETURN_IF_ERROR(into.begin(out));
    MORTISE_RETURN_IF_ERROR(into.write(std::as_bytes(std::span(all.substr(first, 4)))));
    if (first + 4 < all.size()) return absl::UnavailableError("torn");
    return out;
  }
};
static_assert(fetch::transport<tearing>);

}  // namespace

TEST_CASE("http: the rules are the same over any transport") {
  const fetch::http<tearing> fetcher;
  support::collect into;
  REQUIRE(fetcher.run(call_to("tear:x"), into).ok());
  CHECK(into.text == "0123456789");
  CHECK(into.begun == 1);
  const auto other = fetcher.run(call_to("http://127.0.0.1/"), into);
  CHECK(code_of(other) == absl::StatusCode::kUnimplemented);
  CHECK(says(other, "'http:'"));
}

TEST_CASE("http: a resource whole, from an offset, and a part of it") {
  const std::string all = noise(100'000);
  const support::http_server server(
      [&](const auto& asked, auto& to) { to.serve(asked, all, {{"Content-Type", "text/x"}}); });
  support::collect whole;
  auto what = call_to(server.url("/x?y"));
  auto out = run(what, whole);
  REQUIRE(out.ok());
  CHECK(out->about.status == 200);
  CHECK(out->about.total == all.size());
  CHECK(out->about.media_type == "text/x");
  CHECK(whole.text == all);
  CHECK(whole.begun == 1);

  support::collect rest;
  what.offset = 99'000;
  what.total = all.size();
  out = run(what, rest);
  REQUIRE(out.ok());
  CHECK(out->about.status == 206);
  CHECK(out->about.offset == 99'000);
  CHECK(out->about.total == all.size());
  CHECK(rest.text == all.substr(99'000));

  support::collect part;
  what.end = 99'010;
  out = run(what, part);
  REQUIRE(out.ok());
  CHECK(part.text == all.substr(99'000, 10));
  CHECK(part.about.total == all.size());

  const auto requests = server.requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[0].target == "/x?y");
  CHECK(!requests[0].has("range"));
  CHECK(requests[0].field("accept-encoding") == "identity");
  CHECK(requests[1].field("range") == "bytes=99000-");
  CHECK(requests[2].field("range") == "bytes=99000-99009");
}

TEST_CASE("http: HEAD has a size and no body, POST sends one") {
  const support::http_server server([](const auto& asked, auto& to) { to.answer(200, {}, asked.body + "0123456789"); });
  support::collect head;
  auto what = call_to(server.url());
  what.verb = fetch::method::head;
  what.limit = 5;  // of bytes that come
  const auto out = run(what, head);
  REQUIRE(out.ok());
  CHECK(out->about.total == 10);
  CHECK(head.text.empty());
  support::collect posted;
  what.verb = fetch::method::post;
  what.limit = 100;
  what.body = std::string("a\0b=", 4);
  REQUIRE(run(what, posted).ok());
  CHECK(posted.text == what.body + "0123456789");
  what.limit = 5;
  CHECK(code_of(run(what)) == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("http: a refusal is an answer whose body the sink never sees") {
  const support::http_server server([](const auto& asked, auto& to) {
    if (asked.path() == "/long") return to.answer(403, {}, std::string(fetch::most_error_bytes + 50'000, 'x'));
    if (asked.path() == "/torn") {
      to.send_head(404, {{"Content-Length", "100"}});
      to.send("half");
      return to.drop();
    }
    to.answer(404, {{"X-Reason", "none"}}, R"({"errors":[]})");
  });
  support::collect into;
  auto out = run(call_to(server.url()), into);
  REQUIRE(out.ok());
  CHECK(!out->ok());
  CHECK(out->about.status == 404);
  CHECK(out->error_body == R"({"errors":[]})");
  CHECK(fetch::field_of(out->about.headers, "x-reason") == "none");
  out = run(call_to(server.url("/long")), into);
  REQUIRE(out.ok());
  CHECK(out->error_body.size() == fetch::most_error_bytes);
  out = run(call_to(server.url("/torn")), into);
  REQUIRE(out.ok());
  CHECK(out->about.status == 404);
  CHECK(out->error_body == "half");
  CHECK(into.begun == 0);
  CHECK(into.text.empty());
  CHECK(server.count() == 3);
}

TEST_CASE("http: fetch() makes an error of a refusal, without the query") {
  std::atomic<int> status = 404;
  const support::http_server server([&](const auto&, auto& to) { to.answer(status, {}, "no"); });
  const http fetcher(fetch::curl(), {.retry = {.tries = 1}});
  support::collect into;
  const std::pair<int, absl::StatusCode> meanings[] = {
      {401, absl::StatusCode::kPermissionDenied},   {403, absl::StatusCode::kPermissionDenied},
      {404, absl::StatusCode::kNotFound},           {410, absl::StatusCode::kNotFound},
      {416, absl::StatusCode::kFailedPrecondition}, {418, absl::StatusCode::kFailedPrecondition},
      {429, absl::StatusCode::kUnavailable},        {500, absl::StatusCode::kUnavailable},
      {304, absl::StatusCode::kFailedPrecondition}};
  for (const auto& [each, code] : meanings) {
    CAPTURE(each);
    status = each;
    const auto out = fetcher.fetch(*fetch::parse_uri(server.url("/p?token=secret")), {}, into);
    CHECK(code_of(out) == code);
    CHECK(says(out, server.url("/p")));
    CHECK(says(out, std::to_string(each)));
    CHECK(!says(out, "secret"));
  }
}

TEST_CASE("http: redirects are followed, and their fragment and bodies forgotten") {
  const support::http_server server([](const auto& asked, auto& to) {
    const std::string path = asked.path();
    if (path.starts_with("/r")) return to.answer(std::stoi(path.substr(2)), {{"Location", "next/../end?q#f"}}, "moved");
    to.answer(200, {}, asked.target);
  });
  for (const int status : {301, 302, 303, 307, 308}) {
    CAPTURE(status);
    support::collect into;
    const auto out = run(call_to(server.url(mortise::concat("/r", status))), into);
    REQUIRE(out.ok());
    CHECK(into.text == "/end?q");
    CHECK(fetch::to_string(out->from) == server.url("/end?q"));
  }
  auto what = call_to(server.url("/r307"));
  what.verb = fetch::method::post;
  const auto out = run(what);
  REQUIRE(out.ok());
  CHECK(out->about.status == 307);
}

TEST_CASE("http: ten redirects and no more, no loop, nowhere else") {
  std::string elsewhere;
  const support::http_server server([&](const auto& asked, auto& to) {
    if (asked.path() == "/loop") return to.redirect(302, "/loop");
    if (asked.path() == "/nowhere") return to.answer(302, {}, "");
    if (asked.path() == "/away") return to.redirect(302, elsewhere);
    const int left = std::stoi(asked.target.substr(1));
    if (left == 0) return to.answer(200, {}, "end");
    to.redirect(302, mortise::concat('/', left - 1));
  });
  CHECK(run(call_to(server.url("/10"))).ok());
  CHECK(code_of(run(call_to(server.url("/11")))) == absl::StatusCode::kFailedPrecondition);
  CHECK(says(run(call_to(server.url("/loop"))), "10 redirects"));
  CHECK(says(run(call_to(server.url("/nowhere"))), "no Location"));
  for (const char* const each : {"file:///etc/passwd", "http+unix://%2Frun%2Fdocker.sock/images/json", "gopher://h/",
                                 "dict://127.0.0.1:11211/stat"}) {
    CAPTURE(each);
    elsewhere = each;
    CHECK(code_of(run(call_to(server.url("/away")))) == absl::StatusCode::kPermissionDenied);
  }
  for (const char* const each : {"http://user:secret@127.0.0.1/", "http://[", "//", "http://h/\x01"}) {
    CAPTURE(each);
    elsewhere = each;
    const auto out = run(call_to(server.url("/away")));
    CHECK(code_of(out) == absl::StatusCode::kFailedPrecondition);
    CHECK(!says(out, "secret"));
  }
}

TEST_CASE("http: credentials do not go to another port, and do not come back (CVE-2018-1000007, CVE-2022-27774)") {
  std::string home;
  const support::http_server other([&](const auto&, auto& to) { to.redirect(307, home + "/end"); });
  const support::http_server server([&](const auto& asked, auto& to) {
    if (asked.path() == "/end") return to.answer(200, {}, "end");
    if (asked.path() == "/near") return to.redirect(307, "/start");
    to.redirect(307, other.url());
  });
  home = server.url("");
  auto what = call_to(server.url("/near"));
  what.headers = {{"Authorization", "Basic secret"}, {"cookie", "secret"}, {"Accept", "x/y"}};
  secretary who;
  who.home = what.to;
  what.who = &who;
  REQUIRE(run(what).ok());
  const auto first = server.requests();
  REQUIRE(first.size() == 3);
  CHECK(first[0].field("authorization") == "Basic secret");
  CHECK(first[1].field("authorization") == "Basic secret");
  CHECK(first[1].field("cookie") == "secret");
  CHECK(first[2].field("authorization") == "Bearer 0");  // of the authorizer, who knows the place
  CHECK(!first[2].has("cookie"));
  const auto away = other.requests();
  REQUIRE(away.size() == 1);
  CHECK(!away[0].has("authorization"));
  CHECK(!away[0].has("cookie"));
  CHECK(away[0].field("accept") == "x/y");
}

TEST_CASE("http: an authorizer is asked again after a 401, three times at most") {
  std::atomic<int> wanted = 1;
  const support::http_server server([&](const auto& asked, auto& to) {
    if (asked.field("authorization") == mortise::concat("Bearer ", wanted.load())) return to.answer(200, {}, "in");
    to.answer(401, {{"WWW-Authenticate", "Bearer realm=\"x\""}}, "who?");
  });
  auto what = call_to(server.url());
  secretary who;
  who.home = what.to;
  what.who = &who;
  support::collect into;
  REQUIRE(run(what, into).ok());
  CHECK(into.text == "in");
  CHECK(who.challenges == 1);
  CHECK(who.field == "Bearer realm=\"x\"");

  wanted = 100;
  auto out = run(what);
  REQUIRE(out.ok());
  CHECK(out->about.status == 401);
  CHECK(out->error_body == "who?");
  CHECK(who.challenges == 1 + static_cast<int>(fetch::most_challenges));

  who.verdict = false;
  who.challenges = 0;
  CHECK(run(what)->about.status == 401);
  CHECK(who.challenges == 1);

  who.verdict = absl::UnavailableError("no token");
  const auto before = server.count();
  CHECK(code_of(run(what)) == absl::StatusCode::kUnavailable);
  CHECK(server.count() == before + 1);  // its own failures are not for us to repeat
}

TEST_CASE("http: what may pass is tried again, so often and no more") {
  std::atomic<int> status = 500;
  const support::http_server server([&](const auto&, auto& to) {
    if (status == 0) return to.drop();
    if (status == 1) return to.reset();
    to.answer(status, {}, "");
  });
  const std::pair<int, std::size_t> gets[] = {{500, 3}, {502, 3}, {503, 3}, {504, 3}, {408, 3}, {429, 3},
                                              {501, 1}, {400, 1}, {404, 1}, {0, 3},   {1, 3}};
  for (const auto& [each, tries] : gets) {
    CAPTURE(each);
    status = each;
    const auto before = server.count();
    const auto out = run(call_to(server.url()));
    CHECK(server.count() - before == tries);
    if (each > 1) CHECK(out->about.status == each);
    if (each <= 1) CHECK(code_of(out) == absl::StatusCode::kUnavailable);
  }
  const std::pair<int, std::size_t> posts[] = {{500, 1}, {503, 3}, {429, 3}, {0, 1}};
  for (const auto& [each, tries] : posts) {
    CAPTURE(each);
    status = each;
    const auto before = server.count();
    auto what = call_to(server.url());
    what.verb = fetch::method::post;
    (void)run(what);
    CHECK(server.count() - before == tries);
  }
  // Nobody listens there.
  std::string gone;
  {
    const support::http_server brief([](const auto&, auto& to) { to.drop(); });
    gone = brief.url();
  }
  CHECK(code_of(run(call_to(gone))) == absl::StatusCode::kUnavailable);
}

TEST_CASE("http: Retry-After is heeded, up to a bound, and cancelling ends the wait at once") {
  std::string after = "0";
  std::atomic<int> refused = 0;
  const support::http_server server([&](const auto&, auto& to) {
    if (refused++ % 2 == 0) return to.answer(429, {{"Retry-After", after}}, "");
    to.answer(200, {}, "ok");
  });
  const auto took = [&](const fetch::call& what) {
    const auto begin = std::chrono::steady_clock::now();
    CHECK(run(what)->ok());
    return std::chrono::steady_clock::now() - begin;
  };
  auto what = call_to(server.url());
  what.retry.first = what.retry.longest = 5s;
  CHECK(took(what) < 1s);
  what.retry.first = what.retry.longest = 1ms;
  after = "1";
  CHECK(took(what) >= 1s);
  after = "86400";
  what.retry.longest_asked = 50ms;
  CHECK(took(what) < 1s);

  what.retry.longest_asked = 60s;
  std::atomic<bool> cancelled = false;
  what.cancelled = &cancelled;
  std::thread other([&] {
    std::this_thread::sleep_for(100ms);
    cancelled = true;
  });
  const auto begin = std::chrono::steady_clock::now();
  CHECK(code_of(run(what)) == absl::StatusCode::kCancelled);
  CHECK(std::chrono::steady_clock::now() - begin < 1s);
  other.join();

  what.cancelled = nullptr;
  what.retry.deadline = 10s;  // which a wait of a minute would miss: the answer is the 429
  refused = 0;
  CHECK(run(what)->about.status == 429);
}

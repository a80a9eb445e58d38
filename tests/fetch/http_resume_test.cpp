// SPDX-License-Identifier: Apache-2.0
#include <mortise/fetch/http.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <fetch/http_calls.hpp>
#include <mortise/digest/openssl.hpp>
#include <support/http_server.hpp>
#include <thread>

namespace fetch = mortise::fetch;

namespace {

using namespace std::chrono_literals;
using fetching::call_to;
using fetching::code_of;
using fetching::noise;
using fetching::run;
using fetching::says;

/// Where a request's range begins.
std::size_t first_of(const support::http_request& asked) {
  const std::string range = asked.field("range");
  return range.empty() ? 0 : std::stoull(range.substr(6));
}

/// An honest head for what follows `first`, and then `sent` bytes of it only.
void tear(support::http_connection& to, std::string_view all, std::size_t first, std::size_t sent) {
  support::http_fields fields = {{"Content-Length", std::to_string(all.size() - first)}};
  if (first > 0)
    fields.emplace_back("Content-Range", mortise::concat("bytes ", first, '-', all.size() - 1, '/', all.size()));
  to.send_head(first > 0 ? 206 : 200, fields);
  to.send(all.substr(first, sent));
  if (sent < all.size() - first) to.drop();
}

/// Serves the first half of everything, and then what `then` says.
template <class Then>
auto half_and_then(const std::string& all, Then then) {
  return [&all, then](const support::http_request& asked, support::http_connection& to) {
    if (asked.has("range")) return then(asked, to);
    tear(to, all, 0, all.size() / 2);
  };
}

}  // namespace

TEST_CASE("http: a body goes on where the connection broke, checked by its digest") {
  const std::string all = noise(1'000'000);
  std::atomic<unsigned> asked_for = 0;
  const support::http_server server([&](const auto& asked, auto& to) {
    const unsigned number = ++asked_for;
    if (number % 4 == 0) return to.answer(503, {}, "");
    tear(to, all, first_of(asked), 150'001);
  });
  support::collect into;
  auto what = call_to(server.url());
  what.total = all.size();
  const auto out = run(what, into);
  REQUIRE(out.ok());
  CHECK(out->about.status == 200);
  CHECK(into.begun == 1);
  CHECK(asked_for == 9);
  CHECK(into.text.size() == all.size());
  CHECK(mortise::digest::of(into.text) == mortise::digest::of(all));
}

TEST_CASE("http: without progress a body is given up, and what came stays with the sink") {
  const std::string all = noise(10'000);
  const support::http_server server(half_and_then(all, [](const auto&, auto& to) { to.drop(); }));
  support::collect into;
  const auto out = run(call_to(server.url()), into);
  CHECK(code_of(out) == absl::StatusCode::kUnavailable);
  CHECK(into.text == all.substr(0, 5'000));
  // The first, which made progress and so began the count, and two more.
  CHECK(server.count() == 3);
}

TEST_CASE("http: a server that forgets ranges in the middle is heard from its beginning, the sink is not") {
  const std::string all = noise(300'000);
  const support::http_server server(half_and_then(all, [&](const auto&, auto& to) { to.answer(200, {}, all); }));
  support::collect into;
  REQUIRE(run(call_to(server.url()), into).ok());
  CHECK(into.text == all);
  CHECK(into.begun == 1);
}

TEST_CASE("http: a server without ranges serves an offset, and refuses a part in time") {
  const std::string all = noise(300'000);
  const support::http_server server([&](const auto&, auto& to) { to.answer(200, {}, all); });
  auto what = call_to(server.url());
  what.offset = 299'990;
  support::collect into;
  const auto out = run(what, into);
  REQUIRE(out.ok());
  CHECK(out->about.status == 206);
  CHECK(out->about.offset == what.offset);
  CHECK(into.text == all.substr(299'990));

  what.end = 299'995;
  support::collect part;
  CHECK(code_of(run(what, part)) == absl::StatusCode::kUnimplemented);
  CHECK(part.begun == 0);
  what.end = what.offset;
  CHECK(code_of(run(what)) == absl::StatusCode::kInvalidArgument);
  what.end.reset();
  what.offset = 300'001;
  CHECK(code_of(run(what)) == absl::StatusCode::kOutOfRange);
}

TEST_CASE("http: nothing is behind the end, and everything was had at it") {
  const std::string all = noise(100);
  const support::http_server server([&](const auto& asked, auto& to) { to.serve(asked, all); });
  auto what = call_to(server.url());
  support::collect into;
  what.offset = 100;
  const auto out = run(what, into);
  REQUIRE(out.ok());
  CHECK(out->ok());
  CHECK(out->about.total == 100);
  CHECK(into.begun == 1);
  CHECK(into.text.empty());
  what.offset = 101;
  CHECK(code_of(run(what)) == absl::StatusCode::kOutOfRange);
  CHECK(server.count() == 2);
}

TEST_CASE("http: a body without a size that lost only its end is whole") {
  const std::string all = noise(1000);
  const support::http_server server([&](const auto& asked, auto& to) {
    if (asked.has("range")) return to.serve(asked, all);
    to.send_head(200, {{"Transfer-Encoding", "chunked"}});
    to.send("3e8\r\n" + all + "\r\n");  // and no last chunk
    to.drop();
  });
  support::collect into;
  REQUIRE(run(call_to(server.url()), into).ok());
  CHECK(into.text == all);
}

TEST_CASE("http: parts that do not fit are refused, and none of their bytes is taken") {
  const std::string all = noise(1000);
  struct lie {
    const char* range;
    support::http_fields more;
  };
  const lie lies[] = {{"bytes 0-999/1000", {}},
                      {"bytes 501-999/1000", {}},
                      {"bytes 499-999/1000", {}},
                      {"bytes 500-999/1001", {}},
                      {"bytes 500-998/999", {}},
                      {"bytes 500-1000/1000", {}},
                      {"bytes 500-400/1000", {}},
                      {"bytes -500/1000", {}},
                      {"500-999/1000", {}},
                      {"items 500-999/1000", {}},
                      {"", {}},
                      {"bytes */1000", {}},
                      {"bytes 500-18446744073709551616/*", {}}};
  for (const lie& each : lies) {
    CAPTURE(each.range);
    const support::http_server server(half_and_then(all, [&](const auto&, auto& to) {
      support::http_fields fields = each.more;
      if (*each.range != '\0') fields.emplace_back("Content-Range", each.range);
      to.answer(206, fields, std::string_view(all).substr(500));
    }));
    support::collect into;
    CHECK(code_of(run(call_to(server.url()), into)) == absl::StatusCode::kDataLoss);
    CHECK(into.text == all.substr(0, 500));
    CHECK(server.count() == 2);
  }
}

TEST_CASE("http: a part nobody asked for, coded parts, another size, another version are refused") {
  const std::string all = noise(1000);
  support::collect into;
  {
    const support::http_server server(
        [&](const auto&, auto& to) { to.answer(206, {{"Content-Range", "bytes 0-999/1000"}}, all); });
    CHECK(code_of(run(call_to(server.url()), into)) == absl::StatusCode::kDataLoss);
  }
  {
    const support::http_server server(
        [&](const auto& asked, auto& to) { to.serve(asked, all, {{"Content-Encoding", "gzip"}}); });
    auto what = call_to(server.url());
    CHECK(run(what)->ok());  // as a whole it is what was asked for
    what.offset = 500;
    CHECK(code_of(run(what, into)) == absl::StatusCode::kFailedPrecondition);
  }
  {
    const std::string longer = all + "x";
    const support::http_server server(
        half_and_then(all, [&](const auto& asked, auto& to) { to.serve(asked, longer); }));
    support::collect half;
    CHECK(code_of(run(call_to(server.url()), half)) == absl::StatusCode::kDataLoss);
    CHECK(half.text.size() == 500);
    auto what = call_to(server.url());
    what.total = 1001;
    CHECK(code_of(run(what, into)) == absl::StatusCode::kDataLoss);
  }
  {
    const support::http_server server([&](const auto& asked, auto& to) {
      const bool again = asked.has("range");
      to.send_head(again ? 206 : 200, {{"Content-Length", again ? "500" : "1000"},
                                       {"ETag", again ? "\"b\"" : "\"a\""},
                                       {"Content-Range", "bytes 500-999/1000"}});
      to.send(std::string_view(all).substr(again ? 500 : 0, 500));
      to.drop();
    });
    support::collect half;
    const auto out = run(call_to(server.url()), half);
    CHECK(code_of(out) == absl::StatusCode::kDataLoss);
    CHECK(says(out, "changed"));
    CHECK(half.text.size() == 500);
  }
  CHECK(into.begun == 0);
}

TEST_CASE("http: more bytes than allowed, claimed or sent, are not taken") {
  const std::string all = noise(100'000);
  const support::http_server server([&](const auto& asked, auto& to) {
    if (asked.path() == "/claimed") return to.answer(200, {}, all);
    if (asked.path() == "/huge")
      return to.send_head(200, {{"Content-Length", "99999999999999999999999999"}}), to.drop();
    to.send_head(200, {{"Connection", "close"}});
    while (to.send(all)) continue;  // without end
  });
  support::collect into;
  auto what = call_to(server.url("/claimed"));
  what.limit = all.size() - 1;
  CHECK(code_of(run(what, into)) == absl::StatusCode::kResourceExhausted);
  CHECK(into.begun == 0);
  what.limit = all.size();
  CHECK(run(what)->ok());
  what.to = *fetch::parse_uri(server.url("/endless"));
  what.limit = 5'000'000;
  CHECK(code_of(run(what, into)) == absl::StatusCode::kResourceExhausted);
  CHECK(into.text.size() <= 5'000'000);
  what.total = 150'000;  // of what was promised not a byte more, either
  support::collect promised;
  CHECK(code_of(run(what, promised)) == absl::StatusCode::kDataLoss);
  CHECK(promised.text.size() <= 150'000);
  what.to = *fetch::parse_uri(server.url("/huge"));
  CHECK(!run(what).ok());
}

TEST_CASE("http: what the sink says ends it, and is not tried again") {
  const std::string all = noise(1'000'000);
  const support::http_server server([&](const auto& asked, auto& to) { to.serve(asked, all); });
  support::collect full;
  full.on_write = [](const std::string& text) {
    return text.size() > 100'000 ? absl::UnavailableError("no space") : absl::OkStatus();
  };
  auto out = run(call_to(server.url()), full);
  CHECK(code_of(out) == absl::StatusCode::kUnavailable);
  CHECK(says(out, "no space"));
  support::collect unwilling;
  unwilling.answer = absl::UnavailableError("not now");
  out = run(call_to(server.url()), unwilling);
  CHECK(says(out, "not now"));
  CHECK(unwilling.text.empty());
  CHECK(server.count() == 2);
}

TEST_CASE("http: a silent server is left after the inactivity, and asked again") {
  const std::string all = noise(1000);
  const support::http_server server(half_and_then(all, [&](const auto& asked, auto& to) { to.serve(asked, all); }));
  const support::http_server silent([](const auto& asked, auto& to) {
    if (asked.path() == "/body") to.send_head(200, {{"Content-Length", "10"}}), to.send("12345");
    if (asked.path() == "/drip")
      to.drip("HTTP/1.1 200 OK\r\nX: " + std::string(100, 'x'), 20ms);  // a head that never ends
    to.stall();
  });
  auto what = call_to(silent.url());
  what.inactivity = 150ms;
  const auto begin = std::chrono::steady_clock::now();
  CHECK(code_of(run(what)) == absl::StatusCode::kDeadlineExceeded);
  CHECK(silent.count() == 3);
  what.retry.tries = 1;
  for (const char* const path : {"/body", "/drip"}) {
    what.to = *fetch::parse_uri(silent.url(path));
    CHECK(code_of(run(what)) == absl::StatusCode::kDeadlineExceeded);
  }
  CHECK(std::chrono::steady_clock::now() - begin < 5s);
}

TEST_CASE("http: a deadline ends a body that drips") {
  const support::http_server server([](const auto&, auto& to) {
    to.send_head(200, {{"Content-Length", "100000"}});
    to.drip(std::string(100'000, 'x'), 5ms);
  });
  auto what = call_to(server.url());
  what.retry.deadline = 200ms;
  const auto begin = std::chrono::steady_clock::now();
  CHECK(code_of(run(what)) == absl::StatusCode::kDeadlineExceeded);
  CHECK(std::chrono::steady_clock::now() - begin < 2s);
  CHECK(server.count() == 1);
  what.retry.deadline = std::chrono::milliseconds::max();
  what.limit = 3;
  CHECK(code_of(run(what)) == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("http: cancelling returns at once, wherever it waits") {
  const support::http_server server([](const auto& asked, auto& to) {
    if (asked.path() == "/body") to.send_head(200, {{"Content-Length", "10"}}), to.send("12345");
    to.stall();
  });
  for (const char* const path : {"/head", "/body"}) {
    CAPTURE(path);
    std::atomic<bool> cancelled = false;
    auto what = call_to(server.url(path));
    what.cancelled = &cancelled;
    std::thread other([&] {
      std::this_thread::sleep_for(100ms);
      cancelled = true;
    });
    const auto begin = std::chrono::steady_clock::now();
    CHECK(code_of(run(what)) == absl::StatusCode::kCancelled);
    CHECK(std::chrono::steady_clock::now() - begin < 1s);
    other.join();
    CHECK(code_of(run(what)) == absl::StatusCode::kCancelled);  // before anything is sent
  }
  CHECK(server.count() == 2);
}

TEST_CASE("http: several threads fetch by one fetcher") {
  const std::string all = noise(200'000);
  const support::http_server server([&](const auto& asked, auto& to) { tear(to, all, first_of(asked), 70'000); });
  const fetching::http fetcher;
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (int at = 0; at < 4; ++at)
    threads.emplace_back([&] {
      support::collect into;
      if (fetcher.run(call_to(server.url()), into).ok() && into.text == all) ++right;
    });
  for (std::thread& each : threads) each.join();
  CHECK(right == 4);
}

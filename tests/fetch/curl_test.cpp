// SPDX-License-Identifier: Apache-2.0
#include <mortise/fetch/curl.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <fetch/http_calls.hpp>
#include <support/fork.hpp>
#include <support/http_server.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <thread>

namespace fetch = mortise::fetch;

namespace {

using namespace std::chrono_literals;
using fetching::code_of;
using fetching::says;

fetch::exchange to(const std::string& url) { return {.to = *fetch::parse_uri(url)}; }

absl::StatusOr<fetch::response> exchange(const fetch::exchange& what) {
  support::collect into;
  return fetch::curl().exchange(what, into);
}

}  // namespace

TEST_CASE("curl: one exchange, whatever the status, and nothing followed") {
  std::atomic<int> status = 200;
  const support::http_server server([&](const auto&, auto& at) {
    at.answer(status, {{"Location", "/other"}, {"X-Two", "a"}, {"x-two", " b \t"}, {"Content-Type", "a/b; c"}}, "body");
  });
  for (const int each : {200, 206, 301, 307, 401, 404, 416, 500}) {
    CAPTURE(each);
    status = each;
    support::collect into;
    const auto out = fetch::curl().exchange(to(server.url()), into);
    REQUIRE(out.ok());
    CHECK(out->status == each);
    CHECK(out->total == 4);
    CHECK(out->media_type == "a/b; c");
    CHECK(out->headers.size() == 5);
    CHECK(out->headers[2].value == "b");
    CHECK(into.begun == 1);
    CHECK(into.about.status == each);
    CHECK(into.text == "body");
  }
  CHECK(server.count() == 8);
}

TEST_CASE("curl: what goes out is what was said, with no more than a Host and an Accept") {
  const support::http_server server([](const auto&, auto& at) { at.answer(200, {}, ""); });
  fetch::exchange what = to(server.url("/a/../b//%2e?x=%41"));
  what.headers = {{"X-Empty", ""}, {"X-Full", "a: b; c"}};
  REQUIRE(exchange(what).ok());
  what.verb = fetch::method::post;
  what.body = std::string(100'000, 'b');
  REQUIRE(exchange(what).ok());
  const auto asked = server.requests();
  REQUIRE(asked.size() == 2);
  CHECK(asked[0].method == "GET");
  CHECK(asked[0].target == "/a/../b//%2e?x=%41");
  CHECK(asked[0].fields.size() == 4);
  CHECK(asked[0].field("host") == server.host());
  CHECK(asked[0].has("x-empty"));
  CHECK(asked[0].field("x-full") == "a: b; c");
  CHECK(asked[1].method == "POST");
  CHECK(asked[1].body == what.body);
  CHECK(!asked[1].has("expect"));
}

TEST_CASE("curl: a field that would be two, and a host that would be another, are not sent") {
  const support::http_server server([](const auto&, auto& at) { at.answer(200, {}, ""); });
  fetch::exchange what = to(server.url());
  const fetch::header bad[] = {{"X", "a\r\nAuthorization: b"},
                               {"X", "a\nb"},
                               {"X", std::string("a\0b", 3)},
                               {"X: a\r\nY", "b"},
                               {"", "b"},
                               {"X Y", "b"}};
  for (const auto& each : bad) {
    what.headers = {each};
    CHECK(code_of(exchange(what)) == absl::StatusCode::kInvalidArgument);
  }
  CHECK(code_of(exchange(to("http://127.0.0.%31:1/"))) == absl::StatusCode::kInvalidArgument);
  CHECK(server.count() == 0);
}

TEST_CASE("curl: connections are kept, and shared by copies and threads") {
  const support::http_server server([](const auto&, auto& at) { at.answer(200, {}, "x"); });
  const fetch::curl first;
  const fetch::curl second = first;
  support::collect into;
  for (int at = 0; at < 3; ++at) {
    REQUIRE(first.exchange(to(server.url()), into).ok());
    std::thread other([&] {
      support::collect apart;
      (void)second.exchange(to(server.url()), apart);
    });
    other.join();
  }
  const auto asked = server.requests();
  REQUIRE(asked.size() == 6);
  CHECK(asked.back().connection == 1);
}

TEST_CASE("curl: no connection is open to a program that is started meanwhile") {
  std::string open_to_all = "nothing was asked";
  const support::http_server server([&](const auto&, auto& at) {
    open_to_all.clear();
    for (int fd = 3; fd < 1024; ++fd) {
      sockaddr_storage peer{};
      socklen_t length = sizeof peer;
      const bool connected = ::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &length) == 0;
      if (connected && peer.ss_family == AF_INET && (::fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
        mortise::append(open_to_all, fd, ' ');
    }
    at.answer(200, {}, "");
  });
  CHECK(exchange(to(server.url())).ok());
  CHECK(open_to_all == "");
}

TEST_CASE("curl: cancelling does not wait for the resolver") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  const auto file = mortise::sys::open(place / "resolv.conf", O_WRONLY | O_CREAT, 0644);
  REQUIRE(file.ok());
  REQUIRE(mortise::sys::write_all(file->get(), "nameserver 127.0.0.9\noptions timeout:10\n").ok());
  const auto child = support::in_child({.namespaces = CLONE_NEWNS}, [&]() -> std::string {
    // A name server that never answers.
    const mortise::sys::unique_fd silent(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(53);
    address.sin_addr.s_addr = htonl(0x7f000009);
    if (::bind(silent.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return "bind";
    if (::mount((place / "resolv.conf").c_str(), "/etc/resolv.conf", "", MS_BIND, nullptr) != 0) return "mount";
    std::atomic<bool> cancelled = false;
    fetch::exchange what = to("http://registry.example.com/");
    what.cancelled = &cancelled;
    std::thread other([&] {
      std::this_thread::sleep_for(200ms);
      cancelled = true;
    });
    const auto begin = std::chrono::steady_clock::now();
    const auto code = code_of(exchange(what));
    const auto took = std::chrono::steady_clock::now() - begin;
    other.join();
    if (code != absl::StatusCode::kCancelled) return mortise::concat("not cancelled: ", static_cast<int>(code));
    return took < 1s ? "at once" : "late";
  });
  CHECK(child.text == "at once");
}

TEST_CASE("curl: a host without an address is that each time it is asked for, and hinders no other") {
  const support::http_server server([](const auto&, auto& at) { at.answer(200, {}, "x"); });
  const fetch::curl one;
  support::collect into;
  for (int at = 0; at < 3; ++at) {
    CHECK(code_of(one.exchange(to("http://127.0.0.1:1/"), into)) == absl::StatusCode::kUnavailable);
    // Too long for a name of a host, so that nobody is asked.
    const auto out = one.exchange(to(mortise::concat("http://", std::string(64, 'x'), ".example.com/")), into);
    CHECK(code_of(out) == absl::StatusCode::kUnavailable);
    CHECK(mortise::message(out.status()).find("Could not resolve host") != std::string::npos);
  }
  CHECK(one.exchange(to(server.url()), into).ok());
}

TEST_CASE("curl: interim answers, chunks and trailers") {
  const support::http_server server([](const auto&, auto& at) {
    at.send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    at.send("3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: y\r\n\r\n");
  });
  support::collect into;
  const auto out = fetch::curl().exchange(to(server.url()), into);
  REQUIRE(out.ok());
  CHECK(into.text == "abcde");
  CHECK(!out->total);
  REQUIRE(out->headers.size() == 1);
  CHECK(out->headers[0].name == "Transfer-Encoding");
}

TEST_CASE("curl: heads without end, long ones, and many of them") {
  const support::http_server server([](const auto& asked, auto& at) {
    if (asked.path() == "/interim") {
      while (at.send("HTTP/1.1 100 Continue\r\n\r\n")) continue;
    } else if (asked.path() == "/trailers") {
      at.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
      while (at.send("X: y\r\n")) continue;
    } else if (asked.path() == "/long") {
      at.send("HTTP/1.1 200 OK\r\n");
      for (int each = 0; each < 3; ++each) at.send("X: " + std::string(60'000, 'x') + "\r\n");
    } else {
      at.send("HTTP/1.1 200 OK\r\n");
      while (at.send("X: y\r\n")) continue;
    }
    at.drop();
  });
  for (const char* const path : {"/interim", "/trailers", "/long", "/many"}) {
    CAPTURE(path);
    CHECK(code_of(exchange(to(server.url(path)))) == absl::StatusCode::kResourceExhausted);
  }
}

TEST_CASE("curl: what is no answer, or half of one") {
  const support::http_server server([](const auto& asked, auto& at) {
    const std::string path = asked.path();
    if (path == "/garbage") at.send(std::string(100, '\xff'));
    if (path == "/old") at.send("<html>");
    if (path == "/half") at.send("HTTP/1.1 200 OK\r\nContent-Le");
    if (path == "/torn") at.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345");
    if (path == "/chunk") at.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n");
    if (path == "/cut") at.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab");
    if (path == "/minus") at.send("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nabc");
    if (path == "/status") at.send("HTTP/1.1 abc OK\r\n\r\n");
    if (path == "/reset") at.reset();
    at.drop();
  });
  for (const char* const path :
       {"/garbage", "/old", "/half", "/torn", "/chunk", "/cut", "/minus", "/status", "/reset", "/nothing"}) {
    CAPTURE(path);
    const auto out = exchange(to(server.url(path) + "?secret"));
    CHECK(code_of(out) == absl::StatusCode::kUnavailable);
    CHECK(!says(out, "secret"));
  }
}

TEST_CASE("curl: a body of the limit and not a byte more, claimed or not") {
  const support::http_server server([](const auto& asked, auto& at) {
    if (asked.path() == "/told") return at.answer(200, {}, "0123456789");
    at.send_head(200, {{"Transfer-Encoding", "chunked"}});
    at.send("a\r\n0123456789\r\n0\r\n\r\n");
  });
  for (const char* const path : {"/told", "/chunks"}) {
    fetch::exchange what = to(server.url(path));
    what.limit = 10;
    CHECK(exchange(what).ok());
    what.limit = 9;
    CHECK(code_of(exchange(what)) == absl::StatusCode::kResourceExhausted);
  }
}

TEST_CASE("curl: a socket of this host") {
  const support::temporary_directory place;
  const support::http_server server([](const auto& asked, auto& at) { at.answer(200, {}, asked.target); },
                                    place / "A socket");
  support::collect into;
  REQUIRE(fetch::curl().exchange(to(server.url("/v1/x?y")), into).ok());
  CHECK(into.text == "/v1/x?y");
  CHECK(server.requests().at(0).field("host") == "localhost");
  CHECK(code_of(exchange(to("http+unix://%2Fnowhere/"))) == absl::StatusCode::kUnavailable);
  CHECK(code_of(exchange(to("http+unix:///x"))) == absl::StatusCode::kInvalidArgument);
  CHECK(code_of(exchange(to("http+unix://%00/x"))) == absl::StatusCode::kInvalidArgument);
  CHECK(code_of(exchange(to("http+unix://" + std::string(200, 'x') + "/"))) != absl::StatusCode::kOk);
}

TEST_CASE("curl: no cookies, and no passwords of a netrc file") {
  const support::http_server server([](const auto&, auto& at) { at.answer(200, {{"Set-Cookie", "a=b"}}, ""); });
  const support::temporary_directory home;
  const auto file = mortise::sys::open(home / ".netrc", O_WRONLY | O_CREAT, 0600);
  REQUIRE(file.ok());
  REQUIRE(mortise::sys::write_all(file->get(), "machine 127.0.0.1 login user password secret\n").ok());
  const auto child = support::in_child([&] {
    ::setenv("HOME", home.path().c_str(), 1);
    ::setenv("NETRC", (home / ".netrc").c_str(), 1);
    const fetch::curl over;
    support::collect into;
    for (int at = 0; at < 2; ++at) MORTISE_RETURN_IF_ERROR(over.exchange(to(server.url()), into));
    return absl::OkStatus();
  });
  CHECK_MESSAGE(child.ok(), child.text);
  for (const auto& each : server.requests()) {
    CHECK(!each.has("authorization"));
    CHECK(!each.has("cookie"));
  }
  CHECK(server.count() == 2);
}

TEST_CASE("curl: a proxy of the environment sees where an https call goes, and none of its fields") {
  const support::http_server proxy([](const auto&, auto& at) { at.answer(403, {}, ""); });
  const auto child = support::in_child([&] {
    ::setenv("https_proxy", proxy.url().c_str(), 1);
    ::unsetenv("no_proxy");
    ::unsetenv("NO_PROXY");
    fetch::exchange what = to("https://registry.invalid/v2/?token=secret");
    what.headers = {{"Authorization", "Bearer secret"}, {"User-Agent", "mortise"}};
    return mortise::fetch::shown(what.to) + ' ' + std::string(mortise::message(exchange(what).status()));
  });
  CHECK(child.ok());
  const auto asked = proxy.requests();
  REQUIRE(asked.size() == 1);
  CHECK(asked[0].method == "CONNECT");
  CHECK(asked[0].target == "registry.invalid:443");
  CHECK(!asked[0].has("authorization"));
  for (const auto& [name, value] : asked[0].fields) CHECK(value.find("secret") == std::string::npos);
}

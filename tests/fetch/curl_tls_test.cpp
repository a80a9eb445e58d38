// SPDX-License-Identifier: Apache-2.0
// TLS as real servers speak it.
#include <mortise/fetch/curl.hpp>

#include <doctest/doctest.h>

#include <fetch/http_calls.hpp>
#include <support/http_server.hpp>
#include <support/tls.hpp>

namespace fetch = mortise::fetch;

namespace {

using fetching::call_to;
using fetching::code_of;
using fetching::run;
using fetching::says;

auto files_of(const support::tls_authority& of, bool client = false) {
  fetch::tls_files out{.authorities = {of.authority()}, .certificate = {}, .key = {}};
  if (client) out.certificate = of.client_certificate();
  if (client) out.key = of.client_key();
  return [out](const fetch::uri&) { return absl::StatusOr<fetch::tls_files>(out); };
}

}  // namespace

TEST_CASE("curl: a server is trusted by its authority only, and only under its name (CVE-2014-5277)") {
  if (support::missing_tls()) return;
  const support::http_server plain([](const auto& asked, auto& to) { to.answer(200, {}, asked.field("x-protocol")); });
  const support::tls_authority ours;
  const support::tls_authority other;
  const support::tls_authority elsewhere("DNS:elsewhere.test");
  const support::tls_front server(ours, plain.port());
  const support::tls_front misnamed(elsewhere, plain.port());

  auto what = call_to(server.url());
  auto out = run(what);
  CHECK(code_of(out) == absl::StatusCode::kPermissionDenied);
  CHECK(says(out, "add the authority"));
  what.tls = files_of(other);
  CHECK(code_of(run(what)) == absl::StatusCode::kPermissionDenied);
  what.tls = files_of(ours);
  support::collect into;
  REQUIRE(run(what, into).ok());
  CHECK(into.text == "HTTP/2.0");

  what = call_to(misnamed.url());
  what.tls = files_of(elsewhere);
  CHECK(code_of(run(what)) == absl::StatusCode::kPermissionDenied);
  CHECK(plain.count() == 1);

  // Neither is there a way back to plain HTTP, nor from it to TLS.
  what = call_to(mortise::concat("https://", plain.host(), "/"));
  CHECK(code_of(run(what)) == absl::StatusCode::kUnavailable);
  CHECK(plain.count() == 1);
}

TEST_CASE("curl: files that are not there or not PEM are an error, not a connection") {
  if (support::missing_tls()) return;
  const support::http_server plain([](const auto&, auto& to) { to.answer(200, {}, ""); });
  const support::tls_authority ours;
  const support::tls_front server(ours, plain.port());
  auto what = call_to(server.url());
  fetch::tls_files files;
  what.tls = [&](const fetch::uri&) { return absl::StatusOr<fetch::tls_files>(files); };
  files.authorities = {"/nowhere/ca.pem"};
  CHECK(code_of(run(what)) == absl::StatusCode::kNotFound);
  files.authorities = {ours.authority()};
  files.certificate = "/nowhere/client.pem";
  CHECK(code_of(run(what)) == absl::StatusCode::kFailedPrecondition);
  files.certificate = ours.client_certificate();
  files.key = ours.authority();
  CHECK(code_of(run(what)) == absl::StatusCode::kFailedPrecondition);
  what.tls = [](const fetch::uri&) { return absl::StatusOr<fetch::tls_files>(absl::UnavailableError("no files")); };
  CHECK(says(run(what), "no files"));
  CHECK(plain.count() == 0);
}

TEST_CASE("curl: a client certificate is shown to the host that it is for, and to no other") {
  if (support::missing_tls()) return;
  const support::tls_authority ours;
  const support::http_server behind_other([](const auto&, auto& to) { to.answer(200, {}, "blob"); });
  const support::tls_front other(ours, behind_other.port());
  const support::http_server behind([&](const auto&, auto& to) { to.redirect(307, other.url("/blob")); });
  const support::tls_front server(ours, behind.port());

  auto what = call_to(server.url());
  what.headers = {{"Authorization", "Basic secret"}};
  what.tls = [&](const fetch::uri& to) { return files_of(ours, to.port == server.port())(to); };
  const fetching::http fetcher;  // so that connections are there to be taken for the wrong one
  for (int at = 0; at < 2; ++at) {
    support::collect into;
    REQUIRE(fetcher.run(what, into).ok());
    CHECK(into.text == "blob");
  }
  for (const auto& each : behind.requests()) CHECK(each.field("x-client") == "CN=test client");
  CHECK(behind.requests().at(0).field("authorization") == "Basic secret");
  for (const auto& each : behind_other.requests()) {
    CHECK(each.field("x-client").empty());
    CHECK(!each.has("authorization"));
  }
  // Nor does a connection that somebody else opened lend its certificate.
  what.tls = files_of(ours);
  support::collect into;
  REQUIRE(fetcher.run(what, into).ok());
  CHECK(behind.requests().back().field("x-client").empty());
}

TEST_CASE("curl: a redirect from TLS to plain HTTP is refused, one to TLS is followed") {
  if (support::missing_tls()) return;
  const support::tls_authority ours;
  std::string target;
  const support::http_server plain([&](const auto& asked, auto& to) {
    if (asked.path() == "/end") return to.answer(200, {}, "end");
    to.redirect(302, target);
  });
  const support::tls_front server(ours, plain.port());
  target = plain.url("/end");
  auto what = call_to(server.url());
  what.tls = files_of(ours);
  CHECK(code_of(run(what)) == absl::StatusCode::kPermissionDenied);
  CHECK(plain.count() == 1);
  target = server.url("/end");
  what.to = *fetch::parse_uri(plain.url());
  support::collect into;
  REQUIRE(run(what, into).ok());
  CHECK(into.text == "end");
}

TEST_CASE("curl: resuming works over HTTP/2 as well") {
  if (support::missing_tls()) return;
  const support::tls_authority ours;
  const std::string all = fetching::noise(500'000);
  const support::http_server plain([&](const auto& asked, auto& to) {
    if (asked.has("range")) return to.serve(asked, all);
    to.send_head(200, {{"Content-Length", std::to_string(all.size())}});
    to.send(std::string_view(all).substr(0, 300'000));
    to.drop();
  });
  const support::tls_front server(ours, plain.port());
  auto what = call_to(server.url());
  what.tls = files_of(ours);
  support::collect into;
  REQUIRE(run(what, into).ok());
  CHECK(into.text == all);
  CHECK(into.begun == 1);
}

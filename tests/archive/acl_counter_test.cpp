// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/acl_counter.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <archive/tar_builder.hpp>
#include <cstddef>
#include <span>
#include <string>

using mortise::archive::acl_counter;
using support::tar_builder;

namespace {

/// An access control list as star(1) writes it.
std::string list_of(std::size_t entries) {
  std::string out;
  for (std::size_t each = 0; each < entries; ++each) out += "user:" + std::to_string(each) + ":r--,";
  return out;
}

tar_builder with_list(std::size_t entries) {
  return tar_builder().add({.name = "x", .pax = {{"SCHILY.acl.access", list_of(entries)}}});
}

/// Whether the headers before the first entry are allowed, read in pieces of a size.
bool allows(const std::string& tar, std::size_t piece) {
  acl_counter counter;
  counter.begin();
  for (auto rest = std::as_bytes(std::span(tar)); !rest.empty(); rest = rest.subspan(std::min(piece, rest.size())))
    if (!counter.take(rest.first(std::min(piece, rest.size()))).ok()) return false;
  return true;
}

}  // namespace

TEST_CASE("archive::acl_counter counts what stands before one entry, in pieces of any size") {
  for (const std::size_t piece : {1U, 7U, 511U, 512U, 513U, 100'000U}) {
    CAPTURE(piece);
    CHECK(allows(with_list(acl_counter::most).text(), piece));
    CHECK_FALSE(allows(with_list(acl_counter::most + 1).text(), piece));
  }
  CHECK(allows(tar_builder().file("x", list_of(5000)).text(), 512));
  CHECK(allows(tar_builder().file("first").text() + with_list(5000).text(), 512));
  CHECK(allows(tar_builder().add({.name = "x", .pax = {{"comment", list_of(5000)}}}).text(), 512));
}

TEST_CASE("archive::acl_counter adds up all lists of an entry, however they are written") {
  tar_builder tar;
  tar.gnu_long('L', std::string(600, 'n'));
  for (int each = 0; each < 2; ++each) {
    const std::string record = tar_builder::record("SCHILY.acl.default", list_of(600));
    tar.header({.name = "pax", .type = 'x', .size = record.size()}).body(record);
  }
  CHECK_FALSE(allows(tar.text(), 512));
  const std::string solaris = list_of(2000);
  CHECK_FALSE(
      allows(tar_builder().header({.name = "acl", .type = 'A', .size = solaris.size()}).body(solaris).text(), 9));
  const std::string record = "00000000000" + std::to_string(35'000) + " SCHILY.acl.access=" + list_of(3000);
  CHECK_FALSE(allows(tar_builder().header({.name = "pax", .type = 'X', .size = record.size()}).body(record).text(), 9));
}

TEST_CASE("archive::acl_counter is told of padding that nobody reads") {
  const std::string record = tar_builder::record("SCHILY.acl.access", list_of(600));
  tar_builder tar;
  tar.header({.name = "pax", .type = 'x', .size = record.size()});
  const std::string again = with_list(600).text();
  const std::string first = tar.text().substr(0, 512) + record;
  acl_counter counter;
  counter.begin();
  CHECK(counter.take(std::as_bytes(std::span(first))).ok());
  counter.pass(512 - record.size() % 512);
  CHECK_FALSE(counter.take(std::as_bytes(std::span(again))).ok());
  counter.end();
  counter.begin();
  CHECK(counter.take(std::as_bytes(std::span(again))).ok());
}

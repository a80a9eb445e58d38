// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/gzip.hpp>

#include <doctest/doctest.h>

#include <archive/gzip_suite.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <support/skip.hpp>
#include <support/temporary.hpp>

TEST_CASE("archive::gzip_reader is one of the two that are tested") {
  CHECK(*support::unpacked<mortise::archive::gzip_reader>(support::gzip("text")) == "text");
}

TEST_CASE("archive::gzip_reader reads what gzip(1) writes") {
  if (support::missing_program("gzip")) return;
  const support::temporary_directory place;
  const std::string text = support::sample_text(2'000'000);
  std::ofstream(place / "text") << text;
  REQUIRE(std::system(
              ("gzip -1 -k " + (place / "text") + " && gzip -9 -c " + (place / "text") + " >> " + (place / "text.gz"))
                  .c_str()) == 0);
  std::ifstream file(place / "text.gz", std::ios::binary);
  const std::string blob{std::istreambuf_iterator<char>(file), {}};
  CHECK(*support::unpacked<mortise::archive::gzip_reader>(blob, 100'000) == text + text);
}

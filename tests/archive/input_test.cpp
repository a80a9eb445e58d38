// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/input.hpp>

#include <doctest/doctest.h>

#include <digest/memory_reader.hpp>

TEST_CASE("archive::input reads more only when all was taken") {
  support::memory_reader source("abcdef", 3);
  mortise::archive::input input(source);
  CHECK(*input.fill());
  CHECK(input.rest().size() == 3);
  input.take(2);
  CHECK(*input.fill());
  CHECK(input.rest().size() == 1);
  CHECK(source.taken() == 3);
  input.take(1);
  CHECK(*input.fill());
  CHECK(input.rest().size() == 3);
  input.take(3);
  CHECK_FALSE(*input.fill());
  CHECK_FALSE(*input.fill());
}

TEST_CASE("archive::input passes the source's failure on") {
  support::memory_reader source("", 1, mortise::errno_error(EIO, "read"));
  mortise::archive::input input(source);
  CHECK(mortise::errno_of(input.fill().status()) == EIO);
}

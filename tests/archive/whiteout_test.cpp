// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/whiteout.hpp>

#include <doctest/doctest.h>

using mortise::archive::classify_whiteout;
using mortise::archive::whiteout;
using mortise::archive::whiteout_kind;

TEST_CASE("whiteouts are told by their names") {
  CHECK(classify_whiteout("file") == whiteout{});
  CHECK(classify_whiteout(".whfile") == whiteout{});
  CHECK(classify_whiteout("a.wh.b") == whiteout{});
  CHECK(classify_whiteout(".wh.file") == whiteout{whiteout_kind::name, "file"});
  CHECK(classify_whiteout(".wh..hidden") == whiteout{whiteout_kind::name, ".hidden"});
  CHECK(classify_whiteout(".wh.....") == whiteout{whiteout_kind::name, "...."});
  CHECK(classify_whiteout(".wh..wh..opq") == whiteout{whiteout_kind::opaque});
  CHECK(classify_whiteout(".wh..wh.plnk") == whiteout{whiteout_kind::metadata});
  CHECK(classify_whiteout(".wh..wh.aufs") == whiteout{whiteout_kind::metadata});
  CHECK(classify_whiteout(".wh..wh..opq.more") == whiteout{whiteout_kind::metadata});
  CHECK(classify_whiteout(".wh.") == whiteout{whiteout_kind::invalid});
  CHECK(classify_whiteout(".wh..") == whiteout{whiteout_kind::invalid});
  CHECK(classify_whiteout(".wh...") == whiteout{whiteout_kind::invalid});
  CHECK(classify_whiteout("") == whiteout{});
}

static_assert(classify_whiteout(".wh.x").target == "x", "it can be asked at compile time");

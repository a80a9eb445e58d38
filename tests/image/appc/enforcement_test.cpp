// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/enforcement.hpp>

#include <doctest/doctest.h>

using mortise::image::appc::enforcement;
using mortise::image::appc::isolator_report;
using mortise::image::appc::verdict;

TEST_CASE("enforcement: a report is a sentence") {
  CHECK(isolator_report{"resource/cpu", verdict::enforced, ""}.text() == "resource/cpu is enforced");
  CHECK(isolator_report{"resource/cpu", verdict::adjusted, "why"}.text() == "resource/cpu is adjusted: why");
  CHECK(isolator_report{"resource/cpu", verdict::ignored, "why"}.text() == "resource/cpu is ignored: why");
}

TEST_CASE("enforcement: whether anything is ignored") {
  enforcement of;
  CHECK_FALSE(of.ignores_any());
  of.reports = {{"a", verdict::enforced, ""}, {"b", verdict::adjusted, ""}};
  CHECK_FALSE(of.ignores_any());
  of.reports.push_back({"c", verdict::ignored, ""});
  CHECK(of.ignores_any());
}

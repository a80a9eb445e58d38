// SPDX-License-Identifier: Apache-2.0
#include <mortise/base/status.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <memory>

namespace {

absl::StatusOr<std::unique_ptr<int>> make(bool works) {
  if (works) return std::make_unique<int>(4);
  return mortise::errno_error(ENOENT, "make number");
}
absl::StatusOr<int> use(bool works) {
  MORTISE_ASSIGN_OR_RETURN(const std::unique_ptr<int> number, make(works));
  MORTISE_RETURN_IF_ERROR(absl::OkStatus());
  MORTISE_RETURN_IF_ERROR(make(works));
  return *number;
}

}  // namespace

TEST_CASE("status: errno is in the message, the code and the payload, and stays") {
  const absl::Status failed = mortise::errno_error(ENOENT, "open 'x'", "make it first");
  CHECK(mortise::message(failed) == "open 'x': No such file or directory (make it first)");
  CHECK(failed.code() == absl::StatusCode::kNotFound);
  CHECK(mortise::errno_of(failed) == ENOENT);
  const absl::Status more = mortise::annotate(failed, "launch");
  CHECK(mortise::message(more) == "launch: open 'x': No such file or directory (make it first)");
  CHECK(mortise::errno_of(more) == ENOENT);
  const absl::Status other = mortise::reword(failed, "find x: it has gone");
  CHECK(mortise::message(other) == "find x: it has gone");
  CHECK(other.code() == absl::StatusCode::kNotFound);
  CHECK(mortise::errno_of(other) == ENOENT);
  CHECK(mortise::annotate(absl::OkStatus(), "launch").ok());
  CHECK(mortise::errno_of(absl::OkStatus()) == 0);
  CHECK(mortise::errno_of(mortise::error(absl::StatusCode::kInternal, "x")) == 0);
}

TEST_CASE("status: the macros move values and pass failures on") {
  CHECK(*use(true) == 4);
  CHECK(mortise::errno_of(use(false).status()) == ENOENT);
}

TEST_CASE("status: the first of two failures") {
  const absl::Status one = mortise::error(absl::StatusCode::kInternal, "one");
  const absl::Status two = mortise::error(absl::StatusCode::kInternal, "two");
  CHECK(mortise::first_error(one, two) == one);
  CHECK(mortise::first_error(absl::OkStatus(), two) == two);
  CHECK(mortise::first_error(absl::OkStatus(), absl::OkStatus()).ok());
}

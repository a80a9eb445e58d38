// SPDX-License-Identifier: Apache-2.0
#include <mortise/fetch/file.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

namespace fetch = mortise::fetch;

namespace {

static_assert(fetch::fetcher<fetch::file>);

class text_sink : public fetch::sink {
 public:
  absl::Status begin(const fetch::response&) override {
    ++begun;
    return absl::OkStatus();
  }
  absl::Status write(std::span<const std::byte> piece) override {
    text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    return answer;
  }
  int begun = 0;
  std::string text;
  absl::Status answer;
};

/// A directory with a file whose name needs escapes, and a FIFO.
class place {
 public:
  place() {
    REQUIRE(::mkdtemp(path_.data()) != nullptr);
    const auto fd = mortise::sys::open(name(), O_WRONLY | O_CREAT, 0600);
    REQUIRE(fd.ok());
    REQUIRE(mortise::sys::write_all(fd->get(), "0123456789").ok());
    REQUIRE(::mkfifo(fifo().c_str(), 0600) == 0);
  }
  place(const place&) = delete;
  place& operator=(const place&) = delete;
  ~place() {
    ::unlink(name().c_str());
    ::unlink(fifo().c_str());
    ::rmdir(path_.c_str());
  }
  [[nodiscard]] std::string name() const { return path_ + "/a %?#b"; }
  [[nodiscard]] std::string fifo() const { return path_ + "/fifo"; }
  [[nodiscard]] const std::string& directory() const { return path_; }

 private:
  std::string path_ = "/tmp/mortise-fetch-XXXXXX";
};

absl::StatusCode code_of(const std::string& path, const fetch::request& what, text_sink& into) {
  return fetch::file().fetch(*fetch::file_uri(path), what, into).status().code();
}

}  // namespace

TEST_CASE("file: whole, from an offset, and from its end") {
  const place here;
  const auto from = fetch::parse_uri(fetch::to_string(*fetch::file_uri(here.name())));
  REQUIRE(from.ok());
  for (const unsigned offset : {0U, 4U, 10U}) {
    text_sink into;
    fetch::request what;
    what.offset = offset;
    const auto out = fetch::file().fetch(*from, what, into);
    REQUIRE(out.ok());
    CHECK(into.text == std::string("0123456789").substr(offset));
    CHECK(into.begun == 1);
    CHECK(out->total == 10);
    CHECK(out->offset == offset);
    CHECK(out->status == (offset == 0 ? 200 : 206));
  }
}

TEST_CASE("file: what cannot be fetched is refused before a byte is given") {
  const place here;
  text_sink into;
  fetch::request what;
  CHECK(code_of(here.directory() + "/none", what, into) == absl::StatusCode::kNotFound);
  CHECK(code_of(here.directory(), what, into) == absl::StatusCode::kFailedPrecondition);
  CHECK(code_of(here.fifo(), what, into) == absl::StatusCode::kFailedPrecondition);
  what.offset = 11;
  CHECK(code_of(here.name(), what, into) == absl::StatusCode::kOutOfRange);
  what.offset = 0;
  what.limit = 9;
  CHECK(code_of(here.name(), what, into) == absl::StatusCode::kResourceExhausted);
  what.limit = 10;
  const std::atomic<bool> cancelled = true;
  what.cancelled = &cancelled;
  CHECK(code_of(here.name(), what, into) == absl::StatusCode::kCancelled);
  CHECK(into.begun == 0);
  what.cancelled = nullptr;
  into.answer = absl::AbortedError("enough");
  CHECK(code_of(here.name(), what, into) == absl::StatusCode::kAborted);
}

TEST_CASE("file: URIs that name no file of this host") {
  text_sink into;
  for (const char* const bad : {"file://other/x", "file:x", "file:///x?y", "file:///x%00y", "file://localhost:1/x"}) {
    CAPTURE(bad);
    const auto from = fetch::parse_uri(bad);
    REQUIRE(from.ok());
    CHECK(fetch::file().fetch(*from, {}, into).status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(!fetch::file_uri("x").ok());
  CHECK(!fetch::file_uri(std::string_view("/a\0b", 4)).ok());
}

// SPDX-License-Identifier: Apache-2.0
#include <mortise/state/recover.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <mortise/base/id.hpp>
#include <support/deny.hpp>
#include <support/fork.hpp>
#include <support/temporary.hpp>
#include <thread>

using mortise::container_id;
using mortise::state::contents;
using mortise::state::parse_record;
using mortise::state::record;

namespace {

/// A host that frees nothing, and remembers.
struct fake_host {
  std::string state;
  std::vector<std::string> freed = {};
  absl::Status answer = absl::OkStatus();

  [[nodiscard]] const std::string& state_directory() const { return state; }
  absl::Status free(const contents& what) {
    freed.push_back(what.directory);
    return answer;
  }
  absl::Status sweep() { return absl::OkStatus(); }
};

/// A record of a launcher that has died.
void leave(const std::string& state, const std::string& id) {
  const auto made = record::create(state, *container_id::parse(id), "overlay", "/roots/" + id);
  REQUIRE(made.ok());
}

void overwrite(const std::string& path, std::string_view text) {
  const auto file = mortise::sys::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  REQUIRE(file.ok());
  REQUIRE(mortise::sys::write_all(file->get(), text).ok());
}

}  // namespace

TEST_CASE("recover: a record reads as it was written, whatever the bytes" * doctest::test_suite("unprivileged")) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  const contents what{1, "id", "boot", "running", "backend", "/x/" + all, {{"a", 3, all + all}, {"b", 1, ""}}};
  const auto read = parse_record(mortise::state::detail::to_json(what));
  REQUIRE_MESSAGE(read.ok(), read.status().ToString());
  CHECK(read->directory == what.directory);
  CHECK((read->id == "id" && read->boot == "boot" && read->phase == "running" && read->backend == "backend"));
  REQUIRE(read->isolators.size() == 2);
  CHECK((read->isolators[0].name == "a" && read->isolators[0].version == 3 && read->isolators[0].text == all + all));
  CHECK((read->isolators[1].name == "b" && read->isolators[1].text.empty()));
}

TEST_CASE("recover: a damaged record and a newer one are told apart" * doctest::test_suite("unprivileged")) {
  const std::string good = mortise::state::detail::to_json({1, "a", "b", "c", "d", "e", {{"f", 1, "g"}}});
  REQUIRE(parse_record(good).ok());
  for (std::size_t size = 0; size + 2 < good.size(); ++size)
    CHECK(parse_record(good.substr(0, size)).status().code() == absl::StatusCode::kDataLoss);
  for (const char* const text :
       {"[]", "{}", "null", "1", R"({"version":"1"})", R"({"version":-1})", R"({"version":1})",
        R"({"version":1,"id":{},"boot":"b","phase":"c","backend":"d","directory":"e"})",
        R"({"version":1,"id":"a","boot":"b","phase":"c","backend":"d","directory":"e","isolators":[{}]})"})
    CHECK(parse_record(text).status().code() == absl::StatusCode::kDataLoss);
  CHECK(parse_record(std::string(100'000, '[')).status().code() == absl::StatusCode::kDataLoss);
  for (const char* const text : {R"({"version":2})", R"({"new":[{"version":"x"}],"version":2,"id":{"version":1}})"}) {
    const auto newer = parse_record(text);
    CHECK(newer.status().code() == absl::StatusCode::kFailedPrecondition);
    CHECK(mortise::message(newer.status()) ==
          "read record: its version 2 is newer than this library's 1 (recover with a newer mortise)");
  }
}

TEST_CASE("recover: frees what the dead left, in full or not at all" * doctest::test_suite("unprivileged")) {
  const support::temporary_directory state;
  leave(state.path(), "dead");
  leave(state.path(), "damaged");
  leave(state.path(), "newer");
  overwrite(state / "damaged/record", "{\"version\":1");
  overwrite(state / "newer/record", "{\"version\":7}");
  REQUIRE(::mkdir((state / "half-made").c_str(), 0700) == 0);  // its launcher died before the first record
  const auto alive = record::create(state.path(), *container_id::parse("alive"), "overlay", "/roots/alive");
  REQUIRE(alive.ok());

  fake_host host{state.path()};
  auto result = mortise::state::recover(host);
  REQUIRE(result.ok());
  std::sort(result->freed.begin(), result->freed.end());
  CHECK(result->freed == std::vector<std::string>{"dead", "half-made"});
  CHECK(result->alive == std::vector<std::string>{"alive"});
  CHECK(host.freed == std::vector<std::string>{"/roots/dead"});
  REQUIRE(result->failed.size() == 2);
  for (const auto& [id, why] : result->failed)
    CHECK(mortise::message(why).starts_with("recover container '" + id + "': read record: "));
  CHECK(::access((state / "dead").c_str(), F_OK) != 0);
  CHECK(::access((state / "damaged").c_str(), F_OK) == 0);
  CHECK(::access((state / "newer").c_str(), F_OK) == 0);
}

TEST_CASE("recover: a process that is reaped before it is killed is one that has ended") {
  const support::temporary_directory state;
  leave(state.path(), "dead");
  const pid_t process = ::fork();
  if (process == 0) ::_exit(::pause());
  const auto stat = mortise::sys::read_file("/proc/" + std::to_string(process) + "/stat");
  REQUIRE(stat.ok());
  overwrite(state / "dead/process", *stat);
  const auto seen = support::deny({SYS_pidfd_send_signal}, ESRCH, [&] {
    fake_host host{state.path()};
    const auto result = mortise::state::recover(host);
    return result.ok() && result->failed.empty() && result->freed == std::vector<std::string>{"dead"};
  });
  ::kill(process, SIGKILL);
  ::waitpid(process, nullptr, 0);
  CHECK(seen.code == 0);
}

TEST_CASE("recover: what could not be freed stays recorded and is tried again" * doctest::test_suite("unprivileged")) {
  const support::temporary_directory state;
  leave(state.path(), "dead");
  fake_host host{state.path(), {}, mortise::error(absl::StatusCode::kUnavailable, "not yet")};
  const auto first = mortise::state::recover(host);
  REQUIRE(first.ok());
  REQUIRE(first->failed.size() == 1);
  CHECK(mortise::message(first->failed[0].second) == "recover container 'dead': not yet");
  host.answer = absl::OkStatus();
  const auto second = mortise::state::recover(host);
  REQUIRE(second.ok());
  CHECK(second->freed == std::vector<std::string>{"dead"});
  CHECK(mortise::state::recover(host)->freed.empty());
}

TEST_CASE("recover: ends the recorded process, and never one that only has its number" *
          doctest::test_suite("unprivileged")) {
  const support::temporary_directory state;
  const auto recover_with = [&](const std::string& stat) {
    leave(state.path(), "box");
    overwrite(state / "box/process", stat);
    fake_host host{state.path()};
    const auto result = mortise::state::recover(host);
    return result.ok() && result->freed.size() == 1;
  };
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  const std::string stat = mortise::sys::read_file("/proc/" + std::to_string(child) + "/stat").value();
  std::string reused = stat;
  const auto who = mortise::sys::parse_stat(stat);
  REQUIRE(who);
  const std::string start = std::to_string(who->start_time);
  reused.replace(reused.rfind(' ' + start + ' '), start.size() + 2, ' ' + std::to_string(who->start_time - 1) + ' ');
  CHECK(recover_with(reused));
  CHECK(::waitpid(child, nullptr, WNOHANG) == 0);
  CHECK(recover_with("nonsense"));
  CHECK(::waitpid(child, nullptr, WNOHANG) == 0);
  CHECK(recover_with(stat));
  int status = 0;
  CHECK(::waitpid(child, &status, 0) == child);
  CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL));
  CHECK(recover_with(stat));
}

TEST_CASE("recover: many at once, beside launches that come and go" * doctest::test_suite("unprivileged")) {
  const support::temporary_directory state;
  for (int each = 0; each < 30; ++each) leave(state.path(), "dead" + std::to_string(each));
  std::atomic<int> freed = 0;
  std::atomic<int> trouble = 0;
  std::vector<std::thread> threads;
  for (int each = 0; each < 3; ++each) {
    threads.emplace_back([&] {
      fake_host host{state.path()};
      const auto result = mortise::state::recover(host);
      trouble += !result.ok() || !result->failed.empty();
      for (const auto& where : host.freed) freed += where.starts_with("/roots/dead");
    });
    threads.emplace_back([&] {
      for (int count = 0; count < 30; ++count) {
        const auto id = container_id::random();
        auto made = record::create(state.path(), id, "overlay", "/live");
        trouble += !made.ok() || !made->enter(mortise::state::phase::running).ok() || !made->remove().ok();
      }
    });
  }
  for (auto& each : threads) each.join();
  CHECK(freed == 30);
  CHECK(trouble == 0);
  fake_host host{state.path()};
  CHECK(mortise::state::recover(host)->freed.empty());
}

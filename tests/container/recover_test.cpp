// SPDX-License-Identifier: Apache-2.0
// A launcher that is killed at any step leaves what recovery frees, and recovery frees nothing else.
#include <mortise/container.hpp>

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <conformance/killed_at.hpp>
#include <container/box.hpp>
#include <mortise/isolate/cgroup.hpp>
#include <mortise/isolate/pids.hpp>
#include <mortise/state/recover.hpp>
#include <support/fork.hpp>
#include <support/leaks.hpp>
#include <support/skip.hpp>

namespace isolate = mortise::isolate;

namespace {

/// Kills its process at the begin or the end of a step.
struct killer {
  static inline int at = -1;  ///< twice the step, and one for its end; -1 is never

  void begin(const mortise::container_id&, mortise::step which) const { die_at(2 * static_cast<int>(which)); }
  void end(const mortise::container_id&, mortise::step which, const absl::Status&) const {
    die_at(2 * static_cast<int>(which) + 1);
  }
  void progress(const mortise::container_id&, const mortise::image::progress&) const {}
  static void die_at(int here) {
    if (here == at) ::kill(::getpid(), SIGKILL);
  }
};

using fragile_box =
    mortise::basic_container<mortise::image::directory, mortise::rootfs::overlay, mortise::launch::clone, killer,
                             isolate::standard, isolate::cgroup, isolate::pids>;

bool missing() { return support::missing_root() || support::missing_program("busybox"); }

fragile_box::launch_options options_for(const boxes::scene& place, const std::string& id) {
  fragile_box::launch_options options;
  options.image = place.image();
  options.args = {"/bin/sleep", "1000"};
  options.id = *mortise::container_id::parse(id);
  options.with = {isolate::pids::limit(100)};
  return options;
}

/// One that nothing may happen to.
fragile_box launch_neighbour(fragile_box::host& host, const boxes::scene& place) {
  auto neighbour = host.launch(options_for(place, "neighbour"));
  REQUIRE_MESSAGE(neighbour.ok(), neighbour.status().ToString());
  return *std::move(neighbour);
}
void expect_alive(fragile_box& neighbour) {
  const auto soon = std::chrono::steady_clock::now();
  CHECK(neighbour.wait(soon).status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(neighbour.destroy().ok());
}

/// The names in a directory.
std::string names_in(const std::string& directory) {
  std::string out;
  boxes::check(mortise::sys::for_each_entry(AT_FDCWD, directory, [&](std::string_view name, unsigned char) {
    if (name != "lock") mortise::append(out, name, ' ');
    return absl::OkStatus();
  }));
  return out;
}

constexpr std::string_view earlier_boot = "01234567-89ab-4cde-8f01-23456789abcd";

/// The text with `to` wherever it has `from`.
std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

/// Whether the process that a record names still runs.
bool runs(const std::optional<mortise::sys::process_identity>& who) {
  if (!who) return false;
  const auto process = mortise::sys::open_process(*who);
  return process.ok() && !mortise::sys::wait_for_end(process->get(), std::chrono::steady_clock::now()).ok();
}

}  // namespace

TEST_CASE("container: recovery after a kill at each step frees all that was left and no neighbour") {
  if (missing()) return;
  const boxes::scene place;
  killer::at = -1;
  auto host = boxes::open_host<fragile_box>(place);
  auto neighbour = launch_neighbour(host, place);
  const support::leak_snapshot before;
  const std::string roots = place / ("data/containers/" + *mortise::state::boot_id());
  constexpr int last = 2 * static_cast<int>(mortise::step::destroy) + 1;
  for (int at = 0; at <= last + 1; ++at) {  // the last is a kill while the container runs
    CAPTURE(at);
    const auto launcher = support::in_child([&] {
      killer::at = at;
      auto own_host = boxes::open_host<fragile_box>(place);
      auto box = own_host.launch(options_for(place, "victim"));
      if (at > last) ::kill(::getpid(), SIGKILL);
      return box.ok() && box->destroy().ok();
    });
    CHECK(launcher.signal == SIGKILL);
    const auto stat = mortise::sys::read_file(place / "state/victim/process");
    const auto who = stat.ok() ? mortise::sys::parse_stat(*stat) : std::nullopt;
    CHECK(who.has_value() == (at > last || (at > 6 && at <= 8)));
    const auto result = mortise::state::recover(host);
    REQUIRE(result.ok());
    CHECK(result->failed.empty());
    CHECK(result->alive == std::vector<std::string>{"neighbour"});
    CHECK(result->freed.size() == (at > 1 && at != last ? 1 : 0));
    CHECK(!runs(who));
    CHECK(names_in(place / "state") == "neighbour ");
    CHECK(names_in(roots).starts_with("neighbour-"));
    CHECK(names_in(roots).find("victim") == std::string::npos);
    CHECK(before.leaked() == "");
  }
  expect_alive(neighbour);
}

TEST_CASE("container: recovery after a kill at any system call of a launch frees all that was left") {
  if (missing()) return;
  const boxes::scene place;
  killer::at = -1;
  auto host = boxes::open_host<fragile_box>(place);
  const support::leak_snapshot before;
  const std::string roots = place / ("data/containers/" + *mortise::state::boot_id());
  int call = 0;
  for (bool killed = true; killed; ++call) {
    CAPTURE(call);
    killed = conformance::killed_at(call, [&] {
      const auto box = host.launch(options_for(place, "victim"));
      if (box.ok()) ::_exit(0);  // as a killed one would: nothing is released
    });
    auto result = mortise::state::recover(host);
    // A child that has not come to its program holds the launcher's lock until it finds that the launcher is dead.
    for (int wait = 0; result.ok() && !result->alive.empty() && wait < 1000; ++wait) {
      ::usleep(10'000);
      result = mortise::state::recover(host);
    }
    REQUIRE(result.ok());
    for (const auto& [id, why] : result->failed) CHECK(mortise::message(why) == "");
    CHECK(names_in(place / "state") == "");
    CHECK(names_in(roots) == "");
    CHECK(before.leaked() == "");
  }
  CHECK(call > 50);
}

TEST_CASE(
    "container: recovery after a reboot frees stale directories, and ends no process that has an old one's number") {
  if (missing()) return;
  const boxes::scene place;
  killer::at = -1;
  auto host = boxes::open_host<fragile_box>(place);
  auto neighbour = launch_neighbour(host, place);
  const support::leak_snapshot before;
  const auto launcher = support::in_child([&] {
    const auto box = host.launch(options_for(place, "victim"));
    ::kill(::getpid(), SIGKILL);
  });
  CHECK(launcher.signal == SIGKILL);
  const std::string record = *mortise::sys::read_file(place / "state/victim/record");
  const std::string roots = place / "data/containers/";
  REQUIRE(mortise::state::recover(host)->freed == std::vector<std::string>{"victim"});
  // What a disk still has of it: no process, no cgroup and no mount, only the directories, of a boot that is over.
  const std::string boot = *mortise::state::boot_id();
  const std::string root = mortise::state::parse_record(record)->directory;
  REQUIRE(mortise::sys::make_directories(replaced(root, boot, earlier_boot) + "/upper/etc").ok());
  REQUIRE(mortise::sys::make_directories(place / "state/victim").ok());
  const std::string number_of_another = "/proc/" + std::to_string(neighbour.pid()) + "/stat";
  conformance::write_file(place / "state/victim/record", replaced(record, boot, earlier_boot));
  conformance::write_file(place / "state/victim/process", *mortise::sys::read_file(number_of_another, 4096));
  const auto result = mortise::state::recover(host);
  REQUIRE(result.ok());
  for (const auto& [id, why] : result->failed) CHECK(mortise::message(why) == "");
  CHECK(result->freed == std::vector<std::string>{"victim"});
  CHECK(result->alive == std::vector<std::string>{"neighbour"});
  CHECK(names_in(place / "state") == "neighbour ");
  CHECK(names_in(roots) == boot + ' ');
  CHECK(before.leaked() == "");
  expect_alive(neighbour);
}

TEST_CASE("container: what another type of container left is refused by name, not guessed at") {
  if (missing()) return;
  const boxes::scene place;
  const auto launcher = support::in_child([&] {
    killer::at = 7;
    auto own_host = boxes::open_host<fragile_box>(place);
    return own_host.launch(options_for(place, "victim")).ok();
  });
  CHECK(launcher.signal == SIGKILL);
  auto other = boxes::open_host<boxes::plain_box>(place);
  const auto refused = mortise::state::recover(other);
  REQUIRE(refused.ok());
  REQUIRE(refused->failed.size() == 1);
  CHECK(mortise::message(refused->failed[0].second) ==
        "recover container 'victim': it was isolated by 'cgroup', which this host's containers do not have");
  CHECK(names_in(place / "state") == "victim ");
  auto host = boxes::open_host<fragile_box>(place);
  const auto freed = mortise::state::recover(host);
  REQUIRE(freed.ok());
  for (const auto& [id, why] : freed->failed) FAIL_CHECK(mortise::message(why));
  CHECK(freed->freed == std::vector<std::string>{"victim"});
  CHECK(names_in(place / "state") == "");
}

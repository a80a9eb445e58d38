// SPDX-License-Identifier: Apache-2.0
// Launches containers in this process and times them, for benchmarks/run launch.
//
//   launch [--root bind] [--resident MIB] [--once] DIRECTORY
//
// DIRECTORY/layer is the root; it launches /bin/true of it. A line "run" on standard input is one launch, with wait and
// destroy; the answer is nanoseconds: total provision prepare spawn wait destroy. A line "alive COUNT" starts COUNT
// containers that stay; the answer is how many there are, and KiB each of them costs: our memory, its process's own
// memory, the kernel's. --resident fills so much memory first. --once launches one container and ends.

#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mortise/base/text.hpp>
#include <mortise/base/units.hpp>
#include <mortise/container.hpp>
#include <mortise/image/directory.hpp>
#include <mortise/isolate/cgroup.hpp>
#include <mortise/isolate/cpu.hpp>
#include <mortise/isolate/memory.hpp>
#include <mortise/isolate/pids.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/launch/clone.hpp>
#include <mortise/rootfs/bind.hpp>
#include <mortise/rootfs/overlay.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace mortise::literals;
using clock_type = std::chrono::steady_clock;

long nanoseconds_since(clock_type::time_point start) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(clock_type::now() - start).count();
}

/// An observer that notes how long the last step of each kind took.
struct stopwatch {
  std::array<clock_type::time_point, 5> began{};
  std::array<long, 5> took{};

  void begin(const mortise::container_id&, mortise::step which) { began[index(which)] = clock_type::now(); }
  void end(const mortise::container_id&, mortise::step which, const absl::Status&) {
    took[index(which)] = nanoseconds_since(began[index(which)]);
  }
  void progress(const mortise::container_id&, const mortise::image::progress&) const {}
  static std::size_t index(mortise::step which) { return static_cast<std::size_t>(which); }
};

[[noreturn]] void die(const absl::Status& why) {
  (void)std::fprintf(stderr, "launch: %s\n", std::string(why.message()).c_str());
  std::exit(1);
}
template <class T>
T must(absl::StatusOr<T> result) {
  if (!result.ok()) die(result.status());
  return *std::move(result);
}
void must(const absl::Status& status) {
  if (!status.ok()) die(status);
}

/// The sum of some lines "Key: N kB" of a file of procfs.
long kibibytes(const std::string& file, std::initializer_list<std::string_view> keys) {
  const std::string text = must(mortise::sys::read_file(file));
  long sum = 0;
  for (const std::string_view line : mortise::split(text, '\n')) {
    const std::size_t colon = line.find(':');
    if (std::find(keys.begin(), keys.end(), line.substr(0, colon)) != keys.end())
      sum += std::strtol(line.data() + colon + 1, nullptr, 10);
  }
  return sum;
}
long own_memory(std::string_view process) {
  return kibibytes(mortise::concat("/proc/", process, "/smaps_rollup"), {"Private_Clean", "Private_Dirty"});
}
long kernel_memory() { return kibibytes("/proc/meminfo", {"Slab", "KernelStack", "PageTables", "Percpu"}); }

/// The bench of one type of container.
template <class Rootfs>
class bench {
 public:
  explicit bench(const std::string& directory)
      : layer_(directory + "/layer"),
        host_(must(box::host::open({.directory = directory + "/data", .state = directory + "/state"}))) {}

  void run() {
    const auto start = clock_type::now();
    box running = launch({"/bin/true"});
    const auto launched = clock_type::now();
    const auto status = must(running.wait());
    const long waited = nanoseconds_since(launched);
    must(running.destroy());
    const long total = nanoseconds_since(start);
    if (!status.success()) die(mortise::error(absl::StatusCode::kInternal, "the program failed"));
    const auto took = [this](mortise::step which) { return host_.observer().took[stopwatch::index(which)]; };
    std::printf("%ld %ld %ld %ld %ld %ld\n", total, took(mortise::step::provision), took(mortise::step::prepare),
                took(mortise::step::spawn), waited, took(mortise::step::destroy));
  }

  /// Starts up to `count` containers more, as many as the machine lets us have.
  void keep_alive(std::size_t count) {
    alive_.reserve(count);
    const long ours = own_memory("self");
    const long kernels = kernel_memory();
    while (alive_.size() < count) {
      auto started = host_.launch(idle());
      if (!started.ok()) {
        (void)std::fprintf(stderr, "launch: container %zu: %s\n", alive_.size() + 1,
                           std::string(started.status().message()).c_str());
        break;
      }
      alive_.push_back(*std::move(started));
    }
    const auto all = static_cast<double>(std::max<std::size_t>(alive_.size(), 1));
    long theirs = 0;
    for (const box& each : alive_) theirs += own_memory(std::to_string(each.pid()));
    std::printf("%zu %.1f %.1f %.1f\n", alive_.size(), static_cast<double>(own_memory("self") - ours) / all,
                static_cast<double>(theirs) / all, static_cast<double>(kernel_memory() - kernels) / all);
  }

 private:
  using box = mortise::basic_container<mortise::image::directory, Rootfs, mortise::launch::clone, stopwatch,
                                       mortise::isolate::standard, mortise::isolate::cgroup, mortise::isolate::memory,
                                       mortise::isolate::cpu, mortise::isolate::pids>;

  typename box::launch_options options(std::vector<std::string> args) const {
    return {.image = layer_,
            .args = std::move(args),
            .with = {mortise::isolate::memory::limit(64_MiB), mortise::isolate::cpu::cpus(1),
                     mortise::isolate::pids::limit(64)}};
  }
  typename box::launch_options idle() const { return options({"/bin/sleep", "1000000"}); }
  box launch(std::vector<std::string> args) { return must(host_.launch(options(std::move(args)))); }

  std::string layer_;
  typename box::host host_;
  std::vector<box> alive_;
};

struct arguments {
  bool bind = false;
  bool once = false;
  std::size_t resident = 0;  ///< MiB
  std::string directory;
};

arguments parse(int count, char** words) {
  arguments all;
  for (int at = 1; at < count; ++at) {
    const std::string_view word = words[at];
    const bool has_value = at + 1 < count;
    if (word == "--once") {
      all.once = true;
    } else if (word == "--root" && has_value) {
      all.bind = std::string_view(words[++at]) == "bind";
    } else if (word == "--resident" && has_value) {
      all.resident = std::strtoul(words[++at], nullptr, 10);
    } else {
      all.directory = word;
    }
  }
  if (!all.directory.empty()) return all;
  (void)std::fprintf(stderr, "usage: launch [--root bind] [--resident MIB] [--once] DIRECTORY\n");
  std::exit(2);
}

template <class Rootfs>
void serve(const arguments& how) {
  bench<Rootfs> here(how.directory);
  if (how.once) return here.run();
  char line[64];
  while (std::fgets(line, sizeof line, stdin) != nullptr) {
    if (std::strncmp(line, "alive ", 6) == 0) {
      here.keep_alive(std::strtoul(line + 6, nullptr, 10));
    } else {
      here.run();
    }
    (void)std::fflush(stdout);
  }
}

}  // namespace

int main(int count, char** words) {
  const arguments how = parse(count, words);
  rlimit descriptors{};
  ::getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;  // a container that stays holds some
  ::setrlimit(RLIMIT_NOFILE, &descriptors);
  std::vector<char> ballast(how.resident << 20, 1);
  how.bind ? serve<mortise::rootfs::bind>(how) : serve<mortise::rootfs::overlay>(how);
  return ballast.empty() || ballast.front() == 1 ? 0 : 1;
}

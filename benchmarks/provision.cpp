// SPDX-License-Identifier: Apache-2.0
// Makes throw-away roots in this process and times them, for benchmarks/run provision.
//
//   provision [--list] overlay|erofs|copy|bind LOCATION DIRECTORY    as "oci:PATH:TAG"
//
// The store is DIRECTORY/store, filled before anything is timed; roots are made in DIRECTORY/BACKEND. --list prints the
// directories of the image's layers, bottom first, and ends. Each line on standard input is one root: it is made,
// /inside of the image is executed in it, with the line's second word, if there is one, as its argument, and when that
// has ended the root is removed. The answer is what the program has printed, and nanoseconds: until it runs in the
// root, of them by the backend before there was a process, until the program has ended, until nothing of the root is
// left.

#include <linux/sched.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/oci_layout.hpp>
#include <mortise/image/store.hpp>
#include <mortise/launch/clone.hpp>
#include <mortise/model/image.hpp>
#include <mortise/model/plan.hpp>
#include <mortise/rootfs/bind.hpp>
#include <mortise/rootfs/copy.hpp>
#include <mortise/rootfs/erofs.hpp>
#include <mortise/rootfs/overlay.hpp>
#include <mortise/sys/file.hpp>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

long nanoseconds(clock_type::time_point from, clock_type::time_point to) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(to - from).count();
}

template <class Rootfs>
class bench {
 public:
  static absl::StatusOr<bench> open(const std::string& location, const std::string& directory) {
    MORTISE_ASSIGN_OR_RETURN(auto store, store_type::open(directory + "/store"));
    MORTISE_ASSIGN_OR_RETURN(auto image, store.template provide<typename Rootfs::layer_format>(location, {}));
    const std::string roots = mortise::concat(directory, '/', Rootfs::name);
    MORTISE_RETURN_IF_ERROR(mortise::sys::make_directories(roots));
    return bench(std::move(store), std::move(image), roots + "/one");
  }

  void list() const {
    for (const auto& each : image_.layers) std::printf("%s\n", each.directory.c_str());
  }

  absl::Status run(std::vector<std::string> arguments) const {
    const auto start = clock_type::now();
    clock_type::time_point provisioned;
    MORTISE_ASSIGN_OR_RETURN(auto process, enter(std::move(arguments), provisioned));
    const auto entered = clock_type::now();
    MORTISE_ASSIGN_OR_RETURN(const auto status, process.wait());
    const auto ended = clock_type::now();
    MORTISE_RETURN_IF_ERROR(backend_.destroy(root_).status());
    const auto removed = clock_type::now();
    if (!status.success()) return absl::InternalError("/inside failed: the root is not what the image says");
    std::printf("%ld %ld %ld %ld\n", nanoseconds(start, entered), nanoseconds(start, provisioned),
                nanoseconds(entered, ended), nanoseconds(ended, removed));
    return absl::OkStatus();
  }

 private:
  using store_type = mortise::image::store<mortise::image::oci_layout>;

  bench(store_type store, mortise::model::image image, std::string root)
      : store_(std::move(store)), image_(std::move(image)), root_(std::move(root)) {}

  /// The plan goes with it, and so what it holds of a mount.
  absl::StatusOr<mortise::launch::process> enter(std::vector<std::string> arguments,
                                                 clock_type::time_point& provisioned) const {
    using namespace mortise::model;
    if (::mkdir(root_.c_str(), 0700) != 0)
      return mortise::errno_error(errno, mortise::concat("make directory '", root_, '\''));
    plan steps;
    steps.clone_flags = CLONE_NEWNS;
    steps.add(stage::host, op::make_private{});
    MORTISE_RETURN_IF_ERROR(backend_.provision({image_.layers, root_}, steps).status());
    provisioned = clock_type::now();
    steps.add(stage::execute, op::execute{{"/inside"}, std::move(arguments), {}});
    return mortise::launch::clone{}.spawn(steps);
  }

  store_type store_;
  mortise::model::image image_;
  Rootfs backend_;
  std::string root_;
};

template <class Rootfs>
absl::Status serve(bool only_list, const std::string& location, const std::string& directory) {
  MORTISE_ASSIGN_OR_RETURN(const auto here, bench<Rootfs>::open(location, directory));
  if (only_list) {
    here.list();
    return absl::OkStatus();
  }
  for (char line[64]; std::fgets(line, sizeof line, stdin) != nullptr; (void)std::fflush(stdout)) {
    std::vector<std::string> arguments{"/inside"};
    std::string_view text = line;
    text.remove_suffix(text.ends_with('\n') ? 1 : 0);
    if (const auto space = text.find(' '); space != std::string_view::npos)
      arguments.emplace_back(text.substr(space + 1));
    MORTISE_RETURN_IF_ERROR(here.run(std::move(arguments)));
  }
  return absl::OkStatus();
}

}  // namespace

int main(int count, char** words) {
  const bool only_list = count == 5 && std::string_view(words[1]) == "--list";
  const std::string_view backend = count == 4 || only_list ? words[count - 3] : "";
  absl::Status status =
      absl::InvalidArgumentError("usage: provision [--list] overlay|erofs|copy|bind LOCATION DIRECTORY");
  const auto with = [&]<class Rootfs>(std::type_identity<Rootfs>) {
    if (backend == Rootfs::name) status = serve<Rootfs>(only_list, words[count - 2], words[count - 1]);
  };
  with(std::type_identity<mortise::rootfs::overlay>{});
  with(std::type_identity<mortise::rootfs::erofs>{});
  with(std::type_identity<mortise::rootfs::copy>{});
  with(std::type_identity<mortise::rootfs::bind>{});
  if (!status.ok()) (void)std::fprintf(stderr, "provision: %s\n", std::string(status.message()).c_str());
  return status.ok() ? 0 : 1;
}

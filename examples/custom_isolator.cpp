// SPDX-License-Identifier: Apache-2.0
// Proves that an isolator of your own is a struct of a page, checked by the compiler like mortise's: two of them,
// one giving a fact that the other needs. Needs root: custom-isolator ROOT PROGRAM [ARGS...]
#include <cstdio>
#include <mortise/container.hpp>
#include <mortise/image/directory.hpp>
#include <mortise/isolate/standard.hpp>
#include <mortise/rootfs/overlay.hpp>
#include <mortise/sys/file.hpp>

using namespace mortise;

/// A fact: the container has a directory on the host into which it may write, and which goes away with it.
struct host_scratch {
  std::string path;
};

/// Makes the directory, and shows it at /scratch; release and recover remove it.
struct scratch_directory {
  static constexpr std::string_view name = "scratch-directory";
  static constexpr unsigned version = 1;
  using needs = facts<fact::private_mounts>;
  using gives = facts<host_scratch>;
  using hooks = isolate::hook::list<isolate::hook::prepare, isolate::hook::release, isolate::hook::recover>;
  struct settings {
    std::string parent = "/tmp";
  };
  using held = std::string;
  /// Where on the host it is made; /tmp without.
  static auto parent(std::string path) {
    return isolate::change<scratch_directory>([path = std::move(path)](settings& all) { all.parent = path; });
  }

  static absl::StatusOr<held> prepare(isolate::preparation<scratch_directory>& with) {
    std::string path = concat(with.settings().parent, "/scratch-", with.id().text());
    MORTISE_RETURN_IF_ERROR(with.checkpoint(path));  // before it is made: a crash in between must not lose it
    if (::mkdir(path.c_str(), 0700) != 0) return errno_error(errno, concat("make directory '", path, '\''));
    const model::slot shared = with.plan().new_slot();
    with.plan().add(model::stage::host, model::op::clone_tree{path, shared});
    with.plan().add(model::stage::volumes,
                    model::op::attach{shared, {model::slot::root, "/scratch"}, model::missing::make_directory});
    with.give(host_scratch{path});
    return path;
  }
  static absl::Status release(held& path) { return sys::remove_tree(path); }
  static absl::Status recover(std::string_view path, unsigned) { return sys::remove_tree(std::string(path)); }
};

/// Tells the container's programs what it is called, in a file of that directory.
struct name_file {
  static constexpr std::string_view name = "name-file";
  static constexpr unsigned version = 1;
  using needs = facts<host_scratch>;
  using gives = facts<>;
  using hooks = isolate::hook::list<isolate::hook::prepare>;

  static absl::Status prepare(isolate::preparation<name_file>& with) {
    MORTISE_ASSIGN_OR_RETURN(const auto directory, sys::open(with.fact<host_scratch>().path, O_RDONLY | O_DIRECTORY));
    return sys::replace_file_at(directory.get(), "name", with.id().text() + '\n');
  }
};

// In any order: the compiler sorts them by their facts. Without scratch_directory it would refuse name_file.
using launcher = container<image::directory, rootfs::overlay, isolate::standard, name_file, scratch_directory>;

absl::StatusOr<int> run(const char* root, std::vector<std::string> program) {
  MORTISE_ASSIGN_OR_RETURN(auto host, launcher::host::open({"/var/lib/custom-isolator", "/run/custom-isolator"}));
  const auto place = scratch_directory::parent("/var/tmp");
  MORTISE_ASSIGN_OR_RETURN(auto box, host.launch({.image = root, .args = std::move(program), .with = {place}}));
  MORTISE_ASSIGN_OR_RETURN(const auto ended, box.wait());
  MORTISE_RETURN_IF_ERROR(box.destroy());
  return ended.code();
}

int main(int argc, char** argv) {
  if (argc < 3) return std::fputs("usage: custom-isolator ROOT PROGRAM [ARGS...]\n", stderr), 125;
  const auto code = run(argv[1], {argv + 2, argv + argc});
  if (!code.ok()) std::fputs(concat("custom-isolator: ", message(code.status()), '\n').c_str(), stderr);
  return code.value_or(125);
}

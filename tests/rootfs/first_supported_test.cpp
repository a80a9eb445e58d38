// SPDX-License-Identifier: Apache-2.0
#include <mortise/rootfs/first_supported.hpp>

#include <doctest/doctest.h>

#include <array>
#include <conformance/merging_backend.hpp>
#include <conformance/rootfs_backend.hpp>
#include <mortise/rootfs/bind.hpp>
#include <mortise/rootfs/copy.hpp>
#include <mortise/rootfs/erofs.hpp>
#include <mortise/rootfs/overlay.hpp>
#include <string>
#include <string_view>
#include <support/deny.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <type_traits>

using namespace mortise;

namespace {

/// Works nowhere.
struct never : rootfs::copy {
  static constexpr std::string_view name = "never";
  [[nodiscard]] static absl::Status probe(const std::string& directory) {
    return absl::UnavailableError(to_absl(concat("never: not in '", directory, '\'')));
  }
};

/// Cannot be opened.
struct closed : rootfs::copy {
  static constexpr std::string_view name = "closed";
  static absl::Status open(const std::string& directory) { return absl::UnavailableError(to_absl(directory)); }
};

using overlay_or_copy = rootfs::first_supported<rootfs::overlay, rootfs::copy>;
using copy_in_the_end = rootfs::first_supported<never, rootfs::copy>;
using rootless = rootfs::first_supported<rootfs::unprivileged_overlay, rootfs::unprivileged_copy>;

static_assert(std::is_same_v<overlay_or_copy::layer_format, model::overlay_layers>);
static_assert(std::is_same_v<rootfs::first_supported<rootfs::erofs, rootfs::copy>::layer_format,
                             model::one_of_layers<model::erofs_layers, model::overlay_layers>>);

}  // namespace

namespace conformance {
TEST_CASE_TEMPLATE_INVOKE(rootfs_backend_suite, overlay_or_copy, copy_in_the_end, rootless);
TEST_CASE_TEMPLATE_INVOKE(merging_backend_suite, copy_in_the_end);
}  // namespace conformance

TEST_CASE("first_supported: takes the first that works, and says why the others do not") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  rootfs::first_supported<never, rootfs::copy, rootfs::bind> all;
  CHECK(all.chosen().empty());
  REQUIRE(all.open(place.path()).ok());
  CHECK(all.chosen() == "copy");
  REQUIRE(all.refused().size() == 1);
  CHECK(all.refused().front() == "never: not in '" + place.path() + "'");
  rootfs::first_supported<never> none;
  CHECK(message(none.open(place.path())) == "no backend works here: never: not in '" + place.path() + "'");
  CHECK(none.chosen().empty());
}

TEST_CASE("first_supported: where the kernel allows nothing each one says why") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  const auto said = support::deny({SYS_fsopen, SYS_open_tree}, EPERM, [&] {
    rootfs::first_supported<rootfs::overlay, rootfs::bind, rootfs::copy> all;
    return std::string(message(all.open(place.path())));
  });
  const std::string where = " in '" + place.path() + "': ";
  CHECK(said.text == "no backend works here: overlay" + where +
                         "mount overlay: Operation not permitted (needs CAP_SYS_ADMIN); bind" + where +
                         "share a directory: Operation not permitted (needs CAP_SYS_ADMIN); copy" + where +
                         "share a directory: Operation not permitted (needs CAP_SYS_ADMIN)");
  CHECK(support::names_in(place.path()).empty());
}

TEST_CASE("first_supported: what the kernel does not know is refused by name, and the next taken") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  rootfs::first_supported<rootfs::erofs, rootfs::overlay, rootfs::copy> all;
  REQUIRE(all.open(place.path()).ok());
  const auto known = sys::read_file("/proc/filesystems");  // after what opening may have loaded
  REQUIRE(known.ok());
  std::size_t checked = 0;
  for (const std::string type : {"erofs", "overlay"}) {
    if (known->find('\t' + type + '\n') != std::string::npos) continue;
    if (all.refused().size() == checked) break;  // an earlier one was taken
    CHECK(all.chosen() != type);
    const std::string& said = all.refused()[checked++];
    CHECK_MESSAGE(said.find("the kernel has no ") != std::string::npos, said);
  }
  if (checked == 0) support::skip("needs a kernel without EROFS or overlayfs: tests/guest boots one");
}

TEST_CASE("first_supported: before it is opened it says so") {
  const overlay_or_copy all;
  const support::temporary_directory place;
  model::plan plan;
  const model::layers layers{{{}, place.path()}};
  const std::string directory = place.path();
  CHECK(message(all.provision({layers, directory}, plan).status()) == "no backend is chosen yet: open it first");
  CHECK(message(all.show({layers, directory}, plan).status()) == "no backend is chosen yet: open it first");
}

TEST_CASE("first_supported: layers are asked for in the chosen one's form") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  rootfs::first_supported<rootfs::erofs, rootfs::copy> all;
  REQUIRE(all.open(place.path()).ok());
  const auto form = rootfs::with_layer_format(
      all, []<class Format>(std::type_identity<Format>) { return std::string(Format::name); });
  CHECK(form == (all.chosen() == "erofs" ? "erofs" : "overlay"));
}

TEST_CASE("first_supported: a limit is refused by one that cannot hold it") {
  if (support::missing_root()) return;
  const support::temporary_directory place;
  rootfs::first_supported<rootfs::bind> all;
  REQUIRE(all.open(place.path()).ok());
  model::plan plan;
  const model::layers layers{{{}, place.path()}};
  const std::string directory = place / "box";
  const auto made = all.provision({layers, directory, 1_MiB}, plan);
  CHECK(message(made.status()) == "limit what may be written: backend 'bind' cannot");
}

TEST_CASE("first_supported: only the one that is named, whether it works or not, and nothing is probed") {
  const support::temporary_directory place;
  using all = rootfs::first_supported<rootfs::copy, never, rootfs::bind>;
  CHECK(all::names == std::array<std::string_view, 3>{"copy", "never", "bind"});
  auto named = all::only("never");
  REQUIRE(named.ok());
  CHECK(named->chosen().empty());
  REQUIRE(named->open(place.path()).ok());
  CHECK(named->chosen() == "never");
  CHECK(named->refused().empty());
  CHECK(message(all::only("over\nlay").status()) == "choose backend 'over\\x0alay': it is none of copy, never, bind");
}

TEST_CASE("first_supported: what the named one says when it is opened is passed on") {
  auto named = rootfs::first_supported<rootfs::copy, closed>::only("closed");
  REQUIRE(named.ok());
  CHECK(message(named->open("/where")) == "/where");
  CHECK(named->chosen().empty());
}

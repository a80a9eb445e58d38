// SPDX-License-Identifier: Apache-2.0
// Images as other tools make them, unpacked as another tool unpacks them: entry by entry the same.
#include <mortise/image/store.hpp>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <image/store_fixture.hpp>
#include <image/tree_compare.hpp>
#include <mortise/rootfs/erofs_mount.hpp>
#include <rootfs/smallest_image.hpp>
#include <string>
#include <string_view>
#include <support/place.hpp>
#include <support/script.hpp>
#include <support/skip.hpp>

using mortise::message;
using support::run_script;
using support::store_fixture;

namespace {

bool missing_tools() {
  return support::missing_root() || support::missing_program("umoci") || support::missing_program("skopeo") ||
         support::missing_program("busybox");
}

/// What the kernel shows of an image that is packed, and never unpacked, against another tool's tree of it.
std::string packed_against(const std::string& tree, const std::string& store, const std::string& location) {
  if (support::missing_erofs()) return {};
  auto opened = support::local_store::open(store);
  if (!opened.ok()) return std::string(message(opened.status()));
  const auto image = opened->provide<mortise::model::erofs_layers>(location, {});
  if (!image.ok()) return std::string(message(image.status()));
  const auto directory = mortise::sys::open(image->layers.front().directory, O_RDONLY | O_DIRECTORY);
  if (!directory.ok()) return std::string(message(directory.status()));
  const auto shown = mortise::rootfs::mount_erofs(directory->get());
  if (!shown.ok()) return std::string(message(shown.status()));
  return support::differences(mortise::concat("/proc/self/fd/", shown->get()), tree);
}

/// What overlayfs shows of the image we unpack, and EROFS of the one that we do not, against what umoci unpacks of it.
std::string against_umoci(const std::string& place, const std::string& layout, const std::string& tag) {
  if (!run_script(place, mortise::concat("rm -rf bundle; umoci unpack --image '", layout, ":", tag, "' bundle")))
    return "umoci failed";
  const auto image = support::provide(place + "/store", mortise::concat("oci:", layout, ":", tag));
  if (!image.ok()) return std::string(message(image.status()));
  const std::string theirs = place + "/bundle/rootfs";
  const support::merged_layers merged(image->layers);
  const std::string stacked = support::differences(merged.path(), theirs);
  if (!stacked.empty()) return "stacked:\n" + stacked;
  const std::string packed = packed_against(theirs, place + "/packed", mortise::concat("oci:", layout, ":", tag));
  return packed.empty() ? "" : "packed:\n" + packed;
}

/// A small image of busybox: files, links, a set-user-ID program, devices, attributes, odd names.
constexpr std::string_view small_image = R"sh(
umoci init --layout oci
umoci new --image oci:base
mkdir -p root/bin root/etc root/dev root/empty
cp "$(command -v busybox)" root/bin/busybox
ln root/bin/busybox root/bin/sh; ln -s busybox root/bin/ls; ln -s /etc/motd root/link
echo hello >root/etc/motd; chmod 640 root/etc/motd; chown 12:34 root/etc/motd
printf x >"root/etc/$(printf 'a\377b')"; printf y >"root/etc/with space"
mknod root/dev/null c 1 3; mkfifo root/fifo; chmod 4755 root/bin/busybox; chmod 1777 root/empty
setfattr -n user.note -v text root/etc/motd 2>/dev/null || true
touch -d '2001-02-03 04:05:06.123456789' root/etc/motd
tar -C root --format pax --xattrs -cf layer.tar .
umoci raw add-layer --image oci:base layer.tar
umoci config --image oci:base --config.entrypoint /bin/sh --config.cmd -c --config.user 12:34 --config.env A=B
)sh";

/// `b COMMAND...`: buildah with a storage of the test's own.
constexpr std::string_view own_buildah = R"sh(
export XDG_RUNTIME_DIR=$PWD/run; mkdir run
b() { command=$1; shift; buildah --root $PWD/graph --runroot $PWD/run --storage-driver vfs $command "$@"; }
)sh";

/// Makes `kept`, and the tar beside it of which that is; both are kept between runs, and the benchmarks take them too.
bool make_debian(const std::string& place, const std::string& kept) {
  const std::string script = mortise::concat("kept='", kept, "'\n", R"sh(
set -e
[ -f "$kept.tar" ] || {
  mmdebstrap --quiet --variant=minbase --mode=root --format=tar bookworm "$kept.tar.new"
  mv "$kept.tar.new" "$kept.tar"
}
rm -rf "$kept" "$kept.new"
umoci init --layout "$kept.new"
umoci new --image "$kept.new:latest"
umoci raw add-layer --image "$kept.new:latest" "$kept.tar"
mv "$kept.new" "$kept")sh");
  support::write_file(place + "/make", script);
  return std::system(mortise::concat("sh '", place, "/make' >/dev/null 2>&1").c_str()) == 0;
}

}  // namespace

TEST_CASE("real images: a static-binary image of umoci's, by umoci and through skopeo's archives") {
  if (missing_tools()) return;
  store_fixture here;
  const std::string at = here.place.path();
  REQUIRE(run_script(at, mortise::concat("rm -rf oci\n", small_image, R"sh(
skopeo copy -q oci:oci:base docker-archive:docker.tar:example.com/small:1
skopeo copy -q oci:oci:base oci-archive:oci.tar:base
skopeo copy -q --dest-compress-format zstd --dest-compress oci:oci:base oci:zstd:base
gzip -k docker.tar)sh")));
  CHECK(against_umoci(at, at + "/oci", "base") == "");
  const auto image = support::provide(here.directory, "oci:" + at + "/oci:base");
  REQUIRE(image.ok());
  CHECK(image->config.user == "12:34");
  CHECK(image->config.entrypoint.front() == "/bin/sh");
  for (const char* const other : {"docker-archive:%/docker.tar", "docker-archive:%/docker.tar.gz:example.com/small:1",
                                  "oci-archive:%/oci.tar:base", "oci:%/zstd:base"}) {
    std::string location(other);
    location.replace(location.find('%'), 1, at);
    CAPTURE(location);
    const auto same = support::provide(here.directory, location);
    REQUIRE(message(same.status()) == "");
    CHECK(same->layers.front().directory == image->layers.front().directory);
    CHECK(same->config.user == "12:34");
  }
}

TEST_CASE("real images: twenty layers with whiteouts, hard links and replaced kinds") {
  if (missing_tools()) return;
  store_fixture here;
  const std::string at = here.place.path();
  REQUIRE(run_script(at, mortise::concat("rm -rf oci\n", small_image, R"sh(
umoci unpack --image oci:base work; cd work/rootfs
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
  mkdir -p d$i/sub; echo $i >d$i/sub/file; ln d$i/sub/file d$i/hard; ln -s sub/file d$i/soft
  [ $i -lt 3 ] || rm -rf d$((i - 2))/sub
  case $i in
    4) rm etc/motd; mkdir etc/motd; echo x >etc/motd/file;;
    7) rm -r etc/motd; ln -s /nowhere etc/motd;;
    9) rm -r d8; mkdir d8; echo again >d8/new;;
    11) chmod 700 d9; chown 7:7 d10;;
    13) ln d12/sub/file linked;;
    15) rm -r d14; echo file >d14;;
    17) chmod 0750 .;;
  esac
  (cd ../..; umoci repack --refresh-bundle --image oci:base work)
done)sh")));
  CHECK(against_umoci(at, at + "/oci", "base") == "");
  const auto image = support::provide(at + "/store", "oci:" + at + "/oci:base");
  REQUIRE(image.ok());
  CHECK(image->layers.size() == 20);
}

TEST_CASE("real images: buildah's, in OCI's and in Docker's form") {
  if (missing_tools() || support::missing_program("buildah")) return;
  store_fixture here;
  const std::string at = here.place.path();
  REQUIRE(run_script(at, mortise::concat(own_buildah, R"sh(
container=$(b from scratch)
b copy -q $container "$(command -v busybox)" /bin/busybox
b config --cmd /bin/busybox --label a=b --arch amd64 $container
b commit -q --format oci $container oci:$PWD/built:one
b commit -q --format docker $container docker-archive:$PWD/built.tar:built:one
b rm -a)sh")));
  CHECK(against_umoci(at, at + "/built", "one") == "");
  const auto oci = support::provide(here.directory, "oci:" + at + "/built:one");
  const auto docker = support::provide(here.directory, "docker-archive:" + at + "/built.tar:built:one");
  REQUIRE(message(oci.status()) == "");
  REQUIRE(message(docker.status()) == "");
  CHECK(mortise::model::find(docker->config.labels, "a") == "b");
  CHECK(oci->layers.size() == docker->layers.size());
}

TEST_CASE("real images: an index of buildah's for two platforms, nested in its layout's") {
  if (missing_tools() || support::missing_program("buildah")) return;
  store_fixture here;
  const std::string at = here.place.path();
  REQUIRE(run_script(at, mortise::concat(own_buildah, R"sh(
b manifest create many
for arch in amd64 arm64; do
  container=$(b from --arch $arch scratch)
  echo $arch >which
  b copy -q $container which /which
  b config --os linux --arch $arch $container
  b commit -q --rm --manifest many $container built:$arch
done
b manifest push -q --all many oci:$PWD/many:all
skopeo copy -q --all oci:many:all oci-archive:copied.tar:all)sh")));
  for (const std::string& location : {"oci:" + at + "/many:all", "oci-archive:" + at + "/copied.tar:all"}) {
    for (const char* const which : {"amd64", "arm64"}) {
      CAPTURE(which);
      const auto image =
          support::provide(here.directory, location, {.platform = mortise::model::platform{"linux", which, "", {}}});
      REQUIRE(message(image.status()) == "");
      CHECK(support::read_file(image->layers.back().directory + "/which") == std::string(which) + '\n');
    }
    const auto none =
        support::provide(here.directory, location, {.platform = mortise::model::platform{"linux", "s390x", "", {}}});
    CHECK_MESSAGE(message(none.status()).find("linux/amd64, linux/arm64") != std::string::npos, message(none.status()));
  }
}

TEST_CASE("real images: a Debian root of mmdebstrap's") {
  if (missing_tools() || support::missing_program("mmdebstrap")) return;
  const std::string kept = support::cache_directory() + "/bookworm";
  store_fixture here;
  const std::string at = here.place.path();
  if (::access((kept + "/index.json").c_str(), R_OK) != 0 && !make_debian(at, kept))
    return support::skip("needs a Debian mirror that mmdebstrap can reach");
  CHECK(against_umoci(at, kept, "latest") == "");
}

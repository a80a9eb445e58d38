// SPDX-License-Identifier: Apache-2.0
#include <mortise/image/appc/aci.hpp>

#include <doctest/doctest.h>

#include <archive/pack.hpp>
#include <archive/pack_more.hpp>
#include <archive/tar_builder.hpp>
#include <digest/memory_reader.hpp>
#include <image/appc/documents.hpp>
#include <string>
#include <string_view>

using mortise::message;
using mortise::image::appc::aci_request;
using mortise::image::appc::read_aci;
using support::aci_manifest;
using support::tar_builder;

namespace {

absl::StatusOr<mortise::image::appc::aci> read(const std::string& content, const aci_request& request = {"it", {}}) {
  support::memory_reader source(content, 1000);
  auto out = read_aci(source, request);
  if (out.ok()) CHECK(source.taken() == content.size());
  return out;
}

bool refused(const std::string& content, std::string_view part,
             absl::StatusCode code = absl::StatusCode::kInvalidArgument, const aci_request& request = {"it", {}}) {
  const auto result = read(content, request);
  const std::string said(message(result.status()));
  CAPTURE(said);
  CAPTURE(part);
  const bool right =
      result.status().code() == code && said.starts_with("read it: ") && said.find(part) != std::string::npos;
  CHECK(right);
  return right;
}

mortise::model::ac_image_id id_of(std::string_view text) {
  mortise::digest::openssl hash(mortise::model::digest_algorithm::sha512);
  hash.update(std::as_bytes(std::span(text)));
  return mortise::model::ac_image_id(hash.finish());
}

tar_builder sound() {
  tar_builder tar;
  tar.file("manifest", aci_manifest()).directory("rootfs/").directory("rootfs/bin").file("rootfs/bin/sh", "#!");
  tar.hard_link("rootfs/bin/ash", "rootfs/bin/sh").symlink("rootfs/etc", "../../../etc");
  return tar;
}

}  // namespace

TEST_CASE("aci: plain and compressed files have the same manifest and image ID") {
  const std::string tar = sound().text();
  for (const std::string& content :
       {tar, support::gzip(tar), support::zstd(tar), support::bzip2(tar), support::xz(tar)}) {
    const auto image = read(content, {"it", id_of(tar)});
    REQUIRE_MESSAGE(image.ok(), message(image.status()));
    CHECK(image->id == id_of(tar));
    CHECK(image->size == tar.size());
    CHECK(image->entries == 5);
    CHECK(image->manifest_text == aci_manifest());
    CHECK(image->manifest.name == "example.com/app");
  }
}

TEST_CASE("aci: the order of entries does not matter, nor the spelling of their names") {
  tar_builder tar;
  tar.directory("./").directory("./rootfs").file("./rootfs//a", "x").file("./manifest", aci_manifest());
  CHECK(read(tar.text())->entries == 2);
}

TEST_CASE("aci: bytes behind the archive's end are part of the image ID") {
  const std::string tar = sound().text();
  const std::string padded = tar + std::string(512 * 17, '\0');
  CHECK(read(padded)->id == id_of(padded));
  CHECK(read(padded)->id != id_of(tar));
  const std::string hidden = tar + "more";
  CHECK(read(hidden)->id == id_of(hidden));
}

TEST_CASE("aci: another image than the one that was asked for is refused") {
  refused(sound().text(), "its image ID is sha512-", absl::StatusCode::kDataLoss, {"it", id_of("other")});
  const std::string packed = support::gzip(sound().text());
  refused(packed, "expected " + id_of(packed).text(), absl::StatusCode::kDataLoss, {"it", id_of(packed)});
}

TEST_CASE("aci: only the manifest and rootfs belong into it") {
  for (const char* const name : {"other", "rootfs2/a", "rootfsx", "manifest/a", "etc/passwd", ".git", "manifest.json"})
    refused(sound().file(name, "x").text(), "only 'manifest', 'rootfs'");
  refused(sound().file("../etc/passwd", "x").text(), "its name contains '..'");
  refused(sound().file("rootfs/../../etc/passwd", "x").text(), "its name contains '..'");
  refused(tar_builder().directory("rootfs").text(), "it has no 'manifest'");
  refused(tar_builder().file("manifest", aci_manifest()).text(), "it has no 'rootfs'");
  refused("", "it has no 'manifest'");
  refused(tar_builder().file("manifest", aci_manifest()).file("rootfs", "x").text(), "'rootfs' must be a directory");
  refused(tar_builder().file("manifest", aci_manifest()).symlink("rootfs", "/").text(), "'rootfs' must be a directory");
}

TEST_CASE("aci: names occur once, however they are spelled") {
  refused(sound().file("manifest", aci_manifest()).text(), "entry 'manifest': it occurs twice");
  refused(sound().file("./manifest", aci_manifest()).text(), "entry './manifest': it occurs twice");
  refused(sound().file("rootfs/bin//sh", "evil").text(), "entry 'rootfs/bin//sh': it occurs twice");
  refused(sound().directory("rootfs").text(), "it occurs twice");
}

TEST_CASE("aci: the manifest is a regular file of some size") {
  const auto rootfs = [] { return tar_builder().directory("rootfs").file("rootfs/m", aci_manifest()); };
  refused(rootfs().symlink("manifest", "rootfs/m").text(), "'manifest' must be a regular file, not a symbolic link");
  refused(rootfs().hard_link("manifest", "rootfs/m").text(), "'manifest' must be a regular file, not a hard link");
  refused(rootfs().directory("manifest").text(), "'manifest' must be a regular file, not a directory");
  refused(rootfs().add({.name = "manifest", .type = '6'}).text(), "not a FIFO");
  refused(rootfs().add({.name = "manifest", .type = '3', .major = 1, .minor = 3}).text(), "not a character device");
  refused(rootfs().file("manifest", std::string(1001, ' ')).text(), "entry 'manifest': it is longer than 1000 bytes",
          absl::StatusCode::kResourceExhausted, {.subject = "it", .expected = {}, .manifest_bytes = 1000});
  refused(rootfs().file("manifest", "{}").text(), "parse manifest: 'acKind' is missing");
  refused(rootfs().file("manifest", "").text(), "parse manifest: not JSON");
}

TEST_CASE("aci: hard links stay within rootfs") {
  refused(sound().hard_link("rootfs/m", "manifest").text(), "leads out of 'rootfs'");
  refused(sound().hard_link("rootfs/m", "rootfs/later").file("rootfs/later").text(),
          "its hard link to 'rootfs/later' comes before its target");
  refused(sound().hard_link("rootfs/m", "/etc/shadow").text(), "leads out of 'rootfs'");
  refused(sound().hard_link("rootfs/m", "rootfs/../manifest").text(), "its name contains '..'");
}

TEST_CASE("aci: floods and bombs meet their limits") {
  const auto more = absl::StatusCode::kResourceExhausted;
  tar_builder many = sound();
  for (int at = 0; at < 50; ++at) many.file("rootfs/" + std::to_string(at));
  aci_request few{"it", {}};
  few.limits.entries = 20;
  refused(many.text(), "more than 20 entries", more, few);
  aci_request brief{"it", {}};
  brief.name_bytes = 2000;
  refused(many.text(), "the names take more than 2000 bytes", more, brief);
  aci_request small{"it", {}};
  small.limits.unpacked = {8192};
  refused(support::gzip(sound().file("rootfs/big", std::string(100'000, 'x')).text()),
          "more than the 8192 bytes allowed", more, small);
}

TEST_CASE("aci: what it is packed with otherwise is named") {
  refused("LZIP\x01......", "it is packed with lzip", absl::StatusCode::kUnimplemented);
  refused("BZh91AY&SY....", "decompress bzip2: ", absl::StatusCode::kDataLoss);
  refused(std::string("\xfd\x37zXZ\0\0\0\0\0", 11), "decompress xz: ", absl::StatusCode::kDataLoss);
  refused(support::xz(sound().text(), 9), "bytes of memory allowed", absl::StatusCode::kResourceExhausted,
          {.subject = "it", .expected = {}, .limits = {.xz_memory = {1 << 20}}});
}

TEST_CASE("aci: damage and failures of the source are told apart") {
  const std::string tar = sound().text();
  refused(std::string(2000, 'x'), "read tar");
  const std::string packed = support::gzip(tar);
  refused(packed.substr(0, packed.size() - 20), "decompress gzip: it is truncated", absl::StatusCode::kDataLoss);
  support::memory_reader broken(tar.substr(0, 700), 100, absl::UnavailableError("gone"));
  const auto result = read_aci(broken, {"it", {}});
  CHECK(result.status().code() == absl::StatusCode::kUnavailable);
  CHECK(message(result.status()) == "read it: entry 'manifest': gone");
}

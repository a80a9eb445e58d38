// SPDX-License-Identifier: Apache-2.0
#include <mortise/archive/tar.hpp>

#include <doctest/doctest.h>

#include <archive/tar_builder.hpp>
#include <clocale>
#include <cstdlib>
#include <digest/memory_reader.hpp>
#include <fstream>
#include <iterator>
#include <string>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <vector>

using mortise::message;
using mortise::archive::entry;
using mortise::archive::entry_type;
using mortise::archive::limits;
using mortise::archive::tar_reader;
using support::memory_reader;
using support::tar_builder;
using support::tar_magic;
using namespace mortise::literals;

namespace {

struct member {
  entry about;
  std::string data;
  std::vector<std::uint64_t> offsets;
};

/// Everything in an archive.
absl::StatusOr<std::vector<member>> listed(const std::string& tar, const limits& caps = {},
                                           std::size_t piece = 1 << 20) {
  memory_reader source(tar, piece);
  tar_reader reader(source, caps);
  std::vector<member> all;
  for (;;) {
    member one;
    MORTISE_ASSIGN_OR_RETURN(const bool more, reader.next(one.about));
    if (!more) return all;
    for (;;) {
      MORTISE_ASSIGN_OR_RETURN(const auto extent, reader.data());
      if (extent.bytes.empty()) break;
      one.offsets.push_back(extent.offset);
      one.data.resize(extent.offset);
      one.data.append(reinterpret_cast<const char*>(extent.bytes.data()), extent.bytes.size());
    }
    all.push_back(one);
  }
}

/// The only entry of an archive.
member only(const std::string& tar) {
  const auto all = listed(tar);
  if (!all.ok()) FAIL(std::string(message(all.status())));
  REQUIRE(all->size() == 1);
  return all->front();
}

std::string why(const std::string& tar, const limits& caps = {}) {
  return std::string(message(listed(tar, caps).status()));
}

std::string made_by(const std::string& script) {
  const support::temporary_directory place;
  if (std::system(("cd " + place.path() + " && exec >/dev/null && " + script).c_str()) != 0) return {};
  std::ifstream file(place / "out.tar", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("archive::tar_reader reads every type of entry") {
  tar_builder tar;
  tar.add({.name = "file", .data = "data", .mode = 04755, .uid = 5, .gid = 6, .mtime = 77});
  tar.directory("directory/", 01777);
  tar.symlink("soft", "../any where");
  tar.hard_link("hard", "file");
  tar.add({.name = "tty", .type = '3', .major = 5, .minor = 1});
  tar.add({.name = "disk", .type = '4', .major = 8, .minor = 70000});
  tar.add({.name = "pipe", .type = '6'});
  for (const std::size_t piece : {1U, 700U, 1U << 20}) {
    const auto all = listed(tar.text(), {}, piece);
    REQUIRE(all.ok());
    REQUIRE(all->size() == 7);
    const entry& file = (*all)[0].about;
    CHECK(file.type == entry_type::regular);
    CHECK(file.path == "file");
    CHECK((*all)[0].data == "data");
    CHECK(file.size == 4);
    CHECK(file.mode == 04755);
    CHECK(file.uid == 5);
    CHECK(file.gid == 6);
    CHECK(file.modified.tv_sec == 77);
    CHECK(file.accessed.tv_sec == 77);  // there is no time of access
    CHECK((*all)[1].about.type == entry_type::directory);
    CHECK((*all)[1].about.mode == 01777);
    CHECK((*all)[2].about.type == entry_type::symbolic_link);
    CHECK((*all)[2].about.link_target == "../any where");
    CHECK((*all)[3].about.type == entry_type::hard_link);
    CHECK((*all)[3].about.link_target == "file");
    CHECK((*all)[4].about.type == entry_type::character_device);
    CHECK((*all)[4].about.device == makedev(5, 1));
    CHECK((*all)[5].about.type == entry_type::block_device);
    CHECK((*all)[5].about.device == makedev(8, 70000));
    CHECK((*all)[6].about.type == entry_type::fifo);
  }
}

TEST_CASE("names are the bytes of the archive, in every locale and every dialect") {
  // Latin-1, UTF-8 composed and decomposed, and something that is nothing.
  const std::string names[] = {"caf\xe9", "caf\xc3\xa9", "cafe\xcc\x81", "\xff\xfe\x80", "\xe3\x81\x8b\xe3\x82\x99"};
  for (const char* const locale : {"C", "C.UTF-8"}) {
    std::setlocale(LC_ALL, locale);
    for (const std::string& name : names) {
      const std::string target = "to-" + name;
      CHECK(only(tar_builder().file(name).text()).about.path == name);
      CHECK(only(tar_builder().add({.name = name, .magic = tar_magic::gnu}).text()).about.path == name);
      CHECK(only(tar_builder().add({.name = name, .magic = tar_magic::v7}).text()).about.path == name);
      CHECK(only(tar_builder().gnu_long('L', name).add({.name = "x", .magic = tar_magic::gnu}).text()).about.path ==
            name);
      const entry pax =
          only(tar_builder()
                   .add({.name = "x", .link = "y", .type = '2', .pax = {{"path", name}, {"linkpath", target}}})
                   .text())
              .about;
      CHECK(pax.path == name);
      CHECK(pax.link_target == target);
      CHECK(
          only(tar_builder().add({.name = "x", .pax = {{"hdrcharset", "BINARY"}, {"path", name}}}).text()).about.path ==
          name);
      CHECK(only(tar_builder().add({.name = "x", .pax = {{"uname", name}, {"gname", name}}}).text()).about.path == "x");
    }
    std::setlocale(LC_ALL, "C");
  }
}

TEST_CASE("long names and large numbers, by pax and by GNU") {
  const std::string longer(1000, 'n');
  CHECK(only(tar_builder().file(longer).text()).about.path == longer);
  const entry gnu = only(tar_builder()
                             .gnu_long('L', longer)
                             .gnu_long('K', longer + "t")
                             .add({.name = "x", .link = "y", .type = '2', .magic = tar_magic::gnu})
                             .text())
                        .about;
  CHECK(gnu.path == longer);
  CHECK(gnu.link_target == longer + "t");
  CHECK(only(tar_builder().add({.name = "x", .uid = 4'000'000'000, .gid = 3'000'000}).text()).about.uid ==
        4'000'000'000);
  const entry pax =
      only(tar_builder().add({.name = "x", .pax = {{"uid", "4294967294"}, {"gid", "70000"}}}).text()).about;
  CHECK(pax.uid == 4294967294);
  CHECK(pax.gid == 70000);
}

TEST_CASE("owners that no file can have are refused") {
  CHECK(why(tar_builder().add({.name = "x", .uid = 4294967295}).text()) ==
        "read tar entry 'x': its owner 4294967295:0 is not a possible one");
  CHECK_FALSE(listed(tar_builder().add({.name = "x", .gid = -1}).text()).ok());
  CHECK_FALSE(listed(tar_builder().add({.name = "x", .pax = {{"uid", "99999999999999999999"}}}).text()).ok());
}

TEST_CASE("device numbers that mknod(2) would cut are refused") {
  // Base 256 can hold 2^32, whose low bits are those of the device 0:0.
  CHECK(why(tar_builder().add({.name = "x", .type = '3', .pax = {{"SCHILY.devmajor", "4096"}}}).text()) ==
        "read tar entry 'x': its device number is not a possible one");
  CHECK_FALSE(
      listed(tar_builder().add({.name = "x", .type = '3', .pax = {{"SCHILY.devminor", "4294967296"}}}).text()).ok());
}

TEST_CASE("times have nanoseconds, may lie before 1970, and never confuse the kernel") {
  const entry about =
      only(tar_builder().add({.name = "x", .pax = {{"mtime", "1234567890.123456789"}, {"atime", "12.5"}}}).text())
          .about;
  CHECK(about.modified.tv_sec == 1234567890);
  CHECK(about.modified.tv_nsec == 123456789);
  CHECK(about.accessed.tv_sec == 12);
  CHECK(about.accessed.tv_nsec == 500000000);
  for (const char* const odd :
       {"-1.5", "99999999999999999999", "-99999999999999999999.9", "1.99999999999", "nonsense"}) {
    const entry strange = only(tar_builder().add({.name = "x", .pax = {{"mtime", odd}}}).text()).about;
    CHECK(strange.modified.tv_nsec >= 0);
    CHECK(strange.modified.tv_nsec < 1'000'000'000);
  }
  CHECK(only(tar_builder().add({.name = "x", .mtime = -5}).text()).about.modified.tv_sec == -5);
}

TEST_CASE("extended attributes come as bytes, from both spellings") {
  const std::string binary("\x01\0\0\x02=\n\xff\0", 8);
  const entry about = only(tar_builder()
                               .add({.name = "x",
                                     .pax = {{"LIBARCHIVE.xattr.user.b%2Fc", "AAEC/w"}},
                                     .xattrs = {{"security.capability", binary}, {"user.empty", ""}}})
                               .text())
                          .about;
  std::vector<mortise::archive::xattr> expected = {
      {"security.capability", binary}, {"user.empty", ""}, {"user.b/c", std::string("\0\1\2\xff", 4)}};
  for (const auto& each : expected)
    CHECK_MESSAGE(std::find(about.xattrs.begin(), about.xattrs.end(), each) != about.xattrs.end(), each.name);
  CHECK(about.xattrs.size() == 3);
  CHECK(only(tar_builder().file("x").text()).about.xattrs.empty());
}

TEST_CASE("extended attributes beyond the limit are refused") {
  const std::string tar =
      tar_builder()
          .add({.name = "x", .xattrs = {{"user.a", std::string(600, 'v')}, {"user.b", std::string(600, 'v')}}})
          .text();
  CHECK(why(tar, limits{.xattrs = 1_KiB}) ==
        "read tar entry 'x': more than the 1024 bytes of extended attributes allowed");
  CHECK(listed(tar).ok());
}

TEST_CASE("data that stands behind links and directories is passed over") {
  tar_builder tar;
  tar.file("x", "data");
  tar.add({.name = "y", .data = "ignored", .link = "x", .type = '1', .pax = {{"comment", "pax, so there is data"}}});
  tar.file("z", "last");
  const auto all = listed(tar.text());
  REQUIRE(all.ok());
  REQUIRE(all->size() == 3);
  CHECK((*all)[1].about.type == entry_type::hard_link);
  CHECK((*all)[1].about.size == 0);
  CHECK((*all)[2].data == "last");
}

TEST_CASE("a global pax header has no meaning, and unknown types are files, as POSIX says") {
  tar_builder tar;
  const std::string records = tar_builder::record("path", "evil") + tar_builder::record("uid", "7");
  tar.header({.name = "g", .type = 'g', .size = records.size()}).body(records);
  tar.file("x", "data");
  const entry about = only(tar.text()).about;
  CHECK(about.path == "x");
  CHECK(about.uid == 0);
  CHECK(only(tar_builder().add({.name = "odd", .data = "data", .type = 'Z'}).text()).about.type == entry_type::regular);
}

TEST_CASE("names that are empty are refused, and one that holds a NUL ends there") {
  CHECK(why(tar_builder().add({.name = "", .type = '0'}).text()) == "read tar entry: it has no name");
  CHECK(
      only(tar_builder().add({.name = "x", .pax = {{"path", std::string("safe\0/../evil", 13)}}}).text()).about.path ==
      "safe");
  CHECK(why(tar_builder().add({.name = "x", .type = '2'}).text()) == "read tar entry 'x': it links to nothing");
}

TEST_CASE("an archive may end with or without its mark, and be empty") {
  CHECK(listed("")->empty());
  CHECK(listed(std::string(1024, '\0'))->empty());
  CHECK(listed(std::string(10240, '\0'))->empty());
  CHECK(listed(tar_builder().file("x", "data").open_end())->size() == 1);
  CHECK(listed(tar_builder().file("x").text() + "what stands behind the end")->size() == 1);
}

TEST_CASE("what is damaged or cut off is refused") {
  const std::string tar = tar_builder().file("x", std::string(5000, 'd')).file("y", "data").text();
  for (const std::size_t size : {100U, 511U, 600U, 5000U, 5700U}) CHECK_FALSE(listed(tar.substr(0, size)).ok());
  std::string bad = tar;
  bad[512 + 5120 + 10] = 'x';  // in the second header
  CHECK(why(bad) == "read tar header: Damaged tar archive");
  CHECK(listed(bad).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK_FALSE(listed(std::string(512, 'x')).ok());
  CHECK_FALSE(listed(support::tar_builder().add({.name = "x", .size = 1ULL << 62}).text()).ok());
}

TEST_CASE("malformed pax records are refused, not ignored as if they were not there") {
  for (const std::string records : {"notanumber path=x\n", "99 path=x\n", "9 path=x", "6 path\n", "0 path=x\n"}) {
    tar_builder tar;
    tar.header({.name = "pax", .type = 'x', .size = records.size()}).body(records).file("x");
    CHECK_MESSAGE(!listed(tar.text()).ok(), records);
  }
}

TEST_CASE("floods of headers are cut short") {
  tar_builder many;
  for (int at = 0; at < 20'000; ++at) many.gnu_long('L', "name");
  CHECK_FALSE(listed(many.file("x").text()).ok());

  tar_builder large;  // more than a pax header may have
  large.header({.name = "pax", .type = 'x', .size = 2U << 20}).body(std::string(2U << 20, 'x')).file("x");
  CHECK_FALSE(listed(large.text()).ok());

  std::string map = "300000\n";  // a sparse map without end, in a file's data
  for (int at = 0; at < 300'000; ++at) map += std::to_string(at * 10) + "\n1\n";
  map.resize((map.size() + 511) / 512 * 512);
  tar_builder sparse;
  sparse.add({.name = "x",
              .data = map + std::string(300'000, 'd'),
              .pax = {{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.realsize", "3000000"}}});
  const absl::Status status = listed(sparse.text(), limits{.header = 1_MiB}).status();
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  CHECK(message(status) == "read tar header: more than the 1048576 bytes allowed");
}

TEST_CASE("sparse files: old GNU, pax 0.0, 0.1 and 1.0, as GNU tar writes them") {
  for (const char* const format : {"--format=gnu", "--format=pax --sparse-version=0.0",
                                   "--format=pax --sparse-version=0.1", "--format=pax --sparse-version=1.0"}) {
    const std::string tar = made_by(
        "printf begin > x && truncate -s 3M x && printf middle >> x && truncate -s 9M x && printf end >> x && "
        "truncate -s 12M x && tar " +
        std::string(format) + " -S -cf out.tar x");
    REQUIRE(!tar.empty());
    CHECK(tar.size() < 200'000);
    member one = only(tar);
    CHECK(one.about.path == "x");
    CHECK(one.about.size == 12U << 20);
    one.data.resize(12U << 20);
    CHECK(one.data.substr(0, 5) == "begin");
    CHECK(one.data.substr(3U << 20, 6) == "middle");
    CHECK(one.data.substr(9U << 20, 3) == "end");
    CHECK(static_cast<std::size_t>(std::count(one.data.begin(), one.data.end(), '\0')) == (12U << 20) - 14);
  }
}

TEST_CASE("what GNU tar writes in each of its formats is read alike") {
  for (const char* const format : {"gnu", "oldgnu", "pax", "posix", "ustar", "v7"}) {
    const std::string tar = made_by(
        "mkdir -p tree/deep/er && echo text > tree/deep/er/file && ln -s file tree/deep/er/soft && "
        "ln tree/deep/er/file tree/hard && chmod 6711 tree/hard && tar --sort=name --format=" +
        std::string(format) + " -cf out.tar tree");
    const auto all = listed(tar);
    REQUIRE(all.ok());
    REQUIRE(all->size() == 6);
    CHECK((*all)[3].about.path == "tree/deep/er/file");
    CHECK((*all)[3].data == "text\n");
    CHECK((*all)[3].about.mode == 06711);
    CHECK((*all)[4].about.type == entry_type::symbolic_link);
    CHECK((*all)[5].about.type == entry_type::hard_link);
    CHECK((*all)[5].about.link_target == "tree/deep/er/file");
  }
}

TEST_CASE("what Python's tarfile writes is read alike") {
  if (support::missing_program("python3")) return;
  const std::string tar = made_by(R"(cat > t.py <<'END'
import io, tarfile
with tarfile.open('out.tar', 'w', format=tarfile.PAX_FORMAT) as tar:
    info = tarfile.TarInfo('caf\u00e9/' + 'x' * 200)
    info.size, info.mtime, info.uid = 4, 1.5, 3000000
    info.pax_headers = {'SCHILY.xattr.user.note': 'hello'}
    tar.addfile(info, io.BytesIO(b'data'))
END
python3 t.py)");
  REQUIRE(!tar.empty());
  const member one = only(tar);
  CHECK(one.about.path == "caf\xc3\xa9/" + std::string(200, 'x'));
  CHECK(one.about.modified.tv_nsec == 500'000'000);
  CHECK(one.about.uid == 3'000'000);
  CHECK(one.about.xattrs.front().value == "hello");
  CHECK(one.data == "data");
}

TEST_CASE("the source's failure comes through as it is, from headers, data and skipping") {
  const std::string tar = tar_builder().file("x", std::string(2'000'000, 'd')).file("y").text();
  for (const std::size_t size : {std::size_t{0}, std::size_t{300}, std::size_t{1'000'000}, tar.size() - 1024}) {
    memory_reader source(tar.substr(0, size), 1 << 20, mortise::errno_error(EIO, "read layer"));
    tar_reader reader(source);
    entry about;
    absl::Status status;
    for (;;) {
      const auto more = reader.next(about);
      status = more.status();
      if (!more.ok() || !*more) break;
    }
    CHECK(message(status) == "read layer: Input/output error");
    CHECK(mortise::errno_of(status) == EIO);
  }
}

TEST_CASE("a flood of access control lists is refused before libarchive compares them, wherever it comes") {
  std::string few;
  for (int each = 0; each < 500; ++each) few += "user:" + std::to_string(each) + ":r--,";
  std::string many;
  for (int each = 0; each < 60'000; ++each) many += "user:" + std::to_string(each) + ":r--,";
  tar_builder tar;
  for (std::size_t each = 0; each < 7400; each += 37)
    tar.add({.name = "x", .data = std::string(each, 'd'), .pax = {{"SCHILY.acl.access", few}}});
  REQUIRE(why(tar.text()) == "");
  tar.add({.name = "y", .pax = {{"SCHILY.acl.access", many}}});
  for (const std::size_t piece : {1000U, 65536U, 1U << 20}) {
    CHECK(message(listed(tar.text(), {}, piece).status()) ==
          "read tar header: access control lists of more than the 1024 entries allowed");
    memory_reader source(tar.text(), piece);
    tar_reader skipping(source, {}, 65536);
    absl::StatusOr<bool> more = true;
    for (entry about; more.ok() && *more;) more = skipping.next(about);
    CHECK(message(more.status()) == "read tar header: access control lists of more than the 1024 entries allowed");
  }
}

TEST_CASE("drain takes the source to its end") {
  memory_reader source(tar_builder().file("x").text() + std::string(3'000'000, '\0'));
  tar_reader reader(source);
  entry about;
  while (*reader.next(about)) continue;
  CHECK(reader.drain().ok());
  CHECK(source.taken() == 3'000'000 + 512 + 1024);
}
